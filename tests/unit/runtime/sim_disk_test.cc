// The simulated disk: what survives what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>

#include "runtime/sim/simulation.h"

namespace millrace::runtime::sim {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Not;

class SimDiskTest : public ::testing::Test {
protected:
    void begin(std::uint64_t seed, Ambient ambient = {}) {
        FaultPlan plan;
        plan.ambient = ambient;
        node = nullptr;
        simulation = std::make_unique<Simulation>(SimulationOptions{.seed = seed, .plan = plan});
        node = &simulation->add_node({.name = "n1", .disk_capacity = 100'000});
    }
    Disk& disk() { return node->disk(); }
    void power_cycle() {
        node->cut_power();
        node->restore_power();
    }
    std::string contents(const std::string& path) {
        const auto whole = disk().read_whole(path, 1 << 20);
        return whole ? *whole : whole.error().to_string();
    }
    void write(const std::string& path, std::uint64_t offset, std::string_view bytes) {
        const auto file = disk().open(path, OpenMode::create);
        ASSERT_TRUE(file.has_value());
        ASSERT_TRUE((*file)->write_at(offset, as_bytes(bytes)).has_value());
    }
    void sync(const std::string& path) {
        ASSERT_TRUE((*disk().open(path, OpenMode::read_write))->sync().has_value());
    }

    std::unique_ptr<Simulation> simulation;
    SimNode* node = nullptr;
};

TEST_F(SimDiskTest, what_was_synced_with_its_name_survives_a_power_cut) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        begin(seed, {.torn_pages = true, .reordered_names = true});
        const std::string big(10'000, 'x');
        write("/a", 0, big);
        sync("/a");
        ASSERT_TRUE(disk().sync_directory("/").has_value());
        power_cycle();
        EXPECT_EQ(contents("/a"), big);
    }
}

TEST_F(SimDiskTest, a_killed_process_leaves_the_cache_intact) {
    begin(1);
    node->start([&](Node& machine) {
        const auto file = machine.disk().open("/a", OpenMode::create);
        EXPECT_TRUE((*file)->write_at(0, as_bytes("hello")).has_value());
        return std::make_unique<Program>();
    });
    node->kill();
    EXPECT_EQ(contents("/a"), "hello");
}

TEST_F(SimDiskTest, an_unsynced_name_is_lost_in_some_seeds_and_kept_in_others) {
    std::set<bool> seen;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        begin(seed);
        write("/a", 0, "hello");
        sync("/a");
        power_cycle();
        seen.insert(*disk().exists("/a"));
    }
    EXPECT_EQ(seen.size(), 2U);
}

// Of three dirty pages any may be old while a later one is new: holes of zeros, torn pages.
TEST_F(SimDiskTest, unsynced_pages_survive_in_any_combination) {
    std::set<std::string> seen;
    const std::string old(3 * SimDisk::page, 'o');
    const std::string fresh(3 * SimDisk::page, 'n');
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        begin(seed, {.torn_pages = true});
        write("/a", 0, old);
        sync("/a");
        ASSERT_TRUE(disk().sync_directory("/").has_value());
        write("/a", 0, fresh);
        power_cycle();
        const std::string whole = contents("/a");
        ASSERT_EQ(whole.size(), old.size());
        std::string pages;
        for (std::size_t at = 0; at < whole.size(); at += SimDisk::page) {
            const auto page = whole.substr(at, SimDisk::page);
            pages += page == old.substr(0, SimDisk::page)     ? 'o'
                     : page == fresh.substr(0, SimDisk::page) ? 'n'
                                                              : 't';
        }
        seen.insert(pages);
    }
    EXPECT_THAT(seen, AllOf(Contains("ooo"), Contains("nnn"), Contains("oon"), Contains("ono")));
    EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const std::string& pages) {
        return pages.find('t') != std::string::npos;
    }));
}

TEST_F(SimDiskTest, growth_may_leave_a_hole_of_zeros_before_later_bytes) {
    bool hole = false;
    for (std::uint64_t seed = 0; seed < 300 && !hole; ++seed) {
        begin(seed);
        write("/a", 0, std::string(3 * SimDisk::page, 'n'));
        ASSERT_TRUE(disk().sync_directory("/").has_value());
        power_cycle();
        const std::string whole = contents("/a");
        hole = whole.size() > 2 * SimDisk::page && whole[0] == '\0' && whole.back() == 'n';
    }
    EXPECT_TRUE(hole);
}

