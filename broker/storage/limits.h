// storage/limits.h
//
// What one log may use and how long it keeps what it holds. Plain facts that the owner fills from
// topic and broker settings; this room knows no option names.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"

namespace millrace::storage {

struct CleanupPolicy {
    bool remove = true;    ///< Whole old segments go by time and size.
    bool compact = false;  ///< Only the last record of each key stays.
    friend bool operator==(const CleanupPolicy&, const CleanupPolicy&) = default;
};

struct LogLimits {
    static constexpr std::int64_t unlimited = -1;

    Bytes segment_bytes = 1_GiB;
    Duration segment_age = 168h;   ///< Roll once the first record is older, even if not full.
    Duration segment_jitter = 0s;  ///< So much of segment_age at most is let off each segment.
    Bytes index_interval = 4_KiB;  ///< One index entry per so many bytes of log.
    Bytes segment_index_bytes = 10_MiB;  ///< Roll once an index would grow past it.

    Duration retention = 168h;  ///< Negative: for ever.
    Bytes retention_bytes{unlimited};
    Duration file_delete_delay = 60s;  ///< Readers may still hold a retired segment so long.

    CleanupPolicy cleanup;
    Duration min_compaction_lag = 0s;
    Duration max_compaction_lag = Duration::max();
    double min_cleanable_ratio = 0.5;
    Duration delete_retention = 24h;  ///< How long a tombstone or end marker stays visible.

    Bytes tail_mark_step = 8_MiB;  ///< At most about this much is scanned twice after a crash.

    Duration producer_expiry = 24h;  ///< A silent producer's state is kept so long.
    bool may_use_reserve = false;    ///< Appends even when the directory is short of space.
    bool preallocate = true;         ///< Reserve space ahead of the end in growing steps.

    friend bool operator==(const LogLimits&, const LogLimits&) = default;
};

}  // namespace millrace::storage
