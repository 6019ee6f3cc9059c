// mirror/internal/pull.h
//
// One partition that is being pulled, and a lane: a connection with its share of them.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "mirror/internal/puller.h"
#include "mirror/internal/source_session.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace millrace::mirror {

class Lane;

struct Pull {
    explicit Pull(PullJob job_in) : job(std::move(job_in)), core(job.policy) {}

    PullJob job;
    PartitionCore core;
    std::uint64_t generation = 0;  ///< An answer to an earlier one is about a job that is over.
    bool busy = false;             ///< Something else than a fetch is under way.
    bool is_raising = false;
    bool is_known = false;   ///< LogFacts::is_known
    bool is_steady = false;  ///< It has caught up and stays close.
    bool has_backlog = false;
    std::shared_ptr<Lane> lane;  ///< None while nobody leads it at the source.
    std::optional<HaltReason> halted;
    std::optional<LeaderEpoch> seal_epoch;  ///< What the seal has asked for.
    Instant not_before{};
    KafkaError last_error = KafkaError::none;
    /// Since when whoever leads it at the source can't be asked.
    std::optional<Instant> lost_since;
    bool is_refused = false;  ///< Because of our credentials.
    Offset source_high_watermark = no_offset;
    /// Of a seal: when its source was last followed, as it was paused or halted since.
    std::optional<Instant> seen_at;
    Offset told_start = no_offset;    ///< Where the source's log begins; it says so once.
    Offset source_start = no_offset;  ///< Ours follows it, as far as is committed here.
    LagClock lag;
};

/// What a lane needs of whoever owns it.
class LaneOwner {
public:
    virtual ~LaneOwner() = default;
    /// Null if the job is over.
    virtual Pull* find(const TopicIdPartition& id) = 0;
    /// None while this broker does not lead it, or its log is not there yet.
    virtual std::optional<LogFacts> facts(const Pull& pull) = 0;
    /// What was left to do when the log had not come as far.
    virtual void catch_up(Pull& pull, const LogFacts& log) = 0;
    virtual void take(Pull& pull, const SourceFetched& fetched, ByteView bytes) = 0;
    /// Bytes came in; how long to wait before the next fetch.
    virtual Duration spend(std::int64_t bytes) = 0;
    /// What one fetch may bring, if there were no limit so much.
    virtual std::int64_t most_at_once(std::int64_t without_limit) const = 0;
    virtual void source_lost(const Error& why) = 0;
};

/// Backlogs and what is almost quiet don't share a lane: a record of a quiet topic never waits
/// behind megabytes of another, and whoever waits for something new holds nobody up.
enum class LaneKind : std::uint8_t { quiet, backlog };

class Lane : public std::enable_shared_from_this<Lane> {
public:
    Lane(std::weak_ptr<LaneOwner> owner, LaneKind kind, client::ConnectionOptions options,
         runtime::Shard shard, const Logger& log);

    void add(const TopicIdPartition& id);
    void remove(const TopicIdPartition& id);
    bool idle() const { return partitions_.empty(); }
    std::size_t size() const { return partitions_.size(); }
    client::Connection& connection() { return connection_; }
    /// Something may be ready to be asked for.
    void kick(Duration delay = {});

private:
    struct Asked {
        TopicIdPartition id;
        std::uint64_t generation;
        Offset from;
    };

    void round();
    void fit_to_wire(Duration way, std::int64_t bytes);
    void arm(Duration delay);
    bool gather(LaneOwner& owner);
    protocol::FetchRequest request(std::int16_t version) const;
    void on_answer(const Result<protocol::FetchResponse>& response);
    void on_failure(LaneOwner& owner, const Error& why);
    void note_loss(LaneOwner& owner, const Error& why);
    void note_answer(LaneOwner& owner);
    void on_partition(LaneOwner& owner, const std::string& topic,
                      const protocol::FetchResponse::PartitionData& data);

    std::weak_ptr<LaneOwner> owner_;
    const LaneKind kind_;
    runtime::Shard shard_;
    const Logger& log_;
    client::Connection connection_;
    std::set<TopicIdPartition> partitions_;
    bool in_flight_ = false;
    bool is_heard_ = false;  ///< All that it has now was there when an answer came.
    runtime::TimerId timer_{};
    Duration backoff_{};

    // The fetch under way, or about to be sent.
    SourceSession session_;
    SourcePositions wanted_;
    SourceSession::Request next_;
    std::map<SourcePlace, Asked> asked_;
    bool last_stable_ = false;
    std::int32_t max_bytes_ = 0;
    Instant asked_at_{};
    int halved_ = 0;  ///< How often, of what could be asked for at once: the wire is slow.
};

}  // namespace millrace::mirror