TEST_F(SimDiskTest, truncated_and_regrown_bytes_are_zero_after_a_sync) {
    begin(1);
    write("/a", 0, std::string(3 * SimDisk::page, 'o'));
    sync("/a");
    const auto file = *disk().open("/a", OpenMode::read_write);
    ASSERT_TRUE(file->truncate(10).has_value());
    ASSERT_TRUE(file->write_at(2 * SimDisk::page, as_bytes("end")).has_value());
    ASSERT_TRUE(file->sync().has_value());
    ASSERT_TRUE(disk().sync_directory("/").has_value());
    power_cycle();
    EXPECT_EQ(contents("/a"),
              std::string(10, 'o') + std::string(2 * SimDisk::page - 10, '\0') + "end");
}

TEST_F(SimDiskTest, replace_whole_leaves_the_old_or_the_new_whatever_happens) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        begin(seed, {.torn_pages = true, .reordered_names = true});
        ASSERT_TRUE(disk().replace_whole("/a", std::string(5000, 'o')).has_value());
        node->start([&](Node& machine) {
            node->doom(1 + seed % 7, true, 1s);
            const auto replaced = machine.disk().replace_whole("/a", std::string(6000, 'n'));
            EXPECT_EQ(replaced.has_value(), !node->is_doomed());
            return std::make_unique<Program>();
        });
        node->cut_power();
        node->restore_power();
        const std::string whole = contents("/a");
        EXPECT_TRUE(whole == std::string(5000, 'o') || whole == std::string(6000, 'n'))
            << whole.size();
    }
}

// The kernel reports a lost page once: the second sync succeeds and the bytes are gone.
TEST_F(SimDiskTest, a_failed_sync_loses_pages_and_the_next_one_lies) {
    int lost = 0;
    int read_back_before = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        begin(seed);
        write("/a", 0, "old");
        sync("/a");
        ASSERT_TRUE(disk().sync_directory("/").has_value());
        const auto file = *disk().open("/a", OpenMode::read_write);
        ASSERT_TRUE(file->write_at(0, as_bytes("new")).has_value());
        node->sim_disk().fail_next(DiskCall::sync, 1);
        EXPECT_EQ(file->sync().error().code(), Code::io);
        EXPECT_TRUE(file->sync().has_value());
        read_back_before += contents("/a") == "new" ? 1 : 0;
        power_cycle();
        lost += contents("/a") == "old" ? 1 : 0;
    }
    EXPECT_GT(lost, 20);
    EXPECT_LT(lost, 50) << "some pages had been written";
    EXPECT_GT(read_back_before, 50 - lost) << "lost ones can be read until they are evicted";
}

TEST_F(SimDiskTest, a_full_disk_refuses_growth_and_serves_the_rest) {
    begin(1);
    write("/a", 0, std::string(90'000, 'x'));
    const auto file = *disk().open("/a", OpenMode::read_write);
    const auto refused = file->write_at(90'000, as_bytes(std::string(20'000, 'y')));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Code::no_space);
    EXPECT_TRUE(file->write_at(0, as_bytes("overwriting takes no room")).has_value());
    ASSERT_TRUE(disk().remove("/a").has_value());
    EXPECT_LT(disk().usage("/")->free_bytes, 11'000U) << "an open file keeps its blocks";
}

TEST_F(SimDiskTest, a_rotten_bit_is_read_back) {
    begin(1);
    write("/a", 0, "hello");
    ASSERT_TRUE(node->sim_disk().rot("/a", 1, 0));
    EXPECT_EQ(contents("/a"), "hdllo");
}

TEST_F(SimDiskTest, a_lost_write_is_there_until_the_power_goes) {
    begin(1);
    write("/a", 0, "old");
    sync("/a");
    ASSERT_TRUE(disk().sync_directory("/").has_value());
    node->sim_disk().lose_next_write();
    write("/a", 0, "new");
    sync("/a");
    EXPECT_EQ(contents("/a"), "new");
    power_cycle();
    EXPECT_EQ(contents("/a"), "old");
}

