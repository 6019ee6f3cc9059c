// Who votes in the metadata quorum, as the number of brokers and their disks change.
#include <gmock/gmock.h>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Quorum : public testing::Test {
protected:
    void brokers(int count, const std::string& rest = "") {
        world.apply_cluster(
            fmt::format(R"({{"replicas": {}, "storage": {{"size": "1Gi"}}{}}})", count, rest));
        world.settle();
    }
    std::vector<int> voters() {
        const auto now = world.kube->brokers().DescribeQuorum({});
        std::vector<int> ids;
        for (const auto& voter : now->quorum().voters()) {
            ids.push_back(voter.id());
        }
        return ids;
    }
    std::vector<std::string> changes() {
        std::vector<std::string> said;
        for (const std::string& line : world.kube->brokers().journal()) {
            if (line.find("Voter") != std::string::npos) {
                said.push_back(line);
            }
        }
        return said;
    }
    World world;
};

TEST_F(Quorum, grows_with_the_cluster_without_restarting_who_voted_before) {
    world.kube->brokers().knobs().first_voters = 1;
    brokers(1);
    const auto before = world.pod_uids();
    brokers(3);
    EXPECT_THAT(voters(), ElementsAre(0, 1, 2));
    EXPECT_THAT(changes(), ElementsAre(HasSubstr("AddVoter 1"), HasSubstr("AddVoter 2")));
    EXPECT_EQ(world.pod_uids().at("main-0"), before.at("main-0"));
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

TEST_F(Quorum, a_voter_that_is_told_to_leave_is_replaced_first) {
    brokers(4);
    ASSERT_THAT(voters(), ElementsAre(0, 1, 2));
    brokers(3, R"(, "remove": [1])");
    EXPECT_THAT(voters(), ElementsAre(0, 2, 3));
    EXPECT_THAT(changes(), ElementsAre(HasSubstr("AddVoter 3"), HasSubstr("RemoveVoter 1")));
    EXPECT_EQ(world.pod_names(), "main-0 main-2 main-3");
    EXPECT_EQ(world.kube->second_disruptions(), 0);
}

// Broker 4 has lost its pod when broker 1, before it in order, need not vote any more.
TEST_F(Quorum, a_broker_that_has_begun_to_leave_is_not_stuck_behind_a_voter_that_leaves_too) {
    brokers(5);
    ASSERT_THAT(voters(), ElementsAre(0, 1, 2));
    brokers(3, R"(, "remove": [1, 4])");
    EXPECT_THAT(voters(), ElementsAre(0, 2, 3));
    EXPECT_EQ(world.pod_names(), "main-0 main-2 main-3");
    EXPECT_EQ(world.kube->second_disruptions(), 0);
}

TEST_F(Quorum, a_voter_goes_on_voting_until_its_replicas_are_gone) {
    brokers(4);
    world.kube->brokers().add_topic("orders", 8, 4, 2);
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "remove": [1]})");
    world.settle();
    EXPECT_THAT(voters(), Contains(1)) << "four replicas don't fit on three brokers";
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3");
}

TEST_F(Quorum, shrinks_with_the_cluster) {
    brokers(3);
    brokers(2);
    EXPECT_THAT(voters(), ElementsAre(0));
    EXPECT_EQ(world.pod_names(), "main-0 main-1");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

TEST_F(Quorum, the_vote_of_a_disk_that_is_gone_goes_to_the_new_one) {
    brokers(3);
    world.kube->brokers().change_disk(2);
    world.settle();
    EXPECT_THAT(voters(), ElementsAre(0, 1, 2));
    EXPECT_THAT(changes(), ElementsAre(HasSubstr("RemoveVoter 2"), HasSubstr("AddVoter 2")));
}

// The quorum's leader knows the lost disk for minutes: nobody votes by it, and the new one's vote
// stays.
TEST_F(Quorum, a_disk_that_is_gone_is_not_taken_for_the_one_that_follows) {
    brokers(3);
    world.kube->brokers().change_disk(2);
    world.settle();
    world.kube->brokers().change_disk(2);
    world.settle();
    EXPECT_THAT(voters(), ElementsAre(0, 1, 2));
    EXPECT_THAT(changes(), ElementsAre(HasSubstr("RemoveVoter 2"), HasSubstr("AddVoter 2"),
                                       HasSubstr("RemoveVoter 2"), HasSubstr("AddVoter 2")));
}

TEST_F(Quorum, moves_to_dedicated_controllers_and_back) {
    brokers(3);
    brokers(3, R"(, "controllers": {"replicas": 3, "storage": {"size": "1Gi"}})");
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-1000 main-1001 main-1002 main-2");
    EXPECT_THAT(voters(), ElementsAre(1000, 1001, 1002));
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(world.cluster()["status"]["summary"]["ready"].text(), "3/3") << "brokers alone";
    for (const Json& file : world.kube->all(kube::config_maps)) {
        if (!file["data"].has("server.properties")) {
            continue;
        }
        const std::string& text = file["data"]["server.properties"].text();
        const bool dedicated = file["metadata"]["labels"]["millrace.dev/broker"].text().size() == 4;
        EXPECT_THAT(text,
                    HasSubstr(dedicated ? "process.roles=controller\n" : "process.roles=broker\n"));
    }
    brokers(3);
    EXPECT_THAT(voters(), ElementsAre(0, 1, 2));
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    EXPECT_EQ(world.kube->second_disruptions(), 0);
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

// A controller that isn't in its own list is refused by the broker program.
TEST_F(Quorum, a_controller_that_is_to_vote_later_is_in_its_own_list_from_the_first) {
    brokers(4);
    world.kube->brokers().add_topic("orders", 8, 4, 2);
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "remove": [1],
        "controllers": {"replicas": 3, "storage": {"size": "1Gi"}}})");
    world.settle();
    ASSERT_THAT(voters(), Contains(1)) << "four replicas don't fit on three brokers";
    int seen = 0;
    for (const Json& file : world.kube->all(kube::config_maps)) {
        const std::string id = file["metadata"]["labels"]["millrace.dev/broker"].text();
        if (id.size() == 4) {
            ++seen;
            EXPECT_THAT(file["data"]["server.properties"].text(), HasSubstr(id + "@")) << id;
        }
    }
    EXPECT_EQ(seen, 3);
}

TEST_F(Quorum, is_left_alone_while_nothing_changes) {
    brokers(3);
    world.new_operator();
    world.settle();
    EXPECT_THAT(world.kube->brokers().journal(), Not(Contains(HasSubstr("Voter"))));
}

}  // namespace
}  // namespace millrace::reconcile
