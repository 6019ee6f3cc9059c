#include "runtime/real/stderr_log.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <unistd.h>

#include "runtime/logfmt.h"
#include "runtime/real/internal/system.h"

namespace millrace::runtime {

namespace {

std::string utc(Timestamp at) {
    const std::time_t seconds = at.milliseconds / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       at.milliseconds % 1000);
}

}  // namespace

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
