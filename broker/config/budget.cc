#include "config/budget.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace millrace::config {

namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t least_memory = 64 * mib;
constexpr std::int64_t least_files = 256;
/// A connection at rest without TLS. With TLS it takes three times that, which the pool of
/// connection_bytes bounds where the number alone does not.
constexpr std::int64_t bytes_per_connection = 16 * 1024;
/// Libraries, the log, listeners, directories, the metadata log.
constexpr std::int64_t own_files = 128;

int usable_cores(const MachineFacts& facts) {
    const int quota =
        facts.core_quota ? static_cast<int>(std::ceil(*facts.core_quota)) : facts.cores;
    return std::max(1, std::min(facts.cores, quota));
}

/// What the process may fill. Half of what there is stays with the page cache: it is where
/// consumers are served from.
std::int64_t process_memory(const MachineFacts& facts, const std::string& wish) {
    if (wish != "auto") {
        std::int64_t bytes = 0;
        std::from_chars(wish.data(), wish.data() + wish.size(), bytes);
        return bytes;
    }
    const std::int64_t there = facts.group_memory_bytes
                                   ? std::min(*facts.group_memory_bytes, facts.memory_bytes)
                                   : facts.memory_bytes;
    return there / 2;
}

void split_threads(Budget& budget, int cores, const BrokerValues& values) {
    const int shards = values.get(broker_option::millrace_data_shards);
    const int disk = values.get(broker_option::millrace_disk_threads);
    budget.data_shards = shards > 0 ? shards : std::max(1, cores - 1);
    budget.disk_threads = disk > 0 ? disk : std::clamp(2 * cores, 4, 8);
}

void split_memory(Budget& budget, const BrokerValues& values) {
    const std::int64_t all = budget.memory_bytes;
    budget.admin_bytes = std::min(values.get(broker_option::millrace_admin_memory_bytes), all / 16);
    // The former may be as large as a number gets, so it is bounded before it is added to.
    const std::int64_t keys =
        std::min(values.get(broker_option::log_cleaner_dedupe_buffer_size), all / 8);
    budget.compaction_bytes =
        std::min(keys + values.get(broker_option::log_cleaner_io_buffer_size), all / 8);
    budget.decompression_bytes = all / 16;
    budget.connection_bytes = all / 8;
    budget.state_bytes = all / 4;
    const std::int64_t asked = values.get(broker_option::queued_max_request_bytes);
    budget.request_bytes = asked > 0 ? std::min(asked, all / 2) : all / 4;
    budget.response_bytes = all - budget.admin_bytes - budget.compaction_bytes -
                            budget.decompression_bytes - budget.connection_bytes -
                            budget.state_bytes - budget.request_bytes;
}

void split_files(Budget& budget, const BrokerValues& values) {
    const std::int64_t shared = budget.open_files - own_files;
    const std::int64_t by_memory = budget.connection_bytes / bytes_per_connection;
    const std::int64_t wished = values.get(broker_option::max_connections);
    budget.connections = std::max<std::int64_t>(1, std::min({shared * 2 / 5, by_memory, wished}));
    budget.log_files = shared - budget.connections;
}

}  // namespace

Result<Budget> make_budget(const MachineFacts& facts, const BrokerValues& values) {
    Budget budget;
    budget.open_files = facts.open_files;
    budget.memory_bytes = process_memory(facts, values.get(broker_option::millrace_memory_limit));
    if (budget.memory_bytes < least_memory) {
        return Error::make(Code::invalid,
                           "memory: {} bytes for the process are too few, {} are the least; give "
                           "the control group more or set millrace.memory.limit",
                           budget.memory_bytes, least_memory);
    }
    if (budget.open_files < least_files) {
        return Error::make(Code::invalid,
                           "open files: a limit of {} is too low, {} is the least; raise it with "
                           "ulimit -n or LimitNOFILE",
                           budget.open_files, least_files);
    }
    split_threads(budget, usable_cores(facts), values);
    split_memory(budget, values);
    split_files(budget, values);
    const std::int64_t largest = values.get(broker_option::socket_request_max_bytes);
    if (largest > budget.request_bytes) {
        return Error::make(Code::invalid,
                           "socket.request.max.bytes: a request of {} bytes would not fit the {} "
                           "bytes for all requests; lower it, or give the process more memory",
                           largest, budget.request_bytes);
    }
    return budget;
}

std::shared_ptr<const Given> fitted(const std::shared_ptr<const Given>& given,
                                    const Budget& budget) {
    constexpr std::int64_t kafkas = 100 << 20;
    const std::string key = "socket.request.max.bytes";
    const auto where = given->where.find(key);
    const auto batch = given->where.find("message.max.bytes");
    // load() lets it follow from message.max.bytes, and says so.
    const bool follows = where != given->where.end() && batch != given->where.end() &&
                         where->second == batch->second;
    if (given->entries.contains(key) && !follows) {
        return given;
    }
    const std::int64_t now =
        BrokerConfig{given}.broker().get(broker_option::socket_request_max_bytes);
    const std::int64_t most =
        std::min({kafkas, budget.memory_bytes / 16, budget.request_bytes / 2});
    if (most <= now) {
        return given;
    }
    auto all = std::make_shared<Given>(*given);
    all->entries[key] = std::to_string(most);
    all->where[key] = "the memory of this machine";
    return all;
}

std::vector<BudgetLine> lines_of(const Budget& budget) {
    return {{"data_shards", budget.data_shards, false},
            {"disk_threads", budget.disk_threads, false},
            {"admin_threads", budget.admin_threads, false},
            {"http_threads", budget.http_threads, false},
            {"memory_bytes", budget.memory_bytes, false},
            {"requests", budget.request_bytes, true},
            {"responses", budget.response_bytes, true},
            {"connections_at_rest", budget.connection_bytes, true},
            {"decompression", budget.decompression_bytes, true},
            {"compaction", budget.compaction_bytes, true},
            {"state", budget.state_bytes, true},
            {"admin", budget.admin_bytes, true},
            {"open_files", budget.open_files, false},
            {"connections", budget.connections, false},
            {"log_files", budget.log_files, false}};
}

}  // namespace millrace::config
