// A small cluster for tests of the managers: an image, its index, sessions and a clock that the
// test moves. Every decision is applied twice, as the controller would (the draft's image) and as
// every other node would (the bytes), and both must agree; then the invariants must hold.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "config/config.h"
#include "metadata/config_rules.h"
#include "metadata/controller_core.h"
#include "metadata/snapshot.h"
#include "protocol/messages/alter_partition_request.h"
#include "protocol/messages/alter_partition_response.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_heartbeat_response.h"
#include "protocol/messages/broker_registration_request.h"
#include "protocol/messages/broker_registration_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"

namespace millrace::metadata::testing {

inline constexpr std::string_view cluster_id = "test-cluster";

inline std::int16_t code(KafkaError error) {
    return code_of(error);
}
inline BrokerId b(std::int32_t id) {
    return BrokerId{id};
}
inline Uuid directory_of(std::int32_t broker, int which = 0) {
    return Uuid{0x1000 + static_cast<std::uint64_t>(broker),
                0x500 + static_cast<std::uint64_t>(which)};
}
inline std::vector<BrokerId> ids(std::initializer_list<int> raw) {
    std::vector<BrokerId> brokers;
    for (const int id : raw) {
        brokers.emplace_back(id);
    }
    return brokers;
}

class World {
public:
    explicit World(std::uint64_t seed = 1,
                   std::map<std::string, std::int16_t, std::less<>> features = {})
        : random(seed), rules_(config::load({}).given, BrokerId{1000}) {
        options.node = BrokerId{1000};
        options.cluster_id = cluster_id;
        options.bootstrap_features = std::move(features);
        apply(bootstrap_now());
    }

    Context context() { return Context{image, index, sessions, now, random, rules_, options, end}; }

    /// Takes the decision over as committed.
    template <typename Answer>
    Answer apply(Decision<Answer> decision) {
        const RecordList& records = decision.draft.records();
        Delta replayed(image);
        for (std::size_t i = 0; i < records.size(); ++i) {
            const auto done = replayed.replay(records[i], end);
            EXPECT_TRUE(done.has_value()) << done.error().to_string();
            log.push_back(describe_record(records[i]));
            all.add_encoded(records[i]);
            end = end + 1;
        }
        EXPECT_TRUE(same_content(replayed.after(), decision.draft.image()));
        const Image before = image;
        index.apply(replayed);
        image = replayed.after();
        check_invariants(before);
        texts_.push_back(std::move(decision.texts));
        return std::move(decision.answer);
    }

    std::int64_t register_broker(std::int32_t id, std::optional<std::string> rack = std::nullopt) {
        return apply(metadata::register_broker(*borrow(), registration(id, std::move(rack))))
            .broker_epoch;
    }
    protocol::BrokerRegistrationRequest registration(
        std::int32_t id, std::optional<std::string> rack = std::nullopt) {
        protocol::BrokerRegistrationRequest request;
        request.broker_id = id;
        request.cluster_id = cluster_id;
        request.incarnation_id = Uuid{77, ++incarnations_};
        request.log_dirs = {directory_of(id)};
        request.rack = std::nullopt;
        if (rack) {
            request.rack = names_.emplace_back(std::make_unique<std::string>(*rack))->data();
        }
        for (const FeatureInfo& info : known_features()) {
            auto& feature = request.features.emplace_back();
            feature.name = info.name;
            feature.min_supported_version = info.min;
            feature.max_supported_version = info.max;
        }
        return request;
    }

    protocol::BrokerHeartbeatRequest heartbeat_of(std::int32_t id) {
        protocol::BrokerHeartbeatRequest request;
        request.broker_id = id;
        request.broker_epoch = image.cluster.broker(b(id))->epoch.value;
        request.current_metadata_offset = end.value - 1;
        return request;
    }
    protocol::BrokerHeartbeatResponse heartbeat(std::int32_t id) {
        return apply(broker_heartbeat(*borrow(), heartbeat_of(id)));
    }
    /// Registered, caught up and unfenced.
    void bring_up(std::int32_t id, std::optional<std::string> rack = std::nullopt) {
        register_broker(id, std::move(rack));
        EXPECT_FALSE(heartbeat(id).is_fenced);
    }
    void fence(std::int32_t id) {
        apply(fence_broker(*borrow(), b(id), image.cluster.broker(b(id))->epoch));
    }
    void stop_cleanly(std::int32_t id) {
        auto request = heartbeat_of(id);
        request.want_shut_down = true;
        request.want_fence = true;
        EXPECT_TRUE(apply(broker_heartbeat(*borrow(), request)).should_shut_down);
    }
    /// Comes back after a stop; `previous` is the epoch it remembers of a clean one.
    void come_back(std::int32_t id, std::int64_t previous) {
        auto request = registration(id);
        request.previous_broker_epoch = previous;
        apply(metadata::register_broker(*borrow(), request));
        heartbeat(id);
    }

