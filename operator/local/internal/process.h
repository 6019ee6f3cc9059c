// operator/local/internal/process.h
//
// Child processes of one long-lived thread: they die with it, however it ends.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"

namespace millrace::local {

struct ProcessStart {
    std::filesystem::path program;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;
    std::filesystem::path directory;
    std::filesystem::path log;
};

struct Process {
    pid_t pid = -1;
    int pidfd = -1;  ///< Readable once it has ended.
};

/// Call always from the same thread: the kernel kills the child when that thread ends.
Result<Process> start_process(const ProcessStart& start);

struct ProcessEnd {
    int exit_code = 0;  ///< 128 + signal if it was killed.
    int signal = 0;
};

/// What became of it; nothing while it runs. Closes the descriptor when it has ended.
std::optional<ProcessEnd> reap(Process& process);

}  // namespace millrace::local
