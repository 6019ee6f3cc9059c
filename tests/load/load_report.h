// tests/load/load_report.h
//
// What a run measured: latencies here, and the CPU time of the brokers from /proc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/load/load_connection.h"

namespace millrace::load {

/// User and system time of these processes together, in seconds.
double cpu_seconds(const std::vector<int>& processes);

class Report {
public:
    void add(Micros latency, std::size_t bytes) {
        latencies_.push_back(static_cast<std::uint32_t>(latency));
        bytes_ += bytes;
    }
    void start(const std::vector<int>& processes);
    /// One line of JSON.
    std::string finish(const std::vector<int>& processes);

private:
    std::vector<std::uint32_t> latencies_;
    std::uint64_t bytes_ = 0;
    Micros began_ = 0;
    double cpu_began_ = 0;
    double own_began_ = 0;
};

}  // namespace millrace::load
