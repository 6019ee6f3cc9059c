// mirror/topics_core.h
//
// Which mirror topics there shall be and in which state: a pure function of the link, of what the
// source says it has, and of what this cluster's metadata says. Run by one broker per link at each
// look at the source; the same input gives the same plan, and a plan that was carried out gives an
// empty one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "client/cluster.h"
#include "config/config.h"
#include "metadata/image.h"
#include "mirror/link.h"
#include "mirror/partition_core.h"

namespace millrace::mirror {

namespace topic_setting {
inline constexpr std::string_view link = "millrace.mirror.link";
inline constexpr std::string_view state = "millrace.mirror.state";
inline constexpr std::string_view chain = "millrace.mirror.source.cluster.id";
inline constexpr std::string_view source_topic = "millrace.mirror.source.topic.id";
inline constexpr std::string_view begins = "millrace.mirror.begins";
inline constexpr std::string_view shared = "millrace.mirror.shared";
inline constexpr std::string_view since = "millrace.mirror.since";
inline constexpr std::string_view drained = "millrace.mirror.drained";
inline constexpr std::string_view promotion = "millrace.mirror.promotion";
inline constexpr std::string_view losses = "millrace.mirror.losses";
inline constexpr std::string_view caught_up = "millrace.mirror.caught.up";
inline constexpr std::string_view fenced = "millrace.fenced";
inline constexpr std::string_view fenced_by = "millrace.fenced.by";
}  // namespace topic_setting

/// What millrace.mirror.state says.
enum class Stage {
    mirroring,
    paused,
    halted,
    orphaned,
    promoting,
    promoted,
    /// It takes no writes any more, and nothing of it is cut yet: whether the source follows us, as
    /// we are about to follow it, is looked at once more when it can see this.
    rejoining,
    archiving,  ///< Filled with what a mirror has whose source was made anew.
    archived,
};

struct StageNote {
    Stage stage = Stage::mirroring;
    std::string reason;             ///< Of halted; of rejoining: whether it was adopted.
    std::int64_t link_version = 0;  ///< Of halted and orphaned: a later one tries again.
    Timestamp since{};              ///< Of orphaned; zero: written before that was noted.
    friend bool operator==(const StageNote&, const StageNote&) = default;
};
/// Of a rejoining topic that was nobody's mirror: it goes back to that.
inline constexpr std::string_view adopted = "adopted";
std::string to_text(const StageNote& note);
StageNote stage_of(std::string_view text);

/// Where a partition's mirrored history ended: an entry of millrace.mirror.promotion.
struct Sealed {
    PartitionIndex partition;
    LeaderEpoch last_epoch = no_leader_epoch;
    Offset end = no_offset;
    LeaderEpoch leader_epoch = no_leader_epoch;  ///< The first of our own.
    Offset source_end = no_offset;  ///< High watermark last seen at the source; none: never seen.
    Duration lag{};
    Timestamp at;
    friend bool operator==(const Sealed&, const Sealed&) = default;
};
std::string promotion_entry(const Sealed& sealed);
std::map<PartitionIndex, Sealed> sealed_in(std::string_view entries);

/// Which entries of millrace.mirror.losses, the oldest, give way to what is new: a switchover may
/// cut every partition once, and what the last two have cut is all told.
std::string losses_to_drop(std::string_view entries, std::int32_t partitions);

/// millrace.mirror.begins: an offset for each partition, in their order.
std::string begins_text(const std::vector<Offset>& begins);
std::map<PartitionIndex, Offset> begins_in(std::string_view entries);

/// A topic of this cluster, as far as links care.
struct LocalTopic {
    std::string name;
    Uuid id;
    std::int32_t partitions = 0;
    std::string link;  ///< Empty: nobody's mirror.
    StageNote note;
    Uuid source_topic;
    bool is_shared = false;  ///< It and its source are known to have been one topic.
    /// It took writes here, and has followed again from then on.
    std::optional<Timestamp> follows_since = {};
    std::string chain;
    std::map<PartitionIndex, Sealed> sealed;
    /// Where partitions begin that leave out what their source had before the mirror was made.
    std::map<PartitionIndex, Offset> begins = {};
    config::Entries settings;  ///< All that is set for the topic itself.
};
/// The aliases of all links of this cluster that give mirrors a prefix.
std::set<std::string> known_aliases(const metadata::Image& image);
/// Whether a name begins with one of them, as the mirror of another link would: under a second
/// prefix its records would come here once more, by a longer way.
bool carries_alias(std::string_view topic, const std::set<std::string>& aliases);

std::optional<LocalTopic> local_topic(const metadata::Image& image, std::string_view name);
/// Whether a source's topic, by its settings, began as the mirror of this one of cluster `self`.
bool began_here(const std::map<std::string, std::string>& source_settings, std::string_view self,
                const Uuid& local);
/// Every topic that this link writes, or wrote until it was promoted.
std::vector<LocalTopic> topics_of_link(const metadata::Image& image, const std::string& link);

struct CreateMirror {
    std::string topic;
    std::string source_topic;
    Uuid source_id;
    std::int32_t partitions;
    friend bool operator==(const CreateMirror&, const CreateMirror&) = default;
};
/// A topic that is there becomes this link's: what it has of its own gives way to the source's.
struct AdoptTopic {
    std::string topic;
    std::string source_topic;
    Uuid source_id;
    friend bool operator==(const AdoptTopic&, const AdoptTopic&) = default;
};
/// The mirror of a link that is gone takes writes from now on, whatever its source has: that one is
/// dead, and nobody else is left who could promote it.
struct PromoteOrphan {
    std::string topic;
    friend bool operator==(const PromoteOrphan&, const PromoteOrphan&) = default;
};
struct GrowMirror {
    std::string topic;
    std::int32_t partitions;
    friend bool operator==(const GrowMirror&, const GrowMirror&) = default;
};
/// A promoted topic is to follow its source again, and what it has of its own may give way. Only
/// once the source lets it: see hold_of(). Of a topic that is rejoining: the second look, also
/// where it is not to follow by now.
struct Rejoin {
    std::string topic;
    std::string source_topic;
    friend bool operator==(const Rejoin&, const Rejoin&) = default;
};
struct SetStage {
    std::string topic;
    StageNote note;
    friend bool operator==(const SetStage&, const SetStage&) = default;
};
/// Planned: fence the source, wait until nothing is left there, then promoted.
struct Drain {
    std::string topic;
    std::string source_topic;
    friend bool operator==(const Drain&, const Drain&) = default;
};
/// The mirror's topic goes, with its data.
struct RemoveMirror {
    std::string topic;
    Uuid id;
    friend bool operator==(const RemoveMirror&, const RemoveMirror&) = default;
};
/// A topic that is to keep what the mirror `of` has, before that one begins anew.
struct CreateArchive {
    std::string topic;
    std::string of;
    friend bool operator==(const CreateArchive&, const CreateArchive&) = default;
};
/// Once the archive has all that the mirror `of` has, it is finished.
struct FinishArchive {
    std::string topic;
    std::string of;
    friend bool operator==(const FinishArchive&, const FinishArchive&) = default;
};
using TopicAction = std::variant<CreateMirror, AdoptTopic, GrowMirror, Rejoin, SetStage, Drain,
                                 RemoveMirror, CreateArchive, FinishArchive, PromoteOrphan>;

struct TopicPlan {
    std::vector<TopicAction> actions;
    /// Topics that can't be mirrored, with the reason; there is no mirror to note it on.
    std::map<std::string, HaltReason> refused;
    /// Topics of the source that look like mirrors of our other links: see carries_alias().
    std::set<std::string> left_out;
    /// Topics of the source that the link seems to be meant for, and that are named like what a
    /// cluster keeps for itself.
    std::set<std::string> missed;
    /// Topics of this cluster that nobody mirrors, where the link is promoted and its source has
    /// one of that name: a copy of it, or what was never mirrored. By name, with the source's.
    std::map<std::string, std::string> strangers;
};

struct TopicWorld {
    const Link& link;
    const client::ClusterInfo* source;  ///< Null while it can't be reached: only wishes count.
    const metadata::Image& image;
    /// Topics of the link that the source did not name last time either: one look may be too early.
    const std::set<std::string>& missing_before;
    Timestamp now{};
    Duration deletion_grace = std::chrono::hours{24};  ///< Of mirrors whose source is gone.
};
TopicPlan plan_topics(const TopicWorld& world);

/// The clusters that a mirror's records came through, the source first: what its topic's chain and
/// state say, in front of it the source itself. None if that would lead them back to `self`, unless
/// they end there: the source's topic was promoted, and its history is its own.
std::optional<std::string> chain_through(const std::string& source_cluster,
                                         std::string_view source_chain, Stage source_stage,
                                         std::string_view self);

/// Why a promoted topic does not follow its source yet.
enum class Hold {
    none,
    source_not_promoted,      ///< It still copies from here, and may not have all of it.
    source_topic_unreadable,  ///< It is not there, or its settings may not be read.
};
std::string_view to_string(Hold hold);
/// What is set for the source's topic (null: could not be read) decides: as long as that one
/// follows us, whatever it has not copied yet would be cut here and be nowhere.
Hold hold_of(const std::map<std::string, std::string>* source_settings, std::string_view self);
/// As hold_of() sees it: the chain of what will be mirrored; none if it comes from `self`.
std::optional<std::string> chain_in(const std::map<std::string, std::string>& source_settings,
                                    const std::string& source_cluster, std::string_view self);
/// How the promotion of a mirror is named among those that fence its source's topic. A cluster may
/// have several mirrors of one topic.
std::string fence_name(std::string_view cluster, std::string_view mirror);
/// Whether the promotion of this mirror is one of them.
bool is_fenced_by(const std::map<std::string, std::string>& source_settings,
                  std::string_view cluster, std::string_view mirror);

/// Whether it keeps an earlier incarnation of a mirror: nobody's mirror any more.
bool is_archive(const LocalTopic& topic);

/// Settings that follow the source's.
bool is_synced_setting(std::string_view name);
/// What to set (or remove) so that the mirror's synced settings are the source's.
std::map<std::string, std::optional<std::string>> setting_changes(
    const std::map<std::string, std::string>& source, const config::Entries& local);

}  // namespace millrace::mirror
