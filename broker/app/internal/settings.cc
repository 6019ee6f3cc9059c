#include "app/internal/settings.h"

#include <algorithm>
#include <filesystem>
#include <limits>

namespace millrace::app {
namespace {

namespace option = config::broker_option;

Duration milliseconds(std::int64_t count) {
    return duration_of(count, 1ms);
}

std::string joined(const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& item : list) {
        text += (text.empty() ? "" : ",") + item;
    }
    return text;
}

/// Kafka's settings name an assignor, or the class that it has there.
std::vector<std::string> assignors(const std::vector<std::string>& named) {
    std::vector<std::string> names;
    for (const std::string& one : named) {
        std::string name = one.ends_with(".UniformAssignor") ? "uniform"
                           : one.ends_with(".RangeAssignor") ? "range"
                                                             : one;
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(std::move(name));
        }
    }
    return names;
}

groups::MigrationPolicy migration_policy(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (text == "upgrade") {
        return groups::MigrationPolicy::upgrade;
    }
    if (text == "downgrade") {
        return groups::MigrationPolicy::downgrade;
    }
    return text == "disabled" ? groups::MigrationPolicy::disabled
                              : groups::MigrationPolicy::bidirectional;
}

}  // namespace

groups::GroupSettings group_settings(const config::BrokerValues& values) {
    groups::GroupSettings settings;
    settings.offsets_compression =
        static_cast<record::Compression>(values.get(option::offsets_topic_compression_codec));
    settings.offsets_retention = duration_of(values.get(option::offsets_retention_minutes), 1min);
    settings.offsets_check_interval =
        milliseconds(values.get(option::offsets_retention_check_interval_ms));
    settings.offset_metadata_max = values.get(option::offset_metadata_max_bytes);
    settings.min_session_timeout = milliseconds(values.get(option::group_min_session_timeout_ms));
    settings.max_session_timeout = milliseconds(values.get(option::group_max_session_timeout_ms));
    settings.initial_rebalance_delay =
        milliseconds(values.get(option::group_initial_rebalance_delay_ms));
    settings.max_size = values.get(option::group_max_size);
    settings.consumer_session_timeout =
        milliseconds(values.get(option::group_consumer_session_timeout_ms));
    settings.consumer_min_session_timeout =
        milliseconds(values.get(option::group_consumer_min_session_timeout_ms));
    settings.consumer_max_session_timeout =
        milliseconds(values.get(option::group_consumer_max_session_timeout_ms));
    settings.consumer_heartbeat_interval =
        milliseconds(values.get(option::group_consumer_heartbeat_interval_ms));
    settings.consumer_min_heartbeat_interval =
        milliseconds(values.get(option::group_consumer_min_heartbeat_interval_ms));
    settings.consumer_max_heartbeat_interval =
        milliseconds(values.get(option::group_consumer_max_heartbeat_interval_ms));
    settings.consumer_assignment_interval =
        milliseconds(values.get(option::group_consumer_assignment_interval_ms));
    settings.consumer_min_assignment_interval =
        milliseconds(values.get(option::group_consumer_min_assignment_interval_ms));
    settings.consumer_max_assignment_interval =
        milliseconds(values.get(option::group_consumer_max_assignment_interval_ms));
    settings.consumer_assignors = assignors(values.get(option::group_consumer_assignors));
    const auto protocols = values.get(option::group_coordinator_rebalance_protocols);
    settings.offers_consumer_protocol =
        std::find(protocols.begin(), protocols.end(), "consumer") != protocols.end();
    settings.consumer_max_size = values.get(option::group_consumer_max_size);
    settings.migration = migration_policy(values.get(option::group_consumer_migration_policy));
    settings.regex_refresh =
        milliseconds(values.get(option::group_consumer_regex_refresh_interval_ms));
    return settings;
}

groups::GroupOverrides group_overrides(const config::BrokerConfig& config,
                                       const config::Entries& entries) {
    const config::GroupValues values = config.group(entries);
    const auto own = [&](const auto& setting, const char* name) {
        return entries.contains(name) ? std::optional{milliseconds(values.get(setting))}
                                      : std::nullopt;
    };
    return {
        .consumer_session_timeout =
            own(config::group_option::consumer_session_timeout_ms, "consumer.session.timeout.ms"),
        .consumer_heartbeat_interval = own(config::group_option::consumer_heartbeat_interval_ms,
                                           "consumer.heartbeat.interval.ms"),
        .consumer_assignment_interval = own(config::group_option::consumer_assignment_interval_ms,
                                            "consumer.assignment.interval.ms")};
}

replication::FollowerFetch follower_fetch(const config::BrokerValues& values) {
    replication::FollowerFetch fetch;
    fetch.min_bytes = values.get(option::replica_fetch_min_bytes);
    fetch.max_wait = milliseconds(values.get(option::replica_fetch_wait_max_ms));
    fetch.max_bytes = values.get(option::replica_fetch_response_max_bytes);
    fetch.max_partition_bytes = values.get(option::replica_fetch_max_bytes);
    fetch.back_off = milliseconds(values.get(option::replica_fetch_backoff_ms));
    fetch.answer_timeout = milliseconds(values.get(option::replica_socket_timeout_ms));
    return fetch;
}

