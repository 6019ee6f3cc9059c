// mirror/internal/pull.h
//
// One partition that is being pulled, and a lane: a connection with its share of them.
#pragma once

#include <map>
#include <memory>

#include "mirror/internal/puller.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace millrace::mirror {

struct Pull {
    explicit Pull(PullJob job_in) : job(std::move(job_in)), core(job.policy) {}

    PullJob job;
    PartitionCore core;
    std::uint64_t generation = 0;  ///< An answer to an earlier one is about a job that is over.
    bool busy = false;             ///< Something else than a fetch is under way.
    bool is_raising = false;
    bool is_steady = false;  ///< It has caught up and stays close.
    std::optional<HaltReason> halted;
    std::optional<LeaderEpoch> seal_epoch;  ///< What the seal has asked for.
    Instant not_before{};
    KafkaError last_error = KafkaError::none;
    Offset source_high_watermark = no_offset;
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
    virtual void take(Pull& pull, const SourceFetched& fetched, ByteView bytes) = 0;
    /// Bytes came in; how long to wait before the next fetch.
    virtual Duration spend(std::int64_t bytes) = 0;
    virtual void source_lost(const Error& why) = 0;
};

class Lane : public std::enable_shared_from_this<Lane> {
public:
    Lane(std::weak_ptr<LaneOwner> owner, client::ConnectionOptions options, runtime::Shard shard,
         const Logger& log);

    void add(const TopicIdPartition& id);
    void remove(const TopicIdPartition& id);
    bool idle() const { return partitions_.empty(); }
    client::Connection& connection() { return connection_; }
    /// Something may be ready to be asked for.
    void kick();

private:
    struct Asked {
        TopicIdPartition id;
        std::uint64_t generation;
        Offset from;
    };
    using Place = std::pair<std::string, std::int32_t>;  ///< Topic and partition at the source.

    void round();
    void arm(Duration delay);
    bool gather(LaneOwner& owner);
    protocol::FetchRequest request(std::int16_t version) const;
    void on_answer(const Result<protocol::FetchResponse>& response);
    void on_partition(LaneOwner& owner, const std::string& topic,
                      const protocol::FetchResponse::PartitionData& data);

    std::weak_ptr<LaneOwner> owner_;
    runtime::Shard shard_;
    const Logger& log_;
    client::Connection connection_;
    std::map<TopicIdPartition, bool> partitions_;
    bool in_flight_ = false;
    runtime::TimerId timer_{};
    Duration backoff_{};

    // The fetch under way, or about to be sent.
    struct Position {
        std::int32_t partition;
        LeaderEpoch source_epoch;
        Offset from;
        LeaderEpoch last_epoch;
    };
    struct TopicPositions {
        Uuid id;
        std::vector<Position> positions;
    };
    std::map<std::string, TopicPositions> wanted_;
    std::map<Place, Asked> asked_;
    bool last_stable_ = false;
};

}  // namespace millrace::mirror
