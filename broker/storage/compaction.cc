#include "storage/compaction.h"

#include <algorithm>
#include <fmt/format.h>

#include "record/legacy.h"
#include "storage/internal/cleaner_core.h"
#include "storage/internal/log_state.h"
#include "storage/internal/segment_writer.h"

namespace millrace::storage {

namespace {

struct OldSegment {
    Offset base;
    Offset end;  // The next segment's base.
    std::uint64_t size = 0;
    std::size_t index_bytes = 0;
};

}  // namespace

struct CompactionRound::Inside {
    enum class Stage { mapping, cleaning, cleaned, renaming, renamed, discarding, over };

    runtime::Disk* disk = nullptr;
    std::string folder;
    LogLimits limits;
    CompactionNeed need;
    std::vector<OldSegment> segments;  // All sealed ones below need.end.
    std::vector<AbortedTransaction> aborted;
    KeyOffsets keys;
    TransactionFilter filter;
    std::optional<BatchCleaner> cleaner;
    CleanRules rules;

    Stage stage = Stage::mapping;
    std::size_t mapped = 0;  // Segments read for their keys.
    std::size_t group_first = 0;
    std::size_t group_last = 0;  // One past.
    std::size_t segments_to_clean = 0;
    std::optional<SegmentWriter> writer;
    CompactionStats stats;
    std::optional<Error> failure;

    explicit Inside(const CompactionBudget& budget)
        : keys(budget.key_bytes, budget.seed_low, budget.seed_high) {}

