// app/internal/process.h
//
// What main needs of its surroundings: the command line, the machine, the name of the host.
#pragma once

#include <string>

#include "base/result.h"
#include "config/budget.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "runtime/real/real_node.h"

namespace millrace::app {

struct CommandLine {
    config::Source source;
    bool check_only = false;
    bool show_help = false;
    bool show_version = false;
};

/// Reads the file that --config names, too.
Result<CommandLine> parse_command_line(int argc, char** argv, char** environment);

runtime::RealNodeOptions node_options(const config::Budget& budget, Logger log);

/// Where millrace.log.* says. Lines are counted in `registry`, which must outlive the log.
Result<Logger> make_log(const config::BrokerValues& values, metrics::Registry& registry);

/// A name that others can reach this machine by, as far as it knows itself; else "localhost".
std::string host_name();
/// Whether this name or address leads to one of this machine's own interfaces. Blocks on DNS.
bool is_own_host(const std::string& host);

}  // namespace millrace::app
