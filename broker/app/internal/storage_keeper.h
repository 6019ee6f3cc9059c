// app/internal/storage_keeper.h
//
// What a broker does for its log directories besides serving them: upkeep on every shard,
// compaction, checkpoints, a look at the free space, leftovers of the last run. On the control
// loop.
#pragma once

#include <memory>
#include <vector>

#include "config/config.h"
#include "replication/checkpoints.h"
#include "replication/cleaner.h"

namespace millrace::app {

class StorageKeeper {
public:
    StorageKeeper(runtime::Node& node, storage::LogStore& store,
                  const replication::Replicas& replicas, std::size_t compaction_bytes,
                  const Logger& log);

    /// Begins, or goes on with other settings.
    void set(const config::BrokerValues& values);
    /// Once: what was found on the disks and has no place in the metadata is set aside or removed.
    void on_metadata_current();
    /// `done` runs when nothing is under way that a stop would interrupt.
    void stop(UniqueFunction<void()> done) { cleaner_.stop(std::move(done)); }
    /// Blocking, once the loops have stopped.
    Result<void> close(const std::vector<replication::LogMark>& marks) {
        return checkpoints_.write_last(marks);
    }
    const replication::Cleaner& cleaner() const { return cleaner_; }

private:
    void check_space();
    void look_for_failures();

    runtime::Node& node_;
    runtime::Executor& control_;
    storage::LogStore& store_;
    const replication::Replicas& replicas_;
    const std::size_t compaction_bytes_;
    const Logger& log_;
    replication::Checkpoints checkpoints_;
    replication::Cleaner cleaner_;
    std::int64_t reserve_bytes_ = -1;
    bool checking_space_ = false;
    bool is_current_ = false;
    std::size_t failed_known_ = 0;
};

}  // namespace millrace::app
