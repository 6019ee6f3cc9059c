#include "app/broker.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "app/internal/broker_peers.h"
#include "app/internal/broker_view.h"
#include "app/internal/broker_watch.h"
#include "app/internal/controller_link.h"
#include "app/internal/directory_reports.h"
#include "app/internal/group_log.h"
#include "app/internal/identity.h"
#include "app/internal/isr_proposals.h"
#include "app/internal/lifecycle.h"
#include "app/internal/metadata_node.h"
#include "app/internal/mirror_node.h"
#include "app/internal/move_throttle.h"
#include "app/internal/producer_ids.h"
#include "app/internal/replica_applier.h"
#include "app/internal/settings.h"
#include "app/internal/storage_keeper.h"
#include "app/internal/tls_node.h"
#include "app/internal/topics_of_image.h"
#include "base/mutants.h"
#include "config/listeners.h"
#include "handlers/dispatch.h"
#include "handlers/topic_names.h"
#include "metadata/config_rules.h"
#include "net/server.h"
#include "raft/net_channel.h"
#include "raft/storage_log.h"
#include "replication/housekeeping.h"
#include "runtime/shortage.h"
#include "storage/log_store.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

constexpr std::string_view metadata_topic = "__cluster_metadata";
constexpr std::string_view metadata_directory = "/__cluster_metadata-0";
constexpr Duration drain_deadline = 5s;
constexpr Duration leave_patience = 10s;

struct Roles {
    bool broker = true;
    bool controller = true;
};

Roles roles_of(const config::BrokerValues& values) {
    const auto& roles = values.get(option::process_roles);
    if (roles.empty()) {
        return {};  // one process that is everything: the shortest way to a running broker
    }
    Roles found{false, false};
    for (const std::string& role : roles) {
        found.broker = found.broker || role == "broker";
        found.controller = found.controller || role == "controller";
    }
    return found;
}

}  // namespace

struct Broker::Inside {
    explicit Inside(runtime::Node& node_in) : node(node_in), log(node_in.log()) {}

    Result<void> open(BrokerOptions given_options);
    Result<void> open_store(const config::BrokerValues& values);
    Result<void> open_quorum(const config::BrokerValues& values);
    std::vector<handlers::RequestMeter> meters(std::string_view kind, std::size_t count) const;
    std::vector<metrics::Histogram> produce_seconds(std::string_view kind) const;
    Result<void> listen(const config::BrokerValues& values);
    std::string inter_broker_listener(const config::BrokerValues& values) const;
    std::string controller_listener(const config::BrokerValues& values) const;
    void watch_brokers(const config::BrokerValues& values);
    void make_broker_side(const config::BrokerValues& values);
    void subscribe();
    void on_configs(const metadata::Delta& delta, const metadata::ImagePtr& image);
    void tell_groups(const metadata::Delta& delta, const metadata::Image& next);
    void on_partitions(const metadata::Delta& delta, const metadata::ImagePtr& image);
    void on_groups(const metadata::Delta& delta, const metadata::ImagePtr& image);
    std::vector<Uuid> failed_directories();
    void halt(Error why);
    void start_on_control();
    /// After an unclean stop: reads every log, then tells which directories have all they synced.
    void recover_logs(UniqueFunction<void(std::vector<Uuid>)> done);
    void recover_log(const storage::FoundLog& found, const storage::LogLimits& limits,
                     UniqueFunction<void(bool sound)> done);
    std::vector<handlers::LogDirectoryView> log_directory_views() const;
    /// That take no new replica, as the settings in force say; on the control loop.
    std::vector<Uuid> cordoned_directories() const;
    std::vector<metadata::Endpoint> endpoints_of(bool controller_side) const;

    runtime::Node& node;
    const Logger& log;
    BrokerOptions options;
    UniqueFunction<void(Error)> on_halt;
    Roles roles;
    BrokerId self;
    std::string cluster_id;
    Uuid incarnation;  ///< Of this run of the broker.
    std::vector<config::ListenerSpec> listeners;

