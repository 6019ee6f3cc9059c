// How a broker comes to be: what is opened in which order. Nothing is written before all settings
// have been read.
#include <algorithm>
#include <utility>

#include "app/internal/broker_inside.h"
#include "app/internal/identity.h"
#include "app/internal/settings.h"
#include "handlers/topic_names.h"
#include "raft/net_channel.h"
#include "raft/storage_log.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

constexpr std::string_view metadata_topic = "__cluster_metadata";

metadata::CopiesOptions default_copies_of(const config::BrokerValues& values) {
    return {static_cast<std::int16_t>(values.get(option::millrace_topics_default_replicas)),
            static_cast<std::int16_t>(values.get(option::default_replication_factor))};
}

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

/// Of those that the settings name.
std::vector<raft::Endpoint> other_controllers(const raft::QuorumConfig& quorum) {
    std::vector<raft::Endpoint> others;
    for (const raft::Voter& one : quorum.voters) {
        if (one.key.id != quorum.node_id && !one.listeners.empty()) {
            others.push_back(one.listeners.front().endpoint);
        }
    }
    if (quorum.voters.empty()) {
        std::copy_if(quorum.bootstrap_servers.begin(), quorum.bootstrap_servers.end(),
                     std::back_inserter(others), [&](const raft::Endpoint& one) {
                         return !raft::is_reached_at(quorum.listeners, one);
                     });
    }
    return others;
}

}  // namespace

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
    ledger = options.request_memory ? options.request_memory
                                    : std::make_shared<net::Ledger>(std::int64_t{1} << 30);
    MR_TRY(listeners, config::read_listeners(values));
    MR_TRY_VOID(check_settings(values));
    MR_TRY(const raft::QuorumConfig configured, quorum_config(values));
    advertise_as_listed(listeners, controller_listener(values), configured.voters, self);
    advertise_as_reached(listeners, controller_listener(values), configured.bootstrap_servers,
                         options.host_name, options.is_own_host);
    MR_TRY(tls, TlsNode::open(config, listeners,
                              {inter_broker_listener(values), controller_listener(values)}, node));
    MR_TRY(link_keys, read_link_keys(node.disk(), values.get(option::millrace_links_key_file)));
    MR_TRY_VOID(try_addresses());
    MR_TRY_VOID(open_store(values));
    Result<void> joined = listen(values);
    if (joined) {
        joined = open_quorum(values);
    }
    if (!joined) {
        give_up();
        return joined;
    }
    if (roles.broker) {
        make_broker_side(values);
    }
    sights = std::make_unique<ImageWaits>(*node.control_shard().executor, image);
    doors.judge_own_settings = [this](auto changes, auto done) {
        judge_settings(std::move(changes), std::move(done));
    };
    doors.when_own_settings_work = [this](auto changes, auto done) {
        when_settings_work(std::move(changes), std::move(done));
    };
    subscribe();
    watch_brokers(values);
    return {};
}

/// One that can't be had is told before a directory is formatted.
Result<void> Broker::Inside::try_addresses() const {
    const auto can_be_had = [this](const std::string& setting, runtime::Address address) {
        const auto tried = node.control_shard().net->listen(address, [](runtime::StreamPtr) {});
        if (tried) {
            return Result<void>{};
        }
        // The setting has the address already.
        std::string_view why = tried.error().message();
        const std::string with_address = fmt::format("listening on {}: ", address.to_string());
        why.remove_prefix(why.starts_with(with_address) ? with_address.size() : 0);
        const bool is_taken = why.ends_with("already in use");
        return Result<void>(
            Error::make(Code::invalid, "{}: {}; {}", setting, why,
                        is_taken ? "stop what listens there, or take another port"
                                 : "name an address of this machine, or none for all that it has"));
    };
    for (const char* setting : {"millrace.metrics.listener", "millrace.admin.listener"}) {
        // By default there is none where the port is taken.
        const auto given = options.given->entries.find(setting);
        if (given == options.given->entries.end() || given->second.empty()) {
            continue;
        }
        MR_TRY(const config::HostPort address, config::parse_host_port(given->second));
        MR_TRY_VOID(
            can_be_had(fmt::format("{}={}", setting, given->second), {address.host, address.port}));
    }
    for (const config::ListenerSpec& spec : listeners) {
        if (!is_served(spec)) {
            continue;
        }
        MR_TRY_VOID(can_be_had(fmt::format("listeners={}://{}:{}", spec.name, spec.host, spec.port),
                               {spec.host, spec.port}));
    }
    return {};
}

