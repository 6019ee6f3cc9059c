#include "groups/internal/offset_store.h"

#include <utility>

namespace millrace::groups {

namespace {

template <typename Map>
auto* find_in(Map& map, std::string_view key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
}

}  // namespace

const OffsetStore::Topics* OffsetStore::of_group(std::string_view group) const {
    return find_in(committed_, group);
}

const CommittedOffset* OffsetStore::find(std::string_view group, std::string_view topic,
                                         std::int32_t partition) const {
    const Topics* topics = of_group(group);
    const Partitions* partitions = topics == nullptr ? nullptr : find_in(*topics, topic);
    if (partitions == nullptr) {
        return nullptr;
    }
    const auto found = partitions->find(partition);
    return found == partitions->end() ? nullptr : &found->second;
}

bool OffsetStore::has_pending(std::string_view group, std::string_view topic,
                              std::int32_t partition) const {
    const auto* topics = find_in(open_, group);
    const auto* partitions = topics == nullptr ? nullptr : find_in(*topics, topic);
    return partitions != nullptr && partitions->contains(partition);
}

std::vector<TopicPartition> OffsetStore::pending_of(std::string_view group) const {
    std::vector<TopicPartition> out;
    if (const auto* topics = find_in(open_, group)) {
        for (const auto& [topic, partitions] : *topics) {
            for (const auto& [partition, producers] : partitions) {
                out.push_back({topic, PartitionIndex{partition}});
            }
        }
    }
    return out;
}

void OffsetStore::commit(std::string_view group, std::string_view topic, std::int32_t partition,
                         CommittedOffset offset, coordinator::Journal& journal) {
    set_committed(group, topic, partition, std::move(offset), journal);
}

void OffsetStore::commit_in_transaction(ProducerId producer, std::string_view group,
                                        std::string_view topic, std::int32_t partition,
                                        CommittedOffset offset, coordinator::Journal& journal) {
    set_pending(producer, group, topic, partition, std::move(offset), journal);
}

void OffsetStore::remove(std::string_view group, std::string_view topic, std::int32_t partition,
                         coordinator::Journal& journal) {
    set_committed(group, topic, partition, std::nullopt, journal);
    if (has_pending(group, topic, partition)) {
        const std::set<ProducerId> producers =
            open_.find(group)->second.find(topic)->second.find(partition)->second;
        for (const ProducerId producer : producers) {
            set_pending(producer, group, topic, partition, std::nullopt, journal);
        }
    }
}

void OffsetStore::end_transaction(ProducerId producer, coordinator::TransactionResult result,
                                  coordinator::Journal& journal) {
    const auto found = pending_.find(producer);
    if (found == pending_.end()) {
        return;
    }
    const ByGroup ended = found->second;
    for (const auto& [group, topics] : ended) {
        for (const auto& [topic, partitions] : topics) {
            for (const auto& [partition, offset] : partitions) {
                set_pending(producer, group, topic, partition, std::nullopt, journal);
                // A plain commit that came later in the log than this one wins, whatever order
                // compaction leaves them in.
                const CommittedOffset* present = find(group, topic, partition);
                if (result == coordinator::TransactionResult::commit &&
                    (present == nullptr || present->record < offset.record)) {
                    set_committed(group, topic, partition, offset, journal);
                }
            }
        }
    }
}

OffsetStore::Value OffsetStore::exchange(ByGroup& groups, std::string_view group,
                                         std::string_view topic, std::int32_t partition,
                                         Value value) {
    auto at_group = groups.find(group);
    if (at_group == groups.end()) {
        if (!value) {
            return std::nullopt;
        }
        at_group = groups.emplace(group, Topics{}).first;
    }
    Topics& topics = at_group->second;
    auto at_topic = topics.find(topic);
    if (at_topic == topics.end()) {
        if (!value) {
            return std::nullopt;
        }
        at_topic = topics.emplace(topic, Partitions{}).first;
    }
    Partitions& partitions = at_topic->second;
    Value before;
    if (const auto found = partitions.find(partition); found != partitions.end()) {
        before = std::move(found->second);
        if (value) {
            found->second = *std::move(value);
        } else {
            partitions.erase(found);
        }
    } else if (value) {
        partitions.emplace(partition, *std::move(value));
    }
    if (partitions.empty()) {
        topics.erase(at_topic);
    }
    if (topics.empty()) {
        groups.erase(at_group);
    }
    return before;
}

OffsetStore::Value OffsetStore::exchange_committed(std::string_view group, std::string_view topic,
                                                   std::int32_t partition, Value value) {
    const bool present = value.has_value();
    Value before = exchange(committed_, group, topic, partition, std::move(value));
    count_ += static_cast<std::size_t>(present) - static_cast<std::size_t>(before.has_value());
    return before;
}

OffsetStore::Value OffsetStore::exchange_pending(ProducerId producer, std::string_view group,
                                                 std::string_view topic, std::int32_t partition,
                                                 Value value) {
    const bool present = value.has_value();
    Value before = exchange(pending_[producer], group, topic, partition, std::move(value));
    if (pending_[producer].empty()) {
        pending_.erase(producer);
    }
    if (present) {
        open_.try_emplace(std::string{group})
            .first->second.try_emplace(std::string{topic})
            .first->second[partition]
            .insert(producer);
    } else if (before) {
        const auto at_group = open_.find(group);
        const auto at_topic = at_group->second.find(topic);
        const auto at_partition = at_topic->second.find(partition);
        at_partition->second.erase(producer);
        if (at_partition->second.empty()) {
            at_topic->second.erase(at_partition);
        }
        if (at_topic->second.empty()) {
            at_group->second.erase(at_topic);
        }
        if (at_group->second.empty()) {
            open_.erase(at_group);
        }
    }
    return before;
}

void OffsetStore::set_committed(std::string_view group, std::string_view topic,
                                std::int32_t partition, Value value,
                                coordinator::Journal& journal) {
    Value before = exchange_committed(group, topic, partition, std::move(value));
    if (journal.keeps()) {
        journal.undo_with([this, group = std::string{group}, topic = std::string{topic}, partition,
                           before = std::move(before)]() mutable {
            exchange_committed(group, topic, partition, std::move(before));
        });
    }
}

void OffsetStore::set_pending(ProducerId producer, std::string_view group, std::string_view topic,
                              std::int32_t partition, Value value, coordinator::Journal& journal) {
    Value before = exchange_pending(producer, group, topic, partition, std::move(value));
    if (journal.keeps()) {
        journal.undo_with([this, producer, group = std::string{group}, topic = std::string{topic},
                           partition, before = std::move(before)]() mutable {
            exchange_pending(producer, group, topic, partition, std::move(before));
        });
    }
}

}  // namespace millrace::groups
