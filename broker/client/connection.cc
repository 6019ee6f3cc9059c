#include "client/connection.h"

#include <deque>
#include <map>
#include <utility>

#include "client/scram.h"
#include "protocol/headers.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/sasl_authenticate_request.h"
#include "protocol/messages/sasl_authenticate_response.h"
#include "protocol/messages/sasl_handshake_request.h"
#include "protocol/messages/sasl_handshake_response.h"

namespace millrace::client {
namespace {

/// Every broker answers these, and what comes back in them has not changed.
constexpr std::int16_t api_versions_version = 0;
constexpr std::int16_t handshake_version = 1;
constexpr std::int16_t authenticate_version = 0;
constexpr Duration greeting_timeout = 10s;

}  // namespace

class Connection::Inside : public std::enable_shared_from_this<Connection::Inside> {
public:
    Inside(ConnectionOptions options, runtime::Shard shard, const Logger& log)
        : options_(std::move(options)),
          shard_(shard),
          channel_({.address = options_.address,
                    .server_name = options_.server_name,
                    .connect_timeout = options_.connect_timeout,
                    .waits_while_it_comes = true,
                    .wrap = options_.wrap},
                   shard, log) {}

    void begin() {
        channel_.on_lost([weak = weak_from_this()](const Error&) {
            if (auto self = weak.lock()) {
                self->served_.reset();  // it may come back as another release
            }
        });
    }

    struct Call {
        std::int16_t api_key;
        Versions ours;
        Encode encode;
        Duration timeout;
        Done done;
    };

    void call(std::int16_t api_key, Versions ours, Encode encode, Duration timeout, Done done) {
        Call call{api_key, ours, std::move(encode), timeout, std::move(done)};
        if (!served_) {
            waiting_.push_back(std::move(call));
            greet();
            return;
        }
        send(std::move(call));
    }

    const runtime::Address& address() const { return options_.address; }

    void stop() {
        stopped_ = true;
        for (Call& call : std::exchange(waiting_, {})) {
            call.done(Error(Code::cancelled, "connection closed"));
        }
    }

private:
    using Served = std::map<std::int16_t, Versions>;

    /// Header and body of a request that is sent before versions are agreed, or after.
    Buffer framed(std::int16_t api_key, std::int16_t version, const Buffer& body) const {
        Buffer frame;
        protocol::Writer writer(frame);
        protocol::encode_request_header(writer, {.request_api_key = api_key,
                                                 .request_api_version = version,
                                                 .client_id = options_.client_id});
        writer.raw(body);
        return frame;
    }

    static Result<Answer> without_header(std::int16_t api_key, std::int16_t version,
                                         Result<net::ResponseFrame> frame) {
        if (!frame) {
            return frame.error();
        }
        protocol::Reader reader(*frame->bytes);
        protocol::ResponseHeader header;
        header.decode(reader, protocol::response_header_version(api_key, version));
        if (!reader.ok()) {
            return reader.error();
        }
        return Answer{version, std::move(frame->bytes), reader.position()};
    }

    template <typename Request, typename Then>
    void raw_call(const Request& request, std::int16_t version, Then then) {
        Buffer body;
        protocol::Writer writer(body);
        request.encode(writer, version);
        MR_ASSERT(writer.ok());
        channel_.call(framed(Request::api_key, version, body), greeting_timeout,
                      [weak = weak_from_this(), version,
                       then = std::move(then)](Result<net::ResponseFrame> frame) mutable {
                          if (auto self = weak.lock()) {
                              then(*self,
                                   without_header(Request::api_key, version, std::move(frame)));
                          }
                      });
    }

    void greet() {
        if (greeting_) {
            return;
        }
        greeting_ = true;
        raw_call(protocol::ApiVersionsRequest{}, api_versions_version,
                 [](Inside& self, Result<Answer> answer) { self.on_versions(std::move(answer)); });
    }

    void on_versions(Result<Answer> answer) {
        auto response = answer ? answer->as<protocol::ApiVersionsResponse>()
                               : Result<protocol::ApiVersionsResponse>(answer.error());
        if (!response) {
            greeted(response.error());
            return;
        }
        if (response->error_code != 0) {
            greeted(Error::make(Code::unavailable, "{} answers ApiVersions with error {}",
                                options_.address.to_string(), response->error_code));
            return;
        }
        Served served;
        for (const auto& api : response->api_keys) {
            served[api.api_key] = {api.min_version, api.max_version};
        }
        offered_ = std::move(served);
        if (!options_.sasl) {
            greeted({});
            return;
        }
        raw_call(protocol::SaslHandshakeRequest{.mechanism = options_.sasl->mechanism},
                 handshake_version,
                 [](Inside& self, Result<Answer> reply) { self.on_handshake(std::move(reply)); });
    }

