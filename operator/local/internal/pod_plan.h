// operator/local/internal/pod_plan.h
//
// How a container becomes a process: program, arguments, environment, files. Pure: reads the store,
// writes nothing. A process has no mounts of its own, so every mount path that an argument, a
// variable or a config map's file names is rewritten to the directory that stands for it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "operator/local/internal/store.h"

namespace millrace::local {

struct PlannedFile {
    std::filesystem::path path;
    std::string text;
    bool secret = false;
};

struct LaunchPlan {
    /// Why it can't start yet, as `state.waiting` says it; empty if it can.
    std::string waiting_reason;
    std::string waiting_message;

    std::vector<std::string> arguments;  ///< Without the program.
    std::map<std::string, std::string> environment;
    std::vector<std::filesystem::path> directories;
    std::vector<PlannedFile> files;
};

LaunchPlan plan_container(const Store& store, const Json& pod, const Json& container,
                          const std::filesystem::path& dir, const std::filesystem::path& program);

}  // namespace millrace::local
