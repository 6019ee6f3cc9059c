// tests/sim/systems/echo.h
//
// A server that answers each message (four bytes of length, then the body) with the same, on two
// data loops, and a client that sends one message after another and waits for each.
#pragma once

#include <cstdint>
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

/// Sends what `next` gives, tells `answered` what came back; connects again when a connection ends
/// and sends the same once more.
class EchoClient {
public:
    using Next = UniqueFunction<std::string()>;
    using Answered = UniqueFunction<void(const std::string& sent, const std::string& received)>;

    /// An empty message from `next` ends it.
    EchoClient(runtime::Node& node, runtime::Address server, Duration longest_thought, Next next,
               Answered answered);

private:
    void connect();
    void send_next();

    runtime::Shard shard_;
    const runtime::Address server_;
    const Duration longest_thought_;
    Next next_;
    Answered answered_;
    std::string current_;
    bool thinking_ = false;  ///< `current_` is not to be sent yet.
    std::unique_ptr<testing::MessageStream> stream_;
};

}  // namespace millrace::simtest
