// CreateTopics and CreatePartitions.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "metadata/controller_core.h"
#include "metadata/internal/assignment.h"
#include "metadata/internal/brokers.h"
#include "metadata/internal/config_changes.h"
#include "metadata/internal/refusal.h"
#include "metadata/internal/registration_records.h"
#include "metadata/internal/topic_names.h"
#include "metadata/link_mark.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/topic_record.h"

namespace millrace::metadata {
namespace {

using NewTopic = protocol::CreateTopicsRequest::CreatableTopic;
using TopicResult = protocol::CreateTopicsResponse::CreatableTopicResult;

constexpr std::string_view metadata_topic = "__cluster_metadata";

/// Partitions that the request asks for, before anything is looked at.
std::size_t partitions_asked_for(const Context& context,
                                 const protocol::CreateTopicsRequest& request) {
    std::size_t total = 0;
    for (const NewTopic& topic : request.topics) {
        if (!topic.assignments.empty()) {
            total += topic.assignments.size();
        } else if (topic.num_partitions == -1) {
            total += static_cast<std::size_t>(context.options.default_partitions);
        } else {
            total += static_cast<std::size_t>(std::max(0, topic.num_partitions));
        }
    }
    return total;
}

/// Topics under creation in one request, with what they may not collide with: a metric's name can't
/// tell '.' from '_'.
class NewNames {
public:
    explicit NewNames(const Context& context) : context_(context) {}

