// Groups and their lag, through the same requests that Kafka's clients send. Coordinators on other
// brokers are named as silent until they can be asked from here.
#include <map>
#include <memory>
#include <set>

#include "admin/internal/kafka_call.h"
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t list_groups_version = 5;
constexpr std::int16_t describe_groups_version = 6;
constexpr std::int16_t consumer_describe_version = 1;
constexpr std::int16_t offset_fetch_version = 9;
constexpr std::int16_t list_offsets_version = 7;
constexpr std::int16_t delete_groups_version = 2;
constexpr std::int64_t latest = -1;

void fill_brokers(google::protobuf::RepeatedField<std::int32_t>& to, AdminDoors& doors) {
    for (const BrokerId id : doors.other_brokers()) {
        to.Add(id.value);
    }
}

v1::ListGroupsResponse page_of(const protocol::ListGroupsResponse& all, BrokerId coordinator,
                               const v1::Page& page) {
    std::map<std::string_view, const protocol::ListGroupsResponse::ListedGroup*> by_id;
    for (const auto& group : all.groups) {
        by_id[group.group_id] = &group;
    }
    constexpr int most = 1000;
    const int size = page.size() > 0 ? std::min(page.size(), most) : most;
    v1::ListGroupsResponse response;
    for (auto group = by_id.upper_bound(page.after()); group != by_id.end(); ++group) {
        if (response.groups_size() == size) {
            response.set_next(response.groups(size - 1).id());
            break;
        }
        auto& summary = *response.add_groups();
        summary.set_id(std::string{group->first});
        summary.set_type(std::string{group->second->group_type});
        summary.set_state(std::string{group->second->group_state});
        summary.set_protocol(std::string{group->second->protocol_type});
        summary.set_coordinator_id(coordinator.value);
    }
    return response;
}

void fill_partitions(google::protobuf::RepeatedPtrField<v1::TopicPartition>& to,
                     const protocol::ConsumerGroupDescribeResponse::Assignment& from) {
    for (const auto& topic : from.topic_partitions) {
        for (const std::int32_t partition : topic.partitions) {
            auto& one = *to.Add();
            one.set_topic(std::string{topic.topic_name});
            one.set_partition(partition);
        }
    }
}

void fill(v1::GroupDescription& to,
          const protocol::ConsumerGroupDescribeResponse::DescribedGroup& from) {
    to.set_type("consumer");
    to.set_state(std::string{from.group_state});
    to.set_assignor(std::string{from.assignor_name});
    to.set_epoch(from.group_epoch);
    for (const auto& member : from.members) {
        auto& one = *to.add_members();
        one.set_id(std::string{member.member_id});
        one.set_instance_id(std::string{member.instance_id.value_or("")});
        one.set_client_id(std::string{member.client_id});
        one.set_host(std::string{member.client_host});
        fill_partitions(*one.mutable_assignment(), member.assignment);
        fill_partitions(*one.mutable_target(), member.target_assignment);
    }
}

void fill(v1::GroupDescription& to, const protocol::DescribeGroupsResponse::DescribedGroup& from) {
    to.set_type("classic");
    to.set_state(std::string{from.group_state});
    to.set_assignor(std::string{from.protocol_data});
    for (const auto& member : from.members) {
        auto& one = *to.add_members();
        one.set_id(std::string{member.member_id});
        one.set_instance_id(std::string{member.group_instance_id.value_or("")});
        one.set_client_id(std::string{member.client_id});
        one.set_host(std::string{member.client_host});
    }
}

/// Groups that are no consumer groups of the new protocol are asked about once more in the old one.
void describe_classic(AdminDoors& doors, const Caller& caller, v1::DescribeGroupsResponse response,
                      std::map<std::string, int> left, Answer<v1::DescribeGroupsResponse> answer) {
    protocol::DescribeGroupsRequest request;
    for (const auto& [group, place] : left) {
        request.groups.push_back(group);
    }
    answer_from_kafka<protocol::DescribeGroupsResponse>(
        doors, caller, describe_groups_version, request, std::move(answer),
        [response = std::move(response),
         left](const protocol::DescribeGroupsResponse& from) mutable {
            for (const auto& group : from.groups) {
                const auto place = left.find(std::string{group.group_id});
                if (place == left.end()) {
                    continue;
                }
                v1::GroupDescription& to = *response.mutable_groups(place->second);
                if (group.error_code != 0) {
                    fill_error(*to.mutable_error(), group.error_code, group.error_message);
                } else {
                    fill(to, group);
                }
            }
            return std::move(response);
        });
}

