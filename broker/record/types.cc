#include "record/types.h"

namespace millrace::record {

std::string_view to_string(Compression codec) {
    switch (codec) {
        case Compression::none:
            return "none";
        case Compression::gzip:
            return "gzip";
        case Compression::snappy:
            return "snappy";
        case Compression::lz4:
            return "lz4";
        case Compression::zstd:
            return "zstd";
    }
    return "unknown";
}

std::string_view to_string(TimestampType type) {
    return type == TimestampType::create_time ? "CreateTime" : "LogAppendTime";
}

}  // namespace millrace::record
