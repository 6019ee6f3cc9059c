// Whose data the directories hold, read before anything else.
#include "app/internal/identity.h"

#include <gtest/gtest.h>

#include "runtime/sim/simulation.h"

namespace millrace::app {
namespace {

class Identity : public testing::Test {
protected:
    void SetUp() override {
        for (const char* path : {"/a", "/b"}) {
            ASSERT_TRUE(disk().create_directories(path));
        }
        ASSERT_TRUE(disk().replace_whole("/b/meta.properties", "version=1\ncluster.id=ours\n"));
    }
    runtime::sim::SimDisk& disk() { return node_.sim_disk(); }

    runtime::sim::Simulation simulation_{{.seed = 1}};
    runtime::sim::SimNode& node_ = simulation_.add_node({.name = "n1"});
};

TEST_F(Identity, the_cluster_is_that_of_any_directory_that_can_be_read) {
    disk().fail_next(runtime::sim::DiskCall::open, 1);
    const auto id = cluster_id_on_disk(disk(), {"/a", "/b"});
    ASSERT_TRUE(id) << id.error().to_string();
    EXPECT_EQ(*id, "ours");
}

// A new id beside a disk that failed would be a second cluster.
TEST_F(Identity, no_cluster_is_made_up_while_a_disk_that_may_know_it_can_not_be_read) {
    disk().fail_next(runtime::sim::DiskCall::open, 1);
    EXPECT_EQ(cluster_id_on_disk(disk(), {"/b", "/a"}).error().code(), Code::io);
    EXPECT_EQ(*cluster_id_on_disk(disk(), {"/a", "/never"}), std::nullopt);
}

TEST_F(Identity, a_directory_with_logs_is_told_from_one_without_its_metadata) {
    EXPECT_TRUE(lacks_metadata(disk(), "/a"));
    EXPECT_TRUE(lacks_metadata(disk(), "/never"));
    EXPECT_EQ(a_log_in(disk(), "/a"), "");
    EXPECT_EQ(a_log_in(disk(), "/never"), "");
    ASSERT_TRUE(disk().create_directories("/a/__cluster_metadata-0"));
    ASSERT_TRUE(disk().create_directories("/a/gone-0.0123-stray"));
    EXPECT_EQ(a_log_in(disk(), "/a"), "");
    ASSERT_TRUE(disk().create_directories("/a/orders-12"));
    EXPECT_EQ(a_log_in(disk(), "/a"), "orders-12");
    EXPECT_TRUE(lacks_metadata(disk(), "/a"));
    ASSERT_TRUE(disk().replace_whole("/a/__cluster_metadata-0/00000000000000000000.log", "x"));
    EXPECT_FALSE(lacks_metadata(disk(), "/a"));
}

// What a start leaves that found no cluster to join.
TEST_F(Identity, directories_without_a_log_hold_nothing) {
    EXPECT_TRUE(hold_nothing(disk(), {"/a", "/b", "/never"}));
    const std::string metadata = "/b/__cluster_metadata-0";
    ASSERT_TRUE(disk().create_directories(metadata));
    ASSERT_TRUE(disk().replace_whole(metadata + "/quorum-state", "{}"));
    ASSERT_TRUE(disk().replace_whole(metadata + "/00000000000000000000.log", ""));
    EXPECT_TRUE(hold_nothing(disk(), {"/a", "/b"}));
    ASSERT_TRUE(disk().replace_whole(metadata + "/00000000000000000000.log", "records"));
    EXPECT_FALSE(hold_nothing(disk(), {"/a", "/b"}));
}

TEST_F(Identity,
       a_log_a_snapshot_a_formatted_directory_or_one_that_can_not_be_read_holds_something) {
    ASSERT_TRUE(disk().create_directories("/log/orders-0"));
    EXPECT_FALSE(hold_nothing(disk(), {"/a", "/log"}));
    ASSERT_TRUE(disk().create_directories("/snapshot/__cluster_metadata-0"));
    ASSERT_TRUE(disk().replace_whole(
        "/snapshot/__cluster_metadata-0/00000000000000000007-0000000001.checkpoint", "records"));
    EXPECT_FALSE(hold_nothing(disk(), {"/snapshot"}));
    ASSERT_TRUE(disk().replace_whole("/a/bootstrap.checkpoint", "records"));
    EXPECT_FALSE(hold_nothing(disk(), {"/a"}));
    disk().fail_next(runtime::sim::DiskCall::other, 1);
    EXPECT_FALSE(hold_nothing(disk(), {"/b"}));
}

}  // namespace
}  // namespace millrace::app
