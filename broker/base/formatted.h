// base/formatted.h
//
// What fmt::formatters write with. fmt::format_to() instantiates all of fmt in every unit that
// comes across it, which takes seconds each; fmt::format() calls the library.
#pragma once

#include <algorithm>
#include <fmt/core.h>
#include <string_view>

namespace millrace {

template <typename Context>
auto write_formatted(Context& context, std::string_view text) {
    return std::copy(text.begin(), text.end(), context.out());
}

}  // namespace millrace
