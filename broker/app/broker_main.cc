// millrace-broker: the process around one Broker.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "app/broker.h"
#include "app/internal/edge.h"
#include "app/internal/machine.h"
#include "app/internal/process.h"
#include "app/internal/settings.h"
#include "app/internal/supervisor.h"
#include "config/config.h"
#include "runtime/real/real_node.h"
#include "runtime/real/signals.h"

namespace millrace::app {
namespace {

constexpr int exit_bad_config = 2;

constexpr const char* usage =
    "millrace-broker [--config FILE] [--set key=value]... [--check] [--version]\n"
    "\n"
    "  --config FILE    settings in the format of Kafka's server.properties\n"
    "  --set key=value  one setting; wins over the file and the environment\n"
    "  --check          read the settings, say what is wrong, start nothing\n"
    "\n"
    "Environment variables MILLRACE_LOG_DIRS, MILLRACE_NUM_PARTITIONS and so on set log.dirs,\n"
    "num.partitions and so on. Without any setting a broker with a quorum of its own starts in\n"
    "/var/lib/millrace and listens on port 9092.\n"
    "\n"
    "Ends with 0 when it was asked to, with 2 when what it was given can't be (a setting, an\n"
    "address that is taken, a directory that is locked or not its own; nothing is written then),\n"
    "with 1 when a disk or the machine failed.\n";

int run(const config::Loaded& loaded, Beats* beats) {
    auto signals = runtime::Signals::catch_from_here({SIGTERM, SIGINT});
    if (!signals) {
        std::fprintf(stderr, "millrace-broker: %s\n", signals.error().message().c_str());
        return EXIT_FAILURE;
    }
    const auto budget =
        config::make_budget(this_machine(), config::BrokerConfig{loaded.given}.broker());
    if (!budget) {
        std::fprintf(stderr, "millrace-broker: %s\n", budget.error().message().c_str());
        return exit_bad_config;
    }
    const auto given = config::fitted(loaded.given, *budget);
    const config::BrokerConfig config{given};
    const auto registry = std::make_shared<metrics::Registry>();
    auto log = make_log(config.broker(), *registry);
    if (!log) {
        std::fprintf(stderr, "millrace-broker: %s\n", log.error().message().c_str());
        return exit_bad_config;
    }
    const auto request_memory =
        std::make_shared<net::Ledger>(budget->request_bytes + budget->response_bytes);
    auto node = runtime::RealNode::create(node_options(*budget, *std::move(log)));
    if (!node) {
        std::fprintf(stderr, "millrace-broker: %s\n", node.error().message().c_str());
        return EXIT_FAILURE;
    }
    std::promise<int> ended;
    bool ending = false;  // touched on the control loop only
    BrokerOptions options;
    options.given = given;
    options.host_name = host_name();
    options.is_own_host = is_own_host;
    options.registry = registry;
    options.request_memory = request_memory;
    options.max_connections = static_cast<std::int32_t>(budget->connections);
    options.log_files = static_cast<std::size_t>(budget->log_files);
    options.compaction_bytes = static_cast<std::size_t>(budget->compaction_bytes);
    auto broker = Broker::make(std::move(options), **node, [&](const Error& why) {
        if (!std::exchange(ending, true)) {
            const bool is_wrong = why.code() == Code::invalid;
            if (is_wrong) {
                std::fprintf(stderr, "millrace-broker: %s\n", why.message().c_str());
            }
            ended.set_value(is_wrong ? exit_bad_config : EXIT_FAILURE);
        }
    });
    if (!broker) {
        const Error& why = broker.error();
        const bool is_denied =
            why.code() == Code::permission || why.message().ends_with("Permission denied");
        const std::string remedy =
            is_denied ? fmt::format("; this process runs as user {}, who needs that", geteuid())
                      : "";
        std::fprintf(stderr, "millrace-broker: %s%s\n", why.message().c_str(), remedy.c_str());
        return is_denied || why.code() == Code::invalid ? exit_bad_config : EXIT_FAILURE;
    }
    auto edge =
        Edge::start({&config, *budget, MILLRACE_VERSION, registry}, (*broker)->view(), **node);
    if (!edge) {
        (*broker)->give_up();
        std::fprintf(stderr, "millrace-broker: %s\n", edge.error().message().c_str());
        return edge.error().code() == Code::invalid ? exit_bad_config : EXIT_FAILURE;
    }
    const auto delivered = (*signals)->deliver_to(**node, [&](int number) {
        MR_LOG((*node)->log(), info, "broker.stopping", field("signal", number));
        if (!std::exchange(ending, true)) {
            if (beats != nullptr) {
                beats->phase = Beats::Phase::ending;
            }
            (*edge)->set_draining();
            (*broker)->drain([&] { ended.set_value(EXIT_SUCCESS); });
        }
    });
    if (!delivered) {
        std::fprintf(stderr, "millrace-broker: %s\n", delivered.error().message().c_str());
        return EXIT_FAILURE;
    }
    if (beats != nullptr) {
        beat_from(**node, *beats, [&] { return (*broker)->is_ready(); });
    }
    (*node)->start();
    int status = ended.get_future().get();
    (*node)->stop();
    edge->reset();
    signals->reset();
    if (status == EXIT_SUCCESS) {
        if (const auto closed = (*broker)->close(); !closed) {
            std::fprintf(stderr, "millrace-broker: %s\n", closed.error().message().c_str());
            status = EXIT_FAILURE;
        }
    }
    MR_LOG((*node)->log(), info, "broker.stopped", field("status", status));
    broker->reset();
    return status;
}

/// Says what is wrong with the settings; then the broker, under a supervisor if they ask for one.
int run(const CommandLine& line) {
    const config::Loaded loaded = config::load(line.source);
    for (const config::Problem& problem : loaded.warnings) {
        std::fprintf(stderr, "warning: %s\n", problem.to_string().c_str());
    }
    for (const config::Problem& problem : loaded.errors) {
        std::fprintf(stderr, "error: %s\n", problem.to_string().c_str());
    }
    if (!loaded.errors.empty()) {
        return exit_bad_config;
    }
    const config::BrokerConfig config{loaded.given};
    if (const auto checked = check_settings(config.broker()); !checked) {
        std::fprintf(stderr, "error: %s\n", checked.error().message().c_str());
        return exit_bad_config;
    }
    if (line.check_only) {
        std::puts("the settings are in order");
        return EXIT_SUCCESS;
    }
    const std::string supervisor = config.broker().get(config::broker_option::millrace_supervisor);
    if (supervisor == "off") {
        return run(loaded, nullptr);
    }
    return supervise(supervisor == "restart" ? AfterEnd::restart : AfterEnd::exit,
                     SupervisorRules{}, [&](Beats& beats) { return run(loaded, &beats); });
}

}  // namespace
}  // namespace millrace::app

int main(int argc, char** argv) {
    auto line = millrace::app::parse_command_line(argc, argv, environ);
    if (!line) {
        std::fprintf(stderr, "millrace-broker: %s\n", line.error().message().c_str());
        return millrace::app::exit_bad_config;
    }
    if (line->show_help) {
        std::fputs(millrace::app::usage, stdout);
        return 0;
    }
    if (line->show_version) {
        std::puts("millrace-broker " MILLRACE_VERSION);
        return 0;
    }
    return millrace::app::run(*line);
}
