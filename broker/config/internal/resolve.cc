#include "config/internal/resolve.h"

#include <algorithm>
#include <limits>

#include "config/internal/text.h"

namespace millrace::config {

namespace {

/// What the layers say under a name, the strongest first; nullptr if nobody says anything.
const std::string* text_in(const Layers& layers, const Option& option, const std::string& name) {
    if (option.update != Update::read_only) {
        for (const Entries* dynamic : {&layers.this_broker, &layers.cluster_default}) {
            const auto found = dynamic->find(name);
            if (found != dynamic->end() && valid_value(option, found->second)) {
                return &found->second;
            }
        }
    }
    const auto given = layers.given.find(name);
    return given == layers.given.end() ? nullptr : &given->second;
}

/// A broker option by itself, without its alternatives; unset without a default.
Value plain_value(const Layers& layers, const Option& option, const std::string& prefix) {
    for (const std::string& name : {prefix + std::string{option.name}, std::string{option.name}}) {
        const std::string* text = text_in(layers, option, name);
        if (auto value = text == nullptr ? std::nullopt : valid_value(option, *text)) {
            return *std::move(value);
        }
    }
    if (option.fallback == nullptr) {
        return {};
    }
    auto value = valid_value(option, option.fallback);
    MR_ASSERT(value.has_value());
    return *std::move(value);
}

/// -1 stays "no limit" in any unit.
std::int64_t in_milliseconds(std::int64_t value, std::int64_t factor) {
    if (value < 0) {
        return -1;
    }
    const std::int64_t most = std::numeric_limits<std::int64_t>::max() / factor;
    return value > most ? std::numeric_limits<std::int64_t>::max() : value * factor;
}

/// A broker's value as the option of a topic or group that falls back to it.
Value converted(Value value, const Option& to, std::int64_t factor) {
    if (auto* number = std::get_if<std::int64_t>(&value); number != nullptr && factor != 1) {
        return in_milliseconds(*number, factor);
    }
    // A group has one assignor, a broker a list of which the first is the default.
    if (auto* list = std::get_if<std::vector<std::string>>(&value);
        list != nullptr && to.type != Type::list) {
        return list->empty() ? Value{} : Value{list->front()};
    }
    return value;
}

Value value_from_broker(const Layers& layers, const Option& option) {
    const std::vector<SynonymName> synonyms = synonyms_of(option);
    // Whatever is said anywhere under any of the names comes before any default.
    for (const bool only_said : {true, false}) {
        for (const SynonymName& synonym : synonyms) {
            const Option* source = find_option(Scope::broker, synonym.name);
            MR_ASSERT(source != nullptr);
            if (only_said && text_in(layers, *source, std::string{source->name}) == nullptr) {
                continue;
            }
            Value value = plain_value(layers, *source, "");
            if (!std::holds_alternative<std::monostate>(value)) {
                return converted(std::move(value), option, synonym.factor);
            }
        }
    }
    return option.fallback == nullptr ? Value{} : *valid_value(option, option.fallback);
}

}  // namespace

std::optional<Value> valid_value(const Option& option, std::string_view text) {
    auto parsed = parse_value(option, text);
    Value* value = std::get_if<Value>(&parsed);
    return value == nullptr ? std::nullopt : std::optional<Value>{std::move(*value)};
}

std::vector<SynonymName> synonyms_of(const Option& option) {
    std::vector<SynonymName> names;
    if (option.synonyms.empty()) {
        return names;
    }
    for (const std::string_view word : split_words(option.synonyms)) {
        const std::size_t star = word.find('*');
        const std::string_view unit = star == std::string_view::npos ? "" : word.substr(star + 1);
        names.push_back({word.substr(0, star), unit == "hours"     ? 3'600'000
                                               : unit == "minutes" ? 60'000
                                                                   : 1});
    }
    return names;
}

BrokerValues resolve_broker(const Layers& layers, const std::string& prefix) {
    std::vector<Value> values;
    for (const Option& option : options(Scope::broker)) {
        values.push_back(plain_value(layers, option, prefix));
    }
    return BrokerValues{std::move(values)};
}

template <Scope scope>
Values<scope> resolve_from_broker(const Layers& layers) {
    std::vector<Value> values;
    for (const Option& option : options(scope)) {
        values.push_back(value_from_broker(layers, option));
    }
    return Values<scope>{std::move(values)};
}
template TopicValues resolve_from_broker<Scope::topic>(const Layers&);
template GroupValues resolve_from_broker<Scope::group>(const Layers&);
template Values<Scope::client_metrics> resolve_from_broker<Scope::client_metrics>(const Layers&);

}  // namespace millrace::config
