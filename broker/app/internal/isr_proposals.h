// app/internal/isr_proposals.h
//
// AlterPartition: what leaders propose goes to the controller in one request at a time, everything
// that gathered meanwhile in the next. Called from the shards, works on the control loop.
#pragma once

#include <memory>

#include "app/internal/controller_link.h"
#include "app/internal/lifecycle.h"
#include "replication/shard_replicas.h"

namespace millrace::app {

class IsrProposals final : public replication::IsrProposer {
public:
    IsrProposals(BrokerId self, runtime::Executor& control, const Logger& log);
    ~IsrProposals() override;

    /// Before it there is no way to the controller: proposals wait.
    void connect(ControllerLink& controller, const Lifecycle& lifecycle,
                 const replication::Replicas& replicas);

    void propose(Proposal proposal, UniqueFunction<void(KafkaError)> refused) override;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
