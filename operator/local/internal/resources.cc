#include "operator/local/internal/resources.h"

#include <algorithm>
#include <fmt/core.h>

#include "operator/local/internal/managed_fields.h"
#include "operator/local/internal/patch.h"
#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

constexpr std::size_t most_finalizers = 64;

bool is_dns_label_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool is_subdomain(std::string_view name) {
    if (name.empty() || name.size() > 253) {
        return false;
    }
    char before = '.';
    for (const char c : name) {
        const bool edge = before == '.' && (c == '-' || c == '.');
        if (edge || (c == '.' && before == '-') || !(is_dns_label_char(c) || c == '.')) {
            return false;
        }
        before = c;
    }
    return before != '-' && before != '.';
}

FieldError bad_name(const std::string& field, const std::string& name) {
    return {"FieldValueInvalid", field,
            fmt::format("Invalid value: \"{}\": a lowercase RFC 1123 subdomain must consist of "
                        "lower case alphanumeric characters, '-' or '.', and must start and end "
                        "with an alphanumeric character (e.g. 'example.com', regex used for "
                        "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*"
                        "[a-z0-9])?)*')",
                        name)};
}

/// Null stands for "not set" wherever the schema doesn't say that it is a value.
void drop_nulls(const SchemaSet& schemas, const Json& raw, Json& value) {
    const Json& schema = schemas.resolve(raw);
    if (value.is_array()) {
        for (Json& item : value.mutable_items()) {
            drop_nulls(schemas, schema["items"], item);
        }
        return;
    }
    if (!value.is_object()) {
        return;
    }
    std::vector<std::string> away;
    for (auto& [name, member] : value.mutable_members()) {
        const Json& field = schemas.field(schema, name);
        if (!member.is_null()) {
            drop_nulls(schemas, field, member);
        } else if (field.is_object() && !field["nullable"].boolean()) {
            away.push_back(name);
        }
    }
    for (const std::string& name : away) {
        value.erase(name);
    }
}

void keep(Json& object, const Json& live, std::string_view member) {
    if (const Json* value = live.find(member)) {
        object[member] = *value;
    } else {
        object.erase(member);
    }
}

/// Equal but for what each write changes: the version and the times of managers.
bool same_content(const Json& a, const Json& b) {
    const auto bare = [](Json object) {
        Json& metadata = object["metadata"];
        metadata.erase("resourceVersion");
        if (Json* entries = metadata.find("managedFields")) {
            for (Json& entry : entries->mutable_items()) {
                entry.erase("time");
            }
        }
        return object;
    };
    return bare(a) == bare(b);
}

/// What `generation` counts: everything but metadata and status.
bool same_spec(const Json& a, const Json& b) {
    const auto bare = [](Json object) {
        object.erase("metadata");
        object.erase("status");
        return object;
    };
    return bare(a) == bare(b);
}

}  // namespace

std::string Resources::now_text() const {
    return rfc3339(around_.now());
}

ApiResult<ObjectPtr> Resources::get(const Kind& kind, const std::string& space,
                                    const std::string& name) const {
    ObjectPtr object = store_.get(key(kind, space, name));
    if (!object) {
        return not_found(kind.subject(name));
    }
    return object;
}

ApiResult<void> Resources::check_envelope(const Kind& kind, const std::string& space,
                                          const std::string& name, const Json& object) const {
    if (!object.is_object()) {
        return bad_request("the body of the request is no object");
    }
    if (object["kind"].text() != kind.kind) {
        return bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}",
                                       object["kind"].text_or("<no kind>"), kind.version,
                                       kind.kind));
    }
    if (object["apiVersion"].text() != kind.group_version()) {
        return bad_request(fmt::format(
            "the API version in the data ({}) does not match the expected API version ({})",
            object["apiVersion"].text(), kind.group_version()));
    }
    const Json& metadata = object["metadata"];
    if (kind.namespaced && metadata["namespace"].text_or(space) != space &&
        !metadata["namespace"].text().empty()) {
        return bad_request(
            "the namespace of the provided object does not match the namespace sent "
            "on the request");
    }
    if (!name.empty() && !metadata["name"].text().empty() && metadata["name"].text() != name) {
        return bad_request(
            fmt::format("the name of the object ({}) does not match the name on the URL ({})",
                        metadata["name"].text(), name));
    }
    return {};
}

