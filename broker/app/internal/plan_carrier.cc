#include "app/internal/plan_carrier.h"

#include <algorithm>

#include "app/internal/controller_ask.h"
#include "app/internal/placement_snapshot.h"
#include "config/alter.h"
#include "metadata/standing.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::app {
namespace {

using admin::PlanState;
using placement::Execution;
using placement::MoveState;

/// Changes of the metadata come in crowds; one look is enough for all of them.
constexpr Duration look_after = 100ms;
/// Without any news the running plan is looked at this often.
constexpr Duration look_at_plan_again = 2s;
constexpr Duration note_pause = 1s;
constexpr Duration measure_pause = 2s;
/// A broker that is to get a replica may be away for this long: it may just be restarting.
constexpr Duration patience_with_brokers = 60s;
/// Plans that end without one move done, before the whole is given up.
constexpr int fruitless_at_most = 3;
constexpr std::size_t blocked_noted = 5;

bool is_arrival(const placement::Move& move, BrokerId broker) {
    return std::find(move.from.begin(), move.from.end(), broker) == move.from.end();
}

bool has_goals_to_reach(placement::Mode mode) {
    return mode == placement::Mode::repair || mode == placement::Mode::drain;
}

}  // namespace

void set_plan_setting(handlers::ControllerDoor& controller, runtime::Executor& control,
                      std::string_view name, const std::string& value,
                      UniqueFunction<void(Result<void>)> done) {
    set_plan_settings(controller, control, {{std::string(name), value}}, std::move(done));
}

void set_plan_settings(handlers::ControllerDoor& controller, runtime::Executor& control,
                       const PlanJournal::Settings& settings,
                       UniqueFunction<void(Result<void>)> done) {
    protocol::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = static_cast<std::int8_t>(metadata::ConfigResourceType::broker);
    for (const auto& [name, value] : settings) {
        auto& config = resource.configs.emplace_back();
        config.name = name;
        if (value) {
            config.value = *value;
        } else {
            config.config_operation = static_cast<std::int8_t>(config::AlterOp::remove);
            config.value.reset();
        }
    }
    ask_controller<protocol::IncrementalAlterConfigsResponse>(
        controller, control, request, 1, [done = std::move(done)](auto answer) mutable {
            if (!answer) {
                done(answer.error());
            } else if ((*answer)->body.responses.empty()) {
                done(Error(Code::internal, "an answer about no setting"));
            } else if (const auto& one = (*answer)->body.responses.front(); one.error_code != 0) {
                done(error_of(one.error_code, one.error_message));
            } else {
                done({});
            }
        });
}

// --- Looking -------------------------------------------------------------------------------------

void PlanCarrier::hear() {
    look_in(look_after);
}

/// The sooner of this look and the one that is due already.
void PlanCarrier::look_in(Duration pause) {
    const Instant at = control_.clock().now() + pause;
    if (timer_) {
        if (due_at_ <= at) {
            return;
        }
        control_.cancel(timer_);
    }
    due_at_ = at;
    timer_ = control_.after(pause, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->timer_ = {};
            self->look();
        }
    });
}

void PlanCarrier::look() {
    const metadata::ImagePtr now = computer_->image();
    const auto intent = intent_in(*now);
    if (!intent || intent->is_over() || !leads()) {
        execution_.reset();
        disks_.reset();
        down_since_.clear();
        return;
    }
    look_in(look_at_plan_again);
    if (is_busy_) {
        return;
    }
    if (intent->state == PlanState::cancelling) {
        cancel(*intent, now);
    } else if (disks_ != nullptr && name_ == intent->name) {
        move_disks(*intent);
    } else if (execution_ == nullptr || name_ != intent->name ||
               carries_back_ != (intent->state == PlanState::rolling_back)) {
        intent->state == PlanState::rolling_back ? begin_rollback(*intent) : begin(*intent);
    } else {
        note_down(*now);
        placement::WorldNow world = world_of(now);
        if (carries_back_) {
            // Nothing is planned anew here: what a broker misses that restarts would stay undone.
            world.is_awaited = [this, now](BrokerId id) { return is_awaited(*now, id); };
        }
        step(*intent, world);
        note(*intent);
    }
}

