// One broker's storage and its only shard on a simulated machine, and neighbours that are not
// there.
#pragma once

#include <memory>

#include "replication/shard_replicas.h"
#include "runtime/sim/simulation.h"
#include "storage/log_store.h"

namespace millrace::replication {

class NoPeers final : public Peers {
public:
    std::optional<runtime::Address> address_of(BrokerId) const override { return std::nullopt; }
    BrokerEpoch own_epoch() const override { return BrokerEpoch{1}; }
    bool may_join(BrokerId, BrokerEpoch) const override { return true; }
    net::StreamWrapper wrapper() const override { return {}; }
};

class NoController final : public IsrProposer {
public:
    void propose(Proposal, UniqueFunction<void(KafkaError)>) override {}
};

class Machine final : public runtime::sim::Program {
public:
    explicit Machine(runtime::Node& node, std::unique_ptr<Peers> peers_in = nullptr,
                     const JournalRules& journal = {})
        : peers_(peers_in ? std::move(peers_in) : std::make_unique<NoPeers>()) {
        storage::StoreOptions options;
        options.paths = {"/data"};
        options.identity = {"cluster", BrokerId{1}};
        store_ =
            *storage::LogStore::open(node.disk(), options, *node.control_shard().random,
                                     node.control_shard().executor->clock().wall(), node.log());
        ShardReplicas::Options shard_options;
        shard_options.self = BrokerId{1};
        shard_options.throttles = throttles;
        shard_options.journal = journal;
        shard = std::make_unique<ShardReplicas>(shard_options, node.data_shard(0), node.disk_pool(),
                                                *store_, controller_, *peers_, node.log());
    }

    std::shared_ptr<Throttles> throttles = std::make_shared<Throttles>();

private:
    std::unique_ptr<Peers> peers_;
    NoController controller_;
    std::unique_ptr<storage::LogStore> store_;

public:
    std::unique_ptr<ShardReplicas> shard;  ///< Goes before what it stands on.
};

}  // namespace millrace::replication
