// What records do to an image: snapshots, transactions, differences, and records that don't fit.
#include "metadata/delta.h"
#include "metadata/snapshot.h"
#include "protocol/messages/abort_transaction_record.h"
#include "protocol/messages/begin_transaction_record.h"
#include "protocol/messages/broker_registration_change_record.h"
#include "protocol/messages/end_transaction_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/no_op_record.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/producer_ids_record.h"
#include "protocol/messages/remove_access_control_entry_record.h"
#include "protocol/messages/remove_topic_record.h"
#include "protocol/messages/topic_record.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

Image replay_all(const RecordList& records) {
    Delta delta{Image{}};
    for (std::size_t i = 0; i < records.size(); ++i) {
        const auto done = delta.replay(records[i], Offset{0});
        EXPECT_TRUE(done.has_value()) << done.error().to_string();
    }
    return delta.after();
}

template <typename Record>
Result<void> replay(const Image& image, const Record& record, std::int16_t version = 0) {
    RecordList one;
    one.add(record, version);
    Delta delta(image);
    return delta.replay(one[0], Offset{42});
}

protocol::TopicRecord topic_record(std::string_view name, const Uuid& id) {
    protocol::TopicRecord record;
    record.name = name;
    record.topic_id = id;
    return record;
}

TEST(Snapshot, replayed_gives_the_image_again) {
    World world;
    for (const int id : {1, 2, 3}) {
        world.bring_up(id, "rack");
    }
    world.create("a", {{1, 2, 3}, {2, 3, 1}}, {{"retention.ms", "5"}});
    world.fence(2);
    EXPECT_TRUE(same_content(replay_all(image_to_records(world.image)), world.image));
}

TEST(Snapshot, comes_in_slices_of_the_wanted_size) {
    World world;
    world.bring_up(1);
    world.create("a", {{1}, {1}, {1}, {1}, {1}}, {{"retention.ms", "5"}, {"segment.ms", "6"}});
    ImageWriter writer(world.image);
    RecordList all;
    while (true) {
        const RecordList slice = writer.next(4);
        if (slice.empty()) {
            break;
        }
        EXPECT_LE(slice.size(), 4U);
        all.append(slice);
    }
    EXPECT_TRUE(same_content(replay_all(all), world.image));
}

TEST(Snapshot, begins_with_the_metadata_version) {
    World world;
    EXPECT_THAT(describe_record(image_to_records(world.image)[0]), HasSubstr("metadata.version"));
}

TEST(Replay, refuses_records_that_dont_fit_with_the_facts) {  // case 44
    World world;
    world.bring_up(1);
    const Uuid id = world.create("t", {{1}});
    protocol::PartitionRecord orphan;
    orphan.topic_id = Uuid{6, 6};
    orphan.partition_id = 0;
    const auto refused = replay(world.image, orphan, 2);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message(), HasSubstr("offset 42"));
    EXPECT_THAT(refused.error().message(), HasSubstr(Uuid{6, 6}.to_string()));

    EXPECT_FALSE(replay(world.image, topic_record("t", Uuid{1, 1})).has_value());
    EXPECT_FALSE(replay(world.image, topic_record("u", id)).has_value());
    protocol::RemoveTopicRecord remove;
    remove.topic_id = Uuid{6, 6};
    EXPECT_FALSE(replay(world.image, remove).has_value());
    protocol::PartitionChangeRecord change;
    change.topic_id = id;
    change.partition_id = 1;
    EXPECT_FALSE(replay(world.image, change, 2).has_value());
    protocol::BrokerRegistrationChangeRecord broker;
    broker.broker_id = 1;
    broker.broker_epoch = 0;
    EXPECT_FALSE(replay(world.image, broker, 3).has_value());
    broker.broker_id = 2;
    EXPECT_FALSE(replay(world.image, broker, 3).has_value());
    protocol::FeatureLevelRecord version;
    version.name = "metadata.version";
    version.feature_level = 99;
    EXPECT_FALSE(replay(world.image, version).has_value());
    EXPECT_FALSE(replay(world.image, protocol::RemoveAccessControlEntryRecord{}).has_value());
    EXPECT_FALSE(replay(world.image, protocol::EndTransactionRecord{}).has_value());
    EXPECT_TRUE(replay(world.image, protocol::NoOpRecord{}).has_value());
}

TEST(Replay, refuses_bytes_that_are_no_record) {
    const auto refused = [](std::initializer_list<int> raw) {
        Buffer bytes;
        for (const int byte : raw) {
            bytes.push_back(static_cast<std::byte>(byte));
        }
        Delta delta{Image{}};
        const auto done = delta.replay(bytes, Offset{0});
        EXPECT_FALSE(done.has_value());
        return done.has_value() ? Code::again : done.error().code();
    };
    EXPECT_EQ(refused({}), Code::corrupt);
    EXPECT_EQ(refused({1}), Code::corrupt);
    EXPECT_EQ(refused({0, 20, 0, 0}), Code::unsupported);  // frame version 0
    EXPECT_EQ(refused({1, 99, 0, 0}), Code::unsupported);  // unknown kind
    EXPECT_EQ(refused({1, 20, 1, 0}), Code::unsupported);  // unknown version of NoOpRecord
    EXPECT_EQ(refused({1, 20, 0}), Code::corrupt);         // cut short
    EXPECT_EQ(refused({1, 20, 0, 0, 0}), Code::corrupt);   // a byte too many
}

