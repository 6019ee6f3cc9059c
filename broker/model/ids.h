// model/ids.h
//
// The shared nouns: strong ids that every room speaks in.
#pragma once

#include <cstdint>
#include <string>

#include "base/formatted.h"
#include "base/strong.h"
#include "base/uuid.h"

namespace millrace {

using Offset = Strong<struct OffsetTag, std::int64_t>;
using LeaderEpoch = Strong<struct LeaderEpochTag, std::int32_t>;
using PartitionEpoch = Strong<struct PartitionEpochTag, std::int32_t>;
using BrokerId = Strong<struct BrokerIdTag, std::int32_t>;
using BrokerEpoch = Strong<struct BrokerEpochTag, std::int64_t>;
using PartitionIndex = Strong<struct PartitionIndexTag, std::int32_t>;
using ProducerId = Strong<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = Strong<struct ProducerEpochTag, std::int16_t>;
using QuorumEpoch = Strong<struct QuorumEpochTag, std::int32_t>;

inline constexpr BrokerId no_broker{-1};
inline constexpr LeaderEpoch no_leader_epoch{-1};
inline constexpr ProducerId no_producer{-1};
inline constexpr Offset no_offset{-1};

constexpr Offset operator+(Offset offset, std::int64_t count) {
    return Offset{offset.value + count};
}
constexpr Offset operator-(Offset offset, std::int64_t count) {
    return Offset{offset.value - count};
}
constexpr std::int64_t operator-(Offset a, Offset b) {
    return a.value - b.value;
}

struct TopicPartition {
    std::string topic;
    PartitionIndex partition;
    friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
    std::string to_string() const { return topic + "-" + std::to_string(partition.value); }
};

struct TopicIdPartition {
    Uuid topic_id;
    PartitionIndex partition;
    friend auto operator<=>(const TopicIdPartition&, const TopicIdPartition&) = default;
};

/// Who a request comes from, as "User:alice".
struct Principal {
    std::string type = "User";
    std::string name = "ANONYMOUS";
    friend auto operator<=>(const Principal&, const Principal&) = default;
    std::string to_string() const { return type + ":" + name; }
};

}  // namespace millrace

template <>
struct std::hash<millrace::TopicPartition> {
    std::size_t operator()(const millrace::TopicPartition& tp) const noexcept {
        return std::hash<std::string>{}(tp.topic) ^
               std::hash<millrace::PartitionIndex>{}(tp.partition);
    }
};
template <>
struct std::hash<millrace::TopicIdPartition> {
    std::size_t operator()(const millrace::TopicIdPartition& tp) const noexcept {
        return std::hash<millrace::Uuid>{}(tp.topic_id) ^
               std::hash<millrace::PartitionIndex>{}(tp.partition);
    }
};
template <>
struct fmt::formatter<millrace::TopicPartition> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    template <typename Context>
    auto format(const millrace::TopicPartition& tp, Context& context) const {
        return millrace::write_formatted(context, tp.to_string());
    }
};
template <>
struct fmt::formatter<millrace::Principal> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    template <typename Context>
    auto format(const millrace::Principal& principal, Context& context) const {
        return millrace::write_formatted(context, principal.to_string());
    }
};
