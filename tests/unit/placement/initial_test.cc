// Initial placement: its promises, on drawn clusters.
#include "placement/initial.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/random.h"

namespace millrace::placement {
namespace {

using Placed = std::vector<std::vector<BrokerId>>;

std::vector<Candidate> cluster(std::vector<int> brokers_per_rack) {
    std::vector<Candidate> candidates;
    int id = 0;
    for (std::size_t rack = 0; rack < brokers_per_rack.size(); ++rack) {
        for (int i = 0; i < brokers_per_rack[rack]; ++i) {
            candidates.push_back({.id = BrokerId{id++}, .rack = "r" + std::to_string(rack)});
        }
    }
    return candidates;
}

Placed place(const std::vector<Candidate>& candidates, std::int32_t partitions, std::int16_t rf,
             std::uint64_t seed = 1) {
    auto placed = place_new(candidates, partitions, rf, seed);
    EXPECT_TRUE(placed.has_value()) << placed.error().to_string();
    return *placed;
}

const Candidate& of(const std::vector<Candidate>& candidates, BrokerId id) {
    return *std::find_if(candidates.begin(), candidates.end(),
                         [&](const Candidate& c) { return c.id == id; });
}

std::map<BrokerId, int> replicas_by_broker(const std::vector<Candidate>& candidates,
                                           const Placed& placed) {
    std::map<BrokerId, int> counts;
    for (const Candidate& c : candidates) {
        counts[c.id] = 0;
    }
    for (const auto& replicas : placed) {
        for (const BrokerId id : replicas) {
            ++counts[id];
        }
    }
    return counts;
}

int spread(const std::map<BrokerId, int>& counts) {
    const auto [low, high] =
        std::minmax_element(counts.begin(), counts.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; });
    return high->second - low->second;
}

TEST(InitialPlacement, never_puts_two_replicas_in_a_rack_while_another_is_free) {
    SeededRandom random(3);
    for (int round = 0; round < 500; ++round) {
        std::vector<int> racks(1 + random.below(6));
        for (int& brokers : racks) {
            brokers = static_cast<int>(1 + random.below(5));
        }
        auto candidates = cluster(racks);
        for (Candidate& c : candidates) {
            c.fenced = random.one_in(5);
            c.replicas = static_cast<std::int64_t>(random.below(100));
        }
        candidates[random.below(candidates.size())].fenced = false;
        const auto rf = static_cast<std::int16_t>(1 + random.below(candidates.size()));
        for (const auto& replicas : place(candidates, 20, rf, random.next())) {
            std::set<BrokerId> distinct(replicas.begin(), replicas.end());
            ASSERT_EQ(distinct.size(), static_cast<std::size_t>(rf));
            std::map<std::string, int> used;
            for (std::size_t rack = 0; rack < racks.size(); ++rack) {
                used["r" + std::to_string(rack)] = 0;
            }
            for (const BrokerId id : replicas) {
                ++used[*of(candidates, id).rack];
            }
            for (std::size_t rack = 0; rack < racks.size(); ++rack) {
                const int here = used["r" + std::to_string(rack)];
                for (const auto& [other, there] : used) {
                    // A rack is behind another by more than one only when it has no broker left.
                    ASSERT_TRUE(there <= here + 1 || here == racks[rack]);
                }
            }
        }
    }
}

TEST(InitialPlacement, spreads_a_topic_evenly_over_equal_racks) {
    const auto candidates = cluster({4, 4, 4});
    for (const std::int32_t partitions : {1, 5, 12, 100, 1000}) {
        const Placed placed = place(candidates, partitions, 3);
        EXPECT_LE(spread(replicas_by_broker(candidates, placed)), 1) << partitions;
    }
}

TEST(InitialPlacement, spreads_the_preferred_leaders) {
    const auto candidates = cluster({3, 3, 3});
    std::map<BrokerId, int> leaders;
    for (const auto& replicas : place(candidates, 900, 3)) {
        ++leaders[replicas.front()];
    }
    for (const auto& [broker, count] : leaders) {
        EXPECT_EQ(count, 100) << broker.value;
    }
}

// Choosing partition by partition left one broker with four leaders and another with two.
TEST(InitialPlacement, gives_every_broker_as_many_preferred_leaders_of_a_topic) {
    const auto candidates = cluster({2, 2, 2});
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        std::map<BrokerId, int> leaders;
        for (const auto& replicas : place(candidates, 18, 3, seed)) {
            ++leaders[replicas.front()];
        }
        ASSERT_EQ(leaders.size(), 6U) << "seed " << seed;
        ASSERT_EQ(spread(leaders), 0) << "seed " << seed;
    }
}

