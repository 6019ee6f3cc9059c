#include "tests/load/load_report.h"

#include <algorithm>
#include <fmt/core.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <unistd.h>

namespace millrace::load {

double cpu_seconds(const std::vector<int>& processes) {
    double ticks = 0;
    for (const int process : processes) {
        std::ifstream file(fmt::format("/proc/{}/stat", process));
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const std::size_t name_ends = text.rfind(')');
        if (name_ends == std::string::npos) {
            fail(fmt::format("process {} is gone", process));
        }
        std::istringstream fields(text.substr(name_ends + 2));
        std::string skipped;
        for (int i = 0; i < 11; ++i) {
            fields >> skipped;
        }
        double user = 0;
        double system = 0;
        fields >> user >> system;
        ticks += user + system;
    }
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void Report::start(const std::vector<int>& processes) {
    latencies_.clear();
    bytes_ = 0;
    began_ = now();
    cpu_began_ = cpu_seconds(processes);
    own_began_ = cpu_seconds({static_cast<int>(getpid())});
}

std::string Report::finish(const std::vector<int>& processes) {
    const double cpu = cpu_seconds(processes) - cpu_began_;
    const double own = cpu_seconds({static_cast<int>(getpid())}) - own_began_;
    const double seconds = static_cast<double>(now() - began_) / 1e6;
    if (latencies_.empty()) {
        fail("no answer in the whole run");
    }
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [&](double share) {
        return latencies_[static_cast<std::size_t>(share *
                                                   static_cast<double>(latencies_.size() - 1))];
    };
    const auto count = static_cast<double>(latencies_.size());
    const auto bytes = static_cast<double>(bytes_);
    return fmt::format(
        R"({{"seconds":{:.2f},"requests":{},"bytes":{},"per_second":{:.0f},"mb_per_second":{:.1f},)"
        R"("cpu_seconds":{:.2f},"cpu_us_per_request":{:.2f},"cpu_s_per_gb":{:.3f},)"
        R"("client_cpu_seconds":{:.2f},"p50_us":{},"p99_us":{},"p999_us":{},"max_us":{}}})",
        seconds, latencies_.size(), bytes_, count / seconds, bytes / seconds / 1e6, cpu,
        cpu * 1e6 / count, bytes > 0 ? cpu / (bytes / 1e9) : 0.0, own, at(0.5), at(0.99), at(0.999),
        latencies_.back());
}

}  // namespace millrace::load
