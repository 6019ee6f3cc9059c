// config/budget.h
//
// How much of everything a broker may use, computed once at the start from the machine and the
// settings: nothing in it is unbounded. Every figure is exposed (metrics millrace_budget and
// millrace_pool_limit_bytes); docs/budgets.md explains the page.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/machine.h"

namespace millrace::config {

struct Budget {
    // Threads
    int data_shards = 1;   ///< Loops that serve clients.
    int disk_threads = 4;  ///< For what waits for a disk.
    int admin_threads = 2;
    int http_threads = 1;

    // Memory
    std::int64_t memory_bytes = 0;      ///< What the process may use; the rest is the page cache's.
    std::int64_t request_bytes = 0;     ///< Requests being read or waiting.
    std::int64_t response_bytes = 0;    ///< Answers being written.
    std::int64_t connection_bytes = 0;  ///< Connections at rest.
    std::int64_t decompression_bytes = 0;  ///< Batches being unpacked.
    std::int64_t compaction_bytes = 0;     ///< Key maps and buffers of compaction.
    std::int64_t state_bytes = 0;          ///< Metadata, groups, producers.
    std::int64_t admin_bytes = 0;

    // Descriptors
    std::int64_t open_files = 0;
    std::int64_t connections = 0;  ///< Over all listeners.
    std::int64_t log_files = 0;    ///< Segment files held open; the rest is opened when needed.

    int threads() const { return data_shards + 1 + disk_threads + admin_threads + http_threads; }
};

/// Refuses a machine on which a broker can't do its work.
Result<Budget> make_budget(const MachineFacts& facts, const BrokerValues& values);

/// What was given, and what follows from the machine where nothing was: requests may be as large as
/// Kafka lets them be, as far as one takes no more than a sixteenth of the process.
std::shared_ptr<const Given> fitted(const std::shared_ptr<const Given>& given,
                                    const Budget& budget);

/// Name and figure of everything in the budget, as metrics and the log show them.
struct BudgetLine {
    std::string_view name;
    std::int64_t value;
    bool is_memory_pool;
};
std::vector<BudgetLine> lines_of(const Budget& budget);

/// docs/budgets.md
std::string budgets_page();

}  // namespace millrace::config
