// A link's specification: what it takes, how names map, how it lies in the metadata.
#include "mirror/link.h"

#include <gtest/gtest.h>

#include "mirror/internal/link_views.h"

namespace millrace::mirror {
namespace {

LinkSpec spec() {
    LinkSpec spec;
    spec.name = "east-to-west";
    spec.bootstrap_servers = {"east:9092", "east2:9092"};
    spec.topics_include = {"orders.*", "users"};
    spec.topics_exclude = {"*.tmp"};
    return spec;
}

TEST(Link, comes_back_from_the_metadata_as_it_went_in) {
    Link link{"an-id", 7, "source-cluster", spec()};
    link.spec.sasl_mechanism = "SCRAM-SHA-512";
    link.spec.sasl_password = Secret("hush");
    link.spec.naming = Naming::prefix;
    link.spec.alias = "dc";
    link.spec.topic_states["orders.eu"] = Desired::paused;
    link.spec.bytes_per_second = 5'000'000'000;
    link.spec.on_gap = Reaction::halt;
    link.spec.credentials_version = "login/812";
    const std::string value = encode(link);
    EXPECT_TRUE(value.starts_with("7:"));
    const auto back = decode(value);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, link);
}

TEST(Link, refuses_an_entry_that_is_damaged) {
    const std::string value = encode({"an-id", 1, "", spec()});
    EXPECT_FALSE(decode(""));
    EXPECT_FALSE(decode("7"));
    EXPECT_FALSE(decode("x:abc"));
    EXPECT_FALSE(decode("7:!!"));
    EXPECT_FALSE(decode(value.substr(0, value.size() / 2)));
}

TEST(Link, takes_what_is_included_and_not_excluded_and_never_internal_topics) {
    LinkSpec all = spec();
    EXPECT_TRUE(all.takes_topic("orders.eu"));
    EXPECT_TRUE(all.takes_topic("users"));
    EXPECT_FALSE(all.takes_topic("users2"));
    EXPECT_FALSE(all.takes_topic("orders.tmp"));
    all.topics_include = {"*"};
    EXPECT_FALSE(all.takes_topic("__consumer_offsets"));
    EXPECT_FALSE(all.takes_topic("mm2-offset-syncs.internal"));
    EXPECT_FALSE(all.takes_topic("heartbeats"));
}

TEST(Link, maps_names_both_ways_with_a_prefix_and_never_takes_its_own_back) {
    LinkSpec prefixed = spec();
    prefixed.topics_include = {"*"};
    prefixed.naming = Naming::prefix;
    prefixed.alias = "east";
    EXPECT_EQ(prefixed.mirror_name("orders"), "east.orders");
    EXPECT_EQ(prefixed.source_name("east.orders"), "orders");
    EXPECT_EQ(prefixed.source_name("west.orders"), std::nullopt);
    EXPECT_FALSE(prefixed.takes_topic("east.orders"));
}

TEST(Link, matches_globs_and_not_expressions) {
    EXPECT_TRUE(matches_glob("*", ""));
    EXPECT_TRUE(matches_glob("a*c", "abbc"));
    EXPECT_TRUE(matches_glob("a?c", "abc"));
    EXPECT_TRUE(matches_glob("*.eu.*", "orders.eu.1"));
    EXPECT_FALSE(matches_glob("a?c", "ac"));
    EXPECT_FALSE(matches_glob("orders.*", "ordersXeu"));
    EXPECT_FALSE(matches_glob("", "a"));
}

TEST(Link, says_what_is_wrong_with_a_specification) {
    EXPECT_TRUE(check(spec()));
    LinkSpec nameless = spec();
    nameless.name = "a b";
    EXPECT_FALSE(check(nameless));
    LinkSpec sourceless = spec();
    sourceless.bootstrap_servers.clear();
    EXPECT_FALSE(check(sourceless));
    LinkSpec without_alias = spec();
    without_alias.naming = Naming::prefix;
    EXPECT_FALSE(check(without_alias));
    LinkSpec mechanism = spec();
    mechanism.sasl_mechanism = "GSSAPI";
    EXPECT_FALSE(check(mechanism));
}

TEST(Link, an_entry_from_before_a_field_was_added_is_read) {
    Link link{"an-id", 7, "source-cluster", spec()};
    std::string value = encode(link);
    value.pop_back();  // the last field, empty, is one byte
    const auto back = decode(value);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->spec.topics_include, link.spec.topics_include);
}

TEST(Link, wishes_of_one_topic_come_before_the_links) {
    LinkSpec one = spec();
    one.topic_states["users"] = Desired::promoted;
    EXPECT_EQ(one.desired("users"), Desired::promoted);
    EXPECT_EQ(one.desired("orders.eu"), Desired::mirroring);
}

TEST(Link, a_mirror_that_is_not_taken_any_more_stays_as_it_is_unless_it_is_named) {
    LinkSpec one = spec();
    one.topics_include = {"orders.*"};
    one.topics_exclude = {"orders.eu"};
    one.state = Desired::promoted;
    EXPECT_EQ(one.desired("orders.us"), Desired::promoted);
    for (const std::string left_out : {"orders.eu", "users"}) {
        EXPECT_TRUE(one.leaves_out(left_out));
        EXPECT_EQ(one.desired(left_out), Desired::paused);
        one.topic_states[left_out] = Desired::promoted;
        EXPECT_FALSE(one.leaves_out(left_out));
        EXPECT_EQ(one.desired(left_out), Desired::promoted);
    }
}

// The runner's own connection may be of before the password was changed.
TEST(LinkView, credentials_are_as_good_as_the_broker_finds_them_that_likes_them_least) {
    PartitionView accepted{.partition = {"orders", PartitionIndex{0}}};
    PartitionView refused{.partition = {"orders", PartitionIndex{1}}, .is_refused = true};
    EXPECT_TRUE(whole_view({}, spec(), metadata::Image{}, {accepted}).credentials_valid);
    EXPECT_FALSE(whole_view({}, spec(), metadata::Image{}, {accepted, refused}).credentials_valid);
}

}  // namespace
}  // namespace millrace::mirror
