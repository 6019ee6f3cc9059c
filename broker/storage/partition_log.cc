#include "storage/partition_log.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/crc32c.h"
#include "storage/internal/log_state.h"

namespace millrace::storage {

namespace {

constexpr std::size_t parts_per_write = 512;

/// Batches as one vectored write, neighbours in memory as one part.
std::vector<iovec> parts_of(std::span<const record::BatchView> batches) {
    std::vector<iovec> parts;
    for (const record::BatchView& batch : batches) {
        const ByteView bytes = batch.bytes();
        if (!parts.empty() &&
            static_cast<const std::byte*>(parts.back().iov_base) + parts.back().iov_len ==
                bytes.data()) {
            parts.back().iov_len += bytes.size();
        } else {
            parts.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
        }
    }
    return parts;
}

Result<void> write_all(runtime::File& file, std::uint64_t at, std::span<const iovec> parts) {
    while (!parts.empty()) {
        const auto some = parts.first(std::min(parts.size(), parts_per_write));
        MR_TRY_VOID(file.write_at(at, some));
        for (const iovec& part : some) {
            at += part.iov_len;
        }
        parts = parts.subspan(some.size());
    }
    return {};
}

Result<void> check_offsets(std::span<const record::BatchView> batches, Offset end) {
    for (const record::BatchView& batch : batches) {
        if (batch.base_offset() < end || batch.last_offset() < batch.base_offset()) {
            return Error::make(Code::invalid, "batch [{}, {}] appended at {}", batch.base_offset(),
                               batch.last_offset(), end);
        }
        end = batch.next_offset();
    }
    return {};
}

/// Another number for each segment, and the same whenever it is asked for.
std::uint64_t spread_of(const LogState& s, const Segment& segment) {
    std::uint64_t mixed =
        crc32c(as_bytes(s.folder)) +
        0x9e3779b97f4a7c15ULL * (static_cast<std::uint64_t>(segment.base().value) + 1);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

Duration age_limit(const LogState& s, const Segment& segment) {
    const LogLimits& limits = s.limits;
    // What is compacted has to leave the active segment before its lag has passed.
    const Duration limit = limits.cleanup.compact
                               ? std::min(limits.segment_age, limits.max_compaction_lag)
                               : limits.segment_age;
    const Duration most = std::min(limits.segment_jitter, limit);
    if (most <= Duration{0}) {
        return limit;
    }
    return limit - Duration{static_cast<std::int64_t>(spread_of(s, segment) %
                                                      static_cast<std::uint64_t>(most.count()))};
}

/// Too old to take `batch`: measured by the batches' own time where they have one.
Result<bool> is_aged(const LogState& s, Segment& segment, const record::BatchView& batch,
                     Timestamp now) {
    if (segment.empty()) {
        return false;
    }
    MR_TRY(const auto first, segment.first_timestamp());
    const bool timed = first.value_or(-1) >= 0 && batch.max_timestamp() >= 0;
    const Duration age =
        timed ? Timestamp{batch.max_timestamp()} - Timestamp{*first} : now - segment.began();
    return age > age_limit(s, segment);
}

/// How many of `batches` go into the active segment before it is full.
Result<std::size_t> count_that_fit(LogState& s, std::span<const record::BatchView> batches,
                                   Timestamp now) {
    Segment& active = s.active();
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (const record::BatchView& batch : batches) {
        const bool first_of_segment = active.empty() && count == 0;
        if (!active.has_room_for(batch.last_offset(), bytes + batch.size(), s.limits) ||
            (active.empty() && count > 0 &&
             bytes + batch.size() > static_cast<std::size_t>(s.limits.segment_bytes.count))) {
            break;
        }
        if (!first_of_segment && count == 0) {
            MR_TRY(const bool aged, is_aged(s, active, batch, now));
            if (aged) {
                break;
            }
        }
        bytes += batch.size();
        ++count;
    }
    return count;
}

/// Writes and notes `batches`, which fit into the active segment. On an error of the write nothing
/// is noted.
Result<void> write_run(LogState& s, std::span<const record::BatchView> batches, Timestamp now) {
    Segment& active = s.active();
    if (!s.active_file) {
        MR_TRY(s.active_file, active.file());
    }
    std::size_t bytes = 0;
    for (const record::BatchView& batch : batches) {
        bytes += batch.size();
    }
    if (s.limits.preallocate) {
        active.preallocate(*s.active_file, bytes, s.limits.segment_bytes);
    }
    s.active_unsynced = true;
    MR_TRY_VOID(write_all(*s.active_file, active.size(), parts_of(batches)));
    active.checked().add(active.size(), active.size() + bytes);
    active.touch(now);
    for (const record::BatchView& batch : batches) {
        active.note(header_of(batch, active.size()));
        s.end = batch.next_offset();
        if (s.epochs.assign(batch.partition_leader_epoch(), batch.base_offset())) {
            s.epochs_dirty = true;
        }
        MR_TRY_VOID(s.note_producer(batch, active));
    }
    return {};
}

/// Brings the log back to `end` after a failed append. What can't be undone fails the log.
Error undo_append(PartitionLog& log, LogState& s, Offset end, const Error& cause) {
    if (!runtime::is_shortage(cause)) {
        return s.fail(cause);
    }
    const auto undone = [&]() -> Result<void> {
        if (s.end > end) {
            return log.truncate_to(end);
        }
        if (s.segments.empty()) {
            return {};
        }
        // Part of the batch may have reached the file.
        MR_TRY(auto file, s.active().file());
        return file->truncate(s.active().size());
    }();
    if (!undone) {
        return s.fail(undone.error());
    }
    return cause;
}

}  // namespace

PartitionLog::PartitionLog(std::unique_ptr<LogState> state) : state_(std::move(state)) {}
PartitionLog::~PartitionLog() = default;

std::unique_ptr<PartitionLog> PartitionLog::create(std::shared_ptr<LogDirectory> directory,
                                                   TopicPartition partition, Uuid topic_id,
                                                   const LogLimits& limits, Offset start) {
    std::string folder = log_folder_name(partition);
    auto state = std::make_unique<LogState>(std::move(directory), std::move(partition), topic_id,
                                            limits, std::move(folder));
    state->start = state->end = state->synced_end = state->recovery_point = start;
    state->producers.set_end(start);
    return std::unique_ptr<PartitionLog>(new PartitionLog(std::move(state)));
}

Result<void> PartitionLog::append(std::span<const record::BatchView> batches, Timestamp now) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    MR_TRY_VOID(check_offsets(batches, s.end));
    if (s.directory->is_short_of_space() && !s.limits.may_use_reserve) {
        return Error::make(Code::no_space, "{}: {} is down to its reserve", s.partition,
                           s.directory->path());
    }
    const Offset before = s.end;
    while (!batches.empty()) {
        std::size_t count = 0;
        if (!s.segments.empty()) {
            MR_TRY(count, s.or_fail_unless_short(count_that_fit(s, batches, now)));
        }
        Result<void> done;
        if (count == 0) {
            done = s.start_segment(now);
        } else {
            done = write_run(s, batches.first(count), now);
            batches = batches.subspan(count);
        }
        if (!done) {
            return undo_append(*this, s, before, done.error());
        }
    }
    return {};
}

Result<void> PartitionLog::roll(Timestamp now) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    if (s.segments.empty() || s.active().empty()) {
        return {};
    }
    return s.or_fail_unless_short(s.start_segment(now));
}

