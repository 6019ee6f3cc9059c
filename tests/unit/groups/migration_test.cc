// A live group moves between the protocols, member by member (KIP-848's online migration).
#include "group_fixture.h"

namespace millrace::groups {
namespace {

using ::testing::HasSubstr;

struct Migration : GroupTest {
    Join consumer() { return {.protocols = {{"range", subscription({"orders"})}}}; }

    /// A stable classic group of consumers that share the six partitions; ids, leader first.
    std::vector<std::string> classic_group(int members) {
        std::vector<Later<Joined>> joins;
        for (int i = 0; i < members; ++i) {
            joins.push_back(enter_classic(consumer()));
        }
        while (!joins.front().ready() && loop.step()) {
        }
        std::vector<std::string> ids;
        std::map<std::string, std::string> assignments;
        const int each = 6 / members;
        for (int i = 0; i < members; ++i) {
            const std::string id = joins[static_cast<std::size_t>(i)]->member;
            ids.push_back(id);
            std::vector<std::int32_t> mine;
            for (int p = i * each; p < (i + 1) * each; ++p) {
                mine.push_back(p);
            }
            assignments[id] = assignment({{"orders", mine}});
        }
        const std::string leader = joins[0]->leader;
        std::iter_swap(ids.begin(), std::find(ids.begin(), ids.end(), leader));
        for (const std::string& id : ids) {
            EXPECT_EQ(sync(id, 1, id == leader ? assignments
                                               : std::map<std::string, std::string>{})
                          ->error,
                      KafkaError::none);
        }
        return ids;
    }
    /// What a classic member does in a consumer group: join, then sync.
    std::string rejoin(const std::string& id,
                       const std::map<std::string, std::vector<std::int32_t>>& owned) {
        const auto joined =
            join({.member = id, .protocols = {{"range", subscription({"orders"}, owned)}}});
        EXPECT_EQ(joined->error, KafkaError::none);
        const auto synced = sync(id, joined->generation);
        EXPECT_EQ(synced->error, KafkaError::none);
        generation = joined->generation;
        return read_assignment(synced->assignment);
    }
    std::int32_t generation = 0;
};

TEST_F(Migration, begins_with_the_first_member_of_the_new_protocol) {
    const auto ids = classic_group(1);
    const auto b = enter("b");
    EXPECT_EQ(b->error, KafkaError::none);
    EXPECT_EQ(b->epoch, 2);
    EXPECT_EQ(b->assignment, "");
    EXPECT_EQ(list(), "g(consumer,consumer,Reconciling)");
    EXPECT_THAT(describe_consumer(),
                HasSubstr("[" + ids[0] + " epoch=1 has orders:0,1,2,3,4,5 wants orders:0,1,2]"));
}

TEST_F(Migration, moves_partitions_without_ever_giving_one_to_two) {
    const auto ids = classic_group(1);
    enter("b");
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::rebalance_in_progress);
    // First the classic member is told to keep less ...
    EXPECT_EQ(rejoin(ids[0], {{"orders", {0, 1, 2, 3, 4, 5}}}), "orders:0,1,2");
    EXPECT_EQ(hold("b", 2, "")->assignment, std::nullopt);
    EXPECT_EQ(heartbeat(ids[0], generation), KafkaError::rebalance_in_progress);
    // ... and when it says that it does, the others may have the rest.
    EXPECT_EQ(rejoin(ids[0], {{"orders", {0, 1, 2}}}), "orders:0,1,2");
    EXPECT_EQ(hold("b", 2, "")->assignment, "orders:3,4,5");
    EXPECT_EQ(heartbeat(ids[0], generation), KafkaError::none);
    EXPECT_EQ(state(), "Stable");
}

TEST_F(Migration, survives_a_failover_half_way) {
    const auto ids = classic_group(1);
    enter("b");
    const std::string before = describe_consumer();
    start();
    EXPECT_EQ(describe_consumer(), before);
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::rebalance_in_progress);
    EXPECT_EQ(rejoin(ids[0], {{"orders", {0, 1, 2, 3, 4, 5}}}), "orders:0,1,2");
}

TEST_F(Migration, asks_those_who_wait_in_the_old_group_to_join_again) {
    const auto ids = classic_group(2);
    const auto waiting = join({.member = ids[0], .protocols = consumer().protocols});
    EXPECT_FALSE(waiting.ready());
    enter("b");
    EXPECT_EQ(waiting->error, KafkaError::rebalance_in_progress);
}

TEST_F(Migration, keeps_the_offsets_of_the_group) {
    const auto ids = classic_group(1);
    commit({.member = ids[0], .generation = 1, .offset = 7});
    enter("b");
    EXPECT_EQ(offset(), 7);
    EXPECT_EQ(commit({.member = ids[0], .generation = 1, .partition = 1, .offset = 8}),
              KafkaError::none);
    EXPECT_EQ(commit({.member = ids[0], .generation = 5}), KafkaError::illegal_generation);
    EXPECT_EQ(fetch({.member = ids[0], .epoch = 9}).group_error, KafkaError::illegal_generation);
}

