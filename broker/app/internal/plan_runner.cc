#include "app/internal/plan_runner.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <map>
#include <set>

#include "app/internal/controller_ask.h"
#include "app/internal/placement_snapshot.h"
#include "app/internal/plan_intent.h"
#include "metadata/standing.h"
#include "placement/execution.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::app {
namespace {

using admin::PlanProgress;
using admin::PlanState;
using placement::Execution;
using placement::Move;
using placement::MoveState;

/// Changes of the metadata come in crowds; one look is enough for all of them.
constexpr Duration look_after = 200ms;
/// Without any news the running plan is looked at this often.
constexpr Duration look_again = 2s;
constexpr Duration news_pause = 1s;
/// Plans that end without one move done, before the whole is given up.
constexpr int fruitless_at_most = 3;
constexpr std::size_t blocked_shown = 100;
constexpr std::uint64_t pool_lane = 0;

/// A computed plan with the image that it rests on.
struct Computed {
    metadata::ImagePtr image;
    admin::PlanWish wish;
    placement::Plan plan;
    std::string name;
};

using Topics = std::map<std::string, std::vector<std::pair<std::int32_t, const Move*>>>;

std::int64_t arrivals_in(const placement::WorldNow& world) {
    std::int64_t arrivals = 0;
    for (const placement::PartitionNow& partition : world.moving) {
        arrivals += partition.adding.empty() ? 0 : 1;
    }
    return arrivals;
}

}  // namespace

struct PlanRunner::Inside : std::enable_shared_from_this<PlanRunner::Inside> {
    struct Watcher {
        std::string name;
        UniqueFunction<void(PlanProgress)> news;
        std::shared_ptr<std::atomic<bool>> is_open;
    };
    struct Watching final : admin::Subscription {
        explicit Watching(std::shared_ptr<std::atomic<bool>> open_in) : open(std::move(open_in)) {}
        ~Watching() override { *open = false; }
        std::shared_ptr<std::atomic<bool>> open;
    };

    Inside(const BrokerView& view_in, admin::AdminDoors& doors_in, runtime::Node& node)
        : view(view_in),
          doors(doors_in),
          control(*node.control_shard().executor),
          pool(node.disk_pool()),
          log(node.log()) {}

    metadata::ImagePtr image() const { return view.doors->image->current(); }
    bool leads() const { return view.quorum->leadership().is_self; }

    // --- Computing ------------------------------------------------------------------------------

    std::vector<BrokerId> brokers_up() const {
        std::vector<BrokerId> up;
        for (const auto& [id, broker] : image()->cluster.brokers) {
            if (!broker->fenced) {
                up.push_back(id);
            }
        }
        return up;
    }

    /// From any thread; `done` runs on the control loop. A plan of a large cluster takes seconds.
    void compute(admin::PlanWish wish, UniqueFunction<void(std::shared_ptr<Computed>)> done) {
        gather_sizes(doors, brokers_up(),
                     [self = shared_from_this(), wish = std::move(wish),
                      done = std::move(done)](std::shared_ptr<const ReplicaSizes> sizes) mutable {
                         auto made = std::make_shared<Computed>();
                         made->image = self->image();
                         made->wish = std::move(wish);
                         self->pool.run(
                             pool_lane, self->control,
                             [made, sizes = std::move(sizes)] { compute_now(*made, *sizes); },
                             [made, done = std::move(done)]() mutable { done(made); });
                     });
    }
    static void compute_now(Computed& made, const ReplicaSizes& sizes) {
        const admin::PlanWish& wish = made.wish;
        const placement::Snapshot snapshot =
            snapshot_of(*made.image, sizes, {wish.drain.begin(), wish.drain.end()},
                        {wish.lost.begin(), wish.lost.end()});
        placement::Desired desired;
        desired.mode = wish.mode;
        desired.replication_factors = wish.replication_factors;
        for (const placement::TopicState& topic : snapshot.topics) {
            for (const std::string& glob : wish.exclude_topics) {
                if (matches(glob, topic.name)) {
                    desired.pinned_topics.insert(topic.name);
                }
            }
        }
        made.plan = placement::plan(snapshot, desired, wish.limits);
        made.name = plan_name(made.plan.fingerprint, wish);
    }

    // --- The intent -----------------------------------------------------------------------------

