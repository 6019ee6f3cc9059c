// app/internal/lag_clock.h
//
// How long a reader is behind, in time: remembers when a log was first seen to end where, and
// answers since when the log has held what a reader has not read. Nothing is read from disk; the
// answer is as exact as the looks are frequent, and never longer than the memory reaches. Pure.
#pragma once

#include <deque>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::app {

class LagClock {
public:
    /// At `now` the log ends at `end`. An end that went back (another log) begins anew.
    void look(Offset end, Instant now);
    /// For how long there has been something at or past `committed`; zero if there is nothing.
    Duration behind(Offset committed, Instant now) const;
    std::size_t size() const { return seen_.size(); }

    /// Ends remembered at most; past that every second one is forgotten, so that the memory
    /// reaches further back and becomes coarser.
    static constexpr std::size_t most = 64;

private:
    struct Seen {
        Offset end;
        Instant at;  ///< When it was first seen there.
    };
    std::deque<Seen> seen_;  ///< Both ascending.
};

}  // namespace millrace::app
