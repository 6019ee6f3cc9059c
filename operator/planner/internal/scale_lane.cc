// Brokers that come and go: replicas move to the new ones and away from those that leave.
#include <algorithm>
#include <fmt/core.h>

#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

using brokers::PlanState;

constexpr std::string_view leave_suffix = " leave";

std::string list_of(const std::vector<int>& ids) {
    std::string text;
    for (const int id : ids) {
        text += (text.empty() ? "" : ", ") + std::to_string(id);
    }
    return text;
}

bool is_offered(const Draft& draft, const std::string& call) {
    return !draft.world.answers.unsupported.contains(call);
}

brokers::PlanWish wish_for(const Draft& draft, brokers::PlanMode mode) {
    const api::BalanceSpec& balance = draft.world.cluster.spec.balance;
    brokers::PlanWish wish;
    wish.mode = mode;
    wish.exclude_topics = balance.exclude;
    wish.max_moves_per_broker = balance.max_moves_per_broker;
    wish.throttle_bytes_per_second = balance.throttle ? balance.throttle->value() : 0;
    return wish;
}

bool is_under_way(PlanState state) {
    return state == PlanState::running || state == PlanState::paused ||
           state == PlanState::cancelling;
}

api::RebalanceStatus status_of(const brokers::PlanProgress& progress) {
    api::RebalanceStatus status;
    status.state = progress.state == PlanState::paused ? api::RebalanceState::paused
                                                       : api::RebalanceState::moving;
    status.plan_hash = progress.hash;
    status.moves = {progress.moves_total, progress.moves_done, progress.moves_in_flight};
    status.bytes = {progress.bytes_total, progress.bytes_done};
    status.rate = progress.bytes_per_second;
    if (progress.eta_seconds >= 0) {
        status.eta = api::Span(std::chrono::seconds(progress.eta_seconds));
    }
    status.lower_bound = progress.lower_bound;
    status.blocked_by = progress.blocked_by;
    return status;
}

/// The plan that is being carried out, if there is one. Asks once a round; true: wait for it.
bool plan_under_way(Draft& draft, const std::string& trigger) {
    const auto& progress = draft.world.answers.progress;
    if (!progress) {
        draft.plan.questions.emplace_back(AskProgress{});
        return true;
    }
    if (!progress->value || !is_under_way(progress->value->state)) {
        return false;
    }
    draft.rebalance = status_of(*progress->value);
    draft.rebalance->trigger = trigger;
    draft.plan.again = 1s;  // Its progress is shown; its end is also told by the health stream.
    return true;
}

/// Asks for a plan and starts it, as far as the spec allows. False: nothing is to be moved.
bool move_replicas(Draft& draft, const brokers::PlanWish& wish, const std::string& trigger) {
    const auto& answer = draft.world.answers.plan;
    if (!answer) {
        draft.plan.questions.emplace_back(AskPlan{wish});
        return true;
    }
    if (!answer->value) {
        draft.balance_problem = answer->unsupported
                                    ? "brokers of this version can't plan moves of replicas"
                                    : answer->error;
        draft.plan.again = answer->unsupported ? 60s : 5s;
        return false;
    }
    const brokers::PlanFacts& plan = *answer->value;
    if (!plan.unmet.empty() && wish.mode == brokers::PlanMode::drain) {
        draft.scale_refused = true;
        draft.scale_waits = plan.unmet.front();
    }
    if (plan.moves == 0) {
        return false;
    }
    const api::BalanceSpec& balance = draft.world.cluster.spec.balance;
    api::RebalanceStatus status;
    status.trigger = trigger;
    status.plan_hash = plan.hash;
    status.moves.total = plan.moves;
    status.bytes.total = plan.bytes;
    status.lower_bound = plan.lower_bound;
    if (draft.scale_refused) {
        status.state = api::RebalanceState::blocked;
        status.blocked_by = draft.scale_waits;
    } else if (balance.mode == api::BalanceMode::manual && balance.approve != plan.hash) {
        status.state = api::RebalanceState::awaiting_approval;
    } else {
        status.state = api::RebalanceState::moving;
        draft.act(Lane::scale, StartPlan{plan.hash}, "RebalanceStarted",
                  fmt::format("{}: {} moves, at least {} are needed", trigger, plan.moves,
                              plan.lower_bound));
        draft.plan.again = 1s;
    }
    draft.rebalance = status;
    return true;
}

