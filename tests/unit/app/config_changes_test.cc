// Whom a change of settings concerns.
#include "app/internal/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::app {
namespace {

using metadata::ConfigResourceType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr BrokerId this_broker{3};

std::optional<std::vector<std::string>> changed(const metadata::Image& before,
                                                const metadata::Image& after) {
    return only_topics_changed(metadata::Delta::between(before, after), after, this_broker);
}

TEST(ConfigChanges, of_topics_alone_name_the_topics) {
    metadata::Image after;
    after.configs.set({ConfigResourceType::topic, "a"}, "retention.ms", "1");
    after.configs.set({ConfigResourceType::topic, "b"}, "retention.ms", "1");
    EXPECT_THAT(changed({}, after), Optional(ElementsAre("a", "b")));
}

TEST(ConfigChanges, of_the_cluster_or_this_broker_may_be_any_topics) {
    for (const std::string name : {"", "3"}) {
        metadata::Image after;
        after.configs.set({ConfigResourceType::topic, "a"}, "retention.ms", "1");
        after.configs.set({ConfigResourceType::broker, name}, "log.retention.ms", "1");
        EXPECT_EQ(changed({}, after), std::nullopt) << "broker [" << name << "]";
    }
}

TEST(ConfigChanges, of_another_broker_are_none_here) {
    metadata::Image after;
    after.configs.set({ConfigResourceType::broker, "4"}, "log.retention.ms", "1");
    EXPECT_THAT(changed({}, after), Optional(IsEmpty()));
}

TEST(ConfigChanges, a_link_is_no_setting) {
    metadata::Image before;
    before.configs.set({ConfigResourceType::broker, ""}, "log.retention.ms", "1");
    metadata::Image after = before;
    after.configs.set({ConfigResourceType::broker, ""}, "millrace.mirror.link.east", "1:x");
    EXPECT_THAT(changed(before, after), Optional(IsEmpty()));
}

}  // namespace
}  // namespace millrace::app
