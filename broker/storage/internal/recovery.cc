#include "storage/internal/recovery.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/mutants.h"
#include "storage/internal/text_files.h"

namespace millrace::storage {

namespace {

constexpr std::uint64_t checkpoint_file_max = std::uint64_t{16} << 20;
constexpr std::size_t quarantine_batch_max = std::size_t{64} << 20;
constexpr std::string_view segment_suffixes[] = {suffix::log, suffix::index, suffix::time_index,
                                                 suffix::transaction_index};

/// The offset in the name of a segment's file that carries `state` (".cleaned", ".swap").
std::optional<Offset> offset_of_state_file(std::string_view name, std::string_view state) {
    if (!name.ends_with(state)) {
        return std::nullopt;
    }
    name.remove_suffix(state.size());
    for (const auto ending : segment_suffixes) {
        if (const auto offset = parse_offset_name(name, ending)) {
            return offset;
        }
    }
    return std::nullopt;
}

}  // namespace

Result<void> Recovery::run() {
    MR_TRY(cache_may_lie_, s_.directory->page_cache_may_lie());
    MR_TRY_VOID(list_files());
    MR_TRY_VOID(remove_leftovers());
    MR_TRY_VOID(finish_swap());
    MR_TRY_VOID(remove_orphans());
    MR_TRY_VOID(read_small_files());
    MR_TRY_VOID(open_segments());
    return settle();
}

Result<void> Recovery::list_files() {
    MR_TRY(const auto entries, s_.disk().list(s_.folder));
    s_.folder_exists = true;
    for (const auto& entry : entries) {
        if (!entry.is_directory) {
            names_.insert(entry.name);
        }
    }
    return {};
}

bool Recovery::has(Offset base, std::string_view ending) const {
    return names_.contains(offset_name(base, ending));
}

Result<void> Recovery::remove(const std::string& name) {
    MR_TRY_VOID(s_.disk().remove(s_.file_path(name)));
    s_.note_names();
    names_.erase(name);
    return {};
}

Result<void> Recovery::remove_leftovers() {
    // A swap counts once all its new files have been renamed, from the last segment to the first:
    // while a `.cleaned` one is left, swap files at or above it are not complete.
    Offset first_cleaned{INT64_MAX};
    for (const std::string& name : names_) {
        if (const auto offset = offset_of_state_file(name, suffix::cleaned)) {
            first_cleaned = std::min(first_cleaned, *offset);
        }
    }
    std::vector<std::string> gone;
    for (const std::string& name : names_) {
        const auto swapped = offset_of_state_file(name, suffix::swap);
        if (name.ends_with(suffix::deleted) || name.ends_with(suffix::cleaned) ||
            name.ends_with(".tmp") || (swapped && *swapped >= first_cleaned)) {
            gone.push_back(name);
        }
    }
    for (const std::string& name : gone) {
        MR_TRY_VOID(remove(name));
    }
    return {};
}

Result<Offset> Recovery::end_of_swap(Offset base) {
    const std::string path =
        s_.file_path(offset_name(base, suffix::log) + std::string(suffix::swap));
    MR_TRY(auto file, s_.disk().open(path, runtime::OpenMode::read));
    MR_TRY(const std::uint64_t size, file->size());
    HeaderWalk walk(std::move(file), 0, size);
    Offset end = base;
    while (true) {
        const auto entry = walk.next();
        if (!entry) {
            return entry.error().with_context(path);
        }
        if (!*entry) {
            return end;
        }
        end = (*entry)->next();
    }
}

Result<void> Recovery::finish_swap() {
    std::vector<std::string> swaps;
    std::optional<std::pair<Offset, Offset>> replaced;
    for (const std::string& name : names_) {
        const auto base = offset_of_state_file(name, suffix::swap);
        if (!base) {
            continue;
        }
        swaps.push_back(name);
        if (name.ends_with(std::string(suffix::log) + std::string(suffix::swap))) {
            MR_TRY(const Offset end, end_of_swap(*base));
            replaced = replaced ? std::pair{std::min(replaced->first, *base),
                                            std::max(replaced->second, end)}
                                : std::pair{*base, end};
        }
    }
    if (replaced) {
        std::vector<std::string> old;
        for (const std::string& name : names_) {
            const auto base = offset_of_state_file(name, "");
            if (base && *base >= replaced->first &&
                (*base < replaced->second || *base == replaced->first)) {
                old.push_back(name);
            }
        }
        for (const std::string& name : old) {
            MR_TRY_VOID(remove(name));
        }
    }
    for (const std::string& name : swaps) {
        const std::string final_name = name.substr(0, name.size() - suffix::swap.size());
        MR_TRY_VOID(s_.disk().rename(s_.file_path(name), s_.file_path(final_name)));
        s_.note_names();
        names_.erase(name);
        names_.insert(final_name);
    }
    return {};
}

Result<void> Recovery::remove_orphans() {
    for (const std::string& name : names_) {
        if (const auto base = parse_offset_name(name, suffix::log)) {
            bases_.push_back(*base);
        }
    }
    std::vector<std::string> orphans;
    for (const std::string& name : names_) {
        const auto base = offset_of_state_file(name, "");
        if (base && !has(*base, suffix::log)) {
            orphans.push_back(name);
        }
        if (const auto at = parse_offset_name(name, suffix::snapshot)) {
            s_.snapshots.insert(*at);
        }
    }
    for (const std::string& name : orphans) {
        MR_TRY_VOID(remove(name));
    }
    return {};
}

Result<void> Recovery::read_small_files() {
    if (names_.contains(std::string(partition_metadata_name))) {
        MR_TRY_VOID(read_topic_id());
    }
    if (names_.contains(std::string(epoch_checkpoint_name))) {
        const std::string path = s_.file_path(epoch_checkpoint_name);
        MR_TRY(const std::string text, s_.disk().read_whole(path, checkpoint_file_max));
        if (const auto entries = parse_epoch_checkpoint(text)) {
            s_.epochs = LeaderEpochCache(*entries);
        } else {
            // The batches say it all again: scan everything.
            MR_LOG(s_.directory->log(), warn, "storage.epochs_rebuilt", field("path", path),
                   field("reason", entries.error().message()));
            epochs_lost_ = true;
        }
    } else {
        epochs_lost_ = !bases_.empty();
    }
    return {};
}

Result<void> Recovery::open_segments() {
    std::size_t scan_start = bases_.size();
    for (std::size_t i = 0; i < bases_.size(); ++i) {
        const bool active = i + 1 == bases_.size();
        const Offset next = active ? Offset{INT64_MAX} : bases_[i + 1];
        auto segment = s_.make_segment(bases_[i]);
        segment->touch(input_.now);
        if (!has(bases_[i], suffix::transaction_index)) {
            segment->transactions().set_absent();
        }
        const bool unsynced = !input_.clean && next > input_.recovery_point;
        bool as_is = !unsynced && !epochs_lost_;
        if (as_is) {
            bool known = false;
            if (!active) {
                MR_TRY(known, adopt_known(*segment, next));
            }
            if (!known) {
                MR_TRY(as_is, adopt(*segment, active));
            }
        }
        if (as_is && !active) {
            segment->set_end(next);
        }
        if (as_is && active && input_.known && input_.known->tail &&
            segment->is_at(*input_.known->tail)) {
            s_.tail = input_.known->tail;
        }
        if (unsynced && scan_start == bases_.size()) {
            MR_TRY(const bool all_known, resume(*segment, i));
            as_is = all_known && active;
        }
        if (!as_is) {
            scan_start = std::min(scan_start, i);
        }
        s_.segments.push_back(std::move(segment));
    }
    if (scan_start < bases_.size()) {
        return scan_from(scan_start);
    }
    s_.end =
        s_.segments.empty() ? input_.log_start : std::max(s_.active().end(), s_.active().base());
    return {};
}

Result<bool> Recovery::adopt(Segment& segment, bool active) {
    MR_TRY(const auto file, segment.file());
    MR_TRY(const std::uint64_t size, file->size());
    const auto corrupt = [](const Result<void>& result) {
        return !result &&
               (result.error().code() == Code::corrupt || result.error().code() == Code::not_found);
    };
    if (const auto aborted = segment.transactions().entries(); !aborted) {
        if (aborted.error().code() != Code::corrupt) {
            return aborted.error();
        }
        return false;
    }
    Result<void> opened = segment.adopt(size);
    if (corrupt(opened)) {
        MR_LOG(s_.directory->log(), warn, "storage.index_rebuilt",
               field("path", segment.log_file().path()), field("reason", opened.error().message()));
        opened = segment.rebuild_indexes();
        if (opened) {
            return true;
        }
    }
    if (opened && active) {
        opened = segment.load_tail();
    }
    if (corrupt(opened)) {
        return false;
    }
    MR_TRY_VOID(opened);
    return true;
}

Result<void> Recovery::scan_from(std::size_t first) {
    scanned_ = true;
    first_scanned_ = first;
    const bool resumed = resumed_ == first;
    const Offset begin = resumed ? s_.segments[first]->end() : s_.segments[first]->base();
    std::vector<std::unique_ptr<Segment>> rest;
    std::move(s_.segments.begin() + static_cast<std::ptrdiff_t>(first), s_.segments.end(),
              std::back_inserter(rest));
    s_.segments.resize(first);
    if (resumed) {
        s_.segments.push_back(std::move(rest.front()));
    }
    s_.end = begin;
    last_epoch_ = s_.epochs.epoch_of(begin - 1).value_or(no_leader_epoch);
    MR_TRY_VOID(s_.drop_snapshots_from(begin + 1));
    s_.start =
        std::max(input_.log_start, s_.segments.empty() ? begin : s_.segments.front()->base());
    MR_TRY_VOID(s_.rebuild_producers(input_.now));
    MR_TRY_VOID(scan_all(std::move(rest), resumed));
    s_.producers.expire(input_.now, s_.limits.producer_expiry);
    return {};
}

/// Segments in order, the first of them in its place already if it is `resumed`; at damage or a gap
/// the rest is set aside.
Result<void> Recovery::scan_all(std::vector<std::unique_ptr<Segment>> rest, bool resumed) {
    const auto set_aside_behind = [&](std::size_t i, const std::string& why) {
        const std::size_t keep = s_.segments.size();
        std::move(rest.begin() + static_cast<std::ptrdiff_t>(i), rest.end(),
                  std::back_inserter(s_.segments));
        return set_aside_from(keep, why);
    };
    for (std::size_t i = 0; i < rest.size(); ++i) {
        const bool goes_on = resumed && i == 0;
        if (!goes_on) {
            const Offset base = rest[i]->base();
            if (i > 0 && !follows(base)) {
                return set_aside_behind(i,
                                        fmt::format("segment {} follows offset {}", base, s_.end));
            }
            if (i > 0) {
                s_.producers.set_end(base);
                s_.end = base;
                MR_TRY_VOID(s_.write_snapshot(base));
            }
            s_.segments.push_back(std::move(rest[i]));
        }
        MR_TRY(const bool whole, scan(s_.active(), goes_on));
        if (!whole) {
            return set_aside_behind(i + 1, "it follows damage");
        }
    }
    return {};
}

/// May a segment begin at `base` behind what was scanned so far?
bool Recovery::follows(Offset base) const {
    if (base <= s_.end) {
        return base == s_.end;
    }
    // Compaction leaves gaps, ours only in what was synced and recorded as such.
    return base <= std::max(input_.recovery_point, input_.gaps_below);
}

Result<void> Recovery::check_entry(const WholeEntry& entry, const Segment& segment) const {
    const EntryHeader& header = entry.header;
    if (header.first < s_.end || header.last - segment.base() > INT32_MAX) {
        return Error::make(Code::corrupt, "position {}: offset {} after {}", header.position,
                           header.first, s_.end);
    }
    if (header.epoch >= LeaderEpoch{0} && header.epoch < last_epoch_) {
        return Error::make(Code::corrupt, "position {}: leader epoch {} after {}", header.position,
                           header.epoch, last_epoch_);
    }
    return {};
}

void Recovery::note_epoch(const EntryHeader& header) {
    last_epoch_ = std::max(last_epoch_, header.epoch);
    // The checkpoint knows more than the batches that compaction and deletion have left: they only
    // add what it does not say.
    const auto latest = s_.epochs.latest();
    if ((!latest || header.epoch > latest->epoch) && s_.epochs.assign(header.epoch, header.first)) {
        s_.epochs_dirty = true;
    }
}

Result<bool> Recovery::scan(Segment& segment, bool resumed) {
    MR_TRY(auto file, segment.file());
    MR_TRY(const std::uint64_t size, file->size());
    if (!resumed) {
        segment.reset();
        MR_TRY_VOID(segment.transactions().clear());
    }
    EntryScan scan(file, segment.size(), size);
    std::optional<std::uint64_t> unproven;  // Where what was never called synced begins.
    // What was journaled was acknowledged, and a sync of the file may have failed unheard since.
    const bool to_be_written = cache_may_lie_ || input_.journaled;
    const auto prove = [&]() -> Result<void> {
        return to_be_written && unproven && !MR_PLANTED(recovery_trusts_a_cache_that_lied)
                   ? write_again(segment, *unproven)
                   : Result<void>{};
    };
    while (true) {
        const std::uint64_t position = scan.position();
        auto entry = scan.next();
        const bool at_end = entry && !*entry;
        const auto good = at_end  ? Result<void>{}
                          : entry ? check_entry(**entry, segment)
                                  : Result<void>(entry.error());
        if (!good && good.error().code() != Code::corrupt) {
            return good.error();
        }
        if (at_end || !good) {
            MR_TRY(const bool extended, extend(segment, position));
            if (extended) {
                MR_TRY(const std::uint64_t longer, file->size());
                scan = EntryScan(file, position, longer);
                continue;
            }
        }
        if (at_end) {
            break;
        }
        if (!good) {
            MR_TRY_VOID(cut_damage(segment, position, good.error()));
            MR_TRY_VOID(prove());
            return false;
        }
        report_.scanned_bytes += (*entry)->header.size;
        note_epoch((*entry)->header);
        segment.note((*entry)->header);
        segment.checked().add(position, segment.size());
        s_.end = segment.end();
        if (!unproven && s_.end > input_.recovery_point) {
            unproven = position;
        }
        if ((*entry)->is_batch()) {
            MR_TRY_VOID(s_.note_producer((*entry)->batch(), segment));
        }
    }
    MR_TRY_VOID(prove());
    return true;
}

Result<bool> Recovery::extend(Segment& segment, std::uint64_t position) {
    const std::pair here(segment.base(), position);
    if (!input_.journaled || extended_at_ == here || MR_PLANTED(journal_not_replayed)) {
        return false;  // or what it gave the last time was no entry either
    }
    MR_TRY(const auto file, segment.file());
    std::uint64_t end = position;
    for (const JournaledLog::Piece& piece : input_.journaled->pieces) {
        if (piece.base != segment.base() || piece.position > end || piece.end() <= end) {
            continue;
        }
        Buffer bytes(piece.length);
        MR_TRY(const std::size_t got, piece.journal->read_at(piece.at, bytes));
        if (got != bytes.size()) {
            break;
        }
        const ByteView known = ByteView(bytes).first(end - piece.position);
        if (end == position && !known.empty()) {
            // It has to be the same log up to here: else it is out of date.
            Buffer there(known.size());
            MR_TRY(const std::size_t read, file->read_at(piece.position, there));
            if (read != there.size() || !std::equal(there.begin(), there.end(), known.begin())) {
                continue;
            }
        }
        const ByteView news = ByteView(bytes).subspan(known.size());
        MR_TRY_VOID(file->write_at(end, news));
        report_.replayed_bytes += news.size();
        end = piece.end();
    }
    if (end == position) {
        return false;
    }
    extended_at_ = here;
    return true;
}

/// Every piece was synced, and goes on where the file or another piece ended.
bool Recovery::misses_journaled() const {
    if (!input_.journaled || MR_PLANTED(journal_not_replayed)) {
        return false;
    }
    for (std::size_t i = std::min(first_scanned_, s_.segments.size()); i < s_.segments.size();
         ++i) {
        if (input_.journaled->goes_on(s_.segments[i]->base(), s_.segments[i]->size())) {
            return true;
        }
    }
    return false;
}

Result<void> Recovery::write_again(Segment& segment, std::uint64_t from) {
    MR_TRY(auto file, segment.file());
    Buffer bytes(std::size_t{1} << 20);
    for (std::uint64_t at = from; at < segment.size();) {
        const auto room =
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), segment.size() - at));
        MR_TRY(const std::size_t got, file->read_at(at, MutableBytes(bytes).first(room)));
        if (got == 0) {
            return Error::make(Code::io, "{} ends at {} while it is recovered",
                               segment.log_file().path(), at);
        }
        MR_TRY_VOID(file->write_at(at, ByteView(bytes).first(got)));
        at += got;
    }
    return {};
}

