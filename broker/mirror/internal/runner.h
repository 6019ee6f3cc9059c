// mirror/internal/runner.h
//
// One link on this broker's control loop: looks at the source now and then, tells every shard what
// to pull, and where this broker looks after the link, carries out what the topic plan says.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "client/cluster.h"
#include "mirror/internal/ends.h"
#include "mirror/internal/group_sync.h"
#include "mirror/internal/horizon.h"
#include "mirror/internal/own_cluster.h"
#include "mirror/internal/puller.h"
#include "mirror/room_core.h"
#include "mirror/topics_core.h"

namespace millrace::mirror {

struct Sizes;

class Runner : public std::enable_shared_from_this<Runner> {
public:
    struct Shell {
        LinksOptions options;
        runtime::Shard control;
        const replication::Replicas* replicas = nullptr;
        const metadata::ImageHandle* image = nullptr;
        OwnCluster* own = nullptr;
        client::Cluster* own_client = nullptr;  ///< Our own brokers, as any client sees them.
        const Logger* log = nullptr;
        /// Hands a link's jobs to the puller of a shard, on its loop.
        std::function<void(std::size_t shard, const std::string& link, Puller::Link jobs)> pull;
    };

    /// A mirror that is about to be: made, or what is here taken over.
    using Begin = std::variant<CreateMirror, AdoptTopic>;

    Runner(Shell& shell, Link link);
    ~Runner();

    void start();
    void change(Link link);
    /// The link is gone, as `image` says.
    void leave(const metadata::Image& image);
    /// The metadata moved on: leaders, topics or settings.
    void on_metadata();
    /// Somebody met a source that is not as we know it.
    void look_soon();

    const Link& link() const { return link_; }
    /// Without topics that other brokers lead; those come from the metadata.
    LinkView view() const;
    const GroupSync::Outcome& groups_total() const { return groups_total_; }
    std::int64_t settings_reverted() const { return settings_reverted_; }

private:
    void make_source();
    void arm(Duration delay);
    void look();
    void on_source(const Result<client::ClusterInfoPtr>& info, std::int64_t asked_version);
    void on_source_lost(const Error& why);
    /// Whether the cluster that answers may take the place of the one that was followed: it is
    /// the one that the link names, and there is nothing here that could go on with the wrong
    /// history: all is promoted, and is to be compared before anything is cut.
    bool takes_the_place(const client::ClusterInfo& info) const;
    Result<void> check_identity(const client::ClusterInfo& info);
    bool is_mine(const metadata::Image& image) const;
    void pin(const std::string& cluster_id);
    void fail(std::string reason, std::string message);

    void plan(const client::ClusterInfo* source);
    void act(const CreateMirror& action);
    void act(const AdoptTopic& action);
    void act(const GrowMirror& action);
    void act(const Rejoin& action);
    void act(const SetStage& action);
    void act(const Drain& action);
    void act(const RemoveMirror& action);
    void act(const CreateArchive& action);
    void act(const FinishArchive& action);
    void act(const PromoteOrphan& action);
    std::optional<std::string> chain_of(const std::map<std::string, std::string>& settings) const;
    /// All that the plan wants to rejoin, with one question to the source.
    void rejoin();
    void rejoin(const std::string& topic, const std::map<std::string, std::string>* settings);
    /// Nothing was cut: it takes writes again, unless its source does by now.
    void go_back(const LocalTopic& local, const std::map<std::string, std::string>* settings);
    /// By what the link is now.
    bool is_to_rejoin(const LocalTopic& local) const;
    /// `is_drained`: promoted with all that the source had.
    void set_stage(const std::string& topic, const StageNote& note, bool is_drained = false);
    std::string now_as_text() const;
    /// The source was seen, and is what it shall be.
    bool knows_source() const {
        return source_ && (phase_ == LinkPhase::active || phase_ == LinkPhase::paused);
    }
    /// Topics that are not taken, though the link names them; empty if there are none.
    std::string left_out_message() const;
    /// What topics wait for before they follow again; empty if none does.
    std::string held_message() const;
    std::string unknown_override_message(const metadata::Image& image) const;
    /// What the plan wants to begin, as far as there is room for it.
    using BeginsPtr = std::shared_ptr<const std::vector<Begin>>;
    void begin_topics();
    void compare_sizes(const BeginsPtr& begins, const std::vector<std::string>& here,
                       const Result<Sizes>& theirs);
    RoomVerdict room_for(const std::vector<Begin>& begins, const Sizes& theirs,
                         const Sizes& ours) const;
    void begin_without_sizes(const std::vector<Begin>& begins, const Error& why);
    void begin_all(const std::vector<Begin>& begins, const std::optional<RoomVerdict>& verdict);
    void begin(const CreateMirror& action);
    void begin(const AdoptTopic& action);
    /// What there is no room for; empty if nothing.
    std::string room_message() const;
    /// By what the link is now: it may have been edited while the source was asked.
    bool is_wished(const std::string& topic, const std::string& source_topic) const;
    void create(const CreateMirror& action, const std::map<std::string, std::string>& settings);
    void create_from_now(const CreateMirror& action, SettingChanges changes);
    void create_with(const CreateMirror& action, const SettingChanges& changes);
    void sync_settings();
    void arm_groups();
    /// Copies group offsets now; `then` runs after the round, whatever came of it: at once if there
    /// can't be one, and after the next if one that began earlier is under way.
    void sync_groups(runtime::Task then);
    void on_groups(const Result<GroupSync::Outcome>& outcome);
    /// Settings of source topics that were set for them; `done` gets what could be read.
    using Settings = std::map<std::string, std::map<std::string, std::string>>;
    void read_settings(const std::vector<std::string>& topics,
                       UniqueFunction<void(Result<Settings>)> done);
    OwnCluster::Done noted(std::string what, std::string topic);

