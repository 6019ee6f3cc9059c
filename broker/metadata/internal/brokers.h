// metadata/internal/brokers.h
//
// Broker ids between records, which know int32, and the rest, which knows BrokerId.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metadata/short_list.h"

namespace millrace::metadata {

/// PartitionChangeRecord.leader when the leader stays; that is not the same as naming it again,
/// which starts a new leader epoch.
inline constexpr std::int32_t no_leader_change = -2;

inline std::vector<BrokerId> broker_ids(const std::vector<std::int32_t>& ids) {
    std::vector<BrokerId> brokers;
    brokers.reserve(ids.size());
    for (const std::int32_t id : ids) {
        brokers.emplace_back(id);
    }
    return brokers;
}
inline BrokerList broker_list(const std::vector<std::int32_t>& ids) {
    return BrokerList(broker_ids(ids));
}
inline std::vector<std::int32_t> raw_ids(std::span<const BrokerId> brokers) {
    std::vector<std::int32_t> ids;
    ids.reserve(brokers.size());
    for (const BrokerId broker : brokers) {
        ids.push_back(broker.value);
    }
    return ids;
}

}  // namespace millrace::metadata
