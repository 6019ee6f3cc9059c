#include "tests/sim/systems/register_messages.h"

#include <charconv>
#include <fmt/core.h>

namespace millrace::simtest {

namespace {

std::string_view next_word(std::string_view& text) {
    const auto space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    return word;
}

bool next_number(std::string_view& text, std::uint64_t& number) {
    const std::string_view word = next_word(text);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc{} && end == word.data() + word.size();
}

}  // namespace

template <typename Message>
std::string to_text(const Message& message) {
    return fmt::format("{} {} {} {} {} {}", message.id, message.is_store ? 'S' : 'Q', message.key,
                       message.versioned.stamp.counter, message.versioned.stamp.nonce,
                       message.versioned.value);
}

template <typename Message>
std::optional<Message> from_text(std::string_view text) {
    Message message;
    if (!next_number(text, message.id)) {
        return std::nullopt;
    }
    message.is_store = next_word(text) == "S";
    message.key = next_word(text);
    if (!next_number(text, message.versioned.stamp.counter) ||
        !next_number(text, message.versioned.stamp.nonce)) {
        return std::nullopt;
    }
    message.versioned.value = text;
    return message;
}

template std::string to_text(const Request&);
template std::string to_text(const Reply&);
template std::optional<Request> from_text(std::string_view);
template std::optional<Reply> from_text(std::string_view);

}  // namespace millrace::simtest
