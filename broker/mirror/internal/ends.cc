#include "mirror/internal/ends.h"

#include <map>
#include <memory>
#include <optional>

#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"

namespace millrace::mirror {
namespace {

using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;

constexpr std::int64_t latest = -1;
constexpr client::Versions versions{1, ListOffsetsRequest::max_version};

struct Reading {
    std::vector<Offset> ends;
    std::size_t left = 0;
    std::optional<Error> error;
    UniqueFunction<void(Result<std::vector<Offset>>)> done;

    void arrive(const Result<ListOffsetsResponse>& response) {
        if (!response) {
            error = response.error();
        } else {
            for (const auto& topic : response->topics) {
                for (const auto& partition : topic.partitions) {
                    note(partition);
                }
            }
        }
        if (--left == 0) {
            finish();
        }
    }
    void note(const ListOffsetsResponse::ListOffsetsPartitionResponse& partition) {
        const auto index = static_cast<std::size_t>(partition.partition_index);
        if (partition.error_code != 0) {
            error =
                Error::make(Code::unavailable, "{}", static_cast<KafkaError>(partition.error_code));
        } else if (index < ends.size()) {
            ends[index] = Offset{partition.offset};
        }
    }
    void finish() {
        for (const Offset end : ends) {
            if (end == no_offset && !error) {
                error = Error(Code::unavailable, "a partition was not answered for");
            }
        }
        if (error) {
            done(*error);
        } else {
            done(std::move(ends));
        }
    }
};

void ask_leaders(client::Cluster& cluster, const client::TopicInfo& topic,
                 const std::shared_ptr<Reading>& reading) {
    std::map<BrokerId, std::vector<std::int32_t>> by_leader;
    for (const client::PartitionInfo& partition : topic.partitions) {
        by_leader[partition.leader].push_back(partition.index.value);
    }
    reading->ends.assign(topic.partitions.size(), no_offset);
    reading->left = by_leader.size();
    for (const auto& [leader, partitions] : by_leader) {
        client::Connection* connection = cluster.broker(leader);
        if (connection == nullptr) {
            reading->arrive(Error(Code::unavailable, "a partition has no leader"));
            continue;
        }
        client::ask<ListOffsetsRequest, ListOffsetsResponse>(
            *connection, cluster.request_timeout(),
            [name = topic.name, partitions](std::int16_t) {
                ListOffsetsRequest request;
                request.replica_id = -1;
                auto& to = request.topics.emplace_back();
                to.name = name;
                for (const std::int32_t index : partitions) {
                    auto& one = to.partitions.emplace_back();
                    one.partition_index = index;
                    one.timestamp = latest;
                }
                return request;
            },
            [reading](const Result<ListOffsetsResponse>& response, std::int16_t) {
                reading->arrive(response);
            },
            versions);
    }
}

}  // namespace

void read_ends(client::Cluster& cluster, const std::string& topic,
               UniqueFunction<void(Result<std::vector<Offset>>)> done) {
    auto reading = std::make_shared<Reading>();
    reading->done = std::move(done);
    cluster.refresh([&cluster, topic, reading](Result<client::ClusterInfoPtr> info) {
        if (!info) {
            reading->done(info.error());
            return;
        }
        const auto found = (*info)->topics.find(topic);
        if (found == (*info)->topics.end() || found->second.partitions.empty()) {
            reading->done(Error::make(Code::not_found, "there is no topic {}", topic));
            return;
        }
        ask_leaders(cluster, found->second, reading);
    });
}

}  // namespace millrace::mirror
