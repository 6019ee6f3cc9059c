// Reading and searching a PartitionLog.

#include <algorithm>
#include <fmt/format.h>

#include "record/compression.h"
#include "record/legacy.h"
#include "record/record_view.h"
#include "storage/internal/log_state.h"
#include "storage/partition_log.h"

namespace millrace::storage {

namespace {

constexpr std::size_t check_piece = std::size_t{256} << 10;

/// Where reading has to stop so that only batches which end at or below `upper` are returned.
Result<std::uint64_t> position_of_upper(Segment& segment, Offset upper) {
    if (upper >= segment.end()) {
        return segment.size();
    }
    MR_TRY(const auto beyond, segment.find(upper));
    return beyond ? beyond->position : segment.size();
}

struct SliceScan {
    std::uint64_t good_end = 0;
    Result<void> damage;
};

SliceScan scan_slice(const ReadSlice& slice) {
    EntryScan scan(slice.file, slice.position, slice.position + slice.length, check_piece,
                   {.from = slice.first, .end = slice.end, .latest = slice.latest});
    while (true) {
        const auto entry = scan.next();
        if (!entry) {
            return {scan.good_end(),
                    entry.error().with_context(
                        fmt::format("segment {}", offset_name(slice.segment_base, suffix::log)))};
        }
        if (!*entry) {
            return {scan.position(), {}};
        }
    }
}

/// Below which offset the batches in front of `position` must lie.
Offset end_of_what_precedes(Segment& segment, std::uint64_t position, Offset upper) {
    const Offset most = std::min(upper, segment.end());
    const auto file = segment.file();
    if (position >= segment.size() || !file) {
        return most;
    }
    HeaderWalk walk(*file, position, segment.size());
    const auto behind = walk.next();  // If that is damaged, it is found when it is read.
    return behind && *behind ? std::min(most, (*behind)->first) : most;
}

Result<ReadSlice> read_segment(Segment& segment, const EntryHeader& first, Offset upper,
                               LeaderEpoch latest, const ReadRange& range) {
    if (first.next() > upper) {
        return ReadSlice{};
    }
    MR_TRY(const std::uint64_t limit, position_of_upper(segment, upper));
    std::uint64_t end = limit;
    if (limit - first.position > range.max_bytes) {
        MR_TRY(const auto boundary,
               segment.boundary_at_or_below(first.position + range.max_bytes, first.position));
        if (!boundary && !range.min_one_batch) {
            return ReadSlice{};
        }
        end = boundary.value_or(first.end());
    }
    ReadSlice slice{.position = first.position,
                    .length = static_cast<std::size_t>(end - first.position),
                    .first = first.first,
                    .segment_base = segment.base()};
    MR_TRY(slice.file, segment.file());
    slice.checked = segment.checked().covers(first.position, end);
    if (!slice.checked) {
        slice.end = end_of_what_precedes(segment, end, upper);
        slice.latest = latest;
    }
    if (!slice.checked && range.check_in_place) {
        const SliceScan scan = scan_slice(slice);
        if (!scan.damage &&
            (scan.good_end == first.position || scan.damage.error().code() != Code::corrupt)) {
            return scan.damage.error();
        }
        // What lies in front of the damage is served; the read that begins at it is told.
        slice.length = static_cast<std::size_t>(scan.good_end - first.position);
        slice.checked = true;
        segment.checked().add(first.position, scan.good_end);
    }
    return slice;
}

Result<ReadSlice> read_range(LogState& s, const ReadRange& range) {
    if (range.from < s.start || range.from > s.end) {
        return Error::make(Code::not_found, "{}: offset {} is outside of [{}, {}]", s.partition,
                           range.from, s.start, s.end);
    }
    const Offset upper = std::min(range.upper, s.end);
    if (range.from >= upper || s.segments.empty()) {
        return ReadSlice{};
    }
    for (std::size_t i = s.segment_index(range.from); i < s.segments.size(); ++i) {
        Segment& segment = *s.segments[i];
        if (segment.base() >= upper) {
            break;
        }
        MR_TRY(const auto first, segment.find(range.from));
        if (first) {
            const auto latest = s.epochs.latest();
            return read_segment(segment, *first, upper,
                                latest ? latest->epoch : LeaderEpoch{INT32_MAX}, range);
        }
    }
    return ReadSlice{};
}

Result<std::vector<AbortedTransaction>> find_aborted(LogState& s, Offset from, Offset upper) {
    std::vector<AbortedTransaction> aborted;
    if (s.segments.empty()) {
        return aborted;
    }
    for (std::size_t i = s.segment_index(from); i < s.segments.size(); ++i) {
        MR_TRY(const auto* entries, s.segments[i]->transactions().entries());
        for (const AbortedTransaction& entry : *entries) {
            if (entry.last_offset >= from && entry.first_offset < upper) {
                aborted.push_back(entry);
            }
            if (entry.last_stable_offset >= upper) {
                return aborted;  // Whatever was aborted later began above `upper`.
            }
        }
    }
    return aborted;
}

}  // namespace

Result<ReadSlice> PartitionLog::read(const ReadRange& range) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    return s.or_fail_if_io(read_range(s, range));
}

