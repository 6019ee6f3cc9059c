#include "operator/planner/topic_planner.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <tuple>

#include "operator/kube/time_text.h"
#include "operator/render/broker_config.h"

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

/// Without what the topic's own object names: that is decided there.
api::Texts without_named(api::Texts settings, const api::TopicSpec& spec) {
    std::erase_if(settings, [&](const auto& one) {
        return spec.config.contains(one.first) ||
               (one.first == min_isr_setting && spec.min_in_sync_replicas);
    });
    return settings;
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
/// `adopted`: what it had when it was taken over.
brokers::Settings wanted_settings(const api::Topic& topic, const api::Cluster& cluster,
                                  int replicas, const api::Texts& adopted) {
    brokers::Settings settings{topic.spec.config.begin(), topic.spec.config.end()};
    settings.insert(adopted.begin(), adopted.end());
    if (adopted.contains(min_isr_setting)) {
        return settings;
    }
    if (const auto min_isr = min_in_sync(topic, cluster, replicas)) {
        settings[min_isr_setting] = std::to_string(*min_isr);
    }
    return settings;
}

/// The settings of a topic that is taken over which its object doesn't name and nobody else keeps.
api::Texts taken_over(const api::Topic& topic, const api::Cluster& cluster,
                      const brokers::TopicFacts& found) {
    const brokers::Settings wanted =
        wanted_settings(topic, cluster, found.replication_factor, api::Texts{});
    api::Texts settings;
    for (const auto& [key, value] : found.configs) {
        const auto ours = wanted.find(key);
        if (!is_of_links(key) && !is_of_a_move(key) &&
            (ours == wanted.end() || ours->second != value)) {
            settings.emplace(key, value);
        }
    }
    return without_named(std::move(settings), topic.spec);
}

std::string or_default(const std::string& value) {
    return value.empty() ? "its default" : value;
}

/// "retention.ms 5 -> 1000, ...": what was found, and what is wanted.
std::string changes_text(const std::vector<api::ConfigDrift>& drift) {
    std::string text;
    for (const api::ConfigDrift& one : drift) {
        text += fmt::format("{}{} {} -> {}", text.empty() ? "" : ", ", one.key,
                            or_default(one.found), or_default(one.wanted));
    }
    return text;
}

std::string settings_text(const api::Texts& settings) {
    std::string text;
    for (const auto& [key, value] : settings) {
        text += fmt::format("{}{}={}", text.empty() ? "" : ", ", key, value);
    }
    return text;
}

std::string setting_of(const brokers::TopicFacts& topic, std::string_view key) {
    const auto found = topic.configs.find(key);
    return found == topic.configs.end() ? "" : found->second;
}

/// As brokers write them: CLUSTER/TOPIC,CLUSTER/TOPIC.
std::vector<std::string> mirrors_in(const std::string& fenced_by) {
    std::vector<std::string> mirrors;
    for (std::size_t at = 0; at < fenced_by.size();) {
        const std::size_t end = std::min(fenced_by.find(',', at), fenced_by.size());
        mirrors.push_back(fenced_by.substr(at, end - at));
        at = end + 1;
    }
    return mirrors;
}

/// A mirror mostly has its source's name: many topics then say the same.
std::string without_same_name(const std::string& mirror, const std::string& topic) {
    const std::string tail = "/" + topic;
    return mirror.ends_with(tail) ? mirror.substr(0, mirror.size() - tail.size()) : mirror;
}

/// Why no client can write to it; the reason is empty if clients can.
std::pair<std::string, std::string> read_only_text(const brokers::TopicFacts& topic) {
    if (is_mirror(topic)) {
        const std::string source = setting_of(topic, "millrace.mirror.source.cluster.id");
        return {"Mirror",
                fmt::format("takes no writes: mirror of link {}{} ({}), until it is promoted",
                            setting_of(topic, "millrace.mirror.link"),
                            source.empty() ? "" : fmt::format(" from cluster {}", source),
                            setting_of(topic, "millrace.mirror.state"))};
    }
    if (setting_of(topic, "millrace.fenced") != "true") {
        return {};
    }
    std::string by;
    for (const std::string& one : mirrors_in(setting_of(topic, "millrace.fenced.by"))) {
        by += (by.empty() ? "" : ", ") + without_same_name(one, topic.name);
    }
    if (by.empty()) {
        return {"Fenced", "takes no writes: its setting millrace.fenced is true"};
    }
    return {"Fenced",
            fmt::format("takes no writes: fenced by a mirror link since its mirror was promoted "
                        "in cluster {}: producers write there",
                        by)};
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
    /// Where nothing needs to be said more.
    void remark(const std::string& message) {
        if (status_.message.empty()) {
            status_.message = message;
        }
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
                let_go(topic, teller);
            } else {
                keep_finalizer(topic);
                plan_one(topic, teller);
            }
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

    /// Who isn't through with it says what the object waits for; who is leaves it as it was.
    void let_go(const api::Topic& topic, TopicTeller& teller) {
        const std::string& name = api::topic_name(topic);
        const bool cluster_is_gone =
            !world_.cluster || !world_.cluster->metadata.deletion_timestamp.empty();
        const auto owner = owners_.find(name);
        const bool must_delete = deletes(topic) && owner != owners_.end() &&
                                 owner->second == &topic && !topic.status.topic_id.empty();
        if (!has_finalizer(topic) || cluster_is_gone || !must_delete) {
            if (has_finalizer(topic)) {
                drop_finalizer(topic);
            }
            teller.status() = topic.status;
            return;
        }
        const std::string promise =
            fmt::format("it is deleted once topic {} is (deletionPolicy: Delete)", name);
        const std::string otherwise =
            "; set spec.deletionPolicy to Retain to let the object go and keep the topic";
        if (!world_.found) {  // The cluster is there and doesn't answer: the promise waits.
            teller.not_ready("ClusterUnreachable",
                             fmt::format("{}: {}{}", promise, world_.unreachable, otherwise));
            return;
        }
        const auto found = world_.found->find(name);
        // Only the topic that this object had: another of the same name isn't ours to delete.
        if (found == world_.found->end() || found->second.id != topic.status.topic_id) {
            drop_finalizer(topic);
            teller.status() = topic.status;
        } else if (topic.spec.paused) {
            teller.not_ready("Paused", fmt::format("{}, and spec.paused is set: take it away{}",
                                                   promise, otherwise));
        } else {
            const auto outcome = world_.outcomes.find(name);
            if (outcome == world_.outcomes.end()) {
                teller.not_ready("Deleting", promise);
            } else {
                teller.not_ready("Refused", fmt::format("{}: {}{}", promise,
                                                        outcome->second.message, otherwise));
            }
            plan_.remove.push_back(name);
        }
    }

    void tell(const api::Topic& topic, TopicNews news) {
        news.object = key_of(topic);
        news.uid = topic.metadata.uid;
        news.topic = api::topic_name(topic);
        plan_.news.push_back(std::move(news));
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
        const api::TopicStatus& before = topic.status;
        const bool was_there = !before.topic_id.empty();
        api::Texts& adopted = teller.status().adopted_config;
        adopted = without_named(std::move(adopted), topic.spec);
        // Made anew it is as it was, where its object doesn't say.
        const int replicas = topic.spec.replicas.value_or(
            was_there && before.replicas > 0 ? before.replicas : default_replicas(*world_.cluster));
        brokers::Settings settings = wanted_settings(topic, *world_.cluster, replicas, adopted);
        const auto made = world_.created.find(name);
        if (made != world_.created.end()) {  // Who was asked hasn't heard of it yet.
            tell_whose(topic, name, made->second);
            teller.status().topic_id = made->second;
            teller.not_ready("Creating", "the topic is being created");
            plan_.waits = true;
            return;
        }
        if (was_there && !is_there_already(name)) {
            tell(topic, {.is_warning = true,
                         .lasts = true,
                         .reason = "TopicDeleted",
                         .subject = before.topic_id,
                         .message = fmt::format(
                             "topic {} (id {}) was deleted by somebody else, and its records with "
                             "it",
                             name, before.topic_id)});
        }
        if (const std::string why = unwritable_text(settings, replicas); !why.empty()) {
            teller.set("Synced", false, "Refused", why);
            teller.not_ready("Refused", why);
            return;
        }
        teller.status().change = api::TopicChange{api::TopicChangeKind::create, "Running", 0, 1};
        if (topic.spec.paused) {
            teller.not_ready("Paused",
                             was_there ? "spec.paused is set and the topic is gone: somebody else "
                                         "deleted it"
                                       : "spec.paused is set and the topic doesn't exist");
            return;
        }
        if (world_.cluster->status.phase == "Creating") {
            // Who comes up last would lead nothing of what was made before.
            teller.not_ready("ClusterStarting", "it is made once all brokers are up");
            plan_.waits = true;
            return;
        }
        if (!tell_failure(topic, teller)) {
            teller.not_ready("Creating", "the topic is being created");
        }
        const int partitions = topic.spec.partitions.value_or(
            was_there && before.partitions > 0 ? before.partitions
                                               : defaults.partitions.value_or(0));
        plan_.create.push_back({name, partitions, replicas, std::move(settings)});
    }

    /// True if something that was tried in this round failed; then it is told.
    bool tell_failure(const api::Topic& topic, TopicTeller& teller) {
        const auto outcome = world_.outcomes.find(api::topic_name(topic));
        if (outcome == world_.outcomes.end()) {
            return false;
        }
        if (teller.status().change) {
            teller.status().change->state = "Blocked";
        }
        // Brokers name the first setting that is wrong: who mends it shouldn't learn of the next
        // only then.
        const std::vector<std::string> wrong = render::wrong_topic_settings(topic.spec.config);
        const std::string message =
            wrong.size() > 1
                ? fmt::format("{} settings are wrong: {}", wrong.size(), fmt::join(wrong, "; "))
                : outcome->second.message;
        teller.set("Synced", false, "Refused", message);
        teller.not_ready("Refused", message);
        return true;
    }

    void keep(const api::Topic& topic, const brokers::TopicFacts& found, TopicTeller& teller) {
        api::TopicStatus& status = teller.status();
        status.topic_id = found.id;
        status.partitions = found.partitions;
        status.replicas = found.replication_factor;
        const bool follows = is_mirror(found);
        if (!follows) {  // A mirror is made anew by its link.
            tell_whose(topic, found.name, found.id);
        }
        adopt(topic, found, status);
        std::string pending;
        if (!follows) {
            pending = settings_difference(topic, found, status);
            if (std::string other = partitions_difference(topic, found, status); !other.empty()) {
                pending = std::move(other);
            }
        }
        const bool failed = tell_failure(topic, teller);
        const std::string refused = place(topic, found, teller);
        if (!refused.empty()) {
            pending = refused;
        }
        if (!failed) {
            const bool refuses =
                !pending.empty() && status.change && status.change->state == "Blocked";
            if (pending.empty() && follows) {
                teller.set("Synced", true, "Mirror",
                           "settings and partitions are those of the source until it is promoted");
            } else {
                teller.set("Synced", pending.empty(),
                           pending.empty() ? "Synced"
                           : refuses       ? "Refused"
                                           : "Changing",
                           pending);
            }
            teller.set("Ready", !refuses, refuses ? "Refused" : "Ready", refuses ? pending : "");
        }
        const auto [reason, why] = read_only_text(found);
        teller.set("Writable", reason.empty(), reason.empty() ? "Writable" : reason, why);
        if (topic.spec.paused) {
            teller.remark("spec.paused is set: nothing of it is changed");
        }
    }

    /// It was made between the look at it and now.
    bool is_there_already(const std::string& name) const {
        constexpr int topic_already_exists = 36;
        const auto outcome = world_.outcomes.find(name);
        return outcome != world_.outcomes.end() &&
               outcome->second.kafka_error == topic_already_exists;
    }

    /// Of another topic than there was.
    void tell_whose(const api::Topic& topic, const std::string& name, const std::string& id) {
        const std::string& before = topic.status.topic_id;
        if (before.empty() || before == id) {
            return;
        }
        tell(topic, {.is_warning = true,
                     .reason = "TopicDeleted",
                     .message = fmt::format(
                         "topic {} was deleted by somebody else{}: id {} -> {}; the records that "
                         "it had are gone",
                         name,
                         world_.created.contains(name) ? " and is made anew, empty"
                                                       : ", another one is there",
                         before, id)});
    }

    /// What a topic had before it was this object's stays, unless the object says otherwise; what a
    /// mirror had from its source, too.
    void adopt(const api::Topic& topic, const brokers::TopicFacts& found,
               api::TopicStatus& status) {
        const bool is_new = topic.status.topic_id.empty() && !world_.created.contains(found.name);
        if (!is_new && !followed(topic) && !is_mirror(found)) {
            status.adopted_config = without_named(std::move(status.adopted_config), topic.spec);
            return;
        }
        status.adopted_config = taken_over(topic, *world_.cluster, found);
        if (is_new) {
            const std::string kept = settings_text(status.adopted_config);
            tell(topic, {.reason = "TopicAdopted",
                         .message = fmt::format(
                             "topic {} was there already and is taken over: {} partitions, {} "
                             "replicas{}{}",
                             found.name, found.partitions, found.replication_factor,
                             kept.empty() ? "; it has no settings that the spec doesn't name"
                                          : "; settings that the spec doesn't name are kept: ",
                             kept)});
        }
    }

    /// It was a mirror when it was looked at last.
    static bool followed(const api::Topic& topic) {
        const api::Condition* synced = api::find_condition(topic.status.conditions, "Synced");
        return synced != nullptr && synced->reason == "Mirror";
    }

    /// What was as declared when it was looked at last, and isn't now, somebody else changed.
    static bool was_as_declared(const api::Topic& topic) {
        const api::Condition* synced = api::find_condition(topic.status.conditions, "Synced");
        return synced != nullptr && synced->status == "True" && !followed(topic) &&
               topic.status.observed_generation == topic.metadata.generation;
    }

    void tell_change(const api::Topic& topic, const brokers::TopicFacts& found,
                     const std::vector<api::ConfigDrift>& all) {
        const bool takes_over = topic.status.topic_id.empty() || followed(topic);
        if (!takes_over && !was_as_declared(topic)) {
            return;  // The object was edited.
        }
        std::vector<api::ConfigDrift> drift = all;
        if (topic.status.replicas != found.replication_factor) {
            std::erase_if(drift, [](const auto& one) { return one.key == min_isr_setting; });
        }
        if (drift.empty()) {
            return;
        }
        std::string keys;
        for (const api::ConfigDrift& one : drift) {
            keys += one.key + " ";
        }
        tell(topic,
             {.with_change = true,
              .reason = takes_over ? "SettingsReplaced" : "SettingsPutBack",
              .subject = std::move(keys),
              .message = fmt::format(
                  "{}: {}",
                  takes_over ? fmt::format("topic {} gets the settings of the spec", found.name)
                             : fmt::format("topic {} had other settings than declared, they are "
                                           "put back",
                                           found.name),
                  changes_text(drift))});
    }

    std::string settings_difference(const api::Topic& topic, const brokers::TopicFacts& found,
                                    api::TopicStatus& status) {
        const int target = topic.spec.replicas.value_or(found.replication_factor);
        const brokers::Settings wanted =
            wanted_settings(topic, *world_.cluster, std::min(target, found.replication_factor),
                            status.adopted_config);
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
            return fmt::format("its settings differ and spec.paused is set: {}",
                               changes_text(status.config_drift));
        }
        status.change = api::TopicChange{api::TopicChangeKind::config, "Running", 0,
                                         static_cast<std::int64_t>(status.config_drift.size())};
        plan_.alter.push_back(std::move(change));
        tell_change(topic, found, status.config_drift);
        return fmt::format("{} settings are being set back", status.config_drift.size());
    }

    std::string partitions_difference(const api::Topic& topic, const brokers::TopicFacts& found,
                                      api::TopicStatus& status) {
        const int wanted = topic.spec.partitions.value_or(found.partitions);
        if (wanted == found.partitions) {
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
        if (topic.spec.paused) {
            return fmt::format("it has {} partitions, {} are wanted, and spec.paused is set",
                               found.partitions, wanted);
        }
        status.change =
            api::TopicChange{api::TopicChangeKind::partitions, "Running", found.partitions, wanted};
        plan_.grow[found.name] = wanted;
        return fmt::format("it grows from {} to {} partitions", found.partitions, wanted);
    }

    /// Why it won't have the wanted replicas until somebody acts; empty: it will.
    std::string place(const api::Topic& topic, const brokers::TopicFacts& found,
                      TopicTeller& teller) {
        const int wanted = topic.spec.replicas.value_or(found.replication_factor);
        if (found.moving > 0) {
            teller.status().change =
                api::TopicChange{api::TopicChangeKind::replicas, "Running",
                                 found.partitions - found.moving, found.partitions};
            teller.set(
                "Placement", false, "Moving",
                fmt::format("{} of {} partitions are moving", found.moving, found.partitions));
            return "";
        }
        if (wanted == found.replication_factor) {
            teller.set("Placement", true, "Placed", "");
            return "";
        }
        std::string differ =
            fmt::format("it has {} replicas, {} are wanted", found.replication_factor, wanted);
        if (topic.spec.paused) {
            teller.set("Placement", false, "Paused", differ + ", and spec.paused is set");
            return "";
        }
        std::string problem = world_.placement_problem;
        const bool too_many = world_.brokers > 0 && wanted > world_.brokers;
        if (too_many) {
            problem =
                fmt::format("the cluster has {} broker{}; lower spec.replicas to {} or add brokers",
                            world_.brokers, world_.brokers == 1 ? "" : "s", world_.brokers);
        } else {
            plan_.replication_factors[found.name] = wanted;
        }
        if (!problem.empty()) {
            differ += ": " + problem;
        }
        const bool refused = too_many || (!problem.empty() && !world_.placement_waits);
        teller.status().change = api::TopicChange{
            api::TopicChangeKind::replicas, refused ? "Blocked" : "Waiting", 0, found.partitions};
        teller.set("Placement", false, "ReplicasDiffer", differ);
        return refused ? differ : "";
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