    std::shared_ptr<const config::BrokerConfig> config;
    metadata::ImageHandle image;
    handlers::TopicBookHandle topics;
    std::unique_ptr<metadata::TableConfigRules> rules;
    std::unique_ptr<net::Ledger> ledger;
    std::shared_ptr<TlsNode> tls;
    std::unique_ptr<storage::LogStore> store;
    std::unique_ptr<raft::Channel> channels;
    /// The controller has connections of its own: a request that it drops must not look to the
    /// quorum like a peer that is gone.
    std::unique_ptr<raft::Channel> controller_channels;
    std::unique_ptr<raft::RaftDriver> driver;
    std::unique_ptr<MetadataNode> metadata;
    std::unique_ptr<ControllerLink> controller;
    std::unique_ptr<BrokerWatch> broker_watch;  ///< With the controller role.
    std::unique_ptr<Lifecycle> lifecycle;
    std::unique_ptr<BlockProducerIds> producer_ids;
    std::unique_ptr<IsrProposals> proposals;
    std::unique_ptr<BrokerPeers> peers;
    std::shared_ptr<replication::Throttles> throttles = std::make_shared<replication::Throttles>();
    std::vector<std::unique_ptr<replication::ShardReplicas>> shards;
    replication::Replicas replicas;
    std::shared_ptr<MoveThrottle> move_throttle;
    std::unique_ptr<ReplicaApplier> applier;
    std::unique_ptr<StorageKeeper> keeper;
    std::unique_ptr<DirectoryReports> reports;
    std::unique_ptr<GroupLog> group_log;
    std::unique_ptr<groups::GroupCoordinator> groups;
    std::vector<handlers::FetchSessions> fetch_sessions;
    std::vector<Secret> link_keys;
    std::unique_ptr<quotas::ClientQuotas> client_quotas;
    std::unique_ptr<MirrorNode> mirrors;
    handlers::Doors doors;
    std::unique_ptr<handlers::Dispatcher> broker_dispatch;
    std::unique_ptr<handlers::Dispatcher> controller_dispatch;
    struct Listening {
        std::string name;
        bool controller = false;
        std::unique_ptr<net::Server> server;
    };
    std::vector<Listening> servers;
    std::atomic<bool> ready{false};
    // On the control loop.
    bool draining = false;
    bool enrolled = false;  ///< This run's registration has been seen in the metadata.
};

// --- Opening
// --------------------------------------------------------------------------------------

Result<void> Broker::Inside::open(BrokerOptions given_options) {
    options = std::move(given_options);
    config = std::make_shared<const config::BrokerConfig>(options.given);
    const config::BrokerValues& values = config->broker();
    roles = roles_of(values);
    self = BrokerId{values.get(option::node_id)};
    if (self == no_broker) {
        self = BrokerId{values.get(option::broker_id)};
    }
    if (self == no_broker) {
        self = BrokerId{1};
    }
    rules = std::make_unique<metadata::TableConfigRules>(options.given, self);
    incarnation = Uuid::random(*node.control_shard().random);
    topics.swap(std::make_shared<const handlers::TopicBook>(config, metadata::Configs{}));
    ledger = std::make_unique<net::Ledger>(options.request_memory > 0 ? options.request_memory
                                                                      : std::int64_t{1} << 30);
    MR_TRY(listeners, config::read_listeners(values));
    MR_TRY(tls, TlsNode::open(config, listeners,
                              {inter_broker_listener(values), controller_listener(values)}, node));
    MR_TRY(link_keys, read_link_keys(node.disk(), values.get(option::millrace_links_key_file)));
    MR_TRY_VOID(open_store(values));
    MR_TRY_VOID(listen(values));
    MR_TRY_VOID(open_quorum(values));
    if (roles.broker) {
        make_broker_side(values);
    }
    doors.judge_own_settings = [this](auto changes, auto done) {
        tls->judge(std::move(changes), std::move(done));
    };
    subscribe();
    watch_brokers(values);
    return {};
}

Result<void> Broker::Inside::open_store(const config::BrokerValues& values) {
    const std::vector<std::string> paths = log_directories(values);
    MR_TRY(const std::optional<std::string> on_disk, cluster_id_on_disk(node.disk(), paths));
    const std::string& wanted = values.get(option::cluster_id);
    if (on_disk && !wanted.empty() && *on_disk != wanted) {
        return Error::make(
            Code::invalid,
            "cluster.id is {}, but the data in {} belongs to cluster {}: use another "
            "log.dirs, or the cluster id that the data has",
            wanted, paths.front(), *on_disk);
    }
    cluster_id = on_disk          ? *on_disk
                 : wanted.empty() ? Uuid::random(*node.control_shard().random).to_string()
                                  : wanted;
    storage::StoreOptions store_options;
    store_options.open_files_max = options.log_files;
    store_options.paths = paths;
    store_options.identity = {cluster_id, self};
    store_options.not_ours = {{std::string(metadata_topic), PartitionIndex{0}}};
    MR_TRY(store, storage::LogStore::open(node.disk(), std::move(store_options),
                                          *node.control_shard().random,
                                          node.control_shard().executor->clock().wall(), log));
    return {};
}

