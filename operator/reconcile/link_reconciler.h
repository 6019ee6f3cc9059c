// operator/reconcile/link_reconciler.h
//
// One round for one MirrorLink. Whatever changes a link is decided on the object as the API server
// has it at that moment, against the link's version as read before: an operator with an old view
// never takes a promotion back.
#pragma once

#include <optional>

#include "operator/planner/link_planner.h"
#include "operator/reconcile/first_word.h"
#include "operator/reconcile/parts.h"

namespace millrace::reconcile {

class LinkReconciler {
public:
    explicit LinkReconciler(Parts parts) : parts_(std::move(parts)) {}

    /// When to look again without news; none: never.
    Result<std::optional<Duration>> reconcile(const kube::ObjectKey& key);

private:
    std::shared_ptr<const api::Cluster> cluster(const std::string& space, const std::string& name);
    Result<planner::LinkWorld> observe(const api::MirrorLink& link);
    Result<planner::LinkSecrets> read_secrets(const api::MirrorLink& link);
    /// Of a source that is a Cluster: whom to believe, and what to show.
    void look_up_source(planner::LinkWorld& world);
    Result<void> issue_certificate(const planner::LinkWorld& world, const std::string& why);
    void look_up(planner::LinkWorld& world, brokers::Admin* admin);
    Duration patience_left(const planner::LinkWorld& world, const brokers::Admin* admin);
    Result<bool> is_still_wished(const api::MirrorLink& link);
    void act(const planner::LinkPlan& plan, planner::LinkWorld& world, brokers::Admin& admin);
    void announce(const api::MirrorLink& link, const std::vector<planner::LinkEvent>& events);
    Result<void> refuse(const kube::Json& object, const Error& why);
    Result<void> write_finalizers(const api::MirrorLink& link,
                                  const std::vector<std::string>& finalizers);
    Result<void> write_status(const api::MirrorLink& link, const api::MirrorLinkStatus& status);

    const Parts parts_;
    FirstWord first_word_;
};

}  // namespace millrace::reconcile
