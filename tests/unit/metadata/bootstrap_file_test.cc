// A cluster that `kafka-storage format` has prepared begins as it was asked for. The file in
// tests/vectors is Kafka's own.

#include "metadata/bootstrap_file.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

#include "metadata/features.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::HasSubstr;

std::string formatted_by_kafka() {
    std::ifstream file{MILLRACE_SOURCE_DIR "/tests/vectors/storage/bootstrap.checkpoint",
                       std::ios::binary};
    return {std::istreambuf_iterator<char>(file), {}};
}

// format --release-version 4.0 --feature group.version=0: no level that it leaves out is a default.
TEST(BootstrapFile, names_the_level_of_every_feature) {
    const std::string file = formatted_by_kafka();
    const auto levels = bootstrap_file_features(as_bytes(file));
    ASSERT_TRUE(levels.has_value()) << levels.error().to_string();
    EXPECT_EQ(levels->at(std::string(feature::metadata_version)), 25);  // 4.0-IV3
    EXPECT_EQ(levels->at(std::string(feature::group_version)), 0);
    EXPECT_EQ(levels->at(std::string(feature::transaction_version)), 2);
    EXPECT_EQ(levels->at(std::string(feature::eligible_leader_replicas)), 0);
    EXPECT_EQ(levels->at(std::string(feature::share_version)), 0);
}

TEST(BootstrapFile, a_cluster_begins_with_these_levels) {
    const std::string file = formatted_by_kafka();
    const World world{1, bootstrap_file_features(as_bytes(file)).value()};
    EXPECT_EQ(world.image.metadata_version().name(), "4.0-IV3");
    EXPECT_EQ(world.image.feature_level(feature::group_version), 0);
    EXPECT_EQ(world.image.feature_level(feature::transaction_version), 2);
}

TEST(BootstrapFile, is_refused_when_a_byte_is_wrong) {
    std::string file = formatted_by_kafka();
    file[file.size() / 2] = static_cast<char>(file[file.size() / 2] ^ 1);
    EXPECT_FALSE(bootstrap_file_features(as_bytes(file)).has_value());
}

TEST(BootstrapFile, is_refused_when_it_is_cut) {
    const std::string file = formatted_by_kafka();
    EXPECT_FALSE(
        bootstrap_file_features(as_bytes(std::string_view(file).substr(0, file.size() - 1)))
            .has_value());
}

TEST(BootstrapFile, is_refused_without_a_metadata_version) {
    const auto levels = bootstrap_file_features({});
    ASSERT_FALSE(levels.has_value());
    EXPECT_THAT(levels.error().message(), HasSubstr("no metadata.version"));
}

}  // namespace
}  // namespace millrace::metadata::testing
