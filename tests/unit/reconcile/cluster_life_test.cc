// The life of a cluster against a simulated Kubernetes and simulated brokers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <set>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// Each pod is another than before.
void expect_all_new(const World& world, const std::map<std::string, std::string>& before) {
    for (const auto& [name, uid] : world.pod_uids()) {
        EXPECT_NE(uid, before.at(name)) << name;
    }
}

TEST(ClusterLife, ten_lines_become_a_ready_cluster) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    EXPECT_EQ(world.cluster()["status"]["phase"].text(), "Running");
    EXPECT_EQ(world.cluster()["status"]["summary"]["racks"].text(), "a,b,c");
}

TEST(ClusterLife, a_settled_cluster_is_not_written_to) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const int before = world.kube->writes();
    for (int i = 0; i < 60; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(world.kube->writes(), before) << world.journal_tail();
}

TEST(ClusterLife, a_new_operator_restarts_nothing) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    world.new_operator();
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids);
}

// What it hasn't heard yet says nothing about the brokers: nobody is told that they are gone.
TEST(ClusterLife, a_new_operator_writes_nothing_while_it_has_yet_to_hear_the_brokers) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->heard_after = 3;
    world.new_operator();
    const int before = world.kube->writes();
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(world.kube->writes(), before) << world.journal_tail();
}

TEST(ClusterLife, a_new_operator_that_nobody_answers_says_so) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->heard_after = 1000;
    world.new_operator();
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(World::condition(world.cluster(), "Available"), "False") << world.journal_tail();
}

TEST(ClusterLife, a_changed_setting_restarts_every_broker_and_never_two_at_a_time) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    const auto before = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    expect_all_new(world, before);
    EXPECT_EQ(world.kube->second_disruptions(), 0);
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST(ClusterLife, the_active_controller_is_restarted_last) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().elect_controller(1);
    world.kube->forget_journal();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    std::vector<std::string> removed;
    for (const std::string& line : world.kube->journal()) {
        if (line.starts_with("remove pods")) {
            removed.push_back(line);
        }
    }
    ASSERT_EQ(removed.size(), 3U);
    EXPECT_EQ(removed.back(), "remove pods main-1");
}

TEST(ClusterLife, a_verdict_against_a_restart_is_waited_for_and_told) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().forbid_restart(0, "broker 0 holds the last copy of orders-3");
    const auto before = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"unsafePartitions": "Block"}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    EXPECT_EQ(world.pod_uids().at("main-0"), before.at("main-0"));
    EXPECT_THAT(world.cluster()["status"]["rolling"]["waitingFor"].text(),
                HasSubstr("holds the last copy"));
    world.kube->brokers().allow_restart(0);
    world.settle();
    EXPECT_NE(world.pod_uids().at("main-0"), before.at("main-0"));
}

TEST(ClusterLife, a_setting_that_breaks_brokers_reaches_one_and_its_fix_all) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    world.kube->poison = "auto.create.topics.enable=true";
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "true"}})");
    world.settle();
    int touched = 0;
    for (const auto& [name, uid] : world.pod_uids()) {
        touched += uid != before.at(name) ? 1 : 0;
    }
    EXPECT_EQ(touched, 1);
    EXPECT_THAT(world.cluster()["status"]["message"].text(), HasSubstr("poison is not a setting"));
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    EXPECT_EQ(world.kube->second_disruptions(), 0);
}

TEST(ClusterLife, a_wrong_setting_is_refused_with_what_to_write_and_touches_nothing) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"log.segment.bytez": "1"}})");
    world.settle();
    EXPECT_EQ(world.pod_uids(), before);
    EXPECT_EQ(world.cluster()["status"]["phase"].text(), "Invalid");
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                AllOf(HasSubstr("log.segment.bytez"), HasSubstr("log.segment.bytes")));
}

TEST(ClusterLife, a_setting_of_the_operators_own_is_refused) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"node.id": "7"}})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "");
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                AllOf(HasSubstr("operator"), HasSubstr("node.id")));
    EXPECT_EQ(World::condition(world.cluster(), "SpecValid"), "False");
}

TEST(ClusterLife, an_image_that_cant_be_pulled_is_told_with_its_reason) {
    World world;
    world.kube->broken_pods["main-1"] = "no such image";
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "False");
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("broker 1: image millrace/millrace:1.0 can't be pulled: no such image"));
    world.kube->broken_pods.clear();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

// The claim of a broker that left was written without its class, which no API server takes.
TEST(ClusterLife, a_broker_whose_disk_has_a_class_of_its_own_leaves_and_its_disk_is_kept) {
    World world;
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi", "class": "fast"}})");
    world.settle();
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi", "class": "fast"}})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    EXPECT_EQ(world.cluster()["status"]["message"].text(), "");
    const auto kept = world.kube->find(kube::claims, {"default", "main-3-data-0"});
    ASSERT_TRUE(kept);
    EXPECT_EQ((*kept)["spec"]["storageClassName"].text(), "fast");
}

// The class that Kubernetes chose was applied when the broker left, and taken away when it came
// back: refused from then on.
TEST(ClusterLife, a_broker_that_comes_back_finds_its_disk_of_the_default_class) {
    World world;
    for (const int replicas : {4, 3, 4, 3, 4}) {
        world.apply_cluster(
            fmt::format(R"({{"replicas": {}, "storage": {{"size": "1Gi"}}}})", replicas));
        world.settle();
        EXPECT_EQ(world.cluster()["status"]["message"].text(), "") << replicas;
        EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << replicas;
    }
    const auto disk = world.kube->find(kube::claims, {"default", "main-3-data-0"});
    ASSERT_TRUE(disk);
    EXPECT_EQ((*disk)["spec"]["storageClassName"].text(), "standard");
    EXPECT_FALSE((*disk)["metadata"]["labels"].has("millrace.dev/retired"));
}

// "PlanRebalance: broker 4 is not registered", until the last of them had gone.
TEST(ClusterLife, brokers_that_never_came_up_leave_beside_those_that_did) {
    World world;
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi", "class": "good"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 1, 1);
    world.kube->missing_classes = {"nope"};
    world.apply_cluster(R"({"replicas": 6, "storage": {"size": "1Gi", "class": "nope"}})");
    for (int i = 0; i < 10; ++i) {
        world.last = world.round();
        world.kube->step();
    }
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3 main-4 main-5");
    world.apply_cluster(R"({"replicas": 1, "storage": {"size": "1Gi", "class": "nope"}})");
    for (int i = 0; i < 30; ++i) {
        world.last = world.round();
        world.kube->step();
        EXPECT_NE(World::condition(world.cluster(), "Balanced"), "Unknown") << world.journal_tail();
    }
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(world.kube->all(kube::claims).size(), 3U) << "disks are kept, claims of none are not";
}

TEST(ClusterLife, a_storage_class_that_is_missing_is_told_and_its_correction_needs_nothing_else) {
    World world;
    world.kube->missing_classes = {"fast"};
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi", "class": "fast"}})");
    world.settle();
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("is there a StorageClass fast? see kubectl describe pvc"));
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi", "class": "slow"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    for (const Json& claim : world.kube->all(kube::claims)) {
        EXPECT_EQ(claim["spec"]["storageClassName"].text(), "slow");
    }
}

