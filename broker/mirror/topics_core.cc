#include "mirror/topics_core.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/mutants.h"
#include "config/option.h"

namespace millrace::mirror {
namespace {

struct Word {
    Stage stage;
    std::string_view text;
};
constexpr Word words[] = {{Stage::mirroring, "mirroring"}, {Stage::paused, "paused"},
                          {Stage::halted, "halted"},       {Stage::orphaned, "orphaned"},
                          {Stage::promoting, "promoting"}, {Stage::promoted, "promoted"},
                          {Stage::rejoining, "rejoining"}, {Stage::archiving, "archiving"},
                          {Stage::archived, "archived"}};
/// A source that lost more of its topics at once was not cleaned up but broken.
constexpr std::size_t most_lost_of_ten = 2;
/// An entry has some fifty bytes, and a topic's settings are with every broker.
constexpr std::ptrdiff_t fewest_losses_kept = 100;
constexpr std::ptrdiff_t most_losses_kept = 4000;

/// Empty where it isn't set.
std::string value_of(const std::map<std::string, std::string>& settings, std::string_view name) {
    const auto found = settings.find(std::string(name));
    return found == settings.end() ? std::string() : found->second;
}

/// The cluster that a chain's topic is copied from.
std::string nearest_in(const std::string& chain) {
    return chain.substr(0, chain.find(';'));
}

LocalTopic describe(const metadata::Image& image, const metadata::Topic& topic) {
    LocalTopic local;
    local.name = topic.name;
    local.id = topic.id;
    local.partitions = static_cast<std::int32_t>(topic.partitions.size());
    const metadata::ConfigMap* configs =
        image.configs.find({metadata::ConfigResourceType::topic, topic.name});
    if (configs == nullptr) {
        return local;
    }
    local.settings = configs->values;
    const auto get = [&](std::string_view name) {
        const auto found = local.settings.find(name);
        return found == local.settings.end() ? std::string() : found->second;
    };
    local.link = get(topic_setting::link);
    local.note = stage_of(get(topic_setting::state));
    local.chain = get(topic_setting::chain);
    local.is_shared = get(topic_setting::shared) == "true";
    local.sealed = sealed_in(get(topic_setting::promotion));
    local.begins = begins_in(get(topic_setting::begins));
    const std::string since = get(topic_setting::since);
    if (Timestamp at;
        std::from_chars(since.data(), since.data() + since.size(), at.milliseconds).ec ==
        std::errc{}) {
        local.follows_since = at;
    }
    if (const auto id = Uuid::parse(get(topic_setting::source_topic))) {
        local.source_topic = *id;
    }
    return local;
}

/// Decides about one topic that the link writes.
class Judge {
public:
    Judge(const TopicWorld& world, const std::vector<LocalTopic>& topics, TopicPlan& plan)
        : world_(world), topics_(topics), plan_(plan) {}

    void judge(const LocalTopic& local, const std::string& source_name) {
        const LinkSpec& spec = world_.link.spec;
        const Desired wish = spec.desired(local.name);
        if (local.note.stage == Stage::rejoining) {
            judge_rejoining(local, source_name);
            return;
        }
        if (spec.leaves_out(local.name)) {
            leave_out(local);
            return;
        }
        if (local.note.stage == Stage::promoted) {
            if (wish == Desired::mirroring && spec.truncate_existing && world_.source != nullptr) {
                plan_.actions.push_back(Rejoin{local.name, source_name});
            }
            return;
        }
        if (wish == Desired::promoted) {
            promote(local, source_name);
            return;
        }
        if (world_.source == nullptr) {
            if (wish == Desired::paused && local.note.stage == Stage::mirroring) {
                set(local, Stage::paused);
            }
            return;
        }
        if (restarts(local)) {
            if (wish == Desired::mirroring) {
                restart(local);
            }
            return;
        }
        // What was gone may be back: as it was, or made anew.
        const bool may_retry = local.note.link_version < world_.link.version ||
                               (local.note.stage == Stage::orphaned && is_at_source(source_name));
        if ((local.note.stage == Stage::halted || local.note.stage == Stage::orphaned) &&
            !may_retry) {
            remove_orphan(local);
            return;
        }
        if (const auto halt = trouble_with(local, source_name)) {
            plan_.actions.push_back(SetStage{local.name, *halt});
            return;
        }
        set(local, wish == Desired::paused ? Stage::paused : Stage::mirroring);
        grow(local, source_name);
    }

