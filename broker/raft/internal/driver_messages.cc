#include "protocol/api_table.h"
#include "raft/internal/driver.h"

namespace millrace::raft {

using protocol::ApiKey;

bool RaftDriver::is_raft_api(std::int16_t api_key) {
    switch (static_cast<ApiKey>(api_key)) {
        case ApiKey::fetch:
        case ApiKey::vote:
        case ApiKey::begin_quorum_epoch:
        case ApiKey::end_quorum_epoch:
        case ApiKey::describe_quorum:
        case ApiKey::fetch_snapshot:
        case ApiKey::add_raft_voter:
        case ApiKey::remove_raft_voter:
        case ApiKey::update_raft_voter:
            return true;
        default:
            return false;
    }
}

// ---- From peers ---------------------------------------------------------------------------------

void Driver::handle(std::int16_t api_key, std::int16_t version, const protocol::RequestBody& body,
                    UniqueFunction<void(Result<Buffer>)> reply) {
    if (stopped_ || !core_) {
        reply(Error(Code::unavailable, "the quorum is not running"));
        return;
    }
    auto request = decode_request(api_key, version, body);
    if (!request) {
        reply(request.error());
        return;
    }
    const std::uint64_t id = ++last_request_;
    requests_.emplace(id, PendingRequest{api_key, version, std::move(reply)});
    step(RequestReceived{RequestId{id}, *std::move(request)});
}

void Driver::answer(Reply& effect) {
    const auto found = requests_.find(effect.id.value);
    MR_ASSERT(found != requests_.end());
    PendingRequest request = std::move(found->second);
    requests_.erase(found);
    if (auto* fetch = std::get_if<FetchResponse>(&effect.response);
        fetch != nullptr && fetch->read) {
        if (const auto attached = attach_records(*fetch); !attached) {
            request.reply(attached.error());
            halt(attached.error().with_context("reading the metadata log"));
            return;
        }
    }
    if (auto* snapshot = std::get_if<FetchSnapshotResponse>(&effect.response)) {
        attach_snapshot_bytes(*snapshot);
    }
    request.reply(encode_response(request.api_key, request.version, effect.response,
                                  executor_.clock().now(), wall()));
}

Result<void> Driver::attach_records(FetchResponse& response) {
    MR_TRY(auto bytes,
           log_->read(response.read->from, response.read->limit, Bytes{response.read->max_bytes}));
    response.fetched.bytes = std::make_shared<const Buffer>(std::move(bytes));
    return {};
}

void Driver::attach_snapshot_bytes(FetchSnapshotResponse& response) {
    if (!response.read_max_bytes) {
        return;
    }
    const auto known = snapshots_.find(response.snapshot);
    if (known == snapshots_.end()) {
        response.error = KafkaError::snapshot_not_found;
        return;
    }
    const auto size = static_cast<std::int64_t>(known->second.size);
    if (response.position >= size) {
        response.error = KafkaError::position_out_of_range;
        return;
    }
    if (!served_ || served_->first != response.snapshot) {
        auto file = disk_.open(path_of(response.snapshot), runtime::OpenMode::read);
        if (!file) {
            response.error = KafkaError::kafka_storage_error;
            return;
        }
        served_ = {response.snapshot, *std::move(file)};
    }
    Buffer bytes(static_cast<std::size_t>(
        std::min<std::int64_t>(*response.read_max_bytes, size - response.position)));
    const auto got = served_->second->read_at(static_cast<std::uint64_t>(response.position), bytes);
    if (!got || *got != bytes.size()) {
        MR_LOG(log_out_, error, "raft.snapshot_unreadable",
               field("id", response.snapshot.to_string()), field("position", response.position));
        response.error = KafkaError::kafka_storage_error;
        return;
    }
    response.size = size;
    response.bytes = std::make_shared<const Buffer>(std::move(bytes));
}

// ---- To peers -----------------------------------------------------------------------------------

void Driver::send(const Send& effect) {
    auto request = std::make_shared<const Request>(effect.request);
    const WireVersions versions = versions_of(*request);
    Duration timeout = options_.quorum.request_timeout;
    if (const auto* fetch = std::get_if<FetchRequest>(request.get())) {
        timeout += fetch->max_wait;
    }
    const bool is_farewell = std::holds_alternative<EndQuorumEpochRequest>(*request);
    farewells_ += is_farewell ? 1 : 0;
    channel_.send(
        effect.to_id, effect.to,
        {.api_key = versions.api_key,
         .min_version = versions.min,
         .max_version = versions.max,
         .encode = [request](std::int16_t version) { return encode_request(*request, version); },
         .timeout = timeout},
        guarded([this, id = effect.id, to = effect.to, request,
                 is_farewell](Result<ChannelResponse> outcome) {
            farewells_ -= is_farewell ? 1 : 0;
            note_reached(to, outcome ? std::string{} : outcome.error().message());
            if (!outcome) {
                const bool disconnected = outcome.error().code() == Code::unavailable ||
                                          outcome.error().code() == Code::closed;
                step(SendFailed{id, disconnected});
            } else if (auto response = decode_response(*request, outcome->version, outcome->body)) {
                step(ResponseReceived{id, *std::move(response)});
            } else {
                MR_LOG(log_out_, warn, "raft.unreadable_answer", field("from", to.to_string()),
                       field("error", response.error().to_string()));
                step(SendFailed{id});
            }
            if (is_farewell && farewells_ == 0 && on_shutdown_) {
                finish_shutdown();
            }
        }));
}

/// Says once that somebody can't be reached and why, and once that it can be again.
void Driver::note_reached(const Endpoint& peer, std::string why_not) {
    const auto known = unreached_.find(peer.to_string());
    if (why_not.empty()) {
        if (known != unreached_.end()) {
            MR_LOG(log_out_, info, "raft.peer_reached", field("peer", known->first));
            unreached_.erase(known);
        }
    } else if (known == unreached_.end() || known->second != why_not) {
        MR_LOG(log_out_, warn, "raft.peer_not_reached", field("peer", peer.to_string()),
               field("reason", why_not));
        unreached_.insert_or_assign(peer.to_string(), std::move(why_not));
    }
}

}  // namespace millrace::raft
