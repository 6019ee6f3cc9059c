// millrace-local: the API server and the process runner of local mode without the operator.
//   millrace-local --dir DIR --broker PROGRAM [--crds DIR] [--port N]
#include <cstdlib>
#include <fmt/core.h>
#include <signal.h>
#include <string_view>
#include <unistd.h>

#include "operator/local/local_cluster.h"
#include "runtime/real/stderr_log.h"

namespace {

using millrace::local::LocalCluster;
using millrace::local::LocalOptions;

bool parse(int argc, char** argv, LocalOptions& options) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        if (name == "--dir") {
            options.dir = argv[i + 1];
        } else if (name == "--broker") {
            options.broker_binary = argv[i + 1];
        } else if (name == "--crds") {
            options.crds_dir = argv[i + 1];
        } else if (name == "--port") {
            options.port = static_cast<std::uint16_t>(std::atoi(argv[i + 1]));
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && !options.dir.empty();
}

}  // namespace

int main(int argc, char** argv) {
    LocalOptions options;
    if (!parse(argc, argv, options)) {
        fmt::print(stderr,
                   "usage: millrace-local --dir DIR [--broker PROGRAM] [--crds DIR] [--port N]\n");
        return 2;
    }
    // Blocked before any thread exists, so that only sigwait() below sees them.
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    signal(SIGPIPE, SIG_IGN);
    options.log = millrace::Logger(std::make_shared<millrace::runtime::DescriptorLogSink>());
    auto cluster = LocalCluster::start(std::move(options));
    if (!cluster) {
        fmt::print(stderr, "millrace-local: {}\n", cluster.error().message());
        return 1;
    }
    fmt::print("export KUBECONFIG={}\n", (*cluster)->kubeconfig().string());
    std::fflush(stdout);
    int signal_number = 0;
    sigwait(&stops, &signal_number);
    (*cluster)->stop(std::chrono::seconds(30));
    std::fflush(nullptr);
    ::_exit(0);  // The door is the kernel's to close.
}
