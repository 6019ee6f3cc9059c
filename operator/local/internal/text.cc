#include "operator/local/internal/text.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fmt/core.h>

namespace millrace::local {

using kube::Json;

std::string rfc3339(Timestamp at) {
    const std::time_t seconds = at.milliseconds / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
    std::tm parts{};
    const std::string owned(text);
    if (strptime(owned.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) {
        return std::nullopt;
    }
    return Timestamp{timegm(&parts) * 1000};
}

std::string human_duration(Duration span) {
    const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(span).count();
    const std::int64_t minutes = seconds / 60;
    const std::int64_t hours = minutes / 60;
    const std::int64_t days = hours / 24;
    const auto both = [](std::int64_t big, const char* unit, std::int64_t small,
                         const char* small_unit) {
        return small == 0 ? fmt::format("{}{}", big, unit)
                          : fmt::format("{}{}{}{}", big, unit, small, small_unit);
    };
    if (seconds < 0) {
        return "0s";
    }
    if (seconds < 120) {
        return fmt::format("{}s", seconds);
    }
    if (minutes < 10) {
        return both(minutes, "m", seconds % 60, "s");
    }
    if (hours < 3) {
        return fmt::format("{}m", minutes);
    }
    if (hours < 8) {
        return both(hours, "h", minutes % 60, "m");
    }
    if (hours < 48) {
        return fmt::format("{}h", hours);
    }
    if (days < 8) {
        return both(days, "d", hours % 24, "h");
    }
    if (days < 365 * 2) {
        return fmt::format("{}d", days);
    }
    return both(days / 365, "y", days % 365, "d");
}

std::string age(const Json& timestamp, Timestamp now) {
    const auto at = parse_rfc3339(timestamp.text());
    return at ? human_duration(now - *at) : "<unknown>";
}

std::optional<double> parse_quantity(const Json& quantity) {
    if (quantity.is_number()) {
        return quantity.number();
    }
    static constexpr std::pair<std::string_view, double> units[] = {
        {"", 1},
        {"m", 1e-3},
        {"k", 1e3},
        {"M", 1e6},
        {"G", 1e9},
        {"T", 1e12},
        {"P", 1e15},
        {"Ki", 1024.0},
        {"Mi", 1024.0 * 1024},
        {"Gi", 1024.0 * 1024 * 1024},
        {"Ti", 1024.0 * 1024 * 1024 * 1024},
        {"Pi", 1024.0 * 1024 * 1024 * 1024 * 1024}};
    const std::string& text = quantity.text();
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const auto& [name, factor] : units) {
        if (unit == name) {
            return number * factor;
        }
    }
    return std::nullopt;
}

namespace {

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t word = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            word = word << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            out += i + j <= text.size() ? base64_digits[word >> (18 - 6 * j) & 63] : '=';
        }
    }
    return out;
}

std::string from_base64(std::string_view text) {
    std::string out;
    std::uint32_t word = 0;
    int bits = 0;
    for (const char c : text) {
        const std::size_t digit = base64_digits.find(c);
        if (digit == std::string_view::npos) {
            continue;
        }
        word = word << 6 | static_cast<std::uint32_t>(digit);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(word >> bits & 0xff);
        }
    }
    return out;
}

namespace {

/// `[0]`, `[*]`, `["a.b"]` or `[?(@.type=="Ready")]`, without the brackets.
void step_into(const Json& value, std::string_view inside, std::vector<const Json*>& found) {
    if (inside == "*") {
        for (const Json& item : value.items()) {
            found.push_back(&item);
        }
        return;
    }
    if (inside.starts_with("?(@.")) {
        const std::size_t equals = inside.find("==");
        if (equals == std::string_view::npos) {
            return;
        }
        std::string_view name = inside.substr(4, equals - 4);
        std::string_view wanted = inside.substr(equals + 2);
        wanted = wanted.substr(0, wanted.rfind(')'));
        while (!name.empty() && name.back() == ' ') {
            name.remove_suffix(1);
        }
        const auto quote = [](char c) { return c == '"' || c == '\'' || c == ' '; };
        while (!wanted.empty() && quote(wanted.front())) {
            wanted.remove_prefix(1);
        }
        while (!wanted.empty() && quote(wanted.back())) {
            wanted.remove_suffix(1);
        }
        for (const Json& item : value.items()) {
            if (item[name].text() == wanted) {
                found.push_back(&item);
            }
        }
        return;
    }
    if (inside.size() > 2 && (inside.front() == '"' || inside.front() == '\'')) {
        if (const Json* member = value.find(inside.substr(1, inside.size() - 2))) {
            found.push_back(member);
        }
        return;
    }
    std::size_t index = 0;
    std::from_chars(inside.data(), inside.data() + inside.size(), index);
    if (index < value.items().size()) {
        found.push_back(&value[index]);
    }
}

}  // namespace

std::vector<const Json*> json_path(const Json& root, std::string_view path) {
    std::vector<const Json*> at = {&root};
    while (!path.empty()) {
        std::vector<const Json*> next;
        if (path.front() == '[') {
            const std::size_t end = path.find(']');
            if (end == std::string_view::npos) {
                return {};
            }
            for (const Json* value : at) {
                step_into(*value, path.substr(1, end - 1), next);
            }
            path.remove_prefix(end + 1);
        } else {
            path.remove_prefix(path.front() == '.' ? 1 : 0);
            std::string name;
            while (!path.empty() && path.front() != '.' && path.front() != '[') {
                if (path.front() == '\\' && path.size() > 1) {
                    path.remove_prefix(1);
                }
                name += path.front();
                path.remove_prefix(1);
            }
            for (const Json* value : at) {
                if (const Json* member = value->find(name)) {
                    next.push_back(member);
                }
            }
        }
        at = std::move(next);
    }
    return at;
}

void set_json_path(Json& root, std::string_view path, Json value) {
    Json* at = &root;
    while (!path.empty()) {
        path.remove_prefix(path.front() == '.' ? 1 : 0);
        const std::size_t dot = std::min(path.find('.'), path.size());
        at = &(*at)[path.substr(0, dot)];
        path.remove_prefix(dot);
    }
    *at = std::move(value);
}

}  // namespace millrace::local