/// The lag of some groups, put together from their commits and the ends of what they read.
class LagQuestion : public std::enable_shared_from_this<LagQuestion> {
public:
    LagQuestion(AdminDoors& doors, Caller caller, bool with_partitions,
                Answer<v1::GroupLagResponse> answer)
        : doors_(doors),
          caller_(std::move(caller)),
          with_partitions_(with_partitions),
          answer_(std::move(answer)) {}

    void about(std::vector<std::string> groups) {
        protocol::OffsetFetchRequest request;
        for (const std::string& group : groups) {
            protocol::OffsetFetchRequest::OffsetFetchRequestGroup one;
            one.group_id = group;
            one.topics = std::nullopt;
            request.groups.push_back(one);
        }
        if (groups.empty()) {
            finish();
            return;
        }
        ask_kafka<protocol::OffsetFetchResponse>(
            doors_, caller_, offset_fetch_version, request,
            [self = shared_from_this()](const Error& error,
                                        const protocol::OffsetFetchResponse* response) {
                if (response == nullptr) {
                    self->answer_(error);
                } else {
                    self->note_commits(*response);
                }
            });
    }
    void about_all() {
        fill_brokers(*response_.mutable_silent_brokers(), doors_);
        ask_kafka<protocol::ListGroupsResponse>(
            doors_, caller_, list_groups_version, protocol::ListGroupsRequest{},
            [self = shared_from_this()](const Error& error,
                                        const protocol::ListGroupsResponse* response) {
                if (response == nullptr) {
                    self->answer_(error);
                    return;
                }
                std::vector<std::string> groups;
                for (const auto& group : response->groups) {
                    groups.emplace_back(group.group_id);
                }
                self->about(std::move(groups));
            });
    }

private:
    void note_commits(const protocol::OffsetFetchResponse& fetched) {
        std::map<std::string, std::set<std::int32_t>> read;
        for (const auto& group : fetched.groups) {
            auto& lag = *response_.add_groups();
            lag.set_group(std::string{group.group_id});
            lag.set_max_lag_ms(-1);
            if (group.error_code != 0) {
                fill_error(*lag.mutable_error(), group.error_code);
            }
            for (const auto& topic : group.topics) {
                for (const auto& partition : topic.partitions) {
                    auto& one = *lag.add_partitions();
                    one.mutable_partition()->set_topic(std::string{topic.name});
                    one.mutable_partition()->set_partition(partition.partition_index);
                    one.set_committed(partition.committed_offset);
                    one.set_end(-1);
                    one.set_records(-1);
                    one.set_lag_ms(-1);
                    read[std::string{topic.name}].insert(partition.partition_index);
                }
            }
        }
        if (read.empty()) {
            finish();
            return;
        }
        ask_for_ends(read);
    }

    void ask_for_ends(const std::map<std::string, std::set<std::int32_t>>& read) {
        protocol::ListOffsetsRequest request;
        request.replica_id = -1;
        for (const auto& [name, partitions] : read) {
            protocol::ListOffsetsRequest::ListOffsetsTopic topic;
            topic.name = name;
            for (const std::int32_t index : partitions) {
                protocol::ListOffsetsRequest::ListOffsetsPartition partition;
                partition.partition_index = index;
                partition.timestamp = latest;
                topic.partitions.push_back(partition);
            }
            request.topics.push_back(std::move(topic));
        }
        ask_kafka<protocol::ListOffsetsResponse>(
            doors_, caller_, list_offsets_version, request,
            [self = shared_from_this()](const Error& error,
                                        const protocol::ListOffsetsResponse* response) {
                if (response == nullptr) {
                    self->answer_(error);
                } else {
                    self->note_ends(*response);
                }
            });
    }

    void note_ends(const protocol::ListOffsetsResponse& listed) {
        std::map<std::pair<std::string, std::int32_t>, std::int64_t> ends;
        for (const auto& topic : listed.topics) {
            for (const auto& partition : topic.partitions) {
                if (partition.error_code == 0) {
                    ends[{std::string{topic.name}, partition.partition_index}] = partition.offset;
                }
            }
        }
        for (v1::GroupLag& group : *response_.mutable_groups()) {
            for (v1::PartitionLag& partition : *group.mutable_partitions()) {
                const auto end =
                    ends.find({partition.partition().topic(), partition.partition().partition()});
                if (end == ends.end() || partition.committed() < 0) {
                    continue;  // led elsewhere, or nothing committed: not known rather than zero
                }
                partition.set_end(end->second);
                partition.set_records(
                    std::max<std::int64_t>(0, end->second - partition.committed()));
                group.set_total_records(group.total_records() + partition.records());
            }
        }
        finish();
    }

