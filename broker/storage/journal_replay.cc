#include "storage/journal_replay.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "storage/internal/journal_format.h"
#include "storage/internal/log_names.h"

namespace millrace::storage {

namespace {

constexpr std::uint64_t cuts_max = std::uint64_t{64} << 20;

}  // namespace

bool JournaledLog::goes_on(Offset base, std::uint64_t position) const {
    return std::any_of(pieces.begin(), pieces.end(), [&](const Piece& piece) {
        return piece.base == base && piece.end() > position;
    });
}

Result<JournalReplay> JournalReplay::read(runtime::Disk& disk, const std::string& folder,
                                          Uuid directory) {
    JournalReplay replay;
    MR_TRY(const auto found, disk.list(folder));
    struct Found {
        JournalEntry entry;
        runtime::FilePtr journal;
    };
    std::vector<Found> entries;
    std::vector<JournalCut> cuts;
    for (const runtime::DirectoryEntry& one : found) {
        if (one.is_directory || !one.name.starts_with(journal_prefix)) {
            continue;
        }
        const std::string path = join_path(folder, one.name);
        if (one.name == journal_cuts_name) {
            MR_TRY(const std::string bytes, disk.read_whole(path, cuts_max));
            // Written as a whole: damage is rot. What the files say then still has to continue
            // them.
            if (auto parsed = parse_journal_cuts(as_bytes(bytes))) {
                cuts = *std::move(parsed);
            }
            continue;
        }
        MR_TRY(runtime::FilePtr file, disk.open(path, runtime::OpenMode::read));
        MR_TRY(auto read, read_journal(*file, directory));
        for (JournalEntry& entry : read) {
            entries.push_back({std::move(entry), file});
        }
    }
    std::sort(entries.begin(), entries.end(), [](const Found& a, const Found& b) {
        return std::tie(a.entry.sequence, a.entry.at) < std::tie(b.entry.sequence, b.entry.at);
    });
    std::sort(cuts.begin(), cuts.end(),
              [](const JournalCut& a, const JournalCut& b) { return a.sequence < b.sequence; });
    auto cut = cuts.begin();
    for (Found& one : entries) {
        for (; cut != cuts.end() && cut->sequence < one.entry.sequence; ++cut) {
            replay.apply(*cut);
        }
        replay.last_sequence_ = std::max(replay.last_sequence_, one.entry.sequence);
        replay.take(std::move(one.entry), one.journal);
    }
    for (; cut != cuts.end(); ++cut) {
        replay.apply(*cut);
    }
    for (const JournalCut& one : cuts) {
        replay.last_sequence_ = std::max(replay.last_sequence_, one.sequence);
    }
    replay.cuts_ = std::make_shared<const std::vector<JournalCut>>(std::move(cuts));
    return replay;
}

void JournalReplay::take(JournalEntry entry, const runtime::FilePtr& journal) {
    auto& log = logs_[entry.partition];
    if (!log || log->topic_id != entry.topic_id) {
        log = std::make_shared<JournaledLog>();  // another topic of that name, a later one
        log->topic_id = entry.topic_id;
    }
    log->pieces.push_back({journal, entry.at, entry.base, entry.position, entry.length});
}

void JournalReplay::apply(const JournalCut& cut) {
    const auto found = logs_.find(cut.partition);
    if (found == logs_.end()) {
        return;
    }
    JournaledLog& log = *found->second;
    if (cut.everything) {
        log.pieces.clear();
        return;
    }
    std::erase_if(log.pieces, [&](const JournaledLog::Piece& piece) {
        return piece.base > cut.base || (piece.base == cut.base && piece.position >= cut.position);
    });
    for (JournaledLog::Piece& piece : log.pieces) {
        if (piece.base == cut.base && piece.end() > cut.position) {
            piece.length = static_cast<std::uint32_t>(cut.position - piece.position);
        }
    }
}

std::shared_ptr<const JournaledLog> JournalReplay::log(const TopicPartition& partition) const {
    const auto found = logs_.find(partition);
    return found == logs_.end() ? nullptr : found->second;
}

std::vector<JournalCut> JournalReplay::cuts() const {
    return cuts_ ? *cuts_ : std::vector<JournalCut>{};
}

}  // namespace millrace::storage
