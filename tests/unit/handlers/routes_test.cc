// What a listener answers: a row that got lost shows here, not in a tool's error.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "handlers/dispatch.h"
#include "protocol/api_table.h"
#include "tests/support/manual_loop.h"

namespace millrace::handlers {
namespace {

std::vector<protocol::ApiKey> served(ListenerKind kind) {
    std::vector<protocol::ApiKey> keys;
    for (const Route& route : make_routes(kind)) {
        keys.push_back(static_cast<protocol::ApiKey>(route.api_key));
    }
    return keys;
}

using K = protocol::ApiKey;

TEST(Routes, the_broker_serves_what_tools_and_clients_ask_of_one_broker) {
    EXPECT_THAT(served(ListenerKind::broker),
                ::testing::IsSupersetOf({K::produce,
                                         K::fetch,
                                         K::list_offsets,
                                         K::metadata,
                                         K::offset_commit,
                                         K::offset_fetch,
                                         K::find_coordinator,
                                         K::join_group,
                                         K::heartbeat,
                                         K::leave_group,
                                         K::sync_group,
                                         K::describe_groups,
                                         K::list_groups,
                                         K::api_versions,
                                         K::create_topics,
                                         K::delete_topics,
                                         K::delete_records,
                                         K::init_producer_id,
                                         K::offset_for_leader_epoch,
                                         K::describe_client_quotas,
                                         K::alter_client_quotas,
                                         K::describe_configs,
                                         K::alter_configs,
                                         K::alter_replica_log_dirs,
                                         K::describe_log_dirs,
                                         K::create_partitions,
                                         K::delete_groups,
                                         K::elect_leaders,
                                         K::incremental_alter_configs,
                                         K::alter_partition_reassignments,
                                         K::list_partition_reassignments,
                                         K::offset_delete,
                                         K::describe_quorum,
                                         K::update_features,
                                         K::describe_cluster,
                                         K::describe_acls,
                                         K::create_acls,
                                         K::delete_acls,
                                         K::describe_producers,
                                         K::unregister_broker,
                                         K::consumer_group_heartbeat,
                                         K::consumer_group_describe,
                                         K::list_config_resources,
                                         K::describe_topic_partitions,
                                         K::add_raft_voter,
                                         K::remove_raft_voter}));
}

TEST(Routes, a_controller_answers_tools_that_begin_with_it) {
    EXPECT_THAT(served(ListenerKind::controller),
                ::testing::IsSupersetOf({K::api_versions, K::describe_cluster, K::describe_configs,
                                         K::describe_quorum, K::update_features,
                                         K::incremental_alter_configs, K::add_raft_voter,
                                         K::remove_raft_voter}));
}

TEST(Routes, no_api_has_two_rows) {
    for (const ListenerKind kind : {ListenerKind::broker, ListenerKind::controller}) {
        auto keys = served(kind);
        EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
    }
}

class CountsErrors final : public LogSink {
public:
    void write(Level level, std::string_view, std::initializer_list<Field>) override {
        errors += level == Level::error ? 1 : 0;
    }
    int errors = 0;
};

/// A connection that is answered or ended.
struct Peer final : net::Reply::Target {
    void deliver(std::uint64_t, std::uint64_t, net::Response) override { ++answered; }
    void abandon(std::uint64_t, std::uint64_t) override { ++ended; }
    runtime::Executor& home() override { return loop; }

    support::ManualLoop loop;
    int answered = 0;
    int ended = 0;
};

// Anybody can ask for a version that there is not: that is no error of ours.
TEST(Routes, a_version_that_is_not_served_is_answered_or_ends_the_connection_without_an_error) {
    const auto log = std::make_shared<CountsErrors>();
    const Logger logger(log);
    Doors doors;
    doors.log = &logger;
    for (const Route& route : make_routes(ListenerKind::broker)) {
        if (static_cast<K>(route.api_key) == K::api_versions) {
            continue;  // Answered with the versions that there are.
        }
        for (const std::int16_t version : {route.min_version, route.max_version}) {
            const auto peer = std::make_shared<Peer>();
            RequestMeta meta;
            meta.api_key = route.api_key;
            meta.version = version;
            Buffer none;
            route.refuse_version(doors, std::move(meta), net::Frame(MutableBytes(none)), 0,
                                 net::Reply(peer, 1, 1));
            peer->loop.run_ready();
            EXPECT_EQ(log->errors, 0) << "api " << route.api_key << " version " << version;
            EXPECT_EQ(peer->answered + peer->ended, 1) << "api " << route.api_key;
            log->errors = 0;
        }
    }
}

// Kafka's quotas leave what brokers ask of each other alone, and nothing else.
TEST(Routes, between_brokers_are_in_no_clients_quota) {
    const auto exempt = [](K key, std::int16_t version = 0) {
        return is_between_brokers(static_cast<std::int16_t>(key), version);
    };
    for (const K key :
         {K::produce, K::fetch, K::metadata, K::api_versions, K::find_coordinator, K::create_topics,
          K::describe_quorum, K::offset_for_leader_epoch, K::init_producer_id}) {
        EXPECT_FALSE(exempt(key)) << static_cast<int>(key);
    }
    for (const K key :
         {K::alter_partition, K::broker_heartbeat, K::broker_registration, K::envelope, K::vote,
          K::allocate_producer_ids, K::assign_replicas_to_dirs, K::write_txn_markers}) {
        EXPECT_TRUE(exempt(key)) << static_cast<int>(key);
    }
    EXPECT_TRUE(exempt(K::add_partitions_to_txn, 4));
    EXPECT_FALSE(exempt(K::add_partitions_to_txn, 3)) << "a client's";
}

}  // namespace
}  // namespace millrace::handlers
