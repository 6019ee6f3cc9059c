// app/internal/broker_doors.h
//
// The admin endpoint's doors, over the broker's own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "admin/doors.h"
#include "app/internal/admin_verbs.h"
#include "app/internal/broker_view.h"
#include "app/internal/peer_calls.h"
#include "app/internal/plan_runner.h"

namespace millrace::app {

class BrokerDoors final : public admin::AdminDoors {
public:
    BrokerDoors(BrokerView view, runtime::Node& node, std::string version);
    ~BrokerDoors() override;

    /// Without an authorizer everybody may, as on the Kafka listeners.
    bool allows(const Principal&, std::string_view, std::int8_t, std::int8_t,
                std::string_view) const override {
        return true;
    }
    QuorumEpoch epoch() const override;
    std::shared_ptr<const config::BrokerConfig> config() const override;
    BrokerId self() const override { return view_.doors->self; }
    std::vector<BrokerId> other_brokers() const override;
    void identity(admin::Reply<admin::Identity> reply) override;
    std::unique_ptr<admin::Subscription> watch_health(
        UniqueFunction<void(admin::Health)> news) override;
    void restart_check(admin::Caller, admin::RestartQuestion question,
                       admin::Reply<admin::RestartVerdict> reply) override;
    void restart_progress(admin::Caller, BrokerId broker, BrokerEpoch before,
                          admin::Reply<admin::RestartProgress> reply) override;
    void drain_leaders(admin::Caller caller, BrokerId broker, bool undo,
                       admin::Reply<admin::DrainResult> reply) override;
    void cordon(admin::Caller caller, std::vector<BrokerId> brokers, bool cordoned,
                admin::Reply<std::vector<BrokerId>> reply) override;
    void unregister_broker(admin::Caller caller, BrokerId broker,
                           admin::Reply<bool> reply) override;
    void describe_quorum(admin::Caller caller, admin::Reply<admin::QuorumHealth> reply) override;
    void add_voter(admin::Caller caller, admin::Voter voter, admin::Reply<bool> reply) override;
    void remove_voter(admin::Caller caller, BrokerId id, Uuid directory_id,
                      admin::Reply<bool> reply) override;
    void reload_certificates(admin::Caller caller,
                             admin::Reply<std::vector<admin::ReloadedCertificate>> reply) override;
    void kafka(admin::Caller caller, admin::KafkaCall call, admin::Reply<Buffer> reply) override;

    void apply_link(admin::Caller caller, admin::LinkChange change,
                    admin::Reply<admin::AppliedLink> reply) override;
    void delete_link(admin::Caller caller, std::string name, bool promote_topics,
                     admin::Reply<bool> reply) override;
    void links(admin::Caller caller, admin::Reply<std::vector<admin::KnownLink>> reply) override;
    void mirror_partitions(admin::Caller caller, std::string link,
                           admin::Reply<std::vector<mirror::PartitionView>> reply) override;
    std::unique_ptr<admin::Subscription> watch_links(
        UniqueFunction<void(std::vector<admin::KnownLink>)> news) override;

    admin::PlanDoors* plans() override { return &plans_; }

    admin::Health health() const;

private:
    struct Watchers;

    BrokerView view_;
    runtime::Executor& control_;
    std::string version_;
    std::shared_ptr<Watchers> watchers_;
    AdminVerbs verbs_;
    std::shared_ptr<PeerCalls> peers_;
    PlanRunner plans_;
};

}  // namespace millrace::app
