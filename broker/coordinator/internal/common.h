// coordinator/internal/common.h
//
// What all shards of a runtime share.
#pragma once

#include <string>

#include "coordinator/runtime.h"
#include "record/compression.h"

namespace millrace::coordinator {

struct Runtime::Common {
    std::string name;
    runtime::Executor& executor;
    LogDoor& log;
    Factory factory;
    RuntimeSettings settings;
    Logger logger;
    record::Compressor compressor;
    record::Decompressor decompressor;
};

}  // namespace millrace::coordinator
