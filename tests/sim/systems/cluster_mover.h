// tests/sim/systems/cluster_mover.h
//
// An operator who never leaves partitions where they are: every few seconds other replicas for one
// of them, in another order, fewer or more at a time, or a reassignment taken back. Whether the
// controller agreed shows in the metadata; nobody waits for one before asking for the next.
#pragma once

#include <memory>

#include "tests/sim/systems/cluster_map.h"

namespace millrace::simtest {

class ClusterMover {
public:
    struct Options {
        std::string topic;
        std::int32_t partitions = 1;
        std::int32_t brokers = 4;
        std::size_t replicas = 3;
        Instant until{};  ///< Then it rests, so that everything can come to an end.
    };
    ClusterMover(Options options, ClusterMap& map);
    ~ClusterMover();

    std::uint64_t agreed() const { return agreed_; }

private:
    void later();
    void move_one();

    const Options options_;
    ClusterMap& map_;
    std::uint64_t agreed_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
