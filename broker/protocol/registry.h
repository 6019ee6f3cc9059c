// protocol/registry.h
//
// Every message by name, for what treats them all alike: vectors, fuzzers, dumps. Whoever handles
// one message includes its own header instead.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/types.h"

namespace millrace::protocol {

struct MessageType {
    std::string_view name;      ///< "FetchRequest"
    std::string_view kind;      ///< request, response, header, metadata, coordinator-key, ...
    std::string_view family;    ///< rpc, metadata, group, transaction, share, remote_log, data
    std::int16_t api_key = -1;  ///< -1 for one without.
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    std::int16_t first_flexible_version = 0;

    /// Decodes, and encodes again if that went well; both report faults their own way.
    void (*recode)(Reader& in, Writer& out, std::int16_t version) = nullptr;
    /// Decodes into debug_string(); empty at a fault.
    std::string (*debug_string)(Reader& in, std::int16_t version) = nullptr;
};

/// In alphabetical order of name.
std::span<const MessageType> all_messages();
/// nullptr for a name that no message has.
const MessageType* find_message(std::string_view name);

}  // namespace millrace::protocol