replication::CleanerSettings cleaner_settings(const config::BrokerValues& values,
                                              std::size_t most) {
    constexpr double no_limit = 1e18;
    const double pace = values.get(option::log_cleaner_io_max_bytes_per_second);
    const auto asked = static_cast<std::size_t>(
        std::max<std::int64_t>(0, values.get(option::log_cleaner_dedupe_buffer_size)));
    return {.rounds_at_once = static_cast<std::size_t>(values.get(option::log_cleaner_threads)),
            .key_bytes = std::min(asked, most),
            .bytes_per_second = pace < no_limit ? pace : 0,
            .pause = std::max<Duration>(
                duration_of(values.get(option::log_cleaner_backoff_ms), 1ms), 1ms)};
}

quotas::Window quota_window(const config::BrokerValues& values) {
    return {.samples = values.get(option::quota_window_num),
            .length = duration_of(values.get(option::quota_window_size_seconds), 1s)};
}

quotas::Window mutation_window(const config::BrokerValues& values) {
    return {.samples = values.get(option::controller_quota_window_num),
            .length = duration_of(values.get(option::controller_quota_window_size_seconds), 1s)};
}

quotas::Rules quota_rules(const metadata::Quotas& quotas) {
    quotas::Rules rules;
    for (const auto& entry : quotas) {
        rules.add(entry.key, entry.value);
    }
    return rules;
}

void set_throttles(replication::Throttles& throttles, const config::BrokerValues& values,
                   Instant now) {
    throttles.leader.set_rate(values.get(option::leader_replication_throttled_rate), now);
    throttles.follower.set_rate(values.get(option::follower_replication_throttled_rate), now);
    throttles.log_dirs.set_rate(values.get(option::replica_alter_log_dirs_io_max_bytes_per_second),
                                now);
}

std::vector<handlers::FetchSessions> fetch_sessions_of(const config::BrokerValues& values,
                                                       std::int64_t request_bytes,
                                                       const std::vector<runtime::Shard>& shards) {
    const auto slots =
        static_cast<std::size_t>(values.get(option::max_incremental_fetch_session_cache_slots));
    std::vector<handlers::FetchSessions> all;
    for (const runtime::Shard& shard : shards) {
        handlers::FetchSessions::Limits limits;
        limits.slots = (slots + shards.size() - 1) / shards.size();
        limits.partitions = static_cast<std::size_t>(request_bytes) / 16 / 256 / shards.size();
        all.emplace_back(limits, *shard.random);
    }
    return all;
}

net::ServerLimits server_limits(const config::BrokerValues& values) {
    net::ServerLimits limits;
    limits.max_request_bytes = values.get(option::socket_request_max_bytes);
    const std::int64_t idle = values.get(option::connections_max_idle_ms);
    limits.idle_deadline = milliseconds(idle < 0 ? INT64_MAX : idle);  // below 0: never
    limits.first_request_deadline =
        milliseconds(values.get(option::millrace_connection_first_request_timeout_ms));
    limits.request_deadline =
        milliseconds(values.get(option::millrace_connection_stalled_request_timeout_ms));
    limits.response_deadline = limits.request_deadline;
    return limits;
}

namespace {

/// What each listener of clients has of its own beside the broker's.
template <typename Value>
std::map<std::string, Value, std::less<>> own_of_listeners(
    const config::BrokerConfig& config, const std::vector<config::ListenerSpec>& listeners,
    config::Key<config::Scope::broker, config::Type::int32> key) {
    std::map<std::string, Value, std::less<>> own;
    for (const config::ListenerSpec& spec : listeners) {
        const std::int32_t value = config.broker_for_listener(spec.name).get(key);
        if (!spec.controller && value != config.broker().get(key)) {
            own.insert_or_assign(spec.name, value);
        }
    }
    return own;
}

/// The brokers' own, if there is one: alone it is everybody's, and nobody could tell a broker from
/// a crowd.
std::string listener_of_brokers(const std::vector<config::ListenerSpec>& listeners) {
    std::size_t clients = 0;
    std::string found;
    for (const config::ListenerSpec& spec : listeners) {
        if (!spec.controller) {
            ++clients;
            found = spec.inter_broker ? spec.name : found;
        }
    }
    return clients < 2 ? std::string{} : found;
}

}  // namespace

net::ConnectionLimits connection_limits(const config::BrokerConfig& config,
                                        const std::vector<config::ListenerSpec>& listeners,
                                        std::int32_t most, const LimitedNames::Addresses& names) {
    const config::BrokerValues& values = config.broker();
    net::ConnectionLimits limits = controller_limits(config, most);
    limits.per_address = values.get(option::max_connections_per_ip);
    for (const config::AddressLimit& one : config::connection_overrides(values)) {
        if (!one.is_name) {
            limits.of_address.insert_or_assign(one.address, one.limit);
        } else if (const auto found = names.find(one.address); found != names.end()) {
            for (const std::string& address : found->second) {
                limits.of_address.insert_or_assign(address, one.limit);
            }
        }
    }
    limits.of_listener = own_of_listeners<std::int32_t>(config, listeners, option::max_connections);
    limits.spared_listener = listener_of_brokers(listeners);
    return limits;
}

