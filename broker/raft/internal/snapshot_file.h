// raft/internal/snapshot_file.h
//
// Snapshots of the metadata as Kafka lays them out: `<end>-<epoch>.checkpoint`, record batches from
// offset 0, the first with the header and the voters, the last with the footer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "raft/epoch_history.h"
#include "raft/state_listener.h"
#include "raft/voter_set.h"
#include "record/batch_view.h"
#include "runtime/disk.h"

namespace millrace::raft {

/// "00000000000000000042-0000000003.checkpoint".
std::string snapshot_file_name(const SnapshotId& id);
std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name);

struct SnapshotSummary {
    Timestamp last_contained_log_time;
    std::int16_t kraft_version = 0;
    std::optional<VoterSet> voters;
    std::uint64_t size = 0;
};

/// Takes a snapshot's batches in order and says whether together they are a whole one. Pure.
class SnapshotChecker {
public:
    Result<void> add(const record::BatchView& batch);
    Result<SnapshotSummary> finish() const;

private:
    SnapshotSummary summary_;
    Offset next_{0};
    bool has_header_ = false;
    bool has_footer_ = false;
};

/// Reads the whole file and every checksum. Blocking: in the disk pool or before the loop runs.
Result<SnapshotSummary> check_snapshot_file(const runtime::File& file);

/// For a file that passed check_snapshot_file().
std::unique_ptr<SnapshotReader> open_snapshot(runtime::FilePtr file, const SnapshotId& id,
                                              Timestamp last_contained_log_time);

/// The first and the last batch of a snapshot.
Buffer snapshot_header_batch(const SnapshotId& id, Timestamp last_contained_log_time,
                             std::int16_t kraft_version, const std::optional<VoterSet>& voters,
                             Timestamp now);
Buffer snapshot_footer_batch(const SnapshotId& id, Offset base, Timestamp now);

}  // namespace millrace::raft