    void hand_out_jobs();
    /// False: a topic that is being archived is led by a broker whose address isn't known here.
    bool give_jobs();
    std::vector<PullJob> jobs(const metadata::Image& image) const;
    /// Of one topic; nothing where this broker has nothing to do for it.
    void add_jobs(std::vector<PullJob>& all, const LocalTopic& local,
                  const metadata::Image& image) const;
    /// Where to pull a partition from; left out while nobody leads it there.
    void aim_at_source(PullJob& job, const LocalTopic& local, const std::string& source_name) const;
    void aim_at_archived(PullJob& job, const LocalTopic& archive,
                         const metadata::Image& image) const;

    Shell& shell_;
    Link link_;
    std::unique_ptr<client::Cluster> source_;
    std::uint64_t source_generation_ = 0;  // How often it was made.
    client::ClusterInfoPtr info_;
    LinkPhase phase_ = LinkPhase::pending;
    std::string reason_;
    bool is_another_cluster_ = false;  ///< That answers: failed, and looked at again all the same.
    std::string message_;
    bool looking_ = false;
    bool look_again_ = false;
    runtime::TimerId timer_{};
    Duration backoff_{};
    Instant lost_since_{};
    Instant followed_at_{};  ///< When the source was last seen and to be followed.
    Instant settings_at_{};
    Duration round_trip_{};
    bool has_planned_ = false;        ///< What the source has was compared with what is here.
    std::set<std::string> creating_;  ///< Mirrors that the last plan asked for.
    std::set<std::string> missing_;
    std::vector<Begin> begins_;                   ///< That the plan under way has asked for.
    RoomVerdict room_;                            ///< As last judged.
    int sizes_failed_ = 0;                        ///< In a row.
    std::map<std::string, std::string> rejoins_;  ///< By their name at the source, to be asked for.
    std::map<std::string, Hold> held_;
    std::map<std::string, Instant> rejoining_;  ///< Since when that is seen here.
    /// Promoted topics whose source is by now a copy of them, and what is noted of it when they
    /// follow.
    std::map<std::string, SettingChanges> copies_;
    void recognize(const std::string& topic, const std::string& source,
                   const std::map<std::string, std::string>* settings);
    std::set<std::string> under_way_;  ///< Topics that something is being done about.
    std::map<std::string, HaltReason> refused_;
    std::set<std::string> left_out_;
    std::set<std::string> missed_;
    /// Topics of the source that a glob takes and that are mirrors of what came from this cluster.
    struct CameFromHere {
        Uuid id;
        Instant seen;
    };
    std::map<std::string, CameFromHere> came_from_here_;
    void leave_out_what_came_from_here(TopicPlan& plan);
    std::shared_ptr<GroupSync> groups_;
    runtime::TimerId groups_timer_{};
    bool groups_busy_ = false;
    runtime::Task after_groups_;  ///< Waits for a round of its own.
    bool groups_synced_ = false;
    std::map<std::string, std::vector<ClampedOffset>> clamped_;
    std::shared_ptr<GroupSync> own_groups_;   ///< While positions behind a cut are set back.
    std::map<std::string, Timestamp> ended_;  ///< Topics that were looked at, and their seals.
    void end_groups(const metadata::Image& image);
    void on_groups_ended(const std::map<std::string, Timestamp>& topics,
                         const Result<GroupSync::Outcome>& outcome);
    GroupSync::Outcome groups_total_;
    std::int64_t settings_reverted_ = 0;

