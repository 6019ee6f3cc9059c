// Members of a classic group: syncs, heartbeats, leaving, static membership.
#include "group_fixture.h"

namespace millrace::groups {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using ClassicMembers = GroupTest;

TEST_F(ClassicMembers, get_what_the_leader_assigned_once_it_is_committed) {
    const auto a = enter_classic({});
    const auto b = enter_classic({});
    loop.advance(6s);
    const std::string leader = a->leader;
    const std::string follower = leader == a->member ? b->member : a->member;
    const auto waiting = sync(follower, 1);
    EXPECT_FALSE(waiting.ready());
    log.commit_at_once = false;
    const auto leading = sync(leader, 1, {{leader, "mine"}, {follower, "yours"}});
    EXPECT_FALSE(waiting.ready());
    EXPECT_EQ(state(), "CompletingRebalance");
    log.commit_all(p0);
    loop.run_ready();
    EXPECT_EQ(leading->assignment, "mine");
    EXPECT_EQ(waiting->assignment, "yours");
    EXPECT_EQ(state(), "Stable");
}

TEST_F(ClassicMembers, get_their_assignment_also_when_they_sync_late) {
    const auto ids = stable_group(2);
    EXPECT_EQ(sync(ids[1], 1)->assignment, "for 1");
}

TEST_F(ClassicMembers, get_nothing_where_the_leader_forgot_them) {
    const auto a = enter_classic({});
    const auto b = enter_classic({});
    loop.advance(6s);
    sync(a->leader, 1, {{a->leader, "all"}, {"stranger", "?"}});
    EXPECT_EQ(sync(a->leader == a->member ? b->member : a->member, 1)->assignment, "");
}

TEST_F(ClassicMembers, rebalance_when_the_assignment_can_not_be_stored) {
    const auto a = enter_classic({});
    const auto b = enter_classic({});
    loop.advance(6s);
    const std::string follower = a->leader == a->member ? b->member : a->member;
    const auto waiting = sync(follower, 1);
    log.refuse = KafkaError::not_enough_replicas;
    const auto leading = sync(a->leader, 1, {{a->leader, "mine"}});
    EXPECT_EQ(leading->error, KafkaError::coordinator_not_available);
    EXPECT_EQ(waiting->error, KafkaError::coordinator_not_available);
    log.refuse = KafkaError::none;
    loop.advance(1s);
    EXPECT_EQ(state(), "PreparingRebalance");
}

TEST_F(ClassicMembers, can_not_sync_a_generation_that_is_not_theirs) {
    const auto ids = stable_group(1);
    EXPECT_EQ(sync(ids[0], 2)->error, KafkaError::illegal_generation);
    EXPECT_EQ(sync("stranger", 1)->error, KafkaError::unknown_member_id);
    EXPECT_EQ(sync(ids[0], 1, {}, std::nullopt, "other")->error, KafkaError::unknown_member_id);
    join({.member = ids[0]});
    EXPECT_EQ(sync(ids[0], 2)->error, KafkaError::none);
}

TEST_F(ClassicMembers, of_version_5_say_their_protocol_when_they_sync) {
    const auto ids = stable_group(1);
    protocol::SyncGroupRequest request;
    request.group_id = "g";
    request.member_id = ids[0];
    request.generation_id = 1;
    const auto error_of = [&] {
        return *ask<KafkaError, protocol::SyncGroupResponse>(
            5,
            [&](const Caller& caller, auto reply) {
                coordinator->sync_group(request, caller, std::move(reply));
            },
            [](const protocol::SyncGroupResponse& response) {
                return static_cast<KafkaError>(response.error_code);
            });
    };
    EXPECT_EQ(error_of(), KafkaError::inconsistent_group_protocol);
    request.protocol_type = "consumer";
    request.protocol_name = "range";
    EXPECT_EQ(error_of(), KafkaError::none);
}

TEST_F(ClassicMembers, are_told_of_a_rebalance_when_they_sync) {
    const auto ids = stable_group(2);
    join({.member = ids[0]});
    EXPECT_EQ(sync(ids[1], 1)->error, KafkaError::rebalance_in_progress);
}

TEST_F(ClassicMembers, that_wait_for_a_sync_learn_of_the_next_rebalance) {
    const auto a = enter_classic({});
    const auto b = enter_classic({});
    loop.advance(6s);
    const auto waiting = sync(a->leader == a->member ? b->member : a->member, 1);
    enter_classic({});
    EXPECT_EQ(waiting->error, KafkaError::rebalance_in_progress);
}

TEST_F(ClassicMembers, that_never_sync_are_removed) {
    const auto a = enter_classic({.session_ms = 60'000, .rebalance_ms = 20'000});
    const auto b = enter_classic({.session_ms = 60'000, .rebalance_ms = 20'000});
    loop.advance(6s);
    const std::string follower = a->leader == a->member ? b->member : a->member;
    EXPECT_EQ(sync(a->leader, 1, {{a->leader, "mine"}})->error, KafkaError::none);
    loop.advance(21s);
    EXPECT_EQ(state(), "PreparingRebalance");
    EXPECT_EQ(heartbeat(follower, 1), KafkaError::unknown_member_id);
    EXPECT_EQ(heartbeat(a->leader, 1), KafkaError::rebalance_in_progress);
}

TEST_F(ClassicMembers, live_as_long_as_their_heartbeats_come) {
    const auto ids = stable_group(1);
    for (int i = 0; i < 10; ++i) {
        loop.advance(9s);
        EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none);
    }
    loop.advance(10s);
    EXPECT_EQ(state(), "Empty");
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::unknown_member_id);
}

