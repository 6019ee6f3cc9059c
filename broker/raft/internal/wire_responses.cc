#include <algorithm>
#include <utility>

#include "base/overloaded.h"
#include "protocol/api_table.h"
#include "protocol/messages/add_raft_voter_response.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/begin_quorum_epoch_response.h"
#include "protocol/messages/describe_quorum_response.h"
#include "protocol/messages/end_quorum_epoch_response.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/fetch_snapshot_response.h"
#include "protocol/messages/remove_raft_voter_response.h"
#include "protocol/messages/update_raft_voter_response.h"
#include "protocol/messages/vote_response.h"
#include "protocol/record_frame.h"
#include "raft/internal/control_batch.h"
#include "raft/internal/wire.h"
#include "raft/internal/wire_names.h"
#include "raft/internal/wire_parts.h"
#include "record/batch_view.h"

namespace millrace::raft {

namespace {

using protocol::ApiKey;

/// These say of the whole request that it is wrong; everything else is said of the partition.
bool is_top_level(KafkaError error) {
    return error == KafkaError::inconsistent_cluster_id || error == KafkaError::invalid_request ||
           error == KafkaError::unsupported_version ||
           error == KafkaError::cluster_authorization_failed;
}

std::int16_t top_level(KafkaError error) {
    return is_top_level(error) ? code_of(error) : code_of(KafkaError::none);
}

std::int16_t of_partition(KafkaError error) {
    return is_top_level(error) ? code_of(KafkaError::none) : code_of(error);
}

template <typename Node>
std::vector<Node> endpoints_to_wire(const LeaderHint& hint) {
    if (hint.leader == no_broker || hint.endpoint.empty()) {
        return {};
    }
    return {
        Node{.node_id = hint.leader.value, .host = hint.endpoint.host, .port = hint.endpoint.port}};
}

template <typename Nodes>
LeaderHint hint_from_wire(std::int32_t leader, std::int32_t epoch, const Nodes& nodes) {
    LeaderHint hint{.epoch = QuorumEpoch{epoch}, .leader = BrokerId{leader}};
    for (const auto& node : nodes) {
        if (node.node_id == leader) {
            hint.endpoint = {std::string(node.host), static_cast<std::uint16_t>(node.port)};
        }
    }
    return hint;
}

// ---- To the wire --------------------------------------------------------------------------------

/// Vote, BeginQuorumEpoch and EndQuorumEpoch answer in the same shape.
template <typename Wire, typename Answer>
Wire election_to_wire(const Answer& response) {
    typename Wire::PartitionData partition{.error_code = of_partition(response.error),
                                           .leader_id = response.hint.leader.value,
                                           .leader_epoch = response.hint.epoch.value};
    if constexpr (std::is_same_v<Answer, VoteResponse>) {
        partition.vote_granted = response.granted;
    }
    Wire wire{.error_code = top_level(response.error)};
    wire.topics.push_back({.topic_name = metadata_topic, .partitions = {std::move(partition)}});
    return wire;
}

template <typename Wire, typename Answer>
Result<Buffer> encode_election(const Answer& response, std::int16_t version) {
    Wire wire = election_to_wire<Wire>(response);
    if (version >= 1) {
        wire.node_endpoints = endpoints_to_wire<typename Wire::NodeEndpoint>(response.hint);
    }
    return protocol::encode_whole(wire, version);
}

Result<Buffer> encode(const FetchResponse& response, std::int16_t version) {
    using Wire = protocol::FetchResponse;
    Wire::PartitionData partition{.error_code = of_partition(response.error),
                                  .high_watermark = response.high_watermark.value,
                                  .last_stable_offset = response.high_watermark.value,
                                  .log_start_offset = response.log_start.value};
    if (response.diverging) {
        partition.diverging_epoch = {.epoch = response.diverging->epoch.value,
                                     .end_offset = response.diverging->end.value};
    }
    if (response.snapshot) {
        partition.snapshot_id = {.end_offset = response.snapshot->end.value,
                                 .epoch = response.snapshot->epoch.value};
    }
    partition.current_leader = {.leader_id = response.hint.leader.value,
                                .leader_epoch = response.hint.epoch.value};
    protocol::Records records;
    if (response.fetched.bytes) {
        records.bytes = *response.fetched.bytes;
    }
    partition.records = records;
    Wire wire{.error_code = top_level(response.error)};
    wire.responses.push_back({.topic = metadata_topic,
                              .topic_id = metadata_topic_id,
                              .partitions = {std::move(partition)}});
    if (version >= 16) {
        wire.node_endpoints = endpoints_to_wire<Wire::NodeEndpoint>(response.hint);
    }
    return protocol::encode_whole(wire, version);
}

Result<Buffer> encode(const FetchSnapshotResponse& response, std::int16_t version) {
    using Wire = protocol::FetchSnapshotResponse;
    Wire::PartitionSnapshot partition{.error_code = of_partition(response.error),
                                      .snapshot_id = {.end_offset = response.snapshot.end.value,
                                                      .epoch = response.snapshot.epoch.value},
                                      .current_leader = {.leader_id = response.hint.leader.value,
                                                         .leader_epoch = response.hint.epoch.value},
                                      .size = response.size,
                                      .position = response.position};
    if (response.bytes) {
        partition.unaligned_records.bytes = *response.bytes;
    }
    Wire wire{.error_code = top_level(response.error)};
    wire.topics.push_back({.name = metadata_topic, .partitions = {std::move(partition)}});
    if (version >= 1) {
        wire.node_endpoints = endpoints_to_wire<Wire::NodeEndpoint>(response.hint);
    }
    return protocol::encode_whole(wire, version);
}

std::optional<std::string_view> message_or_default(const VoterChangeResponse& response) {
    if (response.error == KafkaError::none) {
        return std::nullopt;
    }
    return response.message.empty() ? message_of(response.error)
                                    : std::string_view(response.message);
}

Result<Buffer> encode(std::int16_t api_key, const VoterChangeResponse& response,
                      std::int16_t version) {
    const std::int16_t error = code_of(response.error);
    switch (static_cast<ApiKey>(api_key)) {
        case ApiKey::add_raft_voter:
            return protocol::encode_whole(
                protocol::AddRaftVoterResponse{.error_code = error,
                                               .error_message = message_or_default(response)},
                version);
        case ApiKey::remove_raft_voter:
            return protocol::encode_whole(
                protocol::RemoveRaftVoterResponse{.error_code = error,
                                                  .error_message = message_or_default(response)},
                version);
        default:
            return protocol::encode_whole(
                protocol::UpdateRaftVoterResponse{
                    .error_code = error,
                    .current_leader = {.leader_id = response.hint.leader.value,
                                       .leader_epoch = response.hint.epoch.value,
                                       .host = response.hint.endpoint.host,
                                       .port = response.hint.endpoint.port}},
                version);
    }
}

protocol::DescribeQuorumResponse::ReplicaState to_wire(const ReplicaProgress& progress,
                                                       std::int16_t version, Instant now,
                                                       Timestamp wall) {
    const auto at = [&](const std::optional<Instant>& instant) {
        return instant ? wall.milliseconds - to_milliseconds(now - *instant) : std::int64_t{-1};
    };
    protocol::DescribeQuorumResponse::ReplicaState state{
        .replica_id = progress.key.id.value,
        .log_end_offset = progress.log_end.value,
        .last_fetch_timestamp = at(progress.last_fetch),
        .last_caught_up_timestamp = at(progress.last_caught_up)};
    if (version >= 2) {
        state.replica_directory_id = progress.key.directory;
    }
    return state;
}

Result<Buffer> encode(const DescribeQuorumResponse& response, std::int16_t version, Instant now,
                      Timestamp wall) {
    using Wire = protocol::DescribeQuorumResponse;
    Wire wire{.error_code = top_level(response.error), .error_message = ""};
    Wire::PartitionData partition{.error_code = of_partition(response.error),
                                  .leader_id = response.hint.leader.value,
                                  .leader_epoch = response.hint.epoch.value,
                                  .high_watermark = response.high_watermark.value};
    if (response.error != KafkaError::none) {
        partition.error_message = message_of(response.error);
    } else {
        partition.error_message = "";
    }
    for (const ReplicaProgress& voter : response.voters) {
        partition.current_voters.push_back(to_wire(voter, version, now, wall));
    }
    for (const ReplicaProgress& observer : response.observers) {
        partition.observers.push_back(to_wire(observer, version, now, wall));
    }
    wire.topics.push_back({.topic_name = metadata_topic, .partitions = {std::move(partition)}});
    if (version >= 2) {
        for (const auto& [id, listeners] : response.nodes) {
            Wire::Node node{.node_id = id.value};
            for (const Listener& listener : listeners) {
                node.listeners.push_back({.name = listener.name,
                                          .host = listener.endpoint.host,
                                          .port = listener.endpoint.port});
            }
            wire.nodes.push_back(std::move(node));
        }
    }
    return protocol::encode_whole(wire, version);
}

// ---- From the wire ------------------------------------------------------------------------------

Error no_partition() {
    return Error(Code::corrupt, "the answer does not speak of the metadata log's partition");
}

KafkaError first_error(std::int16_t top, std::int16_t partition) {
    return static_cast<KafkaError>(top != 0 ? top : partition);
}

template <typename Wire, typename Answer>
Result<Response> decode_election(std::int16_t version, ByteView body) {
    MR_TRY(const auto wire, protocol::decode_whole<Wire>(body, version));
    const auto* partition = only_partition(wire.topics);
    Answer answer;
    if (partition == nullptr) {
        if (wire.error_code == 0) {
            return no_partition();
        }
        answer.error = static_cast<KafkaError>(wire.error_code);
        return Response(std::move(answer));
    }
    answer.error = first_error(wire.error_code, partition->error_code);
    answer.hint =
        hint_from_wire(partition->leader_id, partition->leader_epoch, wire.node_endpoints);
    if constexpr (std::is_same_v<Answer, VoteResponse>) {
        answer.granted = partition->vote_granted;
    }
    return Response(std::move(answer));
}

Result<Response> decode_fetch(std::int16_t version, ByteView body) {
    MR_TRY(const auto wire, protocol::decode_whole<protocol::FetchResponse>(body, version));
    const auto* partition = only_partition(wire.responses);
    if (partition == nullptr) {
        if (wire.error_code == 0) {
            return no_partition();
        }
        return Response(FetchResponse{.error = static_cast<KafkaError>(wire.error_code)});
    }
    FetchResponse answer{
        .error = first_error(wire.error_code, partition->error_code),
        .hint = hint_from_wire(partition->current_leader.leader_id,
                               partition->current_leader.leader_epoch, wire.node_endpoints),
        .high_watermark = Offset{partition->high_watermark},
        .log_start = Offset{partition->log_start_offset}};
    if (partition->diverging_epoch.epoch >= 0) {
        answer.diverging = LogPosition{Offset{partition->diverging_epoch.end_offset},
                                       QuorumEpoch{partition->diverging_epoch.epoch}};
    }
    if (partition->snapshot_id.epoch >= 0) {
        answer.snapshot = SnapshotId{Offset{partition->snapshot_id.end_offset},
                                     QuorumEpoch{partition->snapshot_id.epoch}};
    }
    if (partition->records && !partition->records->bytes.empty()) {
        const ByteView bytes = partition->records->bytes;
        MR_TRY(answer.fetched, read_batches(Buffer(bytes.begin(), bytes.end())));
    }
    return Response(std::move(answer));
}

Result<Response> decode_snapshot(std::int16_t version, ByteView body) {
    MR_TRY(const auto wire, protocol::decode_whole<protocol::FetchSnapshotResponse>(body, version));
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr) {
        if (wire.error_code == 0) {
            return no_partition();
        }
        return Response(FetchSnapshotResponse{.error = static_cast<KafkaError>(wire.error_code)});
    }
    const ByteView bytes = partition->unaligned_records.bytes;
    return Response(FetchSnapshotResponse{
        .error = first_error(wire.error_code, partition->error_code),
        .hint = hint_from_wire(partition->current_leader.leader_id,
                               partition->current_leader.leader_epoch, wire.node_endpoints),
        .snapshot = {Offset{partition->snapshot_id.end_offset},
                     QuorumEpoch{partition->snapshot_id.epoch}},
        .size = partition->size,
        .position = partition->position,
        .bytes = std::make_shared<const Buffer>(bytes.begin(), bytes.end())});
}

Result<Response> decode_describe(std::int16_t version, ByteView body) {
    using Wire = protocol::DescribeQuorumResponse;
    MR_TRY(const auto wire, protocol::decode_whole<Wire>(body, version));
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr) {
        return Response(DescribeQuorumResponse{
            .error = wire.error_code != 0 ? static_cast<KafkaError>(wire.error_code)
                                          : KafkaError::unknown_server_error});
    }
    DescribeQuorumResponse answer{
        .error = first_error(wire.error_code, partition->error_code),
        .hint = {QuorumEpoch{partition->leader_epoch}, BrokerId{partition->leader_id}, {}},
        .high_watermark = Offset{partition->high_watermark}};
    const auto from_wire = [](const Wire::ReplicaState& state) {
        return ReplicaProgress{{BrokerId{state.replica_id}, state.replica_directory_id},
                               Offset{state.log_end_offset}};
    };
    for (const auto& voter : partition->current_voters) {
        answer.voters.push_back(from_wire(voter));
    }
    for (const auto& observer : partition->observers) {
        answer.observers.push_back(from_wire(observer));
    }
    for (const auto& node : wire.nodes) {
        std::vector<Listener> listeners;
        for (const auto& listener : node.listeners) {
            listeners.push_back(
                {std::string(listener.name), {std::string(listener.host), listener.port}});
        }
        // The leader's own entry tells where it is.
        if (node.node_id == partition->leader_id && !listeners.empty()) {
            answer.hint.endpoint = listeners[0].endpoint;
        }
        answer.nodes.emplace_back(BrokerId{node.node_id}, std::move(listeners));
    }
    return Response(std::move(answer));
}

