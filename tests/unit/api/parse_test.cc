#include <gtest/gtest.h>

#include "operator/api/cluster.h"
#include "operator/api/mirror_link.h"
#include "operator/api/topic.h"
#include "tests/unit/api/fixture.h"

namespace millrace::api {
namespace {

using namespace std::chrono_literals;

Json json(std::string_view text) {
    auto parsed = Json::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Json();
}

std::string refusal(std::string_view spec) {
    const auto parsed = parse_cluster_spec(json(spec));
    return parsed ? "" : parsed.error().message();
}

TEST(ParseCluster, a_minimal_cluster_has_defaults) {
    const auto spec = parse_cluster_spec(json(R"({"replicas": 3, "storage": {"size": "100Gi"}})"));
    ASSERT_TRUE(spec) << spec.error().message();
    EXPECT_EQ(spec->replicas, 3);
    EXPECT_EQ(spec->rack.topology_key, "topology.kubernetes.io/zone");
    EXPECT_EQ(spec->rolling.max_unavailable_per_rack, 1);
    EXPECT_EQ(spec->balance.dead_broker_timeout, Span(10min));
    EXPECT_EQ(spec->balance.mode, BalanceMode::on_scale);
    ASSERT_EQ(all_pools(*spec).size(), 1U);
    EXPECT_EQ(all_pools(*spec)[0].name, "brokers");
    EXPECT_EQ(all_volumes(all_pools(*spec)[0].storage)[0].size.value(), std::int64_t{100} << 30);
    ASSERT_EQ(all_listeners(*spec).size(), 1U);
    EXPECT_EQ(all_listeners(*spec)[0].port, 9092);
}

TEST(ParseCluster, every_wrong_field_is_named_with_what_to_write) {
    const std::string said = refusal(R"({"replicas": "three", "storage": {"size": "lots"},
        "rack": {"spread": "Sometimes"}, "balance": {"deadBrokerTimeout": "ages"},
        "paused": "yes", "config": [1]})");
    EXPECT_EQ(
        said,
        R"(spec.replicas: "three" is no whole number; write a whole number from 1 to 1000; )"
        R"(spec.storage.size: "lots" is no quantity; write for example 100Gi; )"
        R"(spec.rack.spread: "Sometimes" is not one of the choices; write Required, Preferred or Off; )"
        R"(spec.config: [1] is no map; write names and values indented below it; )"
        R"(spec.balance.deadBrokerTimeout: "ages" is no span of time; write for example 30s, 5m or 1h30m; )"
        R"(spec.paused: "yes" is neither true nor false; write true or false, without quotes)");
}

TEST(ParseCluster, names_the_place_in_a_list) {
    EXPECT_EQ(refusal(R"({"replicas": 1, "storage": {"size": "1Gi"},
                          "listeners": [{"name": "a", "port": 9092}, {"name": "b"}]})"),
              "spec.listeners[1].port: is missing; write for example 9092");
    EXPECT_EQ(refusal(R"({"replicas": 1, "storage": {"size": "1Gi"},
                          "listeners": [{"name": "a", "port": 9092}, {"name": "a", "port": 9094}]})"),
              "spec.listeners[1]: \"a\" is there twice; remove one of them");
}

TEST(ParseCluster, pools_take_over_what_they_do_not_say) {
    const auto spec = parse_cluster_spec(json(R"({"resources": {"requests": {"cpu": 2}},
        "pools": [{"name": "a", "replicas": 2, "storage": {"size": "1Gi"}},
                  {"name": "b", "replicas": 3, "storage": {"size": "1Gi"},
                   "resources": {"requests": {"cpu": "500m"}}}]})"));
    ASSERT_TRUE(spec) << spec.error().message();
    const std::vector<PoolSpec> pools = all_pools(*spec);
    EXPECT_EQ(total_replicas(*spec), 5);
    EXPECT_EQ(pools[0].resources->requests.at("cpu").milli_value(), 2000);
    EXPECT_EQ(pools[1].resources->requests.at("cpu").milli_value(), 500);
}

TEST(ParseCluster, what_is_written_reads_as_the_same_spec) {
    for (const Json& object : read_manifests(source_dir / "deploy/examples/racks.yaml")) {
        const auto spec = parse_cluster_spec(object["spec"]);
        ASSERT_TRUE(spec) << spec.error().message();
        const auto again = parse_cluster_spec(to_json(*spec));
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_EQ(*again, *spec);
    }
}

