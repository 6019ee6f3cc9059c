// app/internal/identity.h
//
// Which cluster a data directory belongs to and how that is to begin, before anything of it is
// opened.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/disk.h"

namespace millrace::app {

/// cluster.id of the first directory that has a meta.properties; none if all are new.
Result<std::optional<std::string>> cluster_id_on_disk(runtime::Disk& disk,
                                                      const std::vector<std::string>& paths);

/// Nobody has put anything into these directories but a start that found no cluster to join: no
/// log, no record of the metadata, no `kafka-storage format`. What can't be read holds something.
bool hold_nothing(runtime::Disk& disk, const std::vector<std::string>& paths);

/// There is neither a record of the metadata nor a snapshot of it. One that can't be read has some.
bool lacks_metadata(runtime::Disk& disk, const std::string& path);
/// The name of any partition's log in that directory; empty: it has none, or can't be read.
std::string a_log_in(runtime::Disk& disk, const std::string& path);

/// The features that `kafka-storage format` was asked for; none of a directory that we format.
Result<std::map<std::string, std::int16_t, std::less<>>> formatted_features(
    runtime::Disk& disk, const std::string& metadata_path);

}  // namespace millrace::app
