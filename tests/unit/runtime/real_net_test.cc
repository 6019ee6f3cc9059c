// The real Net over loopback. Ports are the kernel's choice.
#include <array>
#include <fcntl.h>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

/// Collects what arrives; echoes it if asked to.
struct Peer final : StreamEvents {
    explicit Peer(StreamPtr taken, bool echoes = false) : stream(std::move(taken)), echo(echoes) {
        stream->set_events(this);
    }
    void on_readable() override {
        std::array<std::byte, 1000> scratch;
        for (;;) {
            const auto got = stream->read(scratch);
            if (!got) {
                if (got.error().code() != Code::again) {
                    failure = got.error().to_string();
                    finished();
                }
                return;
            }
            if (*got == 0) {
                finished();
                return;
            }
            received += as_text(ByteView(scratch).first(*got));
            if (echo) {
                pending += as_text(ByteView(scratch).first(*got));
                flush();
            } else if (on_bytes) {
                on_bytes();
            }
        }
    }
    void on_writable() override { flush(); }
    void send(std::string text) {
        pending += text;
        flush();
    }
    void flush() {
        while (!pending.empty()) {
            const iovec part{pending.data(), pending.size()};
            const auto put = stream->write(std::span(&part, 1));
            if (!put) {
                return;
            }
            pending.erase(0, *put);
        }
    }
    void finished() {
        ended = true;
        if (on_end) {
            std::exchange(on_end, nullptr)();
        }
    }

    StreamPtr stream;
    bool echo;
    std::string pending;
    std::string received;
    std::string failure;
    bool ended = false;
    UniqueFunction<void()> on_bytes;
    UniqueFunction<void()> on_end;
};

class RealNet : public ::testing::Test {
protected:
    RealNet() {
        RealNodeOptions options;
        options.data_shards = 2;
        options.disk_threads = 1;
        node = *RealNode::create(std::move(options));
        node->start();
    }
    ~RealNet() override {
        node->stop();
        peers.clear();
        listener.reset();
    }

    /// Runs `work` on a loop and waits for it.
    void on(std::size_t shard, UniqueFunction<void()> work) {
        Latch latch;
        node->data_shard(shard).executor->post([&] {
            work();
            latch.count_down();
        });
        ASSERT_TRUE(latch.wait());
    }

    void listen_and_echo() {
        on(0, [&] {
            auto opened = net(0).listen({"127.0.0.1", 0}, [this](StreamPtr stream) {
                peers.push_back(std::make_unique<Peer>(std::move(stream), true));
            });
            ASSERT_TRUE(opened.has_value());
            listener = *std::move(opened);
        });
    }

    Result<StreamPtr> connect(std::size_t shard, const Address& to, Duration timeout = 10s) {
        std::promise<Result<StreamPtr>> answer;
        node->data_shard(shard).executor->post([&] {
            net(shard).connect(to, timeout, [&](Result<StreamPtr> outcome) {
                answer.set_value(std::move(outcome));
            });
        });
        return answer.get_future().get();
    }

    Net& net(std::size_t shard) { return *node->data_shard(shard).net; }

    std::unique_ptr<RealNode> node;
    std::unique_ptr<Listener> listener;
    std::vector<std::unique_ptr<Peer>> peers;
};

TEST_F(RealNet, carries_megabytes_both_ways_through_full_buffers) {
    listen_and_echo();
    auto stream = connect(1, listener->address());
    ASSERT_TRUE(stream.has_value());
    std::string sent;
    for (int i = 0; sent.size() < (8U << 20); ++i) {
        sent += std::to_string(i);
    }
    Latch latch;
    std::unique_ptr<Peer> client;
    on(1, [&] {
        client = std::make_unique<Peer>(*std::move(stream));
        client->on_bytes = [&] {
            if (client->received.size() == sent.size()) {
                latch.count_down();
            }
        };
        client->send(sent);
    });
    ASSERT_TRUE(latch.wait());
    on(1, [&] {
        EXPECT_TRUE(client->received == sent);
        client.reset();
    });
}

