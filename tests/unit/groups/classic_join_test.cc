// Joining a group of the classic protocol: ids, sizes, protocols, rebalances.
#include "group_fixture.h"

namespace millrace::groups {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;

using ClassicJoin = GroupTest;

TEST_F(ClassicJoin, asks_a_newcomer_to_join_again_with_an_id) {
    const auto first = join({});
    EXPECT_EQ(first->error, KafkaError::member_id_required);
    EXPECT_THAT(first->member, AllOf(StartsWith("client-"), SizeIs(7 + 36)));
    EXPECT_EQ(first->generation, -1);
    EXPECT_FALSE(join({.member = first->member}).ready());
}

TEST_F(ClassicJoin, lets_old_clients_join_without_an_id_of_their_own) {
    EXPECT_FALSE(join({.version = 3}).ready());
}

TEST_F(ClassicJoin, lets_static_members_join_at_once) {
    const auto joined = join({.instance = "i1"});
    EXPECT_FALSE(joined.ready());
    loop.advance(6s);
    EXPECT_EQ(joined->error, KafkaError::none);
    EXPECT_THAT(joined->member, StartsWith("i1-"));
}

TEST_F(ClassicJoin, waits_for_more_members_before_the_first_generation) {
    const auto a = enter_classic({});
    loop.advance(2900ms);
    EXPECT_FALSE(a.ready());
    const auto b = enter_classic({});
    loop.advance(2900ms);
    EXPECT_FALSE(a.ready());  // A newcomer extends the wait ...
    loop.advance(3200ms);
    EXPECT_TRUE(a.ready());  // ... once per delay.
    EXPECT_TRUE(b.ready());
    EXPECT_EQ(a->generation, 1);
}

TEST_F(ClassicJoin, waits_no_longer_than_the_rebalance_timeout) {
    const auto a = enter_classic({.rebalance_ms = 8'000});
    for (int second = 0; second < 8; ++second) {
        EXPECT_FALSE(a.ready());
        enter_classic({.rebalance_ms = 8'000});
        loop.advance(1s);
    }
    EXPECT_TRUE(a.ready());
}

TEST_F(ClassicJoin, gives_the_leader_everybodys_metadata_and_the_others_nothing) {
    const auto a = enter_classic({.protocols = {{"range", "meta a"}}});
    const auto b = enter_classic({.protocols = {{"range", "meta b"}}});
    loop.advance(6s);
    const Joined& leader = a->leader == a->member ? *a : *b;
    const Joined& follower = a->leader == a->member ? *b : *a;
    EXPECT_THAT(leader.members, ::testing::UnorderedElementsAre(Pair(a->member, "meta a"),
                                                                Pair(b->member, "meta b")));
    EXPECT_THAT(follower.members, SizeIs(0));
    EXPECT_EQ(follower.leader, leader.member);
    EXPECT_EQ(leader.protocol, "range");
}

TEST_F(ClassicJoin, takes_the_protocol_that_all_offer_and_most_prefer) {
    // Offered in order of name: every member prefers "a" if it has it.
    const auto a = enter_classic({.protocols = {{"a", ""}, {"b", ""}}});
    const auto b = enter_classic({.protocols = {{"b", ""}, {"c", ""}}});
    loop.advance(6s);
    EXPECT_EQ(a->protocol, "b");
    EXPECT_EQ(b->protocol, "b");
}

TEST_F(ClassicJoin, refuses_a_member_whose_protocols_nobody_shares) {
    stable_group(1);
    EXPECT_EQ(join({.protocols = {{"other", ""}}})->error, KafkaError::inconsistent_group_protocol);
    EXPECT_EQ(join({.type = "connect"})->error, KafkaError::inconsistent_group_protocol);
    EXPECT_EQ(join({.group = "new", .protocols = {}})->error,
              KafkaError::inconsistent_group_protocol);
    EXPECT_EQ(state("new"), "gone");
}

TEST_F(ClassicJoin, serves_groups_of_any_protocol_type) {
    const auto worker = enter_classic({.protocols = {{"sessioned", "url"}}, .type = "connect"});
    loop.advance(6s);
    EXPECT_EQ(worker->error, KafkaError::none);
    EXPECT_EQ(sync(worker->member, 1, {{worker->member, "tasks"}})->assignment, "tasks");
    EXPECT_EQ(describe(),
              "NONE Stable type=connect protocol=sessioned "
              "[client /127.0.0.1 url tasks]");
}

TEST_F(ClassicJoin, shows_what_members_had_while_a_rebalance_goes_on) {
    const auto worker = enter_classic({.protocols = {{"sessioned", "url"}}, .type = "connect"});
    loop.advance(6s);
    sync(worker->member, 1, {{worker->member, "tasks"}});
    join({.protocols = {{"sessioned", "other"}}, .type = "connect", .version = 3});
    EXPECT_THAT(describe(), StartsWith("NONE PreparingRebalance type=connect protocol="));
    EXPECT_THAT(describe(), HasSubstr("[client /127.0.0.1  tasks]"));
}

TEST_F(ClassicJoin, refuses_session_timeouts_out_of_range) {
    EXPECT_EQ(join({.session_ms = 5'999})->error, KafkaError::invalid_session_timeout);
    EXPECT_EQ(join({.session_ms = 1'800'001})->error, KafkaError::invalid_session_timeout);
    EXPECT_EQ(join({.session_ms = 6'000})->error, KafkaError::member_id_required);
}

TEST_F(ClassicJoin, refuses_an_empty_group_id) {
    EXPECT_EQ(join({.group = ""})->error, KafkaError::invalid_group_id);
}

TEST_F(ClassicJoin, does_not_know_members_that_it_gave_no_id) {
    EXPECT_EQ(join({.member = "stranger"})->error, KafkaError::unknown_member_id);
    stable_group(1);
    EXPECT_EQ(join({.member = "stranger"})->error, KafkaError::unknown_member_id);
}

TEST_F(ClassicJoin, forgets_an_id_that_nobody_joined_with) {
    const auto id = join({.session_ms = 10'000})->member;
    loop.advance(10s);
    EXPECT_EQ(join({.member = id})->error, KafkaError::unknown_member_id);
}

TEST_F(ClassicJoin, refuses_members_beyond_the_groups_limit) {
    settings.max_size = 2;
    change(settings);
    stable_group(2);
    EXPECT_EQ(join({})->error, KafkaError::group_max_size_reached);
}

TEST_F(ClassicJoin, lets_the_first_back_in_when_the_limit_was_lowered) {
    const auto ids = stable_group(3);
    settings.max_size = 2;
    change(settings);
    start();  // A freshly loaded group over the limit rebalances.
    EXPECT_EQ(state(), "PreparingRebalance");
    const auto a = join({.member = ids[2]});
    const auto b = join({.member = ids[0]});
    EXPECT_EQ(join({.member = ids[1]})->error, KafkaError::group_max_size_reached);
    EXPECT_TRUE(a.ready());
    EXPECT_EQ(b->error, KafkaError::none);
}

TEST_F(ClassicJoin, bounds_what_one_member_may_store) {
    settings.max_member_metadata = 1_KiB;
    change(settings);
    EXPECT_EQ(join({.protocols = {{"range", std::string(2000, 'x')}}})->error,
              KafkaError::invalid_request);
}

TEST_F(ClassicJoin, bounds_what_all_members_may_store) {
    settings.max_group_metadata = 1_KiB;
    change(settings);
    stable_group(1, {.protocols = {{"range", std::string(600, 'x')}}});
    EXPECT_EQ(enter_classic({.protocols = {{"range", std::string(600, 'x')}}})->error,
              KafkaError::group_max_size_reached);
}

TEST_F(ClassicJoin, bounds_the_ids_that_it_hands_out) {
    settings.max_pending_members = 2;
    change(settings);
    EXPECT_EQ(join({})->error, KafkaError::member_id_required);
    EXPECT_EQ(join({})->error, KafkaError::member_id_required);
    EXPECT_EQ(join({})->error, KafkaError::group_max_size_reached);
}

// A walk beside Kafka: its offsets could not be deleted, as if somebody were subscribed yet.
TEST_F(ClassicJoin, does_not_keep_a_group_for_who_was_only_given_an_id) {
    const auto ids = stable_group(1);
    EXPECT_EQ(join({})->error, KafkaError::member_id_required);
    EXPECT_THAT(leave({{ids[0], std::nullopt}}).members, ElementsAre(KafkaError::none));
    EXPECT_EQ(state(), "Empty");
}

TEST_F(ClassicJoin, starts_a_rebalance_for_a_newcomer) {
    const auto ids = stable_group(1);
    const auto newcomer = enter_classic({});
    EXPECT_FALSE(newcomer.ready());
    EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::rebalance_in_progress);
    const auto again = join({.member = ids[0]});
    EXPECT_EQ(again->generation, 2);
    EXPECT_EQ(newcomer->generation, 2);
}

TEST_F(ClassicJoin, goes_on_without_members_that_do_not_rejoin_in_time) {
    const auto ids = stable_group(2, {.rebalance_ms = 20'000});
    const auto newcomer = enter_classic({.rebalance_ms = 20'000});
    const auto again = join({.member = ids[0], .rebalance_ms = 20'000});
    for (int beat = 0; beat < 4; ++beat) {  // Alive, and slow.
        loop.advance(4s);
        EXPECT_EQ(heartbeat(ids[1], 1), KafkaError::rebalance_in_progress);
    }
    EXPECT_FALSE(again.ready());
    loop.advance(4s);
    EXPECT_EQ(again->generation, 2);
    EXPECT_EQ(newcomer->generation, 2);
    EXPECT_EQ(heartbeat(ids[1], 1), KafkaError::unknown_member_id);
}

TEST_F(ClassicJoin, repeats_the_generation_to_a_member_that_missed_it) {
    const auto a = enter_classic({});
    loop.advance(6s);
    const auto again = join({.member = a->member});
    EXPECT_EQ(again->generation, 1);
    EXPECT_EQ(again->members, a->members);
    EXPECT_EQ(state(), "CompletingRebalance");
}

TEST_F(ClassicJoin, repeats_the_generation_to_an_unchanged_follower_of_a_stable_group) {
    const auto ids = stable_group(2);
    EXPECT_EQ(join({.member = ids[1]})->generation, 1);
    EXPECT_EQ(state(), "Stable");
}

TEST_F(ClassicJoin, rebalances_when_a_follower_changes_its_metadata) {
    const auto ids = stable_group(2);
    EXPECT_FALSE(join({.member = ids[1], .protocols = {{"range", "new"}}}).ready());
    EXPECT_EQ(state(), "PreparingRebalance");
}

TEST_F(ClassicJoin, rebalances_when_the_leader_joins_again) {
    const auto ids = stable_group(2);
    EXPECT_FALSE(join({.member = ids[0]}).ready());
    EXPECT_EQ(state(), "PreparingRebalance");
}

TEST_F(ClassicJoin, answers_an_earlier_join_of_the_same_member) {
    const auto ids = stable_group(2);
    const auto first = join({.member = ids[0]});
    const auto second = join({.member = ids[0]});
    EXPECT_EQ(first->error, KafkaError::rebalance_in_progress);
    EXPECT_FALSE(second.ready());
}

TEST_F(ClassicJoin, drops_a_new_member_that_may_be_gone) {
    const auto ids = stable_group(1, {.session_ms = 30'000, .rebalance_ms = 1'000'000});
    const auto newcomer = enter_classic({.rebalance_ms = 1'000'000});
    for (int beat = 0; beat < 29; ++beat) {
        loop.advance(10s);
        EXPECT_EQ(heartbeat(ids[0], 1), KafkaError::rebalance_in_progress);
    }
    EXPECT_FALSE(newcomer.ready());
    loop.advance(10s);
    EXPECT_EQ(newcomer->error, KafkaError::unknown_member_id);
}

TEST_F(ClassicJoin, answers_in_every_version) {
    for (std::int16_t version = 0; version <= 9; ++version) {
        const std::string group = "v" + std::to_string(version);
        const auto joined = enter_classic({.group = group, .version = version});
        loop.advance(6s);
        EXPECT_EQ(joined->error, KafkaError::none) << version;
        EXPECT_EQ(join({.group = group, .member = "stranger", .version = version})->error,
                  KafkaError::unknown_member_id);
    }
}

TEST_F(ClassicJoin, tells_those_who_wait_when_another_broker_takes_over) {
    const auto waiting = enter_classic({});
    coordinator->resigned(p0, LeaderEpoch{9});
    EXPECT_EQ(waiting->error, KafkaError::not_coordinator);
    EXPECT_EQ(join({})->error, KafkaError::not_coordinator);
}

TEST_F(ClassicJoin, has_no_coordinator_before_the_topic_exists) {
    coordinator->set_partition_count(0);
    EXPECT_EQ(join({})->error, KafkaError::not_coordinator);
}

}  // namespace
}  // namespace millrace::groups
