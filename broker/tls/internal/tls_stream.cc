#include "tls/internal/tls_stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/core.h>

namespace millrace::tls::internal {
namespace {

constexpr std::size_t record_bytes = 16U << 10;
/// More than this of what a refused peer still sends is not even read.
constexpr std::size_t most_discarded = 256U << 10;
constexpr std::byte handshake_record{0x16};

using Record = std::array<std::byte, record_bytes>;

/// Each loop's own: nothing stays in it between calls.
Record& scratch() {
    static thread_local Record record;
    return record;
}

/// Takes records out of a list of parts, copying only what is spread over several.
class Parts {
public:
    explicit Parts(std::span<const iovec> parts) : parts_(parts) {}

    void skip(std::size_t bytes) {
        while (bytes > 0) {
            MR_ASSERT(!parts_.empty());  // the owner came again with less than it came with before
            const std::size_t here = std::min(bytes, parts_.front().iov_len - done_);
            advance(here);
            bytes -= here;
        }
    }
    ByteView next() {
        drop_empty();
        if (parts_.empty()) {
            return {};
        }
        const std::size_t left = parts_.front().iov_len - done_;
        const auto* at = static_cast<const std::byte*>(parts_.front().iov_base) + done_;
        if (left >= record_bytes || parts_.size() == 1) {
            const ByteView whole(at, std::min(left, record_bytes));
            advance(whole.size());
            return whole;
        }
        std::size_t filled = 0;
        while (filled < record_bytes && !parts_.empty()) {
            const std::size_t here =
                std::min(record_bytes - filled, parts_.front().iov_len - done_);
            std::memcpy(scratch().data() + filled,
                        static_cast<const std::byte*>(parts_.front().iov_base) + done_, here);
            filled += here;
            advance(here);
        }
        return ByteView(scratch()).first(filled);
    }
    bool is_empty() {
        drop_empty();
        return parts_.empty();
    }

private:
    void advance(std::size_t bytes) {
        done_ += bytes;
        if (done_ == parts_.front().iov_len) {
            parts_ = parts_.subspan(1);
            done_ = 0;
        }
    }
    void drop_empty() {
        while (!parts_.empty() && parts_.front().iov_len == done_) {
            parts_ = parts_.subspan(1);
            done_ = 0;
        }
    }
    std::span<const iovec> parts_;
    std::size_t done_ = 0;
};

bool is_address(const std::string& text) {
    const std::unique_ptr<ASN1_OCTET_STRING, Releases<ASN1_OCTET_STRING_free>> bytes(
        a2i_IPADDRESS(text.c_str()));
    ERR_clear_error();
    return bytes != nullptr;
}

std::size_t total(std::span<const iovec> parts) {
    std::size_t sum = 0;
    for (const iovec& part : parts) {
        sum += part.iov_len;
    }
    return sum;
}

Error again() {
    return {Code::again, {}};
}

}  // namespace

TlsStream::TlsStream(Side side, runtime::StreamPtr below, runtime::Shard shard,
                     std::shared_ptr<Context> context, const std::string& server_name)
    : side_(side),
      below_(std::move(below)),
      shard_(shard),
      context_(std::move(context)),
      loaded_(context_->loaded()) {
    SSL_CTX* made_from = side == Side::server ? loaded_->server.get() : loaded_->client.get();
    ssl_.reset(SSL_new(made_from));
    MR_ASSERT(ssl_ != nullptr);
    BIO* bio = BIO_new(bio_method());
    MR_ASSERT(bio != nullptr);
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_app_data(ssl_.get(), &refused_name_);
    if (side == Side::server) {
        SSL_set_accept_state(ssl_.get());
    } else {
        SSL_set_connect_state(ssl_.get());
        expect_name(server_name);
    }
}

TlsStream::~TlsStream() {
    if (gone_ != nullptr) {
        *gone_ = true;
    }
    TlsStream::close();
}

void TlsStream::expect_name(const std::string& server_name) {
    const bool address = is_address(server_name);
    if (!address) {
        SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str());
    }
    if (!loaded_->settings.verify_host) {
        return;
    }
    X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int taken = address ? X509_VERIFY_PARAM_set1_ip_asc(expected, server_name.c_str())
                              : X509_VERIFY_PARAM_set1_host(expected, server_name.c_str(), 0);
    MR_ASSERT(taken == 1);
}

