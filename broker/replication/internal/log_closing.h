// replication/internal/log_closing.h
//
// Leaves many logs as a clean start wants them, several at a time: each is a handful of small files
// that the device syncs side by side about as fast as one.
#pragma once

#include <memory>
#include <vector>

#include "replication/internal/partition.h"

namespace millrace::replication {

class LogClosing : public std::enable_shared_from_this<LogClosing> {
public:
    using Find = std::function<std::shared_ptr<Partition>(const TopicIdPartition&)>;

    /// On the shard's loop, where `done` runs too.
    static void run(std::vector<TopicIdPartition> ids, Find find, UniqueFunction<void()> done);

private:
    LogClosing(std::vector<TopicIdPartition> ids, Find find, UniqueFunction<void()> done);
    void go_on();

    std::vector<TopicIdPartition> ids_;
    Find find_;
    UniqueFunction<void()> done_;
    std::size_t next_ = 0;
    std::size_t under_way_ = 0;
    bool going_ = false;
};

}  // namespace millrace::replication
