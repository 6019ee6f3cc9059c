// The admin endpoint's doors to mirror links.
#include <algorithm>
#include <atomic>
#include <mutex>

#include "app/internal/broker_doors.h"

namespace millrace::app {
namespace {

constexpr Duration look_again = 1s;

Error no_links_here() {
    return Error(Code::unsupported, "this node is no broker: links are kept by brokers");
}

std::vector<admin::KnownLink> pair_up(std::vector<mirror::Link> links,
                                      std::vector<mirror::LinkView> views) {
    std::vector<admin::KnownLink> known;
    for (mirror::Link& link : links) {
        admin::KnownLink one;
        const auto view = std::find_if(views.begin(), views.end(),
                                       [&](const auto& v) { return v.id == link.id; });
        if (view != views.end()) {
            one.view = std::move(*view);
        } else {
            one.view.name = link.spec.name;
            one.view.id = link.id;
            one.view.version = link.version;
        }
        one.link = std::move(link);
        known.push_back(std::move(one));
    }
    return known;
}

/// Looks at the links every second for as long as somebody watches; lag has no other event.
class Watch : public std::enable_shared_from_this<Watch> {
public:
    Watch(mirror::Links& links, runtime::Executor& control,
          UniqueFunction<void(std::vector<admin::KnownLink>)> news)
        : links_(links), control_(control), news_(std::move(news)) {}

    void look() {
        if (over_) {
            return;
        }
        links_.views([self = shared_from_this()](std::vector<mirror::LinkView> views) {
            if (!self->over_) {
                self->news_(pair_up(self->links_.list(), std::move(views)));
                self->control_.after(look_again, [self] { self->look(); });
            }
        });
    }
    void end() { over_ = true; }

private:
    mirror::Links& links_;
    runtime::Executor& control_;
    UniqueFunction<void(std::vector<admin::KnownLink>)> news_;
    std::atomic<bool> over_{false};
};

struct Watching final : admin::Subscription {
    explicit Watching(std::shared_ptr<Watch> watch_in) : watch(std::move(watch_in)) {}
    ~Watching() override { watch->end(); }
    std::shared_ptr<Watch> watch;
};

}  // namespace

void BrokerDoors::apply_link(admin::Caller caller, admin::LinkChange change,
                             admin::Reply<admin::AppliedLink> reply) {
    if (view_.mirrors == nullptr) {
        reply(no_links_here());
        return;
    }
    view_.mirrors->apply(
        std::move(change.spec), change.expected_version, caller.dry_run,
        [reply = std::move(reply)](Result<mirror::Links::Applied> applied) mutable {
            if (applied) {
                reply(admin::AppliedLink{applied->id, applied->version, applied->changed});
            } else {
                reply(applied.error());
            }
        });
}

void BrokerDoors::delete_link(admin::Caller caller, std::string name, bool promote_topics,
                              admin::Reply<bool> reply) {
    if (view_.mirrors == nullptr) {
        reply(no_links_here());
        return;
    }
    view_.mirrors->remove(name, promote_topics, caller.dry_run, std::move(reply));
}

void BrokerDoors::links(admin::Caller, admin::Reply<std::vector<admin::KnownLink>> reply) {
    if (view_.mirrors == nullptr) {
        reply(no_links_here());
        return;
    }
    view_.mirrors->views([links = view_.mirrors,
                          reply = std::move(reply)](std::vector<mirror::LinkView> views) mutable {
        reply(pair_up(links->list(), std::move(views)));
    });
}

void BrokerDoors::mirror_partitions(admin::Caller, std::string link,
                                    admin::Reply<std::vector<mirror::PartitionView>> reply) {
    if (view_.mirrors == nullptr) {
        reply(no_links_here());
        return;
    }
    view_.mirrors->partitions(link, std::move(reply));
}

std::unique_ptr<admin::Subscription> BrokerDoors::watch_links(
    UniqueFunction<void(std::vector<admin::KnownLink>)> news) {
    if (view_.mirrors == nullptr) {
        return nullptr;
    }
    auto watch = std::make_shared<Watch>(*view_.mirrors, control_, std::move(news));
    watch->look();
    return std::make_unique<Watching>(std::move(watch));
}

}  // namespace millrace::app