TEST(ParseCluster, a_status_survives_the_round_trip) {
    ClusterStatus status;
    status.observed_generation = 4;
    status.replicas = 3;
    status.ready_replicas = 2;
    status.brokers = {{.id = 7,
                       .pool = "brokers",
                       .rack = "a",
                       .pod = "main-7",
                       .ready = true,
                       .updated = true,
                       .state = BrokerState::running,
                       .recovery_percent = 40,
                       .waiting_for = ""}};
    status.rolling = RollingStatus{
        .reason = "revision", .done = 1, .total = 3, .current = {7}, .waiting_for = "broker 7"};
    status.rebalance = RebalanceStatus{};
    status.rebalance->state = RebalanceState::moving;
    status.rebalance->bytes = {.total = 200, .done = 84};
    status.rebalance->eta = Span(90s);
    status.listeners = {{.name = "plain",
                         .type = ListenerType::internal,
                         .bootstrap = "127.0.0.1:9092",
                         .addresses = {}}};
    set_condition(status.conditions, {.type = "Ready", .status = "True"}, "2026-01-01T00:00:00Z");
    fill_summary(status, 3);
    EXPECT_EQ(status.summary.ready, "2/3");
    EXPECT_EQ(status.summary.rolling, "1/3");
    EXPECT_EQ(status.summary.moving, "42%");
    EXPECT_EQ(status.summary.bootstrap, "127.0.0.1:9092");
    const auto again = parse_cluster_status(to_json(status));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(*again, status);
}

TEST(ParseCluster, what_an_older_operator_left_in_status_does_not_hide_the_spec) {
    const auto cluster = parse_cluster(json(R"({"metadata": {"name": "main"},
        "spec": {"replicas": 1, "storage": {"size": "1Gi"}}, "status": {"replicas": "many"}})"));
    ASSERT_TRUE(cluster) << cluster.error().message();
    EXPECT_EQ(cluster->status, ClusterStatus{});
}

TEST(ParseTopic, takes_the_objects_name_unless_another_is_given) {
    auto topic = parse_topic(
        json(R"({"metadata": {"name": "orders"}, "spec": {"clusterRef": {"name": "main"}}})"));
    ASSERT_TRUE(topic) << topic.error().message();
    EXPECT_EQ(topic_name(*topic), "orders");
    EXPECT_EQ(topic->spec.deletion_policy, ReclaimPolicy::retain);
    topic->spec.name = "orders.eu";
    EXPECT_EQ(topic_name(*topic), "orders.eu");
}

TEST(ParseMirrorLink, has_the_defaults_of_the_design) {
    const auto link = parse_mirror_link_spec(json(R"({"clusterRef": {"name": "west"},
        "source": {"bootstrapServers": ["kafka-1:9092"]}, "topics": {"include": ["orders.*"]},
        "limits": {"connectionsPerBroker": 4}})"));
    ASSERT_TRUE(link) << link.error().message();
    EXPECT_EQ(link->state, LinkState::mirroring);
    EXPECT_EQ(link->promotion, LinkPromotion::planned);
    EXPECT_EQ(link->groups.include, std::vector<std::string>{"*"});
    EXPECT_EQ(link->limits.connections_per_broker, "4");
    EXPECT_EQ(link->max_lag, Span(30s));
    EXPECT_EQ(link->on_delete, OnLinkDelete::keep_read_only);
}

TEST(Values, quantities_compare_by_value_and_print_as_written) {
    EXPECT_EQ(Quantity::parse("1Gi")->value(), 1073741824);
    EXPECT_EQ(*Quantity::parse("1024Mi"), *Quantity::parse("1Gi"));
    EXPECT_EQ(Quantity::parse("1024Mi")->text(), "1024Mi");
    EXPECT_EQ(Quantity::parse("250m")->value(), 1);
    EXPECT_EQ(Quantity::parse("1.5k")->value(), 1500);
    EXPECT_EQ(Quantity::of_bytes(std::int64_t{10} << 30).text(), "10Gi");
    for (const char* wrong : {"", "Gi", "1Gib", "-1", "1e3", ".5", "5.", "1 Gi", "99999999Pi"}) {
        EXPECT_FALSE(Quantity::parse(wrong)) << wrong;
    }
}

TEST(Values, spans_add_up_and_print_shortest) {
    EXPECT_EQ(Span::parse("1h30m")->length, 90min);
    EXPECT_EQ(Span::parse("100ms")->length, 100ms);
    EXPECT_EQ(Span::parse("90m")->to_string(), "1h30m");
    EXPECT_EQ(Span::parse("365d")->to_string(), "365d");
    for (const char* wrong : {"", "5", "5 s", "s", "-5s", "99999999999999999999s", "100000000d"}) {
        EXPECT_FALSE(Span::parse(wrong)) << wrong;
    }
}

TEST(Values, a_conditions_time_moves_with_its_status_only) {
    std::vector<Condition> conditions;
    set_condition(conditions, {.type = "Ready", .status = "False", .reason = "Wait"}, "t1");
    set_condition(conditions, {.type = "Ready", .status = "False", .reason = "Other"}, "t2");
    EXPECT_EQ(conditions[0].last_transition_time, "t1");
    EXPECT_EQ(conditions[0].reason, "Other");
    set_condition(conditions, {.type = "Ready", .status = "True"}, "t3");
    EXPECT_EQ(find_condition(conditions, "Ready")->last_transition_time, "t3");
    EXPECT_EQ(conditions.size(), 1U);
}

}  // namespace
}  // namespace millrace::api