/// Plans from what is there. If nothing is left to move, the plan is done.
void PlanCarrier::begin(const PlanIntent& intent) {
    auto wish = wish_in(intent.name);
    if (!wish) {
        finish(intent, PlanState::failed);
        return;
    }
    is_busy_ = true;
    computer_->compute(*std::move(wish), [self = shared_from_this(),
                                          intent](const std::shared_ptr<ComputedPlan>& made) {
        self->is_busy_ = false;
        self->began(intent, *made);
    });
}

void PlanCarrier::began(const PlanIntent& intent, const ComputedPlan& made) {
    if (made.plan.moves.empty() || fruitless_ >= fruitless_at_most) {
        if (!world_of(computer_->image()).moving.empty()) {
            look_in(look_at_plan_again);  // what is under way may yet make sense of the rest
            return;
        }
        if (made.plan.moves.empty() && !made.plan.disk_moves.empty() && fruitless_ == 0) {
            name_ = intent.name;
            disk_moves_ = made.plan.disk_moves;
            move_disks(intent);
            return;
        }
        fruitless_ = 0;
        finish(intent, made.plan.moves.empty() ? PlanState::done : PlanState::failed);
        return;
    }
    disk_moves_ = made.plan.disk_moves;
    carry_out(intent, made.plan.moves, made.wish.limits.max_moves_per_broker);
}

/// What the plan has moved goes back to where it was, as far as nobody has touched it since.
void PlanCarrier::begin_rollback(const PlanIntent& intent) {
    const metadata::ImagePtr now = computer_->image();
    const auto wish = wish_in(intent.name);
    std::vector<Move> back = PlanJournal::read(*now, id_of(intent.name)).backwards(world_of(now));
    if (!wish || back.empty()) {
        finish(intent, PlanState::rolled_back);
        return;
    }
    disk_moves_.clear();
    carry_out(intent, std::move(back), wish->limits.max_moves_per_broker);
}

void PlanCarrier::carry_out(const PlanIntent& intent, std::vector<Move> moves,
                            int max_moves_per_broker) {
    name_ = intent.name;
    carries_back_ = intent.state == PlanState::rolling_back;
    MR_LOG(log_, info, carries_back_ ? "plan.rollback_begun" : "plan.begun",
           field("plan", intent.name), field("moves", moves.size()));
    execution_ = std::make_shared<Execution>(std::move(moves), max_moves_per_broker);
    window_.emplace(max_moves_per_broker);
    sizes_.reset();
    look_in(Duration{1ms});
}

/// All of it happened. Plans that have a goal are drawn again all the same: the world may have
/// changed under them. Others would chase what producers do meanwhile.
bool PlanCarrier::is_complete(const PlanIntent& intent) const {
    const auto wish = wish_in(intent.name);
    return wish && !has_goals_to_reach(wish->mode) &&
           execution_->count(MoveState::done) == execution_->moves().size();
}

void PlanCarrier::step(const PlanIntent& intent, const placement::WorldNow& world) {
    std::vector<const Move*> due;
    narrow_window(world.behind);
    if (intent.state == PlanState::paused) {
        execution_->look(world);
    } else {
        due = execution_->next(world);
    }
    if (execution_->is_over()) {
        fruitless_ = execution_->count(MoveState::done) > 0 ? 0 : fruitless_ + 1;
        elect();
        if (carries_back_) {
            // Once is enough: what did not go back now was dropped for a reason.
            finish(intent, PlanState::rolled_back);
        } else if (is_complete(intent) && !disk_moves_.empty()) {
            move_disks(intent);
        } else if (is_complete(intent)) {
            finish(intent, PlanState::done);
        } else {
            begin(intent);
        }
        return;
    }
    give_up_lost();
    if (due.empty()) {
        return;
    }
    carries_back_ ? start(due) : note_and_start(due);
}

/// Copies leave room for replicas that have fallen behind.
void PlanCarrier::narrow_window(std::int64_t behind) {
    const int before = window_->moves_per_broker();
    window_->step(control_.clock().now(), behind);
    if (window_->moves_per_broker() != before) {
        MR_LOG(log_, info, "plan.window", field("moves_per_broker", window_->moves_per_broker()),
               field("replicas_behind", behind));
        execution_->set_max_moves_per_broker(window_->moves_per_broker());
    }
}

/// Between the disks of one broker, once all else is done.
void PlanCarrier::move_disks(const PlanIntent& intent) {
    if (disks_ == nullptr) {
        execution_.reset();
        disks_ =
            std::make_shared<DiskMover>(std::exchange(disk_moves_, {}), computer_, control_, log_);
    }
    if (disks_->is_over()) {
        const bool failed = disks_->failed() > 0;
        disks_.reset();
        finish(intent, failed ? PlanState::failed : PlanState::done);
        return;
    }
    note_disks(intent);
    disks_->step(intent.state == PlanState::running, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->look_in(look_after);
        }
    });
}

