// DeleteRecords: moves the log start of each partition forward.

#include <memory>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "handlers/topic_names.h"
#include "protocol/messages/delete_records_request.h"
#include "protocol/messages/delete_records_response.h"

namespace millrace::handlers {
namespace {

using protocol::DeleteRecordsRequest;
using protocol::DeleteRecordsResponse;

constexpr std::int64_t invalid_low_watermark = -1;
constexpr std::int64_t up_to_high_watermark = -1;

struct DeletedRecords {
    Call<DeleteRecordsRequest, DeleteRecordsResponse> call;
    DeleteRecordsResponse response;
};

}  // namespace

void delete_records(const Doors& doors, Call<DeleteRecordsRequest, DeleteRecordsResponse> call) {
    auto progress = std::make_shared<DeletedRecords>(DeletedRecords{std::move(call), {}});
    const DeleteRecordsRequest& request = progress->call.request();
    const metadata::ImagePtr image = doors.image->current();
    const auto book = doors.topics->current();
    runtime::Executor& home = progress->call.home();
    const std::chrono::milliseconds timeout{request.timeout_ms};
    DeleteRecordsResponse& response = progress->response;
    response.topics.resize(request.topics.size());
    std::size_t count = 1;
    for (const auto& topic : request.topics) {
        count += topic.partitions.size();
    }
    auto gather = Gather::of(count, [progress] { progress->call.answer(progress->response); });
    for (std::size_t t = 0; t < request.topics.size(); ++t) {
        const auto& asked = request.topics[t];
        response.topics[t].name = asked.name;
        response.topics[t].partitions.resize(asked.partitions.size());
        const metadata::Topic* topic = image->topics.find(asked.name);
        const auto rules = topic == nullptr ? nullptr : book->rules(topic->name);
        // A mirror has what its source has, and what is fenced is to arrive on the other side.
        const bool kept = rules && (!rules->replication.limits.cleanup.remove || rules->fenced);
        for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
            auto& to = response.topics[t].partitions[p];
            to.partition_index = asked.partitions[p].partition_index;
            to.low_watermark = invalid_low_watermark;
            const PartitionIndex index{to.partition_index};
            const std::int64_t before = asked.partitions[p].offset;
            if (topic == nullptr || topic->partition(index) == nullptr) {
                to.error_code = code_of(KafkaError::unknown_topic_or_partition);
            } else if (is_internal_topic(asked.name)) {
                to.error_code = code_of(KafkaError::invalid_topic_exception);
            } else if (kept) {
                to.error_code = code_of(KafkaError::policy_violation);
            } else if (before < up_to_high_watermark) {
                to.error_code = code_of(KafkaError::offset_out_of_range);
            } else {
                const TopicIdPartition id{topic->id, index};
                doors.replicas->on_shard(
                    doors.replicas->shard_of(id),
                    [=, &to, &home](replication::ShardReplicas& shard) {
                        shard.delete_records(
                            id, Offset{before}, timeout,
                            [image = doors.image](BrokerId replica) {
                                return image->current()->cluster.is_active(replica);
                            },
                            [progress, gather, &to, &home](KafkaError error, Offset low) {
                                run_on(home, [progress, gather, &to, error, low] {
                                    to.error_code = code_of(error);
                                    to.low_watermark = low.value;
                                    gather->arrive();
                                });
                            });
                    });
                continue;
            }
            gather->arrive();
        }
    }
    gather->arrive();
}

}  // namespace millrace::handlers
