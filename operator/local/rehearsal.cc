#include "operator/local/rehearsal.h"

#include <fmt/core.h>

#include "base/edit_distance.h"
#include "operator/local/internal/resources.h"

namespace millrace::local {

namespace {

/// Of the names that the schema knows at this place; empty: none is near.
std::string nearest_field(const SchemaSet& schemas, const Json& schema, std::string_view name) {
    std::string nearest;
    std::size_t best = name.size() / 3 + 2;
    for (const auto& [known, field] : schemas.resolve(schema)["properties"].members()) {
        if (const std::size_t distance = edit_distance(name, known); distance < best) {
            best = distance;
            nearest = known;
        }
    }
    return nearest;
}

/// Goes down `spec.pools[2].storge` and says what the last name was perhaps to be.
std::string unknown_field(const SchemaSet& schemas, const Json& schema, const std::string& path) {
    const Json* at = &schema;
    std::string_view rest = path;
    std::string_view name;
    for (;;) {
        const std::size_t end = std::min(rest.find_first_of(".["), rest.size());
        name = rest.substr(0, end);
        if (end == rest.size()) {
            break;
        }
        at = &schemas.field(*at, name);
        rest.remove_prefix(end);
        while (rest.starts_with('[')) {
            at = &schemas.item(*at);
            rest.remove_prefix(std::min(rest.find(']') + 1, rest.size()));
        }
        rest.remove_prefix(rest.starts_with('.') ? 1 : 0);
    }
    const std::string near = nearest_field(schemas, *at, name);
    return fmt::format("unknown field \"{}\"{}", path,
                       near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

std::string unknown_fields(const KindTable& kinds, const Kind& kind, Json object) {
    std::string text;
    for (const std::string& path : prune(kinds.schemas(), kinds.schema(kind), object)) {
        text +=
            (text.empty() ? "" : ", ") + unknown_field(kinds.schemas(), kinds.schema(kind), path);
    }
    return text;
}

}  // namespace

Result<void> rehearse(const std::vector<kube::Json>& crds, const RuleTable& rules,
                      const std::vector<kube::Json>& objects) {
    MR_TRY(const KindTable kinds, KindTable::make(crds, rules));
    Store store;
    Surroundings around;
    around.now = [] { return Timestamp{}; };
    around.new_uid = [] { return std::string("rehearsed"); };
    around.name_suffix = [] { return std::string("xxxxx"); };
    Resources resources(kinds, store, rules, around);
    for (const kube::Json& object : objects) {
        const std::string& kind_name = object["kind"].text();
        const Kind* kind = kinds.by_kind(object["apiVersion"].text(), kind_name);
        const std::string who = fmt::format("{} {}", kind_name, object["metadata"]["name"].text());
        if (kind == nullptr) {
            return Error::make(Code::invalid, "{}: no kind {} in {}", who, kind_name,
                               object["apiVersion"].text_or("no apiVersion"));
        }
        if (const std::string unknown = unknown_fields(kinds, *kind, object); !unknown.empty()) {
            return Error::make(Code::invalid, "{}: {}", who, unknown);
        }
        const std::string space = object["metadata"]["namespace"].text_or("default");
        store.put({"namespaces", "", space}, Json(Json::Object{}));
        WriteOptions options;
        options.validation = Validation::strict;
        if (const auto made = resources.create(*kind, space, object, options); !made.has_value()) {
            return Error(made.error().code == 409 ? Code::exists : Code::invalid,
                         made.error().message);
        }
    }
    return {};
}

}  // namespace millrace::local
