// base/edit_distance.h
//
// How far two words are apart: for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace {

/// Edits (insert, delete, replace) that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace millrace
