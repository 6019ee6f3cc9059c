#include "operator/api/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/core.h>

namespace millrace::api {

namespace {

struct Unit {
    std::string_view suffix;
    double factor;
};

constexpr double ki = 1024;
constexpr std::array<Unit, 12> units{{{"", 1},
                                      {"m", 0.001},
                                      {"k", 1e3},
                                      {"M", 1e6},
                                      {"G", 1e9},
                                      {"T", 1e12},
                                      {"P", 1e15},
                                      {"Ki", ki},
                                      {"Mi", ki* ki},
                                      {"Gi", ki* ki* ki},
                                      {"Ti", ki* ki* ki* ki},
                                      {"Pi", ki* ki* ki* ki* ki}}};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace

std::optional<Quantity> Quantity::parse(std::string_view text) {
    const auto end_of_number = static_cast<std::size_t>(
        std::find_if(text.begin(), text.end(), [](char c) { return !is_digit(c) && c != '.'; }) -
        text.begin());
    const std::string_view digits = text.substr(0, end_of_number);
    const std::string_view suffix = text.substr(end_of_number);
    const auto unit = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& known) { return known.suffix == suffix; });
    if (digits.empty() || !is_digit(digits.front()) || !is_digit(digits.back()) ||
        unit == units.end()) {
        return std::nullopt;
    }
    double number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const double milli = number * unit->factor * 1000;
    if (error != std::errc() || end != digits.data() + digits.size() || milli > 9.2e18) {
        return std::nullopt;
    }
    Quantity quantity;
    quantity.text_ = text;
    quantity.milli_ = static_cast<std::int64_t>(std::ceil(milli));
    return quantity;
}

Quantity Quantity::of_bytes(std::int64_t bytes) {
    constexpr std::array<std::string_view, 6> binary{"", "Ki", "Mi", "Gi", "Ti", "Pi"};
    std::size_t unit = 0;
    std::int64_t rest = bytes;
    while (rest != 0 && rest % 1024 == 0 && unit + 1 < binary.size()) {
        rest /= 1024;
        ++unit;
    }
    Quantity quantity;
    quantity.text_ = fmt::format("{}{}", rest, binary[unit]);
    quantity.milli_ = bytes * 1000;
    return quantity;
}

std::int64_t Quantity::value() const {
    return milli_ / 1000 + (milli_ % 1000 > 0 ? 1 : 0);
}

namespace {

struct SpanUnit {
    std::string_view suffix;
    std::int64_t milliseconds;
};

/// From large to small, as they are written.
constexpr std::array<SpanUnit, 5> span_units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

}  // namespace

std::optional<Span> Span::parse(std::string_view text) {
    constexpr std::int64_t longest = std::int64_t{100} * 365 * 86'400'000;
    std::int64_t total = 0;
    if (text.empty()) {
        return std::nullopt;
    }
    while (!text.empty()) {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const auto digits = static_cast<std::size_t>(end - text.data());
        if (error != std::errc() || digits == 0 || number < 0 || number > longest) {
            return std::nullopt;
        }
        text.remove_prefix(digits);
        const auto letters = static_cast<std::size_t>(
            std::find_if(text.begin(), text.end(), is_digit) - text.begin());
        const auto unit = std::find_if(
            span_units.begin(), span_units.end(),
            [&](const SpanUnit& known) { return known.suffix == text.substr(0, letters); });
        if (unit == span_units.end() || number > longest / unit->milliseconds) {
            return std::nullopt;
        }
        total += number * unit->milliseconds;
        if (total > longest) {
            return std::nullopt;
        }
        text.remove_prefix(letters);
    }
    return Span(std::chrono::milliseconds(total));
}

std::string Span::to_string() const {
    std::int64_t rest = length.count();
    if (rest == 0) {
        return "0s";
    }
    std::string text;
    for (const SpanUnit& unit : span_units) {
        if (rest >= unit.milliseconds) {
            text += fmt::format("{}{}", rest / unit.milliseconds, unit.suffix);
            rest %= unit.milliseconds;
        }
    }
    return text;
}

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
    const auto found = std::find_if(conditions.begin(), conditions.end(),
                                    [&](const Condition& known) { return known.type == type; });
    return found == conditions.end() ? nullptr : &*found;
}

void set_condition(std::vector<Condition>& conditions, Condition condition, std::string_view now) {
    const auto found =
        std::find_if(conditions.begin(), conditions.end(),
                     [&](const Condition& known) { return known.type == condition.type; });
    if (found == conditions.end()) {
        condition.last_transition_time = now;
        conditions.push_back(std::move(condition));
        return;
    }
    condition.last_transition_time =
        found->status == condition.status ? found->last_transition_time : std::string(now);
    *found = std::move(condition);
}

Metadata parse_metadata(const kube::Json& object) {
    const kube::Json& from = object["metadata"];
    Metadata metadata{.name = from["name"].text(),
                      .space = from["namespace"].text(),
                      .uid = from["uid"].text(),
                      .resource_version = from["resourceVersion"].text(),
                      .generation = from["generation"].integer(),
                      .creation_timestamp = from["creationTimestamp"].text(),
                      .deletion_timestamp = from["deletionTimestamp"].text(),
                      .labels = {},
                      .annotations = {},
                      .finalizers = {}};
    for (const auto& [name, value] : from["labels"].members()) {
        metadata.labels[name] = value.text();
    }
    for (const auto& [name, value] : from["annotations"].members()) {
        metadata.annotations[name] = value.text();
    }
    for (const kube::Json& finalizer : from["finalizers"].items()) {
        metadata.finalizers.push_back(finalizer.text());
    }
    return metadata;
}

}  // namespace millrace::api
