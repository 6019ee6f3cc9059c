// DescribeProducers: who writes to a partition, as any of its replicas remembers.

#include <algorithm>
#include <memory>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "handlers/repeats.h"
#include "handlers/topic_names.h"
#include "protocol/messages/describe_producers_request.h"
#include "protocol/messages/describe_producers_response.h"

namespace millrace::handlers {
namespace {

using protocol::DescribeProducersRequest;
using protocol::DescribeProducersResponse;
using PartitionAnswer = DescribeProducersResponse::PartitionResponse;

struct DescribedProducers {
    Call<DescribeProducersRequest, DescribeProducersResponse> call;
    DescribeProducersResponse response;
};

PartitionAnswer describe(const storage::ProducerState& state) {
    PartitionAnswer answer;
    for (const auto& [id, entry] : state.entries()) {
        answer.active_producers.push_back(
            {.producer_id = id.value,
             .producer_epoch = entry.epoch.value,
             .last_sequence = entry.last_sequence(),
             .last_timestamp = entry.last_timestamp.milliseconds,
             .coordinator_epoch = entry.coordinator_epoch,
             .current_txn_start_offset = entry.transaction_start.value});
    }
    std::sort(answer.active_producers.begin(), answer.active_producers.end(),
              [](const auto& a, const auto& b) { return a.producer_id < b.producer_id; });
    return answer;
}

}  // namespace

void describe_producers(const Doors& doors,
                        Call<DescribeProducersRequest, DescribeProducersResponse> call) {
    auto progress = std::make_shared<DescribedProducers>(DescribedProducers{std::move(call), {}});
    keep_distinct_partitions(
        progress->call.mutable_request().topics, [](const auto& topic) { return topic.name; },
        [](auto& topic) -> auto& { return topic.partition_indexes; });
    const DescribeProducersRequest& request = progress->call.request();
    const metadata::ImagePtr image = doors.image->current();
    runtime::Executor& home = progress->call.home();
    progress->response.topics.resize(request.topics.size());
    std::size_t count = 1;
    for (const auto& topic : request.topics) {
        count += topic.partition_indexes.size();
    }
    auto gather = Gather::of(count, [progress] { progress->call.answer(progress->response); });
    for (std::size_t t = 0; t < request.topics.size(); ++t) {
        const auto& asked = request.topics[t];
        auto& topic_answer = progress->response.topics[t];
        topic_answer.name = asked.name;
        topic_answer.partitions.resize(asked.partition_indexes.size());
        const metadata::Topic* topic = image->topics.find(asked.name);
        for (std::size_t p = 0; p < asked.partition_indexes.size(); ++p) {
            auto& to = topic_answer.partitions[p];
            to.partition_index = asked.partition_indexes[p];
            const PartitionIndex index{to.partition_index};
            if (topic == nullptr || topic->partition(index) == nullptr) {
                const KafkaError error = is_valid_topic_name(asked.name)
                                             ? KafkaError::unknown_topic_or_partition
                                             : KafkaError::invalid_topic_exception;
                to.error_code = code_of(error);
                to.error_message = message_of(error);
                gather->arrive();
                continue;
            }
            const TopicIdPartition id{topic->id, index};
            doors.replicas->on_shard(
                doors.replicas->shard_of(id), [=, &to, &home](replication::ShardReplicas& shard) {
                    const storage::ProducerState* state = shard.producers(id);
                    PartitionAnswer answer;
                    if (state == nullptr) {
                        answer.error_code = code_of(KafkaError::not_leader_or_follower);
                    } else {
                        answer = describe(*state);
                    }
                    answer.partition_index = index.value;
                    run_on(home, [progress, gather, &to, answer = std::move(answer)] {
                        to = answer;
                        gather->arrive();
                    });
                });
        }
    }
    gather->arrive();
}

}  // namespace millrace::handlers
