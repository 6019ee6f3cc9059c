#include "operator/local/internal/managed_fields.h"

#include <algorithm>
#include <fmt/core.h>

namespace millrace::local {

namespace {

/// What the server itself keeps; no manager owns it.
const std::set<std::string, std::less<>> server_metadata = {"name",
                                                            "namespace",
                                                            "uid",
                                                            "resourceVersion",
                                                            "generation",
                                                            "creationTimestamp",
                                                            "managedFields",
                                                            "deletionTimestamp",
                                                            "selfLink",
                                                            "generateName",
                                                            "deletionGracePeriodSeconds"};

std::string key_step(const Json& item, const std::vector<std::string>& keys) {
    Json identity = Json::object({});
    for (const std::string& key : keys) {
        if (item.has(key)) {
            identity[key] = item[key];
        } else if (key == "protocol") {
            identity[key] = "TCP";  // The one key with a default in Kubernetes' own kinds.
        }
    }
    return "k:" + identity.dump();
}

class Walker {
public:
    explicit Walker(const SchemaSet& schemas) : schemas_(schemas) {}

    void walk(const Json& schema, const Json& value, FieldPath& path) {
        if (value.is_object() && !is_atomic(schema) && (!value.empty() || path.empty())) {
            for (const auto& [name, member] : value.members()) {
                if (skipped(path, name)) {
                    continue;
                }
                path.push_back("f:" + name);
                walk(schemas_.field(schema, name), member, path);
                path.pop_back();
            }
            return;
        }
        const std::string& list_type = schema["x-kubernetes-list-type"].text();
        if (value.is_array() && list_type == "map" && !value.empty()) {
            const std::vector<std::string> keys = list_map_keys(schema);
            for (const Json& item : value.items()) {
                path.push_back(key_step(item, keys));
                fields.insert(path);
                walk(schemas_.item(schema), item, path);
                path.pop_back();
            }
            return;
        }
        if (value.is_array() && list_type == "set" && !value.empty()) {
            for (const Json& item : value.items()) {
                path.push_back("v:" + item.dump());
                fields.insert(path);
                path.pop_back();
            }
            return;
        }
        if (!path.empty()) {
            fields.insert(path);
        }
    }

    FieldSet fields;

private:
    static bool skipped(const FieldPath& path, const std::string& name) {
        if (path.empty()) {
            return name == "apiVersion" || name == "kind";
        }
        return path.size() == 1 && path[0] == "f:metadata" && server_metadata.contains(name);
    }

    const SchemaSet& schemas_;
};

const Json* find_item(const Json& list, const Json& keys) {
    for (const Json& item : list.items()) {
        if (std::all_of(keys.members().begin(), keys.members().end(), [&](const auto& key) {
                return item[key.first] == key.second ||
                       (key.first == "protocol" && !item.has("protocol") &&
                        key.second.text() == "TCP");
            })) {
            return &item;
        }
    }
    return nullptr;
}

/// The value a path leads to; null if there is none.
const Json* at_path(const Json& root, const FieldPath& path) {
    const Json* at = &root;
    for (const std::string& step : path) {
        if (at == nullptr) {
            return nullptr;
        }
        if (step.starts_with("f:")) {
            at = at->find(std::string_view(step).substr(2));
        } else if (const auto key = Json::parse(std::string_view(step).substr(2)); !key) {
            return nullptr;
        } else if (step.starts_with("k:")) {
            at = find_item(*at, *key);
        } else {
            const auto& items = at->items();
            const auto found = std::find(items.begin(), items.end(), *key);
            at = found == items.end() ? nullptr : &*found;
        }
    }
    return at;
}

void remove_path(Json& root, const FieldPath& path) {
    if (path.empty()) {
        return;
    }
    const FieldPath above(path.begin(), path.end() - 1);
    Json* parent = const_cast<Json*>(at_path(root, above));
    const Json* target = at_path(root, path);
    if (parent == nullptr || target == nullptr) {
        return;
    }
    if (path.back().starts_with("f:")) {
        parent->erase(std::string_view(path.back()).substr(2));
    } else {
        Json::Array& items = parent->mutable_items();
        items.erase(items.begin() + (target - items.data()));
    }
    // A container that existed only for this field goes with it.
    if (parent->empty() && above.size() > 1) {
        remove_path(root, above);
    }
}

class Applier {
public:
    explicit Applier(const SchemaSet& schemas) : schemas_(schemas) {}