TEST_F(ClassicMembers, are_told_what_is_wrong_with_a_heartbeat) {
    const auto ids = stable_group(1);
    EXPECT_EQ(heartbeat(ids[0], 0), KafkaError::illegal_generation);
    EXPECT_EQ(heartbeat("stranger", 1), KafkaError::unknown_member_id);
    EXPECT_EQ(heartbeat(ids[0], 1, std::nullopt, "other"), KafkaError::unknown_member_id);
    EXPECT_EQ(heartbeat(ids[0], 1, std::nullopt, ""), KafkaError::invalid_group_id);
}

TEST_F(ClassicMembers, that_expire_start_a_rebalance_of_the_others) {
    const auto ids = stable_group(2, {.session_ms = 10'000});
    loop.advance(6s);
    heartbeat(ids[0], 1);
    loop.advance(4s);
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::rebalance_in_progress);
    EXPECT_EQ(join({.member = ids[0]})->generation, 2);
}

TEST_F(ClassicMembers, get_the_time_for_which_the_broker_could_not_hear_them) {
    const auto ids = stable_group(2, {.session_ms = 10'000});
    loop.stall(12s);
    loop.run_ready();
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none) << "it lay unread behind the deadlines";
    loop.advance(1s);
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none);
    EXPECT_EQ(heartbeat(ids[1], 1), KafkaError::none);
    loop.advance(9s);
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none) << "from then on a session is a session";
    loop.advance(1s);
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::rebalance_in_progress) << "of the silent one";
}