ApiResult<void> Resources::decode(const Kind& kind, Json& object, WriteOptions& options) const {
    const Json& schema = kinds_.schema(kind);
    drop_nulls(kinds_.schemas(), schema, object);
    std::string list;
    for (const std::string& field : prune(kinds_.schemas(), schema, object)) {
        const std::string text = fmt::format("unknown field \"{}\"", field);
        list += (list.empty() ? "" : ", ") + text;
        if (options.validation == Validation::warn) {
            options.warnings.push_back(text);
        }
    }
    if (!list.empty() && options.validation == Validation::strict) {
        return bad_request(
            fmt::format("{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
                        kind.kind, kind.version, kind.kind, list));
    }
    return {};
}

ApiResult<void> Resources::judge(const Kind& kind, const Json& object, const Json* before) const {
    std::vector<FieldError> errors =
        validate(kinds_.schemas(), kinds_.schema(kind), object, before, rules_);
    const Json& metadata = object["metadata"];
    if (!is_subdomain(metadata["name"].text())) {
        errors.push_back(bad_name("metadata.name", metadata["name"].text()));
    }
    if (metadata["finalizers"].size() > most_finalizers) {
        errors.push_back({"FieldValueTooMany", "metadata.finalizers", "Too many"});
    }
    if (!kind.custom) {
        for (FieldError& error : judge_builtin(kind, object, before)) {
            errors.push_back(std::move(error));
        }
    }
    if (!errors.empty()) {
        return invalid(kind.subject(metadata["name"].text()), errors);
    }
    return {};
}

ApiResult<void> Resources::name_it(const Kind& kind, const std::string& space, Json& object) const {
    Json& metadata = object["metadata"];
    if (metadata["name"].text().empty()) {
        const std::string prefix = metadata["generateName"].text();
        if (prefix.empty()) {
            return invalid(kind.subject(""),
                           {{"FieldValueRequired", "metadata.name",
                             "Required value: name or generateName is required"}});
        }
        metadata["name"] = prefix + around_.name_suffix();
    }
    if (!kind.namespaced) {
        metadata.erase("namespace");
        return {};
    }
    metadata["namespace"] = space;
    const ObjectPtr parent = store_.get({"namespaces", "", space});
    if (!parent) {
        return not_found({"", "Namespace", "namespaces", space});
    }
    if ((*parent)["metadata"].has("deletionTimestamp")) {
        return forbidden(kind.subject(metadata["name"].text()),
                         fmt::format("unable to create new content in namespace {} because it is "
                                     "being terminated",
                                     space));
    }
    return {};
}

ApiResult<Json> Resources::create(const Kind& kind, const std::string& space, Json object,
                                  WriteOptions& options) {
    MR_TRY_VOID(check_envelope(kind, space, "", object));
    if (!object["metadata"]["resourceVersion"].text().empty()) {
        return bad_request("resourceVersion should not be set on objects to be created");
    }
    MR_TRY_VOID(decode(kind, object, options));
    object["metadata"].erase("managedFields");
    return store_new(kind, space, std::move(object), options, /*fields_noted=*/false);
}

