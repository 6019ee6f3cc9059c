#include "tests/sim/systems/echo.h"

#include <array>
#include <utility>

namespace millrace::simtest {

namespace {

constexpr std::size_t prefix = 4;
constexpr Duration connect_limit = 3s;
constexpr Duration reconnect_after = 20ms;

}  // namespace

/// Not a MessageStream: the mistakes live here.
class EchoServer::Connection final : public runtime::StreamEvents {
public:
    Connection(EchoServer& server, const runtime::Shard& shard, runtime::StreamPtr stream)
        : server_(server), shard_(shard), stream_(std::move(stream)) {
        stream_->set_events(this);
    }

private:
    void on_readable() override {
        std::array<std::byte, 4096> scratch;
        for (;;) {
            const auto got = stream_->read(scratch);
            if (!got && got.error().code() == Code::again) {
                return;
            }
            if (!got || *got == 0) {
                stream_->close();
                return;
            }
            take(as_text(ByteView(scratch).first(*got)));
            if (server_.bug_ == Bug::stops_at_short_read && *got < scratch.size()) {
                return;
            }
        }
    }
    void on_writable() override { flush(); }

    void take(std::string_view bytes) {
        if (server_.bug_ == Bug::message_per_read) {
            incoming_.clear();
        }
        incoming_ += bytes;
        for (;;) {
            if (incoming_.size() < prefix) {
                return;
            }
            const auto length = load_big_endian<std::uint32_t>(as_bytes(incoming_).data());
            if (incoming_.size() < prefix + length) {
                return;
            }
            outgoing_ += incoming_.substr(0, prefix + length);
            incoming_.erase(0, prefix + length);
            if (server_.bug_ == Bug::touches_other_loop) {
                (void)server_.node_.control_shard().executor->after(1s, [] {});
            }
            flush();
        }
    }

    void flush() {
        while (!outgoing_.empty()) {
            const iovec part{outgoing_.data(), outgoing_.size()};
            const auto put = stream_->write(std::span(&part, 1));
            if (!put) {
                return;
            }
            outgoing_.erase(0, *put);
            if (server_.bug_ == Bug::forgets_the_rest) {
                outgoing_.clear();
            }
        }
    }

    EchoServer& server_;
    const runtime::Shard shard_;
    runtime::StreamPtr stream_;
    std::string incoming_;
    std::string outgoing_;
};

EchoServer::EchoServer(runtime::Node& node, std::uint16_t port, Bug bug) : node_(node), bug_(bug) {
    for (std::size_t i = 0; i < node.data_shards(); ++i) {
        loops_.push_back({node.data_shard(i), {}});
    }
    auto listener = node.control_shard().net->listen({"", port}, [this](runtime::StreamPtr s) {
        Loop& loop = loops_[next_loop_++ % loops_.size()];
        loop.shard.executor->post([this, &loop, s = std::move(s)]() mutable {
            loop.connections.push_back(std::make_unique<Connection>(
                *this, loop.shard, loop.shard.net->adopt(std::move(s))));
        });
    });
    MR_ASSERT(listener.has_value());
    listener_ = *std::move(listener);
}

EchoServer::~EchoServer() = default;

EchoClient::EchoClient(runtime::Node& node, runtime::Address server, Duration longest_thought,
                       Next next, Answered answered)
    : shard_(node.control_shard()),
      server_(std::move(server)),
      longest_thought_(longest_thought),
      next_(std::move(next)),
      answered_(std::move(answered)) {
    connect();
    send_next();
}

void EchoClient::connect() {
    shard_.net->connect(server_, connect_limit, [this](Result<runtime::StreamPtr> stream) {
        if (!stream) {
            shard_.executor->after(reconnect_after, [this] { connect(); });
            return;
        }
        stream_ = std::make_unique<support::MessageStream>(
            *std::move(stream), [this](std::string message) { on_message(message); },
            [this](std::string) {
                shard_.executor->after(reconnect_after, [this] { connect(); });
            });
        for (const std::string& message : open_) {
            stream_->send(message);
        }
    });
}

void EchoClient::on_message(const std::string& message) {
    answered_(open_.empty() ? std::string{} : open_.front(), message);
    if (!open_.empty()) {
        open_.pop_front();
    }
    think();
}

void EchoClient::think() {
    if (thinking_ || ended_) {
        return;
    }
    thinking_ = true;
    shard_.executor->after(Duration{shard_.random->between(0, longest_thought_.count())}, [this] {
        thinking_ = false;
        send_next();
    });
}

void EchoClient::send_next() {
    if (open_.size() >= most_open || ended_) {
        return;  // An answer goes on.
    }
    std::string message = next_();
    ended_ = message.empty();
    if (ended_) {
        return;
    }
    // If the connection ended meanwhile, the next one sends it.
    if (stream_ && stream_->is_open()) {
        stream_->send(message);
    }
    open_.push_back(std::move(message));
    think();
}

}  // namespace millrace::simtest
