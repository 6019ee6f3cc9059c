// Random histories: any order of requests keeps the invariants (the world checks them after each),
// a snapshot plus the rest of the log gives what the whole log gives, and racks are respected.
#include "tests/unit/metadata/history.h"

namespace millrace::metadata::testing {
namespace {

Image replay_range(Image image, const RecordList& records, std::size_t from, std::size_t to) {
    Delta delta(std::move(image));
    for (std::size_t i = from; i < to; ++i) {
        EXPECT_TRUE(delta.replay(records[i], Offset{static_cast<std::int64_t>(i)}).has_value());
    }
    return delta.after();
}

class RandomHistory : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomHistory, keeps_the_invariants_and_survives_a_snapshot_anywhere) {
    History history(GetParam());
    RecordList snapshot;
    std::size_t snapshot_end = 0;
    for (int step = 0; step < 150 && !HasFailure(); ++step) {
        history.step();
        if (step == 80) {
            snapshot = image_to_records(history.world.image);
            snapshot_end = history.world.all.size();
        }
    }
    const World& world = history.world;
    ASSERT_FALSE(HasFailure()) << ::testing::PrintToString(world.log);
    EXPECT_TRUE(same_content(replay_range({}, world.all, 0, world.all.size()), world.image));
    const Image half = replay_range({}, snapshot, 0, snapshot.size());
    EXPECT_TRUE(
        same_content(replay_range(half, world.all, snapshot_end, world.all.size()), world.image));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomHistory, ::testing::Range<std::uint64_t>(1, 61));

}  // namespace
}  // namespace millrace::metadata::testing
