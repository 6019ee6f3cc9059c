#include "operator/api/topic.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/core.h>

#include "operator/api/internal/kind_schemas.h"
#include "operator/api/internal/parse.h"
#include "operator/api/internal/topic_fields.h"

namespace millrace::api {

namespace {
constexpr std::array<std::string_view, 6> internal_topics{
    "__consumer_offsets", "__transaction_state",   "__share_group_state",
    "__cluster_metadata", "__remote_log_metadata", "__millrace_state"};
}  // namespace

bool is_internal_topic(std::string_view name) {
    return std::find(internal_topics.begin(), internal_topics.end(), name) != internal_topics.end();
}

std::string no_internal_topic_cel() {
    std::string list;
    for (const std::string_view name : internal_topics) {
        list += fmt::format("{}'{}'", list.empty() ? "" : ", ", name);
    }
    return fmt::format("!has(self.name) || !(self.name in [{}])", list);
}

bool names_no_internal_topic(const Json& self, const Json* /*old_self*/) {
    return !is_internal_topic(self["name"].text());
}

bool settings_leave_writes_possible(const Json& self, const Json* /*old_self*/) {
    const Json& setting = self["config"]["min.insync.replicas"];
    const std::string text = setting.is_string() ? setting.text() : setting.dump();
    std::int64_t wanted = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), wanted);
    return !self.has("replicas") || parsed.ec != std::errc() ||
           wanted <= self["replicas"].integer();
}

const std::string& topic_name(const Topic& topic) {
    return topic.spec.name ? *topic.spec.name : topic.metadata.name;
}

Result<Topic> parse_topic(const kube::Json& object) {
    return parse_object<Topic, TopicSpec, TopicStatus>(object);
}
Topic outline_of_topic(const kube::Json& object) {
    const kube::Json& spec = object["spec"];
    Topic topic;
    topic.metadata = parse_metadata(object);
    topic.spec.cluster_ref.name = spec["clusterRef"]["name"].text();
    if (spec["clusterRef"]["namespace"].is_string()) {
        topic.spec.cluster_ref.space = spec["clusterRef"]["namespace"].text();
    }
    if (spec["name"].is_string()) {
        topic.spec.name = spec["name"].text();
    }
    topic.spec.deletion_policy = from_word<ReclaimPolicy>(spec["deletionPolicy"].text())
                                     .value_or(topic.spec.deletion_policy);
    topic.status = parse_topic_status(object["status"]).value_or(TopicStatus{});
    return topic;
}
Result<TopicSpec> parse_topic_spec(const kube::Json& spec) {
    return parse_described<TopicSpec>(spec, "spec");
}
Result<TopicStatus> parse_topic_status(const kube::Json& status) {
    return parse_status<TopicStatus>(status);
}
kube::Json to_json(const TopicSpec& spec) {
    return Writer::write(spec);
}
kube::Json to_json(const TopicStatus& status) {
    return Writer::write(status);
}

KindSchemas topic_schemas() {
    KindSchemas schemas;
    schemas.spec = schema_of<TopicSpec>(true, schemas.rules);
    schemas.status = schema_of<TopicStatus>(false, schemas.rules);
    return schemas;
}

}  // namespace millrace::api
