// OpenAPI v3 and v2 of what is served: `kubectl explain`, field validation and client-side apply.
#include <fmt/core.h>
#include <set>

#include "operator/local/internal/discovery.h"

namespace millrace::local {

namespace {

std::string root_path(const Kind& kind) {
    return (kind.group.empty() ? "/api/" : "/apis/") + kind.group_version() +
           (kind.namespaced ? "/namespaces/{namespace}/" : "/") + kind.resource;
}

Json gvk_of(const Kind& kind) {
    return Json::object({{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}});
}

Json query_parameter(const char* name, bool v3) {
    Json parameter = Json::object({{"name", name}, {"in", "query"}});
    if (v3) {
        parameter["schema"]["type"] = "string";
    } else {
        parameter["type"] = "string";
    }
    return parameter;
}

/// Which operations take `fieldValidation` and `dryRun` is read from here by kubectl.
Json operation(const Kind& kind, const char* action, const char* verb, bool v3) {
    Json result = Json::object(
        {{"operationId", fmt::format("{}{}{}", verb, kind.kind, kind.version)},
         {"x-kubernetes-action", action},
         {"x-kubernetes-group-version-kind", gvk_of(kind)},
         {"responses", Json::object({{"200", Json::object({{"description", "OK"}})}})}});
    if (std::string_view(action) != "get") {
        result["parameters"] =
            Json::array({query_parameter("dryRun", v3), query_parameter("fieldManager", v3),
                         query_parameter("fieldValidation", v3)});
    }
    return result;
}

Json paths_of(const Kind& kind, bool v3) {
    Json paths = Json::object({});
    const std::string root = root_path(kind);
    paths[root]["post"] = operation(kind, "post", "create", v3);
    if (!kind.review_only) {
        Json& one = paths[root + "/{name}"];
        one["get"] = operation(kind, "get", "read", v3);
        one["put"] = operation(kind, "put", "replace", v3);
        one["patch"] = operation(kind, "patch", "patch", v3);
    }
    return paths;
}

/// Every schema that `schema` refers to, and theirs.
void collect_references(const SchemaSet& schemas, const Json& schema,
                        std::set<std::string>& names) {
    if (const std::string& reference = schema["$ref"].text(); !reference.empty()) {
        const std::string name = reference.substr(reference.rfind('/') + 1);
        if (names.insert(name).second) {
            collect_references(schemas, schemas.get(name), names);
        }
    }
    for (const auto& [name, member] : schema.members()) {
        collect_references(schemas, member, names);
    }
    for (const Json& item : schema.items()) {
        collect_references(schemas, item, names);
    }
}

/// A `$ref` beside a description is written as `allOf`, as OpenAPI 3.0 wants it.
Json spelled_v3(const Json& schema) {
    Json out = schema;
    if (out.is_object()) {
        for (auto& [name, member] : out.mutable_members()) {
            member = spelled_v3(member);
        }
        if (out.has("$ref") && out.size() > 1) {
            out["allOf"] = Json::array({Json::object({{"$ref", out["$ref"]}})});
            out.erase("$ref");
        }
        if (out["x-kubernetes-int-or-string"].boolean()) {
            out["oneOf"] = Json::array(
                {Json::object({{"type", "integer"}}), Json::object({{"type", "string"}})});
        } else {
            out.erase("x-kubernetes-int-or-string");
        }
    } else if (out.is_array()) {
        for (Json& item : out.mutable_items()) {
            item = spelled_v3(item);
        }
    }
    return out;
}

/// What Swagger has no word for is left out; references move.
Json spelled_v2(const Json& schema) {
    static const std::set<std::string, std::less<>> unknown = {
        "oneOf", "anyOf", "allOf", "not", "nullable", "x-kubernetes-validations"};
    if (schema.is_array()) {
        Json list = Json::array({});
        for (const Json& item : schema.items()) {
            list.push_back(spelled_v2(item));
        }
        return list;
    }
    if (!schema.is_object()) {
        return schema;
    }
    Json out = Json::object({});
    for (const auto& [name, member] : schema.members()) {
        if (name == "$ref") {
            out[name] = "#/definitions/" + member.text().substr(member.text().rfind('/') + 1);
        } else if (!unknown.contains(name)) {
            out[name] = spelled_v2(member);
        }
    }
    if (schema["x-kubernetes-int-or-string"].boolean()) {
        out["type"] = "string";
        out["format"] = "int-or-string";
    }
    if (schema["x-kubernetes-preserve-unknown-fields"].boolean() && !out.has("properties")) {
        out.erase("type");  // Old clients refuse what an object without properties holds.
    }
    return out;
}

}  // namespace

Json openapi_v3_index(const KindTable& kinds) {
    Json paths = Json::object({});
    for (const auto& kind : kinds.all()) {
        const std::string version = kind->group_version();
        const std::string path = (kind->group.empty() ? "api/" : "apis/") + version;
        if (!paths.has(path)) {
            paths[path]["serverRelativeURL"] = "/openapi/v3/" + path;
        }
    }
    return Json::object({{"paths", std::move(paths)}});
}

std::optional<Json> openapi_v3(const KindTable& kinds, const std::string& group_version) {
    Json paths = Json::object({});
    std::set<std::string> names;
    for (const auto& kind : kinds.all()) {
        if (kind->group_version() != group_version) {
            continue;
        }
        const Json own = paths_of(*kind, true);
        for (const auto& [path, item] : own.members()) {
            paths[path] = item;
        }
        names.insert(kind->schema);
        collect_references(kinds.schemas(), kinds.schema(*kind), names);
    }
    if (paths.empty()) {
        return std::nullopt;
    }
    Json components = Json::object({});
    for (const std::string& name : names) {
        components[name] = spelled_v3(kinds.schemas().get(name));
    }
    return Json::object({{"openapi", "3.0.0"},
                         {"info", Json::object({{"title", "Millrace"}, {"version", "v1.35.0"}})},
                         {"paths", std::move(paths)},
                         {"components", Json::object({{"schemas", std::move(components)}})}});
}

Json openapi_v2(const KindTable& kinds) {
    Json paths = Json::object({});
    Json definitions = Json::object({});
    for (const auto& [name, schema] : kinds.schemas().named()) {
        definitions[name] = spelled_v2(schema);
    }
    for (const auto& kind : kinds.all()) {
        const Json own = paths_of(*kind, false);
        for (const auto& [path, item] : own.members()) {
            paths[path] = item;
        }
    }
    return Json::object({{"swagger", "2.0"},
                         {"info", Json::object({{"title", "Millrace"}, {"version", "v1.35.0"}})},
                         {"paths", std::move(paths)},
                         {"definitions", std::move(definitions)}});
}

}  // namespace millrace::local
