#include "operator/local/internal/controllers.h"

#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <map>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "operator/local/internal/scheduler.h"
#include "operator/local/internal/selectors.h"
#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

constexpr const char* claim_protection = "kubernetes.io/pvc-protection";

ObjectKey key_of(const std::string& storage, const Json& object) {
    const Json& metadata = object["metadata"];
    return {storage, metadata["namespace"].text(), metadata["name"].text()};
}

bool has_finalizer(const Json& object, std::string_view name) {
    const auto& items = object["metadata"]["finalizers"].items();
    return std::find(items.begin(), items.end(), Json(name)) != items.end();
}

bool is_going(const Json& object) {
    return object["metadata"].has("deletionTimestamp");
}

/// Takes the finalizer off, and the object away if it only waited for that.
void drop_finalizer(Resources& resources, const ObjectKey& key, std::string_view name) {
    const ObjectPtr live = resources.store().get(key);
    Json next = *live;
    Json::Array& items = next["metadata"]["finalizers"].mutable_items();
    std::erase(items, Json(name));
    const bool last = items.empty();
    if (last) {
        next["metadata"].erase("finalizers");
    }
    resources.write(key, next);
    if (last && is_going(next) && next["metadata"]["deletionGracePeriodSeconds"].integer() == 0) {
        resources.remove(key);
    }
}

void erase(Resources& resources, const ObjectKey& key) {
    const Kind& kind = resources.kinds().by_storage(key.storage);
    // The object was there a moment ago under the same lock: nothing can refuse this.
    const auto erased =
        resources.erase(kind, key.space, key.name, Json::object({}), /*dry_run=*/false);
    MR_ASSERT(erased.has_value());
}

bool is_internal(const ObjectKey& key) {
    return key.storage == address_storage;
}

// -- garbage ---------------------------------------------------------------------------------

struct Ownership {
    std::set<std::string> uids;
    std::multimap<std::string, ObjectKey> dependents;  ///< By the owner's uid.
};

Ownership read_ownership(const Store& store) {
    Ownership ownership;
    for (const auto& [key, object] : store.all()) {
        ownership.uids.insert((*object)["metadata"]["uid"].text());
        for (const Json& owner : (*object)["metadata"]["ownerReferences"].items()) {
            ownership.dependents.emplace(owner["uid"].text(), key);
        }
    }
    return ownership;
}

void collect_orphans(Resources& resources, const Ownership& ownership) {
    std::vector<ObjectKey> garbage;
    for (const auto& [key, object] : resources.store().all()) {
        const auto& owners = (*object)["metadata"]["ownerReferences"].items();
        const bool alone =
            !owners.empty() && std::none_of(owners.begin(), owners.end(), [&](const Json& owner) {
                return ownership.uids.contains(owner["uid"].text());
            });
        if (alone && !is_going(*object)) {
            garbage.push_back(key);
        }
    }
    for (const ObjectKey& key : garbage) {
        erase(resources, key);
    }
}

void strip_owner(Resources& resources, const ObjectKey& key, const std::string& uid) {
    Json next = *resources.store().get(key);
    Json::Array& owners = next["metadata"]["ownerReferences"].mutable_items();
    std::erase_if(owners, [&](const Json& owner) { return owner["uid"].text() == uid; });
    if (owners.empty()) {
        next["metadata"].erase("ownerReferences");
    }
    resources.write(key, std::move(next));
}

void finish_foreground(Resources& resources, const Ownership& ownership, const ObjectKey& key,
                       const std::string& uid) {
    bool blocked = false;
    const auto [from, to] = ownership.dependents.equal_range(uid);
    for (auto at = from; at != to; ++at) {
        if (const ObjectPtr dependent = resources.store().get(at->second)) {
            blocked = true;
            if (!is_going(*dependent)) {
                erase(resources, at->second);
            }
        }
    }
    if (!blocked) {
        drop_finalizer(resources, key, "foregroundDeletion");
    }
}

