// Whose quota it is, how a rate is measured, and what a client is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quotas/client_quotas.h"
#include "quotas/connection_pace.h"

namespace millrace::quotas {
namespace {

using Name = std::optional<std::string>;
constexpr Instant begin{1'000'000'000};

Rules::Entity of(std::vector<std::pair<std::string, Name>> parts) {
    return parts;
}

/// All eight kinds of entities, each with a rate of its own.
Rules all_eight() {
    Rules rules;
    const auto add = [&](const Rules::Entity& entity, double rate) {
        rules.add(entity, {{"producer_byte_rate", rate}});
    };
    add(of({{"client-id", "app"}, {"user", "alice"}}), 1);
    add(of({{"client-id", std::nullopt}, {"user", "alice"}}), 2);
    add(of({{"user", "alice"}}), 3);
    add(of({{"client-id", "app"}, {"user", std::nullopt}}), 4);
    add(of({{"client-id", std::nullopt}, {"user", std::nullopt}}), 5);
    add(of({{"user", std::nullopt}}), 6);
    add(of({{"client-id", "app"}}), 7);
    add(of({{"client-id", std::nullopt}}), 8);
    return rules;
}

TEST(QuotaRules, go_from_the_particular_to_the_general_and_from_users_to_clients) {
    const Rules rules = all_eight();
    EXPECT_EQ(rules.find(Kind::produce, "alice", "app")->rate, 1);
    EXPECT_EQ(rules.find(Kind::produce, "alice", "other")->rate, 2);
    EXPECT_EQ(rules.find(Kind::produce, "bob", "app")->rate, 4);
    EXPECT_EQ(rules.find(Kind::produce, "bob", "other")->rate, 5);
    EXPECT_FALSE(rules.find(Kind::fetch, "alice", "app").has_value());
}

TEST(QuotaRules, of_a_user_come_before_those_of_a_client) {
    Rules rules;
    rules.add(of({{"user", "alice"}}), {{"producer_byte_rate", 3}});
    rules.add(of({{"client-id", "app"}}), {{"producer_byte_rate", 7}, {"consumer_byte_rate", 9}});
    EXPECT_EQ(rules.find(Kind::produce, "alice", "app")->rate, 3);
    EXPECT_EQ(rules.find(Kind::produce, "bob", "app")->rate, 7);
    EXPECT_EQ(rules.find(Kind::fetch, "alice", "app")->rate, 9) << "each kind for itself";
}

TEST(QuotaRules, say_whose_work_is_added_up) {
    Rules rules;
    rules.add(of({{"user", std::nullopt}}), {{"producer_byte_rate", 6}});
    rules.add(of({{"client-id", std::nullopt}}), {{"consumer_byte_rate", 8}});
    EXPECT_EQ(rules.find(Kind::produce, "bob", "app")->share, (Share{"bob", std::nullopt}));
    EXPECT_EQ(rules.find(Kind::fetch, "bob", "app")->share, (Share{std::nullopt, "app"}));
}

TEST(QuotaRules, for_addresses_bound_no_client) {
    Rules rules;
    rules.add(of({{"ip", "10.0.0.1"}}), {{"connection_creation_rate", 5}});
    rules.add(of({{"ip", std::nullopt}}), {{"connection_creation_rate", 50}});
    EXPECT_FALSE(rules.bounds_clients());
    EXPECT_EQ(rules.connections_from("10.0.0.1"), 5);
    EXPECT_EQ(rules.connections_from("10.0.0.2"), 50);
}

TEST(WindowedRate, lets_a_quiet_client_burst_for_what_its_window_holds) {
    WindowedRate rate;
    rate.record(10'000, begin, {});
    EXPECT_EQ(rate.above(1000, begin, {}), Duration{}) << "ten seconds' worth at once";
    rate.record(1000, begin, {});
    EXPECT_EQ(rate.above(1000, begin, {}), 1s) << "a tenth more: a tenth of ten seconds";
}

TEST(WindowedRate, holds_who_waits_as_told_to_the_bound) {
    WindowedRate rate;
    Instant now = begin;
    double sent = 0;
    while (now - begin < 200s) {
        rate.record(700, now, {});
        sent += 700;
        now = now + std::max<Duration>(rate.above(1000, now, {}), 1ms);
    }
    EXPECT_NEAR(sent / 200, 1000, 100);
}

TEST(WindowedRate, forgets_what_is_older_than_its_window) {
    WindowedRate rate;
    rate.record(1'000'000, begin, {});
    EXPECT_GT(rate.rate(begin + 10s, {}), 0);
    EXPECT_EQ(rate.rate(begin + 11s, {}), 0);
}

constexpr double window_holds = 10'000;  // At the bound of 1000 a second.

TEST(Meter, lets_go_what_fits_and_counts_nothing_that_does_not) {
    Meter meter(1000, {});
    EXPECT_TRUE(meter.spend_if_room(8000, begin).may_go);
    const auto refused = meter.spend_if_room(4000, begin);
    EXPECT_FALSE(refused.may_go);
    EXPECT_EQ(refused.wait, 2s) << "as if it had gone: 12 seconds' worth in ten";
    EXPECT_TRUE(meter.spend_if_room(2000, begin).may_go) << "what was refused does not count";
    EXPECT_EQ(meter.over(begin), Duration{});
}

TEST(Meter, lets_go_alone_what_no_window_holds_and_makes_its_client_wait_for_it) {
    Meter meter(1000, {});
    EXPECT_TRUE(meter.spend_if_room(1, begin).may_go);
    EXPECT_FALSE(meter.spend_if_room(3 * window_holds, begin).may_go);
    const auto alone = meter.spend_if_room(3 * window_holds, begin + 11s);
    EXPECT_TRUE(alone.may_go);
    EXPECT_GT(alone.wait, 15s);
}

// A reader of answers as large as a fifth of its window, who waits as it is told.
TEST(Meter, holds_a_reader_to_the_bound_that_is_refused_again_and_again) {
    Meter meter(1000, {});
    Instant now = begin;
    double got = 0;
    while (now - begin < 200s) {
        const auto verdict = meter.spend_if_room(window_holds / 5, now);
        got += verdict.may_go ? window_holds / 5 : 0;
        now = now + std::max<Duration>(verdict.wait, 1ms);
    }
    EXPECT_NEAR(got / 200, 1000, 150);
}

TEST(TokenBucket, takes_a_lump_whole_and_then_nothing_until_it_is_paid) {
    TokenBucket bucket;
    EXPECT_TRUE(bucket.is_open(2, begin, {}));
    bucket.spend(42, 2, begin, {});  // 22 were saved up
    EXPECT_FALSE(bucket.is_open(2, begin, {}));
    EXPECT_EQ(bucket.closed_for(2, begin, {}), 10s);
    EXPECT_FALSE(bucket.is_open(2, begin + 9s, {}));
    EXPECT_TRUE(bucket.is_open(2, begin + 11s, {}));
}

class Quotas : public testing::Test {
protected:
    void set(const Rules::Entity& entity, double rate) {
        Rules rules;
        rules.add(entity, {{"producer_byte_rate", rate}});
        quotas.set_rules(std::move(rules));
    }
    Meter* produce(const ClientPtr& client) { return client->meter(Kind::produce); }

    ClientQuotas quotas{Window{}, Window{}};
    ClientCache cache;
};

TEST_F(Quotas, ask_nobody_anything_while_none_is_set) {
    EXPECT_FALSE(quotas.any());
    EXPECT_EQ(cache.find(quotas, "alice", "app"), nullptr);
}

TEST_F(Quotas, are_shared_by_the_clients_of_a_user_and_by_nobody_else) {
    set(of({{"user", std::nullopt}}), 1000);
    EXPECT_TRUE(quotas.any());
    ClientCache other_loop;
    const ClientPtr first = cache.find(quotas, "alice", "one");
    const ClientPtr second = other_loop.find(quotas, "alice", "two");
    const ClientPtr bob = cache.find(quotas, "bob", "one");
    EXPECT_GT(produce(first)->spend(20'000, begin), Duration{});
    EXPECT_GT(produce(second)->over(begin), Duration{});
    EXPECT_EQ(produce(bob)->over(begin), Duration{});
}

TEST_F(Quotas, of_another_client_leave_a_client_alone) {
    set(of({{"client-id", "slow"}}), 1000);
    EXPECT_NE(cache.find(quotas, "ANONYMOUS", "slow"), nullptr);
    EXPECT_EQ(cache.find(quotas, "ANONYMOUS", "fast"), nullptr);
}

TEST_F(Quotas, that_change_keep_what_was_used) {
    set(of({{"client-id", "app"}}), 1000);
    (void)produce(cache.find(quotas, "u", "app"))->spend(20'000, begin);
    set(of({{"client-id", "app"}}), 500);
    EXPECT_EQ(produce(cache.find(quotas, "u", "app"))->over(begin), 30s);
    set(of({{"client-id", "app"}}), 1'000'000);
    EXPECT_EQ(produce(cache.find(quotas, "u", "app"))->over(begin), Duration{});
}

TEST_F(Quotas, that_are_removed_bound_nobody) {
    set(of({{"client-id", "app"}}), 1000);
    ASSERT_NE(cache.find(quotas, "u", "app"), nullptr);
    quotas.set_rules({});
    EXPECT_FALSE(quotas.any());
    EXPECT_EQ(cache.find(quotas, "u", "app"), nullptr);
}

TEST_F(Quotas, turn_away_connections_that_come_too_fast_and_count_only_those_let_in) {
    Rules rules;
    rules.add(of({{"ip", std::nullopt}}), {{"connection_creation_rate", 2}});
    quotas.set_rules(std::move(rules));
    int let_in = 0;
    Instant now = begin;
    for (; now - begin < 60s; now = now + 10ms) {
        let_in += quotas.connected_from("10.0.0.1", now) == Duration{} ? 1 : 0;
    }
    EXPECT_NEAR(let_in, 2 * 60, 30);
    EXPECT_EQ(quotas.connected_from("10.0.0.2", now), Duration{});
}

/// Connections that come in within a minute if each waits as it is told and the next comes at once.
int let_in_within_a_minute(ConnectionPace& pace, const std::string& listener) {
    int let_in = 0;
    for (Instant now = begin; now - begin < 60s; ++let_in) {
        now = now + pace.connected(listener, now) + 1ms;
    }
    return let_in;
}

TEST(ConnectionPace, lets_in_as_many_as_the_rate_allows) {
    ConnectionPace pace{Window{}};
    EXPECT_GT(let_in_within_a_minute(pace, "A"), 50'000);
    pace.set({.in_all = 2, .of_listener = {}, .spared_listener = {}});
    EXPECT_NEAR(let_in_within_a_minute(pace, "A"), 2 * 60, 30);
}

TEST(ConnectionPace, counts_all_listeners_together_and_each_by_itself) {
    ConnectionPace pace{Window{}};
    pace.set({.in_all = 10, .of_listener = {{"SLOW", 1}}, .spared_listener = "INSIDE"});
    for (int i = 0; i < 11; ++i) {
        EXPECT_EQ(pace.connected("INSIDE", begin), Duration{});
    }
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(pace.connected("SLOW", begin), Duration{});
    }
    EXPECT_GT(pace.connected("SLOW", begin), Duration{});
    EXPECT_EQ(pace.connected("FAST", begin), Duration{});
    for (int i = 0; i < 88; ++i) {
        (void)pace.connected("FAST", begin);
    }
    EXPECT_GT(pace.connected("FAST", begin), Duration{}) << "100 were free";
    EXPECT_EQ(pace.connected("INSIDE", begin), Duration{});
}

TEST(ConnectionPace, keeps_nobody_longer_than_a_window_even_where_none_may_come) {
    ConnectionPace pace{Window{}};
    pace.set({.in_all = 0, .of_listener = {}, .spared_listener = {}});
    EXPECT_EQ(pace.connected("A", begin), Window{}.length);
    pace.set({});
    EXPECT_EQ(pace.connected("A", begin), Duration{});
}

}  // namespace
}  // namespace millrace::quotas
