#include "app/internal/settings.h"

#include <gtest/gtest.h>

#include "app/internal/process.h"

namespace millrace::app {
namespace {

config::ListenerSpec listener(std::string name, std::string advertised_host) {
    config::ListenerSpec spec;
    spec.name = std::move(name);
    spec.port = 9093;
    spec.advertised_host = std::move(advertised_host);
    spec.advertised_port = 9093;
    return spec;
}

// listeners=PLAINTEXT://:9092,CONTROLLER://:9093 on machines that don't know each other's names.
TEST(Settings, a_controller_without_an_address_of_its_own_is_where_the_list_of_voters_has_it) {
    std::vector<config::ListenerSpec> listeners{listener("PLAINTEXT", ""),
                                                listener("CONTROLLER", "")};
    const auto voters = *raft::parse_voters("1@10.0.0.1:9193,2@10.0.0.2:9193", "CONTROLLER");
    advertise_as_listed(listeners, "CONTROLLER", voters, BrokerId{2});
    EXPECT_EQ(listeners[0].advertised_host, "");
    EXPECT_EQ(listeners[1].advertised_host, "10.0.0.2");
    EXPECT_EQ(listeners[1].advertised_port, 9193);
}

TEST(Settings, what_a_controller_says_of_itself_or_is_not_listed_for_stays) {
    std::vector<config::ListenerSpec> listeners{listener("CONTROLLER", "one.example.com"),
                                                listener("SECOND", "")};
    const auto voters = *raft::parse_voters("1@10.0.0.1:9193", "CONTROLLER");
    advertise_as_listed(listeners, "CONTROLLER", voters, BrokerId{1});
    EXPECT_EQ(listeners[0].advertised_host, "one.example.com");
    EXPECT_EQ(listeners[1].advertised_host, "");
    advertise_as_listed(listeners, "SECOND", voters, BrokerId{3});
    EXPECT_EQ(listeners[1].advertised_host, "");
}

const std::vector<raft::Endpoint> servers{
    {"10.0.0.1", 9093}, {"kafka-2", 9093}, {"10.0.0.3", 9093}};

std::string advertised(std::string said, std::string_view host_name, std::string_view own) {
    std::vector<config::ListenerSpec> listeners{listener("CONTROLLER", std::move(said))};
    advertise_as_reached(listeners, "CONTROLLER", servers, host_name,
                         [own](const std::string& host) { return host == own; });
    return listeners[0].advertised_host;
}

TEST(Settings, a_controller_without_an_address_of_its_own_is_the_bootstrap_server_that_leads_here) {
    EXPECT_EQ(advertised("", "machine-3", "10.0.0.3"), "10.0.0.3");
    EXPECT_EQ(advertised("", "machine-2", "kafka-2"), "kafka-2");
    EXPECT_EQ(advertised("", "kafka-2", "10.0.0.3"), "") << "it is named as it names itself";
    EXPECT_EQ(advertised("elsewhere", "machine-3", "10.0.0.3"), "elsewhere");
    EXPECT_EQ(advertised("", "machine-4", "10.0.0.4"), "");
}

TEST(Settings, another_port_of_this_machine_is_another_controller) {
    std::vector<config::ListenerSpec> listeners{listener("CONTROLLER", "")};
    advertise_as_reached(listeners, "CONTROLLER", {{"10.0.0.1", 9193}}, "machine-1",
                         [](const std::string&) { return true; });
    EXPECT_EQ(listeners[0].advertised_host, "");
}

TEST(Process, an_address_of_this_machine_is_its_own) {
    EXPECT_TRUE(is_own_host("127.0.0.1"));
    EXPECT_TRUE(is_own_host("localhost"));
    EXPECT_FALSE(is_own_host("192.0.2.1"));  // for documentation: nobody has it
    EXPECT_FALSE(is_own_host("no such name"));
}

config::BrokerConfig config_of(config::Entries entries) {
    config::Given given;
    given.entries = std::move(entries);
    return config::BrokerConfig(std::make_shared<const config::Given>(std::move(given)));
}

TEST(Settings, connections_are_bounded_in_all_by_address_and_by_listener) {
    const config::BrokerConfig config =
        config_of({{"max.connections", "500"},
                   {"max.connections.per.ip", "20"},
                   {"max.connections.per.ip.overrides", "10.0.0.1:50, [::1]:7"},
                   {"listener.name.outside.max.connections", "100"}});
    std::vector<config::ListenerSpec> listeners{listener("OUTSIDE", ""), listener("INSIDE", ""),
                                                listener("CONTROLLER", "")};
    listeners[1].inter_broker = true;
    listeners[2].controller = true;
    const net::ConnectionLimits expected{.in_all = 400,
                                         .per_address = 20,
                                         .of_address = {{"10.0.0.1", 50}, {"::1", 7}},
                                         .of_listener = {{"OUTSIDE", 100}},
                                         .spared_listener = "INSIDE"};
    EXPECT_EQ(connection_limits(config, listeners, 400), expected);
    EXPECT_EQ(controller_limits(config, 0), net::ConnectionLimits{.in_all = 500});
    // Alone, the brokers' listener is everybody's.
    EXPECT_EQ(connection_limits(config, {listeners[1], listeners[2]}, 0).spared_listener, "");
}

TEST(Settings, connections_that_may_come_in_a_second_are_bounded_in_all_and_by_listener) {
    std::vector<config::ListenerSpec> listeners{listener("OUTSIDE", ""), listener("INSIDE", "")};
    listeners[1].inter_broker = true;
    const quotas::ConnectionRates rates =
        connection_rates(config_of({{"max.connection.creation.rate", "50"},
                                    {"listener.name.outside.max.connection.creation.rate", "7"}}),
                         listeners);
    EXPECT_EQ(rates.in_all, 50);
    EXPECT_EQ(rates.of_listener.size(), 1u);
    EXPECT_EQ(rates.of_listener.at("OUTSIDE"), 7);
    EXPECT_EQ(rates.spared_listener, "INSIDE");
    EXPECT_FALSE(connection_rates(config_of({}), listeners).in_all);
}

TEST(Settings, a_name_has_the_limit_at_each_of_its_addresses_once_they_are_known) {
    const config::BrokerConfig config =
        config_of({{"max.connections.per.ip.overrides", "one.example.com:5,10.0.0.9:3"}});
    const auto limits = [&](const LimitedNames::Addresses& names) {
        return connection_limits(config, {}, 0, names).of_address;
    };
    using Named = net::ConnectionLimits::Named;
    EXPECT_EQ(limits({}), (Named{{"10.0.0.9", 3}}));
    EXPECT_EQ(limits({{"one.example.com", {"10.0.0.1", "::1"}}}),
              (Named{{"10.0.0.1", 5}, {"10.0.0.9", 3}, {"::1", 5}}));
}

// Kafka names the policies in capitals and takes them in any.
TEST(Settings, the_migration_policy_counts_in_any_case) {
    const auto policy = [](const char* text) {
        return group_settings(config_of({{"group.consumer.migration.policy", text}}).broker())
            .migration;
    };
    EXPECT_EQ(policy("DISABLED"), groups::MigrationPolicy::disabled);
    EXPECT_EQ(policy("Upgrade"), groups::MigrationPolicy::upgrade);
    EXPECT_EQ(policy("DOWNGRADE"), groups::MigrationPolicy::downgrade);
    EXPECT_EQ(policy("BIDIRECTIONAL"), groups::MigrationPolicy::bidirectional);
    EXPECT_EQ(policy("bidirectional"), groups::MigrationPolicy::bidirectional);
}

// "For ever" is the largest number of minutes; as nanoseconds it came round to a time before now,
// and every committed offset had expired.
// With the default of 128 MiB, on a machine that has an eighth of 256 MiB for compaction.
TEST(Settings, compaction_stays_within_its_part_of_the_memory) {
    const auto settings = [](config::Entries entries) {
        return cleaner_settings(config_of(std::move(entries)).broker(), 32 << 20);
    };
    EXPECT_EQ(settings({}).key_bytes, 32 << 20);
    EXPECT_EQ(settings({{"log.cleaner.dedupe.buffer.size", "9223372036854775807"}}).key_bytes,
              32 << 20);
    EXPECT_EQ(settings({{"log.cleaner.dedupe.buffer.size", "2097152"}}).key_bytes, 2 << 20);
}

TEST(Settings, what_is_kept_for_ever_does_not_expire_at_once) {
    const auto groups =
        group_settings(config_of({{"offsets.retention.minutes", "2147483647"},
                                  {"offsets.retention.check.interval.ms", "9223372036854775807"}})
                           .broker());
    EXPECT_GT(groups.offsets_retention, 90 * 365 * 24h);
    EXPECT_GT(groups.offsets_check_interval, 90 * 365 * 24h);
    EXPECT_EQ(group_settings(config_of({}).broker()).offsets_retention, 7 * 24h);
}

TEST(Settings, connections_that_may_be_idle_for_ever_are_not_closed_at_once) {
    for (const char* never : {"-1", "9223372036854775807"}) {
        EXPECT_GT(
            server_limits(config_of({{"connections.max.idle.ms", never}}).broker()).idle_deadline,
            90 * 365 * 24h);
    }
    EXPECT_EQ(server_limits(config_of({}).broker()).idle_deadline, 10min);
}

}  // namespace
}  // namespace millrace::app
