// metadata/link_mark.h
//
// How a broker's mirror link says who it is when it asks the controller to change what only links
// change: with a tagged field that brokers of ours put on the request and take off a client's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "model/ids.h"
#include "protocol/types.h"

namespace millrace::metadata {

/// On CreateTopics and IncrementalAlterConfigs, empty: settings millrace.mirror.* may be set.
/// On CreatePartitions, empty: a mirror may grow.
/// On a partition of AlterPartition, four bytes: the leader epoch is to be at least this. A mirror
/// keeps the source's epochs in its batches, so the local one must not fall behind them.
/// On a partition of ListOffsets, empty: where the log ends is asked for, not what is committed,
/// and the answer says whether that end is the last one (ClosingMark).
/// On OffsetFetch, empty: each offset is told with the moment in which it was committed
/// (CommitMark).
inline constexpr std::uint32_t link_tag = 10'001;

inline const protocol::UnknownTag* find_link_mark(const std::vector<protocol::UnknownTag>& tags) {
    const auto found =
        std::find_if(tags.begin(), tags.end(), [](const auto& tag) { return tag.tag == link_tag; });
    return found == tags.end() ? nullptr : &*found;
}

inline std::optional<LeaderEpoch> epoch_asked_for(const std::vector<protocol::UnknownTag>& tags) {
    const protocol::UnknownTag* mark = find_link_mark(tags);
    if (mark == nullptr || mark->data.size() != sizeof(std::int32_t)) {
        return std::nullopt;
    }
    return LeaderEpoch{load_big_endian<std::int32_t>(mark->data.data())};
}

/// What the leader of a partition says of its end to a link that has fenced the topic. Who has
/// applied the fence knows all partitions that were added before it: fewer are not all of them.
struct ClosingMark {
    bool is_closed = false;
    std::int32_t partitions = 0;

    static constexpr std::size_t size = 1 + sizeof(std::int32_t);
    std::array<std::byte, size> encode() const {
        std::array<std::byte, size> bytes{};
        bytes[0] = std::byte{is_closed};
        store_big_endian(bytes.data() + 1, partitions);
        return bytes;
    }
    static std::optional<ClosingMark> find(const std::vector<protocol::UnknownTag>& tags) {
        const protocol::UnknownTag* mark = find_link_mark(tags);
        if (mark == nullptr || mark->data.size() != size) {
            return std::nullopt;
        }
        return ClosingMark{mark->data[0] != std::byte{0},
                           load_big_endian<std::int32_t>(mark->data.data() + 1)};
    }
};

/// When an offset was committed, by its coordinator's clock.
struct CommitMark {
    Timestamp at;

    static constexpr std::size_t size = sizeof(std::int64_t);
    std::array<char, size> encode() const {
        std::array<char, size> bytes{};
        store_big_endian(std::as_writable_bytes(std::span(bytes)).data(), at.milliseconds);
        return bytes;
    }
    static std::optional<CommitMark> find(const std::vector<protocol::UnknownTag>& tags) {
        const protocol::UnknownTag* mark = find_link_mark(tags);
        if (mark == nullptr || mark->data.size() != size) {
            return std::nullopt;
        }
        return CommitMark{Timestamp{load_big_endian<std::int64_t>(mark->data.data())}};
    }
};

inline bool is_kept_by_link(std::string_view setting) {
    return setting.starts_with("millrace.mirror.");
}

}  // namespace millrace::metadata
