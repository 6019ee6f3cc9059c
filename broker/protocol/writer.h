// protocol/writer.h
//
// Encodes messages behind what a Buffer already holds. Records that lie in files are not copied:
// their place is noted as a splice, and every length on the wire counts them. The first fault (a
// value that the version can't carry) sticks; the bytes written are then of no use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "protocol/types.h"

namespace millrace::protocol {

/// `length` bytes of the sender's range `external` belong before the buffer's byte `position`.
struct Splice {
    std::size_t position;
    std::uint32_t external;
    std::uint64_t length;
    friend bool operator==(const Splice&, const Splice&) = default;
};

class Writer {
public:
    /// What would take more than `most` bytes faults with Code::exhausted soon after it has passed
    /// them, however much of it there is.
    explicit Writer(Buffer& out, std::size_t most = std::numeric_limits<std::size_t>::max())
        : out_(out), start_(out.size()), most_(most) {}
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    bool ok() const { return !fault_.has_value(); }
    /// Only when not ok().
    const Error& error() const { return *fault_; }
    /// What was written, with what will be spliced in.
    std::uint64_t size() const { return position() - start_ + spliced_; }
    /// In ascending order of position.
    const std::vector<Splice>& splices() const { return splices_; }

    void boolean(bool value) { int8(value ? 1 : 0); }
    void int8(std::int8_t value) { fixed(value); }
    void int16(std::int16_t value) { fixed(value); }
    void uint16(std::uint16_t value) { fixed(value); }
    void int32(std::int32_t value) { fixed(value); }
    void uint32(std::uint32_t value) { fixed(value); }
    void int64(std::int64_t value) { fixed(value); }
    void float64(double value);
    void uuid(const Uuid& value);
    void unsigned_varint(std::uint64_t value);

    void string(std::string_view value, bool compact);
    void nullable_string(const std::optional<std::string_view>& value, bool compact);
    void bytes(ByteView value, bool compact);
    void nullable_bytes(const std::optional<ByteView>& value, bool compact);
    void records(const Records& value, bool compact);
    void nullable_records(const std::optional<Records>& value, bool compact);
    void raw(ByteView value);
    /// The byte in front of a nullable struct.
    void present(bool value, Presence presence) {
        int8(value ? 1 : (presence == Presence::plain ? -1 : 0));
    }

    /// For each type that a schema has arrays of (writer.cc).
    template <typename T>
    void array(const std::vector<T>& values, bool compact);
    template <typename T>
    void nullable_array(const std::optional<std::vector<T>>& values, bool compact);
    /// -1 for null.
    void array_size(std::int64_t count, bool compact);
    /// All tagged fields of a struct that defines none.
    void unknown_tags(const std::vector<UnknownTag>& tags);

    /// Room for an int32 that is known later (a frame's length).
    std::size_t reserve_int32();
    void patch_int32(std::size_t at, std::int32_t value);

    /// `field` is set, and the version has no place for it.
    void fail_field(const char* field, std::int16_t version);
    /// False, with a fault, where null is not allowed.
    bool not_null(bool has_value, const char* field);
    void fail(Code code, std::string_view why);

    /// While one lives, the buffer is longer than what was written, so that each field costs a
    /// store and not a resize. Generated encoders hold one; after them the buffer is exact again.
    class Burst {
    public:
        explicit Burst(Writer& writer) : writer_(writer) { writer_.open_burst(); }
        ~Burst() { writer_.close_burst(); }
        Burst(const Burst&) = delete;
        Burst& operator=(const Burst&) = delete;

    private:
        Writer& writer_;
    };

private:
    friend class TagWriter;

    template <typename T>
    void fixed(T value) {
        store_big_endian(room(sizeof(T)), value);
    }
    /// Where the next `size` bytes go; valid until the next call.
    std::byte* room(std::size_t size) {
        if (size > static_cast<std::size_t>(end_ - at_)) [[unlikely]] {
            return grow(size);
        }
        std::byte* const to = at_;
        at_ += size;
        return to;
    }
    std::byte* grow(std::size_t size);
    std::size_t position() const {
        return bursting_ ? static_cast<std::size_t>(at_ - out_.data()) : out_.size();
    }
    void open_burst();
    void close_burst();
    void bytes_size(std::uint64_t size, bool compact);

    Buffer& out_;
    std::size_t start_;
    std::size_t most_;
    bool bursting_ = false;
    std::byte* at_ = nullptr;   ///< In a burst: the next byte, within out_.
    std::byte* end_ = nullptr;  ///< In a burst: the end of out_.
    std::uint64_t spliced_ = 0;
    std::vector<Splice> splices_;
    std::optional<Error> fault_;
};

/// Writes a tagged section: begin() and end() around each known field that is not at its default,
/// in ascending order; the unknown ones fall in between.
class TagWriter {
public:
    TagWriter(Writer& out, int known, const std::vector<UnknownTag>& unknown);
    void begin(std::uint32_t tag);
    void end();
    void finish();

private:
    void write_unknown_below(std::uint64_t tag);
    void write_tag(std::uint32_t tag);

    Writer& out_;
    const std::vector<UnknownTag>& unknown_;
    std::size_t next_unknown_ = 0;
    std::int64_t last_tag_ = -1;
    std::size_t value_at_ = 0;
};

}  // namespace millrace::protocol