Result<void> Broker::Inside::open_quorum(const config::BrokerValues& values) {
    const std::string& asked = values.get(option::metadata_log_dir);
    const std::string path = asked.empty() ? log_directories(values).front() : asked;
    std::shared_ptr<storage::LogDirectory> home;
    for (const auto& directory : store->directories()) {
        if (directory->path() == path) {
            home = directory;
        }
    }
    const std::vector<std::string> paths = log_directories(values);
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) {
        return Error::make(Code::invalid, "metadata.log.dir {} has to be one of log.dirs", path);
    }
    if (!home) {
        // An empty metadata log elsewhere would be a cluster that has forgotten everything.
        return Error::make(Code::io, "{} holds the metadata log and can't be used", path);
    }
    MR_TRY(raft::QuorumConfig quorum, quorum_config(values));
    quorum.node_id = self;
    quorum.directory_id = home->id();
    quorum.is_controller = roles.controller;
    quorum.cluster_id = cluster_id;
    for (const metadata::Endpoint& endpoint : endpoints_of(true)) {
        quorum.listeners.push_back({endpoint.listener, {endpoint.host, endpoint.port}});
    }
    raft::DriverOptions driver_options;
    driver_options.quorum = std::move(quorum);
    driver_options.directory = home->path() + std::string(metadata_directory);
    MR_TRY_VOID(node.disk().create_directories_durably(driver_options.directory));
    MR_TRY(
        auto metadata_log,
        raft::open_storage_log(home, node, Bytes{values.get(option::metadata_log_segment_bytes)}));
    const net::StreamWrapper to_controllers = tls->dialed(controller_listener(values));
    channels = raft::make_net_channel(
        {.client_id = fmt::format("millrace-{}", self), .wrap = to_controllers},
        node.control_shard(), log);
    MR_TRY(driver, raft::RaftDriver::open(std::move(driver_options), node, std::move(metadata_log),
                                          *channels));
    MetadataNode::Options metadata_options;
    metadata_options.is_controller = roles.controller;
    metadata_options.controller.node = self;
    if (roles.broker) {
        metadata_options.controller.own_incarnation = incarnation;
    }
    metadata_options.controller.cluster_id = cluster_id;
    metadata_options.controller.min_insync_replicas = values.get(option::min_insync_replicas);
    metadata_options.controller.unclean_leader_election =
        values.get(option::unclean_leader_election_enable);
    metadata_options.controller.delete_topics = values.get(option::delete_topic_enable);
    metadata_options.controller.synced = values.get(option::millrace_durability) == "synced";
    metadata_options.controller.default_partitions = values.get(option::num_partitions);
    metadata_options.controller.default_replication_factor =
        static_cast<std::int16_t>(values.get(option::default_replication_factor));
    metadata_options.timers.session_timeout =
        std::chrono::milliseconds{values.get(option::broker_session_timeout_ms)};
    metadata_options.timers.balance_leaders = values.get(option::auto_leader_rebalance_enable);
    metadata_options.timers.balance_interval =
        std::chrono::seconds{values.get(option::leader_imbalance_check_interval_seconds)};
    metadata_options.snapshots.max_bytes = static_cast<std::uint64_t>(
        values.get(option::metadata_log_max_record_bytes_between_snapshots));
    metadata_options.snapshots.max_interval =
        std::chrono::milliseconds{values.get(option::metadata_log_max_snapshot_interval_ms)};
    metadata = std::make_unique<MetadataNode>(std::move(metadata_options), node.control_shard(),
                                              image, *rules, *driver, log);
    controller_channels = raft::make_net_channel(
        {.client_id = fmt::format("millrace-broker-{}", self), .wrap = to_controllers},
        node.control_shard(), log);
    controller = std::make_unique<ControllerLink>(
        *node.control_shard().executor, *metadata, *driver, *controller_channels,
        std::chrono::milliseconds{values.get(option::request_timeout_ms)});
    return {};
}

std::vector<handlers::RequestMeter> Broker::Inside::meters(std::string_view kind,
                                                           std::size_t count) const {
    std::vector<handlers::RequestMeter> all;
    const std::int32_t topics_max = config->broker().get(option::millrace_metrics_topics_max);
    for (std::size_t i = 0; options.registry && i < count; ++i) {
        all.emplace_back(options.registry->scope(fmt::format("requests-{}-{}", kind, i)),
                         static_cast<std::size_t>(topics_max));
    }
    return all;
}

/// What the meters of that kind observe of producers.
std::vector<metrics::Histogram> Broker::Inside::produce_seconds(std::string_view kind) const {
    std::vector<metrics::Histogram> all;
    for (std::size_t i = 0; options.registry && i < node.data_shards(); ++i) {
        all.push_back(options.registry->scope(fmt::format("requests-{}-{}", kind, i))
                          .histogram(metrics::metric::request_seconds, {"Produce"}));
    }
    return all;
}

