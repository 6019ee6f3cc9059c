#include "storage/internal/segment.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/assert.h"
#include "base/crc32c.h"

namespace millrace::storage {

bool CheckedRanges::covers(std::uint64_t begin, std::uint64_t end) const {
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), begin,
                         [](std::uint64_t at, const auto& range) { return at < range.first; });
    return after != ranges_.begin() && (after - 1)->second >= end;
}

void CheckedRanges::add(std::uint64_t begin, std::uint64_t end) {
    auto at = std::lower_bound(ranges_.begin(), ranges_.end(), begin,
                               [](const auto& range, std::uint64_t b) { return range.second < b; });
    auto last = at;
    while (last != ranges_.end() && last->first <= end) {
        begin = std::min(begin, last->first);
        end = std::max(end, last->second);
        ++last;
    }
    at = ranges_.erase(at, last);
    ranges_.insert(at, {begin, end});
}

void CheckedRanges::cut(std::uint64_t end) {
    std::erase_if(ranges_, [end](const auto& range) { return range.first >= end; });
    if (!ranges_.empty()) {
        ranges_.back().second = std::min(ranges_.back().second, end);
    }
}

Segment::Segment(FileCache& cache, const std::string& folder, Offset base, Bytes index_interval)
    : base_(base),
      end_(base),
      log_(cache, folder, base, suffix::log),
      offsets_(cache, folder, base, suffix::index),
      times_(cache, folder, base, suffix::time_index),
      transactions_(cache, folder, base),
      rule_(base, index_interval) {}

std::vector<std::string> Segment::paths() const {
    const std::string log = log_.path();
    const std::string stem = log.substr(0, log.size() - suffix::log.size());
    std::vector<std::string> paths;
    for (const auto ending :
         {suffix::log, suffix::index, suffix::time_index, suffix::transaction_index}) {
        paths.push_back(stem + std::string(ending));
    }
    return paths;
}

Result<runtime::FilePtr> Segment::create() {
    transactions_.set_absent();
    return log_.create();
}

bool Segment::has_room_for(Offset last, std::size_t bytes, const LogLimits& limits) const {
    if (last - base_ > INT32_MAX) {
        return false;
    }
    if (empty()) {
        return true;  // A batch larger than a segment still has to go somewhere.
    }
    const auto index_max = static_cast<std::size_t>(limits.segment_index_bytes.count);
    return size_ + bytes <= static_cast<std::uint64_t>(limits.segment_bytes.count) &&
           offsets_.bytes() + OffsetEntry::stored_size <= index_max &&
           times_.bytes() + 2 * TimeEntry::stored_size <= index_max;
}

void Segment::note(const EntryHeader& entry) {
    if (size_ == 0) {
        first_timestamp_ = entry.max_timestamp;
    }
    const IndexRule::Due due = rule_.note(entry);
    if (due.offset) {
        offsets_.add(*due.offset);
    }
    if (due.time) {
        times_.add(*due.time);
    }
    remember(entry);
    size_ = entry.end();
    end_ = entry.next();
}

void Segment::remember(const EntryHeader& entry) {
    const Recent recent{entry.first,         entry.last,
                        entry.position,      static_cast<std::uint32_t>(entry.size),
                        entry.max_timestamp, entry.epoch};
    if (recent_.size() < recent_max) {
        recent_.push_back(recent);
        return;
    }
    recent_[recent_next_] = recent;
    recent_next_ = (recent_next_ + 1) % recent_max;
}

const Segment::Recent& Segment::recent_at(std::size_t age_order) const {
    return recent_[(recent_next_ + age_order) % recent_.size()];
}

void Segment::preallocate(runtime::File& file, std::size_t coming, Bytes segment_bytes) {
    constexpr std::uint64_t least = std::uint64_t{1} << 20;  // Small logs reserve nothing.
    constexpr std::uint64_t most = std::uint64_t{32} << 20;
    if (size_ < least || size_ + coming <= reserved_) {
        return;
    }
    const std::uint64_t step = std::clamp(size_, least, most);
    const std::uint64_t from = std::max(size_, reserved_);
    const std::uint64_t to =
        std::min(size_ + coming + step, static_cast<std::uint64_t>(segment_bytes.count));
    if (to > from) {
        file.preallocate(from, to - from);
        reserved_ = to;
    }
}