Result<void> check_slice(const ReadSlice& slice) {
    return scan_slice(slice).damage;
}

void PartitionLog::note_checked(const ReadSlice& slice) {
    LogState& s = *state_;
    if (s.segments.empty()) {
        return;
    }
    Segment& segment = *s.segments[s.segment_index(slice.segment_base)];
    // The segment may be gone, or have been cut and grown again: then its bytes are others.
    const auto file = segment.file();
    if (segment.base() == slice.segment_base && file && *file == slice.file &&
        slice.position + slice.length <= segment.size()) {
        segment.checked().add(slice.position, slice.position + slice.length);
    }
}

struct TimestampSearch::Piece {
    runtime::FilePtr file;
    std::uint64_t position = 0;
    std::uint64_t limit = 0;
    Timestamp at;
    Offset start;
    bool exact = false;  // Only the record that has this very timestamp: the largest one.
    std::string path;

    Result<std::optional<TimestampOffset>> run() const;
};

TimestampSearch::TimestampSearch(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}
TimestampSearch::TimestampSearch(TimestampSearch&&) noexcept = default;
TimestampSearch& TimestampSearch::operator=(TimestampSearch&&) noexcept = default;
TimestampSearch::~TimestampSearch() = default;

namespace {

/// The first record in `batch` at or after `at` and at or above `start`.
Result<std::optional<TimestampOffset>> search_batch(const record::BatchView& batch, Timestamp at,
                                                    Offset start) {
    record::Decompressor decompressor;
    record::RecordReader reader(batch, decompressor);
    for (record::RecordView record; reader.next(record);) {
        const Timestamp timestamp{record::timestamp_of(batch, record)};
        const Offset offset = record::offset_of(batch, record);
        if (timestamp >= at && offset >= start) {
            return std::optional{
                TimestampOffset{timestamp, offset, batch.partition_leader_epoch()}};
        }
    }
    MR_TRY_VOID(reader.status());
    return std::optional<TimestampOffset>{};
}

Result<std::optional<TimestampOffset>> search_entry(ByteView bytes, const EntryHeader& header,
                                                    Timestamp at, Offset start) {
    if (header.magic == record::BatchHeader::current_magic) {
        MR_TRY(const auto batch, record::BatchView::parse(bytes));
        MR_TRY_VOID(batch.check());
        return search_batch(batch, at, start);
    }
    MR_TRY(const auto entry, record::LegacyEntry::parse(bytes));
    record::Decompressor decompressor;
    MR_TRY(const Buffer current, record::to_current(entry, decompressor));
    MR_TRY(const auto batch, record::BatchView::parse(current));
    return search_batch(batch, at, start);
}

}  // namespace

Result<std::optional<TimestampOffset>> TimestampSearch::Piece::run() const {
    HeaderWalk walk(file, position, limit);
    Buffer bytes;
    while (true) {
        MR_TRY(const auto header, walk.next());
        if (!header) {
            return std::optional<TimestampOffset>{};
        }
        if (header->max_timestamp < at.milliseconds || header->last < start) {
            continue;
        }
        bytes.resize(header->size);
        MR_TRY(const std::size_t got, file->read_at(header->position, bytes));
        if (got != bytes.size()) {
            return Error::make(Code::corrupt, "{}: ends within a batch", path);
        }
        MR_TRY(const auto found, search_entry(bytes, *header, at, start));
        if (found) {
            return found;
        }
    }
}

Result<std::optional<TimestampOffset>> TimestampSearch::run() const {
    for (const Piece& piece : pieces_) {
        auto found = piece.run();
        if (!found) {
            return found.error().with_context(piece.path);
        }
        if (*found) {
            return found;
        }
    }
    return std::optional<TimestampOffset>{};
}

Result<TimestampSearch> PartitionLog::search_timestamp(Timestamp at) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    std::vector<TimestampSearch::Piece> pieces;
    for (const auto& segment : s.segments) {
        if (segment->end() <= s.start || segment->max_timestamp().first < at.milliseconds) {
            continue;
        }
        MR_TRY(auto file, segment->file());
        MR_TRY(const std::uint64_t position, segment->position_for_timestamp(at, s.start));
        pieces.push_back({.file = std::move(file),
                          .position = position,
                          .limit = segment->size(),
                          .at = at,
                          .start = s.start,
                          .path = segment->log_file().path()});
    }
    return TimestampSearch(std::move(pieces));
}

Result<TimestampSearch> PartitionLog::search_max_timestamp() {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    std::int64_t largest = -1;
    for (const auto& segment : s.segments) {
        if (segment->end() > s.start) {
            largest = std::max(largest, segment->max_timestamp().first);
        }
    }
    if (largest < 0) {
        return TimestampSearch({});
    }
    return search_timestamp(Timestamp{largest});
}

Result<std::vector<AbortedTransaction>> PartitionLog::aborted_transactions(Offset from,
                                                                           Offset upper) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    return s.or_fail_if_io(find_aborted(s, from, upper));
}

}  // namespace millrace::storage
