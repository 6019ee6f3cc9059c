#include "storage/internal/entry.h"

#include <algorithm>
#include <fmt/format.h>

#include "record/legacy.h"

namespace millrace::storage {

using record::BatchHeader;

namespace {

constexpr std::size_t framing_size = BatchHeader::magic + 1;
constexpr std::size_t legacy_timestamp_at = 18;  // offset, size, crc, magic, attributes before it

Error bad_entry(std::uint64_t position, std::string_view what) {
    return Error::make(Code::corrupt, "position {}: {}", position, what);
}

Result<void> check_entry(ByteView bytes, const EntryHeader& header) {
    if (header.magic == BatchHeader::current_magic) {
        MR_TRY(const auto batch, record::BatchView::parse(bytes));
        return batch.check();
    }
    MR_TRY(const auto entry, record::LegacyEntry::parse(bytes));
    if (!entry.check_crc()) {
        return Error::make(Code::corrupt, "message at offset {} fails its CRC", header.first);
    }
    return {};
}

}  // namespace

EntryHeader header_of(const record::BatchView& batch, std::uint64_t position) {
    return {.position = position,
            .size = batch.size(),
            .first = batch.base_offset(),
            .last = batch.last_offset(),
            .max_timestamp = batch.max_timestamp(),
            .epoch = batch.partition_leader_epoch(),
            .magic = BatchHeader::current_magic};
}

Result<EntryHeader> parse_entry_header(ByteView front, std::uint64_t position,
                                       std::uint64_t limit) {
    if (front.size() < framing_size) {
        return bad_entry(position, "the file ends within an entry's header");
    }
    const record::Frame frame = record::frame_first(front);
    if (frame.framing == record::Framing::malformed || frame.size == 0) {
        return bad_entry(position, "no entry: impossible length or magic");
    }
    if (frame.size > limit - position) {
        return bad_entry(position, "the file ends within an entry");
    }
    EntryHeader header{.position = position, .size = frame.size};
    header.magic = load_big_endian<std::int8_t>(front.data() + BatchHeader::magic);
    header.first = Offset{load_big_endian<std::int64_t>(front.data())};
    header.last = header.first;
    if (header.magic == BatchHeader::current_magic) {
        if (front.size() < BatchHeader::size) {
            return bad_entry(position, "the file ends within a batch's header");
        }
        const auto delta =
            load_big_endian<std::int32_t>(front.data() + BatchHeader::last_offset_delta);
        if (delta < 0 || header.first.value > INT64_MAX - delta - 1) {
            return bad_entry(position, "a batch that ends before it begins");
        }
        header.last = header.first + delta;
        header.max_timestamp =
            load_big_endian<std::int64_t>(front.data() + BatchHeader::max_timestamp);
        header.epoch = LeaderEpoch{
            load_big_endian<std::int32_t>(front.data() + BatchHeader::partition_leader_epoch)};
    } else if (header.magic == 1 && front.size() >= legacy_timestamp_at + 8) {
        header.max_timestamp = load_big_endian<std::int64_t>(front.data() + legacy_timestamp_at);
    }
    if (header.first < Offset{0}) {
        return bad_entry(position, "an entry with a negative offset");
    }
    return header;
}

Result<ByteView> HeaderWalk::front() {
    const auto needed =
        static_cast<std::size_t>(std::min<std::uint64_t>(BatchHeader::size, limit_ - position_));
    const bool inside =
        position_ >= window_at_ && position_ + needed <= window_at_ + window_filled_;
    if (!inside) {
        const auto wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>(window_size, limit_ - position_));
        window_at_ = position_;
        MR_TRY(window_filled_, file_->read_at(position_, MutableBytes(window_, wanted)));
    }
    const auto skip = static_cast<std::size_t>(position_ - window_at_);
    return ByteView(window_, window_filled_).subspan(skip);
}

Result<std::optional<EntryHeader>> HeaderWalk::next() {
    if (position_ >= limit_) {
        return std::optional<EntryHeader>{};
    }
    MR_TRY(const ByteView bytes, front());
    MR_TRY(const EntryHeader header, parse_entry_header(bytes, position_, limit_));
    position_ = header.end();
    return std::optional{header};
}

EntryScan::EntryScan(runtime::FilePtr file, std::uint64_t position, std::uint64_t limit,
                     std::size_t piece_size, const EntryBounds& bounds)
    : file_(std::move(file)),
      position_(position),
      limit_(limit),
      piece_size_(piece_size),
      bounds_(bounds),
      previous_(position) {}

Result<void> EntryScan::take_place(const EntryHeader& header) {
    contradicts_previous_ =
        header.first < bounds_.from || (header.epoch >= LeaderEpoch{0} && header.epoch < epoch_);
    if (header.first < bounds_.from || header.next() > bounds_.end) {
        return Error::make(Code::corrupt, "position {}: offsets {} to {} where {} to {} belong",
                           position_, header.first, header.last, bounds_.from,
                           Offset{bounds_.end.value - 1});
    }
    if (header.epoch > bounds_.latest ||
        (header.epoch >= LeaderEpoch{0} && header.epoch < epoch_)) {
        return Error::make(Code::corrupt, "position {}: leader epoch {} after {}, the latest is {}",
                           position_, header.epoch, epoch_, bounds_.latest);
    }
    bounds_.from = header.next();
    epoch_ = std::max(epoch_, header.epoch);
    return {};
}

Result<ByteView> EntryScan::bytes_here(std::size_t wanted) {
    wanted = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, limit_ - position_));
    const bool inside = position_ >= piece_at_ && position_ + wanted <= piece_at_ + piece_filled_;
    if (!inside) {
        const auto size = static_cast<std::size_t>(
            std::min<std::uint64_t>(std::max(piece_size_, wanted), limit_ - position_));
        if (piece_.size() < size) {
            piece_.resize(size);
        }
        piece_at_ = position_;
        MR_TRY(piece_filled_, file_->read_at(position_, MutableBytes(piece_.data(), size)));
    }
    const auto skip = static_cast<std::size_t>(position_ - piece_at_);
    return ByteView(piece_.data(), piece_filled_).subspan(skip);
}

Result<std::optional<WholeEntry>> EntryScan::next() {
    if (position_ >= limit_) {
        return std::optional<WholeEntry>{};
    }
    MR_TRY(const ByteView front, bytes_here(BatchHeader::size));
    MR_TRY(const EntryHeader header, parse_entry_header(front, position_, limit_));
    MR_TRY(const ByteView rest, bytes_here(header.size));
    if (rest.size() < header.size) {
        return bad_entry(position_, "the file ends within an entry");
    }
    const ByteView bytes = rest.first(header.size);
    if (const auto good = check_entry(bytes, header); !good) {
        return good.error().with_context(fmt::format("position {}", position_));
    }
    MR_TRY_VOID(take_place(header));
    previous_ = position_;
    position_ = header.end();
    return std::optional{WholeEntry{header, bytes}};
}

}  // namespace millrace::storage
