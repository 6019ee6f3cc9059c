// replication/checkpoints.h
//
// Keeps the offset checkpoints of every log directory current, in Kafka's files: recovery points,
// so that a crash costs only a scan of what came since; high watermarks; log starts; how far
// compaction has come. Gathers on the shards, writes in the disk pool, on the control loop's
// timers.
#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "replication/housekeeping.h"
#include "replication/replicas.h"
#include "storage/log_store.h"

namespace millrace::replication {

struct CheckpointTimes {
    Duration recovery_points = 60s;
    Duration log_starts = 60s;
    Duration high_watermarks = 5s;
    friend bool operator==(const CheckpointTimes&, const CheckpointTimes&) = default;
};

class Checkpoints {
public:
    Checkpoints(runtime::Node& node, storage::LogStore& store, const Replicas& replicas,
                const Logger& log);
    ~Checkpoints();

    /// Begins, or goes on with other intervals.
    void set(const CheckpointTimes& times);
    /// Recovery points now, whatever their interval.
    void write_points_soon();
    /// The last ones, for a clean start. Blocking, once the loops have stopped.
    Result<void> write_last(const std::vector<LogMark>& marks);

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::replication
