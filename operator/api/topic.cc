#include "operator/api/topic.h"

#include "operator/api/internal/kind_schemas.h"
#include "operator/api/internal/parse.h"
#include "operator/api/internal/topic_fields.h"

namespace millrace::api {

const std::string& topic_name(const Topic& topic) {
    return topic.spec.name ? *topic.spec.name : topic.metadata.name;
}

Result<Topic> parse_topic(const kube::Json& object) {
    return parse_object<Topic, TopicSpec, TopicStatus>(object);
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