void collect_garbage(Resources& resources) {
    const Ownership ownership = read_ownership(resources.store());
    collect_orphans(resources, ownership);
    const std::map<ObjectKey, ObjectPtr> all = resources.store().all();
    for (const auto& [key, object] : all) {
        if (!is_going(*object) || !resources.store().get(key)) {
            continue;
        }
        const std::string uid = (*object)["metadata"]["uid"].text();
        if (has_finalizer(*object, "orphan")) {
            const auto [from, to] = ownership.dependents.equal_range(uid);
            for (auto at = from; at != to; ++at) {
                strip_owner(resources, at->second, uid);
            }
            drop_finalizer(resources, key, "orphan");
        } else if (has_finalizer(*object, "foregroundDeletion")) {
            finish_foreground(resources, ownership, key, uid);
        }
    }
}

void end_namespaces(Resources& resources) {
    for (const ObjectPtr& space : resources.store().list("namespaces", "")) {
        if (!is_going(*space)) {
            continue;
        }
        const std::string name = (*space)["metadata"]["name"].text();
        bool empty = true;
        const std::map<ObjectKey, ObjectPtr> all = resources.store().all();
        for (const auto& [key, object] : all) {
            if (key.space != name || is_internal(key)) {
                continue;
            }
            empty = false;
            if (!is_going(*object)) {
                erase(resources, key);
            }
        }
        if (empty) {
            for (const ObjectPtr& address : resources.store().list(address_storage, name)) {
                resources.remove(key_of(address_storage, *address));
            }
            resources.remove({"namespaces", "", name});
        }
    }
}

// -- volumes ---------------------------------------------------------------------------------

bool is_used(const Store& store, const Json& claim) {
    const std::string& name = claim["metadata"]["name"].text();
    for (const ObjectPtr& pod : store.list("pods", claim["metadata"]["namespace"].text())) {
        if ((*pod)["spec"]["nodeName"].text().empty()) {
            continue;  // It is nowhere yet, and won't start with a claim that goes.
        }
        for (const Json& volume : (*pod)["spec"]["volumes"].items()) {
            if (volume["persistentVolumeClaim"]["claimName"].text() == name) {
                return true;
            }
        }
    }
    return false;
}

Json volume_for(const Json& claim, const std::string& name, const std::string& now) {
    const Json& metadata = claim["metadata"];
    return Json::object(
        {{"apiVersion", "v1"},
         {"kind", "PersistentVolume"},
         {"metadata", Json::object({{"name", name}, {"creationTimestamp", now}})},
         {"spec", Json::object({{"accessModes", claim["spec"]["accessModes"]},
                                {"capacity", claim["spec"]["resources"]["requests"]},
                                {"claimRef", Json::object({{"apiVersion", "v1"},
                                                           {"kind", "PersistentVolumeClaim"},
                                                           {"name", metadata["name"]},
                                                           {"namespace", metadata["namespace"]},
                                                           {"uid", metadata["uid"]}})},
                                {"persistentVolumeReclaimPolicy", "Delete"},
                                {"storageClassName", "local"},
                                {"volumeMode", "Filesystem"}})},
         {"status", Json::object({{"phase", "Bound"}})}});
}

void bind_claim(Resources& resources, const Json& claim) {
    const std::string& wanted = claim["spec"]["storageClassName"].text();
    if (!resources.store().get({"storageclasses", "", wanted})) {
        emit_event(resources, claim, "Warning", "ProvisioningFailed",
                   fmt::format("storageclass.storage.k8s.io \"{}\" not found", wanted),
                   "persistentvolume-controller");
        return;
    }
    const std::string volume = "pvc-" + claim["metadata"]["uid"].text();
    const ObjectKey at{"persistentvolumes", "", volume};
    if (!resources.store().get(at)) {
        Json made = volume_for(claim, volume, rfc3339(resources.around().now()));
        made["metadata"]["uid"] = resources.around().new_uid();
        resources.write(at, std::move(made));
    }
    Json next = claim;
    next["spec"]["volumeName"] = volume;
    next["status"]["phase"] = "Bound";
    next["status"]["accessModes"] = claim["spec"]["accessModes"];
    next["status"]["capacity"] = claim["spec"]["resources"]["requests"];
    resources.write(key_of("persistentvolumeclaims", claim), std::move(next));
}

