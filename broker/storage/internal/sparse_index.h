// storage/internal/sparse_index.h
//
// A segment's .index and .timeindex: one entry per so many bytes of log, in Kafka's layout. New
// entries stay in memory until flush(); older ones are read from the file when asked for, so that a
// quiet log costs nothing. A flushed index in memory is empty, a sealed segment's always so.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "storage/internal/file_cache.h"

namespace millrace::storage {

/// In .index: the batch at `position` ends at the segment's base offset + `relative_offset`.
struct OffsetEntry {
    static constexpr std::size_t stored_size = 8;
    std::int32_t relative_offset = 0;
    std::int32_t position = 0;

    void store(std::byte* to) const {
        store_big_endian(to, relative_offset);
        store_big_endian(to + 4, position);
    }
    static OffsetEntry load(const std::byte* from) {
        return {load_big_endian<std::int32_t>(from), load_big_endian<std::int32_t>(from + 4)};
    }
    friend bool operator==(const OffsetEntry&, const OffsetEntry&) = default;
};

/// In .timeindex: up to the batch that ends at `relative_offset`, `timestamp` is the largest.
struct TimeEntry {
    static constexpr std::size_t stored_size = 12;
    std::int64_t timestamp = -1;
    std::int32_t relative_offset = 0;

    void store(std::byte* to) const {
        store_big_endian(to, timestamp);
        store_big_endian(to + 8, relative_offset);
    }
    static TimeEntry load(const std::byte* from) {
        return {load_big_endian<std::int64_t>(from), load_big_endian<std::int32_t>(from + 8)};
    }
    friend bool operator==(const TimeEntry&, const TimeEntry&) = default;
};

template <typename Entry>
class SparseIndex {
public:
    SparseIndex(FileCache& cache, const std::string& folder, Offset base, std::string_view suffix)
        : file_(cache, folder, base, suffix) {}

    /// Takes what the file holds as it is. Code::corrupt if its size is no multiple of an entry's
    /// or its last entry does not follow its first; Code::not_found if it is absent.
    Result<void> adopt();
    /// Takes `count` entries of the file for known, without looking.
    void trust(std::size_t count) { in_file_ = count; }
    /// Forgets everything; the next flush() writes from the beginning.
    void clear();

    std::size_t size() const { return in_file_ + tail_.size(); }
    std::size_t bytes() const { return size() * Entry::stored_size; }
    std::size_t in_memory() const { return tail_.size(); }
    void add(const Entry& entry) { tail_.push_back(entry); }

    Result<std::optional<Entry>> last();
    /// The last entry with `entry.*member <= bound`; entries ascend in every member.
    template <typename Member, typename Bound>
    Result<std::optional<Entry>> floor(Member Entry::* member, Bound bound);
    /// The first entry with `entry.*member > bound`.
    template <typename Member, typename Bound>
    Result<std::optional<Entry>> above(Member Entry::* member, Bound bound);
    /// Drops the entries with `entry.*member >= bound`.
    template <typename Member, typename Bound>
    Result<void> truncate_from(Member Entry::* member, Bound bound);

    /// Writes what is in memory behind what the file holds, cuts the file there, and forgets it
    /// here. Creates the file even for no entries: a sealed segment has its indexes.
    Result<runtime::FilePtr> flush();

    CachedFile& file() { return file_; }

private:
    /// So many are read at once where a search has come down to them: one read, not ten.
    static constexpr std::size_t block_entries = (std::size_t{8} << 10) / Entry::stored_size;

    struct Place {
        std::size_t count = 0;       ///< Entries with `entry.*member <= bound`.
        std::optional<Entry> below;  ///< The last of them ...
        std::optional<Entry> above;  ///< ... and the one behind, each if the search came by it.
    };

    Result<Entry> entry_in_file(std::size_t at);
    template <typename Member, typename Bound>
    Result<Place> search(Member Entry::* member, Bound bound);
    Result<Entry> at(std::size_t position);

