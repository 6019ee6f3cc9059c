#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/internal/log_names.h"
#include "storage/internal/text_files.h"

namespace millrace::storage {
namespace {

TopicPartition tp(const char* topic, int index) {
    return {topic, PartitionIndex{index}};
}

TEST(LogNames, pads_offsets_to_twenty_digits) {
    EXPECT_EQ(offset_name(Offset{42}, ".log"), "00000000000000000042.log");
    EXPECT_EQ(parse_offset_name("00000000000000000042.log", ".log"), Offset{42});
}

TEST(LogNames, takes_nothing_else_for_an_offset) {
    for (const auto* name : {"42.log", "0000000000000000004x.log", "00000000000000000042.logs",
                             "-0000000000000000042.log", "99999999999999999999.log", ".log", ""}) {
        EXPECT_EQ(parse_offset_name(name, ".log"), std::nullopt) << name;
    }
}

TEST(LogNames, parses_folders_of_partitions) {
    EXPECT_EQ(parse_log_folder_name("a-b.c-12"), (LogFolderName{tp("a-b.c", 12)}));
    const Uuid id{0x0123456789abcdef, 0xfedcba9876543210};
    for (const auto kind : {LogFolderKind::deleted, LogFolderKind::future, LogFolderKind::stray}) {
        const std::string name = log_folder_name(tp("orders", 3), kind, id);
        EXPECT_EQ(parse_log_folder_name(name), (LogFolderName{tp("orders", 3), kind})) << name;
    }
    EXPECT_EQ(log_folder_name(tp("orders", 3), LogFolderKind::deleted, id),
              "orders-3.0123456789abcdeffedcba9876543210-delete");
}

TEST(LogNames, a_topic_may_look_like_a_suffix) {
    EXPECT_EQ(parse_log_folder_name("x-delete-0"), (LogFolderName{tp("x-delete", 0)}));
    for (const auto* name : {"orders", "orders-", "-0", "orders-x", "a-delete"}) {
        EXPECT_EQ(parse_log_folder_name(name), std::nullopt) << name;
    }
}

TEST(LogNames, cuts_a_long_topic_so_that_the_folder_can_be_renamed) {
    const std::string name =
        log_folder_name(tp(std::string(249, 't').c_str(), 7), LogFolderKind::deleted, Uuid{1, 2});
    EXPECT_LE(name.size(), 255U);
    EXPECT_EQ(parse_log_folder_name(name)->kind, LogFolderKind::deleted);
}

TEST(TextFiles, an_offset_checkpoint_reads_back) {
    const OffsetMap offsets{{tp("a", 0), Offset{5}}, {tp("b-c", 12), Offset{0}}};
    EXPECT_EQ(print_offset_checkpoint(offsets), "0\n2\na 0 5\nb-c 12 0\n");
    EXPECT_EQ(*parse_offset_checkpoint(print_offset_checkpoint(offsets)), offsets);
    EXPECT_TRUE(parse_offset_checkpoint("0\n0\n")->empty());
}

TEST(TextFiles, a_damaged_checkpoint_is_refused) {
    for (const auto* text :
         {"", "1\n0\n", "0\n", "0\nx\n", "0\n2\na 0 5\n", "0\n1\na 0\n", "0\n1\na 0 -5\n",
          "0\n1\na x 5\n", "0\n2\na 0 5\na 0 6\n", "0\n1\na 0 5\nb 0 6\n"}) {
        const auto parsed = parse_offset_checkpoint(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code(), Code::corrupt);
    }
}

TEST(TextFiles, an_epoch_checkpoint_reads_back) {
    const std::vector<EpochStart> entries{{LeaderEpoch{0}, Offset{0}}, {LeaderEpoch{7}, Offset{9}}};
    EXPECT_EQ(print_epoch_checkpoint(entries), "0\n2\n0 0\n7 9\n");
    EXPECT_EQ(*parse_epoch_checkpoint("0\n2\n0 0\n7 9\n"), entries);
    EXPECT_FALSE(parse_epoch_checkpoint("0\n2\n0 0\n"));
}

TEST(TextFiles, partition_metadata_is_as_kafka_writes_it) {
    const auto id = Uuid::parse("Nxgq4GJGRt-IroFiJPIE_w");
    EXPECT_EQ(print_partition_metadata(*id), "version: 0\ntopic_id: Nxgq4GJGRt-IroFiJPIE_w");
    EXPECT_EQ(*parse_partition_metadata("version: 0\ntopic_id: Nxgq4GJGRt-IroFiJPIE_w"), *id);
    EXPECT_FALSE(parse_partition_metadata("version: 1\ntopic_id: Nxgq4GJGRt-IroFiJPIE_w"));
    EXPECT_FALSE(parse_partition_metadata("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"));
    EXPECT_FALSE(parse_partition_metadata("version: 0\nx"));
}

// Cut anywhere, with or without blanks behind: a power cut before the first sync. Anything else is
// damage.
TEST(TextFiles, partition_metadata_that_was_never_synced_is_told_from_damage) {
    const std::string whole = print_partition_metadata(Uuid{5, 6});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        std::string cut = whole.substr(0, size);
        EXPECT_TRUE(parse_partition_metadata(cut)->is_zero()) << size;
        cut.resize(whole.size());
        EXPECT_TRUE(parse_partition_metadata(cut)->is_zero()) << size;
    }
    std::string damaged = whole;
    damaged[3] = 'x';
    EXPECT_FALSE(parse_partition_metadata(damaged));
}

TEST(TextFiles, reads_the_properties_that_kafka_wrote) {
    const auto properties = parse_meta_properties(
        "#\n#Sat Nov 21 14:50:10 UTC 2026\nnode.id=1\ndirectory.id=iHTSpIgTjhlywnFR_XN-Rg\n"
        "version=1\ncluster.id=cGVlcmthZmthcGVlcmthZg\n");
    ASSERT_TRUE(properties) << properties.error().to_string();
    EXPECT_EQ(*properties,
              (MetaProperties{.cluster_id = "cGVlcmthZmthcGVlcmthZg",
                              .node = BrokerId{1},
                              .directory_id = *Uuid::parse("iHTSpIgTjhlywnFR_XN-Rg")}));
    EXPECT_EQ(*parse_meta_properties(print_meta_properties(*properties)), *properties);
}

TEST(TextFiles, properties_of_another_version_are_refused) {
    EXPECT_EQ(parse_meta_properties("version=0\nbroker.id=1\n").error().code(), Code::unsupported);
    EXPECT_EQ(parse_meta_properties("version=1\nnode.id=1\n").error().code(), Code::corrupt);
    EXPECT_EQ(parse_meta_properties("version=1\ncluster.id=x\nnode.id=one\n").error().code(),
              Code::corrupt);
}

TEST(TextFiles, the_clean_shutdown_mark_carries_the_broker_epoch) {
    EXPECT_EQ(print_clean_shutdown(BrokerEpoch{502}), R"({"version":0,"brokerEpoch":502})");
    EXPECT_EQ(parse_clean_shutdown(R"({"version":0,"brokerEpoch":502})"), BrokerEpoch{502});
    EXPECT_EQ(parse_clean_shutdown(""), std::nullopt);
    EXPECT_EQ(parse_clean_shutdown(R"({"brokerEpoch":"x"})"), std::nullopt);
}

}  // namespace
}  // namespace millrace::storage