TEST(ClusterLife, a_disk_that_exists_keeps_its_class_and_the_status_says_so) {
    World world;
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi", "class": "slow"}})");
    world.settle();
    const auto uids = world.pod_uids();
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi", "class": "fast"}})");
    world.settle();
    EXPECT_THAT(world.cluster()["status"]["message"].text(), HasSubstr("has class slow and keeps"));
    std::string classes;
    for (const Json& claim : world.kube->all(kube::claims)) {
        classes += claim["spec"]["storageClassName"].text() + " ";
    }
    EXPECT_EQ(classes, "slow slow slow fast ");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    EXPECT_EQ(world.pod_uids().at("main-0"), uids.at("main-0"));
}

TEST(ClusterLife, a_smaller_size_said_by_another_field_is_told) {
    World world;
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "2Gi"}})");
    world.settle();
    EXPECT_THAT(world.cluster()["status"]["message"].text(), Not(HasSubstr("only grow")));
    world.apply_cluster(R"({"replicas": 3, "storage": {"volumes": [{"id": 0, "size": "1Gi"}]}})");
    world.settle();
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                AllOf(HasSubstr("has 2Gi and keeps it"), HasSubstr("1Gi is less")));
    for (const Json& claim : world.kube->all(kube::claims)) {
        EXPECT_EQ(claim["spec"]["resources"]["requests"]["storage"].text(), "2Gi");
    }
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST(ClusterLife, brokers_of_one_rack_restart_together_once_the_first_is_well) {
    World world;
    world.kube->brokers().knobs().catch_up_ticks = 3;
    world.apply_cluster(
        R"({"replicas": 9, "storage": {"size": "1Gi"}, "rolling": {"maxUnavailablePerRack": 3}})");
    world.settle();
    std::set<std::string> before;
    for (const auto& [name, uid] : world.pod_uids()) {
        before.insert(uid);
    }
    world.apply_cluster(
        R"({"replicas": 9, "storage": {"size": "1Gi"}, "rolling": {"maxUnavailablePerRack": 3},
            "config": {"auto.create.topics.enable": "false"}})");
    std::size_t most = 0;
    int rounds = 0;
    for (; rounds < 200; ++rounds) {
        ASSERT_TRUE(world.round());
        world.kube->step();
        const auto& status = world.cluster()["status"];
        std::set<std::string> racks;
        std::size_t down = 0;
        int old = 0;
        for (const Json& pod : world.kube->all(kube::pods)) {
            old += before.contains(pod["metadata"]["uid"].text()) ? 1 : 0;
            if (pod["status"]["conditions"][0]["status"].text() != "True") {
                ++down;
                racks.insert(pod["metadata"]["labels"]["topology.kubernetes.io/zone"].text());
            }
        }
        racks.erase("");
        ASSERT_LE(racks.size(), 1U) << status.dump();
        most = std::max(most, down);
        if (old == 0 && down == 0) {
            break;
        }
    }
    EXPECT_GE(most, 2U);
    EXPECT_LE(most, 3U);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "True");
}

TEST(ClusterLife, more_brokers_get_replicas) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(R"({"replicas": 6, "storage": {"size": "1Gi"}})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3 main-4 main-5");
    for (int id = 3; id < 6; ++id) {
        EXPECT_TRUE(world.kube->brokers().has_replicas(id)) << id;
    }
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
}

TEST(ClusterLife, fewer_brokers_are_emptied_before_they_go) {
    World world;
    world.apply_cluster(R"({"replicas": 6, "storage": {"size": "1Gi"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.kube->forget_journal();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    const auto calls = world.kube->brokers().journal();
    EXPECT_THAT(calls, Contains(HasSubstr("Cordon 3 4 5")));
    EXPECT_EQ(world.kube->all(kube::claims).size(), 6U) << "disks are kept";
}

TEST(ClusterLife, too_few_brokers_for_the_replicas_are_refused_and_nothing_goes) {
    World world;
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 4, 2);
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3");
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("; topic orders has no Topic object: lower its replicas to 3 with "
                          "kafka-reassign-partitions.sh or make a Topic for it, or scale to 4"));
    // Until it is gone it is there, and of use.
    EXPECT_EQ(world.cluster()["status"]["summary"]["ready"].text(), "4/3");
    EXPECT_EQ(world.cluster()["status"]["replicas"].integer(), 4);
    world.apply_topic("mine",
                      R"({"clusterRef": {"name": "main"}, "name": "orders", "replicas": 4})");
    world.settle();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("; lower replicas of Topic mine to 3, or scale to 4"));
    EXPECT_EQ(world.cluster()["status"]["rebalance"]["state"].text(), "Blocked");
    EXPECT_THAT(world.kube->brokers().journal(), Not(Contains(HasSubstr("Cordon 3"))));
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

// `kubectl wait --for=condition=Balanced` was met before anything had begun.
TEST(ClusterLife, is_not_balanced_while_brokers_are_to_come_or_to_go) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    ASSERT_TRUE(world.round());
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "False");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
    world.apply_cluster(three_brokers);
    ASSERT_TRUE(world.round());
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "False");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
}

TEST(ClusterLife, all_wrong_settings_are_told_at_once_and_a_default_that_no_write_could_meet) {
    World world;
    world.apply_cluster(R"({"replicas": 1, "storage": {"size": "1Gi"},
        "config": {"log.segment.bytes": "many", "log.retention.ms": "long", "min.insync.replicas": "3"},
        "topics": {"defaults": {"replicas": 2}}})");
    world.settle();
    const std::string message = world.cluster()["status"]["message"].text();
    EXPECT_THAT(message, HasSubstr("spec.config[log.segment.bytes]"));
    EXPECT_THAT(message, HasSubstr("spec.config[log.retention.ms]: "));
    EXPECT_THAT(message,
                HasSubstr("; spec.config[min.insync.replicas]: 3 is more than the 2 replicas"));
}

TEST(ClusterLife, a_named_broker_leaves_instead_of_the_highest) {
    World world;
    world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 10, 3, 2);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}, "remove": [3]})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-4");
}

TEST(ClusterLife, disks_that_outlived_their_cluster_are_adopted) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const std::string id = world.cluster()["status"]["clusterId"].text();
    world.kube->take_away(clusters, {"default", "main"});
    EXPECT_EQ(world.pod_names(), "");
    EXPECT_EQ(world.kube->all(kube::claims).size(), 3U);
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["clusterId"].text(), id);
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST(ClusterLife, a_paused_cluster_is_left_alone) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}, "paused": true})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    EXPECT_EQ(world.cluster()["status"]["phase"].text(), "Paused");
}

// Else all of them are new afterwards, and everything is moved about once more.
TEST(ClusterLife, a_pause_or_a_wrong_edit_forgets_nothing_about_replicas) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.settle();
    const auto all_balanced = [&] {
        const Json cluster = world.cluster();
        const Json::Array& brokers = cluster["status"]["brokers"].items();
        return std::all_of(brokers.begin(), brokers.end(),
                           [](const Json& one) { return one["balanced"].boolean(); });
    };
    ASSERT_TRUE(all_balanced()) << world.cluster()["status"].dump();
    for (const char* meanwhile :
         {R"({"replicas": 4, "storage": {"size": "1Gi"}, "paused": true})",
          R"({"replicas": 4, "storage": {"size": "1Gi"}, "config": {"log.segment.bytez": "1"}})"}) {
        world.apply_cluster(meanwhile);
        world.settle();
        EXPECT_TRUE(all_balanced()) << meanwhile << world.cluster()["status"].dump();
    }
}