Result<std::vector<runtime::FilePtr>> Segment::seal() {
    if (const auto time = rule_.take_time()) {
        times_.add(*time);
    }
    MR_TRY(auto log, log_.open());
    if (reserved_ > size_) {
        MR_TRY_VOID(log->truncate(size_));
    }
    reserved_ = 0;
    std::vector<runtime::FilePtr> files{std::move(log)};
    MR_TRY(auto offsets, offsets_.flush());
    files.push_back(std::move(offsets));
    MR_TRY(auto times, times_.flush());
    files.push_back(std::move(times));
    return files;
}

Result<std::vector<runtime::FilePtr>> Segment::flush_indexes() {
    MR_TRY(auto offsets, offsets_.flush());
    MR_TRY(auto times, times_.flush());
    return std::vector<runtime::FilePtr>{std::move(offsets), std::move(times)};
}

void Segment::forget_recent() {
    recent_ = {};
    recent_next_ = 0;
}

Result<void> Segment::adopt(std::uint64_t size) {
    size_ = size;
    if (size > 0) {
        MR_TRY_VOID(offsets_.adopt());
        MR_TRY_VOID(times_.adopt());
    }
    MR_TRY(const auto last, times_.last());
    rule_.resume(last);
    return {};
}

void Segment::install(std::uint64_t size, Offset end, std::size_t offset_entries,
                      std::size_t time_entries, const TimeEntry& last_time) {
    trust(size, end, offset_entries, time_entries, last_time);
    checked_.add(0, size);
}

void Segment::trust(std::uint64_t size, Offset end, std::size_t offset_entries,
                    std::size_t time_entries, const TimeEntry& last_time) {
    size_ = size;
    end_ = end;
    offsets_.trust(offset_entries);
    times_.trust(time_entries);
    rule_.resume(time_entries > 0 ? std::optional{last_time} : std::nullopt);
}

std::optional<SegmentFacts> Segment::facts() const {
    if (offsets_.in_memory() > 0 || times_.in_memory() > 0) {
        return std::nullopt;
    }
    const std::int64_t relative = rule_.max_timestamp_offset() - base_;
    return SegmentFacts{.base = base_,
                        .size = size_,
                        .offset_entries = static_cast<std::uint32_t>(offsets_.size()),
                        .time_entries = static_cast<std::uint32_t>(times_.size()),
                        .max_timestamp = rule_.max_timestamp(),
                        .max_timestamp_offset = static_cast<std::int32_t>(relative)};
}

Result<TailMark> Segment::tail_mark() {
    MR_ASSERT(offsets_.in_memory() == 0 && times_.in_memory() == 0 && !recent_.empty());
    MR_TRY(const auto last_time, times_.last());
    const TimeEntry time = last_time.value_or(TimeEntry{});
    return TailMark{.front = {.base = base_,
                              .size = size_,
                              .offset_entries = static_cast<std::uint32_t>(offsets_.size()),
                              .time_entries = static_cast<std::uint32_t>(times_.size()),
                              .max_timestamp = time.timestamp,
                              .max_timestamp_offset = time.relative_offset},
                    .end = end_,
                    .last_batch = fingerprint(recent_at(recent_.size() - 1))};
}

Result<bool> Segment::adopt_known(const SegmentFacts& known, Offset end) {
    const std::pair<std::string, std::uint64_t> files[] = {
        {log_.path(), known.size},
        {offsets_.file().path(), std::uint64_t{known.offset_entries} * OffsetEntry::stored_size},
        {times_.file().path(), std::uint64_t{known.time_entries} * TimeEntry::stored_size}};
    for (const auto& [path, expected] : files) {
        const auto size = log_.disk().file_size(path);
        if (!size && size.error().code() != Code::not_found) {
            return size.error();
        }
        if (!size || *size != expected) {
            return false;
        }
    }
    trust(known.size, end, known.offset_entries, known.time_entries,
          {known.max_timestamp, known.max_timestamp_offset});
    return true;
}

Result<bool> Segment::holds(const TailMark& mark) {
    MR_TRY(const auto file, log_.open());
    MR_TRY(const std::uint64_t size, file->size());
    if (size < mark.front.size) {
        return false;
    }
    const TimeEntry noted{mark.front.max_timestamp, mark.front.max_timestamp_offset};
    trust(mark.front.size, base_, mark.front.offset_entries, mark.front.time_entries, noted);
    MR_TRY_VOID(load_tail());
    MR_TRY(const auto last_time, times_.last());
    return last_time.value_or(TimeEntry{}) == noted && end_ == mark.end && !recent_.empty() &&
           fingerprint(recent_at(recent_.size() - 1)) == mark.last_batch;
}

