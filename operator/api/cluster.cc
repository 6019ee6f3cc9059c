#include "operator/api/cluster.h"

#include <re2/re2.h>
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

// ---- Rules: the CEL and the predicate that says the same ---------------------------------------

namespace {

constexpr std::string_view name_with_id = R"(^(\w|\{id\})((-*|\.)(\w|\{id\}))*\.?$)";
constexpr std::string_view long_label = "[^.]{64}";
/// No name ends like this: what does is meant to be an IPv4 address.
constexpr std::string_view number_at_end = R"((^|\.)\d+\.?$)";
constexpr std::string_view ipv4 = R"(^((25[0-5]|(2[0-4]|1?\d)?\d)(\.|$)){4}$)";
constexpr std::string_view ipv6 = R"(^\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+\]$)";
constexpr std::string_view odd_component = R"((^|/)\.\.?(/|$)|//)";
constexpr std::string_view path_of_the_image =
    "^/((usr|usr/bin|usr/lib|lib|lib64|bin|sbin|etc|var|var/lib|dev|proc|sys)/?)?$";
constexpr std::string_view class_name = R"(^([a-z0-9]+((-+|\.)[a-z0-9]+)*)?$)";

bool matches(const Json& value, std::string_view pattern) {
    return RE2::PartialMatch(value.text(), RE2(std::string(pattern), RE2::Quiet));
}

std::string matches_cel(std::string_view what, std::string_view pattern) {
    return fmt::format("{}.matches(r'{}')", what, pattern);
}

}  // namespace

std::string host_cel() {
    const std::string host = "self.host";
    return fmt::format("{} || (self.host != '0.0.0.0' && {} && !{} && (!{} || {}))",
                       matches_cel(host, ipv6), matches_cel(host, name_with_id),
                       matches_cel(host, long_label), matches_cel(host, number_at_end),
                       matches_cel(host, ipv4));
}

bool is_host(const Json& self, const Json* /*old_self*/) {
    const Json& host = self["host"];
    return matches(host, ipv6) ||
           (host.text() != "0.0.0.0" && matches(host, name_with_id) && !matches(host, long_label) &&
            (!matches(host, number_at_end) || matches(host, ipv4)));
}

std::string plain_path_cel() {
    return "!" + matches_cel("self.mountPath", odd_component);
}

bool has_plain_path(const Json& self, const Json* /*old_self*/) {
    return !matches(self["mountPath"], odd_component);
}

std::string own_path_cel() {
    return "!" + matches_cel("self.mountPath", path_of_the_image);
}

bool hides_nothing_of_ours(const Json& self, const Json* /*old_self*/) {
    return !matches(self["mountPath"], path_of_the_image);
}

std::string class_cel() {
    return "!has(self.class) || " + matches_cel("self.class", class_name);
}

bool names_a_class(const Json& self, const Json* /*old_self*/) {
    return !self.has("class") || matches(self["class"], class_name);
}

namespace {

std::int64_t first_disk(const Json& storage) {
    if (storage.has("size") || storage["volumes"].empty()) {
        return 0;
    }
    std::int64_t first = INT64_MAX;
    for (const Json& volume : storage["volumes"].items()) {
        first = std::min(first, volume["id"].integer());
    }
    return first;
}

}  // namespace

std::string first_disk_cel() {
    const auto first = [](std::string_view storage) {
        return fmt::format(
            "(has({0}.size) || !has({0}.volumes) ? 0 : {0}.volumes.map(v, v.id).min())", storage);
    };
    return fmt::format("{} == {}", first("self"), first("oldSelf"));
}

bool keeps_first_disk(const Json& self, const Json* old_self) {
    return first_disk(self) == first_disk(*old_self);
}

/// CEL's own duration() knows no days: the numbers before each unit are summed up.
std::string renewal_cel() {
    std::string sum;
    for (const auto& [unit, length] : std::initializer_list<std::pair<char, int>>{
             {'d', 86'400'000}, {'h', 3'600'000}, {'m', 60'000}, {'s', 1000}, {'x', 1}}) {
        sum +=
            fmt::format("{0}t.findAll('[0-9]+{1}').map(n, int(n.replace('{1}', ''))).sum() * {2}",
                        sum.empty() ? "" : " + ", unit, length);
    }
    // A millisecond more than renewBefore is still not more than validity.
    return fmt::format(
        "[self.renewBefore + '1ms', self.validity].map(s, s.replace('ms', 'x')).map(t, "
        "{}).isSorted()",
        sum);
}

bool renews_in_time(const Json& self, const Json* /*old_self*/) {
    return Span::parse(self["renewBefore"].text()).value_or(Span{}) <
           Span::parse(self["validity"].text()).value_or(Span{});
}

bool has_a_broker(const Json& self, const Json* /*old_self*/) {
    const Json::Array& pools = self["pools"].items();
    return pools.empty() || std::any_of(pools.begin(), pools.end(), [](const Json& pool) {
               return pool["replicas"].integer() > 0;
           });
}

/// Services on nodes have a port a broker: one host is enough there.
bool advertised_addresses_differ(const Json& self, const Json* /*old_self*/) {
    std::int64_t brokers = self["pools"].empty() ? self["replicas"].integer() : 0;
    for (const Json& pool : self["pools"].items()) {
        brokers += pool["replicas"].integer();
    }
    const Json::Array& listeners = self["listeners"].items();
    return brokers <= 1 ||
           std::all_of(listeners.begin(), listeners.end(), [](const Json& listener) {
               const Json& advertised = listener["advertised"];
               return advertised.is_null() ||
                      advertised["host"].text().find("{id}") != std::string::npos ||
                      (listener["type"].text() == "NodePort" && !advertised.has("port"));
           });
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

void fill_summary(ClusterStatus& status, std::int32_t wanted) {
    ClusterSummary summary;
    summary.ready = fmt::format("{}/{}", status.ready_replicas, wanted);
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