TEST(ClusterLife, a_plan_begun_before_a_pause_is_still_ours_after_it) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 60, 3, 2);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    const auto moving = [&] {
        return world.cluster()["status"]["rebalance"]["state"].text() == "Moving";
    };
    for (int i = 0; i < 60 && !moving(); ++i) {
        (void)world.round();
        world.kube->step();
    }
    ASSERT_TRUE(moving());
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}, "paused": true})");
    ASSERT_TRUE(world.round());
    ASSERT_TRUE(moving()) << "brokers go on with it";
    EXPECT_EQ(world.cluster()["status"]["rebalance"]["trigger"].text(), "broker 3 is new");
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    EXPECT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("CancelPlan")));
}

TEST(ClusterLife, a_held_broker_keeps_what_it_runs) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"hold": [2]}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    EXPECT_EQ(world.pod_uids().at("main-2"), before.at("main-2"));
    EXPECT_NE(world.pod_uids().at("main-0"), before.at("main-0"));
    EXPECT_THAT(world.cluster()["status"]["rolling"]["waitingFor"].text(), HasSubstr("hold"));
}

// As kubectl delete --cascade=orphan leaves them: a Cluster of that name takes them over without a
// restart, and they go with it.
TEST(ClusterLife, what_was_left_without_an_owner_goes_with_its_next_cluster) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    for (const kube::Kind& kind :
         {kube::pods, kube::secrets, kube::services, kube::config_maps, kube::disruption_budgets}) {
        world.kube->disown(kind);
    }
    world.kube->take_away(clusters, {"default", "main"});
    ASSERT_TRUE(world.round());
    world.kube->step();
    ASSERT_EQ(world.pod_uids(), uids);

    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids);
    world.kube->take_away(clusters, {"default", "main"});
    world.kube->step();
    EXPECT_EQ(world.pod_names(), "");
    for (const Json& secret : world.kube->all(kube::secrets)) {
        EXPECT_EQ(secret["metadata"]["name"].text(), "main-links-key");
    }
}

// What the API server would refuse is known before the old pod goes: nobody loses a broker by it.
TEST(ClusterLife, a_pod_that_would_be_refused_costs_no_broker) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    world.kube->nonsense = "no-such-class";
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "template": {"priorityClass": "no-such-class"}})");
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids);
    EXPECT_EQ(world.cluster()["status"]["message"].text(),
              "broker 1 keeps its old pod, the new one would be refused: invalid value: "
              "no-such-class");
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "False");

    world.kube->nonsense.clear();  // Somebody made the class.
    world.settle();
    expect_all_new(world, uids);
    EXPECT_EQ(world.cluster()["status"]["message"].text(), "");
}

// A rehearsal counts the old pod too, whose share comes free.
TEST(ClusterLife,
     a_quota_that_has_no_room_for_the_new_pod_costs_no_broker_and_a_full_one_holds_up_no_roll) {
    World world;
    world.kube->memory_quota = "6Gi";
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "resources": {"limits": {"memory": "2Gi"}}})");
    world.settle();
    const auto uids = world.pod_uids();
    ASSERT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "resources": {"limits": {"memory": "2049Mi"}}})");
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids);
    EXPECT_EQ(
        world.cluster()["status"]["message"].text(),
        "broker 1 keeps its old pod, the new one would be refused: pods \"main-1\" is forbidden: "
        "exceeded quota: memory, requested: limits.memory=2049Mi, used: limits.memory=6Gi, "
        "limited: limits.memory=6Gi; even without the old pod's share that is too much: raise the "
        "quota, or ask for less limits.memory in spec.resources");

    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "template": {"labels": {"a": "b"}}, "resources": {"limits": {"memory": "2Gi"}}})");
    world.settle();
    expect_all_new(world, uids);
    EXPECT_EQ(world.cluster()["status"]["message"].text(), "");
}

TEST(ClusterLife, an_image_that_is_not_there_for_its_version_is_told_with_both) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->broken_pods["main-1"] = "not found";
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "version": "9.9.9"})");
    world.settle();
    EXPECT_THAT(
        world.cluster()["status"]["message"].text(),
        HasSubstr("can't be pulled: not found; spec.version is 9.9.9, and this operator's own "
                  "version is 1.0"));
    world.kube->broken_pods.clear();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

// The second was told once the first was mended.
TEST(ClusterLife, two_quotas_that_are_exceeded_are_both_told_at_once) {
    World world;
    world.kube->memory_quota = "2Gi";
    world.kube->claims_quota = 1;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "resources": {"limits": {"memory": "2Gi"}}})");
    for (int i = 0; i < 3; ++i) {
        world.last = world.round();
        world.kube->step();
    }
    EXPECT_FALSE(world.last);
    const Json status = world.cluster()["status"];
    const std::string& message = status["message"].text();
    EXPECT_THAT(message, HasSubstr("exceeded quota: disks, requested: persistentvolumeclaims=1"));
    EXPECT_THAT(message, HasSubstr("exceeded quota: memory, requested: limits.memory=2Gi"));
    EXPECT_THAT(message, HasSubstr("(and 1 more)"));
    const std::string& of_broker = status["brokers"][2]["waitingFor"].text();
    EXPECT_THAT(of_broker, HasSubstr("exceeded quota: disks"));
    EXPECT_THAT(of_broker, HasSubstr("exceeded quota: memory"));
    EXPECT_THAT(status["brokers"][0]["waitingFor"].text(), Not(HasSubstr("exceeded quota")));

    world.kube->memory_quota.clear();
    world.kube->claims_quota.reset();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

TEST(ClusterLife, a_volume_that_cant_be_mounted_is_told_with_its_reason) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "template": {"volumes": [
            {"name": "words", "mountPath": "/etc/words", "configMap": {"name": "nobodys"}}]}})");
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["message"].text(),
              "broker 1: FailedMount: MountVolume.SetUp failed for volume \"extra-words\" : "
              "configmap \"nobodys\" not found; create it, or name another one in spec.template");
    EXPECT_EQ(world.pod_uids().at("main-0"), uids.at("main-0"));

    Json map = Json(Json::Object{});
    map["metadata"]["name"] = "nobodys";
    map["metadata"]["namespace"] = "default";
    world.kube->put(kube::config_maps, std::move(map));
    world.settle();
    expect_all_new(world, uids);
    EXPECT_EQ(world.cluster()["status"]["message"].text(), "");
}

// Quotas count the old pod too, and an API server that can't rehearse says nothing about the pod.
TEST(ClusterLife, a_rehearsal_that_fails_for_another_reason_holds_up_no_roll) {
    for (const Code code : {Code::unavailable, Code::timed_out, Code::exists}) {
        World world;
        world.apply_cluster(three_brokers);
        world.settle();
        const auto uids = world.pod_uids();
        world.kube->refuse("rehearse", code, 1000);
        world.apply_cluster(
            R"({"replicas": 3, "storage": {"size": "1Gi"}, "template": {"labels": {"a": "b"}}})");
        world.settle();
        expect_all_new(world, uids);
    }
}