Result<bool> Recovery::holds_batches(Segment& segment, std::uint64_t from) {
    MR_TRY(auto file, segment.file());
    MR_TRY(const std::uint64_t size, file->size());
    constexpr std::size_t piece = std::size_t{1} << 20;
    constexpr std::size_t overlap = record::BatchHeader::size;
    Buffer bytes(piece);
    for (std::uint64_t at = from; at < size; at += piece - overlap) {
        MR_TRY(const std::size_t got, file->read_at(at, bytes));
        for (std::size_t i = 0; i + overlap <= got; ++i) {
            const ByteView here = ByteView(bytes).first(got).subspan(i);
            // Cheap tests first: nearly every position fails them.
            if (here[record::BatchHeader::magic] != std::byte{2}) {
                continue;
            }
            const auto header = parse_entry_header(here, at + i, size);
            if (!header || header->first < s_.end || header->size > quarantine_batch_max) {
                continue;
            }
            EntryScan scan(file, at + i, header->end());
            if (const auto entry = scan.next(); entry && *entry) {
                return true;
            }
        }
    }
    return false;
}

Result<void> Recovery::copy_aside(Segment& segment, std::uint64_t from) {
    const std::string path = s_.file_path(
        fmt::format("{}.{}{}", offset_name(segment.base(), ""), from, suffix::quarantined));
    MR_TRY(auto source, segment.file());
    MR_TRY(auto target, s_.disk().open(path, runtime::OpenMode::create_empty));
    MR_TRY(const std::uint64_t size, source->size());
    Buffer bytes(std::size_t{1} << 20);
    for (std::uint64_t at = from; at < size;) {
        MR_TRY(const std::size_t got, source->read_at(at, bytes));
        MR_TRY_VOID(target->write_at(at - from, ByteView(bytes).first(got)));
        at += got;
    }
    MR_TRY_VOID(target->sync());
    return s_.disk().sync_directory(s_.folder);
}

