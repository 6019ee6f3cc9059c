// When a node that its peers take for one of another cluster is sure of it.
#include "app/internal/cluster_doubt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::app {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(ClusterDoubt, one_of_two_others_may_be_the_one_that_is_wrong) {
    ClusterDoubt doubt(2);
    EXPECT_TRUE(doubt.refused("a"));
    EXPECT_FALSE(doubt.refused("a")) << "it is asked once";
    EXPECT_FALSE(doubt.is_certain());
    doubt.told("a", "x");
    EXPECT_FALSE(doubt.is_certain());
    EXPECT_TRUE(doubt.refused("b"));
    EXPECT_FALSE(doubt.is_certain()) << "it hasn't said of which it is";
    doubt.told("b", "x");
    EXPECT_TRUE(doubt.is_certain());
    EXPECT_THAT(doubt.peers(), ElementsAre(Pair("a", "x"), Pair("b", "x")));
}

TEST(ClusterDoubt, the_only_other_one_decides) {
    for (const std::size_t listed : {0U, 1U}) {
        ClusterDoubt doubt(listed);
        doubt.refused("a");
        doubt.told("a", "");
        EXPECT_TRUE(doubt.is_certain());
    }
}

TEST(ClusterDoubt, a_peer_that_did_not_answer_of_which_it_is_counts_for_nothing) {
    ClusterDoubt doubt(1);
    EXPECT_TRUE(doubt.refused("a"));
    doubt.unheard("a");
    EXPECT_FALSE(doubt.is_certain());
    EXPECT_TRUE(doubt.refused("a"));
}

// Somebody else's address was changed to that of a foreign controller: that is not our fault.
TEST(ClusterDoubt, a_peer_that_takes_us_for_its_own_ends_it_for_good) {
    ClusterDoubt doubt(2);
    doubt.refused("a");
    doubt.told("a", "x");
    doubt.taken();
    doubt.told("b", "x");
    EXPECT_FALSE(doubt.is_certain());
    EXPECT_FALSE(doubt.refused("c"));
}

}  // namespace
}  // namespace millrace::app