    /// An archive that is not finished: it waits for the mirror that it is of.
    void judge_archive(const LocalTopic& archive) {
        if (archive.note.stage != Stage::archiving) {
            return;
        }
        const auto of = std::find_if(topics_.begin(), topics_.end(), [&](const LocalTopic& one) {
            return one.id == archive.source_topic;
        });
        if (of == topics_.end()) {
            set(archive, Stage::archived);  // more than this will not come
        } else if (!restarts(*of)) {
            plan_.actions.push_back(RemoveMirror{archive.name, archive.id});  // it is all there
        }
    }

private:
    /// What its source says decides, also about the way back: it may take writes by now. A
    /// promotion that does not wait for the source does not wait here.
    void judge_rejoining(const LocalTopic& local, const std::string& source_name) {
        const LinkSpec& spec = world_.link.spec;
        if (world_.source != nullptr) {
            plan_.actions.push_back(Rejoin{local.name, source_name});
        } else if (spec.desired(local.name) == Desired::promoted &&
                   spec.promotion == Promotion::forced) {
            set(local, Stage::promoted);
        }
    }

    /// It takes nothing more, and neither a promotion nor its end counts for it.
    void leave_out(const LocalTopic& local) {
        if (local.note.stage == Stage::mirroring ||
            (local.note.stage == Stage::promoting && world_.source != nullptr)) {
            set(local, Stage::paused);
        }
    }

    static bool is_recreated(const LocalTopic& local) {
        return local.note.stage == Stage::halted &&
               local.note.reason == to_string(HaltReason::topic_recreated);
    }

    bool restarts(const LocalTopic& local) const {
        return is_recreated(local) &&
               world_.link.spec.on_source_recreated == Reaction::archive_and_restart;
    }

    /// Step by step, each seen in the metadata before the next: an archive, all that there is in
    /// it, the old topic gone; then a new one is made like any other.
    void restart(const LocalTopic& local) {
        const auto archive = std::find_if(
            topics_.begin(), topics_.end(),
            [&](const LocalTopic& one) { return is_archive(one) && one.source_topic == local.id; });
        if (archive == topics_.end()) {
            plan_.actions.push_back(CreateArchive{free_archive_name(local.name), local.name});
        } else if (archive->note.stage == Stage::archiving) {
            plan_.actions.push_back(FinishArchive{archive->name, local.name});
        } else {
            plan_.actions.push_back(RemoveMirror{local.name, local.id});
        }
    }

    std::string free_archive_name(const std::string& topic) const {
        for (int n = 1;; ++n) {
            std::string name = fmt::format("{}.archived.{}", topic, n);
            if (world_.image.topics.find(std::string_view(name)) == nullptr) {
                return name;
            }
        }
    }

    /// The policy says so, long enough has passed, and it is not as if the source had lost them
    /// all: then the mirror goes as its source went.
    void remove_orphan(const LocalTopic& local) {
        if (local.note.stage != Stage::orphaned ||
            world_.link.spec.on_source_deleted != Reaction::remove) {
            return;
        }
        if (local.note.since == Timestamp{}) {
            StageNote dated = local.note;
            dated.since = world_.now;
            plan_.actions.push_back(SetStage{local.name, dated});
            return;
        }
        const auto counts = [](const LocalTopic& one) {
            return !is_archive(one) && one.note.stage != Stage::promoted;
        };
        const auto is_lost = [&](const LocalTopic& one) {
            const auto source = world_.link.spec.source_name(one.name);
            return counts(one) && (one.note.stage == Stage::orphaned ||
                                   (source && !world_.source->topics.contains(*source)));
        };
        const auto all = std::count_if(topics_.begin(), topics_.end(), counts);
        const auto lost = std::count_if(topics_.begin(), topics_.end(), is_lost);
        const bool too_many =
            static_cast<std::size_t>(lost) * 10 > static_cast<std::size_t>(all) * most_lost_of_ten;
        if (!too_many && world_.now - local.note.since >= world_.deletion_grace) {
            plan_.actions.push_back(RemoveMirror{local.name, local.id});
        }
    }

    void set(const LocalTopic& local, Stage stage) {
        if (local.note.stage != stage) {
            plan_.actions.push_back(SetStage{local.name, {stage, {}, 0}});
        }
    }

    bool is_at_source(const std::string& source_name) const {
        const auto found = world_.source->topics.find(source_name);
        return found != world_.source->topics.end() && found->second.error == KafkaError::none;
    }

