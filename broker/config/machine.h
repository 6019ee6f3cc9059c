// config/machine.h
//
// What the machine allows this process: read once at the start. The reading of files is given in,
// so that a test can be any machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace millrace::config {

struct MachineFacts {
    int cores = 1;                                   ///< That this process may run on.
    std::optional<double> core_quota;                ///< Of the control group: 1.5 cores.
    std::int64_t memory_bytes = 0;                   ///< Of the machine.
    std::optional<std::int64_t> group_memory_bytes;  ///< Limit of the control group.
    std::int64_t open_files = 1024;                  ///< RLIMIT_NOFILE.
};

/// The file's text, or none.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

/// `cores` and `open_files` come from system calls; the rest from /proc and /sys/fs/cgroup, version
/// 2 or 1, with the limits of all parent groups.
MachineFacts read_machine(const ReadFile& read, int cores, std::int64_t open_files);

}  // namespace millrace::config
