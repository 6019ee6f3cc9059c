// config/option.h
//
// What one row of the option tables (broker/config/*.def) says. Everything that knows options reads
// these rows: the parser, DescribeConfigs, AlterConfigs, the printed documentation and the tests
// that hold the table against Apache Kafka's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace millrace::config {

/// Whose setting it is. Kafka keeps four name spaces; the same name may mean different things.
enum class Scope : std::uint8_t { broker, topic, group, client_metrics };

/// Kafka's value types. `password` values are secrets: never printed, never described.
enum class Type : std::uint8_t {
    boolean,
    string,
    int16,
    int32,
    int64,
    decimal,
    list,
    class_name,
    password
};

enum class Importance : std::uint8_t { high, medium, low };

/// Who may change it while the broker runs.
enum class Update : std::uint8_t { read_only, per_broker, cluster_wide };

/// What we do with it.
enum class Support : std::uint8_t {
    honoured,        ///< It does what its documentation says; tests/arch holds that it is read.
    without_effect,  ///< Accepted and reported; `why` says why nothing changes.
    refused          ///< Any value but the default is an error; `why` says why.
};

/// What values are allowed, beyond the type.
struct Rule {
    enum class Kind : std::uint8_t {
        anything,
        range,            ///< low ≤ value ≤ high
        range_or_minus1,  ///< a range, or -1 for "the default"
        one_of,           ///< the value is one of `words`
        one_of_any_case,
        each_of,         ///< every element of a list is one of `words`
        not_empty,       ///< set means set to something
        voters,          ///< id@host:port, ...
        host_ports,      ///< host:port, ...
        throttled,       ///< `*` or partition:broker,...
        offset_reset,    ///< latest, earliest or by_duration:<ISO 8601>
        memory_or_auto,  ///< bytes, or "auto"
    };
    Kind kind = Kind::anything;
    double low = 0;
    double high = 0;
    std::string_view words;   ///< Comma separated.
    bool needs_some = false;  ///< A list must not be empty.
};

struct Option {
    std::string_view name;
    const char* fallback = nullptr;  ///< As text; nullptr: unset unless given.
    Rule rule;
    Importance importance = Importance::medium;
    Update update = Update::read_only;
    Support support = Support::honoured;
    bool internal = false;      ///< Kafka hides it from documentation and DescribeConfigs.
    bool only_dynamic = false;  ///< Never in a file: set while brokers run.
    std::string_view why;       ///< For without_effect and refused.
    std::string_view deviates;  ///< Why our default is not Kafka's; empty where it is.
    /// Where an unset value is looked for, in this order: names of broker options, each with an
    /// optional "*minutes" or "*hours" that turns it into milliseconds. A broker option that has
    /// alternatives names itself at its place.
    std::string_view synonyms;
    std::string_view doc;  ///< One sentence of ours.

    Type type = Type::string;  // from here on filled by the table
    Scope scope = Scope::broker;
    bool ours = false;  ///< Not Kafka's: millrace.* and cluster.id.

    bool sensitive() const { return type == Type::password; }
};

/// A row's place in its scope's table, with its type: the way to ask for a value.
template <Scope scope_, Type type_>
struct Key {
    static constexpr Scope scope = scope_;
    static constexpr Type type = type_;
    std::uint16_t row;
};

/// All rows of a scope, in table order (a Key's `row` indexes it).
std::span<const Option> options(Scope scope);

/// nullptr for a name that the scope doesn't have.
const Option* find_option(Scope scope, std::string_view name);

/// The row's position in options(its scope).
std::size_t row_of(const Option& option);

/// Of the entries that hold mirror links, one each: its name follows, the value begins with its
/// version.
inline constexpr std::string_view mirror_link_prefix = "millrace.mirror.link.";

/// The known name closest to a misspelt one; empty when nothing is near.
std::string_view nearest_name(Scope scope, std::string_view name);

}  // namespace millrace::config
