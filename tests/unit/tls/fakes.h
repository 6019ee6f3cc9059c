// Two ends of a connection in memory, owners of streams, and a disk of strings.
#pragma once

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "runtime/disk.h"
#include "tests/unit/net/fakes.h"
#include "tls/filter.h"

namespace millrace::tls {

struct Pipe {
    std::string bytes;
    std::size_t capacity = SIZE_MAX;
    bool ended = false;
    std::size_t carried = 0;
};

class End final : public runtime::Stream {
public:
    End(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
        : in_(std::move(in)), out_(std::move(out)) {}
    ~End() override { End::close(); }
    void set_events(runtime::StreamEvents* events) override { events_ = events; }
    Result<std::size_t> read(MutableBytes into) override {
        if (in_->bytes.empty()) {
            return in_->ended ? Result<std::size_t>(std::size_t{0}) : Error(Code::again, "");
        }
        const std::size_t n = std::min(into.size(), in_->bytes.size());
        std::memcpy(into.data(), in_->bytes.data(), n);
        in_->bytes.erase(0, n);
        return n;
    }
    Result<std::size_t> write(std::span<const iovec> parts, bool more) override {
        std::size_t taken = 0;
        for (const iovec& part : parts) {
            const std::size_t room = out_->capacity - std::min(out_->capacity, out_->bytes.size());
            const std::size_t n = std::min(part.iov_len, room);
            out_->bytes.append(static_cast<const char*>(part.iov_base), n);
            out_->carried += n;
            taken += n;
        }
        last_had_more = more;
        return taken == 0 ? Result<std::size_t>(Error(Code::again, "")) : taken;
    }
    Result<std::size_t> send_file(runtime::File&, std::uint64_t, std::size_t) override {
        return Error(Code::internal, "nothing goes past the filter");
    }
    void pause_reading(bool paused) override { paused_ = paused; }
    void close() override {
        out_->ended = true;
        events_ = nullptr;
    }
    const runtime::Address& peer() const override { return address_; }
    const runtime::Address& local() const override { return address_; }

    void turn() {
        if (events_ != nullptr && out_->bytes.size() < out_->capacity) {
            events_->on_writable();
        }
        if (events_ != nullptr && !paused_ && (!in_->bytes.empty() || in_->ended)) {
            events_->on_readable();
        }
    }
    bool last_had_more = false;

private:
    std::shared_ptr<Pipe> in_;
    std::shared_ptr<Pipe> out_;
    runtime::StreamEvents* events_ = nullptr;
    runtime::Address address_{"127.0.0.1", 1};
    bool paused_ = false;
};

/// Sends what it is given, keeps what it gets.
class Owner final : public runtime::StreamEvents {
public:
    void own(runtime::StreamPtr stream) {
        stream_ = std::move(stream);
        stream_->set_events(this);
    }
    void send(std::string text) {
        outgoing_ += text;
        on_writable();
    }
    void on_readable() override {
        Buffer some(7000);
        while (stream_) {
            const auto got = stream_->read(some);
            if (!got) {
                if (got.error().code() != Code::again) {
                    error = got.error();
                    drop();
                }
                return;
            }
            if (*got == 0) {
                ended = true;
                drop();
                return;
            }
            received += as_text(ByteView(some).first(*got));
            if (drop_when_heard) {
                drop();
            }
        }
    }
    void on_writable() override {
        while (stream_ && !outgoing_.empty()) {
            // In three parts, as answers come.
            const std::size_t third = outgoing_.size() / 3;
            const iovec parts[] = {{outgoing_.data(), third},
                                   {outgoing_.data() + third, third},
                                   {outgoing_.data() + 2 * third, outgoing_.size() - 2 * third}};
            const auto sent = stream_->write(parts);
            if (!sent) {
                if (sent.error().code() != Code::again) {
                    error = sent.error();
                }
                return;
            }
            outgoing_.erase(0, *sent);
        }
    }
    void drop() { stream_.reset(); }
    runtime::Stream* stream() { return stream_.get(); }
    bool all_sent() const { return outgoing_.empty(); }

    std::string received;
    std::optional<Error> error;
    bool ended = false;
    bool drop_when_heard = false;

private:
    runtime::StreamPtr stream_;
    std::string outgoing_;
};

class StringDisk final : public runtime::Disk {
public:
    std::map<std::string, std::string> files;

    Result<runtime::FilePtr> open(const std::string& path, runtime::OpenMode) override {
        const auto found = files.find(path);
        if (found == files.end()) {
            return Error::make(Code::not_found, "open {}: no such file", path);
        }
        return runtime::FilePtr(std::make_shared<net::FakeFile>(found->second));
    }
    Result<void> rename(const std::string&, const std::string&) override { return {}; }
    Result<void> remove(const std::string&) override { return {}; }
    Result<void> create_directories(const std::string&) override { return {}; }
    Result<std::vector<runtime::DirectoryEntry>> list(const std::string&) override {
        return std::vector<runtime::DirectoryEntry>{};
    }
    Result<bool> exists(const std::string& path) override { return files.contains(path); }
    Result<void> sync_directory(const std::string&) override { return {}; }
    Result<runtime::DiskUsage> usage(const std::string&) override { return runtime::DiskUsage{}; }
    Result<std::unique_ptr<runtime::DirectoryLock>> lock(const std::string&) override {
        return Error(Code::unsupported, "");
    }
};

inline std::string vector_file(const std::string& name) {
    std::ifstream file(MILLRACE_SOURCE_DIR "/tests/vectors/tls/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// The settings of one who shows `name`'s certificate and trusts the tests' authority.
inline Settings settings_of(const std::string& name) {
    Settings settings;
    settings.key_store.type = "PEM";
    settings.key_store.certificates = Secret(vector_file(name + ".pem"));
    settings.key_store.key = Secret(vector_file(name + ".key"));
    settings.trust_store.type = "PEM";
    settings.trust_store.certificates = Secret(vector_file("authority.pem"));
    return settings;
}

inline Settings stranger() {
    Settings settings = settings_of("client");
    settings.key_store = {};
    return settings;
}

}  // namespace millrace::tls
