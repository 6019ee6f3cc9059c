// Killed after any write, refused, or looking at an old world: the operator comes to the same end.
#include <gmock/gmock.h>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

struct Story {
    const char* name;
    std::function<void(World&)> begin;   ///< Settled afterwards.
    std::function<void(World&)> change;  ///< What the operator is interrupted in.
};

const char* const rolled =
    R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})";

std::vector<Story> stories() {
    return {
        {"create", [](World&) {}, [](World& world) { world.apply_cluster(three_brokers); }},
        {"roll",
         [](World& world) {
             world.apply_cluster(three_brokers);
             world.settle();
             world.kube->brokers().add_topic("orders", 6, 3, 2);
         },
         [](World& world) { world.apply_cluster(rolled); }},
        {"scale_out",
         [](World& world) {
             world.apply_cluster(three_brokers);
             world.settle();
             world.kube->brokers().add_topic("orders", 6, 3, 2);
         },
         [](World& world) {
             world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})");
         }},
        {"more_voters",
         [](World& world) {
             world.kube->brokers().knobs().first_voters = 1;
             world.apply_cluster(R"({"replicas": 1, "storage": {"size": "1Gi"}})");
         },
         [](World& world) { world.apply_cluster(three_brokers); }},
        {"a_voter_leaves",
         [](World& world) {
             world.apply_cluster(R"({"replicas": 4, "storage": {"size": "1Gi"}})");
             world.settle();
             world.kube->brokers().add_topic("orders", 6, 3, 2);
         },
         [](World& world) {
             world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"}, "remove": [1]})");
         }},
        {"scale_in",
         [](World& world) {
             world.apply_cluster(
                 R"({"replicas": 5, "storage": {"size": "1Gi", "retention": {"whenScaled": "Delete"}}})");
             world.settle();
             world.kube->brokers().add_topic("orders", 6, 3, 2);
         },
         [](World& world) {
             world.apply_cluster(
                 R"({"replicas": 3, "storage": {"size": "1Gi", "retention": {"whenScaled": "Delete"}}})");
         }},
    };
}

/// What must be the same however it was reached; uids, versions and times are not.
std::string essence(const World& world) {
    std::string text = world.pod_names() + "\n";
    for (const kube::Kind& kind : {kube::claims, kube::services, kube::config_maps}) {
        for (const Json& object : world.kube->all(kind)) {
            text += std::string(kind.plural) + " " + object["metadata"]["name"].text() + " " +
                    object["spec"].dump() + object["data"].dump() + "\n";
        }
    }
    const Json cluster = world.cluster();
    for (Json broker : cluster["status"]["brokers"].items()) {
        broker.erase("since");
        text += broker.dump() + "\n";
    }
    text += cluster["status"]["phase"].text() + World::condition(cluster, "Ready");
    return text;
}

class Convergence : public testing::TestWithParam<Story> {};

TEST_P(Convergence, is_the_same_after_a_death_at_every_write) {
    World undisturbed;
    GetParam().begin(undisturbed);
    undisturbed.settle();
    const int before = undisturbed.kube->writes();
    GetParam().change(undisturbed);
    undisturbed.settle();
    const int writes = undisturbed.kube->writes() - before;
    ASSERT_GT(writes, 3);
    for (int death = 1; death <= writes; ++death) {
        World world;
        GetParam().begin(world);
        world.settle();
        GetParam().change(world);
        world.kube->die_after(death);
        world.settle();
        ASSERT_EQ(essence(world), essence(undisturbed)) << "killed after write " << death;
        ASSERT_EQ(world.kube->second_disruptions(), 0) << "killed after write " << death;
    }
}

TEST_P(Convergence, is_the_same_when_calls_are_refused) {
    World undisturbed;
    GetParam().begin(undisturbed);
    undisturbed.settle();
    GetParam().change(undisturbed);
    undisturbed.settle();
    // Each verb meets two kinds of refusal; together they meet all.
    const std::vector<std::pair<const char*, Code>> refusals = {
        {"apply", Code::fenced},   {"apply", Code::unavailable}, {"create", Code::busy},
        {"create", Code::exists},  {"remove", Code::fenced},     {"remove", Code::unavailable},
        {"status", Code::busy},    {"status", Code::fenced},     {"list", Code::closed},
        {"get", Code::unavailable}};
    for (const auto& [verb, code] : refusals) {
        World world;
        GetParam().begin(world);
        world.settle();
        GetParam().change(world);
        world.kube->refuse(verb, code, 3);
        world.settle();
        ASSERT_EQ(essence(world), essence(undisturbed)) << verb << " " << to_string(code);
    }
}

TEST_P(Convergence, disrupts_nobody_twice_while_its_caches_stand_still) {
    World world;
    GetParam().begin(world);
    world.settle();
    GetParam().change(world);
    for (int i = 0; i < 6; ++i) {
        const bool held = world.round().has_value();
        (void)held;  // An old cache makes calls fail; that is the point.
        world.kube->step();
    }
    world.kube->freeze(kube::pods);
    for (int i = 0; i < 20; ++i) {
        const bool held = world.round().has_value();
        (void)held;
        world.kube->step();
    }
    EXPECT_EQ(world.kube->second_disruptions(), 0);
    world.kube->thaw();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True");
}

INSTANTIATE_TEST_SUITE_P(Stories, Convergence, testing::ValuesIn(stories()),
                         [](const auto& story) { return story.param.name; });

}  // namespace
}  // namespace millrace::reconcile
