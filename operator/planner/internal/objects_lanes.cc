// Services, disks, pods, settings and what is left over: the lanes that take nothing down.
#include <algorithm>
#include <fmt/core.h>

#include "operator/kube/base64.h"
#include "operator/planner/internal/draft.h"
#include "operator/render/broker_config.h"

namespace millrace::planner {

namespace {

/// Adds an Apply if the stored object doesn't say all of this already.
void keep(Draft& draft, Lane lane, const kube::Kind& kind, const std::vector<ObjectPtr>& stored,
          Json wanted, std::string why) {
    const ObjectPtr found = draft.find(stored, std::as_const(wanted)["metadata"]["name"].text());
    if (found && render::is_applied(wanted, *found)) {
        return;
    }
    draft.act(lane, Apply{kind, std::move(wanted)}, "", std::move(why));
}

/// A disk that isn't made yet was asked for with another class: nothing is on it, it may be asked
/// for anew.
bool is_to_be_another(const Json& stored, const api::VolumeSpec& volume) {
    if (is_bound(stored)) {
        return false;
    }
    const std::string& has = stored["spec"]["storageClassName"].text();
    const std::string& asked =
        stored["metadata"]["annotations"][render::annotation::storage_class].text();
    return volume.storage_class ? has != *volume.storage_class : !asked.empty();
}

/// What a disk that exists can't change any more.
void keep_made(Draft& draft, const render::Member& member, const Json& stored, Json& wanted) {
    const auto size =
        api::Quantity::parse(stored["spec"]["resources"]["requests"]["storage"].text());
    const auto wanted_size = api::Quantity::parse(
        std::as_const(wanted)["spec"]["resources"]["requests"]["storage"].text());
    if (size && wanted_size && *size >= *wanted_size) {
        if (*size > *wanted_size) {
            // The API's own rule compares a field with itself; this one was said by another one.
            draft.volume_waits = fmt::format(
                "the disk {} has {} and keeps it: a disk can only grow, and {} is less; new "
                "brokers get {}",
                stored["metadata"]["name"].text(), size->text(), wanted_size->text(),
                wanted_size->text());
        }
        wanted["spec"]["resources"]["requests"]["storage"] =
            stored["spec"]["resources"]["requests"]["storage"];
    }
    const std::string asked = std::as_const(wanted)["spec"]["storageClassName"].text();
    const std::string& has = stored["spec"]["storageClassName"].text();
    if (stored["spec"].has("storageClassName")) {
        // Also where nobody asked for one: once it was applied, leaving it out would take it away.
        wanted["spec"]["storageClassName"] = has;
    }
    if (!asked.empty() && asked != has) {
        wanted["metadata"]["annotations"][render::annotation::storage_class] = has;
        draft.volume_waits =
            fmt::format("the disk of broker {} has class {} and keeps it; new brokers get class {}",
                        member.id, has, asked);
    }
}

/// Kubernetes keeps a claim that is deleted for as long as a pod runs with it.
void note_deleted_claim(Draft& draft, int id, const Json& claim) {
    const auto pod = draft.pods.find(id);
    if (pod == draft.pods.end() || pod->second.going || pod->second.node.empty()) {
        draft.waits.emplace(id, "its old claim for a disk is being deleted");
        return;
    }
    const std::string text = fmt::format(
        "its claim {} was deleted: the disk goes when the pod {} ends, so it is not "
        "restarted; delete the pod too to give it an empty disk",
        claim["metadata"]["name"].text(), pod->second.name);
    draft.waits.emplace(id, text);
    draft.doomed_disks.emplace(id, text);
}

void keep_claim(Draft& draft, const render::Member& member, const api::VolumeSpec& volume,
                const std::string& voters) {
    Json wanted = render::claim(draft.subject, member, volume, draft.cluster_id, voters);
    const ObjectPtr found =
        draft.find(draft.world.claims, std::as_const(wanted)["metadata"]["name"].text());
    if (found) {
        const Json& stored = *found;
        if (stored["metadata"].has("deletionTimestamp")) {
            note_deleted_claim(draft, member.id, stored);
            return;
        }
        if (is_to_be_another(stored, volume)) {
            draft.act(
                Lane::volumes, draft.removal(kube::claims, stored), "VolumeAskedAnew",
                fmt::format("broker {} has no disk yet and gets one of another class", member.id),
                true);
            return;
        }
        keep_made(draft, member, stored, wanted);
        const bool must_lose_owner = stored["metadata"].has("ownerReferences") &&
                                     !std::as_const(wanted)["metadata"].has("ownerReferences");
        const bool is_back = stored["metadata"]["labels"].has(render::label::retired);
        if (!must_lose_owner && !is_back && render::is_applied(wanted, stored)) {
            return;
        }
    }
    draft.act(Lane::volumes, Apply{kube::claims, std::move(wanted)}, "",
              fmt::format("broker {} keeps its data in volume {}", member.id, volume.id));
}

std::string voters_text(const std::vector<int>& voters) {
    std::string text;
    for (const int id : voters) {
        text += (text.empty() ? "" : ",") + std::to_string(id);
    }
    return text;
}

std::string host_of(const Draft& draft, int id) {
    const auto pod = draft.pods.find(id);
    return render::host_of(draft.subject, id, pod == draft.pods.end() ? "" : pod->second.ip);
}

/// Its rack may be read from its node: nobody else says it.
bool may_take_racks_from_node(const Draft& draft, const render::Member& member) {
    const api::RackSource source = draft.world.cluster.spec.rack.source;
    return !draft.world.nodes.empty() && source != api::RackSource::pool &&
           (!member.pool.rack || source == api::RackSource::node);
}

/// What its settings say is so only on the node that it runs on.
bool depends_on_node(const Draft& draft, const render::Member& member, const Json& file) {
    const auto listeners = api::all_listeners(draft.world.cluster.spec);
    const bool has_node_port =
        member.broker && std::any_of(listeners.begin(), listeners.end(), [](const auto& one) {
            return one.type == api::ListenerType::node_port && !one.advertised;
        });
    return has_node_port ||
           render::settings_in(file["data"]["server.properties"].text()).contains("broker.rack");
}

/// What a broker has started with; of one that has no pod: what the next one would.
ObjectPtr settings_at_start(const Draft& draft, int id) {
    const auto pod = draft.pods.find(id);
    const std::string& revision =
        pod == draft.pods.end() ? draft.revisions.at(id) : pod->second.revision;
    return draft.find(draft.world.config_maps, render::config_name(draft.name(), id, revision));
}

/// Several names or addresses of one balancer come in any order.
std::vector<std::string> hosts_of_balancer(const Json& service) {
    std::vector<std::string> hosts;
    for (const Json& ingress : service["status"]["loadBalancer"]["ingress"].items()) {
        if (std::string host = ingress["hostname"].text_or(ingress["ip"].text()); !host.empty()) {
            hosts.push_back(std::move(host));
        }
    }
    return hosts;
}

/// Where clients of a listener are told to find the broker; empty: nobody has told them yet.
std::string told_host(const Draft& draft, int id, const api::ListenerSpec& listener) {
    const ObjectPtr file = settings_at_start(draft, id);
    return file
               ? render::advertised_host((*file)["data"]["server.properties"].text(), listener.name)
               : "";
}

/// The one that clients are told already, where it still is one; empty: it has none now.
std::string host_of_balancer(const Draft& draft, int id, const api::ListenerSpec& listener,
                             const Json& service) {
    const std::vector<std::string> hosts = hosts_of_balancer(service);
    const std::string told = told_host(draft, id, listener);
    const bool still = std::find(hosts.begin(), hosts.end(), told) != hosts.end();
    return still ? told : hosts.empty() ? "" : hosts.front();
}

/// Of a pod that is gone: the next one may come to another node or has another balancer by now, and
/// must not start with these.
ObjectPtr settings_of_last_pod(const Draft& draft, const render::Member& member) {
    const ObjectPtr file = settings_at_start(draft, member.id);
    const bool is_old =
        file && (depends_on_node(draft, member, *file) || is_found_elsewhere(draft, member.id));
    return is_old ? file : nullptr;
}

/// The rack of a broker whose pod can't know it: Kubernetes before 1.35 doesn't copy the labels of
/// nodes to their pods. What is still to be waited for; empty: all that can be known is.
std::string fill_rack(const Draft& draft, const render::Member& member,
                      render::BrokerSettings& settings) {
    if (!may_take_racks_from_node(draft, member)) {
        return "";
    }
    const auto pod = draft.pods.find(member.id);
    if (pod == draft.pods.end() || pod->second.node.empty()) {
        return "its pod has no node yet";
    }
    const auto node = draft.world.nodes.find(pod->second.node);
    if (node == draft.world.nodes.end()) {
        return fmt::format("node {} isn't known yet", pod->second.node);
    }
    settings.rack = pod->second.zone.empty() ? node->second.zone : "";
    return "";
}

/// What the settings of a broker still wait for; empty: all is known.
std::string fill_addresses(Draft& draft, const render::Member& member,
                           render::BrokerSettings& settings) {
    const int id = member.id;
    if (std::string wait = fill_rack(draft, member, settings); !wait.empty()) {
        return wait;
    }
    settings.host = host_of(draft, id);
    if (settings.host.empty()) {
        return "its pod has no address yet";
    }
    for (const int voter : draft.membership.voters) {
        std::string host = host_of(draft, voter);
        if (host.empty() && !draft.membership.wanted.contains(voter)) {
            continue;  // It leaves, and its pod is gone: nobody finds it by this list.
        }
        if (host.empty()) {
            return fmt::format("the pod of voter {} has no address yet", voter);
        }
        settings.voters.push_back({voter, std::move(host)});
    }
    // A controller that is to vote once others have left is in its own list from the first.
    const auto& listed = draft.membership.voters;
    if (member.controller && std::find(listed.begin(), listed.end(), id) == listed.end()) {
        settings.voters.push_back({id, settings.host});
        std::sort(settings.voters.begin(), settings.voters.end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
    }
    for (const api::ListenerSpec& listener : settings.listeners) {
        if (!has_service_per_broker(listener) && !listener.advertised) {
            continue;
        }
        std::string address = outside_address(draft, id, listener);
        if (address.empty() && listener.type == api::ListenerType::node_port &&
            draft.world.nodes.empty()) {
            return fmt::format(
                "listener {} is reached on nodes' addresses, and the operator may not read nodes: "
                "install it with rbac.readNodes=true, or give advertised.host",
                listener.name);
        }
        if (address.empty()) {
            return fmt::format("listener {} has no address yet", listener.name);
        }
        settings.advertised[listener.name] = std::move(address);
    }
    return "";
}

/// What the files of running brokers say that the cluster was told.
struct Told {
    api::Texts settings;
    brokers::SettingsChange change;  ///< From there to what the spec wants.
};

/// Settings that a disk says its cluster was told, as far as they may be taken back.
std::vector<std::string> noted_on(const Json& claim) {
    std::vector<std::string> names;
    if (claim["metadata"]["labels"].has(render::label::retired)) {
        return names;  // Nobody notes anything on it any more.
    }
    const std::string& text = claim["metadata"]["annotations"][render::annotation::told].text();
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        if (std::string name = text.substr(at, end - at); render::is_dynamic(name)) {
            names.push_back(std::move(name));
        }
        at = end + 1;
    }
    return names;
}

/// After files and brokers, and where one of them was noted already, so that it is taken back.
void note_on_disks(Draft& draft, const api::Texts& told) {
    std::string names;
    for (const auto& [name, value] : told) {
        names += (names.empty() ? "" : ",") + name;
    }
    const std::vector<int>& voters = draft.membership.voters;
    for (const ObjectPtr& claim : draft.world.claims) {
        const Json& metadata = (*claim)["metadata"];
        const std::string& noted = metadata["annotations"][render::annotation::told].text();
        const int id = broker_of(*claim).value_or(-1);
        const bool has_metadata = std::find(voters.begin(), voters.end(), id) != voters.end();
        if (noted == names || (noted.empty() && !has_metadata) ||
            metadata.has("deletionTimestamp") || metadata["labels"].has(render::label::retired)) {
            continue;
        }
        draft.act(Lane::configs, NoteTold{kube::key_of(*claim), metadata["uid"].text(), names}, "",
                  "the cluster on it was told other settings");
    }
}

/// Settings that running brokers take are changed in them, once files say that they were told
/// something else: the files follow only after that, so a crash in between loses nothing.
Told told_so_far(const Draft& draft, const api::Texts& wanted) {
    Told told;
    for (const auto& [id, pod] : draft.pods) {
        for (const Json& volume : (*pod.object)["spec"]["volumes"].items()) {
            const ObjectPtr file =
                draft.find(draft.world.config_maps, volume["configMap"]["name"].text());
            if (!file || broker_of(*file) != id) {
                continue;
            }
            const api::Texts had = render::told_in((*file)["data"]["server.properties"].text());
            for (const auto& [key, value] : wanted) {
                const auto before = had.find(key);
                if (before == had.end() || before->second != value) {
                    told.change.set[key] = value;
                }
            }
            told.settings.insert(had.begin(), had.end());
        }
    }
    for (const ObjectPtr& claim : draft.world.claims) {
        for (const std::string& name : noted_on(*claim)) {
            told.settings.try_emplace(name, "");  // An earlier Cluster's, with a value of its own.
        }
    }
    for (const auto& [key, value] : told.settings) {
        if (wanted.contains(key)) {
            continue;
        }
        if (auto instead = render::value_instead_of_none(key)) {
            told.change.set[key] = *std::move(instead);
        } else {
            told.change.remove.push_back(key);
        }
    }
    return told;
}

/// A broker that waits for its restart keeps the settings it runs with.
void keep_running_file(Draft& draft, const render::Member& member, const api::Texts& told) {
    const std::string& revision = draft.pods.at(member.id).revision;
    const ObjectPtr file =
        draft.find(draft.world.config_maps, render::config_name(draft.name(), member.id, revision));
    if (!file) {
        return;
    }
    keep(draft, Lane::configs, kube::config_maps, draft.world.config_maps,
         render::config_map(draft.subject, member, revision,
                            render::with_told((*file)["data"]["server.properties"].text(), told)),
         fmt::format("settings that broker {} has taken", member.id));
}

render::BrokerSettings settings_of(const Draft& draft, const render::Member& member) {
    render::BrokerSettings settings;
    settings.cluster_id = draft.cluster_id;
    settings.id = member.id;
    settings.roles = {member.broker, member.controller};
    if (member.broker) {
        settings.listeners = api::all_listeners(draft.world.cluster.spec);
    }
    settings.config = draft.world.cluster.spec.config;
    settings.admin_tls = render::has_admin_tls(draft.subject);
    settings.broker_tls = draft.world.cluster.spec.tls.has_value();
    settings.links_key = member.broker && render::has_links_key(draft.subject);
    for (const api::VolumeSpec& volume : api::all_volumes(member.pool.storage)) {
        settings.volumes.push_back(volume.id);
    }
    return settings;
}

/// Whom clients may believe, without the key that lies beside it in the Secret.
void keep_trust(Draft& draft) {
    const ObjectPtr authority =
        draft.find(draft.world.secrets, render::authority_name(draft.name()));
    if (!authority || !render::has_certificates(draft.subject)) {
        return;
    }
    if (const auto pem = kube::from_base64((*authority)["data"]["ca.crt"].text())) {
        keep(draft, Lane::services, kube::config_maps, draft.world.config_maps,
             render::trust_map(draft.subject, *pem), "clients find there whom to believe");
    }
}

}  // namespace

bool has_service_per_broker(const api::ListenerSpec& listener) {
    return listener.type != api::ListenerType::internal;
}

std::string outside_address(const Draft& draft, int id, const api::ListenerSpec& listener) {
    const ObjectPtr service = draft.find(
        draft.world.services, render::broker_service_name(draft.name(), id, listener.name));
    std::string host;
    std::int64_t port = listener.port;
    if (service && listener.type == api::ListenerType::cluster_ip) {
        host = (*service)["spec"]["clusterIP"].text();
    } else if (service && listener.type == api::ListenerType::load_balancer) {
        host = host_of_balancer(draft, id, listener, *service);
    } else if (service && listener.type == api::ListenerType::node_port) {
        port = (*service)["spec"]["ports"][0]["nodePort"].integer();
        const auto pod = draft.pods.find(id);
        const auto node = pod == draft.pods.end() ? draft.world.nodes.end()
                                                  : draft.world.nodes.find(pod->second.node);
        host = node == draft.world.nodes.end() ? "" : node->second.address;
    }
    if (listener.advertised) {
        host = listener.advertised->host;
        constexpr std::string_view place = "{id}";
        for (std::size_t at = 0; (at = host.find(place, at)) != std::string::npos;) {
            host.replace(at, place.size(), std::to_string(id));
        }
        port = listener.advertised->port.value_or(static_cast<std::int32_t>(port));
    }
    return host.empty() || port == 0 ? "" : fmt::format("{}:{}", host, port);
}

bool is_found_elsewhere(const Draft& draft, int id) {
    const std::vector<api::ListenerSpec> listeners = api::all_listeners(draft.world.cluster.spec);
    return std::any_of(listeners.begin(), listeners.end(), [&](const auto& listener) {
        if (listener.type != api::ListenerType::load_balancer || listener.advertised) {
            return false;
        }
        const ObjectPtr service = draft.find(
            draft.world.services, render::broker_service_name(draft.name(), id, listener.name));
        const std::string told = told_host(draft, id, listener);
        const std::string now = service ? host_of_balancer(draft, id, listener, *service) : "";
        return !told.empty() && !now.empty() && told != now;
    });
}

void plan_links_key(Draft& draft) {
    const std::string name = render::links_key_name(draft.name());
    if (!render::has_links_key(draft.subject) || draft.find(draft.world.secrets, name)) {
        return;
    }
    draft.act(Lane::certificates, IssueLinksKey{}, "",
              "passwords of mirror links lie under it in the metadata");
    const bool is_used = std::any_of(draft.pods.begin(), draft.pods.end(), [&](const auto& one) {
        const Json& pod = *one.second.object;
        const auto& volumes = pod["spec"]["volumes"].items();
        return pod["status"]["phase"].text() == "Running" &&
               std::any_of(volumes.begin(), volumes.end(), [&](const Json& volume) {
                   return volume["secret"]["secretName"].text() == name;
               });
    });
    if (is_used && draft.world.has_links) {
        draft.plan.warnings.push_back(
            {"LinksKeyLost",
             fmt::format(
                 "Secret {} is gone and is made anew with another key: put the old one back "
                 "below it, or restart the brokers and write the passwords of links again",
                 name)});
    }
}

void plan_services(Draft& draft) {
    const auto& services = draft.world.services;
    keep(draft, Lane::services, kube::services, services, render::headless_service(draft.subject),
         "brokers find each other by it");
    keep(draft, Lane::services, kube::services, services, render::bootstrap_service(draft.subject),
         "clients find brokers by it");
    if (draft.problems.empty()) {
        keep(draft, Lane::services, kube::config_maps, draft.world.config_maps,
             render::spec_map(draft.subject), "this spec goes on if an edit can't be carried out");
    }
    for (const api::ListenerSpec& listener : api::all_listeners(draft.world.cluster.spec)) {
        if (!has_service_per_broker(listener)) {
            continue;
        }
        for (const auto& [id, member] : draft.membership.wanted) {
            if (!member.broker) {
                continue;
            }
            keep(draft, Lane::services, kube::services, services,
                 render::broker_service(draft.subject, id, listener),
                 fmt::format("broker {} is reached by listener {}", id, listener.name));
        }
    }
    keep_trust(draft);
    keep(draft, Lane::services, kube::disruption_budgets, draft.world.budgets,
         render::disruption_budget(draft.subject, draft.ledger.budget()),
         draft.ledger.budget() > 0 ? "one broker may be evicted" : "no broker may be evicted now");
}

void plan_volumes(Draft& draft) {
    const std::string voters = voters_text(draft.membership.voters);
    for (const auto& [id, member] : draft.membership.wanted) {
        if (member.pool.storage.ephemeral) {
            continue;
        }
        for (const api::VolumeSpec& volume : api::all_volumes(member.pool.storage)) {
            keep_claim(draft, member, volume, voters);
        }
    }
}

/// `kubectl delete --cascade=orphan` takes the Cluster out of their owners; one of its name and
/// disks takes them over. What is applied anew gets its owner by that. Only after a fresh look: the
/// Cluster may be the one that is being deleted so, and theirs again they would go with it.
void plan_owners(Draft& draft) {
    if (!draft.world.brokers) {
        return;  // A fresh look asks them.
    }
    const auto adopt = [&](const kube::Kind& kind, const Json& object) {
        const Json& metadata = object["metadata"];
        if (metadata["ownerReferences"].empty() && !metadata.has("deletionTimestamp")) {
            draft.act(Lane::pods,
                      Adopt{kind, kube::key_of(object), metadata["uid"].text(),
                            render::owners(draft.subject)},
                      "", "it has no owner and wouldn't go with the Cluster", true);
        }
    };
    for (const auto& [id, pod] : draft.pods) {
        adopt(kube::pods, *pod.object);
    }
    for (const ObjectPtr& secret : draft.world.secrets) {
        if ((*secret)["metadata"]["name"].text() != render::links_key_name(draft.name())) {
            adopt(kube::secrets, *secret);  // That key stays on purpose.
        }
    }
}

/// Nothing tells us of events about pods: they are looked at as long as there is a reason to.
void ask_what_hinders(Draft& draft, const PodFacts& pod) {
    constexpr Duration usual = 3s;
    draft.look_again_in(usual);
    if (draft.world.now - pod.created >= usual &&
        !draft.world.answers.pod_events.contains(pod.id)) {
        draft.plan.questions.emplace_back(AskPodEvents{pod.id, pod.uid});
    }
}

namespace {

/// Where those are missing that come while others leave, one rack for each. To the scheduler, who
/// leaves is a broker like any other: it would put its successor anywhere.
std::map<int, std::string> places_of_new(const Draft& draft) {
    const api::RackSpec& rack = draft.world.cluster.spec.rack;
    std::map<int, std::string> places;
    if (draft.membership.leaving.empty() || rack.spread == api::RackSpread::off ||
        rack.source == api::RackSource::pool) {
        return places;
    }
    std::map<std::string, int> staying;
    for (const auto& [id, pool] : draft.membership.leaving) {
        if (const std::string zone = draft.rack_of(id); !zone.empty() && !draft.is_dedicated(id)) {
            staying.try_emplace(zone, 0);
        }
    }
    for (const auto& [id, member] : draft.membership.wanted) {
        if (const std::string zone = draft.rack_of(id); !zone.empty() && member.broker) {
            ++staying[zone];
        }
    }
    const auto came_before = [&](int id) {  // Its disk says where it runs.
        const auto& known = draft.world.cluster.status.brokers;
        return draft.pods.contains(id) || draft.broker(id) != nullptr ||
               std::any_of(known.begin(), known.end(), [&](const api::BrokerStatus& one) {
                   return one.id == id && one.balanced;
               });
    };
    for (const auto& [id, member] : draft.membership.wanted) {
        if (!member.broker || member.pool.rack || came_before(id)) {
            continue;
        }
        const auto fewest =
            std::min_element(staying.begin(), staying.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; });
        if (fewest != staying.end()) {
            places[id] = fewest->first;
            ++fewest->second;
        }
    }
    return places;
}

}  // namespace

