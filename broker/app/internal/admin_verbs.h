// app/internal/admin_verbs.h
//
// The admin endpoint's calls that the controller or the quorum decides: each becomes a request of
// the Kafka protocol to the active controller, wherever that is. What changes the metadata is
// answered once this broker's own image shows it, so that who asks here next sees what was done.
#pragma once

#include <memory>
#include <vector>

#include "admin/doors.h"
#include "app/internal/broker_view.h"

namespace millrace::app {

class AdminVerbs {
public:
    AdminVerbs(const BrokerView& view, runtime::Executor& control);
    ~AdminVerbs();

    void cordon(const admin::Caller& caller, std::vector<BrokerId> brokers, bool cordoned,
                admin::Reply<std::vector<BrokerId>> reply);
    void drain_leaders(const admin::Caller& caller, BrokerId broker, bool undo,
                       admin::Reply<admin::DrainResult> reply);
    void unregister_broker(const admin::Caller& caller, BrokerId broker, admin::Reply<bool> reply);
    void describe_quorum(admin::Reply<admin::QuorumHealth> reply);
    void add_voter(const admin::Caller& caller, admin::Voter voter, admin::Reply<bool> reply);
    void remove_voter(const admin::Caller& caller, BrokerId id, Uuid directory_id,
                      admin::Reply<bool> reply);

    /// The quorum's voters as this node last saw them; from any thread.
    std::vector<BrokerId> voters() const;
    /// The same with all that is known here: how far they are, only the leader can say.
    std::vector<admin::Voter> known_voters() const;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
