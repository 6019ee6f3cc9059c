// The simulated network: connections that behave as TCP does, and break as it does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/sim/simulation.h"
#include "tests/support/message_stream.h"

namespace millrace::runtime::sim {
namespace {

using millrace::support::MessageStream;

/// Answers every message with the same.
class EchoServer final : public Program {
public:
    explicit EchoServer(Node& node) {
        auto listener = node.control_shard().net->listen({"", 9092}, [this](StreamPtr s) {
            const std::size_t index = streams_.size();
            streams_.push_back(std::make_unique<MessageStream>(
                std::move(s), [this, index](std::string m) { streams_[index]->send(m); },
                [](std::string) {}));
        });
        EXPECT_TRUE(listener.has_value());
        listener_ = *std::move(listener);
    }

private:
    std::unique_ptr<Listener> listener_;
    std::vector<std::unique_ptr<MessageStream>> streams_;
};

/// Connects once; remembers what came and how it ended.
class Client final : public Program {
public:
    explicit Client(Node& node, std::string host = "server", Duration timeout = 60s) {
        node.control_shard().net->connect({host, 9092}, timeout, [this](Result<StreamPtr> s) {
            if (!s) {
                failure = s.error().code();
                return;
            }
            stream = std::make_unique<MessageStream>(
                *std::move(s), [this](std::string m) { received.push_back(std::move(m)); },
                [this](std::string why) { end = why; });
            for (const std::string& m : to_send) {
                stream->send(m);
            }
        });
    }
    std::vector<std::string> to_send;
    std::vector<std::string> received;
    std::optional<Code> failure;
    std::optional<std::string> end;
    std::unique_ptr<MessageStream> stream;
};

class SimNetTest : public ::testing::Test {
protected:
    void begin(std::uint64_t seed, Ambient ambient = {}) {
        FaultPlan plan;
        plan.ambient = ambient;
        simulation = std::make_unique<Simulation>(SimulationOptions{.seed = seed, .plan = plan});
        server = &simulation->add_node({.name = "server"});
        client = &simulation->add_node({.name = "client"});
        server->start([](Node& node) { return std::make_unique<EchoServer>(node); });
    }
    Client& start_client(std::string host = "server", Duration timeout = 60s) {
        client->start([=](Node& node) { return std::make_unique<Client>(node, host, timeout); });
        return static_cast<Client&>(*client->program());
    }
    Client& connected() {
        Client& program = start_client();
        simulation->run_until([&] { return program.stream != nullptr; }, 60s);
        EXPECT_NE(program.stream, nullptr);
        return program;
    }

    std::unique_ptr<Simulation> simulation;
    SimNode* server = nullptr;
    SimNode* client = nullptr;
};

TEST_F(SimNetTest, bytes_arrive_in_order_through_torn_reads_writes_and_small_windows) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        begin(seed, {.jitter = 20ms,
                     .torn_reads = 400,
                     .torn_writes = 400,
                     .spurious_events = 200,
                     .window_bytes = 100 + static_cast<std::uint32_t>(seed) * 50,
                     .post_delay = 1ms});
        Client& program = start_client();
        for (int i = 0; i < 50; ++i) {
            program.to_send.push_back(std::string(static_cast<std::size_t>(i * 7), 'a'));
        }
        simulation->run_for(300s);
        EXPECT_EQ(program.received, program.to_send) << "seed " << seed;
        EXPECT_GT(simulation->counts().of(FaultKind::torn_read), 0U);
        EXPECT_GT(simulation->counts().of(FaultKind::torn_write), 0U);
    }
}

TEST_F(SimNetTest, a_partition_delays_and_a_heal_delivers) {
    begin(1);
    Client& program = connected();
    simulation->network().partition("client", "server");
    program.stream->send("through");
    simulation->run_for(5s);
    EXPECT_TRUE(program.received.empty());
    simulation->network().heal("client", "server");
    simulation->run_for(5s);
    EXPECT_THAT(program.received, ::testing::ElementsAre("through"));
}

