#include "metrics/log_sink.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <unistd.h>

namespace millrace::metrics {

namespace {

bool needs_quotes(std::string_view value) {
    if (value.empty()) {
        return true;
    }
    for (const char c : value) {
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' ||
            c == '\x7f') {
            return true;
        }
    }
    return false;
}

void append_value(std::string& line, std::string_view value) {
    if (!needs_quotes(value)) {
        line += value;
        return;
    }
    line += '"';
    for (const char c : value) {
        switch (c) {
            case '"':
                line += "\\\"";
                break;
            case '\\':
                line += "\\\\";
                break;
            case '\n':
                line += "\\n";
                break;
            case '\r':
                line += "\\r";
                break;
            case '\t':
                line += "\\t";
                break;
            default:
                // Other control characters could repaint a terminal that shows the log.
                if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
                    line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
                } else {
                    line += c;
                }
        }
    }
    line += '"';
}

/// Days since 1970-01-01 to a date (proleptic Gregorian).
struct Date {
    std::int64_t year;
    unsigned month;
    unsigned day;
};
Date date_of(std::int64_t days) {
    const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
    return {static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
            static_cast<unsigned>(date.day())};
}

std::string format_time(Timestamp at) {
    constexpr std::int64_t day_ms = 86'400'000;
    const std::int64_t days =
        at.milliseconds >= 0 ? at.milliseconds / day_ms : (at.milliseconds - day_ms + 1) / day_ms;
    const std::int64_t of_day = at.milliseconds - days * day_ms;
    const Date date = date_of(days);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", date.year, date.month,
                       date.day, of_day / 3'600'000, of_day / 60'000 % 60, of_day / 1000 % 60,
                       of_day % 1000);
}

class LogfmtSink final : public LogSink {
public:
    LogfmtSink(int descriptor, bool owned, LogSinkOptions options, std::function<Timestamp()> wall,
               std::function<void(Level, bool)> written)
        : descriptor_(descriptor),
          owned_(owned),
          options_(std::move(options)),
          wall_(std::move(wall)),
          written_(std::move(written)) {}
    ~LogfmtSink() override {
        if (owned_) {
            ::close(descriptor_);
        }
    }

    void write(Level level, std::string_view event, std::initializer_list<Field> fields) override {
        const std::lock_guard lock{mutex_};
        const Timestamp now = wall_();
        std::uint64_t left_out = 0;
        const bool let_through = may_write(now, level, event, left_out);
        if (written_) {
            written_(level, !let_through);
        }
        if (!let_through) {
            return;
        }
        if (left_out > 0) {
            put(format_log_line(now, Level::warn, "log.suppressed",
                                {field("of", event), field("lines", left_out)}));
        }
        put(format_log_line(now, level, event, fields));
    }

private:
    struct Recent {
        std::int64_t second = 0;
        std::uint32_t lines = 0;
        std::uint64_t left_out = 0;
    };

    /// An error is never left out: a person must act on it.
    bool may_write(Timestamp now, Level level, std::string_view event, std::uint64_t& left_out) {
        auto found = recent_.find(event);
        if (found == recent_.end()) {
            found = recent_.emplace(std::string{event}, Recent{}).first;
        }
        Recent& recent = found->second;
        if (const std::int64_t second = now.milliseconds / 1000; second != recent.second) {
            recent.second = second;
            recent.lines = 0;
        }
        if (level != Level::error && recent.lines >= options_.lines_per_event_and_second) {
            ++recent.left_out;
            return false;
        }
        ++recent.lines;
        left_out = std::exchange(recent.left_out, 0);
        return true;
    }

    /// One write for one line, so that lines of several processes don't mix. A log that can't be
    /// written has nobody to tell; the counter of lines shows that they were meant.
    void put(const std::string& line) const {
        std::string_view rest = line;
        while (!rest.empty()) {
            const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
            if (written < 0) {
                if (errno == EINTR) {
                    continue;
                }
                return;
            }
            rest.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    std::mutex mutex_;
    int descriptor_;
    bool owned_;
    LogSinkOptions options_;
    std::function<Timestamp()> wall_;
    std::function<void(Level, bool)> written_;
    std::map<std::string, Recent, std::less<>> recent_;
};

}  // namespace

Result<std::shared_ptr<LogSink>> make_log_sink(LogSinkOptions options,
                                               std::function<Timestamp()> wall,
                                               std::function<void(Level, bool)> written) {
    int descriptor = STDERR_FILENO;
    const bool owned = !options.file.empty();
    if (owned) {
        descriptor = ::open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (descriptor < 0) {
            return Error::make(Code::io, "opening the log {}: {}", options.file,
                               std::strerror(errno));
        }
    }
    return std::shared_ptr<LogSink>{std::make_shared<LogfmtSink>(
        descriptor, owned, std::move(options), std::move(wall), std::move(written))};
}

std::string format_log_line(Timestamp at, Level level, std::string_view event,
                            std::initializer_list<Field> fields) {
    std::string line =
        fmt::format("time={} level={} event={}", format_time(at), to_string(level), event);
    for (const Field& one : fields) {
        line += ' ';
        line += one.name;
        line += '=';
        append_value(line, one.value);
    }
    line += '\n';
    return line;
}

}  // namespace millrace::metrics
