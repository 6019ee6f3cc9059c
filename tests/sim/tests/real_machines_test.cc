// The systems of the simulator on real loops, sockets and files: the seams are the same on both
// sides, so what was proven there is what runs here.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <stdlib.h>
#include <string>
#include <vector>

#include "runtime/real/real_node.h"
#include "tests/sim/systems/echo.h"
#include "tests/sim/systems/promises.h"
#include "tests/sim/systems/register_client.h"
#include "tests/sim/systems/register_replica.h"
#include "tests/support/wait_for.h"

namespace millrace::simtest {
namespace {

using millrace::support::Latch;

std::unique_ptr<runtime::RealNode> make_node(std::size_t shards) {
    runtime::RealNodeOptions options;
    options.data_shards = shards;
    options.disk_threads = 2;
    return *runtime::RealNode::create(std::move(options));
}

TEST(RealMachines, a_register_on_three_replicas_is_read_as_written_and_survives_a_restart) {
    char root[] = "/tmp/runtime-register-XXXXXX";
    ASSERT_NE(::mkdtemp(root), nullptr);
    for (int life = 0; life < 2; ++life) {
        std::vector<std::unique_ptr<runtime::RealNode>> nodes;
        std::vector<std::unique_ptr<RegisterReplica>> replicas;
        std::vector<runtime::Address> addresses;
        for (int i = 0; i < 3; ++i) {
            nodes.push_back(make_node(1));
            replicas.push_back(std::make_unique<RegisterReplica>(
                *nodes.back(), std::string(root) + "/" + std::to_string(i), Bug::none, 0));
            ASSERT_FALSE(replicas.back()->failed());
            addresses.push_back({"127.0.0.1", replicas.back()->port()});
            nodes.back()->start();
        }
        auto home = make_node(1);
        std::unique_ptr<RegisterClient> client;
        Latch done;
        std::optional<std::string> before;
        std::optional<std::string> after;
        home->control_shard().executor->post([&] {
            client = std::make_unique<RegisterClient>(*home, addresses, Bug::none);
            client->read("k", 30s, [&](std::optional<std::string> value) {
                before = value;
                client->write("k", "life" + std::to_string(life), 30s, [&](auto) {
                    client->read("k", 30s, [&](std::optional<std::string> read) {
                        after = read;
                        done.count_down();
                    });
                });
            });
        });
        home->start();
        ASSERT_TRUE(done.wait());
        EXPECT_EQ(before, life == 0 ? "" : "life0");
        EXPECT_EQ(after, "life" + std::to_string(life));
        home->stop();
        client.reset();
        for (auto& node : nodes) {
            node->stop();
        }
        replicas.clear();
    }
    EXPECT_TRUE(make_node(1)->disk().remove_tree(root).has_value());
}

TEST(RealMachines, messages_of_all_sizes_come_back) {
    auto node = make_node(2);
    std::uint16_t port = 0;
    {
        // A free port, as the kernel picks it.
        auto probe = *node->control_shard().net->listen({"127.0.0.1", 0}, [](auto) {});
        port = probe->address().port;
    }
    EchoServer server(*node, port, Bug::none);
    constexpr std::size_t count = 200;
    std::size_t sent = 0;
    std::size_t wrong = 0;
    Latch answered(count);
    std::unique_ptr<EchoClient> client;
    node->control_shard().executor->post([&] {
        client = std::make_unique<EchoClient>(
            *node, runtime::Address{"127.0.0.1", port}, Duration{0},
            [&] { return sent++ < count ? std::string(sent * sent, static_cast<char>(sent)) : ""; },
            [&](const std::string& one, const std::string& other) {
                wrong += one == other ? 0 : 1;
                answered.count_down();
            });
    });
    node->start();
    EXPECT_TRUE(answered.wait());
    node->stop();
    EXPECT_EQ(wrong, 0U);
    client.reset();
}

// The same promises that every simulated machine is held to.
TEST(RealMachines, keep_what_the_runtime_promises) {
    auto node = make_node(2);
    runtime::Executor& loop = *node->control_shard().executor;
    std::vector<std::string> broken;
    Latch all_came(1);
    std::unique_ptr<PromiseKeeper> keeper;
    std::function<void()> look = [&] {
        if (keeper->open() == 0) {
            keeper.reset();
            all_came.count_down();
        } else {
            loop.after(1ms, [&] { look(); });
        }
    };
    loop.post([&] {
        keeper = std::make_unique<PromiseKeeper>(
            *node, [&](const std::string& what) { broken.push_back(what); });
        for (std::uint64_t i = 0; i < 200; ++i) {
            keeper->try_one(SeededRandom(i));
        }
        look();
    });
    node->start();
    EXPECT_TRUE(all_came.wait());
    node->stop();
    EXPECT_THAT(broken, ::testing::IsEmpty());
}

}  // namespace
}  // namespace millrace::simtest
