#include "operator/local/internal/schema.h"

#include <algorithm>

namespace millrace::local {

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = text.find(separator);
        if (end != 0) {
            parts.push_back(text.substr(0, end));
        }
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return parts;
}

Json type_schema(std::string_view type) {
    if (type.starts_with("[]")) {
        return Json::object({{"type", "array"}, {"items", type_schema(type.substr(2))}});
    }
    if (type.starts_with("{}")) {
        return Json::object(
            {{"type", "object"}, {"additionalProperties", type_schema(type.substr(2))}});
    }
    if (type == "string") {
        return Json::object({{"type", "string"}});
    }
    if (type == "int") {
        return Json::object({{"type", "integer"}, {"format", "int64"}});
    }
    if (type == "bool") {
        return Json::object({{"type", "boolean"}});
    }
    if (type == "time") {
        return Json::object({{"type", "string"}, {"format", "date-time"}});
    }
    if (type == "quantity" || type == "int-or-string") {
        return Json::object({{"x-kubernetes-int-or-string", true}, {"format", "int-or-string"}});
    }
    if (type == "any") {
        return Json::object({{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}});
    }
    return Json::object({{"$ref", "#/components/schemas/" + schema_name(type)}});
}

/// One indented line of the table: `name type [!] [key=a,b] [set] [atomic] | description`.
void add_field(Json& schema, std::string_view line) {
    const std::size_t bar = line.find(" | ");
    const std::vector<std::string_view> words = split(line.substr(0, bar), ' ');
    MR_ASSERT(words.size() >= 2);
    Json field = type_schema(words[1]);
    if (words[1] == "any" && words[0] == "fieldsV1") {
        field["x-kubernetes-map-type"] = "atomic";
    }
    for (const std::string_view flag : std::vector(words.begin() + 2, words.end())) {
        if (flag == "!") {
            schema["required"].push_back(words[0]);
        } else if (flag == "set" || flag == "atomic") {
            field["x-kubernetes-list-type"] = flag;
            if (flag == "set") {
                field["x-kubernetes-patch-strategy"] = "merge";
            }
        } else {
            MR_ASSERT(flag.starts_with("key="));
            field["x-kubernetes-list-type"] = "map";
            for (const std::string_view key : split(flag.substr(4), ',')) {
                field["x-kubernetes-list-map-keys"].push_back(key);
            }
            // Strategic merge knows one key only: the first.
            field["x-kubernetes-patch-merge-key"] = split(flag.substr(4), ',').front();
            field["x-kubernetes-patch-strategy"] = "merge";
        }
    }
    if (bar != std::string_view::npos) {
        field["description"] = line.substr(bar + 3);
    }
    schema["properties"][words[0]] = std::move(field);
}

}  // namespace

std::string schema_name(std::string_view type) {
    return "io.k8s.api." + std::string(type);
}

SchemaSet::SchemaSet(std::string_view builtin_table) {
    Json* current = nullptr;
    for (const std::string_view line : split(builtin_table, '\n')) {
        if (line.starts_with("  ")) {
            MR_ASSERT(current != nullptr);
            add_field(*current, line.substr(2));
            continue;
        }
        const std::size_t bar = line.find(" | ");
        const std::vector<std::string_view> words = split(line.substr(0, bar), ' ');
        current = &named_[schema_name(words[0])];
        *current = Json::object({{"type", "object"}});
        if (bar != std::string_view::npos) {
            (*current)["description"] = line.substr(bar + 3);
        }
        if (words.size() == 3) {
            const std::size_t slash = words[1].find('/');
            const bool core = slash == std::string_view::npos;
            (*current)["x-kubernetes-group-version-kind"].push_back(
                Json::object({{"group", core ? std::string_view{} : words[1].substr(0, slash)},
                              {"version", core ? words[1] : words[1].substr(slash + 1)},
                              {"kind", words[2]}}));
        }
    }
}

const Json& SchemaSet::get(std::string_view name) const {
    static const Json null_schema;
    const auto found = named_.find(name);
    return found == named_.end() ? null_schema : found->second;
}

const Json& SchemaSet::resolve(const Json& schema) const {
    const std::string& reference = schema["$ref"].text();
    if (reference.empty()) {
        return schema;
    }
    return get(std::string_view(reference).substr(reference.rfind('/') + 1));
}

