// base/uuid.h
//
// A 128-bit id, printed as Kafka prints it: 22 characters of URL-safe base64 without padding.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <fmt/core.h>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/formatted.h"
#include "base/random.h"

namespace millrace {

struct Uuid {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
    bool is_zero() const { return high == 0 && low == 0; }

    /// A random version-4 id that is none of Kafka's reserved ones and does not start with '-'
    /// (command lines take such an id for an option).
    static Uuid random(Random& random);
    static std::optional<Uuid> parse(std::string_view text);
    std::string to_string() const;
};

}  // namespace millrace

template <>
struct std::hash<millrace::Uuid> {
    std::size_t operator()(const millrace::Uuid& id) const noexcept {
        return static_cast<std::size_t>(id.high ^ (id.low * 0x9e3779b97f4a7c15ULL));
    }
};

template <>
struct fmt::formatter<millrace::Uuid> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    template <typename Context>
    auto format(const millrace::Uuid& id, Context& context) const {
        return millrace::write_formatted(context, id.to_string());
    }
};
