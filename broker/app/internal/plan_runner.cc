#include "app/internal/plan_runner.h"

#include <atomic>
#include <list>

#include "app/internal/placement_snapshot.h"
#include "app/internal/plan_carrier.h"
#include "app/internal/plan_computer.h"
#include "app/internal/plan_intent.h"
#include "app/internal/plan_journal.h"
#include "metadata/standing.h"

namespace millrace::app {
namespace {

using admin::PlanProgress;
using admin::PlanState;

constexpr Duration news_pause = 500ms;

Error no_such_plan() {
    return Error(Code::not_found, "there is no such plan");
}

PlanProgress progress_in(const metadata::Image& image, const PlanIntent& intent) {
    return progress_of(intent, note_in(image, intent).value_or(PlanNote{}));
}

PlanState wanted_by(admin::PlanOrder order) {
    switch (order) {
        case admin::PlanOrder::pause:
            return PlanState::paused;
        case admin::PlanOrder::resume:
            return PlanState::running;
        case admin::PlanOrder::cancel:
            return PlanState::cancelling;
        case admin::PlanOrder::roll_back:
            return PlanState::rolling_back;
    }
    return PlanState::cancelling;
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

    Inside(const BrokerView& view_in, admin::AdminDoors& doors, runtime::Node& node)
        : view(view_in),
          control(*node.control_shard().executor),
          computer(std::make_shared<PlanComputer>(view, doors, node)),
          carrier(std::make_shared<PlanCarrier>(view, computer, node)) {}

    /// The named plan, or the latest if none is named.
    Result<PlanIntent> named(const std::string& name) const {
        const auto intent = intent_in(*computer->image());
        if (!intent || (!name.empty() && name != intent->name && name != id_of(intent->name))) {
            return no_such_plan();
        }
        return *intent;
    }

    /// Writes it into the metadata, and answers with what it makes of the plan's progress.
    void decide(const PlanIntent& intent, bool dry_run, admin::Reply<PlanProgress> reply) {
        PlanProgress progress = progress_in(*computer->image(), intent);
        if (dry_run) {
            reply(std::move(progress));
            return;
        }
        set_plan_setting(
            *view.doors->controller, control, metadata::setting::plan, intent_text(intent),
            [progress = std::move(progress), reply = std::move(reply)](Result<void> done) mutable {
                if (done) {
                    reply(std::move(progress));
                } else {
                    reply(done.error());
                }
            });
    }

    Result<PlanIntent> intent_to_begin(const std::string& name, std::int64_t throttle,
                                       const ComputedPlan& made) const {
        if (made.name != name) {
            return Error(Code::fenced,
                         "the cluster is not as the plan found it: replicas or brokers have "
                         "changed; plan anew");
        }
        MR_TRY_VOID(check_begin(made));
        PlanIntent intent;
        intent.name = name;
        const auto between_disks = static_cast<std::int64_t>(made.plan.disk_moves.size());
        intent.moves = made.plan.replica_moves + between_disks;
        intent.bytes = made.plan.move_bytes;
        intent.lower_bound = made.plan.lower_bound + between_disks;
        intent.throttle_bytes_per_second =
            throttle > 0 ? throttle : made.wish.throttle_bytes_per_second;
        intent.started_ms = control.clock().wall().milliseconds;
        return intent;
    }

    /// An ended plan becomes one that moves back: the same name, other moves.
    void roll_back(PlanIntent intent, bool dry_run, admin::Reply<PlanProgress> reply) {
        if (intent.state == PlanState::rolling_back || intent.state == PlanState::rolled_back) {
            reply(progress_in(*computer->image(), intent));
            return;
        }
        if (!intent.is_over()) {
            reply(Error(Code::fenced, "the plan is under way; cancel it, then take it back"));
            return;
        }
        const metadata::ImagePtr now = computer->image();
        const auto back = PlanJournal::read(*now, id_of(intent.name)).backwards(world_of(now));
        intent.state = PlanState::rolling_back;
        intent.moves = static_cast<std::int64_t>(back.size());
        intent.lower_bound = intent.moves;
        intent.bytes = 0;
        for (const placement::Move& move : back) {
            intent.bytes += move.bytes;
        }
        intent.started_ms = control.clock().wall().milliseconds;
        intent.ended_ms = 0;
        decide(intent, dry_run, std::move(reply));
    }

    void tell_watchers() {
        watchers.remove_if([](const Watcher& watcher) { return !*watcher.is_open; });
        if (watchers.empty() || is_news_due) {
            return;
        }
        is_news_due = true;
        control.after(news_pause, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->is_news_due = false;
                self->tell_all();
            }
        });
    }
    void tell_all() {
        for (Watcher& watcher : watchers) {
            const auto intent = named(watcher.name);
            if (intent && *watcher.is_open) {
                watcher.news(progress_in(*computer->image(), *intent));
            }
        }
    }

