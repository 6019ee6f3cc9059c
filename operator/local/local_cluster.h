// operator/local/local_cluster.h
//
// Local mode: a small Kubernetes-compatible API server on loopback and a process runner in the
// kubelet's place, so that one command runs a cluster on a laptop. Reconcilers and kubectl reach it
// through the kubeconfig and can't tell the difference; nothing else of this room is to be used.
// start() and stop() may be called from any thread, once each.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "operator/kube/json.h"

namespace millrace::local {

/// One `x-kubernetes-validations` rule in C++: is `self` fine? `old_self` is null when there is no
/// older value (the same cases in which CEL doesn't evaluate a transition rule).
using RulePredicate = std::function<bool(const kube::Json& self, const kube::Json* old_self)>;

/// By the rule's CEL text, exactly as it stands in the CRD.
using RuleTable = std::map<std::string, RulePredicate, std::less<>>;

struct LocalOptions {
    std::filesystem::path dir;            ///< Everything is kept below it; made with mode 0700.
    std::filesystem::path crds_dir;       ///< Every *.yaml in it; see `crds` too.
    std::vector<kube::Json> crds;         ///< CustomResourceDefinitions, in addition.
    std::filesystem::path broker_binary;  ///< The only program that a pod may start.
    /// Every rule of the CRDs must be in it: start() refuses a schema with a rule it can't judge.
    RuleTable rules;
    std::vector<std::string> zones = {"a", "b", "c"};  ///< One node each: local-a in zone a, ...
    std::uint16_t port = 0;  ///< 0: the port of the last run, else a free one.
    Logger log;
};

class LocalCluster {
public:
    /// Serves when it returns. Pods of the last run are started again.
    static Result<std::unique_ptr<LocalCluster>> start(LocalOptions options);

    virtual ~LocalCluster() = default;

    virtual std::filesystem::path kubeconfig() const = 0;  ///< DIR/kubeconfig, mode 0600.
    virtual std::string url() const = 0;                   ///< "https://127.0.0.1:PORT"

    /// Ends every process by its grace period (at most `at_most`), then the server. Data stays. The
    /// server's socket is closed with this object: better, a process that ends keeps it till then.
    virtual void stop(std::chrono::milliseconds at_most) = 0;
};

}  // namespace millrace::local
