// tls/internal/tls_stream.h
//
// One connection: OpenSSL's state machine between the stream below, which it reads and writes
// through two functions of ours, and the owner above. Holds no buffer while idle. Bytes that the
// library has encrypted and the stream below did not take are not said to be written: the owner
// comes again with the same, and only then are they its no longer.
#pragma once

#include <optional>

#include "runtime/net.h"
#include "runtime/node.h"
#include "tls/context.h"
#include "tls/internal/loaded.h"

namespace millrace::tls::internal {

class TlsStream final : public runtime::Stream, private runtime::StreamEvents {
public:
    enum class Side { server, client };

    TlsStream(Side side, runtime::StreamPtr below, runtime::Shard shard,
              std::shared_ptr<Context> context, const std::string& server_name);
    ~TlsStream() override;

    void set_events(runtime::StreamEvents* events) override;
    Result<std::size_t> read(MutableBytes into) override;
    Result<std::size_t> write(std::span<const iovec> parts, bool more_follows) override;
    Result<std::size_t> send_file(runtime::File& file, std::uint64_t offset,
                                  std::size_t length) override;
    void pause_reading(bool paused) override;
    void close() override;
    const runtime::Address& peer() const override { return below_->peer(); }
    const runtime::Address& local() const override { return below_->local(); }
    const std::string& peer_name() const override { return peer_name_; }

private:
    enum class Phase { handshaking, established, refused, ended };

    void on_readable() override;
    void on_writable() override;

    void expect_name(const std::string& server_name);
    void handshake();
    void finish_handshake();
    void refuse(const Error& why);
    void tell_owner();
    void arm(Duration delay, void (TlsStream::*method)());
    void on_timeout();
    void drain_refused();
    std::string why_handshake_failed();

    /// What the owner is told when it can't go on now: the reason, or Code::again.
    Error not_open() const;
    /// One record of at most record_bytes; false if the stream below is full.
    Result<bool> push(ByteView bytes);
    /// The record that was begun and not taken; true when there is none any more.
    Result<bool> push_rest();

    static const BIO_METHOD* bio_method();
    static int bio_read(BIO* bio, char* into, int size);
    static int bio_write(BIO* bio, const char* from, int size);
    static long bio_control(BIO* bio, int command, long number, void* pointer);

    const Side side_;
    runtime::StreamPtr below_;
    runtime::Shard shard_;
    std::shared_ptr<Context> context_;
    std::shared_ptr<const Loaded> loaded_;
    SslPtr ssl_;
    runtime::StreamEvents* events_ = nullptr;
    Phase phase_ = Phase::handshaking;
    std::optional<Error> refusal_;
    std::optional<Error> failure_;  ///< The refusal, once the owner may know it.
    std::optional<Error> below_failed_;
    std::optional<std::byte> first_byte_;
    std::string peer_name_;
    std::string refused_name_;   ///< Whose certificate did not satisfy us.
    std::size_t begun_ = 0;      ///< Bytes of the record that the stream below has not taken yet.
    std::size_t discarded_ = 0;  ///< Of a refused peer.
    bool more_follows_ = false;
    bool below_ended_ = false;
    bool heard_ = false;  ///< Something but the handshake came.
    bool owes_writable_ = false;
    bool owes_readable_ = false;  ///< Reading waits for room to write (an update of keys).
    bool paused_ = false;
    runtime::TimerId timer_;
    bool* gone_ = nullptr;  ///< Set by the destructor, for whoever is on the stack.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::tls::internal
