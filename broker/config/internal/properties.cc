#include "config/internal/properties.h"

#include <cstdint>
#include <optional>

namespace millrace::config {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\f';
}

std::string_view without_leading_blanks(std::string_view line) {
    while (!line.empty() && is_blank(line.front())) {
        line.remove_prefix(1);
    }
    return line;
}

bool ends_in_continuation(std::string_view line) {
    std::size_t backslashes = 0;
    while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') {
        ++backslashes;
    }
    return backslashes % 2 == 1;
}

/// Cuts lines at \n, \r or \r\n and counts them.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}

    std::optional<std::string_view> next() {
        if (rest_.empty()) {
            return std::nullopt;
        }
        ++number_;
        const std::size_t end = rest_.find_first_of("\r\n");
        const std::string_view line = rest_.substr(0, end);
        if (end == std::string_view::npos) {
            rest_ = {};
        } else {
            rest_.remove_prefix(end + (rest_.substr(end, 2) == "\r\n" ? 2 : 1));
        }
        return line;
    }
    int number() const { return number_; }

private:
    std::string_view rest_;
    int number_ = 0;
};

void append_utf8(std::string& out, std::uint32_t point) {
    const auto byte = [&out](std::uint32_t b) { out.push_back(static_cast<char>(b)); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xc0 | point >> 6);
        byte(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        byte(0xe0 | point >> 12);
        byte(0x80 | (point >> 6 & 0x3f));
        byte(0x80 | (point & 0x3f));
    } else {
        byte(0xf0 | point >> 18);
        byte(0x80 | (point >> 12 & 0x3f));
        byte(0x80 | (point >> 6 & 0x3f));
        byte(0x80 | (point & 0x3f));
    }
}

std::optional<std::uint32_t> four_hex_digits(std::string_view text) {
    if (text.size() < 4) {
        return std::nullopt;
    }
    std::uint32_t value = 0;
    for (const char c : text.substr(0, 4)) {
        value <<= 4;
        if (c >= '0' && c <= '9') {
            value |= static_cast<std::uint32_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value |= static_cast<std::uint32_t>(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            value |= static_cast<std::uint32_t>(c - 'A' + 10);
        } else {
            return std::nullopt;
        }
    }
    return value;
}

/// Reads the \uXXXX that `rest` stands after the 'u' of, with its second half if it is a surrogate.
/// False for anything that is no character.
bool unescape_unicode(std::string_view& rest, std::string& out) {
    auto point = four_hex_digits(rest);
    if (!point) {
        return false;
    }
    rest.remove_prefix(4);
    if (*point >= 0xd800 && *point < 0xdc00) {
        const auto low = rest.starts_with("\\u") ? four_hex_digits(rest.substr(2)) : std::nullopt;
        if (!low || *low < 0xdc00 || *low > 0xdfff) {
            return false;
        }
        rest.remove_prefix(6);
        point = 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
    } else if (*point >= 0xdc00 && *point <= 0xdfff) {
        return false;
    }
    append_utf8(out, *point);
    return true;
}

/// None when an escape is malformed.
std::optional<std::string> unescaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (c != '\\') {
            out.push_back(c);
            continue;
        }
        if (text.empty()) {
            break;
        }
        const char escaped = text.front();
        text.remove_prefix(1);
        switch (escaped) {
            case 't':
                out.push_back('\t');
                break;
            case 'n':
                out.push_back('\n');
                break;
            case 'r':
                out.push_back('\r');
                break;
            case 'f':
                out.push_back('\f');
                break;
            case 'u':
                if (!unescape_unicode(text, out)) {
                    return std::nullopt;
                }
                break;
            default:
                out.push_back(escaped);
        }
    }
    return out;
}

struct RawProperty {
    std::string_view key;
    std::string_view value;
};

RawProperty split(std::string_view line) {
    std::size_t end = 0;
    while (end < line.size() && !is_blank(line[end]) && line[end] != '=' && line[end] != ':') {
        end += line[end] == '\\' && end + 1 < line.size() ? 2 : 1;
    }
    std::string_view value = without_leading_blanks(line.substr(end));
    if (!value.empty() && (value.front() == '=' || value.front() == ':')) {
        value = without_leading_blanks(value.substr(1));
    }
    return {line.substr(0, end), value};
}

}  // namespace

ParsedProperties parse_properties(std::string_view text) {
    ParsedProperties parsed;
    Lines lines{text};
    while (const auto natural = lines.next()) {
        const std::string_view first = without_leading_blanks(*natural);
        if (first.empty() || first.front() == '#' || first.front() == '!') {
            continue;
        }
        const int number = lines.number();
        std::string logical{first};
        while (ends_in_continuation(logical)) {
            logical.pop_back();
            const auto more = lines.next();
            if (!more) {
                break;
            }
            logical += without_leading_blanks(*more);
        }
        const RawProperty raw = split(logical);
        auto key = unescaped(raw.key);
        auto value = unescaped(raw.value);
        if (!key || !value) {
            parsed.problems.push_back({number, "\\u must be followed by four hexadecimal digits"});
            continue;
        }
        parsed.properties.push_back({*std::move(key), *std::move(value), number});
    }
    return parsed;
}

}  // namespace millrace::config
