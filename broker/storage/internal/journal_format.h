// storage/internal/journal_format.h
//
// The bytes of a journal: a file of two halves, each a header block and behind it records, every
// one of which begins a block. So no write touches a block that holds an earlier record. A half is
// read from its front as long as checksums hold, its records carry the half's life and their
// sequence ascends: what an earlier use of the half has left behind them is never taken for a
// record of this one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "runtime/disk.h"

namespace millrace::storage {

inline constexpr std::size_t journal_block = 4096;
/// Of one record with all that it holds; a reader believes in none that is larger.
inline constexpr std::size_t journal_record_max = std::size_t{2} << 20;

/// What one log has got into a record: bytes of its active segment.
struct JournalEntry {
    TopicPartition partition;
    Uuid topic_id;
    Offset base;                 ///< Of the segment.
    std::uint64_t position = 0;  ///< In its .log file.
    std::uint32_t length = 0;

    std::uint64_t sequence = 0;  ///< Of its record.
    std::uint64_t at = 0;        ///< Where in the journal its bytes lie.
};

struct JournalHalf {
    std::uint64_t life = 0;
    Uuid directory;  ///< Whose journal it is: one that was copied elsewhere says nothing.
};
Buffer print_journal_half(const JournalHalf& half);
std::optional<JournalHalf> parse_journal_half(ByteView block);

/// Puts a record together, block by block.
class JournalRecord {
public:
    JournalRecord();
    /// How large it would be with one more.
    std::size_t size_with(const JournalEntry& entry) const;
    /// `fill` gets the room for the entry's bytes; false takes the entry out again.
    bool add(const JournalEntry& entry, const std::function<bool(MutableBytes)>& fill);
    std::size_t entries() const { return entries_; }
    /// Whole blocks.
    ByteView finish(std::uint64_t life, std::uint64_t sequence);

private:
    Buffer bytes_;
    std::uint32_t entries_ = 0;
};

/// Every entry of a journal's two halves, the older records of a half first. Errors are the disk's:
/// what is no record ends that half.
Result<std::vector<JournalEntry>> read_journal(const runtime::File& file, Uuid directory);

/// A log is about to lose what it holds from here on, or all of it: what records before this one
/// say of that is void. Kept beside the journals.
struct JournalCut {
    TopicPartition partition;
    bool everything = false;
    Offset base;                 ///< Of the segment that is cut.
    std::uint64_t position = 0;  ///< Where.
    std::uint64_t sequence = 0;
    friend bool operator==(const JournalCut&, const JournalCut&) = default;
};
Buffer print_journal_cuts(const std::vector<JournalCut>& cuts);
Result<std::vector<JournalCut>> parse_journal_cuts(ByteView bytes);

inline constexpr std::string_view journal_prefix = "millrace-journal-";
inline constexpr std::string_view journal_cuts_name = "millrace-journal-cuts";

}  // namespace millrace::storage
