// operator/app/options.h
//
// What millrace-operator is started with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "operator/app/operator.h"

namespace millrace::op {

struct CommandLine {
    std::filesystem::path local;   ///< Not empty: without Kubernetes, everything below it.
    std::filesystem::path broker;  ///< In local mode: the broker's program.
    std::vector<std::filesystem::path> manifests;
    std::filesystem::path kubeconfig;  ///< Else $KUBECONFIG, else from inside a pod.
    std::string context;
    std::uint16_t port = 0;  ///< Of local mode's API server.
    bool once = false;
    bool dry_run = false;
    bool help = false;
    bool version = false;
    std::string image = "millrace/millrace:{version}";
    std::vector<std::string> pull_secrets;
    bool platform_ids = false;
    std::string cluster_domain = "cluster.local";
    std::vector<std::string> spaces;  ///< Empty: the context's or the pod's own.
    bool all_spaces = false;
    bool reads_nodes = false;
    std::string log_level = "info";
    std::filesystem::path log_file;  ///< Empty: standard error.
    std::string identity;
    std::string metrics_listener;  ///< "host:port"; empty: none.
};

Result<CommandLine> parse_command_line(int argc, char** argv);
extern const char* const usage;

}  // namespace millrace::op
