#include "mirror/room_core.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace millrace::mirror {
namespace {

/// Of each disk a twentieth stays free.
constexpr std::int64_t kept_free_of = 20;

std::int64_t sum_of(const std::vector<std::int64_t>& sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
}

std::int64_t& emptiest(std::vector<std::int64_t>& directories) {
    return *std::max_element(directories.begin(), directories.end());
}

/// Each copy to a broker of its own, where most is left.
bool lay(std::int64_t bytes, std::size_t copies, Rooms& rooms) {
    std::vector<std::int64_t*> best;
    for (auto& [broker, directories] : rooms) {
        best.push_back(&emptiest(directories));
    }
    std::sort(best.begin(), best.end(), [](const auto* a, const auto* b) { return *a > *b; });
    if (best.size() < copies || *best[copies - 1] < bytes) {
        return false;
    }
    for (std::size_t i = 0; i < copies; ++i) {
        *best[i] -= bytes;
    }
    return true;
}

}  // namespace

std::int64_t room_in(std::int64_t usable, std::int64_t total) {
    return std::max<std::int64_t>(0, usable - total / kept_free_of);
}

RoomVerdict find_room(const std::vector<Coming>& coming, std::vector<Wanted> wanted,
                      std::size_t copies, Rooms rooms) {
    RoomVerdict verdict;
    std::erase_if(rooms, [](const auto& room) { return room.second.empty(); });
    for (const Coming& one : coming) {
        for (const BrokerId broker : one.replicas) {
            if (const auto room = rooms.find(broker); room != rooms.end()) {
                emptiest(room->second) -= one.bytes;
            }
        }
    }
    // More copies than brokers is for whoever creates the topic to refuse.
    copies = std::clamp<std::size_t>(copies, 1, std::max<std::size_t>(1, rooms.size()));
    std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
        const auto size_a = sum_of(a.partitions);
        const auto size_b = sum_of(b.partitions);
        return size_a != size_b ? size_a < size_b : a.topic < b.topic;
    });
    for (Wanted& one : wanted) {
        std::sort(one.partitions.begin(), one.partitions.end(), std::greater<>());
        Rooms after = rooms;
        const bool fits = std::all_of(
            one.partitions.begin(), one.partitions.end(),
            [&](std::int64_t bytes) { return bytes == 0 || lay(bytes, copies, after); });
        if (fits) {
            rooms = std::move(after);
        } else {
            verdict.lacking.insert(one.topic);
            verdict.needed += sum_of(one.partitions) * static_cast<std::int64_t>(copies);
        }
    }
    for (const auto& [broker, directories] : rooms) {
        for (const std::int64_t left : directories) {
            verdict.left += std::max<std::int64_t>(0, left);
        }
    }
    return verdict;
}

}  // namespace millrace::mirror