TEST(ClusterLife, all_that_are_held_are_told) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"hold": [2, 1]}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["rolling"]["waitingFor"].text(),
              "spec.rolling.hold keeps brokers 1, 2");
}

// A claim that is deleted goes with the pod that runs with it: a restart would be what destroys it.
TEST(ClusterLife, a_broker_whose_claim_was_deleted_is_told_of_and_not_restarted) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    const ObjectKey claim{"default", "main-1-data-0"};
    ASSERT_TRUE(world.kube->find(kube::claims, claim)) << world.journal_tail();
    world.kube->take_away(kube::claims, claim);
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    EXPECT_NE(world.pod_uids().at("main-0"), before.at("main-0"));
    EXPECT_EQ(world.pod_uids().at("main-1"), before.at("main-1"));
    EXPECT_NE(world.pod_uids().at("main-2"), before.at("main-2"));
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("claim main-1-data-0 was deleted"));
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "False");
    // Its owner means it: another disk, and the setting with it.
    world.kube->take_away(kube::pods, {"default", "main-1"});
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "True") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    EXPECT_FALSE((*world.kube->find(kube::claims, claim))["metadata"].has("deletionTimestamp"));
}

TEST(ClusterLife, a_restart_waits_for_its_window) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    // The clock of the test begins on a Tuesday at 22:13:20 UTC.
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"},
            "rolling": {"windows": [{"days": ["Wed"], "from": "02:00", "length": "1h"}]}})");
    world.settle();
    EXPECT_EQ(world.pod_uids(), before);
    EXPECT_THAT(world.cluster()["status"]["rolling"]["waitingFor"].text(), HasSubstr("windows"));
    world.clock.advance(std::chrono::hours(4));
    world.settle();
    EXPECT_NE(world.pod_uids().at("main-0"), before.at("main-0"));
}

TEST(ClusterLife, a_disk_grows_and_never_shrinks) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "3Gi"}})");
    world.settle();
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "2Gi"}})");
    world.settle();
    for (const Json& claim : world.kube->all(kube::claims)) {
        EXPECT_EQ(claim["spec"]["resources"]["requests"]["storage"].text(), "3Gi");
    }
    EXPECT_EQ(world.pod_uids(), uids);
}

TEST(ClusterLife, a_setting_that_running_brokers_take_restarts_nothing) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"log.retention.ms": "60000"}})");
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids);
    EXPECT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("AlterConfigs")));
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "True");
    const auto calls = world.kube->brokers().journal().size();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids);
    EXPECT_GT(world.kube->brokers().journal().size(), calls) << "it is taken back";
}

std::map<std::string, std::string> told_brokers(World& world) {
    millrace::admin::v1::DescribeConfigsRequest request;
    request.add_resources()->set_type(millrace::admin::v1::CONFIG_RESOURCE_TYPE_BROKER);
    const auto answer = world.kube->brokers().DescribeConfigs(request);
    std::map<std::string, std::string> told;
    for (const auto& entry : answer->resources(0).entries()) {
        told[entry.key()] = entry.value();
    }
    return told;
}

// What a broker has read from its file it keeps until it is restarted: there was no way back.
TEST(ClusterLife, a_setting_from_the_first_day_is_taken_back_without_a_restart) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"log.retention.ms": "60000"}})");
    world.settle();
    const auto uids = world.pod_uids();
    EXPECT_EQ(told_brokers(world)["log.retention.ms"], "60000");
    for (const Json& file : world.kube->all(kube::config_maps)) {
        EXPECT_EQ(file["data"]["server.properties"].text().find("\nlog.retention.ms"),
                  std::string::npos);
    }
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_TRUE(told_brokers(world).empty());
    EXPECT_EQ(world.pod_uids(), uids);
}

TEST(ClusterLife, a_setting_that_can_not_be_removed_gets_its_default_back) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"min.insync.replicas": "3"}})");
    world.settle();
    EXPECT_EQ(told_brokers(world)["min.insync.replicas"], "3");
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(told_brokers(world)["min.insync.replicas"], "1");
}

// The metadata outlives the Cluster with its disks, and the files that say what was told don't.
TEST(ClusterLife, made_anew_takes_back_what_an_earlier_one_told_and_leaves_what_a_person_set) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"log.retention.ms": "60000", "log.segment.bytes": "1073741824"}})");
    world.settle();
    millrace::admin::v1::AlterConfigsRequest request;
    auto* const resource = request.add_resources();
    resource->mutable_resource()->set_type(millrace::admin::v1::CONFIG_RESOURCE_TYPE_BROKER);
    auto* const alteration = resource->add_alterations();
    alteration->set_op(millrace::admin::v1::ConfigAlteration::OP_SET);
    alteration->set_key("log.flush.interval.ms");
    alteration->set_value("7");
    ASSERT_TRUE(world.kube->brokers().AlterConfigs(request));
    ASSERT_EQ(told_brokers(world)["log.retention.ms"], "60000");
    world.kube->take_away(clusters, {"default", "main"});
    world.kube->step();
    world.settle();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"log.segment.bytes": "536870912"}})");
    world.settle();
    const std::map<std::string, std::string> left = {{"log.flush.interval.ms", "7"},
                                                     {"log.segment.bytes", "536870912"}};
    EXPECT_EQ(told_brokers(world), left) << world.journal_tail();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(told_brokers(world).size(), 1U);
    for (const Json& claim : world.kube->all(kube::claims)) {
        EXPECT_EQ(claim["metadata"]["annotations"]["millrace.dev/told"].text(), "");
    }
}

constexpr const char* restart_asked =
    R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"restart": "monday"}})";

TEST(ClusterLife,
     a_restart_that_was_asked_for_is_not_carried_out_again_when_its_word_is_taken_back) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto first = world.pod_uids();
    world.apply_cluster(restart_asked);
    world.settle();
    expect_all_new(world, first);
    const auto second = world.pod_uids();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_uids(), second);
    world.apply_cluster(restart_asked);
    world.settle();
    EXPECT_EQ(world.pod_uids(), second);
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"restart": "tuesday"}})");
    world.settle();
    expect_all_new(world, second);
}

TEST(ClusterLife, a_restart_whose_word_is_taken_back_ends_where_it_is) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto first = world.pod_uids();
    world.apply_cluster(restart_asked);
    const auto renewed = [&] {
        const auto now = world.pod_uids();
        return std::count_if(now.begin(), now.end(), [&](const auto& pod) {
            const auto before = first.find(pod.first);
            return before != first.end() && before->second != pod.second;
        });
    };
    for (int i = 0; i < 1000 && renewed() == 0; ++i) {
        (void)world.round();
        world.kube->step();
    }
    ASSERT_EQ(renewed(), 1);
    const auto second = world.pod_uids();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_uids(), second);
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "True");
    world.apply_cluster(restart_asked);
    world.settle();
    EXPECT_EQ(renewed(), 3) << "and goes on from there";
}

