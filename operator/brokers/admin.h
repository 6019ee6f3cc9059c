// operator/brokers/admin.h
//
// One cluster's brokers, seen and acted on through whichever of them answers. Calls block until
// the answer or a deadline of a few seconds; what a broker doesn't offer yet is Code::unsupported.
// Any thread. An interface, so that a test can put a simulated cluster behind it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "operator/brokers/facts.h"
#include "operator/brokers/link_facts.h"

namespace millrace::brokers {

struct Endpoint {
    int broker_id = -1;
    std::string address;      ///< "127.1.1.1:9095"
    std::string server_name;  ///< The name its certificate carries; empty without TLS.
    bool is_broker = true;    ///< Else a dedicated controller: asked about itself, not the cluster.
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// The operator's own certificate and who signs the brokers'; empty: no TLS (loopback only).
struct Identity {
    std::string ca_pem;
    std::string certificate_pem;
    Secret key_pem;
    friend bool operator==(const Identity&, const Identity&) = default;
};

class Admin {
public:
    virtual ~Admin() = default;

    /// What the health stream said last; null before the first word and once nobody answers.
    virtual std::shared_ptr<const ClusterFacts> facts() const = 0;
    /// Asked now, not remembered: before anything is taken down or destroyed.
    virtual Result<ClusterFacts> ask_facts() = 0;

    /// Asks every node, after it has read its certificates anew.
    virtual Result<CertificateUses> certificates() = 0;

    virtual Result<RestartVerdict> restart_check(const std::vector<int>& ids) = 0;
    virtual Result<RestartProgress> restart_progress(int id) = 0;
    virtual Result<int> drain_leaders(int id, bool undo) = 0;  ///< Leaders left.
    virtual Result<void> cordon(const std::vector<int>& ids, bool cordoned) = 0;
    virtual Result<void> unregister(int id) = 0;

    virtual Result<Volumes> volumes(int id) = 0;
    /// Those of this broker that take no new replica from now on, by their paths; the others do.
    virtual Result<void> cordon_volumes(int id, const std::vector<std::string>& paths) = 0;

    virtual Result<QuorumFacts> quorum() = 0;
    /// `address` is where its controller listener is reached: "host:port".
    virtual Result<void> add_voter(const QuorumNode& node, const std::string& address) = 0;
    virtual Result<void> remove_voter(const QuorumNode& node) = 0;

    virtual Result<PlanFacts> plan(const PlanWish& wish) = 0;
    /// Of a plan that runs already `throttle` is changed; 0: as it was asked for.
    virtual Result<PlanProgress> apply_plan(const std::string& hash, std::int64_t throttle) = 0;
    virtual Result<PlanProgress> plan_progress(const std::string& hash) = 0;  ///< "": the latest.
    virtual Result<void> cancel_plan(const std::string& hash) = 0;

    /// Settings of all brokers, changed while they run.
    virtual Result<void> alter_defaults(const SettingsChange& change) = 0;

    virtual Result<std::vector<TopicFacts>> topics(const std::vector<std::string>& names) = 0;
    virtual Result<std::vector<Outcome>> create_topics(const std::vector<NewTopic>& topics) = 0;
    virtual Result<std::vector<Outcome>> grow_topics(
        const std::map<std::string, int>& partitions) = 0;
    virtual Result<std::vector<Outcome>> alter_topics(
        const std::vector<SettingsChange>& changes) = 0;
    virtual Result<std::vector<Outcome>> delete_topics(const std::vector<std::string>& names) = 0;

    /// Asks every broker, as each tells of what it leads. An answer without `exists`: no such link.
    virtual Result<LinkFacts> link(const LinkWish& wish) = 0;
    /// `expected_version` 0: whatever is there. Code::fenced: the link is at another version.
    virtual Result<void> apply_link(const LinkWish& wish, std::int64_t expected_version) = 0;
    /// Code::fenced: its topics are to be promoted and aren't yet.
    virtual Result<void> delete_link(const std::string& name, bool promote_topics) = 0;
};

/// Makes and keeps an Admin for each cluster.
class Directory {
public:
    virtual ~Directory() = default;
    /// The cluster's Admin, following these endpoints from now on. Null while there is no endpoint.
    virtual std::shared_ptr<Admin> reach(const std::string& cluster,
                                         const std::vector<Endpoint>& endpoints,
                                         const Identity& identity) = 0;
    /// As reached last; null if never.
    virtual std::shared_ptr<Admin> find(const std::string& cluster) = 0;
    virtual void forget(const std::string& cluster) = 0;
};

}  // namespace millrace::brokers
