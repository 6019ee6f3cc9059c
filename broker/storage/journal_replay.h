// storage/journal_replay.h
//
// What the journals of a directory say that a crash may have kept from the log files. Read before
// any log is opened; each log's recovery takes what is its own, where its file ends or is torn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "runtime/disk.h"

namespace millrace::storage {

struct JournalEntry;
struct JournalCut;

/// Of one log, in the order in which it was written.
struct JournaledLog {
    struct Piece {
        runtime::FilePtr journal;
        std::uint64_t at = 0;        ///< In the journal.
        Offset base;                 ///< Of the segment.
        std::uint64_t position = 0;  ///< In the segment's file.
        std::uint32_t length = 0;

        std::uint64_t end() const { return position + length; }
    };
    Uuid topic_id;
    std::vector<Piece> pieces;

    /// Its segment at `base` went on behind `position`.
    bool goes_on(Offset base, std::uint64_t position) const;
};

class JournalReplay {
public:
    /// Reads what is there. Memory: some bytes an entry, and one record.
    static Result<JournalReplay> read(runtime::Disk& disk, const std::string& folder,
                                      Uuid directory);

    /// Null if nothing of it was journaled.
    std::shared_ptr<const JournaledLog> log(const TopicPartition& partition) const;
    /// Whom the files name at all, also where a cut has left nothing.
    const std::map<TopicPartition, std::shared_ptr<JournaledLog>>& logs() const { return logs_; }
    std::uint64_t last_sequence() const { return last_sequence_; }
    std::vector<JournalCut> cuts() const;

private:
    void take(JournalEntry entry, const runtime::FilePtr& journal);
    void apply(const JournalCut& cut);

    std::map<TopicPartition, std::shared_ptr<JournaledLog>> logs_;
    std::shared_ptr<const std::vector<JournalCut>> cuts_;
    std::uint64_t last_sequence_ = 0;
};

}  // namespace millrace::storage
