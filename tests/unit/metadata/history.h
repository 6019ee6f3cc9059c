// A random history of a small cluster: every request that a controller gets, in any order. The
// world checks the invariants after each.
#pragma once

#include "metadata/recovered_directories.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {

class History {
public:
    explicit History(std::uint64_t seed,
                     std::map<std::string, std::int16_t, std::less<>> features = {})
        : world(seed, std::move(features)), dice_(seed * 7919) {
        for (int id = 0; id < brokers; ++id) {
            world.bring_up(id, "rack-" + std::to_string(id % 3));
        }
    }

    void step() {
        switch (dice_.below(14)) {
            case 0:
                create();
                break;
            case 1:
                grow();
                break;
            case 2:
                one_in_a_while(&History::delete_topic);
                break;
            case 3:
                fence();
                break;
            case 4:
                restart();
                break;
            case 5:
                controlled_shutdown();
                break;
            case 6:
                reassign();
                break;
            case 7:
                elect();
                break;
            case 8:
                configure();
                break;
            case 9:
                world.apply(balance_leaders(*world.borrow()));
                break;
            case 10:
                one_in_a_while(&History::unregister);
                break;
            case 11:
                time_passes();
                break;
            default:
                propose();
                break;
        }
    }

    World world;

private:
    static constexpr int brokers = 6;

    void one_in_a_while(void (History::*what)()) {
        if (dice_.one_in(3)) {
            (this->*what)();
        }
    }
    int any_broker() { return static_cast<int>(dice_.below(brokers)); }
    const Topic* any_topic() {
        if (world.image.topics.size() == 0) {
            return nullptr;
        }
        auto at = world.image.topics.by_name().begin();
        for (std::uint64_t i = dice_.below(world.image.topics.size()); i > 0; --i) {
            ++at;
        }
        return world.image.topics.find(at->value);
    }
    std::int32_t any_partition(const Topic& topic) {
        return static_cast<std::int32_t>(dice_.below(topic.partitions.size()));
    }
    bool is_registered(int id) { return world.image.cluster.broker(b(id)) != nullptr; }