    Result<void> step();
    Result<void> map_segment();
    Result<void> begin_cleaning();
    Result<void> clean_group();
    Result<void> clean_segment(const OldSegment& old);
    Result<void> rename_group();
    void choose_group();
    std::string log_path(Offset base) const {
        return join_path(folder, offset_name(base, suffix::log));
    }
    template <typename Each>
    Result<void> each_batch(const OldSegment& old, Offset from, Each each);
};

namespace {

Result<runtime::FilePtr> open_or_cancel(runtime::Disk& disk, const std::string& path) {
    auto file = disk.open(path, runtime::OpenMode::read);
    if (!file && file.error().code() == Code::not_found) {
        return Error::make(Code::cancelled, "{} was deleted meanwhile", path);
    }
    return file;
}

}  // namespace

template <typename Each>
Result<void> CompactionRound::Inside::each_batch(const OldSegment& old, Offset from, Each each) {
    const std::string path = log_path(old.base);
    MR_TRY(auto file, open_or_cancel(*disk, path));
    EntryScan scan(std::move(file), 0, old.size);
    record::Decompressor decompressor;
    while (true) {
        auto entry = scan.next();
        if (!entry) {
            return entry.error().with_context(path);
        }
        if (!*entry) {
            return {};
        }
        stats.bytes_read += (*entry)->header.size;
        if ((*entry)->header.last < from) {
            continue;
        }
        Result<bool> go_on = true;
        if ((*entry)->is_batch()) {
            go_on = each((*entry)->batch());
        } else {
            // Old formats leave compaction in the current one.
            MR_TRY(const auto legacy, record::LegacyEntry::parse((*entry)->bytes));
            MR_TRY(const Buffer current, record::to_current(legacy, decompressor));
            MR_TRY(const auto batch, record::BatchView::parse(current));
            go_on = each(batch);
        }
        if (!go_on) {
            return go_on.error().with_context(path);
        }
        if (!*go_on) {
            return {};
        }
    }
}

Result<void> CompactionRound::Inside::map_segment() {
    while (mapped < segments.size() && segments[mapped].end <= need.first_dirty) {
        ++mapped;
    }
    if (mapped == segments.size()) {
        return begin_cleaning();
    }
    record::Decompressor decompressor;
    bool full = false;
    MR_TRY_VOID(each_batch(
        segments[mapped], need.first_dirty, [&](const record::BatchView& batch) -> Result<bool> {
            MR_TRY(const bool room, note_keys(batch, filter, keys, decompressor));
            full = !room;
            return room;
        }));
    ++mapped;
    return full || mapped == segments.size() ? begin_cleaning() : Result<void>{};
}

Result<void> CompactionRound::Inside::begin_cleaning() {
    if (mapped == segments.size()) {
        // Also what compaction emptied of batches is looked at.
        keys.set_latest(std::max(keys.latest(), segments.back().end - 1));
    }
    stats.keys = keys.size();
    filter = TransactionFilter{};
    filter.add_aborted(aborted);
    cleaner.emplace(rules, keys);
    segments_to_clean = static_cast<std::size_t>(
        std::count_if(segments.begin(), segments.end(),
                      [this](const OldSegment& old) { return old.base <= keys.latest(); }));
    stats.segments_before = segments_to_clean;
    stage = Stage::cleaning;
    choose_group();
    return {};
}

/// As many neighbours as fit into one segment, counted as they are now.
void CompactionRound::Inside::choose_group() {
    group_first = group_last;
    if (group_first == segments_to_clean) {
        stage = Stage::over;
        return;
    }
    std::uint64_t bytes = 0;
    std::size_t index_bytes = 0;
    while (group_last < segments_to_clean) {
        const OldSegment& next = segments[group_last];
        const bool fits =
            bytes + next.size <= static_cast<std::uint64_t>(limits.segment_bytes.count) &&
            index_bytes + next.index_bytes <=
                static_cast<std::size_t>(limits.segment_index_bytes.count) &&
            next.end - segments[group_first].base <= INT32_MAX;
        if (group_last > group_first && !fits) {
            break;
        }
        bytes += next.size;
        index_bytes += next.index_bytes;
        ++group_last;
    }
}

Result<void> CompactionRound::Inside::clean_group() {
    writer.emplace(*disk, folder, segments[group_first].base, limits.index_interval);
    for (std::size_t i = group_first; i < group_last; ++i) {
        MR_TRY_VOID(clean_segment(segments[i]));
    }
    MR_TRY_VOID(writer->finish());
    MR_TRY_VOID(disk->sync_directory(folder));
    stats.bytes_written += writer->size();
    ++stats.segments_after;
    stage = Stage::cleaned;
    return {};
}

Result<void> CompactionRound::Inside::clean_segment(const OldSegment& old) {
    return each_batch(old, Offset{0}, [this](const record::BatchView& batch) -> Result<bool> {
        MR_TRY(const CleanedBatch cleaned, cleaner->clean(batch, filter));
        writer->append_aborted(filter.take_kept());
        if (cleaned.kind == CleanedBatch::Kind::as_is) {
            MR_TRY_VOID(writer->append(batch));
        } else if (cleaned.kind == CleanedBatch::Kind::rewritten) {
            MR_TRY(const auto rewritten, record::BatchView::parse(cleaned.bytes));
            MR_TRY_VOID(writer->append(rewritten));
        }
        return true;
    });
}

Result<void> CompactionRound::Inside::rename_group() {
    const auto rename = [this](const std::string& from, const std::string& to) {
        return disk->rename(from, to);
    };
    const auto paths = writer->paths();
    for (const std::string& path : paths) {
        MR_TRY_VOID(rename(path + std::string(suffix::cleaned), path + std::string(suffix::swap)));
    }
    MR_TRY_VOID(disk->sync_directory(folder));
    // From here on a start would finish the swap.
    for (std::size_t i = group_first; i < group_last; ++i) {
        for (const auto ending :
             {suffix::log, suffix::index, suffix::time_index, suffix::transaction_index}) {
            const std::string path = join_path(folder, offset_name(segments[i].base, ending));
            const auto renamed = rename(path, path + std::string(suffix::deleted));
            if (!renamed && renamed.error().code() != Code::not_found) {
                return renamed;
            }
        }
    }
    MR_TRY_VOID(disk->sync_directory(folder));
    for (const std::string& path : paths) {
        MR_TRY_VOID(rename(path + std::string(suffix::swap), path));
    }
    MR_TRY_VOID(disk->sync_directory(folder));
    stage = Stage::renamed;
    return {};
}

Result<void> CompactionRound::Inside::step() {
    switch (stage) {
        case Stage::mapping:
            return map_segment();
        case Stage::cleaning:
            return clean_group();
        case Stage::renaming:
            return rename_group();
        case Stage::discarding:
            stage = Stage::over;
            return writer ? writer->discard() : Result<void>{};
        case Stage::cleaned:
        case Stage::renamed:
        case Stage::over:
            break;
    }
    return {};
}

CompactionRound::CompactionRound(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
CompactionRound::~CompactionRound() = default;

void CompactionRound::work() {
    if (const auto done = inside_->step(); !done && !inside_->failure) {
        inside_->failure = done.error();
    }
}

Offset CompactionRound::cleaned_end() const {
    return inside_->keys.latest() + 1;
}
CompactionStats CompactionRound::stats() const {
    return inside_->stats;
}
std::optional<Error> CompactionRound::failure() const {
    return inside_->failure;
}

// --- The log's side ------------------------------------------------------------------------------

Result<CompactionNeed> PartitionLog::compaction_need(Timestamp now, Offset first_dirty,
                                                     Offset upper, Offset recorded_end) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    const Offset recorded = std::min(recorded_end, s.recovery_point);
    CompactionNeed need{.first_dirty = first_dirty, .end = s.start};
    if (s.segments.empty()) {
        return need;
    }
    const Offset first = s.segments.front()->base();
    if (first_dirty < first || first_dirty > s.end) {
        need.first_dirty = first;
    }
    struct Tally {
        std::uint64_t clean = 0;
        std::uint64_t dirty = 0;
        std::optional<std::int64_t> oldest_dirty;
    };
    Tally tally;
    std::optional<Tally> known;  // Of what is recorded.
    need.end = first;
    for (std::size_t i = 0; i + 1 < s.segments.size(); ++i) {
        Segment& segment = *s.segments[i];
        const Offset next = s.segments[i + 1]->base();
        const Timestamp largest{segment.max_timestamp().first};
        if (next > upper || (s.limits.min_compaction_lag > Duration{0} &&
                             now - largest < s.limits.min_compaction_lag)) {
            break;
        }
        if (next <= recorded) {
            need.end = next;
        } else if (!known) {
            known = tally;
        }
        if (next <= need.first_dirty) {
            tally.clean += segment.size();
            continue;
        }
        tally.dirty += segment.size();
        if (!tally.oldest_dirty) {
            MR_TRY(tally.oldest_dirty, segment.first_timestamp());
        }
    }
    const auto judge = [&](const Tally& of) {
        need.dirty_ratio = of.dirty == 0 ? 0
                                         : static_cast<double>(of.dirty) /
                                               static_cast<double>(of.clean + of.dirty);
        need.overdue = of.oldest_dirty && *of.oldest_dirty >= 0 &&
                               s.limits.max_compaction_lag != Duration::max()
                           ? std::max(Duration{0}, (now - Timestamp{*of.oldest_dirty}) -
                                                       s.limits.max_compaction_lag)
                           : Duration{0};
        return s.limits.cleanup.compact && of.dirty > 0 &&
               (need.dirty_ratio > s.limits.min_cleanable_ratio || need.overdue > Duration{0});
    };
    const bool due_once_recorded = judge(tally);
    need.due = known ? judge(*known) : due_once_recorded;
    need.held = due_once_recorded && !need.due;
    return need;
}

Result<std::unique_ptr<CompactionRound>> PartitionLog::begin_compaction(
    const CompactionNeed& need, const CompactionBudget& budget, Timestamp now) {
    LogState& s = *state_;
    MR_TRY_VOID(s.free_to_cut());
    auto inside = std::make_unique<CompactionRound::Inside>(budget);
    inside->disk = &s.disk();
    inside->folder = s.folder;
    inside->limits = s.limits;
    inside->need = need;
    for (std::size_t i = 0; i + 1 < s.segments.size() && s.segments[i + 1]->base() <= need.end;
         ++i) {
        Segment& segment = *s.segments[i];
        inside->segments.push_back({.base = segment.base(),
                                    .end = s.segments[i + 1]->base(),
                                    .size = segment.size(),
                                    .index_bytes = std::max(segment.offset_index().bytes(),
                                                            segment.time_index().bytes())});
    }
    if (inside->segments.empty()) {
        return Error::make(Code::invalid, "{}: nothing to compact below {}", s.partition, need.end);
    }
    // Also those whose marker lies above: their data must not hide what was committed before.
    MR_TRY(inside->aborted, aborted_transactions(inside->segments.front().base, need.end));
    inside->filter.add_aborted(inside->aborted);
    inside->rules = {.now = now,
                     .delete_retention = s.limits.delete_retention,
                     .round_end = need.end,
                     .producers = last_of_producers(s.producers)};
    return std::unique_ptr<CompactionRound>(new CompactionRound(std::move(inside)));
}

namespace {

/// The segments of a group are still what the round saw.
bool unchanged(const LogState& s, std::span<const OldSegment> group) {
    if (s.segments.empty()) {
        return false;
    }
    std::size_t at = s.segment_index(group.front().base);
    for (const OldSegment& old : group) {
        if (at + 1 >= s.segments.size() || s.segments[at]->base() != old.base ||
            s.segments[at]->size() != old.size || s.segments[at + 1]->base() != old.end) {
            return false;
        }
        ++at;
    }
    return true;
}

/// The log goes on with the new segment in place of the group's.
Result<void> exchange(LogState& s, std::span<const OldSegment> group, const SegmentWriter& writer) {
    const auto first =
        s.segments.begin() + static_cast<std::ptrdiff_t>(s.segment_index(group.front().base));
    auto segment = s.make_segment(writer.base());
    segment->install(writer.size(), group.back().end, writer.offset_entries(),
                     writer.time_entries(), writer.last_time());
    if (!writer.has_aborted()) {
        segment->transactions().set_absent();
    }
    segment->touch((*(first + static_cast<std::ptrdiff_t>(group.size()) - 1))->touched());
    for (const OldSegment& old : group) {
        for (const auto ending :
             {suffix::log, suffix::index, suffix::time_index, suffix::transaction_index}) {
            s.retired.push_back(s.file_path(offset_name(old.base, ending)) +
                                std::string(suffix::deleted));
        }
        if (old.base != writer.base() && s.snapshots.erase(old.base) > 0) {
            MR_TRY_VOID(s.retire_file(s.file_path(offset_name(old.base, suffix::snapshot))));
        }
    }
    *first = std::move(segment);
    ++s.facts_changed;
    s.segments.erase(first + 1, first + static_cast<std::ptrdiff_t>(group.size()));
    return {};
}

}  // namespace

bool PartitionLog::is_renaming() const {
    return state_->renaming;
}

Result<bool> PartitionLog::continue_compaction(CompactionRound& round) {
    LogState& s = *state_;
    using Stage = CompactionRound::Inside::Stage;
    CompactionRound::Inside& inside = *round.inside_;
    const bool was_renaming = std::exchange(s.renaming, false);
    MR_TRY_VOID(s.usable());
    if (inside.failure && inside.stage != Stage::over) {
        if (was_renaming) {
            return s.fail(*inside.failure);  // Half renamed: only a recovery can sort it out.
        }
        if (inside.failure->code() == Code::io) {
            return s.fail(*inside.failure);
        }
        inside.stage = inside.stage == Stage::discarding ? Stage::over : Stage::discarding;
        return inside.stage != Stage::over;
    }
    const auto group = std::span<const OldSegment>(inside.segments)
                           .subspan(inside.group_first, inside.group_last - inside.group_first);
    if (inside.stage == Stage::cleaned) {
        if (!unchanged(s, group)) {
            inside.failure = Error::make(Code::cancelled, "{}: its segments changed", s.partition);
            inside.stage = Stage::discarding;
            return true;
        }
        const std::size_t at = s.segment_index(group.front().base);
        for (std::size_t i = 0; i < group.size(); ++i) {
            MR_TRY_VOID(s.or_fail(s.segments[at + i]->pin()));
        }
        s.renaming = true;
        inside.stage = Stage::renaming;
        return true;
    }
    if (inside.stage == Stage::renamed) {
        MR_TRY_VOID(s.or_fail(exchange(s, group, *inside.writer)));
        inside.writer.reset();
        inside.stage = Stage::cleaning;
        inside.choose_group();
    }
    return inside.stage != Stage::over;
}

}  // namespace millrace::storage
