// base/error.h
//
// What went wrong in the world: a code to act on and a sentence for a person. Errors of our own
// reasoning are MR_ASSERT, what a Kafka client is told is model/kafka_error.h.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace millrace {

enum class Code {
    again,         ///< Nothing to do right now; come back when woken.
    busy,          ///< A limit is reached; retrying later may succeed.
    cancelled,     ///< The caller or a shutdown withdrew the request.
    closed,        ///< The connection or the object is gone.
    corrupt,       ///< Bytes that fail a check.
    exhausted,     ///< A bounded resource is used up (memory budget, descriptors).
    exists,        ///< Something with that identity is already there.
    fenced,        ///< An epoch or owner newer than the caller's is known.
    internal,      ///< A library we call failed in a way we don't know.
    invalid,       ///< The input is wrong: configuration, request, file format.
    io,            ///< The disk or the kernel refused.
    no_space,      ///< The disk is full.
    not_found,     ///< There is nothing with that identity.
    not_leader,    ///< Another node decides this.
    permission,    ///< The caller may not.
    timed_out,     ///< The deadline passed; the outcome may be unknown.
    unavailable,   ///< A peer can't be reached.
    unsupported,   ///< Understood, and not offered.
};

std::string_view to_string(Code code);

class Error {
public:
    Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

    template <typename... Args>
    static Error make(Code code, fmt::format_string<Args...> format, Args&&... args) {
        return Error(code, fmt::format(format, std::forward<Args>(args)...));
    }

    Code code() const { return code_; }
    const std::string& message() const { return message_; }

    /// "corrupt: orders-0/000.log: magic 0x7"
    std::string to_string() const;

    /// The same error with the caller's facts in front: "opening orders-0: no such file".
    Error with_context(std::string_view context) const;

private:
    Code code_;
    std::string message_;
};

}  // namespace millrace