// --- Reassignments -------------------------------------------------------------------------------

PlanCarrier::Topics PlanCarrier::by_topic(const std::vector<const Move*>& moves) {
    Topics topics;
    for (const Move* move : moves) {
        topics[move->topic].emplace_back(move->partition, move);
    }
    return topics;
}

void PlanCarrier::note_and_start(const std::vector<const Move*>& due) {
    is_busy_ = true;
    PlanJournal journal = PlanJournal::read(*computer_->image(), id_of(name_));
    set_plan_settings(*view_.doors->controller, control_, journal.add(due),
                      [self = shared_from_this(), due, running = execution_](Result<void> noted) {
                          self->is_busy_ = false;
                          if (!noted) {
                              MR_LOG(self->log_, warn, "plan.not_noted",
                                     field("reason", noted.error().message()));
                              self->look_in(look_at_plan_again);
                          } else if (self->execution_ == running && self->leads()) {
                              self->start(due);
                          }
                      });
}

void PlanCarrier::start(const std::vector<const Move*>& due) {
    is_busy_ = true;
    auto topics = std::make_shared<Topics>(by_topic(due));
    protocol::AlterPartitionReassignmentsRequest request;
    for (const auto& [topic, partitions] : *topics) {
        auto& asked = request.topics.emplace_back();
        asked.name = topic;
        for (const auto& [index, move] : partitions) {
            auto& partition = asked.partitions.emplace_back();
            partition.partition_index = index;
            partition.replicas.emplace();
            for (const BrokerId broker : move->to) {
                partition.replicas->push_back(broker.value);
            }
        }
    }
    ask_controller<protocol::AlterPartitionReassignmentsResponse>(
        *view_.doors->controller, control_, request, 1,
        [self = shared_from_this(), topics, running = execution_](auto answer) {
            self->is_busy_ = false;
            self->look_in(look_after);
            if (!answer) {
                MR_LOG(self->log_, warn, "plan.not_started",
                       field("reason", answer.error().message()));
                return;
            }
            for (const auto& topic : (*answer)->body.responses) {
                const auto found = topics->find(std::string(topic.name));
                for (std::size_t i = 0; found != topics->end() &&
                                        i < std::min(found->second.size(), topic.partitions.size());
                     ++i) {
                    const auto& outcome = topic.partitions[i];
                    const Move& move = *found->second[i].second;
                    if (outcome.error_code == 0) {
                        running->started(move);
                    } else {
                        running->failed(
                            move, error_of(outcome.error_code, outcome.error_message).message());
                    }
                }
            }
        });
}

void PlanCarrier::take_back(const Topics& topics, UniqueFunction<void(bool)> done) {
    is_busy_ = true;
    protocol::AlterPartitionReassignmentsRequest request;
    for (const auto& [topic, partitions] : topics) {
        auto& asked = request.topics.emplace_back();
        asked.name = topic;
        for (const auto& [index, move] : partitions) {
            auto& partition = asked.partitions.emplace_back();
            partition.partition_index = index;
            partition.replicas.reset();
        }
    }
    ask_controller<protocol::AlterPartitionReassignmentsResponse>(
        *view_.doors->controller, control_, request, 1,
        [self = shared_from_this(), done = std::move(done)](const auto& answer) mutable {
            self->is_busy_ = false;
            self->look_in(look_after);
            if (!answer) {
                MR_LOG(self->log_, warn, "plan.not_taken_back",
                       field("reason", answer.error().message()));
            }
            done(answer.has_value());
        });
}

void PlanCarrier::note_down(const metadata::Image& image) {
    const Instant now = control_.clock().now();
    std::map<BrokerId, Instant> down;
    for (std::size_t i = 0; i < execution_->moves().size(); ++i) {
        const MoveState state = execution_->outcome(i).state;
        if (state != MoveState::waiting && state != MoveState::in_flight) {
            continue;
        }
        const Move& move = execution_->moves()[i];
        for (const BrokerId id : move.to) {
            const metadata::Broker* broker = image.cluster.broker(id);
            if (is_arrival(move, id) && (broker == nullptr || !broker->is_active())) {
                const auto before = down_since_.find(id);
                down[id] = before != down_since_.end() ? before->second : now;
            }
        }
    }
    down_since_ = std::move(down);
}