std::vector<int> leaving_ids(const Draft& draft) {
    std::vector<int> ids;
    for (const auto& [id, pool] : draft.membership.leaving) {
        ids.push_back(id);
    }
    return ids;
}

/// Its replicas are gone, as the metadata shows: pod, registration and disk go, in this order, each
/// after a fresh look. False: there is nothing to do for it now, the next one may go.
bool let_go(Draft& draft, int id) {
    if (draft.votes(id)) {
        draft.waits[id] = "it still votes in the metadata quorum";
        return false;
    }
    const auto pod = draft.pods.find(id);
    if (pod != draft.pods.end()) {
        if (!pod->second.going) {
            draft.act(Lane::scale, draft.removal(kube::pods, *pod->second.object), "BrokerRemoved",
                      fmt::format("broker {} leaves and holds no replica", id), true);
        }
        draft.waits[id] = "its pod is ending";
        return true;
    }
    if (draft.broker(id) != nullptr) {
        if (!is_offered(draft, "UnregisterBroker")) {
            draft.waits[id] = "brokers of this version can't forget it; it stays registered";
            return false;
        }
        draft.act(Lane::scale, Unregister{id}, "BrokerUnregistered",
                  fmt::format("broker {} has left", id), true);
        draft.waits[id] = "it is being unregistered";
        return true;
    }
    const bool discard =
        draft.world.cluster.spec.storage &&
        draft.world.cluster.spec.storage->retention.when_scaled == api::ReclaimPolicy::remove;
    for (const ObjectPtr& claim : draft.world.claims) {
        if (broker_of(*claim) != id || (*claim)["metadata"].has("deletionTimestamp") ||
            (*claim)["metadata"]["labels"].has(render::label::retired)) {
            continue;
        }
        if (discard) {
            draft.act(Lane::scale, draft.removal(kube::claims, *claim), "VolumeDeleted",
                      fmt::format("broker {} has left; whenScaled says Delete", id), true);
            return true;  // One disk at a time.
        }
        Json kept = Json::object({{"apiVersion", "v1"}, {"kind", "PersistentVolumeClaim"}});
        kept["metadata"] = Json::object({{"name", (*claim)["metadata"]["name"]},
                                         {"namespace", (*claim)["metadata"]["namespace"]},
                                         {"labels", (*claim)["metadata"]["labels"]},
                                         {"annotations", (*claim)["metadata"]["annotations"]}});
        kept["metadata"]["labels"][render::label::retired] = "true";
        kept["spec"]["resources"] = (*claim)["spec"]["resources"];
        kept["spec"]["accessModes"] = (*claim)["spec"]["accessModes"];
        draft.act(Lane::scale, Apply{kube::claims, std::move(kept)}, "VolumeKept",
                  fmt::format("broker {} has left; its disk is kept (whenScaled: Retain)", id));
    }
    return true;
}

