// replication/types.h
//
// What the doors of replication take and give: plain facts, no wire types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "model/ids.h"
#include "model/kafka_error.h"
#include "storage/limits.h"
#include "storage/producer_state.h"
#include "storage/read_slice.h"

namespace millrace::replication {

/// What an acknowledgement means (docs: durability).
enum class Durability {
    synced,      ///< The high watermark follows synced ends: an ack survives a power cut of all.
    replicated,  ///< It follows log ends, as in Kafka.
};

/// What the metadata says of one partition, as far as its replicas must act on it.
struct PartitionState {
    TopicIdPartition id;
    std::string topic;
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;
    std::vector<BrokerId> adding;
    std::vector<BrokerId> removing;
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch{0};
    PartitionEpoch partition_epoch{0};
    Uuid directory;  ///< Of this broker's replica; zero: not assigned yet.
    friend bool operator==(const PartitionState&, const PartitionState&) = default;
};

/// How a follower asks its leaders.
struct FollowerFetch {
    std::int32_t min_bytes = 1;
    Duration max_wait = 500ms;
    std::int32_t max_bytes = 10 << 20;
    std::int32_t max_partition_bytes = 1 << 20;
    Duration back_off = 100ms;      ///< After a failed fetch.
    Duration answer_timeout = 10s;  ///< Beyond max_wait.
};

/// Topic settings that replication acts on.
struct PartitionSettings {
    storage::LogLimits limits;
    Durability durability = Durability::synced;
    std::int32_t min_isr = 1;
    bool log_append_time = false;
    bool unclean_leader_election = false;
    /// This broker is named in the topic's leader.replication.throttled.replicas, or in the
    /// follower's: it sends slowly to replicas that are not in sync, or fetches slowly while it
    /// is none of those.
    bool throttled_as_leader = false;
    bool throttled_as_follower = false;
    /// Clients may not write it for now.
    bool fenced = false;
    /// A mirror link writes it: clients can't, and while it does the log knows only epochs of the
    /// source.
    bool mirrored = false;
    /// Where the mirrored history ends, of a partition that was promoted: transactions that were
    /// open there are aborted before anything else is appended.
    std::optional<Offset> mirrored_end;
    friend bool operator==(const PartitionSettings&, const PartitionSettings&) = default;
};

enum class Origin {
    client,       ///< A producer: sequences are checked.
    coordinator,  ///< Our own group or transaction log.
};

struct AppendResult {
    KafkaError error = KafkaError::none;
    Offset base = no_offset;
    Timestamp append_time{-1};  ///< Set where the topic stamps records itself.
    Offset log_start = no_offset;
    BrokerId leader = no_broker;  ///< With not_leader_or_follower: who leads, as far as known.
    LeaderEpoch leader_epoch = no_leader_epoch;
};

using AppendDone = UniqueFunction<void(AppendResult)>;

/// One validated batch for one partition. `batch` is lent for the call; its base offset, leader
/// epoch and (if the topic says so) timestamps are patched in place.
struct Append {
    TopicIdPartition id;
    MutableBytes batch;
    std::int16_t acks = -1;
    Origin origin = Origin::client;
    std::optional<LeaderEpoch> as_epoch;  ///< Refuse unless this is the epoch we lead in.
    Duration timeout = 30s;               ///< For acks=all: how long to wait for the ISR.
    /// Runs exactly once, maybe inside the call when refused. For acks=0 too.
    AppendDone done;
    /// Also told when the batch is in the leader's log, before it is committed. Optional.
    UniqueFunction<void(Offset base, Offset end)> stored;
};

/// What the log of a mirror took over.
struct MirrorAppended {
    KafkaError error = KafkaError::none;
    Offset end = no_offset;
    std::int64_t batches = 0;
    std::int64_t bytes = 0;
    /// Set if a batch was not taken because it was written in a later epoch than this broker leads
    /// in: raise_epoch() first.
    std::optional<LeaderEpoch> epoch_needed;
};

enum class ReadLevel {
    uncommitted,
    committed,
    replica,
    local,  ///< What this replica has, leader or not: for who looks for faults.
};

struct FetchPosition {
    TopicIdPartition id;
    Offset from{0};
    LeaderEpoch current_epoch = no_leader_epoch;       ///< What the reader believes; -1: any.
    LeaderEpoch last_fetched_epoch = no_leader_epoch;  ///< For divergence; -1: not asked.
    std::int32_t max_bytes = 1 << 20;
    Offset reader_log_start = no_offset;
    std::optional<Offset> reader_synced_end;  ///< A follower of ours reports it.
    /// Replicas that a consumer would rather read from: the leader names the best of them.
    std::vector<BrokerId> nearer;
};

struct DivergingEpoch {
    LeaderEpoch epoch;
    Offset end;
};

struct FetchResult {
    TopicIdPartition id;
    KafkaError error = KafkaError::none;
    Offset high_watermark = no_offset;
    Offset last_stable = no_offset;
    Offset log_start = no_offset;
    std::optional<DivergingEpoch> diverging;
    BrokerId leader = no_broker;  ///< With a leadership error.
    LeaderEpoch leader_epoch = no_leader_epoch;
    BrokerId preferred = no_broker;  ///< Read there: it has what is asked for.
    std::vector<storage::AbortedTransaction> aborted;
    storage::ReadSlice slice;
    Duration throttled_for{};  ///< Nothing is given before, though there may be something.
};

struct Reader {
    ReadLevel level = ReadLevel::uncommitted;
    BrokerId replica = no_broker;  ///< Set for a follower.
    BrokerEpoch replica_epoch{-1};
    bool at_followers = false;  ///< A consumer that may read from any replica (KIP-392).
};

struct OffsetAnswer {
    KafkaError error = KafkaError::none;
    Offset offset = no_offset;
    Timestamp timestamp{-1};
    LeaderEpoch epoch = no_leader_epoch;
};

/// Where a log ends that may be about to be left behind for another cluster's.
struct ClosingEnd {
    KafkaError error = KafkaError::none;
    Offset end = no_offset;                    ///< Whether it is committed or not.
    LeaderEpoch last_epoch = no_leader_epoch;  ///< Of the last batch.
    bool is_closed = false;  ///< No client's record comes after it as long as the fence stands.
    bool is_mirror = false;  ///< None comes at all, and its own link goes on, fence or not.
};

struct EpochEndAnswer {
    KafkaError error = KafkaError::none;
    LeaderEpoch epoch = no_leader_epoch;
    Offset end = no_offset;
};

/// When a shard makes a journal, and how large.
struct JournalRules {
    std::uint64_t bytes = 0;  ///< Of a file; 0: none is made.
    /// So many syncs within a second that found another one under way; 0: with the first.
    unsigned after = 100;
    std::size_t shard = 0;
    /// With so many logs that wait for a sync of their files, and hold them open, others are synced
    /// at once.
    std::size_t unfiled_max = 1024;
};

}  // namespace millrace::replication
