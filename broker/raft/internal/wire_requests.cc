#include <utility>

#include "base/overloaded.h"
#include "protocol/api_table.h"
#include "protocol/messages/add_raft_voter_request.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/begin_quorum_epoch_request.h"
#include "protocol/messages/describe_quorum_request.h"
#include "protocol/messages/end_quorum_epoch_request.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_snapshot_request.h"
#include "protocol/messages/remove_raft_voter_request.h"
#include "protocol/messages/update_raft_voter_request.h"
#include "protocol/messages/vote_request.h"
#include "protocol/record_frame.h"
#include "raft/internal/wire.h"
#include "raft/internal/wire_names.h"
#include "raft/internal/wire_parts.h"

namespace millrace::raft {

namespace {

using protocol::ApiKey;

std::int32_t to_wire_milliseconds(Duration d) {
    return static_cast<std::int32_t>(std::min<std::int64_t>(to_milliseconds(d), INT32_MAX));
}

template <typename Wire>
std::vector<Wire> listeners_to_wire(const std::vector<Listener>& listeners) {
    std::vector<Wire> result;
    for (const Listener& listener : listeners) {
        result.push_back({.name = listener.name,
                          .host = listener.endpoint.host,
                          .port = listener.endpoint.port});
    }
    return result;
}

template <typename Wire>
std::vector<Listener> listeners_from_wire(const std::vector<Wire>& listeners) {
    std::vector<Listener> result;
    for (const Wire& wire : listeners) {
        result.push_back({std::string(wire.name), {std::string(wire.host), wire.port}});
    }
    return result;
}

std::string text(const std::optional<std::string_view>& value) {
    return std::string(value.value_or(""));
}

std::optional<std::string_view> view(const std::optional<std::string>& value) {
    return value ? std::optional<std::string_view>(*value) : std::nullopt;
}

std::optional<std::string> owned(const std::optional<std::string_view>& value) {
    return value ? std::optional<std::string>(*value) : std::nullopt;
}

Error wrong_partition() {
    return Error(Code::invalid, "the request is not about the partition of the metadata log");
}

// ---- To the wire --------------------------------------------------------------------------------

protocol::VoteRequest to_wire(const VoteRequest& request) {
    using Wire = protocol::VoteRequest;
    return {.cluster_id = request.cluster_id,
            .voter_id = request.voter.id.value,
            .topics = {Wire::TopicData{.topic_name = metadata_topic,
                                       .partitions = {Wire::PartitionData{
                                           .replica_epoch = request.epoch.value,
                                           .replica_id = request.candidate.id.value,
                                           .replica_directory_id = request.candidate.directory,
                                           .voter_directory_id = request.voter.directory,
                                           .last_offset_epoch = request.log.epoch.value,
                                           .last_offset = request.log.end.value,
                                           .pre_vote = request.pre_vote}}}}};
}

protocol::BeginQuorumEpochRequest to_wire(const BeginQuorumEpochRequest& request) {
    using Wire = protocol::BeginQuorumEpochRequest;
    return {.cluster_id = request.cluster_id,
            .voter_id = request.voter.id.value,
            .topics = {Wire::TopicData{
                .topic_name = metadata_topic,
                .partitions = {Wire::PartitionData{.voter_directory_id = request.voter.directory,
                                                   .leader_id = request.leader.value,
                                                   .leader_epoch = request.epoch.value}}}},
            .leader_endpoints = listeners_to_wire<Wire::LeaderEndpoint>(request.leader_listeners)};
}

protocol::EndQuorumEpochRequest to_wire(const EndQuorumEpochRequest& request) {
    using Wire = protocol::EndQuorumEpochRequest;
    Wire::PartitionData partition{.leader_id = request.leader.value,
                                  .leader_epoch = request.epoch.value};
    for (const ReplicaKey& key : request.preferred) {
        partition.preferred_successors.push_back(key.id.value);
        partition.preferred_candidates.push_back(
            {.candidate_id = key.id.value, .candidate_directory_id = key.directory});
    }
    return {.cluster_id = request.cluster_id,
            .topics = {Wire::TopicData{.topic_name = metadata_topic,
                                       .partitions = {std::move(partition)}}},
            .leader_endpoints = listeners_to_wire<Wire::LeaderEndpoint>(request.leader_listeners)};
}

protocol::FetchRequest to_wire(const FetchRequest& request) {
    using Wire = protocol::FetchRequest;
    return {.cluster_id = request.cluster_id,
            .replica_state = {.replica_id = request.replica.id.value},
            .max_wait_ms = to_wire_milliseconds(request.max_wait),
            .min_bytes = 0,
            .max_bytes = request.max_bytes,
            .topics = {Wire::FetchTopic{.topic = metadata_topic,
                                        .topic_id = metadata_topic_id,
                                        .partitions = {Wire::FetchPartition{
                                            .current_leader_epoch = request.leader_epoch.value,
                                            .fetch_offset = request.log.end.value,
                                            .last_fetched_epoch = request.log.epoch.value,
                                            .partition_max_bytes = request.max_bytes,
                                            .replica_directory_id = request.replica.directory,
                                            .high_watermark = request.high_watermark.value}}}}};
}

protocol::FetchSnapshotRequest to_wire(const FetchSnapshotRequest& request) {
    using Wire = protocol::FetchSnapshotRequest;
    return {
        .cluster_id = request.cluster_id,
        .replica_id = request.replica.id.value,
        .max_bytes = request.max_bytes,
        .topics = {Wire::TopicSnapshot{.name = metadata_topic,
                                       .partitions = {Wire::PartitionSnapshot{
                                           .current_leader_epoch = request.leader_epoch.value,
                                           .snapshot_id = {.end_offset = request.snapshot.end.value,
                                                           .epoch = request.snapshot.epoch.value},
                                           .position = request.position,
                                           .replica_directory_id = request.replica.directory}}}}};
}

protocol::AddRaftVoterRequest to_wire(const AddVoterRequest& request) {
    using Wire = protocol::AddRaftVoterRequest;
    return {.cluster_id = view(request.cluster_id),
            .timeout_ms = to_wire_milliseconds(request.timeout),
            .voter_id = request.voter.id.value,
            .voter_directory_id = request.voter.directory,
            .listeners = listeners_to_wire<Wire::Listener>(request.listeners),
            .ack_when_committed = request.ack_when_committed};
}

protocol::RemoveRaftVoterRequest to_wire(const RemoveVoterRequest& request) {
    return {.cluster_id = view(request.cluster_id),
            .voter_id = request.voter.id.value,
            .voter_directory_id = request.voter.directory};
}

protocol::UpdateRaftVoterRequest to_wire(const UpdateVoterRequest& request) {
    using Wire = protocol::UpdateRaftVoterRequest;
    return {.cluster_id = view(request.cluster_id),
            .current_leader_epoch = request.leader_epoch.value,
            .voter_id = request.voter.key.id.value,
            .voter_directory_id = request.voter.key.directory,
            .listeners = listeners_to_wire<Wire::Listener>(request.voter.listeners),
            .kraft_version_feature = {.min_supported_version = request.voter.kraft_version.min,
                                      .max_supported_version = request.voter.kraft_version.max}};
}

protocol::DescribeQuorumRequest to_wire(const DescribeQuorumRequest&) {
    using Wire = protocol::DescribeQuorumRequest;
    return {.topics = {Wire::TopicData{.topic_name = metadata_topic,
                                       .partitions = {Wire::PartitionData{}}}}};
}

protocol::ApiVersionsRequest to_wire(const SupportRequest&) {
    return {.client_software_name = "millrace", .client_software_version = "1"};
}

// ---- From the wire ------------------------------------------------------------------------------

Result<Request> from_wire(const protocol::VoteRequest& wire) {
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr || wire.topics[0].topic_name != metadata_topic) {
        return wrong_partition();
    }
    return Request(VoteRequest{
        .cluster_id = text(wire.cluster_id),
        .voter = {BrokerId{wire.voter_id}, partition->voter_directory_id},
        .candidate = {BrokerId{partition->replica_id}, partition->replica_directory_id},
        .epoch = QuorumEpoch{partition->replica_epoch},
        .log = {Offset{partition->last_offset}, QuorumEpoch{partition->last_offset_epoch}},
        .pre_vote = partition->pre_vote});
}

Result<Request> from_wire(const protocol::BeginQuorumEpochRequest& wire) {
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr || wire.topics[0].topic_name != metadata_topic) {
        return wrong_partition();
    }
    return Request(
        BeginQuorumEpochRequest{.cluster_id = text(wire.cluster_id),
                                .voter = {BrokerId{wire.voter_id}, partition->voter_directory_id},
                                .leader = BrokerId{partition->leader_id},
                                .epoch = QuorumEpoch{partition->leader_epoch},
                                .leader_listeners = listeners_from_wire(wire.leader_endpoints)});
}

