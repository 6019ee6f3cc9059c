#include "metadata/controller.h"

#include <algorithm>
#include <fmt/format.h>

#include "metadata/standing.h"
#include "protocol/messages/abort_transaction_record.h"

namespace millrace::metadata {
namespace {

/// Operations under way at once; more are turned away before they are looked at.
constexpr std::size_t max_pending = 10'000;
/// Records of one batch, where a change may be cut into several.
constexpr std::size_t batch_records = 10'000;

Error not_leader() {
    return Error::make(Code::not_leader, "this node is not the active controller");
}

}  // namespace

Controller::Controller(runtime::Executor& executor, Random& random, MetadataLog& log,
                       const ConfigRules& rules, ControllerOptions options, ControllerTimers timers,
                       Logger logger)
    : executor_(executor),
      random_(random),
      log_(log),
      rules_(rules),
      options_(std::move(options)),
      timers_(timers),
      logger_(std::move(logger)),
      sessions_(timers.session_timeout),
      committed_(std::make_shared<Image>()) {}

Controller::~Controller() {
    cancel_timers();
}

void Controller::post(std::unique_ptr<Operation> operation) {
    executor_.post(
        [this, alive = std::weak_ptr(alive_), operation = std::move(operation)]() mutable {
            if (alive.expired()) {
                operation->fail(Error::make(Code::closed, "the controller has stopped"));
            } else {
                run(std::move(operation));
            }
        });
}

void Controller::run(std::unique_ptr<Operation> operation) {
    if (!epoch_) {
        operation->fail(not_leader());
        return;
    }
    if (pending_.size() >= max_pending) {
        operation->fail(Error::make(Code::busy, "{} changes are under way", pending_.size()));
        return;
    }
    Context context{image_,  index_, sessions_, executor_.clock().now(),
                    random_, rules_, options_,  log_.end()};
    const Draft& draft = operation->decide(context);
    watch_sessions();
    if (draft.records().empty()) {
        if (pending_.empty()) {
            operation->done();
        } else {  // what it saw is not committed yet
            const Offset end = pending_.back().end;
            pending_.push_back({end, std::move(operation)});
        }
        return;
    }
    const Result<Offset> end = append(draft, operation->is_atomic());
    if (!end) {
        operation->fail(end.error());
        return;
    }
    image_ = draft.image();
    index_.apply(draft.delta());
    pending_.push_back({*end, std::move(operation)});
}

Result<Offset> Controller::append(const Draft& draft, bool atomic) {
    const RecordList& records = draft.records();
    // Framing adds a few bytes a record; leave room for it.
    const std::size_t room = log_.max_batch_bytes() - log_.max_batch_bytes() / 4;
    if (records.total_bytes() <= room && (atomic || records.size() <= batch_records)) {
        return log_.append(*epoch_, records);
    }
    if (atomic) {
        return Error::make(Code::exhausted, "the change takes {} bytes, a batch holds {}",
                           records.total_bytes(), room);
    }
    Offset end = log_.end();
    RecordList part;
    for (std::size_t i = 0; i < records.size(); ++i) {
        part.add_encoded(records[i]);
        if (i + 1 == records.size() || part.size() >= batch_records ||
            part.total_bytes() + records[i + 1].size() > room) {
            MR_TRY(end, log_.append(*epoch_, part));
            part = {};
        }
    }
    return end;
}

void Controller::run_own(std::string_view what, Decide<NoAnswer> decide) {
    run(std::make_unique<TypedOperation<NoAnswer>>(
        std::move(decide), [this, what](const Result<Answered<NoAnswer>>& result) {
            // Without leadership, or in a quorum that has ended, another controller does it.
            if (!result && result.error().code() != Code::not_leader &&
                result.error().code() != Code::closed) {
                MR_LOG(logger_, error, "metadata.controller_failed", field("what", what),
                       field("error", result.error().to_string()));
            }
        }));
}

void Controller::fence_unreachable(BrokerId broker, BrokerEpoch epoch, Instant suspected_at) {
    submit<NoAnswer>(
        [broker, epoch, suspected_at](Context& context) {
            const Sessions::Session* session = context.sessions.find(broker);
            return session != nullptr && session->last_contact > suspected_at
                       ? Decision<NoAnswer>(context)
                       : fence_broker(context, broker, epoch);
        },
        [](const Result<Answered<NoAnswer>>&) {});  // if we lead no more, another decides
}

void Controller::on_publish(const Delta& delta, const ImagePtr& image) {
    committed_ = image;
    committed_index_.apply(delta);
    answer_committed(image->provenance.end);
    if (pending_.empty()) {
        // The same content; taking the committed objects lets the speculative ones go.
        image_ = *committed_;
        index_ = committed_index_;
    }
    // A setting, or the image a new controller begins with, may say that leaders have to go.
    leaders_may_drain_ = leaders_may_drain_ || !delta.changes().configs.empty();
    if (epoch_ && leaders_may_drain_) {
        executor_.post([this, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) {
                drain();
            }
        });
    }
}