void tend_claims(Resources& resources) {
    for (const ObjectPtr& claim : resources.store().list("persistentvolumeclaims", "")) {
        const ObjectKey key = key_of("persistentvolumeclaims", *claim);
        if (is_going(*claim) && has_finalizer(*claim, claim_protection)) {
            if (!is_used(resources.store(), *claim)) {
                drop_finalizer(resources, key, claim_protection);
            }
            continue;
        }
        const std::string& phase = (*claim)["status"]["phase"].text();
        if (phase != "Bound") {
            bind_claim(resources, *claim);
        } else if (!((*claim)["status"]["capacity"] == (*claim)["spec"]["resources"]["requests"])) {
            Json next = *claim;  // A directory grows by itself.
            next["status"]["capacity"] = (*claim)["spec"]["resources"]["requests"];
            resources.write(key, std::move(next));
        }
    }
    for (const ObjectPtr& volume : resources.store().list("persistentvolumes", "")) {
        const Json& owner = (*volume)["spec"]["claimRef"];
        const ObjectPtr claim = resources.store().get(
            {"persistentvolumeclaims", owner["namespace"].text(), owner["name"].text()});
        if (claim && (*claim)["metadata"]["uid"] == owner["uid"]) {
            continue;
        }
        const ObjectKey key = key_of("persistentvolumes", *volume);
        if ((*volume)["spec"]["persistentVolumeReclaimPolicy"].text() == "Delete") {
            resources.remove(key);
        } else if ((*volume)["status"]["phase"].text() != "Released") {
            Json next = *volume;
            next["status"]["phase"] = "Released";
            resources.write(key, std::move(next));
        }
    }
}

// -- services and budgets --------------------------------------------------------------------

Json service_owner(const Json& service) {
    return Json::array({Json::object({{"apiVersion", "v1"},
                                      {"kind", "Service"},
                                      {"name", service["metadata"]["name"]},
                                      {"uid", service["metadata"]["uid"]},
                                      {"controller", true},
                                      {"blockOwnerDeletion", true}})});
}

Json generated(Resources& resources, const ObjectKey& key, const char* version, const char* kind,
               const Json& service) {
    if (const ObjectPtr live = resources.store().get(key)) {
        return *live;
    }
    Json labels = service["metadata"]["labels"];
    labels["kubernetes.io/service-name"] = service["metadata"]["name"];
    return Json::object(
        {{"apiVersion", version},
         {"kind", kind},
         {"metadata", Json::object({{"name", key.name},
                                    {"namespace", key.space},
                                    {"uid", resources.around().new_uid()},
                                    {"creationTimestamp", rfc3339(resources.around().now())},
                                    {"labels", std::move(labels)},
                                    {"ownerReferences", service_owner(service)}})}});
}

/// None: the pod hasn't all of the ports that the service names, so it isn't behind it.
std::optional<Json> endpoint_ports(const Json& service, const Json& pod) {
    Json ports = Json::array({});
    for (const Json& port : service["spec"]["ports"].items()) {
        Json number = port["targetPort"];
        if (number.is_string()) {
            for (const Json& container : pod["spec"]["containers"].items()) {
                for (const Json& named : container["ports"].items()) {
                    if (named["name"].text() == port["targetPort"].text()) {
                        number = named["containerPort"];
                    }
                }
            }
        }
        if (number.is_string()) {
            return std::nullopt;
        }
        Json entry = Json::object({{"port", number.integer()}, {"protocol", port["protocol"]}});
        if (port.has("name")) {
            entry["name"] = port["name"];
        }
        ports.push_back(std::move(entry));
    }
    return ports;
}

Json target_of(const Json& pod) {
    return Json::object({{"kind", "Pod"},
                         {"name", pod["metadata"]["name"]},
                         {"namespace", pod["metadata"]["namespace"]},
                         {"uid", pod["metadata"]["uid"]}});
}

