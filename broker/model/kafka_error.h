// model/kafka_error.h
//
// What a Kafka client is told. Chosen only at the edge (handlers/error_map.cc and the pure managers
// whose answer is a protocol answer).
#pragma once

#include <cstdint>
#include <fmt/core.h>
#include <string_view>

#include "base/formatted.h"

namespace millrace {

enum class KafkaError : std::int16_t {
#define MR_KAFKA_ERROR(name, wire_name, code, retriable, message) name = code,
#include "model/kafka_errors.def"
#undef MR_KAFKA_ERROR
};

/// "NOT_LEADER_OR_FOLLOWER"; "UNKNOWN_SERVER_ERROR" for a code we don't know.
std::string_view to_string(KafkaError error);
/// The sentence Kafka's own clients show for it.
std::string_view message_of(KafkaError error);
bool is_retriable(KafkaError error);
inline std::int16_t code_of(KafkaError error) {
    return static_cast<std::int16_t>(error);
}

}  // namespace millrace

template <>
struct fmt::formatter<millrace::KafkaError> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    template <typename Context>
    auto format(const millrace::KafkaError& error, Context& context) const {
        return millrace::write_formatted(context, millrace::to_string(error));
    }
};
