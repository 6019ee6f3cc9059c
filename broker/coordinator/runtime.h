// coordinator/runtime.h
//
// Runs one state machine per partition of a coordinator topic that this broker leads: loads it from
// the log, executes operations one at a time, batches what they append in one turn of the loop,
// releases answers when everything they rest on is committed, undoes what the log refused.
// Owned by one loop (the control shard); every call on its thread. An answer may call back in.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "coordinator/log_door.h"
#include "coordinator/state_machine.h"
#include "record/types.h"
#include "runtime/executor.h"

namespace millrace::coordinator {

struct RuntimeSettings {
    Duration write_timeout = 5s;   ///< An answer waits no longer for its commit.
    /// Between attempts to load, doubling: the first may come before its replica has its place.
    Duration retry_pause = 50ms;
    Duration max_retry_pause = 30s;
    Bytes load_chunk = 1_MiB;    ///< One read of the log while loading: a slice of the loop's time.
    Bytes max_pending = 32_MiB;  ///< Records waiting for the log, per partition; then busy.
    record::Compression compression = record::Compression::none;
};

struct ShardStatus {
    enum class Phase { loading, active };
    PartitionIndex partition;
    LeaderEpoch epoch;
    Phase phase;
};

class Shard;  // internal/shard.h

class Runtime {
public:
    using Factory = std::function<std::unique_ptr<StateMachine>(PartitionIndex)>;
    using Body = UniqueFunction<void(StateMachine&, Operation&)>;

    Runtime(std::string name, runtime::Executor& executor, LogDoor& log, Factory factory,
            RuntimeSettings settings, Logger logger);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    /// This broker leads the partition in `epoch`. Loads, or keeps the state of an earlier epoch if
    /// the log shows that nobody else led in between. Stale epochs are ignored.
    void elected(PartitionIndex partition, LeaderEpoch epoch);
    /// Another broker leads it, in `epoch`; no epoch: the partition is gone. Every waiting answer
    /// becomes not_coordinator.
    void resigned(PartitionIndex partition, std::optional<LeaderEpoch> epoch);

    /// none, not_coordinator or coordinator_load_in_progress (coordinator_not_available when too
    /// much waits for the log).
    KafkaError status(PartitionIndex partition) const;

    /// Runs `body` inside the call. Its `then`s hear every outcome, also status()'s refusal: in
    /// that case `refused` runs instead of `body`. The machine is the one the factory made.
    void run(PartitionIndex partition, Body body, UniqueFunction<void(KafkaError)> refused);

    /// Writes the control record that ends a producer's transaction and applies it.
    void end_transaction(PartitionIndex partition, ProducerId producer, ProducerEpoch epoch,
                         std::int32_t coordinator_epoch, TransactionResult result, Outcome done);

    std::vector<ShardStatus> shards() const;  ///< By partition.
    const runtime::Executor& executor() const;
    /// Looks at an active machine without waiting for commits (metrics); null if there is none.
    const StateMachine* peek(PartitionIndex partition) const;

private:
    struct Common;
    friend class Shard;
    std::shared_ptr<Common> common_;
    std::map<PartitionIndex, std::shared_ptr<Shard>> shards_;
};

/// What a client is told when the log refused a coordinator's write.
KafkaError answer_for_log_error(KafkaError log_error);

}  // namespace millrace::coordinator