template <typename Wire>
Result<Response> decode_change(std::int16_t version, ByteView body) {
    MR_TRY(const auto wire, protocol::decode_whole<Wire>(body, version));
    VoterChangeResponse answer{.error = static_cast<KafkaError>(wire.error_code)};
    if constexpr (std::is_same_v<Wire, protocol::UpdateRaftVoterResponse>) {
        const auto& leader = wire.current_leader;
        answer.hint = {QuorumEpoch{leader.leader_epoch},
                       BrokerId{leader.leader_id},
                       {std::string(leader.host), static_cast<std::uint16_t>(leader.port)}};
    } else {
        answer.message = std::string(wire.error_message.value_or(""));
    }
    return Response(std::move(answer));
}

Result<Response> decode_support(std::int16_t version, ByteView body) {
    MR_TRY(const auto wire, protocol::decode_whole<protocol::ApiVersionsResponse>(body, version));
    SupportResponse answer{.error = static_cast<KafkaError>(wire.error_code)};
    for (const auto& feature : wire.supported_features) {
        if (feature.name == "kraft.version") {
            answer.kraft_version = {feature.min_version, feature.max_version};
        }
    }
    return Response(std::move(answer));
}

}  // namespace

Result<Response> decode_response(const Request& sent, std::int16_t version, ByteView body) {
    return std::visit(
        Overloaded{
            [&](const VoteRequest&) {
                return decode_election<protocol::VoteResponse, VoteResponse>(version, body);
            },
            [&](const BeginQuorumEpochRequest&) {
                return decode_election<protocol::BeginQuorumEpochResponse,
                                       BeginQuorumEpochResponse>(version, body);
            },
            [&](const EndQuorumEpochRequest&) {
                return decode_election<protocol::EndQuorumEpochResponse, EndQuorumEpochResponse>(
                    version, body);
            },
            [&](const FetchRequest&) { return decode_fetch(version, body); },
            [&](const FetchSnapshotRequest&) { return decode_snapshot(version, body); },
            [&](const AddVoterRequest&) {
                return decode_change<protocol::AddRaftVoterResponse>(version, body);
            },
            [&](const RemoveVoterRequest&) {
                return decode_change<protocol::RemoveRaftVoterResponse>(version, body);
            },
            [&](const UpdateVoterRequest&) {
                return decode_change<protocol::UpdateRaftVoterResponse>(version, body);
            },
            [&](const DescribeQuorumRequest&) { return decode_describe(version, body); },
            [&](const SupportRequest&) { return decode_support(version, body); },
        },
        sent);
}

