#include "app/internal/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <netdb.h>
#include <sstream>
#include <string_view>
#include <thread>
#include <unistd.h>

#include "runtime/real/stderr_log.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

Result<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return Error::make(Code::invalid, "--config {}: {}", path, std::strerror(errno));
    }
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Level level_named(std::string_view name) {
    for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
        if (to_string(level) == name) {
            return level;
        }
    }
    return Level::info;
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, char** argv, char** environment) {
    CommandLine line;
    for (char** entry = environment; *entry != nullptr; ++entry) {
        if (std::string_view(*entry).starts_with("MILLRACE_")) {
            line.source.environment.emplace_back(*entry);
        }
    }
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool takes_value = word == "--config" || word == "--set";
        if (takes_value && i + 1 == argc) {
            return Error::make(Code::invalid, "{} needs a value", word);
        }
        if (word == "--config") {
            line.source.file_name = argv[++i];
            MR_TRY(line.source.text, read_file(line.source.file_name));
        } else if (word == "--set") {
            line.source.command_line.emplace_back(argv[++i]);
        } else if (word == "--check") {
            line.check_only = true;
        } else if (word == "--help" || word == "-h") {
            line.show_help = true;
        } else if (word == "--version") {
            line.show_version = true;
        } else {
            return Error::make(Code::invalid, "unknown argument {}", word);
        }
    }
    return line;
}

runtime::RealNodeOptions node_options(const config::BrokerValues& values) {
    runtime::RealNodeOptions options;
    const auto asked = static_cast<std::size_t>(values.get(option::millrace_data_shards));
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    options.data_shards = asked > 0 ? asked : std::max<std::size_t>(1, cores - 1);
    if (const auto threads = values.get(option::millrace_disk_threads); threads > 0) {
        options.disk_threads = static_cast<unsigned>(threads);
    }
    options.log = Logger(std::make_shared<runtime::DescriptorLogSink>(),
                         level_named(values.get(option::millrace_log_level)));
    return options;
}

std::string host_name() {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) {
        return "localhost";
    }
    addrinfo* found = nullptr;
    if (getaddrinfo(name.data(), nullptr, nullptr, &found) != 0) {
        return "localhost";
    }
    freeaddrinfo(found);
    return name.data();
}

}  // namespace millrace::app
