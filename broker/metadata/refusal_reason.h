// metadata/refusal_reason.h
//
// Why a broker may not register, in words: Kafka's answer has only an error code, which many
// mistakes share. Lies in a tagged field (a number of our own) that Kafka's brokers ignore.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace millrace::metadata {

inline constexpr std::uint32_t refusal_reason_tag = 11'003;

/// Empty where none was given. The text lives as long as `response`.
template <typename Response>
std::string_view refusal_reason(const Response& response) {
    for (const auto& tag : response.unknown_tags) {
        if (tag.tag == refusal_reason_tag) {
            return as_text(tag.data);
        }
    }
    return {};
}

}  // namespace millrace::metadata