void plan_leaving(Draft& draft) {
    const std::vector<int> leaving = leaving_ids(draft);
    if (!draft.world.brokers) {
        draft.scale_waits = "no broker answers";
        return;
    }
    std::vector<int> uncordoned;
    bool holds_replicas = false;
    for (const int id : leaving) {
        const brokers::BrokerFacts* facts = draft.broker(id);
        holds_replicas |= facts != nullptr && facts->replicas > 0;
        if (facts != nullptr && !facts->cordoned) {
            uncordoned.push_back(id);
        }
    }
    if (!uncordoned.empty() && is_offered(draft, "Cordon")) {
        draft.act(Lane::scale, Cordon{uncordoned, true}, "BrokersCordoned",
                  fmt::format("no new replica goes to {}: leaving", list_of(uncordoned)));
        draft.scale_waits = "leaving brokers are being cordoned";
        return;
    }
    if (holds_replicas) {
        const std::string trigger = fmt::format("brokers {}{}", list_of(leaving), leave_suffix);
        if (plan_under_way(draft, trigger)) {
            draft.scale_waits = "replicas are moving away from leaving brokers";
            return;
        }
        brokers::PlanWish wish = wish_for(draft, brokers::PlanMode::drain);
        wish.drain = leaving;
        if (move_replicas(draft, wish, trigger)) {
            if (draft.scale_waits.empty()) {
                draft.scale_waits = "replicas are about to move away from leaving brokers";
            }
            return;
        }
        if (draft.scale_waits.empty()) {
            draft.scale_waits = draft.balance_problem.empty()
                                    ? "leaving brokers still hold replicas"
                                    : draft.balance_problem;
        }
    }
    for (const int id : leaving) {
        const brokers::BrokerFacts* facts = draft.broker(id);
        if ((facts == nullptr || facts->replicas == 0) && let_go(draft, id)) {
            return;  // One broker at a time.
        }
    }
}

void take_back(Draft& draft) {
    std::vector<int> cordoned;
    for (const auto& [id, member] : draft.membership.wanted) {
        if (draft.is_our_cordon(id)) {
            cordoned.push_back(id);
        }
    }
    if (!cordoned.empty() && is_offered(draft, "Uncordon")) {
        draft.act(Lane::scale, Cordon{cordoned, false}, "BrokersUncordoned",
                  fmt::format("{} stay after all", list_of(cordoned)));
    }
}

/// Brokers that run and hold nothing while others do.
std::vector<int> empty_brokers(const Draft& draft) {
    std::vector<int> empty;
    for (const auto& [id, member] : draft.membership.wanted) {
        const brokers::BrokerFacts* facts = draft.broker(id);
        if (facts != nullptr && facts->state == brokers::BrokerState::running &&
            facts->replicas == 0) {
            empty.push_back(id);
        }
    }
    return empty;
}

void plan_spreading(Draft& draft) {
    const api::BalanceMode mode = draft.world.cluster.spec.balance.mode;
    if (mode == api::BalanceMode::off || !draft.world.brokers ||
        draft.world.brokers->partitions.total == 0) {
        return;
    }
    // A started plan goes on until its end, also once no broker is empty any more.
    const auto& before = draft.world.cluster.status.rebalance;
    const bool started = before && before->state == api::RebalanceState::moving;
    const std::vector<int> empty = empty_brokers(draft);
    if (empty.empty() && !started) {
        return;
    }
    const std::string trigger =
        empty.empty() ? before->trigger : fmt::format("brokers {} hold nothing", list_of(empty));
    if (plan_under_way(draft, trigger)) {
        const bool is_for_leaving = before && before->trigger.ends_with(leave_suffix);
        if (is_for_leaving && draft.rebalance) {
            draft.act(Lane::scale, CancelPlan{draft.rebalance->plan_hash}, "RebalanceCancelled",
                      "nobody leaves any more");
        }
        return;
    }
    for (const auto& [id, member] : draft.membership.wanted) {
        const brokers::BrokerFacts* facts = draft.broker(id);
        if (facts == nullptr || facts->state != brokers::BrokerState::running) {
            return;  // Once for all that come, not once for each.
        }
    }
    move_replicas(draft, wish_for(draft, brokers::PlanMode::scale_out), trigger);
}

}  // namespace

void plan_scale(Draft& draft) {
    take_back(draft);
    if (!draft.membership.leaving.empty()) {
        plan_leaving(draft);
    } else {
        plan_spreading(draft);
    }
}

}  // namespace millrace::planner
