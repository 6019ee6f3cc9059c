// tests/support/protocol_vectors.h
//
// Reads tests/vectors/<family>.txt.zst: what Kafka's own classes make of every message.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace millrace::test {

struct ProtocolVector {
    std::string message;
    std::int16_t version = 0;
    std::string kind;  ///< default, full, nulls, empty, large, tags, random, nested_empty,
                       ///< nested_nulls; mutants: same, read, refused
    Buffer bytes;
    std::string tree;  ///< As JSON; "-" where it was left out; twice: hex.
};

/// Of one family, read once, or stops the program: without them a test would pass on nothing.
const std::vector<ProtocolVector>& protocol_vectors(const std::string& family);

Buffer from_hex(std::string_view hex);

inline const std::vector<std::string> vector_families = {
    "rpc", "metadata", "group", "transaction", "share", "remote_log", "data"};

}  // namespace millrace::test