void plan_pods(Draft& draft) {
    plan_owners(draft);
    const std::map<int, std::string> places = places_of_new(draft);
    for (const auto& [id, member] : draft.running) {
        const auto pod = draft.pods.find(id);
        if (const ObjectPtr file =
                pod == draft.pods.end() ? settings_of_last_pod(draft, member) : nullptr) {
            draft.act(Lane::pods, draft.removal(kube::config_maps, *file), "",
                      fmt::format("broker {} gets settings for the place that it comes to", id));
            draft.waits[id] = "its settings are being made anew";
        } else if (pod == draft.pods.end()) {
            render::Member placed = member;
            if (const auto place = places.find(id); place != places.end()) {
                placed.place = place->second;
            }
            draft.act(Lane::pods, Create{kube::pods, render::pod(draft.subject, placed)},
                      "BrokerCreated", fmt::format("broker {} is wanted: its pod is made", id));
            draft.waits[id] = "its pod is being created";
        } else if (pod->second.ended && !pod->second.going) {
            draft.act(Lane::pods, draft.removal(kube::pods, *pod->second.object), "BrokerReplaced",
                      fmt::format("the pod of broker {} has ended and is made anew", id));
        } else if (pod->second.going) {
            draft.waits[id] = "its old pod is ending";
        } else if (pod->second.is_being_made) {
            ask_what_hinders(draft, pod->second);
        }
    }
}

