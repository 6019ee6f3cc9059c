#include "operator/render/objects.h"

#include <algorithm>
#include <fmt/core.h>

#include "operator/kube/base64.h"
#include "operator/render/broker_config.h"
#include "operator/render/names.h"

namespace millrace::render {

namespace {

std::string text(std::string_view view) {
    return std::string(view);
}

Json json_of(const api::Texts& texts) {
    Json json = Json(Json::Object{});
    for (const auto& [key, value] : texts) {
        json[key] = value;
    }
    return json;
}

Json owner_of(std::string_view kind, const api::Metadata& owner) {
    return Json::object({{"apiVersion", "millrace.dev/v1"},
                         {"kind", text(kind)},
                         {"name", owner.name},
                         {"uid", owner.uid},
                         {"controller", true},
                         {"blockOwnerDeletion", true}});
}

Json common_labels(const Subject& subject) {
    return Json::object({{"app.kubernetes.io/name", "millrace"},
                         {"app.kubernetes.io/instance", subject.cluster.metadata.name},
                         {text(label::managed_by), text(label::manager)},
                         {text(label::cluster), subject.cluster.metadata.name}});
}

Json broker_labels(const Subject& subject, std::int32_t broker) {
    Json labels = common_labels(subject);
    labels[label::broker] = std::to_string(broker);
    return labels;
}

/// Stable for ever: a service's or budget's selector must go on finding old pods.
Json selector(const Subject& subject) {
    return Json::object({{text(label::cluster), subject.cluster.metadata.name}});
}

}  // namespace

Json owners(const Subject& subject) {
    return Json::array({owner_of("Cluster", subject.cluster.metadata)});
}

namespace {

Json object(const Subject& subject, std::string_view api_version, std::string_view kind,
            const std::string& name, Json labels) {
    Json metadata = Json::object({{"name", name},
                                  {"namespace", subject.cluster.metadata.space},
                                  {"labels", std::move(labels)}});
    metadata["ownerReferences"] = owners(subject);
    return Json::object({{"apiVersion", text(api_version)},
                         {"kind", text(kind)},
                         {"metadata", std::move(metadata)}});
}

void fill_secret(Json& secret, const api::Texts& data, const api::Texts& annotations) {
    secret["metadata"]["annotations"] = json_of(annotations);
    secret["type"] = "Opaque";
    for (const auto& [key, value] : data) {
        secret["data"][key] = kube::to_base64(value);
    }
}

Json sealed(Json object) {
    const std::string hash = content_hash(object.dump());
    object["metadata"]["annotations"][annotation::content] = hash;
    return object;
}

Json resources_of(const api::Resources& resources) {
    Json json = Json(Json::Object{});
    const auto add = [&](const char* name, const auto& quantities) {
        for (const auto& [key, quantity] : quantities) {
            json[name][key] = quantity.text();
        }
    };
    add("requests", resources.requests);
    add("limits", resources.limits);
    return json;
}

Json port(const std::string& name, std::int32_t number) {
    return Json::object({{"name", name}, {"containerPort", number}, {"protocol", "TCP"}});
}

Json service_port(const std::string& name, std::int32_t number) {
    return Json::object(
        {{"name", name}, {"port", number}, {"protocol", "TCP"}, {"targetPort", name}});
}

Json field_variable(const std::string& name, const std::string& path) {
    return Json::object(
        {{"name", name},
         {"valueFrom", Json::object({{"fieldRef", Json::object({{"fieldPath", path}})}})}});
}

Json key_reference(const api::KeyReference& key) {
    return Json::object({{"name", key.name}, {"key", key.key}});
}

Json environment(const Subject& subject, const api::PodTemplate& shape) {
    Json list = Json(Json::Array{});
    list.push_back(field_variable("POD_IP", "status.podIP"));
    list.push_back(field_variable(
        "RACK", fmt::format("metadata.labels['{}']", subject.cluster.spec.rack.topology_key)));
    for (const api::EnvironmentVariable& variable : shape.env) {
        Json one = Json::object({{"name", variable.name}});
        const api::ValueSource source = variable.value_from.value_or(api::ValueSource{});
        if (source.config_map_key) {
            one["valueFrom"]["configMapKeyRef"] = key_reference(*source.config_map_key);
        } else if (source.secret_key) {
            one["valueFrom"]["secretKeyRef"] = key_reference(*source.secret_key);
        } else {
            one["value"] = variable.value.value_or("");
        }
        list.push_back(std::move(one));
    }
    return list;
}

Json probe(const char* path, int period, int failures) {
    Json http = Json::object({{"path", path}, {"port", "metrics"}});
    return Json::object({{"httpGet", std::move(http)},
                         {"periodSeconds", period},
                         {"timeoutSeconds", 5},
                         {"failureThreshold", failures}});
}

std::string rack_argument(const Subject& subject, const Member& member) {
    const api::RackSource source = subject.cluster.spec.rack.source;
    if (member.pool.rack && source != api::RackSource::node) {
        return *member.pool.rack;
    }
    return source == api::RackSource::pool ? "" : "$(RACK)";
}

Json container(const Subject& subject, const Member& member, const api::PodTemplate& shape) {
    Json json = Json::object({{"name", "broker"},
                              {"image", image_of(subject)},
                              {"imagePullPolicy", subject.around.image_pull_policy},
                              {"terminationMessagePolicy", "FallbackToLogsOnError"}});
    json["command"] = Json::array({"/usr/bin/millrace-broker"});
    const auto listeners =
        member.broker ? api::all_listeners(subject.cluster.spec) : std::vector<api::ListenerSpec>{};
    const Roles roles{member.broker, member.controller};
    for (const std::string& argument :
         arguments(listeners, roles, rack_argument(subject, member))) {
        json["args"].push_back(argument);
    }
    json["env"] = environment(subject, shape);
    if (member.broker) {
        json["ports"].push_back(port("replication", api::owned_port::replication));
    }
    json["ports"].push_back(port("controller", api::owned_port::controller));
    json["ports"].push_back(port("admin", api::owned_port::admin));
    json["ports"].push_back(port("metrics", api::owned_port::metrics));
    for (const api::ListenerSpec& listener : listeners) {
        json["ports"].push_back(port(listener.name, listener.port));
    }
    json["resources"] = resources_of(member.pool.resources.value_or(api::Resources{}));
    // A controller is told by nobody that it is ready: its voice in the quorum is asked for.
    json["readinessProbe"] = probe(member.broker ? "/readyz" : "/healthz", 1, 3);
    // Alive as long as it answers: recovery of a large log takes its time and must not be cut off.
    json["livenessProbe"] = probe("/healthz", 10, 6);
    json["securityContext"] =
        Json::object({{"allowPrivilegeEscalation", false},
                      {"readOnlyRootFilesystem", true},
                      {"capabilities", Json::object({{"drop", Json::array({"ALL"})}})}});
    return json;
}

void mount(Json& spec, Json& container, Json volume, const std::string& path, bool read_only) {
    container["volumeMounts"].push_back(
        Json::object({{"name", volume["name"]}, {"mountPath", path}, {"readOnly", read_only}}));
    spec["volumes"].push_back(std::move(volume));
}

void mount_all(const Subject& subject, const Member& member, const api::PodTemplate& shape,
               const std::string& revision, Json& spec, Json& container) {
    const std::string& cluster = subject.cluster.metadata.name;
    Json config = Json::object({{"name", "config"}});
    config["configMap"] = Json::object({{"name", config_name(cluster, member.id, revision)}});
    mount(spec, container, std::move(config), config_directory, true);
    if (has_certificates(subject)) {
        Json tls = Json::object({{"name", "tls"}});
        tls["secret"] = Json::object(
            {{"secretName", certificate_name(cluster, member.id)}, {"defaultMode", 0440}});
        mount(spec, container, std::move(tls), certificate_directory, true);
    }
    if (member.broker && has_links_key(subject)) {
        Json key = Json::object({{"name", "links-key"}});
        key["secret"] =
            Json::object({{"secretName", links_key_name(cluster)}, {"defaultMode", 0440}});
        mount(spec, container, std::move(key), links_key_directory, true);
    }
    for (const api::VolumeSpec& volume : api::all_volumes(member.pool.storage)) {
        Json data = Json::object({{"name", fmt::format("data-{}", volume.id)}});
        if (member.pool.storage.ephemeral) {
            data["emptyDir"]["sizeLimit"] = volume.size.text();
        } else {
            data["persistentVolumeClaim"]["claimName"] = claim_name(cluster, member.id, volume.id);
        }
        mount(spec, container, std::move(data), volume_directory(volume.id), false);
    }
    Json scratch = Json::object({{"name", "tmp"}});
    scratch["emptyDir"]["sizeLimit"] = "64Mi";
    mount(spec, container, std::move(scratch), "/tmp", false);
    for (const api::ExtraVolume& extra : shape.volumes) {
        Json volume = Json::object({{"name", "extra-" + extra.name}});
        if (extra.config_map) {
            volume["configMap"]["name"] = extra.config_map->name;
        } else {
            volume["emptyDir"] = Json(Json::Object{});
            if (extra.empty_dir && extra.empty_dir->size_limit) {
                volume["emptyDir"]["sizeLimit"] = extra.empty_dir->size_limit->text();
            }
        }
        mount(spec, container, std::move(volume), extra.mount_path, extra.config_map.has_value());
    }
}

/// Brokers among brokers and dedicated controllers among themselves.
Json likes_of(const Subject& subject, const Member& member) {
    Json likes = Json(Json::Object{});
    likes["matchLabels"] = selector(subject);
    if (subject.cluster.spec.controllers) {
        Json one = Json::object(
            {{"key", text(label::pool)}, {"operator", member.broker ? "NotIn" : "In"}});
        one["values"] = Json::array({text(api::controllers_name)});
        likes["matchExpressions"] = Json::array({std::move(one)});
    }
    return likes;
}

Json spread_of(const Subject& subject, const Member& member) {
    const api::RackSpec& rack = subject.cluster.spec.rack;
    const auto constraint = [&](const std::string& key, bool required) {
        Json one = Json::object({{"maxSkew", 1}, {"topologyKey", key}});
        one["whenUnsatisfiable"] = required ? "DoNotSchedule" : "ScheduleAnyway";
        one["labelSelector"] = likes_of(subject, member);
        return one;
    };
    Json list = Json::array({constraint("kubernetes.io/hostname", false)});
    if (rack.spread != api::RackSpread::off) {
        list.push_back(constraint(rack.topology_key, rack.spread == api::RackSpread::required));
    }
    return list;
}

Json tolerations_of(const std::vector<api::Toleration>& tolerations) {
    Json list = Json(Json::Array{});
    for (const api::Toleration& from : tolerations) {
        Json one = Json::object({{"operator", from.op}});
        const auto set = [&](const char* name, const std::string& value) {
            if (!value.empty()) {
                one[name] = value;
            }
        };
        set("key", from.key);
        set("value", from.value);
        set("effect", from.effect);
        if (from.toleration_seconds) {
            one["tolerationSeconds"] = *from.toleration_seconds;
        }
        list.push_back(std::move(one));
    }
    return list;
}

Json pod_spec(const Subject& subject, const Member& member, const api::PodTemplate& shape,
              const std::string& revision) {
    Json spec = Json::object({{"restartPolicy", "Always"},
                              {"automountServiceAccountToken", false},
                              {"enableServiceLinks", false},
                              {"terminationGracePeriodSeconds", 120},
                              {"hostname", pod_name(subject.cluster.metadata.name, member.id)},
                              {"subdomain", headless_name(subject.cluster.metadata.name)}});
    spec["securityContext"] = Json::object({{"runAsNonRoot", true},
                                            {"runAsUser", 10001},
                                            {"runAsGroup", 10001},
                                            {"fsGroup", 10001},
                                            {"fsGroupChangePolicy", "OnRootMismatch"}});
    spec["securityContext"]["seccompProfile"]["type"] = "RuntimeDefault";
    spec["topologySpreadConstraints"] = spread_of(subject, member);
    if (!shape.affinity.is_null()) {
        spec["affinity"] = shape.affinity;
    }
    if (!shape.tolerations.empty()) {
        spec["tolerations"] = tolerations_of(shape.tolerations);
    }
    if (!shape.node_selector.empty()) {
        spec["nodeSelector"] = json_of(shape.node_selector);
    }
    if (shape.priority_class) {
        spec["priorityClassName"] = *shape.priority_class;
    }
    Json broker = container(subject, member, shape);
    mount_all(subject, member, shape, revision, spec, broker);
    spec["containers"].push_back(std::move(broker));
    return spec;
}

bool belongs_to_bootstrap(const api::ListenerSpec& listener) {
    return listener.type == api::ListenerType::internal ||
           listener.type == api::ListenerType::cluster_ip;
}

}  // namespace

std::int64_t template_of(const Subject& subject) {
    const std::int64_t asked = subject.cluster.spec.rolling.revision.value_or(0);
    const std::int64_t pinned = subject.cluster.status.revision.target;
    const std::int64_t chosen = asked >= 1 && asked <= newest_template ? asked : pinned;
    return chosen >= 1 && chosen <= newest_template ? chosen : newest_template;
}

std::string restart_of(const Subject& subject) {
    return subject.cluster.spec.rolling.restart.value_or(subject.cluster.status.restarted);
}

std::string restart_of(const Subject& subject, const Member& member) {
    return subject.cluster.spec.rolling.restart || !member.restart ? restart_of(subject)
                                                                   : *member.restart;
}

bool has_links_key(const Subject& subject) {
    return template_of(subject) >= template_with_links_key;
}

bool has_admin_tls(const Subject& subject) {
    return subject.around.admin_tls || subject.cluster.spec.tls.has_value();
}

bool has_certificates(const Subject& subject) {
    const auto& listeners = subject.cluster.spec.listeners;
    return has_admin_tls(subject) ||
           std::any_of(listeners.begin(), listeners.end(), [](const auto& one) { return one.tls; });
}

std::string version_of(const Subject& subject) {
    if (subject.cluster.spec.version) {
        return *subject.cluster.spec.version;
    }
    const std::string& pinned = subject.cluster.status.version;
    return pinned.empty() ? subject.around.version : pinned;
}

std::string image_of(const Subject& subject) {
    constexpr std::string_view place = "{version}";
    std::string image = subject.around.image;
    if (const std::size_t at = image.find(place); at != std::string::npos) {
        image.replace(at, place.size(), version_of(subject));
    }
    return image;
}

std::string host_of(const Subject& subject, std::int32_t broker, const std::string& pod_ip) {
    const api::Metadata& metadata = subject.cluster.metadata;
    return subject.around.domain.empty()
               ? pod_ip
               : fmt::format("{}.{}.{}.svc.{}", pod_name(metadata.name, broker),
                             headless_name(metadata.name), metadata.space, subject.around.domain);
}

Json claim(const Subject& subject, const Member& member, const api::VolumeSpec& volume,
           const std::string& cluster_id, const std::string& voters) {
    Json labels = broker_labels(subject, member.id);
    labels[label::pool] = member.pool.name;
    labels[label::volume] = std::to_string(volume.id);
    Json json =
        object(subject, "v1", "PersistentVolumeClaim",
               claim_name(subject.cluster.metadata.name, member.id, volume.id), std::move(labels));
    // Kept when the Cluster is deleted, unless its policy says otherwise: then it may be adopted.
    if (member.pool.storage.retention.when_deleted == api::ReclaimPolicy::retain) {
        json["metadata"].erase("ownerReferences");
    }
    json["metadata"]["annotations"] = Json::object(
        {{text(annotation::cluster_id), cluster_id}, {text(annotation::voters), voters}});
    json["spec"]["accessModes"] = Json::array({"ReadWriteOnce"});
    json["spec"]["resources"]["requests"]["storage"] = volume.size.text();
    if (volume.storage_class) {
        json["spec"]["storageClassName"] = *volume.storage_class;
        json["metadata"]["annotations"][annotation::storage_class] = *volume.storage_class;
    }
    return json;
}

namespace {

/// What the settings alone say of listeners, and only a start reads: which speak TLS and what
/// clients are told instead of their addresses. Empty where there is none of it.
std::string listening_of(const Subject& subject, const Member& member) {
    std::string text = subject.cluster.spec.tls ? " tls" : "";
    for (const api::ListenerSpec& listener : subject.cluster.spec.listeners) {
        if (member.broker && listener.tls) {
            text += fmt::format(" {}:{}", listener.name, api::to_string(listener.auth));
        }
        if (member.broker && listener.advertised) {
            text += fmt::format(" {}@{}:{}", listener.name, listener.advertised->host,
                                listener.advertised->port.value_or(0));
        }
    }
    return text;
}

}  // namespace

std::string revision_of(const Subject& subject, const Member& member) {
    const api::PodTemplate shape = member.pool.pod_template.value_or(api::PodTemplate{});
    std::string all = pod_spec(subject, member, shape, "").dump();
    all += json_of(shape.labels).dump() + json_of(shape.annotations).dump();
    all += json_of(needing_restart(subject.cluster.spec.config)).dump();
    all += restart_of(subject, member);
    all += listening_of(subject, member);
    return content_hash(all);
}

Json pod(const Subject& subject, const Member& member) {
    const api::PodTemplate shape = member.pool.pod_template.value_or(api::PodTemplate{});
    Json labels = json_of(shape.labels);
    const Json ours = broker_labels(subject, member.id);
    for (const auto& [key, value] : ours.members()) {
        labels[key] = value;
    }
    labels[label::pool] = member.pool.name;
    Json json = object(subject, "v1", "Pod", pod_name(subject.cluster.metadata.name, member.id),
                       std::move(labels));
    json["metadata"]["annotations"] = json_of(shape.annotations);
    const std::string revision = revision_of(subject, member);
    json["metadata"]["annotations"][annotation::revision] = revision;
    json["metadata"]["annotations"][annotation::restart] = restart_of(subject, member);
    json["spec"] = pod_spec(subject, member, shape, revision);
    // How the operator was installed is part of no revision: changing it restarts nothing.
    for (const std::string& name : subject.around.image_pull_secrets) {
        json["spec"]["imagePullSecrets"].push_back(Json::object({{"name", name}}));
    }
    if (subject.around.platform_ids) {
        for (const char* field : {"runAsUser", "runAsGroup", "fsGroup"}) {
            json["spec"]["securityContext"].erase(field);
        }
    }
    if (!member.place.empty()) {
        Json one =
            Json::object({{"key", subject.cluster.spec.rack.topology_key}, {"operator", "In"}});
        one["values"] = Json::array({member.place});
        Json wish = Json::object({{"weight", 100}});
        wish["preference"]["matchExpressions"] = Json::array({std::move(one)});
        json["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
            .push_back(std::move(wish));
    }
    return json;
}

Json config_map(const Subject& subject, const Member& member, const std::string& revision,
                const std::string& properties) {
    Json json = object(subject, "v1", "ConfigMap",
                       config_name(subject.cluster.metadata.name, member.id, revision),
                       broker_labels(subject, member.id));
    json["data"]["server.properties"] = properties;
    return sealed(std::move(json));
}

std::vector<std::string> server_names(const Subject& subject, std::int32_t broker) {
    const api::Metadata& metadata = subject.cluster.metadata;
    const std::string name = fmt::format("{}.{}.{}.svc", pod_name(metadata.name, broker),
                                         headless_name(metadata.name), metadata.space);
    std::vector<std::string> names = {name};
    if (!subject.around.domain.empty()) {
        names.push_back(name + "." + subject.around.domain);
    }
    return names;
}

std::vector<std::string> bootstrap_names(const Subject& subject) {
    const api::Metadata& metadata = subject.cluster.metadata;
    const std::string service = bootstrap_name(metadata.name);
    std::vector<std::string> names = {service, fmt::format("{}.{}", service, metadata.space),
                                      fmt::format("{}.{}.svc", service, metadata.space)};
    if (!subject.around.domain.empty()) {
        names.push_back(fmt::format("{}.{}", names.back(), subject.around.domain));
    }
    return names;
}

Json trust_map(const Subject& subject, const std::string& certificates_pem) {
    Json json = object(subject, "v1", "ConfigMap", authority_name(subject.cluster.metadata.name),
                       common_labels(subject));
    json["data"]["ca.crt"] = certificates_pem;
    return sealed(std::move(json));
}

Json spec_map(const Subject& subject) {
    Json json = object(subject, "v1", "ConfigMap", spec_name(subject.cluster.metadata.name),
                       common_labels(subject));
    json["data"]["spec"] = api::to_json(subject.cluster.spec).dump();
    return sealed(std::move(json));
}

std::optional<api::ClusterSpec> spec_in(const Json& config_map) {
    const auto json = Json::parse(config_map["data"]["spec"].text());
    auto spec = json ? api::parse_cluster_spec(*json) : Result<api::ClusterSpec>(json.error());
    return spec ? std::optional(*std::move(spec)) : std::nullopt;
}

Json secret(const Subject& subject, const std::string& name, std::int32_t broker,
            const api::Texts& data, const api::Texts& annotations) {
    Json json = object(subject, "v1", "Secret", name,
                       broker < 0 ? common_labels(subject) : broker_labels(subject, broker));
    fill_secret(json, data, annotations);
    return json;
}

Json link_certificate(const api::MirrorLink& link, const api::Texts& data,
                      const api::Texts& annotations) {
    Json json = Json::object({{"apiVersion", "v1"}, {"kind", "Secret"}});
    json["metadata"] = Json::object(
        {{"name", link_certificate_name(link.metadata.name)}, {"namespace", link.metadata.space}});
    json["metadata"]["labels"] = Json::object({{"app.kubernetes.io/name", "millrace"},
                                               {"app.kubernetes.io/instance", link.metadata.name},
                                               {text(label::managed_by), text(label::manager)}});
    json["metadata"]["ownerReferences"] = Json::array({owner_of("MirrorLink", link.metadata)});
    fill_secret(json, data, annotations);
    return json;
}

Json links_key(const Subject& subject, const std::string& key) {
    Json json =
        secret(subject, links_key_name(subject.cluster.metadata.name), -1, {{"key", key}}, {});
    const auto pools = api::all_pools(subject.cluster.spec);
    const bool disks_stay = std::any_of(pools.begin(), pools.end(), [](const api::PoolSpec& pool) {
        return pool.storage.retention.when_deleted == api::ReclaimPolicy::retain;
    });
    if (disks_stay) {
        json["metadata"].erase("ownerReferences");
    }
    return json;
}

Json headless_service(const Subject& subject) {
    Json json = object(subject, "v1", "Service", headless_name(subject.cluster.metadata.name),
                       common_labels(subject));
    json["spec"] = Json::object({{"clusterIP", "None"},
                                 // Voters find each other before anybody is ready.
                                 {"publishNotReadyAddresses", true},
                                 {"selector", selector(subject)}});
    json["spec"]["ports"].push_back(service_port("replication", api::owned_port::replication));
    json["spec"]["ports"].push_back(service_port("controller", api::owned_port::controller));
    json["spec"]["ports"].push_back(service_port("admin", api::owned_port::admin));
    return sealed(std::move(json));
}

Json bootstrap_service(const Subject& subject) {
    Json json = object(subject, "v1", "Service", bootstrap_name(subject.cluster.metadata.name),
                       common_labels(subject));
    json["spec"] = Json::object({{"type", "ClusterIP"}, {"selector", selector(subject)}});
    for (const api::ListenerSpec& listener : api::all_listeners(subject.cluster.spec)) {
        if (belongs_to_bootstrap(listener)) {
            json["spec"]["ports"].push_back(service_port(listener.name, listener.port));
        }
    }
    return sealed(std::move(json));
}

Json broker_service(const Subject& subject, std::int32_t broker,
                    const api::ListenerSpec& listener) {
    Json json = object(subject, "v1", "Service",
                       broker_service_name(subject.cluster.metadata.name, broker, listener.name),
                       broker_labels(subject, broker));
    Json target = selector(subject);
    target[label::broker] = std::to_string(broker);
    json["spec"] = Json::object({{"type", text(api::to_string(listener.type))},
                                 {"publishNotReadyAddresses", true},
                                 {"selector", std::move(target)}});
    json["spec"]["ports"].push_back(service_port(listener.name, listener.port));
    return sealed(std::move(json));
}

Json disruption_budget(const Subject& subject, std::int32_t max_unavailable) {
    Json json = object(subject, "policy/v1", "PodDisruptionBudget",
                       budget_name(subject.cluster.metadata.name), common_labels(subject));
    json["spec"]["maxUnavailable"] = std::int64_t{max_unavailable};
    json["spec"]["selector"]["matchLabels"] = selector(subject);
    return json;
}

bool is_applied(const Json& wanted, const Json& stored) {
    if (wanted.is_object()) {
        return stored.is_object() && std::all_of(wanted.members().begin(), wanted.members().end(),
                                                 [&](const auto& member) {
                                                     const Json* found = stored.find(member.first);
                                                     return found != nullptr &&
                                                            is_applied(member.second, *found);
                                                 });
    }
    if (wanted.is_array()) {
        // Others may add to a list (an owner, a port's default fields); order is kept.
        const auto& have = stored.items();
        return stored.is_array() &&
               std::all_of(wanted.items().begin(), wanted.items().end(), [&](const Json& item) {
                   return std::any_of(have.begin(), have.end(), [&](const Json& candidate) {
                       return is_applied(item, candidate);
                   });
               });
    }
    return wanted == stored;
}

}  // namespace millrace::render
