// tests/sim/systems/loose_writer.h
//
// Writes as many do whose data is worth little: bursts with acks=1 into one partition and then into
// another, whose leader changes meanwhile; what isn't acknowledged is forgotten. A partition rests
// long after its burst.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/systems/cluster_map.h"

namespace millrace::simtest {

class LooseWriter {
public:
    struct Options {
        std::string topic;
        std::int32_t partitions = 1;
    };
    LooseWriter(Options options, ClusterMap& map);
    ~LooseWriter();

private:
    void burst();
    void change_leader(std::int32_t partition);
    void elect(std::int32_t partition);
    void send(std::int32_t partition, std::uint64_t left);

    const Options options_;
    ClusterMap& map_;
    std::vector<Instant> rested_;  ///< When each partition may get its next burst.
    bool refused_ = false;         ///< Somebody else leads: this burst is over.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
