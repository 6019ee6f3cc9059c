// base/assert.h
//
// Invariants of our own reasoning, checked in release too: stop before damage spreads.
#pragma once

namespace millrace {

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace millrace

#define MR_ASSERT(condition)                                                  \
    do {                                                                      \
        if (!(condition)) [[unlikely]] {                                      \
            ::millrace::assertion_failed(#condition, __FILE__, __LINE__);     \
        }                                                                     \
    } while (false)