void plan_configs(Draft& draft) {
    const api::ClusterSpec& spec = draft.world.cluster.spec;
    api::Texts wanted = render::taken_while_running(spec.config);
    if (const auto copies = spec.topics.defaults.replicas;
        copies && !spec.config.contains("default.replication.factor")) {
        wanted.try_emplace(std::string(render::default_replicas_key), std::to_string(*copies));
    }
    const Told told = told_so_far(draft, wanted);
    const bool is_told = told.change.set.empty() && told.change.remove.empty();
    const auto file_of = [&](int id, const std::string& revision) {
        return draft.find(draft.world.config_maps, render::config_name(draft.name(), id, revision));
    };
    const auto write = [&](const render::Member& member, const api::Texts& texts) {
        render::BrokerSettings settings = settings_of(draft, member);
        settings.told = texts;
        if (std::string wait = fill_addresses(draft, member, settings); !wait.empty()) {
            draft.waits.emplace(member.id, std::move(wait));
            return;
        }
        const std::string& revision = draft.revisions.at(member.id);
        keep(draft, Lane::configs, kube::config_maps, draft.world.config_maps,
             render::config_map(draft.subject, member, revision, render::properties_text(settings)),
             fmt::format("settings of broker {}", member.id));
    };
    // A broker that has no file yet waits for no answer of others.
    for (const auto& [id, member] : draft.running) {
        if (!draft.is_outdated(id) && !file_of(id, draft.revisions.at(id))) {
            write(member, told.settings);
        }
    }
    if (!is_told && draft.world.brokers) {
        draft.act(Lane::configs, AlterDefaults{told.change}, "SettingsChanged",
                  "these settings need no restart");
    }
    const api::Texts& then = is_told || draft.world.brokers ? wanted : told.settings;
    for (const auto& [id, member] : draft.running) {
        if (draft.is_outdated(id)) {
            keep_running_file(draft, member, then);
            render::BrokerSettings next = settings_of(draft, member);
            if (std::string wait = fill_addresses(draft, member, next); !wait.empty()) {
                draft.unwritten.emplace(id, std::move(wait));
            }
        } else if (file_of(id, draft.revisions.at(id))) {
            write(member, then);
        }
    }
    note_on_disks(draft, then);
}