Result<Request> from_wire(const protocol::EndQuorumEpochRequest& wire) {
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr || wire.topics[0].topic_name != metadata_topic) {
        return wrong_partition();
    }
    EndQuorumEpochRequest request{.cluster_id = text(wire.cluster_id),
                                  .leader = BrokerId{partition->leader_id},
                                  .epoch = QuorumEpoch{partition->leader_epoch},
                                  .leader_listeners = listeners_from_wire(wire.leader_endpoints)};
    for (const auto& candidate : partition->preferred_candidates) {
        request.preferred.push_back(
            {BrokerId{candidate.candidate_id}, candidate.candidate_directory_id});
    }
    if (request.preferred.empty()) {
        for (const std::int32_t id : partition->preferred_successors) {
            request.preferred.push_back({BrokerId{id}, {}});
        }
    }
    return Request(std::move(request));
}

Result<Request> from_wire(const protocol::FetchRequest& wire) {
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr ||
        (wire.topics[0].topic_id != metadata_topic_id && wire.topics[0].topic != metadata_topic)) {
        return wrong_partition();
    }
    const std::int32_t replica =
        wire.replica_state.replica_id >= 0 ? wire.replica_state.replica_id : wire.replica_id;
    return Request(FetchRequest{
        .cluster_id = text(wire.cluster_id),
        .replica = {BrokerId{replica}, partition->replica_directory_id},
        .leader_epoch = QuorumEpoch{partition->current_leader_epoch},
        .log = {Offset{partition->fetch_offset},
                QuorumEpoch{std::max(partition->last_fetched_epoch, 0)}},
        .high_watermark = Offset{partition->high_watermark},
        .max_bytes = std::min(wire.max_bytes, std::max(partition->partition_max_bytes, 1)),
        .max_wait = std::chrono::milliseconds(std::max(wire.max_wait_ms, 0))});
}

