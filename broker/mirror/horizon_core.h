// mirror/horizon_core.h
//
// Whether a compacted mirror may have missed tombstones. The source drops them some time
// (delete.retention.ms) after they were written: who is behind for longer may never learn that a
// key was deleted. So each compacted mirror remembers when it last had all that the source had, by
// the clock of whoever looks after the link; restarts and leaders that move don't lose it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace millrace::mirror {

struct CaughtUp {
    Timestamp at;                 ///< As of then nothing was missing here.
    std::int64_t written = 0;     ///< The source's ends then, added up.
    bool horizon_passed = false;  ///< For good: only a copy from the start mends it.
    friend bool operator==(const CaughtUp&, const CaughtUp&) = default;
};
std::string to_text(const CaughtUp& note);
std::optional<CaughtUp> caught_up_in(std::string_view text);

/// The source's ends, added up, were `written` at `asked`; whether all of it is here is known at
/// `now`. Without a note of before the watch begins here.
CaughtUp next_note(const std::optional<CaughtUp>& before, std::int64_t written, Timestamp asked,
                   bool all_here, Timestamp now, Duration delete_retention);

}  // namespace millrace::mirror
