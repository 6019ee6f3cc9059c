// base/secret.h
//
// A string that can't be printed: formatting and logging show only that it is there. reveal() is
// the one way to the value, and easy to search for.
#pragma once

#include <fmt/core.h>
#include <string>
#include <string_view>
#include <utility>

#include "base/formatted.h"

namespace millrace {

class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    ~Secret();
    Secret(const Secret&) = default;
    Secret(Secret&&) = default;
    Secret& operator=(const Secret&) = default;
    Secret& operator=(Secret&&) = default;

    const std::string& reveal() const { return value_; }
    bool empty() const { return value_.empty(); }
    friend bool operator==(const Secret&, const Secret&) = default;

private:
    std::string value_;
};

}  // namespace millrace

template <>
struct fmt::formatter<millrace::Secret> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    template <typename Context>
    auto format(const millrace::Secret&, Context& context) const {
        return millrace::write_formatted(context, "[hidden]");
    }
};