bool PlanCarrier::is_down_for_long(BrokerId id) const {
    const auto since = down_since_.find(id);
    return since != down_since_.end() &&
           control_.clock().now() - since->second > patience_with_brokers;
}

/// It is down, and may just be restarting.
bool PlanCarrier::is_awaited(const metadata::Image& image, BrokerId id) const {
    const metadata::Broker* broker = image.cluster.broker(id);
    return broker != nullptr && !broker->is_active() && !metadata::is_cordoned(image, *broker) &&
           !is_down_for_long(id);
}

/// Moves to a broker that doesn't come back would never end.
void PlanCarrier::give_up_lost() {
    const auto back =
        by_topic(execution_->give_up([&](BrokerId id) { return is_down_for_long(id); }));
    if (!back.empty()) {
        take_back(back, [](bool) {});  // if it fails, the next plan counts them as others' moves
    }
}

/// Who leads by order shall lead in fact.
void PlanCarrier::elect() {
    std::map<std::string, std::vector<std::int32_t>> wanted;
    for (std::size_t i = 0; i < execution_->moves().size(); ++i) {
        const Move& move = execution_->moves()[i];
        if (execution_->outcome(i).state == MoveState::done && !move.from.empty() &&
            move.from.front() != move.to.front()) {
            wanted[move.topic].push_back(move.partition);
        }
    }
    if (wanted.empty()) {
        return;
    }
    protocol::ElectLeadersRequest request;
    request.timeout_ms = 10'000;
    request.topic_partitions.emplace();
    for (auto& [topic, partitions] : wanted) {
        request.topic_partitions->push_back({topic, std::move(partitions)});
    }
    ask_controller<protocol::ElectLeadersResponse>(
        *view_.doors->controller, control_, request, 2,
        [self = shared_from_this()](const auto& answer) {
            if (!answer) {  // the controller balances leaders by itself, later
                MR_LOG(self->log_, warn, "plan.leaders_not_elected",
                       field("reason", answer.error().message()));
            }
        });
}

void PlanCarrier::cancel(const PlanIntent& intent, const metadata::ImagePtr& now) {
    if (disks_ != nullptr) {
        disks_->take_back();
        disks_.reset();
        finish(intent, PlanState::cancelled);  // Between brokers nothing of it moves any more.
        return;
    }
    Topics back;
    if (execution_ != nullptr && name_ == intent.name) {
        back = by_topic(execution_->cancel(world_of(now)));
    } else {  // another node began them, and has noted which
        const PlanJournal journal = PlanJournal::read(*now, id_of(intent.name));
        for (const Move* move : journal.under_way(world_of(now))) {
            back[move->topic].emplace_back(move->partition, nullptr);
        }
    }
    if (back.empty()) {
        finish(intent, PlanState::cancelled);
        return;
    }
    take_back(back, [self = shared_from_this(), intent](bool taken) {
        if (taken) {
            self->finish(intent, PlanState::cancelled);
        } else {
            self->execution_.reset();  // asked again, then by what the metadata shows
        }
    });
}

void PlanCarrier::finish(PlanIntent intent, PlanState state) {
    intent.state = state;
    intent.ended_ms = control_.clock().wall().milliseconds;
    MR_LOG(log_, info, "plan.ended", field("plan", intent.name),
           field("state", static_cast<int>(state)));
    execution_.reset();
    is_busy_ = true;
    set_plan_setting(*view_.doors->controller, control_, metadata::setting::plan,
                     intent_text(intent), [self = shared_from_this()](const Result<void>& outcome) {
                         self->is_busy_ = false;
                         if (!outcome) {
                             MR_LOG(self->log_, warn, "plan.not_noted",
                                    field("reason", outcome.error().message()));
                             self->look_in(look_at_plan_again);
                         }
                     });
}

// --- How far it is -------------------------------------------------------------------------------

/// Bytes of moves in flight that have arrived.
std::int64_t PlanCarrier::copied() const {
    std::int64_t bytes = 0;
    for (const std::size_t number : execution_->in_flight()) {
        const Move& move = execution_->moves()[number];
        std::int64_t arrived = 0;
        for (const BrokerId broker : move.to) {
            if (sizes_ != nullptr && is_arrival(move, broker)) {
                arrived += size_at(*sizes_, broker, move.topic, move.partition);
            }
        }
        bytes += std::min(arrived, move.bytes);
    }
    return bytes;
}