TEST(Replay, never_lets_producer_ids_go_back) {
    Image image;
    image.next_producer_id = 100;
    protocol::ProducerIdsRecord record;
    record.next_producer_id = 100;
    EXPECT_FALSE(replay(image, record).has_value());
    record.next_producer_id = 101;
    EXPECT_TRUE(replay(image, record).has_value());
}

TEST(Replay, of_an_aborted_transaction_leaves_nothing) {
    Delta delta{Image{}};
    RecordList records;
    records.add(topic_record("before", Uuid{1, 1}), 0);
    records.add(protocol::BeginTransactionRecord{}, 0);
    records.add(topic_record("inside", Uuid{2, 2}), 0);
    for (std::size_t i = 0; i < records.size(); ++i) {
        ASSERT_TRUE(delta.replay(records[i], Offset{0}).has_value());
    }
    EXPECT_TRUE(delta.in_transaction());
    RecordList abort;
    abort.add(protocol::AbortTransactionRecord{}, 0);
    ASSERT_TRUE(delta.replay(abort[0], Offset{0}).has_value());
    EXPECT_FALSE(delta.in_transaction());
    EXPECT_NE(delta.after().topics.find("before"), nullptr);
    EXPECT_EQ(delta.after().topics.find("inside"), nullptr);
    EXPECT_THAT(delta.changes().topics_created, SizeIs(1));
}

TEST(Replay, of_a_topic_made_and_removed_in_one_go_changes_nothing) {
    Delta delta{Image{}};
    RecordList records;
    records.add(topic_record("t", Uuid{1, 1}), 0);
    protocol::PartitionRecord partition;
    partition.topic_id = Uuid{1, 1};
    partition.partition_id = 0;
    partition.replicas = partition.isr = {1};
    partition.directories = {directory_of(1)};
    partition.leader = 1;
    records.add(partition, 2);
    protocol::RemoveTopicRecord remove;
    remove.topic_id = Uuid{1, 1};
    records.add(remove, 0);
    for (std::size_t i = 0; i < records.size(); ++i) {
        ASSERT_TRUE(delta.replay(records[i], Offset{0}).has_value());
    }
    EXPECT_TRUE(delta.is_empty());
}

TEST(Replay, of_records_from_before_directories_calls_them_migrating) {
    Delta delta{Image{}};
    RecordList records;
    records.add(topic_record("t", Uuid{1, 1}), 0);
    protocol::PartitionRecord partition;
    partition.topic_id = Uuid{1, 1};
    partition.partition_id = 0;
    partition.replicas = partition.isr = {1, 2};
    partition.leader = 1;
    records.add(partition, 0);
    for (std::size_t i = 0; i < records.size(); ++i) {
        ASSERT_TRUE(delta.replay(records[i], Offset{0}).has_value());
    }
    const Partition* made = delta.after().topics.partition({Uuid{1, 1}, PartitionIndex{0}});
    EXPECT_EQ(made->directory_of(b(2)), migrating_directory);
}

TEST(Difference, of_two_images_names_what_a_log_between_them_would_have) {
    World world;
    world.bring_up(1);
    world.bring_up(2);
    const Uuid kept = world.create("kept", {{1, 2}, {1, 2}});
    const Uuid gone = world.create("gone", {{1}});
    const Image before = world.image;
    protocol::RemoveTopicRecord remove;
    remove.topic_id = gone;
    Decision<NoAnswer> removal(world.context());
    removal.draft.add(remove, 0);
    world.apply(std::move(removal));
    const Uuid fresh = world.create("fresh", {{2}}, {{"retention.ms", "1"}});
    world.propose_isr(kept, {1}, 1);
    world.fence(2);

    // Through a snapshot, so that nothing is shared.
    const Delta delta = Delta::between(before, replay_all(image_to_records(world.image)));
    const Delta::Changes& changes = delta.changes();
    EXPECT_THAT(changes.topics_created, ::testing::ElementsAre(fresh));
    ASSERT_THAT(changes.topics_deleted, SizeIs(1));
    EXPECT_EQ(changes.topics_deleted.begin()->second, "gone");
    EXPECT_TRUE(changes.partitions.contains({kept, PartitionIndex{1}}));
    EXPECT_TRUE(changes.partitions.contains({fresh, PartitionIndex{0}}));
    EXPECT_FALSE(changes.partitions.contains({gone, PartitionIndex{0}}));
    EXPECT_THAT(changes.brokers, ::testing::ElementsAre(b(2)));
    EXPECT_THAT(changes.configs, SizeIs(1));
    EXPECT_TRUE(changes.features.empty());
    EXPECT_TRUE(Delta::between(before, before).is_empty());
}

TEST(Index, follows_a_difference_as_it_follows_a_log) {
    World world;
    world.bring_up(1);
    world.bring_up(2);
    const Uuid gone = world.create("a.b", {{1, 2}});
    const Image before = world.image;
    ControllerIndex index = ControllerIndex::of(before);
    protocol::RemoveTopicRecord remove;
    remove.topic_id = gone;
    Decision<NoAnswer> removal(world.context());
    removal.draft.add(remove, 0);
    world.apply(std::move(removal));
    world.create("a_b", {{2, 1}});
    index.apply(Delta::between(before, world.image));
    EXPECT_TRUE(index == ControllerIndex::of(world.image));
}

}  // namespace
}  // namespace millrace::metadata::testing
