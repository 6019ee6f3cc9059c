#include "app/internal/cluster_check.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/kafka_error.h"
#include "protocol/api_table.h"
#include "protocol/messages/describe_cluster_request.h"
#include "protocol/messages/describe_cluster_response.h"
#include "protocol/reader.h"
#include "protocol/record_frame.h"

namespace millrace::app {
namespace {

using protocol::ApiKey;

constexpr std::int8_t controllers_endpoint = 2;
constexpr std::int16_t first_with_endpoint_type = 1;

/// What a peer answers to a request that names our cluster; none: that kind names none.
std::optional<KafkaError> verdict_in(std::int16_t api_key, ByteView body) {
    protocol::Reader reader(body);
    switch (static_cast<ApiKey>(api_key)) {
        case ApiKey::fetch:
        case ApiKey::fetch_snapshot:
            reader.int32();  // throttle_time_ms
            break;
        case ApiKey::vote:
        case ApiKey::begin_quorum_epoch:
        case ApiKey::end_quorum_epoch:
            break;
        default:
            return std::nullopt;
    }
    const auto error = static_cast<KafkaError>(reader.int16());
    return reader.ok() ? std::optional(error) : std::nullopt;
}

class CheckedChannel final : public raft::Channel {
public:
    CheckedChannel(std::unique_ptr<raft::Channel> channel, ClusterCheckOptions options,
                   const Logger& log)
        : channel_(std::move(channel)),
          options_(std::move(options)),
          log_(log),
          doubt_(options_.others.size()) {}

    void send(BrokerId node, const raft::Endpoint& to, raft::ChannelRequest request,
              UniqueFunction<void(Result<raft::ChannelResponse>)> done) override {
        if (doubt_.is_settled()) {
            channel_->send(node, to, std::move(request), std::move(done));
            return;
        }
        const std::int16_t api_key = request.api_key;
        channel_->send(node, to, std::move(request),
                       [this, alive = std::weak_ptr<bool>(alive_), node, to, api_key,
                        done = std::move(done)](Result<raft::ChannelResponse> answer) mutable {
                           if (!alive.expired() && answer) {
                               look(node, to, verdict_in(api_key, answer->body));
                           }
                           done(std::move(answer));
                       });
    }

    void on_disconnect(UniqueFunction<void(BrokerId node)> tell) override {
        channel_->on_disconnect(std::move(tell));
    }

private:
    void look(BrokerId node, const raft::Endpoint& to, std::optional<KafkaError> verdict) {
        if (verdict == KafkaError::none) {
            doubt_.taken();
        } else if (verdict == KafkaError::inconsistent_cluster_id && is_listed(to) &&
                   doubt_.refused(to.to_string())) {
            ask(node, to);
        }
    }

    bool is_listed(const raft::Endpoint& to) const {
        return std::find(options_.others.begin(), options_.others.end(), to) !=
               options_.others.end();
    }

    void ask(BrokerId node, const raft::Endpoint& to) {
        raft::ChannelRequest request;
        request.api_key = protocol::DescribeClusterRequest::api_key;
        request.min_version = first_with_endpoint_type;
        request.max_version = protocol::DescribeClusterRequest::max_version;
        request.timeout = options_.timeout;
        request.encode = [](std::int16_t version) -> Result<Buffer> {
            return protocol::encode_whole(
                protocol::DescribeClusterRequest{.endpoint_type = controllers_endpoint}, version);
        };
        channel_->send(node, to, std::move(request),
                       [this, alive = std::weak_ptr<bool>(alive_),
                        to](const Result<raft::ChannelResponse>& answer) {
                           if (!alive.expired()) {
                               on_told(to, answer);
                           }
                       });
    }

    void on_told(const raft::Endpoint& to, const Result<raft::ChannelResponse>& answer) {
        if (!answer) {
            doubt_.unheard(to.to_string());
            return;
        }
        const auto body = protocol::decode_whole<protocol::DescribeClusterResponse>(
            answer->body, answer->version);
        std::string theirs = body ? std::string(body->cluster_id) : std::string{};
        MR_LOG(log_, error, "broker.other_cluster", field("peer", to.to_string()),
               field("cluster", theirs), field("ours", options_.cluster_id));
        doubt_.told(to.to_string(), std::move(theirs));
        if (doubt_.is_certain() && !is_told_) {
            is_told_ = true;
            options_.on_other(doubt_);
        }
    }

    std::unique_ptr<raft::Channel> channel_;
    ClusterCheckOptions options_;
    const Logger& log_;
    ClusterDoubt doubt_;
    bool is_told_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<raft::Channel> with_cluster_check(std::unique_ptr<raft::Channel> channel,
                                                  ClusterCheckOptions options, const Logger& log) {
    return std::make_unique<CheckedChannel>(std::move(channel), std::move(options), log);
}

}  // namespace millrace::app
