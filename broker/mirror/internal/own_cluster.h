// mirror/internal/own_cluster.h
//
// What a link asks of its own cluster's controller, marked as a link's own doing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mirror/links.h"
#include "model/kafka_error.h"

namespace millrace::mirror {

using SettingChanges = std::map<std::string, std::optional<std::string>>;

class OwnCluster {
public:
    using Done = UniqueFunction<void(Result<void>)>;

    explicit OwnCluster(Controller& controller) : controller_(controller) {}

    void create_topic(const std::string& name, std::int32_t partitions,
                      std::int16_t replication_factor, const SettingChanges& settings, Done done);
    void grow_topic(const std::string& name, std::int32_t partitions, Done done);
    void set_topic(const std::string& name, const SettingChanges& changes, Done done);
    void append_to_topic(const std::string& name, const std::string& setting,
                         const std::string& entry, Done done);
    /// The entry of a link; no value removes it.
    void set_link(const std::string& name, const std::optional<std::string>& value, Done done);

private:
    struct Change {
        std::string name;
        std::int8_t operation;
        std::optional<std::string> value;
    };
    void alter(std::int8_t resource_type, const std::string& resource,
               const std::vector<Change>& changes, Done done);

    Controller& controller_;
};

}  // namespace millrace::mirror
