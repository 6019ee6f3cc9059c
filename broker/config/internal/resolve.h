// config/internal/resolve.h
//
// Which of several places a value comes from, and how DescribeConfigs tells it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace millrace::config {

/// The three places a broker's settings come from, strongest last.
struct Layers {
    const Entries& given;
    const Entries& cluster_default;
    const Entries& this_broker;
};

/// None for text that the option doesn't take: what the metadata holds was checked by whoever wrote
/// it, and a broker of another version may have other rules. Then the next place counts.
std::optional<Value> valid_value(const Option& option, std::string_view text);

/// `prefix` is empty, or "listener.name.<listener>." for settings of that listener over the plain.
BrokerValues resolve_broker(const Layers& layers, const std::string& prefix);

/// The values of a topic, group or subscription without settings of its own: what the broker's
/// synonyms say, else the table's defaults.
template <Scope scope>
Values<scope> resolve_from_broker(const Layers& layers);

std::vector<Described> describe_broker(const Layers& layers);
std::vector<Described> describe_cluster_default(const Layers& layers);
std::vector<Described> describe_entity(const Layers& layers, Scope scope, ConfigSource own,
                                       const Entries& overrides,
                                       const std::function<Value(std::size_t row)>& value_at);

/// One name in Option::synonyms, with the factor that turns it into milliseconds.
struct SynonymName {
    std::string_view name;
    std::int64_t factor = 1;
};
std::vector<SynonymName> synonyms_of(const Option& option);

}  // namespace millrace::config
