#include "record/legacy.h"

#include <bit>
#include <limits>
#include <zlib.h>

#include "base/assert.h"
#include "record/batch_builder.h"

namespace millrace::record {

namespace {

// offset int64, size int32, crc uint32, magic int8, attributes int8, [timestamp int64], key, value
constexpr std::size_t crc_at = 12;
constexpr std::size_t magic_at = 16;
constexpr std::size_t attributes_at = 17;
constexpr std::size_t timestamp_at = 18;

struct Fields {
    ByteView rest;
    bool cut = false;

    std::optional<ByteView> nullable() {
        if (rest.size() < sizeof(std::int32_t)) {
            cut = true;
            return std::nullopt;
        }
        const auto length = load_big_endian<std::int32_t>(rest.data());
        rest = rest.subspan(sizeof(std::int32_t));
        if (length < 0) {
            return std::nullopt;
        }
        const auto size = static_cast<std::size_t>(length);
        if (size > rest.size()) {
            cut = true;
            return std::nullopt;
        }
        const ByteView taken = rest.first(size);
        rest = rest.subspan(size);
        return taken;
    }
};

/// xxHash32 with seed 0 of less than 16 bytes: all that an lz4 frame descriptor needs.
std::uint32_t short_xxhash32(ByteView bytes) {
    constexpr std::uint32_t prime_1 = 2654435761U;
    constexpr std::uint32_t prime_2 = 2246822519U;
    constexpr std::uint32_t prime_3 = 3266489917U;
    constexpr std::uint32_t prime_4 = 668265263U;
    constexpr std::uint32_t prime_5 = 374761393U;
    MR_ASSERT(bytes.size() < 16);
    std::uint32_t hash = prime_5 + static_cast<std::uint32_t>(bytes.size());
    for (; bytes.size() >= 4; bytes = bytes.subspan(4)) {
        const std::uint32_t word = __builtin_bswap32(load_big_endian<std::uint32_t>(bytes.data()));
        hash = std::rotl(hash + word * prime_3, 17) * prime_4;
    }
    for (const std::byte b : bytes) {
        hash = std::rotl(hash + static_cast<std::uint32_t>(b) * prime_5, 11) * prime_1;
    }
    hash = (hash ^ (hash >> 15)) * prime_2;
    hash = (hash ^ (hash >> 13)) * prime_3;
    return hash ^ (hash >> 16);
}

/// Kafka's first lz4 writers hashed the frame's magic into the descriptor's checksum (KAFKA-3160).
/// Gives a copy with the right checksum if `frame` is one of theirs.
std::optional<Buffer> mend_lz4_frame(ByteView frame) {
    constexpr std::size_t magic_size = 4;
    constexpr auto content_size_bit = std::byte{0x08};
    if (frame.size() < magic_size + 3) {
        return std::nullopt;
    }
    const bool has_content_size = (frame[magic_size] & content_size_bit) != std::byte{0};
    const std::size_t descriptor = has_content_size ? 10 : 2;
    const std::size_t checksum_at = magic_size + descriptor;
    if (frame.size() <= checksum_at) {
        return std::nullopt;
    }
    const auto checksum = [](ByteView bytes) {
        return static_cast<std::byte>((short_xxhash32(bytes) >> 8) & 0xff);
    };
    if (frame[checksum_at] != checksum(frame.first(checksum_at))) {
        return std::nullopt;
    }
    Buffer mended(frame.begin(), frame.end());
    mended[checksum_at] = checksum(frame.subspan(magic_size, descriptor));
    return mended;
}

/// What a first walk over the inner messages finds out; the second one then can't fail.
struct Inner {
    Offset first;
    Offset last;
};

Result<Inner> check_inner(ByteView bytes, const LegacyEntry& wrapper) {
    std::optional<Inner> inner;
    while (!bytes.empty()) {
        MR_TRY(const LegacyEntry entry, LegacyEntry::parse(bytes));
        if (entry.magic != wrapper.magic || entry.compression() != Compression::none) {
            return Error::make(Code::corrupt, "message set of magic {} inside one of magic {}",
                               entry.magic, wrapper.magic);
        }
        if (!entry.check_crc()) {
            return Error::make(Code::corrupt, "message at offset {}: wrong CRC",
                               entry.offset.value);
        }
        if (!inner) {
            inner = Inner{entry.offset, entry.offset};
        } else if (entry.offset <= inner->last) {
            return Error::make(Code::corrupt, "message at offset {} after {}", entry.offset.value,
                               inner->last.value);
        }
        inner->last = entry.offset;
        bytes = bytes.subspan(entry.bytes.size());
    }
    if (!inner || inner->first.value < 0 ||
        inner->last - inner->first > std::numeric_limits<std::int32_t>::max()) {
        return Error::make(Code::corrupt, "message set at offset {}: impossible inner offsets",
                           wrapper.offset.value);
    }
    return *inner;
}

/// Magic 1 counts inner offsets from the first; the wrapper says where the last one is.
Result<Offset> base_of_inner(const Inner& inner, const LegacyEntry& wrapper) {
    if (wrapper.magic == 0) {
        return Offset{0};
    }
    if (wrapper.offset.value < inner.last.value) {
        return Error::make(Code::corrupt, "message set at offset {} with {} inside",
                           wrapper.offset.value, inner.last.value);
    }
    return wrapper.offset - inner.last.value;
}

BatchBuilder builder_for(const LegacyEntry& outer, Offset first) {
    BatchOptions options{.base_offset = first};
    if (outer.timestamp_type() == TimestampType::log_append_time) {
        options.append_time = outer.timestamp;
    }
    return BatchBuilder{options};
}

void append(BatchBuilder& builder, const LegacyEntry& entry, Offset at) {
    builder.append_at(at, {.timestamp = entry.timestamp, .key = entry.key, .value = entry.value});
}

Result<Buffer> unwrap(const LegacyEntry& wrapper, ByteView bytes) {
    MR_TRY(const Inner inner, check_inner(bytes, wrapper));
    MR_TRY(const Offset base, base_of_inner(inner, wrapper));
    BatchBuilder builder = builder_for(wrapper, base + inner.first.value);
    while (!bytes.empty()) {
        MR_TRY(const LegacyEntry entry, LegacyEntry::parse(bytes));
        append(builder, entry, base + entry.offset.value);
        bytes = bytes.subspan(entry.bytes.size());
    }
    return builder.finish();
}

}  // namespace

bool LegacyEntry::check_crc() const {
    const ByteView covered = bytes.subspan(magic_at);
    return ::crc32_z(0, reinterpret_cast<const Bytef*>(covered.data()), covered.size()) == crc;
}

Result<LegacyEntry> LegacyEntry::parse(ByteView bytes) {
    const Frame frame = frame_first(bytes);
    if (frame.framing == Framing::incomplete) {
        return Error::make(Code::again, "message of {} bytes cut after {}", frame.size,
                           bytes.size());
    }
    if (frame.framing != Framing::old_magic) {
        return Error::make(frame.framing == Framing::complete ? Code::unsupported : Code::corrupt,
                           "not a message of magic 0 or 1");
    }
    LegacyEntry entry;
    entry.bytes = bytes.first(frame.size);
    const std::byte* const at = entry.bytes.data();
    entry.offset = Offset{load_big_endian<std::int64_t>(at)};
    entry.crc = load_big_endian<std::uint32_t>(at + crc_at);
    entry.magic = load_big_endian<std::int8_t>(at + magic_at);
    entry.attributes = load_big_endian<std::int8_t>(at + attributes_at);
    Fields fields{entry.bytes.subspan(timestamp_at)};
    if (entry.magic > 0) {
        entry.timestamp = load_big_endian<std::int64_t>(at + timestamp_at);
        fields.rest = fields.rest.subspan(sizeof(std::int64_t));
    }
    entry.key = fields.nullable();
    entry.value = fields.nullable();
    if (fields.cut || !fields.rest.empty()) {
        return Error::make(Code::corrupt, "message at offset {}: key and value disagree with {}",
                           entry.offset.value, frame.size);
    }
    return entry;
}

Result<Buffer> to_current(const LegacyEntry& entry, Decompressor& decompressor,
                          DecompressLimits limits) {
    if (!entry.check_crc()) {
        return Error::make(Code::corrupt, "message at offset {}: wrong CRC", entry.offset.value);
    }
    if (entry.compression() == Compression::none) {
        if (entry.offset.value < 0) {
            return Error::make(Code::corrupt, "message at offset {}", entry.offset.value);
        }
        BatchBuilder builder = builder_for(entry, entry.offset);
        append(builder, entry, entry.offset);
        return builder.finish();
    }
    if (!entry.value) {
        return Error::make(Code::corrupt, "message at offset {}: compressed null",
                           entry.offset.value);
    }
    ByteView compressed = *entry.value;
    std::optional<Buffer> mended;
    if (entry.magic == 0 && entry.compression() == Compression::lz4) {
        mended = mend_lz4_frame(compressed);
        compressed = mended ? ByteView{*mended} : compressed;
    }
    MR_TRY(const ByteView inner,
           decompressor.decompress(entry.compression(), compressed, limits.output));
    return unwrap(entry, inner);
}

}  // namespace millrace::record
