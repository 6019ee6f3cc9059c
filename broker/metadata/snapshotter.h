// metadata/snapshotter.h
//
// When to write a snapshot of the metadata, and writing it in slices, so that the control shard
// goes on with heartbeats meanwhile. One at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/loader.h"
#include "metadata/snapshot.h"
#include "raft/raft_driver.h"
#include "runtime/executor.h"

namespace millrace::metadata {

struct SnapshotPolicy {
    std::uint64_t max_bytes = 20 << 20;  ///< metadata.log.max.record.bytes.between.snapshots
    Duration max_interval = 3600s;       ///< metadata.log.max.snapshot.interval.ms; 0 for never.
    std::size_t records_per_slice = 1'000;
};

class Snapshotter {
public:
    Snapshotter(runtime::Executor& executor, raft::RaftDriver& driver, Loader& loader,
                SnapshotPolicy policy, Logger logger);
    ~Snapshotter();

    /// Starts one if there is news and one is due. After every on_commit.
    void on_publish();
    /// Starts one now; `done` says how it ended. Errors: busy (one is under way), invalid (nothing
    /// committed yet), else the disk's.
    void take(UniqueFunction<void(Result<void>)> done);
    bool is_busy() const { return writer_ != nullptr; }

private:
    void write_slice();
    void finish(const Result<void>& result);

    runtime::Executor& executor_;
    raft::RaftDriver& driver_;
    Loader& loader_;
    SnapshotPolicy policy_;
    Logger logger_;
    Instant last_;
    std::unique_ptr<raft::SnapshotWriter> writer_;
    std::optional<ImageWriter> image_;
    Timestamp appended_;
    UniqueFunction<void(Result<void>)> done_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::metadata
