// Topics, through the same requests that Kafka's clients send.
#include <algorithm>
#include <map>
#include <set>

#include "admin/internal/kafka_call.h"
#include "admin/internal/topic_details.h"
#include "config/alter.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::admin {

namespace {

constexpr std::int32_t timeout_ms = 25'000;  // less than a call without a deadline of its own has
constexpr int default_page = 1000;

constexpr std::int16_t create_topics_version = 7;
constexpr std::int16_t delete_topics_version = 6;
constexpr std::int16_t create_partitions_version = 3;

using KafkaTopic = protocol::MetadataResponse::MetadataResponseTopic;

/// Nothing said is the cluster's default, which Kafka calls -1.
std::int32_t or_default(std::int32_t count) {
    return count == 0 ? -1 : count;
}

protocol::MetadataRequest metadata_of(const std::vector<std::string_view>& names) {
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    for (const std::string_view name : names) {
        protocol::MetadataRequest::MetadataRequestTopic topic;
        topic.name = name;
        request.topics->push_back(topic);
    }
    return request;
}

protocol::MetadataRequest metadata_of_all() {
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    request.topics = std::nullopt;
    return request;
}

void fill(v1::TopicSummary& to, const KafkaTopic& from) {
    to.set_name(std::string{from.name.value_or("")});
    to.set_id(from.topic_id.to_string());
    to.set_internal(from.is_internal);
    to.set_partitions(static_cast<int>(from.partitions.size()));
    for (const auto& partition : from.partitions) {
        to.set_replication_factor(std::max<int>(to.replication_factor(),
                                                static_cast<int>(partition.replica_nodes.size())));
        to.set_offline_partitions(to.offline_partitions() + (partition.leader_id < 0 ? 1 : 0));
        const bool lacks = partition.isr_nodes.size() < partition.replica_nodes.size();
        to.set_under_replicated_partitions(to.under_replicated_partitions() + (lacks ? 1 : 0));
    }
}

void fill(v1::TopicDescription& to, const KafkaTopic& from) {
    to.set_id(from.topic_id.to_string());
    to.set_internal(from.is_internal);
    if (from.error_code != 0) {
        fill_error(*to.mutable_error(), from.error_code);
    }
    for (const auto& partition : from.partitions) {
        auto& one = *to.add_partitions();
        one.set_partition(partition.partition_index);
        one.set_leader(partition.leader_id);
        one.set_leader_epoch(partition.leader_epoch);
        one.mutable_replicas()->Add(partition.replica_nodes.begin(), partition.replica_nodes.end());
        one.mutable_isr()->Add(partition.isr_nodes.begin(), partition.isr_nodes.end());
        one.set_start_offset(-1);
        one.set_end_offset(-1);
        one.set_size_bytes(-1);
    }
}

/// The topic that an id stands for is another than the caller means.
bool is_another(const v1::TopicRef& wanted, const KafkaTopic& found) {
    return !wanted.expected_id().empty() && found.error_code == 0 &&
           wanted.expected_id() != found.topic_id.to_string();
}

std::vector<std::string_view> names_in(
    const google::protobuf::RepeatedPtrField<v1::TopicRef>& topics) {
    std::vector<std::string_view> names;
    for (const v1::TopicRef& topic : topics) {
        names.push_back(topic.name());
    }
    return names;
}

v1::CreateTopicsResponse created_topics(const protocol::CreateTopicsResponse& from) {
    v1::CreateTopicsResponse to;
    for (const auto& topic : from.topics) {
        auto& created = *to.add_topics();
        created.set_name(std::string{topic.name});
        if (topic.error_code == 0) {
            created.set_id(topic.topic_id.is_zero() ? "" : topic.topic_id.to_string());
            created.set_partitions(topic.num_partitions);
            created.set_replication_factor(topic.replication_factor);
        } else {
            fill_error(*created.mutable_error(), topic.error_code, topic.error_message);
        }
    }
    return to;
}

/// What remains to be deleted once the names were looked up: by id, so that a topic made anew under
/// the same name in between is not hit.
struct Deletion {
    v1::DeleteTopicsResponse response;
    std::map<Uuid, int> wanted;  ///< Id → place in the response.
};

Deletion looked_up(const v1::DeleteTopicsRequest& request,
                   const protocol::MetadataResponse& found) {
    std::map<std::string_view, const KafkaTopic*> by_name;
    for (const KafkaTopic& topic : found.topics) {
        by_name[topic.name.value_or("")] = &topic;
    }
    Deletion deletion;
    for (const v1::TopicRef& wanted : request.topics()) {
        auto& outcome = *deletion.response.add_topics();
        outcome.set_name(wanted.name());
        const auto topic = by_name.find(wanted.name());
        if (topic == by_name.end()) {
            fill_error(*outcome.mutable_error(), KafkaError::unknown_topic_or_partition);
        } else if (topic->second->error_code != 0) {
            fill_error(*outcome.mutable_error(), topic->second->error_code);
        } else if (is_another(wanted, *topic->second)) {
            fill_error(*outcome.mutable_error(), KafkaError::unknown_topic_id);
        } else {
            deletion.wanted[topic->second->topic_id] = deletion.response.topics_size() - 1;
        }
    }
    return deletion;
}

void delete_by_id(AdminDoors& doors, const Caller& caller, Deletion deletion,
                  Answer<v1::DeleteTopicsResponse> answer) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = timeout_ms;
    for (const auto& [id, place] : deletion.wanted) {
        protocol::DeleteTopicsRequest::DeleteTopicState topic;
        topic.topic_id = id;
        request.topics.push_back(topic);
    }
    answer_from_kafka<protocol::DeleteTopicsResponse>(
        doors, caller, delete_topics_version, request, std::move(answer),
        [deletion = std::move(deletion)](const protocol::DeleteTopicsResponse& from) mutable {
            for (const auto& topic : from.responses) {
                const auto place = deletion.wanted.find(topic.topic_id);
                if (place != deletion.wanted.end() && topic.error_code != 0) {
                    fill_error(*deletion.response.mutable_topics(place->second)->mutable_error(),
                               topic.error_code, topic.error_message);
                }
            }
            return std::move(deletion.response);
        });
}