void tend_service(Resources& resources, const Json& service) {
    const std::string& space = service["metadata"]["namespace"].text();
    const std::string& name = service["metadata"]["name"].text();
    if (service["spec"]["selector"].empty()) {
        return;
    }
    const auto selector = LabelSelector::from_labels(service["spec"]["selector"]);
    const bool all = service["spec"]["publishNotReadyAddresses"].boolean();
    Json ports = Json::array({});
    Json addresses = Json::array({});
    Json waiting = Json::array({});
    Json endpoints = Json::array({});
    for (const ObjectPtr& pod : resources.store().list("pods", space)) {
        const std::string& address = (*pod)["status"]["podIP"].text();
        if (!selector.matches((*pod)["metadata"]["labels"]) || address.empty()) {
            continue;
        }
        auto its_ports = endpoint_ports(service, *pod);
        if (!its_ports) {
            continue;
        }
        ports = *std::move(its_ports);
        const bool ready = pod_is_ready(*pod) && !is_going(*pod);
        Json entry = Json::object({{"ip", address}, {"targetRef", target_of(*pod)}});
        (ready || all ? addresses : waiting).push_back(std::move(entry));
        endpoints.push_back(
            Json::object({{"addresses", Json::array({address})},
                          {"conditions", Json::object({{"ready", ready || all},
                                                       {"serving", pod_is_ready(*pod)},
                                                       {"terminating", is_going(*pod)}})},
                          {"nodeName", (*pod)["spec"]["nodeName"]},
                          {"targetRef", target_of(*pod)}}));
    }
    const ObjectKey plain_key{"endpoints", space, name};
    Json plain = generated(resources, plain_key, "v1", "Endpoints", service);
    Json subset = Json::object({{"ports", ports}});
    if (!addresses.empty()) {
        subset["addresses"] = std::move(addresses);
    }
    if (!waiting.empty()) {
        subset["notReadyAddresses"] = std::move(waiting);
    }
    plain["subsets"] = endpoints.empty() ? Json::array({}) : Json::array({std::move(subset)});
    resources.write(plain_key, std::move(plain));
    const ObjectKey slice_key{"endpointslices", space, name + "-local"};
    Json slice = generated(resources, slice_key, "discovery.k8s.io/v1", "EndpointSlice", service);
    slice["addressType"] = "IPv4";
    slice["endpoints"] = std::move(endpoints);
    slice["ports"] = std::move(ports);
    resources.write(slice_key, std::move(slice));
}

void tend_services(Resources& resources) {
    for (const ObjectPtr& service : resources.store().list("services", "")) {
        if (is_going(*service)) {
            continue;
        }
        tend_service(resources, *service);
        const bool balanced = (*service)["spec"]["type"].text() == "LoadBalancer";
        if (balanced && (*service)["status"]["loadBalancer"].empty()) {
            Json next = *resources.store().get(key_of("services", *service));
            next["status"]["loadBalancer"]["ingress"] =
                Json::array({Json::object({{"ip", next["spec"]["clusterIP"]}, {"ipMode", "VIP"}})});
            resources.write(key_of("services", *service), std::move(next));
        }
    }
}

/// A count, or a share of `whole` rounded up.
std::int64_t scaled(const Json& value, std::int64_t whole) {
    const std::string& text = value.text();
    if (text.ends_with('%')) {
        const double share = std::atof(text.c_str()) / 100;
        return static_cast<std::int64_t>(std::ceil(share * static_cast<double>(whole)));
    }
    return value.integer();
}

void tend_budgets(Resources& resources) {
    for (const ObjectPtr& budget : resources.store().list("poddisruptionbudgets", "")) {
        const auto selector = LabelSelector::from_object((*budget)["spec"]["selector"]);
        std::int64_t expected = 0;
        std::int64_t healthy = 0;
        for (const ObjectPtr& pod :
             resources.store().list("pods", (*budget)["metadata"]["namespace"].text())) {
            if (selector.matches((*pod)["metadata"]["labels"])) {
                ++expected;
                healthy += pod_is_ready(*pod) && !is_going(*pod) ? 1 : 0;
            }
        }
        const Json& spec = (*budget)["spec"];
        const std::int64_t desired =
            spec.has("maxUnavailable")
                ? std::max<std::int64_t>(0, expected - scaled(spec["maxUnavailable"], expected))
                : scaled(spec["minAvailable"], expected);
        const std::int64_t allowed = std::max<std::int64_t>(0, healthy - desired);
        Json next = *budget;
        Json& status = next["status"];
        status["expectedPods"] = expected;
        status["currentHealthy"] = healthy;
        status["desiredHealthy"] = desired;
        status["disruptionsAllowed"] = expected > 0 ? allowed : std::int64_t{0};
        status["observedGeneration"] = (*budget)["metadata"]["generation"].integer();
        set_condition(next, "DisruptionAllowed", expected > 0 && allowed > 0,
                      allowed > 0 ? "SufficientPods" : "InsufficientPods", "",
                      rfc3339(resources.around().now()));
        resources.write(key_of("poddisruptionbudgets", *budget), std::move(next));
    }
}