Result<void> Recovery::cut_damage(Segment& segment, std::uint64_t position, const Error& reason) {
    MR_TRY(auto file, segment.file());
    MR_TRY(const std::uint64_t size, file->size());
    MR_TRY(const bool batches_follow, holds_batches(segment, position + 1));
    if (batches_follow) {
        MR_TRY_VOID(copy_aside(segment, position));
        report_.quarantined = true;
    }
    report_.truncated_bytes += size - position;
    report_.reason =
        fmt::format("{}: {}", offset_name(segment.base(), suffix::log), reason.message());
    MR_TRY_VOID(file->truncate(position));
    return {};
}

Result<void> Recovery::set_aside_from(std::size_t first, std::string_view why) {
    // From the last to the first, as a crash on the way must not leave a gap.
    while (s_.segments.size() > first) {
        Segment& segment = s_.active();
        MR_TRY(auto file, segment.file());
        MR_TRY(const std::uint64_t size, file->size());
        file.reset();
        segment.log_file().close();
        if (size > 0) {
            const std::string path = segment.log_file().path();
            MR_TRY_VOID(s_.disk().rename(path, path + std::string(suffix::quarantined)));
            s_.note_names();
            report_.quarantined = true;
            report_.truncated_bytes += size;
        }
        if (report_.reason.empty()) {
            report_.reason = fmt::format("{}: {}", offset_name(segment.base(), suffix::log), why);
        }
        MR_TRY_VOID(s_.retire_from(s_.segments.size() - 1));
    }
    return {};
}