Result<void> Broker::Inside::listen(const config::BrokerValues& values) {
    doors.self = self;
    doors.cluster_id = cluster_id;
    doors.is_broker = roles.broker;
    doors.image = &image;
    doors.topics = &topics;
    doors.replicas = &replicas;
    doors.control = node.control_shard().executor;
    doors.log = &log;
    std::vector<runtime::Shard> data;
    std::vector<runtime::Executor*> data_loops;
    for (std::size_t i = 0; i < node.data_shards(); ++i) {
        data.push_back(node.data_shard(i));
        data_loops.push_back(data.back().executor);
    }
    fetch_sessions = fetch_sessions_of(values, data);
    doors.fetch_max_bytes = values.get(option::fetch_max_bytes);
    doors.fetch_by_rack =
        values.get(option::replica_selector_class).ends_with(".RackAwareReplicaSelector");
    doors.fetch_sessions = &fetch_sessions;
    client_quotas =
        std::make_unique<quotas::ClientQuotas>(quota_window(values), mutation_window(values));
    doors.quotas = client_quotas.get();
    broker_dispatch = std::make_unique<handlers::Dispatcher>(
        handlers::ListenerKind::broker, doors, data_loops, meters("data", data_loops.size()));
    controller_dispatch = std::make_unique<handlers::Dispatcher>(
        handlers::ListenerKind::controller, doors,
        std::vector<runtime::Executor*>{node.control_shard().executor}, meters("control", 1));
    net::ServerLimits limits = server_limits(values);
    if (options.max_connections > 0) {
        limits.max_connections = std::min(limits.max_connections, options.max_connections);
    }
    for (config::ListenerSpec& spec : listeners) {
        if (spec.controller ? !roles.controller : !roles.broker) {
            continue;
        }
        net::Server::Options server;
        server.listener = spec.name;
        server.address = {spec.host, spec.port};
        server.limits = limits;
        server.wrap = tls->served(spec.name);
        server.start_paused = !spec.controller;
        if (!spec.controller) {
            server.admit = [this](const std::string& address, Instant now) {
                return client_quotas->connected_from(address, now);
            };
        }
        auto made = spec.controller ? net::Server::start(std::move(server), {node.control_shard()},
                                                         *controller_dispatch, *ledger, log)
                                    : net::Server::start(std::move(server), data, *broker_dispatch,
                                                         *ledger, log);
        if (!made) {
            return made.error().with_context(
                fmt::format("listeners: {}://{}:{}", spec.name, spec.host, spec.port));
        }
        spec.port = (*made)->address().port;
        servers.push_back({spec.name, spec.controller, *std::move(made)});
    }
    return {};
}

std::vector<metadata::Endpoint> Broker::Inside::endpoints_of(bool controller_side) const {
    std::vector<metadata::Endpoint> endpoints;
    for (const config::ListenerSpec& spec : listeners) {
        if (spec.controller != controller_side) {
            continue;
        }
        metadata::Endpoint endpoint;
        endpoint.listener = spec.name;
        endpoint.host = spec.advertised_host.empty() ? options.host_name : spec.advertised_host;
        endpoint.port = spec.advertised_port == 0 ? spec.port : spec.advertised_port;
        endpoint.security_protocol = static_cast<std::int16_t>(spec.protocol);
        endpoints.push_back(std::move(endpoint));
    }
    return endpoints;
}

std::string Broker::Inside::inter_broker_listener(const config::BrokerValues& values) const {
    for (const config::ListenerSpec& spec : listeners) {
        if (spec.inter_broker) {
            return spec.name;
        }
    }
    // A controller alone does not listen there, but is told how brokers do.
    const std::string& name = values.get(option::inter_broker_listener_name);
    return name.empty() ? values.get(option::security_inter_broker_protocol) : name;
}

/// How other controllers are reached, and ours.
std::string Broker::Inside::controller_listener(const config::BrokerValues& values) const {
    const auto& names = values.get(option::controller_listener_names);
    return names.empty() ? "CONTROLLER" : names.front();
}

void Broker::Inside::watch_brokers(const config::BrokerValues& values) {
    if (metadata->controller() == nullptr) {
        return;
    }
    broker_watch = std::make_unique<BrokerWatch>(
        BrokerWatch::Options{.self = self,
                             .listener = inter_broker_listener(values),
                             .heartbeat_interval = std::chrono::milliseconds{values.get(
                                 option::broker_heartbeat_interval_ms)},
                             .wrap = tls->dialed(inter_broker_listener(values))},
        node.control_shard(), *metadata->controller(), log);
    const auto look = [this] { broker_watch->look(image.current()); };
    metadata->on_leadership(look);
    metadata->publisher().subscribe(
        [look](const metadata::Delta&, const metadata::ImagePtr&) { look(); });
}

