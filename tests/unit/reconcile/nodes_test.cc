// What only the node knows that a broker runs on: its rack, before Kubernetes 1.35, and the address
// that clients outside reach it by.
#include <gmock/gmock.h>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::HasSubstr;

const char* const outside =
    R"({"replicas": 3, "storage": {"size": "1Gi"}, "listeners": [
        {"name": "inside", "port": 9092}, {"name": "nodes", "port": 9094, "type": "NodePort"}]})";

class Nodes : public testing::Test {
protected:
    Nodes() {
        for (const char* zone : {"a", "b", "c"}) {
            put_node(zone, zone, fmt::format("10.0.0.{}", 1 + zone[0] - 'a'));
        }
        world.reads_nodes = true;
        world.kube->copies_labels = false;
        world.new_operator();
    }
    void put_node(const std::string& name, const std::string& zone, const std::string& address) {
        Json node = Json(Json::Object{});
        node["metadata"]["name"] = "node-" + name;
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone;
        node["status"]["addresses"] =
            Json::array({Json::object({{"type", "InternalIP"}, {"address", address}})});
        world.kube->put(kube::nodes, std::move(node));
    }
    std::string setting(int broker, const std::string& name) const {
        const auto pod = world.kube->find(kube::pods, {"default", fmt::format("main-{}", broker)});
        return pod ? world.kube->setting_of(*pod, name) : "";
    }
    std::string node_port(int broker) const {
        const auto service =
            world.kube->find(kube::services, {"default", fmt::format("main-{}-nodes", broker)});
        return service ? std::to_string((*service)["spec"]["ports"][0]["nodePort"].integer()) : "";
    }

    World world;
};

TEST_F(Nodes, give_brokers_their_rack_where_their_pods_have_no_label) {
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(world.cluster()["status"]["summary"]["racks"].text(), "a,b,c");
    EXPECT_EQ(setting(1, "broker.rack"), "b");
    const auto health = world.kube->brokers().health();
    for (const auto& broker : health.brokers()) {
        EXPECT_EQ(broker.rack(), std::string(1, static_cast<char>('a' + broker.id())));
    }
    EXPECT_EQ(World::condition(world.cluster(), "RackPlacement"), "True");
}

TEST_F(Nodes, are_not_asked_where_pods_say_it_themselves) {
    world.kube->copies_labels = true;
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(setting(1, "broker.rack"), "");
    EXPECT_EQ(world.cluster()["status"]["summary"]["racks"].text(), "a,b,c");
}

TEST_F(Nodes, a_broker_that_comes_to_another_node_never_starts_with_the_rack_of_its_last) {
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->shift_nodes = 1;
    world.kube->take_away(kube::pods, {"default", "main-0"});
    world.kube->step();
    world.settle();
    EXPECT_EQ(setting(0, "broker.rack"), "b") << world.journal_tail();
    const auto& journal = world.kube->journal();
    const auto removed = std::find_if(journal.begin(), journal.end(), [](const auto& line) {
        return line.find("remove configmaps main-0") != std::string::npos;
    });
    ASSERT_NE(removed, journal.end()) << world.journal_tail();
    EXPECT_NE(std::find(removed, journal.end(), "create pods main-0"), journal.end())
        << "the pod is made after its old settings are gone";
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST_F(Nodes, unread_leave_racks_unknown_and_the_condition_says_why) {
    world.reads_nodes = false;
    world.new_operator();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "RackPlacement"), "False");
}

std::string why_racks(const World& world) {
    const Json object = world.cluster();
    for (const Json& one : object["status"]["conditions"].items()) {
        if (one["type"].text() == "RackPlacement") {
            return fmt::format("{} {}: {}", one["status"].text(), one["reason"].text(),
                               one["message"].text());
        }
    }
    return "";
}

TEST_F(Nodes, the_racks_condition_tells_a_missing_pod_a_missing_node_and_a_missing_label_apart) {
    world.apply_cluster(R"({"replicas": 1, "storage": {"size": "1Gi", "class": "nowhere"}})");
    world.kube->missing_classes = {"nowhere"};
    ASSERT_TRUE(world.round());
    EXPECT_EQ(why_racks(world),
              "Unknown RackNotYetKnown: broker 0 has no pod yet: that tells its rack");
    world.settle();
    EXPECT_EQ(why_racks(world),
              "Unknown RackNotYetKnown: broker 0 has no node yet: that tells its rack");
    world.kube->missing_classes.clear();
    world.kube->take_away(kube::nodes, {"", "node-a"});
    world.settle();
    EXPECT_EQ(why_racks(world),
              "Unknown RackNotYetKnown: broker 0 is on node node-a, which isn't known yet");
    put_node("a", "", "10.0.0.1");
    world.settle();
    EXPECT_EQ(why_racks(world),
              "False RackUnknown: broker 0 has no rack: its node node-a has no label "
              "topology.kubernetes.io/zone");
}