    void create() {
        static const std::vector<std::string> names{"a", "b.c", "b_c", "d", "e", "f"};
        protocol::CreateTopicsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = names[dice_.below(names.size())];
        topic.num_partitions = static_cast<std::int32_t>(1 + dice_.below(4));
        topic.replication_factor = static_cast<std::int16_t>(1 + dice_.below(4));
        auto& min_isr = topic.configs.emplace_back();
        min_isr.name = "min.insync.replicas";
        min_isr.value = dice_.one_in(2) ? "2" : "1";
        auto& durability = topic.configs.emplace_back();
        durability.name = "millrace.durability";
        durability.value = dice_.one_in(2) ? "synced" : "replicated";
        const auto answer = world.apply(create_topics(*world.borrow(), request, {}));
        if (answer.topics.at(0).error_code == 0) {
            check_racks(answer.topics[0].topic_id);
        }
    }
    /// No rack holds two replicas of a partition while a rack with a usable broker holds none.
    void check_racks(const Uuid& id) {
        std::set<std::string> usable;
        for (const auto& [broker, registered] : world.image.cluster.brokers) {
            if (!registered->in_controlled_shutdown || registered->fenced) {
                usable.insert(*registered->rack);
            }
        }
        for (const auto& [index, partition] : world.image.topics.find(id)->partitions) {
            std::map<std::string, int> used;
            for (const BrokerId replica : partition->replicas) {
                ++used[*world.image.cluster.broker(replica)->rack];
            }
            for (const auto& [rack, count] : used) {
                EXPECT_TRUE(count == 1 || used.size() == usable.size());
            }
        }
    }
    void grow() {
        if (const Topic* topic = any_topic(); topic != nullptr && topic->partitions.size() < 8) {
            const std::string name = topic->name;
            protocol::CreatePartitionsRequest request;
            auto& growth = request.topics.emplace_back();
            growth.name = name;
            growth.count = static_cast<std::int32_t>(topic->partitions.size() + 1);
            growth.assignments = std::nullopt;
            world.apply(create_partitions(*world.borrow(), request));
        }
    }
    void delete_topic() {
        if (const Topic* topic = any_topic()) {
            protocol::DeleteTopicsRequest request;
            request.topics.emplace_back().topic_id = topic->id;
            world.apply(delete_topics(*world.borrow(), request));
        }
    }
    void fence() {
        if (const int id = any_broker(); is_registered(id)) {
            world.fence(id);
        }
    }
    void unregister() {
        protocol::UnregisterBrokerRequest request;
        request.broker_id = any_broker();
        world.apply(unregister_broker(*world.borrow(), request));
    }
    void restart() {
        const int id = any_broker();
        std::int64_t previous = -1;
        if (is_registered(id)) {
            world.fence(id);
            if (dice_.one_in(2)) {
                previous = world.image.cluster.broker(b(id))->epoch.value;
            }
        }
        auto request = world.registration(id, "rack-" + std::to_string(id % 3));
        request.previous_broker_epoch = previous;
        const Buffer tag = encode_recovered_directories(std::vector<Uuid>{directory_of(id)});
        if (dice_.one_in(2)) {
            request.unknown_tags.push_back({recovered_directories_tag, tag});
        }
        world.apply(register_broker(*world.borrow(), request));
        if (!dice_.one_in(4)) {
            world.heartbeat(id);
        }
    }
    void controlled_shutdown() {
        if (const int id = any_broker(); is_registered(id)) {
            auto request = world.heartbeat_of(id);
            request.want_shut_down = true;
            world.apply(broker_heartbeat(*world.borrow(), request));
        }
    }
    void time_passes() {
        world.now = world.now + 2s;
        for (int id = 0; id < brokers; ++id) {
            if (is_registered(id) && !dice_.one_in(6)) {
                world.heartbeat(id);
            }
        }
        world.apply(fence_overdue_brokers(*world.borrow()));
    }
    void reassign() {
        const Topic* topic = any_topic();
        if (topic == nullptr) {
            return;
        }
        const std::string name = topic->name;
        protocol::AlterPartitionReassignmentsRequest request;
        auto& asked = request.topics.emplace_back();
        asked.name = name;
        auto& partition = asked.partitions.emplace_back();
        partition.partition_index = any_partition(*topic);
        if (!dice_.one_in(3)) {
            std::set<std::int32_t> target;
            const std::uint64_t size = 1 + dice_.below(3);
            while (target.size() < size) {
                target.insert(any_broker());
            }
            partition.replicas.emplace(target.begin(), target.end());
        }
        world.apply(alter_partition_reassignments(*world.borrow(), request));
    }
    void elect() {
        protocol::ElectLeadersRequest request;
        request.election_type = dice_.one_in(2) ? 0 : 1;
        request.topic_partitions = std::nullopt;
        world.apply(elect_leaders(*world.borrow(), request));
    }
    void configure() {
        const Topic* topic = any_topic();
        if (topic == nullptr) {
            return;
        }
        const std::string name = topic->name;
        protocol::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = 2;
        resource.resource_name = name;
        auto& config = resource.configs.emplace_back();
        config.name = dice_.one_in(2) ? "min.insync.replicas" : "unclean.leader.election.enable";
        config.value = config.name == "min.insync.replicas" ? (dice_.one_in(2) ? "1" : "3")
                                                            : (dice_.one_in(2) ? "true" : "false");
        world.apply(incremental_alter_configs(*world.borrow(), request));
    }
    /// A leader's proposal, mostly a good one.
    void propose() {
        const Topic* topic = any_topic();
        if (topic == nullptr) {
            return;
        }
        const std::int32_t index = any_partition(*topic);
        const Partition& partition = world.partition(topic->id, index);
        if (partition.leader == no_broker) {
            return;
        }
        std::vector<int> isr{partition.leader.value};
        for (const BrokerId replica : partition.replicas) {
            if (replica != partition.leader && !dice_.one_in(3)) {
                isr.push_back(replica.value);
            }
        }
        auto request = world.proposal(topic->id, isr, index);
        if (dice_.one_in(10)) {
            request.topics[0].partitions[0].partition_epoch -= 1;
        }
        world.propose(request);
    }

    SeededRandom dice_;
};

}  // namespace millrace::metadata::testing
