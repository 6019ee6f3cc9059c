#include "operator/kube/election.h"

#include <chrono>
#include <condition_variable>
#include <fmt/core.h>
#include <mutex>
#include <thread>

#include "operator/kube/time_text.h"

namespace millrace::kube {

std::optional<Json> ElectionCore::step(const Json* stored, Instant now, Timestamp wall) {
    const std::string stamp = micro_time_text(wall);
    if (stored == nullptr) {
        Json spec = Json::object({{"holderIdentity", options_.identity},
                                  {"acquireTime", stamp},
                                  {"renewTime", stamp},
                                  {"leaseTransitions", 0}});
        spec["leaseDurationSeconds"] =
            std::chrono::duration_cast<std::chrono::seconds>(options_.length).count();
        return Json::object({{"apiVersion", std::string(leases.api_version)},
                             {"kind", std::string(leases.kind)},
                             {"metadata", Json::object({{"namespace", options_.lease.space},
                                                        {"name", options_.lease.name}})},
                             {"spec", std::move(spec)}});
    }
    const Json& spec = (*stored)["spec"];
    const std::string& holder = spec["holderIdentity"].text();
    const std::string seen = holder + " " + spec["renewTime"].text();
    if (seen != seen_) {
        seen_ = seen;
        changed_ = now;
    }
    const bool ours = holder == options_.identity;
    if (!ours && !holder.empty() && now - changed_ < options_.length) {
        return std::nullopt;
    }
    Json next = *stored;
    next["spec"]["holderIdentity"] = options_.identity;
    next["spec"]["renewTime"] = stamp;
    if (!ours) {
        next["spec"]["acquireTime"] = stamp;
        next["spec"]["leaseTransitions"] = spec["leaseTransitions"].integer() + 1;
    }
    return next;
}

namespace {

class RealElection final : public Election {
public:
    RealElection(std::shared_ptr<Api> api, const Clock& clock, ElectionOptions options,
                 std::function<void()> on_won, std::function<void()> on_lost, Logger log)
        : api_(std::move(api)),
          clock_(clock),
          options_(options),
          on_won_(std::move(on_won)),
          on_lost_(std::move(on_lost)),
          log_(std::move(log)),
          core_(std::move(options)),
          thread_([this] { run(); }) {}

    ~RealElection() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

    bool leads() const override {
        const std::lock_guard lock(mutex_);
        return core_.leads(clock_.now());
    }

private:
    bool pause(Duration time) {
        std::unique_lock lock(mutex_);
        return !wake_.wait_for(lock, time, [this] { return stopping_; });
    }

    void run() {
        bool led = false;
        do {
            try_once();
            const bool leads_now = leads();
            if (leads_now && !led) {
                MR_LOG(log_, info, "operator.leads", field("lease", options_.lease.to_string()),
                       field("identity", options_.identity));
                on_won_();
            } else if (led && !leads_now) {
                on_lost_();
                return;
            }
            led = leads_now;
        } while (pause(options_.retry));
        if (led) {
            give_back();
        }
    }

    void try_once() {
        const auto stored = api_->get(leases, options_.lease);
        if (!stored && stored.error().code() != Code::not_found) {
            MR_LOG(log_, warn, "operator.lease_unreadable",
                   field("reason", stored.error().message()));
            return;
        }
        const Instant asked = clock_.now();  // Counted from before the write: never too long.
        std::optional<Json> next;
        {
            const std::lock_guard lock(mutex_);
            next = core_.step(stored ? &*stored : nullptr, asked, clock_.wall());
        }
        if (!next) {
            return;
        }
        const auto written = stored ? api_->replace(leases, *next) : api_->create(leases, *next);
        if (written) {
            const std::lock_guard lock(mutex_);
            core_.written(asked);
        } else if (written.error().code() != Code::fenced &&
                   written.error().code() != Code::exists) {
            MR_LOG(log_, warn, "operator.lease_unwritable",
                   field("reason", written.error().message()));
        }
    }

    void give_back() {
        auto stored = api_->get(leases, options_.lease);
        if (stored &&
            std::as_const(*stored)["spec"]["holderIdentity"].text() == options_.identity) {
            (*stored)["spec"]["holderIdentity"] = "";
            if (const auto written = api_->replace(leases, *stored); !written) {
                MR_LOG(log_, info, "operator.lease_kept",
                       field("reason", written.error().message()));
            }
        }
    }

    const std::shared_ptr<Api> api_;
    const Clock& clock_;
    const ElectionOptions options_;
    const std::function<void()> on_won_;
    const std::function<void()> on_lost_;
    const Logger log_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    ElectionCore core_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Election> Election::start(std::shared_ptr<Api> api, const Clock& clock,
                                          ElectionOptions options, std::function<void()> on_won,
                                          std::function<void()> on_lost, Logger log) {
    return std::make_unique<RealElection>(std::move(api), clock, std::move(options),
                                          std::move(on_won), std::move(on_lost), std::move(log));
}

}  // namespace millrace::kube
