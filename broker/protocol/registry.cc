#include "protocol/registry.h"

#include <vector>

namespace millrace::protocol {

namespace internal {
// Each ends with a row without a name.
#define MR_GROUP(number) extern const MessageType messages_of_group_##number[];
#include "protocol/messages/groups.def"
#undef MR_GROUP
}  // namespace internal

std::span<const MessageType> all_messages() {
    static const std::vector<MessageType> messages = [] {
        std::vector<MessageType> joined;
        for (const MessageType* row : {
#define MR_GROUP(number) internal::messages_of_group_##number,
#include "protocol/messages/groups.def"
#undef MR_GROUP
             }) {
            for (; !row->name.empty(); ++row) {
                joined.push_back(*row);
            }
        }
        return joined;
    }();
    return messages;
}

const MessageType* find_message(std::string_view name) {
    for (const MessageType& type : all_messages()) {
        if (type.name == name) {
            return &type;
        }
    }
    return nullptr;
}

}  // namespace millrace::protocol
