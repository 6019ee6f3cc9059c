// raft/storage_log.h
//
// The quorum's log over storage/: Kafka's segment files in `__cluster_metadata-0`.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "raft/replicated_log.h"
#include "runtime/node.h"

namespace millrace::storage {
class LogDirectory;
}

namespace millrace::raft {

/// The folder's name below the log directory; it also holds quorum-state and the snapshots.
inline constexpr const char* metadata_folder = "__cluster_metadata-0";

/// Recovers the log, making the folder if there is none. Blocking: before the loop runs. `node`
/// must outlive the log.
Result<std::unique_ptr<ReplicatedLog>> open_storage_log(
    std::shared_ptr<storage::LogDirectory> directory, runtime::Node& node,
    Bytes segment_bytes = 64_MiB);

}  // namespace millrace::raft
