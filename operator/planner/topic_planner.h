// operator/planner/topic_planner.h
//
// All Topic objects of one cluster at once: what to ask of the brokers, in batches, and what each
// object's status says. Pure. Called again after the asked-for was tried, with the outcomes, so
// that the status tells why something failed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "operator/api/topic.h"
#include "operator/brokers/facts.h"
#include "operator/kube/api.h"

namespace millrace::planner {

struct TopicWorld {
    std::shared_ptr<const api::Cluster> cluster;  ///< Null: there is none of that name.
    std::vector<api::Topic> topics;               ///< That name this cluster.
    /// Of these only outlines are in `topics`: why they can't be read.
    std::map<kube::ObjectKey, std::string> unreadable;
    /// By name, those of them that exist; none: the brokers couldn't be asked.
    std::optional<std::map<std::string, brokers::TopicFacts>> found;
    std::string unreachable;                           ///< Why they couldn't be asked.
    std::map<std::string, brokers::Outcome> outcomes;  ///< Of this round's changes that failed.
    /// In this round, by us, and their ids. Brokers may learn of one a moment later.
    std::map<std::string, std::string> created;
    std::string placement_problem;  ///< Why replication factors can't be changed.
    bool placement_waits = false;   ///< It is over by itself.
    int brokers = 0;                ///< That the cluster has; 0: it isn't known.
    Timestamp now;
};

struct FinalizerChange {
    kube::ObjectKey topic;
    std::string version;  ///< resourceVersion that it was decided on.
    std::vector<std::string> finalizers;
};

/// What whoever made an object is told of what happened to its topic.
struct TopicNews {
    kube::ObjectKey object;
    std::string uid;
    std::string topic;
    bool is_warning = false;
    bool lasts = false;        ///< It is so until somebody acts, not something that happened once.
    bool with_change = false;  ///< True once the settings of this plan are set.
    std::string reason;
    std::string subject;  ///< The same subject isn't told again at once.
    std::string message;
};

struct TopicPlan {
    std::vector<brokers::NewTopic> create;
    std::map<std::string, int> grow;
    std::vector<brokers::SettingsChange> alter;
    std::map<std::string, int> replication_factors;
    std::vector<std::string> remove;
    std::vector<FinalizerChange> finalizers;
    std::map<kube::ObjectKey, api::TopicStatus> statuses;  ///< That differ from what is stored.
    std::vector<TopicNews> news;
    bool waits = false;  ///< For the cluster; nothing tells when that is over.

    bool changes_brokers() const {
        return !create.empty() || !grow.empty() || !alter.empty() || !remove.empty();
    }
};

inline constexpr std::string_view topic_finalizer = "millrace.dev/topic";

TopicPlan plan_topics(const TopicWorld& world);

/// The cluster that a Topic names.
kube::ObjectKey cluster_of(const api::Topic& topic);

}  // namespace millrace::planner
