// admin/cluster_health.h
//
// What the metadata says about a cluster's health and about stopping brokers: pure functions of an
// image, so that every broker says the same at the same offset.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "admin/doors.h"
#include "metadata/image.h"

namespace millrace::admin {

/// min.insync.replicas of a topic.
using MinIsr = std::function<int(const std::string& topic)>;

/// Without what only a broker knows of itself (recovery) or the quorum knows of its voters.
Health health_of(const metadata::Image& image, BrokerId controller, const MinIsr& min_isr);

/// Voters that the quorum's leader has not heard from lately.
std::set<BrokerId> silent_voters(const QuorumHealth& quorum);

/// May these brokers stop together? No partition may lose its last in-sync replica or fall below
/// its min.insync.replicas, and most voters of the quorum must stay; the `silent` ones are gone.
/// Without `silent` nobody leads the quorum: what a broker leads could not be handed over.
RestartVerdict restart_verdict(const metadata::Image& image, const RestartQuestion& question,
                               const std::vector<BrokerId>& voters,
                               const std::optional<std::set<BrokerId>>& silent,
                               const MinIsr& min_isr);

/// What the broker leads, and which of it nobody else may lead.
DrainResult leaders_left(const metadata::Image& image, BrokerId broker);

/// How far a restarted broker is, from its place in the in-sync sets; `before` is its epoch before
/// the restart.
Result<RestartProgress> restart_progress(const metadata::Image& image, BrokerId broker,
                                         BrokerEpoch before);

}  // namespace millrace::admin
