#include "config/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/overloaded.h"
#include "config/internal/text.h"

namespace millrace::config {

namespace {

using Parsed = std::variant<Value, std::string>;

Parsed wrong(std::string what) {
    return Parsed{std::in_place_index<1>, std::move(what)};
}
Parsed right(Value value) {
    return Parsed{std::in_place_index<0>, std::move(value)};
}

Parsed parse_boolean(std::string_view text) {
    if (equal_ignoring_case(text, "true")) {
        return right(true);
    }
    if (equal_ignoring_case(text, "false")) {
        return right(false);
    }
    return wrong("is not true or false");
}

Parsed parse_integer(std::string_view text, std::int64_t low, std::int64_t high) {
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool signs_twice = text.starts_with('+') && digits.starts_with('-');
    if (digits.empty() || signs_twice || error == std::errc::invalid_argument ||
        end != digits.data() + digits.size()) {
        return wrong("is not a whole number");
    }
    if (error != std::errc{} || value < low || value > high) {
        return wrong(fmt::format("is not between {} and {}", low, high));
    }
    return right(value);
}

Parsed parse_decimal(std::string_view text) {
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() ||
        !std::isfinite(value)) {
        return wrong("is not a number");
    }
    return right(value);
}

Parsed parse_type(Type type, std::string_view text) {
    switch (type) {
        case Type::boolean:
            return parse_boolean(text);
        case Type::int16:
            return parse_integer(text, std::numeric_limits<std::int16_t>::min(),
                                 std::numeric_limits<std::int16_t>::max());
        case Type::int32:
            return parse_integer(text, std::numeric_limits<std::int32_t>::min(),
                                 std::numeric_limits<std::int32_t>::max());
        case Type::int64:
            return parse_integer(text, std::numeric_limits<std::int64_t>::min(),
                                 std::numeric_limits<std::int64_t>::max());
        case Type::decimal:
            return parse_decimal(text);
        case Type::list:
            return right(split_list(text));
        case Type::password:
            return right(Secret{std::string{text}});
        case Type::string:
        case Type::class_name:
            return right(std::string{text});
    }
    MR_ASSERT(false);
}

bool is_in(std::string_view word, std::string_view words, bool any_case) {
    const auto known = split_words(words);
    return std::any_of(known.begin(), known.end(), [&](std::string_view one) {
        return any_case ? equal_ignoring_case(one, word) : one == word;
    });
}

bool all_are(const std::vector<std::string>& list, bool (*is_right)(std::string_view)) {
    return std::all_of(list.begin(), list.end(),
                       [&](const std::string& item) { return is_right(item); });
}

/// Partition:broker; Kafka lets empty items pass there.
bool is_replica(std::string_view pair) {
    const std::size_t colon = pair.find(':');
    return pair.empty() || (colon != std::string_view::npos && is_digits(pair.substr(0, colon)) &&
                            is_digits(pair.substr(colon + 1)));
}

/// host:port, possibly after a scheme: an address from a client's list is taken as it stands.
bool is_host_port(std::string_view text) {
    if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
        text.remove_prefix(scheme + 3);
    }
    const std::size_t colon = text.rfind(':');
    const std::string_view host = text.substr(0, colon);
    const auto in_host = [](char c) {
        return std::string_view{"-%._:[]"}.find(c) != std::string_view::npos ||
               (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    return colon != std::string_view::npos && std::all_of(host.begin(), host.end(), in_host) &&
           is_digits(text.substr(colon + 1));
}

bool is_voter(std::string_view text) {
    const std::size_t at = text.find('@');
    return at != std::string_view::npos && is_digits(text.substr(0, at)) &&
           is_host_port(text.substr(at + 1));
}

/// Lists whose items are pairs keep what they repeat and say themselves what an empty item is.
bool is_of_pairs(const Rule& rule) {
    return rule.kind == Rule::Kind::voters || rule.kind == Rule::Kind::host_ports ||
           rule.kind == Rule::Kind::throttled;
}

/// Of any other list, Kafka takes what is named again only once, at its first place.
void keep_each_once(const Rule& rule, std::vector<std::string>& list) {
    if (is_of_pairs(rule)) {
        return;
    }
    std::vector<std::string> once;
    for (std::string& item : list) {
        if (std::find(once.begin(), once.end(), item) == once.end()) {
            once.push_back(std::move(item));
        }
    }
    list = std::move(once);
}

bool has_empty_item(const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), "") != list.end();
}

bool allows_text(const Rule& rule, const std::string& text) {
    switch (rule.kind) {
        case Rule::Kind::one_of:
            return is_in(text, rule.words, false);
        case Rule::Kind::one_of_any_case:
            return is_in(text, rule.words, true);
        case Rule::Kind::not_empty:
            return !text.empty();
        case Rule::Kind::offset_reset:
            return text == "latest" || text == "earliest" ||
                   (text.starts_with("by_duration:") &&
                    is_iso_duration(std::string_view{text}.substr(12)));
        case Rule::Kind::memory_or_auto:
            return text == "auto" || is_digits(text);
        default:
            return true;
    }
}

bool allows_list(const Rule& rule, const std::vector<std::string>& list) {
    if (rule.kind == Rule::Kind::throttled) {
        return all_are(list, is_replica) || (list.size() == 1 && list.front() == "*");
    }
    if (has_empty_item(list) || (rule.needs_some && list.empty())) {
        return false;
    }
    switch (rule.kind) {
        case Rule::Kind::each_of:
            return std::all_of(list.begin(), list.end(), [&](const std::string& word) {
                return is_in(word, rule.words, false);
            });
        case Rule::Kind::voters:
            return all_are(list, is_voter);
        case Rule::Kind::host_ports:
            return all_are(list, is_host_port);
        default:
            return true;
    }
}

