#include "app/internal/group_log.h"

#include <utility>

namespace millrace::app {
namespace {

using replication::FetchResult;
using replication::ShardReplicas;

struct Reading {
    coordinator::LogRead read;
    storage::ReadSlice slice;
    Result<void> outcome;
    coordinator::ReadDone done;
};

}  // namespace

TopicIdPartition GroupLog::id_of(PartitionIndex partition) const {
    const metadata::ImagePtr image = image_.current();
    const metadata::Topic* topic = image->topics.find(topic_);
    return {topic == nullptr ? Uuid{} : topic->id, partition};
}

void GroupLog::read(PartitionIndex partition, Offset from, Bytes max, coordinator::ReadDone done) {
    const TopicIdPartition id = id_of(partition);
    auto reading = std::make_shared<Reading>();
    reading->done = std::move(done);
    const std::size_t shard_index = replicas_.shard_of(id);
    replicas_.executor(shard_index).post([this, id, from, max, reading, shard_index] {
        ShardReplicas& shard = replicas_.here(shard_index);
        const auto view = shard.view(id);
        if (!view || !view->is_leader) {
            control_.post([reading] {
                reading->done(Error(Code::not_leader, "the partition is not led here"));
            });
            return;
        }
        reading->read.start = view->start;
        reading->read.end = view->end;
        reading->read.high_watermark = view->high_watermark;
        reading->read.last_epoch = view->last_epoch;
        replication::FetchPosition position;
        position.id = id;
        position.from = std::max(from, view->start);
        position.max_bytes = static_cast<std::int32_t>(max.count);
        std::vector<FetchResult> results =
            shard.fetch({position}, {.level = replication::ReadLevel::replica},
                        static_cast<std::size_t>(max.count));
        if (results.front().error != KafkaError::none) {
            control_.post([reading, error = results.front().error] {
                reading->done(Error::make(Code::unavailable, "{}", error));
            });
            return;
        }
        reading->slice = std::move(results.front().slice);
        pool_.run(
            0, control_,
            [reading] {
                if (reading->slice.empty()) {
                    return;
                }
                reading->read.batches.resize(reading->slice.length);
                const auto got =
                    reading->slice.file->read_at(reading->slice.position, reading->read.batches);
                if (!got || *got != reading->slice.length) {
                    reading->outcome =
                        got ? Error(Code::corrupt, "the log ended early") : got.error();
                }
            },
            [reading] {
                if (!reading->outcome) {
                    reading->done(reading->outcome.error());
                } else {
                    reading->done(std::move(reading->read));
                }
            });
    });
}

void GroupLog::append(PartitionIndex partition, LeaderEpoch epoch, Buffer batch,
                      coordinator::AppendDone done) {
    const TopicIdPartition id = id_of(partition);
    auto shared = std::make_shared<coordinator::AppendDone>(std::move(done));
    const std::size_t shard_index = replicas_.shard_of(id);
    replicas_.executor(shard_index)
        .post([this, id, epoch, shard_index, shared, batch = std::move(batch)]() mutable {
            replication::Append append;
            append.id = id;
            append.batch = batch;
            append.acks = -1;
            append.origin = replication::Origin::coordinator;
            append.as_epoch = epoch;
            auto answered = std::make_shared<bool>(false);
            append.stored = [this, shared, answered](Offset base, Offset end) {
                *answered = true;
                control_.post([shared, base, end] {
                    (*shared)({.error = KafkaError::none, .base = base, .end = end});
                });
            };
            append.done = [this, shared, answered](replication::AppendResult result) {
                if (!*answered) {
                    *answered = true;
                    control_.post([shared, error = result.error] {
                        (*shared)({.error = error, .base = no_offset, .end = no_offset});
                    });
                }
            };
            replicas_.here(shard_index).append(std::move(append));
        });
}

void GroupLog::watch(PartitionIndex partition, coordinator::HighWatermarkListener listener) {
    auto shared = std::make_shared<coordinator::HighWatermarkListener>(std::move(listener));
    listeners_[partition] = shared;
    const TopicIdPartition id = id_of(partition);
    std::weak_ptr<coordinator::HighWatermarkListener> weak = shared;
    const std::size_t shard_index = replicas_.shard_of(id);
    replicas_.executor(shard_index).post([this, id, weak, shard_index] {
        replicas_.here(shard_index).watch_high_watermark(id, [this, weak](Offset to) {
            control_.post([weak, to] {
                if (auto alive = weak.lock()) {
                    (*alive)(to);
                }
            });
        });
    });
}

void GroupLog::unwatch(PartitionIndex partition) {
    listeners_.erase(partition);
    const TopicIdPartition id = id_of(partition);
    const std::size_t shard_index = replicas_.shard_of(id);
    replicas_.executor(shard_index).post([this, id, shard_index] {
        replicas_.here(shard_index).watch_high_watermark(id, {});
    });
}

Bytes GroupLog::max_batch(PartitionIndex) const {
    return Bytes{
        static_cast<std::int64_t>(topics_.current()->rules(topic_)->produce.max_batch_size)};
}

}  // namespace millrace::app
