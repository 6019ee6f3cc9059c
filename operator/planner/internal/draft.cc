#include "operator/planner/internal/draft.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "operator/render/names.h"

namespace millrace::planner {

namespace {

std::vector<int> parse_ids(const std::string& text) {
    std::vector<int> ids;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        int id = 0;
        if (std::from_chars(text.data() + at, text.data() + end, id).ec == std::errc{}) {
            ids.push_back(id);
        }
        at = end + 1;
    }
    return ids;
}

bool is_retired(const Json& claim) {
    return claim["metadata"]["labels"].has(render::label::retired);
}

/// Disks know best: they outlive the Cluster object.
std::string cluster_id_of(const World& world) {
    for (const ObjectPtr& claim : world.claims) {
        const std::string& id =
            (*claim)["metadata"]["annotations"][render::annotation::cluster_id].text();
        if (!id.empty()) {
            return id;
        }
    }
    return world.cluster.status.cluster_id.empty()
               ? render::cluster_id_from_uid(world.cluster.metadata.uid)
               : world.cluster.status.cluster_id;
}

/// Who carries the quorum, as the disks say: most of them, since a change of voters is written to
/// one after the other. Brokers are only asked where no disk knows: one that has just started may
/// not know all of them yet.
std::vector<int> recorded_voters(const World& world) {
    std::map<std::string, int> said;
    for (const ObjectPtr& claim : world.claims) {
        const std::string& voters =
            (*claim)["metadata"]["annotations"][render::annotation::voters].text();
        if (!voters.empty() && !is_retired(*claim)) {
            ++said[voters];
        }
    }
    const auto most = std::max_element(
        said.begin(), said.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most != said.end()) {
        return parse_ids(most->first);
    }
    const auto& status = world.cluster.status.controllers;
    if (status && !status->voters.empty()) {
        return {status->voters.begin(), status->voters.end()};
    }
    return world.brokers ? world.brokers->voters : std::vector<int>{};
}

std::vector<int> voting_now(const World& world) {
    const auto& answer = world.answers.quorum;
    if (!answer || !answer->value) {
        return recorded_voters(world);
    }
    std::vector<int> ids;
    for (const brokers::QuorumNode& voter : answer->value->voters) {
        ids.push_back(voter.id);
    }
    return ids;
}

std::map<int, std::string> known_racks(const World& world) {
    std::map<int, std::string> racks;
    if (world.brokers) {
        for (const auto& [id, broker] : world.brokers->brokers) {
            racks[id] = broker.rack;
        }
    }
    for (const ObjectPtr& pod : world.pods) {
        const PodFacts facts = facts_of(pod, world.cluster.spec.rack.topology_key);
        const auto node = world.nodes.find(facts.node);
        const std::string zone = !facts.zone.empty()         ? facts.zone
                                 : node != world.nodes.end() ? node->second.zone
                                                             : "";
        if (facts.id >= 0 && !zone.empty()) {
            racks[facts.id] = zone;
        }
    }
    return racks;
}

Known known_brokers(const World& world) {
    const std::string fallback = api::all_pools(world.cluster.spec).empty()
                                     ? std::string(api::default_pool)
                                     : api::all_pools(world.cluster.spec).front().name;
    Known known;
    const auto add = [&](int id, const std::string& pool) {
        auto& slot = known.pool_by_id[id];
        if (slot.empty()) {
            slot = pool;
        }
    };
    const auto add_objects = [&](const std::vector<ObjectPtr>& objects) {
        for (const ObjectPtr& object : objects) {
            const auto id = broker_of(*object);
            if (id && !is_retired(*object)) {
                add(*id, (*object)["metadata"]["labels"][render::label::pool].text());
            }
        }
    };
    add_objects(world.pods);
    for (const api::BrokerStatus& broker : world.cluster.status.brokers) {
        add(broker.id, broker.pool);
        if (broker.state == api::BrokerState::draining) {
            known.draining.insert(broker.id);
        }
    }
    if (world.brokers) {
        for (const auto& [id, broker] : world.brokers->brokers) {
            add(id, "");
            if (!broker.cordoned) {
                known.draining.erase(id);  // Stopped for its restart: it was not told to leave.
            }
            if (broker.state == brokers::BrokerState::fenced && broker.replicas == 0) {
                known.idle.insert(id);
            }
        }
    }
    const std::map<int, std::string> beside_disks = known.pool_by_id;
    add_objects(world.claims);
    for (auto& [id, pool] : known.pool_by_id) {
        pool = pool.empty() ? fallback : pool;
        // Asked of the brokers first: pods and status may be a moment old.
        if (!beside_disks.contains(id) || (world.brokers && !world.brokers->brokers.contains(id))) {
            known.idle.insert(id);
        }
    }
    return known;
}

/// What a pool looked like that the spec has no more, by the disks that one of its members has
/// left.
std::optional<api::PoolSpec> former_pool(const World& world, int id, const std::string& name) {
    api::PoolSpec pool;
    pool.name = name;
    pool.resources = world.cluster.spec.resources;
    pool.pod_template = world.cluster.spec.pod_template;
    for (const api::BrokerStatus& broker : world.cluster.status.brokers) {
        if (broker.id == id && !broker.rack.empty() &&
            world.cluster.spec.rack.source == api::RackSource::pool) {
            pool.rack = broker.rack;
        }
    }
    for (const ObjectPtr& claim : world.claims) {
        if (broker_of(*claim) == id && is_bound(*claim) &&
            !(*claim)["metadata"].has("deletionTimestamp")) {
            if (auto volume = volume_of(*claim)) {
                pool.storage.volumes.push_back(*std::move(volume));
            }
        }
    }
    if (pool.storage.volumes.empty()) {
        return std::nullopt;
    }
    return pool;
}

}  // namespace