// --- The owner's side

void TlsStream::set_events(runtime::StreamEvents* events) {
    events_ = events;
    below_->set_events(events == nullptr ? nullptr : this);
    if (events != nullptr && phase_ == Phase::handshaking && !timer_) {
        arm(loaded_->settings.handshake_timeout, &TlsStream::on_timeout);
        if (side_ == Side::client) {
            handshake();
        }
    }
}

Error TlsStream::not_open() const {
    if (failure_) {
        return *failure_;
    }
    return phase_ == Phase::ended ? Error(Code::closed, "the stream is closed") : again();
}

Result<std::size_t> TlsStream::read(MutableBytes into) {
    if (phase_ != Phase::established) {
        return not_open();
    }
    std::size_t filled = 0;
    while (filled < into.size()) {
        ERR_clear_error();
        std::size_t got = 0;
        const int outcome =
            SSL_read_ex(ssl_.get(), into.data() + filled, into.size() - filled, &got);
        if (outcome == 1) {
            filled += got;
            heard_ = true;
            continue;
        }
        if (filled > 0) {
            break;  // what ended it is told at the next call
        }
        switch (SSL_get_error(ssl_.get(), outcome)) {
            case SSL_ERROR_WANT_READ:
                return again();
            case SSL_ERROR_WANT_WRITE:
                owes_readable_ = true;
                return again();
            case SSL_ERROR_ZERO_RETURN:
                return std::size_t{0};
            default:
                if (below_failed_) {
                    return *below_failed_;
                }
                // A server looks at our certificate after we think that all is well (TLS 1.3).
                return Error::make(heard_ ? Code::corrupt : Code::permission, "TLS: {}",
                                   take_reason());
        }
    }
    return filled;
}

Result<bool> TlsStream::push(ByteView bytes) {
    ERR_clear_error();
    std::size_t taken = 0;
    const int outcome = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &taken);
    if (outcome == 1) {
        MR_ASSERT(taken == bytes.size());
        return true;
    }
    const int why = SSL_get_error(ssl_.get(), outcome);
    if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) {
        begun_ = bytes.size();
        owes_writable_ = true;
        return false;
    }
    if (below_failed_) {
        return *below_failed_;
    }
    return Error::make(Code::closed, "TLS: {}", take_reason());
}

Result<bool> TlsStream::push_rest() {
    if (begun_ == 0) {
        return true;
    }
    // The record is encrypted already; the library only wants to be asked with the same size.
    MR_TRY(const bool taken, push(ByteView(scratch()).first(begun_)));
    return taken;
}

Result<std::size_t> TlsStream::write(std::span<const iovec> parts, bool more_follows) {
    if (phase_ != Phase::established) {
        owes_writable_ = true;
        return not_open();
    }
    Parts left(parts);
    std::size_t written = 0;
    if (begun_ > 0) {
        const std::size_t size = begun_;
        more_follows_ = more_follows || total(parts) > size;
        MR_TRY(const bool taken, push_rest());
        if (!taken) {
            return again();
        }
        begun_ = 0;
        left.skip(size);
        written = size;
    }
    for (ByteView record = left.next(); !record.empty(); record = left.next()) {
        more_follows_ = more_follows || !left.is_empty();
        MR_TRY(const bool taken, push(record));
        if (!taken) {
            break;
        }
        written += record.size();
    }
    return written == 0 && !parts.empty() ? Result<std::size_t>(again()) : written;
}

