// handlers/topic_names.h
//
// Which names topics may have, and which ones are the brokers' own.
#pragma once

#include <algorithm>
#include <string_view>

namespace millrace::handlers {

inline constexpr std::string_view offsets_topic = "__consumer_offsets";
inline constexpr std::string_view transactions_topic = "__transaction_state";
inline constexpr std::string_view share_state_topic = "__share_group_state";

inline bool is_internal_topic(std::string_view name) {
    return name == offsets_topic || name == transactions_topic || name == share_state_topic;
}

inline bool is_valid_topic_name(std::string_view name) {
    constexpr std::size_t longest = 249;
    return !name.empty() && name.size() <= longest && name != "." && name != ".." &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
           });
}

}  // namespace millrace::handlers
