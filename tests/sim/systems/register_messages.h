// tests/sim/systems/register_messages.h
//
// The words of the replicated register: a client asks for the newest value of a key, or stores one;
// a replica answers. Texts, so that a trace can be read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace millrace::simtest {

/// Which of two values is newer. The nonce keeps two writes of one writer apart that both came
/// after the same third one.
struct Stamp {
    std::uint64_t counter = 0;
    std::uint64_t nonce = 0;
    friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

struct Versioned {
    Stamp stamp;
    std::string value;
    friend bool operator==(const Versioned&, const Versioned&) = default;
};

struct Request {
    std::uint64_t id = 0;
    bool is_store = false;
    std::string key;
    Versioned versioned;  ///< Of a store.
};

struct Reply {
    std::uint64_t id = 0;
    bool is_store = false;
    std::string key;
    Versioned versioned;  ///< Of a query.
};

/// The two look alike on the wire: "id S|Q key counter nonce value".
template <typename Message>
std::string to_text(const Message& message);
template <typename Message>
std::optional<Message> from_text(std::string_view text);

extern template std::string to_text(const Request&);
extern template std::string to_text(const Reply&);
extern template std::optional<Request> from_text(std::string_view);
extern template std::optional<Reply> from_text(std::string_view);

}  // namespace millrace::simtest
