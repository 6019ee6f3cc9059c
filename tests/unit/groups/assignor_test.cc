// Properties of the assignors, on examples and on drawn groups.
#include "groups/internal/assignor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace millrace::groups {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Uuid topic(std::uint64_t n) {
    return Uuid{0, n};
}

/// A group that a test can change and assign again.
struct Drawn {
    std::map<Uuid, std::int32_t> topics;
    std::map<std::string, std::set<Uuid>> members;
    std::map<std::string, PartitionSet> present;

    AssignorSpec spec() const {
        AssignorSpec out;
        out.topics = topics;
        out.is_homogeneous = std::all_of(members.begin(), members.end(), [&](const auto& m) {
            return m.second == members.begin()->second;
        });
        static const PartitionSet nothing;
        for (const auto& [id, wanted] : members) {
            AssignorMember& member = out.members.emplace_back();
            member.id = id;
            for (const Uuid& topic : wanted) {
                if (topics.contains(topic)) {
                    member.topics.push_back(topic);
                }
            }
            const auto found = present.find(id);
            member.present = found == present.end() ? &nothing : &found->second;
        }
        std::set<Uuid> subscribed;
        for (const AssignorMember& member : out.members) {
            subscribed.insert(member.topics.begin(), member.topics.end());
        }
        std::erase_if(out.topics, [&](const auto& t) { return !subscribed.contains(t.first); });
        return out;
    }
    void assign(Assignor assignor) {
        const AssignorSpec s = spec();
        Assignments out = assignor(s);
        ASSERT_EQ(out.size(), s.members.size());
        std::map<std::string, PartitionSet> next;
        for (std::size_t i = 0; i < out.size(); ++i) {
            next[std::string{s.members[i].id}] = std::move(out[i]);
        }
        present = std::move(next);
    }
};

std::size_t count(const PartitionSet& partitions) {
    std::size_t n = 0;
    for (const auto& [topic, indexes] : partitions) {
        n += indexes.size();
    }
    return n;
}

/// Every partition of a subscribed topic has exactly one owner, who subscribes to it.
void expect_valid(const Drawn& group) {
    const AssignorSpec spec = group.spec();
    std::map<std::pair<Uuid, std::int32_t>, std::string> owners;
    for (const auto& [id, partitions] : group.present) {
        for (const auto& [topic, indexes] : partitions) {
            EXPECT_TRUE(group.members.at(id).contains(topic));
            EXPECT_TRUE(std::is_sorted(indexes.begin(), indexes.end()));
            EXPECT_FALSE(indexes.empty());
            for (const std::int32_t index : indexes) {
                EXPECT_TRUE(index >= 0 && index < group.topics.at(topic));
                EXPECT_TRUE(owners.emplace(std::pair{topic, index}, id).second);
            }
        }
    }
    std::size_t total = 0;
    for (const auto& [topic, partitions] : spec.topics) {
        total += static_cast<std::size_t>(partitions);
    }
    EXPECT_EQ(owners.size(), total);
}

/// No partition could move to a subscriber with at least two fewer.
void expect_balanced(const Drawn& group) {
    for (const auto& [id, partitions] : group.present) {
        for (const auto& [topic, indexes] : partitions) {
            for (const auto& [other, wanted] : group.members) {
                if (wanted.contains(topic)) {
                    EXPECT_LE(count(partitions), count(group.present.at(other)) + 1)
                        << id << " could give to " << other;
                }
            }
        }
    }
}

std::size_t kept(const std::map<std::string, PartitionSet>& before,
                 const std::map<std::string, PartitionSet>& after) {
    std::size_t same = 0;
    for (const auto& [id, partitions] : before) {
        const auto now = after.find(id);
        if (now == after.end()) {
            continue;
        }
        for (const auto& [topic, indexes] : partitions) {
            const auto there = now->second.find(topic);
            if (there == now->second.end()) {
                continue;
            }
            std::vector<std::int32_t> both;
            std::set_intersection(indexes.begin(), indexes.end(), there->second.begin(),
                                  there->second.end(), std::back_inserter(both));
            same += both.size();
        }
    }
    return same;
}

Drawn draw(SeededRandom& random, bool homogeneous) {
    Drawn group;
    const auto topics = static_cast<int>(random.between(1, 8));
    for (int t = 0; t < topics; ++t) {
        group.topics[topic(static_cast<std::uint64_t>(t) + 1)] =
            static_cast<std::int32_t>(random.between(1, 20));
    }
    const auto members = static_cast<int>(random.between(1, 12));
    for (int m = 0; m < members; ++m) {
        std::set<Uuid>& wanted = group.members["m" + std::to_string(m)];
        for (const auto& [id, partitions] : group.topics) {
            if (homogeneous || random.one_in(2)) {
                wanted.insert(id);
            }
        }
    }
    return group;
}

TEST(UniformAssignor, spreads_each_topic_over_the_members) {
    Drawn group;
    group.topics = {{topic(1), 3}, {topic(2), 3}};
    for (const char* id : {"a", "b", "c"}) {
        group.members[id] = {topic(1), topic(2)};
    }
    group.assign(assign_uniform);
    EXPECT_THAT(group.present["a"], ElementsAre(Pair(topic(1), ElementsAre(0)),
                                                Pair(topic(2), ElementsAre(0))));
    EXPECT_THAT(group.present["c"], ElementsAre(Pair(topic(1), ElementsAre(2)),
                                                Pair(topic(2), ElementsAre(2))));
}