Result<Request> from_wire(const protocol::FetchSnapshotRequest& wire) {
    const auto* partition = only_partition(wire.topics);
    if (partition == nullptr || wire.topics[0].name != metadata_topic) {
        return wrong_partition();
    }
    return Request(FetchSnapshotRequest{
        .cluster_id = text(wire.cluster_id),
        .replica = {BrokerId{wire.replica_id}, partition->replica_directory_id},
        .leader_epoch = QuorumEpoch{partition->current_leader_epoch},
        .snapshot = {Offset{partition->snapshot_id.end_offset},
                     QuorumEpoch{partition->snapshot_id.epoch}},
        .position = partition->position,
        .max_bytes = std::max(wire.max_bytes, 1)});
}

Result<Request> from_wire(const protocol::AddRaftVoterRequest& wire) {
    return Request(
        AddVoterRequest{.cluster_id = owned(wire.cluster_id),
                        .timeout = std::chrono::milliseconds(std::max(wire.timeout_ms, 0)),
                        .voter = {BrokerId{wire.voter_id}, wire.voter_directory_id},
                        .listeners = listeners_from_wire(wire.listeners),
                        .ack_when_committed = wire.ack_when_committed});
}

Result<Request> from_wire(const protocol::RemoveRaftVoterRequest& wire) {
    return Request(RemoveVoterRequest{.cluster_id = owned(wire.cluster_id),
                                      .voter = {BrokerId{wire.voter_id}, wire.voter_directory_id}});
}