// Clients that are told the old address find nobody there.
TEST(ClusterLife, a_broker_whose_balancer_has_another_address_is_restarted_to_tell_it) {
    World world;
    const auto balanced = [&](int broker, const std::vector<std::string>& hosts) {
        Json status = Json(Json::Object{});
        status["loadBalancer"]["ingress"] = Json(Json::Array{});
        for (const std::string& host : hosts) {
            status["loadBalancer"]["ingress"].push_back(Json::object({{"ip", host}}));
        }
        world.kube->set_status(kube::services, {"default", fmt::format("main-{}-outside", broker)},
                               std::move(status));
    };
    const auto settings_of = [&](int broker) {
        std::string all;
        for (const Json& map : world.kube->all(kube::config_maps)) {
            if (map["metadata"]["name"].text().starts_with(fmt::format("main-{}-", broker))) {
                all += map["data"]["server.properties"].text();
            }
        }
        return all;
    };
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "listeners": [
        {"name": "plain", "port": 9092},
        {"name": "outside", "port": 9094, "type": "LoadBalancer"}]})");
    for (int i = 0; i < 20; ++i) {
        (void)world.round();
        world.kube->step();
    }
    for (int broker = 0; broker < 3; ++broker) {
        balanced(broker, {fmt::format("10.0.0.{}", broker)});
    }
    world.settle();
    ASSERT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_THAT(settings_of(1), HasSubstr("://10.0.0.1:9094"));

    const auto first = world.pod_uids();
    balanced(1, {"10.0.0.7", "10.0.0.1"});
    balanced(2, {});
    world.settle();
    EXPECT_EQ(world.pod_uids(), first) << "it is there still, or nobody knows where it is";

    balanced(2, {"10.0.0.2"});
    balanced(1, {"10.0.0.7", "10.0.0.8"});
    world.settle();
    auto second = world.pod_uids();
    EXPECT_NE(second.at("main-1"), first.at("main-1"));
    second.at("main-1") = first.at("main-1");
    EXPECT_EQ(second, first) << "the others go on";
    EXPECT_THAT(settings_of(1), HasSubstr("://10.0.0.7:9094"));
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

// Files say what brokers were told: they must not run ahead of a refusal.
TEST(ClusterLife, a_setting_that_brokers_refuse_is_tried_until_they_take_it) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().fail_next("AlterConfigs", Code::invalid, "not today", 5);
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"log.retention.ms": "60000"}})");
    for (int i = 0; i < 5; ++i) {
        EXPECT_FALSE(world.round()) << "it is not forgotten";
        world.kube->step();
    }
    EXPECT_THAT(world.cluster()["status"]["message"].text(), HasSubstr("not today"));
    world.settle();
    EXPECT_EQ(told_brokers(world)["log.retention.ms"], "60000");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST(ClusterLife, pools_have_racks_and_members_of_their_own) {
    World world;
    world.apply_cluster(R"({"rack": {"source": "Pool"}, "pools": [
        {"name": "left", "replicas": 2, "rack": "l", "storage": {"size": "1Gi"}},
        {"name": "right", "replicas": 1, "rack": "r", "storage": {"size": "2Gi"}}]})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(world.cluster()["status"]["summary"]["racks"].text(), "l,r");
    world.apply_cluster(R"({"rack": {"source": "Pool"}, "pools": [
        {"name": "left", "replicas": 2, "rack": "l", "storage": {"size": "1Gi"}},
        {"name": "right", "replicas": 2, "rack": "r", "storage": {"size": "2Gi"}}]})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST(ClusterLife, a_pool_that_takes_anothers_place_is_up_before_anything_moves) {
    World world;
    world.apply_cluster(
        R"({"pools": [{"name": "old", "replicas": 3, "storage": {"size": "1Gi"}}]})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(
        R"({"pools": [{"name": "new", "replicas": 3, "storage": {"size": "1Gi"}}]})");
    world.settle(400);
    EXPECT_EQ(world.pod_names(), "main-3 main-4 main-5") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
    const auto calls = world.kube->brokers().journal();
    EXPECT_EQ(std::count_if(calls.begin(), calls.end(),
                            [](const std::string& call) {
                                return call.find("ApplyPlan") != std::string::npos;
                            }),
              1)
        << "one plan for the whole exchange";
}

// That a plan was asked for shows in what the status says while the brokers refuse to make one.
TEST(ClusterLife, a_volume_more_is_given_its_share_once_every_broker_has_it) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.settle();
    world.kube->brokers().fail_next("PlanRebalance", Code::unavailable, "not now", 2);
    world.apply_cluster(R"({"replicas": 3, "storage": {"volumes": [{"id": 0, "size": "1Gi"},
                                                                  {"id": 1, "size": "1Gi"}]}})");
    bool was_asked = false;
    for (int i = 0; i < 200 && !was_asked; ++i) {
        world.last = world.round();
        world.kube->step();
        const Json now = world.cluster();
        was_asked = World::condition(now, "Balanced") == "Unknown";
        EXPECT_TRUE(!was_asked || World::condition(now, "UpToDate") == "True") << "too early";
    }
    EXPECT_TRUE(was_asked) << world.journal_tail();
    EXPECT_EQ(world.cluster()["status"]["brokers"][0]["volumes"].items().size(), 1U);
    world.settle();
    const Json settled = world.cluster();
    for (const Json& broker : settled["status"]["brokers"].items()) {
        EXPECT_EQ(broker["volumes"].items().size(), 2U) << broker.dump();
    }
}

constexpr const char* two_volumes = R"({"replicas": 3, "storage": {"volumes": [
    {"id": 0, "size": "1Gi"}, {"id": 1, "size": "1Gi"}]}})";

int mounts_of(const World& world, const std::string& pod, const std::string& claim) {
    int count = 0;
    const auto found = world.kube->find(kube::pods, {"default", pod});
    for (const Json& volume : (*found)["spec"]["volumes"].items()) {
        count += volume["persistentVolumeClaim"]["claimName"].text() == claim ? 1 : 0;
    }
    return count;
}

/// Three brokers with two volumes each, and replicas on all of them.
void fill_two_volumes(World& world) {
    world.apply_cluster(two_volumes);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 1);
    world.settle();
    for (int id = 0; id < 3; ++id) {
        world.kube->brokers().put_on_volume(id, 1, 4);
    }
}

// The brokers were restarted without it: topics with one replica went offline, one rack after the
// other.
TEST(ClusterLife, a_volume_that_the_spec_has_no_more_stays_until_no_replica_is_on_it) {
    World world;
    fill_two_volumes(world);
    const auto before = world.pod_uids();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "balance": {"mode": "Off"}})");
    world.settle();
    EXPECT_EQ(world.pod_uids(), before);
    EXPECT_THAT(
        world.cluster()["status"]["message"].text(),
        HasSubstr("broker 0 keeps volume 1, which the spec has no more: 4 of its replicas are on "
                  "it; balance.mode is Off"));
    EXPECT_EQ(world.cluster()["status"]["brokers"][0]["closedVolumes"].dump(), "[1]");

    // A pod that is lost comes back with it.
    world.kube->take_away(kube::pods, {"default", "main-1"});
    world.settle();
    EXPECT_EQ(mounts_of(world, "main-1", "main-1-data-1"), 1);

    for (int id = 0; id < 3; ++id) {
        world.kube->brokers().put_on_volume(id, 1, 0);
    }
    world.clock.advance(60s);
    world.settle();
    EXPECT_EQ(mounts_of(world, "main-0", "main-0-data-1"), 0) << world.journal_tail();
    EXPECT_EQ(mounts_of(world, "main-0", "main-0-data-0"), 1);
    EXPECT_EQ(world.cluster()["status"]["message"].text(), "");
    EXPECT_EQ(world.cluster()["status"]["brokers"][0]["volumes"].items().size(), 1U);
}

