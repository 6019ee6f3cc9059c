// raft/quorum_config.h
//
// The options of the quorum as app/ fills them in, and the two lists in Kafka's own notation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "raft/voter_set.h"

namespace millrace::raft {

struct QuorumConfig {
    BrokerId node_id = no_broker;
    Uuid directory_id;          ///< Of the directory that holds the metadata log (meta.properties).
    bool is_controller = true;  ///< process.roles contains controller; otherwise an observer.
    std::string cluster_id;
    /// Advertised controller listeners, the one of controller.listener.names first. Empty for an
    /// observer.
    std::vector<Listener> listeners;
    std::vector<Voter> voters;                ///< controller.quorum.voters
    std::vector<Endpoint> bootstrap_servers;  ///< controller.quorum.bootstrap.servers
    bool auto_join = false;                   ///< controller.quorum.auto.join.enable

    Duration election_timeout = std::chrono::seconds(1);  ///< controller.quorum.election.timeout.ms
    Duration election_backoff_max = std::chrono::seconds(1);
    Duration fetch_timeout = std::chrono::seconds(2);    ///< controller.quorum.fetch.timeout.ms
    Duration request_timeout = std::chrono::seconds(2);  ///< controller.quorum.request.timeout.ms
    Duration retry_backoff = std::chrono::milliseconds(20);  ///< controller.quorum.retry.backoff.ms
    Bytes max_batch{8 << 20};  ///< A proposal above this is refused before anything is written.
};

/// "1@host1:9093,2@[::1]:9093": ids must differ. "" is an empty list.
Result<std::vector<Voter>> parse_voters(std::string_view text, std::string_view listener_name);
/// "host1:9093,host2:9093".
Result<std::vector<Endpoint>> parse_bootstrap_servers(std::string_view text);

/// Whether a node with these listeners is the one that `address` leads to: by the name it gives
/// itself, by that name with or without its domain, or on this machine. Another name may lead to
/// anybody, and to somebody else tomorrow.
bool is_reached_at(const std::vector<Listener>& listeners, const Endpoint& address);
/// Whether the quorum that is configured has, or is to have, other controllers than this node.
bool names_others(const QuorumConfig& config);

}  // namespace millrace::raft
