#include "app/internal/replica_sizes.h"

#include <mutex>

#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

constexpr std::int16_t version = 5;

std::vector<DirectorySizes> sizes_of(const Buffer& body) {
    protocol::Reader reader(body);
    protocol::DescribeLogDirsResponse response;
    response.decode(reader, version);
    std::vector<DirectorySizes> directories;
    if (!reader.ok()) {
        return directories;
    }
    for (const auto& result : response.results) {
        DirectorySizes directory;
        directory.path = std::string(result.log_dir);
        directory.total_bytes = result.total_bytes;
        directory.usable_bytes = result.usable_bytes;
        directory.is_cordoned = result.is_cordoned;
        for (const auto& topic : result.topics) {
            auto& sizes = directory.replicas[std::string(topic.name)];
            for (const auto& partition : topic.partitions) {
                if (partition.is_future_key) {
                    directory.arriving[std::string(topic.name)].insert(partition.partition_index);
                } else {
                    sizes[partition.partition_index] = partition.partition_size;
                }
            }
        }
        directories.push_back(std::move(directory));
    }
    return directories;
}

struct Gathering {
    std::mutex mutex;
    ReplicaSizes sizes;
    std::size_t left = 0;
    UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done;

    void arrive(BrokerId broker, const Result<Buffer>& body) {
        bool is_last = false;
        {
            const std::lock_guard lock(mutex);
            if (body) {
                sizes[broker] = sizes_of(*body);
            }
            is_last = --left == 0;
        }
        if (is_last) {
            done(std::make_shared<const ReplicaSizes>(std::move(sizes)));
        }
    }
};

}  // namespace

void gather_sizes(admin::AdminDoors& doors, std::vector<BrokerId> brokers,
                  const std::optional<Partitions>& only,
                  UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done) {
    if (brokers.empty()) {
        done(std::make_shared<const ReplicaSizes>());
        return;
    }
    auto gathering = std::make_shared<Gathering>();
    gathering->left = brokers.size();
    gathering->done = std::move(done);
    protocol::DescribeLogDirsRequest request;
    request.topics = std::nullopt;
    if (only) {
        request.topics.emplace();
        for (const auto& [topic, partitions] : *only) {
            auto& one = request.topics->emplace_back();
            one.topic = topic;
            one.partitions = partitions;
        }
    }
    for (const BrokerId broker : brokers) {
        admin::KafkaCall call;
        call.api_key = protocol::DescribeLogDirsRequest::api_key;
        call.api_version = version;
        call.target = broker;
        protocol::Writer writer(call.body);
        request.encode(writer, version);
        doors.kafka({}, std::move(call),
                    [gathering, broker](Result<Buffer> body) { gathering->arrive(broker, body); });
    }
}

std::int64_t size_at(const ReplicaSizes& sizes, BrokerId at, const std::string& topic,
                     std::int32_t partition) {
    const auto broker = sizes.find(at);
    if (broker == sizes.end()) {
        return 0;
    }
    for (const DirectorySizes& directory : broker->second) {
        const auto of_topic = directory.replicas.find(topic);
        if (of_topic == directory.replicas.end()) {
            continue;
        }
        if (const auto found = of_topic->second.find(partition); found != of_topic->second.end()) {
            return found->second;
        }
    }
    return 0;
}

}  // namespace millrace::app
