// storage/read_slice.h
//
// What a read of a log gives.
#pragma once

#include "model/ids.h"
#include "runtime/disk.h"

namespace millrace::storage {

/// A range of stored bytes: whole batches. Holding it pins the file, even if the segment is
/// deleted.
struct ReadSlice {
    runtime::FilePtr file;  ///< Null if the range is empty.
    std::uint64_t position = 0;
    std::size_t length = 0;
    Offset first = no_offset;  ///< Base offset of the first batch; may lie below what was asked.
    Offset end{INT64_MAX};     ///< What it holds ends at or below, by what lies behind it.
    LeaderEpoch latest{INT32_MAX};  ///< No batch has a later epoch.
    Offset segment_base = no_offset;
    bool checked = false;  ///< Every batch was verified since the process started.

    bool empty() const { return length == 0; }
};

}  // namespace millrace::storage
