// storage/internal/segment_writer.h
//
// Writes a whole new segment beside the log's, as `.cleaned`: batches in order, then indexes, all
// synced. Blocking; for compaction.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "storage/internal/index_rule.h"
#include "storage/producer_state.h"

namespace millrace::storage {

class SegmentWriter {
public:
    SegmentWriter(runtime::Disk& disk, std::string folder, Offset base, Bytes index_interval);

    Result<void> append(const record::BatchView& batch);
    void append_aborted(const std::vector<AbortedTransaction>& transactions);
    /// Writes the rest and the indexes, syncs everything but the directory.
    Result<void> finish();
    /// Removes what was written.
    Result<void> discard();

    Offset base() const { return base_; }
    std::uint64_t size() const { return size_; }
    Offset end() const { return end_; }
    std::size_t offset_entries() const { return offsets_.size(); }
    std::size_t time_entries() const { return times_.size(); }
    TimeEntry last_time() const { return times_.empty() ? TimeEntry{} : times_.back(); }
    bool has_aborted() const { return !aborted_.empty(); }
    /// Without `.cleaned`; of the files that exist.
    std::vector<std::string> paths() const;

private:
    std::string path(std::string_view suffix) const;
    Result<void> flush();
    Result<void> write_file(std::string_view suffix, ByteView bytes);

    runtime::Disk& disk_;
    const std::string folder_;
    const Offset base_;
    IndexRule rule_;
    runtime::FilePtr file_;
    Buffer pending_;
    std::uint64_t written_ = 0;
    std::uint64_t size_ = 0;
    Offset end_;
    std::vector<OffsetEntry> offsets_;
    std::vector<TimeEntry> times_;
    std::vector<AbortedTransaction> aborted_;
};

}  // namespace millrace::storage
