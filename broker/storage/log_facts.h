// storage/log_facts.h
//
// What a log knows of its own files, as the manifest of its directory keeps it for the next start.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/uuid.h"
#include "model/ids.h"

namespace millrace::storage {

/// A segment, or the front part of one, whose indexes are on the disk.
struct SegmentFacts {
    Offset base;
    std::uint64_t size = 0;            ///< Of .log.
    std::uint32_t offset_entries = 0;  ///< Of .index.
    std::uint32_t time_entries = 0;    ///< Of .timeindex, and the last one of them:
    std::int64_t max_timestamp = -1;
    std::int32_t max_timestamp_offset = 0;  ///< From the base.
    friend bool operator==(const SegmentFacts&, const SegmentFacts&) = default;
};

/// A place in the last segment up to which everything was synced, indexes and all: a recovery that
/// finds it as it was goes on from there.
struct TailMark {
    SegmentFacts front;            ///< What lies before it.
    Offset end;                    ///< One past the last offset there.
    std::uint32_t last_batch = 0;  ///< A checksum of what the last batch in front says of itself.
    friend bool operator==(const TailMark&, const TailMark&) = default;
};

struct LogFacts {
    TopicPartition partition;
    Uuid topic_id;
    std::vector<SegmentFacts> sealed;
    std::optional<TailMark> tail;
    friend bool operator==(const LogFacts&, const LogFacts&) = default;
};

}  // namespace millrace::storage
