#include "metadata/delta.h"

#include <fmt/format.h>

#include "metadata/internal/replay.h"

namespace millrace::metadata {
namespace {

/// Walks two ordered maps together; `report` gets each key that only one has, or whose values
/// differ by `same`.
template <typename Map, typename Same, typename Report>
void for_each_difference(const Map& a, const Map& b, Same same, Report report) {
    if (a.is_same_as(b)) {
        return;
    }
    auto x = a.begin();
    auto y = b.begin();
    while (x != a.end() || y != b.end()) {
        if (y == b.end() || (x != a.end() && x->key < y->key)) {
            report(x->key, true, false);
            ++x;
        } else if (x == a.end() || y->key < x->key) {
            report(y->key, false, true);
            ++y;
        } else {
            if (!same(x->value, y->value)) {
                report(x->key, true, true);
            }
            ++x;
            ++y;
        }
    }
}

template <typename Map, typename Set>
void collect_values(const Map& a, const Map& b, Set& changed) {
    for_each_difference(
        a, b, [](const auto& x, const auto& y) { return x == y; },
        [&](const auto& key, bool, bool) { changed.insert(key); });
}

template <typename Map, typename Set>
void collect_objects(const Map& a, const Map& b, Set& changed) {
    for_each_difference(
        a, b, [](const auto& x, const auto& y) { return x == y || *x == *y; },
        [&](const auto& key, bool, bool) { changed.insert(key); });
}

void collect_partitions(const Topics& from, const Topics& to, const Uuid& id,
                        std::set<TopicIdPartition>& changed) {
    static const Partitions none;
    const Topic* before = from.find(id);
    for_each_difference(
        before != nullptr ? before->partitions : none, to.find(id)->partitions,
        [](const auto& x, const auto& y) { return x == y || *x == *y; },
        [&](PartitionIndex index, bool, bool) { changed.insert({id, index}); });
}

}  // namespace

Delta Delta::between(Image from, Image to) {
    Delta delta(std::move(from));
    delta.next_ = std::move(to);
    const Image& a = delta.base_;
    const Image& b = delta.next_;
    Changes& changes = delta.changes_;
    for_each_difference(
        a.topics.by_id(), b.topics.by_id(), [](const auto& x, const auto& y) { return x == y; },
        [&](const Uuid& id, bool before, bool after) {
            if (!before) {
                changes.topics_created.insert(id);
            }
            if (!after) {
                changes.topics_deleted.emplace(id, a.topics.find(id)->name);
            } else {
                collect_partitions(a.topics, b.topics, id, changes.partitions);
            }
        });
    collect_objects(a.cluster.brokers, b.cluster.brokers, changes.brokers);
    collect_objects(a.cluster.controllers, b.cluster.controllers, changes.controllers);
    collect_objects(a.configs.by_resource(), b.configs.by_resource(), changes.configs);
    collect_values(a.features, b.features, changes.features);
    collect_values(a.quotas, b.quotas, changes.quotas);
    collect_values(a.scram, b.scram, changes.scram);
    collect_values(a.acls, b.acls, changes.acls);
    collect_values(a.delegation_tokens, b.delegation_tokens, changes.delegation_tokens);
    changes.producer_ids = a.next_producer_id != b.next_producer_id;
    return delta;
}

Result<void> Delta::replay(ByteView record, Offset offset) {
    Result<void> done = visit_record(record, Replayer{*this});
    if (!done) {
        return done.error().with_context(fmt::format("metadata record at offset {}", offset));
    }
    return {};
}

bool Delta::is_empty() const {
    return changes_.topics_created.empty() && changes_.topics_deleted.empty() &&
           changes_.partitions.empty() && changes_.brokers.empty() &&
           changes_.controllers.empty() && changes_.configs.empty() && changes_.features.empty() &&
           changes_.quotas.empty() && changes_.scram.empty() && changes_.acls.empty() &&
           changes_.delegation_tokens.empty() && !changes_.producer_ids;
}

}  // namespace millrace::metadata
