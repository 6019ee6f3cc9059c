#include "tests/sim_kube/sim_kube.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/core.h>

#include "operator/api/values.h"
#include "operator/kube/base64.h"
#include "operator/kube/time_text.h"
#include "operator/render/names.h"

namespace millrace::sim_kube {

namespace {

constexpr Kind all_kinds[] = {kube::pods,
                              kube::claims,
                              kube::services,
                              kube::config_maps,
                              kube::secrets,
                              kube::disruption_budgets,
                              {"millrace.dev/v1", "Topic", "topics"}};

void merge_into(Json& to, const Json& from) {
    if (!from.is_object() || !to.is_object()) {
        to = from;
        return;
    }
    for (const auto& [name, value] : from.members()) {
        if (value.is_null()) {
            to.erase(name);
        } else if (Json* found = to.find(name)) {
            merge_into(*found, value);
        } else {
            to[name] = value;
        }
    }
}

/// What was applied before and isn't any more goes.
void drop_unwanted(Json& stored, const Json& before, const Json& now) {
    for (const auto& [name, value] : before.members()) {
        Json* found = stored.find(name);
        if (found == nullptr) {
            continue;
        }
        if (!now.has(name)) {
            stored.erase(name);
        } else if (value.is_object()) {
            drop_unwanted(*found, value, now[name]);
        }
    }
}

bool selected(const Json& object, const std::string& labels) {
    const std::size_t equals = labels.find('=');
    return labels.empty() || object["metadata"]["labels"][labels.substr(0, equals)].text() ==
                                 labels.substr(equals + 1);
}

void set_ready(Json& pod, bool ready) {
    Json condition = Json::object({{"type", "Ready"}, {"status", ready ? "True" : "False"}});
    pod["status"]["conditions"] = Json::array({std::move(condition)});
}

std::int64_t memory_limit_of(const Json& pod) {
    const Json& limits = pod["spec"]["containers"][0]["resources"]["limits"];
    return api::Quantity::parse(limits["memory"].text()).value_or(api::Quantity{}).value();
}

SimKube::NodeFiles files_of(const Json& secret) {
    const auto entry = [&](const char* name) {
        return kube::from_base64(secret["data"][name].text()).value_or("");
    };
    return {secret["metadata"]["resourceVersion"].text(),
            0,
            {entry("tls.crt"), Secret(entry("tls.key"))},
            entry("ca.crt")};
}

int broker_of(const Json& pod) {
    const std::string& id = pod["metadata"]["labels"]["millrace.dev/broker"].text();
    return id.empty() ? -1 : std::stoi(id);
}

}  // namespace

SimKube::SimKube(std::vector<std::string> zones)
    : zones_(std::move(zones)), brokers_(std::make_shared<sim_admin::SimCluster>()) {
    brokers_->knobs().recovery_ticks = 1;
    brokers_->knobs().catch_up_ticks = 1;
}

// ---- The world
// ------------------------------------------------------------------------------------

Json& SimKube::store(const Kind& kind, Json object) {
    const ObjectKey key = kube::key_of(object);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    Json& slot = of(kind)[key];
    slot = std::move(object);
    return slot;
}

void SimKube::set_status(const Kind& kind, const ObjectKey& key, Json status) {
    Json next = of(kind).at(key);
    next["status"] = std::move(status);
    store(kind, std::move(next));
}

void SimKube::put(const Kind& kind, Json object) {
    const ObjectKey key = kube::key_of(object);
    const auto found = of(kind).find(key);
    if (found != of(kind).end()) {
        Json next = found->second;
        next["spec"] = object["spec"];
        if (object.has("data")) {
            next["data"] = object["data"];
        }
        next["metadata"]["generation"] =
            std::as_const(next)["metadata"]["generation"].integer() + 1;
        store(kind, std::move(next));
        return;
    }
    object["apiVersion"] = std::string(kind.api_version);
    object["kind"] = std::string(kind.kind);
    object["metadata"]["uid"] = fmt::format("uid-{}", next_uid_++);
    object["metadata"]["generation"] = 1;
    object["metadata"]["creationTimestamp"] = kube::time_text(now_);
    now_ = now_ + 1s;
    store(kind, std::move(object));
}

void SimKube::annotate(const Kind& kind, const ObjectKey& key, const std::string& name,
                       const std::string& value) {
    Json next = of(kind).at(key);
    next["metadata"]["annotations"][name] = value;
    store(kind, std::move(next));
}

void SimKube::take_away(const Kind& kind, const ObjectKey& key) {
    const auto found = of(kind).find(key);
    if (found == of(kind).end()) {
        return;
    }
    if (!std::as_const(found->second)["metadata"]["finalizers"].empty()) {
        Json next = found->second;
        next["metadata"]["deletionTimestamp"] = kube::time_text(now_);
        store(kind, std::move(next));
        return;
    }
    if (kind == kube::pods) {
        erase_pod(key);
        return;
    }
    if (kind == kube::claims && is_mounted(key)) {
        Json next = found->second;
        next["metadata"]["deletionTimestamp"] = kube::time_text(now_);
        store(kind, std::move(next));
        return;
    }
    of(kind).erase(found);
    collect_garbage();
}

bool SimKube::is_mounted(const ObjectKey& claim) const {
    for (const Json& pod : all(kube::pods)) {
        for (const Json& volume : pod["spec"]["volumes"].items()) {
            if (volume["persistentVolumeClaim"]["claimName"].text() == claim.name) {
                return true;
            }
        }
    }
    return false;
}

void SimKube::disown(const Kind& kind) {
    for (Json object : all(kind)) {
        object["metadata"].erase("ownerReferences");
        store(kind, std::move(object));
    }
}

std::optional<Json> SimKube::find(const Kind& kind, const ObjectKey& key) const {
    const auto objects = objects_.find(std::string(kind.plural));
    if (objects == objects_.end()) {
        return std::nullopt;
    }
    const auto found = objects->second.find(key);
    return found == objects->second.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Json> SimKube::all(const Kind& kind) const {
    std::vector<Json> result;
    if (const auto objects = objects_.find(std::string(kind.plural)); objects != objects_.end()) {
        for (const auto& [key, object] : objects->second) {
            result.push_back(object);
        }
    }
    return result;
}

/// What belongs to a Cluster that is gone goes too.
void SimKube::collect_garbage() {
    std::set<std::string> owners;
    for (const auto& [key, cluster] : objects_["clusters"]) {
        owners.insert(cluster["metadata"]["uid"].text());
    }
    for (const Kind& kind : all_kinds) {
        std::vector<ObjectKey> orphans;
        for (const auto& [key, object] : of(kind)) {
            const Json& owner = object["metadata"]["ownerReferences"][0];
            if (!owner.is_null() && !owners.contains(owner["uid"].text())) {
                orphans.push_back(key);
            }
        }
        for (const ObjectKey& key : orphans) {
            if (kind == kube::pods) {
                erase_pod(key);
            } else {
                of(kind).erase(key);
            }
        }
    }
}

void SimKube::erase_pod(const ObjectKey& key) {
    const auto found = of(kube::pods).find(key);
    const int id = broker_of(found->second);
    if (running_brokers_.erase(id) > 0) {
        brokers_->stop_broker(id);
    }
    of(kube::pods).erase(found);
    // As Kubernetes protects claims: one that was deleted goes with the last pod that mounts it.
    std::erase_if(of(kube::claims), [&](const auto& one) {
        return one.second["metadata"].has("deletionTimestamp") && !is_mounted(one.first);
    });
}

bool SimKube::mounts_exist(const Json& pod) {
    const std::string& space = pod["metadata"]["namespace"].text();
    for (const Json& volume : pod["spec"]["volumes"].items()) {
        const std::string& config = volume["configMap"]["name"].text();
        const std::string& claim = volume["persistentVolumeClaim"]["claimName"].text();
        const std::string& secret = volume["secret"]["secretName"].text();
        if ((!config.empty() && !of(kube::config_maps).contains({space, config})) ||
            (!secret.empty() && !of(kube::secrets).contains({space, secret})) ||
            (!claim.empty() && !of(kube::claims).contains({space, claim}))) {
            return false;
        }
    }
    return true;
}

void SimKube::tell_missing_mounts(const Json& pod) {
    const std::string& space = pod["metadata"]["namespace"].text();
    for (const Json& volume : pod["spec"]["volumes"].items()) {
        const std::string& config = volume["configMap"]["name"].text();
        if (config.empty() || of(kube::config_maps).contains({space, config})) {
            continue;
        }
        const std::string& name = volume["name"].text();
        Json event = Json::object({{"type", "Warning"}, {"reason", "FailedMount"}});
        event["metadata"] = Json::object(
            {{"name", pod["metadata"]["name"].text() + "." + name}, {"namespace", space}});
        event["involvedObject"]["uid"] = pod["metadata"]["uid"];
        event["message"] =
            fmt::format("MountVolume.SetUp failed for volume \"{}\" : configmap \"{}\" not found",
                        name, config);
        event["lastTimestamp"] = kube::time_text(now_);
        of(kube::events)[kube::key_of(event)] = std::move(event);
    }
}

bool SimKube::is_poisoned(const Json& pod) {
    if (poison.empty()) {
        return false;
    }
    const std::string& space = pod["metadata"]["namespace"].text();
    for (const Json& volume : pod["spec"]["volumes"].items()) {
        const auto found = find(kube::config_maps, {space, volume["configMap"]["name"].text()});
        if (found && found->dump().find(poison) != std::string::npos) {
            return true;
        }
    }
    return pod["spec"].dump().find(poison) != std::string::npos;
}

bool SimKube::waits_for_a_disk(const Json& pod) {
    const std::string& space = pod["metadata"]["namespace"].text();
    for (const Json& volume : pod["spec"]["volumes"].items()) {
        const auto claim =
            find(kube::claims, {space, volume["persistentVolumeClaim"]["claimName"].text()});
        if (claim && missing_classes.contains((*claim)["spec"]["storageClassName"].text())) {
            return true;
        }
    }
    return false;
}

/// A node that starts reads what is there; one that runs takes news up after a while.
void SimKube::take_up_secrets() {
    std::erase_if(*files_, [&](const auto& one) { return !running_brokers_.contains(one.first); });
    for (const auto& [key, pod] : of(kube::pods)) {
        const int id = broker_of(pod);
        if (!running_brokers_.contains(id)) {
            continue;
        }
        for (const Json& volume : pod["spec"]["volumes"].items()) {
            if (volume["name"].text() != "tls") {
                continue;
            }
            const auto secret =
                find(kube::secrets, {key.space, volume["secret"]["secretName"].text()});
            if (!secret) {
                continue;
            }
            const bool starts = !files_->contains(id);
            NodeFiles& files = (*files_)[id];
            const std::string& version = (*secret)["metadata"]["resourceVersion"].text();
            const std::string& mark =
                pod["metadata"]["annotations"][render::annotation::hurried].text();
            const bool hurried = take_up_after > 0 && mark != files.hurried;
            if (!starts && (version == files.version ||
                            (!hurried && ++files.steps_behind < std::abs(take_up_after)))) {
                continue;
            }
            files = files_of(*secret);
            files.hurried = mark;
        }
    }
}

void SimKube::shake_hands() {
    std::string versions;
    for (const auto& [id, files] : *files_) {
        versions += fmt::format("{}={} ", id, files.version);
    }
    for (const auto& [key, secret] : of(kube::secrets)) {
        if (key.name.ends_with("-operator-tls")) {
            versions += std::as_const(secret)["metadata"]["resourceVersion"].text();
        }
    }
    if (versions == std::exchange(shaken_, versions)) {
        return;  // The same as at the last step.
    }
    const auto meet = [&](const std::string& who, const NodeFiles& one, const NodeFiles& other) {
        if (!certificates::belongs_together(one.own, other.trusted_pem)) {
            ++refused_handshakes_;
            journal_.push_back("refused handshake of " + who);
        }
    };
    for (const auto& [id, one] : *files_) {
        for (const auto& [other_id, other] : *files_) {
            meet(fmt::format("{} at {}", id, other_id), one, other);
        }
        for (const auto& [key, secret] : of(kube::secrets)) {
            if (key.name.ends_with("-operator-tls")) {
                const NodeFiles own = files_of(secret);
                meet(fmt::format("the operator at {}", id), own, one);
                meet(fmt::format("{} at the operator", id), one, own);
            }
        }
    }
}

/// As the broker reads it: its arguments before its settings, unless they say nothing.
std::string SimKube::rack_of(const Json& pod) const {
    const std::string& label = pod["metadata"]["labels"]["topology.kubernetes.io/zone"].text();
    const auto file = setting_of(pod, "broker.rack");
    return label.empty() ? file : label;
}

std::string SimKube::setting_of(const Json& pod, const std::string& name) const {
    for (const Json& volume : pod["spec"]["volumes"].items()) {
        const auto file = find(kube::config_maps, {pod["metadata"]["namespace"].text(),
                                                   volume["configMap"]["name"].text()});
        const std::string text = file ? "\n" + (*file)["data"]["server.properties"].text() : "";
        if (const std::size_t at = text.find("\n" + name + "="); at != std::string::npos) {
            const std::size_t begin = at + name.size() + 2;
            return text.substr(begin, text.find('\n', begin) - begin);
        }
    }
    return "";
}

void SimKube::start_broker(const Json& pod, int id) {
    if (!running_brokers_.insert(id).second) {
        return;
    }
    if (pod["metadata"]["labels"]["millrace.dev/pool"].text() == "controllers") {
        brokers_->add_controller(id);
    } else if (!brokers_->is_registered(id)) {
        brokers_->add_broker(id, rack_of(pod));
    } else {
        brokers_->start_broker(id);
    }
}

void SimKube::run_pod(Json& pod) {
    const std::string& name = std::as_const(pod)["metadata"]["name"].text();
    const int id = broker_of(pod);
    const Json before = pod;
    if (!std::as_const(pod)["spec"].has("nodeName") && waits_for_a_disk(pod)) {
        Json condition = Json::object({{"type", "PodScheduled"}, {"status", "False"}});
        condition["message"] = "pod has unbound immediate PersistentVolumeClaims";
        pod["status"]["conditions"] = Json::array({std::move(condition)});
    } else if (!std::as_const(pod)["spec"].has("nodeName")) {
        const std::size_t turn =
            static_cast<std::size_t>(id) + static_cast<std::size_t>(shift_nodes);
        const std::string& liked =
            std::as_const(pod)["spec"]["affinity"]["nodeAffinity"]
                              ["preferredDuringSchedulingIgnoredDuringExecution"][0]["preference"]
                              ["matchExpressions"][0]["values"][0]
                                  .text();
        if (!liked.empty()) {
            zone_by_pod_[name] = liked;  // Its disk is made there, and keeps it there.
        }
        const auto kept = zone_by_pod_.find(name);
        const std::string zone =
            kept == zone_by_pod_.end() ? zones_[turn % zones_.size()] : kept->second;
        pod["spec"]["nodeName"] = "node-" + zone;
        if (copies_labels) {
            pod["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone;
        }
        auto& address = address_by_pod_[name];
        if (address.empty()) {
            address = fmt::format("127.1.{}.{}", 1 + id / 200, 1 + id % 200);
        }
        pod["status"]["podIP"] = address;
        pod["status"]["phase"] = "Pending";
        set_ready(pod, false);
    } else if (const auto broken = broken_pods.find(name); broken != broken_pods.end()) {
        Json status = Json(Json::Object{});
        status["image"] = std::as_const(pod)["spec"]["containers"][0]["image"];
        status["state"]["waiting"]["reason"] = broken->second.starts_with("configmap ")
                                                   ? "CreateContainerConfigError"
                                                   : "ImagePullBackOff";
        status["state"]["waiting"]["message"] = broken->second;
        pod["status"]["containerStatuses"] = Json::array({std::move(status)});
        set_ready(pod, false);
    } else if (silent_pods.contains(name)) {
        Json status = Json(Json::Object{});
        status["state"]["running"] = Json::object({});
        status["started"] = true;
        pod["status"]["containerStatuses"] = Json::array({std::move(status)});
        set_ready(pod, false);
    } else if (is_poisoned(pod)) {
        if (running_brokers_.erase(id) > 0) {
            brokers_->stop_broker(id);
        }
        Json status = Json(Json::Object{});
        status["state"]["waiting"]["reason"] = "CrashLoopBackOff";
        status["lastState"]["terminated"]["exitCode"] = 2;
        status["lastState"]["terminated"]["message"] = "error: poison is not a setting\n";
        pod["status"]["containerStatuses"] = Json::array({std::move(status)});
        set_ready(pod, false);
    } else if (mounts_exist(pod)) {
        start_broker(pod, id);
        pod["status"].erase("containerStatuses");
        pod["status"]["phase"] = "Running";
        bool ready = false;
        const auto health = brokers_->health();
        ready =
            std::as_const(pod)["metadata"]["labels"]["millrace.dev/pool"].text() == "controllers";
        for (const auto& broker : health.brokers()) {
            ready |=
                broker.id() == id && broker.state() == millrace::admin::v1::BROKER_STATE_RUNNING;
        }
        set_ready(pod, ready);
    } else {
        tell_missing_mounts(pod);
    }
    if (!(pod == before)) {
        pod["metadata"]["resourceVersion"] = std::to_string(++version_);
    }
}

void SimKube::step() {
    std::vector<ObjectKey> gone;
    for (auto& [key, pod] : of(kube::pods)) {
        if (std::as_const(pod)["metadata"].has("deletionTimestamp")) {
            gone.push_back(key);
        }
    }
    for (const ObjectKey& key : gone) {
        erase_pod(key);
    }
    ++*steps_;
    brokers_->tick();
    for (auto& [key, pod] : of(kube::pods)) {
        run_pod(pod);
    }
    take_up_secrets();
    shake_hands();
    for (auto& [key, claim] : of(kube::claims)) {
        if (std::as_const(claim)["status"]["phase"].text() != "Bound" &&
            !missing_classes.contains(std::as_const(claim)["spec"]["storageClassName"].text())) {
            claim["status"]["phase"] = "Bound";
            claim["metadata"]["resourceVersion"] = std::to_string(++version_);
        }
    }
    for (auto& [key, service] : of(kube::services)) {
        const Json& spec = std::as_const(service)["spec"];
        if (spec["type"].text() == "NodePort" && !spec["ports"][0].has("nodePort")) {
            service["spec"]["ports"][0]["nodePort"] = std::int64_t{30000} + next_uid_++;
            service["metadata"]["resourceVersion"] = std::to_string(++version_);
        }
        if (std::as_const(service)["spec"]["clusterIP"].text().empty()) {
            service["spec"]["clusterIP"] = fmt::format("127.2.0.{}", of(kube::services).size());
            service["metadata"]["resourceVersion"] = std::to_string(++version_);
        }
    }
    now_ = now_ + 1s;
}

// ---- kube::Api
// --------------------------------------------------------------------------------------

void SimKube::refuse(const std::string& verb, Code code, int times) {
    refusals_[verb] = {code, times};
}

Result<void> SimKube::enter(const std::string& verb) {
    if (writes_left_ == 0) {
        return Error(Code::cancelled, "this operator is dead");
    }
    if (const auto refusal = refusals_.find(verb); refusal != refusals_.end()) {
        const Code code = refusal->second.first;
        if (--refusal->second.second == 0) {
            refusals_.erase(refusal);
        }
        return Error(code, "refused by the test");
    }
    return {};
}

void SimKube::wrote(const std::string& verb, const Kind& kind, const ObjectKey& key) {
    ++writes_;
    journal_.push_back(fmt::format("{} {} {}", verb, kind.plural, key.name));
    if (writes_left_ > 0) {
        --writes_left_;
    }
}

Result<Json> SimKube::get(const Kind& kind, const ObjectKey& key) {
    MR_TRY_VOID(enter("get"));
    reads_.insert(fmt::format("{} {}", kind.plural, key.to_string()));
    auto found = find(kind, key);
    if (!found) {
        return Error(Code::not_found, key.to_string());
    }
    return *std::move(found);
}

Result<kube::Listed> SimKube::list(const Kind& kind, const kube::Selection& selection) {
    MR_TRY_VOID(enter("list"));
    kube::Listed listed;
    listed.version = std::to_string(version_);
    for (const auto& [key, object] : of(kind)) {
        const bool has_fields =
            selection.fields.empty() ||
            selection.fields == "involvedObject.uid=" + object["involvedObject"]["uid"].text();
        if ((selection.space.empty() || selection.space == key.space) && has_fields &&
            selected(object, selection.labels)) {
            listed.items.push_back(object);
        }
    }
    return listed;
}

Result<void> SimKube::judge(const Kind& kind, const Json& object) {
    if (kind == kube::pods && !nonsense.empty() &&
        object.dump().find(nonsense) != std::string::npos) {
        return Error::make(Code::invalid, "invalid value: {}", nonsense);
    }
    if (kind == kube::pods && !memory_quota.empty()) {
        std::int64_t used = 0;
        for (const auto& [name, pod] : of(kube::pods)) {
            used += memory_limit_of(pod);
        }
        const std::int64_t requested = memory_limit_of(object);
        if (used + requested > api::Quantity::parse(memory_quota)->value()) {
            return Error::make(Code::permission,
                               "pods \"{}\" is forbidden: exceeded quota: memory, requested: "
                               "limits.memory={}, used: limits.memory={}, limited: "
                               "limits.memory={}",
                               object["metadata"]["name"].text(),
                               api::Quantity::of_bytes(requested).text(),
                               api::Quantity::of_bytes(used).text(), memory_quota);
        }
    }
    const ObjectKey key = kube::key_of(object);
    if (of(kind).contains(key)) {
        return Error(Code::exists, key.to_string());
    }
    return {};
}

Result<Json> SimKube::rehearse_create(const Kind& kind, const Json& object) {
    MR_TRY_VOID(enter("rehearse"));
    MR_TRY_VOID(judge(kind, object));
    return object;
}

Result<Json> SimKube::create(const Kind& kind, const Json& object) {
    MR_TRY_VOID(enter("create"));
    MR_TRY_VOID(judge(kind, object));
    const ObjectKey key = kube::key_of(object);
    Json made = object;
    made["metadata"]["uid"] = fmt::format("uid-{}", next_uid_++);
    made["metadata"]["creationTimestamp"] = kube::time_text(now_);
    const Json stored = store(kind, std::move(made));
    wrote("create", kind, key);
    return stored;
}

Result<Json> SimKube::replace(const Kind& kind, const Json& object) {
    MR_TRY_VOID(enter("replace"));
    const ObjectKey key = kube::key_of(object);
    const auto found = of(kind).find(key);
    if (found == of(kind).end()) {
        return Error(Code::not_found, key.to_string());
    }
    if (std::as_const(found->second)["metadata"]["resourceVersion"] !=
        object["metadata"]["resourceVersion"]) {
        return Error(Code::fenced, "the object has been modified");
    }
    const Json stored = store(kind, object);
    wrote("replace", kind, key);
    return stored;
}

Result<Json> SimKube::apply(const Kind& kind, const Json& object) {
    MR_TRY_VOID(enter("apply"));
    const ObjectKey key = kube::key_of(object);
    Json next = Json(Json::Object{});
    if (const auto found = of(kind).find(key); found != of(kind).end()) {
        next = found->second;
        drop_unwanted(next, applied_[std::string(kind.plural)][key], object);
    } else if (kind == kube::claims && claims_quota && of(kind).size() >= *claims_quota) {
        return Error::make(Code::permission,
                           "persistentvolumeclaims \"{}\" is forbidden: exceeded quota: disks, "
                           "requested: persistentvolumeclaims=1, used: persistentvolumeclaims={}, "
                           "limited: persistentvolumeclaims={}",
                           key.name, of(kind).size(), *claims_quota);
    } else {
        next["metadata"]["uid"] = fmt::format("uid-{}", next_uid_++);
        next["metadata"]["creationTimestamp"] = kube::time_text(now_);
        if (kind == kube::claims) {  // The default class is nobody's field, and set once.
            next["spec"]["storageClassName"] = "standard";
        }
    }
    merge_into(next, object);
    if (const auto found = of(kind).find(key); kind == kube::claims && found != of(kind).end()) {
        const Json& before = std::as_const(found->second)["spec"];
        const Json& after = std::as_const(next)["spec"];
        if (before["storageClassName"] != after["storageClassName"] ||
            before["accessModes"] != after["accessModes"]) {
            return Error::make(Code::invalid,
                               "PersistentVolumeClaim \"{}\" is invalid: spec: Forbidden: spec is "
                               "immutable after creation except resources.requests",
                               key.name);
        }
    }
    applied_[std::string(kind.plural)][key] = object;
    const Json stored = store(kind, std::move(next));
    wrote("apply", kind, key);
    return stored;
}

Result<Json> SimKube::apply_status(const Kind& kind, const Json& object) {
    MR_TRY_VOID(enter("status"));
    const ObjectKey key = kube::key_of(object);
    const auto found = of(kind).find(key);
    if (found == of(kind).end()) {
        return Error(Code::not_found, key.to_string());
    }
    Json next = found->second;
    next["status"] = object["status"];
    const Json stored = store(kind, std::move(next));
    wrote("status", kind, key);
    return stored;
}

Result<Json> SimKube::merge(const Kind& kind, const ObjectKey& key, const Json& patch) {
    MR_TRY_VOID(enter("merge"));
    const auto found = of(kind).find(key);
    if (found == of(kind).end()) {
        return Error(Code::not_found, key.to_string());
    }
    const std::string& wanted = patch["metadata"]["resourceVersion"].text();
    if (!wanted.empty() &&
        wanted != std::as_const(found->second)["metadata"]["resourceVersion"].text()) {
        return Error(Code::fenced, "the object has been modified");
    }
    Json next = found->second;
    merge_into(next, patch);
    Json stored = store(kind, std::move(next));
    wrote("merge", kind, key);
    const Json& metadata = std::as_const(stored)["metadata"];
    if (metadata.has("deletionTimestamp") && metadata["finalizers"].empty()) {
        of(kind).erase(key);
    }
    return stored;
}

Result<Json> SimKube::remove(const Kind& kind, const ObjectKey& key,
                             const kube::Preconditions& preconditions) {
    MR_TRY_VOID(enter("remove"));
    const auto found = of(kind).find(key);
    if (found == of(kind).end()) {
        return Error(Code::not_found, key.to_string());
    }
    if (!preconditions.uid.empty() &&
        std::as_const(found->second)["metadata"]["uid"].text() != preconditions.uid) {
        return Error(Code::fenced, "the uid is another");
    }
    if (kind == kube::pods) {
        const int id = broker_of(found->second);
        const auto health = brokers_->health();
        for (const auto& broker : health.brokers()) {
            const bool well = broker.state() == millrace::admin::v1::BROKER_STATE_RUNNING &&
                              broker.lagging_replicas() == 0;
            // A registered broker without a pod left on purpose.
            if (broker.id() != id && !well && running_brokers_.contains(id)) {
                ++second_disruptions_;
                journal_.push_back(fmt::format("second disruption: {} goes while {} isn't well: {}",
                                               id, broker.id(), broker.ShortDebugString()));
            }
        }
        Json next = found->second;
        next["metadata"]["deletionTimestamp"] = kube::time_text(now_);
        const Json stored = store(kind, std::move(next));
        wrote("remove", kind, key);
        return stored;
    }
    const Json last = found->second;
    of(kind).erase(found);
    wrote("remove", kind, key);
    return Json::object({{"kind", "Status"}, {"status", "Success"}});
}

Result<void> SimKube::watch(const Kind&, const kube::Selection&, const std::string&,
                            const kube::OnChange&) {
    return Error(Code::unsupported, "the simulation brings caches up to date itself");
}

kube::ObjectCache& SimKube::cache(const Kind& kind) {
    auto& slot = caches_[std::string(kind.plural)];
    if (!slot) {
        slot = std::make_unique<kube::ObjectCache>();
        fill(*slot, kind.plural);
    }
    return *slot;
}

void SimKube::fill(kube::ObjectCache& cache, std::string_view plural) {
    kube::Listed listed;
    listed.version = std::to_string(version_);
    for (const auto& [key, object] : objects_[std::string(plural)]) {
        listed.items.push_back(object);
    }
    cache.replace_all(std::move(listed));
}

void SimKube::bring_caches_up_to_date() {
    for (const auto& [plural, cache] : caches_) {
        if (!frozen_.contains(plural)) {
            fill(*cache, plural);
        }
    }
}

}  // namespace millrace::sim_kube
