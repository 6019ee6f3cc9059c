// raft/replicated_log.h
//
// The log under the quorum: `__cluster_metadata-0`. One implementation over storage/, one in memory
// for tests. Used only on the control loop.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "model/ids.h"
#include "raft/epoch_history.h"

namespace millrace::raft {

class ReplicatedLog {
public:
    virtual ~ReplicatedLog() = default;

    virtual Offset start() const = 0;
    virtual Offset end() const = 0;

    /// Whole batches that carry their offsets and epochs and continue the log.
    virtual Result<void> append(ByteView batches) = 0;
    /// Removes what is at or after `end`.
    virtual Result<void> truncate(Offset end) = 0;
    /// Empties the log; it goes on at `start`, after a record of `epoch`.
    virtual Result<void> restart_at(LogPosition start) = 0;
    /// What is before `start` may be deleted.
    virtual Result<void> advance_start(Offset start) = 0;
    /// Whole batches from the one that contains `from` up to `limit`, at least one if there is one,
    /// otherwise at most `max`.
    virtual Result<Buffer> read(Offset from, Offset limit, Bytes max) const = 0;
    /// Makes everything appended so far durable. `done` runs later, on the control loop. One at a
    /// time.
    virtual void sync(UniqueFunction<void(Result<void>)> done) = 0;
    /// The same in place, before the loop runs.
    virtual Result<void> sync_now() = 0;
    /// Leaves what makes the next start quick. Blocking; nothing follows.
    virtual Result<void> close() = 0;
};

}  // namespace millrace::raft
