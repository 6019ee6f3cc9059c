#include "operator/planner/topic_planner.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>
#include <tuple>

#include "operator/kube/time_text.h"

namespace millrace::planner {

namespace {

using kube::ObjectKey;

ObjectKey key_of(const api::Topic& topic) {
    return {topic.metadata.space, topic.metadata.name};
}

bool is_going(const api::Topic& topic) {
    return !topic.metadata.deletion_timestamp.empty();
}

bool has_finalizer(const api::Topic& topic) {
    const auto& list = topic.metadata.finalizers;
    return std::find(list.begin(), list.end(), topic_finalizer) != list.end();
}

constexpr const char* min_isr_setting = "min.insync.replicas";

/// Written by mirror links, of this cluster or of one that follows it: never drift. Least of all
/// the fence: without it both sides of a switchover would take records.
bool is_of_links(std::string_view key) {
    return key == "millrace.fenced" || key == "millrace.fenced.by" ||
           key.starts_with("millrace.mirror.");
}

/// Tools that move replicas write these for as long as they do, and take them back themselves.
bool is_of_a_move(std::string_view key) {
    return key == "leader.replication.throttled.replicas" ||
           key == "follower.replication.throttled.replicas";
}

/// Its settings and partitions follow the source's until it is promoted.
bool is_mirror(const brokers::TopicFacts& topic) {
    const auto state = topic.configs.find("millrace.mirror.state");
    return state != topic.configs.end() && state->second != "promoted";
}

/// Of a topic of the brokers' own it may say what it likes.
bool deletes(const api::Topic& topic) {
    return topic.spec.deletion_policy == api::ReclaimPolicy::remove &&
           !api::is_internal_topic(api::topic_name(topic));
}

/// In how many of `replicas` a record must be: one disk may be lost after acks=all, and one broker
/// be away without anybody waiting. None: what the brokers do by themselves.
std::optional<std::int32_t> min_in_sync(const api::Topic& topic, const api::Cluster& cluster,
                                        int replicas) {
    constexpr int enough_to_ask_for_two = 3;
    if (topic.spec.min_in_sync_replicas) {
        return topic.spec.min_in_sync_replicas;
    }
    if (topic.spec.config.contains(min_isr_setting)) {
        return std::nullopt;
    }
    if (const auto& chosen = cluster.spec.topics.defaults.min_in_sync_replicas) {
        // Of a topic with fewer replicas than the default asks for: all of them.
        return replicas > 0 ? std::min(*chosen, replicas) : *chosen;
    }
    return replicas >= enough_to_ask_for_two && !cluster.spec.config.contains(min_isr_setting)
               ? std::optional(2)
               : std::nullopt;
}

/// What the settings of its own should be of a topic that has so many replicas, or will have.
brokers::Settings wanted_settings(const api::Topic& topic, const api::Cluster& cluster,
                                  int replicas) {
    brokers::Settings settings{topic.spec.config.begin(), topic.spec.config.end()};
    if (const auto min_isr = min_in_sync(topic, cluster, replicas)) {
        settings[min_isr_setting] = std::to_string(*min_isr);
    }
    return settings;
}

/// Why no write with acks=all would ever succeed; empty: some may.
std::string unwritable_text(const brokers::Settings& settings, int replicas) {
    const auto found = settings.find(min_isr_setting);
    int wanted = 0;
    if (found == settings.end() || replicas <= 0 ||
        std::from_chars(found->second.data(), found->second.data() + found->second.size(), wanted)
                .ec != std::errc() ||
        wanted <= replicas) {
        return "";
    }
    return fmt::format(
        "min.insync.replicas {} is more than the topic's {} replica{}: no write with acks=all "
        "would "
        "succeed; lower minInSyncReplicas to {} or raise replicas",
        wanted, replicas, replicas == 1 ? "" : "s", replicas);
}

/// What a topic gets that doesn't say: three, or as many as there are brokers.
int default_replicas(const api::Cluster& cluster) {
    return cluster.spec.topics.defaults.replicas.value_or(
        std::clamp(total_replicas(cluster.spec), 1, api::default_topic_replicas));
}

/// One topic's status in the making.
class TopicTeller {
public:
    TopicTeller(const api::Topic& topic, Timestamp now)
        : topic_(topic), now_(kube::time_text(now)), status_(topic.status) {
        status_.observed_generation = topic.metadata.generation;
        status_.topic_name = api::topic_name(topic);
        status_.config_drift.clear();
        status_.change.reset();
        status_.message.clear();
    }

