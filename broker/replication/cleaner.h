// replication/cleaner.h
//
// Compaction of all shards' logs: every so often asks which log needs it most and runs rounds, so
// many at once, one after the other while any log is due. Memory for keys and bytes per second are
// shared by the rounds. A log that waits for nothing but the record of its recovery point need not
// wait for the checkpoints' own time. Lives on the control loop.
#pragma once

#include <functional>
#include <memory>

#include "base/log.h"
#include "base/random.h"
#include "replication/replicas.h"

namespace millrace::replication {

struct CleanerSettings {
    std::size_t rounds_at_once = 1;  ///< 0: no compaction.
    std::size_t key_bytes = std::size_t{128} << 20;
    double bytes_per_second = 0;  ///< Read and written; 0: as fast as the disk goes.
    Duration pause = 15s;         ///< When no log was due.
    friend bool operator==(const CleanerSettings&, const CleanerSettings&) = default;
};

/// Since the start, for the metrics. From any thread.
struct CleanerCounts {
    std::uint64_t rounds = 0;
    std::uint64_t failures = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
};

class Cleaner {
public:
    /// `record` has recovery points written some time soon.
    Cleaner(runtime::Executor& control, const Replicas& replicas, Random& random,
            std::function<void()> record, const Logger& log);
    ~Cleaner();

    /// Begins, or goes on differently: rounds under way end as they began.
    void set(const CleanerSettings& settings);
    /// `done` runs once no round is under way; none begins any more.
    void stop(UniqueFunction<void()> done);
    CleanerCounts counts() const;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::replication
