// operator/reconcile/parts.h
//
// What reconcilers work with. All of it is handed in, so that a test puts a simulated Kubernetes
// and simulated brokers in its place; reconcilers themselves remember nothing about the world.
#pragma once

#include <functional>
#include <memory>

#include "base/log.h"
#include "base/time.h"
#include "operator/brokers/admin.h"
#include "operator/kube/api.h"
#include "operator/kube/cache.h"
#include "operator/kube/event_recorder.h"
#include "operator/render/objects.h"

namespace millrace::reconcile {

inline constexpr kube::Kind clusters{"millrace.dev/v1", "Cluster", "clusters"};
inline constexpr kube::Kind topics{"millrace.dev/v1", "Topic", "topics"};
inline constexpr kube::Kind mirror_links{"millrace.dev/v1", "MirrorLink", "mirrorlinks"};

/// Counts what was done; for metrics. Called from any worker.
class Meter {
public:
    virtual ~Meter() = default;
    virtual void wrote(const kube::Kind& kind, std::string_view verb, bool fine) = 0;
    virtual void asked_brokers(std::string_view call, bool fine) = 0;
};

struct Parts {
    std::shared_ptr<kube::Api> api;
    std::function<kube::ObjectCache&(const kube::Kind&)> cache;
    std::shared_ptr<brokers::Directory> brokers;
    kube::EventRecorder* events = nullptr;  ///< Null: none are written.
    Meter* meter = nullptr;
    /// Leadership: nothing is written once this says no.
    std::function<bool()> may_write = [] { return true; };
    const Clock* clock = nullptr;
    render::Surroundings around;
    bool reads_nodes = false;
    int parallel_writes = 1;  ///< Of many objects' statuses.
    Logger log;
};

}  // namespace millrace::reconcile
