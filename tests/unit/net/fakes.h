// A hand-cranked loop and a stream in memory: enough of the runtime to drive net step by step.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "net/server.h"
#include "runtime/node.h"

namespace millrace::net {

class ManualClock final : public Clock {
public:
    Instant now() const override { return at; }
    Timestamp wall() const override { return {at.nanoseconds / 1'000'000}; }
    Instant at{1};
};

class ManualExecutor final : public runtime::Executor {
public:
    const Clock& clock() const override { return clock_; }
    void post(runtime::Task task) override { tasks_.push_back(std::move(task)); }
    runtime::TimerId after(Duration delay, runtime::Task task) override {
        const std::uint64_t id = ++last_timer_;
        timers_.emplace(std::pair{clock_.at + delay, id}, std::move(task));
        return {id};
    }
    void cancel(runtime::TimerId timer) override {
        std::erase_if(timers_, [&](const auto& t) { return t.first.second == timer.value; });
    }
    bool is_current() const override { return true; }

    void run() {
        while (!tasks_.empty()) {
            auto task = std::move(tasks_.front());
            tasks_.pop_front();
            task();
        }
    }
    void advance(Duration by) {
        const Instant until = clock_.at + by;
        run();
        while (!timers_.empty() && timers_.begin()->first.first <= until) {
            auto timer = timers_.extract(timers_.begin());
            clock_.at = timer.key().first;
            timer.mapped()();
            run();
        }
        clock_.at = until;
    }

private:
    ManualClock clock_;
    std::deque<runtime::Task> tasks_;
    std::map<std::pair<Instant, std::uint64_t>, runtime::Task> timers_;
    std::uint64_t last_timer_ = 0;
};

/// The far end of a stream, kept by the test.
struct Wire {
    std::string to_broker;              ///< What the broker has yet to read.
    std::string from_broker;            ///< What the broker has written.
    std::size_t read_most = SIZE_MAX;   ///< Cuts reads.
    std::size_t write_most = SIZE_MAX;  ///< What may still be written before the peer stalls.
    bool ended = false;
    bool closed = false;
    bool paused = false;
    runtime::StreamEvents* events = nullptr;
};

class FakeStream final : public runtime::Stream {
public:
    explicit FakeStream(std::shared_ptr<Wire> wire, std::string host = "127.0.0.1")
        : wire_(std::move(wire)), address_{std::move(host), 1} {}
    ~FakeStream() override { wire_->closed = true; }
    void set_events(runtime::StreamEvents* events) override { wire_->events = events; }
    Result<std::size_t> read(MutableBytes into) override {
        if (wire_->to_broker.empty()) {
            return wire_->ended ? Result<std::size_t>(std::size_t{0}) : Error(Code::again, "");
        }
        const std::size_t n = std::min({into.size(), wire_->to_broker.size(), wire_->read_most});
        std::memcpy(into.data(), wire_->to_broker.data(), n);
        wire_->to_broker.erase(0, n);
        return n;
    }
    Result<std::size_t> write(std::span<const iovec> parts, bool) override {
        std::size_t taken = 0;
        for (const iovec& part : parts) {
            const std::size_t n = std::min(part.iov_len, wire_->write_most);
            wire_->from_broker.append(static_cast<const char*>(part.iov_base), n);
            wire_->write_most -= n;
            taken += n;
            if (n < part.iov_len) {
                break;
            }
        }
        return taken == 0 ? Result<std::size_t>(Error(Code::again, "")) : taken;
    }
    Result<std::size_t> send_file(runtime::File& file, std::uint64_t offset,
                                  std::size_t length) override {
        Buffer bytes(std::min(length, wire_->write_most));
        if (bytes.empty()) {
            return Error(Code::again, "");
        }
        MR_TRY(const std::size_t got, file.read_at(offset, bytes));
        wire_->from_broker.append(as_text(ByteView(bytes).first(got)));
        wire_->write_most -= got;
        return got;
    }
    void pause_reading(bool paused) override { wire_->paused = paused; }
    void close() override { wire_->closed = true; }
    const runtime::Address& peer() const override { return address_; }
    const runtime::Address& local() const override { return address_; }

private:
    std::shared_ptr<Wire> wire_;
    runtime::Address address_;
};

class FakeListener final : public runtime::Listener {
public:
    explicit FakeListener(bool& paused) : paused_(paused) {}
    runtime::Address address() const override { return {"127.0.0.1", 9092}; }
    void pause_accepting(bool paused) override { paused_ = paused; }

private:
    bool& paused_;
};

class FakeNet final : public runtime::Net {
public:
    Result<std::unique_ptr<runtime::Listener>> listen(
        const runtime::Address&, UniqueFunction<void(runtime::StreamPtr)> accept) override {
        on_accept = std::move(accept);
        return std::unique_ptr<runtime::Listener>(std::make_unique<FakeListener>(is_paused));
    }
    void connect(const runtime::Address&, Duration,
                 UniqueFunction<void(Result<runtime::StreamPtr>)> done) override {
        dials.push_back(std::move(done));
    }
    void look_up(const std::string&,
                 UniqueFunction<void(Result<std::vector<std::string>>)>) override {}
    runtime::StreamPtr adopt(runtime::StreamPtr stream) override { return stream; }

    UniqueFunction<void(runtime::StreamPtr)> on_accept;
    bool is_paused = false;
    std::deque<UniqueFunction<void(Result<runtime::StreamPtr>)>> dials;
};

class FakeFile final : public runtime::File {
public:
    explicit FakeFile(std::string contents) : contents_(std::move(contents)) {}
    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) const override {
        const std::size_t n = std::min(into.size(), contents_.size() - offset);
        std::memcpy(into.data(), contents_.data() + offset, n);
        return n;
    }
    Result<void> write_at(std::uint64_t, std::span<const iovec>) override { return {}; }
    Result<void> truncate(std::uint64_t) override { return {}; }
    Result<std::uint64_t> size() const override { return contents_.size(); }
    Result<void> sync() override { return {}; }
    void preallocate(std::uint64_t, std::uint64_t) override {}
    void start_writeback(std::uint64_t, std::uint64_t) override {}
    int descriptor() const override { return -1; }

private:
    std::string contents_;
};

inline std::string framed(std::string_view body) {
    std::string out(4, '\0');
    store_big_endian(reinterpret_cast<std::byte*>(out.data()),
                     static_cast<std::int32_t>(body.size()));
    return out.append(body);
}

}  // namespace millrace::net