    void set_intent(const PlanIntent& intent, UniqueFunction<void(Result<void>)> done) {
        const std::string text = intent_text(intent);
        protocol::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = static_cast<std::int8_t>(metadata::ConfigResourceType::broker);
        auto& config = resource.configs.emplace_back();
        config.name = metadata::setting::plan;
        config.value = text;
        ask_controller<protocol::IncrementalAlterConfigsResponse>(
            *view.doors->controller, control, request, 1,
            [done = std::move(done)](auto answer) mutable {
                if (!answer) {
                    done(answer.error());
                } else if (const auto& one = (*answer)->body.responses.at(0); one.error_code != 0) {
                    done(error_of(one.error_code, one.error_message));
                } else {
                    done({});
                }
            });
    }

    void finish(PlanIntent intent, PlanState state) {
        intent.state = state;
        intent.ended_ms = control.clock().wall().milliseconds;
        MR_LOG(log, info, "plan.ended", field("plan", intent.name),
               field("state", static_cast<int>(state)));
        execution.reset();
        set_intent(intent, [self = shared_from_this()](const Result<void>& outcome) {
            if (!outcome) {
                MR_LOG(self->log, warn, "plan.not_noted",
                       field("reason", outcome.error().message()));
                self->look_in(look_again);
            }
        });
    }

    // --- Carrying out ---------------------------------------------------------------------------

