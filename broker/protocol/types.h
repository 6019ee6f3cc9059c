// protocol/types.h
//
// What the fields of wire messages are made of beside integers and strings.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/uuid.h"

namespace millrace::protocol {

class DebugPrinter;
class Reader;
class Writer;

/// How null is told from a value in front of a nullable struct: 1 stands before a value; before
/// nothing, -1 in a plain field and 0 in a tagged one.
enum class Presence { plain, tagged };

/// Record batches of one partition: bytes in memory, or a range of a file that the connection sends
/// by itself. Of the second kind the message knows only the size and `external`, an index into the
/// sender's own list of ranges.
struct Records {
    static constexpr std::uint32_t npos = 0xffffffff;

    ByteView bytes;
    std::uint32_t external = npos;
    std::uint64_t external_size = 0;

    static Records in_file(std::uint32_t index, std::uint64_t size) {
        return {.bytes = {}, .external = index, .external_size = size};
    }
    bool is_external() const { return external != npos; }
    std::size_t size() const {
        return is_external() ? static_cast<std::size_t>(external_size) : bytes.size();
    }
    friend bool operator==(const Records& a, const Records& b) {
        return a.external == b.external && a.external_size == b.external_size &&
               as_text(a.bytes) == as_text(b.bytes);
    }
};

/// A tagged field that this version of the schema doesn't name: kept and written back.
struct UnknownTag {
    std::uint32_t tag = 0;
    ByteView data;
    friend bool operator==(const UnknownTag& a, const UnknownTag& b) {
        return a.tag == b.tag && as_text(a.data) == as_text(b.data);
    }
};

}  // namespace millrace::protocol
