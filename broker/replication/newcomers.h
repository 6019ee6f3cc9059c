// replication/newcomers.h
//
// Producers of which a leader's log knows nothing. Any sequence may be the first that such a
// producer writes here: what it wrote before may have expired. But its earlier batches may also
// have been refused a moment ago, or wait at the leader before us, and would lie behind a later
// batch that is taken now. So a first batch that does not begin at 0 has to come twice, and none of
// the same producer that is earlier in between: a producer whose earlier batches are still open
// sends those first. One that waits for nothing just sends it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::replication {

class Newcomers {
public:
    /// No client keeps a batch so long; what was noted earlier says nothing about today's.
    static constexpr Duration remembered_for = 120s;
    static constexpr std::size_t remembered_most = 1'000;

    /// A batch was turned away for another reason: those after it may not overtake it.
    void refused(ProducerId producer, ProducerEpoch epoch, std::int32_t sequence, Instant now);
    /// May this be the producer's first batch? If not, it comes again.
    bool admits(ProducerId producer, ProducerEpoch epoch, std::int32_t sequence, Instant now);
    void clear() { notes_.clear(); }

private:
    struct Note {
        ProducerEpoch epoch{-1};
        std::int32_t sequence = 0;  ///< The earliest that was turned away.
        Instant at{};
    };
    void make_room(Instant now);

    std::unordered_map<ProducerId, Note> notes_;
};

}  // namespace millrace::replication