    void on_handshake(Result<Answer> answer) {
        auto response = answer ? answer->as<protocol::SaslHandshakeResponse>()
                               : Result<protocol::SaslHandshakeResponse>(answer.error());
        if (!response) {
            greeted(response.error());
            return;
        }
        const Sasl& sasl = *options_.sasl;
        if (response->error_code != 0) {
            greeted(Error::make(Code::permission, "{} does not offer SASL mechanism {}",
                                options_.address.to_string(), sasl.mechanism));
            return;
        }
        if (sasl.mechanism == "PLAIN") {
            const std::string token = std::string(1, '\0') + sasl.username + std::string(1, '\0') +
                                      sasl.password.reveal();
            authenticate(token, [](Inside& self, std::string_view) { self.greeted({}); });
            return;
        }
        const std::string nonce =
            Uuid::random(*shard_.random).to_string() + Uuid::random(*shard_.random).to_string();
        auto scram = ScramClient::make(sasl.mechanism, sasl.username, sasl.password, nonce);
        if (!scram) {
            greeted(scram.error());
            return;
        }
        auto shared = std::make_shared<ScramClient>(*std::move(scram));
        authenticate(shared->first_message(), [shared](Inside& self, std::string_view first) {
            const auto proof = shared->final_message(first);
            if (!proof) {
                self.greeted(proof.error());
                return;
            }
            self.authenticate(*proof, [shared](Inside& again, std::string_view last) {
                again.greeted(shared->check_server(last));
            });
        });
    }

    template <typename Then>
    void authenticate(std::string_view token, Then then) {
        raw_call(
            protocol::SaslAuthenticateRequest{.auth_bytes = as_bytes(token)}, authenticate_version,
            [then](Inside& self, Result<Answer> answer) {
                auto response = answer ? answer->as<protocol::SaslAuthenticateResponse>()
                                       : Result<protocol::SaslAuthenticateResponse>(answer.error());
                if (!response) {
                    self.greeted(response.error());
                } else if (response->error_code != 0) {
                    self.greeted(Error::make(Code::permission, "{} refuses our credentials: {}",
                                             self.options_.address.to_string(),
                                             response->error_message.value_or("")));
                } else {
                    then(self, as_text(response->auth_bytes));
                }
            });
    }

    void greeted(const Result<void>& outcome) {
        greeting_ = false;
        if (outcome) {
            served_ = std::move(offered_);
        } else if (outcome.error().code() != Code::cancelled) {
            channel_.reset();  // half a greeting is worth nothing
        }
        for (Call& call : std::exchange(waiting_, {})) {
            if (stopped_ || !outcome) {
                call.done(outcome ? Error(Code::cancelled, "connection closed") : outcome.error());
            } else {
                send(std::move(call));
            }
        }
    }

    Result<std::int16_t> agree(const Call& call) const {
        if (served_) {
            if (const auto found = served_->find(call.api_key); found != served_->end()) {
                const std::int16_t version = std::min(call.ours.most, found->second.most);
                if (version >= std::max(call.ours.least, found->second.least)) {
                    return version;
                }
            }
        }
        return Error::make(Code::unsupported, "{} does not serve api {} in versions {} to {}",
                           options_.address.to_string(), call.api_key, call.ours.least,
                           call.ours.most);
    }

    void send(Call call) {
        const auto version = agree(call);
        auto body = version ? call.encode(*version) : Result<Buffer>(version.error());
        if (!body) {
            shard_.executor->post(
                [done = std::move(call.done), error = body.error()]() mutable { done(error); });
            return;
        }
        channel_.call(framed(call.api_key, *version, *body), call.timeout,
                      [weak = weak_from_this(), key = call.api_key, version = *version,
                       done = std::move(call.done)](Result<net::ResponseFrame> frame) mutable {
                          auto self = weak.lock();
                          if (self && !frame && frame.error().code() == Code::timed_out) {
                              // The other end may be gone without a word: dial again.
                              self->served_.reset();
                              self->channel_.reset();
                          }
                          done(without_header(key, version, std::move(frame)));
                      });
    }

    ConnectionOptions options_;
    runtime::Shard shard_;
    net::Channel channel_;
    std::optional<Served> served_;
    Served offered_;
    bool greeting_ = false;
    bool stopped_ = false;
    std::deque<Call> waiting_;
};

Connection::Connection(ConnectionOptions options, runtime::Shard shard, const Logger& log)
    : inside_(std::make_shared<Inside>(std::move(options), shard, log)) {
    inside_->begin();
}

Connection::~Connection() {
    inside_->stop();
}

void Connection::call(std::int16_t api_key, Versions ours, Encode encode, Duration timeout,
                      Done done) {
    inside_->call(api_key, ours, std::move(encode), timeout, std::move(done));
}

const runtime::Address& Connection::address() const {
    return inside_->address();
}

}  // namespace millrace::client
