// When a planned promotion has all that its source will ever have.
#include "mirror/drain_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

using testing::HasSubstr;

constexpr Duration standstill = 10s;
constexpr Uuid orders_id{1, 2};

Instant at(Duration time) {
    return Instant{1'000'000'000} + time;
}

TopicEnds ends(std::vector<LogEnd> partitions, bool is_closed = false) {
    return {orders_id, std::move(partitions), is_closed};
}
LogEnd end(std::int64_t offset, std::int32_t epoch = 3) {
    return {Offset{offset}, LeaderEpoch{epoch}};
}

class Drain : public testing::Test {
protected:
    bool look(const TopicEnds& theirs, const TopicEnds& ours, Duration when = 0s) {
        return core.on_ends(theirs, ours, at(when), standstill);
    }
    DrainCore core{orders_id};
};

TEST_F(Drain, is_over_at_the_first_look_once_the_source_is_closed) {
    core.on_fence(true, "");
    EXPECT_TRUE(look(ends({end(10), end(7)}, true), ends({end(10), end(7)})));
}

TEST_F(Drain, counts_nothing_before_the_fence_was_answered) {
    EXPECT_FALSE(look(ends({end(10)}, true), ends({end(10)})));
    EXPECT_THAT(core.waits_for("orders_id", standstill), HasSubstr("asked to take no more writes"));
}

TEST_F(Drain, waits_for_what_is_missing_and_says_how_much) {
    core.on_fence(true, "");
    EXPECT_FALSE(look(ends({end(10), end(7)}, true), ends({end(8), end(7)})));
    EXPECT_EQ(core.waits_for("orders_id", standstill),
              "orders_id: the source is fenced; 2 records are still to come");
    EXPECT_TRUE(look(ends({end(10), end(7)}, true), ends({end(10), end(7)})));
}

// What was written to it before the fence would be left behind.
TEST_F(Drain, waits_for_partitions_that_are_not_here_yet) {
    core.on_fence(true, "");
    EXPECT_FALSE(look(ends({end(10), end(7)}, true), ends({end(10)})));
    EXPECT_FALSE(look(ends({end(10), end(0)}, true), ends({end(10)}))) << "empty, but not known";
}

TEST_F(Drain, of_a_source_that_does_not_say_it_is_closed_needs_a_second_of_standstill) {
    core.on_fence(true, "");
    EXPECT_FALSE(look(ends({end(10)}), ends({end(10)}), 0s));
    EXPECT_FALSE(look(ends({end(10)}), ends({end(10)}), 999ms));
    EXPECT_TRUE(look(ends({end(10)}), ends({end(10)}), 1s));
}

// A leader that is cut off from its controller learns of the fence late, and its producers rest.
TEST_F(Drain, is_not_over_while_a_leader_says_that_it_still_takes_records) {
    core.on_fence(true, "");
    TopicEnds open = ends({end(10)});
    open.is_open = true;
    EXPECT_FALSE(look(open, ends({end(10)}), 0s));
    EXPECT_FALSE(look(open, ends({end(10)}), 4s)) << "however long it stands still";
    EXPECT_THAT(core.waits_for("orders", standstill), HasSubstr("has not heard of it yet"));
    EXPECT_TRUE(look(ends({end(10)}, true), ends({end(10)}), 4s));
}

// Somebody has lifted it: a promotion of another link that was taken back, or a person.
TEST_F(Drain, asks_for_the_fence_again_where_nobody_knows_of_it) {
    core.on_fence(true, "");
    TopicEnds open = ends({end(10)});
    open.is_open = true;
    EXPECT_FALSE(look(open, ends({end(10)}), 0s));
    EXPECT_TRUE(core.is_asked_for());
    EXPECT_FALSE(look(open, ends({end(10)}), 5s));
    EXPECT_FALSE(core.is_asked_for());
    core.on_fence(true, "");
    EXPECT_TRUE(look(ends({end(10)}, true), ends({end(10)}), 6s));
}

// It says so of every end, and could not be asked to close.
TEST_F(Drain, of_a_source_of_ours_without_the_right_to_fence_it_needs_the_standstill) {
    core.on_fence(false, "TOPIC_AUTHORIZATION_FAILED");
    TopicEnds open = ends({end(10)});
    open.is_open = true;
    EXPECT_FALSE(look(open, ends({end(10)}), 0s));
    EXPECT_TRUE(look(open, ends({end(10)}), 10s));
}

TEST_F(Drain, of_a_source_that_cannot_be_fenced_needs_all_of_the_standstill) {
    core.on_fence(false, "INVALID_CONFIG");
    EXPECT_FALSE(look(ends({end(10)}), ends({end(10)}), 0s));
    EXPECT_FALSE(look(ends({end(11)}), ends({end(11)}), 9s)) << "it moved";
    EXPECT_FALSE(look(ends({end(11)}), ends({end(11)}), 18s));
    EXPECT_THAT(
        core.waits_for("orders_id", standstill),
        HasSubstr("can't be fenced (INVALID_CONFIG), so its end must stand still for 10 s"));
    EXPECT_TRUE(look(ends({end(11)}), ends({end(11)}), 19s));
}

TEST_F(Drain, never_believes_a_close_of_who_could_not_be_fenced) {
    core.on_fence(false, "TOPIC_AUTHORIZATION_FAILED");
    EXPECT_FALSE(look(ends({end(10)}, true), ends({end(10)})));
}

// An unclean election took the last three away, and three others were written in their place.
TEST_F(Drain, is_not_over_while_what_is_here_is_of_an_earlier_epoch) {
    core.on_fence(true, "");
    EXPECT_FALSE(look(ends({end(10, 4)}, true), ends({end(10, 3)})));
    EXPECT_TRUE(look(ends({end(10, 4)}, true), ends({end(10, 4)})));
}

// A mirror that was promoted before may know of epochs that nothing was written in.
TEST_F(Drain, does_not_mind_a_later_epoch_that_is_empty_here) {
    core.on_fence(true, "");
    EXPECT_TRUE(look(ends({end(10, 4)}, true), ends({end(10, 1001)})));
}

TEST_F(Drain, of_empty_partitions_is_over) {
    core.on_fence(true, "");
    EXPECT_TRUE(look(ends({end(0, -1)}, true), ends({end(0, -1)})));
}

TEST_F(Drain, does_not_measure_by_a_topic_that_was_made_anew) {
    core.on_fence(true, "");
    TopicEnds another = ends({end(0)}, true);
    another.id = Uuid{3, 4};
    EXPECT_FALSE(look(another, ends({end(10)})));
}

// With a prefix nobody takes the source's topic over: its own producers go on.
TEST_F(Drain, a_source_that_goes_on_is_copied_up_to_where_it_was) {
    DrainCore drain;
    drain.on_no_fence_wished();
    EXPECT_TRUE(drain.is_asked_for());
    const auto at = [](std::int64_t end) {
        TopicEnds ends;
        ends.partitions = {{Offset{end}, LeaderEpoch{0}}};
        return ends;
    };
    const Instant now{};
    EXPECT_FALSE(drain.on_ends(at(100), at(90), now, std::chrono::seconds{10}));
    TopicEnds grown = at(100);  // a partition came since, and records at the source
    grown.partitions.push_back({Offset{7}, LeaderEpoch{0}});
    EXPECT_TRUE(drain.on_ends(at(5000), grown, now, std::chrono::seconds{10}));
    EXPECT_FALSE(drain.on_ends(at(5000), at(90), now, std::chrono::seconds{10}));
    EXPECT_TRUE(drain.on_ends(at(90), at(90), now, std::chrono::seconds{10})) << "taken back";
}

}  // namespace
}  // namespace millrace::mirror