bool Broker::Inside::is_served(const config::ListenerSpec& spec) const {
    return spec.controller ? roles.controller : roles.broker;
}

/// Nothing has begun: an address that is taken must not make the next start an unclean one.
void Broker::Inside::give_up() {
    if (!store->clean_start()) {
        return;
    }
    const auto marked = mark_clean_shutdown(store->last_broker_epoch().value_or(BrokerEpoch{-1}));
    if (!marked) {
        MR_LOG(log, warn, "broker.clean_mark_lost", field("reason", marked.error().message()));
    }
}

Result<void> Broker::Inside::mark_clean_shutdown(BrokerEpoch epoch) {
    MR_TRY_VOID(store->mark_clean_shutdown(epoch));
    return metadata_store ? metadata_store->mark_clean_shutdown(epoch) : Result<void>{};
}

Result<void> Broker::Inside::open_store(const config::BrokerValues& values) {
    const std::vector<std::string> paths = log_directories(values);
    const std::string metadata_path = metadata_log_directory(values);
    const bool apart = std::find(paths.begin(), paths.end(), metadata_path) == paths.end();
    std::vector<std::string> all = paths;
    if (apart) {
        all.push_back(metadata_path);
    }
    MR_TRY(const std::optional<std::string> on_disk, cluster_id_on_disk(node.disk(), all));
    const std::string& wanted = values.get(option::cluster_id);
    const bool moves = on_disk && !wanted.empty() && *on_disk != wanted;
    const Error other =
        Error::make(Code::invalid,
                    "cluster.id is {}, but the data in {} belongs to cluster {}: use another "
                    "log.dirs, or the cluster id that the data has",
                    wanted, paths.front(), on_disk.value_or(""));
    // An id that was mistyped at a first start must not outlive its correction.
    if (moves && !hold_nothing(node.disk(), all)) {
        return other;
    }
    if (!on_disk && wanted.empty()) {
        MR_TRY_VOID(check_that_it_may_begin_alone(values, paths.front()));
    }
    cluster_id = !wanted.empty() ? wanted
                 : on_disk       ? *on_disk
                                 : Uuid::random(*node.control_shard().random).to_string();
    const std::string instead_of = moves ? *on_disk : std::string{};
    // All are looked at and locked before one is written to.
    auto claimed = claim_directories(paths, instead_of);
    if (!claimed) {
        return claimed.error().with_context("log.dirs");
    }
    std::unique_ptr<storage::LogStore> metadata_claimed;
    if (apart) {
        auto also = claim_directories({metadata_path}, instead_of);
        if (!also) {
            return also.error().with_context("metadata.log.dir");
        }
        metadata_claimed = *std::move(also);
    }
    MR_TRY_VOID(check_that_none_holds_the_metadata(paths, metadata_path));
    MR_TRY_VOID(check_that_the_metadata_is_there(values, paths, metadata_path));
    // Until they were locked their owner may have been about to write.
    if (moves && !hold_nothing(node.disk(), all)) {
        return other;
    }
    const Timestamp now = node.control_shard().executor->clock().wall();
    if (const auto taken = (*claimed)->take(now); !taken) {
        return taken.error().with_context("log.dirs");
    }
    store = *std::move(claimed);
    if (metadata_claimed) {
        if (const auto taken = metadata_claimed->take(now); !taken) {
            return taken.error().with_context("metadata.log.dir");
        }
        metadata_store = std::move(metadata_claimed);
    }
    return {};
}