void Broker::Inside::make_broker_side(const config::BrokerValues& values) {
    const runtime::Shard control = node.control_shard();
    Lifecycle::Options life;
    life.self = self;
    life.cluster_id = cluster_id;
    life.incarnation = incarnation;
    life.endpoints = endpoints_of(false);
    if (const std::string& rack = values.get(option::broker_rack); !rack.empty()) {
        life.rack = rack;
    }
    for (const auto& directory : store->directories()) {
        life.directories.push_back(directory->id());
    }
    life.heartbeat_interval =
        std::chrono::milliseconds{values.get(option::broker_heartbeat_interval_ms)};
    life.failed_directories = [this] { return failed_directories(); };
    life.failure_timeout =
        std::chrono::milliseconds{values.get(option::log_dir_failure_timeout_ms)};
    life.on_failure_unheard = [this] {
        halt(Error(Code::io,
                   "a log directory has failed, and no controller could be told within "
                   "log.dir.failure.timeout.ms"));
    };
    life.cordoned = [this] { return cordoned_directories(); };
    if (store->clean_start()) {
        life.previous_epoch = store->last_broker_epoch();
    }
    lifecycle =
        std::make_unique<Lifecycle>(std::move(life), *control.executor, *controller, image, log);
    reports =
        std::make_unique<DirectoryReports>(self, *control.executor, *controller, *lifecycle, log);
    producer_ids =
        std::make_unique<BlockProducerIds>(self, *control.executor, *controller, *lifecycle);
    proposals = std::make_unique<IsrProposals>(self, *control.executor, log);
    const std::string among_brokers = inter_broker_listener(values);
    peers = std::make_unique<BrokerPeers>(among_brokers, image, tls->dialed(among_brokers));
    replication::ShardReplicas::Options shard_options;
    shard_options.self = self;
    shard_options.logs_come_preloaded = !store->clean_start();
    shard_options.lag_max = std::chrono::milliseconds{values.get(option::replica_lag_time_max_ms)};
    shard_options.follower_fetch = follower_fetch(values);
    shard_options.throttles = throttles;
    shard_options.placed = [this](const TopicIdPartition& id, Uuid directory) {
        reports->report(id, directory);
    };
    std::vector<std::vector<const storage::FoundLog*>> found(node.data_shards());
    for (const storage::FoundLog& one : store->found()) {
        if (one.kind == storage::FoundLog::Kind::current) {
            const TopicIdPartition id{one.topic_id, one.partition.partition};
            found[std::hash<TopicIdPartition>{}(id) % found.size()].push_back(&one);
        }
    }
    for (std::size_t i = 0; i < node.data_shards(); ++i) {
        shard_options.found = std::move(found[i]);
        shards.push_back(std::make_unique<replication::ShardReplicas>(
            shard_options, node.data_shard(i), node.disk_pool(), *store, *proposals, *peers, log));
        replicas.add(node.data_shard(i), shards.back().get());
    }
    move_throttle =
        std::make_shared<MoveThrottle>(throttles, replicas, produce_seconds("data"), node);
    applier = std::make_unique<ReplicaApplier>(self, replicas, topics);
    keeper = std::make_unique<StorageKeeper>(node, *store, replicas, log);
    group_log = std::make_unique<GroupLog>(std::string(handlers::offsets_topic), *control.executor,
                                           node.disk_pool(), replicas, image, topics);
    groups = std::make_unique<groups::GroupCoordinator>(
        *control.executor, *group_log, *control.random, group_settings(values), log);
    mirrors = std::make_unique<MirrorNode>(
        MirrorNodeOptions{
            self, cluster_id, among_brokers, tls->dialed(among_brokers),
            std::chrono::milliseconds{values.get(option::millrace_links_delete_grace_ms)},
            std::move(link_keys), values.get(option::default_replication_factor)},
        node, replicas, image, *controller);
    doors.groups = groups.get();
    doors.log_directories = [this] { return log_directory_views(); };
    doors.producer_ids = producer_ids.get();
}

std::vector<Uuid> Broker::Inside::cordoned_directories() const {
    const config::BrokerValues& values = config->broker();
    const auto& paths = values.get(option::cordoned_log_dirs);
    const bool all = values.get(option::millrace_cordoned) ||
                     std::find(paths.begin(), paths.end(), "*") != paths.end();
    std::vector<Uuid> ids;
    for (const auto& directory : store->directories()) {
        if (all || std::find(paths.begin(), paths.end(), directory->path()) != paths.end()) {
            ids.push_back(directory->id());
        }
    }
    return ids;
}

std::vector<handlers::LogDirectoryView> Broker::Inside::log_directory_views() const {
    std::vector<handlers::LogDirectoryView> views;
    const metadata::ImagePtr now = image.current();
    const metadata::Broker* us = now->cluster.broker(self);
    for (const auto& directory : store->directories()) {
        handlers::LogDirectoryView view;
        view.path = directory->path();
        if (directory->failed()) {
            view.error = KafkaError::kafka_storage_error;
        } else if (const auto usage = node.disk().usage(directory->path()); usage) {
            view.total_bytes = static_cast<std::int64_t>(usage->total_bytes);
            view.usable_bytes = static_cast<std::int64_t>(usage->free_bytes);
        }
        if (us != nullptr && us->cordoned_directories) {
            const auto& cordoned = *us->cordoned_directories;
            view.is_cordoned =
                std::find(cordoned.begin(), cordoned.end(), directory->id()) != cordoned.end();
        }
        views.push_back(std::move(view));
    }
    for (const storage::OfflineDirectory& offline : store->offline()) {
        views.push_back({.path = offline.path, .error = KafkaError::kafka_storage_error});
    }
    return views;
}

