#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/systems/register_history.h"

namespace millrace::simtest {
namespace {

class History : public ::testing::Test {
protected:
    void write(const char* value, std::int64_t from, std::int64_t to) {
        history.end_write(history.begin_write("k", value, {from}), {to});
    }
    void write_unanswered(const char* value, std::int64_t from) {
        history.begin_write("k", value, {from});
    }
    void read(const char* value, std::int64_t from, std::int64_t to) {
        history.end_read(history.begin_read("k", {from}), value, {to});
    }
    bool is_fine() const { return !history.violation().has_value(); }

    RegisterHistory history;
};

TEST_F(History, reads_that_follow_the_writes_are_fine) {
    read("", 0, 1);
    write("a", 2, 3);
    read("a", 4, 5);
    write("b", 6, 7);
    read("b", 8, 9);
    EXPECT_TRUE(is_fine());
}

TEST_F(History, a_read_beside_a_write_may_see_either) {
    write("a", 0, 1);
    write("b", 10, 20);
    read("a", 11, 12);
    read("b", 13, 14);
    EXPECT_TRUE(is_fine());
}

TEST_F(History, an_old_value_after_a_new_one_is_a_violation) {
    write("a", 0, 1);
    write("b", 10, 20);
    read("b", 11, 12);
    read("a", 13, 14);
    EXPECT_FALSE(is_fine());
}

TEST_F(History, a_lost_write_is_a_violation) {
    write("a", 0, 1);
    write("b", 2, 3);
    read("a", 4, 5);
    EXPECT_FALSE(is_fine());
}

TEST_F(History, an_empty_register_after_a_write_is_a_violation) {
    write("a", 0, 1);
    read("", 2, 3);
    EXPECT_FALSE(is_fine());
}

TEST_F(History, a_write_without_an_answer_may_happen_late_or_never) {
    write("a", 0, 1);
    write_unanswered("b", 2);
    read("a", 10, 11);
    EXPECT_TRUE(is_fine());
    read("b", 20, 21);
    EXPECT_TRUE(is_fine());
    read("a", 30, 31);
    EXPECT_FALSE(is_fine()) << "it had happened before";
}

TEST_F(History, a_value_from_nowhere_is_a_violation) {
    read("x", 0, 1);
    EXPECT_FALSE(is_fine());
}

TEST_F(History, a_value_read_before_its_write_began_is_a_violation) {
    read("a", 0, 1);
    write("a", 2, 3);
    EXPECT_FALSE(is_fine());
}

TEST_F(History, a_read_without_an_answer_says_nothing) {
    write("a", 0, 1);
    history.begin_read("k", {2});
    EXPECT_TRUE(is_fine());
}

TEST_F(History, keys_are_registers_of_their_own) {
    write("a", 0, 1);
    history.end_read(history.begin_read("other", {2}), "", {3});
    EXPECT_TRUE(is_fine());
}

}  // namespace
}  // namespace millrace::simtest
