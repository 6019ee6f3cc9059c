// metadata/controller.h
//
// The one door for changes of metadata. Lives on the control shard of a node with the controller
// role. While this node leads the quorum, a request is decided on the speculative image (committed
// plus everything under way), its records are handed to raft, and it is answered when they are
// committed; without records it is answered when everything it saw is. When leadership is lost,
// what was under way is answered with Code::not_leader: its outcome is unknown, as the protocol
// allows.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/controller_core.h"
#include "metadata/publisher.h"
#include "raft/state_listener.h"
#include "runtime/executor.h"

namespace millrace::metadata {

/// The log under the controller: raft's driver (raft_log.h), or a test's.
class MetadataLog {
public:
    virtual ~MetadataLog() = default;
    /// Appends one atomic batch at end() if this node still leads in `epoch`; returns the new end.
    /// That it is committed is learnt from the image. An error: nothing was written.
    virtual Result<Offset> append(QuorumEpoch epoch, const RecordList& records) = 0;
    virtual Offset end() const = 0;
    /// Largest batch it takes.
    virtual std::size_t max_batch_bytes() const = 0;
    /// A metadata transaction of a former controller has begun and not ended.
    virtual bool in_transaction() const = 0;
};

struct ControllerTimers {
    Duration session_timeout = 3s;
    bool balance_leaders = true;
    Duration balance_interval = 300s;
    Duration unclean_election_interval = 300s;
};

template <typename Answer>
struct Answered {
    Answer body;
    Texts texts;  ///< What the body's views show.
};

class Controller {
public:
    template <typename Answer>
    using Decide = UniqueFunction<Decision<Answer>(Context&)>;
    template <typename Answer>
    using Done = UniqueFunction<void(Result<Answered<Answer>>)>;

    Controller(runtime::Executor& executor, Random& random, MetadataLog& log,
               const ConfigRules& rules, ControllerOptions options, ControllerTimers timers,
               Logger logger);
    ~Controller();

    /// From any thread; `decide` and `done` run on the control shard, never inside this call.
    /// `decide` calls one manager of controller_core.h and owns its request:
    ///
    ///   controller.submit<protocol::CreateTopicsResponse>(
    ///       [request, allowed](Context& at) { return create_topics(at, *request, allowed); },
    ///       [](Result<Answered<protocol::CreateTopicsResponse>> answer) { ... });
    ///
    /// Errors: not_leader (ask Leadership whom else), busy (too much under way), exhausted (one
    /// atomic change above what a batch holds).
    template <typename Answer>
    void submit(Decide<Answer> decide, Done<Answer> done) {
        post(std::make_unique<TypedOperation<Answer>>(std::move(decide), std::move(done)));
    }

    /// A connection to the broker broke and probes since `suspected_at` went unanswered: fence it,
    /// unless it was heard of since.
    void fence_unreachable(BrokerId broker, BrokerEpoch epoch, Instant suspected_at);

    // On the control shard. Subscribe on_publish to the Publisher after everyone else: who gets an
    // answer then finds this node's own shards told already. Give on_leadership to the Loader.
    void on_publish(const Delta& delta, const ImagePtr& image);
    void on_leadership(const raft::Leadership& leadership);

    bool is_active() const { return epoch_.has_value(); }
    /// When each broker was last heard of; only meaningful while active.
    const Sessions& sessions() const { return sessions_; }
    std::size_t pending() const { return pending_.size(); }

private:
    struct Operation {
        virtual ~Operation() = default;
        /// The draft stays the operation's.
        virtual const Draft& decide(Context& context) = 0;
        virtual bool is_atomic() const = 0;
        virtual void done() = 0;
        virtual void fail(const Error& error) = 0;
    };
    template <typename Answer>
    struct TypedOperation final : Operation {
        TypedOperation(Decide<Answer> d, Done<Answer> f)
            : how(std::move(d)), finish(std::move(f)) {}
        const Draft& decide(Context& context) override {
            decision.emplace(how(context));
            return decision->draft;
        }
        bool is_atomic() const override { return decision->atomic; }
        void done() override {
            finish(Answered<Answer>{std::move(decision->answer), std::move(decision->texts)});
        }
        void fail(const Error& error) override { finish(error); }
        Decide<Answer> how;
        Done<Answer> finish;
        std::optional<Decision<Answer>> decision;
    };
    struct Pending {
        Offset end;  ///< Answered once the committed image reaches it.
        std::unique_ptr<Operation> operation;
    };

    void post(std::unique_ptr<Operation> operation);
    void run(std::unique_ptr<Operation> operation);
    Result<Offset> append(const Draft& draft, bool atomic);
    /// What the controller does on its own; nobody waits for the answer.
    void run_own(std::string_view what, Decide<NoAnswer> decide);

    void activate(QuorumEpoch epoch);
    void resign();
    void begin_log();
    void answer_committed(Offset end);
    void drain();
    void watch_sessions();
    void start_timer(runtime::TimerId& timer, Duration interval, std::string_view what,
                     Decision<NoAnswer> (*decide)(Context&));
    void cancel_timers();

    runtime::Executor& executor_;
    Random& random_;
    MetadataLog& log_;
    const ConfigRules& rules_;
    ControllerOptions options_;
    ControllerTimers timers_;
    Logger logger_;

    Sessions sessions_;
    ImagePtr committed_;
    ControllerIndex committed_index_;
    Image image_;  ///< Speculative while active, else the committed one.
    ControllerIndex index_;
    std::optional<QuorumEpoch> epoch_;
    std::deque<Pending> pending_;
    bool leaders_may_drain_ = true;
    runtime::TimerId session_timer_;
    runtime::TimerId balance_timer_;
    runtime::TimerId unclean_timer_;
    /// Posted tasks and timers hold it weakly: they may outlive the controller.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::metadata
