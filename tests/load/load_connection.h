// tests/load/load_connection.h
//
// One pipelined connection: whole frames out, whole frames in, never blocking. Frames are made once
// and sent many times; only their correlation id differs.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/bytes.h"

namespace millrace::load {

using Micros = std::int64_t;  ///< Of the steady clock.
Micros now();

class Connection {
public:
    /// Connects to 127.0.0.1:port; ends the process with a message if it can't.
    explicit Connection(std::uint16_t port);
    ~Connection();
    Connection(Connection&& other) noexcept;
    Connection& operator=(Connection&&) = delete;

    int fd() const { return fd_; }
    /// `began` is when the request was due; its latency counts from there.
    void send(const Buffer& frame, Micros began);
    std::size_t in_flight() const { return began_.size(); }
    bool wants_to_write() const { return sent_ < out_.size(); }
    void write_some();
    void read_some();

    struct Answer {
        ByteView body;  ///< Behind the correlation id; until the next call.
        Micros began;
    };
    /// Whether a whole answer is there. Answers come in the order of their requests.
    bool next(Answer& answer);

private:
    int fd_ = -1;
    std::int32_t correlation_ = 0;
    std::int32_t answered_ = 0;
    std::string out_;
    std::size_t sent_ = 0;
    std::string in_;
    std::size_t used_ = 0;
    std::deque<Micros> began_;
};

[[noreturn]] void fail(const std::string& why);

}  // namespace millrace::load