Draft::Draft(const World& the_world)
    : world(the_world),
      subject{the_world.cluster, the_world.around},
      cluster_id(cluster_id_of(the_world)),
      membership(members_of(the_world.cluster.spec, known_brokers(the_world),
                            recorded_voters(the_world), known_racks(the_world))),
      ledger({}, 1) {
    choose_members();
    for (const ObjectPtr& pod : world.pods) {
        PodFacts facts = facts_of(pod, world.cluster.spec.rack.topology_key);
        const auto events = world.answers.pod_events.find(facts.id);
        if (facts.is_being_made && events != world.answers.pod_events.end()) {
            facts.trouble = why_not_made(
                events->second, world.now,
                {render::config_name(name(), facts.id, ""),
                 render::certificate_name(name(), facts.id), render::links_key_name(name())});
        }
        if (facts.id >= 0) {
            pods[facts.id] = std::move(facts);
        }
    }
    keep_used_volumes(*this);
    for (auto* members : {&membership.wanted, &running}) {
        for (auto& [id, member] : *members) {
            if (const auto pod = pods.find(id); pod != pods.end()) {
                member.restart = pod->second.restart;
            }
        }
    }
    for (const auto& [id, member] : running) {
        revisions[id] = render::revision_of(subject, member);
        if (member.broker && is_found_elsewhere(*this, id)) {
            found_elsewhere.insert(id);
        }
    }
    std::vector<Standing> standings;
    const auto stand = [&](int id) {
        Standing standing;
        standing.id = id;
        standing.rack = rack_of(id);
        const auto pod = pods.find(id);
        const brokers::BrokerFacts* facts = broker(id);
        const bool ready = pod != pods.end() && pod->second.ready;
        const bool is_broker = !is_dedicated(id);
        standing.recovering = facts != nullptr && facts->state == brokers::BrokerState::recovering;
        standing.up =
            ready && (!is_broker || !world.brokers ||
                      (facts != nullptr && facts->state == brokers::BrokerState::running));
        const int in_sync_percent =
            facts == nullptr || facts->replicas == 0
                ? 100
                : 100 - (100 * facts->lagging_replicas + facts->replicas - 1) / facts->replicas;
        standing.caught_up = in_sync_percent >= world.cluster.spec.rolling.caught_up_percent;
        if (pod == pods.end()) {
            standing.why = "its pod is gone";
        } else if (!pod->second.trouble.empty()) {
            standing.why = trouble_of(pod->second);
        } else if (facts != nullptr && !facts->waiting_for.empty()) {
            standing.why = facts->waiting_for;
        } else if (!standing.up) {
            const std::string& last_end = pod->second.last_end;
            standing.why = ready              ? "the controller hasn't seen it yet"
                           : last_end.empty() ? "its pod is not ready"
                                              : last_end + "; it starts again";
        } else if (!standing.caught_up) {
            standing.why =
                std::to_string(facts->lagging_replicas) + " of its replicas are not in sync";
        }
        standings.push_back(std::move(standing));
    };
    for (const auto& [id, member] : membership.wanted) {
        stand(id);
    }
    const std::vector<int> voting = voting_now(world);
    for (const auto& [id, pool] : membership.leaving) {
        // Who never came, or has no say any more, is missed by nobody.
        const bool votes = std::find(voting.begin(), voting.end(), id) != voting.end();
        if (broker(id) != nullptr || (is_dedicated(id) && votes && pods.contains(id))) {
            stand(id);
        }
    }
    ledger = Ledger(std::move(standings), world.cluster.spec.rolling.max_unavailable_per_rack);
}

/// Who leaves and holds replicas or votes goes on running until that is moved: should its pod be
/// lost, it gets another.
void Draft::choose_members() {
    const std::vector<int> voting = voting_now(world);
    const auto has_replicas = [&](int id) {
        const brokers::BrokerFacts* facts = broker(id);
        return facts != nullptr && facts->replicas > 0;
    };
    const bool moves_first = std::any_of(membership.leaving.begin(), membership.leaving.end(),
                                         [&](const auto& one) { return has_replicas(one.first); });
    if (moves_first && !voting.empty()) {
        membership.wanted_voters = voting;  // Who leaves may be told to stay, until it is empty.
    }
    keep_voting(membership, voting);
    running = membership.wanted;
    std::vector<api::PoolSpec> pools = api::all_pools(world.cluster.spec);
    for (const auto& [id, pool_name] : membership.leaving) {
        const bool votes_now = std::find(voting.begin(), voting.end(), id) != voting.end();
        if (!has_replicas(id) && !votes_now) {
            continue;
        }
        const auto pool =
            std::find_if(pools.begin(), pools.end(),
                         [&, name = pool_name](const auto& one) { return one.name == name; });
        const bool is_broker = pool_name != api::controllers_name;
        if (auto shape = is_broker && pool != pools.end() ? std::optional(*pool)
                                                          : former_pool(world, id, pool_name)) {
            running[id] = {id, *std::move(shape), votes_now, is_broker};
        }
    }
}

