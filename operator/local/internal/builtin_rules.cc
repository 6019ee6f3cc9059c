// What Kubernetes fills in and forbids for its own kinds, as far as local mode has a use for it.
#include <algorithm>
#include <fmt/core.h>
#include <set>

#include "operator/local/internal/addresses.h"
#include "operator/local/internal/resources.h"
#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

void fill(Json& object, std::string_view name, Json value) {
    if (!std::as_const(object).has(name)) {
        object[name] = std::move(value);
    }
}

void complete_probe(Json& container, std::string_view name) {
    Json* probe = container.find(name);
    if (probe == nullptr) {
        return;
    }
    fill(*probe, "failureThreshold", 3);
    fill(*probe, "periodSeconds", 10);
    fill(*probe, "successThreshold", 1);
    fill(*probe, "timeoutSeconds", 1);
    if (Json* http = probe->find("httpGet")) {
        fill(*http, "path", "/");
        fill(*http, "scheme", "HTTP");
    }
}

void complete_pod(Json& pod, const Json* before) {
    Json& spec = pod["spec"];
    fill(spec, "restartPolicy", "Always");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "schedulerName", "default-scheduler");
    fill(spec, "securityContext", Json::object({}));
    for (Json& container : spec["containers"].mutable_items()) {
        fill(container, "imagePullPolicy", "IfNotPresent");
        fill(container, "resources", Json::object({}));
        fill(container, "terminationMessagePath", "/dev/termination-log");
        fill(container, "terminationMessagePolicy", "File");
        for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
            complete_probe(container, probe);
        }
        if (Json* ports = container.find("ports")) {
            for (Json& port : ports->mutable_items()) {
                fill(port, "protocol", "TCP");
            }
        }
    }
    if (before == nullptr) {
        pod["status"] = Json::object({{"phase", "Pending"}, {"qosClass", "Burstable"}});
    }
}

/// The lowest port of Kubernetes' range that no service has.
std::int64_t free_node_port(const Store& store, std::set<std::int64_t>& given) {
    for (const ObjectPtr& service : store.list("services", "")) {
        for (const Json& port : (*service)["spec"]["ports"].items()) {
            given.insert(port["nodePort"].integer());
        }
    }
    std::int64_t port = 30000;
    while (given.contains(port)) {
        ++port;
    }
    given.insert(port);
    return port;
}

void complete_service(Json& service, const Json* before, const Store& store,
                      const Surroundings& around) {
    Json& spec = service["spec"];
    fill(spec, "type", "ClusterIP");
    fill(spec, "sessionAffinity", "None");
    fill(spec, "internalTrafficPolicy", "Cluster");
    fill(spec, "ipFamilies", Json::array({"IPv4"}));
    fill(spec, "ipFamilyPolicy", "SingleStack");
    if (before != nullptr && spec["clusterIP"].text().empty()) {
        spec["clusterIP"] = (*before)["spec"]["clusterIP"];
    }
    if (spec["clusterIP"].text().empty()) {
        // 240 services may have one; a headless one is the honest rest.
        spec["clusterIP"] = service_address(store, around, spec["ports"]).value_or("None");
    }
    spec["clusterIPs"] = Json::array({spec["clusterIP"]});
    const std::string& type = spec["type"].text();
    const bool outside = type == "NodePort" || type == "LoadBalancer";
    std::set<std::int64_t> given;
    for (Json& port : spec["ports"].mutable_items()) {
        fill(port, "protocol", "TCP");
        fill(port, "targetPort", port["port"]);
        if (outside && port["nodePort"].integer() == 0) {
            port["nodePort"] = free_node_port(store, given);
        }
    }
    fill(service, "status", Json::object({{"loadBalancer", Json::object({})}}));
}

void complete_claim(Json& claim, const Json* before) {
    Json& spec = claim["spec"];
    fill(spec, "volumeMode", "Filesystem");
    fill(claim, "status", Json::object({{"phase", "Pending"}}));
    if (before == nullptr) {
        fill(spec, "storageClassName", "local");
        claim["metadata"]["finalizers"].push_back("kubernetes.io/pvc-protection");
    }
}

void complete_secret(Json& secret) {
    fill(secret, "type", "Opaque");
    const Json plain = std::as_const(secret)["stringData"];
    for (const auto& [name, value] : plain.members()) {
        secret["data"][name] = to_base64(value.text());
    }
    secret.erase("stringData");
}

void complete_namespace(Json& space, const Json* before) {
    space["metadata"]["labels"]["kubernetes.io/metadata.name"] = space["metadata"]["name"];
    if (before == nullptr) {
        space["spec"] = Json::object({{"finalizers", Json::array({"kubernetes"})}});
        space["status"] = Json::object({{"phase", "Active"}});
    }
}