v1::DescribeTopicsResponse described(const v1::DescribeTopicsRequest& request,
                                     const protocol::MetadataResponse& found) {
    std::map<std::string_view, const KafkaTopic*> by_name;
    for (const KafkaTopic& topic : found.topics) {
        by_name[topic.name.value_or("")] = &topic;
    }
    v1::DescribeTopicsResponse response;
    for (const v1::TopicRef& wanted : request.topics()) {
        auto& description = *response.add_topics();
        description.set_name(wanted.name());
        const auto topic = by_name.find(wanted.name());
        if (topic == by_name.end()) {
            fill_error(*description.mutable_error(), KafkaError::unknown_topic_or_partition);
        } else if (is_another(wanted, *topic->second)) {
            fill_error(*description.mutable_error(), KafkaError::unknown_topic_id);
        } else {
            fill(description, *topic->second);
        }
    }
    return response;
}

using KafkaSettings = protocol::DescribeConfigsResponse::DescribeConfigsResult;

/// What was set for the topic itself, not what it has by default.
void fill(v1::TopicDescription& to, const KafkaSettings& from) {
    constexpr std::int8_t set_for_the_topic = 1;
    if (from.error_code != 0) {
        fill_error(*to.mutable_error(), from.error_code, from.error_message);
    }
    for (const auto& entry : from.configs) {
        if (entry.config_source == set_for_the_topic && entry.value) {
            (*to.mutable_configs())[std::string{entry.name}] = std::string{*entry.value};
        }
    }
}

/// Metadata says nothing of settings: asks for those of the topics that were found.
void add_settings(AdminDoors& doors, const Caller& caller, v1::DescribeTopicsResponse topics,
                  Answer<v1::DescribeTopicsResponse> answer) {
    constexpr std::int8_t topic_resource = 2;
    protocol::DescribeConfigsRequest request;
    for (v1::TopicDescription& topic : *topics.mutable_topics()) {
        if (topic.error().kafka_error() == 0) {
            protocol::DescribeConfigsRequest::DescribeConfigsResource one;
            one.resource_type = topic_resource;
            one.resource_name = topic.name();
            one.configuration_keys = std::nullopt;
            request.resources.push_back(std::move(one));
        }
    }
    if (request.resources.empty()) {
        answer(std::move(topics));
        return;
    }
    // The request's names are views into `topics`: it is encoded before this returns.
    answer_from_kafka<protocol::DescribeConfigsResponse>(
        doors, caller, describe_configs_version, request, std::move(answer),
        [topics](const protocol::DescribeConfigsResponse& found) mutable {
            std::map<std::string_view, const KafkaSettings*> settings;
            for (const KafkaSettings& result : found.results) {
                settings[result.resource_name] = &result;
            }
            for (v1::TopicDescription& topic : *topics.mutable_topics()) {
                if (const auto own = settings.find(topic.name()); own != settings.end()) {
                    fill(topic, *own->second);
                }
            }
            return std::move(topics);
        });
}

/// An answer that is completed before it is given.
Answer<v1::DescribeTopicsResponse> with_details(AdminDoors& doors, const Caller& caller,
                                                Answer<v1::DescribeTopicsResponse> answer) {
    return [&doors, caller,
            answer = std::move(answer)](Result<v1::DescribeTopicsResponse> topics) mutable {
        if (topics) {
            add_details(doors, caller, *std::move(topics), std::move(answer));
        } else {
            answer(topics.error());
        }
    };
}

v1::ListTopicsResponse page_of(const protocol::MetadataResponse& all, bool with_internal,
                               const v1::Page& page) {
    std::map<std::string_view, const KafkaTopic*> by_name;
    for (const KafkaTopic& topic : all.topics) {
        if (topic.error_code == 0 && (with_internal || !topic.is_internal)) {
            by_name[topic.name.value_or("")] = &topic;
        }
    }
    const int size = page.size() > 0 ? std::min(page.size(), default_page) : default_page;
    v1::ListTopicsResponse response;
    for (auto topic = by_name.upper_bound(page.after()); topic != by_name.end(); ++topic) {
        if (response.topics_size() == size) {
            response.set_next(response.topics(size - 1).name());
            break;
        }
        fill(*response.add_topics(), *topic->second);
    }
    return response;
}

}  // namespace

