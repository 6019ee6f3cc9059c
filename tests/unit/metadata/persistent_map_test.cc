// PersistentMap against std::map, and what sharing promises.
#include "metadata/persistent_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "base/random.h"

namespace millrace::metadata {
namespace {

using Map = PersistentMap<int, std::string>;

std::map<int, std::string> contents(const Map& map) {
    std::map<int, std::string> all;
    for (const auto& [key, value] : map) {
        all.emplace(key, value);
    }
    return all;
}

TEST(PersistentMap, agrees_with_std_map_under_random_changes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SeededRandom random(seed);
        const std::uint64_t range = seed % 2 == 0 ? 100 : 5000;
        Map map;
        std::map<int, std::string> model;
        for (int step = 0; step < 6000; ++step) {
            const int key = static_cast<int>(random.below(range));
            if (random.below(10) < (step < 3000 ? 7U : 3U)) {
                map.set(key, std::to_string(step));
                model[key] = std::to_string(step);
            } else {
                EXPECT_EQ(map.erase(key), model.erase(key) == 1);
            }
            ASSERT_EQ(map.size(), model.size());
        }
        EXPECT_EQ(contents(map), model);
        for (int key = -1; key <= static_cast<int>(range); ++key) {
            const auto found = model.find(key);
            const std::string* value = map.find(key);
            ASSERT_EQ(value != nullptr, found != model.end()) << key;
            ASSERT_TRUE(value == nullptr || *value == found->second);
            const auto after = model.lower_bound(key);
            const auto at = map.lower_bound(key);
            ASSERT_EQ(at == map.end(), after == model.end()) << key;
            ASSERT_TRUE(at == map.end() || at->key == after->first);
        }
    }
}

TEST(PersistentMap, erasing_everything_in_any_order_leaves_nothing) {
    SeededRandom random(7);
    std::vector<int> keys;
    Map map;
    for (int i = 0; i < 3000; ++i) {
        map.set(i, "x");
        keys.push_back(i);
    }
    while (!keys.empty()) {
        const std::size_t at = random.below(keys.size());
        ASSERT_TRUE(map.erase(keys[at]));
        keys[at] = keys.back();
        keys.pop_back();
    }
    EXPECT_TRUE(map.empty());
    EXPECT_TRUE(map.begin() == map.end());
}

TEST(PersistentMap, a_copy_never_sees_later_changes) {
    SeededRandom random(11);
    Map map;
    std::vector<std::pair<Map, std::map<int, std::string>>> kept;
    for (int step = 0; step < 4000; ++step) {
        const int key = static_cast<int>(random.below(400));
        if (random.one_in(3)) {
            map.erase(key);
        } else if (std::string* value = map.mutate(key)) {
            *value += "!";
        } else {
            map.set(key, std::to_string(step));
        }
        if (step % 100 == 0) {
            kept.emplace_back(map, contents(map));
        }
    }
    for (const auto& [copy, was] : kept) {
        EXPECT_EQ(contents(copy), was);
    }
}

TEST(PersistentMap, iterates_in_order_of_the_keys) {
    Map map;
    for (int i = 0; i < 1000; ++i) {
        map.set((i * 7919) % 1000, "");
    }
    int expected = 0;
    for (const auto& [key, value] : map) {
        EXPECT_EQ(key, expected++);
    }
    EXPECT_EQ(expected, 1000);
}

TEST(PersistentMap, knows_that_an_unchanged_copy_is_the_same) {
    Map map;
    map.set(1, "a");
    Map copy = map;
    EXPECT_TRUE(copy.is_same_as(map));
    copy.set(1, "a");
    EXPECT_FALSE(copy.is_same_as(map));
    EXPECT_TRUE(copy == map);
}

TEST(PersistentMap, looking_for_an_absent_key_to_change_shares_everything) {
    Map map;
    for (int i = 0; i < 100; ++i) {
        map.set(2 * i, "x");
    }
    Map copy = map;
    EXPECT_EQ(copy.mutate(3), nullptr);
    EXPECT_FALSE(copy.erase(3));
    EXPECT_TRUE(copy.is_same_as(map));
}

}  // namespace
}  // namespace millrace::metadata
