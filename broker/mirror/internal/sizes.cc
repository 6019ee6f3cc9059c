#include "mirror/internal/sizes.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"

namespace millrace::mirror {
namespace {

using protocol::DescribeLogDirsRequest;
using protocol::DescribeLogDirsResponse;

struct SizesReading {
    Sizes sizes;
    std::optional<Error> failed;
    std::size_t left = 0;
    UniqueFunction<void(Result<Sizes>)> done;

    void arrive(BrokerId broker, const Result<DescribeLogDirsResponse>& response) {
        if (!response) {
            failed = response.error();
        } else if (response->error_code != 0) {
            failed = Error::make(Code::permission, "broker {}: {}", broker,
                                 static_cast<KafkaError>(response->error_code));
        } else {
            take(broker, *response);
        }
        if (--left > 0) {
            return;
        }
        if (failed) {
            done(*failed);
        } else {
            done(std::move(sizes));
        }
    }

    void take(BrokerId broker, const DescribeLogDirsResponse& response) {
        for (const auto& directory : response.results) {
            if (directory.error_code != 0) {
                continue;
            }
            if (!directory.is_cordoned) {
                sizes.directories[broker].push_back(
                    {directory.total_bytes, directory.usable_bytes});
            }
            for (const auto& topic : directory.topics) {
                auto& of_topic = sizes.topics[std::string(topic.name)];
                for (const auto& partition : topic.partitions) {
                    std::int64_t& size = of_topic[partition.partition_index];
                    size = std::max(size, partition.partition_size);
                }
            }
        }
    }
};

struct TopicQuestion {
    std::string topic;
    std::vector<std::int32_t> partitions;
};

std::vector<TopicQuestion> size_questions(const client::ClusterInfo& info,
                                          const std::vector<std::string>& topics) {
    std::vector<TopicQuestion> questions;
    for (const std::string& name : topics) {
        const auto topic = info.topics.find(name);
        if (topic == info.topics.end()) {
            continue;
        }
        TopicQuestion& one = questions.emplace_back(TopicQuestion{name, {}});
        for (const client::PartitionInfo& partition : topic->second.partitions) {
            one.partitions.push_back(partition.index.value);
        }
    }
    return questions;
}

DescribeLogDirsRequest size_request(const std::vector<TopicQuestion>& questions) {
    DescribeLogDirsRequest request;
    request.topics.emplace();  // none is asked for: the directories alone
    for (const TopicQuestion& one : questions) {
        auto& to = request.topics->emplace_back();
        to.topic = one.topic;
        to.partitions = one.partitions;
    }
    return request;
}

}  // namespace

std::int64_t Sizes::of(const std::string& topic, std::int32_t partition) const {
    const auto found = topics.find(topic);
    if (found == topics.end()) {
        return 0;
    }
    const auto size = found->second.find(partition);
    return size == found->second.end() ? 0 : size->second;
}

void read_sizes(client::Cluster& cluster, std::vector<std::string> topics,
                UniqueFunction<void(Result<Sizes>)> done) {
    auto reading = std::make_shared<SizesReading>();
    reading->done = std::move(done);
    cluster.refresh([&cluster, topics = std::move(topics),
                     reading](const Result<client::ClusterInfoPtr>& info) {
        if (!info || (*info)->brokers.empty()) {
            reading->done(info ? Error(Code::unavailable, "there are no brokers") : info.error());
            return;
        }
        const std::vector<TopicQuestion> questions = size_questions(**info, topics);
        reading->left = (*info)->brokers.size();
        for (const auto& [id, address] : (*info)->brokers) {
            client::ask<DescribeLogDirsRequest, DescribeLogDirsResponse>(
                *cluster.broker(id), cluster.request_timeout(),
                [questions](std::int16_t) { return size_request(questions); },
                [reading, broker = id](const Result<DescribeLogDirsResponse>& response,
                                       std::int16_t) { reading->arrive(broker, response); });
        }
    });
}

}  // namespace millrace::mirror