Result<bool> Segment::resume(const TailMark& mark) {
    const auto as_noted = holds(mark);
    if (as_noted && *as_noted) {
        return true;
    }
    reset();
    const bool contradicts = as_noted || as_noted.error().code() == Code::corrupt ||
                             as_noted.error().code() == Code::not_found;
    return contradicts ? Result<bool>(false) : as_noted;
}

/// Two logs that hold a batch of the same offsets and the same leader epoch are the same up to it.
std::uint32_t Segment::fingerprint(const Recent& batch) {
    std::byte bytes[40];
    store_big_endian(bytes, batch.first.value);
    store_big_endian(bytes + 8, batch.last.value);
    store_big_endian(bytes + 16, batch.position);
    store_big_endian(bytes + 24, batch.size);
    store_big_endian(bytes + 28, batch.max_timestamp);
    store_big_endian(bytes + 36, batch.epoch.value);
    return crc32c(bytes);
}

Result<void> Segment::pin() {
    MR_TRY_VOID(log_.pin());
    MR_TRY_VOID(offsets_.file().pin());
    MR_TRY_VOID(times_.file().pin());
    return transactions_.has_file() ? transactions_.file().pin() : Result<void>{};
}

void Segment::reset() {
    size_ = 0;
    end_ = base_;
    offsets_.clear();
    times_.clear();
    rule_.resume(std::nullopt);
    first_timestamp_.reset();
    forget_recent();
    checked_ = {};
}

Result<void> Segment::load_tail() {
    forget_recent();
    MR_TRY(const auto last_time, times_.last());
    rule_.resume(last_time);
    MR_TRY(const auto last, offsets_.last());
    const auto from = last ? static_cast<std::uint64_t>(last->position) : 0;
    if (from >= size_ && size_ > 0) {
        return Error::make(Code::corrupt, "{}: indexed past its end of {} bytes", log_.path(),
                           size_);
    }
    end_ = base_;
    MR_TRY(auto file, log_.open());
    HeaderWalk walk(std::move(file), from, size_);
    while (true) {
        auto entry = walk.next();
        if (!entry) {
            return entry.error().with_context(log_.path());
        }
        if (!*entry) {
            return {};
        }
        if ((*entry)->first < end_ || (*entry)->last - base_ > INT32_MAX) {
            return Error::make(Code::corrupt, "{}: offset {} at position {} after {}", log_.path(),
                               (*entry)->first, (*entry)->position, end_);
        }
        rule_.pass(**entry);
        remember(**entry);
        end_ = (*entry)->next();
    }
}

Result<void> Segment::rebuild_indexes() {
    const std::uint64_t size = size_;
    const Offset end = end_;
    CheckedRanges checked = std::move(checked_);
    reset();
    checked_ = std::move(checked);
    MR_TRY(auto file, log_.open());
    HeaderWalk walk(std::move(file), 0, size);
    while (true) {
        auto entry = walk.next();
        if (!entry) {
            size_ = size;
            end_ = end;
            return entry.error().with_context(log_.path());
        }
        if (!*entry) {
            return {};
        }
        note(**entry);
    }
}

std::optional<EntryHeader> Segment::find_recent(Offset target) const {
    // Before the oldest one that is remembered, others may end at or after the target.
    if (recent_.empty() || target >= end_ ||
        (target < recent_at(0).first && recent_at(0).position != 0)) {
        return std::nullopt;
    }
    std::size_t low = 0;
    std::size_t high = recent_.size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (recent_at(middle).last < target) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const Recent& found = recent_at(low);
    return EntryHeader{.position = found.position,
                       .size = found.size,
                       .first = found.first,
                       .last = found.last,
                       .max_timestamp = found.max_timestamp};
}

Result<std::uint64_t> Segment::walk_start(Offset target) {
    const std::int64_t relative = std::min<std::int64_t>(target - base_, INT32_MAX);
    MR_TRY(const auto entry, offsets_.floor(&OffsetEntry::relative_offset, relative));
    if (!entry) {
        return std::uint64_t{0};
    }
    // An index that lies must not make us skip batches: what it points at has to say the same.
    const auto position = static_cast<std::uint64_t>(entry->position);
    if (entry->position < 0 || position >= size_) {
        return Error::make(Code::corrupt, "{}: position {} of {}", offsets_.file().path(),
                           entry->position, size_);
    }
    MR_TRY(auto file, log_.open());
    HeaderWalk walk(std::move(file), position, size_);
    const auto there = walk.next();
    if (!there || !*there || (*there)->last != base_ + entry->relative_offset) {
        return Error::make(Code::corrupt, "{}: no batch ends with offset {} at position {}",
                           offsets_.file().path(), base_ + entry->relative_offset, position);
    }
    return position;
}