TEST_F(ClassicMembers, that_are_gone_expire_on_a_machine_that_is_always_late) {
    const auto ids = stable_group(2, {.session_ms = 10'000});
    loop.advance(9s);
    heartbeat(ids[0], 1);
    KafkaError error = KafkaError::none;
    for (int i = 0; i < 40 && error == KafkaError::none; ++i) {
        loop.stall(1s);
        loop.run_ready();
        error = heartbeat(ids[0], 1);
    }
    EXPECT_EQ(error, KafkaError::rebalance_in_progress);
}

TEST_F(ClassicMembers, do_not_expire_while_they_wait_for_an_answer) {
    const auto ids = stable_group(2, {.session_ms = 10'000, .rebalance_ms = 100'000});
    const auto waiting = join({.member = ids[0], .session_ms = 10'000, .rebalance_ms = 100'000});
    for (int i = 0; i < 9; ++i) {
        loop.advance(8s);
        heartbeat(ids[1], 1);
    }
    EXPECT_FALSE(waiting.ready());
    const auto other = join({.member = ids[1], .session_ms = 10'000, .rebalance_ms = 100'000});
    EXPECT_EQ(waiting->error, KafkaError::none);
    EXPECT_EQ(other->error, KafkaError::none);
}

TEST_F(ClassicMembers, leave_at_once_when_they_say_so) {
    const auto ids = stable_group(2);
    EXPECT_THAT(leave({{ids[1], std::nullopt}}).members, ElementsAre(KafkaError::none));
    EXPECT_EQ(state(), "PreparingRebalance");
    EXPECT_EQ(join({.member = ids[0]})->generation, 2);
    EXPECT_THAT(leave({{ids[1], std::nullopt}, {ids[0], std::nullopt}}).members,
                ElementsAre(KafkaError::unknown_member_id, KafkaError::none));
    EXPECT_EQ(state(), "Empty");
}

TEST_F(ClassicMembers, leave_old_fashioned_with_the_error_at_the_top) {
    const auto ids = stable_group(1);
    for (std::int16_t version = 0; version < 3; ++version) {
        EXPECT_EQ(leave({{"stranger", std::nullopt}}, version).error,
                  KafkaError::unknown_member_id);
    }
    const auto left = leave({{ids[0], std::nullopt}}, 2);
    EXPECT_EQ(left.error, KafkaError::none);
    EXPECT_THAT(left.members, IsEmpty());
    EXPECT_EQ(leave({{ids[0], std::nullopt}}, 0, "other").error, KafkaError::unknown_member_id);
}

TEST_F(ClassicMembers, may_leave_before_they_have_joined) {
    const auto id = join({})->member;
    EXPECT_THAT(leave({{id, std::nullopt}}).members, ElementsAre(KafkaError::none));
    EXPECT_EQ(join({.member = id})->error, KafkaError::unknown_member_id);
}

TEST_F(ClassicMembers, that_leave_are_not_left_waiting) {
    const auto ids = stable_group(2);
    const auto waiting = join({.member = ids[0]});
    leave({{ids[0], std::nullopt}});
    EXPECT_EQ(waiting->error, KafkaError::unknown_member_id);
}

TEST_F(ClassicMembers, survive_a_failover_with_their_assignment) {
    const auto ids = stable_group(2);
    start();
    EXPECT_EQ(state(), "Stable");
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none);
    EXPECT_EQ(sync(ids[1], 1)->assignment, "for 1");
    loop.advance(10s);
    EXPECT_EQ(state(), "Empty");  // Sessions count from the load.
}

TEST_F(ClassicMembers, hear_nothing_bad_while_their_group_loads) {
    const auto ids = stable_group(1);
    coordinator->resigned(p0, LeaderEpoch{leader_epoch + 1});
    log.fail_reads = Error{Code::io, "disk"};
    leader_epoch += 2;
    log_topic[p0].leader_epoch = LeaderEpoch{leader_epoch};
    coordinator->elected(p0, LeaderEpoch{leader_epoch});
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::none);
    EXPECT_EQ(sync(ids[0], 1)->error, KafkaError::coordinator_load_in_progress);
    EXPECT_EQ(join({.member = ids[0]})->error, KafkaError::coordinator_load_in_progress);
}

// KIP-345, trap 22 of e2e/parity/README.md.
struct StaticMembers : GroupTest {
    std::vector<std::string> ids;
    void SetUp() override {
        GroupTest::SetUp();
        ids = stable_group(2, {.instance = "i"});
        leader_instance = ids[0].substr(0, 2);
        follower_instance = ids[1].substr(0, 2);
    }
    std::string leader_instance;
    std::string follower_instance;
};

TEST_F(StaticMembers, come_back_without_a_rebalance) {
    const auto back = join({.instance = follower_instance});
    EXPECT_EQ(back->error, KafkaError::none);
    EXPECT_NE(back->member, ids[1]);
    EXPECT_EQ(back->generation, 1);
    EXPECT_EQ(state(), "Stable");
    EXPECT_EQ(sync(back->member, 1, {}, follower_instance)->assignment, "for 1");
}

TEST_F(StaticMembers, fence_their_predecessors) {
    join({.instance = follower_instance});
    EXPECT_EQ(heartbeat(ids[1], 1, follower_instance), KafkaError::fenced_instance_id);
    EXPECT_EQ(sync(ids[1], 1, {}, follower_instance)->error, KafkaError::fenced_instance_id);
    EXPECT_EQ(join({.member = ids[1], .instance = follower_instance})->error,
              KafkaError::fenced_instance_id);
    EXPECT_EQ(commit({.member = ids[1], .generation = 1, .instance = follower_instance}),
              KafkaError::fenced_instance_id);
    EXPECT_THAT(leave({{ids[1], follower_instance}}).members,
                ElementsAre(KafkaError::fenced_instance_id));
}

