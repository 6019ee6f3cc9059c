// docs/api.md, drawn from the same schemas that the API server holds.
#include <fmt/core.h>

#include "operator/api/kinds.h"

namespace millrace::api {

using kube::Json;

namespace {

std::string type_word(const Json& schema) {
    if (schema["x-kubernetes-int-or-string"].boolean()) {
        return schema["pattern"].text().find("Ki") != std::string::npos ? "quantity"
                                                                        : "number or text";
    }
    const std::string& type = schema["type"].text();
    if (type == "array") {
        return "list of " + type_word(schema["items"]);
    }
    if (type == "object") {
        return schema.has("additionalProperties")
                   ? "map of " + type_word(schema["additionalProperties"])
                   : "object";
    }
    if (!schema["enum"].empty()) {
        std::string words;
        for (const Json& word : schema["enum"].items()) {
            words += (words.empty() ? "" : ", ") + word.text();
        }
        return words;
    }
    if (type == "string") {
        return schema["pattern"].text().find("ms|s") != std::string::npos ? "span" : "text";
    }
    return type == "integer" ? "number" : type.empty() ? "any" : type;
}

std::string bounds(const Json& schema) {
    const bool low = schema.has("minimum");
    const bool high = schema.has("maximum");
    return low && high ? fmt::format(" ({} to {})", schema["minimum"].integer(),
                                     schema["maximum"].integer())
           : low       ? fmt::format(" (from {})", schema["minimum"].integer())
                       : "";
}

std::string default_word(const Json& schema, bool required) {
    if (required) {
        return "required";
    }
    const Json& fallback = schema["default"];
    if (fallback.is_null()) {
        return "";
    }
    return "`" + (fallback.is_string() ? fallback.text() : fallback.dump()) + "`";
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        out += c == '|' ? "\\|" : std::string(1, c);
    }
    return out;
}

bool is_required(const Json& parent, std::string_view name) {
    for (const Json& required : parent["required"].items()) {
        if (required.text() == name) {
            return true;
        }
    }
    return false;
}

const Json& inner(const Json& schema) {
    return schema["type"].text() == "array"     ? inner(schema["items"])
           : schema.has("additionalProperties") ? inner(schema["additionalProperties"])
                                                : schema;
}

void write_fields(const Json& schema, const std::string& path, std::string& out) {
    for (const auto& [name, field] : schema["properties"].members()) {
        const std::string at = path + name;
        out += fmt::format("| `{}` | {}{} | {} | {} |\n", at, escaped(type_word(field)),
                           bounds(field), default_word(field, is_required(schema, name)),
                           escaped(field["description"].text()));
        const Json& below = inner(field);
        const std::string_view marks = field["type"].text() == "array" ? "[]." : ".";
        write_fields(below, at + std::string(marks), out);
    }
}

void write_kind(const Kind& kind, std::string& out) {
    const Json& schema = kind.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    out += fmt::format("\n## {}\n\n{} `kubectl get {}`.\n", kind.name, schema["description"].text(),
                       kind.short_name);
    for (const char* half : {"spec", "status"}) {
        out +=
            fmt::format("\n### {}.{}\n\n| field | type | default | meaning |\n|---|---|---|---|\n",
                        kind.name, half);
        write_fields(schema["properties"][half], "", out);
    }
    out += "\n### Refused, and why\n\n";
    for (const Rule& rule : kind.rules) {
        const std::string line = "- " + rule.message + "\n";
        if (out.find(line) == std::string::npos) {
            out += line;
        }
    }
}

}  // namespace

std::string reference_page() {
    std::string out =
        "# Kinds\n\n"
        "Every field of `millrace.dev/v1`. This page is written by `api-manifests` from "
        "`operator/api`, as are `crds/` and what `kubectl explain` says.\n\n"
        "A *quantity* is written as Kubernetes writes it (`100Gi`, `500m`), a *span* of time as "
        "`30s`, `5m`, `1h30m` or `365d`.\n";
    for (const Kind& kind : kinds()) {
        write_kind(kind, out);
    }
    return out;
}

}  // namespace millrace::api