Result<void> PartitionLog::roll_if_aged(Timestamp now) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    if (s.segments.empty() || s.active().empty()) {
        return {};
    }
    return now - s.active().touched() > age_limit(s, s.active()) ? roll(now) : Result<void>{};
}

Offset PartitionLog::start() const {
    return state_->start;
}
Offset PartitionLog::first_base() const {
    return state_->segments.empty() ? state_->start : state_->segments.front()->base();
}
Offset PartitionLog::end() const {
    return state_->end;
}
Offset PartitionLog::synced_end() const {
    return state_->synced_end;
}

Offset PartitionLog::recovery_point() const {
    return state_->recovery_point;
}

std::uint64_t PartitionLog::size_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& segment : state_->segments) {
        bytes += segment->size();
    }
    return bytes;
}

std::size_t PartitionLog::segment_count() const {
    return state_->segments.size();
}
bool PartitionLog::has_files() const {
    return state_->folder_exists;
}
const TopicPartition& PartitionLog::partition() const {
    return state_->partition;
}
Uuid PartitionLog::topic_id() const {
    return state_->topic_id;
}

Result<void> PartitionLog::set_topic_id(Uuid topic_id) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    MR_ASSERT(s.topic_id.is_zero() || s.topic_id == topic_id);
    if (s.topic_id == topic_id) {
        return {};
    }
    s.topic_id = topic_id;
    return s.folder_exists ? s.or_fail(s.write_topic_id()) : Result<void>{};
}

const LeaderEpochCache& PartitionLog::epochs() const {
    return state_->epochs;
}

Result<void> PartitionLog::assign_epoch(LeaderEpoch epoch) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    if (s.epochs.assign(epoch, s.end)) {
        s.epochs_dirty = true;
    }
    return {};
}

const ProducerState& PartitionLog::producers() const {
    return state_->producers;
}

void PartitionLog::tidy_producers(Timestamp now, Offset decided_end) {
    state_->producers.expire(now, state_->limits.producer_expiry);
    state_->producers.forget_decided_below(decided_end);
}

void PartitionLog::forget_decided_below(Offset decided_end) {
    state_->producers.forget_decided_below(decided_end);
}

const LogLimits& PartitionLog::limits() const {
    return state_->limits;
}
void PartitionLog::set_limits(const LogLimits& limits) {
    state_->limits = limits;
}

std::optional<Error> PartitionLog::failure() const {
    const auto usable = state_->usable();
    return usable ? std::nullopt : std::optional{usable.error()};
}

const std::shared_ptr<LogDirectory>& PartitionLog::directory() const {
    return state_->directory;
}
std::string PartitionLog::path() const {
    return state_->folder;
}
const std::shared_ptr<const void>& PartitionLog::identity() const {
    return state_->identity;
}

}  // namespace millrace::storage
