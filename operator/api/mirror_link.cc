#include "operator/api/mirror_link.h"

#include "operator/api/internal/kind_schemas.h"
#include "operator/api/internal/mirror_link_fields.h"
#include "operator/api/internal/parse.h"
#include "operator/api/words.h"

namespace millrace::api {

MirrorLink outline_of_mirror_link(const kube::Json& object) {
    const kube::Json& spec = object["spec"];
    MirrorLink link;
    link.metadata = parse_metadata(object);
    link.spec.cluster_ref.name = spec["clusterRef"]["name"].text();
    link.spec.on_delete =
        from_word<OnLinkDelete>(spec["onDelete"].text()).value_or(link.spec.on_delete);
    link.status = parse_mirror_link_status(object["status"]).value_or(MirrorLinkStatus{});
    return link;
}
Result<MirrorLink> parse_mirror_link(const kube::Json& object) {
    return parse_object<MirrorLink, MirrorLinkSpec, MirrorLinkStatus>(object);
}
Result<MirrorLinkSpec> parse_mirror_link_spec(const kube::Json& spec) {
    return parse_described<MirrorLinkSpec>(spec, "spec");
}
Result<MirrorLinkStatus> parse_mirror_link_status(const kube::Json& status) {
    return parse_status<MirrorLinkStatus>(status);
}
kube::Json to_json(const MirrorLinkSpec& spec) {
    return Writer::write(spec);
}
kube::Json to_json(const MirrorLinkStatus& status) {
    return Writer::write(status);
}

KindSchemas mirror_link_schemas() {
    KindSchemas schemas;
    schemas.spec = schema_of<MirrorLinkSpec>(true, schemas.rules);
    schemas.status = schema_of<MirrorLinkStatus>(false, schemas.rules);
    return schemas;
}

}  // namespace millrace::api
