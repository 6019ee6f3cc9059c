// What the controller changes for a mirror link, and for nobody else.
#include "metadata/link_mark.h"

#include <array>

#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

const protocol::UnknownTag mark{.tag = link_tag, .data = {}};

struct LinkMark : ::testing::Test {
    LinkMark() {
        world.bring_up(1);
        world.bring_up(2);
    }

    KafkaError set(std::int8_t type, std::string_view resource_name, std::string_view key,
                   std::string_view value, bool by_link) {
        protocol::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = type;
        resource.resource_name = resource_name;
        if (by_link) {
            resource.unknown_tags.push_back(mark);
        }
        auto& config = resource.configs.emplace_back();
        config.name = key;
        config.value = value;
        const auto answer = world.apply(incremental_alter_configs(*world.borrow(), request));
        return static_cast<KafkaError>(answer.responses.at(0).error_code);
    }

    KafkaError raise(const Uuid& topic, std::vector<int> isr, std::int32_t to) {
        std::array<std::byte, 4> bytes;
        store_big_endian(bytes.data(), to);
        auto request = world.proposal(topic, std::move(isr));
        request.topics[0].partitions[0].unknown_tags.push_back(
            {.tag = link_tag, .data = ByteView(bytes)});
        return world.propose(request);
    }

    World world;
};

TEST_F(LinkMark, only_a_link_sets_what_links_keep) {
    world.create("t", {{1}});
    EXPECT_EQ(set(2, "t", "millrace.mirror.state", "mirroring", false),
              KafkaError::invalid_request);
    EXPECT_EQ(set(2, "t", "millrace.mirror.state", "mirroring", true), KafkaError::none);
    EXPECT_EQ(set(4, "", "millrace.mirror.link.east", "1:x", false), KafkaError::invalid_request);
    EXPECT_EQ(set(4, "", "millrace.mirror.link.east", "1:x", true), KafkaError::none);
}

TEST_F(LinkMark, of_two_changes_of_a_link_at_once_the_second_is_refused) {
    EXPECT_EQ(set(4, "", "millrace.mirror.link.east", "1:a", true), KafkaError::none);
    EXPECT_EQ(set(4, "", "millrace.mirror.link.east", "2:b", true), KafkaError::none);
    EXPECT_EQ(set(4, "", "millrace.mirror.link.east", "2:c", true), KafkaError::invalid_request);
    EXPECT_EQ(set(4, "", "millrace.mirror.link.west", "2:c", true), KafkaError::invalid_request);
}

TEST_F(LinkMark, a_topic_is_created_as_a_mirror_in_one_step) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "m";
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    topic.configs.push_back({.name = "millrace.mirror.state", .value = "mirroring"});
    auto answer = world.apply(create_topics(*world.borrow(), request, {}));
    EXPECT_NE(answer.topics.at(0).error_code, 0);
    topic.unknown_tags.push_back(mark);
    answer = world.apply(create_topics(*world.borrow(), request, {}));
    EXPECT_EQ(answer.topics.at(0).error_code, 0);
    EXPECT_EQ(*world.image.configs.find({ConfigResourceType::topic, "m"}, "millrace.mirror.state"),
              "mirroring");
}

TEST_F(LinkMark, a_mirrors_leader_epoch_is_raised_and_all_else_stays) {
    const Uuid topic = world.create("m", {{1, 2}});
    ASSERT_EQ(set(2, "m", "millrace.mirror.link", "an-id", true), KafkaError::none);
    EXPECT_EQ(raise(topic, {1, 2}, 70), KafkaError::none);
    EXPECT_EQ(world.partition(topic).leader_epoch, LeaderEpoch{70});
    EXPECT_EQ(world.partition(topic).leader, b(1));
    EXPECT_THAT(world.partition(topic).isr, ::testing::ElementsAre(b(1), b(2)));
    // Once more: it is there already.
    EXPECT_EQ(raise(topic, {1, 2}, 70), KafkaError::none);
    EXPECT_EQ(world.partition(topic).leader_epoch, LeaderEpoch{70});
}

// What its source lacks could never be taken back.
TEST_F(LinkMark, only_a_link_adds_partitions_to_a_mirror_until_it_is_promoted) {
    const Uuid id = world.create("m", {{1}});
    const auto grow = [&](std::int32_t count, bool by_link) {
        protocol::CreatePartitionsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = "m";
        topic.count = count;
        topic.assignments = std::nullopt;
        if (by_link) {
            topic.unknown_tags.push_back(mark);
        }
        const auto answer = world.apply(create_partitions(*world.borrow(), request));
        return static_cast<KafkaError>(answer.results.at(0).error_code);
    };
    ASSERT_EQ(set(2, "m", "millrace.mirror.state", "mirroring", true), KafkaError::none);
    EXPECT_EQ(grow(2, false), KafkaError::policy_violation);
    EXPECT_EQ(grow(2, true), KafkaError::none);
    ASSERT_EQ(set(2, "m", "millrace.mirror.state", "promoted", true), KafkaError::none);
    EXPECT_EQ(grow(3, false), KafkaError::none);
    EXPECT_EQ(world.image.topics.find(id)->partitions.size(), 3U);
}

TEST_F(LinkMark, only_a_mirrors_epoch_is_raised) {
    const Uuid topic = world.create("t", {{1, 2}});
    EXPECT_EQ(raise(topic, {1, 2}, 70), KafkaError::invalid_request);
    EXPECT_EQ(world.partition(topic).leader_epoch, LeaderEpoch{0});
}

}  // namespace
}  // namespace millrace::metadata::testing