    /// What it mirrored is not at the source any more, though another topic of that name may be:
    /// nothing to fence, nothing left to come.
    bool is_gone(const LocalTopic& local, const std::string& source_name) const {
        if (world_.source == nullptr) {
            return false;
        }
        const auto found = world_.source->topics.find(source_name);
        if (found == world_.source->topics.end() ||
            found->second.error == KafkaError::unknown_topic_or_partition) {
            return local.note.stage == Stage::orphaned ||
                   world_.missing_before.contains(source_name);
        }
        return !found->second.id.is_zero() && !local.source_topic.is_zero() &&
               found->second.id != local.source_topic;
    }

    void promote(const LocalTopic& local, const std::string& source_name) {
        if (world_.link.spec.promotion == Promotion::forced || is_gone(local, source_name)) {
            set(local, Stage::promoted);
        } else if (local.note.stage != Stage::promoting) {
            set(local, Stage::promoting);
        } else {
            plan_.actions.push_back(Drain{local.name, source_name});
            if (world_.source != nullptr) {
                grow(local, source_name);  // what was written to those is to be here, too
            }
        }
    }

    std::optional<StageNote> trouble_with(const LocalTopic& local,
                                          const std::string& source_name) const {
        const auto found = world_.source->topics.find(source_name);
        const auto halted = [&](HaltReason reason) {
            return StageNote{Stage::halted, std::string(to_string(reason)), world_.link.version};
        };
        if (found == world_.source->topics.end() ||
            found->second.error == KafkaError::unknown_topic_or_partition) {
            if (world_.missing_before.contains(source_name)) {
                return StageNote{Stage::orphaned, {}, world_.link.version, world_.now};
            }
            return std::nullopt;
        }
        const client::TopicInfo& source = found->second;
        if (source.error == KafkaError::topic_authorization_failed) {
            return halted(HaltReason::unauthorized);
        }
        if (!source.id.is_zero() && !local.source_topic.is_zero() &&
            source.id != local.source_topic) {
            return halted(HaltReason::topic_recreated);
        }
        if (source.error == KafkaError::none &&
            static_cast<std::int32_t>(source.partitions.size()) < local.partitions) {
            return halted(HaltReason::name_conflict);  // a mirror never has more
        }
        return std::nullopt;
    }

    void grow(const LocalTopic& local, const std::string& source_name) {
        const auto found = world_.source->topics.find(source_name);
        if (found == world_.source->topics.end() || found->second.error != KafkaError::none) {
            return;
        }
        const auto wanted = static_cast<std::int32_t>(found->second.partitions.size());
        if (wanted > local.partitions) {
            plan_.actions.push_back(GrowMirror{local.name, wanted});
        }
    }