/// Each of several nodes would make a cluster of its own up, and keep it on its disk.
Result<void> Broker::Inside::check_that_it_may_begin_alone(const config::BrokerValues& values,
                                                           const std::string& path) const {
    MR_TRY(const raft::QuorumConfig quorum, identified_quorum(values));
    if (!raft::names_others(quorum)) {
        return {};
    }
    return Error::make(
        Code::invalid,
        "{} names other nodes, but cluster.id is not set and {} belongs to no "
        "cluster yet: write cluster.id={} into the settings of every node (this id is new; of a "
        "cluster that is there, take its own), or format {} with kafka-storage",
        quorum.voters.empty() ? "controller.quorum.bootstrap.servers" : "controller.quorum.voters",
        path, Uuid::random(*node.control_shard().random).to_string(), path);
}

/// The quorum as it is configured, and who we are in it.
Result<raft::QuorumConfig> Broker::Inside::identified_quorum(
    const config::BrokerValues& values) const {
    MR_TRY(raft::QuorumConfig quorum, quorum_config(values));
    quorum.node_id = self;
    quorum.is_controller = roles.controller;
    for (const metadata::Endpoint& endpoint : endpoints_of(true)) {
        quorum.listeners.push_back({endpoint.listener, {endpoint.host, endpoint.port}});
    }
    return quorum;
}

/// A second metadata log, an empty one, would be a cluster that has forgotten everything.
Result<void> Broker::Inside::check_that_none_holds_the_metadata(
    const std::vector<std::string>& paths, const std::string& metadata_path) {
    const bool is_asked_for = !config->broker().get(option::metadata_log_dir).empty();
    for (const std::string& path : paths) {
        // One that can't be read is told of when it is locked.
        const auto there = node.disk().exists(path + "/" + raft::metadata_folder);
        if (path == metadata_path || !there || !*there) {
            continue;
        }
        if (!is_asked_for && !lacks_metadata(node.disk(), metadata_path)) {
            MR_LOG(log, warn, "broker.second_metadata_log", field("path", path),
                   field("detail",
                         "not read: the one in the first of log.dirs is this node's; "
                         "remove it once you are sure that it is a leftover"));
            continue;
        }
        return is_asked_for ? Error::make(Code::invalid,
                                          "metadata.log.dir is {}, but {} holds a metadata log: "
                                          "move its __cluster_metadata-0 there",
                                          metadata_path, path)
                            : Error::make(Code::invalid,
                                          "log.dirs: the first, {}, is where the metadata log is "
                                          "kept, but {} holds one; name that one first, or set "
                                          "metadata.log.dir={}",
                                          metadata_path, path, path);
    }
    return {};
}

/// Who is the whole quorum has the only copy: begun anew, it would know none of the logs.
Result<void> Broker::Inside::check_that_the_metadata_is_there(
    const config::BrokerValues& values, const std::vector<std::string>& paths,
    const std::string& metadata_path) const {
    MR_TRY(const raft::QuorumConfig quorum, identified_quorum(values));
    if (!roles.controller || raft::names_others(quorum) ||
        !lacks_metadata(node.disk(), metadata_path)) {
        return {};
    }
    for (const std::string& path : paths) {
        if (const std::string log = a_log_in(node.disk(), path); !log.empty()) {
            return Error::make(Code::invalid,
                               "log.dirs: {} holds {}, but no __cluster_metadata-0 is in {}, where "
                               "the metadata log is kept, and nobody else has one; name the "
                               "directory that it is in first, or in metadata.log.dir, or, for a "
                               "new cluster, empty directories",
                               path, log, metadata_path);
        }
    }
    return {};
}

