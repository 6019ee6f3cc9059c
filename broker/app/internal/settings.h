// app/internal/settings.h
//
// From options to the small structs that rooms take.
#pragma once

#include <algorithm>
#include <functional>

#include "app/internal/limited_names.h"
#include "config/config.h"
#include "config/listeners.h"
#include "groups/settings.h"
#include "handlers/fetch_session.h"
#include "metadata/image_settings.h"
#include "net/server.h"
#include "quotas/connection_pace.h"
#include "quotas/rules.h"
#include "quotas/windowed_rate.h"
#include "raft/quorum_config.h"
#include "replication/cleaner.h"
#include "replication/throttle.h"
#include "replication/types.h"
#include "runtime/node.h"

namespace millrace::app {

/// So many units. Kafka's "for ever" is the largest number there is, and more than a Duration
/// holds: what is longer than a century is a century, which outlives every timer.
constexpr Duration duration_of(std::int64_t count, Duration unit) {
    constexpr Duration century = 100 * 365 * 24h;
    const std::int64_t most = century / unit;
    return std::clamp(count, -most, most) * unit;
}

replication::FollowerFetch follower_fetch(const config::BrokerValues& values);
groups::GroupSettings group_settings(const config::BrokerValues& values);
/// What is set for one group.
groups::GroupOverrides group_overrides(const config::BrokerConfig& config,
                                       const config::Entries& entries);
/// One for each loop that serves connections; their slots are shared out.
/// Sessions hold a sixteenth of `request_bytes` at most.
std::vector<handlers::FetchSessions> fetch_sessions_of(const config::BrokerValues& values,
                                                       std::int64_t request_bytes,
                                                       const std::vector<runtime::Shard>& shards);
/// Compaction, within `most` bytes for the keys that it has seen.
replication::CleanerSettings cleaner_settings(const config::BrokerValues& values, std::size_t most);
quotas::Window quota_window(const config::BrokerValues& values);
quotas::Window mutation_window(const config::BrokerValues& values);
quotas::Rules quota_rules(const metadata::Quotas& quotas);
void set_throttles(replication::Throttles& throttles, const config::BrokerValues& values,
                   Instant now);
net::ServerLimits server_limits(const config::BrokerValues& values);
/// Of the listeners that brokers and clients come to. `most` is what the machine bears; 0: any.
/// `names`: as far as they are known.
net::ConnectionLimits connection_limits(const config::BrokerConfig& config,
                                        const std::vector<config::ListenerSpec>& listeners,
                                        std::int32_t most,
                                        const LimitedNames::Addresses& names = {});
/// Of the same: how many may come in a second.
quotas::ConnectionRates connection_rates(const config::BrokerConfig& config,
                                         const std::vector<config::ListenerSpec>& listeners);
/// Of those of the quorum, where it is never an address that is bounded: a crowd of nodes behind
/// one must find their controllers.
net::ConnectionLimits controller_limits(const config::BrokerConfig& config, std::int32_t most);
/// Without identity and listeners, which app knows better.
Result<raft::QuorumConfig> quorum_config(const config::BrokerValues& values);
/// A controller that doesn't say how it is reached is where controller.quorum.voters has it: this
/// machine's own name may mean nothing elsewhere, and that list is what the others dial.
void advertise_as_listed(std::vector<config::ListenerSpec>& listeners, std::string_view listener,
                         const std::vector<raft::Voter>& listed, BrokerId self);
/// The same of controller.quorum.bootstrap.servers, which names no ids: it is the one with its port
/// that leads to this machine, unless one of them is `host_name`.
void advertise_as_reached(std::vector<config::ListenerSpec>& listeners, std::string_view listener,
                          const std::vector<raft::Endpoint>& servers, std::string_view host_name,
                          const std::function<bool(const std::string& host)>& is_own_host);
/// As clients are told directories: from the root on.
std::string absolute_path(const std::string& path);
/// log.dirs, or log.dir. A node without partitions has its metadata.log.dir alone, if that is set.
std::vector<std::string> log_directories(const config::BrokerValues& values);
/// metadata.log.dir, or the first of log_directories().
std::string metadata_log_directory(const config::BrokerValues& values);
/// What the table of settings can't judge, before anything is opened.
Result<void> check_settings(const config::BrokerValues& values);

}  // namespace millrace::app
