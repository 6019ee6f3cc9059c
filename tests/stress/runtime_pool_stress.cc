// The disk pool and the resolver under several loops.
#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

std::unique_ptr<RealNode> make_node() {
    RealNodeOptions options;
    options.data_shards = 2;
    options.disk_threads = 4;
    return *RealNode::create(std::move(options));
}

// What a lane's jobs touch needs no lock, and what a job wrote its `done` may read.
TEST(PoolStress, a_lane_is_a_thread_of_its_own) {
    constexpr std::uint64_t lanes = 8;
    constexpr int jobs = 2000;
    auto node = make_node();
    struct Lane {
        std::vector<int> written;  // By jobs alone.
        int seen = 0;              // By `done`s alone, all on one loop.
    };
    std::vector<Lane> state(lanes);
    Latch latch(static_cast<int>(lanes) * jobs);
    for (std::size_t shard = 0; shard < 2; ++shard) {
        node->data_shard(shard).executor->post([&, shard] {
            for (int i = 0; i < jobs; ++i) {
                // Each loop uses half of the lanes: the order of a lane is its poster's.
                for (std::uint64_t lane = shard; lane < lanes; lane += 2) {
                    auto result = std::make_shared<std::size_t>(0);
                    Lane& mine = state[lane];
                    node->disk_pool().run(
                        lane + 1, *node->data_shard(shard).executor,
                        [&mine, i, result] {
                            mine.written.push_back(i);
                            *result = mine.written.size();
                        },
                        [&mine, &latch, result] {
                            mine.seen = std::max(mine.seen, static_cast<int>(*result));
                            latch.count_down();
                        });
                }
            }
        });
    }
    node->start();
    EXPECT_TRUE(latch.wait(std::chrono::seconds{120}));
    node->stop();
    for (const Lane& lane : state) {
        EXPECT_EQ(lane.written.size(), static_cast<std::size_t>(jobs));
        EXPECT_TRUE(std::is_sorted(lane.written.begin(), lane.written.end()));
        EXPECT_EQ(lane.seen, jobs);
    }
}

TEST(PoolStress, a_stop_in_the_middle_destroys_what_never_ran) {
    for (int round = 0; round < 50; ++round) {
        auto node = make_node();
        auto owned = std::make_shared<int>(0);
        const std::weak_ptr<int> watch = owned;
        std::atomic<int> ran{0};
        Latch some(20);
        node->start();
        for (int i = 0; i < 500; ++i) {
            node->disk_pool().run(
                static_cast<std::uint64_t>(i % 5), *node->data_shard(0).executor,
                [owned, &ran, &some] {
                    ++ran;
                    some.count_down();
                },
                [owned] {});
        }
        EXPECT_TRUE(some.wait());
        node->stop();
        owned.reset();
        EXPECT_TRUE(watch.expired());
        EXPECT_GE(ran.load(), 20);
    }
}

TEST(ResolverStress, names_are_resolved_side_by_side_and_a_stop_waits_for_none) {
    for (int round = 0; round < 20; ++round) {
        auto node = make_node();
        std::atomic<int> answers{0};
        Latch first(2);
        for (std::size_t shard = 0; shard < 2; ++shard) {
            node->data_shard(shard).executor->post([&, shard] {
                for (int i = 0; i < 20; ++i) {
                    node->data_shard(shard).net->connect({"localhost", 1}, 20s,
                                                         [&](Result<StreamPtr>) {
                                                             ++answers;
                                                             first.count_down();
                                                         });
                }
            });
        }
        node->start();
        EXPECT_TRUE(first.wait());
        node->stop();
        EXPECT_GE(answers.load(), 2);
    }
}

}  // namespace
}  // namespace millrace::runtime
