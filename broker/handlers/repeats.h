// handlers/repeats.h
//
// What a request asks for twice is answered once, where the answer is much longer than the
// question: else a few bytes that are said again and again would cost a multiple of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace millrace::handlers {

/// Leaves the first of those for which `key_of` is the same.
template <typename Item, typename KeyOf>
void keep_distinct(std::vector<Item>& items, KeyOf key_of) {
    std::vector<std::uint32_t> order(items.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        const auto& one = key_of(items[a]);
        const auto& other = key_of(items[b]);
        return one < other || (one == other && a < b);
    });
    std::vector<bool> again(items.size());
    for (std::size_t i = 1; i < order.size(); ++i) {
        again[order[i]] = key_of(items[order[i - 1]]) == key_of(items[order[i]]);
    }
    std::size_t at = 0;
    std::erase_if(items, [&](const Item&) { return again[at++]; });
}

/// One partition that a request names, and where it stands in it.
template <typename Topic>
struct Named {
    Topic topic{};
    std::int32_t partition = 0;
    std::uint32_t topic_at = 0;
    std::uint32_t partition_at = 0;

    bool is_same(const Named& other) const {
        return topic == other.topic && partition == other.partition;
    }
    friend bool operator<(const Named& a, const Named& b) {
        return a.topic != b.topic ? a.topic < b.topic : a.partition < b.partition;
    }
};

/// By topic and number; what is named twice stays in its order. `name_of` and `partitions_of` look
/// into one of `topics`.
template <typename Topics, typename NameOf, typename PartitionsOf>
auto all_named(const Topics& topics, NameOf name_of, PartitionsOf partitions_of) {
    std::vector<Named<decltype(name_of(topics.front()))>> all;
    for (std::uint32_t t = 0; t < topics.size(); ++t) {
        const std::vector<std::int32_t>& partitions = partitions_of(topics[t]);
        for (std::uint32_t p = 0; p < partitions.size(); ++p) {
            all.push_back({name_of(topics[t]), partitions[p], t, p});
        }
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return a < b || (a.is_same(b) && std::pair(a.topic_at, a.partition_at) <
                                             std::pair(b.topic_at, b.partition_at));
    });
    return all;
}

/// Leaves each partition where it is named first. A topic that has none left stays.
template <typename Topics, typename NameOf, typename PartitionsOf>
void keep_distinct_partitions(Topics& topics, NameOf name_of, PartitionsOf partitions_of) {
    const auto all = all_named(topics, name_of, partitions_of);
    std::vector<std::vector<std::uint32_t>> again(topics.size());
    for (std::size_t i = 1; i < all.size(); ++i) {
        if (all[i].is_same(all[i - 1])) {
            again[all[i].topic_at].push_back(all[i].partition_at);
        }
    }
    for (std::size_t t = 0; t < topics.size(); ++t) {
        std::sort(again[t].begin(), again[t].end());
        auto next = again[t].begin();
        std::uint32_t at = 0;
        std::erase_if(partitions_of(topics[t]), [&](std::int32_t) {
            const bool is_again = next != again[t].end() && *next == at;
            next += is_again ? 1 : 0;
            ++at;
            return is_again;
        });
    }
}

}  // namespace millrace::handlers
