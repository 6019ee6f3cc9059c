// tests/sim/systems/cluster_producer.h
//
// An idempotent producer with acks=all that never gives up: one record a batch, a few batches in
// flight per partition, everything unacknowledged sent again in order after a failure, one at a
// time as Apache Kafka's own producer does.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/systems/cluster_history.h"
#include "tests/sim/systems/cluster_map.h"

namespace millrace::simtest {

/// "op:7:filler" and back.
std::string value_of(ClusterHistory::Operation operation, std::size_t filler);
std::optional<ClusterHistory::Operation> operation_of(std::string_view value);

class ClusterProducer {
public:
    struct Options {
        ClusterHistory::Sender sender = 0;
        std::size_t window = 5;  ///< Batches in flight per partition; 5 at most (KIP-98).
        std::int32_t partitions = 1;
    };
    /// `fail` hears what no correct cluster answers.
    ClusterProducer(Options options, ClusterMap& map, ClusterHistory& history,
                    std::function<void(std::string)> fail,
                    std::function<void(std::int32_t, Offset)> on_acknowledged);
    ~ClusterProducer();

    void send(ClusterHistory::Operation operation, std::int32_t partition, std::size_t filler);
    std::size_t open() const;  ///< Operations not acknowledged yet.
    /// How long nothing was acknowledged to a lane in which something waits.
    Duration longest_wait() const;

private:
    struct Batch {
        ClusterHistory::Operation operation = 0;
        std::int32_t sequence = 0;
        std::size_t filler = 0;
        bool was_sent = false;
    };
    struct Lane {
        std::deque<Batch> pending;
        std::size_t in_flight = 0;     ///< The first so many of `pending`.
        std::uint64_t generation = 0;  ///< Grows with every new start.
        std::int32_t next_sequence = 0;
        bool waits = false;
        Instant moved_at;  ///< When something was acknowledged, or began to wait.
    };
    struct Outcome {
        bool answered = false;
        std::int16_t error = 0;
        Offset base = no_offset;
    };

    void get_id();
    void pump(std::int32_t partition);
    void transmit(std::int32_t partition, Batch& batch);
    Buffer batch_bytes(const Batch& batch) const;
    void on_outcome(std::int32_t partition, std::uint64_t generation, std::int32_t sequence,
                    const Outcome& outcome);
    void accept(std::int32_t partition, std::int32_t sequence, Offset base);
    void start_over(std::int32_t partition);

    const Options options_;
    ClusterMap& map_;
    ClusterHistory& history_;
    std::function<void(std::string)> fail_;
    std::function<void(std::int32_t, Offset)> on_acknowledged_;
    std::vector<Lane> lanes_;
    ProducerId id_ = no_producer;
    ProducerEpoch epoch_{0};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
