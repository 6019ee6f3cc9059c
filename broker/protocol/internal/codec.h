// protocol/internal/codec.h
//
// What generated decoders and encoders need for arrays of structs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/debug_printer.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {

/// False for null. `least` is the fewest bytes an element has on the wire.
template <typename T>
bool read_elements(Reader& in, std::vector<T>& to, std::int16_t version, bool compact,
                   std::size_t least) {
    const std::int32_t count = in.array_size(compact, least, sizeof(T));
    if (count < 0) {
        return false;
    }
    to.resize(static_cast<std::size_t>(count));
    for (T& element : to) {
        element.decode(in, version);
        if (!in.ok()) {
            break;
        }
    }
    return true;
}

template <typename T>
void read_structs(Reader& in, std::vector<T>& to, std::int16_t version, bool compact,
                  std::size_t least) {
    if (!read_elements(in, to, version, compact, least)) {
        in.fail("null where an array is required");
    }
}

template <typename T>
void read_nullable_structs(Reader& in, std::optional<std::vector<T>>& to, std::int16_t version,
                           bool compact, std::size_t least) {
    if (!read_elements(in, to.emplace(), version, compact, least)) {
        to.reset();
    }
}

template <typename T>
void write_structs(Writer& out, const std::vector<T>& from, std::int16_t version, bool compact) {
    out.array_size(static_cast<std::int64_t>(from.size()), compact);
    for (const T& element : from) {
        if (!out.ok()) {
            return;
        }
        element.encode(out, version);
    }
}

template <typename T>
void write_nullable_structs(Writer& out, const std::optional<std::vector<T>>& from,
                            std::int16_t version, bool compact) {
    if (from) {
        write_structs(out, *from, version, compact);
    } else {
        out.array_size(-1, compact);
    }
}

inline bool same_bytes(ByteView a, ByteView b) {
    return as_text(a) == as_text(b);
}
inline bool same_bytes(const std::optional<ByteView>& a, const std::optional<ByteView>& b) {
    return a.has_value() == b.has_value() && (!a || same_bytes(*a, *b));
}

template <typename T>
std::string debug_text(const T& message) {
    DebugPrinter printer;
    printer.begin();
    message.print(printer);
    printer.end();
    return std::move(printer).take();
}

}  // namespace millrace::protocol
