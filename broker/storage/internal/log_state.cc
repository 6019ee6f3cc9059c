#include "storage/internal/log_state.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "record/control.h"
#include "record/record_view.h"
#include "storage/internal/journal_format.h"
#include "storage/internal/producer_snapshot.h"
#include "storage/internal/text_files.h"
#include "storage/journal.h"

namespace millrace::storage {

LogState::LogState(std::shared_ptr<LogDirectory> in, TopicPartition of, Uuid id,
                   const LogLimits& keep, std::string folder_name)
    : directory(std::move(in)),
      partition(std::move(of)),
      topic_id(id),
      limits(keep),
      folder(join_path(directory->path(), folder_name)) {}

Result<void> LogState::usable() const {
    if (failure) {
        return *failure;
    }
    if (directory->failed()) {
        return *directory->failure();
    }
    return {};
}

Result<void> LogState::free_to_cut() const {
    MR_TRY_VOID(usable());
    if (renaming) {
        return Error::make(Code::busy, "{}: compaction renames its files", partition);
    }
    return {};
}

Error LogState::fail(Error error) {
    if (!failure) {
        failure = error.with_context(partition.to_string());
        directory->note(*failure);
    }
    return *failure;
}

std::unique_ptr<Segment> LogState::make_segment(Offset base) const {
    return std::make_unique<Segment>(directory->files(), folder, base, limits.index_interval);
}

std::size_t LogState::segment_index(Offset offset) const {
    const auto after = std::upper_bound(
        segments.begin(), segments.end(), offset,
        [](Offset at, const std::unique_ptr<Segment>& segment) { return at < segment->base(); });
    return after == segments.begin() ? 0 : static_cast<std::size_t>(after - segments.begin()) - 1;
}

Result<void> LogState::write_topic_id() {
    const std::string path = file_path(partition_metadata_name);
    MR_TRY(auto file, disk().open(path, runtime::OpenMode::create_empty));
    MR_TRY_VOID(file->write_at(0, as_bytes(print_partition_metadata(topic_id))));
    unsynced_files.push_back(std::move(file));
    note_names();
    return {};
}

void LogState::note_names() {
    unsynced_directories.insert(folder);
    ++names_changed;
    ++facts_changed;
}

void LogState::forget_tail() {
    tail_written.reset();
    tail_syncing.reset();
    tail.reset();
    ++facts_changed;
}

Result<void> LogState::sync_names() {
    if (names_are_durable()) {
        return {};
    }
    MR_TRY_VOID(disk().sync_directory(folder));
    MR_TRY_VOID(disk().sync_directory(directory->path()));
    names_synced = names_changed;
    return {};
}

Result<void> LogState::ensure_folder() {
    if (!folder_exists) {
        MR_TRY_VOID(directory->forget_gone(partition));
        MR_TRY_VOID(forget_journaled());
        MR_TRY_VOID(disk().create_directories(folder));
        MR_TRY(const auto entries, disk().list(folder));
        if (!entries.empty()) {
            return Error::make(Code::exists, "{} holds a log that was not opened", folder);
        }
        folder_exists = true;
        unsynced_directories.insert(directory->path());
        identity_unwritten = !topic_id.is_zero();
    }
    if (identity_unwritten) {
        MR_TRY_VOID(write_topic_id());
        identity_unwritten = false;
    }
    return {};
}

Result<void> LogState::write_snapshot(Offset at) {
    MR_TRY(auto file, disk().open(file_path(offset_name(at, suffix::snapshot)),
                                  runtime::OpenMode::create_empty));
    MR_TRY_VOID(file->write_at(0, ByteView(encode_producer_snapshot(producers))));
    snapshots.insert(at);
    unsynced_files.push_back(std::move(file));
    note_names();
    return {};
}

Result<void> LogState::drop_snapshots_from(Offset end) {
    while (!snapshots.empty() && *snapshots.rbegin() >= end) {
        MR_TRY_VOID(retire_file(file_path(offset_name(*snapshots.rbegin(), suffix::snapshot))));
        snapshots.erase(std::prev(snapshots.end()));
    }
    return {};
}

Result<void> LogState::drop_snapshots_between(Offset above, Offset below) {
    for (auto at = snapshots.upper_bound(above); at != snapshots.end() && *at < below;) {
        MR_TRY_VOID(retire_file(file_path(offset_name(*at, suffix::snapshot))));
        at = snapshots.erase(at);
    }
    return {};
}

Result<void> LogState::start_segment(Timestamp now) {
    MR_TRY_VOID(ensure_folder());
    if (!segments.empty()) {
        // No segment's name may be on the disk before the one in front of it, nor may what that one
        // was cut of come back.
        MR_TRY_VOID(sync_names());
        if (cut_unsynced || (syncing_to && cut_syncing)) {
            MR_TRY(const auto file, active().file());
            MR_TRY_VOID(file->sync());
            cut_unsynced = false;
        }
        MR_TRY(auto files, active().seal());
        std::move(files.begin(), files.end(), std::back_inserter(unsynced_files));
        producers.set_end(end);
        MR_TRY_VOID(write_snapshot(end));
        MR_TRY_VOID(drop_snapshots_between(active().base(), end));
        forget_tail();
    }
    auto segment = make_segment(end);
    MR_TRY(auto file, segment->create());
    note_names();
    unsynced_files.push_back(std::move(file));
    segment->touch(now);
    segments.push_back(std::move(segment));
    active_unsynced = false;
    active_unfiled = false;  // The sealed file is among those that the next sync covers.
    durable_size = 0;
    active_file.reset();
    written_back = 0;
    sealed_at.reset();
    return {};
}

Result<ProducerFacts> producer_facts(const record::BatchView& batch) {
    ProducerFacts facts;
    if (!batch.has_producer_id()) {
        return facts;
    }
    if (!batch.is_control()) {
        facts.batch = ProducerBatch{.producer = batch.producer_id(),
                                    .epoch = batch.producer_epoch(),
                                    .first_sequence = batch.base_sequence(),
                                    .last_sequence = batch.last_sequence(),
                                    .first_offset = batch.base_offset(),
                                    .last_offset = batch.last_offset(),
                                    .max_timestamp = Timestamp{batch.max_timestamp()},
                                    .transactional = batch.is_transactional()};
        return facts;
    }
    record::RecordReader reader(batch);
    record::RecordView marker_record;
    if (batch.record_count() == 0) {
        return facts;  // Compaction took the marker and kept the batch for its offset.
    }
    if (!reader.next(marker_record)) {
        MR_TRY_VOID(reader.status());
        return facts;
    }
    MR_TRY(const auto marker, record::parse_end_transaction(marker_record));
    facts.marker =
        TransactionMarker{.producer = batch.producer_id(),
                          .epoch = batch.producer_epoch(),
                          .coordinator_epoch = marker.coordinator_epoch,
                          .commit = marker.type == record::ControlType::commit,
                          .offset = record::offset_of(batch, marker_record),
                          .timestamp = Timestamp{record::timestamp_of(batch, marker_record)}};
    return facts;
}

Result<void> LogState::note_producer(const record::BatchView& batch, Segment& segment) {
    MR_TRY(const ProducerFacts facts, producer_facts(batch));
    if (facts.batch) {
        producers.apply(*facts.batch);
    }
    if (facts.marker) {
        const auto completed = producers.apply(*facts.marker);
        if (completed && completed->aborted) {
            MR_TRY(auto file,
                   segment.transactions().append({completed->producer, completed->first_offset,
                                                  completed->last_offset,
                                                  producers.last_stable_after(*completed)}));
            unsynced_files.push_back(std::move(file));
            note_names();
        }
    }
    producers.set_end(batch.next_offset());
    return {};
}

Result<void> LogState::rebuild_producers(Timestamp now) {
    producers.clear();
    Offset from = start;
    while (!snapshots.empty()) {
        const Offset newest = *snapshots.rbegin();
        const std::string path = file_path(offset_name(newest, suffix::snapshot));
        constexpr std::uint64_t largest = std::uint64_t{1} << 30;
        const auto bytes = disk().read_whole(path, largest);
        const auto good = bytes ? decode_producer_snapshot(as_bytes(*bytes), now,
                                                           limits.producer_expiry, producers)
                                : Result<void>(bytes.error());
        if (good) {
            from = std::max(from, newest);
            break;
        }
        MR_LOG(directory->log(), warn, "storage.snapshot_dropped", field("path", path),
               field("reason", good.error().message()));
        MR_TRY_VOID(retire_file(path));
        snapshots.erase(newest);
    }
    producers.set_end(from);
    for (std::size_t i = segment_index(from); i < segments.size(); ++i) {
        MR_TRY_VOID(replay_producers(*segments[i], from));
    }
    producers.set_end(end);
    producers.expire(now, limits.producer_expiry);
    return {};
}

Result<void> LogState::replay_producers(Segment& segment, Offset from) {
    MR_TRY(const auto first, segment.find(from));
    if (!first) {
        return {};
    }
    MR_TRY(auto file, segment.file());
    EntryScan scan(std::move(file), first->position, segment.size());
    while (true) {
        auto entry = scan.next();
        if (!entry) {
            return entry.error().with_context(segment.log_file().path());
        }
        if (!*entry) {
            return {};
        }
        if ((*entry)->is_batch()) {
            MR_TRY(const ProducerFacts facts, producer_facts((*entry)->batch()));
            if (facts.batch) {
                producers.apply(*facts.batch);
            }
            if (facts.marker) {
                producers.apply(*facts.marker);
            }
        }
    }
}

Result<void> LogState::retire_file(const std::string& path) {
    std::string name = path + std::string(suffix::deleted);
    const auto renamed = disk().rename(path, name);
    if (!renamed) {
        // Index files appear with sealing only, transaction indexes with the first abort.
        return renamed.error().code() == Code::not_found ? Result<void>{} : renamed;
    }
    retired.push_back(std::move(name));
    note_names();
    return {};
}

Result<void> LogState::lower_recovery_point(Offset cut_at, Offset segment_base) {
    if (cut_at >= recovery_point) {
        return {};  // What is recorded never lies above that.
    }
    point_lowered = true;  // Even if the file could not be written: the next sync lifts it again.
    return directory->lower_recovery_point(partition, segment_base);
}

Result<void> LogState::cut_journaled(Offset segment_base, std::uint64_t position) {
    if (part_is_void) {
        part_is_void->store(true);
    }
    return directory->journals().cut(
        {.partition = partition, .base = segment_base, .position = position});
}

Result<void> LogState::forget_journaled() {
    if (part_is_void) {
        part_is_void->store(true);
    }
    return directory->journals().forget(partition);
}

Result<void> LogState::settle_journaled(bool was_cut) {
    if (folder != join_path(directory->path(), log_folder_name(partition))) {
        return {};  // a copy that is on its way
    }
    if (was_cut) {
        MR_TRY_VOID(forget_journaled());
    }
    return directory->journals().settle(partition);
}

bool LogState::needs_files() const {
    return !unsynced_files.empty() || !unsynced_directories.empty() || !names_are_durable() ||
           cut_unsynced || point_lowered || tail_written || segments.empty() || !folder_exists ||
           identity_unwritten || folder != join_path(directory->path(), log_folder_name(partition));
}

void LogState::lower_syncs(Offset end) {
    for (std::optional<Offset>* to : {&syncing_to, &filing_to}) {
        if (*to) {
            *to = std::min(**to, end);
        }
    }
}

std::optional<JournalPart> LogState::journal_part() {
    if (needs_files() || active().size() < durable_size) {
        return std::nullopt;
    }
    JournalPart part{.partition = partition,
                     .topic_id = topic_id,
                     .base = active().base(),
                     .position = durable_size,
                     .length = active_unsynced ? active().size() - durable_size : 0,
                     .file = active_file};
    if (part.length > journal_entry_max) {
        return std::nullopt;
    }
    part_is_void = std::make_shared<std::atomic<bool>>(false);
    part.is_void = part_is_void;
    return part;
}

Result<void> LogState::retire_files_of(const Segment& segment) {
    for (const std::string& path : segment.paths()) {
        MR_TRY_VOID(retire_file(path));
    }
    if (snapshots.erase(segment.base()) > 0) {
        MR_TRY_VOID(retire_file(file_path(offset_name(segment.base(), suffix::snapshot))));
    }
    return {};
}

Result<void> LogState::retire_first() {
    MR_TRY_VOID(retire_files_of(*segments.front()));
    segments.erase(segments.begin());
    return {};
}

Result<void> LogState::retire_below_start() {
    const bool below = segments.size() > 1 && segments[1]->base() <= start;
    return below && names_are_durable() && !renaming ? retire_first() : Result<void>{};
}

Result<void> LogState::retire_from(std::size_t keep) {
    while (segments.size() > keep) {
        MR_TRY_VOID(retire_files_of(active()));
        segments.pop_back();
        MR_TRY_VOID(sync_names());
    }
    return {};
}

Result<bool> LogState::folder_is_shared() const {
    if (!folder_exists) {
        return false;
    }
    MR_TRY(const auto entries, disk().list(folder));
    return std::any_of(entries.begin(), entries.end(), [](const runtime::DirectoryEntry& entry) {
        // The quorum keeps its vote and its snapshots in the folder of its log; what was set aside
        // before a cut is there for a person.
        return entry.name == "quorum-state" || entry.name.ends_with(".checkpoint") ||
               entry.name.ends_with(suffix::quarantined);
    });
}

Result<void> LogState::retire_everything() {
    MR_TRY(const bool shared, folder_is_shared());
    if (shared) {
        // What is not the log's stays where it is: segments go one by one, the last one first, so
        // that a crash leaves a beginning.
        MR_TRY_VOID(retire_from(0));
        active_file.reset();
        active_unsynced = active_unfiled = false;
        for (const Offset snapshot : std::exchange(snapshots, {})) {
            MR_TRY_VOID(retire_file(file_path(offset_name(snapshot, suffix::snapshot))));
        }
        return sync_names();
    }
    segments.clear();
    snapshots.clear();
    active_file.reset();
    active_unsynced = active_unfiled = epochs_unfiled = false;
    if (!folder_exists) {
        return {};
    }
    MR_TRY(std::string away, directory->free_name_for_deleted(partition));
    MR_TRY_VOID(disk().rename(folder, away));
    retired_folders.push_back(std::move(away));
    unsynced_directories.erase(folder);
    unsynced_directories.insert(directory->path());
    folder_exists = false;
    return {};
}

}  // namespace millrace::storage
