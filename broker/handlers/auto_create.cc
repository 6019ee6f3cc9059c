#include "handlers/auto_create.h"

#include <algorithm>

#include "handlers/topic_names.h"
#include "protocol/arena.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::handlers {
namespace {

using protocol::CreateTopicsRequest;
namespace option = config::broker_option;

constexpr std::int32_t create_timeout_ms = 30'000;

void add_config(CreateTopicsRequest::CreatableTopic& topic, std::string_view name,
                std::string_view value) {
    topic.configs.push_back({.name = name, .value = value});
}

/// Where nobody has said how many: a cluster of one needs its coordinators, too. Counted over all
/// registered brokers, so that one which is down for a moment does not cost a replica for good.
std::int16_t replicas_for(const Doors& doors, std::int16_t wanted) {
    const auto brokers = doors.image->current()->cluster.brokers.size();
    return static_cast<std::int16_t>(
        std::clamp<std::size_t>(brokers, 1, static_cast<std::size_t>(wanted)));
}

template <typename Key>
bool is_given(const config::BrokerConfig& config, const Key& key) {
    return config.given().entries.contains(config::options(config::Scope::broker)[key.row].name);
}

CreateTopicsRequest::CreatableTopic describe(const Doors& doors, const std::string& name,
                                             protocol::Arena& arena) {
    const auto book = doors.topics->current();
    const config::BrokerValues& values = book->config().broker();
    CreateTopicsRequest::CreatableTopic topic;
    topic.name = name;
    // What this broker was started with; otherwise the controller's, which counts for whoever asks
    // it.
    topic.num_partitions =
        is_given(book->config(), option::num_partitions) ? values.get(option::num_partitions) : -1;
    topic.replication_factor =
        is_given(book->config(), option::default_replication_factor)
            ? static_cast<std::int16_t>(values.get(option::default_replication_factor))
            : std::int16_t{-1};
    if (name == offsets_topic) {
        topic.num_partitions = values.get(option::offsets_topic_num_partitions);
        // What was asked for is waited for (KIP-115): whoever comes while the brokers are still
        // starting would have the topic made with fewer, and that is what it would keep.
        const std::int16_t wanted = values.get(option::offsets_topic_replication_factor);
        topic.replication_factor =
            is_given(book->config(), option::offsets_topic_replication_factor)
                ? wanted
                : replicas_for(doors, wanted);
        add_config(topic, "cleanup.policy", "compact");
        add_config(topic, "compression.type", "producer");
        add_config(topic, "segment.bytes",
                   arena.copy(std::to_string(values.get(option::offsets_topic_segment_bytes))));
    }
    return topic;
}

}  // namespace

bool creates_topics(const Doors& doors) {
    return doors.topics->current()->config().broker().get(option::auto_create_topics_enable);
}

void auto_create(const Doors& doors, const std::set<std::string>& topics,
                 const Principal& principal, runtime::Executor& home) {
    const bool allowed = creates_topics(doors);
    protocol::Arena arena;
    CreateTopicsRequest request;
    request.timeout_ms = create_timeout_ms;
    for (const std::string& name : topics) {
        if (is_internal_topic(name) ? name == offsets_topic : allowed) {
            request.topics.push_back(describe(doors, name, arena));
        }
    }
    if (request.topics.empty()) {
        return;
    }
    Buffer body;
    protocol::Writer writer(body);
    request.encode(writer, CreateTopicsRequest::max_version);
    MR_ASSERT(writer.ok());
    doors.controller->forward(
        CreateTopicsRequest::api_key, CreateTopicsRequest::max_version, std::move(body), principal,
        home, [&doors](Result<ControllerDoor::Answer> answer) {
            if (!answer) {
                MR_LOG(*doors.log, warn, "handlers.topic_not_created",
                       field("reason", answer.error().message()));
                return;
            }
            protocol::CreateTopicsResponse response;
            protocol::Reader reader(answer->body);
            response.decode(reader, answer->version);
            for (const auto& topic : response.topics) {
                const auto error = static_cast<KafkaError>(topic.error_code);
                if (error != KafkaError::none && error != KafkaError::topic_already_exists) {
                    MR_LOG(*doors.log, warn, "handlers.topic_not_created",
                           field("topic", topic.name), field("error", error),
                           field("reason", topic.error_message.value_or("")));
                }
            }
        });
}

}  // namespace millrace::handlers
