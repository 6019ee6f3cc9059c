// ElectLeaders, through the request that Kafka's tools send; who leads afterwards is looked up.
#include <map>
#include <set>

#include "admin/internal/kafka_call.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t elect_leaders_version = 2;
constexpr std::int32_t election_timeout_ms = 20'000;
constexpr std::int8_t preferred = 0;
constexpr std::int8_t unclean = 1;

v1::ElectLeadersResponse converted(const protocol::ElectLeadersResponse& from) {
    v1::ElectLeadersResponse to;
    for (const auto& topic : from.replica_election_results) {
        for (const auto& partition : topic.partition_result) {
            auto& one = *to.add_partitions();
            one.mutable_partition()->set_topic(std::string{topic.topic});
            one.mutable_partition()->set_partition(partition.partition_id);
            one.set_leader(no_broker.value);
            if (partition.error_code != 0) {
                fill_error(*one.mutable_error(), partition.error_code, partition.error_message);
            }
        }
    }
    return to;
}

void fill_leaders(v1::ElectLeadersResponse& to, const protocol::MetadataResponse& from) {
    std::map<std::pair<std::string_view, std::int32_t>, std::int32_t> leaders;
    for (const auto& topic : from.topics) {
        for (const auto& partition : topic.partitions) {
            leaders[{topic.name.value_or(""), partition.partition_index}] = partition.leader_id;
        }
    }
    for (auto& one : *to.mutable_partitions()) {
        const auto found = leaders.find({one.partition().topic(), one.partition().partition()});
        if (found != leaders.end()) {
            one.set_leader(found->second);
        }
    }
}

void look_up_leaders(AdminDoors& doors, const Caller& caller, v1::ElectLeadersResponse response,
                     Answer<v1::ElectLeadersResponse> answer) {
    std::set<std::string> topics;
    for (const auto& one : response.partitions()) {
        topics.insert(one.partition().topic());
    }
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    for (const std::string& name : topics) {
        request.topics->emplace_back().name = name;
    }
    ask_kafka<protocol::MetadataResponse>(
        doors, caller, metadata_version, request,
        [answer = std::move(answer), response = std::move(response)](
            const Error& error, const protocol::MetadataResponse* found) mutable {
            if (found == nullptr) {
                answer(error);
            } else {
                fill_leaders(response, *found);
                answer(std::move(response));
            }
        });
}

}  // namespace

namespace calls {

void ElectLeaders(AdminDoors& doors, Caller caller, const v1::ElectLeadersRequest& request,
                  Answer<v1::ElectLeadersResponse> answer) {
    if (request.unclean() && request.partitions().empty()) {
        answer(Error(Code::invalid, "partitions: an unclean election names its partitions"));
        return;
    }
    if (caller.dry_run) {
        answer(Error(Code::unsupported, "guard.dry_run: an election can't be tried out"));
        return;
    }
    std::map<std::string_view, std::vector<std::int32_t>> wanted;
    for (const auto& one : request.partitions()) {
        wanted[one.topic()].push_back(one.partition());
    }
    protocol::ElectLeadersRequest ask;
    ask.election_type = request.unclean() ? unclean : preferred;
    ask.timeout_ms = election_timeout_ms;
    if (wanted.empty()) {
        ask.topic_partitions = std::nullopt;
    }
    for (auto& [topic, partitions] : wanted) {
        ask.topic_partitions->push_back({topic, std::move(partitions)});
    }
    ask_kafka<protocol::ElectLeadersResponse>(
        doors, caller, elect_leaders_version, ask,
        [&doors, caller, answer = std::move(answer)](
            const Error& error, const protocol::ElectLeadersResponse* response) mutable {
            if (response == nullptr) {
                answer(error);
            } else if (response->error_code != 0) {
                answer(Error(Code::invalid, std::string{message_of(
                                                static_cast<KafkaError>(response->error_code))}));
            } else if (response->replica_election_results.empty()) {
                answer(v1::ElectLeadersResponse{});
            } else {
                look_up_leaders(doors, caller, converted(*response), std::move(answer));
            }
        });
}

}  // namespace calls

}  // namespace millrace::admin
