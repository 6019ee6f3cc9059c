#include "operator/local/internal/discovery.h"

#include <map>
#include <set>

namespace millrace::local {

namespace {

Json text_list(const std::vector<std::string>& texts) {
    Json list = Json::array({});
    for (const std::string& text : texts) {
        list.push_back(text);
    }
    return list;
}

Json verbs_of(const Kind& kind) {
    if (kind.review_only) {
        return Json::array({"create"});
    }
    return Json::array(
        {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"});
}

/// (name, verbs, kind, group version of the kind) of what lies below a resource.
struct Subresource {
    std::string name;
    Json verbs;
    std::string kind;
    std::string group;
    std::string version;
};

std::vector<Subresource> subresources(const Kind& kind) {
    std::vector<Subresource> found;
    if (kind.has_status) {
        found.push_back({"status", Json::array({"get", "patch", "update"}), kind.kind, kind.group,
                         kind.version});
    }
    if (kind.scale.is_object()) {
        found.push_back(
            {"scale", Json::array({"get", "patch", "update"}), "Scale", "autoscaling", "v1"});
    }
    if (kind.storage == "pods") {
        found.push_back({"log", Json::array({"get"}), "Pod", "", "v1"});
        found.push_back({"eviction", Json::array({"create"}), "Eviction", "policy", "v1"});
    }
    return found;
}

Json group_entry(const KindTable& kinds, const std::string& name) {
    Json versions = Json::array({});
    std::set<std::string> seen;
    for (const auto& kind : kinds.all()) {
        if (kind->group == name && seen.insert(kind->version).second) {
            versions.push_back(Json::object(
                {{"groupVersion", kind->group_version()}, {"version", kind->version}}));
        }
    }
    return Json::object(
        {{"name", name}, {"versions", versions}, {"preferredVersion", versions[std::size_t{0}]}});
}

std::set<std::string> groups(const KindTable& kinds) {
    std::set<std::string> names;
    for (const auto& kind : kinds.all()) {
        if (!kind->group.empty()) {
            names.insert(kind->group);
        }
    }
    return names;
}

}  // namespace

Json version_document() {
    return Json::object({{"major", "1"},
                         {"minor", "35"},
                         {"gitVersion", "v1.35.0+millrace-local"},
                         {"gitCommit", ""},
                         {"gitTreeState", ""},
                         {"buildDate", "1970-01-01T00:00:00Z"},
                         {"goVersion", ""},
                         {"compiler", ""},
                         {"platform", "linux/amd64"}});
}

Json api_versions(const std::string& address) {
    return Json::object(
        {{"kind", "APIVersions"},
         {"versions", Json::array({"v1"})},
         {"serverAddressByClientCIDRs",
          Json::array({Json::object({{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", address}})})}});
}

Json group_list(const KindTable& kinds) {
    Json list = Json::array({});
    for (const std::string& name : groups(kinds)) {
        list.push_back(group_entry(kinds, name));
    }
    return Json::object({{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", list}});
}

std::optional<Json> group(const KindTable& kinds, const std::string& name) {
    if (!groups(kinds).contains(name)) {
        return std::nullopt;
    }
    Json entry = group_entry(kinds, name);
    entry["kind"] = "APIGroup";
    entry["apiVersion"] = "v1";
    return entry;
}

std::optional<Json> resource_list(const KindTable& kinds, const std::string& group_version) {
    Json list = Json::array({});
    for (const auto& kind : kinds.all()) {
        if (kind->group_version() != group_version) {
            continue;
        }
        Json resource = Json::object({{"name", kind->resource},
                                      {"singularName", kind->singular},
                                      {"namespaced", kind->namespaced},
                                      {"kind", kind->kind},
                                      {"verbs", verbs_of(*kind)}});
        if (!kind->short_names.empty()) {
            resource["shortNames"] = text_list(kind->short_names);
        }
        if (!kind->categories.empty()) {
            resource["categories"] = text_list(kind->categories);
        }
        list.push_back(std::move(resource));
        for (const Subresource& below : subresources(*kind)) {
            Json entry = Json::object({{"name", kind->resource + "/" + below.name},
                                       {"singularName", ""},
                                       {"namespaced", kind->namespaced},
                                       {"kind", below.kind},
                                       {"verbs", below.verbs}});
            if (below.group != kind->group) {
                entry["group"] = below.group;
                entry["version"] = below.version;
            }
            list.push_back(std::move(entry));
        }
    }
    if (list.empty()) {
        return std::nullopt;
    }
    return Json::object({{"kind", "APIResourceList"},
                         {"apiVersion", "v1"},
                         {"groupVersion", group_version},
                         {"resources", std::move(list)}});
}

namespace {

Json aggregated_resource(const Kind& kind) {
    const auto response_kind = [](const std::string& group, const std::string& version,
                                  const std::string& name) {
        return Json::object({{"group", group}, {"version", version}, {"kind", name}});
    };
    Json entry = Json::object({{"resource", kind.resource},
                               {"responseKind", response_kind(kind.group, kind.version, kind.kind)},
                               {"scope", kind.namespaced ? "Namespaced" : "Cluster"},
                               {"singularResource", kind.singular},
                               {"verbs", verbs_of(kind)}});
    if (!kind.short_names.empty()) {
        entry["shortNames"] = text_list(kind.short_names);
    }
    if (!kind.categories.empty()) {
        entry["categories"] = text_list(kind.categories);
    }
    for (const Subresource& below : subresources(kind)) {
        entry["subresources"].push_back(
            Json::object({{"subresource", below.name},
                          {"responseKind", response_kind(below.group, below.version, below.kind)},
                          {"verbs", below.verbs}}));
    }
    return entry;
}

}  // namespace

Json aggregated_discovery(const KindTable& kinds, bool core, const std::string& version) {
    Json items = Json::array({});
    const std::set<std::string> names = core ? std::set<std::string>{""} : groups(kinds);
    for (const std::string& name : names) {
        std::map<std::string, Json> versions;
        for (const auto& kind : kinds.all()) {
            if (kind->group == name) {
                versions[kind->version].push_back(aggregated_resource(*kind));
            }
        }
        Json metadata = Json::object({});
        if (!name.empty()) {
            metadata["name"] = name;
        }
        Json item = Json::object({{"metadata", std::move(metadata)}});
        for (auto& [version_name, resources] : versions) {
            item["versions"].push_back(Json::object({{"version", version_name},
                                                     {"resources", std::move(resources)},
                                                     {"freshness", "Current"}}));
        }
        items.push_back(std::move(item));
    }
    return Json::object({{"kind", "APIGroupDiscoveryList"},
                         {"apiVersion", "apidiscovery.k8s.io/" + version},
                         {"metadata", Json::object({})},
                         {"items", std::move(items)}});
}

}  // namespace millrace::local
