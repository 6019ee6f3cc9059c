// What a plan has begun, as it stands in the metadata.
#include "app/internal/plan_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/standing.h"

namespace millrace::app {
namespace {

using placement::Move;
using placement::PartitionNow;

Move move(std::int32_t partition, std::vector<std::int32_t> from, std::vector<std::int32_t> to) {
    Move made;
    made.topic = "orders";
    made.partition = partition;
    made.from = {from.begin(), from.end()};
    made.to = {to.begin(), to.end()};
    made.bytes = 100;
    return made;
}

/// The metadata, as far as journals are concerned.
class Metadata {
public:
    PlanJournal journal(const std::string& plan) const { return PlanJournal::read(image_, plan); }

    void begin(const std::string& plan, const std::vector<Move>& moves) {
        PlanJournal journal = this->journal(plan);
        std::vector<const Move*> begun;
        for (const Move& one : moves) {
            begun.push_back(&one);
        }
        written = journal.add(begun);
        const metadata::ConfigResource everyone{metadata::ConfigResourceType::broker, {}};
        for (const auto& [name, value] : written) {
            if (value) {
                image_.configs.set(everyone, name, *value);
            } else {
                image_.configs.erase(everyone, name);
            }
        }
    }

    PlanJournal::Settings written;

private:
    metadata::Image image_;
};

placement::WorldNow world(std::map<std::int32_t, PartitionNow> partitions) {
    placement::WorldNow now;
    now.partition = [partitions = std::move(partitions)](
                        const std::string&, std::int32_t index) -> std::optional<PartitionNow> {
        const auto found = partitions.find(index);
        return found != partitions.end() ? std::optional(found->second) : std::nullopt;
    };
    return now;
}

PartitionNow at(std::vector<std::int32_t> replicas) {
    return {{replicas.begin(), replicas.end()}, {}, {}};
}
PartitionNow moving(std::vector<std::int32_t> replicas, std::int32_t adding,
                    std::int32_t removing) {
    return {{replicas.begin(), replicas.end()}, {BrokerId{adding}}, {BrokerId{removing}}};
}

std::vector<std::int32_t> partitions_of(const std::vector<const Move*>& moves) {
    std::vector<std::int32_t> all;
    for (const Move* one : moves) {
        all.push_back(one->partition);
    }
    return all;
}

TEST(PlanJournal, is_read_back_by_whoever_goes_on_with_the_plan) {
    Metadata metadata;
    metadata.begin("plan", {move(0, {1, 2}, {1, 4}), move(7, {3, 2}, {3, 5})});
    metadata.begin("plan", {move(1, {1, 2}, {4, 2})});
    const PlanJournal journal = metadata.journal("plan");
    ASSERT_EQ(journal.moves().size(), 3U);
    EXPECT_EQ(journal.moves()[1].topic, "orders");
    EXPECT_EQ(journal.moves()[1].partition, 7);
    EXPECT_EQ(journal.moves()[1].from, (std::vector{BrokerId{3}, BrokerId{2}}));
    EXPECT_EQ(journal.moves()[1].to, (std::vector{BrokerId{3}, BrokerId{5}}));
    EXPECT_EQ(journal.moves()[1].bytes, 100);
    EXPECT_TRUE(metadata.journal("another").moves().empty());
}

TEST(PlanJournal, writes_a_full_piece_once) {
    Metadata metadata;
    std::vector<Move> many;
    for (int i = 0; i < 100; ++i) {
        many.push_back(move(i, {1, 2}, {1, 4}));
    }
    metadata.begin("plan", many);
    EXPECT_EQ(metadata.written.size(), 2U);
    metadata.begin("plan", {move(100, {1, 2}, {1, 4})});
    EXPECT_EQ(metadata.written.size(), 1U);
    EXPECT_EQ(metadata.journal("plan").moves().size(), 101U);
}

TEST(PlanJournal, takes_what_an_earlier_plan_left_behind_away) {
    Metadata metadata;
    std::vector<Move> many;
    for (int i = 0; i < 200; ++i) {
        many.push_back(move(i, {1, 2}, {1, 4}));
    }
    metadata.begin("old", many);
    metadata.begin("new", {move(5, {1, 2}, {1, 3})});
    EXPECT_TRUE(metadata.journal("old").moves().empty());
    EXPECT_EQ(metadata.journal("new").moves().size(), 1U);
}

TEST(PlanJournal, knows_its_own_moves_from_those_of_others) {
    Metadata metadata;
    metadata.begin("plan", {move(0, {1, 2}, {1, 4}), move(1, {1, 2}, {1, 4}),
                            move(2, {1, 2}, {1, 4}), move(3, {1, 2}, {1, 4})});
    const auto own = metadata.journal("plan").under_way(world({
        {0, moving({1, 4, 2}, 4, 2)},  // ours
        {1, moving({1, 3, 2}, 3, 2)},  // taken elsewhere by somebody
        {2, at({1, 4})},               // done
        {9, moving({1, 4, 2}, 4, 2)},  // never ours
    }));                               // 3 is deleted
    EXPECT_THAT(partitions_of(own), testing::ElementsAre(0));
}

TEST(PlanJournal, leads_back_to_where_the_plan_found_partitions) {
    Metadata metadata;
    metadata.begin("plan", {move(0, {1, 2}, {1, 4}), move(1, {1, 2}, {1, 4}),
                            move(2, {1, 2}, {1, 4}), move(3, {1, 2}, {1, 4})});
    metadata.begin("plan", {move(0, {1, 4}, {1, 5})});
    const auto back = metadata.journal("plan").backwards(world({
        {0, at({1, 5})},  // moved twice
        {1, at({1, 2})},  // never moved, or back already
        {2, at({1, 3})},  // somebody else's by now
        {3, at({1, 4})},
    }));
    ASSERT_EQ(back.size(), 2U);
    EXPECT_EQ(back[0].partition, 0);
    EXPECT_EQ(back[0].from, (std::vector{BrokerId{1}, BrokerId{5}}));
    EXPECT_EQ(back[0].to, (std::vector{BrokerId{1}, BrokerId{2}}));
    EXPECT_EQ(back[1].partition, 3);
}

TEST(PlanJournal, goes_on_with_what_is_on_its_way_back) {
    Metadata metadata;
    metadata.begin("plan", {move(0, {1, 2}, {1, 4})});
    const auto back = metadata.journal("plan").backwards(world({{0, moving({1, 2, 4}, 2, 4)}}));
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0].to, (std::vector{BrokerId{1}, BrokerId{2}}));
}

}  // namespace
}  // namespace millrace::app
