#include "app/internal/settings.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace millrace::app
