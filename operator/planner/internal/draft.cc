#include "operator/planner/internal/draft.h"

#include <algorithm>
#include <charconv>

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

/// What the quorum was made with, as its disks say. Brokers are only asked where no disk knows: one
/// that has just started may not know all of them yet.
std::vector<int> fixed_voters(const World& world) {
    for (const ObjectPtr& claim : world.claims) {
        const std::string& voters =
            (*claim)["metadata"]["annotations"][render::annotation::voters].text();
        if (!voters.empty() && !is_retired(*claim)) {
            return parse_ids(voters);
        }
    }
    const auto& status = world.cluster.status.controllers;
    if (status && !status->voters.empty()) {
        return {status->voters.begin(), status->voters.end()};
    }
    return world.brokers ? world.brokers->voters : std::vector<int>{};
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
    add_objects(world.claims);
    for (const api::BrokerStatus& broker : world.cluster.status.brokers) {
        add(broker.id, broker.pool);
    }
    if (world.brokers) {
        for (const auto& [id, broker] : world.brokers->brokers) {
            add(id, "");
        }
    }
    for (auto& [id, pool] : known.pool_by_id) {
        pool = pool.empty() ? fallback : pool;
    }
    return known;
}

}  // namespace

Draft::Draft(const World& the_world)
    : world(the_world),
      subject{the_world.cluster, the_world.around},
      cluster_id(cluster_id_of(the_world)),
      membership(
          members_of(the_world.cluster.spec, known_brokers(the_world), fixed_voters(the_world))),
      ledger({}, 1) {
    for (const ObjectPtr& pod : world.pods) {
        PodFacts facts = facts_of(pod, world.cluster.spec.rack.topology_key);
        if (facts.id >= 0) {
            pods[facts.id] = std::move(facts);
        }
    }
    for (const auto& [id, member] : membership.wanted) {
        revisions[id] = render::revision_of(subject, member);
    }
    std::vector<Standing> standings;
    const auto stand = [&](int id) {
        Standing standing;
        standing.id = id;
        standing.rack = rack_of(id);
        const auto pod = pods.find(id);
        const brokers::BrokerFacts* facts = broker(id);
        const bool ready = pod != pods.end() && pod->second.ready;
        standing.recovering = facts != nullptr && facts->state == brokers::BrokerState::recovering;
        standing.up =
            ready &&
            (!world.brokers || (facts != nullptr && facts->state == brokers::BrokerState::running));
        const int in_sync_percent =
            facts == nullptr || facts->replicas == 0
                ? 100
                : 100 - (100 * facts->lagging_replicas + facts->replicas - 1) / facts->replicas;
        standing.caught_up = in_sync_percent >= world.cluster.spec.rolling.caught_up_percent;
        if (pod == pods.end()) {
            standing.why = "its pod is gone";
        } else if (!pod->second.trouble.empty()) {
            standing.why = pod->second.trouble;
        } else if (facts != nullptr && !facts->waiting_for.empty()) {
            standing.why = facts->waiting_for;
        } else if (!standing.up) {
            standing.why = ready ? "the controller hasn't seen it yet" : "its pod is not ready";
        } else if (!standing.caught_up) {
            standing.why =
                std::to_string(facts->lagging_replicas) + " of its replicas are not in sync";
        }
        standings.push_back(std::move(standing));
    };
    for (const auto& [id, member] : membership.wanted) {
        stand(id);
    }
    for (const auto& [id, pool] : membership.leaving) {
        if (broker(id) != nullptr) {
            stand(id);
        }
    }
    ledger = Ledger(std::move(standings), world.cluster.spec.rolling.max_unavailable_per_rack);
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

bool Draft::is_outdated(int id) const {
    const auto pod = pods.find(id);
    const auto revision = revisions.find(id);
    return pod != pods.end() && revision != revisions.end() &&
           pod->second.revision != revision->second;
}

bool Draft::is_our_cordon(int id) const {
    const brokers::BrokerFacts* facts = broker(id);
    const auto& before = world.cluster.status.brokers;
    return facts != nullptr && facts->cordoned &&
           std::any_of(before.begin(), before.end(), [&](const api::BrokerStatus& one) {
               return one.id == id && one.state == api::BrokerState::draining;
           });
}

void Draft::act(Lane lane, Act what, std::string event, std::string why, bool fresh_look) {
    plan.actions.push_back({lane, std::move(what), std::move(event), std::move(why), fresh_look});
}

Remove Draft::removal(const kube::Kind& kind, const Json& object) const {
    return {kind, kube::key_of(object), object["metadata"]["uid"].text()};
}

}  // namespace millrace::planner
