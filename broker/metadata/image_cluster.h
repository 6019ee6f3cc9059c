// metadata/image_cluster.h
//
// The brokers and controllers of an image.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metadata/persistent_map.h"
#include "metadata/ref.h"
#include "model/ids.h"

namespace millrace::metadata {

struct Endpoint {
    std::string listener;
    std::string host;
    std::uint16_t port = 0;
    std::int16_t security_protocol = 0;  ///< Kafka's SecurityProtocol ids: 0 PLAINTEXT, 1 SSL, ...
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct VersionRange {
    std::int16_t min = 0;
    std::int16_t max = 0;
    bool contains(std::int16_t level) const { return level >= min && level <= max; }
    friend bool operator==(const VersionRange&, const VersionRange&) = default;
};

struct Broker : RefCounted {
    BrokerId id;
    BrokerEpoch epoch;
    Uuid incarnation;
    std::vector<Endpoint> endpoints;
    std::map<std::string, VersionRange> features;
    std::optional<std::string> rack;
    bool fenced = true;
    bool in_controlled_shutdown = false;
    bool is_migrating = false;      ///< Only in logs that came from a ZooKeeper migration.
    std::vector<Uuid> directories;  ///< Online log directories, sorted.
    /// Directories that take no new replicas (KIP-1066), sorted; nullopt until the broker told.
    std::optional<std::vector<Uuid>> cordoned_directories;

    const Endpoint* endpoint(std::string_view listener) const;
    bool has_online_directory(const Uuid& directory) const;
    /// Every directory is cordoned: the broker takes no new replica.
    bool is_cordoned() const;
    /// Up and staying: may lead and join an ISR.
    bool is_active() const { return !fenced && !in_controlled_shutdown; }
    friend bool operator==(const Broker& a, const Broker& b);
};
using BrokerRef = Ref<const Broker>;

struct ControllerNode : RefCounted {
    BrokerId id;
    Uuid incarnation;
    bool is_migration_ready = false;
    std::vector<Endpoint> endpoints;
    std::map<std::string, VersionRange> features;

    const Endpoint* endpoint(std::string_view listener) const;
    friend bool operator==(const ControllerNode& a, const ControllerNode& b);
};
using ControllerNodeRef = Ref<const ControllerNode>;

class Cluster {
public:
    const Broker* broker(BrokerId id) const {
        const BrokerRef* found = brokers.find(id);
        return found != nullptr ? found->get() : nullptr;
    }
    bool is_active(BrokerId id) const {
        const Broker* found = broker(id);
        return found != nullptr && found->is_active();
    }
    bool is_unfenced(BrokerId id) const {
        const Broker* found = broker(id);
        return found != nullptr && !found->fenced;
    }

    PersistentMap<BrokerId, BrokerRef> brokers;
    PersistentMap<BrokerId, ControllerNodeRef> controllers;
};

}  // namespace millrace::metadata