TEST(ClusterLife, a_volume_that_the_spec_has_no_more_is_closed_and_emptied_and_goes) {
    World world;
    fill_two_volumes(world);
    world.apply_cluster(three_brokers);
    world.settle();
    world.clock.advance(60s);
    world.settle();
    const auto calls = world.kube->brokers().journal();
    const auto first = [&](std::string_view call) {
        return std::find_if(
                   calls.begin(), calls.end(),
                   [&](const std::string& one) { return one.find(call) != std::string::npos; }) -
               calls.begin();
    };
    EXPECT_LT(first("AlterConfigs 0"), first("ApplyPlan")) << "filled again while it is emptied";
    for (int id = 0; id < 3; ++id) {
        EXPECT_EQ(mounts_of(world, fmt::format("main-{}", id), fmt::format("main-{}-data-1", id)),
                  0)
            << world.journal_tail();
    }
    const Json status = world.cluster()["status"];
    EXPECT_EQ(status["message"].text(), "");
    EXPECT_FALSE(status["brokers"][0].has("closedVolumes")) << status.dump();
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
}

TEST(ClusterLife, a_volume_that_is_written_back_before_it_went_takes_replicas_again) {
    World world;
    fill_two_volumes(world);
    world.kube->brokers().fail_next("PlanRebalance", Code::unavailable, "not now", 1000);
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["brokers"][2]["closedVolumes"].dump(), "[1]");
    EXPECT_TRUE(world.kube->brokers().is_cordoned(2, 1));
    world.kube->brokers().fail_next("PlanRebalance", Code::unavailable, "not now", 0);
    const auto before = world.pod_uids();
    world.apply_cluster(two_volumes);
    world.settle();
    EXPECT_FALSE(world.kube->brokers().is_cordoned(2, 1));
    EXPECT_EQ(world.pod_uids(), before);
    const Json status = world.cluster()["status"];
    EXPECT_FALSE(status["brokers"][2].has("closedVolumes")) << status.dump();
    EXPECT_EQ(status["message"].text(), "");
}

// It was taken for one that had its share already.
TEST(ClusterLife, a_volume_that_comes_back_is_given_its_share_again) {
    World world;
    world.apply_cluster(two_volumes);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.settle();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["brokers"][0]["volumes"].items().size(), 1U);
    world.kube->brokers().fail_next("PlanRebalance", Code::unavailable, "not now", 2);
    world.apply_cluster(two_volumes);
    bool was_asked = false;
    for (int i = 0; i < 200 && !was_asked; ++i) {
        world.last = world.round();
        world.kube->step();
        was_asked = World::condition(world.cluster(), "Balanced") == "Unknown";
    }
    EXPECT_TRUE(was_asked) << world.journal_tail();
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["brokers"][0]["volumes"].items().size(), 2U);
}

TEST(ClusterLife, a_listener_with_addresses_of_its_own_is_advertised_by_them) {
    World world;
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "listeners": [
        {"name": "plain", "port": 9092, "type": "Internal"},
        {"name": "outside", "port": 9094, "type": "ClusterIP"}]})");
    world.settle();
    const auto service = world.kube->find(kube::services, {"default", "main-1-outside"});
    ASSERT_TRUE(service);
    const std::string address = (*service)["spec"]["clusterIP"].text();
    bool advertised = false;
    for (const Json& file : world.kube->all(kube::config_maps)) {
        advertised |= file["data"]["server.properties"].text().find("OUTSIDE://" + address +
                                                                    ":9094") != std::string::npos;
    }
    EXPECT_TRUE(advertised) << address;
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_FALSE(world.kube->find(kube::services, {"default", "main-1-outside"}));
}

TEST(ClusterLife, setting_replicas_back_cancels_the_moves_and_the_brokers_stay) {
    World world;
    world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})");
    world.settle();
    world.kube->brokers().knobs().move_ticks = 1000;
    world.kube->brokers().add_topic("orders", 10, 3, 2);
    world.apply_cluster(three_brokers);
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    ASSERT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("ApplyPlan")));
    world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})");
    world.kube->brokers().knobs().move_ticks = 1;
    world.settle();
    EXPECT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("CancelPlan")));
    EXPECT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("Uncordon 3 4")));
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3 main-4");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST(ClusterLife, setting_replicas_back_while_new_brokers_get_their_share_cancels_that_too) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().knobs().move_ticks = 1000;
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    for (int i = 0; i < 15; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    ASSERT_EQ(world.cluster()["status"]["rebalance"]["state"].text(), "Moving")
        << world.journal_tail();
    EXPECT_EQ(world.cluster()["status"]["rebalance"]["trigger"].text(), "broker 3 is new");
    world.kube->brokers().knobs().move_ticks = 1;
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("CancelPlan")));
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
}

TEST(ClusterLife, a_broker_that_holds_a_little_already_gets_its_share_too) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.kube->brokers().fail_next("PlanRebalance", Code::unavailable, "not now", 3);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    for (int i = 0; i < 6; ++i) {
        world.last = world.round();
        world.kube->step();
    }
    world.kube->brokers().add_topic("late", 1, 4, 2);
    world.settle();
    EXPECT_THAT(world.kube->brokers().journal(), Contains(HasSubstr("ApplyPlan")));
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
}

TEST(ClusterLife, a_plan_waits_for_its_approval_by_the_hash_that_is_shown) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "balance": {"mode": "Manual"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(
        R"({"replicas": 4, "storage": {"size": "1Gi"}, "balance": {"mode": "Manual"}})");
    world.settle();
    const Json shown = world.cluster()["status"]["rebalance"];
    EXPECT_EQ(shown["state"].text(), "AwaitingApproval") << world.journal_tail();
    EXPECT_GT(shown["moves"]["total"].number(), 0);
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("broker 3 is new: a plan waits for approval"));
    EXPECT_FALSE(world.kube->brokers().has_replicas(3));
    world.apply_cluster(
        R"({"replicas": 4, "storage": {"size": "1Gi"}, "balance": {"mode": "Manual", "approve": ")" +
        shown["planHash"].text() + R"("}})");
    world.settle();
    EXPECT_TRUE(world.kube->brokers().has_replicas(3));
}

// Who is left goes on saying what it heard last: all run, nothing is offline.
TEST(ClusterLife, without_most_voters_nothing_that_brokers_say_is_shown_as_new) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.settle();
    world.kube->broken_pods["main-0"] = world.kube->broken_pods["main-1"] = "gone";
    world.settle();
    const Json status = world.cluster()["status"];
    EXPECT_THAT(status["message"].text(),
                HasSubstr("no controller can be elected: 0, 1 of the voters 0, 1, 2 do not run"));
    EXPECT_FALSE(status["controllers"].has("leader"));
    EXPECT_NE(status["health"]["asOf"].text(), "");
    EXPECT_NE(status["brokers"][0]["state"].text(), "Running");
    EXPECT_EQ(status["brokers"][2]["state"].text(), "Running");
    EXPECT_EQ(World::condition(world.cluster(), "Healthy"), "Unknown");
    EXPECT_EQ(World::condition(world.cluster(), "Available"), "False");
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "False");

    world.kube->broken_pods.erase("main-0");  // Two of three elect one.
    world.settle();
    EXPECT_TRUE(world.cluster()["status"]["controllers"].has("leader"));
    EXPECT_FALSE(world.cluster()["status"]["health"].has("asOf"));
    EXPECT_EQ(World::condition(world.cluster(), "Available"), "True");
}

