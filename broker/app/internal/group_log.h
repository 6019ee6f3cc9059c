// app/internal/group_log.h
//
// The coordinator's log door over replication: the partitions of __consumer_offsets that this
// broker leads. Calls come on the control loop, work happens on the partition's shard, completions
// come back to the control loop.
#pragma once

#include <map>
#include <string>

#include "coordinator/log_door.h"
#include "handlers/topic_book.h"
#include "metadata/publisher.h"
#include "replication/replicas.h"

namespace millrace::app {

class GroupLog final : public coordinator::LogDoor {
public:
    GroupLog(std::string topic, runtime::Executor& control, runtime::DiskPool& pool,
             const replication::Replicas& replicas, const metadata::ImageHandle& image,
             const handlers::TopicBookHandle& topics)
        : topic_(std::move(topic)),
          control_(control),
          pool_(pool),
          replicas_(replicas),
          image_(image),
          topics_(topics) {}

    void read(PartitionIndex partition, Offset from, Bytes max,
              coordinator::ReadDone done) override;
    void append(PartitionIndex partition, LeaderEpoch epoch, Buffer batch,
                coordinator::AppendDone done) override;
    void watch(PartitionIndex partition, coordinator::HighWatermarkListener listener) override;
    void unwatch(PartitionIndex partition) override;
    Bytes max_batch(PartitionIndex partition) const override;

private:
    TopicIdPartition id_of(PartitionIndex partition) const;

    std::string topic_;
    runtime::Executor& control_;
    runtime::DiskPool& pool_;
    const replication::Replicas& replicas_;
    const metadata::ImageHandle& image_;
    const handlers::TopicBookHandle& topics_;
    /// By partition: the listener, shared with the shard, which only passes it back.
    std::map<PartitionIndex, std::shared_ptr<coordinator::HighWatermarkListener>> listeners_;
};

}  // namespace millrace::app
