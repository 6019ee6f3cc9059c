// operator/planner/world.h
//
// What a plan is drawn from: what is wanted, what Kubernetes has, what the brokers say, and the
// answers to questions that an earlier round asked. Plain data, all of it read at one time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "operator/api/cluster.h"
#include "operator/brokers/facts.h"
#include "operator/kube/cache.h"
#include "operator/render/objects.h"

namespace millrace::planner {

using kube::Json;
using kube::ObjectPtr;

// ---- Questions: what only others can answer, and only now -------------------------------------

struct AskRestart {
    std::vector<int> brokers;
    friend auto operator<=>(const AskRestart&, const AskRestart&) = default;
};
/// Would Kubernetes take this pod in its predecessor's place? Of Kubernetes, not of the brokers.
struct AskPod {
    int broker = -1;
    Json pod;
};
struct AskPlan {
    brokers::PlanWish wish;
};
struct AskProgress {};
struct AskQuorum {};
struct AskCertificates {};
using Question = std::variant<AskRestart, AskPod, AskPlan, AskProgress, AskQuorum, AskCertificates>;

/// A question that failed is answered with its error.
template <typename T>
struct Answer {
    std::optional<T> value;
    std::string error;
    bool unsupported = false;  ///< This broker doesn't have the call yet.
};

struct Answers {
    std::map<AskRestart, Answer<brokers::RestartVerdict>> restart;
    std::map<int, std::string> pods;  ///< Why a broker's new pod would be refused; empty: taken.
    std::optional<Answer<brokers::PlanFacts>> plan;
    std::optional<Answer<brokers::PlanProgress>> progress;
    std::optional<Answer<brokers::QuorumFacts>> quorum;
    std::optional<Answer<brokers::CertificateUses>> certificates;
    /// Calls that this cluster's brokers said they don't offer ("Cordon"): not asked again.
    std::map<std::string, std::string> unsupported;
};

struct NodeFacts {
    std::string zone;
    std::string address;  ///< External if it has one.
};

struct World {
    api::Cluster cluster;
    render::Surroundings around;
    std::vector<ObjectPtr> pods;  ///< Of this cluster, as everything below.
    std::vector<ObjectPtr> claims;
    std::vector<ObjectPtr> services;
    std::vector<ObjectPtr> config_maps;
    std::vector<ObjectPtr> budgets;
    std::vector<ObjectPtr> secrets;
    ObjectPtr own_authority;  ///< The Secret that `spec.tls.secretName` names; null: there is none.
    std::map<std::string, NodeFacts> nodes;                ///< Where nodes may be read.
    std::shared_ptr<const brokers::ClusterFacts> brokers;  ///< Null: none answers.
    Answers answers;
    std::vector<std::string> refused;  ///< Of this round's actions: what was refused, and why.
    Timestamp now;
};

// ---- What the objects say about one broker
// --------------------------------------------------------

struct PodFacts {
    ObjectPtr object;
    int id = -1;
    std::string name;
    std::string uid;
    std::string ip;
    std::string node;
    std::string zone;
    std::string revision;
    bool ready = false;
    bool going = false;   ///< Being deleted.
    bool ended = false;   ///< Failed or succeeded: it will not run again.
    std::string trouble;  ///< Why it doesn't start, for a person; empty: nothing known.
};
PodFacts facts_of(const ObjectPtr& pod, const std::string& topology_key);

/// The id in our label; none for what isn't a broker's.
std::optional<int> broker_of(const Json& object);

}  // namespace millrace::planner