// --- What the metadata changes
// --------------------------------------------------------------------

void Broker::Inside::subscribe() {
    doors.controller = controller.get();
    doors.quorum = metadata.get();
    metadata::Publisher& publisher = metadata->publisher();
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        on_configs(delta, next);
    });
    if (!roles.broker) {
        return;
    }
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        if (!delta.changes().quotas.empty()) {
            client_quotas->set_rules(quota_rules(next->quotas));
        }
    });
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        on_partitions(delta, next);
    });
    publisher.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& next) {
        mirrors->links().on_publish(delta, next);
    });
    publisher.subscribe([this](const metadata::Delta&, const metadata::ImagePtr& next) {
        lifecycle->on_publish(next);
        const metadata::Broker* us = next->cluster.broker(self);
        const bool serving = us != nullptr && !us->fenced && us->epoch == lifecycle->epoch();
        if (serving && !draining && !ready.exchange(true)) {
            MR_LOG(log, info, "broker.ready", field("broker", self), field("cluster", cluster_id));
            keeper->on_metadata_current();
            for (Listening& one : servers) {
                if (!one.controller) {
                    node.data_shard(0).executor->post(
                        [server = one.server.get()] { server->resume(); });
                }
            }
        }
    });
}

void Broker::Inside::on_configs(const metadata::Delta& delta, const metadata::ImagePtr& next) {
    if (delta.changes().configs.empty()) {
        return;
    }
    const auto entries = [&](const std::string& name) {
        const metadata::ConfigMap* found =
            next->configs.find({metadata::ConfigResourceType::broker, name});
        return found == nullptr ? config::Entries{} : found->values;
    };
    config = std::make_shared<const config::BrokerConfig>(options.given, entries(""),
                                                          entries(std::to_string(self.value)));
    tls->settings_changed(config);
    topics.swap(std::make_shared<const handlers::TopicBook>(config, next->configs));
    if (roles.broker) {
        applier->on_settings_changed(*next);
        set_throttles(*throttles, config->broker(), node.control_shard().executor->clock().now());
        move_throttle->settings_changed(*next);
        lifecycle->tell_cordoned();
        tell_groups(delta, *next);
        keeper->set(config->broker());
    }
}

void Broker::Inside::tell_groups(const metadata::Delta& delta, const metadata::Image& next) {
    groups->settings_changed(group_settings(config->broker()));
    for (const metadata::ConfigResource& changed : delta.changes().configs) {
        if (changed.type == metadata::ConfigResourceType::group) {
            const metadata::ConfigMap* found = next.configs.find(changed);
            groups->overrides_changed(
                changed.name,
                group_overrides(*config, found == nullptr ? config::Entries{} : found->values));
        }
    }
}

/// What the log says before it comes to this very process speaks of its predecessor: to lead
/// because of it would be to go on in an epoch whose tail may be lost here and known elsewhere.
void Broker::Inside::on_partitions(const metadata::Delta& delta, const metadata::ImagePtr& next) {
    const metadata::Broker* us = next->cluster.broker(self);
    const bool is_this_process = us != nullptr && us->incarnation == incarnation;
    if (is_this_process && !MR_PLANTED(fetches_without_its_epoch)) {
        peers->set_own_epoch(us->epoch);  // before anything fetches (KIP-903)
    }
    if (enrolled) {
        applier->on_publish(delta, next);
        on_groups(delta, next);
        return;
    }
    if (is_this_process || MR_PLANTED(acts_on_its_predecessors_metadata)) {
        enrolled = true;
        on_partitions(metadata::Delta::between(metadata::Image{}, *next), next);
    }
}

void Broker::Inside::on_groups(const metadata::Delta& delta, const metadata::ImagePtr& next) {
    std::vector<groups::DeletedTopic> deleted;
    std::set<Uuid> touched;
    for (const TopicIdPartition& id : delta.changes().partitions) {
        touched.insert(id.topic_id);
    }
    for (const auto& [id, name] : delta.changes().topics_deleted) {
        deleted.push_back({id, name});
    }
    if (!touched.empty() || !deleted.empty()) {
        groups->topics_changed(std::make_shared<TopicsOfImage>(next), deleted);
    }
    const metadata::Topic* offsets = next->topics.find(handlers::offsets_topic);
    if (offsets == nullptr || !touched.contains(offsets->id)) {
        return;
    }
    groups->set_partition_count(static_cast<std::int32_t>(offsets->partitions.size()));
    for (const TopicIdPartition& id : delta.changes().partitions) {
        if (id.topic_id != offsets->id) {
            continue;
        }
        const metadata::Partition* now = offsets->partition(id.partition);
        const metadata::Partition* before = delta.before().topics.partition(id);
        const bool leads = now != nullptr && now->leader == self;
        const bool led = before != nullptr && before->leader == self;
        if (leads && (!led || before->leader_epoch != now->leader_epoch)) {
            groups->elected(id.partition, now->leader_epoch);
        } else if (led && !leads) {
            groups->resigned(id.partition,
                             now == nullptr ? std::nullopt : std::optional(now->leader_epoch));
        }
    }
}