ApiResult<Json> Resources::store_new(const Kind& kind, const std::string& space, Json object,
                                     WriteOptions& options, bool fields_noted) {
    MR_TRY_VOID(name_it(kind, space, object));
    const ObjectKey at = key(kind, space, object["metadata"]["name"].text());
    if (store_.get(at)) {
        return already_exists(kind.subject(at.name));
    }
    if (kind.has_status && kind.custom) {
        object.erase("status");
    }
    const Json asked = object;
    apply_defaults(kinds_.schemas(), kinds_.schema(kind), object);
    if (!kind.custom) {
        complete_builtin(kind, object, nullptr, store_, around_);
    }
    Json& metadata = object["metadata"];
    metadata["uid"] = around_.new_uid();
    metadata["creationTimestamp"] = now_text();
    for (const char* name : {"resourceVersion", "deletionTimestamp", "selfLink",
                             "deletionGracePeriodSeconds", "generation"}) {
        metadata.erase(name);
    }
    if (kind.custom || object.has("spec")) {
        metadata["generation"] = 1;
    }
    MR_TRY_VOID(judge(kind, object, nullptr));
    if (!fields_noted) {
        Json claimed = asked;
        note_update(kinds_.schemas(), kinds_.schema(kind), Json::object({}), claimed,
                    {options.manager, kind.group_version(), options.subresource, now_text()});
        if (const Json* entries = claimed["metadata"].find("managedFields")) {
            metadata["managedFields"] = *entries;
        }
    }
    options.created = true;
    return options.dry_run ? object : *store_.put(at, std::move(object));
}

ApiResult<Json> Resources::commit(const Kind& kind, const ObjectPtr& live, Json next,
                                  WriteOptions& options, bool fields_noted) {
    const Json& before = *live;
    const Json& meta = before["metadata"];
    const std::string name = meta["name"].text();
    const std::string wanted_version = next["metadata"]["resourceVersion"].text();
    if (!wanted_version.empty() && wanted_version != meta["resourceVersion"].text()) {
        return conflict(kind.subject(name),
                        "the object has been modified; please apply your "
                        "changes to the latest version and try again");
    }
    const std::string wanted_uid = next["metadata"]["uid"].text();
    if (!wanted_uid.empty() && wanted_uid != meta["uid"].text()) {
        return conflict(kind.subject(name),
                        fmt::format("Precondition failed: UID in precondition: {}, UID in object "
                                    "meta: {}",
                                    wanted_uid, meta["uid"].text()));
    }
    if (options.subresource == "status") {
        Json only_status = before;
        keep(only_status, next, "status");
        keep(only_status["metadata"], next["metadata"], "managedFields");
        next = std::move(only_status);
    } else if (kind.has_status) {
        keep(next, before, "status");
    }
    for (const char* kept : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp",
                             "deletionTimestamp", "deletionGracePeriodSeconds", "generation"}) {
        keep(next["metadata"], meta, kept);
    }
    next["metadata"].erase("selfLink");
    apply_defaults(kinds_.schemas(), kinds_.schema(kind), next);
    if (!kind.custom) {
        complete_builtin(kind, next, &before, store_, around_);
    }
    MR_TRY_VOID(judge(kind, next, &before));
    if (!same_spec(before, next) && meta.has("generation")) {
        next["metadata"]["generation"] = meta["generation"].integer() + 1;
    }
    if (!fields_noted) {
        note_update(kinds_.schemas(), kinds_.schema(kind), before, next,
                    {options.manager, kind.group_version(), options.subresource, now_text()});
    }
    if (same_content(before, next) || options.dry_run) {
        return options.dry_run ? next : before;
    }
    const ObjectKey at = key(kind, meta["namespace"].text(), name);
    const ObjectPtr stored = store_.put(at, std::move(next));
    const bool over = (*stored)["metadata"].has("deletionTimestamp") &&
                      (*stored)["metadata"]["finalizers"].empty() && !meta["finalizers"].empty() &&
                      (*stored)["metadata"]["deletionGracePeriodSeconds"].integer() == 0;
    if (over) {
        store_.remove(at);
    }
    return *stored;
}

ApiResult<Json> Resources::update(const Kind& kind, const std::string& space,
                                  const std::string& name, Json object, WriteOptions& options) {
    MR_TRY_VOID(check_envelope(kind, space, name, object));
    MR_TRY(const ObjectPtr live, get(kind, space, name));
    MR_TRY_VOID(decode(kind, object, options));
    return commit(kind, live, std::move(object), options, /*fields_noted=*/false);
}

