// config/config.h
//
// The configuration of one broker, from three places: what it was started with (server.properties,
// environment, command line), what the cluster's metadata says now (ConfigRecords for the cluster
// default, this broker, a topic, a group), and the defaults of the tables. Everything here is pure
// and immutable once made: any thread may read it. app makes a new BrokerConfig when the metadata's
// entries change, and gives each room the small struct that it wants.
//
//   Loaded loaded = load({.text = file, .file_name = "server.properties", .environment = env});
//   if (!loaded.errors.empty()) { print them all; exit 2; }
//   BrokerConfig config{loaded.given, cluster_default_entries, this_brokers_entries};
//   config.broker().get(broker_option::log_segment_bytes)                 // std::int32_t
//   config.topic(overrides).get(topic_option::retention_ms)               // std::int64_t
//   config.describe_topic(overrides)                                      // what DescribeConfigs
//   says
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/secret.h"
#include "config/options.h"

namespace millrace::config {

/// Settings as text, as files, metadata records and requests carry them.
using Entries = std::map<std::string, std::string, std::less<>>;

// ---- What a broker is started with -----------------------------------------------------------

/// Something wrong in what we were started with, for a person to mend.
struct Problem {
    std::string key;
    std::string value;  ///< "[hidden]" for a secret.
    std::string where;  ///< "server.properties:12", "environment MILLRACE_LOG_DIRS".
    std::string what;
    std::string remedy;  ///< What to write instead; may be empty.
    std::string to_string() const;
};

/// The settings given at the start, checked: names known, values valid.
struct Given {
    Entries entries;
    std::map<std::string, std::string, std::less<>> where;  ///< Key → place, for messages.
};

struct Source {
    std::string text;  ///< A server.properties file's contents; may be empty.
    std::string file_name = "server.properties";
    std::vector<std::string> environment;   ///< "NAME=value", as the process has it.
    std::vector<std::string> command_line;  ///< "key=value", as given with --set.
};

struct Loaded {
    std::shared_ptr<const Given> given;
    std::vector<Problem> errors;    ///< Not empty: don't start. All of them, not the first.
    std::vector<Problem> warnings;  ///< Accepted, and worth a log line.
};

/// Later places win: file, then environment, then command line.
Loaded load(const Source& source);

/// The option that an environment variable stands for: MILLRACE_LOG_SEGMENT_BYTES is
/// log.segment.bytes, MILLRACE_DURABILITY is millrace.durability. nullptr for any other name.
const Option* option_of_environment_name(std::string_view name);

// ---- Values ----------------------------------------------------------------------------------

/// One value, of its option's type; std::monostate when unset.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string,
                           std::vector<std::string>, Secret>;

/// Text to value as Kafka reads it (trimmed, "true"/"false" in any case, comma separated lists);
/// the string says what is wrong, for a person.
std::variant<Value, std::string> parse_value(const Option& option, std::string_view text);

/// Every option of one scope, resolved and typed.
template <Scope scope>
class Values {
public:
    explicit Values(std::vector<Value> values) : values_(std::move(values)) {}

    /// bool, std::int16_t/32_t/64_t, double, const std::string&, const std::vector<std::string>&
    /// or const Secret&. Asserts that there is a value: use find() for an option without a default.
    /// Text without a value reads as empty.
    template <Type type>
    decltype(auto) get(Key<scope, type> key) const {
        const Value& value = values_[key.row];
        if constexpr (type == Type::boolean) {
            return as<bool>(value);
        } else if constexpr (type == Type::int16) {
            return static_cast<std::int16_t>(as<std::int64_t>(value));
        } else if constexpr (type == Type::int32) {
            return static_cast<std::int32_t>(as<std::int64_t>(value));
        } else if constexpr (type == Type::int64) {
            return std::int64_t{as<std::int64_t>(value)};
        } else if constexpr (type == Type::decimal) {
            return double{as<double>(value)};
        } else if constexpr (type == Type::list) {
            return or_empty<std::vector<std::string>>(value);
        } else if constexpr (type == Type::password) {
            return or_empty<Secret>(value);
        } else {
            return or_empty<std::string>(value);
        }
    }

    /// None when unset.
    template <Type type>
    auto find(Key<scope, type> key) const
        -> std::optional<std::remove_cvref_t<decltype(this->get(key))>> {
        if (!is_set(key)) {
            return std::nullopt;
        }
        return get(key);
    }

    template <Type type>
    bool is_set(Key<scope, type> key) const {
        return !std::holds_alternative<std::monostate>(values_[key.row]);
    }

    const Value& at(std::size_t row) const { return values_[row]; }

private:
    template <typename T>
    static const T& as(const Value& value) {
        const T* held = std::get_if<T>(&value);
        MR_ASSERT(held != nullptr);
        return *held;
    }
    template <typename T>
    static const T& or_empty(const Value& value) {
        static const T empty{};
        const T* held = std::get_if<T>(&value);
        return held == nullptr ? empty : *held;
    }

    std::vector<Value> values_;
};

using BrokerValues = Values<Scope::broker>;
using TopicValues = Values<Scope::topic>;
using GroupValues = Values<Scope::group>;

// ---- DescribeConfigs -------------------------------------------------------------------------

/// Kafka's numbers, as DescribeConfigs carries them.
enum class ConfigSource : std::int8_t {
    unknown = 0,
    topic = 1,
    dynamic_broker = 2,
    dynamic_default_broker = 3,
    static_broker = 4,
    fallback = 5,
    dynamic_broker_logger = 6,
    client_metrics = 7,
    group = 8,
};

struct Synonym {
    std::string name;
    std::optional<std::string> value;
    ConfigSource source = ConfigSource::unknown;
};

struct Described {
    std::string name;
    std::optional<std::string> value;  ///< None: unset, or a secret.
    bool read_only = false;
    ConfigSource source = ConfigSource::unknown;
    bool sensitive = false;
    std::int8_t type = 0;  ///< Kafka's number of the type.
    std::string documentation;
    std::vector<Synonym> synonyms;  ///< The first is the one in force.
};

// ---- One broker's configuration at a metadata offset ------------------------------------------

class BrokerConfig {
public:
    /// `cluster_default` and `this_broker` are the metadata's entries of those resources.
    explicit BrokerConfig(std::shared_ptr<const Given> given, Entries cluster_default = {},
                          Entries this_broker = {});
    ~BrokerConfig();
    BrokerConfig(BrokerConfig&&) noexcept;
    BrokerConfig& operator=(BrokerConfig&&) noexcept;

    const BrokerValues& broker() const;
    /// With `listener.name.<listener>.` settings put over the plain ones; `listener` in any case.
    BrokerValues broker_for_listener(std::string_view listener) const;
    /// A setting that no table has, by its whole name:
    /// listener.name.x.scram-sha-256.sasl.jaas.config.
    std::optional<std::string> other(std::string_view name) const;

    const TopicValues& topic_defaults() const;
    TopicValues topic(const Entries& overrides) const;
    const GroupValues& group_defaults() const;
    GroupValues group(const Entries& overrides) const;

    std::vector<Described> describe_broker() const;
    std::vector<Described> describe_cluster_default() const;
    std::vector<Described> describe_topic(const Entries& overrides) const;
    std::vector<Described> describe_group(const Entries& overrides) const;
    std::vector<Described> describe_client_metrics(const Entries& overrides) const;

    const Given& given() const;
    const Entries& cluster_default() const;
    const Entries& this_broker() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace millrace::config
