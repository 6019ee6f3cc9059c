// mirror/internal/own_cluster.h
//
// What a link asks of its own cluster's controller, marked as a link's own doing. Changes of
// settings that are asked for while others are under way travel together: a failover of a thousand
// topics is a handful of requests. Lives on the control loop.
#pragma once

#include <map>
#include <memory>
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

    OwnCluster(Controller& controller, runtime::Executor& loop);
    ~OwnCluster();

    void create_topic(const std::string& name, std::int32_t partitions,
                      std::int16_t replication_factor, const SettingChanges& settings, Done done);
    void grow_topic(const std::string& name, std::int32_t partitions, Done done);
    void delete_topic(Uuid id, Done done);
    void set_topic(const std::string& name, const SettingChanges& changes, Done done);
    void append_to_topic(const std::string& name, const std::string& setting,
                         const std::string& entry, Done done);
    void subtract_from_topic(const std::string& name, const std::string& setting,
                             const std::string& entries, Done done);
    /// The entry of a link; no value removes it.
    void set_link(const std::string& name, const std::optional<std::string>& value, Done done);

private:
    class Alterations;

    Controller& controller_;
    std::shared_ptr<Alterations> alterations_;
};

}  // namespace millrace::mirror
