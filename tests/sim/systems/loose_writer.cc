#include "tests/sim/systems/loose_writer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "record/batch_builder.h"
#include "tests/sim/systems/cluster_wire.h"

namespace millrace::simtest {

namespace {

constexpr std::int16_t loose_version = 13;
constexpr std::int16_t reassignments_version = 1;
constexpr std::int16_t elect_version = 2;
constexpr Duration loose_timeout = 3s;
constexpr Duration rest_least = 500ms;
constexpr Duration rest_most = 4s;
constexpr Duration between_sends = 60ms;
constexpr std::int64_t most_in_a_burst = 30;
/// What waits for records that were cut away must not be freed by the next ones.
constexpr Duration partition_rest_least = 8s;
constexpr Duration partition_rest_most = 20s;
/// Long enough for the change to be made while records still come.
constexpr std::uint64_t least_after_a_change = 30;

}  // namespace

LooseWriter::LooseWriter(Options options, ClusterMap& map)
    : options_(std::move(options)),
      map_(map),
      rested_(static_cast<std::size_t>(options_.partitions)) {
    map_.refresh();
    burst();
}

LooseWriter::~LooseWriter() {
    *alive_ = false;
}

void LooseWriter::burst() {
    Random& random = *map_.shard().random;
    const Duration rest{random.between(rest_least.count(), Duration{rest_most}.count())};
    map_.shard().executor->after(rest, [this, alive = alive_] {
        if (*alive) {
            Random& dice = *map_.shard().random;
            map_.refresh();
            const auto at = dice.below(rested_.size());
            if (rested_[at] > map_.shard().executor->clock().now()) {
                burst();
                return;
            }
            refused_ = false;
            send(static_cast<std::int32_t>(at),
                 static_cast<std::uint64_t>(dice.between(1, most_in_a_burst)));
        }
    });
}

/// Another order of the replicas, and its first one leads: followers have more than the new leader.
void LooseWriter::change_leader(std::int32_t partition) {
    Random& random = *map_.shard().random;
    std::vector<std::int32_t> order{1, 2, 3};
    for (std::size_t left = order.size(); left > 1; --left) {
        std::swap(order[left - 1], order[random.below(left)]);
    }
    protocol::AlterPartitionReassignmentsRequest reorder;
    reorder.timeout_ms = 2'000;
    auto& topic = reorder.topics.emplace_back();
    topic.name = options_.topic;
    topic.partitions.push_back({.partition_index = partition, .replicas = order});
    ask<protocol::AlterPartitionReassignmentsResponse>(
        map_.anybody(), reorder, reassignments_version, loose_timeout,
        [this, alive = alive_,
         partition](const Result<Answered<protocol::AlterPartitionReassignmentsResponse>>& answer) {
            if (*alive && answer) {
                elect(partition);
            }
        });
}

void LooseWriter::elect(std::int32_t partition) {
    protocol::ElectLeadersRequest elect;
    elect.timeout_ms = 2'000;
    auto& topic = elect.topic_partitions.emplace().emplace_back();
    topic.topic = options_.topic;
    topic.partitions = {partition};
    ask<protocol::ElectLeadersResponse>(
        map_.anybody(), elect, elect_version, loose_timeout,
        [](const Result<Answered<protocol::ElectLeadersResponse>>&) {});
}

void LooseWriter::send(std::int32_t partition, std::uint64_t left) {
    Random& random = *map_.shard().random;
    if (left == 0 || refused_) {
        rested_[static_cast<std::size_t>(partition)] =
            map_.shard().executor->clock().now() +
            Duration{random.between(partition_rest_least.count(),
                                    Duration{partition_rest_most}.count())};
        burst();
        return;
    }
    if (random.one_in(10)) {
        change_leader(partition);
        left = std::max(left, least_after_a_change);
    }
    map_.shard().executor->after(Duration{random.between(0, Duration{between_sends}.count())},
                                 [this, partition, left, alive = alive_] {
                                     if (*alive) {
                                         send(partition, left - 1);
                                     }
                                 });
    net::Channel* const channel = map_.leader(partition).channel;
    if (map_.topic_id().is_zero() || channel == nullptr) {
        map_.refresh();
        return;
    }
    record::BatchBuilder builder{record::BatchOptions{}};
    const std::string value(1 + random.below(500), 'l');
    builder.append({.timestamp = map_.shard().executor->clock().wall().milliseconds,
                    .key = std::nullopt,
                    .value = as_bytes(value),
                    .headers = {}});
    const Buffer bytes = builder.finish();
    protocol::ProduceRequest request;
    request.transactional_id.reset();
    request.acks = 1;
    request.timeout_ms = 2'000;
    auto& topic = request.topic_data.emplace_back();
    topic.topic_id = map_.topic_id();
    topic.partition_data.push_back(
        {.index = partition, .records = protocol::Records{.bytes = bytes}});
    ask<protocol::ProduceResponse>(
        *channel, request, loose_version, loose_timeout,
        [this, alive = alive_, channel](Result<Answered<protocol::ProduceResponse>> answer) {
            if (!*alive) {
                return;
            }
            if (!answer && answer.error().code() == Code::timed_out) {
                channel->reset();
            }
            const bool taken = answer && answer->response.responses.size() == 1 &&
                               answer->response.responses[0].partition_responses.size() == 1 &&
                               answer->response.responses[0].partition_responses[0].error_code == 0;
            if (!taken) {
                refused_ = true;
                map_.refresh();  // for the next one
            }
        });
}

}  // namespace millrace::simtest
