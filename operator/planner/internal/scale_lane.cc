// Brokers that come and go: replicas move to the new ones and away from those that leave.
#include <algorithm>
#include <cstdio>
#include <fmt/core.h>
#include <functional>
#include <iterator>
#include <optional>

#include "operator/api/topic.h"
#include "operator/kube/time_text.h"
#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

using brokers::PlanState;

constexpr std::string_view somebodys_plan = "it was asked for elsewhere";
constexpr std::string_view new_suffix = " new";
constexpr std::string_view volumes_go = "volumes are about to go";

std::string list_of(const std::vector<int>& ids) {
    std::string text;
    for (const int id : ids) {
        text += (text.empty() ? "" : ", ") + std::to_string(id);
    }
    return text;
}

std::string brokers_text(const std::vector<int>& ids) {
    return (ids.size() == 1 ? "broker " : "brokers ") + list_of(ids);
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

Duration since(const Draft& draft, const std::string& when) {
    const auto at = kube::parse_time(when);
    return at ? draft.world.now - *at : Duration{0};
}

bool is_under_way(PlanState state) {
    return state == PlanState::running || state == PlanState::paused ||
           state == PlanState::cancelling;
}

api::RebalanceStatus status_of(const brokers::PlanProgress& progress) {
    api::RebalanceStatus status;
    status.state = progress.state == PlanState::paused ? api::RebalanceState::paused
                                                       : api::RebalanceState::moving;
    status.plan_hash = brokers::plan_id(progress.hash);
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

/// What we have started and not seen the end of.
const api::RebalanceStatus* started_by_us(const Draft& draft) {
    const auto& before = draft.world.cluster.status.rebalance;
    const bool started = before && (before->state == api::RebalanceState::moving ||
                                    before->state == api::RebalanceState::paused);
    return started ? &*before : nullptr;
}

/// More than any network: as good as none, which a running plan can't be given.
constexpr std::int64_t no_throttle = std::int64_t{1} << 50;

/// A throttle that was edited while the plan runs, as when clients suffer.
void keep_throttle(Draft& draft, const brokers::PlanProgress& progress) {
    const auto& throttle = draft.world.cluster.spec.balance.throttle;
    const std::int64_t has = progress.throttle_bytes_per_second;
    const std::int64_t wanted = throttle ? throttle->value() : has == 0 ? 0 : no_throttle;
    if (has != wanted && wanted > 0) {
        draft.act(Lane::scale, StartPlan{progress.hash, wanted}, "RebalanceThrottled",
                  throttle ? "balance.throttle is " + throttle->text() + " now"
                           : "balance.throttle is gone");
    }
}

using Fits = std::function<bool(const std::string& trigger)>;

/// The plan that is being carried out, if there is one. Asks once a round; true: wait for it. What
/// we began for an end that doesn't fit any more is cancelled.
bool plan_under_way(Draft& draft, const Fits& fits) {
    const auto& progress = draft.world.answers.progress;
    if (!progress) {
        draft.plan.questions.emplace_back(AskProgress{});
        return true;
    }
    if (!progress->value || !is_under_way(progress->value->state)) {
        return false;
    }
    const api::RebalanceStatus* ours = started_by_us(draft);
    const bool is_ours = ours != nullptr && ours->trigger != somebodys_plan &&
                         ours->plan_hash == brokers::plan_id(progress->value->hash);
    draft.rebalance = status_of(*progress->value);
    draft.rebalance->trigger = is_ours ? ours->trigger : std::string(somebodys_plan);
    if (is_ours && !fits(ours->trigger) && progress->value->state != PlanState::cancelling) {
        draft.act(Lane::scale, CancelPlan{progress->value->hash}, "RebalanceCancelled",
                  fmt::format("it was begun because {}; that is over", ours->trigger));
    } else if (is_ours && !draft.world.cluster.spec.paused &&
               progress->value->state == PlanState::running) {
        keep_throttle(draft, *progress->value);
    }
    draft.plan.again = 1s;  // Its progress is shown; its end is also told by the health stream.
    return true;
}

/// What "orders-0 can't leave broker 2: it has 3 replicas, and 2 brokers are left to take them"
/// says.
struct Shortage {
    std::string topic;
    int replicas = 0;
    int left = 0;
};

std::optional<Shortage> shortage_in(const std::string& reason) {
    const std::string partition = reason.substr(0, reason.find(' '));
    const std::size_t numbers = reason.find(": it has ");
    Shortage shortage;
    shortage.topic = partition.substr(0, partition.rfind('-'));
    if (numbers == std::string::npos || shortage.topic.size() == partition.size() ||
        std::sscanf(reason.c_str() + numbers, ": it has %d replicas, and %d brokers are left",
                    &shortage.replicas, &shortage.left) != 2) {
        return std::nullopt;
    }
    return shortage;
}

/// What a person can do about it. Asks who the topic's object is.
std::string remedy_of(Draft& draft, const Shortage& shortage) {
    const auto owner = draft.world.answers.owners.find(shortage.topic);
    if (owner == draft.world.answers.owners.end()) {
        draft.plan.questions.emplace_back(AskOwner{shortage.topic});
        return "";
    }
    const std::string stay = fmt::format("or scale to {}", shortage.replicas);
    const std::string& object = owner->second;
    if (object.empty()) {
        return fmt::format(
            "; topic {} has no Topic object: lower its replicas to {} with kafka-reassign-"
            "partitions.sh{}, {}",
            shortage.topic, shortage.left,
            api::is_internal_topic(shortage.topic) ? "" : " or make a Topic for it", stay);
    }
    const std::string here = draft.space() + "/";
    return fmt::format("; lower replicas of Topic {} to {}, {}",
                       object.starts_with(here) ? object.substr(here.size()) : object,
                       shortage.left, stay);
}

/// Why brokers can't leave: the first of what forbids it, with how many partitions it is about, and
/// what helps. Empty: they can. Racks are kept unless the spec says that nobody cares.
std::string refusal_in(Draft& draft, const brokers::PlanFacts& plan) {
    const bool racks_count = draft.world.cluster.spec.rack.spread != api::RackSpread::off;
    for (const brokers::Unmet& unmet : plan.unmet) {
        if (unmet.constraint == "offline" || (unmet.constraint == "rack" && !racks_count)) {
            continue;
        }
        std::string text = unmet.reason;
        if (unmet.count > 1) {
            text += fmt::format(" (and {} more)", unmet.count - 1);
        }
        if (unmet.constraint == "rack") {
            text += "; rack.spread: Off would allow it";
        }
        if (const auto shortage = shortage_in(unmet.reason)) {
            text += remedy_of(draft, *shortage);
        }
        return text;
    }
    return "";
}

/// What a repair can't bring back, for the status to name.
void note_beyond_repair(Draft& draft, const brokers::PlanFacts& plan) {
    for (const brokers::Unmet& unmet : plan.unmet) {
        if (unmet.constraint == "lost") {
            draft.beyond_repair =
                unmet.reason +
                (unmet.count > 1 ? fmt::format(" (and {} more)", unmet.count - 1) : std::string());
            draft.scale_waits = draft.beyond_repair;
            draft.look_again_in(30s);  // Somebody may delete the topic, or bring the disk back.
            return;
        }
    }
}

/// What a volume that is about to go can't be rid of.
void note_what_stays(Draft& draft, const brokers::PlanFacts& plan) {
    const auto stays = std::find_if(plan.unmet.begin(), plan.unmet.end(),
                                    [](const auto& unmet) { return unmet.constraint == "disk"; });
    if (stays != plan.unmet.end()) {
        draft.volume_waits = fmt::format(
            "{}{}; make its other volumes larger, or write this one back", stays->reason,
            stays->count > 1 ? fmt::format(" (and {} more)", stays->count - 1) : std::string());
    }
}

/// It was tried, and nothing has changed since.
bool has_failed(const Draft& draft, const brokers::PlanFacts& plan) {
    const auto& progress = draft.world.answers.progress;
    return progress && progress->value && progress->value->state == PlanState::failed &&
           progress->value->hash == plan.hash;
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
    if (wish.mode == brokers::PlanMode::drain) {
        if (std::string refusal = refusal_in(draft, plan); !refusal.empty()) {
            draft.scale_refused = true;
            draft.scale_waits = std::move(refusal);
            draft.look_again_in(10s);  // As in is_refused().
        }
    } else if (wish.mode == brokers::PlanMode::repair) {
        note_beyond_repair(draft, plan);
    } else if (wish.empty_cordoned_volumes) {
        note_what_stays(draft, plan);
    }
    if (plan.moves == 0) {
        return false;
    }
    const api::BalanceSpec& balance = draft.world.cluster.spec.balance;
    api::RebalanceStatus status;
    status.trigger = trigger;
    status.plan_hash = brokers::plan_id(plan.hash);
    status.moves.total = plan.replicas;
    status.bytes.total = plan.bytes;
    status.lower_bound = plan.lower_bound;
    const bool is_approved =
        balance.approve && (*balance.approve == plan.hash || *balance.approve == status.plan_hash);
    if (draft.scale_refused) {
        status.state = api::RebalanceState::blocked;
        status.blocked_by = draft.scale_waits;
    } else if (has_failed(draft, plan)) {
        status.state = api::RebalanceState::blocked;
        status.blocked_by = draft.world.answers.progress->value->blocked_by;
        draft.plan.again = 30s;
    } else if (balance.mode == api::BalanceMode::manual && !is_approved) {
        status.state = api::RebalanceState::awaiting_approval;
        // An approval of another plan, as of one that ran long ago, is none of this one.
        draft.scale_waits = fmt::format(
            "{}: a plan waits for approval; kubectl millrace plan -n {} {} shows it and --approve "
            "{}, or balance.approve: {}, starts it",
            trigger, draft.space(), draft.name(), status.plan_hash, status.plan_hash);
    } else {
        status.state = api::RebalanceState::moving;
        draft.act(Lane::scale, StartPlan{plan.hash}, "RebalanceStarted",
                  fmt::format("{}: {} replicas move, at least {} must", trigger, plan.replicas,
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

/// What its pool says about disks of brokers that left; of a pool that is gone they are kept.
bool discards(const Draft& draft, int id) {
    const std::vector<api::PoolSpec> pools = api::all_pools(draft.world.cluster.spec);
    const auto pool = std::find_if(pools.begin(), pools.end(), [&](const api::PoolSpec& one) {
        return one.name == draft.membership.leaving.at(id);
    });
    return pool != pools.end() && pool->storage.retention.when_scaled == api::ReclaimPolicy::remove;
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
        if (std::string refusal = draft.ledger.refusal(id);
            !refusal.empty() && !pod->second.going) {
            draft.waits[id] = std::move(refusal);  // Empty or not: one at a time.
            return true;
        }
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
    const bool discard = discards(draft, id);
    for (const ObjectPtr& claim : draft.world.claims) {
        if (broker_of(*claim) != id || (*claim)["metadata"].has("deletionTimestamp") ||
            (*claim)["metadata"]["labels"].has(render::label::retired)) {
            continue;
        }
        const bool has_disk = is_bound(*claim);
        if (discard || !has_disk) {
            draft.act(Lane::scale, draft.removal(kube::claims, *claim), "VolumeDeleted",
                      fmt::format("broker {} has left; {}", id,
                                  has_disk ? "whenScaled says Delete" : "its disk was never made"),
                      true);
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
        if ((*claim)["spec"].has("storageClassName")) {  // Left out, ours would be taken away.
            kept["spec"]["storageClassName"] = (*claim)["spec"]["storageClassName"];
        }
        draft.act(Lane::scale, Apply{kube::claims, std::move(kept)}, "VolumeKept",
                  fmt::format("broker {} has left; its disk is kept (whenScaled: Retain)", id));
    }
    return true;
}

/// Who is down, or whose pod is gone, goes on: the others would wait for it to be back.
std::vector<int> begun_first(const Draft& draft, std::vector<int> leaving) {
    const auto is_whole = [&](int id) {
        const auto pod = draft.pods.find(id);
        return pod != draft.pods.end() && !pod->second.going && !draft.ledger.is_down(id);
    };
    std::sort(leaving.begin(), leaving.end(),
              [&](int a, int b) { return std::pair(is_whole(a), a) < std::pair(is_whole(b), b); });
    return leaving;
}

std::string leave_trigger(const std::vector<int>& leaving) {
    return brokers_text(leaving) + (leaving.size() == 1 ? " leaves" : " leave");
}

brokers::PlanWish wish_to_leave(const Draft& draft, const std::vector<int>& leaving) {
    brokers::PlanWish wish = wish_for(draft, brokers::PlanMode::drain);
    // Who never came up holds nothing, and brokers plan nothing for whom they don't know.
    std::copy_if(leaving.begin(), leaving.end(), std::back_inserter(wish.drain),
                 [&](int id) { return draft.broker(id) != nullptr; });
    return wish;
}

/// Before anything is done about it: can the rest carry what they hold? True also while that is
/// being asked.
bool is_refused(Draft& draft, const std::vector<int>& leaving) {
    const auto& answer = draft.world.answers.plan;
    if (!answer) {
        draft.plan.questions.emplace_back(AskPlan{wish_to_leave(draft, leaving)});
        return true;
    }
    std::string refusal = answer->value ? refusal_in(draft, *answer->value) : std::string();
    if (refusal.empty()) {
        return false;  // Why it can't be planned is told where the moves would begin.
    }
    draft.scale_refused = true;
    draft.scale_waits = std::move(refusal);
    draft.plan.again = 10s;  // A topic's replicas may become fewer: no news of brokers' health.
    api::RebalanceStatus status;
    status.state = api::RebalanceState::blocked;
    status.trigger = leave_trigger(leaving);
    status.blocked_by = draft.scale_waits;
    draft.rebalance = status;
    return true;
}

/// A broker that comes in the same edit and isn't up yet: replicas would move twice without it. Not
/// for ever: what is away for longer than a broker may be is not waited for.
std::optional<int> expected(const Draft& draft) {
    const Duration patience(draft.world.cluster.spec.balance.dead_broker_timeout.length);
    const auto& known = draft.world.cluster.status.brokers;
    for (const auto& [id, member] : draft.membership.wanted) {
        const brokers::BrokerFacts* facts = draft.broker(id);
        const bool is_up = facts != nullptr &&
                           (facts->replicas > 0 || facts->state == brokers::BrokerState::running);
        if (!member.broker || is_up || draft.balanced.contains(id)) {
            continue;
        }
        const auto status = std::find_if(known.begin(), known.end(),
                                         [id = id](const auto& one) { return one.id == id; });
        if (status == known.end() || since(draft, status->since) < patience) {
            return id;
        }
    }
    return std::nullopt;
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
    // First: a plan of ours for another end, which may be about to give them replicas.
    const std::string trigger = leave_trigger(leaving);
    if ((holds_replicas || started_by_us(draft) != nullptr) &&
        plan_under_way(draft, [&](const std::string& begun) { return begun == trigger; })) {
        draft.scale_waits = "replicas are moving away from leaving brokers";
        return;
    }
    if (const auto id = expected(draft); id && holds_replicas) {
        draft.scale_waits =
            fmt::format("{}: moves begin once broker {}, which is new, is up", trigger, *id);
        return;
    }
    if (holds_replicas && !uncordoned.empty() && is_refused(draft, leaving)) {
        return;
    }
    if (!uncordoned.empty() && is_offered(draft, "Cordon")) {
        draft.scale_waits = "leaving brokers are being cordoned";
        if (!std::all_of(uncordoned.begin(), uncordoned.end(),
                         [&](int id) { return draft.was_draining(id); })) {
            draft.plan.again =
                Duration{0};  // First the status says so, and then knows whose it is.
            return;
        }
        draft.act(Lane::scale, Cordon{uncordoned, true}, "BrokersCordoned",
                  fmt::format("no new replica goes to {}: leaving", list_of(uncordoned)));
        return;
    }
    if (holds_replicas) {
        if (move_replicas(draft, wish_to_leave(draft, leaving), trigger)) {
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
    for (const int id : begun_first(draft, leaving)) {
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

/// What earlier rounds have seen done.
std::set<int> balanced_before(const Draft& draft) {
    std::set<int> ids;
    for (const api::BrokerStatus& broker : draft.world.cluster.status.brokers) {
        if (broker.balanced && draft.membership.wanted.contains(broker.id)) {
            ids.insert(broker.id);
        }
    }
    return ids;
}

/// The members that hold replicas: dedicated controllers don't.
std::vector<int> wanted_brokers(const Draft& draft) {
    std::vector<int> ids;
    for (const auto& [id, member] : draft.membership.wanted) {
        if (member.broker) {
            ids.push_back(id);
        }
    }
    return ids;
}

bool all_run(const Draft& draft) {
    const std::vector<int> ids = wanted_brokers(draft);
    return std::all_of(ids.begin(), ids.end(), [&](int id) {
        const brokers::BrokerFacts* facts = draft.broker(id);
        return facts != nullptr && facts->state == brokers::BrokerState::running;
    });
}

std::vector<std::int32_t> volumes_of(const Draft& draft, int id) {
    std::vector<std::int32_t> ids;
    for (const api::VolumeSpec& volume : api::all_volumes(draft.running.at(id).pool.storage)) {
        ids.push_back(volume.id);
    }
    return ids;
}

void call_all_balanced(Draft& draft) {
    for (const int id : wanted_brokers(draft)) {
        draft.balanced.insert(id);
        if (!draft.is_outdated(id)) {
            draft.spread_volumes[id] = volumes_of(draft, id);
        }
    }
}

/// What earlier rounds have seen done. A broker of which that isn't known has nothing new.
void remember_volumes(Draft& draft) {
    for (const api::BrokerStatus& broker : draft.world.cluster.status.brokers) {
        if (!draft.membership.wanted.contains(broker.id)) {
            continue;
        }
        const bool knows_all = broker.volumes.empty() && !draft.is_outdated(broker.id);
        if (draft.balanced.contains(broker.id)) {
            const std::vector<std::int32_t> now = volumes_of(draft, broker.id);
            std::vector<std::int32_t> spread = knows_all ? now : broker.volumes;
            // One that went and comes back gets its share like any that is new.
            std::erase_if(spread, [&](std::int32_t volume) {
                return std::find(now.begin(), now.end(), volume) == now.end();
            });
            draft.spread_volumes[broker.id] = std::move(spread);
        }
    }
}

/// Brokers that run with a volume more than they did when their replicas were spread. None before
/// all of them run with what the spec says: one plan for all.
std::vector<int> with_new_volumes(const Draft& draft) {
    std::vector<int> ids;
    for (const int id : wanted_brokers(draft)) {
        if (draft.is_outdated(id)) {
            return {};
        }
        const auto before = draft.spread_volumes.find(id);
        const std::vector<std::int32_t> now = volumes_of(draft, id);
        const bool has_more = before != draft.spread_volumes.end() &&
                              std::any_of(now.begin(), now.end(), [&](std::int32_t volume) {
                                  return std::find(before->second.begin(), before->second.end(),
                                                   volume) == before->second.end();
                              });
        if (has_more) {
            ids.push_back(id);
        }
    }
    return ids;
}

/// Wanted brokers that are away for longer than they may be. Looks again when the next one is due.
std::vector<int> lost_brokers(Draft& draft) {
    const Duration patience(draft.world.cluster.spec.balance.dead_broker_timeout.length);
    std::vector<int> lost;
    for (const api::BrokerStatus& broker : draft.world.cluster.status.brokers) {
        const brokers::BrokerFacts* facts = draft.broker(broker.id);
        const bool is_away =
            broker.state == api::BrokerState::fenced || broker.state == api::BrokerState::dead;
        if (!draft.membership.wanted.contains(broker.id) || facts == nullptr || !is_away ||
            (facts->state != brokers::BrokerState::fenced &&
             facts->state != brokers::BrokerState::dead)) {
            continue;
        }
        const Duration away = since(draft, broker.since);
        if (away >= patience) {
            lost.push_back(broker.id);
        } else {
            draft.look_again_in(patience - away);
        }
    }
    return lost;
}

/// More than one rack and more than 40 % of the brokers: that is no loss but an outage, and moving
/// everything would make it worse.
bool is_outage(const Draft& draft, const std::vector<int>& lost) {
    std::set<std::string> racks;
    for (const int id : lost) {
        racks.insert(draft.rack_of(id));
    }
    return racks.size() > 1 && lost.size() * 10 > wanted_brokers(draft).size() * 4;
}

/// Replicas of brokers that don't come back are made anew from others. False: nobody is lost.
bool plan_repair(Draft& draft) {
    const std::vector<int> lost = lost_brokers(draft);
    bool holds_replicas = false;
    for (const int id : lost) {
        draft.balanced.erase(id);  // It may come back, and with nothing on it.
        holds_replicas |= draft.broker(id)->replicas > 0;
    }
    if (!holds_replicas) {
        return false;
    }
    if (is_outage(draft, lost)) {
        draft.scale_waits = fmt::format(
            "brokers {} are away: too many to make their replicas anew elsewhere", list_of(lost));
        return true;
    }
    const std::string trigger =
        fmt::format("{} {} lost", brokers_text(lost), lost.size() == 1 ? "is" : "are");
    if (plan_under_way(draft, [&](const std::string& begun) { return begun == trigger; })) {
        return true;
    }
    brokers::PlanWish wish = wish_for(draft, brokers::PlanMode::repair);
    wish.lost = lost;
    return move_replicas(draft, wish, trigger);
}

/// All brokers of the cluster, and each has replicas: topics were created on all of them, and what
/// is new to none needs no plan, which in Manual mode somebody would have to approve.
bool came_together(const Draft& draft, const std::vector<int>& fresh) {
    return fresh.size() == wanted_brokers(draft).size() &&
           std::all_of(fresh.begin(), fresh.end(), [&](int id) {
               const brokers::BrokerFacts* facts = draft.broker(id);
               return facts != nullptr && facts->replicas > 0;
           });
}

/// Brokers and volumes that came since replicas were last spread get their share: once for all that
/// come.
void plan_spreading(Draft& draft) {
    std::vector<int> fresh;
    for (const int id : wanted_brokers(draft)) {
        if (!draft.balanced.contains(id)) {
            fresh.push_back(id);
        }
    }
    const std::vector<int> grown = with_new_volumes(draft);
    const bool goes = are_kept_volumes_in_use(draft);
    const bool is_new = !fresh.empty() || !grown.empty();
    const bool is_due = is_new || goes;
    if (!is_due && started_by_us(draft) == nullptr) {
        return;
    }
    const auto fits = [&](const std::string& begun) {
        return (is_new && begun.ends_with(new_suffix)) || (goes && begun == volumes_go);
    };
    if (plan_under_way(draft, fits) || !is_due || !all_run(draft)) {
        return;
    }
    if (!goes && came_together(draft, fresh)) {
        call_all_balanced(draft);
        return;
    }
    const bool has_answer = draft.world.answers.plan && draft.world.answers.plan->value;
    const std::string trigger =
        !is_new         ? std::string(volumes_go)
        : fresh.empty() ? fmt::format("volumes of {} are{}", brokers_text(grown), new_suffix)
                        : fmt::format("{} {}{}", brokers_text(fresh),
                                      fresh.size() == 1 ? "is" : "are", new_suffix);
    brokers::PlanWish wish = wish_for(draft, brokers::PlanMode::scale_out);
    wish.empty_cordoned_volumes = goes;
    if (!move_replicas(draft, wish, trigger) && has_answer) {
        call_all_balanced(draft);
    }
}

void plan_staying(Draft& draft) {
    if (!draft.world.brokers || draft.world.cluster.spec.balance.mode == api::BalanceMode::off) {
        return;
    }
    if (draft.world.brokers->partitions.total == 0) {
        if (all_run(draft)) {
            call_all_balanced(draft);
        }
    } else if (!plan_repair(draft)) {
        plan_spreading(draft);
    }
}

}  // namespace

void remember_scale(Draft& draft) {
    draft.balanced = balanced_before(draft);
    remember_volumes(draft);
    for (const api::BrokerStatus& broker : draft.world.cluster.status.brokers) {
        draft.closed_volumes[broker.id] = {broker.closed_volumes.begin(),
                                           broker.closed_volumes.end()};
    }
    const api::RebalanceStatus* ours = started_by_us(draft);
    if (ours == nullptr) {
        return;
    }
    if (draft.world.brokers) {
        plan_under_way(draft, [](const std::string&) { return true; });  // Brokers go on with it.
    } else {
        draft.rebalance = *ours;
    }
}

void plan_scale(Draft& draft) {
    draft.balanced = balanced_before(draft);
    remember_volumes(draft);
    close_kept_volumes(draft);
    take_back(draft);
    if (!draft.membership.leaving.empty()) {
        plan_leaving(draft);
    } else {
        plan_staying(draft);
    }
}

}  // namespace millrace::planner
