// What the tests of operator/api share: the API server's judgement by our schemas and rules.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "operator/api/kinds.h"
#include "operator/kube/yaml.h"
#include "operator/local/internal/schema.h"

namespace millrace::api {

using kube::Json;

inline const std::filesystem::path source_dir = MILLRACE_SOURCE_DIR;

inline std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline std::vector<Json> read_manifests(const std::filesystem::path& path) {
    auto documents = kube::parse_yaml(read_text(path));
    EXPECT_TRUE(documents) << path << ": " << documents.error().message();
    return documents ? *documents : std::vector<Json>{};
}

inline const Kind& kind_named(std::string_view name) {
    for (const Kind& kind : kinds()) {
        if (kind.name == name) {
            return kind;
        }
    }
    ADD_FAILURE() << "no kind " << name;
    return kinds().front();
}

inline const Json& spec_schema(const Kind& kind) {
    return kind.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
}

/// What the API server would say of a spec (empty: accepted), defaults filled in as it does.
inline std::string judged(const Kind& kind, Json spec, Json old_spec,
                          const std::string& name = "case") {
    static const local::SchemaSet no_names{""};
    const Json& schema = spec_schema(kind);
    Json whole =
        Json::object({{"type", "object"}, {"properties", Json::object({{"spec", schema}})}});
    whole["x-kubernetes-validations"] =
        kind.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"];
    Json object = Json::object({{"spec", std::move(spec)}});
    Json old_object = Json::object({{"spec", std::move(old_spec)}});
    std::string said;
    for (const std::string& unknown : local::prune(no_names, whole, object)) {
        said += "unknown field " + unknown + "\n";
    }
    local::apply_defaults(no_names, whole, object);
    local::apply_defaults(no_names, whole, old_object);
    object["metadata"]["name"] = name;
    const bool had_one = !old_object["spec"].is_null();
    for (const local::FieldError& error :
         local::validate(no_names, whole, object, had_one ? &old_object : nullptr, rule_table())) {
        said += error.to_string() + "\n";
    }
    return said;
}

}  // namespace millrace::api