TEST_F(Nodes, the_racks_condition_says_whether_the_operator_or_the_pool_lacks_them) {
    world.reads_nodes = false;
    world.new_operator();
    world.apply_cluster(three_brokers);
    world.settle();
    EXPECT_THAT(why_racks(world),
                HasSubstr("its pod has no label topology.kubernetes.io/zone (before Kubernetes "
                          "1.35, install the operator with rbac.readNodes=true)"));
    world.apply_cluster(R"({"rack": {"source": "Pool"},
        "pools": [{"name": "brokers", "replicas": 3, "storage": {"size": "1Gi"}}]})");
    world.settle();
    EXPECT_THAT(why_racks(world), HasSubstr("spec.rack.source is Pool and pool brokers has none; "
                                            "write spec.pools[].rack"));
}

TEST_F(Nodes, a_listener_on_them_is_advertised_by_each_brokers_own) {
    world.apply_cluster(outside);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    for (int broker = 0; broker < 3; ++broker) {
        EXPECT_THAT(setting(broker, "advertised.listeners"),
                    HasSubstr(fmt::format("NODES://10.0.0.{}:{}", broker + 1, node_port(broker))));
    }
    const Json cluster = world.cluster();
    for (const Json& one : cluster["status"]["listeners"].items()) {
        if (one["name"].text() == "nodes") {
            EXPECT_EQ(one["addresses"].size(), 3U);
            EXPECT_EQ(one["bootstrap"].text(),
                      fmt::format("10.0.0.1:{},10.0.0.2:{},10.0.0.3:{}", node_port(0), node_port(1),
                                  node_port(2)));
        }
    }
}

// Brokers read what they are to tell clients when they start.
TEST_F(Nodes, an_advertised_address_that_is_edited_is_told_by_every_broker) {
    const auto told = [](const std::string& advertised) {
        return R"({"replicas": 3, "storage": {"size": "1Gi"}, "listeners": [{"name": "out",
            "port": 9094, "type": "ClusterIP", "advertised": )" +
               advertised + "}]}";
    };
    world.apply_cluster(told(R"({"host": "b-{id}.one.example"})"));
    world.settle();
    for (const char* advertised :
         {R"({"host": "b-{id}.two.example"})", R"({"host": "b-{id}.two.example", "port": 443})"}) {
        const auto before = world.pod_uids();
        world.apply_cluster(told(advertised));
        world.settle();
        for (const auto& [name, uid] : world.pod_uids()) {
            EXPECT_NE(uid, before.at(name)) << name << " " << advertised;
        }
    }
    EXPECT_THAT(setting(2, "advertised.listeners"), HasSubstr("OUT://b-2.two.example:443"));
}

TEST_F(Nodes, an_external_address_goes_before_an_internal_one) {
    Json node = *world.kube->find(kube::nodes, {"", "node-a"});
    node["status"]["addresses"].push_back(
        Json::object({{"type", "ExternalIP"}, {"address", "198.51.100.7"}}));
    world.kube->take_away(kube::nodes, {"", "node-a"});
    world.kube->put(kube::nodes, std::move(node));
    world.apply_cluster(outside);
    world.settle();
    EXPECT_THAT(setting(0, "advertised.listeners"), HasSubstr("NODES://198.51.100.7:"))
        << world.journal_tail();
}

TEST_F(Nodes, a_broker_that_comes_to_another_node_is_advertised_by_that) {
    world.kube->copies_labels = true;
    world.apply_cluster(outside);
    world.settle();
    world.kube->shift_nodes = 1;
    world.kube->take_away(kube::pods, {"default", "main-0"});
    world.kube->step();
    world.settle();
    EXPECT_THAT(setting(0, "advertised.listeners"), HasSubstr("NODES://10.0.0.2:"))
        << world.journal_tail();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

TEST_F(Nodes, unread_a_listener_on_them_is_told_to_wait) {
    world.reads_nodes = false;
    world.new_operator();
    world.apply_cluster(outside);
    world.settle();
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("install it with rbac.readNodes=true"));
}

}  // namespace
}  // namespace millrace::reconcile