quotas::ConnectionRates connection_rates(const config::BrokerConfig& config,
                                         const std::vector<config::ListenerSpec>& listeners) {
    constexpr std::int32_t any = std::numeric_limits<std::int32_t>::max();
    quotas::ConnectionRates rates;
    const std::int32_t in_all = config.broker().get(option::max_connection_creation_rate);
    if (in_all < any) {
        rates.in_all = in_all;
    }
    rates.of_listener =
        own_of_listeners<double>(config, listeners, option::max_connection_creation_rate);
    rates.spared_listener = listener_of_brokers(listeners);
    return rates;
}

net::ConnectionLimits controller_limits(const config::BrokerConfig& config, std::int32_t most) {
    net::ConnectionLimits limits;
    limits.in_all = config.broker().get(option::max_connections);
    if (most > 0) {
        limits.in_all = std::min(limits.in_all, most);
    }
    return limits;
}

Result<raft::QuorumConfig> quorum_config(const config::BrokerValues& values) {
    raft::QuorumConfig quorum;
    const auto& names = values.get(option::controller_listener_names);
    MR_TRY(quorum.voters, raft::parse_voters(joined(values.get(option::controller_quorum_voters)),
                                             names.empty() ? "CONTROLLER" : names.front()));
    MR_TRY(quorum.bootstrap_servers, raft::parse_bootstrap_servers(joined(
                                         values.get(option::controller_quorum_bootstrap_servers))));
    quorum.auto_join = values.get(option::controller_quorum_auto_join_enable);
    quorum.election_timeout =
        milliseconds(values.get(option::controller_quorum_election_timeout_ms));
    quorum.election_backoff_max =
        milliseconds(values.get(option::controller_quorum_election_backoff_max_ms));
    quorum.fetch_timeout = milliseconds(values.get(option::controller_quorum_fetch_timeout_ms));
    quorum.request_timeout = milliseconds(values.get(option::controller_quorum_request_timeout_ms));
    quorum.retry_backoff = milliseconds(values.get(option::controller_quorum_retry_backoff_ms));
    return quorum;
}

void advertise_as_listed(std::vector<config::ListenerSpec>& listeners, std::string_view listener,
                         const std::vector<raft::Voter>& listed, BrokerId self) {
    for (const raft::Voter& voter : listed) {
        for (config::ListenerSpec& spec : listeners) {
            const bool says_nothing = spec.name == listener && spec.advertised_host.empty();
            if (voter.key.id == self && says_nothing && !voter.listeners.empty()) {
                spec.advertised_host = voter.listeners.front().endpoint.host;
                spec.advertised_port = voter.listeners.front().endpoint.port;
            }
        }
    }
}

void advertise_as_reached(std::vector<config::ListenerSpec>& listeners, std::string_view listener,
                          const std::vector<raft::Endpoint>& servers, std::string_view host_name,
                          const std::function<bool(const std::string& host)>& is_own_host) {
    for (config::ListenerSpec& spec : listeners) {
        const std::vector<raft::Listener> as_named{
            {spec.name, {std::string(host_name), spec.port}}};
        const bool is_named = std::any_of(
            servers.begin(), servers.end(),
            [&](const raft::Endpoint& server) { return raft::is_reached_at(as_named, server); });
        if (spec.name != listener || !spec.advertised_host.empty() || is_named || !is_own_host) {
            continue;
        }
        const auto ours =
            std::find_if(servers.begin(), servers.end(), [&](const raft::Endpoint& server) {
                return server.port == spec.port && is_own_host(server.host);
            });
        if (ours != servers.end()) {
            spec.advertised_host = ours->host;
            spec.advertised_port = ours->port;
        }
    }
}

Result<void> check_settings(const config::BrokerValues& values) {
    MR_TRY_VOID(quorum_config(values));
    return {};
}

std::string absolute_path(const std::string& path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    return error ? path : absolute.string();
}

std::vector<std::string> log_directories(const config::BrokerValues& values) {
    const auto& roles = values.get(option::process_roles);
    const std::string& metadata = values.get(option::metadata_log_dir);
    if (!metadata.empty() && roles == std::vector<std::string>{"controller"}) {
        return {absolute_path(metadata)};
    }
    const auto& several = values.get(option::log_dirs);
    std::vector<std::string> paths = several.empty() ? values.get(option::log_dir) : several;
    std::transform(paths.begin(), paths.end(), paths.begin(), absolute_path);
    return paths;
}

std::string metadata_log_directory(const config::BrokerValues& values) {
    const std::string& asked = values.get(option::metadata_log_dir);
    return asked.empty() ? log_directories(values).front() : absolute_path(asked);
}

}  // namespace millrace::app