Result<void> Recovery::settle() {
    report_.end = s_.end;
    report_.lost_synced_data = s_.end < input_.recovery_point;
    if (misses_journaled()) {
        report_.lost_synced_data = true;
        if (report_.reason.empty()) {
            report_.reason = "what was journaled doesn't go on where the log ends";
        }
    }
    s_.start = s_.segments.empty() ? input_.log_start
                                   : std::max(input_.log_start, s_.segments.front()->base());
    s_.start = std::min(s_.start, std::max(s_.end, input_.log_start));
    if (s_.start > s_.end) {
        // What was deleted on request stays deleted, even if nothing is left behind it.
        MR_TRY_VOID(s_.retire_everything());
        s_.end = s_.start;
        s_.epochs.clear();
        s_.epochs_dirty = true;
        s_.producers.clear();
        s_.producers.set_end(s_.end);
        MR_TRY_VOID(s_.start_segment(input_.now));
    }
    if (s_.epochs.truncate_from_end(s_.end)) {
        s_.epochs_dirty = true;
    }
    if (s_.epochs.truncate_from_start(s_.start)) {
        s_.epochs_dirty = true;
    }
    if (!scanned_) {
        MR_TRY_VOID(s_.drop_snapshots_from(s_.end + 1));
        MR_TRY_VOID(s_.rebuild_producers(input_.now));
    }
    MR_TRY_VOID(seal_scanned());
    if (!input_.clean && !s_.segments.empty() && s_.active().base() >= input_.recovery_point &&
        !MR_PLANTED(recovery_trusts_names)) {
        ++s_.names_changed;  // No recorded sync came after it got its name.
    }
    s_.synced_end = scanned_ ? std::min(s_.end, input_.recovery_point) : s_.end;
    s_.recovery_point = s_.synced_end;
    return {};
}

