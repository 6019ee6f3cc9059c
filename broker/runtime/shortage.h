// runtime/shortage.h
//
// Errors that say nothing against the disk: no room, no file left to open, no memory. The call had
// no effect that counts, and can be made again once the shortage is over.
#pragma once

#include "base/error.h"
#include "base/time.h"

namespace millrace::runtime {

inline bool is_shortage(const Error& error) {
    return error.code() == Code::no_space || error.code() == Code::exhausted;
}

/// How long who has to try again waits.
inline constexpr Duration shortage_pause = std::chrono::seconds{1};

}  // namespace millrace::runtime