bool allows_number(const Rule& rule, double value) {
    switch (rule.kind) {
        case Rule::Kind::range_or_minus1:
            return value == -1 || (value >= rule.low && value <= rule.high);
        case Rule::Kind::range:
            return value >= rule.low && value <= rule.high;
        default:
            return true;
    }
}

bool allows(const Rule& rule, const Value& value) {
    return std::visit(
        Overloaded{
            [](std::monostate) { return true; },
            [](bool) { return true; },
            [&](std::int64_t n) { return allows_number(rule, static_cast<double>(n)); },
            [&](double n) { return allows_number(rule, n); },
            [&](const std::string& text) { return allows_text(rule, text); },
            [&](const std::vector<std::string>& list) { return allows_list(rule, list); },
            [](const Secret&) { return true; },
        },
        value);
}

std::string number_text(double value) {
    return value == std::floor(value) ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
}

std::string joined(std::string_view words) {
    std::string text;
    for (const std::string_view word : split_words(words)) {
        text += text.empty() ? "" : ", ";
        text += word.empty() ? "nothing" : word;
    }
    return text;
}

}  // namespace

std::variant<Value, std::string> parse_value(const Option& option, std::string_view text) {
    Parsed parsed = parse_type(option.type, trimmed(text));
    Value* const value = std::get_if<0>(&parsed);
    if (value == nullptr) {
        return parsed;
    }
    auto* const list = std::get_if<std::vector<std::string>>(value);
    if (list != nullptr) {
        keep_each_once(option.rule, *list);
    }
    if (!allows(option.rule, *value)) {
        return wrong(list != nullptr && list->empty() && option.rule.needs_some ? "is empty"
                     : list != nullptr && !is_of_pairs(option.rule) && has_empty_item(*list)
                         ? "has an empty item"
                         : "is not " + describe_rule(option.rule));
    }
    return parsed;
}

std::optional<std::string> to_text(const Value& value) {
    return std::visit(
        Overloaded{
            [](std::monostate) -> std::optional<std::string> { return std::nullopt; },
            [](bool flag) -> std::optional<std::string> { return flag ? "true" : "false"; },
            [](std::int64_t n) -> std::optional<std::string> { return std::to_string(n); },
            [](double n) -> std::optional<std::string> { return java_double(n); },
            [](const std::string& text) -> std::optional<std::string> { return text; },
            [](const std::vector<std::string>& list) -> std::optional<std::string> {
                return join_list(list);
            },
            [](const Secret&) -> std::optional<std::string> { return std::nullopt; },
        },
        value);
}

std::string describe_rule(const Rule& rule) {
    switch (rule.kind) {
        case Rule::Kind::anything:
            return rule.needs_some ? "not empty" : "";
        case Rule::Kind::range:
            return std::isinf(rule.high)
                       ? number_text(rule.low) + " or more"
                       : "between " + number_text(rule.low) + " and " + number_text(rule.high);
        case Rule::Kind::range_or_minus1:
            return "between " + number_text(rule.low) + " and " + number_text(rule.high) +
                   ", or -1";
        case Rule::Kind::one_of:
        case Rule::Kind::one_of_any_case:
            return "one of " + joined(rule.words);
        case Rule::Kind::each_of:
            return "a list of " + joined(rule.words);
        case Rule::Kind::not_empty:
            return "something";
        case Rule::Kind::voters:
            return "a list of id@host:port";
        case Rule::Kind::host_ports:
            return "a list of host:port";
        case Rule::Kind::throttled:
            return "* or a list of partition:broker";
        case Rule::Kind::offset_reset:
            return "latest, earliest or by_duration: and an ISO 8601 duration";
        case Rule::Kind::memory_or_auto:
            return "a number of bytes or auto";
    }
    MR_ASSERT(false);
}

std::string java_double(double value) {
    if (value == 0) {
        return std::signbit(value) ? "-0.0" : "0.0";
    }
    const double size = std::fabs(value);
    if (size >= 1e-3 && size < 1e7) {
        std::string text = fmt::format("{}", value);
        return text.find('.') == std::string::npos ? text + ".0" : text;
    }
    // Shortest digits that read back the same, as d.dddEn.
    char digits[32];
    const auto [end, error] =
        std::to_chars(digits, digits + sizeof(digits), value, std::chars_format::scientific);
    MR_ASSERT(error == std::errc{});
    const std::string_view all{digits, static_cast<std::size_t>(end - digits)};
    const std::size_t e = all.find('e');
    std::string mantissa{all.substr(0, e)};
    if (mantissa.find('.') == std::string::npos) {
        mantissa += ".0";
    }
    int exponent = 0;
    const std::string_view exponent_text = all.substr(e + (all[e + 1] == '+' ? 2 : 1));
    std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
    return mantissa + "E" + std::to_string(exponent);
}

std::string_view type_name(Type type) {
    switch (type) {
        case Type::boolean:
            return "boolean";
        case Type::string:
            return "string";
        case Type::int16:
            return "short";
        case Type::int32:
            return "int";
        case Type::int64:
            return "long";
        case Type::decimal:
            return "double";
        case Type::list:
            return "list";
        case Type::class_name:
            return "class";
        case Type::password:
            return "password";
    }
    MR_ASSERT(false);
}

std::int8_t kafka_type_number(Type type) {
    switch (type) {
        case Type::boolean:
            return 1;
        case Type::string:
            return 2;
        case Type::int32:
            return 3;
        case Type::int16:
            return 4;
        case Type::int64:
            return 5;
        case Type::decimal:
            return 6;
        case Type::list:
            return 7;
        case Type::class_name:
            return 8;
        case Type::password:
            return 9;
    }
    MR_ASSERT(false);
}

}  // namespace millrace::config
