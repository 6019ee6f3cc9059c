// OffsetForLeaderEpoch: where an epoch ended, so that a reader finds where it diverged.

#include <memory>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "protocol/messages/offset_for_leader_epoch_request.h"
#include "protocol/messages/offset_for_leader_epoch_response.h"

namespace millrace::handlers {
namespace {

using protocol::OffsetForLeaderEpochRequest;
using protocol::OffsetForLeaderEpochResponse;

struct EpochEnds {
    Call<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse> call;
    OffsetForLeaderEpochResponse response;
};

}  // namespace

void offset_for_leader_epoch(const Doors& doors,
                             Call<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse> call) {
    auto progress = std::make_shared<EpochEnds>(EpochEnds{std::move(call), {}});
    const OffsetForLeaderEpochRequest& request = progress->call.request();
    const metadata::ImagePtr image = doors.image->current();
    runtime::Executor& home = progress->call.home();
    OffsetForLeaderEpochResponse& response = progress->response;
    response.topics.resize(request.topics.size());
    std::size_t count = 1;
    for (const auto& topic : request.topics) {
        count += topic.partitions.size();
    }
    auto gather = Gather::of(count, [progress] { progress->call.answer(progress->response); });
    for (std::size_t t = 0; t < request.topics.size(); ++t) {
        const auto& asked = request.topics[t];
        response.topics[t].topic = asked.topic;
        response.topics[t].partitions.resize(asked.partitions.size());
        const metadata::Topic* topic = image->topics.find(asked.topic);
        for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
            const auto& from = asked.partitions[p];
            auto& to = response.topics[t].partitions[p];
            to.partition = from.partition;
            const PartitionIndex index{from.partition};
            if (topic == nullptr || topic->partition(index) == nullptr) {
                to.error_code = code_of(KafkaError::unknown_topic_or_partition);
                gather->arrive();
                continue;
            }
            const TopicIdPartition id{topic->id, index};
            doors.replicas->on_shard(
                doors.replicas->shard_of(id),
                [=, &to, &home, current = LeaderEpoch{from.current_leader_epoch},
                 epoch = LeaderEpoch{from.leader_epoch}](replication::ShardReplicas& shard) {
                    const replication::EpochEndAnswer answer = shard.epoch_end(id, current, epoch);
                    run_on(home, [progress, gather, &to, answer] {
                        to.error_code = code_of(answer.error);
                        to.leader_epoch = answer.epoch.value;
                        to.end_offset = answer.end.value;
                        gather->arrive();
                    });
                });
        }
    }
    gather->arrive();
}

}  // namespace millrace::handlers