bool Recovery::kept_all_files() const {
    return input_.clean && !scanned_ && !s_.segments.empty() &&
           s_.segments.back()->offset_index().in_memory() == 0;
}

/// Index files for what was scanned. The active segment keeps a small index in memory, as it does
/// while it grows: with that, a log that had recorded all it held costs a start no write at all.
Result<void> Recovery::seal_scanned() {
    constexpr std::size_t small_index = 8192;  // Entries: of some 32 MiB of log.
    const bool nothing_new = report_.truncated_bytes == 0 && report_.replayed_bytes == 0 &&
                             s_.end <= input_.recovery_point;
    for (std::size_t i = 0; i < s_.segments.size(); ++i) {
        const auto& segment = s_.segments[i];
        const std::size_t in_memory = segment->offset_index().in_memory();
        if (in_memory == 0 && i < first_scanned_) {
            continue;
        }
        if (segment == s_.segments.back() && in_memory < small_index) {
            if (!nothing_new) {
                MR_TRY(auto file, segment->file());
                s_.unsynced_files.push_back(std::move(file));
            }
            continue;
        }
        MR_TRY(auto files, segment->seal());
        std::move(files.begin(), files.end(), std::back_inserter(s_.unsynced_files));
    }
    return {};
}

Result<std::unique_ptr<PartitionLog>> PartitionLog::recover(std::shared_ptr<LogDirectory> directory,
                                                            TopicPartition partition,
                                                            const LogLimits& limits,
                                                            const RecoveryInput& input,
                                                            RecoveryReport* report) {
    std::string folder = log_folder_name(partition);
    return recover_folder(std::move(directory), std::move(partition), std::move(folder), limits,
                          input, report);
}

