// The real Disk and DiskPool in a directory under /tmp.
#include <atomic>
#include <climits>
#include <gtest/gtest.h>
#include <memory>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "runtime/disk_lanes.h"
#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

class RealDisk : public ::testing::Test {
protected:
    RealDisk() {
        RealNodeOptions options;
        options.disk_threads = 3;
        node = *RealNode::create(std::move(options));
        char path[] = "/tmp/runtime-disk-XXXXXX";
        root = ::mkdtemp(path);
    }
    ~RealDisk() override {
        node->stop();
        EXPECT_TRUE(disk().remove_tree(root).has_value());
    }
    Disk& disk() { return node->disk(); }

    std::unique_ptr<RealNode> node;
    std::string root;
};

TEST_F(RealDisk, writes_many_parts_and_reads_them_back) {
    auto file = *disk().open(root + "/a", OpenMode::create);
    std::string source(3 * IOV_MAX, 'x');
    std::vector<iovec> parts;
    for (std::size_t i = 0; i < source.size(); ++i) {
        source[i] = static_cast<char>('a' + i % 26);
        parts.push_back({&source[i], 1});
    }
    ASSERT_TRUE(file->write_at(10, parts).has_value());
    EXPECT_EQ(*file->size(), source.size() + 10);
    std::string back(source.size() + 100, '?');
    const MutableBytes into{reinterpret_cast<std::byte*>(back.data()), back.size()};
    EXPECT_EQ(*file->read_at(10, into), source.size());
    EXPECT_EQ(back.substr(0, source.size()), source);
}

TEST_F(RealDisk, preallocating_does_not_change_the_size) {
    auto file = *disk().open(root + "/a", OpenMode::create);
    file->preallocate(0, 1 << 20);
    EXPECT_EQ(*file->size(), 0U);
    ASSERT_TRUE(file->write_at(0, as_bytes("abc")).has_value());
    file->start_writeback(0, 3);
    EXPECT_TRUE(file->sync().has_value());
    EXPECT_EQ(*file->size(), 3U);
    ASSERT_TRUE(file->truncate(1).has_value());
    EXPECT_EQ(*file->size(), 1U);
}

TEST_F(RealDisk, replaces_a_whole_file) {
    ASSERT_TRUE(disk().replace_whole(root + "/a", "one").has_value());
    ASSERT_TRUE(disk().replace_whole(root + "/a", "second").has_value());
    EXPECT_EQ(*disk().read_whole(root + "/a", 100), "second");
    EXPECT_EQ(disk().read_whole(root + "/a", 5).error().code(), Code::invalid);
    EXPECT_FALSE(*disk().exists(root + "/a.tmp"));
}

TEST_F(RealDisk, lists_names_in_order) {
    ASSERT_TRUE(disk().create_directories(root + "/c/d").has_value());
    ASSERT_TRUE(disk().create_directories(root + "/c").has_value());
    ASSERT_TRUE(disk().open(root + "/b", OpenMode::create).has_value());
    ASSERT_TRUE(disk().open(root + "/a", OpenMode::create).has_value());
    const std::vector<DirectoryEntry> expected{{"a", false}, {"b", false}, {"c", true}};
    EXPECT_EQ(*disk().list(root), expected);
    EXPECT_TRUE(disk().sync_directory(root).has_value());
    EXPECT_GT(disk().usage(root)->total_bytes, 0U);
}

TEST_F(RealDisk, says_which_path_and_why) {
    const auto absent = disk().open(root + "/absent", OpenMode::read);
    ASSERT_FALSE(absent.has_value());
    EXPECT_EQ(absent.error().code(), Code::not_found);
    EXPECT_NE(absent.error().message().find(root + "/absent"), std::string::npos);
    EXPECT_EQ(disk().list(root + "/absent").error().code(), Code::not_found);
    ASSERT_TRUE(disk().open(root + "/file", OpenMode::create).has_value());
    EXPECT_FALSE(disk().create_directories(root + "/file/inner").has_value());
    EXPECT_FALSE(*disk().exists(root + "/file/inner"));
}

TEST_F(RealDisk, a_locked_directory_is_refused_to_the_second) {
    auto first = disk().lock(root);
    ASSERT_TRUE(first.has_value());
    const auto second = disk().lock(root);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), Code::busy);
    first->reset();
    EXPECT_TRUE(disk().lock(root).has_value());
}

TEST_F(RealDisk, one_lane_keeps_its_order_while_others_overtake) {
    node->start();
    constexpr int jobs = 500;
    struct Lane {
        int next = 0;
        std::atomic<int> inside{0};
        bool ordered = true;
    } lanes[4];
    Latch latch(4 * jobs);
    for (int i = 0; i < jobs; ++i) {
        for (std::uint64_t lane = 0; lane < 4; ++lane) {
            Lane& state = lanes[lane];
            node->disk_pool().run(
                lane + 1, *node->control_shard().executor,
                [&state, i] {
                    state.ordered =
                        state.ordered && state.inside.fetch_add(1) == 0 && state.next == i;
                    ++state.next;
                    state.inside.fetch_sub(1);
                },
                [&latch] { latch.count_down(); });
        }
    }
    ASSERT_TRUE(latch.wait());
    for (const Lane& lane : lanes) {
        EXPECT_EQ(lane.next, jobs);
        EXPECT_TRUE(lane.ordered);
    }
}

TEST_F(RealDisk, lane_zero_runs_in_parallel) {
    node->start();
    Latch both(2);
    Latch done(2);
    for (int i = 0; i < 2; ++i) {
        node->disk_pool().run(
            0, *node->control_shard().executor,
            [&] {
                both.count_down();
                EXPECT_TRUE(both.wait());  // Each waits for the other.
            },
            [&] { done.count_down(); });
    }
    EXPECT_TRUE(done.wait());
}

// Every thread would wait for it for ever if it had to wait for its turn.
TEST_F(RealDisk, what_the_cluster_waits_for_does_not_wait_behind_others) {
    constexpr int others = 20;
    Latch opened;
    Latch done(others + 1);
    Executor& home = *node->control_shard().executor;
    for (int i = 0; i < others; ++i) {
        node->disk_pool().run(
            0, home, [&] { EXPECT_TRUE(opened.wait()); }, [&] { done.count_down(); });
    }
    node->disk_pool().run(
        first_lane, home, [&] { opened.count_down(); }, [&] { done.count_down(); });
    node->start();
    EXPECT_TRUE(done.wait());
}

TEST_F(RealDisk, done_runs_on_its_home_loop) {
    node->start();
    Latch latch;
    bool job_on_loop = true;
    bool done_on_loop = false;
    Executor& home = *node->data_shard(0).executor;
    node->disk_pool().run(
        7, home, [&] { job_on_loop = home.is_current(); },
        [&] {
            done_on_loop = home.is_current();
            latch.count_down();
        });
    ASSERT_TRUE(latch.wait());
    EXPECT_FALSE(job_on_loop);
    EXPECT_TRUE(done_on_loop);
}

}  // namespace
}  // namespace millrace::runtime
