// An incremental fetch session as the source sees it: only what changed is named.
#include "mirror/internal/source_session.h"

#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

constexpr Uuid id{1, 1};

SourcePositions at(std::map<std::int32_t, std::int64_t> offsets, Uuid topic = id) {
    SourcePositions positions;
    positions["orders"].id = topic;
    for (const auto& [partition, offset] : offsets) {
        positions["orders"].partitions[partition] = {LeaderEpoch{0}, Offset{offset}, LeaderEpoch{0},
                                                     1};
    }
    return positions;
}

TEST(MirrorSession, begins_with_everything) {
    const SourceSession session;
    const auto request = session.next(at({{0, 5}, {1, 6}}));
    EXPECT_EQ(request.session_id, 0);
    EXPECT_EQ(request.session_epoch, 0);
    EXPECT_EQ(request.ask, at({{0, 5}, {1, 6}}));
}

TEST(MirrorSession, then_names_what_moved_and_what_is_not_wanted_any_more) {
    SourceSession session;
    session.answered(77, at({{0, 5}, {1, 6}, {2, 7}}));
    const auto request = session.next(at({{0, 9}, {2, 7}}));
    EXPECT_EQ(request.session_id, 77);
    EXPECT_EQ(request.session_epoch, 1);
    EXPECT_EQ(request.ask, at({{0, 9}}));
    ASSERT_EQ(request.forget.size(), 1U);
    EXPECT_EQ(request.forget.at("orders").second, std::vector<std::int32_t>{1});
    session.answered(77, at({{0, 9}, {2, 7}}));
    EXPECT_EQ(session.next(at({{0, 9}, {2, 7}})).session_epoch, 2);
    EXPECT_TRUE(session.next(at({{0, 9}, {2, 7}})).ask.empty());
}

TEST(MirrorSession, a_new_job_for_the_same_position_wants_an_answer_of_its_own) {
    SourceSession session;
    session.answered(77, at({{0, 5}}));
    SourcePositions again = at({{0, 5}});
    again["orders"].partitions[0].generation = 2;
    EXPECT_EQ(session.next(again).ask, again);
}

TEST(MirrorSession, a_topic_made_anew_is_forgotten_and_asked_for) {
    SourceSession session;
    session.answered(77, at({{0, 5}}));
    const auto request = session.next(at({{0, 5}}, Uuid{2, 2}));
    EXPECT_EQ(request.ask, at({{0, 5}}, Uuid{2, 2}));
    EXPECT_EQ(request.forget.at("orders").first, id);
}

TEST(MirrorSession, after_a_failure_it_begins_anew_and_ends_the_old_one) {
    SourceSession session;
    session.answered(77, at({{0, 5}}));
    session.failed();
    const auto request = session.next(at({{0, 5}}));
    EXPECT_EQ(request.session_id, 77);
    EXPECT_EQ(request.session_epoch, 0);
    EXPECT_EQ(request.ask, at({{0, 5}}));
    session.answered(78, at({{0, 5}}));
    EXPECT_EQ(session.next(at({{0, 5}})).session_epoch, 1);
}

TEST(MirrorSession, a_source_without_sessions_is_asked_for_everything_each_time) {
    SourceSession session;
    session.answered(0, at({{0, 5}}));
    const auto request = session.next(at({{0, 5}}));
    EXPECT_EQ(request.session_epoch, 0);
    EXPECT_EQ(request.ask, at({{0, 5}}));
}

}  // namespace
}  // namespace millrace::mirror
