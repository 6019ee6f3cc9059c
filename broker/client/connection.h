// client/connection.h
//
// One connection to a broker of another cluster, or of our own as any client sees it: agrees on
// versions, authenticates, then pairs requests with answers. Works with every Kafka from 2.1 on.
// Owned by one shard; every call on its loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/raw_buffer.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "net/channel.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::client {

/// Who we are towards the broker. No mechanism: nobody in particular.
struct Sasl {
    std::string mechanism;  ///< PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    std::string username;
    Secret password;
};

struct ConnectionOptions {
    runtime::Address address;
    std::string client_id = "millrace";
    std::optional<Sasl> sasl;
    net::StreamWrapper wrap;  ///< TLS; empty for plaintext.
    std::string server_name;  ///< For TLS; the address's host where empty.
    Duration connect_timeout = 3s;
};

/// A whole answer: its body lies in `frame` from `body_at` on.
struct Answer {
    std::int16_t version = 0;
    std::shared_ptr<const RawBuffer> frame;
    std::size_t body_at = 0;

    ByteView body() const { return ByteView(*frame).subspan(body_at); }

    /// Views in the result lie in `frame`.
    template <typename Response>
    Result<Response> as() const {
        protocol::Reader reader(body());
        Response response;
        response.decode(reader, version);
        if (!reader.ok()) {
            return reader.error();
        }
        return response;
    }
};

struct Versions {
    std::int16_t least = 0;
    std::int16_t most = 0;
};

class Connection {
public:
    /// The request's body in the version that both sides know. Runs when the connection stands, so
    /// it owns what it encodes; maybe never.
    using Encode = UniqueFunction<Result<Buffer>(std::int16_t version)>;
    using Done = UniqueFunction<void(Result<Answer>)>;

    Connection(ConnectionOptions options, runtime::Shard shard, const Logger& log);
    ~Connection();  ///< Open calls end with Code::cancelled.
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// `done` runs exactly once, never inside the call; an answer that keeps coming in is waited
    /// for beyond `timeout`. Code::unsupported: the broker offers no version of it that we know.
    /// Code::permission: it does not believe who we are.
    void call(std::int16_t api_key, Versions ours, Encode encode, Duration timeout, Done done);

    const runtime::Address& address() const;

private:
    class Inside;
    std::shared_ptr<Inside> inside_;
};

/// Asks with a request that `make(version, arena)` builds once the version is known; `arena` owns
/// what its views show. The answer's views live during `done`.
template <typename Request, typename Response, typename Make, typename Done>
void ask(Connection& connection, Duration timeout, Make make, Done done,
         Versions ours = {Request::min_version, Request::max_version}) {
    connection.call(
        Request::api_key, ours,
        [make = std::move(make)](std::int16_t version) mutable -> Result<Buffer> {
            Buffer body;
            protocol::Writer writer(body);
            const Request request = make(version);
            request.encode(writer, version);
            if (!writer.ok()) {
                return writer.error();
            }
            return body;
        },
        timeout,
        [done = std::move(done)](Result<Answer> answer) mutable {
            if (!answer) {
                done(Result<Response>(answer.error()), std::int16_t{0});
                return;
            }
            done(answer->template as<Response>(), answer->version);
        });
}

}  // namespace millrace::client
