// What the metadata changes in a broker: settings, partitions, groups, its own standing.
#include <set>
#include <utility>

#include "app/internal/broker_inside.h"
#include "app/internal/config_changes.h"
#include "app/internal/settings.h"
#include "app/internal/topics_of_image.h"
#include "base/mutants.h"
#include "handlers/topic_names.h"

namespace millrace::app {
namespace {

std::string addresses_text(const std::vector<metadata::Endpoint>& endpoints) {
    std::string text;
    for (const metadata::Endpoint& one : endpoints) {
        text +=
            fmt::format("{}{}://{}:{}", text.empty() ? "" : ",", one.listener, one.host, one.port);
    }
    return text;
}

}  // namespace

void Broker::Inside::subscribe() {
    doors.controller = controller.get();
    doors.quorum = metadata.get();
    metadata::Publisher& publisher = metadata->publisher();
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        on_configs(delta, next);
    });
    if (!roles.broker) {
        return;
    }
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        if (!delta.changes().quotas.empty()) {
            client_quotas->set_rules(quota_rules(next->quotas));
        }
    });
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        on_partitions(delta, next);
    });
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        mirrors->links().on_publish(delta, next);
    });
    publisher.subscribe([this](const metadata::Delta&, const metadata::ImagePtr& next) {
        sights->on_publish(next);
        lifecycle->on_publish(next);
        const metadata::Broker* us = next->cluster.broker(self);
        const bool serving = us != nullptr && !us->fenced && us->epoch == lifecycle->epoch();
        if (serving && !draining && !ready.exchange(true)) {
            MR_LOG(log, info, "broker.ready", field("broker", self), field("cluster", cluster_id),
                   field("listeners", addresses_text(endpoints_of(false))));
            warn_if_still_a_voter();
            keeper->on_metadata_current();
            for (Listening& one : servers) {
                if (!one.controller) {
                    node.data_shard(0).executor->post(
                        [server = one.server.get()] { server->resume(); });
                }
            }
        }
    });
}

/// Its settings took the controller from it, which the quorum is told by nobody but a person.
void Broker::Inside::warn_if_still_a_voter() const {
    for (const raft::Voter& voter : driver->voters().voters()) {
        if (voter.key.id == self && !roles.controller) {
            MR_LOG(log, warn, "broker.still_a_voter", field("voter", voter.key.to_string()),
                   field("remedy",
                         fmt::format("process.roles has no controller, and the quorum counts this "
                                     "one as a voter that is down: kafka-metadata-quorum "
                                     "remove-controller --controller-id {} "
                                     "--controller-directory-id={}",
                                     self, voter.key.directory)));
        }
    }
}

void Broker::Inside::on_configs(const metadata::Delta& delta, const metadata::ImagePtr& next) {
    if (delta.changes().configs.empty()) {
        return;
    }
    if (const auto changed = only_topics_changed(delta, *next, self)) {
        topics.swap(topics.current()->after(next->configs, *changed, next->topics.size()));
        if (roles.broker) {
            applier->on_settings_changed(*next, *changed);
            move_throttle->settings_changed(*next);
            tell_groups(delta, *next);
        }
        return;
    }
    const auto entries = [&](const std::string& name) {
        const metadata::ConfigMap* found =
            next->configs.find({metadata::ConfigResourceType::broker, name});
        return found == nullptr ? config::Entries{} : found->values;
    };
    config = std::make_shared<const config::BrokerConfig>(options.given, entries(""),
                                                          entries(std::to_string(self.value)));
    tls->settings_changed(config);
    connection_limits_changed();
    topics.swap(std::make_shared<const handlers::TopicBook>(config, next->configs));
    if (roles.broker) {
        applier->on_settings_changed(*next);
        set_throttles(*throttles, config->broker(), node.control_shard().executor->clock().now());
        move_throttle->settings_changed(*next);
        mark_cordoned();
        lifecycle->tell_cordoned();
        tell_groups(delta, *next);
        keeper->set(config->broker());
    }
}

void Broker::Inside::tell_groups(const metadata::Delta& delta, const metadata::Image& next) {
    groups->settings_changed(group_settings(config->broker()));
    for (const metadata::ConfigResource& changed : delta.changes().configs) {
        if (changed.type == metadata::ConfigResourceType::group) {
            const metadata::ConfigMap* found = next.configs.find(changed);
            groups->overrides_changed(
                changed.name,
                group_overrides(*config, found == nullptr ? config::Entries{} : found->values));
        }
    }
}

/// What the log says before it comes to this very process speaks of its predecessor: to lead
/// because of it would be to go on in an epoch whose tail may be lost here and known elsewhere.
void Broker::Inside::on_partitions(const metadata::Delta& delta, const metadata::ImagePtr& next) {
    const metadata::Broker* us = next->cluster.broker(self);
    const bool is_this_process = us != nullptr && us->incarnation == incarnation;
    if (is_this_process && !MR_PLANTED(fetches_without_its_epoch)) {
        peers->set_own_epoch(us->epoch);  // before anything fetches (KIP-903)
    }
    if (enrolled) {
        applier->on_publish(delta, next);
        on_groups(delta, next);
        return;
    }
    if (is_this_process || MR_PLANTED(acts_on_its_predecessors_metadata)) {
        enrolled = true;
        on_partitions(metadata::Delta::between(metadata::Image{}, *next), next);
    }
}

void Broker::Inside::on_groups(const metadata::Delta& delta, const metadata::ImagePtr& next) {
    std::vector<groups::DeletedTopic> deleted;
    std::set<Uuid> touched;
    for (const TopicIdPartition& id : delta.changes().partitions) {
        touched.insert(id.topic_id);
    }
    for (const auto& [id, name] : delta.changes().topics_deleted) {
        deleted.push_back({id, name});
    }
    if (!touched.empty() || !deleted.empty() || !delta.changes().features.empty()) {
        groups->topics_changed(std::make_shared<TopicsOfImage>(next), deleted);
    }
    const metadata::Topic* offsets = next->topics.find(handlers::offsets_topic);
    if (offsets == nullptr || !touched.contains(offsets->id)) {
        return;
    }
    groups->set_partition_count(static_cast<std::int32_t>(offsets->partitions.size()));
    for (const TopicIdPartition& id : delta.changes().partitions) {
        if (id.topic_id != offsets->id) {
            continue;
        }
        const metadata::Partition* now = offsets->partition(id.partition);
        const metadata::Partition* before = delta.before().topics.partition(id);
        const bool leads = now != nullptr && now->leader == self;
        const bool led = before != nullptr && before->leader == self;
        if (leads && (!led || before->leader_epoch != now->leader_epoch)) {
            groups->elected(id.partition, now->leader_epoch);
        } else if (led && !leads) {
            groups->resigned(id.partition,
                             now == nullptr ? std::nullopt : std::optional(now->leader_epoch));
        }
    }
}

}  // namespace millrace::app