    MaybeRefusal check(std::string_view name) const {
        const std::string fold = ControllerIndex::folded(name);
        std::string_view other;
        if (const auto found = folded_.find(fold); found != folded_.end()) {
            other = found->second;
        } else if (const Uuid* id = context_.index.topic_like(name)) {
            other = context_.image.topics.find(*id)->name;
        }
        if (other.empty() || other == name) {
            return std::nullopt;
        }
        return Refusal::make(KafkaError::invalid_topic_exception,
                             "topic '{}' collides with '{}': they differ only in '.' and '_'", name,
                             other);
    }
    void add(std::string_view name) { folded_.emplace(ControllerIndex::folded(name), name); }

private:
    const Context& context_;
    std::map<std::string, std::string, std::less<>> folded_;
};

MaybeRefusal check_name(const Image& image, const NewNames& names, std::string_view name) {
    if (name == metadata_topic) {
        return Refusal::make(KafkaError::invalid_request, "{} is not made by anybody's request",
                             metadata_topic);
    }
    if (MaybeRefusal refusal = check_topic_name(name)) {
        return refusal;
    }
    if (image.topics.find(name) != nullptr) {
        return Refusal::make(KafkaError::topic_already_exists, "Topic '{}' already exists.", name);
    }
    return names.check(name);
}

Assigned assigned_by_hand(const Image& image, const NewTopic& topic) {
    if (topic.replication_factor != -1 || topic.num_partitions != -1) {
        return {{},
                Refusal::make(KafkaError::invalid_request,
                              "with an assignment, the replication factor and the number of "
                              "partitions are -1")};
    }
    std::map<std::int32_t, std::vector<BrokerId>> by_index;
    std::optional<std::size_t> replication_factor;
    for (const auto& assignment : topic.assignments) {
        if (auto refusal = check_named_replicas(image, assignment.broker_ids, replication_factor)) {
            return {{}, std::move(refusal)};
        }
        replication_factor = assignment.broker_ids.size();
        if (!by_index.emplace(assignment.partition_index, broker_ids(assignment.broker_ids))
                 .second) {
            return {{},
                    Refusal::make(KafkaError::invalid_replica_assignment,
                                  "partition {} is assigned twice", assignment.partition_index)};
        }
    }
    Assigned assigned;
    for (auto& [index, replicas] : by_index) {
        if (index != static_cast<std::int32_t>(assigned.partitions.size())) {
            return {{},
                    Refusal::make(KafkaError::invalid_replica_assignment,
                                  "partitions are numbered from 0 without a gap; {} is missing",
                                  assigned.partitions.size())};
        }
        assigned.partitions.push_back(std::move(replicas));
    }
    return assigned;
}

Assigned assign(const Context& context, const Image& image, const NewTopic& topic) {
    if (!topic.assignments.empty()) {
        return assigned_by_hand(image, topic);
    }
    if (topic.replication_factor < -1 || topic.replication_factor == 0) {
        return {{},
                Refusal::make(KafkaError::invalid_replication_factor,
                              "a replication factor is above 0, or -1 for the default")};
    }
    if (topic.num_partitions < -1 || topic.num_partitions == 0) {
        return {{},
                Refusal::make(KafkaError::invalid_partitions,
                              "a topic has at least one partition, or -1 for the default")};
    }
    return place(
        context, image, nullptr,
        topic.num_partitions == -1 ? context.options.default_partitions : topic.num_partitions,
        topic.replication_factor == -1
            ? default_copies(image, context.options.node, context.options.default_copies)
            : topic.replication_factor);
}

/// The partitions as they begin; refused if nobody of one is up.
MaybeRefusal start_partitions(const Image& image, const Assigned& assigned, KafkaError if_all_down,
                              std::vector<Partition>& partitions) {
    for (const auto& replicas : assigned.partitions) {
        std::optional<Partition> partition = new_partition(image, replicas);
        if (!partition) {
            return Refusal::make(if_all_down,
                                 "all brokers of partition {} are fenced or shutting down",
                                 partitions.size());
        }
        partitions.push_back(*std::move(partition));
    }
    return std::nullopt;
}

void add_partitions(Draft& draft, const Uuid& topic, std::int32_t first,
                    const std::vector<Partition>& partitions) {
    const MetadataVersion version = draft.image().metadata_version();
    for (const Partition& partition : partitions) {
        draft.add(partition_record({topic, PartitionIndex{first++}}, partition, version),
                  version.partition_record());
    }
}

struct Creation {
    config::Entries configs;
    std::vector<Partition> partitions;
};

/// What a mirror link says of its topic lies beside what is checked as anybody's settings.
config::Entries take_link_settings(config::Entries& configs) {
    config::Entries taken;
    for (auto at = configs.begin(); at != configs.end();) {
        const auto next = std::next(at);
        if (is_kept_by_link(at->first)) {
            taken.insert(configs.extract(at));
        }
        at = next;
    }
    return taken;
}

MaybeRefusal plan_topic(const Context& context, const Image& image, const NewNames& names,
                        const NewTopic& topic, Creation& creation) {
    if (MaybeRefusal refusal = check_name(image, names, topic.name)) {
        return refusal;
    }
    for (const auto& config : topic.configs) {
        if (!config.value) {
            return Refusal::make(KafkaError::invalid_config, "{} has no value", config.name);
        }
        creation.configs.insert_or_assign(std::string(config.name), std::string(*config.value));
    }
    const bool by_link = find_link_mark(topic.unknown_tags) != nullptr;
    config::Entries of_link = by_link ? take_link_settings(creation.configs) : config::Entries{};
    if (MaybeRefusal refusal =
            as_refusal(context.config_rules.check_new_topic(creation.configs, image))) {
        return refusal;
    }
    creation.configs.merge(of_link);
    Assigned assigned = assign(context, image, topic);
    if (assigned.refusal) {
        return std::move(assigned.refusal);
    }
    return start_partitions(image, assigned,
                            topic.assignments.empty() ? KafkaError::invalid_replication_factor
                                                      : KafkaError::invalid_replica_assignment,
                            creation.partitions);
}

Uuid new_topic_id(const Context& context, const Image& image) {
    while (true) {
        const Uuid id = Uuid::random(context.random);
        if (image.topics.find(id) == nullptr) {
            return id;
        }
    }
}

void describe(TopicResult& result, const Context& context, const Creation& creation, Texts& texts) {
    result.num_partitions = static_cast<std::int32_t>(creation.partitions.size());
    result.replication_factor =
        static_cast<std::int16_t>(creation.partitions.front().replicas.size());
    auto& configs = result.configs.emplace();
    for (const auto& described :
         context.config_rules.describe_topic(creation.configs, context.image)) {
        auto& config = configs.emplace_back();
        config.name = texts.keep(described.name);
        config.value = described.value && !described.sensitive
                           ? std::optional(texts.keep(*described.value))
                           : std::nullopt;
        config.read_only = described.read_only;
        config.config_source = static_cast<std::int8_t>(described.source);
        config.is_sensitive = described.sensitive;
    }
}

void create_topic(Decision<protocol::CreateTopicsResponse>& decision, const Context& context,
                  const NewTopic& topic, bool describable, NewNames& names) {
    Draft& draft = decision.draft;
    TopicResult& result = decision.answer.topics.emplace_back();
    result.name = decision.texts.keep(std::string(topic.name));
    Creation creation;
    const MaybeRefusal refusal = plan_topic(context, draft.image(), names, topic, creation);
    set_outcome(result, refusal, decision.texts);
    if (refusal) {
        return;
    }
    result.topic_id = new_topic_id(context, draft.image());
    if (describable) {
        describe(result, context, creation, decision.texts);
    } else {
        result.topic_config_error_code = code_of(KafkaError::topic_authorization_failed);
    }
    names.add(topic.name);
    protocol::TopicRecord record;
    record.name = topic.name;
    record.topic_id = result.topic_id;
    draft.add(record, 0);
    const ConfigResource resource{ConfigResourceType::topic, std::string(topic.name)};
    for (const auto& [name, value] : creation.configs) {
        add_config(draft, resource, name, value);
    }
    add_partitions(draft, result.topic_id, 0, creation.partitions);
}

/// Every topic of the request gets the same answer.
void refuse_all(Decision<protocol::CreateTopicsResponse>& decision, const Context& context,
                const protocol::CreateTopicsRequest& request, const Refusal& refusal) {
    decision = Decision<protocol::CreateTopicsResponse>(context);
    for (const NewTopic& topic : request.topics) {
        TopicResult& result = decision.answer.topics.emplace_back();
        result.name = decision.texts.keep(std::string(topic.name));
        set_outcome(result, refusal, decision.texts);
    }
}

}  // namespace

Decision<protocol::CreateTopicsResponse> create_topics(
    Context& context, const protocol::CreateTopicsRequest& request,
    const std::set<std::string, std::less<>>& describable) {
    Decision<protocol::CreateTopicsResponse> decision(context);
    if (partitions_asked_for(context, request) > context.options.max_records_per_operation) {
        refuse_all(decision, context, request, too_many_records(context.options));
        return decision;
    }
    NewNames names(context);
    std::map<std::string_view, int> named;
    for (const NewTopic& topic : request.topics) {
        ++named[topic.name];
    }
    for (const NewTopic& topic : request.topics) {
        int& times = named[topic.name];
        if (times == 1) {
            create_topic(decision, context, topic, describable.contains(topic.name), names);
        } else if (times > 1) {
            times = 0;  // answered once
            TopicResult& result = decision.answer.topics.emplace_back();
            result.name = decision.texts.keep(std::string(topic.name));
            set_outcome(result,
                        Refusal::make(KafkaError::invalid_request, "the topic is named twice"),
                        decision.texts);
        }
    }
    if (decision.draft.records().size() > context.options.max_records_per_operation) {
        refuse_all(decision, context, request, too_many_records(context.options));
    }
    if (request.validate_only) {
        decision.draft = Draft(context.image);
    }
    return decision;
}

namespace {

using Growth = protocol::CreatePartitionsRequest::CreatePartitionsTopic;

MaybeRefusal grow_topic(Draft& draft, const Context& context, const Growth& growth) {
    const Topic* topic = draft.image().topics.find(growth.name);
    if (topic == nullptr) {
        return Refusal::of(KafkaError::unknown_topic_or_partition);
    }
    // A partition that the source lacks could never be taken back: the mirror would stand still.
    const std::string* mirrored = draft.image().configs.find(
        {ConfigResourceType::topic, topic->name}, "millrace.mirror.state");
    if (mirrored != nullptr && *mirrored != "promoted" &&
        find_link_mark(growth.unknown_tags) == nullptr) {
        return Refusal::make(
            KafkaError::policy_violation,
            "the topic is a mirror and gets its source's partitions: add them there");
    }
    const auto have = static_cast<std::int32_t>(topic->partitions.size());
    if (growth.count <= have) {
        return Refusal::make(KafkaError::invalid_partitions,
                             "the topic has {} partitions; {} would not be more", have,
                             growth.count);
    }
    const std::int32_t additional = growth.count - have;
    if (static_cast<std::size_t>(additional) > context.options.max_records_per_operation) {
        return too_many_records(context.options);
    }
    const auto replication_factor = settled_replicas(*topic->partitions.begin()->value);
    Assigned assigned;
    if (growth.assignments) {
        if (growth.assignments->size() != static_cast<std::size_t>(additional)) {
            return Refusal::make(KafkaError::invalid_replica_assignment,
                                 "{} partitions are added and {} assigned", additional,
                                 growth.assignments->size());
        }
        for (const auto& assignment : *growth.assignments) {
            if (auto refusal = check_named_replicas(draft.image(), assignment.broker_ids,
                                                    replication_factor)) {
                return refusal;
            }
            assigned.partitions.push_back(broker_ids(assignment.broker_ids));
        }
    } else {
        assigned = place(context, draft.image(), topic, additional,
                         static_cast<std::int16_t>(replication_factor));
        if (assigned.refusal) {
            return std::move(assigned.refusal);
        }
    }
    std::vector<Partition> partitions;
    if (auto refusal = start_partitions(draft.image(), assigned,
                                        growth.assignments ? KafkaError::invalid_replica_assignment
                                                           : KafkaError::invalid_replication_factor,
                                        partitions)) {
        return refusal;
    }
    add_partitions(draft, Uuid(topic->id), have, partitions);
    return std::nullopt;
}

}  // namespace

Decision<protocol::CreatePartitionsResponse> create_partitions(
    Context& context, const protocol::CreatePartitionsRequest& request) {
    Decision<protocol::CreatePartitionsResponse> decision(context);
    std::map<std::string_view, int> named;
    for (const Growth& growth : request.topics) {
        ++named[growth.name];
    }
    const auto answer = [&](const Growth& growth, const MaybeRefusal& refusal) {
        auto& result = decision.answer.results.emplace_back();
        result.name = decision.texts.keep(std::string(growth.name));
        set_outcome(result, refusal, decision.texts);
    };
    for (const Growth& growth : request.topics) {
        int& times = named[growth.name];
        if (times == 1) {
            answer(growth, grow_topic(decision.draft, context, growth));
        } else if (times > 1) {
            times = 0;
            answer(growth, Refusal::make(KafkaError::invalid_request, "the topic is named twice"));
        }
    }
    if (decision.draft.records().size() > context.options.max_records_per_operation) {
        decision = Decision<protocol::CreatePartitionsResponse>(context);
        for (const Growth& growth : request.topics) {
            answer(growth, too_many_records(context.options));
        }
    }
    if (request.validate_only) {
        decision.draft = Draft(context.image);
    }
    return decision;
}

}  // namespace millrace::metadata