ApiResult<Json> Resources::patch(const Kind& kind, const std::string& space,
                                 const std::string& name, PatchType type, const Json& change,
                                 WriteOptions& options) {
    const ObjectPtr live = store_.get(key(kind, space, name));
    if (type == PatchType::apply) {
        return apply(kind, space, name, live, change, options);
    }
    if (!live) {
        return not_found(kind.subject(name));
    }
    Json next;
    if (type == PatchType::json) {
        MR_TRY(next, json_patch(*live, change));
    } else if (type == PatchType::merge) {
        next = merge_patch(*live, change);
    } else {
        MR_TRY(next, strategic_merge(kinds_.schemas(), kinds_.schema(kind), *live, change));
    }
    MR_TRY_VOID(check_envelope(kind, space, name, next));
    MR_TRY_VOID(decode(kind, next, options));
    // A patch speaks about the version only where it names one.
    if (!(type == PatchType::json || change["metadata"].has("resourceVersion"))) {
        next["metadata"].erase("resourceVersion");
    }
    return commit(kind, live, std::move(next), options, /*fields_noted=*/false);
}

ApiResult<Json> Resources::apply(const Kind& kind, const std::string& space,
                                 const std::string& name, const ObjectPtr& live, Json applied,
                                 WriteOptions& options) {
    MR_TRY_VOID(check_envelope(kind, space, name, applied));
    if (applied["metadata"].has("managedFields") && !applied["metadata"]["managedFields"].empty()) {
        return bad_request("metadata.managedFields must be nil");
    }
    MR_TRY_VOID(decode(kind, applied, options));
    applied["metadata"]["name"] = name;
    const std::string version = applied["metadata"]["resourceVersion"].text();
    if (options.subresource == "status") {
        applied.erase("spec");
    } else if (kind.has_status) {
        applied.erase("status");
    }
    if (!live && (!version.empty() || !options.subresource.empty())) {
        return not_found(kind.subject(name));
    }
    const Json current = live ? *live : Json();
    const Writer writer{options.manager, kind.group_version(), options.subresource, now_text()};
    MR_TRY(Json next, server_side_apply(kinds_.schemas(), kinds_.schema(kind), current, applied,
                                        writer, options.force));
    if (!live) {
        return store_new(kind, space, std::move(next), options, /*fields_noted=*/true);
    }
    if (version.empty()) {
        next["metadata"].erase("resourceVersion");
    } else {
        next["metadata"]["resourceVersion"] = version;
    }
    return commit(kind, live, std::move(next), options, /*fields_noted=*/true);
}

Json Resources::scale_of(const Kind& kind, const Json& object) const {
    const auto number = [&](const char* path) {
        const auto found = json_path(object, kind.scale[path].text());
        return found.empty() ? Json(0) : Json(found.front()->integer());
    };
    Json metadata = Json::object({});
    for (const char* name : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
        keep(metadata, object["metadata"], name);
    }
    Json scale =
        Json::object({{"kind", "Scale"},
                      {"apiVersion", "autoscaling/v1"},
                      {"metadata", std::move(metadata)},
                      {"spec", Json::object({{"replicas", number("specReplicasPath")}})},
                      {"status", Json::object({{"replicas", number("statusReplicasPath")}})}});
    if (const std::string& path = kind.scale["labelSelectorPath"].text(); !path.empty()) {
        if (const auto found = json_path(object, path); !found.empty()) {
            scale["status"]["selector"] = found.front()->text();
        }
    }
    return scale;
}

