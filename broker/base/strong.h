// base/strong.h
//
// Strong<Tag, Rep>: an integer that only mixes with its own kind. A wrong argument order becomes
// a compile error.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <fmt/core.h>
#include <functional>
#include <string>

#include "base/formatted.h"

namespace millrace {

template <typename Tag, typename Rep>
struct Strong {
    using rep = Rep;
    Rep value{};

    constexpr Strong() = default;
    constexpr explicit Strong(Rep v) : value(v) {}
    friend constexpr auto operator<=>(const Strong&, const Strong&) = default;
    constexpr Strong& operator++() {
        ++value;
        return *this;
    }
};

}  // namespace millrace

template <typename Tag, typename Rep>
struct std::hash<millrace::Strong<Tag, Rep>> {
    std::size_t operator()(const millrace::Strong<Tag, Rep>& s) const noexcept {
        // Multiplicative mixing: ids are small and dense, buckets are not.
        return static_cast<std::size_t>(static_cast<std::uint64_t>(s.value) *
                                        0x9e3779b97f4a7c15ULL);
    }
};

template <typename Tag, typename Rep>
struct fmt::formatter<millrace::Strong<Tag, Rep>> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    template <typename Context>
    auto format(const millrace::Strong<Tag, Rep>& s, Context& context) const {
        return millrace::write_formatted(context, std::to_string(s.value));
    }
};