    /// The sooner of this look and the one that is due already.
    void look_in(Duration pause) {
        const Instant at = control.clock().now() + pause;
        if (timer) {
            if (due_at <= at) {
                return;
            }
            control.cancel(timer);
        }
        due_at = at;
        timer = control.after(pause, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->timer = {};
                self->look();
            }
        });
    }

    void look() {
        const metadata::ImagePtr now = image();
        const auto intent = intent_in(*now);
        if (!intent || intent->is_over() || !leads()) {
            execution.reset();
            return;
        }
        look_in(look_again);
        if (is_busy || intent->state == PlanState::paused) {
            return;
        }
        if (intent->state == PlanState::cancelling) {
            cancel(*intent, now);
        } else if (execution == nullptr || name != intent->name) {
            begin(*intent);
        } else {
            step(*intent, world_of(now));
        }
    }

    /// Plans from what is there. If nothing is left to move, the plan is done.
    void begin(const PlanIntent& intent) {
        auto wish = wish_in(intent.name);
        if (!wish) {
            finish(intent, PlanState::failed);
            return;
        }
        is_busy = true;
        compute(*std::move(wish), [self = shared_from_this(),
                                   intent](const std::shared_ptr<Computed>& made) {
            self->is_busy = false;
            const placement::WorldNow world = world_of(self->image());
            if (!made->plan.moves.empty() && self->fruitless < fruitless_at_most) {
                self->name = intent.name;
                self->execution = std::make_shared<Execution>(
                    made->plan.moves, made->wish.limits.max_moves_per_broker);
                self->look_in(Duration{1ms});
            } else if (world.moving.empty()) {
                self->fruitless = 0;
                self->finish(intent,
                             made->plan.moves.empty() ? PlanState::done : PlanState::failed);
            } else {
                self->look_in(look_again);  // what is under way may yet make sense of the rest
            }
        });
    }

    void step(const PlanIntent& intent, const placement::WorldNow& world) {
        const std::vector<const Move*> due = execution->next(world);
        if (!due.empty()) {
            start(due);
        } else if (execution->is_over()) {
            fruitless = execution->count(MoveState::done) > 0 ? 0 : fruitless + 1;
            elect(*execution);
            begin(intent);
        }
    }

    static Topics by_topic(const std::vector<const Move*>& moves) {
        Topics topics;
        for (const Move* move : moves) {
            topics[move->topic].emplace_back(move->partition, move);
        }
        return topics;
    }

    using Answered = UniqueFunction<void(
        Result<std::shared_ptr<Told<protocol::AlterPartitionReassignmentsResponse>>>)>;
    /// `back`: takes the reassignments back.
    void reassign(const Topics& topics, bool back, Answered done) {
        protocol::AlterPartitionReassignmentsRequest request;
        for (const auto& [topic, partitions] : topics) {
            auto& asked = request.topics.emplace_back();
            asked.name = topic;
            for (const auto& [index, move] : partitions) {
                auto& partition = asked.partitions.emplace_back();
                partition.partition_index = index;
                if (!back) {
                    partition.replicas.emplace();
                    for (const BrokerId broker : move->to) {
                        partition.replicas->push_back(broker.value);
                    }
                }
            }
        }
        ask_controller<protocol::AlterPartitionReassignmentsResponse>(
            *view.doors->controller, control, request, 1, std::move(done));
    }

    void start(const std::vector<const Move*>& due) {
        is_busy = true;
        auto topics = std::make_shared<Topics>(by_topic(due));
        reassign(*topics, false,
                 [self = shared_from_this(), topics, running = execution](auto answer) {
                     self->is_busy = false;
                     self->look_in(look_after);
                     if (!answer) {
                         MR_LOG(self->log, warn, "plan.not_started",
                                field("reason", answer.error().message()));
                         return;
                     }
                     for (const auto& topic : (*answer)->body.responses) {
                         const auto found = topics->find(std::string(topic.name));
                         for (std::size_t i = 0;
                              found != topics->end() &&
                              i < std::min(found->second.size(), topic.partitions.size());
                              ++i) {
                             const auto& outcome = topic.partitions[i];
                             const Move& move = *found->second[i].second;
                             if (outcome.error_code == 0) {
                                 running->started(move);
                             } else {
                                 running->failed(
                                     move,
                                     error_of(outcome.error_code, outcome.error_message).message());
                             }
                         }
                     }
                 });
    }

    /// Who leads by order shall lead in fact.
    void elect(const Execution& over) {
        std::map<std::string, std::vector<std::int32_t>> wanted;
        for (std::size_t i = 0; i < over.moves().size(); ++i) {
            const Move& move = over.moves()[i];
            if (over.outcome(i).state == MoveState::done && !move.from.empty() &&
                move.from.front() != move.to.front()) {
                wanted[move.topic].push_back(move.partition);
            }
        }
        if (wanted.empty()) {
            return;
        }
        protocol::ElectLeadersRequest request;
        request.timeout_ms = 10'000;
        for (auto& [topic, partitions] : wanted) {
            request.topic_partitions->push_back({topic, std::move(partitions)});
        }
        ask_controller<protocol::ElectLeadersResponse>(
            *view.doors->controller, control, request, 2,
            [self = shared_from_this()](const auto& answer) {
                if (!answer) {  // the controller balances leaders by itself, later
                    MR_LOG(self->log, warn, "plan.leaders_not_elected",
                           field("reason", answer.error().message()));
                }
            });
    }

    void cancel(const PlanIntent& intent, const metadata::ImagePtr& now) {
        Topics back;
        if (execution != nullptr && name == intent.name) {
            back = by_topic(execution->cancel(world_of(now)));
        } else {  // another node began them: whatever moves is taken for its work
            for (const auto& [id, topic] : now->topics.by_id()) {
                for (const auto& [index, partition] : topic->partitions) {
                    if (partition->is_reassigning()) {
                        back[topic->name].emplace_back(index.value, nullptr);
                    }
                }
            }
        }
        if (back.empty()) {
            finish(intent, PlanState::cancelled);
            return;
        }
        is_busy = true;
        reassign(back, true, [self = shared_from_this(), intent](const auto& answer) {
            self->is_busy = false;
            if (answer) {
                self->finish(intent, PlanState::cancelled);
            } else {
                self->execution.reset();  // asked again, then by what the metadata shows
                self->look_in(look_again);
            }
        });
    }

    // --- Progress -------------------------------------------------------------------------------

    PlanProgress progress_of(const PlanIntent& intent) const {
        PlanProgress progress;
        progress.hash = intent.name;
        progress.state = intent.state;
        progress.moves_total = static_cast<int>(intent.moves);
        progress.bytes_total = intent.bytes;
        progress.lower_bound_moves = static_cast<int>(intent.lower_bound);
        progress.started_at = Timestamp{intent.started_ms};
        progress.ended_at = Timestamp{intent.ended_ms};
        if (intent.state == PlanState::done) {
            progress.moves_done = progress.moves_total;
            progress.bytes_done = progress.bytes_total;
            progress.eta_seconds = 0;
        }
        return progress;
    }

    void fill_from_execution(PlanProgress& progress) const {
        std::size_t waiting = 0;
        for (std::size_t i = 0; i < execution->moves().size(); ++i) {
            const placement::MoveOutcome& outcome = execution->outcome(i);
            const Move& move = execution->moves()[i];
            waiting += outcome.state == MoveState::waiting ? 1 : 0;
            const bool is_blocked = outcome.state == MoveState::dropped ||
                                    outcome.state == MoveState::failed ||
                                    (outcome.state == MoveState::waiting && !outcome.why.empty());
            if (is_blocked && progress.blocked.size() < blocked_shown) {
                progress.blocked.push_back(
                    {{move.topic, PartitionIndex{move.partition}}, outcome.why});
            }
        }
        progress.moves_in_flight = static_cast<int>(execution->count(MoveState::in_flight));
        progress.moves_failed = static_cast<int>(execution->count(MoveState::failed));
        progress.moves_dropped = static_cast<int>(execution->count(MoveState::dropped));
        progress.moves_done = std::max(0, progress.moves_total - static_cast<int>(waiting) -
                                              progress.moves_in_flight - progress.moves_failed -
                                              progress.moves_dropped);
    }

    void fill_rate(PlanProgress& progress) const {
        if (progress.moves_total > 0 && progress.bytes_done == 0) {
            progress.bytes_done = progress.bytes_total / progress.moves_total * progress.moves_done;
        }
        const std::int64_t now = control.clock().wall().milliseconds;
        const std::int64_t seconds =
            std::max<std::int64_t>(1, (now - progress.started_at.milliseconds) / 1000);
        progress.bytes_per_second = progress.bytes_done / seconds;
        if (progress.bytes_per_second > 0) {
            progress.eta_seconds =
                (progress.bytes_total - progress.bytes_done) / progress.bytes_per_second;
        }
    }

    /// On the control loop. A node that doesn't carry it out plans anew to see what is left.
    void tell(const std::string& wanted, admin::Reply<PlanProgress> reply) {
        const auto intent = intent_in(*image());
        if (!intent || (!wanted.empty() && wanted != intent->name)) {
            reply(Error(Code::not_found, "there is no such plan"));
            return;
        }
        PlanProgress progress = progress_of(*intent);
        if (intent->is_over()) {
            reply(std::move(progress));
            return;
        }
        if (execution != nullptr && name == intent->name) {
            fill_from_execution(progress);
            fill_rate(progress);
            reply(std::move(progress));
            return;
        }
        auto wish = wish_in(intent->name);
        if (!wish) {
            reply(wish.error());
            return;
        }
        compute(*std::move(wish), [self = shared_from_this(), progress = std::move(progress),
                                   reply = std::move(reply)](
                                      const std::shared_ptr<Computed>& made) mutable {
            progress.moves_in_flight = static_cast<int>(arrivals_in(world_of(self->image())));
            progress.moves_done = std::max(0, progress.moves_total - progress.moves_in_flight -
                                                  static_cast<int>(made->plan.moves.size()));
            self->fill_rate(progress);
            reply(std::move(progress));
        });
    }

    void tell_watchers() {
        watchers.remove_if([](const Watcher& watcher) { return !*watcher.is_open; });
        if (watchers.empty() || news_due) {
            return;
        }
        news_due = true;
        control.after(news_pause, [weak = weak_from_this()] {
            auto self = weak.lock();
            if (!self) {
                return;
            }
            self->news_due = false;
            for (Watcher& watcher : self->watchers) {
                self->tell(watcher.name, [self, open = watcher.is_open,
                                          at = &watcher](Result<PlanProgress> progress) {
                    if (progress && *open) {
                        at->news(*std::move(progress));
                    }
                });
            }
        });
    }

    const BrokerView& view;
    admin::AdminDoors& doors;
    runtime::Executor& control;
    runtime::DiskPool& pool;
    const Logger& log;
    std::string name;  ///< Of what `execution` carries out.
    std::shared_ptr<Execution> execution;
    runtime::TimerId timer{};
    Instant due_at;
    bool is_busy = false;
    bool news_due = false;
    int fruitless = 0;
    std::list<Watcher> watchers;
};

