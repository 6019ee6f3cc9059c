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

}  // namespace
}  // namespace millrace::handlers
