// storage/internal/manifest.h
//
// The file `millrace-manifest` of a log directory: what its logs know of their files, appended
// record by record, each with its checksum, and written anew once most of it is out of date.
//
// It is a cache. It belongs to one recovery-point checkpoint, which it names by its checksum: if
// the checkpoint is another one, somebody else wrote here last (Kafka, a person with a backup), and
// the manifest says nothing. What it says is held against names and sizes before it is believed, so
// a record that a crash has lost, or an older one in its place, costs a scan and no more.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/disk.h"
#include "storage/log_facts.h"

namespace millrace::storage {

/// What a manifest's bytes say.
struct ManifestContents {
    std::map<TopicPartition, LogFacts> logs;
    /// Checksums of the last two checkpoints: the manifest is told first, so a crash may leave the
    /// one before. Zero: none.
    std::array<std::uint32_t, 2> points{};
    std::size_t good_end = 0;  ///< What lies behind is torn.

    bool belongs_to(std::string_view checkpoint) const;
};
ManifestContents parse_manifest(ByteView bytes);

class Manifest {
public:
    Manifest(runtime::Disk& disk, std::string folder);

    /// Nothing if it is absent or damaged from the start.
    Result<ManifestContents> read() const;

    // Blocking; one caller at a time. After an error everything is forgotten: what could not be
    // written might have contradicted what is there.
    Result<void> note(std::span<const LogFacts> logs);
    Result<void> forget(std::span<const TopicPartition> logs);
    /// Before the checkpoint is replaced by one of these bytes.
    Result<void> note_points(std::string_view checkpoint);

private:
    Result<void> append(ByteView records);
    Result<void> try_append(ByteView records);
    Result<void> open();
    Result<void> write_anew(const ManifestContents& contents);

    runtime::Disk& disk_;
    const std::string folder_;
    const std::string path_;
    runtime::FilePtr file_;
    std::uint64_t size_ = 0;
    std::uint64_t written_anew_at_ = 0;  // Once it is larger than that.
    bool given_up_ = false;              // What is there is out of date and would not go.
};

}  // namespace millrace::storage
