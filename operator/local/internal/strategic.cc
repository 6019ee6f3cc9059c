// Strategic merge: a merge patch that knows which lists are maps by a key.
#include <algorithm>

#include "operator/local/internal/patch.h"

namespace millrace::local {

namespace {

constexpr std::string_view delete_primitives = "$deleteFromPrimitiveList/";
constexpr std::string_view element_order = "$setElementOrder/";

class Merger {
public:
    explicit Merger(const SchemaSet& schemas) : schemas_(schemas) {}

    Json merge_object(const Json& schema, Json target, const Json& patch) {
        const std::string& directive = patch["$patch"].text();
        if (directive == "delete") {
            return Json::object({});
        }
        if (directive == "replace") {
            Json replaced = patch;
            replaced.erase("$patch");
            return replaced;
        }
        retain_keys(target, patch);
        for (const auto& [name, change] : patch.members()) {
            if (name.starts_with(delete_primitives)) {
                remove_primitives(target[name.substr(delete_primitives.size())], change);
            } else if (!name.starts_with("$")) {
                merge_member(schema, target, name, change);
            }
        }
        for (const auto& [name, order] : patch.members()) {
            if (name.starts_with(element_order)) {
                const std::string field = name.substr(element_order.size());
                if (Json* list = target.find(field)) {
                    sort_list(*list, order, merge_key(schema, field));
                }
            }
        }
        return target;
    }

private:
    /// The key that makes a list a map; empty for other lists. The key stands beside a `$ref`, so
    /// the field is looked at unresolved.
    std::string merge_key(const Json& schema, std::string_view field) const {
        return schemas_.resolve(schema)["properties"][field]["x-kubernetes-patch-merge-key"].text();
    }

    bool merges(const Json& schema, std::string_view field) const {
        return schemas_.resolve(schema)["properties"][field]["x-kubernetes-patch-strategy"]
                   .text() == "merge";
    }

    void merge_member(const Json& schema, Json& target, const std::string& name,
                      const Json& change) {
        if (change.is_null()) {
            target.erase(name);
            return;
        }
        const Json current = std::as_const(target)[name];
        const Json& field = schemas_.field(schema, name);
        if (change.is_object()) {
            target[name] =
                merge_object(field, current.is_object() ? current : Json::object({}), change);
        } else if (change.is_array() && merges(schema, name)) {
            const std::string key = merge_key(schema, name);
            target[name] = key.empty() ? merge_primitives(current, change)
                                       : merge_list(schemas_.item(field), current, change, key);
        } else {
            target[name] = change;
        }
    }

    static void retain_keys(Json& target, const Json& patch) {
        const Json* keep = patch.find("$retainKeys");
        if (keep == nullptr) {
            return;
        }
        const Json::Object members = target.members();
        for (const auto& [name, value] : members) {
            const auto& kept = keep->items();
            if (std::find(kept.begin(), kept.end(), Json(name)) == kept.end()) {
                target.erase(name);
            }
        }
    }

    static void remove_primitives(Json& list, const Json& away) {
        Json::Array& items = list.mutable_items();
        for (const Json& value : away.items()) {
            items.erase(std::remove(items.begin(), items.end(), value), items.end());
        }
    }

    static Json merge_primitives(Json list, const Json& change) {
        Json::Array& items = list.mutable_items();
        for (const Json& value : change.items()) {
            if (std::find(items.begin(), items.end(), value) == items.end()) {
                items.push_back(value);
            }
        }
        return list;
    }

    Json merge_list(const Json& item_schema, Json list, const Json& change,
                    const std::string& key) {
        for (const Json& item : change.items()) {
            if (item["$patch"].text() == "replace") {
                return replaced_list(change);
            }
        }
        Json::Array& items = list.mutable_items();
        for (const Json& item : change.items()) {
            const auto found = std::find_if(items.begin(), items.end(), [&](const Json& candidate) {
                return candidate[key] == item[key];
            });
            if (item["$patch"].text() == "delete") {
                if (found != items.end()) {
                    items.erase(found);
                }
            } else if (found != items.end()) {
                *found = merge_object(item_schema, std::move(*found), item);
            } else {
                items.push_back(merge_object(item_schema, Json::object({}), item));
            }
        }
        return list;
    }

    static Json replaced_list(const Json& change) {
        Json list = Json::array({});
        for (const Json& item : change.items()) {
            if (!item.has("$patch")) {
                list.push_back(item);
            }
        }
        return list;
    }

    static void sort_list(Json& list, const Json& order, const std::string& key) {
        const auto rank = [&](const Json& item) {
            const Json::Array& wanted = order.items();
            const auto at = std::find_if(wanted.begin(), wanted.end(), [&](const Json& entry) {
                return key.empty() ? entry == item : entry[key] == item[key];
            });
            return at - wanted.begin();
        };
        std::vector<std::pair<std::ptrdiff_t, std::size_t>> places;
        for (const Json& item : list.items()) {
            places.emplace_back(rank(item), places.size());
        }
        std::sort(places.begin(), places.end());
        Json sorted = Json::array({});
        for (const auto& [place, index] : places) {
            sorted.push_back(list[index]);
        }
        list = std::move(sorted);
    }

    const SchemaSet& schemas_;
};

}  // namespace

ApiResult<Json> strategic_merge(const SchemaSet& schemas, const Json& schema, Json target,
                                const Json& patch) {
    if (!patch.is_object()) {
        return bad_request("a strategic merge patch is an object");
    }
    return Merger(schemas).merge_object(schema, std::move(target), patch);
}

}  // namespace millrace::local
