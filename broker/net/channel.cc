#include "net/channel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace millrace::net {
namespace {

constexpr std::size_t prefix_size = 4;
constexpr std::size_t correlation_at = 4;
constexpr std::size_t read_chunk = 64U << 10;
/// What has to come in within a timeout to be called progress.
constexpr std::uint64_t least_progress = 16U << 10;

}  // namespace

class Channel::Impl final : public runtime::StreamEvents,
                            public std::enable_shared_from_this<Channel::Impl> {
public:
    Impl(ChannelOptions options, runtime::Shard shard, const Logger& log)
        : options_(std::move(options)), shard_(shard), log_(log) {}

    void call(Buffer request, Duration timeout, Done done) {
        Call call;
        call.id = next_id_++;
        call.correlation = next_correlation_++;
        call.done = std::move(done);
        call.timeout = timeout;
        arm(call);
        store_big_endian(request.data() + correlation_at, call.correlation);
        calls_.push_back(std::move(call));
        queue(std::move(request));
    }

    void send(Buffer request) {
        store_big_endian(request.data() + correlation_at, next_correlation_++);
        queue(std::move(request));
    }

    void stop() {
        stopped_ = true;
        lost_ = {};
        fail(Error(Code::cancelled, "channel closed"));
    }

    void reset(const Error& why) { fail(why); }

    ChannelOptions options_;
    UniqueFunction<void(const Error&)> lost_;
    bool connected() const { return stream_ != nullptr; }

    void on_readable() override {
        auto keep = shared_from_this();
        if (in_.size() == 0) {
            in_ = RawBuffer(read_chunk);
        }
        for (;;) {
            const auto got = stream_->read(large_ ? MutableBytes(*large_).subspan(large_filled_)
                                                  : MutableBytes(in_).subspan(in_filled_));
            if (!got) {
                if (got.error().code() != Code::again) {
                    fail(got.error());
                }
                return;
            }
            if (*got == 0) {
                fail(Error(Code::closed, "peer closed the connection"));
                return;
            }
            received_ += *got;
            if (large_ ? !grow_large(*got) : !take_frames(*got)) {
                return;
            }
        }
    }

    void on_writable() override {
        auto keep = shared_from_this();
        blocked_ = false;
        write_some();
    }

private:
    struct Call {
        std::uint64_t id = 0;
        std::int32_t correlation = 0;
        Done done;
        Duration timeout{};
        runtime::TimerId timer{};
        std::uint64_t received = 0;  ///< When it was last looked at.
    };

    void arm(Call& call) {
        call.received = received_;
        call.timer = shard_.executor->after(call.timeout, [weak = weak_from_this(), id = call.id] {
            if (auto self = weak.lock()) {
                self->on_timeout(id);
            }
        });
    }

    void queue(Buffer request) {
        Buffer length(prefix_size);
        store_big_endian(length.data(), static_cast<std::int32_t>(request.size()));
        out_.push_back(std::move(length));
        out_.push_back(std::move(request));
        if (stream_) {
            flush_later();
        } else {
            dial();
        }
    }

    void dial() {
        if (dialing_ || stopped_) {
            return;
        }
        dialing_ = true;
        const Instant now = shard_.executor->clock().now();
        const Duration wait = retry_at_ > now ? retry_at_ - now : Duration{0};
        shard_.executor->after(wait, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->dial_now();
            }
        });
    }

    void dial_now() {
        if (stopped_) {
            return;
        }
        shard_.net->connect(options_.address, options_.connect_timeout,
                            [weak = weak_from_this()](Result<runtime::StreamPtr> stream) {
                                if (auto self = weak.lock()) {
                                    self->on_dialed(std::move(stream));
                                }
                            });
    }

    void on_dialed(Result<runtime::StreamPtr> stream) {
        dialing_ = false;
        if (stopped_) {
            return;
        }
        if (!stream) {
            back_off();
            fail(Error(Code::unavailable, stream.error().message()));  // It names the address.
            return;
        }
        stream_ = *std::move(stream);
        if (options_.wrap) {
            const std::string& name = options_.server_name;
            stream_ = options_.wrap(std::move(stream_), shard_,
                                    name.empty() ? options_.address.host : name);
        }
        stream_->set_events(this);
        write_some();
    }

    void back_off() {
        backoff_ = std::min(options_.backoff_most, std::max(options_.backoff_first, backoff_ * 2));
        retry_at_ = shard_.executor->clock().now() + backoff_;
    }

    void flush_later() {
        if (flush_posted_) {
            return;
        }
        flush_posted_ = true;
        shard_.executor->post([weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->flush_posted_ = false;
                self->write_some();
            }
        });
    }

    void write_some() {
        while (stream_ && !blocked_ && !out_.empty()) {
            std::array<iovec, 64> parts;
            std::size_t count = 0;
            std::size_t skip = out_done_;
            for (Buffer& buffer : out_) {
                if (count == parts.size()) {
                    break;
                }
                parts[count++] = {buffer.data() + skip, buffer.size() - skip};
                skip = 0;
            }
            const auto sent = stream_->write(std::span<const iovec>(parts.data(), count));
            if (!sent) {
                if (sent.error().code() == Code::again) {
                    blocked_ = true;
                } else {
                    fail(sent.error());
                }
                return;
            }
            std::size_t left = *sent;
            while (left > 0) {
                const std::size_t here = std::min(left, out_.front().size() - out_done_);
                out_done_ += here;
                left -= here;
                if (out_done_ == out_.front().size()) {
                    out_.pop_front();
                    out_done_ = 0;
                }
            }
        }
    }

    /// False when the connection ended meanwhile.
    bool grow_large(std::size_t read) {
        large_filled_ += read;
        return large_filled_ < large_->size() || take_frame(std::exchange(large_, nullptr));
    }

    /// False when the connection ended meanwhile.
    bool take_frames(std::size_t read) {
        in_filled_ += read;
        std::size_t used = 0;
        while (in_filled_ - used >= prefix_size) {
            const auto size = load_big_endian<std::int32_t>(in_.data() + used);
            if (size < static_cast<std::int32_t>(prefix_size) ||
                size > options_.max_response_bytes) {
                fail(Error::make(Code::corrupt, "response frame of {} bytes", size));
                return false;
            }
            const auto whole = static_cast<std::size_t>(size) + prefix_size;
            const auto make_frame = [size] {
                return std::make_shared<RawBuffer>(static_cast<std::size_t>(size));
            };
            if (in_filled_ - used < whole) {
                if (whole > in_.size()) {
                    // Read to where it will stay: what is large is not copied twice.
                    large_ = make_frame();
                    large_filled_ = in_filled_ - used - prefix_size;
                    std::memcpy(large_->data(), in_.data() + used + prefix_size, large_filled_);
                    used = in_filled_;
                }
                break;
            }
            auto frame = make_frame();
            std::memcpy(frame->data(), in_.data() + used + prefix_size, frame->size());
            used += whole;
            if (!take_frame(std::move(frame))) {
                return false;
            }
        }
        in_filled_ -= used;
        std::memmove(in_.data(), in_.data() + used, in_filled_);
        return true;
    }

    bool take_frame(std::shared_ptr<RawBuffer> frame) {
        const auto correlation = load_big_endian<std::int32_t>(frame->data());
        if (calls_.empty() || calls_.front().correlation != correlation) {
            fail(Error::make(Code::corrupt, "response to an unknown request {}", correlation));
            return false;
        }
        backoff_ = Duration{0};
        Call call = std::move(calls_.front());
        calls_.pop_front();
        shard_.executor->cancel(call.timer);
        call.done(ResponseFrame{std::move(frame)});
        return stream_ != nullptr;
    }

    void on_timeout(std::uint64_t id) {
        const auto at = std::find_if(calls_.begin(), calls_.end(),
                                     [id](const Call& call) { return call.id == id; });
        if (at == calls_.end()) {
            return;
        }
        if (options_.waits_while_it_comes && received_ - at->received >= least_progress) {
            arm(*at);
            return;
        }
        // Answers come in order, so one that is late holds back all behind it: start over.
        fail(Error::make(Code::timed_out, "{}: no answer in time", options_.address.to_string()));
    }

    void fail(const Error& why) {
        const bool was_connected = stream_ != nullptr;
        // Who it is does not satisfy one of the two: dialing again at once changes nothing, and it
        // is no sign that the peer is gone.
        const bool refused = was_connected && why.code() == Code::permission;
        if (refused) {
            back_off();
        }
        if (stream_) {
            stream_->set_events(nullptr);
            stream_->close();
            // The stream may be calling us right now; it goes once the stack has unwound.
            shard_.executor->post([stream = std::move(stream_)] {});
        }
        in_ = {};
        in_filled_ = 0;
        out_.clear();
        out_done_ = 0;
        large_.reset();
        blocked_ = false;
        std::deque<Call> failed = std::exchange(calls_, {});
        for (Call& call : failed) {
            shard_.executor->cancel(call.timer);
            shard_.executor->post([done = std::move(call.done), why]() mutable { done(why); });
        }
        if (refused) {
            MR_LOG(log_, warn, "net.peer_refused", field("peer", options_.address.to_string()),
                   field("reason", why.message()));
        } else if (was_connected) {
            MR_LOG(log_, debug, "net.channel_lost", field("peer", options_.address.to_string()),
                   field("reason", why.message()));
        }
        if (was_connected && !refused && lost_) {
            lost_(why);
        }
    }

    runtime::Shard shard_;
    const Logger& log_;
    runtime::StreamPtr stream_;
    std::deque<Call> calls_;
    std::deque<Buffer> out_;
    std::size_t out_done_ = 0;
    RawBuffer in_;  ///< Of read_chunk bytes while connected.
    std::size_t in_filled_ = 0;
    std::shared_ptr<RawBuffer> large_;  ///< An answer that is coming in, too long for `in_`.
    std::size_t large_filled_ = 0;
    std::uint64_t received_ = 0;  ///< Bytes, ever.
    std::uint64_t next_id_ = 1;
    std::int32_t next_correlation_ = 1;
    Duration backoff_{0};
    Instant retry_at_{};
    bool dialing_ = false;
    bool blocked_ = false;
    bool flush_posted_ = false;
    bool stopped_ = false;
};

Channel::Channel(ChannelOptions options, runtime::Shard shard, const Logger& log)
    : impl_(std::make_shared<Impl>(std::move(options), shard, log)) {}

Channel::~Channel() {
    impl_->stop();
}

void Channel::call(Buffer request, Duration timeout, Done done) {
    impl_->call(std::move(request), timeout, std::move(done));
}

void Channel::send(Buffer request) {
    impl_->send(std::move(request));
}

void Channel::on_lost(UniqueFunction<void(const Error&)> hint) {
    impl_->lost_ = std::move(hint);
}

void Channel::reset() {
    impl_->reset(Error(Code::cancelled, "channel reset"));
}

const runtime::Address& Channel::address() const {
    return impl_->options_.address;
}

bool Channel::connected() const {
    return impl_->connected();
}

}  // namespace millrace::net
