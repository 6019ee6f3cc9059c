// config/alter.h
//
// The pure half of AlterConfigs and IncrementalAlterConfigs: from what a resource has and what is
// asked for to the entries that the metadata should record, or a sentence that says why not. The
// caller has authorised, and records the changes through the quorum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/config.h"

namespace millrace::config {

/// Kafka's numbers, as IncrementalAlterConfigs carries them.
enum class AlterOp : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct Alteration {
    std::string name;
    AlterOp op = AlterOp::set;
    std::optional<std::string> value;
    bool by_link = false;  ///< By a mirror link of this cluster: it keeps millrace.mirror.*.
};

/// What a ConfigRecord says: a new value, or none to remove it.
struct Change {
    std::string name;
    std::optional<std::string> value;
    friend bool operator==(const Change&, const Change&) = default;
};

struct Refusal {
    enum class Kind { invalid_config, invalid_request };
    Kind kind = Kind::invalid_config;
    std::string message;
};

/// Which resource is altered; the names are Kafka's resource types.
enum class Resource { topic, cluster_default, broker, group, client_metrics };

using Altered = std::variant<std::vector<Change>, Refusal>;

/// IncrementalAlterConfigs: each alteration changes one entry, the rest stays. `current` holds the
/// resource's own entries (not resolved ones); `config` is needed for the defaults that APPEND and
/// SUBTRACT start from and for rules between settings.
Altered alter(Resource resource, const Entries& current, const std::vector<Alteration>& asked,
              const BrokerConfig& config);

/// AlterConfigs (the old form): the resource has exactly `wanted` afterwards.
Altered replace(Resource resource, const Entries& current, const Entries& wanted,
                const BrokerConfig& config);

/// The settings of a topic about to be created.
Altered check_new_topic(const Entries& wanted, const BrokerConfig& config);

}  // namespace millrace::config
