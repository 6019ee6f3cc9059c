#include "tests/sim/systems/cluster_mover.h"

#include <utility>
#include <vector>

#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "tests/sim/systems/cluster_wire.h"

namespace millrace::simtest {

namespace {

constexpr std::int16_t version = 1;
constexpr Duration request_timeout = 3s;
constexpr Duration pause_least = 100ms;
constexpr Duration pause_most = 3s;

}  // namespace

ClusterMover::ClusterMover(Options options, ClusterMap& map)
    : options_(std::move(options)), map_(map) {
    later();
}

ClusterMover::~ClusterMover() {
    *alive_ = false;
}

void ClusterMover::later() {
    const Duration pause{
        map_.shard().random->between(pause_least.count(), Duration{pause_most}.count())};
    map_.shard().executor->after(pause, [this, alive = alive_] {
        if (*alive && map_.shard().executor->clock().now() < options_.until) {
            move_one();
            later();
        }
    });
}

void ClusterMover::move_one() {
    Random& random = *map_.shard().random;
    protocol::AlterPartitionReassignmentsRequest request;
    request.timeout_ms = 2'000;
    auto& topic = request.topics.emplace_back();
    topic.name = options_.topic;
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index =
        static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(options_.partitions)));
    const bool takes_back = random.one_in(5);
    if (!takes_back) {
        std::vector<std::int32_t> brokers;
        for (std::int32_t id = 1; id <= options_.brokers; ++id) {
            brokers.push_back(id);
        }
        auto& wanted = partition.replicas.emplace();
        while (wanted.size() < options_.replicas) {
            const auto at = static_cast<std::ptrdiff_t>(random.below(brokers.size()));
            wanted.push_back(brokers[static_cast<std::size_t>(at)]);
            brokers.erase(brokers.begin() + at);
        }
    }
    net::Channel& channel = map_.anybody();
    ask<protocol::AlterPartitionReassignmentsResponse>(
        channel, request, version, request_timeout,
        [this, alive = alive_,
         &channel](Result<Answered<protocol::AlterPartitionReassignmentsResponse>> answer) {
            if (!*alive) {
                return;
            }
            if (!answer && answer.error().code() == Code::timed_out) {
                channel.reset();
            }
            agreed_ += answer && answer->response.error_code == 0 ? 1U : 0U;
        });
}

}  // namespace millrace::simtest
