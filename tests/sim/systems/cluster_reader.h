// tests/sim/systems/cluster_reader.h
//
// Reads every partition from its beginning, for ever, and tells the history.
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
    ClusterReader(std::int32_t partitions, ClusterMap& map, ClusterHistory& history,
                  std::function<void(std::string)> fail);
    ~ClusterReader();

    Offset position(std::int32_t partition) const {
        return positions_[static_cast<std::size_t>(partition)];
    }

private:
    void fetch(std::int32_t partition);
    void fetch_later(std::int32_t partition);
    void take(std::int32_t partition, const protocol::FetchResponse& response);
    void take_records(std::int32_t partition, ByteView bytes);

    ClusterMap& map_;
    ClusterHistory& history_;
    std::function<void(std::string)> fail_;
    std::vector<Offset> positions_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
