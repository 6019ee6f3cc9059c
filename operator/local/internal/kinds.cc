#include "operator/local/internal/kinds.h"

#include <algorithm>

#include "operator/local/internal/builtin_types.h"

namespace millrace::local {

namespace {

struct BuiltIn {
    const char* group;
    const char* version;
    const char* resource;
    const char* kind;
    const char* type;  ///< In the type table.
    const char* storage;
    std::vector<std::string> short_names;
    bool namespaced;
    bool has_status;
    std::vector<std::string> categories = {};
};

std::vector<BuiltIn> built_in_kinds() {
    return {
        {"", "v1", "configmaps", "ConfigMap", "ConfigMap", "configmaps", {"cm"}, true, false},
        {"", "v1", "endpoints", "Endpoints", "Endpoints", "endpoints", {"ep"}, true, false},
        {"", "v1", "events", "Event", "Event", "events", {"ev"}, true, false},
        {"", "v1", "namespaces", "Namespace", "Namespace", "namespaces", {"ns"}, false, true},
        {"", "v1", "nodes", "Node", "Node", "nodes", {"no"}, false, true},
        {"",
         "v1",
         "persistentvolumeclaims",
         "PersistentVolumeClaim",
         "PersistentVolumeClaim",
         "persistentvolumeclaims",
         {"pvc"},
         true,
         true},
        {"",
         "v1",
         "persistentvolumes",
         "PersistentVolume",
         "PersistentVolume",
         "persistentvolumes",
         {"pv"},
         false,
         true},
        {"", "v1", "pods", "Pod", "Pod", "pods", {"po"}, true, true, {"all"}},
        {"", "v1", "secrets", "Secret", "Secret", "secrets", {}, true, false},
        {"",
         "v1",
         "serviceaccounts",
         "ServiceAccount",
         "ServiceAccount",
         "serviceaccounts",
         {"sa"},
         true,
         false},
        {"", "v1", "services", "Service", "Service", "services", {"svc"}, true, true, {"all"}},
        {"apiextensions.k8s.io",
         "v1",
         "customresourcedefinitions",
         "CustomResourceDefinition",
         "CustomResourceDefinition",
         "customresourcedefinitions",
         {"crd", "crds"},
         false,
         true,
         {"api-extensions"}},
        {"authorization.k8s.io",
         "v1",
         "selfsubjectaccessreviews",
         "SelfSubjectAccessReview",
         "SelfSubjectAccessReview",
         "selfsubjectaccessreviews",
         {},
         false,
         false},
        {"coordination.k8s.io", "v1", "leases", "Lease", "Lease", "leases", {}, true, false},
        {"discovery.k8s.io",
         "v1",
         "endpointslices",
         "EndpointSlice",
         "EndpointSlice",
         "endpointslices",
         {},
         true,
         false},
        {"events.k8s.io", "v1", "events", "Event", "EventV1", "events", {"ev"}, true, false},
        {"policy",
         "v1",
         "poddisruptionbudgets",
         "PodDisruptionBudget",
         "PodDisruptionBudget",
         "poddisruptionbudgets",
         {"pdb"},
         true,
         true},
        {"storage.k8s.io",
         "v1",
         "storageclasses",
         "StorageClass",
         "StorageClass",
         "storageclasses",
         {"sc"},
         false,
         false},
    };
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return result;
}

std::vector<std::string> texts(const Json& list) {
    std::vector<std::string> result;
    for (const Json& item : list.items()) {
        result.push_back(item.text());
    }
    return result;
}

std::vector<Column> custom_columns(const Json& version) {
    std::vector<Column> columns = {
        {"Name", "string", "Name must be unique within a namespace.", ".metadata.name", "name", 0}};
    for (const Json& column : version["additionalPrinterColumns"].items()) {
        columns.push_back({column["name"].text(), column["type"].text(),
                           column["description"].text(), column["jsonPath"].text(),
                           column["format"].text(),
                           static_cast<int>(column["priority"].integer())});
    }
    if (columns.size() == 1) {
        columns.push_back({"Age", "date", "", ".metadata.creationTimestamp", "", 0});
    }
    return columns;
}

}  // namespace

KindTable::KindTable() : schemas_(builtin_type_table()) {
    for (const BuiltIn& row : built_in_kinds()) {
        auto kind = std::make_unique<Kind>();
        kind->group = row.group;
        kind->version = row.version;
        kind->resource = row.resource;
        kind->singular = lower(row.kind);
        kind->kind = row.kind;
        kind->short_names = row.short_names;
        kind->categories = row.categories;
        kind->namespaced = row.namespaced;
        kind->has_status = row.has_status;
        kind->review_only = kind->resource == "selfsubjectaccessreviews";
        kind->schema = schema_name(row.type);
        kind->storage = row.storage;
        MR_ASSERT(schemas_.get(kind->schema).is_object());
        kinds_.push_back(std::move(kind));
    }
}

Result<KindTable> KindTable::make(const std::vector<Json>& crds, const RuleTable& rules) {
    KindTable table;
    for (const Json& crd : crds) {
        MR_TRY_VOID(table.add_crd(crd, rules));
    }
    return table;
}

Result<void> KindTable::add_crd(const Json& crd, const RuleTable& rules) {
    const Json& spec = crd["spec"];
    const Json& names = spec["names"];
    if (crd["kind"].text() != "CustomResourceDefinition" || names["plural"].text().empty() ||
        names["kind"].text().empty() || spec["group"].text().empty()) {
        return Error::make(Code::invalid, "{} is no CustomResourceDefinition",
                           crd["metadata"]["name"].text());
    }
    for (const Json& version : spec["versions"].items()) {
        if (!version["served"].boolean()) {
            continue;
        }
        auto kind = std::make_unique<Kind>();
        kind->group = spec["group"].text();
        kind->version = version["name"].text();
        kind->resource = names["plural"].text();
        kind->kind = names["kind"].text();
        kind->singular = names["singular"].text_or(lower(kind->kind));
        kind->short_names = texts(names["shortNames"]);
        kind->categories = texts(names["categories"]);
        kind->namespaced = spec["scope"].text() == "Namespaced";
        kind->has_status = version["subresources"].has("status");
        kind->scale = version["subresources"]["scale"];
        kind->custom = true;
        kind->storage = kind->resource + "." + kind->group;
        kind->schema = kind->group + "." + kind->version + "." + kind->kind;
        kind->columns = custom_columns(version);
        for (const Json& field : version["selectableFields"].items()) {
            kind->selectable_fields.push_back(field["jsonPath"].text().substr(1));
        }
        Json schema = version["schema"]["openAPIV3Schema"];
        for (const std::string& rule : rules_of(schema)) {
            if (!rules.contains(rule)) {
                return Error::make(Code::invalid, "{}: no predicate for the rule: {}",
                                   crd["metadata"]["name"].text(), rule);
            }
        }
        schema["properties"]["apiVersion"]["type"] = "string";
        schema["properties"]["kind"]["type"] = "string";
        schema["properties"]["metadata"] =
            Json::object({{"$ref", "#/components/schemas/" + schema_name("ObjectMeta")}});
        schema["x-kubernetes-group-version-kind"] = Json::array({Json::object(
            {{"group", kind->group}, {"version", kind->version}, {"kind", kind->kind}})});
        schemas_.add(kind->schema, std::move(schema));
        kinds_.push_back(std::move(kind));
    }
    return {};
}

const Kind* KindTable::find(std::string_view group, std::string_view version,
                            std::string_view resource) const {
    for (const auto& kind : kinds_) {
        if (kind->group == group && kind->version == version && kind->resource == resource) {
            return kind.get();
        }
    }
    return nullptr;
}

const Kind* KindTable::by_kind(std::string_view group_version, std::string_view name) const {
    for (const auto& kind : kinds_) {
        if (kind->kind == name && kind->group_version() == group_version) {
            return kind.get();
        }
    }
    return nullptr;
}

const Kind& KindTable::by_storage(std::string_view storage) const {
    const auto found = std::find_if(kinds_.begin(), kinds_.end(),
                                    [&](const auto& kind) { return kind->storage == storage; });
    MR_ASSERT(found != kinds_.end());
    return **found;
}

}  // namespace millrace::local
