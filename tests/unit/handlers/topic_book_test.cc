// What the brokers' work goes by, topic by topic.
#include "handlers/topic_book.h"

#include <gtest/gtest.h>

namespace millrace::handlers {
namespace {

using metadata::ConfigResourceType;

class Book : public testing::Test {
protected:
    void set(const std::string& topic, const std::string& name, const std::string& value) {
        configs.set({ConfigResourceType::topic, topic}, name, value);
    }
    std::shared_ptr<const TopicBook> open() const {
        return std::make_shared<const TopicBook>(
            std::make_shared<const config::BrokerConfig>(std::make_shared<const config::Given>()),
            configs);
    }
    metadata::Configs configs;
};

TEST_F(Book, a_fence_keeps_clients_out_wherever_they_are_met) {
    set("a", "millrace.fenced", "true");
    const auto rules = open()->rules("a");
    EXPECT_TRUE(rules->fenced);
    EXPECT_TRUE(rules->replication.fenced);
    EXPECT_FALSE(open()->rules("b")->replication.fenced);
}

TEST_F(Book, after_a_change_only_what_changed_is_worked_out_anew) {
    const auto before = open();
    const auto a = before->rules("a");
    const auto b = before->rules("b");
    set("b", "millrace.fenced", "true");
    const auto after = before->after(configs, {"b"}, 2);
    EXPECT_EQ(after->rules("a"), a);
    EXPECT_TRUE(after->rules("b")->fenced);
    EXPECT_FALSE(b->fenced) << "who holds the old rules keeps them";
}

// What it copies again and again would never go: what the source has compacted no fetch tells.
TEST_F(Book, a_mirror_compacts_by_itself_and_deletes_with_its_source) {
    set("a", "cleanup.policy", "compact");
    set("a", "retention.ms", "5000");
    set("a", "millrace.mirror.state", "mirroring");
    set("b", "millrace.mirror.state", "mirroring");
    const storage::LogLimits compacted = open()->rules("a")->replication.limits;
    EXPECT_TRUE(compacted.cleanup.compact);
    EXPECT_LT(compacted.retention, Duration{});
    EXPECT_FALSE(open()->rules("b")->replication.limits.cleanup.compact);
}

TEST_F(Book, does_not_remember_topics_that_are_gone_for_ever) {
    auto book = open();
    for (int i = 0; i < 300; ++i) {
        (void)book->rules("gone-" + std::to_string(i));
    }
    const auto kept = book->rules("gone-7");
    const auto after = book->after(configs, {}, 1);
    EXPECT_NE(after->rules("gone-7"), kept);
}

}  // namespace
}  // namespace millrace::handlers