// It came to any rack, and where the leaving one was alone in its rack it could never go.
TEST(ClusterLife, who_takes_the_place_of_one_that_leaves_comes_to_its_rack) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 6, 3, 2);
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "remove": [1]})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-2 main-3");
    const auto uids = world.pod_uids();
    EXPECT_EQ((*world.kube->find(kube::pods, {"default", "main-3"}))["spec"]["nodeName"].text(),
              "node-b");
    world.settle();
    EXPECT_EQ(world.pod_uids(), uids) << "where it was to come is no part of its revision";
}

TEST(ClusterLife, two_that_leave_are_followed_in_both_racks) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "remove": [1, 2],
                            "template": {"affinity": {"podAffinity": {}}}})");
    world.settle();
    std::set<std::string> nodes;
    for (const Json& pod : world.kube->all(kube::pods)) {
        nodes.insert(pod["spec"]["nodeName"].text());
        EXPECT_TRUE(pod["spec"]["affinity"].has("podAffinity"));
    }
    EXPECT_EQ(nodes, (std::set<std::string>{"node-a", "node-b", "node-c"}));
}

// Their pods are still said to run.
TEST(ClusterLife, most_voters_on_nodes_without_power_are_missed_too) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->silent_pods = {"main-0"};
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Available"), "True") << "two of three elect one";
    world.kube->silent_pods = {"main-0", "main-2"};
    world.settle();
    const Json status = world.cluster()["status"];
    EXPECT_THAT(
        status["message"].text(),
        HasSubstr("no controller can be elected: 0, 2 of the voters 0, 1, 2 do not answer"));
    EXPECT_EQ(status["brokers"][0]["state"].text(), "Dead");
    EXPECT_EQ(status["brokers"][1]["state"].text(), "Running");
    EXPECT_EQ(World::condition(world.cluster(), "Available"), "False");
    world.kube->silent_pods.clear();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

// "broker 1000 has no rack: write spec.pools[].rack"; it has none, and needs none.
TEST(ClusterLife, dedicated_controllers_hold_no_replicas_and_are_asked_for_no_rack) {
    World world;
    world.apply_cluster(R"({"rack": {"source": "Pool"},
        "controllers": {"replicas": 1, "storage": {"size": "1Gi"}},
        "pools": [{"name": "x", "rack": "x", "replicas": 1, "storage": {"size": "1Gi"}}]})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "RackPlacement"), "True")
        << world.cluster()["status"]["conditions"].dump();
}

// "rolling 0 of 3, the spec has changed".
TEST(ClusterLife, nobody_is_said_to_restart_for_a_spec_that_is_not_valid) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"},
                            "config": {"num.network.threads": "many", "log.roll.hours": "3"}})");
    world.settle();
    const Json status = world.cluster()["status"];
    EXPECT_EQ(World::condition(world.cluster(), "SpecValid"), "False");
    EXPECT_FALSE(status.has("rolling")) << status.dump();
    EXPECT_EQ(status["summary"]["rolling"].text(), "");
}

// The next plan was "blocked by" it, as if something were wrong.
TEST(ClusterLife, an_approval_of_another_plan_is_none_and_nothing_that_blocks) {
    World world;
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"},
                            "balance": {"mode": "Manual", "approve": "deadbeef"}})");
    world.settle();
    const Json shown = world.cluster()["status"]["rebalance"];
    EXPECT_EQ(shown["state"].text(), "AwaitingApproval") << world.journal_tail();
    EXPECT_EQ(shown["blockedBy"].text(), "");
    const std::string& hash = shown["planHash"].text();
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("kubectl millrace plan -n default main shows it and --approve " + hash));
    EXPECT_FALSE(world.kube->brokers().has_replicas(3));
}

// The plan went on as it was asked for, however the clients suffered.
TEST(ClusterLife, a_throttle_that_is_edited_while_replicas_move_holds_at_once) {
    World world;
    world.kube->brokers().knobs().move_ticks = 10;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    const auto is_moving = [&] {
        return world.cluster()["status"]["rebalance"]["moves"]["inFlight"].number() > 0;
    };
    for (int i = 0; i < 100 && !is_moving(); ++i) {
        world.last = world.round();
        world.kube->step();
    }
    ASSERT_TRUE(is_moving()) << world.journal_tail();
    world.apply_cluster(
        R"({"replicas": 4, "storage": {"size": "1Gi"}, "balance": {"throttle": "1Mi"}})");
    world.last = world.round();
    EXPECT_THAT(world.kube->brokers().journal(), Contains("ApplyPlan throttle 1048576"));
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.last = world.round();
    EXPECT_THAT(world.kube->brokers().journal(),
                Contains(fmt::format("ApplyPlan throttle {}", std::int64_t{1} << 50)));
    world.settle();
}

TEST(ClusterLife, a_broker_that_stays_away_is_repaired_and_gets_its_share_when_it_is_back) {
    World world;
    world.apply_cluster(
        R"({"replicas": 4, "storage": {"size": "1Gi"}, "balance": {"deadBrokerTimeout": "20s"}})");
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.kube->brokers().stop_broker(3);
    const auto pass = [&](int seconds) {
        for (int i = 0; i < seconds; ++i) {
            world.last = world.round();
            world.kube->step();
        }
    };
    pass(10);
    EXPECT_TRUE(world.kube->brokers().has_replicas(3)) << "it may come back yet";
    pass(30);
    EXPECT_FALSE(world.kube->brokers().has_replicas(3)) << world.journal_tail();
    world.kube->brokers().start_broker(3);
    world.settle();
    EXPECT_TRUE(world.kube->brokers().has_replicas(3)) << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "True");
}

TEST(ClusterLife, a_leaving_broker_whose_pod_is_lost_gets_another_while_it_holds_replicas) {
    World world;
    world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})");
    world.settle();
    world.kube->brokers().knobs().move_ticks = 20;
    world.kube->brokers().add_topic("orders", 10, 3, 2);
    world.apply_cluster(three_brokers);
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    world.kube->take_away(kube::pods, {"default", "main-4"});
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3 main-4");
    for (int i = 0; i < 150; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
}

TEST(ClusterLife, a_version_that_never_ran_is_forgotten_when_the_spec_names_none_again) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    world.kube->broken_pods["main-0"] = world.kube->broken_pods["main-1"] =
        world.kube->broken_pods["main-2"] = "no such image";
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "version": "9.9.9"})");
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["version"].text(), "1.0");
    world.kube->broken_pods.clear();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    for (const Json& pod : world.kube->all(kube::pods)) {
        EXPECT_EQ(pod["spec"]["containers"][0]["image"].text(), "millrace/millrace:1.0");
    }
}

