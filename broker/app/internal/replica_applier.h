// app/internal/replica_applier.h
//
// From metadata deltas to the shards: which replicas this broker has, and in which role. A
// subscriber on the control loop; the shards hear in the same order.
#pragma once

#include <string>
#include <vector>

#include "handlers/topic_book.h"
#include "metadata/delta.h"
#include "replication/replicas.h"

namespace millrace::app {

class ReplicaApplier {
public:
    ReplicaApplier(BrokerId self, const replication::Replicas& replicas,
                   const handlers::TopicBookHandle& topics)
        : self_(self), replicas_(replicas), topics_(topics) {}

    void on_publish(const metadata::Delta& delta, const metadata::ImagePtr& image);
    /// Settings of every replica here are looked up again.
    void on_settings_changed(const metadata::Image& image);
    /// Of these topics alone.
    void on_settings_changed(const metadata::Image& image, const std::vector<std::string>& topics);

private:
    void change_settings(const metadata::Topic& topic);
    void assign(const metadata::Topic& topic, PartitionIndex index,
                const metadata::Partition& partition);
    void unassign(const TopicIdPartition& id);

    BrokerId self_;
    const replication::Replicas& replicas_;
    const handlers::TopicBookHandle& topics_;
};

}  // namespace millrace::app