/// Round by round, each with some of the leaders, until one finds nothing to do.
void Controller::drain() {
    leaders_may_drain_ = leaders_may_drain_ && !drained_brokers(image_).empty();
    if (epoch_ && leaders_may_drain_) {
        run_own("draining leaders", [this](Context& context) {
            Decision<NoAnswer> decision = drain_leaders(context);
            leaders_may_drain_ = !decision.draft.records().empty();
            return decision;
        });
    }
}

void Controller::answer_committed(Offset end) {
    while (!pending_.empty() && pending_.front().end <= end) {
        const auto operation = std::move(pending_.front().operation);
        pending_.pop_front();
        operation->done();
    }
}

void Controller::on_leadership(const raft::Leadership& leadership) {
    if (epoch_ && (!leadership.is_self || leadership.epoch != *epoch_)) {
        resign();
    }
    if (leadership.is_self && !epoch_) {
        activate(leadership.epoch);
    }
}

void Controller::activate(QuorumEpoch epoch) {
    epoch_ = epoch;
    const Instant now = executor_.clock().now();
    for (const auto& [id, broker] : image_.cluster.brokers) {
        // A broker that shares this process and is not the incarnation of the image died with the
        // process before: its session is over, and the next incarnation need not wait for that.
        const bool died_before_us = id == options_.node && options_.own_incarnation &&
                                    broker->incarnation != *options_.own_incarnation;
        if (!broker->fenced) {
            sessions_.begin(id, broker->epoch,
                            died_before_us ? now - timers_.session_timeout : now);
        }
    }
    MR_LOG(logger_, info, "metadata.controller_active", field("epoch", epoch),
           field("offset", committed_->provenance.end));
    begin_log();
    watch_sessions();
    start_timer(balance_timer_, timers_.balance_interval, "balancing leaders",
                timers_.balance_leaders ? &balance_leaders : nullptr);
    start_timer(unclean_timer_, timers_.unclean_election_interval, "unclean elections",
                &elect_unclean_where_allowed);
}

/// The first records of a new cluster, or the end of a transaction that a former controller left.
void Controller::begin_log() {
    if (log_.in_transaction()) {
        RecordList abort;
        protocol::AbortTransactionRecord record;
        record.reason = "its controller is gone";
        abort.add(record, 0);
        if (const auto end = log_.append(*epoch_, abort); !end) {
            MR_LOG(logger_, error, "metadata.controller_failed",
                   field("what", "aborting a transaction"),
                   field("error", end.error().to_string()));
        }
    }
    run_own("bootstrap", &bootstrap);
}

void Controller::resign() {
    MR_LOG(logger_, info, "metadata.controller_resigned", field("epoch", *epoch_),
           field("pending", pending_.size()));
    epoch_.reset();
    cancel_timers();
    sessions_.clear();
    image_ = *committed_;
    index_ = committed_index_;
    // Their records may yet be committed under the next leader: the outcome is unknown.
    for (std::deque<Pending> lost = std::exchange(pending_, {}); Pending & one : lost) {
        one.operation->fail(not_leader());
    }
}

void Controller::watch_sessions() {
    const Instant deadline = sessions_.next_deadline();
    if (!epoch_ || session_timer_ || deadline == Instant::never()) {
        return;
    }
    const Duration wait = std::max(Duration{0}, deadline - executor_.clock().now());
    session_timer_ = executor_.after(wait, [this] {
        session_timer_ = {};
        if (!sessions_.overdue(executor_.clock().now()).empty()) {
            run_own("fencing", &fence_overdue_brokers);
        }
        watch_sessions();
    });
}

void Controller::start_timer(runtime::TimerId& timer, Duration interval, std::string_view what,
                             Decision<NoAnswer> (*decide)(Context&)) {
    if (decide == nullptr) {
        return;
    }
    timer = executor_.after(interval, [this, &timer, interval, what, decide] {
        run_own(what, decide);
        start_timer(timer, interval, what, decide);
    });
}

void Controller::cancel_timers() {
    for (runtime::TimerId* timer : {&session_timer_, &balance_timer_, &unclean_timer_}) {
        if (*timer) {
            executor_.cancel(*timer);
            *timer = {};
        }
    }
}

}  // namespace millrace::metadata
