// groups/internal/values.h
//
// Small values that groups are made of.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "base/uuid.h"

namespace millrace::groups {

/// Bytes that members and answers share. Null means empty.
using Blob = std::shared_ptr<const Buffer>;

inline Blob make_blob(ByteView bytes) {
    return bytes.empty() ? nullptr : std::make_shared<const Buffer>(bytes.begin(), bytes.end());
}
inline ByteView view(const Blob& blob) {
    return blob ? ByteView{*blob} : ByteView{};
}
inline bool same(const Blob& a, ByteView b) {
    return as_text(view(a)) == as_text(b);
}

/// Sorted partitions by topic; no topic is empty.
using PartitionSet = std::map<Uuid, std::vector<std::int32_t>>;
/// Sorted partitions with the epoch in which each was assigned (KIP-1251).
using EpochSet = std::map<Uuid, std::map<std::int32_t, std::int32_t>>;

template <typename Value>
using StringMap = std::map<std::string, Value, std::less<>>;

inline Duration from_milliseconds(std::int32_t value) {
    return std::chrono::milliseconds{value};
}

}  // namespace millrace::groups
