// config/internal/text.h
//
// Small readings of text that several files of this room share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

/// Without white space at both ends, as Java's String.trim().
std::string_view trimmed(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower(std::string_view text);
bool is_digits(std::string_view text);
/// For a message: one line of ASCII, shortened, whatever the bytes are.
std::string readable(std::string_view text);

/// "a, b" → {"a", "b"}; "" → {}.
std::vector<std::string> split_list(std::string_view text);
std::string join_list(const std::vector<std::string>& list);
/// "a,,b" → {"a", "", "b"}: for lists in our own tables.
std::vector<std::string_view> split_words(std::string_view words);

/// ISO 8601 as Java's Duration reads it: P1DT2H3M4.5S.
bool is_iso_duration(std::string_view text);

}  // namespace millrace::config