Result<Buffer> encode_response(std::int16_t api_key, std::int16_t version, const Response& response,
                               Instant now, Timestamp wall) {
    return std::visit(
        Overloaded{
            [&](const VoteResponse& r) {
                return encode_election<protocol::VoteResponse>(r, version);
            },
            [&](const BeginQuorumEpochResponse& r) {
                return encode_election<protocol::BeginQuorumEpochResponse>(r, version);
            },
            [&](const EndQuorumEpochResponse& r) {
                return encode_election<protocol::EndQuorumEpochResponse>(r, version);
            },
            [&](const FetchResponse& r) { return encode(r, version); },
            [&](const FetchSnapshotResponse& r) { return encode(r, version); },
            [&](const VoterChangeResponse& r) { return encode(api_key, r, version); },
            [&](const DescribeQuorumResponse& r) { return encode(r, version, now, wall); },
            [&](const SupportResponse&) {
                return Result<Buffer>(Error(Code::internal, "ApiVersions is not answered here"));
            },
        },
        response);
}

Result<FetchedBatches> read_batches(Buffer bytes) {
    FetchedBatches fetched;
    std::size_t whole = 0;
    record::BatchRange range{bytes};
    for (const record::BatchView batch : range) {
        MR_TRY_VOID(batch.check());
        LogBatch info{batch.base_offset(),
                      batch.next_offset(),
                      QuorumEpoch{batch.partition_leader_epoch().value},
                      {}};
        if (batch.is_control()) {
            MR_TRY(info.control, read_control_records(batch));
        }
        fetched.batches.push_back(std::move(info));
        whole += batch.size();
    }
    const auto framing = range.rest_framing();
    if (framing != record::Framing::complete && framing != record::Framing::incomplete) {
        return Error::make(Code::corrupt, "no batch after {} bytes", whole);
    }
    bytes.resize(whole);
    fetched.bytes = std::make_shared<const Buffer>(std::move(bytes));
    return fetched;
}

}  // namespace millrace::raft