    void set(std::string_view type, bool holds, std::string reason, std::string message) {
        if (!holds && status_.message.empty()) {
            status_.message = message;
        }
        api::Condition condition;
        condition.type = type;
        condition.status = holds ? "True" : "False";
        condition.reason = std::move(reason);
        condition.message = std::move(message);
        condition.observed_generation = topic_.metadata.generation;
        api::set_condition(status_.conditions, std::move(condition), now_);
    }
    void not_ready(const std::string& reason, const std::string& message) {
        set("Ready", false, reason, message);
    }
    api::TopicStatus& status() { return status_; }

private:
    const api::Topic& topic_;
    const std::string now_;
    api::TopicStatus status_;
};

class TopicPlanner {
public:
    explicit TopicPlanner(const TopicWorld& world) : world_(world) {}

    TopicPlan plan() {
        choose_owners();
        for (const api::Topic& topic : world_.topics) {
            TopicTeller teller(topic, world_.now);
            if (is_going(topic)) {
                let_go(topic);
                continue;
            }
            keep_finalizer(topic);
            plan_one(topic, teller);
            if (!(teller.status() == topic.status)) {
                plan_.statuses[key_of(topic)] = std::move(teller.status());
            }
        }
        return std::move(plan_);
    }

private:
    /// The oldest object that names a topic owns it; who is being deleted owns until it is gone.
    /// Of those of one second it is who has it already.
    void choose_owners() {
        const auto age = [](const api::Topic& topic) {
            return std::tuple(std::string_view(topic.metadata.creation_timestamp),
                              topic.status.topic_id.empty(), std::string_view(topic.metadata.uid));
        };
        for (const api::Topic& topic : world_.topics) {
            if (world_.cluster && !may_name(topic)) {
                continue;  // Else anybody could take a name by being there first.
            }
            const api::Topic*& owner = owners_[api::topic_name(topic)];
            if (owner == nullptr || age(topic) < age(*owner)) {
                owner = &topic;
            }
        }
    }

    void set_finalizers(const api::Topic& topic, std::vector<std::string> finalizers) {
        plan_.finalizers.push_back(
            {key_of(topic), topic.metadata.resource_version, std::move(finalizers)});
    }

    void drop_finalizer(const api::Topic& topic) {
        std::vector<std::string> rest = topic.metadata.finalizers;
        std::erase(rest, topic_finalizer);
        set_finalizers(topic, std::move(rest));
    }

    void keep_finalizer(const api::Topic& topic) {
        const bool wanted = deletes(topic);
        if (wanted && !has_finalizer(topic)) {
            std::vector<std::string> all = topic.metadata.finalizers;
            all.emplace_back(topic_finalizer);
            set_finalizers(topic, std::move(all));
        } else if (!wanted && has_finalizer(topic)) {
            drop_finalizer(topic);
        }
    }

    void let_go(const api::Topic& topic) {
        if (!has_finalizer(topic)) {
            return;
        }
        const std::string& name = api::topic_name(topic);
        const bool cluster_is_gone =
            !world_.cluster || !world_.cluster->metadata.deletion_timestamp.empty();
        const auto owner = owners_.find(name);
        const bool must_delete = deletes(topic) && owner != owners_.end() &&
                                 owner->second == &topic && !topic.status.topic_id.empty();
        if (cluster_is_gone || !must_delete) {
            drop_finalizer(topic);
            return;
        }
        if (!world_.found) {
            return;  // The cluster is there and doesn't answer: the promise waits.
        }
        const auto found = world_.found->find(name);
        // Only the topic that this object had: another of the same name isn't ours to delete.
        if (found == world_.found->end() || found->second.id != topic.status.topic_id) {
            drop_finalizer(topic);
        } else {
            plan_.remove.push_back(name);
        }
    }

    bool may_name(const api::Topic& topic) const {
        const auto& allowed = world_.cluster->spec.topics.allowed_namespaces;
        return topic.metadata.space == world_.cluster->metadata.space ||
               std::find(allowed.begin(), allowed.end(), topic.metadata.space) != allowed.end();
    }

