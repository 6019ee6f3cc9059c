#include "record/batch_view.h"

#include <array>
#include <limits>

#include "base/crc32c.h"

namespace millrace::record {

namespace {

constexpr std::size_t magic_end = BatchHeader::magic + 1;
// crc, magic, attributes, key length, value length; magic 1 adds a timestamp.
constexpr std::int32_t min_length_magic_0 = 14;
constexpr std::int32_t min_length_magic_1 = 22;
constexpr std::int32_t min_length_magic_2 = BatchHeader::size - BatchHeader::length_overhead;

}  // namespace

Frame frame_first(ByteView bytes) {
    if (bytes.size() < magic_end) {
        return {Framing::incomplete, 0};
    }
    const auto length = load_big_endian<std::int32_t>(bytes.data() + BatchHeader::batch_length);
    const auto magic = load_big_endian<std::int8_t>(bytes.data() + BatchHeader::magic);
    std::int32_t least = 0;
    switch (magic) {
        case 0:
            least = min_length_magic_0;
            break;
        case 1:
            least = min_length_magic_1;
            break;
        case BatchHeader::current_magic:
            least = min_length_magic_2;
            break;
        default:
            return {Framing::malformed, 0};
    }
    if (length < least) {
        return {Framing::malformed, 0};
    }
    const std::size_t size = BatchHeader::length_overhead + static_cast<std::size_t>(length);
    if (size > bytes.size()) {
        return {Framing::incomplete, size};
    }
    return {magic == BatchHeader::current_magic ? Framing::complete : Framing::old_magic, size};
}

Result<BatchView> BatchView::parse(ByteView bytes) {
    const Frame frame = frame_first(bytes);
    switch (frame.framing) {
        case Framing::complete:
            return BatchView{bytes.first(frame.size)};
        case Framing::incomplete:
            return Error::make(Code::again, "batch of {} bytes cut after {}", frame.size,
                               bytes.size());
        case Framing::old_magic:
            return Error::make(Code::unsupported, "message set of magic {}",
                               load_big_endian<std::int8_t>(bytes.data() + BatchHeader::magic));
        case Framing::malformed:
            break;
    }
    return Error::make(Code::corrupt, "batch with length {} and magic {}",
                       load_big_endian<std::int32_t>(bytes.data() + BatchHeader::batch_length),
                       load_big_endian<std::int8_t>(bytes.data() + BatchHeader::magic));
}

std::int32_t BatchView::last_sequence() const {
    const std::int32_t base = base_sequence();
    if (base == no_sequence) {
        return no_sequence;
    }
    constexpr std::int64_t sequences = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
    return static_cast<std::int32_t>((std::int64_t{base} + last_offset_delta()) % sequences);
}

bool BatchView::check_crc() const {
    return crc32c(bytes_.subspan(BatchHeader::attributes)) == crc();
}

Result<void> BatchView::check() const {
    const std::int64_t base = base_offset().value;
    const std::int32_t delta = last_offset_delta();
    const std::int32_t count = record_count();
    if (base < 0 || delta < 0 || base > std::numeric_limits<std::int64_t>::max() - delta - 1) {
        return Error::make(Code::corrupt, "batch at offset {} with last offset delta {}", base,
                           delta);
    }
    if (count < 0 || count > std::int64_t{delta} + 1) {
        return Error::make(Code::corrupt, "batch at offset {}: {} records in {} offsets", base,
                           count, std::int64_t{delta} + 1);
    }
    if (!check_crc()) {
        return Error::make(Code::corrupt, "batch at offset {}: CRC is not {:#010x}", base, crc());
    }
    return {};
}

std::optional<BatchView> BatchRange::next() {
    const Frame frame = frame_first(rest_);
    if (frame.framing != Framing::complete) {
        return std::nullopt;
    }
    const BatchView batch{rest_.first(frame.size)};
    rest_ = rest_.subspan(frame.size);
    return batch;
}

Framing BatchRange::rest_framing() const {
    return rest_.empty() ? Framing::complete : frame_first(rest_).framing;
}

void patch_base_offset(MutableBytes batch, Offset base_offset) {
    MR_ASSERT(batch.size() >= BatchHeader::size);
    store_big_endian(batch.data() + BatchHeader::base_offset, base_offset.value);
}

void patch_leader_epoch(MutableBytes batch, LeaderEpoch epoch) {
    MR_ASSERT(batch.size() >= BatchHeader::size);
    store_big_endian(batch.data() + BatchHeader::partition_leader_epoch, epoch.value);
}

void patch_timestamps(MutableBytes batch, TimestampType type, std::int64_t max_timestamp) {
    MR_ASSERT(batch.size() >= BatchHeader::size);
    // From attributes to the end of max timestamp: both fields change in one difference.
    constexpr std::size_t begin = BatchHeader::attributes;
    constexpr std::size_t end = BatchHeader::max_timestamp + sizeof(std::int64_t);
    std::array<std::byte, end - begin> before;
    std::memcpy(before.data(), batch.data() + begin, before.size());

    auto attributes = load_big_endian<std::uint16_t>(batch.data() + BatchHeader::attributes);
    constexpr auto type_bit = static_cast<std::uint16_t>(BatchHeader::timestamp_type_bit);
    attributes = static_cast<std::uint16_t>(
        type == TimestampType::log_append_time ? attributes | type_bit : attributes & ~type_bit);
    store_big_endian(batch.data() + BatchHeader::attributes, attributes);
    store_big_endian(batch.data() + BatchHeader::max_timestamp, max_timestamp);

    const ByteView after = batch.subspan(begin, before.size());
    if (std::memcmp(before.data(), after.data(), before.size()) == 0) {
        return;
    }
    const auto crc = load_big_endian<std::uint32_t>(batch.data() + BatchHeader::crc);
    store_big_endian(batch.data() + BatchHeader::crc,
                     crc32c_patch(crc, before, after, batch.size() - end));
}

}  // namespace millrace::record