Result<std::optional<EntryHeader>> Segment::find(Offset target) {
    if (target >= end_) {
        return std::optional<EntryHeader>{};
    }
    if (auto recent = find_recent(target)) {
        return recent;
    }
    auto from = walk_start(target);
    if (!from && from.error().code() == Code::corrupt) {
        MR_TRY_VOID(rebuild_indexes());
        from = walk_start(target);
    }
    if (!from) {
        return from.error();
    }
    MR_TRY(auto file, log_.open());
    HeaderWalk walk(std::move(file), *from, size_);
    Offset least = *from == 0 ? base_ : Offset{0};
    while (true) {
        auto entry = walk.next();
        if (!entry) {
            return entry.error().with_context(log_.path());
        }
        if (*entry && (*entry)->first < least) {
            // Taken at its word, it would be passed over as one that ends before the target.
            return Error::make(Code::corrupt, "{}: offset {} at position {} after {}", log_.path(),
                               (*entry)->first, (*entry)->position, least);
        }
        if (!*entry || (*entry)->last >= target) {
            return entry;
        }
        least = (*entry)->next();
    }
}

Result<std::optional<std::uint64_t>> Segment::boundary_at_or_below(std::uint64_t position,
                                                                   std::uint64_t above) {
    if (position >= size_) {
        return size_ > above ? std::optional{size_} : std::nullopt;
    }
    if (!recent_.empty() && recent_at(0).position <= position) {
        std::size_t low = 0;
        std::size_t high = recent_.size();
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if (recent_at(middle).position <= position) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        const std::uint64_t found = recent_at(low - 1).position;
        return found > above ? std::optional{found} : std::nullopt;
    }
    MR_TRY(const auto entry,
           offsets_.floor(&OffsetEntry::position, static_cast<std::int64_t>(position)));
    std::uint64_t found = above;
    if (entry && static_cast<std::uint64_t>(entry->position) > above) {
        found = static_cast<std::uint64_t>(entry->position);
    }
    if (found == above) {
        // Nothing indexed in between: they are few, or large.
        MR_TRY(auto file, log_.open());
        HeaderWalk walk(std::move(file), found, size_);
        while (true) {
            MR_TRY(const auto header, walk.next());
            if (!header || header->end() > position) {
                break;
            }
            found = header->end();
        }
    }
    return found > above ? std::optional{found} : std::nullopt;
}

Result<std::uint64_t> Segment::position_for_timestamp(Timestamp at, Offset start) {
    MR_TRY(const auto time, times_.floor(&TimeEntry::timestamp, at.milliseconds));
    const Offset from = time ? std::max(base_ + time->relative_offset, start) : start;
    const std::int64_t relative = std::clamp<std::int64_t>(from - base_, 0, INT32_MAX);
    MR_TRY(const auto entry, offsets_.floor(&OffsetEntry::relative_offset, relative));
    return entry ? static_cast<std::uint64_t>(entry->position) : std::uint64_t{0};
}

Result<std::optional<std::int64_t>> Segment::first_timestamp() {
    if (!first_timestamp_ && size_ > 0) {
        MR_TRY(auto file, log_.open());
        HeaderWalk walk(std::move(file), 0, size_);
        MR_TRY(const auto first, walk.next());
        if (first) {
            first_timestamp_ = first->max_timestamp;
        }
    }
    return first_timestamp_;
}

Result<void> Segment::cut(std::uint64_t position, Offset end) {
    MR_TRY(auto file, log_.open());
    MR_TRY_VOID(file->truncate(position));
    reserved_ = 0;
    size_ = position;
    MR_TRY_VOID(
        offsets_.truncate_from(&OffsetEntry::position, static_cast<std::int64_t>(position)));
    MR_TRY_VOID(times_.truncate_from(&TimeEntry::relative_offset, end - base_));
    MR_TRY_VOID(transactions_.truncate_from(end));
    checked_.cut(position);
    if (position == 0) {
        first_timestamp_.reset();
    }
    MR_TRY_VOID(load_tail());
    end_ = std::max(end_, base_);
    return {};
}

}  // namespace millrace::storage