    /// False, and told, if the topic isn't this object's to care for.
    bool is_responsible(const api::Topic& topic, TopicTeller& teller) {
        if (!world_.cluster) {
            teller.not_ready("NoCluster",
                             fmt::format("there is no Cluster {}", cluster_of(topic).to_string()));
            return false;
        }
        if (!may_name(topic)) {
            teller.not_ready("NotAllowed",
                             fmt::format("Cluster {} doesn't name namespace {} in "
                                         "spec.topics.allowedNamespaces",
                                         cluster_of(topic).to_string(), topic.metadata.space));
            return false;
        }
        const api::Topic* owner = owners_.at(api::topic_name(topic));
        if (owner != &topic) {
            const std::string message =
                fmt::format("Topic {} was there first and owns {}", key_of(*owner).to_string(),
                            api::topic_name(topic));
            teller.set("Owned", false, "OwnedByAnother", message);
            teller.not_ready("OwnedByAnother", message);
            return false;
        }
        teller.set("Owned", true, "Owner", "");
        return true;
    }

    void plan_one(const api::Topic& topic, TopicTeller& teller) {
        if (const auto why = world_.unreadable.find(key_of(topic));
            why != world_.unreadable.end()) {
            teller.set("Synced", false, "Invalid", why->second);
            teller.not_ready("Invalid", why->second);
            return;
        }
        if (!is_responsible(topic, teller)) {
            return;
        }
        if (!world_.found) {
            // What was said before stays: not being able to ask changes nothing about the topic.
            if (topic.status.topic_id.empty()) {
                teller.not_ready("ClusterUnreachable", world_.unreachable);
            } else {
                teller.status().message = topic.status.message;
                teller.status().config_drift = topic.status.config_drift;
                teller.status().change = topic.status.change;
            }
            return;
        }
        const std::string& name = api::topic_name(topic);
        const auto found = world_.found->find(name);
        if (found == world_.found->end()) {
            create(topic, teller);
        } else if (topic.status.topic_id.empty() &&
                   topic.spec.adoption == api::TopicAdoption::create_only) {
            teller.not_ready("Exists",
                             "a topic of this name is there already; adoption is CreateOnly");
        } else {
            keep(topic, found->second, teller);
        }
    }

    void create(const api::Topic& topic, TopicTeller& teller) {
        const std::string& name = api::topic_name(topic);
        const api::TopicDefaults& defaults = world_.cluster->spec.topics.defaults;
        const int replicas = topic.spec.replicas.value_or(default_replicas(*world_.cluster));
        brokers::Settings settings = wanted_settings(topic, *world_.cluster, replicas);
        if (const std::string why = unwritable_text(settings, replicas); !why.empty()) {
            teller.set("Synced", false, "Refused", why);
            teller.not_ready("Refused", why);
            return;
        }
        teller.status().change = api::TopicChange{api::TopicChangeKind::create, "Running", 0, 1};
        if (topic.spec.paused) {
            teller.not_ready("Paused", "spec.paused is set and the topic doesn't exist");
            return;
        }
        if (world_.cluster->status.phase == "Creating") {
            // Who comes up last would lead nothing of what was made before.
            teller.not_ready("ClusterStarting", "it is made once all brokers are up");
            plan_.waits = true;
            return;
        }
        if (!tell_failure(name, teller)) {
            teller.not_ready("Creating", "the topic is being created");
        }
        const int partitions = topic.spec.partitions.value_or(defaults.partitions.value_or(0));
        plan_.create.push_back({name, partitions, replicas, std::move(settings)});
    }

    /// True if something that was tried in this round failed; then it is told.
    bool tell_failure(const std::string& name, TopicTeller& teller) {
        const auto outcome = world_.outcomes.find(name);
        if (outcome == world_.outcomes.end()) {
            return false;
        }
        if (teller.status().change) {
            teller.status().change->state = "Blocked";
        }
        teller.set("Synced", false, "Refused", outcome->second.message);
        teller.not_ready("Refused", outcome->second.message);
        return true;
    }

    void keep(const api::Topic& topic, const brokers::TopicFacts& found, TopicTeller& teller) {
        api::TopicStatus& status = teller.status();
        status.topic_id = found.id;
        status.partitions = found.partitions;
        status.replicas = found.replication_factor;
        const bool follows = is_mirror(found);
        std::string pending;
        if (!follows) {
            pending = settings_difference(topic, found, status);
            if (std::string other = partitions_difference(topic, found, status); !other.empty()) {
                pending = std::move(other);
            }
        }
        const bool failed = tell_failure(found.name, teller);
        if (!failed && follows) {
            teller.set("Synced", true, "Mirror",
                       "settings and partitions are those of the source until it is promoted");
        } else if (!failed) {
            teller.set("Synced", pending.empty(), pending.empty() ? "Synced" : "Changing", pending);
        }
        place(topic, found, teller);
        if (!failed) {
            const bool refuses =
                !pending.empty() && status.change && status.change->state == "Blocked";
            teller.set("Ready", !refuses, refuses ? "Refused" : "Ready", refuses ? pending : "");
        }
    }