namespace calls {

void CreateTopics(AdminDoors& doors, Caller caller, const v1::CreateTopicsRequest& request,
                  Answer<v1::CreateTopicsResponse> answer) {
    protocol::CreateTopicsRequest kafka;
    kafka.timeout_ms = timeout_ms;
    kafka.validate_only = request.guard().dry_run();
    for (const v1::NewTopic& wanted : request.topics()) {
        protocol::CreateTopicsRequest::CreatableTopic topic;
        topic.name = wanted.name();
        const bool assigned = !wanted.assignment().empty();
        topic.num_partitions = assigned ? -1 : or_default(wanted.partitions());
        topic.replication_factor =
            static_cast<std::int16_t>(assigned ? -1 : or_default(wanted.replication_factor()));
        for (int i = 0; i < wanted.assignment_size(); ++i) {
            const auto& ids = wanted.assignment(i).broker_ids();
            topic.assignments.push_back({i, {ids.begin(), ids.end()}});
        }
        for (const auto& [name, value] : wanted.configs()) {
            topic.configs.push_back({name, value});
        }
        kafka.topics.push_back(std::move(topic));
    }
    answer_from_kafka<protocol::CreateTopicsResponse>(doors, caller, create_topics_version, kafka,
                                                      std::move(answer), created_topics);
}

void DeleteTopics(AdminDoors& doors, Caller caller, const v1::DeleteTopicsRequest& request,
                  Answer<v1::DeleteTopicsResponse> answer) {
    ask_kafka<protocol::MetadataResponse>(
        doors, caller, metadata_version, metadata_of(names_in(request.topics())),
        [&doors, caller, request, answer = std::move(answer)](
            const Error& error, const protocol::MetadataResponse* found) mutable {
            if (found == nullptr) {
                answer(error);
                return;
            }
            Deletion deletion = looked_up(request, *found);
            if (deletion.wanted.empty() || request.guard().dry_run()) {
                answer(std::move(deletion.response));
                return;
            }
            delete_by_id(doors, caller, std::move(deletion), std::move(answer));
        });
}

void ListTopics(AdminDoors& doors, Caller caller, const v1::ListTopicsRequest& request,
                Answer<v1::ListTopicsResponse> answer) {
    answer_from_kafka<protocol::MetadataResponse>(
        doors, caller, metadata_version, metadata_of_all(), std::move(answer),
        [with_internal = request.with_internal(), page = request.page()](
            const protocol::MetadataResponse& all) { return page_of(all, with_internal, page); });
}

void DescribeTopics(AdminDoors& doors, Caller caller, const v1::DescribeTopicsRequest& request,
                    Answer<v1::DescribeTopicsResponse> answer) {
    ask_kafka<protocol::MetadataResponse>(
        doors, caller, metadata_version, metadata_of(names_in(request.topics())),
        [&doors, caller, request, answer = std::move(answer)](
            const Error& error, const protocol::MetadataResponse* found) mutable {
            if (found == nullptr) {
                answer(error);
                return;
            }
            if (request.with_details()) {
                answer = with_details(doors, caller, std::move(answer));
            }
            add_settings(doors, caller, described(request, *found), std::move(answer));
        });
}

void CreatePartitions(AdminDoors& doors, Caller caller, const v1::CreatePartitionsRequest& request,
                      Answer<v1::CreatePartitionsResponse> answer) {
    protocol::CreatePartitionsRequest kafka;
    kafka.timeout_ms = timeout_ms;
    kafka.validate_only = request.guard().dry_run();
    for (const v1::NewPartitions& wanted : request.topics()) {
        protocol::CreatePartitionsRequest::CreatePartitionsTopic topic;
        topic.name = wanted.name();
        topic.count = wanted.total();
        topic.assignments = std::nullopt;
        for (const v1::ReplicaList& replicas : wanted.assignment()) {
            if (!topic.assignments) {
                topic.assignments.emplace();
            }
            topic.assignments->push_back(
                {{replicas.broker_ids().begin(), replicas.broker_ids().end()}});
        }
        kafka.topics.push_back(std::move(topic));
    }
    answer_from_kafka<protocol::CreatePartitionsResponse>(
        doors, caller, create_partitions_version, kafka, std::move(answer),
        [](const protocol::CreatePartitionsResponse& from) {
            v1::CreatePartitionsResponse to;
            for (const auto& topic : from.results) {
                auto& outcome = *to.add_topics();
                outcome.set_name(std::string{topic.name});
                if (topic.error_code != 0) {
                    fill_error(*outcome.mutable_error(), topic.error_code, topic.error_message);
                }
            }
            return to;
        });
}

}  // namespace calls

}  // namespace millrace::admin