Result<std::size_t> TlsStream::send_file(runtime::File& file, std::uint64_t offset,
                                         std::size_t length) {
    if (phase_ != Phase::established) {
        owes_writable_ = true;
        return not_open();
    }
    std::size_t written = 0;
    if (begun_ > 0) {
        written = begun_;
        more_follows_ = written < length;
        MR_TRY(const bool taken, push_rest());
        if (!taken) {
            return again();
        }
        begun_ = 0;
    }
    while (written < length) {
        const MutableBytes record =
            MutableBytes(scratch()).first(std::min(length - written, record_bytes));
        MR_TRY(const std::size_t got, file.read_at(offset + written, record));
        if (got == 0) {
            return Error::make(Code::io, "send_file: the file ends at {}, {} bytes were to follow",
                               offset + written, length - written);
        }
        more_follows_ = written + got < length;
        MR_TRY(const bool taken, push(record.first(got)));
        if (!taken) {
            break;
        }
        written += got;
    }
    return written == 0 ? Result<std::size_t>(again()) : written;
}

void TlsStream::pause_reading(bool paused) {
    paused_ = paused;
    if (phase_ != Phase::handshaking) {
        below_->pause_reading(paused);
    }
}

void TlsStream::close() {
    if (phase_ == Phase::ended) {
        return;
    }
    const bool says_goodbye = phase_ == Phase::established && begun_ == 0 && !below_failed_;
    phase_ = Phase::ended;
    shard_.executor->cancel(timer_);
    if (says_goodbye) {
        ERR_clear_error();
        more_follows_ = false;
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    below_->close();
}

// --- The stream below

void TlsStream::on_readable() {
    if (phase_ == Phase::handshaking) {
        handshake();
    } else if (phase_ == Phase::refused) {
        drain_refused();
    } else if (events_ != nullptr) {
        events_->on_readable();
    }
}

void TlsStream::on_writable() {
    if (phase_ == Phase::handshaking) {
        handshake();
        return;
    }
    if (phase_ != Phase::established) {
        return;
    }
    bool gone = false;
    gone_ = &gone;
    if (std::exchange(owes_readable_, false) && events_ != nullptr) {
        events_->on_readable();
    }
    if (!gone && std::exchange(owes_writable_, false) && events_ != nullptr) {
        events_->on_writable();
    }
    if (!gone) {
        gone_ = nullptr;
    }
}

void TlsStream::handshake() {
    ERR_clear_error();
    more_follows_ = false;
    const int outcome = SSL_do_handshake(ssl_.get());
    if (outcome == 1) {
        finish_handshake();
        return;
    }
    const int why = SSL_get_error(ssl_.get(), outcome);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        return;
    }
    if (below_failed_) {
        refuse(*below_failed_);
    } else if (below_ended_ && !first_byte_) {
        refuse(Error(Code::closed, "peer closed"));  // a port that was only looked at
    } else {
        refuse(Error(Code::permission, "TLS handshake: " + why_handshake_failed()));
    }
}

void TlsStream::finish_handshake() {
    const CertificatePtr certificate(SSL_get1_peer_certificate(ssl_.get()));
    if (certificate && side_ == Side::server) {
        const std::string subject = name_text(X509_get_subject_name(certificate.get()));
        auto mapped = loaded_->rules.map(subject);
        if (!mapped) {
            refuse(Error::make(Code::permission,
                               "TLS handshake: no rule of ssl.principal.mapping.rules matches {}",
                               subject));
            return;
        }
        peer_name_ = *std::move(mapped);
    }
    phase_ = Phase::established;
    shard_.executor->cancel(timer_);
    context_->counters().handshakes.fetch_add(1, std::memory_order_relaxed);
    if (paused_) {
        below_->pause_reading(true);
    }
    // Later, as this may run inside the owner's own call; what came with the handshake's last
    // bytes is no news to the stream below.
    arm(Duration{0}, &TlsStream::tell_owner);
}

void TlsStream::refuse(const Error& why) {
    const bool told = why.code() == Code::permission;
    phase_ = Phase::refused;
    refusal_ = why;
    shard_.executor->cancel(timer_);
    if (told) {
        context_->counters().failures.fetch_add(1, std::memory_order_relaxed);
    }
    // A close with bytes unread resets the connection, and the peer never learns the reason.
    const bool linger = told && side_ == Side::server;
    arm(linger ? loaded_->settings.failure_delay : Duration{0}, &TlsStream::tell_owner);
}