    std::string settings_difference(const api::Topic& topic, const brokers::TopicFacts& found,
                                    api::TopicStatus& status) {
        const int target = topic.spec.replicas.value_or(found.replication_factor);
        const brokers::Settings wanted =
            wanted_settings(topic, *world_.cluster, std::min(target, found.replication_factor));
        if (std::string why = unwritable_text(wanted, target); !why.empty()) {
            status.change = api::TopicChange{api::TopicChangeKind::config, "Blocked", 0, 1};
            return why;
        }
        brokers::SettingsChange change;
        change.topic = found.name;
        for (const auto& [key, value] : wanted) {
            const auto has = found.configs.find(key);
            if (has == found.configs.end() || has->second != value) {
                change.set[key] = value;
                status.config_drift.push_back(
                    {key, value, has == found.configs.end() ? "" : has->second});
            }
        }
        for (const auto& [key, value] : found.configs) {
            if (!wanted.contains(key) && !is_of_links(key) && !is_of_a_move(key)) {
                change.remove.push_back(key);
                status.config_drift.push_back({key, "", value});
            }
        }
        if (change.set.empty() && change.remove.empty()) {
            return "";
        }
        if (topic.spec.paused) {
            return "its settings differ and spec.paused is set";
        }
        status.change = api::TopicChange{api::TopicChangeKind::config, "Running", 0,
                                         static_cast<std::int64_t>(status.config_drift.size())};
        plan_.alter.push_back(std::move(change));
        return fmt::format("{} settings are being set back", status.config_drift.size());
    }

    std::string partitions_difference(const api::Topic& topic, const brokers::TopicFacts& found,
                                      api::TopicStatus& status) {
        const int wanted = topic.spec.partitions.value_or(found.partitions);
        if (wanted == found.partitions || (topic.spec.paused && wanted > found.partitions)) {
            return "";
        }
        if (wanted < found.partitions) {
            status.change =
                api::TopicChange{api::TopicChangeKind::partitions, "Blocked", 0, wanted};
            return fmt::format(
                "it has {} partitions; partitions can't be taken away: set "
                "spec.partitions to {} or more",
                found.partitions, found.partitions);
        }
        status.change =
            api::TopicChange{api::TopicChangeKind::partitions, "Running", found.partitions, wanted};
        plan_.grow[found.name] = wanted;
        return fmt::format("it grows from {} to {} partitions", found.partitions, wanted);
    }

    void place(const api::Topic& topic, const brokers::TopicFacts& found, TopicTeller& teller) {
        const int wanted = topic.spec.replicas.value_or(found.replication_factor);
        if (found.moving > 0) {
            teller.status().change =
                api::TopicChange{api::TopicChangeKind::replicas, "Running",
                                 found.partitions - found.moving, found.partitions};
            teller.set(
                "Placement", false, "Moving",
                fmt::format("{} of {} partitions are moving", found.moving, found.partitions));
        } else if (wanted == found.replication_factor || topic.spec.paused) {
            teller.set("Placement", true, "Placed", "");
        } else {
            plan_.replication_factors[found.name] = wanted;
            teller.status().change = api::TopicChange{
                api::TopicChangeKind::replicas,
                world_.placement_problem.empty() ? "Waiting" : "Blocked", 0, found.partitions};
            teller.set(
                "Placement", false, "ReplicasDiffer",
                fmt::format("it has {} replicas, {} are wanted{}{}", found.replication_factor,
                            wanted, world_.placement_problem.empty() ? "" : ": ",
                            world_.placement_problem));
        }
    }

    const TopicWorld& world_;
    std::map<std::string, const api::Topic*> owners_;
    TopicPlan plan_;
};

}  // namespace

kube::ObjectKey cluster_of(const api::Topic& topic) {
    return {topic.spec.cluster_ref.space.value_or(topic.metadata.space),
            topic.spec.cluster_ref.name};
}

TopicPlan plan_topics(const TopicWorld& world) {
    return TopicPlanner(world).plan();
}

}  // namespace millrace::planner