TEST_F(Migration, goes_back_when_the_last_member_of_the_new_protocol_leaves) {
    const auto ids = classic_group(1);
    enter("b");
    rejoin(ids[0], {{"orders", {0, 1, 2, 3, 4, 5}}});
    rejoin(ids[0], {{"orders", {0, 1, 2}}});
    hold("b", 2, "");
    beat({.member = "b", .epoch = -1});
    EXPECT_EQ(list(), "g(classic,consumer,PreparingRebalance)");
    const auto joined = join({.member = ids[0], .protocols = consumer().protocols});
    EXPECT_EQ(joined->error, KafkaError::none);
    EXPECT_EQ(joined->leader, ids[0]);
    EXPECT_EQ(joined->generation, 3);
    start();
    EXPECT_EQ(list(), "g(classic,consumer,Stable)");
}

TEST_F(Migration, goes_back_also_when_that_member_only_falls_silent) {
    const auto ids = classic_group(1);
    enter("b");
    for (int i = 0; i < 5; ++i) {
        loop.advance(9s);
        heartbeat(ids[0], 1);
    }
    EXPECT_EQ(list(), "g(classic,consumer,PreparingRebalance)");
}

TEST_F(Migration, is_undone_when_the_log_refuses_it) {
    const auto ids = classic_group(1);
    const std::string before = describe();
    log.refuse = KafkaError::not_enough_replicas;
    EXPECT_EQ(enter("b")->error, KafkaError::coordinator_not_available);
    EXPECT_EQ(describe(), before);
    log.refuse = KafkaError::none;
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none);
    loop.advance(10s);
    EXPECT_EQ(state(), "Empty");  // The member's session is still watched.
}

TEST_F(Migration, back_is_undone_when_the_log_refuses_it) {
    const auto ids = classic_group(1);
    enter("b");
    const std::string before = describe_consumer();
    log.refuse = KafkaError::not_enough_replicas;
    EXPECT_EQ(beat({.member = "b", .epoch = -1})->error, KafkaError::coordinator_not_available);
    EXPECT_EQ(describe_consumer(), before);
    log.refuse = KafkaError::none;
    beat({.member = "b", .epoch = -1});
    EXPECT_EQ(list(), "g(classic,consumer,PreparingRebalance)");
}

TEST_F(Migration, needs_a_policy_that_allows_it) {
    const auto ids = classic_group(1);
    settings.migration = MigrationPolicy::downgrade;
    change(settings);
    const auto b = enter("b");
    EXPECT_EQ(b->error, KafkaError::group_id_not_found);
    EXPECT_EQ(b->message, "Cannot upgrade classic group g to consumer group because online "
                          "upgrade is disabled.");
    settings.migration = MigrationPolicy::upgrade;
    change(settings);
    EXPECT_EQ(enter("b")->error, KafkaError::none);
    beat({.member = "b", .epoch = -1});
    EXPECT_THAT(list(), HasSubstr("g(consumer,consumer"));
}

TEST_F(Migration, is_for_consumers_only) {
    stable_group(1, {.type = "connect"});
    EXPECT_EQ(enter("b")->error, KafkaError::group_id_not_found);
    stable_group(1, {.group = "raw", .protocols = {{"range", "?"}}});
    EXPECT_EQ(beat({.group = "raw",
                    .member = "b",
                    .topics = {{"orders"}},
                    .owned = "",
                    .rebalance_ms = 1000})
                  ->error,
              KafkaError::group_id_not_found);
}

TEST_F(Migration, of_an_empty_group_is_nobodys_business) {
    settings.migration = MigrationPolicy::disabled;
    change(settings);
    const auto ids = stable_group(1, {.type = "connect"});
    leave({{ids[0], std::nullopt}});
    EXPECT_EQ(enter("b")->error, KafkaError::none);
    beat({.member = "b", .epoch = -1});
    EXPECT_EQ(list(), "g(consumer,consumer,Empty)");
    stable_group(1, {.type = "connect"});
    EXPECT_EQ(list(), "g(classic,connect,Stable)");
    start();
    EXPECT_EQ(list(), "g(classic,connect,Stable)");
}

// Members of the classic protocol that come to a consumer group.
TEST_F(Migration, lets_old_clients_into_a_new_group) {
    enter("b");
    const auto id = join(consumer());
    EXPECT_EQ(id->error, KafkaError::member_id_required);
    const auto joined = join({.member = id->member, .protocols = consumer().protocols});
    EXPECT_EQ(joined->error, KafkaError::none);
    EXPECT_EQ(joined->generation, 3);
    EXPECT_EQ(joined->protocol, "range");
    EXPECT_EQ(joined->leader, "");
    EXPECT_EQ(read_assignment(sync(id->member, 3)->assignment), "");
    hold("b", 2, "orders:0,1,2,3,4,5");
    hold("b", 2, "orders:0,1,2");
    EXPECT_EQ(heartbeat(id->member, 3), KafkaError::rebalance_in_progress);
    EXPECT_EQ(rejoin(id->member, {}), "orders:3,4,5");
}