    const BrokerView& view;
    runtime::Executor& control;
    std::shared_ptr<PlanComputer> computer;
    std::shared_ptr<PlanCarrier> carrier;
    bool is_news_due = false;
    std::list<Watcher> watchers;
};

PlanRunner::PlanRunner(const BrokerView& view, admin::AdminDoors& doors, runtime::Node& node)
    : inside_(std::make_shared<Inside>(view, doors, node)) {
    view.publisher->subscribe(
        [inside = inside_](const metadata::Delta&, const metadata::ImagePtr& now) {
            const auto intent = intent_in(*now);
            if (intent && !intent->is_over()) {
                inside->carrier->hear();
            }
            if (intent) {
                inside->tell_watchers();
            }
        });
}

PlanRunner::~PlanRunner() = default;

void PlanRunner::placement_view(admin::PlacementQuestion question,
                                admin::Reply<admin::PlacementView> reply) {
    inside_->computer->all_sizes(
        [inside = inside_, question = std::move(question),
         reply = std::move(reply)](const std::shared_ptr<const ReplicaSizes>& sizes) mutable {
            reply(app::placement_view(*inside->computer->image(), *sizes, question));
        });
}

void PlanRunner::plan(admin::PlanWish wish, admin::Reply<admin::ProposedPlan> reply) {
    if (const auto sense = check_wish(*inside_->computer->image(), wish); !sense) {
        reply(sense.error());
        return;
    }
    inside_->computer->compute(
        std::move(wish),
        [reply = std::move(reply)](const std::shared_ptr<ComputedPlan>& made) mutable {
            reply(admin::ProposedPlan{made->name, made->wish.mode, std::move(made->plan),
                                      made->image->provenance.epoch, made->image->provenance.end});
        });
}

void PlanRunner::apply(admin::Caller caller, std::string hash, std::int64_t throttle,
                       admin::Reply<admin::PlanProgress> reply) {
    auto wish = wish_in(hash);
    if (!wish) {
        reply(wish.error());
        return;
    }
    if (auto running = intent_in(*inside_->computer->image()); running && !running->is_over()) {
        if (running->name == hash && throttle > 0) {
            running->throttle_bytes_per_second = throttle;
            inside_->control.post([inside = inside_, intent = *std::move(running),
                                   dry_run = caller.dry_run, reply = std::move(reply)]() mutable {
                inside->decide(intent, dry_run, std::move(reply));
            });
        } else if (running->name == hash) {
            reply(progress_in(*inside_->computer->image(), *running));
        } else {
            reply(Error::make(Code::fenced, "plan {} is not over; one at a time",
                              id_of(running->name)));
        }
        return;
    }
    if (const auto sense = check_wish(*inside_->computer->image(), *wish); !sense) {
        reply(sense.error());
        return;
    }
    inside_->computer->compute(
        *std::move(wish),
        [inside = inside_, hash, throttle, dry_run = caller.dry_run,
         reply = std::move(reply)](const std::shared_ptr<ComputedPlan>& made) mutable {
            const auto intent = inside->intent_to_begin(hash, throttle, *made);
            if (intent) {
                inside->decide(*intent, dry_run, std::move(reply));
            } else {
                reply(intent.error());
            }
        });
}

void PlanRunner::order(admin::Caller caller, std::string hash, admin::PlanOrder order,
                       admin::Reply<admin::PlanProgress> reply) {
    inside_->control.post([inside = inside_, hash = std::move(hash), order,
                           dry_run = caller.dry_run, reply = std::move(reply)]() mutable {
        auto intent = inside->named(hash);
        if (!intent) {
            reply(intent.error());
            return;
        }
        const PlanState wanted = wanted_by(order);
        if (wanted == PlanState::rolling_back) {
            inside->roll_back(*std::move(intent), dry_run, std::move(reply));
        } else if (intent->is_over()) {
            reply(Error(Code::fenced, "the plan has ended"));
        } else if (intent->state == PlanState::cancelling && wanted != PlanState::cancelling) {
            reply(Error(Code::fenced, "the plan is being cancelled"));
        } else if (intent->state == PlanState::rolling_back) {
            reply(Error(Code::fenced, "the plan is being taken back"));
        } else {
            intent->state = wanted;
            inside->decide(*intent, dry_run, std::move(reply));
        }
    });
}

void PlanRunner::progress(std::string hash, admin::Reply<admin::PlanProgress> reply) {
    const auto intent = inside_->named(hash);
    if (intent) {
        reply(progress_in(*inside_->computer->image(), *intent));
    } else {
        reply(intent.error());
    }
}

std::unique_ptr<admin::Subscription> PlanRunner::watch(
    std::string hash, UniqueFunction<void(admin::PlanProgress)> news) {
    auto open = std::make_shared<std::atomic<bool>>(true);
    inside_->control.post(
        [inside = inside_, open, hash = std::move(hash), news = std::move(news)]() mutable {
            inside->watchers.push_back({std::move(hash), std::move(news), open});
            inside->tell_all();
        });
    return std::make_unique<Inside::Watching>(open);
}

}  // namespace millrace::app
