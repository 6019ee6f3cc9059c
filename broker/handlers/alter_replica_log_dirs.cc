// AlterReplicaLogDirs: replicas of this broker go to other directories of it.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "protocol/messages/alter_replica_log_dirs_request.h"
#include "protocol/messages/alter_replica_log_dirs_response.h"

namespace millrace::handlers {
namespace {

using protocol::AlterReplicaLogDirsRequest;
using protocol::AlterReplicaLogDirsResponse;

struct AlteredDirs {
    Call<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse> call;
    std::map<std::string, std::map<std::int32_t, KafkaError>> errors;
};

void answer(AlteredDirs& progress) {
    AlterReplicaLogDirsResponse response;
    for (const auto& [topic, partitions] : progress.errors) {
        auto& to = response.results.emplace_back();
        to.topic_name = topic;
        for (const auto& [partition, error] : partitions) {
            to.partitions.push_back({.partition_index = partition, .error_code = code_of(error)});
        }
    }
    progress.call.answer(response);
}

KafkaError check_directory(const std::vector<LogDirectoryView>& directories,
                           std::string_view path) {
    for (const LogDirectoryView& directory : directories) {
        if (directory.path == path) {
            return directory.error == KafkaError::none && directory.is_cordoned
                       ? KafkaError::invalid_replica_assignment  // it takes no new replicas
                       : directory.error;
        }
    }
    return KafkaError::log_dir_not_found;
}

/// A copy on its way lies in `<topic>-<partition>.<32 digits>-future`: a file's name has an end.
KafkaError check_partition(std::string_view topic_name, const metadata::Topic* topic,
                           std::int32_t index) {
    constexpr std::size_t longest_name = 255;
    constexpr std::size_t beside = std::string_view("-.-future").size() + 32;
    if (topic_name.size() + std::to_string(index).size() + beside > longest_name) {
        return KafkaError::invalid_topic_exception;
    }
    return topic == nullptr || topic->partition(PartitionIndex{index}) == nullptr
               ? KafkaError::unknown_topic_or_partition
               : KafkaError::none;
}

/// A replica that is not here: the directory is kept in mind for the case that it comes.
bool is_wish(KafkaError error) {
    return error == KafkaError::unknown_topic_or_partition ||
           error == KafkaError::replica_not_available;
}

}  // namespace

void alter_replica_log_dirs(const Doors& doors,
                            Call<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse> call) {
    auto progress = std::make_shared<AlteredDirs>(AlteredDirs{std::move(call), {}});
    const AlterReplicaLogDirsRequest& request = progress->call.request();
    const metadata::ImagePtr image = doors.image->current();
    const std::vector<LogDirectoryView> directories = doors.log_directories();
    runtime::Executor& home = progress->call.home();
    std::size_t count = 1;
    for (const auto& directory : request.dirs) {
        for (const auto& topic : directory.topics) {
            count += topic.partitions.size();
        }
    }
    auto gather = Gather::of(count, [progress] { answer(*progress); });
    for (const auto& directory : request.dirs) {
        const KafkaError usable = check_directory(directories, directory.path);
        for (const auto& asked : directory.topics) {
            const metadata::Topic* topic = image->topics.find(asked.name);
            for (const std::int32_t index : asked.partitions) {
                KafkaError& error = progress->errors[std::string(asked.name)][index];
                error = check_partition(asked.name, topic, index);
                if (usable != KafkaError::none && error != KafkaError::invalid_topic_exception) {
                    error = usable;
                }
                const TopicPartition name{std::string(asked.name), PartitionIndex{index}};
                if (error != KafkaError::none) {
                    if (is_wish(error)) {
                        doors.wish_directory(name, std::string(directory.path));
                    }
                    gather->arrive();
                    continue;
                }
                const TopicIdPartition id{topic->id, PartitionIndex{index}};
                doors.replicas->on_shard(
                    doors.replicas->shard_of(id),
                    [id, name, &doors, &error, progress, gather, &home,
                     path = std::string(directory.path)](replication::ShardReplicas& shard) {
                        const KafkaError moved = shard.move_log(id, path);
                        if (is_wish(moved)) {
                            doors.wish_directory(name, path);
                        }
                        run_on(home, [&error, progress, gather, moved] {
                            error = moved;
                            gather->arrive();
                        });
                    });
            }
        }
    }
    gather->arrive();
}

}  // namespace millrace::handlers
