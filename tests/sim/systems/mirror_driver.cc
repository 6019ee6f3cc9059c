#include "tests/sim/systems/mirror_driver.h"

#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_records_request.h"
#include "protocol/messages/delete_records_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "record/batch_builder.h"

namespace millrace::simtest {
namespace {

constexpr Duration call_limit = 3s;

KafkaError error_of(std::int16_t code) {
    return static_cast<KafkaError>(code);
}

}  // namespace

MirrorDriver::MirrorDriver(runtime::Node& node, ClusterIndex clusters)
    : shard_(node.control_shard()) {
    for (ClusterIndex i = 0; i < clusters; ++i) {
        client::ClusterOptions options;
        options.bootstrap = {{fmt::format("c{}", i), 9092}};
        clusters_.push_back(
            std::make_unique<client::Cluster>(std::move(options), shard_, node.log()));
    }
}

void MirrorDriver::post(ClusterIndex at, std::function<void(client::Connection&)> task) {
    shard_.executor->post([this, at, task = std::move(task)] { task(clusters_.at(at)->any()); });
}

void MirrorDriver::create_topic(ClusterIndex at, std::string topic, std::int32_t partitions,
                                Done done) {
    using protocol::CreateTopicsRequest;
    using protocol::CreateTopicsResponse;
    post(at, [topic, partitions, done](client::Connection& connection) {
        client::ask<CreateTopicsRequest, CreateTopicsResponse>(
            connection, call_limit,
            [topic, partitions](std::int16_t) {
                CreateTopicsRequest request;
                request.timeout_ms = 3000;
                auto& one = request.topics.emplace_back();
                one.name = topic;
                one.num_partitions = partitions;
                one.replication_factor = 1;
                return request;
            },
            [done, topic](const Result<CreateTopicsResponse>& response, std::int16_t) {
                done(response && !response->topics.empty()
                         ? error_of(response->topics[0].error_code)
                         : KafkaError::network_exception);
            });
    });
}

void MirrorDriver::delete_topic(ClusterIndex at, std::string topic, Done done) {
    using protocol::DeleteTopicsRequest;
    using protocol::DeleteTopicsResponse;
    post(at, [topic, done](client::Connection& connection) {
        client::ask<DeleteTopicsRequest, DeleteTopicsResponse>(
            connection, call_limit,
            [topic](std::int16_t) {
                DeleteTopicsRequest request;
                request.timeout_ms = 3000;
                request.topic_names = {topic};
                return request;
            },
            [done](const Result<DeleteTopicsResponse>& response, std::int16_t) {
                done(response && !response->responses.empty()
                         ? error_of(response->responses[0].error_code)
                         : KafkaError::network_exception);
            },
            {1, 5});  // by name
    });
}

void MirrorDriver::produce(ClusterIndex at, std::string topic, std::int32_t partition,
                           std::string value, Produced done) {
    using protocol::ProduceRequest;
    using protocol::ProduceResponse;
    record::BatchBuilder builder({});
    builder.append({.timestamp = 1'700'000'000'000, .key = {}, .value = as_bytes(value)});
    auto batch = std::make_shared<Buffer>(builder.finish());
    post(at, [topic, partition, batch, done](client::Connection& connection) {
        client::ask<ProduceRequest, ProduceResponse>(
            connection, call_limit,
            [topic, partition, batch](std::int16_t) {
                ProduceRequest request;
                request.acks = -1;
                request.timeout_ms = 3000;
                auto& to = request.topic_data.emplace_back();
                to.name = topic;
                auto& data = to.partition_data.emplace_back();
                data.index = partition;
                data.records = protocol::Records{.bytes = *batch};
                return request;
            },
            [done](const Result<ProduceResponse>& response, std::int16_t) {
                if (!response || response->responses.empty() ||
                    response->responses[0].partition_responses.empty()) {
                    done(KafkaError::network_exception, no_offset);
                    return;
                }
                const auto& one = response->responses[0].partition_responses[0];
                done(error_of(one.error_code), Offset{one.base_offset});
            },
            {9, 12});  // by name: no need to learn ids first
    });
}

void MirrorDriver::delete_records(ClusterIndex at, std::string topic, std::int32_t partition,
                                  Offset before) {
    using protocol::DeleteRecordsRequest;
    using protocol::DeleteRecordsResponse;
    post(at, [topic, partition, before](client::Connection& connection) {
        client::ask<DeleteRecordsRequest, DeleteRecordsResponse>(
            connection, call_limit,
            [topic, partition, before](std::int16_t) {
                DeleteRecordsRequest request;
                request.timeout_ms = 3000;
                auto& one = request.topics.emplace_back();
                one.name = topic;
                auto& to = one.partitions.emplace_back();
                to.partition_index = partition;
                to.offset = before.value;
                return request;
            },
            [](const Result<DeleteRecordsResponse>&, std::int16_t) {});
    });
}

void MirrorDriver::commit(ClusterIndex at, std::string group, TopicPartition partition,
                          Offset offset, Done done) {
    using protocol::OffsetCommitRequest;
    using protocol::OffsetCommitResponse;
    shard_.executor->post([this, at, group, partition, offset, done] {
        // Makes the offsets topic, too, where there is none yet.
        clusters_.at(at)->find_coordinator(
            group, [this, at, group, partition, offset, done](Result<BrokerId> coordinator) {
                if (!coordinator) {
                    done(KafkaError::coordinator_not_available);
                    return;
                }
                client::ask<OffsetCommitRequest, OffsetCommitResponse>(
                    clusters_.at(at)->any(), call_limit,
                    [group, partition, offset](std::int16_t) {
                        OffsetCommitRequest request;
                        request.group_id = group;
                        request.generation_id_or_member_epoch = -1;
                        auto& topic = request.topics.emplace_back();
                        topic.name = partition.topic;
                        auto& to = topic.partitions.emplace_back();
                        to.partition_index = partition.partition.value;
                        to.committed_offset = offset.value;
                        to.committed_metadata = std::string_view{};
                        return request;
                    },
                    [done](const Result<OffsetCommitResponse>& response, std::int16_t) {
                        const bool whole = response && !response->topics.empty() &&
                                           !response->topics[0].partitions.empty();
                        done(whole ? error_of(response->topics[0].partitions[0].error_code)
                                   : KafkaError::network_exception);
                    },
                    {2, 8});
            });
    });
}

void MirrorDriver::fetch_offsets(ClusterIndex at, std::string group, Fetched done) {
    using protocol::OffsetFetchRequest;
    using protocol::OffsetFetchResponse;
    post(at, [group, done](client::Connection& connection) {
        client::ask<OffsetFetchRequest, OffsetFetchResponse>(
            connection, call_limit,
            [group](std::int16_t) {
                OffsetFetchRequest request;
                request.group_id = group;
                request.topics = std::nullopt;
                return request;
            },
            [done](const Result<OffsetFetchResponse>& response, std::int16_t) {
                if (!response || response->error_code != 0) {
                    return;
                }
                mirror::GroupOffsets offsets;
                for (const auto& topic : response->topics) {
                    for (const auto& one : topic.partitions) {
                        if (one.error_code == 0 && one.committed_offset >= 0) {
                            offsets[{std::string(topic.name),
                                     PartitionIndex{one.partition_index}}] = {
                                Offset{one.committed_offset}, no_leader_epoch,
                                std::string(one.metadata.value_or(""))};
                        }
                    }
                }
                done(offsets);
            },
            {2, 7});
    });
}

}  // namespace millrace::simtest