TEST_F(SimNetTest, a_one_way_partition_lets_the_request_in_and_not_the_answer_out) {
    begin(1);
    Client& program = connected();
    simulation->network().block("server", "client");
    program.stream->send("ping");
    simulation->run_for(5s);
    EXPECT_TRUE(program.received.empty());
    simulation->network().unblock("server", "client");
    simulation->run_for(5s);
    EXPECT_THAT(program.received, ::testing::ElementsAre("ping"));
}

TEST_F(SimNetTest, a_sender_gives_up_on_a_silent_peer) {
    begin(1);
    Client& program = connected();
    simulation->network().partition("client", "server");
    program.stream->send("into the void");
    simulation->run_for(200s);
    ASSERT_TRUE(program.end.has_value());
    EXPECT_THAT(*program.end, ::testing::HasSubstr("timed_out"));
}

TEST_F(SimNetTest, a_killed_process_says_good_bye_and_a_dead_machine_does_not) {
    begin(1);
    Client& program = connected();
    server->kill();
    simulation->run_for(1s);
    EXPECT_TRUE(program.end.has_value());

    begin(1);
    Client& second = connected();
    server->cut_power();
    simulation->run_for(300s);
    EXPECT_FALSE(second.end.has_value()) << "half-open: nothing was sent";
    server->restart();
    second.stream->send("still there?");
    simulation->run_for(5s);
    ASSERT_TRUE(second.end.has_value());
    EXPECT_THAT(*second.end, ::testing::HasSubstr("reset"));
}

TEST_F(SimNetTest, a_quiet_reset_leaves_the_other_end_half_open) {
    begin(1);
    Client& program = connected();
    simulation->network().reset_connections("server", "client", /*quietly=*/true);
    simulation->run_for(300s);
    EXPECT_FALSE(program.end.has_value());
    program.stream->send("hello");
    simulation->run_for(5s);
    EXPECT_TRUE(program.end.has_value());
}

TEST_F(SimNetTest, connecting_to_a_stopped_process_is_refused_and_to_a_dead_machine_times_out) {
    begin(1);
    server->kill();
    Client& refused = start_client();
    simulation->run_for(1s);
    EXPECT_EQ(refused.failure, Code::unavailable);

    begin(1);
    server->cut_power();
    Client& timed_out = start_client("server", 10s);
    simulation->run_for(9s);
    EXPECT_FALSE(timed_out.failure.has_value());
    simulation->run_for(2s);
    EXPECT_EQ(timed_out.failure, Code::timed_out);
}

TEST_F(SimNetTest, a_handshake_outlasts_a_short_partition) {
    begin(1);
    simulation->network().partition("client", "server");
    Client& program = start_client();
    simulation->in(4s, [&] { simulation->network().heal("client", "server"); });
    simulation->run_for(20s);
    EXPECT_NE(program.stream, nullptr);
}

TEST_F(SimNetTest, an_unknown_host_is_an_answer) {
    begin(1);
    Client& program = start_client("nobody");
    simulation->run_for(1s);
    EXPECT_EQ(program.failure, Code::not_found);
}

TEST_F(SimNetTest, a_paused_process_keeps_its_connections) {
    begin(1);
    Client& program = connected();
    server->pause();
    program.stream->send("wait for me");
    simulation->run_for(60s);
    EXPECT_TRUE(program.received.empty());
    server->resume();
    simulation->run_for(1s);
    EXPECT_THAT(program.received, ::testing::ElementsAre("wait for me"));
}

