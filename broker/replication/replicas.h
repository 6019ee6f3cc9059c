// replication/replicas.h
//
// All shards' replicas, and the way to the one that owns a partition. Made by app; immutable
// afterwards, so any thread may route through it.
#pragma once

#include <utility>
#include <vector>

#include "replication/shard_replicas.h"
#include "runtime/node.h"

namespace millrace::replication {

class Replicas {
public:
    void add(runtime::Shard shard, ShardReplicas* replicas) {
        shards_.push_back({shard, replicas});
    }

    std::size_t size() const { return shards_.size(); }
    std::size_t shard_of(const TopicIdPartition& id) const {
        return std::hash<TopicIdPartition>{}(id) % shards_.size();
    }
    runtime::Executor& executor(std::size_t shard) const { return *shards_[shard].shard.executor; }

    /// Runs `task` with the shard's replicas on its loop: in place when called there.
    template <typename F>
    void on_shard(std::size_t shard, F&& task) const {
        const Entry& entry = shards_[shard];
        if (entry.shard.executor->is_current()) {
            std::forward<F>(task)(*entry.replicas);
            return;
        }
        entry.shard.executor->post([replicas = entry.replicas,
                                    task = std::forward<F>(task)]() mutable { task(*replicas); });
    }
    /// Of every shard; the numbers may be read from any thread.
    std::vector<const ShardCounts*> counts() const {
        std::vector<const ShardCounts*> all;
        for (const Entry& entry : shards_) {
            all.push_back(&entry.replicas->counts());
        }
        return all;
    }
    /// Only on the shard's own loop, or when every loop has stopped.
    ShardReplicas& here(std::size_t shard) const { return *shards_[shard].replicas; }

private:
    struct Entry {
        runtime::Shard shard;
        ShardReplicas* replicas;
    };
    std::vector<Entry> shards_;
};

}  // namespace millrace::replication
