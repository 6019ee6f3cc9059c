// Committed offsets: who may commit, what is read back, what is forgotten.
#include <array>

#include "group_fixture.h"
#include "metadata/link_mark.h"
#include "record/batch_view.h"

namespace millrace::groups {
namespace {

using coordinator::TransactionResult;

using Offsets = GroupTest;

TEST_F(Offsets, are_read_back_as_they_were_committed) {
    EXPECT_EQ(commit({.partition = 3, .offset = 42, .metadata = "note"}), KafkaError::none);
    const auto fetched = fetch({.partition = 3});
    EXPECT_EQ(fetched.offset, 42);
    EXPECT_EQ(fetched.metadata, "note");
    EXPECT_EQ(fetched.group_error, KafkaError::none);
}

TEST_F(Offsets, that_nobody_committed_are_minus_one) {
    EXPECT_EQ(fetch({.partition = 3}).offset, -1);
    EXPECT_EQ(fetch({.partition = 3}).error, KafkaError::none);
    EXPECT_EQ(offsets(), "");
    commit({.offset = 1});
    EXPECT_EQ(fetch({.partition = 3}).offset, -1);
}

TEST_F(Offsets, survive_a_failover) {
    commit({.offset = 5});
    commit({.partition = 1, .offset = 6});
    commit({.offset = 7});
    start();
    EXPECT_EQ(offsets(), "orders-0=7 orders-1=6");
}

TEST_F(Offsets, are_answered_in_every_version) {
    for (std::int16_t version = 2; version <= 9; ++version) {
        EXPECT_EQ(commit({.offset = version, .version = version}), KafkaError::none);
    }
    for (std::int16_t version = 1; version <= 9; ++version) {
        EXPECT_EQ(fetch({.version = version}).offset, 9) << version;
        EXPECT_EQ(fetch({.topic = "none", .version = version}).offset, -1) << version;
    }
    for (std::int16_t version = 2; version <= 9; ++version) {
        EXPECT_EQ(offsets("g", version), "orders-0=9");
    }
}

TEST_F(Offsets, can_be_named_by_topic_id) {
    const Uuid orders{0, 1};
    EXPECT_EQ(commit({.offset = 8, .version = 10, .topic_id = orders}), KafkaError::none);
    EXPECT_EQ(fetch({.version = 10, .topic_id = orders}).offset, 8);
    EXPECT_EQ(offset(), 8);
    EXPECT_EQ(commit({.version = 10, .topic_id = Uuid{9, 9}}), KafkaError::unknown_topic_id);
    EXPECT_EQ(fetch({.version = 10, .topic_id = Uuid{9, 9}}).error, KafkaError::unknown_topic_id);
}

TEST_F(Offsets, of_a_former_topic_are_not_those_of_its_successor) {
    commit({.offset = 8, .version = 10, .topic_id = Uuid{0, 1}});
    topics->set("orders", 6, 77);
    publish_topics();
    EXPECT_EQ(fetch({.version = 10, .topic_id = Uuid{0, 77}}).offset, -1);
}

TEST_F(Offsets, are_refused_for_topics_that_do_not_exist) {
    EXPECT_EQ(commit({.topic = "nowhere"}), KafkaError::unknown_topic_or_partition);
}

TEST_F(Offsets, are_refused_for_partitions_that_do_not_exist) {
    EXPECT_EQ(commit({.partition = 6}), KafkaError::unknown_topic_or_partition);
    EXPECT_EQ(commit({.partition = -1}), KafkaError::unknown_topic_or_partition);
    EXPECT_EQ(commit({.partition = 5}), KafkaError::none);
    EXPECT_EQ(delete_offsets("orders", {5, 6}), "NONE UNKNOWN_TOPIC_OR_PARTITION");
}

TEST_F(Offsets, need_an_id_where_topics_have_no_names) {
    EXPECT_EQ(commit({.version = 10, .topic_id = Uuid{}}), KafkaError::unknown_topic_id);
    EXPECT_EQ(fetch({.version = 10, .topic_id = Uuid{}}).error, KafkaError::unknown_topic_id);
}

TEST_F(Offsets, have_metadata_of_bounded_size) {
    EXPECT_EQ(commit({.metadata = std::string(4097, 'x')}), KafkaError::offset_metadata_too_large);
    EXPECT_EQ(commit({.metadata = std::string(4096, 'x')}), KafkaError::none);
}

TEST_F(Offsets, make_a_simple_group_of_their_own) {
    commit({.offset = 1});
    EXPECT_EQ(list(), "g(classic,,Empty)");
    EXPECT_EQ(describe(), "NONE Empty type= protocol=");
}

TEST_F(Offsets, of_a_member_need_its_generation) {
    const auto ids = stable_group(1);
    EXPECT_EQ(commit({.member = ids[0], .generation = 1, .offset = 4}), KafkaError::none);
    EXPECT_EQ(commit({.member = ids[0], .generation = 0}), KafkaError::illegal_generation);
    EXPECT_EQ(commit({.member = "stranger", .generation = 1}), KafkaError::unknown_member_id);
    EXPECT_EQ(commit({}), KafkaError::unknown_member_id);  // The group has members.
    EXPECT_EQ(offset(), 4);
}

TEST_F(Offsets, of_an_unknown_group_are_refused_by_generation) {
    EXPECT_EQ(commit({.member = "m", .generation = 3, .version = 9}),
              KafkaError::group_id_not_found);
    EXPECT_EQ(commit({.member = "m", .generation = 3, .version = 8}),
              KafkaError::illegal_generation);
}

TEST_F(Offsets, of_what_does_not_exist_are_refused_before_the_group_is_asked) {
    stable_group(1);
    EXPECT_EQ(commit({.member = "stranger", .generation = 1, .topic = "nowhere"}),
              KafkaError::unknown_topic_or_partition);
    EXPECT_EQ(commit({.member = "stranger", .generation = 1, .partition = 6}),
              KafkaError::unknown_topic_or_partition);
}

TEST_F(Offsets, wait_for_the_rebalance_to_complete) {
    const auto a = enter_classic({});
    loop.advance(6s);
    EXPECT_EQ(commit({.member = a->member, .generation = 1}), KafkaError::rebalance_in_progress);
}

TEST_F(Offsets, may_be_committed_while_the_next_rebalance_is_prepared) {
    const auto ids = stable_group(2);
    join({.member = ids[0]});
    EXPECT_EQ(commit({.member = ids[1], .generation = 1, .offset = 3}), KafkaError::none);
}

TEST_F(Offsets, keep_the_session_of_their_member) {
    const auto ids = stable_group(1);
    for (int i = 0; i < 5; ++i) {
        loop.advance(8s);
        EXPECT_EQ(commit({.member = ids[0], .generation = 1}), KafkaError::none);
    }
}

TEST_F(Offsets, are_not_shown_before_they_are_committed) {
    commit({.offset = 5});
    log.commit_at_once = false;
    const auto pending = commit_later({.offset = 6});
    EXPECT_FALSE(pending.ready());
    const auto reading = fetch_later({});
    EXPECT_FALSE(reading.ready());
    log.commit_all(p0);
    loop.run_ready();
    EXPECT_EQ(*pending, KafkaError::none);
    EXPECT_EQ(reading->offset, 6);
}

TEST_F(Offsets, never_go_back_when_the_log_refuses) {
    commit({.offset = 5});
    log.refuse = KafkaError::not_enough_replicas;
    EXPECT_EQ(commit({.offset = 6}), KafkaError::coordinator_not_available);
    log.refuse = KafkaError::not_leader_or_follower;
    EXPECT_EQ(commit({.offset = 6}), KafkaError::not_coordinator);
    log.refuse = KafkaError::none;
    EXPECT_EQ(offset(), 5);
}

TEST_F(Offsets, time_out_retriably_when_replicas_do_not_follow) {
    log.commit_at_once = false;
    const auto pending = commit_later({.offset = 6});
    const auto reading = fetch_later({});
    loop.advance(5s);
    EXPECT_EQ(*pending, KafkaError::coordinator_not_available);
    EXPECT_EQ(reading->group_error, KafkaError::not_coordinator);
}

TEST_F(Offsets, are_refused_where_the_coordinator_is_another) {
    coordinator->resigned(p0, std::nullopt);
    EXPECT_EQ(commit({}), KafkaError::not_coordinator);
    EXPECT_EQ(fetch({}).group_error, KafkaError::not_coordinator);
    EXPECT_EQ(fetch({.version = 7}).group_error, KafkaError::not_coordinator);
    // Version 1 has no other place than the partitions.
    EXPECT_EQ(fetch({.version = 1}).error, KafkaError::not_coordinator);
}

TEST_F(Offsets, are_refused_while_there_is_no_topic_for_them) {
    coordinator = std::make_unique<GroupCoordinator>(loop, log, random, settings, Logger{});
    publish_topics();
    EXPECT_EQ(commit({}), KafkaError::not_coordinator);
    EXPECT_EQ(fetch({}).group_error, KafkaError::not_coordinator);
}

TEST_F(Offsets, of_topics_that_do_not_exist_are_told_last) {
    const Uuid unknown{9, 9};
    const Uuid orders{0, 1};
    protocol::OffsetFetchRequest request;
    auto& group = request.groups.emplace_back();
    group.group_id = "g";
    group.member_epoch = -1;
    auto& topics = group.topics.emplace();
    for (const Uuid& id : {unknown, orders}) {
        auto& topic = topics.emplace_back();
        topic.topic_id = id;
        topic.partition_indexes = {0};
    }
    const auto told = ask<std::vector<Uuid>, protocol::OffsetFetchResponse>(
        10,
        [&](const Caller& caller, auto reply) {
            coordinator->offset_fetch(request, caller, std::move(reply));
        },
        [](const protocol::OffsetFetchResponse& response) {
            std::vector<Uuid> ids;
            for (const auto& topic : response.groups.front().topics) {
                ids.push_back(topic.topic_id);
            }
            return ids;
        });
    EXPECT_EQ(*told, (std::vector<Uuid>{orders, unknown}));
}

// A mirror link has to know on which side a group has spoken last.
TEST_F(Offsets, are_told_with_their_time_to_links_and_to_nobody_else) {
    commit({.offset = 7});
    const Timestamp committed = loop.clock().wall();
    loop.advance(5s);
    for (const std::int16_t version : std::to_array<std::int16_t>({6, 7, 8, 10})) {
        for (const bool is_link : {true, false}) {
            protocol::OffsetFetchRequest request;
            request.group_id = "g";
            request.topics.reset();
            if (version >= 8) {
                auto& group = request.groups.emplace_back();
                group.group_id = "g";
                group.topics.reset();
            }
            if (is_link) {
                request.unknown_tags.push_back({.tag = metadata::link_tag, .data = {}});
            }
            const auto told = ask<std::optional<Timestamp>, protocol::OffsetFetchResponse>(
                version,
                [&](const Caller& caller, auto reply) {
                    coordinator->offset_fetch(request, caller, std::move(reply));
                },
                [](const protocol::OffsetFetchResponse& response) {
                    const auto& tags =
                        response.groups.empty()
                            ? response.topics.at(0).partitions.at(0).unknown_tags
                            : response.groups.at(0).topics.at(0).partitions.at(0).unknown_tags;
                    const auto mark = metadata::CommitMark::find(tags);
                    return mark ? std::optional(mark->at) : std::nullopt;
                });
            EXPECT_EQ(told->has_value(), is_link) << version;
            EXPECT_EQ(told->value_or(committed), committed) << version;
        }
    }
}

TEST_F(Offsets, are_written_as_one_batch_per_turn) {
    const std::size_t before = log.appends;
    protocol::OffsetCommitRequest request;
    request.group_id = "g";
    for (const char* name : {"orders", "logs"}) {
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        for (int partition = 0; partition < 3; ++partition) {
            topic.partitions.push_back({.partition_index = partition, .committed_offset = 1});
        }
    }
    for (int i = 0; i < 10; ++i) {
        coordinator->offset_commit(request, Caller{.version = 9}, [](auto&) {});
    }
    loop.run_ready();
    EXPECT_EQ(log.appends, before + 1);
    EXPECT_EQ(log_topic[p0].end(), Offset{60});
}

// What does not fit into a batch is refused as a whole.
TEST_F(Offsets, too_many_for_a_batch_are_refused_and_leave_nothing) {
    log.max_batch_size = 64_KiB;
    topics->set("orders", 5000, 1);
    protocol::OffsetCommitRequest request;
    request.group_id = "g";
    auto& topic = request.topics.emplace_back();
    topic.name = "orders";
    for (int partition = 0; partition < 5000; ++partition) {
        topic.partitions.push_back({.partition_index = partition, .committed_offset = 1});
    }
    std::optional<std::int16_t> error;
    coordinator->offset_commit(request, Caller{.version = 9},
                               [&](protocol::OffsetCommitResponse& response) {
                                   error = response.topics[0].partitions[4999].error_code;
                               });
    loop.run_ready();
    EXPECT_EQ(error, code_of(KafkaError::unknown_server_error));
    EXPECT_EQ(offsets(), "");
    EXPECT_EQ(commit({.offset = 1}), KafkaError::none);
}

// Deleting.
TEST_F(Offsets, can_be_deleted_where_nobody_subscribes) {
    commit({.offset = 1});
    commit({.topic = "logs", .offset = 2});
    EXPECT_EQ(delete_offsets("orders", {0, 1}), "NONE NONE");
    EXPECT_EQ(offsets(), "logs-0=2");
    EXPECT_EQ(delete_offsets("nowhere", {0}), "UNKNOWN_TOPIC_OR_PARTITION");
    EXPECT_EQ(delete_offsets("orders", {0}, "nobody"), "GROUP_ID_NOT_FOUND");
}

TEST_F(Offsets, of_subscribed_topics_can_not_be_deleted) {
    const std::string orders{"\0\0\0\0\0\1\0\6orders\0\0\0\0", 18};
    const auto ids = stable_group(1, {.protocols = {{"range", orders}}});
    commit({.member = ids[0], .generation = 1, .offset = 1});
    commit({.member = ids[0], .generation = 1, .topic = "logs", .offset = 2});
    EXPECT_EQ(delete_offsets("orders", {0}), "GROUP_SUBSCRIBED_TO_TOPIC");
    EXPECT_EQ(delete_offsets("orders", {99}), "UNKNOWN_TOPIC_OR_PARTITION");
    EXPECT_EQ(delete_offsets("logs", {0}), "NONE");
    EXPECT_EQ(offsets(), "orders-0=1");
}

TEST_F(Offsets, of_a_working_connect_cluster_can_not_be_deleted) {
    stable_group(1, {.type = "connect"});
    EXPECT_EQ(delete_offsets("orders", {0}), "NON_EMPTY_GROUP");
}

TEST_F(Offsets, go_with_their_group) {
    commit({.offset = 1});
    EXPECT_EQ(delete_group(), KafkaError::none);
    EXPECT_EQ(offsets(), "");
    EXPECT_EQ(list(), "");
    EXPECT_EQ(delete_group(), KafkaError::group_id_not_found);
    start();
    EXPECT_EQ(list(), "");
}

TEST_F(Offsets, keep_a_group_with_members_from_being_deleted) {
    stable_group(1);
    EXPECT_EQ(delete_group(), KafkaError::non_empty_group);
}

TEST_F(Offsets, go_with_their_topic) {
    commit({.offset = 1});
    commit({.topic = "logs", .offset = 2});
    topics->remove("orders");
    publish_topics({{Uuid{0, 1}, "orders"}});
    EXPECT_EQ(offsets(), "logs-0=2");
    start();
    EXPECT_EQ(offsets(), "logs-0=2");
}

// Retention.
struct Retention : GroupTest {
    Retention() {
        settings.offsets_retention = 1h;
        settings.offsets_check_interval = 10min;
    }
};

TEST_F(Retention, forgets_what_nobody_has_committed_for_long) {
    commit({.offset = 1});
    loop.advance(50min);
    commit({.partition = 1, .offset = 2});
    EXPECT_EQ(offsets(), "orders-0=1 orders-1=2");
    loop.advance(21min);
    EXPECT_EQ(offsets(), "orders-1=2");
    loop.advance(1h);
    EXPECT_EQ(list(), "");  // The group went with its last offset.
    start();
    EXPECT_EQ(list(), "");
}

TEST_F(Retention, counts_from_when_the_group_became_empty) {
    const auto ids = stable_group(1, {.session_ms = 1'800'000});
    commit({.member = ids[0], .generation = 1, .offset = 1});
    loop.advance(25min);
    heartbeat(ids[0], 1);
    loop.advance(25min);
    leave({{ids[0], std::nullopt}});
    loop.advance(55min);
    EXPECT_EQ(offsets(), "orders-0=1");
    loop.advance(16min);
    EXPECT_EQ(offsets(), "");
}

TEST_F(Retention, keeps_offsets_of_topics_that_members_subscribe_to) {
    const std::string orders{"\0\0\0\0\0\1\0\6orders\0\0\0\0", 18};
    const auto ids = stable_group(1, {.protocols = {{"range", orders}}, .session_ms = 1'800'000});
    commit({.member = ids[0], .generation = 1, .offset = 1});
    commit({.member = ids[0], .generation = 1, .topic = "logs", .offset = 2});
    for (int i = 0; i < 5; ++i) {
        loop.advance(20min);
        heartbeat(ids[0], 1);
    }
    EXPECT_EQ(offsets(), "orders-0=1");
}

TEST_F(Retention, forgets_nothing_while_the_group_rebalances) {
    settings.offsets_retention = 10min;
    settings.offsets_check_interval = 1min;
    change(settings);
    const auto ids = stable_group(2, {.session_ms = 1'800'000, .rebalance_ms = 1'800'000});
    commit({.member = ids[0], .generation = 1, .offset = 1});
    join({.member = ids[0], .session_ms = 1'800'000, .rebalance_ms = 1'800'000});
    loop.advance(25min);
    EXPECT_EQ(state(), "PreparingRebalance");
    EXPECT_EQ(offsets(), "orders-0=1");
}

TEST_F(Retention, follows_what_old_clients_asked_for) {
    commit({.offset = 1, .retention_ms = 300'000, .version = 4});
    commit({.partition = 1, .offset = 2, .retention_ms = 7'200'000, .version = 4});
    loop.advance(20min);
    EXPECT_EQ(offsets(), "orders-1=2");
    loop.advance(90min);
    EXPECT_EQ(offsets(), "orders-1=2");
    start();
    loop.advance(30min);
    EXPECT_EQ(offsets(), "");
}

TEST_F(Retention, looks_at_many_groups_in_slices) {
    for (int i = 0; i < 1000; ++i) {
        commit({.group = "g" + std::to_string(i), .offset = i});
    }
    loop.advance(71min);
    EXPECT_EQ(list(), "");
    EXPECT_EQ(coordinator->counts().expired_offsets, 1000u);
}

// Transactions: KIP-447, traps 25 and 31 of e2e/parity/README.md.
using TransactionalOffsets = GroupTest;

TEST_F(TransactionalOffsets, count_from_the_commit_of_their_transaction) {
    commit({.offset = 1});
    EXPECT_EQ(commit_in_transaction({.offset = 5}, 7), KafkaError::none);
    EXPECT_EQ(offset(), 1);
    EXPECT_EQ(end_transaction(7, TransactionResult::commit), KafkaError::none);
    EXPECT_EQ(offset(), 5);
}

TEST_F(TransactionalOffsets, never_count_if_it_is_aborted) {
    commit_in_transaction({.offset = 5}, 7);
    end_transaction(7, TransactionResult::abort);
    EXPECT_EQ(offset(), -1);
}

TEST_F(TransactionalOffsets, make_stable_reads_wait) {
    commit({.offset = 1});
    commit_in_transaction({.offset = 5}, 7);
    EXPECT_EQ(fetch({.stable = true}).error, KafkaError::unstable_offset_commit);
    EXPECT_EQ(fetch({.stable = false}).offset, 1);
    EXPECT_EQ(fetch({.partition = 1, .stable = true}).error, KafkaError::none);
    end_transaction(7, TransactionResult::commit);
    EXPECT_EQ(fetch({.stable = true}).offset, 5);
}

TEST_F(TransactionalOffsets, survive_a_failover_open_and_ended) {
    commit_in_transaction({.offset = 5}, 7);
    commit_in_transaction({.partition = 1, .offset = 6}, 8);
    end_transaction(8, TransactionResult::commit);
    start();
    EXPECT_EQ(fetch({.stable = true}).error, KafkaError::unstable_offset_commit);
    EXPECT_EQ(offset("orders", 1), 6);
    end_transaction(7, TransactionResult::commit);
    start();
    EXPECT_EQ(offset(), 5);
}

TEST_F(TransactionalOffsets, lose_to_a_later_plain_commit) {
    commit_in_transaction({.offset = 5}, 7);
    commit({.offset = 9});
    end_transaction(7, TransactionResult::commit);
    EXPECT_EQ(offset(), 9);
    start();
    EXPECT_EQ(offset(), 9);
}

TEST_F(TransactionalOffsets, are_dropped_when_the_offset_is_deleted) {
    commit_in_transaction({.offset = 5}, 7);
    EXPECT_EQ(delete_offsets("orders", {0}), "NONE");
    end_transaction(7, TransactionResult::commit);
    EXPECT_EQ(offset(), -1);
}

TEST_F(TransactionalOffsets, keep_their_group_from_expiring) {
    settings.offsets_retention = 1h;
    change(settings);
    commit_in_transaction({.offset = 5}, 7);
    loop.advance(3h);
    EXPECT_EQ(list(), "g(classic,,Empty)");
}

TEST_F(TransactionalOffsets, of_a_member_need_its_generation) {
    const auto ids = stable_group(1);
    EXPECT_EQ(commit_in_transaction({.member = ids[0], .generation = 1}, 7), KafkaError::none);
    EXPECT_EQ(commit_in_transaction({.member = ids[0], .generation = 0}, 7),
              KafkaError::illegal_generation);
    // Old clients say nothing of a member.
    EXPECT_EQ(commit_in_transaction({}, 7), KafkaError::none);
}

TEST_F(TransactionalOffsets, are_undone_when_the_marker_is_refused) {
    commit_in_transaction({.offset = 5}, 7);
    log.refuse = KafkaError::not_enough_replicas;
    EXPECT_EQ(end_transaction(7, TransactionResult::commit), KafkaError::not_enough_replicas);
    EXPECT_EQ(offset(), -1);
    log.refuse = KafkaError::none;
    EXPECT_EQ(end_transaction(7, TransactionResult::commit), KafkaError::none);
    EXPECT_EQ(offset(), 5);
}

}  // namespace
}  // namespace millrace::groups