TEST(UniformAssignor, moves_only_what_a_newcomer_needs) {
    Drawn group;
    group.topics = {{topic(1), 12}};
    for (const char* id : {"a", "b", "c"}) {
        group.members[id] = {topic(1)};
    }
    group.assign(assign_uniform);
    const auto before = group.present;
    group.members["d"] = {topic(1)};
    group.assign(assign_uniform);
    EXPECT_EQ(kept(before, group.present), 9u);
    EXPECT_EQ(count(group.present["d"]), 3u);
}

TEST(UniformAssignor, ignores_what_is_said_twice_or_does_not_exist) {
    Drawn group;
    group.topics = {{topic(1), 4}};
    group.members["a"] = group.members["b"] = {topic(1)};
    group.present["a"] = {{topic(1), {0, 1, 9}}, {topic(7), {0}}};
    group.present["b"] = {{topic(1), {1, 2}}};
    group.assign(assign_uniform);
    expect_valid(group);
    EXPECT_THAT(group.present["a"], ElementsAre(Pair(topic(1), ElementsAre(0, 1))));
}

TEST(UniformAssignor, keeps_its_promises_on_drawn_groups) {
    for (std::uint64_t seed = 1; seed <= 80; ++seed) {
        SCOPED_TRACE(seed);
        SeededRandom random{seed};
        Drawn group = draw(random, seed % 2 == 0);
        group.assign(assign_uniform);
        for (int change = 0; change < 6; ++change) {
            expect_valid(group);
            expect_balanced(group);
            const auto before = group.present;
            group.assign(assign_uniform);
            EXPECT_EQ(group.present, before) << "nothing changed, something moved";
            const std::string id = "m" + std::to_string(random.below(14));
            if (group.members.contains(id) && group.members.size() > 1) {
                group.members.erase(id);
            } else {
                group.members[id] = group.members.begin()->second;
            }
            if (random.one_in(3)) {
                group.topics[topic(1)] += 3;
            }
            group.assign(assign_uniform);
        }
    }
}

// Who stays keeps as much as an even distribution lets anybody keep.
TEST(UniformAssignor, moves_no_more_than_it_must_when_all_want_the_same) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        SCOPED_TRACE(seed);
        SeededRandom random{seed};
        Drawn group = draw(random, true);
        group.assign(assign_uniform);
        const auto before = group.present;
        if (random.one_in(2) && group.members.size() > 1) {
            group.members.erase(group.members.begin());
        } else {
            group.members["new"] = group.members.begin()->second;
        }
        group.assign(assign_uniform);
        std::size_t total = 0;
        for (const auto& [id, partitions] : group.topics) {
            total += static_cast<std::size_t>(partitions);
        }
        const std::size_t each = total / group.members.size();
        std::size_t extra = total % group.members.size();
        std::size_t possible = 0;
        for (const auto& [id, wanted] : group.members) {
            const auto had = before.find(id);
            const std::size_t held = had == before.end() ? 0 : count(had->second);
            possible += std::min(held, each);
            if (held > each && extra > 0) {
                ++possible;
                --extra;
            }
        }
        EXPECT_EQ(kept(before, group.present), possible);
    }
}

TEST(RangeAssignor, splits_each_topic_into_ranges) {
    Drawn group;
    group.topics = {{topic(1), 7}, {topic(2), 7}};
    for (const char* id : {"a", "b", "c"}) {
        group.members[id] = {topic(1), topic(2)};
    }
    group.assign(assign_range);
    EXPECT_THAT(group.present["a"], ElementsAre(Pair(topic(1), ElementsAre(0, 1, 2)),
                                                Pair(topic(2), ElementsAre(0, 1, 2))));
    EXPECT_THAT(group.present["b"], ElementsAre(Pair(topic(1), ElementsAre(3, 4)),
                                                Pair(topic(2), ElementsAre(3, 4))));
    EXPECT_THAT(group.present["c"], ElementsAre(Pair(topic(1), ElementsAre(5, 6)),
                                                Pair(topic(2), ElementsAre(5, 6))));
}

TEST(RangeAssignor, orders_static_members_by_their_instance_id) {
    AssignorSpec spec;
    spec.topics = {{topic(1), 2}};
    const PartitionSet nothing;
    spec.members = {{"a", std::nullopt, {topic(1)}, &nothing},
                    {"b", "i2", {topic(1)}, &nothing},
                    {"c", "i1", {topic(1)}, &nothing}};
    const Assignments out = assign_range(spec);
    EXPECT_THAT(out[0], ElementsAre());
    EXPECT_THAT(out[1], ElementsAre(Pair(topic(1), ElementsAre(1))));
    EXPECT_THAT(out[2], ElementsAre(Pair(topic(1), ElementsAre(0))));
}

TEST(RangeAssignor, gives_each_partition_to_one_subscriber_on_drawn_groups) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        SCOPED_TRACE(seed);
        SeededRandom random{seed};
        Drawn group = draw(random, seed % 2 == 0);
        group.assign(assign_range);
        expect_valid(group);
    }
}

TEST(Assignors, are_found_by_name) {
    EXPECT_EQ(find_assignor("uniform"), &assign_uniform);
    EXPECT_EQ(find_assignor("range"), &assign_range);
    EXPECT_EQ(find_assignor("sticky"), nullptr);
}

}  // namespace
}  // namespace millrace::groups