PlanRunner::PlanRunner(const BrokerView& view, admin::AdminDoors& doors, runtime::Node& node)
    : inside_(std::make_shared<Inside>(view, doors, node)) {
    view.publisher->subscribe(
        [inside = inside_](const metadata::Delta&, const metadata::ImagePtr& now) {
            const auto intent = intent_in(*now);
            if (intent && !intent->is_over()) {
                inside->look_in(look_after);
            }
            if (intent) {
                inside->tell_watchers();
            }
        });
}

PlanRunner::~PlanRunner() = default;

void PlanRunner::placement_view(admin::PlacementQuestion question,
                                admin::Reply<admin::PlacementView> reply) {
    gather_sizes(inside_->doors, inside_->brokers_up(),
                 [inside = inside_, question = std::move(question), reply = std::move(reply)](
                     const std::shared_ptr<const ReplicaSizes>& sizes) mutable {
                     reply(app::placement_view(*inside->image(), *sizes, question));
                 });
}

void PlanRunner::plan(admin::PlanWish wish, admin::Reply<admin::ProposedPlan> reply) {
    inside_->compute(
        std::move(wish), [reply = std::move(reply)](const std::shared_ptr<Computed>& made) mutable {
            reply(admin::ProposedPlan{made->name, made->wish.mode, std::move(made->plan),
                                      made->image->provenance.epoch, made->image->provenance.end});
        });
}

