// operator/planner/cluster_planner.h
//
// From the world to what is to be done about one cluster, and what its status says. Pure: the same
// world gives the same plan, and a world that is as wanted gives no action, so that a settled
// cluster is never written to. Lanes are independent; within one, actions are done in order and
// stop at the first that fails.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "operator/planner/world.h"

namespace millrace::planner {

enum class Lane { services, certificates, volumes, configs, pods, roll, scale, quorum, garbage };

struct Apply {
    kube::Kind kind;
    Json object;
};
struct Create {
    kube::Kind kind;
    Json object;
};
/// Only this very object.
struct Remove {
    kube::Kind kind;
    kube::ObjectKey key;
    std::string uid;
};
struct Cordon {
    std::vector<int> brokers;
    bool cordoned = true;
};
/// These volumes of a broker take no new replica, by their paths; its others do.
struct CordonVolumes {
    int broker = -1;
    std::vector<std::string> paths;
};
struct Unregister {
    int broker = -1;
};
struct StartPlan {
    std::string hash;
    std::int64_t throttle = 0;  ///< Not 0: it runs, and shall have this one.
};
struct CancelPlan {
    std::string hash;
};
struct AlterDefaults {
    brokers::SettingsChange change;
};
struct IssueAuthority {};
/// The key for passwords of mirror links: made once, never changed by us.
struct IssueLinksKey {};
/// One step from an authority to the next, see certificates/authority.h.
struct RenewAuthority {
    enum class Step { introduce, put_in_charge, retire_others };
    Step step = Step::introduce;
    std::string renewed_for;  ///< Of put_in_charge: what a person asked for.
};
struct IssueCertificate {
    std::string secret;
    std::string common_name;
    std::vector<std::string> names;
    int broker = -1;  ///< -1: the operator's own.
};
/// The same certificate, beside those that are trusted now.
struct UpdateTrust {
    std::string secret;
};
/// Kubelets look at the Secrets of a pod once a minute or so, and at once when the pod itself has
/// changed: an annotation does.
struct Hurry {
    kube::ObjectKey pod;
    std::string mark;  ///< Of what is to be taken up.
};
/// The Cluster's again, so that it goes with it: what a deletion with orphans had left.
struct Adopt {
    kube::Kind kind;
    kube::ObjectKey key;
    std::string uid;
    Json owners;
};
/// Onto the disk that the metadata is on: a Cluster that is made anew takes back what an earlier
/// one had told and it doesn't say itself.
struct NoteTold {
    kube::ObjectKey claim;
    std::string uid;
    std::string names;
};
struct AddVoter {
    brokers::QuorumNode node;
    std::string address;
};
struct RemoveVoter {
    brokers::QuorumNode node;
};
using Act =
    std::variant<Apply, Create, Remove, Cordon, CordonVolumes, Unregister, StartPlan, CancelPlan,
                 AlterDefaults, IssueAuthority, IssueLinksKey, RenewAuthority, IssueCertificate,
                 UpdateTrust, Hurry, Adopt, NoteTold, AddVoter, RemoveVoter>;

struct Action {
    Lane lane;
    Act act;
    std::string event;  ///< "BrokerRestarted": what kubectl describe shows; empty: not worth it.
    std::string why;    ///< One sentence for a person.
    /// Takes something down or away: only after everything was read again and the plan, drawn anew,
    /// still says so.
    bool needs_fresh_look = false;
};

/// What comes later in the lane builds on what comes before; else each action stands for itself.
constexpr bool is_in_order(Lane lane) {
    return lane == Lane::certificates || lane == Lane::configs || lane == Lane::roll ||
           lane == Lane::scale || lane == Lane::quorum;
}

/// What a person should see with `kubectl describe` though nothing was done about it.
struct Warning {
    std::string reason;  ///< One word in CamelCase.
    std::string message;
};

struct Plan {
    std::vector<Action> actions;
    std::vector<Warning> warnings;    ///< News only: what the stored status didn't say yet.
    std::vector<Question> questions;  ///< Ask, add the answers to the world, plan again.
    api::ClusterStatus status;
    /// When to look again though nothing tells us to; none: only when there is news.
    std::optional<Duration> again;
};

/// Of the spec, for a person; empty: it can be carried out.
std::vector<std::string> problems_of(const World& world);
Plan plan_cluster(const World& world);

/// "create Pod main-0"
std::string name_of(const Action& action);
/// "create Pod main-0: broker 0 is wanted: its pod is made"
std::string to_string(const Action& action);

}  // namespace millrace::planner
