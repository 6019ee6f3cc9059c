// operator/reconcile/cluster_reconciler.h
//
// One round for one Cluster: observe, plan, act, write the status. Any worker thread; a cluster is
// worked on by one worker at a time (work_queue.h). Killed after any write, the next round goes on
// from what it finds.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "operator/certificates/authority.h"
#include "operator/planner/cluster_planner.h"
#include "operator/reconcile/first_word.h"
#include "operator/reconcile/parts.h"

namespace millrace::reconcile {

class ClusterReconciler {
public:
    explicit ClusterReconciler(Parts parts) : parts_(std::move(parts)) {}

    /// When to look again without news; none: never.
    Result<std::optional<Duration>> reconcile(const kube::ObjectKey& key);

    /// The plan, and nothing done about it but that its brokers are followed from now on.
    Result<std::optional<planner::Plan>> plan(const kube::ObjectKey& key);

private:
    enum class Look { cached, fresh };

    Result<std::optional<planner::World>> observe(const kube::ObjectKey& key, Look look);
    Result<std::vector<kube::ObjectPtr>> objects(const kube::Kind& kind, const kube::ObjectKey& key,
                                                 Look look);
    planner::Plan plan_with_answers(planner::World& world);
    void answer(const planner::Question& question, planner::World& world);
    std::string refusal_of(const planner::AskPod& ask, const planner::World& world);
    /// What was refused for good is noted in the world.
    Result<void> act(planner::World& world, const std::vector<planner::Action>& actions);
    Result<void> act(const planner::World& world, const planner::Action& action);
    void warn(const planner::World& world, const std::vector<planner::Warning>& warnings);
    Result<void> issue_authority(const planner::World& world);
    Result<void> issue_links_key(const planner::World& world);
    Result<void> renew_authority(const planner::World& world,
                                 const planner::RenewAuthority& change);
    Result<void> issue(const planner::World& world, const planner::IssueCertificate& wanted);
    Result<void> update_trust(const planner::World& world, const planner::UpdateTrust& update);
    Result<void> hurry(const planner::Hurry& pod);
    /// The Secret that the spec names; null where it names none, or there is none.
    Result<kube::ObjectPtr> own_authority(const planner::World& world);
    Result<kube::ObjectPtr> authority_of(const planner::World& world);
    Result<certificates::KeyPair> next_signer(const planner::World& world);
    Result<void> replace_secret(const kube::Json& secret);
    Result<void> apply(const kube::Kind& kind, const kube::Json& object);
    brokers::Identity identity_of(const planner::World& world) const;
    Result<void> refuse(const kube::ObjectKey& key, const Error& why);
    Result<void> write_status(const planner::World& world, const api::ClusterStatus& status);
    void follow_brokers(const planner::World& world);
    Duration patience_left(const planner::World& world);
    std::shared_ptr<brokers::Admin> admin_of(const planner::World& world) const;
    void note_unsupported(const planner::World& world, const std::string& call,
                          const std::string& why);
    Result<void> counted(const kube::Kind& kind, std::string_view verb, Result<void> outcome);

    const Parts parts_;
    std::mutex mutex_;
    struct Missing {
        std::string why;
        Instant at;
    };
    FirstWord first_word_;
    /// What a cluster's brokers said they don't offer; asked again after a while.
    std::map<std::string, std::map<std::string, Missing>> unsupported_;
};

}  // namespace millrace::reconcile
