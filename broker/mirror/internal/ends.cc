#include "mirror/internal/ends.h"

#include <algorithm>
#include <memory>

#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"

namespace millrace::mirror {
namespace {

using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;

constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr client::Versions versions{1, ListOffsetsRequest::max_version};

struct Reading {
    std::int64_t which = latest;
    Ends ends;
    std::size_t left = 0;
    UniqueFunction<void(Result<Ends>)> done;

    void arrive(const Result<ListOffsetsResponse>& response) {
        if (response) {
            for (const auto& topic : response->topics) {
                const auto found = ends.find(std::string(topic.name));
                for (const auto& partition : topic.partitions) {
                    const auto index = static_cast<std::size_t>(partition.partition_index);
                    if (found != ends.end() && index < found->second.size() &&
                        partition.error_code == 0) {
                        found->second[index] = Offset{partition.offset};
                    }
                }
            }
        }
        if (--left == 0) {
            finish();
        }
    }
    void finish() {
        std::erase_if(ends, [](const auto& topic) {
            return std::find(topic.second.begin(), topic.second.end(), no_offset) !=
                   topic.second.end();
        });
        done(std::move(ends));
    }
};

/// Of each leader: topics and their partitions.
using Questions = std::map<BrokerId, std::map<std::string, std::vector<std::int32_t>>>;

Questions questions_for(const client::ClusterInfo& info, const std::vector<std::string>& topics,
                        Ends& ends) {
    Questions questions;
    for (const std::string& name : topics) {
        const auto topic = info.topics.find(name);
        if (topic == info.topics.end() || topic->second.partitions.empty()) {
            continue;
        }
        ends[name].assign(topic->second.partitions.size(), no_offset);
        for (const client::PartitionInfo& partition : topic->second.partitions) {
            questions[partition.leader][name].push_back(partition.index.value);
        }
    }
    return questions;
}

void ask_leaders(client::Cluster& cluster, const Questions& questions,
                 const std::shared_ptr<Reading>& reading) {
    reading->left = questions.size() + 1;
    for (const auto& [leader, asked] : questions) {
        client::Connection* connection = cluster.broker(leader);
        if (connection == nullptr) {
            reading->arrive(Error(Code::unavailable, "a partition has no leader"));
            continue;
        }
        client::ask<ListOffsetsRequest, ListOffsetsResponse>(
            *connection, cluster.request_timeout(),
            [asked = asked, which = reading->which](std::int16_t) {
                ListOffsetsRequest request;
                request.replica_id = -1;
                for (const auto& [name, partitions] : asked) {
                    auto& to = request.topics.emplace_back();
                    to.name = name;
                    for (const std::int32_t index : partitions) {
                        auto& one = to.partitions.emplace_back();
                        one.partition_index = index;
                        one.timestamp = which;
                    }
                }
                return request;
            },
            [reading](const Result<ListOffsetsResponse>& response, std::int16_t) {
                reading->arrive(response);
            },
            versions);
    }
    reading->arrive(ListOffsetsResponse{});  // so that nobody to ask is an answer, too
}

void read(client::Cluster& cluster, std::vector<std::string> topics, std::int64_t which,
          UniqueFunction<void(Result<Ends>)> done) {
    auto reading = std::make_shared<Reading>();
    reading->which = which;
    reading->done = std::move(done);
    cluster.refresh([&cluster, topics = std::move(topics),
                     reading](const Result<client::ClusterInfoPtr>& info) {
        if (!info) {
            reading->done(info.error());
            return;
        }
        ask_leaders(cluster, questions_for(**info, topics, reading->ends), reading);
    });
}

}  // namespace

void read_ends(client::Cluster& cluster, std::vector<std::string> topics,
               UniqueFunction<void(Result<Ends>)> done) {
    read(cluster, std::move(topics), latest, std::move(done));
}

void read_starts(client::Cluster& cluster, std::vector<std::string> topics,
                 UniqueFunction<void(Result<Ends>)> done) {
    read(cluster, std::move(topics), earliest, std::move(done));
}

}  // namespace millrace::mirror
