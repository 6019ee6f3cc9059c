// tests/sim/systems/cluster_history.h
//
// What producers were told and consumers saw, and whether a log that loses nothing, doubles nothing
// and keeps each producer's order could have shown it. Every record carries the number of its
// operation, so nothing has to be inferred.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/ids.h"

namespace millrace::simtest {

class ClusterHistory {
public:
    using Operation = std::uint32_t;
    /// Those of one life of one producer; their order in a partition is the order of sending.
    using Sender = std::uint64_t;

    void sent(Operation operation, Sender sender, std::int32_t partition);
    /// `at` no_offset: acknowledged as a duplicate, the broker did not say where it lies.
    void acknowledged(Operation operation, Offset at);
    void read(std::int32_t partition, Offset at, Operation operation);

    std::uint64_t acknowledged() const { return acknowledged_; }
    /// Something that no later event can make right.
    const std::optional<std::string>& broken() const { return broken_; }
    /// Once everything was read to the end.
    std::optional<std::string> violation() const;

private:
    struct Sent {
        Sender sender = 0;
        std::int32_t partition = 0;
        bool is_acknowledged = false;
        Offset at = no_offset;
        Offset read_at = no_offset;
    };
    void breaks(std::string why);

    std::map<Operation, Sent> sent_;
    std::map<std::int32_t, std::map<Offset, Operation>> logs_;
    std::uint64_t acknowledged_ = 0;
    std::optional<std::string> broken_;
};

}  // namespace millrace::simtest