FieldError forbidden_field(std::string field, std::string why) {
    return {"FieldValueForbidden", std::move(field), "Forbidden: " + std::move(why)};
}

/// The spec without what may change while the pod lives.
Json fixed_part(Json spec) {
    for (Json& container : spec["containers"].mutable_items()) {
        container.erase("image");
    }
    for (const char* name : {"activeDeadlineSeconds", "tolerations", "nodeName",
                             "terminationGracePeriodSeconds", "schedulingGates"}) {
        spec.erase(name);
    }
    return spec;
}

void judge_pod(const Json& pod, const Json* before, std::vector<FieldError>& errors) {
    if (pod["spec"]["containers"].empty()) {
        errors.push_back({"FieldValueRequired", "spec.containers", "Required value"});
    }
    if (before != nullptr && !(fixed_part(pod["spec"]) == fixed_part((*before)["spec"]))) {
        errors.push_back(forbidden_field(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
            "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to "
            "be set to 1 if it was previously negative)"));
    }
}

void judge_claim(const Json& claim, const Json* before, std::vector<FieldError>& errors) {
    const auto size = parse_quantity(claim["spec"]["resources"]["requests"]["storage"]);
    if (!size) {
        errors.push_back({"FieldValueRequired", "spec.resources[storage]", "Required value"});
        return;
    }
    if (before == nullptr) {
        return;
    }
    const auto had = parse_quantity((*before)["spec"]["resources"]["requests"]["storage"]);
    if (had && *size < *had) {
        errors.push_back(forbidden_field("spec.resources.requests.storage",
                                         "field can not be less than status.capacity"));
    }
    Json now = claim["spec"];
    Json then = (*before)["spec"];
    for (Json* spec : {&now, &then}) {
        spec->erase("resources");
        spec->erase("volumeName");
    }
    if (!(now == then)) {
        errors.push_back(
            forbidden_field("spec",
                            "spec is immutable after creation except resources.requests and "
                            "volumeAttributesClassName for bound claims"));
    }
}

}  // namespace

void complete_builtin(const Kind& kind, Json& object, const Json* before, const Store& store,
                      const Surroundings& around) {
    if (kind.storage == "pods") {
        complete_pod(object, before);
    } else if (kind.storage == "services") {
        complete_service(object, before, store, around);
    } else if (kind.storage == "persistentvolumeclaims") {
        complete_claim(object, before);
    } else if (kind.storage == "secrets") {
        complete_secret(object);
    } else if (kind.storage == "namespaces") {
        complete_namespace(object, before);
    }
}

std::vector<FieldError> judge_builtin(const Kind& kind, const Json& object, const Json* before) {
    std::vector<FieldError> errors;
    if (kind.storage == "pods") {
        judge_pod(object, before, errors);
    } else if (kind.storage == "persistentvolumeclaims") {
        judge_claim(object, before, errors);
    } else if (kind.storage == "services" && before != nullptr &&
               !(object["spec"]["clusterIP"] == (*before)["spec"]["clusterIP"])) {
        errors.push_back({"FieldValueInvalid", "spec.clusterIPs[0]",
                          fmt::format("Invalid value: {}: may not change once set",
                                      object["spec"]["clusterIPs"].dump())});
    } else if ((kind.storage == "secrets" || kind.storage == "configmaps") && before != nullptr &&
               (*before)["immutable"].boolean() &&
               !(object["data"] == (*before)["data"] && object["immutable"].boolean())) {
        errors.push_back(forbidden_field("data", "field is immutable when `immutable` is set"));
    } else if (kind.storage == "secrets" && before != nullptr &&
               !(object["type"] == (*before)["type"])) {
        errors.push_back(
            {"FieldValueInvalid", "type",
             fmt::format("Invalid value: {}: field is immutable", object["type"].dump())});
    }
    return errors;
}

namespace {

constexpr std::pair<std::string_view, std::string_view> event_names[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"reportingComponent", "reportingController"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"}};

void rename(Json& object, std::string_view from, std::string_view to) {
    if (const Json* value = object.find(from)) {
        Json moved = *value;
        object.erase(from);
        object[to] = std::move(moved);
    }
}

}  // namespace

Json event_to_v1(const Json& stored, const Kind& kind) {
    Json event = stored;
    for (const auto& [core, v1] : event_names) {
        rename(event, core, v1);
    }
    event["apiVersion"] = kind.group_version();
    return event;
}

Json event_from_v1(Json event) {
    for (const auto& [core, v1] : event_names) {
        rename(event, v1, core);
    }
    return event;
}

}  // namespace millrace::local