TEST_F(RealNet, tells_of_the_orderly_end_after_the_last_byte) {
    Latch latch;
    on(0, [&] {
        listener = *net(0).listen({"127.0.0.1", 0}, [this](StreamPtr stream) {
            auto peer = std::make_unique<Peer>(std::move(stream));
            peer->send("last words");
            peer->stream->close();
            peers.push_back(std::move(peer));
        });
    });
    auto stream = connect(1, listener->address());
    ASSERT_TRUE(stream.has_value());
    std::unique_ptr<Peer> client;
    on(1, [&] {
        client = std::make_unique<Peer>(*std::move(stream));
        client->on_end = [&] { latch.count_down(); };
        if (client->ended) {
            latch.count_down();
        }
    });
    ASSERT_TRUE(latch.wait());
    on(1, [&] {
        EXPECT_EQ(client->received, "last words");
        EXPECT_EQ(client->failure, "");
        client.reset();
    });
}

TEST_F(RealNet, a_refused_connection_is_an_answer) {
    listen_and_echo();
    const Address address = listener->address();
    on(0, [&] { listener.reset(); });
    const auto outcome = connect(1, address);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().code(), Code::unavailable);
}

TEST_F(RealNet, resolves_a_name_off_the_loop) {
    listen_and_echo();
    EXPECT_TRUE(connect(1, {"localhost", listener->address().port}).has_value());
}

TEST_F(RealNet, looks_up_the_addresses_of_a_name_and_of_an_address) {
    const auto looked_up = [&](const std::string& host) {
        std::promise<Result<std::vector<std::string>>> answer;
        net(1).look_up(host, [&](Result<std::vector<std::string>> found) {
            answer.set_value(std::move(found));
        });
        return answer.get_future().get();
    };
    EXPECT_THAT(*looked_up("localhost"), testing::Contains("127.0.0.1"));
    EXPECT_THAT(*looked_up("::1"), testing::ElementsAre("::1"));
}

TEST_F(RealNet, an_unknown_name_is_an_answer) {
    // Some resolvers take their time to say no.
    const auto outcome = connect(1, {"no-such-host.invalid", 9}, 300ms);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_TRUE(outcome.error().code() == Code::not_found ||
                outcome.error().code() == Code::timed_out)
        << outcome.error().to_string();
}

// A listener that never accepts, with its backlog full, answers no further handshake.
TEST_F(RealNet, gives_up_at_the_deadline) {
    const Address nowhere{"192.0.2.1", 9};  // TEST-NET-1: no host answers, some gateways refuse.
    const auto outcome = connect(1, nowhere, 30ms);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_TRUE(outcome.error().code() == Code::timed_out ||
                outcome.error().code() == Code::unavailable)
        << outcome.error().to_string();
}

TEST_F(RealNet, a_stream_accepted_here_is_served_there) {
    Latch served;
    on(0, [&] {
        listener = *net(0).listen({"127.0.0.1", 0}, [&](StreamPtr stream) {
            node->data_shard(1).executor->post([&, stream = std::move(stream)]() mutable {
                peers.push_back(std::make_unique<Peer>(net(1).adopt(std::move(stream)), true));
                served.count_down();
            });
        });
    });
    auto stream = connect(0, listener->address());
    ASSERT_TRUE(stream.has_value());
    Latch echoed;
    std::unique_ptr<Peer> client;
    on(0, [&] {
        client = std::make_unique<Peer>(*std::move(stream));
        client->on_bytes = [&] { echoed.count_down(); };
        client->send("hello");
    });
    EXPECT_TRUE(served.wait());
    EXPECT_TRUE(echoed.wait());
    on(1, [&] { peers.clear(); });
    on(0, [&] { client.reset(); });
}