Result<std::unique_ptr<storage::LogStore>> Broker::Inside::claim_directories(
    std::vector<std::string> paths, std::string instead_of) {
    storage::StoreOptions store_options;
    store_options.instead_of = std::move(instead_of);
    store_options.open_files_max = options.log_files;
    store_options.paths = std::move(paths);
    store_options.identity = {cluster_id, self};
    store_options.not_ours = {{std::string(metadata_topic), PartitionIndex{0}}};
    return storage::LogStore::claim(node.disk(), std::move(store_options),
                                    *node.control_shard().random, log);
}

Result<void> Broker::Inside::open_quorum(const config::BrokerValues& values) {
    const std::string path = metadata_log_directory(values);
    std::shared_ptr<storage::LogDirectory> home;
    for (const auto& directory : (metadata_store ? metadata_store : store)->directories()) {
        if (directory->path() == path) {
            home = directory;
        }
    }
    if (!home) {
        // An empty metadata log elsewhere would be a cluster that has forgotten everything.
        return Error::make(Code::io, "{} holds the metadata log and can't be used", path);
    }
    MR_TRY(raft::QuorumConfig quorum, identified_quorum(values));
    std::vector<raft::Endpoint> others = other_controllers(quorum);
    const Duration timeout = quorum.request_timeout;
    quorum.directory_id = home->id();
    quorum.cluster_id = cluster_id;
    raft::DriverOptions driver_options;
    driver_options.quorum = std::move(quorum);
    driver_options.directory = home->path() + "/" + raft::metadata_folder;
    MR_TRY_VOID(node.disk().create_directories_durably(driver_options.directory));
    MR_TRY(
        auto metadata_log,
        raft::open_storage_log(home, node, Bytes{values.get(option::metadata_log_segment_bytes)}));
    MetadataNode::Options metadata_options;
    if (roles.controller && metadata_log->end() == Offset{0}) {
        MR_TRY(metadata_options.controller.bootstrap_features,
               formatted_features(node.disk(), home->path()));
    }
    const net::StreamWrapper to_controllers = tls->dialed(controller_listener(values));
    channels = with_cluster_check(
        raft::make_net_channel(
            {.client_id = fmt::format("millrace-{}", self), .wrap = to_controllers},
            node.control_shard(), log),
        {.cluster_id = cluster_id,
         .others = std::move(others),
         .timeout = timeout,
         .on_other = [this](const ClusterDoubt& doubt) { halt_as_of_another_cluster(doubt); }},
        log);
    MR_TRY(driver, raft::RaftDriver::open(std::move(driver_options), node, std::move(metadata_log),
                                          *channels));
    metadata_options.is_controller = roles.controller;
    metadata_options.controller.node = self;
    metadata_options.controller.is_controller = [this](BrokerId id) {
        const auto& voters = driver->voters().voters();
        return std::any_of(voters.begin(), voters.end(),
                           [&](const raft::Voter& voter) { return voter.key.id == id; });
    };
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
    metadata_options.controller.default_copies = default_copies_of(values);
    metadata_options.timers.session_timeout =
        duration_of(values.get(option::broker_session_timeout_ms), 1ms);
    metadata_options.timers.balance_leaders = values.get(option::auto_leader_rebalance_enable);
    metadata_options.timers.balance_interval =
        duration_of(values.get(option::leader_imbalance_check_interval_seconds), 1s);
    metadata_options.snapshots.max_bytes = static_cast<std::uint64_t>(
        values.get(option::metadata_log_max_record_bytes_between_snapshots));
    metadata_options.snapshots.max_interval =
        duration_of(values.get(option::metadata_log_max_snapshot_interval_ms), 1ms);
    metadata = std::make_unique<MetadataNode>(std::move(metadata_options), node.control_shard(),
                                              image, *rules, *driver, log);
    controller_channels = raft::make_net_channel(
        {.client_id = fmt::format("millrace-broker-{}", self), .wrap = to_controllers},
        node.control_shard(), log);
    controller = std::make_unique<ControllerLink>(
        *node.control_shard().executor, *metadata, *driver, *controller_channels,
        duration_of(values.get(option::request_timeout_ms), 1ms));
    return {};
}

