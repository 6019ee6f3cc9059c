// metrics/log_sink.h
//
// Where a real broker's log goes: one logfmt line per event to standard error or a file, at most so
// many lines of one event in a second (what was left out is counted and said). Secrets never get
// here: a Secret's field is "[hidden]".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"

namespace millrace::metrics {

struct LogSinkOptions {
    std::string file;  ///< Appended to; empty: standard error.
    std::uint32_t lines_per_event_and_second = 50;
};

/// `wall` gives the time of a line, `written` (may be empty) is told each line's level, or that one
/// was suppressed. Both are called from any thread.
Result<std::shared_ptr<LogSink>> make_log_sink(
    LogSinkOptions options, std::function<Timestamp()> wall,
    std::function<void(Level, bool suppressed)> written = {});

/// time=2026-01-02T03:04:05.678Z level=info event=storage.segment_rolled partition=orders-0 ...
std::string format_log_line(Timestamp at, Level level, std::string_view event,
                            std::initializer_list<Field> fields);

}  // namespace millrace::metrics
