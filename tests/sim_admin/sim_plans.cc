// Plans of the simulated cluster: even counts by greedy moves, carried out over ticks.
#include <algorithm>
#include <fmt/core.h>

#include "tests/sim_admin/sim_call.h"
#include "tests/sim_admin/sim_cluster.h"

namespace millrace::sim_admin {

namespace {

constexpr std::int64_t bytes_per_replica = 1 << 20;

bool contains(const std::vector<int>& list, int id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

std::string hash_of(const std::string& text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return fmt::format("{:016x}", hash);
}

Error unknown_plan(const std::string& hash) {
    return Error::make(Code::not_found, "there is no plan {}", hash);
}

bool has_ended(v1::PlanState state) {
    return state == v1::PLAN_STATE_CANCELLED || state == v1::PLAN_STATE_DONE ||
           state == v1::PLAN_STATE_FAILED || state == v1::PLAN_STATE_ROLLED_BACK;
}

/// The answer with fewer moves than there are, or none.
v1::Plan shown(v1::Plan plan, int most) {
    while (plan.moves_size() > std::max(0, most)) {
        plan.mutable_moves()->RemoveLast();
    }
    return plan;
}

}  // namespace

v1::Plan SimCluster::make_plan(const v1::PlanRebalanceRequest& request) const {
    v1::Plan plan;
    plan.set_mode(request.mode());
    std::set<int> leaving{request.drain().begin(), request.drain().end()};
    leaving.insert(request.lost().begin(), request.lost().end());
    std::map<int, int> counts;
    for (const int id : live_brokers()) {
        if (leaving.count(id) == 0 && !brokers_.at(id).cordoned) {
            counts[id] = 0;
        }
    }
    for (const auto& [name, topic] : topics_) {
        for (const Partition& partition : topic.partitions) {
            for (const int id : partition.replicas) {
                if (counts.count(id) != 0) {
                    ++counts[id];
                }
            }
        }
    }
    const auto least_loaded = [&](const std::vector<int>& without) {
        int best = -1;
        for (const auto& [id, count] : counts) {
            if (!contains(without, id) && (best < 0 || count < counts.at(best))) {
                best = id;
            }
        }
        return best;
    };
    const bool balances =
        request.mode() == v1::PLAN_MODE_SCALE_OUT || request.mode() == v1::PLAN_MODE_FULL;
    for (const auto& [name, topic] : topics_) {
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            std::vector<int> to = topic.partitions[i].replicas;
            std::string reason;
            for (int& replica : to) {
                const bool must = leaving.count(replica) != 0;
                const int receiver = least_loaded(to);
                const bool helps = balances && counts.count(replica) != 0 && receiver >= 0 &&
                                   counts.at(replica) > counts.at(receiver) + 1;
                if (must && receiver < 0) {
                    auto& unmet = *plan.add_unmet();
                    unmet.set_constraint("replication_factor");
                    unmet.set_reason(
                        fmt::format("{}-{} can't leave broker {}: it has {} replicas, and {} "
                                    "brokers are left to take them",
                                    name, i, replica, to.size(), to.size() - 1));
                    unmet.set_count(1);
                } else if (must || helps) {
                    if (counts.count(replica) != 0) {
                        --counts[replica];
                    }
                    ++counts[receiver];
                    replica = receiver;
                    reason = must ? "drain" : "spread";
                }
            }
            if (!reason.empty()) {
                auto& move = *plan.add_moves();
                move.mutable_partition()->set_topic(name);
                move.mutable_partition()->set_partition(static_cast<int>(i));
                const auto& from = topic.partitions[i].replicas;
                move.mutable_from()->Add(from.begin(), from.end());
                move.mutable_to()->Add(to.begin(), to.end());
                move.set_bytes(bytes_per_replica);
                move.set_reason(reason);
                move.set_state(v1::MOVE_STATE_WAITING);
                plan.set_move_bytes(plan.move_bytes() + bytes_per_replica);
            }
        }
    }
    if (request.empty_cordoned_directories()) {
        plan.set_disk_moves(on_cordoned_volumes());
    }
    plan.set_move_count(plan.moves_size());
    plan.set_replica_moves(plan.moves_size());
    plan.set_lower_bound_moves(plan.moves_size());
    plan.set_waves(plan.moves_size() == 0 ? 0 : 1);
    plan.set_hash(hash_of(plan.SerializeAsString() + std::to_string(placement_version_)));
    plan.set_epoch(epoch_);
    plan.set_metadata_offset(offset_);
    return plan;
}

SimCluster::RunningPlan* SimCluster::find_plan(const std::string& hash) {
    return const_cast<RunningPlan*>(std::as_const(*this).find_plan(hash));
}

const SimCluster::RunningPlan* SimCluster::find_plan(const std::string& hash) const {
    const std::string name = hash.empty() && !plan_order_.empty() ? plan_order_.back() : hash;
    const auto found = plans_.find(name);
    return found == plans_.end() ? nullptr : &found->second;
}

void SimCluster::start_moves(RunningPlan& plan) {
    for (int i = 0; i < plan.plan.moves_size() &&
                    static_cast<int>(plan.in_flight.size()) < knobs_.moves_at_once;
         ++i) {
        v1::Move& move = *plan.plan.mutable_moves(i);
        if (move.state() != v1::MOVE_STATE_WAITING) {
            continue;
        }
        const auto topic = topics_.find(move.partition().topic());
        if (topic == topics_.end()) {
            move.set_state(v1::MOVE_STATE_DROPPED);
            plan.progress.set_moves_dropped(plan.progress.moves_dropped() + 1);
            continue;
        }
        move.set_state(v1::MOVE_STATE_IN_FLIGHT);
        Partition& partition =
            topic->second.partitions[static_cast<std::size_t>(move.partition().partition())];
        for (const int id : move.to()) {
            if (!contains(partition.replicas, id)) {
                partition.adding.push_back(id);
            }
        }
        plan.in_flight[i] = knobs_.move_ticks;
    }
    plan.progress.set_moves_in_flight(static_cast<int>(plan.in_flight.size()));
}

void SimCluster::finish_move(RunningPlan& plan, int index) {
    v1::Move& move = *plan.plan.mutable_moves(index);
    const auto topic = topics_.find(move.partition().topic());
    if (topic == topics_.end()) {
        move.set_state(v1::MOVE_STATE_DROPPED);
        plan.progress.set_moves_dropped(plan.progress.moves_dropped() + 1);
        return;
    }
    Partition& partition =
        topic->second.partitions[static_cast<std::size_t>(move.partition().partition())];
    partition.adding.clear();
    if (failing_topics_.count(move.partition().topic()) != 0) {
        move.set_state(v1::MOVE_STATE_FAILED);
        move.set_error("the receiver's disk is full");
        plan.progress.set_moves_failed(plan.progress.moves_failed() + 1);
        return;
    }
    partition.replicas.assign(move.to().begin(), move.to().end());
    partition.isr = partition.replicas;
    elect(partition);
    move.set_state(v1::MOVE_STATE_DONE);
    plan.progress.set_moves_done(plan.progress.moves_done() + 1);
    plan.progress.set_bytes_done(plan.progress.bytes_done() + move.bytes());
}

void SimCluster::end_plan_if_done(RunningPlan& plan) {
    const bool waiting =
        std::any_of(plan.plan.moves().begin(), plan.plan.moves().end(), [](const v1::Move& move) {
            return move.state() == v1::MOVE_STATE_WAITING ||
                   move.state() == v1::MOVE_STATE_IN_FLIGHT;
        });
    if (plan.progress.state() == v1::PLAN_STATE_CANCELLING) {
        plan.progress.set_state(v1::PLAN_STATE_CANCELLED);
    } else if (!waiting && plan.progress.state() == v1::PLAN_STATE_ROLLING_BACK) {
        plan.progress.set_state(v1::PLAN_STATE_ROLLED_BACK);
    } else if (!waiting && plan.progress.state() == v1::PLAN_STATE_RUNNING) {
        if (plan.plan.disk_moves() > 0) {
            empty_cordoned_volumes();
        }
        plan.progress.set_state(plan.progress.moves_failed() > 0 ? v1::PLAN_STATE_FAILED
                                                                 : v1::PLAN_STATE_DONE);
    }
}

void SimCluster::tick_plans() {
    for (auto& [hash, plan] : plans_) {
        if (plan.progress.state() == v1::PLAN_STATE_PLANNED || has_ended(plan.progress.state())) {
            continue;
        }
        std::vector<int> finished;
        for (auto& [index, ticks] : plan.in_flight) {
            if (--ticks <= 0) {
                finished.push_back(index);
            }
        }
        for (const int index : finished) {
            plan.in_flight.erase(index);
            finish_move(plan, index);
        }
        if (plan.progress.state() == v1::PLAN_STATE_RUNNING ||
            plan.progress.state() == v1::PLAN_STATE_ROLLING_BACK) {
            start_moves(plan);
        }
        plan.progress.set_moves_in_flight(static_cast<int>(plan.in_flight.size()));
        end_plan_if_done(plan);
    }
}

std::optional<v1::PlanProgress> SimCluster::plan_progress(const std::string& hash) const {
    const std::lock_guard lock{mutex_};
    const RunningPlan* plan = find_plan(hash);
    return plan == nullptr ? std::nullopt : std::optional{plan->progress};
}

Result<v1::PlacementViewResponse> SimCluster::PlacementView(
    const v1::PlacementViewRequest& request) {
    MR_SIM_ENTER(PlacementView);
    v1::PlacementViewResponse response;
    response.set_epoch(epoch_);
    response.set_metadata_offset(offset_);
    for (const auto& [id, broker] : brokers_) {
        auto& load = *response.add_brokers();
        load.set_id(id);
        load.set_rack(broker.rack);
        load.set_cordoned(broker.cordoned);
        load.set_alive(broker.alive);
        load.set_replicas(replicas_on(id));
        load.set_bytes(load.replicas() * bytes_per_replica);
    }
    for (const auto& [name, topic] : topics_) {
        for (std::size_t i = 0; request.with_partitions() && i < topic.partitions.size(); ++i) {
            const Partition& from = topic.partitions[i];
            auto& to = *response.add_partitions();
            to.mutable_partition()->set_topic(name);
            to.mutable_partition()->set_partition(static_cast<int>(i));
            to.mutable_replicas()->Add(from.replicas.begin(), from.replicas.end());
            to.mutable_isr()->Add(from.isr.begin(), from.isr.end());
            to.set_leader(from.leader);
            to.set_bytes(bytes_per_replica);
        }
    }
    return response;
}

Result<v1::PlanRebalanceResponse> SimCluster::PlanRebalance(
    const v1::PlanRebalanceRequest& request) {
    MR_SIM_ENTER(PlanRebalance);
    for (const int id : request.drain()) {
        if (brokers_.count(id) == 0) {
            return Error::make(Code::invalid, "broker {} is not registered", id);
        }
    }
    v1::PlanRebalanceResponse response;
    const v1::Plan plan = make_plan(request);
    if (plans_.count(plan.hash()) == 0) {
        RunningPlan& kept = plans_[plan.hash()];
        kept.plan = plan;
        kept.placement_version = placement_version_;
        kept.progress.set_hash(plan.hash());
        kept.progress.set_state(v1::PLAN_STATE_PLANNED);
        kept.progress.set_moves_total(plan.move_count());
        kept.progress.set_bytes_total(plan.move_bytes());
        kept.progress.set_lower_bound_moves(plan.lower_bound_moves());
        kept.progress.set_eta_seconds(-1);
    }
    *response.mutable_plan() = shown(plan, request.show_moves());
    return response;
}

Result<v1::ApplyPlanResponse> SimCluster::ApplyPlan(const v1::ApplyPlanRequest& request) {
    MR_SIM_ENTER(ApplyPlan);
    RunningPlan* plan = plans_.count(request.hash()) == 0 ? nullptr : &plans_[request.hash()];
    if (plan == nullptr) {
        return unknown_plan(request.hash());
    }
    v1::ApplyPlanResponse response;
    if (plan->progress.state() == v1::PLAN_STATE_PLANNED) {
        if (plan->placement_version != placement_version_) {
            return Error(Code::fenced, "the cluster is not as it was planned for; plan again");
        }
        for (const auto& [hash, other] : plans_) {
            if (other.progress.state() != v1::PLAN_STATE_PLANNED &&
                !has_ended(other.progress.state())) {
                return Error::make(Code::fenced, "plan {} is under way", hash);
            }
        }
        if (!request.guard().dry_run()) {
            note("ApplyPlan " + request.hash());
            plan_order_.push_back(request.hash());
            ++placement_version_;
            plan->progress.set_state(v1::PLAN_STATE_RUNNING);
            start_moves(*plan);
            end_plan_if_done(*plan);
            moved();
        }
    }
    const std::int64_t throttle = request.limits().throttle_bytes_per_second();
    if (throttle > 0 && throttle != plan->progress.throttle_bytes_per_second()) {
        note("ApplyPlan throttle " + std::to_string(throttle));
        plan->progress.set_throttle_bytes_per_second(throttle);
    }
    *response.mutable_progress() = plan->progress;
    return response;
}

Result<v1::GetPlanResponse> SimCluster::GetPlan(const v1::GetPlanRequest& request) {
    MR_SIM_ENTER(GetPlan);
    const RunningPlan* plan = find_plan(request.hash());
    if (plan == nullptr) {
        return unknown_plan(request.hash());
    }
    v1::GetPlanResponse response;
    *response.mutable_plan() = shown(plan->plan, request.show_moves());
    *response.mutable_progress() = plan->progress;
    return response;
}

Result<v1::ListPlansResponse> SimCluster::ListPlans(const v1::ListPlansRequest&) {
    MR_SIM_ENTER(ListPlans);
    v1::ListPlansResponse response;
    for (auto hash = plan_order_.rbegin(); hash != plan_order_.rend(); ++hash) {
        *response.add_plans() = plans_.at(*hash).progress;
    }
    return response;
}

Result<v1::PausePlanResponse> SimCluster::PausePlan(const v1::PausePlanRequest& request) {
    MR_SIM_ENTER(PausePlan);
    RunningPlan* plan = find_plan(request.hash());
    if (plan == nullptr) {
        return unknown_plan(request.hash());
    }
    if (plan->progress.state() == v1::PLAN_STATE_RUNNING && !request.guard().dry_run()) {
        note("PausePlan");
        plan->progress.set_state(v1::PLAN_STATE_PAUSED);
        moved();
    }
    v1::PausePlanResponse response;
    *response.mutable_progress() = plan->progress;
    return response;
}

Result<v1::ResumePlanResponse> SimCluster::ResumePlan(const v1::ResumePlanRequest& request) {
    MR_SIM_ENTER(ResumePlan);
    RunningPlan* plan = find_plan(request.hash());
    if (plan == nullptr) {
        return unknown_plan(request.hash());
    }
    if (plan->progress.state() == v1::PLAN_STATE_PAUSED && !request.guard().dry_run()) {
        note("ResumePlan");
        plan->progress.set_state(v1::PLAN_STATE_RUNNING);
        moved();
    }
    v1::ResumePlanResponse response;
    *response.mutable_progress() = plan->progress;
    return response;
}

Result<v1::CancelPlanResponse> SimCluster::CancelPlan(const v1::CancelPlanRequest& request) {
    MR_SIM_ENTER(CancelPlan);
    RunningPlan* plan = find_plan(request.hash());
    if (plan == nullptr) {
        return unknown_plan(request.hash());
    }
    if (!has_ended(plan->progress.state()) && !request.guard().dry_run()) {
        note("CancelPlan");
        for (const auto& [index, ticks] : plan->in_flight) {
            v1::Move& move = *plan->plan.mutable_moves(index);
            move.set_state(v1::MOVE_STATE_REVERTED);
            const auto topic = topics_.find(move.partition().topic());
            if (topic != topics_.end()) {
                topic->second.partitions[static_cast<std::size_t>(move.partition().partition())]
                    .adding.clear();
            }
        }
        plan->in_flight.clear();
        plan->progress.set_moves_in_flight(0);
        plan->progress.set_state(v1::PLAN_STATE_CANCELLING);
        moved();
    }
    v1::CancelPlanResponse response;
    *response.mutable_progress() = plan->progress;
    return response;
}

Result<v1::RollbackPlanResponse> SimCluster::RollbackPlan(const v1::RollbackPlanRequest& request) {
    MR_SIM_ENTER(RollbackPlan);
    RunningPlan* plan = find_plan(request.hash());
    if (plan == nullptr) {
        return unknown_plan(request.hash());
    }
    if (!has_ended(plan->progress.state())) {
        return Error(Code::fenced, "the plan is under way; cancel it first");
    }
    if (!request.guard().dry_run()) {
        note("RollbackPlan");
        v1::Plan back = plan->plan;
        back.clear_moves();
        for (const v1::Move& move : plan->plan.moves()) {
            if (move.state() == v1::MOVE_STATE_DONE) {
                v1::Move& inverse = *back.add_moves();
                inverse = move;
                inverse.mutable_from()->Swap(inverse.mutable_to());
                inverse.set_state(v1::MOVE_STATE_WAITING);
                inverse.set_reason("rollback");
            }
        }
        plan->plan = back;
        plan->progress.set_state(v1::PLAN_STATE_ROLLING_BACK);
        plan->progress.set_moves_total(back.moves_size());
        plan->progress.set_moves_done(0);
        plan->progress.set_moves_failed(0);
        start_moves(*plan);
        end_plan_if_done(*plan);
        moved();
    }
    v1::RollbackPlanResponse response;
    *response.mutable_progress() = plan->progress;
    return response;
}

}  // namespace millrace::sim_admin