TEST_F(SimNetTest, bytes_in_the_kernel_outlive_their_process) {
    begin(1, {.latency = 10ms});
    Client& program = connected();
    std::vector<std::string> heard;
    server->kill();
    server->start([&](Node& node) {
        struct Ear final : Program {
            std::unique_ptr<Listener> listener;
            std::unique_ptr<MessageStream> stream;
        };
        auto ear = std::make_unique<Ear>();
        ear->listener =
            *node.control_shard().net->listen({"", 9092}, [&heard, e = ear.get()](StreamPtr s) {
                e->stream = std::make_unique<MessageStream>(
                    std::move(s), [&heard](std::string m) { heard.push_back(std::move(m)); },
                    [](std::string) {});
            });
        return ear;
    });
    (void)program;
    client->kill();
    Client& second = connected();
    second.stream->send("my last words");
    client->kill();
    simulation->run_for(1s);
    EXPECT_THAT(heard, ::testing::ElementsAre("my last words"));
}

TEST_F(SimNetTest, a_dying_process_sends_nothing_after_its_last_disk_call) {
    begin(1);
    Client& program = connected();
    server->kill();
    (void)program;
    server->start([this](Node& node) {
        struct Writer final : Program {
            std::unique_ptr<Listener> listener;
            std::unique_ptr<MessageStream> stream;
        };
        auto writer = std::make_unique<Writer>();
        const auto on_message = [w = writer.get(), &node, this](std::string) {
            server->doom(1, false, 1h);
            EXPECT_FALSE(node.disk().exists("/").has_value());
            w->stream->send("a lie");
        };
        writer->listener = *node.control_shard().net->listen(
            {"", 9092}, [w = writer.get(), on_message](StreamPtr s) {
                w->stream =
                    std::make_unique<MessageStream>(std::move(s), on_message, [](std::string) {});
            });
        return writer;
    });
    client->kill();
    Client& second = connected();
    second.stream->send("tell me");
    simulation->run_for(5s);
    EXPECT_FALSE(server->is_running());
    EXPECT_TRUE(second.received.empty());
    EXPECT_TRUE(second.end.has_value());
}

TEST_F(SimNetTest, a_stream_accepted_on_one_loop_is_served_on_another) {
    begin(1);
    server->kill();
    struct HandOver final : Program {
        explicit HandOver(Node& node) {
            Shard data = node.data_shard(0);
            listener = *node.control_shard().net->listen({"", 9092}, [this, data](StreamPtr s) {
                data.executor->post([this, data, s = std::move(s)]() mutable {
                    stream = std::make_unique<MessageStream>(
                        data.net->adopt(std::move(s)),
                        [this, data](std::string m) {
                            EXPECT_TRUE(data.executor->is_current());
                            stream->send(m);
                        },
                        [](std::string) {});
                });
            });
        }
        std::unique_ptr<Listener> listener;
        std::unique_ptr<MessageStream> stream;
    };
    server->start([](Node& node) { return std::make_unique<HandOver>(node); });
    Client& program = connected();
    program.stream->send("over there");
    simulation->run_for(1s);
    EXPECT_THAT(program.received, ::testing::ElementsAre("over there"));
}

std::uint64_t hash_of_a_wild_run(std::uint64_t seed) {
    SeededRandom random(seed);
    FaultProfile profile;
    for (const auto& kinds : {process_faults(), network_faults(), clock_faults()}) {
        profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
    }
    profile.nodes = {0, 1};
    profile.most = 20;
    Simulation simulation({.seed = seed, .plan = draw_plan(random, profile)});
    simulation.add_node({.name = "server"}).start([](Node& node) {
        return std::make_unique<EchoServer>(node);
    });
    simulation.add_node({.name = "client"}).start([](Node& node) {
        auto client = std::make_unique<Client>(node);
        client->to_send.assign(30, std::string(500, 'x'));
        return client;
    });
    simulation.run_for(20s);
    return simulation.trace_hash();
}

TEST_F(SimNetTest, the_same_seed_gives_the_same_trace_and_another_seed_another) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        EXPECT_EQ(hash_of_a_wild_run(seed), hash_of_a_wild_run(seed)) << "seed " << seed;
        EXPECT_NE(hash_of_a_wild_run(seed), hash_of_a_wild_run(seed + 100)) << "seed " << seed;
    }
}

}  // namespace
}  // namespace millrace::runtime::sim