ApiResult<Json> Resources::update_scale(const Kind& kind, const std::string& space,
                                        const std::string& name, const Json& scale,
                                        WriteOptions& options) {
    MR_TRY(const ObjectPtr live, get(kind, space, name));
    const Json& replicas = scale["spec"]["replicas"];
    if (!replicas.is_integer() || replicas.integer() < 0) {
        return invalid({"autoscaling", "Scale", "scales", name},
                       {{"FieldValueInvalid", "spec.replicas",
                         fmt::format("Invalid value: {}: should be a non-negative integer",
                                     replicas.dump())}});
    }
    Json next = *live;
    set_json_path(next, kind.scale["specReplicasPath"].text(), replicas);
    next["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].text();
    options.subresource = "scale";
    MR_TRY(const Json stored, commit(kind, live, std::move(next), options, false));
    return scale_of(kind, stored);
}

namespace {

Json success_status(const Kind& kind, const Json& object) {
    Json details = Json::object({{"name", object["metadata"]["name"]},
                                 {"kind", kind.resource},
                                 {"uid", object["metadata"]["uid"]}});
    if (!kind.group.empty()) {
        details["group"] = kind.group;
    }
    return Json::object({{"kind", "Status"},
                         {"apiVersion", "v1"},
                         {"metadata", Json::object({})},
                         {"status", "Success"},
                         {"details", std::move(details)}});
}

void add_finalizer(Json& object, std::string_view name) {
    const auto& items = object["metadata"]["finalizers"].items();
    if (std::find(items.begin(), items.end(), Json(name)) == items.end()) {
        object["metadata"]["finalizers"].push_back(name);
    }
}

/// The seconds a pod has left; 0 when nothing runs that could use them.
std::int64_t pod_grace(const Json& pod, const Json& options) {
    const std::string& phase = pod["status"]["phase"].text();
    if (pod["spec"]["nodeName"].text().empty() || phase == "Succeeded" || phase == "Failed") {
        return 0;
    }
    const std::int64_t grace = options["gracePeriodSeconds"].integer(
        pod["spec"]["terminationGracePeriodSeconds"].integer(30));
    return std::max<std::int64_t>(grace, 0);
}

}  // namespace

ApiResult<Json> Resources::erase(const Kind& kind, const std::string& space,
                                 const std::string& name, const Json& options, bool dry_run) {
    MR_TRY(const ObjectPtr live, get(kind, space, name));
    const Json& metadata = (*live)["metadata"];
    for (const auto& [field, label] :
         {std::pair{"uid", "UID"}, std::pair{"resourceVersion", "ResourceVersion"}}) {
        const std::string& wanted = options["preconditions"][field].text();
        if (!wanted.empty() && wanted != metadata[field].text()) {
            return conflict(kind.subject(name),
                            fmt::format("Precondition failed: {0} in precondition: {1}, {0} in "
                                        "object meta: {2}",
                                        label, wanted, metadata[field].text()));
        }
    }
    if (kind.storage == "namespaces" && (name == "default" || name.starts_with("kube-"))) {
        return forbidden(kind.subject(name), "this namespace may not be deleted");
    }
    if (kind.storage == "customresourcedefinitions" || kind.storage == "nodes") {
        return forbidden(kind.subject(name), "it belongs to local mode itself");
    }
    Json next = *live;
    const std::string& policy = options["propagationPolicy"].text();
    if (policy == "Foreground") {
        add_finalizer(next, "foregroundDeletion");
    } else if (policy == "Orphan" || options["orphanDependents"].boolean()) {
        add_finalizer(next, "orphan");
    }
    const bool is_pod = kind.storage == "pods";
    const std::int64_t grace = is_pod ? pod_grace(*live, options) : 0;
    const bool lingers =
        grace > 0 || !next["metadata"]["finalizers"].empty() || kind.storage == "namespaces";
    if (dry_run) {
        return lingers ? next : success_status(kind, *live);
    }
    const ObjectKey at = key(kind, space, name);
    if (!lingers) {
        store_.remove(at);
        return success_status(kind, *live);
    }
    const bool sooner = is_pod && metadata.has("deletionTimestamp") &&
                        grace < metadata["deletionGracePeriodSeconds"].integer();
    if (!metadata.has("deletionTimestamp") || sooner) {
        next["metadata"]["deletionTimestamp"] =
            rfc3339(around_.now() + std::chrono::seconds(grace));
        next["metadata"]["deletionGracePeriodSeconds"] = grace;
        if (kind.storage == "namespaces") {
            next["status"]["phase"] = "Terminating";
        }
        if (metadata.has("generation")) {
            next["metadata"]["generation"] = metadata["generation"].integer() + 1;
        }
    }
    write(at, next);
    const ObjectPtr stored = store_.get(at);
    return *stored;
}

void Resources::write(const ObjectKey& at, Json object) {
    const ObjectPtr live = store_.get(at);
    if (!live || !same_content(*live, object)) {
        store_.put(at, std::move(object));
    }
}

}  // namespace millrace::local
