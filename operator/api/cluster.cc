#include "operator/api/cluster.h"

#include <set>

#include "operator/api/internal/cluster_fields.h"
#include "operator/api/internal/cluster_status_fields.h"
#include "operator/api/internal/kind_schemas.h"
#include "operator/api/internal/parse.h"

namespace millrace::api {

std::vector<VolumeSpec> all_volumes(const StorageSpec& storage) {
    if (storage.size) {
        return {{.id = 0, .size = *storage.size, .storage_class = storage.storage_class}};
    }
    std::vector<VolumeSpec> volumes = storage.volumes;
    std::sort(volumes.begin(), volumes.end(),
              [](const VolumeSpec& a, const VolumeSpec& b) { return a.id < b.id; });
    for (VolumeSpec& volume : volumes) {
        if (!volume.storage_class) {
            volume.storage_class = storage.storage_class;
        }
    }
    return volumes;
}

bool listener_ports_differ(const Json& self, const Json* /*old_self*/) {
    std::set<std::int64_t> ports;
    const Json::Array& listeners = self["listeners"].items();
    return std::all_of(listeners.begin(), listeners.end(), [&](const Json& listener) {
        return ports.insert(listener["port"].integer()).second;
    });
}

std::vector<PoolSpec> all_pools(const ClusterSpec& spec) {
    std::vector<PoolSpec> pools = spec.pools;
    if (pools.empty()) {
        PoolSpec pool;
        pool.name = default_pool;
        pool.replicas = spec.replicas.value_or(0);
        pool.storage = spec.storage.value_or(StorageSpec{});
        pool.remove = spec.remove;
        pools.push_back(std::move(pool));
    }
    for (PoolSpec& pool : pools) {
        pool.resources = pool.resources.value_or(spec.resources);
        pool.pod_template = pool.pod_template.value_or(spec.pod_template);
    }
    return pools;
}

std::optional<PoolSpec> controllers_pool(const ClusterSpec& spec) {
    if (!spec.controllers) {
        return std::nullopt;
    }
    PoolSpec pool;
    pool.name = controllers_name;
    pool.replicas = spec.controllers->replicas;
    pool.storage = spec.controllers->storage;
    pool.resources = spec.controllers->resources;
    pool.pod_template = spec.pod_template;
    return pool;
}

std::int32_t total_replicas(const ClusterSpec& spec) {
    std::int32_t total = 0;
    for (const PoolSpec& pool : all_pools(spec)) {
        total += pool.replicas;
    }
    return total;
}

std::vector<ListenerSpec> all_listeners(const ClusterSpec& spec) {
    if (!spec.listeners.empty()) {
        return spec.listeners;
    }
    ListenerSpec plain;
    plain.name = "plain";
    plain.port = 9092;
    return {plain};
}

void fill_summary(ClusterStatus& status) {
    ClusterSummary summary;
    summary.ready = fmt::format("{}/{}", status.ready_replicas, status.replicas);
    if (status.rolling) {
        summary.rolling = fmt::format("{}/{}", status.rolling->done, status.rolling->total);
    }
    if (status.rebalance && status.rebalance->state == RebalanceState::moving) {
        // By bytes where there are any: moves of empty partitions say nothing.
        const bool by_bytes = status.rebalance->bytes.total > 0;
        const auto done = static_cast<double>(by_bytes ? status.rebalance->bytes.done
                                                       : status.rebalance->moves.done);
        const auto total = static_cast<double>(by_bytes ? status.rebalance->bytes.total
                                                        : status.rebalance->moves.total);
        summary.moving = fmt::format("{}%", total > 0 ? static_cast<int>(100 * done / total) : 0);
    }
    std::set<std::string> racks;
    for (const BrokerStatus& broker : status.brokers) {
        if (!broker.rack.empty()) {
            racks.insert(broker.rack);
        }
    }
    for (const std::string& rack : racks) {
        summary.racks += (summary.racks.empty() ? "" : ",") + rack;
    }
    for (const ListenerStatus& listener : status.listeners) {
        if (summary.bootstrap.empty()) {
            summary.bootstrap = listener.bootstrap;
        }
    }
    status.summary = std::move(summary);
}

Result<Cluster> parse_cluster(const kube::Json& object) {
    return parse_object<Cluster, ClusterSpec, ClusterStatus>(object);
}
Result<ClusterSpec> parse_cluster_spec(const kube::Json& spec) {
    return parse_described<ClusterSpec>(spec, "spec");
}
Result<ClusterStatus> parse_cluster_status(const kube::Json& status) {
    return parse_status<ClusterStatus>(status);
}
kube::Json to_json(const ClusterSpec& spec) {
    return Writer::write(spec);
}
kube::Json to_json(const ClusterStatus& status) {
    return Writer::write(status);
}

KindSchemas cluster_schemas() {
    KindSchemas schemas;
    schemas.spec = schema_of<ClusterSpec>(true, schemas.rules);
    schemas.status = schema_of<ClusterStatus>(false, schemas.rules);
    return schemas;
}

}  // namespace millrace::api
