#include "config/internal/text.h"

#include <algorithm>
#include <fmt/core.h>

namespace millrace::config {

namespace {

char lower_char(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Eats a number, with a fraction if allowed; false if there is none.
bool skip_number(std::string_view& text, bool fraction) {
    if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
        text.remove_prefix(1);
    }
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
        ++digits;
    }
    if (digits == 0) {
        return false;
    }
    text.remove_prefix(digits);
    if (fraction && text.starts_with('.')) {
        text.remove_prefix(1);
        while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
            text.remove_prefix(1);
        }
    }
    return true;
}

/// Eats numbers followed by the given units, each at most once and in order; how many there were,
/// or -1 if something else is in between.
int skip_parts(std::string_view& text, std::string_view units) {
    int parts = 0;
    while (!text.empty() && lower_char(text.front()) != 't') {
        if (!skip_number(text, units.find('s') != std::string_view::npos) || text.empty()) {
            return -1;
        }
        const std::size_t unit = units.find(lower_char(text.front()));
        if (unit == std::string_view::npos) {
            return -1;
        }
        units.remove_prefix(unit + 1);
        text.remove_prefix(1);
        ++parts;
    }
    return parts;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    const auto is_space = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return lower_char(x) == lower_char(y);
           });
}

std::string lower(std::string_view text) {
    std::string out{text};
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower_char(c); });
    return out;
}

std::string readable(std::string_view text) {
    constexpr std::size_t most = 200;
    std::string out;
    for (const char c : text.substr(0, most)) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte >= ' ' && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    }
    if (text.size() > most) {
        out += fmt::format("... ({} bytes)", text.size());
    }
    return out;
}

bool is_digits(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> list;
    if (text.empty()) {
        return list;
    }
    for (const std::string_view word : split_words(text)) {
        list.emplace_back(trimmed(word));
    }
    return list;
}

std::string join_list(const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& item : list) {
        if (&item != &list.front()) {
            text += ',';
        }
        text += item;
    }
    return text;
}

std::vector<std::string_view> split_words(std::string_view words) {
    std::vector<std::string_view> out;
    while (true) {
        const std::size_t comma = words.find(',');
        out.push_back(words.substr(0, comma));
        if (comma == std::string_view::npos) {
            return out;
        }
        words.remove_prefix(comma + 1);
    }
}

bool is_iso_duration(std::string_view text) {
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        text.remove_prefix(1);
    }
    if (text.empty() || lower_char(text.front()) != 'p') {
        return false;
    }
    text.remove_prefix(1);
    const int days = skip_parts(text, "d");
    if (days < 0) {
        return false;
    }
    if (text.empty()) {
        return days > 0;
    }
    text.remove_prefix(1);  // the T
    return skip_parts(text, "hms") > 0 && text.empty();
}

}  // namespace millrace::config