    /// A topic with these replicas for each partition.
    Uuid create(std::string_view name, const std::vector<std::vector<std::int32_t>>& assignment,
                const std::map<std::string, std::string>& configs = {}) {
        protocol::CreateTopicsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.num_partitions = -1;
        topic.replication_factor = -1;
        for (std::size_t i = 0; i < assignment.size(); ++i) {
            auto& partition = topic.assignments.emplace_back();
            partition.partition_index = static_cast<std::int32_t>(i);
            partition.broker_ids = assignment[i];
        }
        for (const auto& [key, value] : configs) {
            auto& config = topic.configs.emplace_back();
            config.name = key;
            config.value = value;
        }
        const auto answer = apply(create_topics(*borrow(), request, {}));
        EXPECT_EQ(answer.topics.at(0).error_code, 0) << answer.topics[0].error_message.value_or("");
        return answer.topics[0].topic_id;
    }

    const Partition& partition(const Uuid& topic, std::int32_t index = 0) const {
        const Partition* found = image.topics.partition({topic, PartitionIndex{index}});
        EXPECT_NE(found, nullptr);
        return *found;
    }

    /// The leader proposes `isr`, with everyone's current epoch.
    protocol::AlterPartitionRequest proposal(const Uuid& topic, std::vector<int> isr,
                                             std::int32_t index = 0) const {
        const Partition& now_is = partition(topic, index);
        protocol::AlterPartitionRequest request;
        request.broker_id = now_is.leader.value;
        const Broker* leader = image.cluster.broker(now_is.leader);
        request.broker_epoch = leader != nullptr ? leader->epoch.value : -1;
        auto& data = request.topics.emplace_back();
        data.topic_id = topic;
        auto& part = data.partitions.emplace_back();
        part.partition_index = index;
        part.leader_epoch = now_is.leader_epoch.value;
        part.partition_epoch = now_is.epoch.value;
        part.leader_recovery_state = 0;
        for (const int id : isr) {
            auto& member = part.new_isr_with_epochs.emplace_back();
            member.broker_id = id;
            const Broker* broker = image.cluster.broker(b(id));
            member.broker_epoch = broker != nullptr ? broker->epoch.value : 0;
        }
        return request;
    }
    KafkaError propose(const protocol::AlterPartitionRequest& request) {
        const auto answer = apply(alter_partition(*borrow(), request));
        if (answer.error_code != 0) {
            return static_cast<KafkaError>(answer.error_code);
        }
        return static_cast<KafkaError>(answer.topics.at(0).partitions.at(0).error_code);
    }
    KafkaError propose_isr(const Uuid& topic, std::vector<int> isr, std::int32_t index = 0) {
        return propose(proposal(topic, std::move(isr), index));
    }

    /// A context that lives until the next one is borrowed.
    Context* borrow() {
        borrowed_ = std::make_unique<Context>(context());
        return borrowed_.get();
    }

    void check_invariants(const Image& before) const;
    void check_partition(const Topic& topic, std::int32_t index, const Partition& partition,
                         const Partition* before) const;

    SeededRandom random;
    ControllerOptions options;
    Image image;
    ControllerIndex index;
    Sessions sessions{3s};
    Instant now{};
    Offset end{0};
    RecordList all;
    std::vector<std::string> log;

private:
    Decision<NoAnswer> bootstrap_now() {
        Context at = context();
        return bootstrap(at);
    }

    TableConfigRules rules_;
    std::uint64_t incarnations_ = 0;
    std::unique_ptr<Context> borrowed_;
    std::vector<std::unique_ptr<std::string>> names_;
    std::vector<Texts> texts_;
};

}  // namespace millrace::metadata::testing