void PlanRunner::apply(admin::Caller caller, std::string hash,
                       admin::Reply<admin::PlanProgress> reply) {
    auto wish = wish_in(hash);
    if (!wish) {
        reply(wish.error());
        return;
    }
    inside_->compute(*std::move(wish), [inside = inside_, hash, dry_run = caller.dry_run,
                                        reply = std::move(reply)](
                                           const std::shared_ptr<Computed>& made) mutable {
        const auto running = intent_in(*inside->image());
        if (running && !running->is_over()) {
            if (running->name == hash) {
                inside->tell(hash, std::move(reply));
            } else {
                reply(Error::make(Code::fenced, "plan {} runs; one at a time", running->name));
            }
            return;
        }
        if (made->name != hash) {
            reply(Error(Code::fenced,
                        "the cluster is not as the plan found it: replicas or brokers have "
                        "changed; plan anew"));
            return;
        }
        PlanIntent intent;
        intent.name = hash;
        intent.moves = static_cast<std::int64_t>(made->plan.moves.size());
        intent.bytes = made->plan.move_bytes;
        intent.lower_bound = made->plan.lower_bound;
        intent.started_ms = inside->control.clock().wall().milliseconds;
        PlanProgress progress = inside->progress_of(intent);
        if (dry_run) {
            reply(std::move(progress));
            return;
        }
        inside->set_intent(intent, [progress = std::move(progress),
                                    reply = std::move(reply)](Result<void> done) mutable {
            if (done) {
                reply(std::move(progress));
            } else {
                reply(done.error());
            }
        });
    });
}

void PlanRunner::order(admin::Caller caller, std::string hash, admin::PlanOrder order,
                       admin::Reply<admin::PlanProgress> reply) {
    inside_->control.post([inside = inside_, hash = std::move(hash), order,
                           dry_run = caller.dry_run, reply = std::move(reply)]() mutable {
        auto intent = intent_in(*inside->image());
        if (!intent || (!hash.empty() && hash != intent->name)) {
            reply(Error(Code::not_found, "there is no such plan"));
            return;
        }
        if (intent->is_over()) {
            reply(Error(Code::fenced, "the plan has ended"));
            return;
        }
        const PlanState wanted = order == admin::PlanOrder::pause    ? PlanState::paused
                                 : order == admin::PlanOrder::resume ? PlanState::running
                                                                     : PlanState::cancelling;
        if (intent->state == PlanState::cancelling && wanted != PlanState::cancelling) {
            reply(Error(Code::fenced, "the plan is being cancelled"));
            return;
        }
        intent->state = wanted;
        PlanProgress progress = inside->progress_of(*intent);
        if (dry_run) {
            reply(std::move(progress));
            return;
        }
        inside->set_intent(*intent, [progress = std::move(progress),
                                     reply = std::move(reply)](Result<void> done) mutable {
            if (done) {
                reply(std::move(progress));
            } else {
                reply(done.error());
            }
        });
    });
}

void PlanRunner::progress(std::string hash, admin::Reply<admin::PlanProgress> reply) {
    inside_->control.post(
        [inside = inside_, hash = std::move(hash), reply = std::move(reply)]() mutable {
            inside->tell(hash, std::move(reply));
        });
}

std::unique_ptr<admin::Subscription> PlanRunner::watch(
    std::string hash, UniqueFunction<void(admin::PlanProgress)> news) {
    auto open = std::make_shared<std::atomic<bool>>(true);
    inside_->control.post(
        [inside = inside_, open, hash = std::move(hash), news = std::move(news)]() mutable {
            inside->watchers.push_back({std::move(hash), std::move(news), open});
            inside->tell_watchers();
        });
    return std::make_unique<Inside::Watching>(open);
}

}  // namespace millrace::app
