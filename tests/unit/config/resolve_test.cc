// Which of several places a value comes from, and which changes are taken.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/alter.h"
#include "config/overlay.h"

namespace millrace::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<const Given> given(Entries entries) {
    Source source;
    for (const auto& [name, value] : entries) {
        source.command_line.push_back(name + "=" + value);
    }
    Loaded loaded = load(source);
    EXPECT_THAT(loaded.errors, IsEmpty());
    return loaded.given;
}

BrokerConfig config_of(Entries given_entries, Entries cluster = {}, Entries broker = {}) {
    return BrokerConfig{given(std::move(given_entries)), std::move(cluster), std::move(broker)};
}

TEST(BrokerConfig, takes_the_strongest_source) {
    const BrokerConfig config =
        config_of({{"log.segment.bytes", "2000000"}}, {{"log.segment.bytes", "3000000"}},
                  {{"log.segment.bytes", "4000000"}});
    EXPECT_EQ(config.broker().get(broker_option::log_segment_bytes), 4'000'000);
    EXPECT_EQ(config.topic_defaults().get(topic_option::segment_bytes), 4'000'000);
    EXPECT_EQ(config.topic({{"segment.bytes", "5000000"}}).get(topic_option::segment_bytes),
              5'000'000);
}

TEST(BrokerConfig, turns_hours_and_minutes_into_milliseconds) {
    EXPECT_EQ(config_of({}).topic_defaults().get(topic_option::retention_ms), 604'800'000);
    EXPECT_EQ(
        config_of({{"log.retention.hours", "1"}}).topic_defaults().get(topic_option::retention_ms),
        3'600'000);
    EXPECT_EQ(config_of({{"log.retention.hours", "1"}, {"log.retention.minutes", "2"}})
                  .topic_defaults()
                  .get(topic_option::retention_ms),
              120'000);
    EXPECT_EQ(config_of({{"log.retention.hours", "1"}}, {{"log.retention.ms", "5"}})
                  .topic_defaults()
                  .get(topic_option::retention_ms),
              5);
    EXPECT_EQ(
        config_of({{"log.retention.hours", "-1"}}).topic_defaults().get(topic_option::retention_ms),
        -1);
}

TEST(BrokerConfig, passes_over_a_recorded_value_that_this_version_does_not_take) {
    const BrokerConfig config =
        config_of({{"log.segment.bytes", "2000000"}}, {{"log.segment.bytes", "tiny"}});
    EXPECT_EQ(config.broker().get(broker_option::log_segment_bytes), 2'000'000);
    EXPECT_EQ(config.topic({{"retention.ms", "x"}}).get(topic_option::retention_ms), 604'800'000);
}

TEST(BrokerConfig, does_not_let_records_change_what_needs_a_restart) {
    const BrokerConfig config = config_of({}, {{"num.partitions", "7"}});
    EXPECT_EQ(config.broker().get(broker_option::num_partitions), 1);
}

TEST(BrokerConfig, gives_a_listener_its_own_settings_over_the_plain_ones) {
    const BrokerConfig config =
        config_of({{"max.connections", "100"}, {"listener.name.outside.max.connections", "10"}}, {},
                  {{"listener.name.outside.ssl.cipher.suites", "A,B"}});
    EXPECT_EQ(config.broker_for_listener("OUTSIDE").get(broker_option::max_connections), 10);
    EXPECT_EQ(config.broker_for_listener("inside").get(broker_option::max_connections), 100);
    EXPECT_THAT(config.broker_for_listener("outside").get(broker_option::ssl_cipher_suites),
                ElementsAre("A", "B"));
    EXPECT_EQ(config.other("listener.name.outside.max.connections"), "10");
    EXPECT_EQ(config.other("listener.name.inside.max.connections"), std::nullopt);
}

TEST(BrokerConfig, hands_durability_from_the_broker_to_its_topics) {
    EXPECT_EQ(config_of({}).topic_defaults().get(topic_option::millrace_durability), "synced");
    const BrokerConfig config = config_of({}, {{"millrace.durability", "replicated"}});
    EXPECT_EQ(config.topic_defaults().get(topic_option::millrace_durability), "replicated");
    EXPECT_EQ(
        config.topic({{"millrace.durability", "synced"}}).get(topic_option::millrace_durability),
        "synced");
}

// librdkafka writes every described topic setting back, and knows no null.
TEST(BrokerConfig, describes_no_topic_setting_without_a_value) {
    for (const Described& one : config_of({}).describe_topic({})) {
        EXPECT_TRUE(one.value.has_value()) << one.name;
    }
    const auto mirrored = config_of({}).describe_topic({{"millrace.mirror.link", "west"}});
    EXPECT_TRUE(std::any_of(mirrored.begin(), mirrored.end(), [](const Described& one) {
        return one.name == "millrace.mirror.link" && one.value == "west";
    }));
}

TEST(BrokerConfig, describes_no_secret) {
    const BrokerConfig config = config_of({{"ssl.key.password", "hunter2"}});
    for (const Described& one : config.describe_broker()) {
        if (one.name == "ssl.key.password") {
            EXPECT_TRUE(one.sensitive);
            EXPECT_EQ(one.value, std::nullopt);
            EXPECT_EQ(one.synonyms.at(0).value, std::nullopt);
        }
    }
}

std::string message_of(const Altered& altered) {
    const auto* refusal = std::get_if<Refusal>(&altered);
    return refusal == nullptr ? "" : refusal->message;
}

std::vector<Change> changes_of(const Altered& altered) {
    EXPECT_EQ(message_of(altered), "");
    const auto* changes = std::get_if<std::vector<Change>>(&altered);
    return changes == nullptr ? std::vector<Change>{} : *changes;
}

TEST(Alter, records_only_what_is_different) {
    const Entries current = {{"retention.ms", "5"}, {"segment.bytes", "2000000"}};
    EXPECT_THAT(changes_of(alter(Resource::topic, current,
                                 {{"retention.ms", AlterOp::set, "5"},
                                  {"segment.bytes", AlterOp::remove, std::nullopt},
                                  {"flush.ms", AlterOp::remove, std::nullopt},
                                  {"cleanup.policy", AlterOp::append, "compact"}},
                                 config_of({}))),
                ElementsAre(Change{"cleanup.policy", "delete,compact"},
                            Change{"segment.bytes", std::nullopt}));
}

TEST(Alter, keeps_a_fence_until_the_last_who_wants_it_lets_go) {
    const Entries both = {{"millrace.fenced", "true"}, {"millrace.fenced.by", "east,west"}};
    const auto lets_go = [](const Entries& current, const char* who) {
        return changes_of(alter(Resource::topic, current,
                                {{"millrace.fenced.by", AlterOp::subtract, who}}, config_of({})));
    };
    EXPECT_THAT(lets_go(both, "east"), ElementsAre(Change{"millrace.fenced.by", "west"}));
    const Entries one = {{"millrace.fenced", "true"}, {"millrace.fenced.by", "west"}};
    EXPECT_THAT(lets_go(one, "east"), ElementsAre());
    EXPECT_THAT(lets_go(one, "west"), ElementsAre(Change{"millrace.fenced", std::nullopt},
                                                  Change{"millrace.fenced.by", std::nullopt}));
    const Entries by_hand = {{"millrace.fenced", "true"}};
    EXPECT_THAT(lets_go(by_hand, "west"), ElementsAre());
}

TEST(Alter, forgets_who_wanted_a_fence_that_is_taken_away_by_hand) {
    const Entries both = {{"millrace.fenced", "true"}, {"millrace.fenced.by", "east,west"}};
    for (const Alteration& asked : {Alteration{"millrace.fenced", AlterOp::remove, std::nullopt},
                                    Alteration{"millrace.fenced", AlterOp::set, "false"}}) {
        const auto changes = changes_of(alter(Resource::topic, both, {asked}, config_of({})));
        EXPECT_THAT(changes, testing::Contains(Change{"millrace.fenced.by", std::nullopt}));
    }
}

TEST(Alter, appends_an_empty_item_where_nothing_is_named_and_none_for_commas_alone) {
    EXPECT_FALSE(message_of(alter(Resource::topic, {}, {{"cleanup.policy", AlterOp::append, ""}},
                                  config_of({})))
                     .empty());
    const Entries current = {{"cleanup.policy", "compact"}};
    EXPECT_THAT(changes_of(alter(Resource::topic, current,
                                 {{"cleanup.policy", AlterOp::append, ","}}, config_of({}))),
                ElementsAre());
}

TEST(Alter, takes_nothing_when_one_is_wrong_and_says_which) {
    EXPECT_THAT(message_of(alter(
                    Resource::topic, {},
                    {{"retention.ms", AlterOp::set, "5"}, {"segment.bytes", AlterOp::set, "5"}},
                    config_of({}))),
                "segment.bytes=5 is not 1048576 or more");
    EXPECT_THAT(
        message_of(alter(Resource::topic, {},
                         {{"retention.ms", AlterOp::set, "5"}, {"retention.ms", AlterOp::set, "6"}},
                         config_of({}))),
        HasSubstr("named twice"));
    EXPECT_THAT(message_of(alter(Resource::topic, {},
                                 {{"retention.ms", AlterOp::set, std::nullopt}}, config_of({}))),
                HasSubstr("without a value"));
}

TEST(Alter, leaves_what_a_mirror_link_wrote_to_the_link) {
    const Entries current = {{"millrace.mirror.link", "x"}, {"retention.ms", "5"}};
    EXPECT_THAT(
        message_of(alter(Resource::topic, current,
                         {{"millrace.mirror.link", AlterOp::remove, std::nullopt}}, config_of({}))),
        HasSubstr("kept by a mirror link"));
    EXPECT_THAT(changes_of(replace(Resource::topic, current, {}, config_of({}))),
                ElementsAre(Change{"retention.ms", std::nullopt}));
}

TEST(Alter, takes_back_what_was_shown_of_a_link) {
    const Entries current = {{"millrace.mirror.link", "x"}};
    Entries wanted;
    for (const Described& one : config_of({}).describe_topic(current)) {
        wanted[one.name] = one.value.value_or("");
    }
    ASSERT_EQ(wanted.at("millrace.mirror.link"), "x");
    ASSERT_EQ(wanted.at("millrace.mirror.losses"), "");
    std::vector<Alteration> asked;
    for (const auto& [name, value] : wanted) {
        asked.push_back({name, AlterOp::set, value});
    }
    for (const Altered& altered : {replace(Resource::topic, current, wanted, config_of({})),
                                   alter(Resource::topic, current, asked, config_of({}))}) {
        for (const Change& change : changes_of(altered)) {
            EXPECT_THAT(change.name, Not(HasSubstr("millrace.mirror.")));
        }
    }
    wanted["millrace.mirror.link"] = "y";
    EXPECT_THAT(message_of(replace(Resource::topic, current, wanted, config_of({}))),
                HasSubstr("kept by a mirror link"));
}

TEST(Alter, holds_settings_against_each_other_but_not_against_what_was_there) {
    const BrokerConfig config = config_of({});
    EXPECT_THAT(message_of(alter(Resource::topic, {{"min.compaction.lag.ms", "9"}},
                                 {{"max.compaction.lag.ms", AlterOp::set, "8"}}, config)),
                HasSubstr("min.compaction.lag.ms is 9, more than the 8"));
    const Entries bad = {{"min.compaction.lag.ms", "9"}, {"max.compaction.lag.ms", "8"}};
    EXPECT_THAT(changes_of(alter(Resource::topic, bad, {{"flush.ms", AlterOp::set, "1"}}, config)),
                ElementsAre(Change{"flush.ms", "1"}));
    EXPECT_THAT(message_of(alter(Resource::topic, {},
                                 {{"max.message.bytes", AlterOp::set, "20000000"}}, config)),
                HasSubstr("socket.request.max.bytes"));
}

// Kafka: CONSUMER_SESSION_TIMEOUT_MS must be greater.
TEST(Alter, wants_members_heard_more_often_than_they_may_be_silent) {
    const BrokerConfig config = config_of({{"group.consumer.min.session.timeout.ms", "5000"},
                                           {"group.consumer.session.timeout.ms", "5000"},
                                           {"group.consumer.min.heartbeat.interval.ms", "100"},
                                           {"group.consumer.heartbeat.interval.ms", "1000"}});
    for (const char* interval : {"5000", "6000"}) {
        EXPECT_THAT(
            message_of(alter(Resource::group, {},
                             {{"consumer.heartbeat.interval.ms", AlterOp::set, interval}}, config)),
            HasSubstr("not less than the 5000 of consumer.session.timeout.ms"));
    }
    EXPECT_EQ(message_of(alter(Resource::group, {},
                               {{"consumer.heartbeat.interval.ms", AlterOp::set, "4999"}}, config)),
              "");
}

TEST(Alter, refuses_what_is_not_offered_with_the_reason) {
    EXPECT_THAT(message_of(alter(Resource::topic, {},
                                 {{"remote.storage.enable", AlterOp::set, "true"}}, config_of({}))),
                HasSubstr("tiered storage needs a Java plugin"));
}

TEST(Alter, shows_no_secret_in_its_refusal) {
    const BrokerConfig config = config_of({});
    const Altered altered = alter(Resource::cluster_default, {},
                                  {{"ssl.key.password", AlterOp::set, "hunter2"}}, config);
    EXPECT_THAT(message_of(altered), testing::Not(HasSubstr("hunter2")));
}

TEST(Alter, checks_a_new_topic_as_a_whole) {
    EXPECT_THAT(changes_of(check_new_topic({{"retention.ms", "5"}}, config_of({}))),
                ElementsAre(Change{"retention.ms", "5"}));
    EXPECT_THAT(message_of(check_new_topic({{"retention.mss", "5"}}, config_of({}))),
                HasSubstr("did you mean retention.ms?"));
}

TEST(Overlay, keeps_entries_by_resource_and_shares_them_between_copies) {
    const ResourceName orders{ResourceType::topic, "orders"};
    const ResourceName cluster{ResourceType::broker, ""};
    Overlay overlay;
    overlay.apply(orders, "retention.ms", "5");
    overlay.apply(orders, "flush.ms", "6");
    overlay.apply(cluster, "log.segment.bytes", "2000000");
    const Overlay before = overlay;
    overlay.apply(orders, "retention.ms", std::nullopt);
    EXPECT_THAT(overlay.entries(orders), ElementsAre(std::pair{"flush.ms", "6"}));
    EXPECT_EQ(before.entries(orders).size(), 2u);
    EXPECT_EQ(&before.entries(cluster), &overlay.entries(cluster));
    EXPECT_THAT(overlay.resources(ResourceType::topic), ElementsAre(orders));
    overlay.apply(orders, "flush.ms", std::nullopt);
    EXPECT_THAT(overlay.resources(ResourceType::topic), IsEmpty());
    overlay.erase(cluster);
    EXPECT_THAT(overlay.entries(cluster), IsEmpty());
}

}  // namespace
}  // namespace millrace::config