const Json& SchemaSet::field(const Json& schema, std::string_view name) const {
    const Json& type = resolve(schema);
    if (const Json* property = type["properties"].find(name)) {
        return resolve(*property);
    }
    return resolve(type["additionalProperties"]);
}

const Json& SchemaSet::item(const Json& schema) const {
    return resolve(resolve(schema)["items"]);
}

bool keeps_unknown_fields(const Json& schema) {
    return schema["x-kubernetes-preserve-unknown-fields"].boolean() ||
           (schema.has("additionalProperties") && !schema["additionalProperties"].is_object() &&
            schema["additionalProperties"].boolean());
}

std::vector<std::string> list_map_keys(const Json& schema) {
    std::vector<std::string> keys;
    if (schema["x-kubernetes-list-type"].text() == "map") {
        for (const Json& key : schema["x-kubernetes-list-map-keys"].items()) {
            keys.push_back(key.text());
        }
    }
    return keys;
}

bool is_atomic(const Json& schema) {
    if (schema["type"].text() == "array") {
        const std::string& type = schema["x-kubernetes-list-type"].text();
        return type != "map" && type != "set";
    }
    return schema["x-kubernetes-map-type"].text() == "atomic";
}

void apply_defaults(const SchemaSet& schemas, const Json& raw, Json& value) {
    const Json& schema = schemas.resolve(raw);
    if (value.is_object()) {
        for (const auto& [name, property] : schema["properties"].members()) {
            Json* member = value.find(name);
            const Json& resolved = schemas.resolve(property);
            const bool nothing =
                member == nullptr || (member->is_null() && !resolved["nullable"].boolean());
            if (nothing && resolved.has("default")) {
                value[name] = resolved["default"];
                member = value.find(name);
            }
            if (member != nullptr) {
                apply_defaults(schemas, resolved, *member);
            }
        }
        if (schema["additionalProperties"].is_object()) {
            for (auto& [name, member] : value.mutable_members()) {
                if (!schema["properties"].has(name)) {
                    apply_defaults(schemas, schema["additionalProperties"], member);
                }
            }
        }
    } else if (value.is_array() && schema["items"].is_object()) {
        for (Json& item : value.mutable_items()) {
            apply_defaults(schemas, schema["items"], item);
        }
    }
}

namespace {

void prune_at(const SchemaSet& schemas, const Json& raw, Json& value, const std::string& path,
              std::vector<std::string>& unknown) {
    const Json& schema = schemas.resolve(raw);
    if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            prune_at(schemas, schema["items"], value[i], path + "[" + std::to_string(i) + "]",
                     unknown);
        }
        return;
    }
    if (!value.is_object() || !schema.is_object()) {
        return;
    }
    const bool open = keeps_unknown_fields(schema);
    std::vector<std::string> away;
    for (auto& [name, member] : value.mutable_members()) {
        const std::string at = path.empty() ? name : path + "." + name;
        const Json& field = schemas.field(schema, name);
        if (field.is_null()) {
            if (!open) {
                away.push_back(name);
                unknown.push_back(at);
            }
            continue;
        }
        prune_at(schemas, field, member, at, unknown);
    }
    for (const std::string& name : away) {
        value.erase(name);
    }
}

}  // namespace

std::vector<std::string> prune(const SchemaSet& schemas, const Json& schema, Json& value) {
    std::vector<std::string> unknown;
    prune_at(schemas, schema, value, "", unknown);
    return unknown;
}

std::vector<std::string> rules_of(const Json& schema) {
    std::vector<std::string> rules;
    for (const Json& rule : schema["x-kubernetes-validations"].items()) {
        rules.push_back(rule["rule"].text());
    }
    const auto add = [&rules](const Json& part) {
        for (std::string& rule : rules_of(part)) {
            rules.push_back(std::move(rule));
        }
    };
    for (const auto& [name, property] : schema["properties"].members()) {
        add(property);
    }
    if (schema["additionalProperties"].is_object()) {
        add(schema["additionalProperties"]);
    }
    if (schema["items"].is_object()) {
        add(schema["items"]);
    }
    return rules;
}

}  // namespace millrace::local
