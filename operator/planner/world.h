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
/// Why does its node not make the container of this pod? Only events tell.
struct AskPodEvents {
    int broker = -1;
    std::string uid;
};
struct AskPlan {
    brokers::PlanWish wish;
};
struct AskProgress {};
struct AskQuorum {};
struct AskCertificates {};
/// What is on each volume of this broker?
struct AskVolumes {
    int broker = -1;
};
/// Which Topic object owns a topic; its name is shown to a person.
struct AskOwner {
    std::string topic;
};
using Question = std::variant<AskRestart, AskPod, AskPodEvents, AskPlan, AskProgress, AskQuorum,
                              AskCertificates, AskVolumes, AskOwner>;

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
    std::map<int, std::vector<Json>> pod_events;  ///< About the pod of a broker.
    std::optional<Answer<brokers::PlanFacts>> plan;
    std::optional<Answer<brokers::PlanProgress>> progress;
    std::optional<Answer<brokers::QuorumFacts>> quorum;
    std::optional<Answer<brokers::CertificateUses>> certificates;
    std::map<int, Answer<brokers::Volumes>> volumes;  ///< By broker.
    std::map<std::string, std::string> owners;        ///< Of topics, "space/name"; empty: none.
    /// Calls that this cluster's brokers said they don't offer ("Cordon"): not asked again.
    std::map<std::string, std::string> unsupported;
};

struct NodeFacts {
    std::string zone;
    std::string address;  ///< External if it has one.
};

/// Of an action: what the API server would not have.
struct Refusal {
    std::string kind;  ///< Of the object; empty: it was none.
    int broker = -1;   ///< Whose it is; -1: nobody's.
    std::string text;  ///< "create Pod main-2: pods "main-2" is forbidden: exceeded quota: ..."
};

struct World {
    api::Cluster cluster;
    /// Why the spec that is there can't be carried out, where `cluster.spec` is the last that
    /// could.
    std::vector<std::string> refused_edit;
    render::Surroundings around;
    std::vector<ObjectPtr> pods;  ///< Of this cluster, as everything below.
    std::vector<ObjectPtr> claims;
    std::vector<ObjectPtr> services;
    std::vector<ObjectPtr> config_maps;
    std::vector<ObjectPtr> budgets;
    std::vector<ObjectPtr> secrets;
    bool has_links = false;   ///< A MirrorLink names it as its destination.
    ObjectPtr own_authority;  ///< The Secret that `spec.tls.secretName` names; null: there is none.
    std::map<std::string, NodeFacts> nodes;                ///< Where nodes may be read.
    std::shared_ptr<const brokers::ClusterFacts> brokers;  ///< Null: none answers.
    Answers answers;
    std::vector<Refusal> refused;  ///< Of this round's actions.
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
    std::optional<std::string> restart;  ///< None: an older operator made it.
    bool ready = false;
    bool going = false;    ///< Being deleted.
    bool ended = false;    ///< Failed or succeeded: it will not run again.
    bool stopped = false;  ///< No process of it runs, be it not yet or not any more.
    bool crashed = false;  ///< One did, and ended.
    bool started = false;  ///< It runs, and was up once: not ready, it has fallen silent.
    std::string last_end;  ///< How, while it starts again; empty: it didn't fail.
    /// It has a node that has not made its container yet. What is wrong is told by events alone.
    bool is_being_made = false;
    Timestamp created;
    std::string trouble;  ///< Why it doesn't start, for a person; empty: nothing known.
};
PodFacts facts_of(const ObjectPtr& pod, const std::string& topology_key);

/// Why a node doesn't make a pod's container, by the warnings about that pod that are not too old;
/// what one of `ours` is named in waits for us, and is passed over. Empty: nothing known.
std::string why_not_made(const std::vector<Json>& events, Timestamp now,
                         const std::vector<std::string>& ours);

/// What "exceeded quota" means for a pod that takes the place of another, whose share of the quota
/// comes free: why it wouldn't fit even so. Empty: it fits, or nobody knows.
std::string quota_refusal(const std::string& refusal, const Json& old_pod);

/// The id in our label; none for what isn't a broker's.
std::optional<int> broker_of(const Json& object);

}  // namespace millrace::planner
