// operator/reconcile/topic_reconciler.h
//
// One round for all Topics of one cluster together, so that a thousand of them are a few calls.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "operator/planner/topic_planner.h"
#include "operator/reconcile/parts.h"

namespace millrace::reconcile {

/// The Cluster that a Topic object names; it need not exist.
kube::ObjectKey cluster_named_by(const kube::Json& topic);

class TopicReconciler {
public:
    explicit TopicReconciler(Parts parts) : parts_(std::move(parts)) {}

    /// `key` names the Cluster, which need not exist.
    Result<std::optional<Duration>> reconcile(const kube::ObjectKey& key);

private:
    Result<planner::TopicWorld> observe(const kube::ObjectKey& key);
    Result<void> look_up(planner::TopicWorld& world, brokers::Admin* admin);
    void change_brokers(const planner::TopicPlan& plan, planner::TopicWorld& world,
                        brokers::Admin& admin);
    void change_replicas(const planner::TopicPlan& plan, planner::TopicWorld& world,
                         brokers::Admin& admin);
    void tell(const std::vector<planner::TopicNews>& news);
    Result<void> write(const planner::TopicPlan& plan);
    Result<void> write_statuses(const planner::TopicPlan& plan);
    Result<void> write_status(const kube::ObjectKey& key, const api::TopicStatus& status);

    const Parts parts_;
    std::mutex mutex_;
    /// What was told and when: somebody who fights with us fills no log. A restart forgets it.
    std::map<std::string, Instant> told_;
};

}  // namespace millrace::reconcile
