// The consumer protocol (KIP-848): epochs, targets, reconciliation, fencing.
#include "group_fixture.h"

namespace millrace::groups {
namespace {

using ::testing::HasSubstr;

using Consumers = GroupTest;

TEST_F(Consumers, get_their_assignment_with_their_first_heartbeat) {
    const auto a = enter("a");
    EXPECT_EQ(a->error, KafkaError::none);
    EXPECT_EQ(a->member, "a");
    EXPECT_EQ(a->epoch, 2);
    EXPECT_EQ(a->interval_ms, 5000);
    EXPECT_EQ(a->assignment, "orders:0,1,2,3,4,5");
    EXPECT_EQ(describe_consumer(),
              "Stable epoch=2 assigned=2 uniform "
              "[a epoch=2 has orders:0,1,2,3,4,5 wants orders:0,1,2,3,4,5]");
}

TEST_F(Consumers, hear_of_their_assignment_only_when_it_changes) {
    enter("a");
    const auto again = hold("a", 2, "orders:0,1,2,3,4,5");
    EXPECT_EQ(again->epoch, 2);
    EXPECT_EQ(again->assignment, std::nullopt);
    // A member that tells everything wants to hear everything.
    EXPECT_EQ(beat({.member = "a",
                    .epoch = 2,
                    .topics = {{"orders"}},
                    .owned = "orders:0,1,2,3,4,5",
                    .rebalance_ms = 60'000})
                  ->assignment,
              "orders:0,1,2,3,4,5");
}

TEST_F(Consumers, give_up_partitions_before_others_get_them) {
    enter("a");
    const auto b = enter("b");
    EXPECT_EQ(b->epoch, 3);
    EXPECT_EQ(b->assignment, "");  // Nothing is free yet.
    const auto revoking = hold("a", 2, "orders:0,1,2,3,4,5");
    EXPECT_EQ(revoking->epoch, 2);
    EXPECT_EQ(revoking->assignment, "orders:0,1,2");
    EXPECT_EQ(hold("b", 3, "")->assignment, std::nullopt);
    EXPECT_EQ(state(), "Reconciling");
    const auto revoked = hold("a", 2, "orders:0,1,2");
    EXPECT_EQ(revoked->epoch, 3);
    EXPECT_EQ(hold("b", 3, "")->assignment, "orders:3,4,5");
    EXPECT_EQ(state(), "Stable");
}

TEST_F(Consumers, keep_reporting_what_they_still_have_to_give_up) {
    enter("a");
    enter("b");
    hold("a", 2, "orders:0,1,2,3,4,5");
    EXPECT_THAT(describe_consumer(), HasSubstr("[a epoch=2 has orders:0,1,2,3,4,5 wants "
                                               "orders:0,1,2]"));
}

TEST_F(Consumers, that_do_not_give_up_in_time_are_fenced) {
    beat({.member = "a", .epoch = 0, .topics = {{"orders"}}, .owned = "", .rebalance_ms = 10'000});
    enter("b");
    hold("a", 2, "orders:0,1,2,3,4,5");
    loop.advance(9s);
    EXPECT_EQ(hold("a", 2, "orders:0,1,2,3,4,5")->error, KafkaError::none);
    loop.advance(1s);
    EXPECT_EQ(hold("a", 2, "orders:0,1,2")->error, KafkaError::unknown_member_id);
    EXPECT_EQ(hold("b", 3, "")->assignment, "orders:0,1,2,3,4,5");
}

TEST_F(Consumers, that_fall_silent_are_fenced) {
    enter("a");
    enter("b");
    loop.advance(44s);
    hold("b", 3, "");
    loop.advance(1s);
    EXPECT_EQ(hold("a", 2, "orders:0,1,2,3,4,5")->error, KafkaError::unknown_member_id);
    EXPECT_EQ(hold("b", 3, "")->assignment, "orders:0,1,2,3,4,5");
    loop.advance(45s);
    EXPECT_EQ(state(), "Empty");
}

TEST_F(Consumers, leave_when_they_say_so) {
    enter("a");
    enter("b");
    const auto left = beat({.member = "a", .epoch = -1});
    EXPECT_EQ(left->error, KafkaError::none);
    EXPECT_EQ(left->member, "a");
    EXPECT_EQ(left->epoch, -1);
    EXPECT_EQ(hold("b", 3, "")->assignment, "orders:0,1,2,3,4,5");
    beat({.member = "b", .epoch = -1});
    EXPECT_EQ(state(), "Empty");
    EXPECT_EQ(beat({.member = "b", .epoch = -1})->error, KafkaError::unknown_member_id);
    EXPECT_EQ(beat({.group = "none", .member = "b", .epoch = -1})->error,
              KafkaError::group_id_not_found);
}

// Kafka gives this target as if all members still wanted the same, which is what whichever of them
// it meets first wants: nobody gets anything, or who wants nothing gets a part.
TEST_F(Consumers, that_want_nothing_neither_take_partitions_nor_keep_them_from_others) {
    enter("a");
    enter("b");
    beat({.member = "b", .epoch = -1});
    const auto idle = enter("idle", {});
    EXPECT_EQ(idle->error, KafkaError::none);
    EXPECT_EQ(idle->assignment, "");
    EXPECT_THAT(describe_consumer(), HasSubstr("wants orders:0,1,2,3,4,5"));
}

TEST_F(Consumers, with_a_wrong_epoch_are_fenced) {
    enter("a");
    const auto ahead = hold("a", 3, "");
    EXPECT_EQ(ahead->error, KafkaError::fenced_member_epoch);
    EXPECT_THAT(ahead->message, HasSubstr("greater member epoch (3)"));
    enter("b");
    hold("a", 2, "orders:0,1,2");
    EXPECT_EQ(hold("a", 1, "orders:0,1,2")->error, KafkaError::fenced_member_epoch);
}

TEST_F(Consumers, may_repeat_the_epoch_before_if_an_answer_was_lost) {
    enter("a");
    enter("b");
    hold("a", 2, "orders:0,1,2,3,4,5");
    ASSERT_EQ(hold("a", 2, "orders:0,1,2")->epoch, 3);
    const auto repeated = hold("a", 2, "orders:0,1,2");
    EXPECT_EQ(repeated->error, KafkaError::none);
    EXPECT_EQ(repeated->epoch, 3);
    // But not with partitions in hand that it should have given up.
    EXPECT_EQ(hold("a", 2, "orders:0,1,2,3")->error, KafkaError::fenced_member_epoch);
}

TEST_F(Consumers, may_join_again_with_epoch_zero) {
    enter("a");
    const auto again = enter("a");
    EXPECT_EQ(again->error, KafkaError::none);
    EXPECT_EQ(again->assignment, "orders:0,1,2,3,4,5");
}

TEST_F(Consumers, that_nobody_knows_are_told_so) {
    EXPECT_EQ(hold("a", 2, "")->error, KafkaError::group_id_not_found);
    enter("a");
    EXPECT_EQ(hold("b", 2, "")->error, KafkaError::unknown_member_id);
}

TEST_F(Consumers, that_speak_nonsense_are_told_what_is_wrong) {
    const auto why = [&](const Heartbeat& heartbeat) {
        const auto answer = beat(heartbeat);
        EXPECT_EQ(answer->error, KafkaError::invalid_request);
        return answer->message;
    };
    EXPECT_EQ(why({.group = "", .owned = ""}), "GroupId can't be empty.");
    EXPECT_EQ(why({.group = "  ", .owned = ""}), "GroupId can't be empty.");
    EXPECT_EQ(why({.member = ""}), "MemberId can't be empty.");
    EXPECT_EQ(why({.instance = ""}), "InstanceId can't be empty.");
    EXPECT_EQ(why({.topics = {{"orders"}}, .owned = ""}),
              "RebalanceTimeoutMs must be provided in first request.");
    EXPECT_EQ(why({.topics = {{"orders"}}, .rebalance_ms = 1000}),
              "TopicPartitions must be empty when (re-)joining.");
    EXPECT_EQ(why({.topics = {{"orders"}}, .owned = "orders:1", .rebalance_ms = 1000}),
              "TopicPartitions must be empty when (re-)joining.");
    EXPECT_EQ(why({.owned = "", .rebalance_ms = 1000}),
              "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
              "(re-)joining.");
    EXPECT_EQ(why({.epoch = -2}), "InstanceId can't be null.");
    EXPECT_EQ(why({.epoch = -3}), "MemberEpoch is invalid.");
}

TEST_F(Consumers, of_version_0_get_their_id_from_the_broker) {
    const auto a = beat(
        {.member = "", .topics = {{"orders"}}, .owned = "", .rebalance_ms = 1000, .version = 0});
    EXPECT_EQ(a->error, KafkaError::none);
    EXPECT_EQ(a->member.size(), 22u);
    EXPECT_EQ(hold(a->member, a->epoch, "orders:0,1,2,3,4,5")->error, KafkaError::none);
}

TEST_F(Consumers, choose_the_assignor_by_majority) {
    enter("a");
    const auto b = beat({.member = "b",
                         .topics = {{"orders"}},
                         .assignor = "range",
                         .owned = "",
                         .rebalance_ms = 1000});
    EXPECT_THAT(describe_consumer(), HasSubstr(" range "));
    EXPECT_EQ(beat({.member = "c",
                    .topics = {{"orders"}},
                    .assignor = "mine",
                    .owned = "",
                    .rebalance_ms = 1000})
                  ->error,
              KafkaError::unsupported_assignor);
}

TEST_F(Consumers, that_want_another_assignor_wait_for_the_next_change) {
    const auto a = enter("a");
    EXPECT_EQ(beat({.member = "a", .epoch = a->epoch, .assignor = "range"})->epoch, a->epoch);
    EXPECT_THAT(describe_consumer(), HasSubstr(" range "));
}

TEST_F(Consumers, beyond_the_groups_limit_are_refused) {
    settings.consumer_max_size = 1;
    change(settings);
    enter("a");
    EXPECT_EQ(enter("b")->error, KafkaError::group_max_size_reached);
    EXPECT_EQ(hold("a", 2, "")->error, KafkaError::none);
}

TEST_F(Consumers, get_new_partitions_with_their_next_heartbeat) {
    enter("a");
    topics->set("orders", 8, 1);
    publish_topics();
    const auto grown = hold("a", 2, "orders:0,1,2,3,4,5");
    EXPECT_EQ(grown->epoch, 3);
    EXPECT_EQ(grown->assignment, "orders:0,1,2,3,4,5,6,7");
}

TEST_F(Consumers, are_not_disturbed_by_changes_of_other_topics) {
    enter("a");
    topics->set("logs", 9, 2);
    publish_topics();
    EXPECT_EQ(hold("a", 2, "orders:0,1,2,3,4,5")->epoch, 2);
}

TEST_F(Consumers, may_subscribe_before_the_topic_exists) {
    EXPECT_EQ(enter("a", {"later"})->assignment, "");
    topics->set("later", 2, 9);
    publish_topics();
    EXPECT_EQ(hold("a", 2, "")->assignment, "later:0,1");
}

TEST_F(Consumers, lose_a_topic_that_is_deleted) {
    enter("a", {"orders", "logs"});
    topics->remove("logs");
    publish_topics({{Uuid{0, 2}, "logs"}});
    const auto lost = hold("a", 2, "orders:0,1,2,3,4,5");
    EXPECT_EQ(lost->epoch, 3);
    EXPECT_EQ(lost->assignment, "orders:0,1,2,3,4,5");
}

TEST_F(Consumers, may_change_their_subscription) {
    enter("a");
    const auto changing = beat({.member = "a",
                                .epoch = 2,
                                .topics = {{"logs"}},
                                .owned = "orders:0,1,2,3,4,5",
                                .rebalance_ms = 60'000});
    EXPECT_EQ(changing->epoch, 2);
    EXPECT_EQ(changing->assignment, "");
    const auto changed = hold("a", 2, "");
    EXPECT_EQ(changed->epoch, 3);
    EXPECT_EQ(changed->assignment, "logs:0,1,2");
}

TEST_F(Consumers, survive_a_failover) {
    enter("a");
    enter("b");
    hold("a", 2, "orders:0,1,2,3,4,5");
    const std::string before = describe_consumer();
    start();
    EXPECT_EQ(describe_consumer(), before);
    EXPECT_EQ(hold("a", 2, "orders:0,1,2")->epoch, 3);
    EXPECT_EQ(hold("b", 3, "")->assignment, "orders:3,4,5");
    loop.advance(45s);
    EXPECT_EQ(state(), "Empty");
}

TEST_F(Consumers, are_not_half_changed_when_the_log_refuses) {
    enter("a");
    const std::string before = describe_consumer();
    log.refuse = KafkaError::not_enough_replicas;
    EXPECT_EQ(enter("b")->error, KafkaError::coordinator_not_available);
    EXPECT_EQ(beat({.member = "a", .epoch = -1})->error, KafkaError::coordinator_not_available);
    EXPECT_EQ(describe_consumer(), before);
    log.refuse = KafkaError::none;
    EXPECT_EQ(hold("a", 2, "orders:0,1,2,3,4,5")->error, KafkaError::none);
    loop.advance(45s);
    EXPECT_EQ(state(), "Empty");  // Still looked after.
}

TEST_F(Consumers, that_could_not_be_fenced_are_fenced_later) {
    enter("a");
    log.refuse = KafkaError::not_enough_replicas;
    loop.advance(60s);
    EXPECT_EQ(state(), "Stable");
    log.refuse = KafkaError::none;
    loop.advance(1s);
    EXPECT_EQ(state(), "Empty");
}

TEST_F(Consumers, notice_a_topic_change_whose_epoch_was_refused) {
    enter("a");
    topics->set("orders", 8, 1);
    publish_topics();
    log.refuse = KafkaError::not_enough_replicas;
    hold("a", 2, "orders:0,1,2,3,4,5");
    log.refuse = KafkaError::none;
    EXPECT_EQ(hold("a", 2, "orders:0,1,2,3,4,5")->epoch, 3);
}

TEST_F(Consumers, follow_the_settings_of_their_group) {
    coordinator->overrides_changed(
        "g", {.consumer_session_timeout = 50s, .consumer_heartbeat_interval = 7s});
    EXPECT_EQ(enter("a")->interval_ms, 7000);
    loop.advance(49s);
    EXPECT_EQ(state(), "Stable");
    loop.advance(1s);
    EXPECT_EQ(state(), "Empty");
    // Out of the broker's range: its bounds hold.
    coordinator->overrides_changed("g", {.consumer_session_timeout = 1h});
    enter("a");
    loop.advance(61s);
    EXPECT_EQ(state(), "Empty");
}

TEST_F(Consumers, show_in_lists_by_state_and_type) {
    enter("a");
    commit({.group = "simple", .offset = 1});
    EXPECT_EQ(list(), "g(consumer,consumer,Stable) simple(classic,,Empty)");
    EXPECT_EQ(list({}, {"CONSUMER"}), "g(consumer,consumer,Stable)");
    EXPECT_EQ(list({"empty"}, {}), "simple(classic,,Empty)");
    EXPECT_EQ(list({"stable", "Empty"}, {"classic"}), "simple(classic,,Empty)");
    EXPECT_EQ(list({}, {"share"}), "");
}

// MirrorMaker and the tools ask one kind of description first and rely on this answer.
TEST_F(Consumers, are_not_described_as_the_other_kind_of_group) {
    enter("a");
    stable_group(1, {.group = "c"});
    EXPECT_EQ(describe_consumer("c"), "GROUP_ID_NOT_FOUND");
    EXPECT_EQ(describe("g", 6), "GROUP_ID_NOT_FOUND Dead type= protocol=");
    EXPECT_EQ(describe("g", 5), "NONE Dead type= protocol=");
    EXPECT_EQ(describe("", 5), "NONE Dead type= protocol=");
}

TEST_F(Consumers, forget_a_deleted_group_and_everything_in_it) {
    enter("a");
    EXPECT_EQ(delete_group(), KafkaError::non_empty_group);
    beat({.member = "a", .epoch = -1});
    EXPECT_EQ(delete_group(), KafkaError::none);
    EXPECT_EQ(list(), "");
    start();
    EXPECT_EQ(list(), "");
}

// Static members.
TEST_F(Consumers, that_are_static_keep_their_partitions_while_away) {
    enter("a", {"orders"}, "i1");
    enter("b", {"orders"}, "i2");
    hold("a", 2, "orders:0,1,2,3,4,5");
    hold("a", 2, "orders:0,1,2");
    const auto away = beat({.member = "a", .epoch = -2, .instance = "i1"});
    EXPECT_EQ(away->epoch, -2);
    EXPECT_EQ(hold("b", 3, "")->assignment, "orders:3,4,5");
    const auto back = enter("a2", {"orders"}, "i1");
    EXPECT_EQ(back->error, KafkaError::none);
    EXPECT_EQ(back->epoch, 3);
    EXPECT_EQ(back->assignment, "orders:0,1,2");
    EXPECT_EQ(beat({.member = "a", .epoch = 3, .instance = "i1"})->error,
              KafkaError::fenced_instance_id);
}

TEST_F(Consumers, that_are_static_lose_their_partitions_with_their_session) {
    enter("a", {"orders"}, "i1");
    beat({.member = "a", .epoch = -2, .instance = "i1"});
    loop.advance(45s);
    EXPECT_EQ(state(), "Empty");
}

TEST_F(Consumers, can_not_take_an_instance_id_that_is_in_use) {
    enter("a", {"orders"}, "i1");
    EXPECT_EQ(enter("b", {"orders"}, "i1")->error, KafkaError::unreleased_instance_id);
    EXPECT_EQ(beat({.member = "b", .epoch = 2, .instance = "i1"})->error,
              KafkaError::fenced_instance_id);
    EXPECT_EQ(beat({.member = "b", .epoch = 2, .instance = "i9"})->error,
              KafkaError::unknown_member_id);
    EXPECT_EQ(beat({.member = "b", .epoch = -1, .instance = "i1"})->error,
              KafkaError::fenced_instance_id);
}

// Regular expressions.
TEST_F(Consumers, may_subscribe_with_a_regular_expression) {
    topics->set("orders-eu", 2, 8);
    publish_topics();
    const auto a = beat({.member = "a", .regex = "orders.*", .owned = "", .rebalance_ms = 1000});
    EXPECT_EQ(a->assignment, "orders:0,1,2,3,4,5 orders-eu:0,1");
    loop.advance(11s);
    topics->set("orders-us", 1, 9);
    publish_topics();
    EXPECT_EQ(hold("a", a->epoch, "orders:0,1,2,3,4,5 orders-eu:0,1")->assignment,
              "orders:0,1,2,3,4,5 orders-eu:0,1 orders-us:0");
}

TEST_F(Consumers, may_only_match_topics_that_they_may_see) {
    topics->set("orders-secret", 2, 8);
    publish_topics();
    const auto a = beat({.member = "a",
                         .regex = ".*",
                         .owned = "",
                         .rebalance_ms = 1000,
                         .may_describe = [](std::string_view topic) { return topic == "logs"; }});
    EXPECT_EQ(a->assignment, "logs:0,1,2");
}

TEST_F(Consumers, match_whole_names) {
    EXPECT_EQ(
        beat({.member = "a", .regex = "order", .owned = "", .rebalance_ms = 1000})->assignment, "");
}

TEST_F(Consumers, whose_expression_matches_nothing_yet_change_no_epoch) {
    const auto a = beat({.member = "a", .regex = "later.*", .owned = "", .rebalance_ms = 1000});
    EXPECT_EQ(a->epoch, 1);
    loop.advance(11s);
    topics->set("later-on", 2, 8);
    publish_topics();
    const auto matched = hold("a", a->epoch, "");
    EXPECT_EQ(matched->epoch, 2);
    EXPECT_EQ(matched->assignment, "later-on:0,1");
}

TEST_F(Consumers, are_told_when_the_cluster_does_not_run_their_protocol) {
    topics->consumer_groups = false;
    publish_topics();
    EXPECT_EQ(
        beat({.member = "a", .topics = {{"orders"}}, .owned = "", .rebalance_ms = 1000})->error,
        KafkaError::unsupported_version);
    topics->consumer_groups = true;
    publish_topics();
    EXPECT_EQ(
        beat({.member = "a", .topics = {{"orders"}}, .owned = "", .rebalance_ms = 1000})->error,
        KafkaError::none);
}

TEST_F(Consumers, with_a_broken_expression_are_refused) {
    const auto a = beat({.member = "a", .regex = "(", .owned = "", .rebalance_ms = 1000});
    EXPECT_EQ(a->error, KafkaError::invalid_regular_expression);
    EXPECT_THAT(a->message, HasSubstr("SubscribedTopicRegex `(` is not a valid"));
    EXPECT_EQ(list(), "");
}

// Kafka's dialect is that of RE2/J: Java's named groups, and no \C.
TEST_F(Consumers, speak_the_dialect_of_kafkas_expressions) {
    const auto error_of = [&](const char* regex) {
        return beat({.member = "a", .regex = regex, .owned = "", .rebalance_ms = 1000})->error;
    };
    EXPECT_EQ(error_of("(?<word>o)rders|(?P<other>l)ogs"), KafkaError::none);
    EXPECT_EQ(error_of("\\Q(?<word>\\C\\E|orders"), KafkaError::none);
    EXPECT_EQ(error_of("\\(?<?"), KafkaError::none);
    EXPECT_EQ(error_of("(?<=o)rders"), KafkaError::invalid_regular_expression);
    EXPECT_EQ(error_of("order\\C"), KafkaError::invalid_regular_expression);
}

TEST_F(Consumers, drop_an_expression_that_nobody_uses_any_more) {
    const auto a = beat({.member = "a", .regex = "logs", .owned = "", .rebalance_ms = 1000});
    const auto changed = beat({.member = "a",
                               .epoch = a->epoch,
                               .topics = {{"orders"}},
                               .regex = "",
                               .owned = "",
                               .rebalance_ms = 1000});
    EXPECT_EQ(changed->assignment, "orders:0,1,2,3,4,5");
    start();
    EXPECT_THAT(describe_consumer(), HasSubstr("wants orders:0,1,2,3,4,5"));
}

TEST_F(Consumers, share_an_expression_and_survive_a_failover_with_it) {
    beat({.member = "a", .regex = "logs|orders", .owned = "", .rebalance_ms = 1000});
    loop.advance(1s);
    const auto b = beat({.member = "b", .regex = "logs|orders", .owned = "", .rebalance_ms = 1000});
    EXPECT_EQ(b->epoch, 3);
    const std::string before = describe_consumer();
    start();
    EXPECT_EQ(describe_consumer(), before);
    loop.advance(46s);
    EXPECT_EQ(state(), "Empty");
}

// Offsets of members.
TEST_F(Consumers, commit_with_their_epoch) {
    enter("a");
    EXPECT_EQ(commit({.member = "a", .generation = 2, .offset = 4}), KafkaError::none);
    EXPECT_EQ(commit({.member = "a", .generation = 3}), KafkaError::stale_member_epoch);
    EXPECT_EQ(commit({.member = "b", .generation = 2}), KafkaError::unknown_member_id);
    EXPECT_EQ(commit({}), KafkaError::unknown_member_id);
    EXPECT_EQ(commit({.member = "a", .generation = 2, .version = 8}),
              KafkaError::unsupported_version);
    EXPECT_EQ(offset(), 4);
}

// KIP-1251: an epoch that is behind is good enough for what the member has held since then.
TEST_F(Consumers, may_commit_late_for_partitions_that_stayed_theirs) {
    enter("a");
    enter("b");
    hold("a", 2, "orders:0,1,2,3,4,5");
    ASSERT_EQ(hold("a", 2, "orders:0,1,2")->epoch, 3);
    EXPECT_EQ(commit({.member = "a", .generation = 2, .partition = 0, .offset = 1}),
              KafkaError::none);
    EXPECT_EQ(commit({.member = "a", .generation = 2, .partition = 5}),
              KafkaError::stale_member_epoch);
    hold("b", 3, "");
    EXPECT_EQ(commit({.member = "b", .generation = 2, .partition = 5}),
              KafkaError::stale_member_epoch);
}

TEST_F(Consumers, fetch_with_their_epoch) {
    enter("a");
    commit({.member = "a", .generation = 2, .offset = 4});
    EXPECT_EQ(fetch({.member = "a", .epoch = 2}).offset, 4);
    EXPECT_EQ(fetch({.member = "a", .epoch = 1}).group_error, KafkaError::stale_member_epoch);
    EXPECT_EQ(fetch({.member = "b", .epoch = 2}).group_error, KafkaError::unknown_member_id);
    EXPECT_EQ(fetch({}).offset, 4);  // An administrator.
}

TEST_F(Consumers, keep_offsets_of_subscribed_topics_from_deletion) {
    enter("a");
    commit({.member = "a", .generation = 2, .offset = 4});
    EXPECT_EQ(delete_offsets("orders", {0}), "GROUP_SUBSCRIBED_TO_TOPIC");
    EXPECT_EQ(delete_offsets("logs", {0}), "NONE");
}

TEST_F(Consumers, take_over_a_group_of_offsets) {
    commit({.offset = 9});
    EXPECT_EQ(enter("a")->error, KafkaError::none);
    EXPECT_EQ(offset(), 9);
    EXPECT_EQ(list(), "g(consumer,consumer,Stable)");
    start();
    EXPECT_EQ(list(), "g(consumer,consumer,Stable)");
    EXPECT_EQ(offset(), 9);
}

// Lag.
TEST_F(Consumers, are_behind_by_what_their_log_has_more) {
    enter("a");
    commit({.member = "a", .generation = 2, .partition = 0, .offset = 4});
    commit({.member = "a", .generation = 2, .partition = 1, .offset = 9});
    const auto lag = coordinator->lag("g", [](const TopicPartition& tp) {
        return tp.partition == PartitionIndex{0} ? std::optional{Offset{10}} : std::nullopt;
    });
    ASSERT_TRUE(lag.has_value());
    ASSERT_EQ(lag->partitions.size(), 2u);
    EXPECT_EQ(lag->partitions[0].lag, 6);
    EXPECT_EQ(lag->partitions[0].member_id, "a");
    EXPECT_EQ(lag->partitions[1].lag, std::nullopt);
    EXPECT_EQ(
        coordinator->lags([](const TopicPartition&) { return Offset{0}; })[0].partitions[0].lag, 0);
    EXPECT_FALSE(coordinator->lag("none", [](const TopicPartition&) { return Offset{0}; }));
}

}  // namespace
}  // namespace millrace::groups
