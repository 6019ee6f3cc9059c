// app/internal/identity.h
//
// Which cluster a data directory belongs to, before anything of it is opened.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/disk.h"

namespace millrace::app {

/// cluster.id of the first directory that has a meta.properties; none if all are new.
Result<std::optional<std::string>> cluster_id_on_disk(runtime::Disk& disk,
                                                      const std::vector<std::string>& paths);

}  // namespace millrace::app
