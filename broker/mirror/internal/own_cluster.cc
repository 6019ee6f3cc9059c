#include "mirror/internal/own_cluster.h"

#include <utility>

#include "config/option.h"
#include "metadata/link_mark.h"
#include "mirror/internal/alterations.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::mirror {
namespace {

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;
constexpr std::int32_t timeout_ms = 15'000;

const protocol::UnknownTag link_mark{.tag = metadata::link_tag, .data = {}};

Error error_of(std::string_view what, std::int16_t code, std::optional<std::string_view> why) {
    const auto error = static_cast<KafkaError>(code);
    Code kind = Code::unavailable;
    if (error == KafkaError::topic_already_exists) {
        kind = Code::exists;
    } else if (error == KafkaError::invalid_request || error == KafkaError::invalid_config) {
        kind = Code::invalid;
    }
    return Error::make(kind, "{}: {} {}", what, error, why.value_or(""));
}

/// Sends, decodes, and passes the first item's outcome on.
template <typename Response, typename Request, typename Outcome>
void ask_controller(Controller& controller, std::int16_t version, const Request& request,
                    Outcome outcome, OwnCluster::Done done) {
    Buffer body;
    protocol::Writer writer(body);
    request.encode(writer, version);
    if (!writer.ok()) {
        done(writer.error());
        return;
    }
    controller.ask(Request::api_key, version, std::move(body),
                   [version, outcome, done = std::move(done)](Result<Buffer> answer) mutable {
                       if (!answer) {
                           done(answer.error());
                           return;
                       }
                       protocol::Reader reader(*answer);
                       Response response;
                       response.decode(reader, version);
                       done(reader.ok() ? outcome(response) : Result<void>(reader.error()));
                   });
}

template <typename Items>
Result<void> outcome_of(std::string_view what, const Items& items) {
    for (const auto& item : items) {
        if (item.error_code != 0) {
            return error_of(what, item.error_code, item.error_message);
        }
    }
    return {};
}

}  // namespace

void OwnCluster::create_topic(const std::string& name, std::int32_t partitions,
                              std::int16_t replication_factor, const SettingChanges& settings,
                              Done done) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = timeout_ms;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = replication_factor;
    topic.unknown_tags.push_back(link_mark);
    for (const auto& [key, value] : settings) {
        if (value) {
            topic.configs.push_back({.name = key, .value = *value});
        }
    }
    ask_controller<protocol::CreateTopicsResponse>(
        controller_, 7, request,
        [name](const protocol::CreateTopicsResponse& r) { return outcome_of(name, r.topics); },
        std::move(done));
}

void OwnCluster::grow_topic(const std::string& name, std::int32_t partitions, Done done) {
    protocol::CreatePartitionsRequest request;
    request.timeout_ms = timeout_ms;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.count = partitions;
    topic.assignments = std::nullopt;
    topic.unknown_tags.push_back(link_mark);
    ask_controller<protocol::CreatePartitionsResponse>(
        controller_, 3, request,
        [name](const protocol::CreatePartitionsResponse& r) { return outcome_of(name, r.results); },
        std::move(done));
}

OwnCluster::OwnCluster(Controller& controller, runtime::Executor& loop)
    : controller_(controller), alterations_(std::make_shared<Alterations>(controller, loop)) {}

OwnCluster::~OwnCluster() = default;

void OwnCluster::delete_topic(Uuid id, Done done) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = timeout_ms;
    request.topics.emplace_back().topic_id = id;
    ask_controller<protocol::DeleteTopicsResponse>(
        controller_, 6, request,
        [id](const protocol::DeleteTopicsResponse& r) {
            return outcome_of(id.to_string(), r.responses);
        },
        std::move(done));
}

void OwnCluster::set_topic(const std::string& name, const SettingChanges& changes, Done done) {
    using Op = Alterations::Op;
    std::vector<Alterations::Change> all;
    for (const auto& [key, value] : changes) {
        all.push_back({key, value ? Op::set : Op::remove, value});
    }
    alterations_->add({topic_resource, name}, std::move(all), std::move(done));
}

void OwnCluster::append_to_topic(const std::string& name, const std::string& setting,
                                 const std::string& entry, Done done) {
    alterations_->add({topic_resource, name}, {{setting, Alterations::Op::append, entry}},
                      std::move(done));
}

void OwnCluster::subtract_from_topic(const std::string& name, const std::string& setting,
                                     const std::string& entries, Done done) {
    alterations_->add({topic_resource, name}, {{setting, Alterations::Op::subtract, entries}},
                      std::move(done));
}

void OwnCluster::set_link(const std::string& name, const std::optional<std::string>& value,
                          Done done) {
    using Op = Alterations::Op;
    alterations_->add(
        {broker_resource, ""},
        {{std::string(config::mirror_link_prefix) + name, value ? Op::set : Op::remove, value}},
        std::move(done));
}

}  // namespace millrace::mirror