void Broker::Inside::halt_as_of_another_cluster(const ClusterDoubt& doubt) {
    std::string peers;
    std::string theirs;
    for (const auto& [peer, cluster] : doubt.peers()) {
        peers += fmt::format("{}{} is of cluster {}", peers.empty() ? "" : ", ", peer,
                             cluster.empty() ? "(it does not say which)" : cluster);
        theirs = theirs.empty() ? cluster : theirs;
    }
    const config::BrokerValues& values = config->broker();
    const std::vector<std::string> paths = log_directories(values);
    std::vector<std::string> all = paths;
    all.push_back(metadata_log_directory(values));
    const bool by_voters = !values.get(option::controller_quorum_voters).empty();
    const std::string_view list =
        by_voters ? "controller.quorum.voters" : "controller.quorum.bootstrap.servers";
    const auto given = options.given->where.find("cluster.id");
    if (given == options.given->where.end()) {
        halt(Error::make(Code::invalid,
                         "{}: {}, but what {} holds is of cluster {}; correct {}, or name another "
                         "log.dirs",
                         list, peers, paths.front(), cluster_id, list));
    } else if (hold_nothing(node.disk(), all)) {
        halt(Error::make(Code::invalid,
                         "{}: cluster.id={}: {}; set cluster.id={} here, or correct {}, and start "
                         "again: {} holds nothing yet and need not be removed",
                         given->second, cluster_id, peers,
                         theirs.empty() ? "to the one that they have" : theirs, list,
                         paths.front()));
    } else {
        halt(Error::make(Code::invalid,
                         "{}: cluster.id={}: {}; correct {}, or, where this node is to be of their "
                         "cluster, cluster.id and log.dirs: what {} holds is of cluster {}",
                         given->second, cluster_id, peers, list, paths.front(), cluster_id));
    }
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
    fetch_sessions = fetch_sessions_of(values, ledger->limit(), data);
    doors.fetch_max_bytes = values.get(option::fetch_max_bytes);
    doors.fetch_by_rack =
        values.get(option::replica_selector_class).ends_with(".RackAwareReplicaSelector");
    doors.fetch_sessions = &fetch_sessions;
    client_quotas =
        std::make_unique<quotas::ClientQuotas>(quota_window(values), mutation_window(values));
    connection_pace = std::make_unique<quotas::ConnectionPace>(quota_window(values));
    doors.quotas = client_quotas.get();
    broker_dispatch = std::make_unique<handlers::Dispatcher>(
        handlers::ListenerKind::broker, doors, data_loops, meters("data", data_loops.size()));
    controller_dispatch = std::make_unique<handlers::Dispatcher>(
        handlers::ListenerKind::controller, doors,
        std::vector<runtime::Executor*>{node.control_shard().executor}, meters("control", 1));
    const net::ServerLimits limits = server_limits(values);
    limited_names = std::make_shared<LimitedNames>(*node.control_shard().net, log);
    connection_limits_changed();
    for (config::ListenerSpec& spec : listeners) {
        if (!is_served(spec)) {
            continue;
        }
        net::Server::Options server;
        server.listener = spec.name;
        server.address = {spec.host, spec.port};
        server.limits = limits;
        server.wrap = tls->served(spec.name);
        server.start_paused = !spec.controller;
        server.gate = spec.controller ? quorum_gate : client_gate;
        if (!spec.controller) {
            server.admit = [this](const std::string& address, Instant now) {
                return client_quotas->connected_from(address, now);
            };
            server.pace = [this, name = spec.name](Instant now) {
                return connection_pace->connected(name, now);
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

void Broker::Inside::set_connection_limits() {
    client_gate->set(
        connection_limits(*config, listeners, options.max_connections, limited_names->known()));
    quorum_gate->set(controller_limits(*config, options.max_connections));
    connection_pace->set(connection_rates(*config, listeners));
}

void Broker::Inside::connection_limits_changed() {
    set_connection_limits();
    limited_names->look_up(config::connection_overrides(config->broker()),
                           [this] { set_connection_limits(); });
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
                             .heartbeat_interval =
                                 duration_of(values.get(option::broker_heartbeat_interval_ms), 1ms),
                             .wrap = tls->dialed(inter_broker_listener(values))},
        node.control_shard(), *metadata->controller(), log);
    const auto look = [this] { broker_watch->look(image.current()); };
    metadata->on_leadership(look);
    controller_entry = std::make_unique<ControllerRegistration>(
        ControllerRegistration::Options{self, incarnation, endpoints_of(true)},
        *node.control_shard().executor, *controller, image, log);
    metadata->publisher().subscribe(
        [this, look](const metadata::Delta&, const metadata::ImagePtr&) {
            look();
            controller_entry->look();
        });
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
    life.heartbeat_interval = duration_of(values.get(option::broker_heartbeat_interval_ms), 1ms);
    life.failed_directories = [this] { return failed_directories(); };
    life.failure_timeout = duration_of(values.get(option::log_dir_failure_timeout_ms), 1ms);
    life.on_failure_unheard = [this] {
        halt(Error(Code::io,
                   "a log directory has failed, and no controller could be told within "
                   "log.dir.failure.timeout.ms"));
    };
    life.cordoned = [this] { return cordoned_directories(); };
    mark_cordoned();
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
    shard_options.lag_max = duration_of(values.get(option::replica_lag_time_max_ms), 1ms);
    shard_options.follower_fetch = follower_fetch(values);
    shard_options.throttles = throttles;
    shard_options.journal.bytes =
        static_cast<std::uint64_t>(values.get(option::millrace_journal_bytes));
    shard_options.journal.after = options.journal_after;
    shard_options.journal.unfiled_max =
        std::max<std::size_t>(16, options.log_files / 2 / node.data_shards());
    shard_options.placed = [this](const TopicIdPartition& id, Uuid directory) {
        reports->report(id, directory);
    };
    std::vector<std::vector<const storage::FoundLog*>> found(node.data_shards());
    for (const storage::FoundLog& one : store->found()) {
        if (one.kind != storage::FoundLog::Kind::future) {
            const TopicIdPartition id{one.topic_id, one.partition.partition};
            found[std::hash<TopicIdPartition>{}(id) % found.size()].push_back(&one);
        }
    }
    for (std::size_t i = 0; i < node.data_shards(); ++i) {
        shard_options.found = std::move(found[i]);
        shard_options.journal.shard = i;
        shards.push_back(std::make_unique<replication::ShardReplicas>(
            shard_options, node.data_shard(i), node.disk_pool(), *store, *proposals, *peers, log));
        replicas.add(node.data_shard(i), shards.back().get());
    }
    move_throttle =
        std::make_shared<MoveThrottle>(throttles, replicas, produce_seconds("data"), node);
    applier = std::make_unique<ReplicaApplier>(self, replicas, topics);
    keeper = std::make_unique<StorageKeeper>(node, *store, replicas, options.compaction_bytes, log);
    group_log = std::make_unique<GroupLog>(std::string(handlers::offsets_topic), *control.executor,
                                           node.disk_pool(), replicas, image, topics);
    groups = std::make_unique<groups::GroupCoordinator>(
        *control.executor, *group_log, *control.random, group_settings(values), log);
    mirrors = std::make_unique<MirrorNode>(
        MirrorNodeOptions{self, cluster_id, among_brokers, tls->dialed(among_brokers),
                          duration_of(values.get(option::millrace_links_delete_grace_ms), 1ms),
                          std::move(link_keys), default_copies_of(values)},
        node, replicas, image, *controller);
    doors.groups = groups.get();
    doors.log_directories = [this] { return log_directory_views(); };
    doors.wish_directory = [this](const TopicPartition& partition, const std::string& path) {
        store->wish(partition, path);
    };
    doors.producer_ids = producer_ids.get();
}

}  // namespace millrace::app
