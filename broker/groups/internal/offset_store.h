// groups/internal/offset_store.h
//
// Committed offsets of all groups of a shard, and those of transactions that have not ended.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "coordinator/state_machine.h"
#include "groups/internal/values.h"
#include "model/ids.h"

namespace millrace::groups {

struct CommittedOffset {
    Offset offset;
    LeaderEpoch leader_epoch = no_leader_epoch;
    std::string metadata;
    Timestamp committed_at;
    std::optional<Timestamp> expires_at;  ///< Old clients chose a retention themselves.
    Uuid topic_id;                        ///< Zero if the client named the topic only.
    Offset record;                        ///< Where the commit lies in the log.
    friend bool operator==(const CommittedOffset&, const CommittedOffset&) = default;

    /// Another topic of the same name has taken its place.
    bool is_of_other_topic(const Uuid& id) const {
        return !topic_id.is_zero() && !id.is_zero() && topic_id != id;
    }
};

class OffsetStore {
public:
    using Partitions = std::map<std::int32_t, CommittedOffset>;
    using Topics = StringMap<Partitions>;

    /// Null if the group has none.
    const Topics* of_group(std::string_view group) const;
    const CommittedOffset* find(std::string_view group, std::string_view topic,
                                std::int32_t partition) const;
    const StringMap<Topics>& all() const { return committed_; }
    std::size_t count() const { return count_; }

    bool has_pending(std::string_view group, std::string_view topic, std::int32_t partition) const;
    bool has_pending(std::string_view group) const { return open_.contains(group); }
    /// Partitions of the group with an offset in an open transaction.
    std::vector<TopicPartition> pending_of(std::string_view group) const;
    const std::map<ProducerId, StringMap<Topics>>& pending() const { return pending_; }

    // Changes.
    void commit(std::string_view group, std::string_view topic, std::int32_t partition,
                CommittedOffset offset, coordinator::Journal& journal);
    void commit_in_transaction(ProducerId producer, std::string_view group, std::string_view topic,
                               std::int32_t partition, CommittedOffset offset,
                               coordinator::Journal& journal);
    /// The committed offset and every pending one.
    void remove(std::string_view group, std::string_view topic, std::int32_t partition,
                coordinator::Journal& journal);
    void end_transaction(ProducerId producer, coordinator::TransactionResult result,
                         coordinator::Journal& journal);

private:
    using Value = std::optional<CommittedOffset>;
    using ByGroup = StringMap<Topics>;

    static Value exchange(ByGroup& groups, std::string_view group, std::string_view topic,
                          std::int32_t partition, Value value);
    void set_committed(std::string_view group, std::string_view topic, std::int32_t partition,
                       Value value, coordinator::Journal& journal);
    void set_pending(ProducerId producer, std::string_view group, std::string_view topic,
                     std::int32_t partition, Value value, coordinator::Journal& journal);
    Value exchange_committed(std::string_view group, std::string_view topic, std::int32_t partition,
                             Value value);
    Value exchange_pending(ProducerId producer, std::string_view group, std::string_view topic,
                           std::int32_t partition, Value value);

    ByGroup committed_;
    std::size_t count_ = 0;
    std::map<ProducerId, ByGroup> pending_;
    /// Which producers have an open commit for a partition: the other side of pending_.
    StringMap<StringMap<std::map<std::int32_t, std::set<ProducerId>>>> open_;
};

}  // namespace millrace::groups
