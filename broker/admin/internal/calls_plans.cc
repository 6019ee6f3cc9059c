// Placement and plans.
#include "admin/internal/calls.h"
#include "admin/plan_doors.h"

namespace millrace::admin {

namespace {

void fill(v1::TopicPartition& to, const std::string& topic, std::int32_t partition) {
    to.set_topic(topic);
    to.set_partition(partition);
}

template <typename List>
void fill(google::protobuf::RepeatedField<std::int32_t>& to, const List& brokers) {
    for (const BrokerId broker : brokers) {
        to.Add(broker.value);
    }
}

std::vector<BrokerId> brokers_of(const google::protobuf::RepeatedField<std::int32_t>& from) {
    std::vector<BrokerId> brokers;
    for (const std::int32_t id : from) {
        brokers.emplace_back(id);
    }
    return brokers;
}

v1::PlacementViewResponse to_proto(const PlacementView& from) {
    v1::PlacementViewResponse to;
    to.set_epoch(from.epoch.value);
    to.set_metadata_offset(from.metadata_offset.value);
    for (const BrokerLoad& load : from.brokers) {
        auto& one = *to.add_brokers();
        one.set_id(load.id.value);
        one.set_rack(load.rack);
        one.set_cordoned(load.cordoned);
        one.set_alive(load.alive);
        one.set_replicas(load.replicas);
        one.set_leaders(load.leaders);
        one.set_bytes(load.bytes);
        for (const DiskLoad& disk : load.disks) {
            auto& to_disk = *one.add_disks();
            to_disk.set_directory_id(disk.id.is_zero() ? "" : disk.id.to_string());
            to_disk.set_capacity_bytes(disk.capacity_bytes);
            to_disk.set_used_bytes(disk.used_bytes);
            to_disk.set_replicas(disk.replicas);
        }
    }
    for (const PartitionPlacement& placed : from.partitions) {
        auto& one = *to.add_partitions();
        fill(*one.mutable_partition(), placed.partition.topic, placed.partition.partition.value);
        fill(*one.mutable_replicas(), placed.replicas);
        one.set_leader(placed.leader.value);
        fill(*one.mutable_isr(), placed.isr);
        one.set_bytes(placed.bytes);
        fill(*one.mutable_adding(), placed.adding);
        fill(*one.mutable_removing(), placed.removing);
    }
    return to;
}

v1::PlanMode mode_of(placement::Mode mode) {
    switch (mode) {
        case placement::Mode::repair:
            return v1::PLAN_MODE_REPAIR;
        case placement::Mode::drain:
            return v1::PLAN_MODE_DRAIN;
        case placement::Mode::scale_out:
            return v1::PLAN_MODE_SCALE_OUT;
        case placement::Mode::full:
            return v1::PLAN_MODE_FULL;
        case placement::Mode::leaders_only:
            return v1::PLAN_MODE_LEADERS_ONLY;
        case placement::Mode::relieve:
            return v1::PLAN_MODE_RELIEVE;
    }
    return v1::PLAN_MODE_UNSPECIFIED;
}

void fill_moves(v1::Plan& to, const std::vector<placement::Move>& moves, int most) {
    for (const placement::Move& move : moves) {
        if (to.moves_size() >= most) {
            return;
        }
        auto& one = *to.add_moves();
        fill(*one.mutable_partition(), move.topic, move.partition);
        fill(*one.mutable_from(), move.from);
        fill(*one.mutable_to(), move.to);
        one.set_bytes(move.bytes);
        one.set_reason(placement::to_string(move.reason));
        one.set_wave(move.wave);
        one.set_state(v1::MOVE_STATE_WAITING);
    }
}

v1::Plan to_proto(const ProposedPlan& from, int show_moves) {
    v1::Plan to;
    const placement::Plan& plan = from.plan;
    to.set_hash(from.hash);
    to.set_mode(mode_of(from.mode));
    to.set_move_count(static_cast<std::int32_t>(plan.moves.size()));
    to.set_replica_moves(static_cast<std::int32_t>(plan.replica_moves));
    to.set_disk_moves(static_cast<std::int32_t>(plan.disk_moves.size()));
    to.set_move_bytes(plan.move_bytes);
    to.set_leader_changes(plan.leader_changes);
    to.set_lower_bound_moves(static_cast<std::int32_t>(plan.lower_bound));
    to.set_waves(plan.waves);
    to.set_epoch(from.epoch.value);
    to.set_metadata_offset(from.metadata_offset.value);
    for (const placement::Unmet& unmet : plan.unmet) {
        auto& one = *to.add_unmet();
        one.set_constraint(unmet.constraint);
        one.set_reason(unmet.reason);
        one.set_count(unmet.count);
        if (unmet.partition >= 0) {
            fill(*one.mutable_example(), unmet.topic, unmet.partition);
        }
    }
    for (const placement::Forecast& broker : plan.brokers) {
        auto& one = *to.add_brokers();
        one.set_id(broker.id.value);
        one.set_replicas_before(static_cast<std::int32_t>(broker.replicas_before));
        one.set_replicas_after(static_cast<std::int32_t>(broker.replicas_after));
        one.set_leaders_before(static_cast<std::int32_t>(broker.leaders_before));
        one.set_leaders_after(static_cast<std::int32_t>(broker.leaders_after));
        one.set_bytes_before(broker.bytes_before);
        one.set_bytes_after(broker.bytes_after);
    }
    fill_moves(to, plan.moves, show_moves);
    return to;
}

Result<placement::Mode> mode_of(v1::PlanMode mode) {
    switch (mode) {
        case v1::PLAN_MODE_REPAIR:
            return placement::Mode::repair;
        case v1::PLAN_MODE_DRAIN:
            return placement::Mode::drain;
        case v1::PLAN_MODE_SCALE_OUT:
            return placement::Mode::scale_out;
        case v1::PLAN_MODE_FULL:
            return placement::Mode::full;
        case v1::PLAN_MODE_LEADERS_ONLY:
            return placement::Mode::leaders_only;
        case v1::PLAN_MODE_RELIEVE:
            return Error(Code::unsupported, "mode: relief of single disks is not built yet");
        default:
            return Error(Code::invalid, "mode: say what the plan is for");
    }
}

Result<std::int64_t> throttle_of(const v1::PlanLimits& limits) {
    if (limits.throttle_bytes_per_second() < 0) {
        return Error::make(Code::invalid, "limits: a throttle of {} bytes a second",
                           limits.throttle_bytes_per_second());
    }
    return limits.throttle_bytes_per_second();
}

/// 0 stands for the default.
Result<void> check_limits(const v1::PlanLimits& limits) {
    const std::pair<const char*, std::int64_t> all[] = {
        {"max_moves_per_broker", limits.max_moves_per_broker()},
        {"max_bytes", limits.max_bytes()},
        {"count_band_percent", limits.count_band_percent()},
        {"bytes_band_percent", limits.bytes_band_percent()}};
    for (const auto& [name, value] : all) {
        if (value < 0) {
            return Error::make(Code::invalid,
                               "limits: {} of {}; give a number above 0, or none for the default",
                               name, value);
        }
    }
    return {};
}

/// What the plan was made for holds; only how fast it goes is open.
Result<std::int64_t> throttle_alone(const v1::PlanLimits& limits) {
    if (limits.max_moves_per_broker() != 0 || limits.max_bytes() != 0 ||
        limits.count_band_percent() != 0 || limits.bytes_band_percent() != 0) {
        return Error(Code::unsupported,
                     "limits: a plan is carried out within those it was made for; only its "
                     "throttle may be another");
    }
    return throttle_of(limits);
}

Result<PlanWish> wish_of(const v1::PlanRebalanceRequest& request) {
    PlanWish wish;
    MR_TRY(wish.mode, mode_of(request.mode()));
    wish.drain = brokers_of(request.drain());
    wish.lost = brokers_of(request.lost());
    for (const auto& [topic, factor] : request.replication_factors()) {
        if (factor < 1) {
            return Error::make(Code::invalid, "replication_factors: {} can't have {} replicas",
                               topic, factor);
        }
        wish.replication_factors[topic] = factor;
    }
    for (const std::string& glob : request.exclude_topics()) {
        if (glob.find_first_of(",+;=/") != std::string::npos) {
            return Error::make(Code::invalid, "exclude_topics: '{}' is no glob of topic names",
                               glob);
        }
        wish.exclude_topics.push_back(glob);
    }
    wish.empty_cordoned_disks = request.empty_cordoned_directories();
    if (wish.empty_cordoned_disks && wish.mode != placement::Mode::scale_out &&
        wish.mode != placement::Mode::full) {
        return Error(Code::invalid,
                     "empty_cordoned_directories: only plans of PLAN_MODE_SCALE_OUT and "
                     "PLAN_MODE_FULL move replicas between directories");
    }
    const v1::PlanLimits& limits = request.limits();
    MR_TRY_VOID(check_limits(limits));
    MR_TRY(wish.throttle_bytes_per_second, throttle_of(limits));
    const auto set = [](auto& to, auto from) { to = from > 0 ? from : to; };
    set(wish.limits.max_moves_per_broker, limits.max_moves_per_broker());
    set(wish.limits.max_bytes, limits.max_bytes());
    set(wish.limits.count_band_percent, limits.count_band_percent());
    set(wish.limits.bytes_band_percent, limits.bytes_band_percent());
    return wish;
}

template <typename Response>
bool refuse_without(PlanDoors* plans, const Caller& caller, Answer<Response>& answer) {
    if (plans == nullptr) {
        answer(Error::make(Code::unsupported, "this broker doesn't offer {} yet", caller.call));
        return true;
    }
    return false;
}

template <typename Response>
Reply<PlanProgress> with_progress(Answer<Response> answer) {
    return [answer = std::move(answer)](Result<PlanProgress> progress) mutable {
        if (!progress) {
            answer(progress.error());
            return;
        }
        Response response;
        *response.mutable_progress() = to_proto(*progress);
        answer(std::move(response));
    };
}

template <typename Request, typename Response>
void give_order(AdminDoors& doors, Caller caller, const Request& request, PlanOrder order,
                Answer<Response> answer) {
    if (!refuse_without(doors.plans(), caller, answer)) {
        doors.plans()->order(std::move(caller), request.hash(), order,
                             with_progress<Response>(std::move(answer)));
    }
}

}  // namespace

v1::PlanProgress to_proto(const PlanProgress& from) {
    v1::PlanProgress to;
    to.set_hash(from.hash);
    to.set_state(static_cast<v1::PlanState>(from.state));
    to.set_moves_total(from.moves_total);
    to.set_moves_done(from.moves_done);
    to.set_moves_in_flight(from.moves_in_flight);
    to.set_moves_failed(from.moves_failed);
    to.set_moves_dropped(from.moves_dropped);
    to.set_bytes_total(from.bytes_total);
    to.set_bytes_done(from.bytes_done);
    to.set_bytes_per_second(from.bytes_per_second);
    to.set_eta_seconds(from.eta_seconds);
    to.set_throttle_bytes_per_second(from.throttle_bytes_per_second);
    to.set_throttle_reason(from.throttle_reason);
    to.set_started_at_ms(from.started_at.milliseconds);
    to.set_ended_at_ms(from.ended_at.milliseconds);
    to.set_lower_bound_moves(from.lower_bound_moves);
    for (const BlockedMove& blocked : from.blocked) {
        auto& one = *to.add_blocked();
        fill(*one.mutable_partition(), blocked.partition.topic, blocked.partition.partition.value);
        one.set_reason(blocked.reason);
    }
    return to;
}

namespace calls {

void PlacementView(AdminDoors& doors, Caller caller, const v1::PlacementViewRequest& request,
                   Answer<v1::PlacementViewResponse> answer) {
    if (refuse_without(doors.plans(), caller, answer)) {
        return;
    }
    PlacementQuestion question;
    question.topics.assign(request.topics().begin(), request.topics().end());
    question.with_partitions = request.with_partitions();
    doors.plans()->placement_view(
        std::move(question),
        [answer = std::move(answer)](Result<millrace::admin::PlacementView> view) mutable {
            if (view) {
                answer(to_proto(*view));
            } else {
                answer(view.error());
            }
        });
}

void PlanRebalance(AdminDoors& doors, Caller caller, const v1::PlanRebalanceRequest& request,
                   Answer<v1::PlanRebalanceResponse> answer) {
    if (refuse_without(doors.plans(), caller, answer)) {
        return;
    }
    auto wish = wish_of(request);
    if (!wish) {
        answer(wish.error());
        return;
    }
    doors.plans()->plan(*std::move(wish), [answer = std::move(answer), show = request.show_moves()](
                                              Result<ProposedPlan> plan) mutable {
        if (!plan) {
            answer(plan.error());
            return;
        }
        v1::PlanRebalanceResponse response;
        *response.mutable_plan() = to_proto(*plan, show);
        answer(std::move(response));
    });
}

void ApplyPlan(AdminDoors& doors, Caller caller, const v1::ApplyPlanRequest& request,
               Answer<v1::ApplyPlanResponse> answer) {
    const auto throttle = throttle_alone(request.limits());
    if (!throttle) {
        answer(throttle.error());
        return;
    }
    if (!refuse_without(doors.plans(), caller, answer)) {
        doors.plans()->apply(std::move(caller), request.hash(), *throttle,
                             with_progress<v1::ApplyPlanResponse>(std::move(answer)));
    }
}

void GetPlan(AdminDoors& doors, Caller caller, const v1::GetPlanRequest& request,
             Answer<v1::GetPlanResponse> answer) {
    if (!refuse_without(doors.plans(), caller, answer)) {
        doors.plans()->progress(request.hash(),
                                with_progress<v1::GetPlanResponse>(std::move(answer)));
    }
}

void ListPlans(AdminDoors& doors, Caller caller, const v1::ListPlansRequest&,
               Answer<v1::ListPlansResponse> answer) {
    if (refuse_without(doors.plans(), caller, answer)) {
        return;
    }
    doors.plans()->progress("",
                            [answer = std::move(answer)](Result<PlanProgress> progress) mutable {
                                v1::ListPlansResponse response;
                                if (progress) {
                                    *response.add_plans() = to_proto(*progress);
                                } else if (progress.error().code() != Code::not_found) {
                                    answer(progress.error());
                                    return;
                                }
                                answer(std::move(response));
                            });
}

void PausePlan(AdminDoors& doors, Caller caller, const v1::PausePlanRequest& request,
               Answer<v1::PausePlanResponse> answer) {
    give_order(doors, std::move(caller), request, PlanOrder::pause, std::move(answer));
}

void ResumePlan(AdminDoors& doors, Caller caller, const v1::ResumePlanRequest& request,
                Answer<v1::ResumePlanResponse> answer) {
    give_order(doors, std::move(caller), request, PlanOrder::resume, std::move(answer));
}

void CancelPlan(AdminDoors& doors, Caller caller, const v1::CancelPlanRequest& request,
                Answer<v1::CancelPlanResponse> answer) {
    give_order(doors, std::move(caller), request, PlanOrder::cancel, std::move(answer));
}

void RollbackPlan(AdminDoors& doors, Caller caller, const v1::RollbackPlanRequest& request,
                  Answer<v1::RollbackPlanResponse> answer) {
    give_order(doors, std::move(caller), request, PlanOrder::roll_back, std::move(answer));
}

}  // namespace calls

}  // namespace millrace::admin
