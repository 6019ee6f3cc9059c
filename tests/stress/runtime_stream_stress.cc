// Connections that move between loops while bytes flow.
#include <array>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

constexpr std::size_t loops = 3;

/// Sends back what it gets, and after every few events moves to the next loop with all it has.
class Nomad final : public StreamEvents {
public:
    Nomad(RealNode& node, std::size_t home, StreamPtr stream, std::uint64_t seed)
        : node_(node), home_(home), stream_(std::move(stream)), random_(seed) {
        stream_->set_events(this);
    }

private:
    void on_readable() override {
        std::array<std::byte, 3000> scratch;
        for (int budget = 0; budget < 4; ++budget) {
            const auto got = stream_->read(scratch);
            if (!got && got.error().code() == Code::again) {
                move_on();
                return;
            }
            if (!got || *got == 0) {
                stream_->close();
                return;
            }
            pending_ += as_text(ByteView(scratch).first(*got));
            flush();
        }
        move_on();  // With bytes unread: the next loop must be told of them.
    }
    void on_writable() override { flush(); }

    void flush() {
        while (!pending_.empty()) {
            const iovec part{pending_.data(), pending_.size()};
            const auto put = stream_->write(std::span(&part, 1));
            if (!put) {
                return;
            }
            pending_.erase(0, *put);
        }
    }

    void move_on() {
        if (!random_.one_in(3)) {
            // Stays: but what was left unread must not be forgotten.
            stream_->pause_reading(true);
            stream_->pause_reading(false);
            return;
        }
        stream_->set_events(nullptr);
        home_ = (home_ + 1) % loops;
        Shard next = node_.data_shard(home_);
        next.executor->post([this, next, stream = std::move(stream_)]() mutable {
            stream_ = next.net->adopt(std::move(stream));
            stream_->set_events(this);
        });
    }

    RealNode& node_;
    std::size_t home_;
    StreamPtr stream_;
    std::string pending_;
    SeededRandom random_;
};

/// Sends a known sequence and checks that it comes back.
class Caller final : public StreamEvents {
public:
    Caller(StreamPtr stream, std::size_t bytes, Latch& done)
        : stream_(std::move(stream)), total_(bytes), done_(done) {
        stream_->set_events(this);
        send();
    }
    bool is_wrong() const { return wrong_; }

private:
    static std::byte byte_at(std::size_t position) {
        return static_cast<std::byte>(position * 131 + position / 251);
    }
    void on_readable() override {
        std::array<std::byte, 4096> scratch;
        for (;;) {
            const auto got = stream_->read(scratch);
            if (!got || *got == 0) {
                return;
            }
            for (std::size_t i = 0; i < *got; ++i) {
                wrong_ = wrong_ || scratch[i] != byte_at(received_++);
            }
            if (received_ == total_) {
                done_.count_down();
            }
        }
    }
    void on_writable() override { send(); }
    void send() {
        std::array<std::byte, 5000> chunk;
        while (sent_ < total_) {
            const std::size_t size = std::min(chunk.size(), total_ - sent_);
            for (std::size_t i = 0; i < size; ++i) {
                chunk[i] = byte_at(sent_ + i);
            }
            const iovec part{chunk.data(), size};
            const auto put = stream_->write(std::span(&part, 1));
            if (!put) {
                return;
            }
            sent_ += *put;
        }
    }

    StreamPtr stream_;
    const std::size_t total_;
    Latch& done_;
    std::size_t sent_ = 0;
    std::size_t received_ = 0;
    bool wrong_ = false;
};

TEST(HandOverStress, streams_keep_every_byte_while_they_move_between_loops) {
    constexpr int connections = 8;
    constexpr std::size_t bytes = 300'000;
    RealNodeOptions options;
    options.data_shards = loops;
    options.disk_threads = 1;
    auto node = *RealNode::create(std::move(options));
    std::vector<std::unique_ptr<Nomad>> nomads;
    auto listener = *node->data_shard(0).net->listen({"127.0.0.1", 0}, [&](StreamPtr stream) {
        nomads.push_back(std::make_unique<Nomad>(*node, 0, std::move(stream), nomads.size()));
    });
    Latch done(connections);
    std::vector<std::unique_ptr<Caller>> callers;
    Shard control = node->control_shard();
    control.executor->post([&] {
        for (int i = 0; i < connections; ++i) {
            control.net->connect(listener->address(), 30s, [&](Result<StreamPtr> stream) {
                ASSERT_TRUE(stream.has_value());
                callers.push_back(std::make_unique<Caller>(*std::move(stream), bytes, done));
            });
        }
    });
    node->start();
    EXPECT_TRUE(done.wait(std::chrono::seconds{120}));
    node->stop();
    for (const auto& caller : callers) {
        EXPECT_FALSE(caller->is_wrong());
    }
    callers.clear();
    nomads.clear();
    listener.reset();
}

}  // namespace
}  // namespace millrace::runtime