Result<Request> from_wire(const protocol::UpdateRaftVoterRequest& wire) {
    return Request(UpdateVoterRequest{
        .cluster_id = owned(wire.cluster_id),
        .leader_epoch = QuorumEpoch{wire.current_leader_epoch},
        .voter = {.key = {BrokerId{wire.voter_id}, wire.voter_directory_id},
                  .listeners = listeners_from_wire(wire.listeners),
                  .kraft_version = {wire.kraft_version_feature.min_supported_version,
                                    wire.kraft_version_feature.max_supported_version}}});
}

Result<Request> from_wire(const protocol::DescribeQuorumRequest& wire) {
    if (only_partition(wire.topics) == nullptr || wire.topics[0].topic_name != metadata_topic) {
        return wrong_partition();
    }
    return Request(DescribeQuorumRequest{});
}

template <typename Wire>
Result<Request> decode_as(std::int16_t version, const protocol::RequestBody& body) {
    MR_TRY(const auto wire, protocol::decode_whole<Wire>(body, version));
    return from_wire(wire);
}

}  // namespace

WireVersions versions_of(const Request& request) {
    const auto served = [](ApiKey key, std::int16_t least) {
        const protocol::Api& api = protocol::api_of(key);
        return WireVersions{static_cast<std::int16_t>(key), least, api.max_version};
    };
    return std::visit(
        Overloaded{
            // Only version 2 can say that it is a pre-vote.
            [&](const VoteRequest& vote) {
                return served(ApiKey::vote, std::int16_t(vote.pre_vote ? 2 : 1));
            },
            [&](const BeginQuorumEpochRequest&) { return served(ApiKey::begin_quorum_epoch, 1); },
            [&](const EndQuorumEpochRequest&) { return served(ApiKey::end_quorum_epoch, 1); },
            // Version 17 says from which directory.
            [&](const FetchRequest&) { return served(ApiKey::fetch, 17); },
            [&](const FetchSnapshotRequest&) { return served(ApiKey::fetch_snapshot, 1); },
            [&](const AddVoterRequest& add) {
                return served(ApiKey::add_raft_voter, std::int16_t(add.ack_when_committed ? 0 : 1));
            },
            [&](const RemoveVoterRequest&) { return served(ApiKey::remove_raft_voter, 0); },
            [&](const UpdateVoterRequest&) { return served(ApiKey::update_raft_voter, 0); },
            [&](const DescribeQuorumRequest&) { return served(ApiKey::describe_quorum, 2); },
            // Version 4 also tells features whose lowest version is 0.
            [&](const SupportRequest&) {
                return WireVersions{static_cast<std::int16_t>(ApiKey::api_versions), 4, 4};
            },
        },
        request);
}

Result<Buffer> encode_request(const Request& request, std::int16_t version) {
    return std::visit(
        [&](const auto& message) { return protocol::encode_whole(to_wire(message), version); },
        request);
}

Result<Request> decode_request(std::int16_t api_key, std::int16_t version,
                               const protocol::RequestBody& body) {
    switch (static_cast<ApiKey>(api_key)) {
        case ApiKey::vote:
            return decode_as<protocol::VoteRequest>(version, body);
        case ApiKey::begin_quorum_epoch:
            return decode_as<protocol::BeginQuorumEpochRequest>(version, body);
        case ApiKey::end_quorum_epoch:
            return decode_as<protocol::EndQuorumEpochRequest>(version, body);
        case ApiKey::fetch:
            return decode_as<protocol::FetchRequest>(version, body);
        case ApiKey::fetch_snapshot:
            return decode_as<protocol::FetchSnapshotRequest>(version, body);
        case ApiKey::add_raft_voter:
            return decode_as<protocol::AddRaftVoterRequest>(version, body);
        case ApiKey::remove_raft_voter:
            return decode_as<protocol::RemoveRaftVoterRequest>(version, body);
        case ApiKey::update_raft_voter:
            return decode_as<protocol::UpdateRaftVoterRequest>(version, body);
        case ApiKey::describe_quorum:
            return decode_as<protocol::DescribeQuorumRequest>(version, body);
        default:
            return Error::make(Code::unsupported, "api {} is not the quorum's", api_key);
    }
}

}  // namespace millrace::raft
