// KIP-227's rules, one by one. The parity harness holds the same rules against Apache Kafka.

#include "handlers/fetch_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::handlers {
namespace {

using testing::ElementsAre;

constexpr Instant start{1'000'000'000};

FetchAsk ask(const std::string& topic, std::int32_t partition, std::int64_t from = 0) {
    FetchAsk one;
    one.topic = topic;
    one.partition = partition;
    one.from = Offset{from};
    return one;
}

FetchTold told(std::int64_t high_watermark, bool has_records = false) {
    FetchTold one;
    one.high_watermark = Offset{high_watermark};
    one.log_start = Offset{0};
    one.has_records = has_records;
    return one;
}

FetchTold failed(KafkaError error) {
    FetchTold one;
    one.error = error;
    return one;
}

class FetchSessionsTest : public testing::Test {
protected:
    /// What a full request for `asks` leaves behind.
    std::shared_ptr<FetchSession> begin(const std::vector<FetchAsk>& asks) {
        auto session = sessions_.create(/*is_follower=*/false, /*by_id=*/false, asks.size(), now_);
        for (const FetchAsk& one : asks) {
            session->ask(one);
            session->tell(one, told(0));
        }
        return session;
    }
    FetchPlan next(std::int32_t id, std::int32_t epoch, std::vector<FetchAsk> asks = {},
                   std::vector<FetchAsk> forgotten = {}) {
        return sessions_.open({.session_id = id,
                               .session_epoch = epoch,
                               .by_id = false,
                               .asks = std::move(asks),
                               .forgotten = std::move(forgotten)},
                              now_);
    }
    static std::vector<std::string> names(const FetchPlan& plan) {
        std::vector<std::string> all;
        for (const FetchAsk& one : plan.asks) {
            all.push_back(one.topic + "-" + std::to_string(one.partition) + "@" +
                          std::to_string(one.from.value));
        }
        return all;
    }

    SeededRandom random_{7};
    FetchSessions sessions_{{.slots = 2, .eviction = 2min}, random_};
    Instant now_ = start;
};

TEST_F(FetchSessionsTest, an_incremental_request_asks_for_all_that_was_asked_before) {
    const auto session = begin({ask("a", 0), ask("a", 1)});
    EXPECT_THAT(names(next(session->id(), 1)), ElementsAre("a-0@0", "a-1@0"));
    EXPECT_THAT(names(next(session->id(), 2, {ask("a", 1, 5), ask("b", 0)})),
                ElementsAre("a-0@0", "a-1@5", "b-0@0"));
    EXPECT_THAT(names(next(session->id(), 3, {}, {ask("a", 0)})), ElementsAre("a-1@5", "b-0@0"));
}

TEST_F(FetchSessionsTest, an_epoch_out_of_turn_is_refused_and_the_right_one_still_counts) {
    const auto session = begin({ask("a", 0)});
    EXPECT_EQ(next(session->id(), 2).error, KafkaError::invalid_fetch_session_epoch);
    EXPECT_EQ(next(session->id(), 1).error, KafkaError::none);
    EXPECT_EQ(next(session->id(), 1).error, KafkaError::invalid_fetch_session_epoch);
}

TEST_F(FetchSessionsTest, an_unknown_session_is_not_found) {
    EXPECT_EQ(next(99, 1).error, KafkaError::fetch_session_id_not_found);
    EXPECT_EQ(next(0, 1).error, KafkaError::fetch_session_id_not_found);
}

TEST_F(FetchSessionsTest, a_session_by_name_is_not_one_by_id) {
    const auto session = begin({ask("a", 0)});
    const FetchPlan plan = sessions_.open({.session_id = session->id(),
                                           .session_epoch = 1,
                                           .by_id = true,
                                           .asks = {},
                                           .forgotten = {}},
                                          now_);
    EXPECT_EQ(plan.error, KafkaError::fetch_session_topic_id_error);
}

TEST_F(FetchSessionsTest, a_full_request_ends_the_session_that_it_names) {
    const auto session = begin({ask("a", 0)});
    EXPECT_TRUE(next(session->id(), 0, {ask("a", 0)}).wants_session);
    EXPECT_EQ(sessions_.size(), 0U);
    const auto other = begin({ask("a", 0)});
    EXPECT_FALSE(next(other->id(), -1, {ask("a", 0)}).wants_session);
    EXPECT_EQ(sessions_.size(), 0U);
}

TEST_F(FetchSessionsTest, a_session_that_forgot_everything_is_over) {
    const auto session = begin({ask("a", 0)});
    const FetchPlan plan = next(session->id(), 1, {}, {ask("a", 0)});
    EXPECT_EQ(plan.error, KafkaError::none);
    EXPECT_EQ(plan.session, nullptr);
    EXPECT_EQ(sessions_.size(), 0U);
}

TEST_F(FetchSessionsTest, what_is_asked_for_with_the_request_that_forgets_all_is_told_once) {
    const auto session = begin({ask("a", 0)});
    const FetchPlan plan = next(session->id(), 1, {ask("a", 0, 3)}, {ask("a", 0)});
    EXPECT_THAT(names(plan), ElementsAre("a-0@3"));
    EXPECT_EQ(plan.session, nullptr);
    EXPECT_EQ(sessions_.size(), 0U);
}

TEST_F(FetchSessionsTest, tells_records_and_moved_marks_and_nothing_else) {
    const auto session = begin({ask("a", 0)});
    EXPECT_FALSE(session->tell(ask("a", 0), told(0)));
    EXPECT_TRUE(session->tell(ask("a", 0), told(3)));
    EXPECT_FALSE(session->tell(ask("a", 0), told(3)));
    EXPECT_TRUE(session->tell(ask("a", 0), told(3, /*has_records=*/true)));
    EXPECT_TRUE(session->tell(ask("a", 0), told(3, /*has_records=*/true)));
}

TEST_F(FetchSessionsTest, an_error_is_told_each_time_and_so_is_its_end) {
    const auto session = begin({ask("a", 0)});
    EXPECT_TRUE(session->tell(ask("a", 0), failed(KafkaError::not_leader_or_follower)));
    EXPECT_TRUE(session->tell(ask("a", 0), failed(KafkaError::not_leader_or_follower)));
    EXPECT_TRUE(session->tell(ask("a", 0), told(0)));
    EXPECT_FALSE(session->tell(ask("a", 0), told(0)));
}

TEST_F(FetchSessionsTest, what_was_served_last_is_looked_at_last) {
    const auto session = begin({ask("a", 0), ask("a", 1), ask("a", 2)});
    session->tell(ask("a", 0), told(9, /*has_records=*/true));
    EXPECT_THAT(names(next(session->id(), 1)), ElementsAre("a-1@0", "a-2@0", "a-0@0"));
}

TEST_F(FetchSessionsTest, a_partition_named_twice_is_asked_for_what_was_said_last) {
    EXPECT_THAT(names(next(0, 0, {ask("a", 0, 1), ask("a", 1), ask("a", 0, 7)})),
                ElementsAre("a-1@0", "a-0@7"));
}

TEST_F(FetchSessionsTest, only_a_session_long_unused_gives_way) {
    const auto first = begin({ask("a", 0)});
    now_ = now_ + 1min;
    begin({ask("b", 0)});
    EXPECT_EQ(sessions_.create(false, false, 1, now_), nullptr);
    now_ = start + 2min + 1s;
    EXPECT_NE(sessions_.create(false, false, 1, now_), nullptr);
    EXPECT_EQ(next(first->id(), 1).error, KafkaError::fetch_session_id_not_found);
}

TEST_F(FetchSessionsTest, a_follower_takes_the_place_of_a_client_that_had_its_time) {
    const auto first = begin({ask("a", 0)});
    const auto second = begin({ask("b", 0)});
    now_ = now_ + 3min;
    next(first->id(), 1);
    next(second->id(), 1);
    EXPECT_EQ(sessions_.create(/*is_follower=*/false, false, 1, now_), nullptr);
    EXPECT_NE(sessions_.create(/*is_follower=*/true, false, 1, now_), nullptr);
}

// Sessions are remembered for whoever asks: all of them together hold only so much.
TEST_F(FetchSessionsTest, remember_no_more_partitions_than_there_is_room_for) {
    FetchSessions small({.slots = 9, .eviction = 2min, .partitions = 3}, random_);
    EXPECT_EQ(small.create(false, false, 4, now_), nullptr);
    const auto session = small.create(false, false, 2, now_);
    ASSERT_NE(session, nullptr);
    session->ask(ask("a", 0));
    session->ask(ask("a", 1));
    EXPECT_EQ(small.create(false, false, 2, now_), nullptr);
    const auto next = [&](std::int32_t epoch, std::vector<FetchAsk> asks) {
        return small.open({.session_id = session->id(),
                           .session_epoch = epoch,
                           .by_id = false,
                           .asks = std::move(asks),
                           .forgotten = {}},
                          now_);
    };
    EXPECT_EQ(next(1, {ask("a", 0, 5), ask("a", 1, 5), ask("a", 2)}).error, KafkaError::none);
    EXPECT_EQ(next(2, {ask("a", 3)}).error, KafkaError::fetch_session_id_not_found);
    EXPECT_NE(small.create(false, false, 3, now_), nullptr);
}

}  // namespace
}  // namespace millrace::handlers