// --- Starting and stopping
// ------------------------------------------------------------------------

void Broker::Inside::start_on_control() {
    metadata->start([this](Error why) { halt(std::move(why)); });
    tls->start();
    if (roles.broker) {
        proposals->connect(*controller, *lifecycle, replicas);
        keeper->set(config->broker());
        move_throttle->start();
        recover_logs(
            [this](std::vector<Uuid> recovered) { lifecycle->start(std::move(recovered)); });
    }
}

void Broker::Inside::halt(Error why) {
    MR_LOG(log, error, "broker.halted", field("reason", why.message()));
    if (on_halt) {
        on_halt(std::move(why));
    }
}

std::vector<Uuid> Broker::Inside::failed_directories() {
    std::vector<Uuid> failed;
    for (const auto& directory : store->directories()) {
        if (directory->failed()) {
            failed.push_back(directory->id());
        }
    }
    if (failed.size() == store->directories().size()) {
        halt(Error(Code::io, "every log directory has failed"));
    }
    return failed;
}

void Broker::Inside::recover_logs(UniqueFunction<void(std::vector<Uuid>)> done) {
    struct Recovery {
        std::size_t left = 1;
        std::set<Uuid> damaged;
        UniqueFunction<void(std::vector<Uuid>)> done;
    };
    auto recovery = std::make_shared<Recovery>();
    recovery->done = std::move(done);
    const auto arrive = [this, recovery] {
        if (--recovery->left > 0) {
            return;
        }
        std::vector<Uuid> sound;
        for (const auto& directory : store->directories()) {
            if (!recovery->damaged.contains(directory->id()) && !directory->failed()) {
                sound.push_back(directory->id());
            }
        }
        recovery->done(std::move(sound));
    };
    runtime::Executor& control = *node.control_shard().executor;
    if (!store->clean_start()) {
        // Whether a directory kept what it had synced is known once its logs were read; until then
        // the broker claims no place in any ISR.
        const auto book = topics.current();
        for (const storage::FoundLog& found : store->found()) {
            if (found.kind != storage::FoundLog::Kind::current || found.topic_id.is_zero()) {
                continue;
            }
            ++recovery->left;
            recover_log(found, book->rules(found.partition.topic)->replication.limits,
                        [recovery, arrive, directory = found.directory->id()](bool sound) {
                            if (!sound) {
                                recovery->damaged.insert(directory);
                            }
                            arrive();
                        });
        }
    }
    control.post(arrive);
}

void Broker::Inside::recover_log(const storage::FoundLog& found, const storage::LogLimits& limits,
                                 UniqueFunction<void(bool sound)> done) {
    struct Job {
        std::optional<Result<std::unique_ptr<storage::PartitionLog>>> log;
        storage::RecoveryReport report;
        UniqueFunction<void(bool)> done;
    };
    auto job = std::make_shared<Job>();
    job->done = std::move(done);
    const TopicIdPartition id{found.topic_id, found.partition.partition};
    node.disk_pool().run(
        0, *node.control_shard().executor,
        [this, job, &found, limits] { job->log.emplace(store->load(found, limits, &job->report)); },
        [this, job, id, &found, name = found.name] {
            if (!*job->log && runtime::is_shortage(job->log->error())) {
                MR_LOG(log, warn, "broker.log_waits_for_room", field("log", name),
                       field("reason", job->log->error().message()));
                replicas.on_shard(
                    replicas.shard_of(id),
                    [&found](replication::ShardReplicas& shard) { shard.preload(found, nullptr); });
                job->done(false);
                return;
            }
            if (!*job->log) {
                MR_LOG(log, error, "broker.log_not_recovered", field("log", name),
                       field("reason", job->log->error().message()));
                job->done(false);
                return;
            }
            if (!job->report.reason.empty()) {
                MR_LOG(log, warn, "broker.log_cut", field("log", name),
                       field("reason", job->report.reason),
                       field("bytes", job->report.truncated_bytes),
                       field("lost_synced", job->report.lost_synced_data));
            }
            replicas.on_shard(
                replicas.shard_of(id),
                [&found, ready = std::move(**job->log)](replication::ShardReplicas& shard) mutable {
                    shard.preload(found, std::move(ready));
                });
            job->done(!job->report.lost_synced_data);
        });
}

