// protocol/reader.h
//
// Decodes untrusted bytes. The first fault sticks: every later read returns zero or empty, so
// decoders need no checks of their own. What would be allocated is charged to a budget before, and
// a count is held against the bytes that are left; strings and bytes are views into the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "protocol/types.h"

namespace millrace::protocol {

class Reader {
public:
    /// Limits of Kafka 4.4, whatever the input's size.
    static constexpr std::size_t max_elements = 1'000'000;
    static constexpr std::size_t max_tagged_fields = 10'000;
    static constexpr std::size_t max_string = 0x7fff;

    /// What may be allocated for an input of that size.
    static constexpr std::size_t budget_for(std::size_t size) { return 32 * size + 64 * 1024; }

    explicit Reader(ByteView input) : Reader(input, budget_for(input.size())) {}
    Reader(ByteView input, std::size_t budget)
        : begin_(input.data()),
          at_(begin_),
          end_(begin_ + input.size()),
          given_(budget),
          budget_(budget) {}

    bool ok() const { return fault_ == nullptr; }
    /// Only when not ok(): why, and at which byte.
    Error error() const;
    std::size_t position() const { return static_cast<std::size_t>(at_ - begin_); }
    /// Bytes not yet read: not 0 after the last field means that something trails.
    std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }

    bool boolean() { return int8() != 0; }
    std::int8_t int8() { return fixed<std::int8_t>(); }
    std::int16_t int16() { return fixed<std::int16_t>(); }
    std::uint16_t uint16() { return fixed<std::uint16_t>(); }
    std::int32_t int32() { return fixed<std::int32_t>(); }
    std::uint32_t uint32() { return fixed<std::uint32_t>(); }
    std::int64_t int64() { return fixed<std::int64_t>(); }
    double float64();
    Uuid uuid();
    std::uint32_t unsigned_varint();

    std::string_view string(bool compact);
    std::optional<std::string_view> nullable_string(bool compact);
    ByteView bytes(bool compact);
    std::optional<ByteView> nullable_bytes(bool compact);
    Records records(bool compact) { return {.bytes = bytes(compact)}; }
    std::optional<Records> nullable_records(bool compact);
    ByteView raw(std::size_t size);
    /// The byte in front of a nullable struct.
    bool present(Presence presence) {
        return int8() >= (presence == Presence::plain ? 0 : 1) && ok();
    }

    /// For each type that a schema has arrays of (reader.cc).
    template <typename T>
    void array(std::vector<T>& to, bool compact);
    template <typename T>
    void nullable_array(std::optional<std::vector<T>>& to, bool compact);

    /// The size of an array about to be read, -1 for null. Charged with `element_size` each;
    /// `least` is the fewest bytes an element has on the wire.
    std::int32_t array_size(bool compact, std::size_t least, std::size_t element_size);
    /// All tagged fields of a struct that defines none.
    void unknown_tags(std::vector<UnknownTag>& to);

    void fail(const char* why, Code code = Code::corrupt);
    bool charge(std::size_t bytes);
    /// What was allocated so far.
    std::size_t charged() const { return given_ - budget_; }

private:
    friend class TagReader;

    template <typename T>
    T fixed() {
        if (remaining() < sizeof(T)) [[unlikely]] {
            fail("cut short");
            return T{};
        }
        const T value = load_big_endian<T>(at_);
        at_ += sizeof(T);
        return value;
    }
    /// -1 for null.
    std::int64_t string_size(bool compact);
    std::int64_t bytes_size(bool compact);

    const std::byte* begin_;
    const std::byte* at_;
    const std::byte* end_;
    std::size_t given_;
    std::size_t budget_;  ///< What is left of it.
    const char* fault_ = nullptr;
    Code fault_code_ = Code::corrupt;
    std::size_t fault_at_ = 0;
};

/// Walks a tagged section: `for (TagReader tags(in); tags.next();) switch (tags.tag()) ...`.
/// A field may read only its own bytes, and must read all of them.
class TagReader {
public:
    explicit TagReader(Reader& in);
    bool next();
    std::uint32_t tag() const { return tag_; }
    /// This field isn't ours to read: keep it.
    void keep(std::vector<UnknownTag>& to);

private:
    void close_field();
    void sort_kept();

    Reader& in_;
    const std::byte* section_end_;
    std::uint32_t left_;
    bool open_ = false;
    std::uint32_t tag_ = 0;
    std::vector<UnknownTag>* unsorted_ = nullptr;
};

}  // namespace millrace::protocol