Result<std::unique_ptr<PartitionLog>> PartitionLog::recover_folder(
    std::shared_ptr<LogDirectory> directory, TopicPartition partition, std::string folder,
    const LogLimits& limits, const RecoveryInput& input, RecoveryReport* report) {
    auto state = std::make_unique<LogState>(std::move(directory), std::move(partition), Uuid{},
                                            limits, std::move(folder));
    MR_TRY_VOID(state->usable());
    RecoveryReport unread;
    Recovery recovery(*state, input, report != nullptr ? *report : unread);
    if (const auto done = recovery.run(); !done) {
        return state->directory->note(done.error().with_context(state->partition.to_string()));
    }
    std::unique_ptr<PartitionLog> log(new PartitionLog(std::move(state)));
    LogState& found = *log->state_;
    // What the scan found may lie in the page cache only: after this it survives a power cut. A
    // shortage puts that off, as it does for a log that runs, and synced_end() stays behind.
    const auto synced = MR_PLANTED(recovery_trusts_the_cache) ? Result<void>{} : log->sync_now();
    if (synced) {
        found.synced_end = found.recovery_point = found.end;
        found.durable_size = found.segments.empty() ? 0 : found.active().size();
        if (const auto settled = found.settle_journaled(recovery.has_cut());
            !settled && !runtime::is_shortage(settled.error())) {
            return found.directory->note(settled.error());
        }
    } else if (!runtime::is_shortage(synced.error())) {
        return synced.error();
    }
    if (recovery.kept_all_files() && found.snapshots.contains(found.end)) {
        found.sealed_at = found.end;
    }
    MR_TRY_VOID(log->take_retired().run());
    return log;
}

}  // namespace millrace::storage