    Json merge(const Json& schema, const Json& live, const Json& applied) {
        if (applied.is_object() && live.is_object() && !is_atomic(schema)) {
            Json merged = live;
            for (const auto& [name, value] : applied.members()) {
                merged[name] = merge(schemas_.field(schema, name), live[name], value);
            }
            return merged;
        }
        const std::string& list_type = schema["x-kubernetes-list-type"].text();
        if (applied.is_array() && live.is_array() && list_type == "map") {
            return merge_map_list(schema, live, applied);
        }
        if (applied.is_array() && live.is_array() && list_type == "set") {
            Json merged = live;
            for (const Json& item : applied.items()) {
                const auto& items = live.items();
                if (std::find(items.begin(), items.end(), item) == items.end()) {
                    merged.push_back(item);
                }
            }
            return merged;
        }
        return applied;
    }

private:
    Json merge_map_list(const Json& schema, const Json& live, const Json& applied) {
        const std::vector<std::string> keys = list_map_keys(schema);
        Json merged = live;
        for (const Json& item : applied.items()) {
            const auto identity = Json::parse(std::string_view(key_step(item, keys)).substr(2));
            const Json* found = find_item(merged, *identity);
            if (found == nullptr) {
                merged.push_back(item);
            } else {
                const Json both = merge(schemas_.item(schema), *found, item);
                *const_cast<Json*>(found) = both;
            }
        }
        return merged;
    }

    const SchemaSet& schemas_;
};

Json entry_of(const Writer& writer, std::string_view operation, const FieldSet& fields) {
    Json entry = Json::object({{"manager", writer.manager},
                               {"operation", operation},
                               {"apiVersion", writer.api_version},
                               {"time", writer.time},
                               {"fieldsType", "FieldsV1"},
                               {"fieldsV1", print_fields(fields)}});
    if (!writer.subresource.empty()) {
        entry["subresource"] = writer.subresource;
    }
    return entry;
}

bool is_writer(const Json& entry, const Writer& writer, std::string_view operation) {
    return entry["manager"].text() == writer.manager && entry["operation"].text() == operation &&
           entry["subresource"].text() == writer.subresource;
}

void set_managed(Json& object, Json::Array entries) {
    std::erase_if(entries, [](const Json& entry) { return entry["fieldsV1"].empty(); });
    if (entries.empty()) {
        object["metadata"].erase("managedFields");
    } else {
        object["metadata"]["managedFields"] = std::move(entries);
    }
}

FieldSet minus(const FieldSet& a, const FieldSet& b) {
    FieldSet rest;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(rest, rest.end()));
    return rest;
}

bool same_at(const Json& a, const Json& b, const FieldPath& path) {
    const Json* left = at_path(a, path);
    const Json* right = at_path(b, path);
    if (left == nullptr || right == nullptr) {
        return left == right;
    }
    // An item's own path says that it is there; its fields have paths of their own.
    return path.back().starts_with("k:") || *left == *right;
}

/// Paths that two writers both speak about and see differently, per other writer.
std::map<std::string, FieldSet> conflicts(const Json::Array& entries, const FieldSet& wanted,
                                          const Json& live, const Json& applied,
                                          const Writer& writer) {
    std::map<std::string, FieldSet> found;
    for (const Json& entry : entries) {
        // The same person with the older command: `kubectl apply` moving to --server-side.
        const bool same_person =
            writer.manager == "kubectl" && entry["manager"].text() == "kubectl-client-side-apply";
        if (is_writer(entry, writer, "Apply") || same_person) {
            continue;
        }
        for (const FieldPath& path : parse_fields(entry["fieldsV1"])) {
            if (wanted.contains(path) && !same_at(live, applied, path)) {
                std::string who = fmt::format("\"{}\"", entry["manager"].text());
                if (const std::string& sub = entry["subresource"].text(); !sub.empty()) {
                    who += fmt::format(" with subresource \"{}\"", sub);
                }
                who += " using " + entry["apiVersion"].text();
                if (entry["operation"].text() == "Update") {
                    who += " at " + entry["time"].text();
                }
                found[who].insert(path);
            }
        }
    }
    return found;
}

ApiError conflict_error(const std::map<std::string, FieldSet>& found) {
    std::string text;
    std::size_t count = 0;
    Json details = Json::object({});
    for (const auto& [who, paths] : found) {
        count += paths.size();
        if (paths.size() == 1) {
            text += fmt::format("conflict with {}: {}", who, to_string(*paths.begin()));
        } else {
            text += fmt::format("conflicts with {}:", who);
        }
        for (const FieldPath& path : paths) {
            if (paths.size() > 1) {
                text += "\n- " + to_string(path);
            }
            details["causes"].push_back(Json::object({{"reason", "FieldManagerConflict"},
                                                      {"message", "conflict with " + who},
                                                      {"field", to_string(path)}}));
        }
        text += '\n';
    }
    text.pop_back();
    return {409, "Conflict",
            fmt::format("Apply failed with {} conflict{}: {}", count, count == 1 ? "" : "s", text),
            std::move(details)};
}

}  // namespace

FieldSet fields_of(const SchemaSet& schemas, const Json& schema, const Json& value) {
    Walker walker(schemas);
    FieldPath path;
    walker.walk(schemas.resolve(schema), value, path);
    return std::move(walker.fields);
}

