// ListOffsets: the first, the last, or the first at or after a time, of each partition.

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "metadata/link_mark.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"

namespace millrace::handlers {
namespace {

using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;
using ListOffsetsCall = Call<ListOffsetsRequest, ListOffsetsResponse>;
using Kind = replication::ShardReplicas::OffsetKind;

namespace special {
constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr std::int64_t max_timestamp = -3;
constexpr std::int64_t earliest_local = -4;
constexpr std::int64_t latest_tiered = -5;
constexpr std::int64_t earliest_pending_upload = -6;
}  // namespace special

constexpr std::int32_t debugging_replica = -2;  // asks what this very broker has
constexpr std::int16_t first_version_with_epoch = 4;
constexpr std::int16_t first_version_with_not_available = 5;

/// From which request version a special timestamp is understood.
std::int16_t first_version_of(std::int64_t timestamp) {
    switch (timestamp) {
        case special::max_timestamp:
            return 7;
        case special::earliest_local:
            return 8;
        case special::latest_tiered:
            return 9;
        case special::earliest_pending_upload:
            return 11;
        default:
            return 0;
    }
}

struct LookUp {
    ListOffsetsCall call;
    ListOffsetsResponse response;  ///< Names are views into the call's frame.
    std::deque<std::array<std::byte, metadata::ClosingMark::size>> marks;  ///< Views, too.
};

/// For a mirror link that has fenced the topic: where the log ends, and whether it may go on.
void tell_closing_end(const Doors& doors, const std::shared_ptr<LookUp>& progress,
                      const std::shared_ptr<Gather>& gather, const TopicIdPartition& id,
                      const ListOffsetsRequest::ListOffsetsPartition& asked,
                      ListOffsetsResponse::ListOffsetsPartitionResponse& to) {
    runtime::Executor& home = progress->call.home();
    doors.replicas->on_shard(
        doors.replicas->shard_of(id),
        [&doors, progress, gather, id, &to, &home,
         epoch = LeaderEpoch{asked.current_leader_epoch}](replication::ShardReplicas& shard) {
            const replication::ClosingEnd end = shard.closing_end(id, epoch);
            run_on(home, [&doors, progress, gather, id, &to, end] {
                to.error_code = code_of(end.error);
                to.offset = end.end.value;
                to.leader_epoch = end.last_epoch.value;
                if (end.is_mirror) {
                    gather->arrive();  // neither open to clients nor ever closed
                    return;
                }
                // The image of now: whoever applied the fence has it, and with it all before it.
                const metadata::ImagePtr image = doors.image->current();
                const metadata::Topic* topic = image->topics.find(id.topic_id);
                const metadata::ClosingMark mark{
                    end.is_closed,
                    topic == nullptr ? 0 : static_cast<std::int32_t>(topic->partitions.size())};
                const auto& bytes = progress->marks.emplace_back(mark.encode());
                to.unknown_tags.push_back({.tag = metadata::link_tag, .data = ByteView(bytes)});
                gather->arrive();
            });
        });
}

void look_up(const Doors& doors, const std::shared_ptr<LookUp>& progress,
             const std::shared_ptr<Gather>& gather, const TopicIdPartition& id,
             const ListOffsetsRequest::ListOffsetsPartition& asked,
             ListOffsetsResponse::ListOffsetsPartitionResponse& to) {
    if (asked.timestamp == special::latest && metadata::find_link_mark(asked.unknown_tags)) {
        tell_closing_end(doors, progress, gather, id, asked, to);
        return;
    }
    const ListOffsetsRequest& request = progress->call.request();
    replication::ReadLevel level = replication::ReadLevel::uncommitted;
    if (request.replica_id >= 0) {
        level = replication::ReadLevel::replica;
    } else if (request.replica_id == debugging_replica) {
        level = replication::ReadLevel::local;
    } else if (request.isolation_level == 1) {
        level = replication::ReadLevel::committed;
    }
    Kind kind = Kind::by_timestamp;
    switch (asked.timestamp) {
        case special::latest:
            kind = Kind::latest;
            break;
        case special::earliest:
            kind = Kind::earliest;
            break;
        case special::max_timestamp:
            kind = Kind::max_timestamp;
            break;
        case special::earliest_local:
            kind = Kind::earliest_local;
            break;
        default:
            break;
    }
    runtime::Executor& home = progress->call.home();
    doors.replicas->on_shard(
        doors.replicas->shard_of(id),
        [=, &to, &home, at = Timestamp{asked.timestamp},
         epoch = LeaderEpoch{asked.current_leader_epoch}](replication::ShardReplicas& shard) {
            shard.find_offset(
                id, kind, at, epoch, level,
                [progress, gather, &to, &home](replication::OffsetAnswer answer) {
                    run_on(home, [progress, gather, &to, answer] {
                        const bool is_too_new =
                            answer.error == KafkaError::offset_not_available &&
                            progress->call.version() < first_version_with_not_available;
                        to.error_code =
                            code_of(is_too_new ? KafkaError::leader_not_available : answer.error);
                        to.offset = answer.offset.value;
                        to.timestamp = answer.timestamp.milliseconds;
                        if (progress->call.version() >= first_version_with_epoch) {
                            to.leader_epoch = answer.epoch.value;
                        }
                        gather->arrive();
                    });
                });
        });
}

}  // namespace

void list_offsets(const Doors& doors, ListOffsetsCall call) {
    auto progress = std::make_shared<LookUp>(LookUp{std::move(call), {}});
    const ListOffsetsRequest& request = progress->call.request();
    const metadata::ImagePtr image = doors.image->current();
    ListOffsetsResponse& response = progress->response;
    response.topics.resize(request.topics.size());
    std::size_t count = 0;
    for (const auto& topic : request.topics) {
        count += topic.partitions.size();
    }
    auto gather = Gather::of(count + 1, [progress] {
        std::erase_if(progress->response.topics,
                      [](const auto& topic) { return topic.partitions.empty(); });
        progress->call.answer(progress->response);
    });
    for (std::size_t t = 0; t < request.topics.size(); ++t) {
        const auto& asked = request.topics[t];
        response.topics[t].name = asked.name;
        response.topics[t].partitions.resize(asked.partitions.size());
        const metadata::Topic* topic = image->topics.find(asked.name);
        std::vector<std::int32_t> all;
        for (const auto& from : asked.partitions) {
            all.push_back(from.partition_index);
        }
        std::sort(all.begin(), all.end());
        for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
            const auto& from = asked.partitions[p];
            auto& to = response.topics[t].partitions[p];
            to.partition_index = from.partition_index;
            const auto same = std::equal_range(all.begin(), all.end(), from.partition_index);
            if (same.second - same.first > 1) {
                // Which of them is meant can't be known.
                to.error_code = code_of(KafkaError::invalid_request);
            } else if (progress->call.version() < first_version_of(from.timestamp) ||
                       from.timestamp < special::earliest_pending_upload) {
                to.error_code = code_of(KafkaError::unsupported_version);
            } else if (topic == nullptr ||
                       topic->partition(PartitionIndex{from.partition_index}) == nullptr) {
                to.error_code = code_of(KafkaError::unknown_topic_or_partition);
            } else if (from.timestamp == special::latest_tiered ||
                       from.timestamp == special::earliest_pending_upload) {
                // Nothing is tiered here: there is no such offset.
            } else {
                look_up(doors, progress, gather, {topic->id, PartitionIndex{from.partition_index}},
                        from, to);
                continue;
            }
            gather->arrive();
        }
    }
    gather->arrive();
}

}  // namespace millrace::handlers
