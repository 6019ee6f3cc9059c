// tests/sim/systems/device_disk.h
//
// The device of a simulated machine as a recovery would find it, if nothing that was not synced
// survived; and what a recovery would make of it.
#pragma once

#include <string>

#include "model/ids.h"
#include "runtime/sim/sim_disk.h"

namespace millrace::simtest {

/// All that the log holds now would be there after a power cut: in its files, or in the directory's
/// journals and where its files go on.
bool comes_back(runtime::sim::SimDisk& disk, const std::string& directory, Uuid directory_id,
                const TopicPartition& log);

}  // namespace millrace::simtest
