// mirror/room_core.h
//
// Whether there is room here for what a link is about to copy. Judged by the best placement that
// could be: who is refused would not fit however partitions were laid. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/ids.h"

namespace millrace::mirror {

/// Bytes that may still be written to each log directory of a broker.
using Rooms = std::map<BrokerId, std::vector<std::int64_t>>;

/// What may be written of `usable` bytes: a disk that is full to its last byte serves nobody.
std::int64_t room_in(std::int64_t usable, std::int64_t total);

/// A partition of a mirror that is there: what is yet to come, and to whom.
struct Coming {
    std::int64_t bytes = 0;  ///< Of one copy.
    std::vector<BrokerId> replicas;
};
/// A mirror that is wished for.
struct Wanted {
    std::string topic;
    std::vector<std::int64_t> partitions;  ///< Bytes of one copy of each.
};

struct RoomVerdict {
    std::set<std::string> lacking;  ///< Of what is wanted, that which would not fit.
    std::int64_t needed = 0;        ///< Bytes of those, all copies.
    std::int64_t left = 0;          ///< Bytes here beside all that is coming and does fit.
    friend bool operator==(const RoomVerdict&, const RoomVerdict&) = default;
};

/// Small ones first, so that one large topic doesn't keep the others away.
RoomVerdict find_room(const std::vector<Coming>& coming, std::vector<Wanted> wanted,
                      std::size_t copies, Rooms rooms);

}  // namespace millrace::mirror
