// config/internal/cross_checks.h
//
// What must hold between settings, each of which is fine by itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace millrace::config {

struct Conflict {
    std::string key;
    std::string what;
    bool is_mild = false;  ///< One can live with it where the setting is left at its default.
    std::vector<std::string_view> also{};  ///< Other settings that it comes of.
    bool is_doubt = false;  ///< There may be a reason for it: told, and in nobody's way.
};

/// Of a broker's settings as it would start with them.
std::vector<Conflict> broker_conflicts(const BrokerValues& values);
/// Of a topic's settings over this broker's.
std::vector<Conflict> topic_conflicts(const TopicValues& topic, const BrokerValues& broker);
/// Of a group's settings: within the limits that the broker sets.
std::vector<Conflict> group_conflicts(const GroupValues& group, const BrokerValues& broker);

}  // namespace millrace::config
