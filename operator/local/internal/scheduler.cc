#include "operator/local/internal/scheduler.h"

#include <algorithm>
#include <fmt/core.h>
#include <optional>
#include <tuple>

#include "operator/local/internal/addresses.h"
#include "operator/local/internal/controllers.h"
#include "operator/local/internal/selectors.h"
#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

constexpr const char* chosen_node = "volume.kubernetes.io/selected-node";
constexpr const char* zone_label = "topology.kubernetes.io/zone";

/// The claims of a pod, or why it can't be scheduled yet.
struct Claims {
    std::vector<ObjectPtr> found;
    std::string problem;
};

Claims claims_of(const Store& store, const Json& pod) {
    Claims claims;
    for (const Json& volume : pod["spec"]["volumes"].items()) {
        const std::string& name = volume["persistentVolumeClaim"]["claimName"].text();
        if (name.empty()) {
            continue;
        }
        const ObjectPtr claim =
            store.get({"persistentvolumeclaims", pod["metadata"]["namespace"].text(), name});
        if (!claim) {
            claims.problem = fmt::format("persistentvolumeclaim \"{}\" not found", name);
        } else if ((*claim)["metadata"].has("deletionTimestamp")) {
            claims.problem = fmt::format("persistentvolumeclaim \"{}\" is being deleted", name);
        } else if ((*claim)["status"]["phase"].text() != "Bound") {
            claims.problem = "pod has unbound immediate PersistentVolumeClaims";
        } else {
            claims.found.push_back(claim);
        }
    }
    return claims;
}

bool may_run_on(const Json& node, const Json& pod, const Claims& claims) {
    if (node["spec"]["unschedulable"].boolean() ||
        !LabelSelector::from_labels(pod["spec"]["nodeSelector"])
             .matches(node["metadata"]["labels"])) {
        return false;
    }
    return std::all_of(claims.found.begin(), claims.found.end(), [&](const ObjectPtr& claim) {
        const std::string& there = (*claim)["metadata"]["annotations"][chosen_node].text();
        return there.empty() || there == node["metadata"]["name"].text();
    });
}

/// What a pod that may run anywhere would rather have: the weights of what fits.
std::int64_t liking(const Json& pod, const Json& node) {
    std::int64_t sum = 0;
    for (const Json& one :
         pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
             .items()) {
        const bool fits =
            LabelSelector::from_object(one["preference"]).matches(node["metadata"]["labels"]);
        sum += fits ? one["weight"].integer() : 0;
    }
    return sum;
}

/// How many pods like this one the node's domain has: those of its spread constraints, else those
/// with the same owner.
std::int64_t crowding(const Store& store, const Json& pod, const Json& node) {
    const std::string& name = node["metadata"]["name"].text();
    const Json& constraint = pod["spec"]["topologySpreadConstraints"][0];
    const auto selector = LabelSelector::from_object(constraint["labelSelector"]);
    const Json& owner = pod["metadata"]["ownerReferences"][0]["uid"];
    std::int64_t count = 0;
    for (const ObjectPtr& other : store.list("pods", pod["metadata"]["namespace"].text())) {
        const bool alike = constraint.is_object()
                               ? selector.matches((*other)["metadata"]["labels"])
                               : (*other)["metadata"]["ownerReferences"][0]["uid"] == owner;
        count += alike && (*other)["spec"]["nodeName"].text() == name ? 1 : 0;
    }
    return count;
}

void say_unschedulable(Resources& resources, const ObjectKey& key, const Json& pod,
                       const std::string& why) {
    Json next = pod;
    set_condition(next, "PodScheduled", false, "Unschedulable", why,
                  rfc3339(resources.around().now()));
    if (next == pod) {
        return;
    }
    resources.write(key, std::move(next));
    emit_event(resources, pod, "Warning", "FailedScheduling", why, "default-scheduler");
}

void bind(Resources& resources, const ObjectKey& key, const Json& pod, const Json& node,
          const Claims& claims) {
    const std::string now = rfc3339(resources.around().now());
    const std::string& name = node["metadata"]["name"].text();
    for (const ObjectPtr& claim : claims.found) {
        Json chosen = *claim;
        chosen["metadata"]["annotations"][chosen_node] = name;
        resources.write({"persistentvolumeclaims", key.space, chosen["metadata"]["name"].text()},
                        chosen);
    }
    Json next = pod;
    next["spec"]["nodeName"] = name;
    next["metadata"]["labels"][zone_label] = node["metadata"]["labels"][zone_label];
    const std::string address = pod_address(resources, pod);
    Json& status = next["status"];
    status["hostIP"] = node["status"]["addresses"][0]["address"];
    status["podIP"] = address;
    status["podIPs"] = Json::array({Json::object({{"ip", address}})});
    set_condition(next, "PodScheduled", true, "", "", now);
    resources.write(key, std::move(next));
    emit_event(resources, pod, "Normal", "Scheduled",
               fmt::format("Successfully assigned {}/{} to {}", key.space, key.name, name),
               "default-scheduler");
}

std::string why_nowhere(const std::vector<ObjectPtr>& nodes) {
    std::string cordoned;
    std::size_t count = 0;
    for (const ObjectPtr& node : nodes) {
        if ((*node)["spec"]["unschedulable"].boolean()) {
            cordoned += (count == 0 ? "" : " ") + (*node)["metadata"]["name"].text();
            ++count;
        }
    }
    std::string text = fmt::format("0/{} nodes are available: ", nodes.size());
    if (count > 0) {
        text += fmt::format("{} unschedulable (kubectl uncordon {})", count, cordoned);
    }
    if (count < nodes.size()) {
        text += fmt::format("{}{} do not match the pod's node selector and volumes",
                            count > 0 ? ", " : "", nodes.size() - count);
    }
    return text;
}

}  // namespace

void schedule_pods(Resources& resources) {
    const std::vector<ObjectPtr> nodes = resources.store().list("nodes", "");
    for (const ObjectPtr& pod : resources.store().list("pods", "")) {
        const Json& metadata = (*pod)["metadata"];
        if (!(*pod)["spec"]["nodeName"].text().empty() || metadata.has("deletionTimestamp") ||
            !(*pod)["spec"]["schedulingGates"].empty()) {
            continue;
        }
        const ObjectKey key{"pods", metadata["namespace"].text(), metadata["name"].text()};
        const Claims claims = claims_of(resources.store(), *pod);
        if (!claims.problem.empty()) {
            say_unschedulable(resources, key, *pod, claims.problem);
            continue;
        }
        std::optional<std::tuple<std::int64_t, std::int64_t, std::string>> best;
        ObjectPtr chosen;
        for (const ObjectPtr& node : nodes) {
            if (!may_run_on(*node, *pod, claims)) {
                continue;
            }
            std::tuple rank{crowding(resources.store(), *pod, *node), -liking(*pod, *node),
                            (*node)["metadata"]["name"].text()};
            if (!best || rank < *best) {
                best = rank;
                chosen = node;
            }
        }
        if (chosen) {
            bind(resources, key, *pod, *chosen, claims);
        } else {
            say_unschedulable(resources, key, *pod, why_nowhere(nodes));
        }
    }
}

}  // namespace millrace::local
