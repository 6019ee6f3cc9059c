// operator/api/words.h
//
// Enumerations as manifests write them. Each has its words beside it, in the order of enumerators.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>

namespace millrace::api {

/// Specialised beside each enumeration: `static constexpr std::array<std::string_view, N> list`.
template <typename Enum>
struct Words;

template <typename Enum>
concept Worded = requires {
    { Words<Enum>::list.size() } -> std::convertible_to<std::size_t>;
};

template <Worded Enum>
constexpr std::string_view to_string(Enum value) {
    return Words<Enum>::list[static_cast<std::size_t>(value)];
}

template <Worded Enum>
constexpr std::optional<Enum> from_word(std::string_view word) {
    for (std::size_t i = 0; i < Words<Enum>::list.size(); ++i) {
        if (Words<Enum>::list[i] == word) {
            return static_cast<Enum>(i);
        }
    }
    return std::nullopt;
}

}  // namespace millrace::api
