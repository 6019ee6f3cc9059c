#include "mirror/horizon_core.h"

#include <charconv>
#include <fmt/core.h>

namespace millrace::mirror {

std::string to_text(const CaughtUp& note) {
    return fmt::format("{}:{}:{}", note.at.milliseconds, note.written, note.horizon_passed ? 1 : 0);
}

std::optional<CaughtUp> caught_up_in(std::string_view text) {
    std::int64_t numbers[3] = {};
    const char* at = text.data();
    const char* const stop = at + text.size();
    for (std::int64_t& number : numbers) {
        const auto [end, error] = std::from_chars(at, stop, number);
        if (error != std::errc{}) {
            return std::nullopt;
        }
        at = end == stop ? end : end + 1;
    }
    return CaughtUp{Timestamp{numbers[0]}, numbers[1], numbers[2] != 0};
}

CaughtUp next_note(const std::optional<CaughtUp>& before, std::int64_t written, Timestamp asked,
                   bool all_here, Timestamp now, Duration delete_retention) {
    if (!before) {
        return {asked, written, false};
    }
    CaughtUp note = *before;
    // Where nothing was written, no tombstone was either.
    const bool moved = written != before->written;
    note.horizon_passed = before->horizon_passed || (moved && now - before->at > delete_retention);
    if (all_here) {
        note.at = asked;
        note.written = written;
    }
    return note;
}

}  // namespace millrace::mirror
