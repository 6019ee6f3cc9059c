// tests/support/message_stream.h
//
// An owner of a stream for tests and scenarios on the runtime's seams: cuts it into messages.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/unique_function.h"
#include "runtime/net.h"

namespace millrace::support {

/// Messages of at most 1 MiB over a stream, each behind its length in four bytes. Tells its owner
/// once when the stream ended, however it ended; the owner may destroy it in either call.
class MessageStream final : public runtime::StreamEvents {
public:
    using OnMessage = UniqueFunction<void(std::string)>;
    using OnEnd = UniqueFunction<void(std::string)>;

    MessageStream(runtime::StreamPtr stream, OnMessage on_message, OnEnd on_end);
    ~MessageStream() override { *alive_ = false; }

    void send(std::string_view message);
    void close();
    bool is_open() const { return open_; }
    const runtime::Address& peer() const { return stream_->peer(); }

private:
    void on_readable() override;
    void on_writable() override { flush(); }
    void flush();
    void ended(std::string why);
    bool cut_messages();

    static constexpr std::size_t prefix = 4;
    static constexpr std::uint32_t longest = 1 << 20;

    runtime::StreamPtr stream_;
    OnMessage on_message_;
    OnEnd on_end_;
    std::string incoming_;
    std::string outgoing_;
    bool open_ = true;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

inline MessageStream::MessageStream(runtime::StreamPtr stream, OnMessage on_message, OnEnd on_end)
    : stream_(std::move(stream)), on_message_(std::move(on_message)), on_end_(std::move(on_end)) {
    stream_->set_events(this);
}

inline void MessageStream::send(std::string_view message) {
    if (!open_) {
        return;
    }
    std::byte length[prefix];
    store_big_endian(length, static_cast<std::uint32_t>(message.size()));
    outgoing_ += as_text(length);
    outgoing_ += message;
    flush();
}

inline void MessageStream::close() {
    open_ = false;
    stream_->close();
}

inline void MessageStream::flush() {
    while (open_ && !outgoing_.empty()) {
        const iovec part{outgoing_.data(), outgoing_.size()};
        const auto put = stream_->write(std::span(&part, 1));
        if (!put) {
            return;  // Full, or broken: reading tells of that.
        }
        outgoing_.erase(0, *put);
    }
}

inline void MessageStream::on_readable() {
    std::array<std::byte, 4096> scratch;
    while (open_) {
        const auto got = stream_->read(scratch);
        if (!got && got.error().code() == Code::again) {
            return;
        }
        if (!got || *got == 0) {
            ended(got ? "end of stream" : got.error().to_string());
            return;
        }
        incoming_ += as_text(ByteView(scratch).first(*got));
        if (!cut_messages()) {
            return;
        }
    }
}

// False if the owner destroyed this object meanwhile.
inline bool MessageStream::cut_messages() {
    const auto alive = alive_;
    while (open_ && incoming_.size() >= prefix) {
        const auto length = load_big_endian<std::uint32_t>(as_bytes(incoming_).data());
        if (length > longest) {
            ended("a message too long");
            return *alive;
        }
        if (incoming_.size() < prefix + length) {
            return true;
        }
        std::string message = incoming_.substr(prefix, length);
        incoming_.erase(0, prefix + length);
        on_message_(std::move(message));
        if (!*alive) {
            return false;
        }
    }
    return true;
}

inline void MessageStream::ended(std::string why) {
    close();
    on_end_(std::move(why));
}

}  // namespace millrace::support
