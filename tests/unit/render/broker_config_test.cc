// The settings that a broker's pod gets.
#include "operator/render/broker_config.h"

#include <gtest/gtest.h>

#include "config/config.h"

namespace millrace::render {
namespace {

BrokerSettings three_of_one() {
    BrokerSettings settings;
    settings.cluster_id = "SettingsOfThreeBrokers";
    settings.id = 2;
    settings.roles.controller = true;
    settings.voters = {{1, "a-1.a.ns.svc"}, {2, "a-2.a.ns.svc"}, {3, "a-3.a.ns.svc"}};
    settings.host = "a-2.a.ns.svc";
    settings.listeners.resize(1);
    settings.listeners.front().name = "plain";
    settings.listeners.front().port = 9092;
    settings.volumes = {0};
    settings.admin_tls = true;
    return settings;
}

TEST(BrokerConfig, lets_brokers_know_each_other_by_certificates_where_the_cluster_says_tls) {
    BrokerSettings settings = three_of_one();
    settings.broker_tls = true;
    const api::Texts lines = settings_in(properties_text(settings));
    EXPECT_EQ(lines.at("listener.security.protocol.map"),
              "REPLICATION:SSL,CONTROLLER:SSL,PLAIN:PLAINTEXT");
    for (const std::string listener : {"replication", "controller"}) {
        const std::string prefix = "listener.name." + listener + ".ssl.";
        EXPECT_EQ(lines.at(prefix + "client.auth"), "required");
        EXPECT_EQ(lines.at(prefix + "keystore.location"), "/etc/millrace-tls/broker.pem");
        EXPECT_EQ(lines.at(prefix + "truststore.location"), "/etc/millrace-tls/ca.crt");
    }
}

TEST(BrokerConfig, leaves_the_brokers_in_plaintext_otherwise) {
    const api::Texts lines = settings_in(properties_text(three_of_one()));
    EXPECT_EQ(lines.at("listener.security.protocol.map"),
              "REPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT");
    EXPECT_FALSE(lines.contains("listener.name.replication.ssl.client.auth"));
}

TEST(BrokerConfig, what_the_operator_sets_is_refused_by_its_name) {
    for (const std::string name :
         {"advertised.listeners", "broker.id", "broker.rack", "cluster.id",
          "controller.listener.names", "controller.quorum.bootstrap.servers",
          "controller.quorum.voters", "inter.broker.listener.name",
          "listener.security.protocol.map", "listeners", "log.dir", "log.dirs", "metadata.log.dir",
          "millrace.admin.listener", "millrace.metrics.listener", "node.id", "process.roles",
          "security.inter.broker.protocol"}) {
        const auto problems = check_config({{name, "x"}});
        ASSERT_EQ(problems.size(), 1U) << name;
        EXPECT_EQ(problems.front().field, "spec.config[" + name + "]");
        EXPECT_NE(problems.front().message.find("the operator sets it"), std::string::npos);
    }
}

// The broker reads what is written here: with the listeners that its arguments add, it has no word
// against it.
TEST(BrokerConfig, is_what_a_broker_accepts) {
    BrokerSettings settings = three_of_one();
    settings.broker_tls = true;
    config::Source source;
    source.text = properties_text(settings) +
                  "listeners=REPLICATION://:9091,CONTROLLER://:9090,PLAIN://:9092\n";
    for (const config::Problem& problem : config::load(source).errors) {
        ADD_FAILURE() << problem.to_string();
    }
}

}  // namespace
}  // namespace millrace::render