// Bytes that came before the hand-over are told on the new loop.
TEST_F(RealNet, a_stream_moves_to_another_loop_with_bytes_waiting) {
    listen_and_echo();
    auto stream = connect(0, listener->address());
    ASSERT_TRUE(stream.has_value());
    Latch echoed;
    std::unique_ptr<Peer> client;
    StreamPtr moving = *std::move(stream);
    on(0, [&] {
        client = std::make_unique<Peer>(std::move(moving));
        client->stream->pause_reading(true);
        client->send("hello");
    });
    on(0, [&] {
        client->stream->set_events(nullptr);
        moving = std::move(client->stream);
        client.reset();
    });
    on(1, [&] {
        moving->pause_reading(false);
        client = std::make_unique<Peer>(net(1).adopt(std::move(moving)));
        client->on_bytes = [&] { echoed.count_down(); };
        if (client->received == "hello") {
            echoed.count_down();
        }
    });
    EXPECT_TRUE(echoed.wait());
    on(1, [&] { client.reset(); });
}

TEST_F(RealNet, a_paused_stream_is_silent_and_then_told_of_what_waits) {
    listen_and_echo();
    auto stream = connect(1, listener->address());
    ASSERT_TRUE(stream.has_value());
    Latch later;
    Latch echoed;
    std::unique_ptr<Peer> client;
    on(1, [&] {
        client = std::make_unique<Peer>(*std::move(stream));
        client->stream->pause_reading(true);
        client->send("hello");
        node->data_shard(1).executor->after(20ms, [&] { later.count_down(); });
    });
    ASSERT_TRUE(later.wait());
    on(1, [&] {
        EXPECT_EQ(client->received, "");
        client->on_bytes = [&] { echoed.count_down(); };
        client->stream->pause_reading(false);
    });
    EXPECT_TRUE(echoed.wait());
    on(1, [&] { client.reset(); });
}

TEST_F(RealNet, sends_a_range_of_a_file) {
    std::string path = "/tmp/runtime-send-XXXXXX";
    ::close(::mkstemp(path.data()));
    auto file = *node->disk().open(path, OpenMode::read_write);
    std::string contents;
    for (int i = 0; contents.size() < (1U << 20); ++i) {
        contents += std::to_string(i);
    }
    ASSERT_TRUE(file->write_at(0, as_bytes(contents)).has_value());
    listen_and_echo();
    auto stream = connect(1, listener->address());
    ASSERT_TRUE(stream.has_value());
    const std::size_t length = 20'000;  // Fits a fresh socket's buffer.
    Latch latch;
    std::unique_ptr<Peer> client;
    on(1, [&] {
        client = std::make_unique<Peer>(*std::move(stream));
        client->on_bytes = [&] {
            if (client->received.size() == length) {
                latch.count_down();
            }
        };
        const auto sent = client->stream->send_file(*file, 1234, length);
        ASSERT_TRUE(sent.has_value());
        EXPECT_EQ(*sent, length);
    });
    ASSERT_TRUE(latch.wait());
    on(1, [&] {
        EXPECT_TRUE(client->received == contents.substr(1234, length));
        const auto beyond = client->stream->send_file(*file, contents.size() - 10, 11);
        EXPECT_FALSE(beyond.has_value());
        client.reset();
    });
    ::unlink(path.c_str());
}

TEST_F(RealNet, an_owner_may_destroy_its_stream_inside_its_event) {
    struct Suicidal final : StreamEvents {
        void on_readable() override {
            stream.reset();
            gone->count_down();
        }
        void on_writable() override {}
        StreamPtr stream;
        Latch* gone = nullptr;
    };
    listen_and_echo();
    auto stream = connect(1, listener->address());
    ASSERT_TRUE(stream.has_value());
    Latch gone;
    Suicidal owner;
    owner.gone = &gone;
    on(1, [&] {
        owner.stream = *std::move(stream);
        owner.stream->set_events(&owner);
        const iovec part{const_cast<char*>("x"), 1};
        ASSERT_TRUE(owner.stream->write(std::span(&part, 1)).has_value());
    });
    EXPECT_TRUE(gone.wait());
}

