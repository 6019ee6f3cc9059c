#include "config/budget.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

namespace millrace::config {
namespace {

using testing::HasSubstr;

constexpr std::int64_t gib = std::int64_t{1} << 30;
constexpr std::int64_t mib = std::int64_t{1} << 20;

BrokerConfig config_with(std::vector<std::string> settings = {}) {
    Source source;
    source.command_line = std::move(settings);
    const Loaded loaded = load(source);
    EXPECT_TRUE(loaded.errors.empty());
    return BrokerConfig{loaded.given};
}

Result<Budget> budget_of(const MachineFacts& facts, std::vector<std::string> settings = {}) {
    return make_budget(facts, config_with(std::move(settings)).broker());
}

MachineFacts small_pod() {
    return {2, std::nullopt, 64 * gib, 2 * gib, 20'000};
}

TEST(Budget, fits_a_group_of_two_gib_and_twenty_thousand_files) {
    const Budget budget = *budget_of(small_pod());
    EXPECT_EQ(budget.memory_bytes, gib);
    EXPECT_EQ(budget.data_shards, 1);
    EXPECT_EQ(budget.disk_threads, 4);
    EXPECT_GE(budget.log_files, 10'000);
    EXPECT_GE(budget.connections, 2'000);
    EXPECT_LE(budget.connections + budget.log_files, 20'000);
    EXPECT_GE(budget.request_bytes, 16 * mib);
}

// Whatever the machine, the parts never come to more than the whole.
TEST(Budget, never_gives_more_than_there_is) {
    for (const int cores : {1, 2, 3, 8, 96}) {
        for (const std::int64_t memory : {128 * mib, 300 * mib, gib, 7 * gib, 512 * gib}) {
            for (const std::int64_t files : {256, 1024, 20'000, 1'048'576}) {
                const auto made = budget_of({cores, std::nullopt, memory, std::nullopt, files},
                                            {"socket.request.max.bytes=2000000"});
                ASSERT_TRUE(made.has_value()) << made.error().message();
                const Budget& budget = *made;
                std::int64_t pools = 0;
                for (const BudgetLine& line : lines_of(budget)) {
                    EXPECT_GT(line.value, 0) << line.name;
                    pools += line.is_memory_pool ? line.value : 0;
                }
                EXPECT_EQ(pools, budget.memory_bytes);
                EXPECT_LE(budget.memory_bytes, memory / 2);
                EXPECT_LT(budget.connections + budget.log_files, files);
                EXPECT_LE(budget.data_shards, cores);
            }
        }
    }
}

TEST(Budget, bears_a_wish_for_all_the_memory_that_a_number_can_tell) {
    const Budget budget =
        *budget_of(small_pod(), {"log.cleaner.dedupe.buffer.size=9223372036854775807",
                                 "queued.max.request.bytes=9223372036854775807"});
    EXPECT_EQ(budget.compaction_bytes, gib / 8);
    EXPECT_LE(budget.response_bytes, gib);
}

TEST(Budget, counts_the_processor_time_of_the_group_and_not_all_cores) {
    MachineFacts facts = small_pod();
    facts.cores = 64;
    facts.core_quota = 2.5;
    EXPECT_EQ(budget_of(facts)->data_shards, 2);
    facts.core_quota = 0.5;
    EXPECT_EQ(budget_of(facts)->data_shards, 1);
}

TEST(Budget, follows_the_settings) {
    const Budget budget = *budget_of(
        small_pod(), {"millrace.data.shards=3", "millrace.disk.threads=5", "max.connections=100",
                      "millrace.memory.limit=200000000", "queued.max.request.bytes=30000000"});
    EXPECT_EQ(budget.data_shards, 3);
    EXPECT_EQ(budget.disk_threads, 5);
    EXPECT_EQ(budget.connections, 100);
    EXPECT_EQ(budget.memory_bytes, 200'000'000);
    EXPECT_EQ(budget.request_bytes, 30'000'000);
}

TEST(Budget, refuses_a_machine_that_is_too_small_and_says_what_to_do) {
    MachineFacts facts = small_pod();
    facts.group_memory_bytes = 100 * mib;
    EXPECT_THAT(budget_of(facts).error().message(), HasSubstr("millrace.memory.limit"));
    facts = small_pod();
    facts.open_files = 128;
    EXPECT_THAT(budget_of(facts).error().message(), HasSubstr("ulimit -n"));
    facts = small_pod();
    EXPECT_THAT(budget_of(facts, {"socket.request.max.bytes=1000000000"}).error().message(),
                HasSubstr("socket.request.max.bytes: a request of 1000000000 bytes would not fit"));
}

std::int64_t largest_request(std::int64_t memory, Entries entries = {}) {
    MachineFacts facts = small_pod();
    facts.group_memory_bytes = memory;
    Given given;
    given.entries = std::move(entries);
    const auto before = std::make_shared<const Given>(std::move(given));
    const Budget budget = *make_budget(facts, BrokerConfig{before}.broker());
    return BrokerConfig{fitted(before, budget)}.broker().get(
        broker_option::socket_request_max_bytes);
}

// Clients that put batches of many partitions into one request make them as large as Kafka's
// default lets them be.
TEST(Budget, a_request_may_be_as_large_as_with_kafka_where_there_is_room) {
    EXPECT_EQ(largest_request(8192 * mib), 100 * mib);
    EXPECT_EQ(largest_request(2048 * mib), 64 * mib);
    EXPECT_EQ(largest_request(256 * mib), 16 * mib);
    EXPECT_EQ(largest_request(8192 * mib, {{"socket.request.max.bytes", "5000000"}}), 5'000'000);
    // What follows from larger batches is a least.
    Source source;
    source.text = "message.max.bytes=20000000\n";
    const auto given = load(source).given;
    const Budget budget = *make_budget(small_pod(), BrokerConfig{given}.broker());
    EXPECT_EQ(
        BrokerConfig{fitted(given, budget)}.broker().get(broker_option::socket_request_max_bytes),
        64 * mib);
}

MachineFacts read_from(std::map<std::string, std::string> files) {
    files["/proc/meminfo"] = "MemTotal:       16265180 kB\nMemFree:          123 kB\n";
    return read_machine(
        [&](const std::string& path) -> std::optional<std::string> {
            const auto found = files.find(path);
            return found == files.end() ? std::nullopt : std::optional{found->second};
        },
        8, 20'000);
}

TEST(Machine, is_read_from_control_groups_of_version_2) {
    const MachineFacts facts = read_from({{"/proc/self/cgroup", "0::/pods/a\n"},
                                          {"/sys/fs/cgroup/pods/a/memory.max", "max\n"},
                                          {"/sys/fs/cgroup/pods/memory.max", "2147483648\n"},
                                          {"/sys/fs/cgroup/pods/a/cpu.max", "150000 100000\n"},
                                          {"/sys/fs/cgroup/pods/cpu.max", "max 100000\n"}});
    EXPECT_EQ(facts.memory_bytes, 16'265'180 * 1024ll);
    EXPECT_EQ(facts.group_memory_bytes, 2 * gib);
    EXPECT_EQ(facts.core_quota, 1.5);
    EXPECT_EQ(facts.cores, 8);
    EXPECT_EQ(facts.open_files, 20'000);
}

TEST(Machine, is_read_inside_a_container_that_sees_its_own_group_as_the_root) {
    const MachineFacts facts =
        read_from({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/memory.max", "1073741824\n"}});
    EXPECT_EQ(facts.group_memory_bytes, gib);
    const MachineFacts above = read_from(
        {{"/proc/self/cgroup", "0::/../../x\n"}, {"/sys/fs/cgroup/memory.max", "1073741824\n"}});
    EXPECT_EQ(above.group_memory_bytes, gib);
}

TEST(Machine, is_read_from_control_groups_of_version_1) {
    const std::string groups = "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n";
    const MachineFacts facts =
        read_from({{"/proc/self/cgroup", groups},
                   {"/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "2147483648\n"},
                   {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
                   {"/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "50000\n"},
                   {"/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n"},
                   {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                   {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}});
    EXPECT_EQ(facts.group_memory_bytes, 2 * gib);
    EXPECT_EQ(facts.core_quota, 0.5);
}

TEST(Machine, has_no_limits_where_nothing_says_so) {
    const MachineFacts facts = read_from({});
    EXPECT_EQ(facts.group_memory_bytes, std::nullopt);
    EXPECT_EQ(facts.core_quota, std::nullopt);
}

TEST(BudgetsPage, is_the_one_in_docs) {
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/docs/budgets.md"};
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), budgets_page())
        << "print it anew: build/<preset>/bin/config_docs budgets";
}

}  // namespace
}  // namespace millrace::config
