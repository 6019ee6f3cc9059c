// protocol/internal/registry_row.h
//
// For generated sources: what registry.h says of one message.
#pragma once

#include <string>
#include <string_view>

#include "protocol/reader.h"
#include "protocol/registry.h"
#include "protocol/writer.h"

namespace millrace::protocol::internal {

template <typename Message>
void recode(Reader& in, Writer& out, std::int16_t version) {
    Message message;
    message.decode(in, version);
    if (in.ok()) {
        message.encode(out, version);
    }
}

template <typename Message>
std::string debug_string(Reader& in, std::int16_t version) {
    Message message;
    message.decode(in, version);
    return in.ok() ? message.debug_string() : std::string{};
}

template <typename Message>
constexpr MessageType registry_row(std::string_view name, std::string_view kind,
                                   std::string_view family) {
    return {.name = name,
            .kind = kind,
            .family = family,
            .api_key = Message::api_key,
            .min_version = Message::min_version,
            .max_version = Message::max_version,
            .first_flexible_version = Message::first_flexible_version,
            .recode = recode<Message>,
            .debug_string = debug_string<Message>};
}

}  // namespace millrace::protocol::internal