// Whoever closes a number that isn't his is somewhere else: the last words say what was hit.
TEST(RealNetDeath, a_watched_descriptor_that_somebody_else_closed_is_named) {
    RealNodeOptions options;
    options.data_shards = 1;
    auto node = *RealNode::create(std::move(options));
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    auto listener = *node->data_shard(0).net->listen({"127.0.0.1", 0}, [](StreamPtr) {});
    EXPECT_DEATH(
        {
            ::close(next);
            listener.reset();
        },
        fmt::format("remove {} of the listener at 127.0.0.1:{} in loop data-0.*Bad file descriptor",
                    next, listener->address().port));
}

TEST_F(RealNet, two_listeners_on_one_port_are_refused) {
    listen_and_echo();
    on(1, [&] {
        const auto second = net(1).listen(listener->address(), [](StreamPtr) {});
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error().code(), Code::exists);
    });
}

TEST_F(RealNet, a_paused_listener_leaves_clients_waiting_and_then_takes_them) {
    Latch accepted;
    bool early = false;
    bool paused = true;
    on(0, [&] {
        listener = *net(0).listen({"127.0.0.1", 0}, [&](StreamPtr) {
            early = early || paused;
            accepted.count_down();
        });
        listener->pause_accepting(true);
    });
    auto stream = connect(1, listener->address());
    ASSERT_TRUE(stream.has_value());
    on(0, [&] {
        paused = false;
        listener->pause_accepting(false);
    });
    EXPECT_TRUE(accepted.wait());
    EXPECT_FALSE(early);
}

// With no descriptor left, a client hears so at once; with some again, the next one is served.
TEST_F(RealNet, turns_clients_away_when_descriptors_run_out_and_recovers) {
    listen_and_echo();
    std::unique_ptr<Peer> first;
    {
        // Once it is echoed, nothing of this connection is still to be accepted.
        auto early = connect(1, listener->address());
        ASSERT_TRUE(early.has_value());
        Latch echoed;
        on(1, [&] {
            first = std::make_unique<Peer>(*std::move(early));
            first->on_bytes = [&] { echoed.count_down(); };
            first->send("hello");
        });
        ASSERT_TRUE(echoed.wait());
    }
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    Latch refused;
    std::unique_ptr<Peer> client;
    {
        // The connecting socket takes the last descriptor; accepting finds none.
        const int next = ::dup(0);
        ::close(next);
        rlimit tight = before;
        tight.rlim_cur = static_cast<rlim_t>(next) + 1;
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
        auto late = connect(1, listener->address());
        ASSERT_TRUE(late.has_value()) << late.error().to_string();
        on(1, [&] {
            client = std::make_unique<Peer>(*std::move(late));
            client->on_end = [&] { refused.count_down(); };
            if (client->ended) {
                refused.count_down();
            }
        });
        EXPECT_TRUE(refused.wait());
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    // Who comes while the last are being turned away may go with them, and comes again.
    bool served = false;
    for (int attempt = 0; attempt < 20 && !served; ++attempt) {
        auto after = connect(1, listener->address());
        ASSERT_TRUE(after.has_value());
        Latch answered;
        on(1, [&] {
            client = std::make_unique<Peer>(*std::move(after));
            client->on_bytes = [&] { answered.count_down(); };
            client->on_end = [&] { answered.count_down(); };
            client->send("hello");
        });
        EXPECT_TRUE(answered.wait());
        on(1, [&] { served = client->received == "hello"; });
    }
    EXPECT_TRUE(served);
    on(1, [&] {
        client.reset();
        first.reset();
    });
}

}  // namespace
}  // namespace millrace::runtime
