// storage/internal/entry.h
//
// What lies in a .log file, entry by entry: batches of magic 2, and messages of magic 0 and 1 in
// segments of old. Two walks: by headers, hopping from one to the next; and whole, every checksum
// verified.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "record/batch_view.h"
#include "runtime/disk.h"

namespace millrace::storage {

struct EntryHeader {
    std::uint64_t position = 0;
    std::size_t size = 0;  ///< Of the whole entry.
    Offset first;          ///< Of a compressed entry of magic 1 or less: its last offset.
    Offset last;
    std::int64_t max_timestamp = -1;
    LeaderEpoch epoch = no_leader_epoch;
    std::int8_t magic = 0;

    Offset next() const { return last + 1; }
    std::uint64_t end() const { return position + size; }
};

/// `front` holds the first bytes of an entry, at least smallest_entry and BatchHeader::size if the
/// file has them. Code::corrupt if it can't be an entry that ends at or before `limit`.
Result<EntryHeader> parse_entry_header(ByteView front, std::uint64_t position, std::uint64_t limit);
EntryHeader header_of(const record::BatchView& batch, std::uint64_t position);

/// Hops from header to header. Nothing but the headers is looked at.
class HeaderWalk {
public:
    HeaderWalk(runtime::FilePtr file, std::uint64_t position, std::uint64_t limit)
        : file_(std::move(file)), position_(position), limit_(limit) {}

    /// Nothing at `limit`; Code::corrupt if what is there is no entry.
    Result<std::optional<EntryHeader>> next();
    std::uint64_t position() const { return position_; }

private:
    static constexpr std::size_t window_size = 4096;

    Result<ByteView> front();

    runtime::FilePtr file_;
    std::uint64_t position_;
    std::uint64_t limit_;
    std::uint64_t window_at_ = 0;
    std::size_t window_filled_ = 0;
    std::byte window_[window_size];
};

struct WholeEntry {
    EntryHeader header;
    ByteView bytes;  ///< Until the next call.

    bool is_batch() const { return header.magic == record::BatchHeader::current_magic; }
    record::BatchView batch() const { return *record::BatchView::parse(bytes); }
};

/// What the entries of a scan may say of themselves. Offset and leader epoch lie outside of a
/// batch's checksum: rot there shows only in that an entry is not where it belongs.
struct EntryBounds {
    Offset from{0};
    Offset end{INT64_MAX};
    LeaderEpoch latest{INT32_MAX};
};

/// Reads everything, in large pieces, verifies every checksum and that offsets and epochs ascend.
class EntryScan {
public:
    EntryScan(runtime::FilePtr file, std::uint64_t position, std::uint64_t limit,
              std::size_t piece_size = std::size_t{1} << 20, const EntryBounds& bounds = {});

    /// Nothing at `limit`; Code::corrupt with the reason at the first entry that is torn or fails
    /// its check, after which position() is where it begins. Code::io if the file can't be read.
    Result<std::optional<WholeEntry>> next();
    std::uint64_t position() const { return position_; }
    /// After an error: up to where everything is good. Where two entries contradict each other,
    /// either may be the damaged one.
    std::uint64_t good_end() const { return contradicts_previous_ ? previous_ : position_; }

private:
    Result<ByteView> bytes_here(std::size_t wanted);
    Result<void> take_place(const EntryHeader& header);

    runtime::FilePtr file_;
    std::uint64_t position_;
    std::uint64_t limit_;
    std::size_t piece_size_;
    EntryBounds bounds_;  // from: where the next entry may begin, at the earliest.
    LeaderEpoch epoch_ = no_leader_epoch;
    std::uint64_t previous_;
    bool contradicts_previous_ = false;
    Buffer piece_;
    std::uint64_t piece_at_ = 0;
    std::size_t piece_filled_ = 0;
};

}  // namespace millrace::storage
