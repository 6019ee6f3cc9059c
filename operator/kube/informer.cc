#include "operator/kube/informer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace millrace::kube {

namespace {

constexpr Duration first_pause = 200ms;
constexpr Duration longest_pause = 15s;

std::int64_t steady_now() {
    return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

class RealInformers final : public Informers {
public:
    RealInformers(std::shared_ptr<Api> api, OnNews on_news, Logger log)
        : api_(std::move(api)), on_news_(std::move(on_news)), log_(std::move(log)) {}

    ~RealInformers() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        for (auto& one : all_) {
            one->thread.join();
        }
    }

    void run(const std::vector<Wanted>& wanted) {
        for (const Wanted& one : wanted) {
            auto& cache = caches_[one.kind];
            if (!cache) {
                cache = std::make_unique<ObjectCache>(one.group_of);
            }
            all_.push_back(std::make_unique<Followed>(one, *cache));
            all_.back()->heard = steady_now();
        }
        for (auto& one : all_) {  // All are there before the first news arrives.
            one->thread = std::thread([this, followed = one.get()] { follow(*followed); });
        }
    }

    ObjectCache& cache(const Kind& kind) override {
        const auto found = caches_.find(kind);
        MR_ASSERT(found != caches_.end());
        return *found->second;
    }

    bool synced() const override {
        bool any = false;
        for (const auto& one : all_) {
            any |= one->synced;
            if (!one->synced && !one->refused) {
                return false;
            }
        }
        return any;
    }

    bool synced(const std::string& space) const override {
        return synced() && std::all_of(all_.begin(), all_.end(), [&](const auto& one) {
                   return one->synced || (!one->space().empty() && one->space() != space);
               });
    }

    Duration silence() const override {
        std::int64_t oldest = steady_now();
        const std::int64_t now = oldest;
        for (const auto& one : all_) {
            oldest = std::min(oldest, one->heard.load());
        }
        return Duration{now - oldest};
    }

private:
    struct Followed {
        Followed(Wanted one, ObjectCache& all) : wanted(std::move(one)), cache(all) {}
        const std::string& space() const { return wanted.selection.space; }
        const Wanted wanted;
        ObjectCache& cache;
        InformerCore core;
        std::atomic<bool> synced = false;
        std::atomic<bool> refused = false;  ///< One namespace of several, and not for us.
        std::atomic<std::int64_t> heard = 0;
        std::thread thread;
    };

    bool pause(Duration time) {
        std::unique_lock lock(mutex_);
        return !wake_.wait_for(lock, time, [this] { return stopping_; });
    }

    void tell(const Followed& one, const std::vector<ObjectCache::Changed>& changes) {
        for (const auto& change : changes) {
            on_news_(one.wanted.kind, change);
        }
    }

    void follow(Followed& one) {
        while (pause(one.core.pause())) {
            if (one.core.next() == InformerCore::Next::list) {
                one.core.listed(list(one));
            } else {
                const auto outcome = api_->watch(
                    one.wanted.kind, one.wanted.selection, one.cache.version(one.space()),
                    [&](Change change, Json object) {
                        one.heard = steady_now();
                        tell(one, one.cache.take(change, std::move(object), one.space()));
                        return true;
                    });
                if (outcome) {
                    one.heard = steady_now();
                } else if (outcome.error().code() != Code::closed && pause(Duration{0})) {
                    MR_LOG(log_, info, "kube.watch_ended", field("kind", one.wanted.kind.plural),
                           field("reason", outcome.error().message()));
                }
                one.core.watched(outcome);
            }
        }
    }

    bool is_one_of_several(const Followed& one) const {
        return std::any_of(all_.begin(), all_.end(), [&](const auto& other) {
            return other->wanted.kind == one.wanted.kind && other->space() != one.space();
        });
    }

    Result<void> list(Followed& one) {
        auto listed = api_->list(one.wanted.kind, one.wanted.selection);
        if (!listed) {
            if (pause(Duration{0})) {
                MR_LOG(log_, warn, "kube.list_failed", field("kind", one.wanted.kind.plural),
                       field("namespace", one.space().empty() ? "all" : one.space()),
                       field("reason", listed.error().message()));
            }
            if (listed.error().code() == Code::permission && is_one_of_several(one)) {
                one.heard = steady_now();
                one.refused = true;
            }
            return listed.error();
        }
        one.heard = steady_now();
        one.refused = false;
        tell(one, one.cache.replace_all(*std::move(listed), one.space()));
        if (!one.synced.exchange(true)) {
            on_news_(one.wanted.kind, {});  // "Synced" is news too: reconciling may begin.
        }
        return {};
    }

    const std::shared_ptr<Api> api_;
    const OnNews on_news_;
    const Logger log_;
    std::map<Kind, std::unique_ptr<ObjectCache>> caches_;
    std::vector<std::unique_ptr<Followed>> all_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
};

}  // namespace

void InformerCore::failed() {
    pause_ = pause_ == Duration{0} ? first_pause : std::min(pause_ * 2, longest_pause);
}

void InformerCore::listed(Result<void> outcome) {
    if (outcome) {
        next_ = Next::watch;
        pause_ = Duration{0};
    } else {
        failed();
    }
}

void InformerCore::watched(const Result<void>& outcome) {
    if (outcome) {
        pause_ = Duration{0};
    } else if (outcome.error().code() == Code::closed) {
        next_ = Next::list;
        pause_ = Duration{0};
    } else {
        failed();
    }
}

std::unique_ptr<Informers> Informers::start(std::shared_ptr<Api> api, std::vector<Wanted> wanted,
                                            OnNews on_news, Logger log) {
    auto informers =
        std::make_unique<RealInformers>(std::move(api), std::move(on_news), std::move(log));
    informers->run(wanted);
    return informers;
}

}  // namespace millrace::kube
