#include "protocol/writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "base/varint.h"

namespace millrace::protocol {

void Writer::fail(Code code, std::string_view why) {
    if (!fault_) {
        fault_ = Error(code, std::string(why));
    }
}

void Writer::fail_field(const char* field, std::int16_t version) {
    fail(Code::unsupported,
         fmt::format("{} is set, and version {} can't carry it", field, version));
}

bool Writer::not_null(bool has_value, const char* field) {
    if (!has_value) {
        fail(Code::invalid, fmt::format("{} is null, and must not be", field));
    }
    return has_value;
}

void Writer::float64(double value) {
    int64(std::bit_cast<std::int64_t>(value));
}

void Writer::uuid(const Uuid& value) {
    fixed(value.high);
    fixed(value.low);
}

void Writer::unsigned_varint(std::uint64_t value) {
    std::byte scratch[max_varint64_size];
    raw({scratch, write_unsigned_varint(scratch, value)});
}

void Writer::raw(ByteView value) {
    if (!value.empty()) {
        std::memcpy(room(value.size()), value.data(), value.size());
    }
}

std::byte* Writer::grow(std::size_t size) {
    const std::size_t at = position();
    const std::size_t used = at - start_;
    if (size > most_ || used > most_ - size) {
        fail(Code::exhausted, fmt::format("longer than {} bytes", most_));
    }
    if (!bursting_) {
        out_.resize(at + size);
        return out_.data() + at;
    }
    // By what this message took so far, not by what the buffer holds: it may be long and reused.
    constexpr std::size_t least = 512;
    out_.resize(at + size + std::max(least, ok() ? std::min(used, most_ - used - size) : 0));
    at_ = out_.data() + at + size;
    end_ = out_.data() + out_.size();
    return out_.data() + at;
}

void Writer::open_burst() {
    MR_ASSERT(!bursting_);
    at_ = end_ = out_.data() + out_.size();
    bursting_ = true;
}

void Writer::close_burst() {
    out_.resize(position());
    bursting_ = false;
    at_ = end_ = nullptr;
}

void Writer::string(std::string_view value, bool compact) {
    if (value.size() > 0x7fff) {
        fail(Code::invalid, "string longer than 32767 bytes");
        return;
    }
    if (compact) {
        unsigned_varint(value.size() + 1);
    } else {
        int16(static_cast<std::int16_t>(value.size()));
    }
    raw(as_bytes(value));
}

void Writer::nullable_string(const std::optional<std::string_view>& value, bool compact) {
    if (value) {
        string(*value, compact);
    } else if (compact) {
        unsigned_varint(0);
    } else {
        int16(-1);
    }
}

void Writer::bytes_size(std::uint64_t size, bool compact) {
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
        fail(Code::invalid, "bytes longer than 2 GiB");
    } else if (compact) {
        unsigned_varint(size + 1);
    } else {
        int32(static_cast<std::int32_t>(size));
    }
}

void Writer::bytes(ByteView value, bool compact) {
    bytes_size(value.size(), compact);
    raw(value);
}

void Writer::nullable_bytes(const std::optional<ByteView>& value, bool compact) {
    if (value) {
        bytes(*value, compact);
    } else {
        array_size(-1, compact);
    }
}

void Writer::records(const Records& value, bool compact) {
    bytes_size(value.size(), compact);
    if (value.is_external()) {
        splices_.push_back({position(), value.external, value.external_size});
        spliced_ += value.external_size;
    } else {
        raw(value.bytes);
    }
}

void Writer::nullable_records(const std::optional<Records>& value, bool compact) {
    if (value) {
        records(*value, compact);
    } else {
        array_size(-1, compact);
    }
}

void Writer::array_size(std::int64_t count, bool compact) {
    if (compact) {
        unsigned_varint(static_cast<std::uint64_t>(count + 1));
    } else {
        int32(static_cast<std::int32_t>(count));
    }
}

template <typename T>
void Writer::array(const std::vector<T>& values, bool compact) {
    array_size(static_cast<std::int64_t>(values.size()), compact);
    for (const T& value : values) {
        if (!ok()) {
            return;
        }
        if constexpr (std::is_same_v<T, std::string_view>) {
            string(value, compact);
        } else if constexpr (std::is_same_v<T, Uuid>) {
            uuid(value);
        } else {
            fixed(value);
        }
    }
}

template <typename T>
void Writer::nullable_array(const std::optional<std::vector<T>>& values, bool compact) {
    if (values) {
        array(*values, compact);
    } else {
        array_size(-1, compact);
    }
}

#define MR_ARRAY_OF(T)                                                \
    template void Writer::array(const std::vector<T>&, bool compact); \
    template void Writer::nullable_array(const std::optional<std::vector<T>>&, bool compact);
MR_ARRAY_OF(std::int8_t)
MR_ARRAY_OF(std::int16_t)
MR_ARRAY_OF(std::int32_t)
MR_ARRAY_OF(std::int64_t)
MR_ARRAY_OF(std::string_view)
MR_ARRAY_OF(Uuid)
#undef MR_ARRAY_OF

void Writer::unknown_tags(const std::vector<UnknownTag>& tags) {
    TagWriter(*this, 0, tags).finish();
}

std::size_t Writer::reserve_int32() {
    const std::size_t at = position();
    int32(0);
    return at;
}

void Writer::patch_int32(std::size_t at, std::int32_t value) {
    MR_ASSERT(at + sizeof(value) <= out_.size());
    store_big_endian(out_.data() + at, value);
}

TagWriter::TagWriter(Writer& out, int known, const std::vector<UnknownTag>& unknown)
    : out_(out), unknown_(unknown) {
    out_.unsigned_varint(static_cast<std::uint64_t>(known) + unknown.size());
}

void TagWriter::write_tag(std::uint32_t tag) {
    if (std::int64_t{tag} <= last_tag_) {
        out_.fail(Code::invalid, "unknown tags out of order, or one that this version defines");
    }
    last_tag_ = tag;
    out_.unsigned_varint(tag);
}

void TagWriter::write_unknown_below(std::uint64_t tag) {
    for (; next_unknown_ < unknown_.size() && unknown_[next_unknown_].tag < tag; ++next_unknown_) {
        const UnknownTag& field = unknown_[next_unknown_];
        write_tag(field.tag);
        out_.unsigned_varint(field.data.size());
        out_.raw(field.data);
    }
}

void TagWriter::begin(std::uint32_t tag) {
    write_unknown_below(tag);
    write_tag(tag);
    value_at_ = out_.position();
}

void TagWriter::end() {
    // Values in tags are small: writing first and making room for the size costs less than a pass
    // over every message that only adds up sizes.
    std::byte scratch[max_varint64_size];
    const std::size_t size = out_.position() - value_at_;
    const std::size_t used = write_unsigned_varint(scratch, size);
    out_.room(used);
    std::byte* const value = out_.out_.data() + value_at_;
    std::memmove(value + used, value, size);
    std::memcpy(value, scratch, used);
    MR_ASSERT(out_.splices_.empty() || out_.splices_.back().position <= value_at_);
}

void TagWriter::finish() {
    constexpr std::uint64_t past_every_tag = std::uint64_t{1} << 32;
    write_unknown_below(past_every_tag);
}

}  // namespace millrace::protocol
