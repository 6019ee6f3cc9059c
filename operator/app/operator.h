// operator/app/operator.h
//
// The operator as a whole: watches, a work queue, workers, leadership. Which Kubernetes it talks to
// is the caller's business; there is one code path for all of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "operator/kube/api.h"
#include "operator/kube/cache.h"
#include "operator/kube/election.h"
#include "operator/render/objects.h"

namespace millrace::op {

struct OperatorOptions {
    std::vector<std::string> spaces;  ///< Namespaces to look after; empty: all.
    int workers = 3;
    bool reads_nodes = false;  ///< Has the right to read nodes.
    render::Surroundings around;
    kube::ElectionOptions election;
    /// Called once, on a thread of the operator's, when another one took over: end the process.
    std::function<void()> on_lost;
    class Metrics* metrics = nullptr;  ///< Outlives the operator; null: nothing is counted.
    Logger log;
};

class Operator {
public:
    static std::unique_ptr<Operator> start(std::shared_ptr<kube::Api> api, OperatorOptions options);
    virtual ~Operator() = default;  ///< Finishes what is being done, gives leadership back.

    virtual bool synced() const = 0;  ///< Every watched kind was listed.
    virtual bool leads() const = 0;
    virtual Duration silence() const = 0;     ///< Since the quietest watch was heard of.
    virtual std::size_t waiting() const = 0;  ///< Keys in the queue.
    /// Clusters as they are known.
    virtual std::vector<kube::ObjectPtr> clusters() const = 0;
    /// All pods of this cluster are ready, and a broker was heard since we began: what its status
    /// says is no memory of an earlier operator.
    virtual bool is_up(const kube::ObjectKey& cluster) const = 0;
};

/// What would be done, as lines; nothing is written. Waits for the first list, and a moment for
/// brokers to answer.
Result<std::vector<std::string>> dry_run(std::shared_ptr<kube::Api> api,
                                         const OperatorOptions& options);

}  // namespace millrace::op
