#include "app/internal/process.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <ifaddrs.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <set>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "metrics/log_sink.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

Result<std::string> read_file(const std::string& path) {
    constexpr std::size_t largest = 1 << 20;
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text(largest + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    // A folder opens, and fails at the first read.
    if (!file.is_open() || file.bad()) {
        return Error::make(Code::invalid, "--config {}: {}", path, std::strerror(errno));
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > largest) {
        return Error::make(Code::invalid, "--config {}: more than {} bytes are no settings", path,
                           largest);
    }
    return text;
}

Level level_named(std::string_view name) {
    for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
        if (to_string(level) == name) {
            return level;
        }
    }
    return Level::info;
}

/// The log is written from every thread; cells have one writer, so it counts by itself.
struct LineCounts {
    std::array<std::atomic<std::uint64_t>, 4> lines{};
    std::atomic<std::uint64_t> suppressed{0};

    void count(Level level, bool is_suppressed) {
        (is_suppressed ? suppressed : lines[static_cast<std::size_t>(level)])
            .fetch_add(1, std::memory_order_relaxed);
    }
    void publish(metrics::Registry& to) const {
        std::vector<metrics::Sample> samples;
        for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
            samples.push_back({{std::string(to_string(level))},
                               static_cast<double>(lines[static_cast<std::size_t>(level)].load())});
        }
        to.publish(metrics::metric::log_lines, "log", std::move(samples));
        to.publish(metrics::metric::log_lines_suppressed, "log",
                   {{{}, static_cast<double>(suppressed.load())}});
    }
};

}  // namespace

Result<CommandLine> parse_command_line(int argc, char** argv, char** environment) {
    CommandLine line;
    for (char** entry = environment; *entry != nullptr; ++entry) {
        if (std::string_view(*entry).starts_with("MILLRACE_")) {
            line.source.environment.emplace_back(*entry);
        }
    }
    bool has_file = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool takes_value = word == "--config" || word == "--set";
        if (takes_value && i + 1 == argc) {
            return Error::make(Code::invalid, "{} needs a value (see --help)", word);
        }
        if (word == "--config") {
            if (std::exchange(has_file, true)) {
                return Error::make(Code::invalid, "--config is given twice: {} and {}",
                                   line.source.file_name, argv[i + 1]);
            }
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
            return word.starts_with('-')
                       ? Error::make(Code::invalid, "unknown argument {} (see --help)", word)
                       : Error::make(Code::invalid,
                                     "unknown argument {}: settings in a file are --config {}, one "
                                     "alone is --set key=value (see --help)",
                                     word, word);
        }
    }
    return line;
}

runtime::RealNodeOptions node_options(const config::Budget& budget, Logger log) {
    runtime::RealNodeOptions options;
    options.data_shards = static_cast<std::size_t>(budget.data_shards);
    options.disk_threads = static_cast<unsigned>(budget.disk_threads);
    options.log = std::move(log);
    return options;
}

Result<Logger> make_log(const config::BrokerValues& values, metrics::Registry& registry) {
    auto counts = std::make_shared<LineCounts>();
    registry.before_collect([counts](metrics::Registry& to) { counts->publish(to); });
    metrics::LogSinkOptions options;
    options.file = values.get(option::millrace_log_file);
    const auto wall = [] {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        return Timestamp{std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
    };
    MR_TRY(auto sink,
           metrics::make_log_sink(std::move(options), wall, [counts](Level level, bool suppressed) {
               counts->count(level, suppressed);
           }));
    return Logger(std::move(sink), level_named(values.get(option::millrace_log_level)));
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

bool is_own_host(const std::string& host) {
    const auto bytes_of = [](const sockaddr* address) -> std::string {
        if (address != nullptr && address->sa_family == AF_INET) {
            sockaddr_in four{};
            std::memcpy(&four, address, sizeof four);
            return {reinterpret_cast<const char*>(&four.sin_addr), sizeof four.sin_addr};
        }
        if (address != nullptr && address->sa_family == AF_INET6) {
            sockaddr_in6 six{};
            std::memcpy(&six, address, sizeof six);
            return {reinterpret_cast<const char*>(&six.sin6_addr), sizeof six.sin6_addr};
        }
        return {};
    };
    std::set<std::string> ours;
    ifaddrs* interfaces = nullptr;
    if (getifaddrs(&interfaces) == 0) {
        for (const ifaddrs* one = interfaces; one != nullptr; one = one->ifa_next) {
            ours.insert(bytes_of(one->ifa_addr));
        }
        freeifaddrs(interfaces);
    }
    ours.erase(std::string{});
    addrinfo* found = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) {
        return false;
    }
    bool is_ours = false;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        const std::string bytes = bytes_of(one->ai_addr);
        const bool is_loopback = bytes.size() == sizeof(in_addr) && bytes[0] == 127;
        is_ours = is_ours || is_loopback || ours.contains(bytes);
    }
    freeaddrinfo(found);
    return is_ours;
}

}  // namespace millrace::app
