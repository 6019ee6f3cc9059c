// app/internal/broker_inside.h
//
// What a Broker is made of, in the order in which it is made. broker.cc has its life,
// broker_opening.cc how it comes to be, broker_changes.cc what the metadata changes in it,
// broker_disks.cc its directories and what is read back from them after an unclean stop.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/broker.h"
#include "app/internal/broker_peers.h"
#include "app/internal/broker_watch.h"
#include "app/internal/cluster_check.h"
#include "app/internal/controller_link.h"
#include "app/internal/controller_registration.h"
#include "app/internal/directory_reports.h"
#include "app/internal/group_log.h"
#include "app/internal/image_waits.h"
#include "app/internal/isr_proposals.h"
#include "app/internal/lifecycle.h"
#include "app/internal/limited_names.h"
#include "app/internal/metadata_node.h"
#include "app/internal/mirror_node.h"
#include "app/internal/move_throttle.h"
#include "app/internal/producer_ids.h"
#include "app/internal/replica_applier.h"
#include "app/internal/storage_keeper.h"
#include "app/internal/tls_node.h"
#include "config/listeners.h"
#include "groups/group_coordinator.h"
#include "handlers/dispatch.h"
#include "handlers/fetch_session.h"
#include "metadata/config_rules.h"
#include "net/server.h"
#include "quotas/client_quotas.h"
#include "quotas/connection_pace.h"
#include "storage/log_store.h"

namespace millrace::app {

struct Roles {
    bool broker = true;
    bool controller = true;
};

struct Broker::Inside {
    explicit Inside(runtime::Node& node_in) : node(node_in), log(node_in.log()) {}

    Result<void> open(BrokerOptions given_options);
    bool is_served(const config::ListenerSpec& spec) const;
    Result<void> try_addresses() const;
    void give_up();
    Result<void> mark_clean_shutdown(BrokerEpoch epoch);
    Result<void> open_store(const config::BrokerValues& values);
    Result<void> check_that_it_may_begin_alone(const config::BrokerValues& values,
                                               const std::string& path) const;
    Result<raft::QuorumConfig> identified_quorum(const config::BrokerValues& values) const;
    Result<void> check_that_none_holds_the_metadata(const std::vector<std::string>& paths,
                                                    const std::string& metadata_path);
    Result<std::unique_ptr<storage::LogStore>> claim_directories(std::vector<std::string> paths,
                                                                 std::string instead_of);
    /// A quorum that takes this node for one of another cluster; ends it.
    void halt_as_of_another_cluster(const ClusterDoubt& doubt);
    Result<void> check_that_the_metadata_is_there(const config::BrokerValues& values,
                                                  const std::vector<std::string>& paths,
                                                  const std::string& metadata_path) const;
    Result<void> open_quorum(const config::BrokerValues& values);
    std::vector<handlers::RequestMeter> meters(std::string_view kind, std::size_t count) const;
    std::vector<metrics::Histogram> produce_seconds(std::string_view kind) const;
    Result<void> listen(const config::BrokerValues& values);
    void set_connection_limits();
    /// As above, and again once the names among them are known.
    void connection_limits_changed();
    std::string inter_broker_listener(const config::BrokerValues& values) const;
    std::string controller_listener(const config::BrokerValues& values) const;
    void watch_brokers(const config::BrokerValues& values);
    void make_broker_side(const config::BrokerValues& values);
    void subscribe();
    void warn_if_still_a_voter() const;
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
    void mark_cordoned();
    /// Of this broker's own settings, changed so; from any thread.
    void judge_settings(handlers::Doors::SettingChanges changes,
                        UniqueFunction<void(Result<void>)> done);
    void when_settings_work(handlers::Doors::SettingChanges changes, UniqueFunction<void()> done);
    Result<void> check_cordoned(const std::string& value) const;
    Result<void> check_listeners(const handlers::Doors::SettingChanges& changes) const;
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
    std::shared_ptr<net::Ledger> ledger;
    std::shared_ptr<TlsNode> tls;
    std::unique_ptr<storage::LogStore> store;
    /// The directory of the metadata log alone, where metadata.log.dir is none of log.dirs.
    std::unique_ptr<storage::LogStore> metadata_store;
    std::unique_ptr<raft::Channel> channels;
    /// The controller has connections of its own: a request that it drops must not look to the
    /// quorum like a peer that is gone.
    std::unique_ptr<raft::Channel> controller_channels;
    std::unique_ptr<raft::RaftDriver> driver;
    std::unique_ptr<MetadataNode> metadata;
    std::unique_ptr<ControllerLink> controller;
    std::unique_ptr<BrokerWatch> broker_watch;                 ///< With the controller role.
    std::unique_ptr<ControllerRegistration> controller_entry;  ///< As broker_watch.
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
    std::unique_ptr<ImageWaits> sights;
    std::unique_ptr<DirectoryReports> reports;
    std::unique_ptr<GroupLog> group_log;
    std::unique_ptr<groups::GroupCoordinator> groups;
    std::vector<handlers::FetchSessions> fetch_sessions;
    std::vector<Secret> link_keys;
    std::unique_ptr<quotas::ClientQuotas> client_quotas;
    std::unique_ptr<quotas::ConnectionPace> connection_pace;
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
    std::shared_ptr<net::ConnectionGate> client_gate = net::ConnectionGate::make();
    std::shared_ptr<net::ConnectionGate> quorum_gate = net::ConnectionGate::make();
    std::shared_ptr<LimitedNames> limited_names;
    std::atomic<bool> ready{false};
    // On the control loop.
    bool draining = false;
    bool enrolled = false;  ///< This run's registration has been seen in the metadata.
};

}  // namespace millrace::app