    /// A planned promotion of one topic.
    struct Draining {
        std::string source;
        DrainCore core;
    };
    std::map<std::string, Draining> draining_;
    using FenceOutcomes = std::map<std::string, Result<void>>;  ///< By the source's topic.
    /// What one step compares.
    struct Comparison {
        std::vector<std::string> topics;
        LastEnds theirs;
        LastEnds ours;
        int left = 2;
    };
    /// With a prefix each side keeps its own topic: a promotion takes nothing away from the source.
    bool takes_over() const { return link_.spec.naming == Naming::identity; }
    /// What a planned promotion waits for.
    std::string draining_message() const;
    /// Topics whose source is to take writes again, and the stage that they have then.
    std::map<std::string, StageNote> releases_;
    void release();
    void on_released(const std::map<std::string, StageNote>& asked,
                     const Result<FenceOutcomes>& outcomes);
    /// Mirrors by their source's topic.
    using MirrorsBySource = std::map<std::string, std::string>;
    /// Whether the promotions of these mirrors of `own_cluster` want their sources fenced, in one
    /// request for all; what other mirrors wish stays. Code::unsupported: the source has no such
    /// thing, or not for us; what else went wrong may work next time.
    static void set_fences(client::Cluster& source, const MirrorsBySource& mirrors,
                           const std::string& own_cluster, bool wanted,
                           UniqueFunction<void(Result<FenceOutcomes>)> done);
    /// All topics that drain, one step further. One step at a time.
    void drain();
    void fence_sources(std::vector<std::string> topics);
    void on_fences(const std::vector<std::string>& topics, const Result<FenceOutcomes>& outcomes);
    void compare_ends(const std::vector<std::string>& topics);
    void on_ends(const Comparison& ends);
    void copy_groups(const std::vector<std::string>& topics, Instant until);
    void promote_drained(const std::vector<std::string>& topics);
    void drained_a_step(bool moved);
    void arm_drain(Duration delay);
    static constexpr Duration shortest_drain_pause = std::chrono::milliseconds{10};
    static constexpr Duration longest_drain_pause = std::chrono::milliseconds{200};
    Duration drain_pause_ = shortest_drain_pause;  ///< Grows while there is nothing new to see.
    static constexpr Duration drain_look = std::chrono::milliseconds{200};
    runtime::TimerId drain_timer_{};
    bool drain_step_ = false;   ///< One is under way.
    bool drains_next_ = false;  ///< As soon as the metadata says that topics are to be promoted.

    std::shared_ptr<HorizonWatch> horizon_;
    void watch_horizons();

    /// The version of the link that the last finished look at the source began with.
    std::int64_t looked_version_ = -1;
    /// What a planned promotion still has to make here, before anything takes writes; empty: the
    /// source was listed since the edit, and all that the link names is here.
    std::optional<std::string> not_listed() const;

    /// Once promoted: what the source's topics of the same names are.
    struct AtSource {
        bool came_from_here = false;
        bool takes_writes = false;
    };
    std::map<std::string, AtSource> at_source_;  ///< By the name here.
    std::set<std::string> strangers_;            ///< See TopicPlan.
    Instant looked_back_at_{};
    bool looking_back_ = false;
    /// Asks for both strangers and what was promoted without a fence.
    void look_back();
    std::string nothing_promoted_message() const;
    std::string unmatched_message() const;
};

}  // namespace millrace::mirror
