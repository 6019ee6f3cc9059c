#include "groups/internal/env.h"

#include <algorithm>
#include <fmt/format.h>

namespace millrace::groups {

namespace {

const GroupOverrides* find(const StringMap<GroupOverrides>& overrides, std::string_view group) {
    const auto found = overrides.find(group);
    return found == overrides.end() ? nullptr : &found->second;
}

}  // namespace

Duration Env::consumer_session_timeout(std::string_view group) const {
    const GroupOverrides* own = find(overrides, group);
    return own != nullptr && own->consumer_session_timeout
               ? std::clamp(*own->consumer_session_timeout, settings.consumer_min_session_timeout,
                            settings.consumer_max_session_timeout)
               : settings.consumer_session_timeout;
}

Duration Env::consumer_heartbeat_interval(std::string_view group) const {
    const GroupOverrides* own = find(overrides, group);
    return own != nullptr && own->consumer_heartbeat_interval
               ? std::clamp(*own->consumer_heartbeat_interval,
                            settings.consumer_min_heartbeat_interval,
                            settings.consumer_max_heartbeat_interval)
               : settings.consumer_heartbeat_interval;
}

Duration Env::consumer_assignment_interval(std::string_view group) const {
    const GroupOverrides* own = find(overrides, group);
    return own != nullptr && own->consumer_assignment_interval
               ? std::clamp(*own->consumer_assignment_interval,
                            settings.consumer_min_assignment_interval,
                            settings.consumer_max_assignment_interval)
               : settings.consumer_assignment_interval;
}

std::string random_uuid_text(Random& random) {
    const std::uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
    const std::uint64_t low = (random.next() & ~(3ULL << 62)) | (2ULL << 62);
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                       high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

}  // namespace millrace::groups