void forget_old_events(Resources& resources) {
    constexpr auto kept = std::chrono::hours(1);
    for (const ObjectPtr& event : resources.store().list("events", "")) {
        const std::string last =
            (*event)["lastTimestamp"].text_or((*event)["series"]["lastObservedTime"].text_or(
                (*event)["eventTime"].text_or((*event)["metadata"]["creationTimestamp"].text())));
        const auto at = parse_rfc3339(last);
        if (at && resources.around().now() - *at > kept) {
            resources.remove(key_of("events", *event));
        }
    }
}

}  // namespace

bool pod_is_ready(const Json& pod) {
    for (const Json& condition : pod["status"]["conditions"].items()) {
        if (condition["type"].text() == "Ready") {
            return condition["status"].text() == "True";
        }
    }
    return false;
}

void set_condition(Json& object, std::string_view type, bool status, std::string_view reason,
                   const std::string& message, const std::string& now) {
    Json wanted = Json::object({{"type", type}, {"status", status ? "True" : "False"}});
    if (!reason.empty()) {
        wanted["reason"] = reason;
    }
    if (!message.empty()) {
        wanted["message"] = message;
    }
    wanted["lastTransitionTime"] = now;
    for (Json& condition : object["status"]["conditions"].mutable_items()) {
        if (condition["type"].text() == type) {
            if (condition["status"] == wanted["status"]) {
                wanted["lastTransitionTime"] = condition["lastTransitionTime"];
            }
            condition = std::move(wanted);
            return;
        }
    }
    object["status"]["conditions"].push_back(std::move(wanted));
}

void emit_event(Resources& resources, const Json& about, std::string_view type,
                std::string_view reason, const std::string& message, std::string_view component) {
    const Json& metadata = about["metadata"];
    const std::string text = fmt::format("{} {} {}", metadata["uid"].text(), reason, message);
    const ObjectKey key{"events", metadata["namespace"].text_or("default"),
                        fmt::format("{}.{:08x}", metadata["name"].text(), crc32c(as_bytes(text)))};
    const std::string now = rfc3339(resources.around().now());
    if (const ObjectPtr live = resources.store().get(key)) {
        if ((*live)["lastTimestamp"].text() == now) {
            return;
        }
        Json next = *live;
        next["count"] = (*live)["count"].integer(1) + 1;
        next["lastTimestamp"] = now;
        resources.write(key, std::move(next));
        return;
    }
    resources.write(
        key, Json::object(
                 {{"apiVersion", "v1"},
                  {"kind", "Event"},
                  {"metadata", Json::object({{"name", key.name},
                                             {"namespace", key.space},
                                             {"uid", resources.around().new_uid()},
                                             {"creationTimestamp", now}})},
                  {"involvedObject", Json::object({{"apiVersion", about["apiVersion"]},
                                                   {"kind", about["kind"]},
                                                   {"name", metadata["name"]},
                                                   {"namespace", metadata["namespace"].text()},
                                                   {"resourceVersion", metadata["resourceVersion"]},
                                                   {"uid", metadata["uid"]}})},
                  {"type", type},
                  {"reason", reason},
                  {"message", message},
                  {"source", Json::object({{"component", component}})},
                  {"reportingComponent", component},
                  {"reportingInstance", ""},
                  {"count", 1},
                  {"firstTimestamp", now},
                  {"lastTimestamp", now}}));
}

void run_controllers(Resources& resources) {
    constexpr int most_passes = 20;  // Each pass works off what the one before made possible.
    for (int pass = 0; pass < most_passes; ++pass) {
        const std::uint64_t before = resources.store().version();
        collect_garbage(resources);
        end_namespaces(resources);
        tend_claims(resources);
        schedule_pods(resources);
        tend_services(resources);
        tend_budgets(resources);
        forget_old_events(resources);
        if (resources.store().version() == before) {
            return;
        }
    }
}

}  // namespace millrace::local