    const TopicWorld& world_;
    const std::vector<LocalTopic>& topics_;
    TopicPlan& plan_;
};

/// Every entry of a link, also such as can't be read.
template <typename Take>
void each_link(const metadata::Image& image, Take take) {
    const metadata::ConfigMap* entries =
        image.configs.find({metadata::ConfigResourceType::broker, ""});
    if (entries == nullptr) {
        return;
    }
    for (auto at = entries->values.lower_bound(config::mirror_link_prefix);
         at != entries->values.end() && at->first.starts_with(config::mirror_link_prefix); ++at) {
        take(decode(at->second));
    }
}

bool exists(const metadata::Image& image, const std::string& link_id) {
    bool found = false;
    each_link(image, [&](const Result<Link>& link) {
        // An entry that can't be read may be that link: who owns a topic is not guessed.
        found = found || !link || link->id == link_id;
    });
    return found;
}

/// The mirror of a link that is gone: the same topic of the same source goes on where it stood.
bool may_take_on(const TopicWorld& world, const LocalTopic& local,
                 const client::TopicInfo& source) {
    return !local.link.empty() && local.link != world.link.id &&
           local.note.stage != Stage::promoted && !source.id.is_zero() &&
           source.id == local.source_topic && nearest_in(local.chain) == world.link.cluster_id &&
           !exists(world.image, local.link);
}

/// That, or nobody's topic, where the link may cut.
bool may_adopt(const TopicWorld& world, const LocalTopic& local, const client::TopicInfo& source) {
    if (!local.link.empty() && (local.link == world.link.id || exists(world.image, local.link))) {
        return false;
    }
    return world.link.spec.truncate_existing || may_take_on(world, local, source);
}

/// A planned promotion that is not over: it takes along what the source has by now.
bool is_promoting(const LinkSpec& spec, const std::vector<LocalTopic>& topics) {
    return spec.promotion == Promotion::planned &&
           std::any_of(topics.begin(), topics.end(), [&](const LocalTopic& one) {
               return !is_archive(one) && one.note.stage != Stage::promoted &&
                      spec.desired(one.name) == Desired::promoted;
           });
}

/// Mirrors that nobody could make writable any more: their link is gone. They are this one's, if it
/// names them and they followed its source; a link that has never seen its source, and names none,
/// takes what it names.
void promote_orphans(const TopicWorld& world, TopicPlan& plan) {
    const LinkSpec& spec = world.link.spec;
    if (spec.promotion != Promotion::forced) {
        return;
    }
    const std::string& source =
        world.link.cluster_id.empty() ? spec.expected_cluster_id : world.link.cluster_id;
    for (const auto& entry : world.image.topics.by_name()) {
        const std::string* owner = world.image.configs.find(
            {metadata::ConfigResourceType::topic, entry.key}, topic_setting::link);
        if (owner == nullptr || *owner == world.link.id || exists(world.image, *owner)) {
            continue;
        }
        const LocalTopic local = describe(world.image, *world.image.topics.find(entry.value));
        const auto name = spec.source_name(local.name);
        const bool is_writable = local.note.stage == Stage::promoted &&
                                 static_cast<std::int32_t>(local.sealed.size()) >= local.partitions;
        if (name && spec.takes_topic(*name) && !is_archive(local) && !is_writable &&
            spec.desired(local.name) == Desired::promoted &&
            (source.empty() || nearest_in(local.chain) == source)) {
            plan.actions.push_back(PromoteOrphan{local.name});
        }
    }
}

}  // namespace

std::string to_text(const StageNote& note) {
    std::string text;
    for (const Word& word : words) {
        if (word.stage == note.stage) {
            text = word.text;
        }
    }
    if (note.stage == Stage::halted || (note.stage == Stage::rejoining && !note.reason.empty())) {
        text += fmt::format(":{}@{}", note.reason, note.link_version);
    } else if (note.stage == Stage::orphaned) {
        text += fmt::format(":{}@{}", note.since.milliseconds, note.link_version);
    }
    return text;
}

StageNote stage_of(std::string_view text) {
    StageNote note;
    const std::size_t colon = std::min(text.find(':'), text.size());
    for (const Word& word : words) {
        if (word.text == text.substr(0, colon)) {
            note.stage = word.stage;
        }
    }
    if (colon < text.size()) {
        const std::size_t at = std::min(text.find('@', colon), text.size());
        note.reason = text.substr(colon + 1, at - colon - 1);
        if (at < text.size()) {
            std::from_chars(text.data() + at + 1, text.data() + text.size(), note.link_version);
        }
        if (note.stage == Stage::orphaned) {
            std::from_chars(text.data() + colon + 1, text.data() + at, note.since.milliseconds);
            note.reason.clear();
        }
    }
    return note;
}

std::set<std::string> known_aliases(const metadata::Image& image) {
    std::set<std::string> aliases;
    each_link(image, [&](const Result<Link>& link) {
        if (link && link->spec.naming == Naming::prefix) {
            aliases.insert(link->spec.alias);
        }
    });
    return aliases;
}

bool carries_alias(std::string_view topic, const std::set<std::string>& aliases) {
    // An alias may have dots of its own.
    for (std::size_t dot = topic.find('.'); dot != std::string_view::npos;
         dot = topic.find('.', dot + 1)) {
        if (aliases.contains(std::string(topic.substr(0, dot)))) {
            return true;
        }
    }
    return false;
}

std::optional<LocalTopic> local_topic(const metadata::Image& image, std::string_view name) {
    const metadata::Topic* topic = image.topics.find(name);
    return topic == nullptr ? std::nullopt : std::optional(describe(image, *topic));
}

bool began_here(const std::map<std::string, std::string>& source_settings, std::string_view self,
                const Uuid& local) {
    return nearest_in(value_of(source_settings, topic_setting::chain)) == self &&
           !local.is_zero() &&
           value_of(source_settings, topic_setting::source_topic) == local.to_string();
}

std::vector<LocalTopic> topics_of_link(const metadata::Image& image, const std::string& link) {
    std::vector<LocalTopic> found;
    for (const auto& entry : image.topics.by_name()) {
        const std::string* owner = image.configs.find(
            {metadata::ConfigResourceType::topic, entry.key}, topic_setting::link);
        if (owner != nullptr && *owner == link) {
            found.push_back(describe(image, *image.topics.find(entry.value)));
        }
    }
    return found;
}

std::string promotion_entry(const Sealed& sealed) {
    return fmt::format("{}:{}:{}:{}:{}:{}:{}", sealed.partition, sealed.last_epoch, sealed.end,
                       sealed.leader_epoch, sealed.source_end, to_milliseconds(sealed.lag),
                       sealed.at.milliseconds);
}

std::map<PartitionIndex, Sealed> sealed_in(std::string_view entries) {
    std::map<PartitionIndex, Sealed> all;
    while (!entries.empty()) {
        const std::size_t comma = std::min(entries.find(','), entries.size());
        // Entries of before end after the fourth number.
        std::int64_t numbers[7] = {-1, -1, -1, -1, -1, 0, 0};
        const char* at = entries.data();
        const char* const stop = at + comma;
        for (std::int64_t& number : numbers) {
            at = std::from_chars(at, stop, number).ptr;
            if (at == stop) {
                break;
            }
            ++at;
        }
        if (numbers[0] >= 0) {
            const PartitionIndex partition{static_cast<std::int32_t>(numbers[0])};
            all[partition] = {partition,
                              LeaderEpoch{static_cast<std::int32_t>(numbers[1])},
                              Offset{numbers[2]},
                              LeaderEpoch{static_cast<std::int32_t>(numbers[3])},
                              Offset{numbers[4]},
                              std::chrono::milliseconds{numbers[5]},
                              Timestamp{numbers[6]}};
        }
        entries.remove_prefix(std::min(comma + 1, entries.size()));
    }
    return all;
}

std::string losses_to_drop(std::string_view entries, std::int32_t partitions) {
    const auto kept = std::clamp<std::ptrdiff_t>(2 * std::ptrdiff_t{partitions}, fewest_losses_kept,
                                                 most_losses_kept);
    std::ptrdiff_t many = std::count(entries.begin(), entries.end(), ',') + 1 - kept;
    std::size_t end = 0;
    for (; many > 0; --many) {
        end = entries.find(',', end + 1);
    }
    return std::string(entries.substr(0, end));
}

std::string begins_text(const std::vector<Offset>& begins) {
    std::string text;
    for (const Offset begin : begins) {
        text += fmt::format("{}{}", text.empty() ? "" : ",", begin);
    }
    return text;
}

std::map<PartitionIndex, Offset> begins_in(std::string_view entries) {
    std::map<PartitionIndex, Offset> all;
    const char* at = entries.data();
    const char* const stop = at + entries.size();
    for (std::int32_t index = 0; at < stop; ++index) {
        Offset begin{0};
        at = std::from_chars(at, stop, begin.value).ptr;
        at = std::find(at, stop, ',');
        at += at < stop ? 1 : 0;
        all[PartitionIndex{index}] = begin;
    }
    return all;
}

TopicPlan plan_topics(const TopicWorld& world) {
    TopicPlan plan;
    const std::vector<LocalTopic> topics = topics_of_link(world.image, world.link.id);
    Judge judge(world, topics, plan);
    const LinkSpec& spec = world.link.spec;
    for (const LocalTopic& local : topics) {
        if (is_archive(local)) {
            judge.judge_archive(local);
        } else if (const auto source = spec.source_name(local.name)) {
            judge.judge(local, *source);
        }
    }
    promote_orphans(world, plan);
    if (world.source == nullptr) {
        return plan;
    }
    const std::set<std::string> aliases =
        spec.naming == Naming::prefix ? known_aliases(world.image) : std::set<std::string>{};
    const bool takes_along = is_promoting(spec, topics);
    for (const auto& [name, source] : world.source->topics) {
        if (source.is_internal || source.error != KafkaError::none || source.partitions.empty()) {
            continue;
        }
        if (!spec.takes_topic(name)) {
            if (spec.misses(name)) {
                plan.missed.insert(name);
            }
            continue;
        }
        const std::string mirror = spec.mirror_name(name);
        const auto local = local_topic(world.image, mirror);
        const auto count = static_cast<std::int32_t>(source.partitions.size());
        const Desired wish = spec.desired(mirror);
        const bool follows = wish == Desired::mirroring;
        const bool promotes = wish == Desired::promoted && spec.promotion == Promotion::planned;
        if (!local) {
            const bool is_of_another = carries_alias(name, aliases) && !spec.names_topic(name);
            if (is_of_another) {
                plan.left_out.insert(name);
            } else if (follows || (promotes && takes_along)) {
                plan.actions.push_back(CreateMirror{mirror, name, source.id, count});
            }
        } else if (local->partitions <= count &&
                   ((follows && may_adopt(world, *local, source)) ||
                    (promotes && may_take_on(world, *local, source)))) {
            plan.actions.push_back(AdoptTopic{mirror, name, source.id});
        } else if (local->link.empty() && wish == Desired::promoted) {
            plan.strangers[mirror] = name;  // it takes records here: whose they are, settings say
        } else if (local->link != world.link.id) {
            plan.refused[mirror] = HaltReason::name_conflict;
        }
    }
    return plan;
}

std::optional<std::string> chain_through(const std::string& source_cluster,
                                         std::string_view source_chain, Stage source_stage,
                                         std::string_view self) {
    const std::string came = fmt::format(";{};", source_chain);
    const bool is_ours = came.find(fmt::format(";{};", self)) != std::string::npos;
    if (is_ours && source_stage != Stage::promoted && !MR_PLANTED(provenance_unchecked)) {
        return std::nullopt;
    }
    return source_chain.empty() || is_ours ? source_cluster
                                           : fmt::format("{};{}", source_cluster, source_chain);
}

std::string_view to_string(Hold hold) {
    switch (hold) {
        case Hold::none:
            return "";
        case Hold::source_not_promoted:
            return "SourceNotPromoted";
        case Hold::source_topic_unreadable:
            return "SourceTopicUnreadable";
    }
    MR_ASSERT(false);
}

std::optional<std::string> chain_in(const std::map<std::string, std::string>& source_settings,
                                    const std::string& source_cluster, std::string_view self) {
    return chain_through(source_cluster, value_of(source_settings, topic_setting::chain),
                         stage_of(value_of(source_settings, topic_setting::state)).stage, self);
}

Hold hold_of(const std::map<std::string, std::string>* source_settings, std::string_view self) {
    if (source_settings == nullptr) {
        return Hold::source_topic_unreadable;
    }
    return chain_in(*source_settings, "the source", self) || MR_PLANTED(rejoins_before_the_source)
               ? Hold::none
               : Hold::source_not_promoted;
}

std::string fence_name(std::string_view cluster, std::string_view mirror) {
    return fmt::format("{}/{}", cluster, mirror);  // no topic's name has a slash
}

bool is_fenced_by(const std::map<std::string, std::string>& source_settings,
                  std::string_view cluster, std::string_view mirror) {
    const std::string all =
        fmt::format(",{},", value_of(source_settings, topic_setting::fenced_by));
    const auto names = [&](std::string_view one) {
        return all.find(fmt::format(",{},", one)) != std::string::npos;
    };
    return names(fence_name(cluster, mirror)) || names(cluster);  // as it was written before
}

bool is_archive(const LocalTopic& topic) {
    return topic.note.stage == Stage::archiving || topic.note.stage == Stage::archived;
}

bool is_synced_setting(std::string_view name) {
    constexpr std::string_view synced[] = {"cleanup.policy",
                                           "compression.type",
                                           "delete.retention.ms",
                                           "max.compaction.lag.ms",
                                           "max.message.bytes",
                                           "message.timestamp.type",
                                           "min.cleanable.dirty.ratio",
                                           "min.compaction.lag.ms",
                                           "retention.bytes",
                                           "retention.ms",
                                           "segment.bytes",
                                           "segment.index.bytes",
                                           "segment.jitter.ms",
                                           "segment.ms"};
    return std::find(std::begin(synced), std::end(synced), name) != std::end(synced);
}

std::map<std::string, std::optional<std::string>> setting_changes(
    const std::map<std::string, std::string>& source, const config::Entries& local) {
    std::map<std::string, std::optional<std::string>> changes;
    for (const auto& [name, value] : source) {
        const auto found = local.find(name);
        if (is_synced_setting(name) && (found == local.end() || found->second != value)) {
            changes[name] = value;
        }
    }
    for (const auto& [name, value] : local) {
        if (is_synced_setting(name) && !source.contains(name)) {
            changes[name] = std::nullopt;
        }
    }
    return changes;
}

}  // namespace millrace::mirror
