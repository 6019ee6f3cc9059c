// metadata/standing.h
//
// What people have asked of a broker, kept as broker settings in the metadata: to take no new
// replica, to give its leaders away. Functions of an image, so that every node says the same.
#pragma once

#include <string_view>
#include <vector>

#include "metadata/image.h"

namespace millrace::metadata {

namespace setting {
/// "true": no new replica goes here, whatever single directories say.
inline constexpr std::string_view cordoned = "millrace.cordoned";
/// The broker epoch that gives its leaders away; a later start of the broker has another.
inline constexpr std::string_view drained_epoch = "millrace.drained.epoch";
/// For all brokers: the plan of moves that runs or was the last (app keeps it).
inline constexpr std::string_view plan = "millrace.plan";
/// For all brokers: how far that plan is.
inline constexpr std::string_view plan_note = "millrace.plan.note";
/// For all brokers: begins the names of the pieces that hold which moves that plan has begun.
inline constexpr std::string_view plan_journal = "millrace.plan.journal.";
}  // namespace setting

/// An UnregisterBroker request with this tagged field (a number of our own) is refused while the
/// broker has replicas; Kafka's tools, which don't send it, may unregister a broker that is lost.
inline constexpr std::uint32_t only_if_unused_tag = 11'002;

/// Where the settings of one broker are.
ConfigResource broker_settings(BrokerId broker);

/// Takes no new replica: a person said so, or each of its directories is cordoned (KIP-1066).
bool is_cordoned(const Image& image, const Broker& broker);

/// Leads only what nobody else can lead, until its next start or until told otherwise.
bool is_drained(const Image& image, const Broker& broker);
std::vector<BrokerId> drained_brokers(const Image& image);

}  // namespace millrace::metadata
