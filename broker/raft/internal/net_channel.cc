#include "raft/net_channel.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "net/channel.h"
#include "protocol/api_table.h"
#include "protocol/headers.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/record_frame.h"

namespace millrace::raft {

namespace {

using protocol::ApiKey;

constexpr std::int16_t api_versions_key = static_cast<std::int16_t>(ApiKey::api_versions);
/// Every Kafka that serves a quorum with directory ids answers it.
constexpr std::int16_t api_versions_version = 4;

Result<Buffer> with_header(std::int16_t api_key, std::int16_t version, const std::string& client_id,
                           const Buffer& body) {
    Buffer frame;
    protocol::Writer writer(frame);
    protocol::encode_request_header(
        writer,
        {.request_api_key = api_key, .request_api_version = version, .client_id = client_id});
    writer.raw(body);
    if (!writer.ok()) {
        return writer.error();
    }
    return frame;
}

Result<ByteView> without_header(std::int16_t api_key, std::int16_t version, ByteView frame) {
    protocol::Reader reader(frame);
    protocol::ResponseHeader header;
    header.decode(reader, protocol::response_header_version(api_key, version));
    if (!reader.ok()) {
        return reader.error();
    }
    return frame.subspan(reader.position());
}

/// One connection to one peer.
class Peer {
public:
    using Done = UniqueFunction<void(Result<ChannelResponse>)>;

    Peer(const NetChannelOptions& options, const Endpoint& to, runtime::Shard shard,
         const Logger& log, UniqueFunction<void()> on_lost)
        : client_id_(options.client_id),
          to_(to),
          executor_(*shard.executor),
          channel_({.address = {to.host, to.port},
                    .connect_timeout = options.connect_timeout,
                    .backoff_most = std::chrono::milliseconds(200),
                    .wrap = options.wrap},
                   shard, log),
          on_lost_(std::move(on_lost)) {
        channel_.on_lost([this](const Error&) {
            served_.reset();  // It may come back as another release.
            on_lost_();
        });
    }