TEST(InitialPlacement, many_topics_of_one_partition_fill_brokers_evenly) {
    auto candidates = cluster({2, 2, 2});
    std::map<BrokerId, int> leaders;
    for (std::uint64_t topic = 0; topic < 300; ++topic) {
        const auto replicas = place(candidates, 1, 3, topic).front();
        for (const BrokerId id : replicas) {
            ++const_cast<Candidate&>(of(candidates, id)).replicas;
        }
        ++const_cast<Candidate&>(of(candidates, replicas.front())).preferred_leaders;
    }
    for (const Candidate& c : candidates) {
        EXPECT_EQ(c.replicas, 150);
        EXPECT_NEAR(static_cast<double>(c.preferred_leaders), 50, 2);
    }
}

TEST(InitialPlacement, a_new_broker_does_not_get_a_whole_topic) {
    auto candidates = cluster({4});
    for (std::size_t i = 0; i < 3; ++i) {
        candidates[i].replicas = 10'000;
    }
    const Placed placed = place(candidates, 40, 1);
    EXPECT_LE(spread(replicas_by_broker(candidates, placed)), 1);
}

TEST(InitialPlacement, a_growing_topic_is_evened_out_with_what_it_has) {
    auto candidates = cluster({3});
    candidates[0].topic_replicas = 4;
    candidates[1].topic_replicas = 4;
    const auto counts = replicas_by_broker(candidates, place(candidates, 4, 1));
    EXPECT_EQ(counts.at(BrokerId{2}), 4);
}

TEST(InitialPlacement, a_fenced_broker_never_leads_and_comes_last_in_its_rack) {
    auto candidates = cluster({2, 1, 1});
    candidates[0].fenced = true;  // its rack has another
    candidates[2].fenced = true;  // its rack has no other
    for (const auto& replicas : place(candidates, 60, 3)) {
        EXPECT_FALSE(of(candidates, replicas.front()).fenced);
        EXPECT_THAT(replicas,
                    ::testing::UnorderedElementsAre(BrokerId{1}, BrokerId{2}, BrokerId{3}));
        EXPECT_EQ(replicas.back(), BrokerId{2});
    }
}

TEST(InitialPlacement, depends_on_the_seed_and_on_nothing_else) {
    auto candidates = cluster({3, 3, 3});
    const Placed first = place(candidates, 50, 3, 42);
    std::reverse(candidates.begin(), candidates.end());
    EXPECT_EQ(place(candidates, 50, 3, 42), first);
    EXPECT_NE(place(candidates, 50, 3, 43), first);
}

TEST(InitialPlacement, refuses_more_replicas_than_brokers) {
    const auto placed = place_new(cluster({1, 1}), 1, 3, 1);
    ASSERT_FALSE(placed.has_value());
    EXPECT_EQ(placed.error().code(), Code::exhausted);
}

TEST(InitialPlacement, refuses_when_nobody_could_lead) {
    auto candidates = cluster({2});
    candidates[0].fenced = candidates[1].fenced = true;
    const auto placed = place_new(candidates, 1, 1, 1);
    ASSERT_FALSE(placed.has_value());
    EXPECT_EQ(placed.error().code(), Code::exhausted);
}

}  // namespace
}  // namespace millrace::placement