namespace {

void collect(const Json& node, FieldPath& path, FieldSet& fields) {
    if (node.empty() || node.has(".")) {
        if (!path.empty()) {
            fields.insert(path);
        }
    }
    for (const auto& [step, below] : node.members()) {
        if (step != ".") {
            path.push_back(step);
            collect(below, path, fields);
            path.pop_back();
        }
    }
}

}  // namespace

FieldSet parse_fields(const Json& fields_v1) {
    FieldSet fields;
    FieldPath path;
    collect(fields_v1, path, fields);
    return fields;
}

Json print_fields(const FieldSet& fields) {
    Json root = Json::object({});
    for (const FieldPath& path : fields) {
        Json* at = &root;
        for (const std::string& step : path) {
            Json& next = (*at)[step];
            if (!next.is_object()) {
                next = Json::object({});
            }
            at = &next;
        }
        (*at)["."] = Json::object({});
    }
    // A leaf is written `{}`, not `{".":{}}`.
    const auto tidy = [](auto& self, Json& node) -> void {
        if (node.size() == 1 && node.has(".")) {
            node = Json::object({});
            return;
        }
        for (auto& [step, below] : node.mutable_members()) {
            if (step != ".") {
                self(self, below);
            }
        }
    };
    tidy(tidy, root);
    return root;
}

std::string to_string(const FieldPath& path) {
    std::string text;
    for (const std::string& step : path) {
        const std::string_view rest = std::string_view(step).substr(2);
        if (step.starts_with("f:")) {
            text += "." + std::string(rest);
        } else if (step.starts_with("k:")) {
            std::string keys;
            if (const auto key = Json::parse(rest)) {
                for (const auto& [name, value] : key->members()) {
                    keys += (keys.empty() ? "" : ",") + name + "=" + value.dump();
                }
            }
            text += "[" + keys + "]";
        } else {
            text += "[=" + std::string(rest) + "]";
        }
    }
    return text;
}

void note_update(const SchemaSet& schemas, const Json& schema, const Json& before, Json& after,
                 const Writer& writer) {
    const FieldSet have = fields_of(schemas, schema, after);
    FieldSet changed;
    for (const FieldPath& path : have) {
        const bool was_there = at_path(before, path) != nullptr;
        if (!was_there || !same_at(before, after, path)) {
            changed.insert(path);
        }
    }
    Json::Array entries;
    bool noted = false;
    for (const Json& entry : before["metadata"]["managedFields"].items()) {
        FieldSet fields;
        for (const FieldPath& path : parse_fields(entry["fieldsV1"])) {
            if (at_path(after, path) != nullptr && !changed.contains(path)) {
                fields.insert(path);
            }
        }
        Json kept = entry;
        if (is_writer(entry, writer, "Update")) {
            noted = true;
            fields.insert(changed.begin(), changed.end());
            if (!changed.empty()) {
                kept = entry_of(writer, "Update", fields);
            }
        }
        kept["fieldsV1"] = print_fields(fields);
        entries.push_back(std::move(kept));
    }
    if (!noted && !changed.empty()) {
        entries.push_back(entry_of(writer, "Update", changed));
    }
    set_managed(after, std::move(entries));
}

ApiResult<Json> server_side_apply(const SchemaSet& schemas, const Json& schema, const Json& live,
                                  const Json& applied, const Writer& writer, bool force) {
    const FieldSet wanted = fields_of(schemas, schema, applied);
    const Json::Array before = live["metadata"]["managedFields"].items();
    const auto clashes = conflicts(before, wanted, live, applied, writer);
    if (!clashes.empty() && !force) {
        return conflict_error(clashes);
    }
    FieldSet taken;
    for (const auto& [who, paths] : clashes) {
        taken.insert(paths.begin(), paths.end());
    }
    Json result =
        live.is_object() ? Applier(schemas).merge(schemas.resolve(schema), live, applied) : applied;
    FieldSet mine_before;
    FieldSet others;
    Json::Array entries;
    bool unchanged_claim = false;
    for (const Json& entry : before) {
        FieldSet fields = parse_fields(entry["fieldsV1"]);
        if (is_writer(entry, writer, "Apply")) {
            mine_before = std::move(fields);
            if (mine_before == wanted) {
                unchanged_claim = true;  // The time stays, so that a no-op writes nothing.
                entries.push_back(entry);
            }
            continue;
        }
        fields = minus(fields, taken);
        others.insert(fields.begin(), fields.end());
        Json kept = entry;
        kept["fieldsV1"] = print_fields(fields);
        entries.push_back(std::move(kept));
    }
    // What I no longer ask for and nobody else owns goes away; an item before its fields, because
    // without its key it couldn't be found.
    for (const FieldPath& path : minus(minus(mine_before, wanted), others)) {
        remove_path(result, path);
    }
    if (!unchanged_claim) {
        entries.push_back(entry_of(writer, "Apply", wanted));
    }
    set_managed(result, std::move(entries));
    return result;
}

}  // namespace millrace::local