TEST_F(Migration, tells_old_clients_what_is_wrong) {
    enter("b");
    // Who has no id yet is given one first, whatever it brings.
    const auto newcomer = join({.protocols = {{"range", "?"}}});
    EXPECT_EQ(newcomer->error, KafkaError::member_id_required);
    EXPECT_EQ(join({.member = newcomer->member, .protocols = {{"range", "?"}}})->error,
              KafkaError::inconsistent_group_protocol);
    EXPECT_EQ(join({.type = "connect"})->error, KafkaError::inconsistent_group_protocol);
    EXPECT_EQ(join({.member = "x", .type = "connect"})->member, "") << "named by nobody, as by Kafka";
    const auto id = join(consumer())->member;
    join({.member = id, .protocols = consumer().protocols});
    EXPECT_EQ(heartbeat(id, 1), KafkaError::illegal_generation);
    EXPECT_EQ(sync(id, 1)->error, KafkaError::illegal_generation);
    EXPECT_EQ(heartbeat("b", 2), KafkaError::unknown_member_id);
    EXPECT_EQ(sync("b", 2)->error, KafkaError::unknown_member_id);
    EXPECT_EQ(heartbeat("stranger", 3), KafkaError::unknown_member_id);
    settings.migration = MigrationPolicy::disabled;
    change(settings);
    EXPECT_EQ(join({.member = id, .protocols = consumer().protocols})->error,
              KafkaError::inconsistent_group_protocol);
}

TEST_F(Migration, fences_old_clients_that_do_not_sync_or_rejoin) {
    enter("b");
    const auto id = join(consumer())->member;
    join({.member = id, .protocols = consumer().protocols, .rebalance_ms = 5'000});
    loop.advance(5s);
    EXPECT_EQ(heartbeat(id, 3), KafkaError::unknown_member_id);

    const auto late = join(consumer())->member;
    join({.member = late,
          .protocols = consumer().protocols,
          .session_ms = 40'000,
          .rebalance_ms = 5'000});
    sync(late, 5);
    enter("c");
    EXPECT_EQ(heartbeat(late, 5), KafkaError::rebalance_in_progress);
    loop.advance(5s);
    EXPECT_EQ(heartbeat(late, 5), KafkaError::unknown_member_id);
}

TEST_F(Migration, lets_old_clients_leave_a_new_group) {
    enter("b");
    const auto id = join(consumer())->member;
    join({.member = id, .protocols = consumer().protocols});
    EXPECT_THAT(leave({{id, std::nullopt}, {"stranger", std::nullopt}}).members,
                ::testing::ElementsAre(KafkaError::none, KafkaError::unknown_member_id));
    EXPECT_EQ(hold("b", 2, "orders:0,1,2,3,4,5")->epoch, 4);
}

TEST_F(Migration, lets_a_static_member_change_its_protocol_upwards) {
    Join pinned = consumer();
    pinned.instance = "i";
    const auto ids = stable_group(1, pinned);
    // stable_group() syncs with something that is no assignment.
    join({.member = ids[0], .instance = "i0", .protocols = pinned.protocols});
    sync(ids[0], 2, {{ids[0], assignment({{"orders", {0, 1, 2, 3, 4, 5}}})}}, "i0");
    const auto upgraded = enter("new", {"orders"}, "i0");
    EXPECT_EQ(upgraded->error, KafkaError::none);
    EXPECT_EQ(upgraded->assignment, "orders:0,1,2,3,4,5");
    EXPECT_EQ(list(), "g(consumer,consumer,Stable)");
    EXPECT_EQ(heartbeat(ids[0], 2, "i0"), KafkaError::fenced_instance_id);
}

TEST_F(Migration, lets_a_static_member_change_its_protocol_downwards) {
    enter("new", {"orders"}, "i0");
    beat({.member = "new", .epoch = -2, .instance = "i0"});
    Join pinned = consumer();
    pinned.instance = "i0";
    const auto downgraded = join(pinned);
    EXPECT_EQ(downgraded->error, KafkaError::none);
    EXPECT_EQ(list(), "g(classic,consumer,Stable)");
    const auto synced = sync(downgraded->member, downgraded->generation, {}, "i0");
    EXPECT_EQ(read_assignment(synced->assignment), "orders:0,1,2,3,4,5");
    start();
    EXPECT_EQ(list(), "g(classic,consumer,Stable)");
    EXPECT_EQ(heartbeat(downgraded->member, downgraded->generation, "i0"), KafkaError::none);
}

}  // namespace
}  // namespace millrace::groups
