// What a node finds when it starts, and what it makes of it.
#include <algorithm>

#include "raft/internal/control_batch.h"
#include "raft/internal/driver.h"
#include "raft/internal/quorum_state_file.h"
#include "record/batch_view.h"

namespace millrace::raft {

namespace {

constexpr std::uint64_t quorum_state_max = 64 << 10;
constexpr Bytes scan_bytes = 4_MiB;
constexpr std::uint64_t halted_max = 64 << 10;

Result<std::optional<ElectionState>> read_election(runtime::Disk& disk,
                                                   const std::string& directory) {
    const std::string path = directory + "/quorum-state";
    MR_TRY(const bool exists, disk.exists(path));
    if (!exists) {
        return std::optional<ElectionState>();
    }
    MR_TRY(const std::string text, disk.read_whole(path, quorum_state_max));
    auto state = parse_quorum_state(text);
    if (!state) {
        return state.error().with_context(path);
    }
    return std::optional(*std::move(state));
}

/// Whole snapshots by id. Unfinished ones go; damaged ones are set aside under another name.
Result<std::map<SnapshotId, SnapshotSummary>> read_snapshots(runtime::Disk& disk,
                                                             const std::string& directory,
                                                             const Logger& logger) {
    std::map<SnapshotId, SnapshotSummary> snapshots;
    MR_TRY(const auto entries, disk.list(directory));
    for (const runtime::DirectoryEntry& entry : entries) {
        const std::string path = directory + "/" + entry.name;
        if (entry.name.ends_with(".checkpoint.part") ||
            entry.name.ends_with(".checkpoint.deleted")) {
            MR_TRY_VOID(disk.remove(path));
            continue;
        }
        const auto id = parse_snapshot_file_name(entry.name);
        if (!id) {
            continue;
        }
        MR_TRY(const auto file, disk.open(path, runtime::OpenMode::read));
        auto summary = check_snapshot_file(*file);
        if (summary) {
            snapshots.emplace(*id, *std::move(summary));
        } else if (summary.error().code() == Code::corrupt) {
            MR_LOG(logger, error, "raft.snapshot_damaged", field("path", path),
                   field("error", summary.error().to_string()));
            MR_TRY_VOID(disk.rename(path, path + ".damaged"));
        } else {
            return summary.error().with_context(path);
        }
    }
    return snapshots;
}

bool holds(const EpochHistory& epochs, Offset log_end, const SnapshotId& id) {
    return id.end >= epochs.base().end && id.end <= log_end &&
           epochs.epoch_at(id.end - 1) == id.epoch;
}

/// What the batches themselves say, from the snapshot at which the log starts.
struct ScannedLog {
    EpochHistory epochs;
    std::vector<std::pair<Offset, ControlRecord>> control;
};

/// None if the log does not continue the snapshot.
Result<std::optional<ScannedLog>> scan(const ReplicatedLog& log, const SnapshotId& base) {
    ScannedLog scanned;
    std::vector<EpochHistory::Entry> entries;
    QuorumEpoch epoch = base.epoch;
    Offset at = base.end;
    while (at < log.end()) {
        MR_TRY(const Buffer bytes, log.read(at, log.end(), scan_bytes));
        const Offset before = at;
        for (const record::BatchView batch : record::BatchRange{bytes}) {
            MR_TRY_VOID(batch.check());
            const QuorumEpoch next{batch.partition_leader_epoch().value};
            if (batch.base_offset() != at || next < epoch) {
                return std::optional<ScannedLog>();
            }
            entries.push_back({next, at});
            epoch = next;
            at = batch.next_offset();
            if (batch.is_control()) {
                MR_TRY(auto records, read_control_records(batch));
                std::move(records.begin(), records.end(), std::back_inserter(scanned.control));
            }
        }
        if (at == before) {
            return Error::make(Code::corrupt, "the metadata log can't be read at {}", at);
        }
    }
    scanned.epochs = EpochHistory(base, entries);
    return std::optional(std::move(scanned));
}

/// Lets the log start at a snapshot, or anew at the latest one if they don't fit together.
Result<ScannedLog> fit_log_to_snapshots(ReplicatedLog& log,
                                        const std::map<SnapshotId, SnapshotSummary>& snapshots) {
    const auto reached = std::find_if(snapshots.begin(), snapshots.end(), [&](const auto& entry) {
        return entry.first.end >= log.start();
    });
    const bool from_beginning = log.start() == Offset{0};
    const bool can_scan =
        from_beginning || (reached != snapshots.end() && reached->first.end <= log.end());
    if (can_scan) {
        const SnapshotId base = from_beginning ? SnapshotId{} : reached->first;
        MR_TRY(auto scanned, scan(log, base));
        const bool fits = scanned && (snapshots.empty() ||
                                      holds(scanned->epochs, log.end(), snapshots.rbegin()->first));
        if (fits) {
            MR_TRY_VOID(log.advance_start(base.end));
            return *std::move(scanned);
        }
    }
    if (snapshots.empty()) {
        return Error::make(
            Code::corrupt,
            "the metadata log starts at {} and the snapshot before it is gone or damaged: what was "
            "committed there can't be known here; let this node start with an empty directory, as "
            "a "
            "new voter",
            log.start());
    }
    // A crash came between a snapshot's arrival and the log's restart at its end.
    const SnapshotId& latest = snapshots.rbegin()->first;
    MR_TRY_VOID(log.restart_at(latest));
    return ScannedLog{EpochHistory(latest, {}), {}};
}

}  // namespace

std::string halted_remedy(const std::string& directory) {
    return fmt::format(
        "two histories of this cluster exist: a voter's directory was copied, or put back from a "
        "backup. Find the nodes that are wrong and let them start anew with empty directories. If "
        "this node is one of them, empty {0}; if the quorum's history is to win over what this "
        "node holds, remove {0}/{1}",
        directory, halted_name);
}

Result<Recovered> recover(runtime::Disk& disk, const std::string& directory, ReplicatedLog& log,
                          const Logger& logger) {
    const std::string halted = directory + "/" + halted_name;
    MR_TRY(const bool has_halted, disk.exists(halted));
    if (has_halted) {
        MR_TRY(std::string reason, disk.read_whole(halted, halted_max));
        while (reason.ends_with('\n')) {
            reason.pop_back();
        }
        return Error::make(Code::invalid, "{} says why this node stopped: {}. Remedy: {}", halted,
                           reason, halted_remedy(directory));
    }
    Recovered recovered;
    RecoveredState& state = recovered.state;
    MR_TRY(state.election, read_election(disk, directory));
    MR_TRY(recovered.snapshots, read_snapshots(disk, directory, logger));
    MR_LOG(logger, info, "raft.recovered", field("log_start", log.start()),
           field("log_end", log.end()), field("snapshots", recovered.snapshots.size()),
           field("election_epoch", state.election.value_or(ElectionState{}).epoch));
    MR_TRY(auto scanned, fit_log_to_snapshots(log, recovered.snapshots));
    state.epochs = std::move(scanned.epochs);
    if (!recovered.snapshots.empty()) {
        const auto& [id, summary] = *recovered.snapshots.rbegin();
        state.snapshot = id;
        state.voters.reset_to_snapshot(id.end, summary.kraft_version, summary.voters);
    }
    for (const auto& [offset, record] : scanned.control) {
        if (state.snapshot && offset < state.snapshot->end) {
            continue;
        }
        if (const auto* version = std::get_if<KraftVersionChange>(&record)) {
            state.voters.add_kraft_version(offset, version->version);
        } else if (const auto* change = std::get_if<VotersChange>(&record)) {
            state.voters.add_voters(offset, change->voters);
        }
    }
    // What survived a kill may still be in memory only. The core takes all of it for durable.
    MR_TRY_VOID(log.sync_now());
    state.log_end = log.end();
    return recovered;
}

}  // namespace millrace::raft