TEST_F(StaticMembers, that_lead_are_told_that_nothing_has_to_be_assigned) {
    const auto back = join({.instance = leader_instance, .version = 9});
    EXPECT_TRUE(back->skip);
    EXPECT_EQ(back->leader, back->member);
    EXPECT_EQ(back->members.size(), 2u);
}

TEST_F(StaticMembers, that_lead_with_an_old_client_see_the_former_id_as_leader) {
    const auto back = join({.instance = leader_instance, .version = 8});
    EXPECT_FALSE(back->skip);
    EXPECT_EQ(back->leader, ids[0]);
    EXPECT_TRUE(back->members.empty());
}

TEST_F(StaticMembers, keep_their_place_through_a_failover) {
    const auto back = join({.instance = follower_instance});
    start();
    EXPECT_EQ(heartbeat(back->member, 1, follower_instance), KafkaError::none);
    EXPECT_EQ(heartbeat(ids[1], 1, follower_instance), KafkaError::fenced_instance_id);
}

TEST_F(StaticMembers, bring_new_timeouts_with_them) {
    const auto back = join({.instance = follower_instance, .session_ms = 60'000});
    heartbeat(ids[0], 1, leader_instance);
    loop.advance(9s);
    heartbeat(ids[0], 1, leader_instance);
    loop.advance(9s);
    EXPECT_EQ(heartbeat(back->member, 1, follower_instance), KafkaError::none);
}

TEST_F(StaticMembers, cause_a_rebalance_if_they_want_other_topics) {
    // Subscription version 0: one topic.
    const std::string orders{"\0\0\0\0\0\1\0\6orders\0\0\0\0", 18};
    const std::string logs{"\0\0\0\0\0\1\0\4logs\0\0\0\0", 16};
    stable_group(1, {.group = "s", .instance = "s", .protocols = {{"range", orders}}});
    EXPECT_EQ(join({.group = "s", .instance = "s0", .protocols = {{"range", orders}}})->generation,
              1);
    const auto back = join({.group = "s", .instance = "s0", .protocols = {{"range", logs}}});
    EXPECT_EQ(back->generation, 2);
    EXPECT_EQ(state("s"), "CompletingRebalance");
}

TEST_F(StaticMembers, stay_members_of_a_generation_that_they_missed) {
    const Join slow{.group = "w", .instance = "w", .session_ms = 30'000, .rebalance_ms = 8'000};
    const auto waited_for = stable_group(2, slow);
    Join again = slow;
    again.member = waited_for[0];
    again.instance = waited_for[0].substr(0, 2);
    const auto back = join(again);
    loop.advance(8s);
    EXPECT_EQ(back->generation, 2);
    const std::string away = waited_for[1].substr(0, 2);
    EXPECT_EQ(heartbeat(waited_for[1], 1, away, "w"), KafkaError::illegal_generation);
    loop.advance(30s);
    EXPECT_EQ(heartbeat(waited_for[1], 1, away, "w"), KafkaError::unknown_member_id);
}

TEST_F(StaticMembers, can_be_removed_by_an_administrator) {
    EXPECT_THAT(leave({{"", follower_instance}, {"", "nobody"}}).members,
                ElementsAre(KafkaError::none, KafkaError::unknown_member_id));
    EXPECT_EQ(state(), "PreparingRebalance");
    EXPECT_EQ(heartbeat(ids[1], 1, follower_instance), KafkaError::unknown_member_id);
}

TEST_F(StaticMembers, that_return_amid_a_rebalance_start_it_over) {
    join({.member = ids[0], .instance = leader_instance});
    const auto follower = join({.member = ids[1], .instance = follower_instance});
    ASSERT_EQ(follower->generation, 2);
    const auto waiting = sync(ids[1], 2, {}, follower_instance);
    const auto back = join({.instance = follower_instance});
    EXPECT_EQ(waiting->error, KafkaError::fenced_instance_id);
    EXPECT_FALSE(back.ready());
    EXPECT_EQ(state(), "PreparingRebalance");
}

}  // namespace
}  // namespace millrace::groups
