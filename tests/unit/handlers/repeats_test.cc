// What is asked for twice is answered once.
#include "handlers/repeats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "handlers/group_calls.h"
#include "protocol/messages/offset_fetch_request.h"

namespace millrace::handlers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Repeats, leave_the_first_of_each_in_its_order) {
    std::vector<std::string> words{"b", "a", "b", "c", "a", "b"};
    keep_distinct(words, [](const std::string& word) -> const std::string& { return word; });
    EXPECT_THAT(words, ElementsAre("b", "a", "c"));
    keep_distinct(words, [](const std::string& word) -> const std::string& { return word; });
    EXPECT_THAT(words, ElementsAre("b", "a", "c"));
}

TEST(Repeats, leave_each_partition_where_it_is_named_first) {
    protocol::OffsetFetchRequest request;
    request.topics = {{.name = "t", .partition_indexes = {3, 1, 3, 2, 1}},
                      {.name = "u", .partition_indexes = {3}},
                      {.name = "t", .partition_indexes = {2, 4, 3}},
                      {.name = "u", .partition_indexes = {3, 3}}};
    drop_repeats(request);
    ASSERT_THAT(*request.topics, SizeIs(4));
    EXPECT_THAT(request.topics->at(0).partition_indexes, ElementsAre(3, 1, 2));
    EXPECT_THAT(request.topics->at(1).partition_indexes, ElementsAre(3));
    EXPECT_THAT(request.topics->at(2).partition_indexes, ElementsAre(4));
    EXPECT_THAT(request.topics->at(3).partition_indexes, IsEmpty());
}

// The same group again, with all of its offsets each time.
TEST(Repeats, ask_for_each_group_once) {
    protocol::OffsetFetchRequest request;
    for (const char* name : {"g", "h", "g", "g"}) {
        request.groups.push_back({.group_id = name, .topics = std::nullopt});
    }
    drop_repeats(request);
    ASSERT_THAT(request.groups, SizeIs(2));
    EXPECT_EQ(request.groups[0].group_id, "g");
    EXPECT_EQ(request.groups[1].group_id, "h");
}

// A group that is named for each of its topics was answered with the first of them alone.
TEST(Repeats, ask_a_group_for_what_is_new_each_time) {
    protocol::OffsetFetchRequest request;
    using Topic = protocol::OffsetFetchRequest::OffsetFetchRequestTopics;
    const auto ask = [&](const char* group, const char* topic, std::vector<std::int32_t> of) {
        request.groups.push_back(
            {.group_id = group,
             .topics = std::vector{Topic{.name = topic, .partition_indexes = std::move(of)}}});
    };
    ask("g", "t", {0});
    ask("g", "u", {0});
    ask("h", "t", {0});
    ask("g", "t", {1, 0});
    ask("g", "u", {0});
    request.groups.push_back({.group_id = "g", .topics = std::nullopt});
    drop_repeats(request);
    ASSERT_THAT(request.groups, SizeIs(5));
    EXPECT_EQ(request.groups[1].topics->at(0).name, "u");
    EXPECT_THAT(request.groups[1].topics->at(0).partition_indexes, ElementsAre(0));
    EXPECT_THAT(request.groups[2].topics->at(0).partition_indexes, ElementsAre(0));
    EXPECT_THAT(request.groups[3].topics->at(0).partition_indexes, ElementsAre(1));
    EXPECT_FALSE(request.groups[4].topics) << "all of it";
}

}  // namespace
}  // namespace millrace::handlers