// Nobody can be asked for a fresh look where nobody has started yet.
TEST(ClusterLife, a_mistake_at_the_creation_is_corrected_by_an_edit) {
    World world;
    world.kube->poison = "auto.create.topics.enable=true";
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "true"}})");
    for (int i = 0; i < 10; ++i) {
        world.last = world.round();
        world.kube->step();
    }
    EXPECT_THAT(world.cluster()["status"]["message"].text(), HasSubstr("poison is not a setting"));
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

// Nothing of the edit is carried out, and no lost pod was made anew meanwhile, nor was a roll gone
// on with.
TEST(ClusterLife, while_an_edit_is_refused_the_spec_of_before_goes_on) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"restart": "now"}})");
    for (int i = 0; i < 3; ++i) {
        world.last = world.round();
        world.kube->step();
    }
    world.apply_cluster(
        R"({"replicas": 5, "storage": {"size": "1Gi"}, "config": {"num.io.threads": "0"}})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2");
    world.kube->take_away(kube::pods, {"default", "main-1"});
    world.new_operator();
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2") << world.journal_tail();
    const Json cluster = world.cluster();
    EXPECT_EQ(cluster["status"]["ready"].integer(), 3) << world.journal_tail();
    EXPECT_EQ(cluster["status"]["phase"].text(), "Invalid");
    EXPECT_EQ(World::condition(cluster, "SpecValid"), "False");
    EXPECT_EQ(World::condition(cluster, "Ready"), "False");
    EXPECT_THAT(cluster["status"]["message"].text(), HasSubstr("num.io.threads"));
    for (const Json& pod : world.kube->all(kube::pods)) {
        EXPECT_EQ(pod["metadata"]["annotations"]["millrace.dev/restart"].text(), "now");
    }
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

TEST(ClusterLife, requests_that_brokers_need_are_not_forbidden) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"socket.request.max.bytes": "10"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "SpecValid"), "False");
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("too little for what brokers send each other: write 1048576 or more"));
}

// Their pods wait for settings of a revision that nobody writes any more; found by a walk of
// wandering_test.cc.
TEST(ClusterLife, a_spec_that_changes_before_settings_are_written_is_not_waited_for) {
    World world;
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "listeners": [{"name": "outside", "port": 9094, "type": "LoadBalancer"}]})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "False") << "no balancer has an address";
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

// As seed 11 of wandering_test.cc had it.
TEST(ClusterLife, controllers_that_never_came_hold_up_nobody_who_leaves) {
    World world;
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.settle();
    for (const char* name : {"main-1000", "main-1001", "main-1002"}) {
        world.kube->broken_pods[name] = "no such image";
    }
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "controllers": {"replicas": 3, "storage": {"size": "1Gi"}}})");
    world.settle();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
}

// As seed 48 had it: two voters, which can spare neither, and the third is to be restarted, too.
TEST(ClusterLife, who_is_awaited_as_a_voter_is_restarted_before_two_that_vote) {
    World world;
    world.kube->brokers().knobs().first_voters = 2;
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    for (int i = 0; i < 6; ++i) {
        world.last = world.round();
        world.kube->step();
    }
    world.apply_cluster(
        R"({"replicas": 4, "storage": {"size": "1Gi"}, "rolling": {"restart": "now"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "UpToDate"), "True") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(world.kube->second_disruptions(), 0);
}

TEST(ClusterLife, what_a_person_cordoned_stays_cordoned) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    millrace::admin::v1::CordonRequest request;
    request.add_broker_ids(2);
    ASSERT_TRUE(world.kube->brokers().Cordon(request));
    world.settle();
    EXPECT_THAT(world.kube->brokers().journal(), Not(Contains(HasSubstr("Uncordon"))));
}

TEST(ClusterLife, brokers_that_cant_move_replicas_make_the_status_say_so) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->brokers().add_topic("orders", 12, 3, 2);
    world.kube->brokers().fail_next("PlanRebalance", Code::unsupported, "not yet", 1000);
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
    EXPECT_EQ(World::condition(world.cluster(), "Balanced"), "Unknown");
}

TEST(ClusterLife, ids_of_no_broker_are_told_and_hold_up_nothing) {
    World world;
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "remove": [17],
                            "rolling": {"hold": [44, 1, 43]}})");
    world.settle();
    const std::string told =
        "spec.remove names 17, and there is no such broker; spec.rolling.hold names 43, 44, and "
        "there is no such broker";
    const Json cluster = world.cluster();
    EXPECT_THAT(cluster["status"]["conditions"].dump(), HasSubstr(told));
    EXPECT_EQ(cluster["status"]["message"].text(), "") << "who has left was named so, too";
    EXPECT_EQ(World::condition(cluster, "Ready"), "True");
    EXPECT_EQ(World::condition(cluster, "SpecValid"), "True");
}

TEST(ClusterLife, a_pool_named_brokers_keeps_those_that_replicas_made) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto uids = world.pod_uids();
    world.apply_cluster(R"({"pools": [
        {"name": "brokers", "replicas": 3, "storage": {"size": "1Gi"}},
        {"name": "large", "replicas": 1, "storage": {"size": "2Gi"}}]})");
    world.settle();
    EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3");
    for (const auto& [name, uid] : uids) {
        EXPECT_EQ(world.pod_uids().at(name), uid) << name;
    }
}

// A person was told to create what the operator was just making.
TEST(ClusterLife, settings_that_are_on_their_way_are_no_trouble_of_the_user) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->broken_pods["main-3"] = "configmap \"main-3-config-abc\" not found";
    world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
    world.settle();
    EXPECT_EQ(world.cluster()["status"]["message"].text(),
              "broker 3: its settings are on their way to it");
    for (const std::string& event : world.events.all) {
        EXPECT_EQ(event.find("BrokerTroubled"), std::string::npos) << event;
    }
    world.kube->broken_pods.clear();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

// A private registry gave the operator its image and the brokers none.
TEST(ClusterLife, brokers_are_pulled_and_run_as_the_install_says) {
    World world;
    world.apply_cluster(three_brokers);
    world.settle();
    const auto before = world.pod_uids();
    Json pod = world.kube->all(kube::pods).front();
    EXPECT_FALSE(pod["spec"].has("imagePullSecrets"));
    EXPECT_EQ(pod["spec"]["securityContext"]["runAsUser"].integer(), 10001);
    world.around.image_pull_secrets = {"one", "two"};
    world.around.platform_ids = true;
    world.new_operator();
    world.settle();
    EXPECT_EQ(world.pod_uids(), before) << "an install restarts nothing";
    world.kube->take_away(kube::pods, {"default", "main-1"});
    world.settle();
    pod = world.kube->find(kube::pods, {"default", "main-1"}).value_or(Json{});
    EXPECT_EQ(pod["spec"]["imagePullSecrets"].dump(), R"([{"name":"one"},{"name":"two"}])");
    EXPECT_FALSE(pod["spec"]["securityContext"].has("runAsUser"));
    EXPECT_FALSE(pod["spec"]["securityContext"].has("fsGroup"));
    EXPECT_TRUE(pod["spec"]["securityContext"]["runAsNonRoot"].boolean());
}

}  // namespace
}  // namespace millrace::reconcile
