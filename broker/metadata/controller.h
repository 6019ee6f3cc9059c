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
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/controller_core.h"
#include "metadata/publisher.h"
#include "runtime/executor.h"

namespace millrace::metadata {

/// The quorum as the controller sees it; raft's driver implements it (through app).
class MetadataLog {
public:
    virtual ~MetadataLog() = default;
    /// Appends one atomic batch at the end of the log if this node still leads in `epoch`; returns
    /// the offset one past it. That it is committed is learnt from on_commit.
    virtual Result<Offset> append(QuorumEpoch epoch, const RecordList& records) = 0;
    virtual Offset end() const = 0;
};

class Controller {
public:
    template <typename Answer>
    using Decide = UniqueFunction<Decision<Answer>(Context&)>;
    template <typename Answer>
    using Done = UniqueFunction<void(Result<Decision<Answer>>)>;

    Controller(runtime::Executor& executor, Random& random, MetadataLog& log,
               const ConfigRules& rules, ControllerOptions options, Duration session_timeout,
               Logger logger);
    ~Controller();

    /// From any thread; `decide` and `done` run on the control shard. `decide` calls one manager of
    /// controller_core.h and owns its request:
    ///
    ///   controller.submit<protocol::CreateTopicsResponse>(
    ///       [request](Context& context) { return create_topics(context, *request, allowed); },
    ///       [](Result<Decision<protocol::CreateTopicsResponse>> result) { ... });
    template <typename Answer>
    void submit(Decide<Answer> decide, Done<Answer> done) {
        submit_operation(
            std::make_unique<TypedOperation<Answer>>(std::move(decide), std::move(done)));
    }

    // What raft and the loader tell it, on the control shard.
    void on_leader(QuorumEpoch epoch);  ///< This node leads, and has applied all before its epoch.
    void on_resign();                   ///< It leads no more.
    void on_publish(const Delta& delta,
                    const ImagePtr& image);  ///< Subscribe it to the Loader first.

    bool is_active() const { return epoch_.has_value(); }

    /// A connection to the broker was lost and a probe got no answer.
    void suspect(BrokerId broker, BrokerEpoch epoch);

private:
    struct Operation {
        virtual ~Operation() = default;
        virtual RecordList decide(Context& context) = 0;
        virtual void done() = 0;
        virtual void fail(const Error& error) = 0;
    };
    template <typename Answer>
    struct TypedOperation final : Operation {
        TypedOperation(Decide<Answer> d, Done<Answer> f)
            : how(std::move(d)), finish(std::move(f)) {}
        RecordList decide(Context& context) override {
            decision = how(context);
            return std::move(decision.records);
        }
        void done() override { finish(std::move(decision)); }
        void fail(const Error& error) override { finish(error); }
        Decide<Answer> how;
        Done<Answer> finish;
        Decision<Answer> decision;
    };
    struct Pending {
        Offset end;  ///< Answered once the committed image reaches it.
        std::unique_ptr<Operation> operation;
    };

    void submit_operation(std::unique_ptr<Operation> operation);
    void run(std::unique_ptr<Operation> operation);

    runtime::Executor& executor_;
    Random& random_;
    MetadataLog& log_;
    const ConfigRules& rules_;
    ControllerOptions options_;
    Logger logger_;
    Sessions sessions_;
    Image image_;            ///< Speculative while active, else the committed one.
    ControllerIndex index_;  ///< Of image_.
    std::optional<QuorumEpoch> epoch_;
    std::deque<Pending> pending_;
};

}  // namespace millrace::metadata
