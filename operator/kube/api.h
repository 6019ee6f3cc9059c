// operator/kube/api.h
//
// The Kubernetes API as the operator uses it. An interface, so that tests put a simulated server in
// its place that refuses, lags or dies at a chosen write; client.h has the real one. All methods
// may be called from any thread and block until the server answered or its deadline passed.
//
// What a refusal means is in the error's code: not_found 404 · exists 409 on create · fenced 409, a
// precondition or a version didn't hold · closed 410, the version is too old to go on from ·
// busy 429 · permission 401 and 403 · invalid 400 and 422 · unavailable 5xx or nobody there ·
// timed_out: the outcome is unknown.
#pragma once

#include <compare>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "operator/kube/json.h"

namespace millrace::kube {

struct Kind {
    std::string_view api_version;  ///< "v1", "millrace.dev/v1"
    std::string_view kind;         ///< "Pod"
    std::string_view plural;       ///< "pods"
    bool namespaced = true;

    friend auto operator<=>(const Kind&, const Kind&) = default;
};

inline constexpr Kind pods{"v1", "Pod", "pods"};
inline constexpr Kind claims{"v1", "PersistentVolumeClaim", "persistentvolumeclaims"};
inline constexpr Kind services{"v1", "Service", "services"};
inline constexpr Kind config_maps{"v1", "ConfigMap", "configmaps"};
inline constexpr Kind secrets{"v1", "Secret", "secrets"};
inline constexpr Kind events{"v1", "Event", "events"};
inline constexpr Kind nodes{"v1", "Node", "nodes", false};
inline constexpr Kind namespaces{"v1", "Namespace", "namespaces", false};
inline constexpr Kind leases{"coordination.k8s.io/v1", "Lease", "leases"};
inline constexpr Kind disruption_budgets{"policy/v1", "PodDisruptionBudget",
                                         "poddisruptionbudgets"};

struct ObjectKey {
    std::string space;  ///< Namespace; empty for what has none.
    std::string name;

    friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
    std::string to_string() const { return space.empty() ? name : space + "/" + name; }
};
ObjectKey key_of(const Json& object);

struct Selection {
    std::string space;     ///< Empty: every namespace.
    std::string labels;    ///< "app.kubernetes.io/managed-by=millrace-operator"
    std::string fields{};  ///< "involvedObject.uid=..."
};

struct Listed {
    std::vector<Json> items;
    std::string version;  ///< To watch from.
};

enum class Change { added, modified, deleted, bookmark };

/// What a watcher is told; false ends the watch.
using OnChange = std::function<bool(Change, Json object)>;

struct Preconditions {
    std::string uid;      ///< Empty: whichever object has the name.
    std::string version;  ///< resourceVersion; empty: any.
};

class Api {
public:
    virtual ~Api() = default;

    virtual Result<Json> get(const Kind& kind, const ObjectKey& key) = 0;
    /// Everything that matches, read in pages.
    virtual Result<Listed> list(const Kind& kind, const Selection& selection) = 0;
    virtual Result<Json> create(const Kind& kind, const Json& object) = 0;
    /// What `create` would answer; nothing is written.
    virtual Result<Json> rehearse_create(const Kind& kind, const Json& object) = 0;
    /// Whole object; its resourceVersion must still be the stored one.
    virtual Result<Json> replace(const Kind& kind, const Json& object) = 0;
    /// Server-side apply as the operator's one field manager, taking over what others set.
    virtual Result<Json> apply(const Kind& kind, const Json& object) = 0;
    virtual Result<Json> apply_status(const Kind& kind, const Json& object) = 0;
    /// A JSON merge patch, for finalizers and owner references of what others wrote.
    virtual Result<Json> merge(const Kind& kind, const ObjectKey& key, const Json& patch) = 0;
    /// The object as it is then: still there with a deletionTimestamp, or gone.
    virtual Result<Json> remove(const Kind& kind, const ObjectKey& key,
                                const Preconditions& preconditions) = 0;

    /// Tells changes from `version` on until the server ends the watch (no error), `stop()` was
    /// called, or something failed.
    virtual Result<void> watch(const Kind& kind, const Selection& selection,
                               const std::string& version, const OnChange& on_change) = 0;
    /// Ends every watch, now and from now on.
    virtual void stop() = 0;
};

}  // namespace millrace::kube
