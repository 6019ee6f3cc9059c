// tests/fuzz/protocol_input.h
//
// What the message fuzzers take: two bytes choose the message of the family, one its version, the
// rest is its body.
#pragma once

#include <string_view>
#include <vector>

#include "protocol/registry.h"

namespace millrace::fuzz {

inline constexpr std::size_t prefix_size = 3;

inline bool is_in_family(const protocol::MessageType& type, std::string_view family) {
    if (family == "requests") {
        return type.kind == "request";
    }
    if (family == "responses") {
        return type.kind == "response";
    }
    if (family == "headers") {
        return type.kind == "header" || type.kind == "data";
    }
    if (family == "coordinators") {
        return type.kind == "coordinator-key" || type.kind == "coordinator-value";
    }
    return type.kind == "metadata" && type.family == family;
}

inline std::vector<protocol::MessageType> family_of(std::string_view family) {
    std::vector<protocol::MessageType> types;
    for (const protocol::MessageType& type : protocol::all_messages()) {
        if (is_in_family(type, family)) {
            types.push_back(type);
        }
    }
    return types;
}

}  // namespace millrace::fuzz
