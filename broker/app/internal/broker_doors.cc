#include "app/internal/broker_doors.h"

#include <vector>

#include "admin/cluster_health.h"
#include "app/internal/in_process_call.h"

namespace millrace::app {

namespace {

/// Many changes come at once (a topic's partitions, a broker's fencing): they are told together.
constexpr Duration news_gather_time = 100ms;

/// As the settings are now, for one look at all topics.
admin::MinIsr min_isr_of(const BrokerView& view) {
    return [book = view.doors->topics->current()](const std::string& topic) {
        return book->rules(topic)->replication.min_isr;
    };
}

}  // namespace

/// Who watches the health. Told on the control loop, or where somebody begins to watch.
struct BrokerDoors::Watchers {
    struct Watcher {
        std::mutex mutex;  ///< One news at a time.
        UniqueFunction<void(admin::Health)> news;
    };

    std::mutex mutex;
    std::map<std::uint64_t, std::shared_ptr<Watcher>> all;
    std::uint64_t next = 1;
    bool is_due = false;  ///< Only on the control loop.

    std::vector<std::shared_ptr<Watcher>> current() {
        const std::lock_guard lock(mutex);
        std::vector<std::shared_ptr<Watcher>> watchers;
        for (const auto& [number, watcher] : all) {
            watchers.push_back(watcher);
        }
        return watchers;
    }
    static void tell(Watcher& watcher, const admin::Health& health) {
        const std::lock_guard lock(watcher.mutex);
        watcher.news(health);
    }

    struct Watching final : admin::Subscription {
        Watching(std::shared_ptr<Watchers> owner_in, std::uint64_t number_in)
            : owner(std::move(owner_in)), number(number_in) {}
        ~Watching() override {
            const std::lock_guard lock(owner->mutex);
            owner->all.erase(number);
        }
        std::shared_ptr<Watchers> owner;
        std::uint64_t number;
    };
};

BrokerDoors::BrokerDoors(BrokerView view, runtime::Node& node, std::string version)
    : view_(std::move(view)),
      control_(*node.control_shard().executor),
      version_(std::move(version)),
      watchers_(std::make_shared<Watchers>()),
      verbs_(view_, control_),
      peers_(std::make_shared<PeerCalls>(view_, node.control_shard(), node.log())),
      plans_(view_, *this, node) {
    view_.publisher->subscribe(
        [this, watchers = watchers_](const metadata::Delta&, const metadata::ImagePtr&) {
            if (watchers->is_due || watchers->current().empty()) {
                return;
            }
            watchers->is_due = true;
            control_.after(news_gather_time, [this, watchers] {
                watchers->is_due = false;
                const admin::Health now = health();
                for (const auto& watcher : watchers->current()) {
                    Watchers::tell(*watcher, now);
                }
            });
        });
}

BrokerDoors::~BrokerDoors() = default;

admin::Health BrokerDoors::health() const {
    const metadata::ImagePtr image = view_.doors->image->current();
    admin::Health health =
        admin::health_of(*image, view_.doors->controller->active(), min_isr_of(view_));
    health.quorum.voters = verbs_.known_voters();
    return health;
}

QuorumEpoch BrokerDoors::epoch() const {
    return view_.doors->image->current()->provenance.epoch;
}

std::shared_ptr<const config::BrokerConfig> BrokerDoors::config() const {
    const auto book = view_.doors->topics->current();
    return {book, &book->config()};
}

std::vector<BrokerId> BrokerDoors::other_brokers() const {
    std::vector<BrokerId> others;
    for (const auto& broker : view_.doors->image->current()->cluster.brokers) {
        if (broker.key != self() && !broker.value->fenced) {
            others.push_back(broker.key);
        }
    }
    return others;
}

void BrokerDoors::identity(admin::Reply<admin::Identity> reply) {
    const metadata::ImagePtr image = view_.doors->image->current();
    const metadata::Broker* us = image->cluster.broker(view_.doors->self);
    admin::Identity identity;
    identity.cluster_id = view_.doors->cluster_id;
    identity.broker_id = view_.doors->self;
    identity.broker_epoch = us == nullptr ? BrokerEpoch{-1} : us->epoch;
    identity.directories = view_.directories;
    identity.version = version_;
    identity.kafka_version = "4.4.0";
    for (const auto& feature : image->features) {
        identity.features[feature.key] = feature.value;
    }
    identity.roles = view_.roles;
    identity.rack = view_.rack;
    reply(std::move(identity));
}

std::unique_ptr<admin::Subscription> BrokerDoors::watch_health(
    UniqueFunction<void(admin::Health)> news) {
    auto watcher = std::make_shared<Watchers::Watcher>();
    watcher->news = std::move(news);
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(watchers_->mutex);
        number = watchers_->next++;
        watchers_->all[number] = watcher;
    }
    // After it is listed: a change in between is told twice rather than never.
    Watchers::tell(*watcher, health());
    return std::make_unique<Watchers::Watching>(watchers_, number);
}