    ~Peer() {
        for (Waiting& waiting : waiting_) {
            fail_later(std::move(waiting.done), Error(Code::cancelled, "channel closed"));
        }
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    const Endpoint& endpoint() const { return to_; }

    void send(ChannelRequest request, Done done) {
        if (!served_) {
            waiting_.push_back({std::move(request), std::move(done)});
            ask_versions();
            return;
        }
        call(std::move(request), std::move(done));
    }

private:
    struct Waiting {
        ChannelRequest request;
        Done done;
    };
    using Served = std::map<std::int16_t, std::pair<std::int16_t, std::int16_t>>;

    void ask_versions() {
        if (asking_) {
            return;
        }
        asking_ = true;
        Buffer body;
        protocol::Writer writer(body);
        protocol::ApiVersionsRequest{.client_software_name = "millrace",
                                     .client_software_version = "1"}
            .encode(writer, api_versions_version);
        auto frame = with_header(api_versions_key, api_versions_version, client_id_, body);
        MR_ASSERT(frame.has_value());
        channel_.call(
            *std::move(frame), waiting_.front().request.timeout,
            [this, alive = std::weak_ptr<bool>(alive_)](Result<net::ResponseFrame> answer) {
                if (alive.expired()) {
                    return;  // Who waited was told when the peer went.
                }
                asking_ = false;
                const auto learnt = learn_versions(answer);
                // New ones may come in while these are sent on.
                for (Waiting& waiting : std::exchange(waiting_, {})) {
                    if (learnt) {
                        call(std::move(waiting.request), std::move(waiting.done));
                    } else {
                        waiting.done(learnt.error());
                    }
                }
            });
    }

    Result<void> learn_versions(const Result<net::ResponseFrame>& answer) {
        if (!answer) {
            reset_if_silent(answer.error());
            return answer.error();
        }
        MR_TRY(const ByteView body,
               without_header(api_versions_key, api_versions_version, *answer->bytes));
        MR_TRY(const auto versions,
               protocol::decode_whole<protocol::ApiVersionsResponse>(body, api_versions_version));
        if (versions.error_code != 0) {
            return Error::make(Code::unsupported, "{} answers ApiVersions with error {}",
                               to_.to_string(), versions.error_code);
        }
        Served served;
        for (const auto& api : versions.api_keys) {
            served[api.api_key] = {api.min_version, api.max_version};
        }
        served_ = std::move(served);
        return {};
    }

    Result<std::int16_t> agree(const ChannelRequest& request) const {
        if (request.api_key == api_versions_key) {
            return request.max_version;
        }
        const auto found = served_->find(request.api_key);
        if (found != served_->end()) {
            const auto [least, most] = found->second;
            const std::int16_t version = std::min(request.max_version, most);
            if (version >= std::max(request.min_version, least)) {
                return version;
            }
        }
        return Error::make(Code::unsupported, "{} does not serve api {} in versions {} to {}",
                           to_.to_string(), request.api_key, request.min_version,
                           request.max_version);
    }

    void call(ChannelRequest request, Done done) {
        const auto version = agree(request);
        auto frame = version ? encode(request, *version) : version.error();
        if (!frame) {
            fail_later(std::move(done), frame.error());
            return;
        }
        channel_.call(
            *std::move(frame), request.timeout,
            [this, alive = std::weak_ptr<bool>(alive_), key = request.api_key, version = *version,
             done = std::move(done)](Result<net::ResponseFrame> answer) mutable {
                if (!answer) {
                    if (!alive.expired()) {
                        reset_if_silent(answer.error());
                    }
                    done(answer.error());
                    return;
                }
                const auto body = without_header(key, version, *answer->bytes);
                if (!body) {
                    done(body.error());
                    return;
                }
                done(ChannelResponse{version, Buffer(body->begin(), body->end())});
            });
    }

    Result<Buffer> encode(ChannelRequest& request, std::int16_t version) {
        MR_TRY(const Buffer body, request.encode(version));
        return with_header(request.api_key, version, client_id_, body);
    }

    void fail_later(Done done, const Error& error) {
        executor_.post([done = std::move(done), error]() mutable { done(error); });
    }

    /// A peer that kept silent for a whole timeout may be at the other end of a dead connection.
    void reset_if_silent(const Error& error) {
        if (error.code() == Code::timed_out) {
            channel_.reset();
            served_.reset();
        }
    }

    std::string client_id_;
    Endpoint to_;
    runtime::Executor& executor_;
    net::Channel channel_;
    UniqueFunction<void()> on_lost_;
    std::optional<Served> served_;
    bool asking_ = false;
    std::deque<Waiting> waiting_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class NetChannel final : public Channel {
public:
    NetChannel(NetChannelOptions options, runtime::Shard shard, const Logger& log)
        : options_(std::move(options)), shard_(shard), log_(log) {}

    void send(BrokerId node, const Endpoint& to, ChannelRequest request,
              UniqueFunction<void(Result<ChannelResponse>)> done) override {
        const bool is_fetch = request.api_key == static_cast<std::int16_t>(ApiKey::fetch) ||
                              request.api_key == static_cast<std::int16_t>(ApiKey::fetch_snapshot);
        // Servers that are known by address alone are told apart by it.
        const Key key{node, node == no_broker ? to : Endpoint{}, is_fetch};
        auto& peer = peers_[key];
        if (peer == nullptr || peer->endpoint() != to) {
            peer = std::make_unique<Peer>(options_, to, shard_, log_, [this, node] {
                if (tell_ && node != no_broker) {
                    tell_(node);
                }
            });
        }
        peer->send(std::move(request), std::move(done));
    }

    void on_disconnect(UniqueFunction<void(BrokerId)> tell) override { tell_ = std::move(tell); }

private:
    struct Key {
        BrokerId node;
        Endpoint address;
        bool is_fetch;
        friend auto operator<=>(const Key&, const Key&) = default;
    };

    NetChannelOptions options_;
    runtime::Shard shard_;
    Logger log_;
    UniqueFunction<void(BrokerId)> tell_;
    std::map<Key, std::unique_ptr<Peer>> peers_;
};

}  // namespace

std::unique_ptr<Channel> make_net_channel(NetChannelOptions options, runtime::Shard shard,
                                          const Logger& log) {
    return std::make_unique<NetChannel>(std::move(options), shard, log);
}

}  // namespace millrace::raft
