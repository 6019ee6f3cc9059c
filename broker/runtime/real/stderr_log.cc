#include "runtime/real/stderr_log.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <unistd.h>

#include "runtime/real/internal/system.h"

namespace millrace::runtime {

namespace {

bool is_plain(std::string_view value) {
    return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return c > ' ' && c < 127 && c != '"' && c != '\\' && c != '=';
    });
}

void append_value(std::string& line, std::string_view value) {
    if (is_plain(value)) {
        line += value;
        return;
    }
    line += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (static_cast<unsigned char>(c) < ' ' || c == 127) {
            // One event is one line, whatever a peer put into a name.
            line += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
            line += c;
        }
    }
    line += '"';
}

std::string utc(Timestamp at) {
    const std::time_t seconds = at.milliseconds / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       at.milliseconds % 1000);
}

}  // namespace

std::string to_logfmt(Level level, std::string_view event, std::initializer_list<Field> fields) {
    std::string line = fmt::format("{} {}", to_string(level), event);
    for (const Field& one : fields) {
        line += ' ';
        line += one.name;
        line += '=';
        append_value(line, one.value);
    }
    return line;
}

void DescriptorLogSink::write(Level level, std::string_view event,
                              std::initializer_list<Field> fields) {
    const std::string line =
        fmt::format("{} {}\n", utc(internal::wall_now()), to_logfmt(level, event, fields));
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t put = ::write(descriptor_, rest.data(), rest.size());
        if (put < 0 && errno != EINTR) {
            return;  // A log that can't be written is nobody's reason to stop.
        }
        rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(put, 0)));
    }
}

}  // namespace millrace::runtime
