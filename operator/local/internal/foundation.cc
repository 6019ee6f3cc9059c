// What is there before anybody asks: namespaces, nodes, the storage class, the CRDs as objects.
#include <fmt/core.h>

#include "operator/local/internal/controllers.h"
#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

/// Below it in the same block are the services.
constexpr std::size_t first_node_address = 241;

void ensure(Resources& resources, const ObjectKey& key, Json object) {
    const ObjectPtr live = resources.store().get(key);
    Json& metadata = object["metadata"];
    metadata["name"] = key.name;
    if (!key.space.empty()) {
        metadata["namespace"] = key.space;
    }
    metadata["uid"] = live ? (*live)["metadata"]["uid"] : Json(resources.around().new_uid());
    metadata["creationTimestamp"] =
        live ? (*live)["metadata"]["creationTimestamp"] : Json(rfc3339(resources.around().now()));
    resources.write(key, std::move(object));
}

Json node(const std::string& name, const std::string& zone, const std::string& address,
          const std::string& now) {
    const Json room = Json::object({{"cpu", "64"}, {"memory", "256Gi"}, {"pods", "250"}});
    Json object = Json::object(
        {{"apiVersion", "v1"},
         {"kind", "Node"},
         {"metadata",
          Json::object({{"labels", Json::object({{"kubernetes.io/hostname", name},
                                                 {"kubernetes.io/os", "linux"},
                                                 {"kubernetes.io/arch", "amd64"},
                                                 {"topology.kubernetes.io/region", "local"},
                                                 {"topology.kubernetes.io/zone", zone}})}})},
         {"spec", Json::object({})},
         {"status",
          Json::object({{"addresses",
                         Json::array({Json::object({{"type", "InternalIP"}, {"address", address}}),
                                      Json::object({{"type", "Hostname"}, {"address", name}})})},
                        {"capacity", room},
                        {"allocatable", room},
                        {"nodeInfo", Json::object({{"kubeletVersion", "v1.35.0+millrace-local"},
                                                   {"osImage", "Millrace local mode"},
                                                   {"operatingSystem", "linux"},
                                                   {"architecture", "amd64"}})}})}});
    set_condition(object, "Ready", true, "KubeletReady", "the process runner is ready", now);
    return object;
}

Json definition(const Json& crd, const std::string& now) {
    Json object = crd;
    object["status"] = Json::object(
        {{"acceptedNames", crd["spec"]["names"]}, {"storedVersions", Json::array({})}});
    for (const Json& version : crd["spec"]["versions"].items()) {
        if (version["storage"].boolean()) {
            object["status"]["storedVersions"].push_back(version["name"]);
        }
    }
    set_condition(object, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
    set_condition(object, "Established", true, "InitialNamesAccepted",
                  "the initial names have been accepted", now);
    return object;
}

/// The time of a condition is when it first came true, not when the program started.
std::string since(Resources& resources, const ObjectKey& key) {
    const ObjectPtr live = resources.store().get(key);
    return live ? (*live)["metadata"]["creationTimestamp"].text()
                : rfc3339(resources.around().now());
}

}  // namespace

void make_foundation(Resources& resources, const std::vector<std::string>& zones,
                     const std::vector<Json>& crds) {
    for (const char* name : {"default", "kube-system", "kube-node-lease", "kube-public"}) {
        if (resources.store().get({"namespaces", "", name})) {
            continue;
        }
        ensure(
            resources, {"namespaces", "", name},
            Json::object({{"apiVersion", "v1"},
                          {"kind", "Namespace"},
                          {"metadata",
                           Json::object({{"labels",
                                          Json::object({{"kubernetes.io/metadata.name", name}})}})},
                          {"spec", Json::object({{"finalizers", Json::array({"kubernetes"})}})},
                          {"status", Json::object({{"phase", "Active"}})}}));
    }
    for (std::size_t i = 0; i < zones.size(); ++i) {
        const ObjectKey key{"nodes", "", "local-" + zones[i]};
        const std::string address =
            fmt::format("{}.0.{}", resources.around().address_prefix, first_node_address + i);
        ensure(resources, key, node(key.name, zones[i], address, since(resources, key)));
    }
    ensure(resources, {"storageclasses", "", "local"},
           Json::object({{"apiVersion", "storage.k8s.io/v1"},
                         {"kind", "StorageClass"},
                         {"metadata",
                          Json::object({{"annotations", Json::object({{"storageclass.kubernetes.io/"
                                                                       "is-default-class",
                                                                       "true"}})}})},
                         {"provisioner", "millrace.dev/local"},
                         {"reclaimPolicy", "Delete"},
                         {"volumeBindingMode", "Immediate"},
                         {"allowVolumeExpansion", true}}));
    for (const Json& crd : crds) {
        const ObjectKey key{"customresourcedefinitions", "", crd["metadata"]["name"].text()};
        ensure(resources, key, definition(crd, since(resources, key)));
    }
}

}  // namespace millrace::local
