#include "metadata/controller.h"

#include <utility>

namespace millrace::metadata {
namespace {

constexpr Duration tick_interval = 250ms;
/// leader.imbalance.check.interval.seconds
constexpr Duration balance_interval = 300s;
/// A decision that need not be atomic goes to the log in batches of this many records.
constexpr std::size_t records_per_batch = 1'000;

}  // namespace

Controller::Controller(runtime::Executor& executor, Random& random, MetadataLog& log,
                       const ConfigRules& rules, ControllerOptions options,
                       Duration session_timeout, Logger logger)
    : executor_(executor),
      random_(random),
      log_(log),
      rules_(rules),
      options_(std::move(options)),
      logger_(std::move(logger)),
      sessions_(session_timeout),
      committed_(std::make_shared<const Image>()),
      index_(ControllerIndex::of(image_)) {}

Controller::~Controller() { *alive_ = false; }

void Controller::submit_operation(std::unique_ptr<Operation> operation) {
    executor_.post([this, alive = alive_, operation = std::move(operation)]() mutable {
        if (*alive) {
            run(std::move(operation));
        }
    });
}

Context Controller::context() {
    return Context{.image = image_,
                   .index = index_,
                   .sessions = sessions_,
                   .now = executor_.clock().now(),
                   .random = random_,
                   .config_rules = rules_,
                   .options = options_,
                   .next_offset = log_.end()};
}

void Controller::run(std::unique_ptr<Operation> operation) {
    if (!epoch_) {
        operation->fail(Error(Code::not_leader, "this node is not the active controller"));
        return;
    }
    Context now = context();
    const Outcome outcome = operation->decide(now);
    if (const auto appended = append(outcome); !appended) {
        operation->fail(appended.error());
        return;
    }
    // What it saw may be under way still: the answer is true once all of that is committed.
    pending_.push_back({speculative_end_, std::move(operation)});
    answer_committed();
}

Result<void> Controller::append(const Outcome& outcome) {
    const RecordList& records = outcome.draft->records();
    if (records.empty()) {
        return {};
    }
    const std::size_t batch = outcome.atomic ? records.size() : records_per_batch;
    for (std::size_t from = 0; from < records.size(); from += batch) {
        RecordList part;
        for (std::size_t i = from; i < std::min(from + batch, records.size()); ++i) {
            part.add_encoded(records[i]);
        }
        MR_TRY(speculative_end_, log_.append(*epoch_, part));
    }
    image_ = outcome.draft->image();
    index_.apply(outcome.draft->delta());
    return {};
}

bool Controller::run_own(Decision<NoAnswer> (*manager)(Context&)) {
    if (!epoch_) {
        return false;
    }
    Context now = context();
    const Decision<NoAnswer> decision = manager(now);
    const auto appended = append({&decision.draft, decision.atomic});
    if (!appended) {
        MR_LOG(logger_, info, "controller.own_decision_not_written",
               field("reason", appended.error().message()));
        return false;
    }
    return !decision.draft.records().empty();
}

void Controller::on_leader(QuorumEpoch epoch) {
    MR_LOG(logger_, info, "controller.active", field("epoch", epoch));
    epoch_ = epoch;
    speculative_end_ = committed_->provenance.end;
    sessions_.clear();
    const Instant now = executor_.clock().now();
    for (const auto& entry : image_.cluster.brokers) {
        if (!entry.value->fenced) {
            // Nobody knows when it was last heard of: it gets a whole session.
            sessions_.begin(entry.key, entry.value->epoch, now);
        }
    }
    balance_at_ = now + balance_interval;
    run_own(&bootstrap);
    arm_tick();
}

void Controller::on_resign() {
    if (!epoch_) {
        return;
    }
    MR_LOG(logger_, info, "controller.resigned", field("epoch", *epoch_));
    epoch_.reset();
    executor_.cancel(tick_);
    tick_ = {};
    image_ = *committed_;
    index_ = ControllerIndex::of(image_);
    auto failed = std::exchange(pending_, {});
    for (Pending& pending : failed) {
        pending.operation->fail(
            Error(Code::not_leader, "leadership ended before the change was committed"));
    }
}

void Controller::on_publish(const Delta& delta, const ImagePtr& image) {
    committed_ = image;
    if (epoch_) {
        answer_committed();
        return;
    }
    image_ = *image;
    index_.apply(delta);
}

void Controller::answer_committed() {
    while (!pending_.empty() && pending_.front().end <= committed_->provenance.end) {
        auto operation = std::move(pending_.front().operation);
        pending_.pop_front();
        operation->done();
    }
}

void Controller::suspect(BrokerId broker, BrokerEpoch epoch) {
    submit<NoAnswer>([broker, epoch](Context& now) { return fence_broker(now, broker, epoch); },
                     [](Result<Decision<NoAnswer>>) {});
}

void Controller::arm_tick() {
    executor_.cancel(tick_);
    tick_ = executor_.after(tick_interval, [this, alive = alive_] {
        if (*alive) {
            tick_ = {};
            tick();
        }
    });
}

void Controller::tick() {
    if (!epoch_) {
        return;
    }
    const Instant now = executor_.clock().now();
    if (!sessions_.overdue(now).empty()) {
        while (run_own(&fence_overdue_brokers)) {
        }
    }
    if (!index_.leaderless().empty()) {
        run_own(&elect_unclean_where_allowed);
    }
    if (now >= balance_at_) {
        run_own(&balance_leaders);
        balance_at_ = now + balance_interval;
    }
    arm_tick();
}

}  // namespace millrace::metadata