void TlsStream::arm(Duration delay, void (TlsStream::*method)()) {
    runtime::Task task = [this, alive = std::weak_ptr<bool>(alive_), method] {
        if (!alive.expired() && phase_ != Phase::ended) {
            timer_ = {};
            (this->*method)();
        }
    };
    if (delay == Duration{0}) {
        shard_.executor->post(std::move(task));
    } else {
        timer_ = shard_.executor->after(delay, std::move(task));
    }
}

void TlsStream::on_timeout() {
    refuse(Error::make(Code::permission, "TLS handshake: not finished within {} ms",
                       to_milliseconds(loaded_->settings.handshake_timeout)));
}

void TlsStream::tell_owner() {
    if (phase_ == Phase::refused) {
        failure_ = refusal_;
    }
    if (events_ == nullptr) {
        return;
    }
    bool gone = false;
    gone_ = &gone;
    if (std::exchange(owes_writable_, false)) {
        events_->on_writable();
    }
    if (!gone && events_ != nullptr && !paused_) {
        events_->on_readable();
    }
    if (!gone) {
        gone_ = nullptr;
    }
}

void TlsStream::drain_refused() {
    while (discarded_ < most_discarded) {
        const auto got = below_->read(scratch());
        if (!got || *got == 0) {
            return;
        }
        discarded_ += *got;
    }
    below_->pause_reading(true);
}

std::string TlsStream::why_handshake_failed() {
    if (first_byte_ && *first_byte_ != handshake_record) {
        take_reason();
        return "the peer does not speak TLS";
    }
    const long verdict = SSL_get_verify_result(ssl_.get());
    const std::string reason = take_reason();
    if (verdict != X509_V_OK) {
        return fmt::format("the certificate of {} is refused: {}", refused_name_,
                           X509_verify_cert_error_string(verdict));
    }
    if (below_ended_) {
        return "the peer closed before it was finished";
    }
    return reason;
}

// --- What the library calls

const BIO_METHOD* TlsStream::bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "millrace");
        MR_ASSERT(made != nullptr);
        BIO_meth_set_read(made, &TlsStream::bio_read);
        BIO_meth_set_write(made, &TlsStream::bio_write);
        BIO_meth_set_ctrl(made, &TlsStream::bio_control);
        return made;
    }();
    return method;
}

int TlsStream::bio_read(BIO* bio, char* into, int size) {
    auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto got = self.below_->read(
        {reinterpret_cast<std::byte*>(into), static_cast<std::size_t>(std::max(size, 0))});
    if (!got) {
        if (got.error().code() == Code::again) {
            BIO_set_retry_read(bio);
        } else {
            self.below_failed_ = got.error();
        }
        return -1;
    }
    if (*got == 0) {
        self.below_ended_ = true;
        return 0;
    }
    if (!self.first_byte_) {
        self.first_byte_ = static_cast<std::byte>(into[0]);
    }
    return static_cast<int>(*got);
}

int TlsStream::bio_write(BIO* bio, const char* from, int size) {
    auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const iovec part{const_cast<char*>(from), static_cast<std::size_t>(std::max(size, 0))};
    const auto sent = self.below_->write(std::span<const iovec>(&part, 1), self.more_follows_);
    if (!sent) {
        if (sent.error().code() == Code::again) {
            BIO_set_retry_write(bio);
        } else {
            self.below_failed_ = sent.error();
        }
        return -1;
    }
    return static_cast<int>(*sent);
}

long TlsStream::bio_control(BIO* bio, int command, long, void*) {
    const auto& self = *static_cast<const TlsStream*>(BIO_get_data(bio));
    switch (command) {
        case BIO_CTRL_EOF:
            return self.below_ended_ ? 1 : 0;
        case BIO_CTRL_FLUSH:
            return 1;
        default:
            return 0;
    }
}

}  // namespace millrace::tls::internal
