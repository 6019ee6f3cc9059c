// operator/planner/internal/draft.h
//
// A plan in the making: what the lanes share. Each lane is a function that reads the draft's view
// of the world and adds actions, questions and what the status should say.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "operator/planner/cluster_planner.h"
#include "operator/planner/ledger.h"
#include "operator/planner/members.h"
#include "operator/render/names.h"

namespace millrace::planner {

/// Of a pod that waits for what we are about to write.
inline constexpr std::string_view settings_come = "its settings are on their way to it";

struct Draft {
    explicit Draft(const World& the_world);

    const World& world;
    render::Subject subject;
    std::string cluster_id;
    Membership membership;
    /// Who has to run: those that are wanted, and those that leave and still hold replicas or vote.
    std::map<int, render::Member> running;
    std::map<int, PodFacts> pods;          ///< By broker.
    std::map<int, std::string> revisions;  ///< That the pod of each of these should have.
    std::set<int> found_elsewhere;         ///< Clients are told where their balancers were before.
    Ledger ledger;
    Plan plan;

    // Said by lanes, for the status.
    std::vector<std::string> problems;     ///< Of the spec.
    std::map<int, std::string> waits;      ///< What a broker waits for.
    std::map<int, std::string> unwritten;  ///< What the settings of an outdated broker wait for.
    /// Who runs on a disk that goes with its pod, as somebody deleted the claim: what that means.
    std::map<int, std::string> doomed_disks;
    std::string roll_waits;
    bool roll_refused = false;  ///< It waits for a person.
    bool roll_rests = false;    ///< Because the spec says so: by a window or a hold.
    std::string scale_waits;
    std::string quorum_waits;
    std::string volume_waits;
    bool scale_refused = false;
    std::string beyond_repair;  ///< What no plan can make anew.
    std::string racks_problem;
    std::string balance_problem;  ///< Why replicas can't be moved by us.
    std::optional<api::RebalanceStatus> rebalance;
    std::set<int> balanced;  ///< Were given their share of replicas since they came.
    std::map<int, std::vector<std::int32_t>> spread_volumes;  ///< So were these of a broker.
    /// Of each broker those that the spec has no more and that stay until they are empty.
    std::map<int, std::set<std::int32_t>> kept_volumes;
    std::map<int, std::set<std::int32_t>> closed_volumes;  ///< Take no new replica: our doing.
    int missing_certificates = 0;
    std::string certificates_problem;  ///< What is to be changed by a person.
    std::string certificates_wait;     ///< What a change of authorities waits for.

    const std::string& name() const { return world.cluster.metadata.name; }
    const std::string& space() const { return world.cluster.metadata.space; }
    const brokers::BrokerFacts* broker(int id) const;
    std::string trouble_of(const PodFacts& pod) const;
    std::string rack_of(int id) const;
    ObjectPtr find(const std::vector<ObjectPtr>& objects, const std::string& name) const;
    bool is_outdated(int id) const;
    bool is_dedicated(int id) const;  ///< A controller and no broker.
    /// We cordoned it because it was leaving: what a person cordoned is theirs to undo.
    bool is_our_cordon(int id) const;
    /// As the status has it, which is all that an operator knows of what it did before.
    bool was_draining(int id) const;
    /// As the quorum's leader says; where nobody was asked, as disks and status remember.
    bool votes(int id) const;
    void act(Lane lane, Act what, std::string event, std::string why, bool fresh_look = false);
    void look_again_in(Duration wait);
    Remove removal(const kube::Kind& kind, const Json& object) const;

private:
    void choose_members();
};

bool is_bound(const Json& claim);
/// What the claim of a disk says of it; nothing: it is none of ours.
std::optional<api::VolumeSpec> volume_of(const Json& claim);

/// "host:port" of one broker's own service or node; empty until it is known.
std::string outside_address(const Draft& draft, int id, const api::ListenerSpec& listener);
bool has_service_per_broker(const api::ListenerSpec& listener);
/// Its balancer has got another address than clients are told.
bool is_found_elsewhere(const Draft& draft, int id);

/// Volumes that the spec has no more stay with their brokers until nothing is on them and nothing
/// can come.
void keep_used_volumes(Draft& draft);
/// They take no new replica; those that are written back do.
void close_kept_volumes(Draft& draft);
/// Replicas are to be moved off them.
bool are_kept_volumes_in_use(const Draft& draft);

void plan_services(Draft& draft);
void plan_links_key(Draft& draft);
void plan_certificates(Draft& draft);
void plan_volumes(Draft& draft);
void plan_pods(Draft& draft);
void plan_configs(Draft& draft);
void plan_roll(Draft& draft);
void plan_scale(Draft& draft);
/// What it has done and begun, where nothing may be done now: it must not be begun anew.
void remember_scale(Draft& draft);
void plan_quorum(Draft& draft);
void plan_garbage(Draft& draft);
void fill_status(Draft& draft);

}  // namespace millrace::planner
