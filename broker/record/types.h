// record/types.h
//
// The words of the record format that others name without looking into a batch.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::record {

/// The three low bits of a batch's attributes. A value past zstd is not known to anyone yet.
enum class Compression : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

constexpr bool is_known(Compression codec) {
    return codec <= Compression::zstd;
}

/// "none", "gzip", ... as in the settings `compression.type` of topics and producers.
std::string_view to_string(Compression codec);

enum class TimestampType : std::uint8_t { create_time = 0, log_append_time = 1 };

/// "CreateTime" or "LogAppendTime", as in `message.timestamp.type`.
std::string_view to_string(TimestampType type);

}  // namespace millrace::record