/// Why its pod doesn't run. The scheduler doesn't name the class of a disk that nobody makes.
std::string Draft::trouble_of(const PodFacts& pod) const {
    for (const std::string& ours :
         {render::config_name(name(), pod.id, ""), render::certificate_name(name(), pod.id)}) {
        if (pod.trouble.find(ours) != std::string::npos) {  // Nobody else has to make it.
            return std::string(settings_come);
        }
    }
    const auto& version = world.cluster.spec.version;
    if (pod.trouble.starts_with("image ") && version && *version != world.around.version) {
        return fmt::format("{}; spec.version is {}, and this operator's own version is {}",
                           pod.trouble, *version, world.around.version);
    }
    if (pod.trouble.find("PersistentVolumeClaim") == std::string::npos) {
        return pod.trouble;
    }
    for (const ObjectPtr& claim : world.claims) {
        if (broker_of(*claim) == pod.id && !is_bound(*claim)) {
            const std::string& storage_class = (*claim)["spec"]["storageClassName"].text();
            return pod.trouble +
                   (storage_class.empty() ? "; "
                                          : "; is there a StorageClass " + storage_class + "? ") +
                   "see kubectl describe pvc " + (*claim)["metadata"]["name"].text();
        }
    }
    return pod.trouble;
}

const brokers::BrokerFacts* Draft::broker(int id) const {
    if (!world.brokers) {
        return nullptr;
    }
    const auto found = world.brokers->brokers.find(id);
    return found == world.brokers->brokers.end() ? nullptr : &found->second;
}

std::string Draft::rack_of(int id) const {
    const api::RackSource source = world.cluster.spec.rack.source;
    if (const auto member = membership.wanted.find(id); member != membership.wanted.end() &&
                                                        member->second.pool.rack &&
                                                        source != api::RackSource::node) {
        return *member->second.pool.rack;
    }
    if (source == api::RackSource::pool) {
        return "";
    }
    const auto pod = pods.find(id);
    if (pod != pods.end() && !pod->second.zone.empty()) {
        return pod->second.zone;
    }
    if (pod != pods.end()) {
        if (const auto node = world.nodes.find(pod->second.node); node != world.nodes.end()) {
            return node->second.zone;
        }
    }
    const brokers::BrokerFacts* facts = broker(id);
    return facts == nullptr ? "" : facts->rack;
}

ObjectPtr Draft::find(const std::vector<ObjectPtr>& objects, const std::string& wanted) const {
    const auto found = std::find_if(objects.begin(), objects.end(), [&](const ObjectPtr& one) {
        return (*one)["metadata"]["name"].text() == wanted;
    });
    return found == objects.end() ? nullptr : *found;
}

bool Draft::is_dedicated(int id) const {
    if (const auto member = membership.wanted.find(id); member != membership.wanted.end()) {
        return !member->second.broker;
    }
    const auto leaves = membership.leaving.find(id);
    return leaves != membership.leaving.end() && leaves->second == api::controllers_name;
}

bool Draft::is_outdated(int id) const {
    const auto pod = pods.find(id);
    const auto revision = revisions.find(id);
    return pod != pods.end() && revision != revisions.end() &&
           (pod->second.revision != revision->second || found_elsewhere.contains(id));
}

bool Draft::was_draining(int id) const {
    const auto& before = world.cluster.status.brokers;
    return std::any_of(before.begin(), before.end(), [&](const api::BrokerStatus& one) {
        return one.id == id && one.state == api::BrokerState::draining;
    });
}

bool Draft::is_our_cordon(int id) const {
    const brokers::BrokerFacts* facts = broker(id);
    return facts != nullptr && facts->cordoned && was_draining(id);
}

bool Draft::votes(int id) const {
    const std::vector<int> voting = voting_now(world);
    return std::find(voting.begin(), voting.end(), id) != voting.end();
}

void Draft::act(Lane lane, Act what, std::string event, std::string why, bool fresh_look) {
    plan.actions.push_back({lane, std::move(what), std::move(event), std::move(why), fresh_look});
}

void Draft::look_again_in(Duration wait) {
    plan.again = plan.again ? std::min(*plan.again, wait) : wait;
}

Remove Draft::removal(const kube::Kind& kind, const Json& object) const {
    return {kind, kube::key_of(object), object["metadata"]["uid"].text()};
}

}  // namespace millrace::planner
