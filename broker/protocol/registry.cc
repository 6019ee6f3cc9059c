#include "protocol/registry.h"

#include "protocol/messages/all.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {
namespace {

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
constexpr MessageType type_of(std::string_view name, std::string_view kind,
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

constexpr MessageType messages[] = {
#define MR_MESSAGE(type, kind, family) type_of<type>(#type, kind, family),
#include "protocol/messages/list.def"
#undef MR_MESSAGE
};

}  // namespace

std::span<const MessageType> all_messages() {
    return messages;
}

const MessageType* find_message(std::string_view name) {
    for (const MessageType& type : messages) {
        if (type.name == name) {
            return &type;
        }
    }
    return nullptr;
}

}  // namespace millrace::protocol
