#include "operator/kube/time_text.h"

#include <ctime>
#include <fmt/core.h>

namespace millrace::kube {

namespace {

std::string to_seconds(Timestamp at) {
    const std::time_t seconds = at.milliseconds / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

std::string time_text(Timestamp at) {
    return to_seconds(at) + "Z";
}

std::optional<Timestamp> parse_time(std::string_view text) {
    std::tm parts{};
    const std::string copy(text);
    const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    return Timestamp{static_cast<std::int64_t>(timegm(&parts)) * 1000};
}

std::string micro_time_text(Timestamp at) {
    return fmt::format("{}.{:06}Z", to_seconds(at), at.milliseconds % 1000 * 1000);
}

}  // namespace millrace::kube
