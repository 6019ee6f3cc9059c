// coordinator/state_machine.h
//
// What a coordinator is: state that is a fold over its log (replay), and operations that look at
// the state and append records. Pure: time is an argument, the log and the answers are the
// runtime's.
#pragma once

#include <functional>
#include <vector>

#include "base/time.h"
#include "base/unique_function.h"
#include "coordinator/record.h"
#include "model/kafka_error.h"

namespace millrace::coordinator {

/// How to take back what was applied but not yet in the log. Entries run last to first.
class Journal {
public:
    virtual ~Journal() = default;
    /// False while loading: what is replayed from the log is never undone.
    virtual bool keeps() const = 0;
    virtual void undo_with(UniqueFunction<void()> undo) = 0;
};

struct Now {
    Instant instant;
    Timestamp wall;
};

/// Runs once everything that the operation saw and did is committed (none), or with why it never
/// will be. What it answers must own its bytes: the state may have moved on.
using Outcome = UniqueFunction<void(KafkaError)>;

/// One operation's view of the world. Lives during the call.
class Operation {
public:
    virtual ~Operation() = default;
    virtual const Now& now() const = 0;

    /// Appends and replays at once. All records of an operation land in one batch, or none does:
    /// one that outgrows a batch goes on undisturbed, is undone at its end, and `then` hears of it.
    virtual void append(Record record) = 0;
    /// From here on the records may be spread over batches (housekeeping of many keys).
    virtual void allow_split() = 0;
    /// The operation's records belong to this producer's transaction. Before the first append.
    virtual void in_transaction(ProducerId producer, ProducerEpoch epoch) = 0;

    virtual void then(Outcome outcome) = 0;
};

class StateMachine {
public:
    virtual ~StateMachine() = default;

    /// Applies one record. Tolerates whatever compaction may leave: tombstones of unknown keys,
    /// parts without their whole. Unknown key versions are skipped.
    virtual void replay(const RecordView& record, Journal& journal) = 0;
    /// The end of a producer's transaction on this partition.
    virtual void replay_marker(ProducerId producer, ProducerEpoch epoch, TransactionResult result,
                               Journal& journal) = 0;
    /// The log has been replayed; set up what it doesn't hold (deadlines), repair what it left.
    virtual void loaded(Operation& operation) = 0;
    /// The state is about to be thrown away: another broker leads, or the log has to be read again.
    /// Answer with not_coordinator whoever waits for something other than a commit.
    virtual void unloading() {}

    /// When on_deadline() wants to run; Instant::never() for not at all.
    virtual Instant next_deadline() const = 0;
    /// Does a bounded piece of what is due. Called again as long as next_deadline() has passed.
    virtual void on_deadline(Operation& operation) = 0;
};

}  // namespace millrace::coordinator