void BrokerDoors::restart_check(admin::Caller, admin::RestartQuestion question,
                                admin::Reply<admin::RestartVerdict> reply) {
    auto answer = [view = view_, voters = verbs_.voters(), question, reply = std::move(reply)](
                      const std::optional<std::set<BrokerId>>& silent) mutable {
        reply(admin::restart_verdict(*view.doors->image->current(), question, voters, silent,
                                     min_isr_of(view)));
    };
    // Of brokers the metadata says whether they are down; of controllers only the quorum knows.
    if (!question.with_those_down) {
        answer(std::set<BrokerId>{});
        return;
    }
    if (view_.doors->controller->active() == no_broker) {
        answer(std::nullopt);
        return;
    }
    verbs_.describe_quorum(
        [answer = std::move(answer)](const Result<admin::QuorumHealth>& quorum) mutable {
            answer(quorum ? std::optional(admin::silent_voters(*quorum)) : std::nullopt);
        });
}

void BrokerDoors::restart_progress(admin::Caller, BrokerId broker, BrokerEpoch before,
                                   admin::Reply<admin::RestartProgress> reply) {
    reply(admin::restart_progress(*view_.doors->image->current(), broker, before));
}

void BrokerDoors::drain_leaders(admin::Caller caller, BrokerId broker, bool undo,
                                admin::Reply<admin::DrainResult> reply) {
    verbs_.drain_leaders(caller, broker, undo, std::move(reply));
}
void BrokerDoors::cordon(admin::Caller caller, std::vector<BrokerId> brokers, bool cordoned,
                         admin::Reply<std::vector<BrokerId>> reply) {
    verbs_.cordon(caller, std::move(brokers), cordoned, std::move(reply));
}
void BrokerDoors::unregister_broker(admin::Caller caller, BrokerId broker,
                                    admin::Reply<bool> reply) {
    verbs_.unregister_broker(caller, broker, std::move(reply));
}
void BrokerDoors::describe_quorum(admin::Caller, admin::Reply<admin::QuorumHealth> reply) {
    verbs_.describe_quorum(std::move(reply));
}
void BrokerDoors::add_voter(admin::Caller caller, admin::Voter voter, admin::Reply<bool> reply) {
    verbs_.add_voter(caller, std::move(voter), std::move(reply));
}
void BrokerDoors::remove_voter(admin::Caller caller, BrokerId id, Uuid directory_id,
                               admin::Reply<bool> reply) {
    verbs_.remove_voter(caller, id, directory_id, std::move(reply));
}

void BrokerDoors::reload_certificates(admin::Caller,
                                      admin::Reply<std::vector<admin::ReloadedCertificate>> reply) {
    control_.post([tls = view_.tls, reply = std::move(reply)]() mutable {
        tls->reload([reply = std::move(reply)](std::vector<TlsNode::Reloaded> all) mutable {
            std::vector<admin::ReloadedCertificate> certificates;
            for (TlsNode::Reloaded& one : all) {
                certificates.push_back({std::move(one.listener), one.changed, one.facts.subject,
                                        one.facts.serial, one.facts.not_after, std::move(one.error),
                                        std::move(one.facts.trusted)});
            }
            reply(std::move(certificates));
        });
    });
}

void BrokerDoors::kafka(admin::Caller caller, admin::KafkaCall call, admin::Reply<Buffer> reply) {
    if (call.target == no_broker || call.target == self()) {
        call_in_process(view_, std::move(call), caller.address, std::move(reply));
        return;
    }
    control_.post([peers = peers_, call = std::move(call), reply = std::move(reply)]() mutable {
        peers->send(call, std::move(reply));
    });
}

}  // namespace millrace::app
