// Bytes in a test's own words.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "base/bytes.h"

namespace millrace::protocol {

inline Buffer bytes_of(std::initializer_list<int> values) {
    Buffer bytes;
    for (const int value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

}  // namespace millrace::protocol
