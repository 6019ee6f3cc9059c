// tests/sim/systems/echo.h
//
// A server that answers each message (four bytes of length, then the body) with the same, on two
// data loops, and a client that sends one message after another and waits for each.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/node.h"
#include "tests/sim/systems/bugs.h"
#include "tests/support/message_stream.h"

namespace millrace::simtest {

class EchoServer {
public:
    EchoServer(runtime::Node& node, std::uint16_t port, Bug bug);
    ~EchoServer();

private:
    class Connection;
    struct Loop {
        runtime::Shard shard;
        std::vector<std::unique_ptr<Connection>> connections;
    };

    runtime::Node& node_;
    const Bug bug_;
    std::vector<Loop> loops_;
    std::size_t next_loop_ = 0;
    std::unique_ptr<runtime::Listener> listener_;
};

/// Sends what `next` gives, a few messages ahead of the answers, and tells `answered` what came
/// back for the first that is open; connects again when a connection ends and sends all that is
/// open once more.
class EchoClient {
public:
    using Next = UniqueFunction<std::string()>;
    using Answered = UniqueFunction<void(const std::string& sent, const std::string& received)>;

    /// An empty message from `next` ends it.
    EchoClient(runtime::Node& node, runtime::Address server, Duration longest_thought, Next next,
               Answered answered);

private:
    static constexpr std::size_t most_open = 3;

    void connect();
    void on_message(const std::string& message);
    void think();
    void send_next();

    runtime::Shard shard_;
    const runtime::Address server_;
    const Duration longest_thought_;
    Next next_;
    Answered answered_;
    std::deque<std::string> open_;  ///< Sent, or to be sent again, and not answered.
    bool thinking_ = false;
    bool ended_ = false;  ///< There is no next message.
    std::unique_ptr<support::MessageStream> stream_;
};

}  // namespace millrace::simtest