TEST_F(SimDiskTest, directories_move_with_what_they_hold) {
    begin(1);
    ASSERT_TRUE(disk().create_directories("/t-0").has_value());
    write("/t-0/log", 0, "x");
    ASSERT_TRUE(disk().rename("/t-0", "/t-0.gone").has_value());
    EXPECT_EQ(contents("/t-0.gone/log"), "x");
    EXPECT_FALSE(disk().remove("/t-0.gone").has_value()) << "not empty";
    EXPECT_TRUE(disk().remove_tree("/t-0.gone").has_value());
    EXPECT_TRUE(disk().list("/")->empty());
}

// A broker whose data directory has vanished with the power would come back as an empty one.
TEST_F(SimDiskTest, directories_made_durably_keep_their_names_over_a_power_cut) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        begin(seed);
        ASSERT_TRUE(disk().create_directories_durably("/data/logs").has_value());
        power_cycle();
        EXPECT_TRUE(*disk().exists("/data/logs")) << "seed " << seed;
    }
}

TEST_F(SimDiskTest, a_lock_ends_with_its_process) {
    begin(1);
    const auto take = [](Node& machine) {
        struct Holder final : Program {
            std::unique_ptr<DirectoryLock> lock;
        };
        auto holder = std::make_unique<Holder>();
        auto lock = machine.disk().lock("/");
        EXPECT_TRUE(lock.has_value());
        EXPECT_EQ(machine.disk().lock("/").error().code(), Code::busy);
        holder->lock = *std::move(lock);
        return holder;
    };
    node->start(take);
    node->kill();
    node->restart();
}

TEST_F(SimDiskTest, swapped_disks_change_owners) {
    begin(1);
    SimNode& other = simulation->add_node({.name = "n2"});
    ASSERT_TRUE(disk().replace_whole("/who", "first").has_value());
    ASSERT_TRUE(other.disk().replace_whole("/who", "second").has_value());
    node->sim_disk().swap_with(other.sim_disk());
    EXPECT_EQ(contents("/who"), "second");
    node->sim_disk().wipe();
    EXPECT_FALSE(*disk().exists("/who"));
}

TEST_F(SimDiskTest, jobs_of_a_lane_keep_their_order_and_others_overtake) {
    bool overtaken = false;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        begin(seed, {.device_time = 10ms});
        std::string order;
        node->start([&](Node& machine) {
            for (const char* name : {"a", "b"}) {
                for (int i = 0; i < 3; ++i) {
                    machine.disk_pool().run(
                        static_cast<std::uint64_t>(name[0]), *machine.control_shard().executor,
                        [] {}, [&order, name, i] { order += name + std::to_string(i); });
                }
            }
            return std::make_unique<Program>();
        });
        simulation->run_for(10s);
        EXPECT_EQ(order.size(), 12U);
        EXPECT_LT(order.find("a0"), order.find("a1"));
        EXPECT_LT(order.find("a1"), order.find("a2"));
        EXPECT_LT(order.find("b1"), order.find("b2"));
        overtaken = overtaken || order.find("b0") < order.find("a2");
    }
    EXPECT_TRUE(overtaken);
}

TEST_F(SimDiskTest, a_slow_call_stalls_the_loop_that_makes_it) {
    begin(1);
    node->sim_disk().set_slow(5s);
    Duration late{};
    Duration seen_by_the_loop{};
    node->start([&](Node& machine) {
        Executor* loop = machine.control_shard().executor;
        loop->post([&, loop] {
            const Instant before = loop->read_clock();
            for (int i = 0; i < 20; ++i) {
                EXPECT_TRUE(machine.disk().exists("/").has_value());
            }
            seen_by_the_loop = loop->read_clock() - before;
            const Instant begun = before;
            loop->after(1ms, [&late, loop, begun] { late = loop->clock().now() - begun; });
        });
        return std::make_unique<Program>();
    });
    simulation->run_for(200s);
    EXPECT_GT(seen_by_the_loop, 10s);
    EXPECT_GE(late, seen_by_the_loop);
}

}  // namespace
}  // namespace millrace::runtime::sim