void plan_garbage(Draft& draft) {
    std::set<std::string> needed;
    for (const auto& [id, pod] : draft.pods) {
        for (const Json& volume : (*pod.object)["spec"]["volumes"].items()) {
            needed.insert(volume["configMap"]["name"].text());
        }
    }
    for (const auto& [id, member] : draft.membership.wanted) {
        needed.insert(render::config_name(draft.name(), id, draft.revisions.at(id)));
        needed.insert(render::certificate_name(draft.name(), id));
        for (const api::ListenerSpec& listener : api::all_listeners(draft.world.cluster.spec)) {
            if (member.broker && has_service_per_broker(listener)) {
                needed.insert(render::broker_service_name(draft.name(), id, listener.name));
            }
        }
    }
    const auto sweep = [&](const kube::Kind& kind, const std::vector<ObjectPtr>& objects) {
        for (const ObjectPtr& object : objects) {
            const auto id = broker_of(*object);
            const std::string& name = (*object)["metadata"]["name"].text();
            // Only what is one broker's own; and a leaving broker still needs it.
            if (!id || needed.contains(name) || draft.membership.leaving.contains(*id) ||
                (*object)["metadata"].has("deletionTimestamp")) {
                continue;
            }
            draft.act(Lane::garbage, draft.removal(kind, *object), "",
                      fmt::format("nothing uses it any more (broker {})", *id));
        }
    };
    sweep(kube::config_maps, draft.world.config_maps);
    sweep(kube::services, draft.world.services);
    sweep(kube::secrets, draft.world.secrets);
}

}  // namespace millrace::planner