PlanNote PlanCarrier::note_of(const PlanIntent& intent) const {
    PlanNote note;
    note.id = id_of(intent.name);
    std::map<MoveState, std::int64_t> copies;
    std::int64_t bytes_left = 0;
    for (std::size_t i = 0; i < execution_->moves().size(); ++i) {
        const placement::MoveOutcome& outcome = execution_->outcome(i);
        const Move& move = execution_->moves()[i];
        const bool is_waiting = outcome.state == MoveState::waiting;
        const bool has_ended =
            outcome.state == MoveState::dropped || outcome.state == MoveState::failed;
        copies[outcome.state] += move.arrivals();
        bytes_left += outcome.state == MoveState::done ? 0 : move.bytes;
        if ((has_ended || (is_waiting && outcome.is_held_up)) &&
            note.blocked.size() < blocked_noted) {
            note.blocked.push_back({{move.topic, PartitionIndex{move.partition}}, outcome.why});
        }
    }
    note.in_flight = copies[MoveState::in_flight];
    note.failed = copies[MoveState::failed];
    note.dropped = copies[MoveState::dropped];
    note.done = std::max<std::int64_t>(
        0, intent.moves - copies[MoveState::waiting] - note.in_flight - note.failed - note.dropped);
    note.bytes_done = std::max<std::int64_t>(0, intent.bytes - bytes_left + copied());
    return note;
}

void PlanCarrier::note(const PlanIntent& intent) {
    measure();
    const Instant now = control_.clock().now();
    if (execution_ == nullptr || is_noting_ || now - noted_at_ < note_pause) {
        return;
    }
    PlanNote note = note_of(intent);
    const bool is_first = noted_.id != note.id;
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - noted_at_).count();
    if (!is_first && milliseconds > 0) {
        const std::int64_t lately =
            std::max<std::int64_t>(0, note.bytes_done - noted_.bytes_done) * 1000 / milliseconds;
        note.bytes_per_second =
            noted_.bytes_per_second == 0 ? lately : (2 * noted_.bytes_per_second + lately) / 3;
    }
    write_note(note);
}

void PlanCarrier::note_disks(const PlanIntent& intent) {
    if (is_noting_ || control_.clock().now() - noted_at_ < note_pause) {
        return;
    }
    PlanNote note;
    note.id = id_of(intent.name);
    note.in_flight = static_cast<std::int64_t>(disks_->in_flight());
    note.failed = static_cast<std::int64_t>(disks_->failed());
    note.done = std::max<std::int64_t>(
        0, intent.moves - static_cast<std::int64_t>(disks_->left()) - note.failed);
    note.bytes_done = intent.bytes;
    write_note(note);
}

void PlanCarrier::write_note(const PlanNote& note) {
    if (note == noted_) {
        return;
    }
    is_noting_ = true;
    noted_ = note;
    noted_at_ = control_.clock().now();
    set_plan_setting(*view_.doors->controller, control_, metadata::setting::plan_note,
                     note_text(note), [self = shared_from_this()](const Result<void>& outcome) {
                         self->is_noting_ = false;
                         if (!outcome) {
                             MR_LOG(self->log_, warn, "plan.not_noted",
                                    field("reason", outcome.error().message()));
                         }
                     });
}

/// Asks those who get replicas how much of them they have.
void PlanCarrier::measure() {
    const Instant now = control_.clock().now();
    if (execution_ == nullptr || is_measuring_ || now - measured_at_ < measure_pause) {
        return;
    }
    std::set<BrokerId> brokers;
    Partitions partitions;
    for (const std::size_t number : execution_->in_flight()) {
        const Move& move = execution_->moves()[number];
        for (const BrokerId broker : move.to) {
            if (is_arrival(move, broker)) {
                brokers.insert(broker);
            }
        }
        partitions[move.topic].push_back(move.partition);
    }
    if (brokers.empty()) {
        return;
    }
    is_measuring_ = true;
    measured_at_ = now;
    computer_->sizes_of({brokers.begin(), brokers.end()}, partitions,
                        [self = shared_from_this()](std::shared_ptr<const ReplicaSizes> sizes) {
                            self->is_measuring_ = false;
                            self->sizes_ = std::move(sizes);
                        });
}

}  // namespace millrace::app
