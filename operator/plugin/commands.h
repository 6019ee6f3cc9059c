// operator/plugin/commands.h
//
// The command line of `kubectl millrace`. Pure.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::plugin {

enum class Verb { status, plan, restart, mirror, help, version };

struct Command {
    Verb verb = Verb::help;
    std::string name;  ///< Of the object; empty: all of them.
    std::optional<std::string> space;
    std::string context;
    std::filesystem::path kubeconfig;
    bool all_spaces = false;
    std::optional<std::string> approve;  ///< Hash of the plan that may run; empty: the shown one.
};

Result<Command> parse_command(const std::vector<std::string>& arguments);

extern const char* const usage;

}  // namespace millrace::plugin
