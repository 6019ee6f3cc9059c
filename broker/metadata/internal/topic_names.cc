#include "metadata/internal/topic_names.h"

#include <algorithm>

namespace millrace::metadata {
namespace {

constexpr std::size_t max_topic_name = 249;

bool is_allowed(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

}  // namespace

MaybeRefusal check_topic_name(std::string_view name) {
    const auto refuse = [](std::string why) {
        return Refusal{KafkaError::invalid_topic_exception, std::move(why)};
    };
    if (name.empty()) {
        return refuse("a topic needs a name");
    }
    if (name == "." || name == "..") {
        return refuse(fmt::format("'{}' is no name for a topic", name));
    }
    if (name.size() > max_topic_name) {
        return refuse(fmt::format("a topic's name has at most {} characters, this has {}",
                                  max_topic_name, name.size()));
    }
    if (!std::all_of(name.begin(), name.end(), is_allowed)) {
        return refuse(
            fmt::format("'{}' has a character other than letters, digits, '.', '_' and '-'", name));
    }
    return std::nullopt;
}

}  // namespace millrace::metadata
