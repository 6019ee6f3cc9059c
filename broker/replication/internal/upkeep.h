// replication/internal/upkeep.h
//
// What a shard does for its logs while nobody asks: rounds over all partitions, each at an interval
// of its own, a slice per turn so that a loop with ten thousand partitions never stands still.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "replication/internal/partition.h"

namespace millrace::replication {

class Upkeep : public std::enable_shared_from_this<Upkeep> {
public:
    struct Doors {
        runtime::Executor* loop = nullptr;
        std::function<std::vector<TopicIdPartition>()> all;
        std::function<std::shared_ptr<Partition>(const TopicIdPartition&)> find;
    };

    explicit Upkeep(Doors doors) : doors_(std::move(doors)) {}

    /// Starts the rounds, or changes how often they come.
    void set(const UpkeepTimes& times);

private:
    struct Round {
        void (Partition::*visit)(Timestamp now);
        Duration interval{};
        runtime::TimerId timer{};
        bool walking = false;
    };
    struct Walk {
        std::vector<TopicIdPartition> ids;
        std::size_t at = 0;
    };

    void change(std::size_t round, Duration interval, Duration first);
    void arm(std::size_t round, Duration delay);
    void begin(std::size_t round);
    void go_on(std::size_t round, const std::shared_ptr<Walk>& walk);

    Doors doors_;
    std::array<Round, 2> rounds_{Round{&Partition::apply_retention},
                                 Round{&Partition::expire_producers}};
};

}  // namespace millrace::replication