    CachedFile file_;
    std::size_t in_file_ = 0;
    std::vector<Entry> tail_;
};

using OffsetIndex = SparseIndex<OffsetEntry>;
using TimeIndex = SparseIndex<TimeEntry>;

// --- Implementation ---------------------------------------------------------------------------

template <typename Entry>
void SparseIndex<Entry>::clear() {
    in_file_ = 0;
    tail_.clear();
}

template <typename Entry>
Result<void> SparseIndex<Entry>::adopt() {
    clear();
    MR_TRY(const auto file, file_.open());
    MR_TRY(const std::uint64_t size, file->size());
    if (size % Entry::stored_size != 0) {
        return Error::make(Code::corrupt, "{}: {} bytes is no multiple of {}", file_.path(), size,
                           Entry::stored_size);
    }
    in_file_ = static_cast<std::size_t>(size / Entry::stored_size);
    if (in_file_ > 1) {
        MR_TRY(const Entry first, entry_in_file(0));
        MR_TRY(const Entry last, entry_in_file(in_file_ - 1));
        if (last.relative_offset <= first.relative_offset) {
            in_file_ = 0;
            return Error::make(Code::corrupt, "{}: entries do not ascend", file_.path());
        }
    }
    return {};
}

template <typename Entry>
Result<Entry> SparseIndex<Entry>::entry_in_file(std::size_t at) {
    MR_TRY(const auto file, file_.open());
    std::byte bytes[Entry::stored_size];
    MR_TRY(const std::size_t got, file->read_at(at * Entry::stored_size, bytes));
    if (got != sizeof(bytes)) {
        return Error::make(Code::corrupt, "{}: ends before entry {}", file_.path(), at);
    }
    return Entry::load(bytes);
}

template <typename Entry>
Result<Entry> SparseIndex<Entry>::at(std::size_t position) {
    if (position >= in_file_) {
        return tail_[position - in_file_];
    }
    return entry_in_file(position);
}

template <typename Entry>
Result<std::optional<Entry>> SparseIndex<Entry>::last() {
    if (size() == 0) {
        return std::optional<Entry>{};
    }
    MR_TRY(const Entry entry, at(size() - 1));
    return std::optional<Entry>{entry};
}

template <typename Entry>
template <typename Member, typename Bound>
auto SparseIndex<Entry>::search(Member Entry::* member, Bound bound) -> Result<Place> {
    Place place;
    std::size_t low = 0;
    std::size_t high = size();
    if (!tail_.empty() && tail_.front().*member <= bound) {
        low = in_file_;  // The usual case: the answer lies in memory, and nothing is read.
    } else {
        high = in_file_;
    }
    std::array<std::byte, block_entries * Entry::stored_size> block;
    std::optional<std::size_t> block_from;
    while (low < high) {
        if (!block_from && high <= in_file_ && high - low <= block_entries) {
            const auto rest = MutableBytes(block).first((high - low) * Entry::stored_size);
            MR_TRY(const auto file, file_.open());
            MR_TRY(const std::size_t got, file->read_at(low * Entry::stored_size, rest));
            if (got != rest.size()) {
                return Error::make(Code::corrupt, "{}: ends before entry {}", file_.path(),
                                   high - 1);
            }
            block_from = low;
        }
        const std::size_t middle = low + (high - low) / 2;
        MR_TRY(const Entry entry,
               block_from ? Result<Entry>(Entry::load(block.data() +
                                                      (middle - *block_from) * Entry::stored_size))
                          : at(middle));
        if (entry.*member <= bound) {
            low = middle + 1;
            place.below = entry;
        } else {
            high = middle;
            place.above = entry;
        }
    }
    place.count = low;
    return place;
}

template <typename Entry>
template <typename Member, typename Bound>
Result<std::optional<Entry>> SparseIndex<Entry>::floor(Member Entry::* member, Bound bound) {
    MR_TRY(const Place place, search(member, bound));
    if (place.count == 0 || place.below) {
        return place.below;
    }
    MR_TRY(const Entry entry, at(place.count - 1));
    return std::optional<Entry>{entry};
}

template <typename Entry>
template <typename Member, typename Bound>
Result<std::optional<Entry>> SparseIndex<Entry>::above(Member Entry::* member, Bound bound) {
    MR_TRY(const Place place, search(member, bound));
    if (place.count == size() || place.above) {
        return place.above;
    }
    MR_TRY(const Entry entry, at(place.count));
    return std::optional<Entry>{entry};
}

template <typename Entry>
template <typename Member, typename Bound>
Result<void> SparseIndex<Entry>::truncate_from(Member Entry::* member, Bound bound) {
    if (bound <= 0) {
        clear();
        return {};
    }
    MR_TRY(const Place place, search(member, static_cast<Bound>(bound - 1)));
    const std::size_t count = place.count;
    if (count >= in_file_) {
        tail_.resize(count - in_file_);
    } else {
        tail_.clear();
        in_file_ = count;
    }
    return {};
}

template <typename Entry>
Result<runtime::FilePtr> SparseIndex<Entry>::flush() {
    MR_TRY(auto file, file_.create());
    if (!tail_.empty()) {
        Buffer bytes(tail_.size() * Entry::stored_size);
        std::byte* to = bytes.data();
        for (const Entry& entry : tail_) {
            entry.store(to);
            to += Entry::stored_size;
        }
        MR_TRY_VOID(file->write_at(in_file_ * Entry::stored_size, ByteView(bytes)));
    }
    const std::size_t total = size();
    MR_TRY_VOID(file->truncate(total * Entry::stored_size));
    in_file_ = total;
    tail_ = {};
    return file;
}

}  // namespace millrace::storage
