// DeleteTopics, by name or by id.
#include <map>
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/remove_topic_record.h"

namespace millrace::metadata {
namespace {

/// One topic of the request, by whatever it was named.
struct Named {
    std::optional<std::string_view> name;
    Uuid id;
    friend auto operator<=>(const Named&, const Named&) = default;
};

std::vector<Named> named_in(const protocol::DeleteTopicsRequest& request) {
    std::vector<Named> all;
    for (const auto& topic : request.topics) {
        all.push_back({topic.name, topic.topic_id});
    }
    for (const std::string_view name : request.topic_names) {  // versions before 6
        all.push_back({name, Uuid{}});
    }
    return all;
}

MaybeRefusal check(const Image& image, const Named& named, const std::set<Uuid>& deleted,
                   const Topic*& topic) {
    if (named.name && !named.id.is_zero()) {
        return Refusal::make(KafkaError::invalid_request,
                             "a topic is named by its name or by its id, not both");
    }
    if (!named.name && named.id.is_zero()) {
        return Refusal::make(KafkaError::invalid_request, "neither a name nor an id is given");
    }
    topic = named.name ? image.topics.find(*named.name) : image.topics.find(named.id);
    if (topic == nullptr) {
        return Refusal::of(named.name ? KafkaError::unknown_topic_or_partition
                                      : KafkaError::unknown_topic_id);
    }
    if (deleted.contains(topic->id)) {
        return Refusal::make(KafkaError::invalid_request,
                             "the topic is given by its name and by its id");
    }
    return std::nullopt;
}

}  // namespace

Decision<protocol::DeleteTopicsResponse> delete_topics(
    Context& context, const protocol::DeleteTopicsRequest& request) {
    Decision<protocol::DeleteTopicsResponse> decision(context);
    const std::vector<Named> all = named_in(request);
    const bool too_many = all.size() > context.options.max_records_per_operation;
    std::map<Named, int> times;
    for (const Named& named : all) {
        ++times[named];
    }
    std::set<Uuid> deleted;
    for (const auto& [named, count] : times) {
        auto& result = decision.answer.responses.emplace_back();
        const Topic* topic = nullptr;
        MaybeRefusal refusal =
            context.options.delete_topics
                ? check(context.image, named, deleted, topic)
                : Refusal::make(KafkaError::topic_deletion_disabled,
                                "delete.topic.enable is false on the controller");
        if (!refusal && count > 1) {
            refusal = Refusal::make(KafkaError::invalid_request, "the topic is named twice");
        }
        if (!refusal && too_many) {
            refusal = too_many_records(context.options);
        }
        result.name = named.name ? std::optional(decision.texts.keep(std::string(*named.name)))
                                 : std::nullopt;
        result.topic_id = named.id;
        set_outcome(result, refusal, decision.texts);
        if (refusal) {
            continue;
        }
        result.name = decision.texts.keep(topic->name);
        result.topic_id = topic->id;
        deleted.insert(topic->id);
        protocol::RemoveTopicRecord record;
        record.topic_id = topic->id;
        decision.draft.add(record, 0);
    }
    return decision;
}

}  // namespace millrace::metadata
