// tests/sim/systems/cluster_reader.h
//
// Reads every partition from its beginning, for ever, and tells the history. With a rack it goes to
// the replica that the leader names (KIP-392), and back to the leader when that one is of no use.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "protocol/messages/fetch_response.h"
#include "tests/sim/systems/cluster_history.h"
#include "tests/sim/systems/cluster_map.h"

namespace millrace::simtest {

class ClusterReader {
public:
    /// `on_read` hears how far a partition was read.
    ClusterReader(std::int32_t partitions, std::string rack, ClusterMap& map,
                  ClusterHistory& history, std::function<void(std::string)> fail,
                  std::function<void(std::int32_t, Offset)> on_read);
    ~ClusterReader();

    Offset position(std::int32_t partition) const {
        return positions_[static_cast<std::size_t>(partition)];
    }

private:
    void fetch(std::int32_t partition);
    void fetch_later(std::int32_t partition);
    void take(std::int32_t partition, const protocol::FetchResponse& response);
    void take_records(std::int32_t partition, ByteView bytes);

    /// To the leader again, a moment later.
    void go_back(std::int32_t partition);

    const std::string rack_;
    ClusterMap& map_;
    ClusterHistory& history_;
    std::function<void(std::string)> fail_;
    std::function<void(std::int32_t, Offset)> on_read_;
    std::vector<Offset> positions_;
    std::vector<BrokerId> nearest_;  ///< no_broker: the leader.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