    void finish() {
        if (!with_partitions_) {
            for (v1::GroupLag& group : *response_.mutable_groups()) {
                group.clear_partitions();
            }
        }
        answer_(std::move(response_));
    }

    AdminDoors& doors_;
    Caller caller_;
    bool with_partitions_;
    Answer<v1::GroupLagResponse> answer_;
    v1::GroupLagResponse response_;
};

}  // namespace

namespace calls {

void ListGroups(AdminDoors& doors, Caller caller, const v1::ListGroupsRequest& request,
                Answer<v1::ListGroupsResponse> answer) {
    protocol::ListGroupsRequest kafka;
    kafka.states_filter.assign(request.states().begin(), request.states().end());
    kafka.types_filter.assign(request.types().begin(), request.types().end());
    ask_kafka<protocol::ListGroupsResponse>(
        doors, caller, list_groups_version, kafka,
        [&doors, page = request.page(), answer = std::move(answer)](
            const Error& error, const protocol::ListGroupsResponse* response) mutable {
            if (response == nullptr) {
                answer(error);
            } else if (response->error_code != 0) {
                answer(
                    Error(Code::unavailable,
                          std::string{message_of(static_cast<KafkaError>(response->error_code))}));
            } else {
                auto made = page_of(*response, doors.self(), page);
                fill_brokers(*made.mutable_silent_brokers(), doors);
                answer(std::move(made));
            }
        });
}

void DescribeGroups(AdminDoors& doors, Caller caller, const v1::DescribeGroupsRequest& request,
                    Answer<v1::DescribeGroupsResponse> answer) {
    protocol::ConsumerGroupDescribeRequest kafka;
    v1::DescribeGroupsResponse response;
    std::map<std::string, int> places;
    for (const std::string& group : request.groups()) {
        if (places.emplace(group, response.groups_size()).second) {
            kafka.group_ids.push_back(group);
            auto& description = *response.add_groups();
            description.set_id(group);
            description.set_coordinator_id(doors.self().value);
        }
    }
    ask_kafka<protocol::ConsumerGroupDescribeResponse>(
        doors, caller, consumer_describe_version, kafka,
        [&doors, caller, response = std::move(response), places, answer = std::move(answer)](
            const Error& error, const protocol::ConsumerGroupDescribeResponse* from) mutable {
            if (from == nullptr) {
                answer(error);
                return;
            }
            std::map<std::string, int> left;
            for (const auto& group : from->groups) {
                const auto place = places.find(std::string{group.group_id});
                if (place == places.end()) {
                    continue;
                }
                if (group.error_code == code_of(KafkaError::group_id_not_found)) {
                    left.insert(*place);
                } else if (group.error_code != 0) {
                    fill_error(*response.mutable_groups(place->second)->mutable_error(),
                               group.error_code, group.error_message);
                } else {
                    fill(*response.mutable_groups(place->second), group);
                }
            }
            if (left.empty()) {
                answer(std::move(response));
            } else {
                describe_classic(doors, caller, std::move(response), std::move(left),
                                 std::move(answer));
            }
        });
}

void GroupLag(AdminDoors& doors, Caller caller, const v1::GroupLagRequest& request,
              Answer<v1::GroupLagResponse> answer) {
    const auto question = std::make_shared<LagQuestion>(
        doors, std::move(caller), request.with_partitions(), std::move(answer));
    if (request.groups().empty()) {
        question->about_all();
    } else {
        question->about({request.groups().begin(), request.groups().end()});
    }
}

void DeleteGroups(AdminDoors& doors, Caller caller, const v1::DeleteGroupsRequest& request,
                  Answer<v1::DeleteGroupsResponse> answer) {
    if (request.guard().dry_run()) {
        answer(Error(Code::unsupported, "Kafka's protocol has no trial of deleting groups"));
        return;
    }
    protocol::DeleteGroupsRequest kafka;
    kafka.groups_names.assign(request.groups().begin(), request.groups().end());
    answer_from_kafka<protocol::DeleteGroupsResponse>(
        doors, caller, delete_groups_version, kafka, std::move(answer),
        [](const protocol::DeleteGroupsResponse& from) {
            v1::DeleteGroupsResponse to;
            for (const auto& group : from.results) {
                auto& outcome = *to.add_groups();
                outcome.set_group(std::string{group.group_id});
                if (group.error_code != 0) {
                    fill_error(*outcome.mutable_error(), group.error_code, group.error_message);
                }
            }
            return to;
        });
}

}  // namespace calls

}  // namespace millrace::admin