Result<std::unique_ptr<Broker>> Broker::make(BrokerOptions options, runtime::Node& node,
                                             UniqueFunction<void(Error)> on_halt) {
    auto inside = std::make_unique<Inside>(node);
    inside->on_halt = std::move(on_halt);
    MR_TRY_VOID(inside->open(std::move(options)));
    node.control_shard().executor->post([raw = inside.get()] { raw->start_on_control(); });
    return std::unique_ptr<Broker>(new Broker(std::move(inside)));
}

Broker::Broker(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Broker::~Broker() = default;

void Broker::drain(UniqueFunction<void()> done) {
    Inside& inside = *inside_;
    inside.draining = true;
    inside.ready = false;
    auto shared = std::make_shared<UniqueFunction<void()>>(std::move(done));
    const auto stop_quorum = [&inside, shared] {
        inside.driver->shutdown(2s, [shared] { (*shared)(); });
    };
    const auto quiet_logs = [&inside, stop_quorum] {
        runtime::Executor& control = *inside.node.control_shard().executor;
        auto left = std::make_shared<std::size_t>(1);
        const auto arrive = [left, stop_quorum] {
            if (--*left == 0) {
                stop_quorum();
            }
        };
        for (std::size_t i = 0; i < inside.replicas.size(); ++i) {
            ++*left;
            inside.replicas.on_shard(i, [&control, arrive](replication::ShardReplicas& shard) {
                shard.quiesce([&control, arrive] { control.post(arrive); });
            });
        }
        control.post(arrive);
    };
    const auto stop_keeping = [&inside, quiet_logs] {
        inside.keeper ? inside.keeper->stop(quiet_logs) : quiet_logs();
    };
    const auto stop_listeners = [&inside, stop_keeping] {
        runtime::Executor& control = *inside.node.control_shard().executor;
        auto left = std::make_shared<std::size_t>(1);
        const auto arrive = [left, stop_keeping] {
            if (--*left == 0) {
                stop_keeping();
            }
        };
        for (Inside::Listening& one : inside.servers) {
            if (one.controller) {
                continue;
            }
            ++*left;
            inside.node.data_shard(0).executor->post([&one, &control, arrive] {
                one.server->drain(drain_deadline, [&control, arrive] { control.post(arrive); });
            });
        }
        control.post(arrive);
    };
    if (inside.lifecycle && inside.config->broker().get(option::controlled_shutdown_enable)) {
        inside.lifecycle->leave(leave_patience, stop_listeners);
    } else {
        stop_listeners();
    }
}

Result<void> Broker::close() {
    Inside& inside = *inside_;
    inside.servers.clear();
    inside.groups.reset();
    inside.mirrors.reset();
    Result<void> outcome;
    std::vector<replication::LogMark> marks;
    for (auto& shard : inside.shards) {
        auto closed = shard->close_cleanly();
        if (!closed) {
            outcome = closed.error();
            continue;
        }
        std::move(closed->begin(), closed->end(), std::back_inserter(marks));
    }
    if (outcome && inside.keeper) {
        outcome = inside.keeper->close(marks);
    }
    inside.driver.reset();
    if (outcome) {
        outcome = inside.store->mark_clean_shutdown(inside.lifecycle ? inside.lifecycle->epoch()
                                                                     : BrokerEpoch{-1});
    }
    return outcome;
}

bool Broker::is_ready() const {
    return inside_->ready;
}

BrokerView Broker::view() const {
    Inside& inside = *inside_;
    BrokerView view;
    view.doors = &inside.doors;
    view.dispatch = inside.broker_dispatch.get();
    view.dispatch_loop = inside.node.data_shard(0).executor;
    view.publisher = &inside.metadata->publisher();
    view.quorum = inside.driver.get();
    view.ledger = inside.ledger.get();
    view.tls = inside.tls.get();
    view.throttles = inside.throttles.get();
    view.mirrors = inside.mirrors ? &inside.mirrors->links() : nullptr;
    view.cleaner = inside.keeper ? &inside.keeper->cleaner() : nullptr;
    for (const Inside::Listening& one : inside.servers) {
        view.listeners.emplace_back(one.name, &one.server->counters());
    }
    view.inter_broker_listener = inside.inter_broker_listener(inside.config->broker());
    view.to_brokers = inside.tls->dialed(view.inter_broker_listener);
    for (const auto& directory : inside.store->directories()) {
        view.directories.push_back({directory->id(), directory->path()});
    }
    view.roles = inside.config->broker().get(option::process_roles);
    view.rack = inside.config->broker().get(option::broker_rack);
    view.is_ready = [&inside] { return inside.ready.load(); };
    return view;
}

const std::string& Broker::cluster_id() const {
    return inside_->cluster_id;
}

runtime::Address Broker::listening_at(const std::string& listener) const {
    for (const Inside::Listening& one : inside_->servers) {
        if (one.name == listener) {
            return one.server->address();
        }
    }
    return {};
}

}  // namespace millrace::app
