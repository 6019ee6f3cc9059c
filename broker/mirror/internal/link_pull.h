// mirror/internal/link_pull.h
//
// One link's work on one data shard: its pulls, the lanes that they share, and what their cores
// decide. Three files: what is to be pulled (link_pull.cc), what is asked of the source about it
// (link_pull_questions.cc), how a mirrored history ends (link_pull_seal.cc).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mirror/internal/pull.h"
#include "record/batch_view.h"

namespace millrace::mirror {

class LinkPull final : public LaneOwner, public std::enable_shared_from_this<LinkPull> {
public:
    LinkPull(std::string id, runtime::Shard shard, runtime::Node& node,
             replication::ShardReplicas& replicas, const Upwards& up, const Logger& log)
        : id_(std::move(id)), shard_(shard), node_(node), replicas_(replicas), up_(up), log_(log) {}

    void set(Puller::Link link);

    std::vector<PartitionView> views();
    const PullCounters& counters() const { return counters_; }
    std::size_t connections() const;

    Pull* find(const TopicIdPartition& id) override;
    std::optional<LogFacts> facts(const Pull& pull) override;
    void catch_up(Pull& pull, const LogFacts& log) override;
    void take(Pull& pull, const SourceFetched& fetched, ByteView bytes) override;
    Duration spend(std::int64_t bytes) override;
    std::int64_t most_at_once(std::int64_t without_limit) const override {
        return throttle_.most_at_once(connections(), without_limit);
    }
    void source_lost(const Error& why) override;

private:
    using Pulls = std::map<TopicIdPartition, Pull>;
    using LanesOf = std::pair<runtime::Address, LaneKind>;
    static constexpr Duration back_off = std::chrono::milliseconds{200};
    static constexpr Duration epoch_patience = std::chrono::seconds{1};

    Instant now() const { return shard_.executor->clock().now(); }
    void wait(Pull& pull, Duration delay) const { pull.not_before = now() + delay; }

    void leave_lane(Pull& pull);
    void join_lane(Pull& pull);
    void spread();
    /// Moves it between the lanes for backlogs and for the rest, as it has more to come or not.
    void sort(Pull& pull, const SourceFetched& fetched);
    static client::Connection* connection_of(const Pull& pull);
    Pulls::iterator drop(Pulls::iterator at);
    void put(const TopicIdPartition& id, PullJob job, bool anew);
    PartitionView view(Pull& pull);
    Duration behind(Pull& pull, Offset end) const;
    /// Caught up once, and since then never far behind: records under way don't count.
    static bool is_steady(Pull& pull, const PartitionView& view);

    // --- Effects ---

    /// `fetched` and `bytes` as far as the effects come from a fetch.
    void run(Pull& pull, const PartitionEffects& effects, const SourceFetched& fetched = {},
             ByteView bytes = {});
    // Each tells whether what follows it is to be done.
    bool act(Pull& pull, const TakeOver&, const SourceFetched& fetched, ByteView bytes);
    bool act(Pull& pull, const FollowStart& follow, const SourceFetched&, ByteView);
    bool act(Pull& pull, const StartAt& start, const SourceFetched&, ByteView);
    bool act(Pull& pull, const CutAt& cut, const SourceFetched&, ByteView);
    // These three go on by themselves once they are answered: run() doesn't get here.
    bool act(Pull&, const Report&, const SourceFetched&, ByteView) { return false; }
    bool act(Pull&, const Verify&, const SourceFetched&, ByteView) { return false; }
    bool act(Pull&, const SetAside&, const SourceFetched&, ByteView) { return false; }
    bool act(Pull& pull, const Known&, const SourceFetched&, ByteView);
    bool act(Pull& pull, const RaiseEpoch& raise, const SourceFetched&, ByteView);
    bool act(Pull& pull, const AskRange&, const SourceFetched&, ByteView);
    bool act(Pull& pull, const AskEpochEnd& question, const SourceFetched&, ByteView);
    bool act(Pull&, const RefreshSource&, const SourceFetched&, ByteView);
    bool act(Pull& pull, const BackOff& why, const SourceFetched&, ByteView);
    bool act(Pull& pull, const Halt& halt, const SourceFetched&, ByteView);
    bool done_or_wait(Pull& pull, KafkaError error);

    void keep_aside(Pull& pull, const SetAside& aside, PartitionEffects rest);
    void remember(Pull& pull, const Report& report, PartitionEffects rest);

    /// Runs `then` with the pull if its job is still this one.
    template <typename Then>
    auto if_same(Pull& pull, Then then) {
        pull.busy = true;
        return [weak = weak_from_this(), id = pull.job.id, generation = pull.generation,
                then = std::move(then)](auto&&... args) mutable {
            auto self = weak.lock();
            Pull* now = self ? self->find(id) : nullptr;
            if (now == nullptr || now->generation != generation) {
                return;
            }
            now->busy = false;
            then(*self, *now, std::forward<decltype(args)>(args)...);
            if (now->lane) {
                now->lane->kick();
            }
        };
    }

    // --- Questions to the source ---

    /// Asks the source for the batch that ends at `end` and compares it with ours.
    void verify(Pull& pull, Offset end, PartitionEffects rest);
    void on_verified(Pull& pull, Offset end, const PartitionEffects& rest,
                     const Result<protocol::FetchResponse>& response);
    bool is_ours(const Pull& pull, const record::BatchView& theirs);
    void ask_range(Pull& pull);
    void ask_again_later(Pull& pull);
    template <typename Then>
    void ask_offset(Pull& pull, std::int64_t which, Then then);
    void ask_epoch_end(Pull& pull, LeaderEpoch epoch);

    // --- Sealing ---

    void seal_soon(Duration delay);
    /// What was taken over is committed first, then a leader epoch of our own, then the record that
    /// opens the partition to clients. A repeat at any point changes nothing but that epoch.
    void seal(Pull& pull);

    const std::string id_;
    runtime::Shard shard_;
    runtime::Node& node_;
    replication::ShardReplicas& replicas_;
    const Upwards& up_;
    const Logger& log_;
    client::ConnectionOptions connection_;
    client::ConnectionOptions own_connection_;
    std::uint64_t source_generation_ = 0;
    std::size_t connections_ = 4;
    Throttle throttle_;
    Pulls pulls_;
    std::map<LanesOf, std::vector<std::shared_ptr<Lane>>> lanes_;
    std::map<TopicIdPartition, LeaderEpoch> seal_epochs_;
    /// Of what is not pulled now, as its topic is paused or its source gone: what a seal then knows
    /// to be lost.
    struct Seen {
        Offset high_watermark;
        LagClock lag;
        Instant at;
    };
    std::map<TopicIdPartition, Seen> seen_;
    std::uint64_t generations_ = 0;
    runtime::TimerId seal_timer_{};
    PullCounters counters_;
};

}  // namespace millrace::mirror
