// From records to state.
#include <algorithm>

#include "coordinator/journaled.h"
#include "groups/internal/shard_state.h"
#include "protocol/messages/consumer_group_current_member_assignment_key.h"
#include "protocol/messages/consumer_group_current_member_assignment_value.h"
#include "protocol/messages/consumer_group_member_metadata_key.h"
#include "protocol/messages/consumer_group_member_metadata_value.h"
#include "protocol/messages/consumer_group_metadata_key.h"
#include "protocol/messages/consumer_group_metadata_value.h"
#include "protocol/messages/consumer_group_partition_metadata_key.h"
#include "protocol/messages/consumer_group_regular_expression_key.h"
#include "protocol/messages/consumer_group_regular_expression_value.h"
#include "protocol/messages/consumer_group_target_assignment_member_key.h"
#include "protocol/messages/consumer_group_target_assignment_member_value.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_key.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_value.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/group_metadata_value.h"
#include "protocol/messages/legacy_offset_commit_key.h"
#include "protocol/messages/legacy_offset_commit_value.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"
#include "protocol/record_frame.h"

namespace millrace::groups {

namespace {

using coordinator::Journal;
using coordinator::RecordView;

std::optional<std::string> own(const std::optional<std::string_view>& text) {
    return text ? std::optional{std::string{*text}} : std::nullopt;
}

/// One record's way into the state.
class Replay {
public:
    Replay(ShardState& state, const RecordView& record, Journal& journal)
        : state_(state), record_(record), journal_(journal) {}

    void run() {
        protocol::Reader in{record_.key};
        switch (protocol::read_coordinator_type(in)) {
            case protocol::LegacyOffsetCommitKey::api_key:
                return apply<protocol::LegacyOffsetCommitKey, protocol::LegacyOffsetCommitValue>(
                    in);
            case protocol::OffsetCommitKey::api_key:
                return apply<protocol::OffsetCommitKey, protocol::OffsetCommitValue>(in);
            case protocol::GroupMetadataKey::api_key:
                return apply<protocol::GroupMetadataKey, protocol::GroupMetadataValue>(in);
            case protocol::ConsumerGroupMetadataKey::api_key:
                return apply<protocol::ConsumerGroupMetadataKey,
                             protocol::ConsumerGroupMetadataValue>(in);
            case protocol::ConsumerGroupPartitionMetadataKey::api_key:
                return apply_partition_metadata(in);
            case protocol::ConsumerGroupMemberMetadataKey::api_key:
                return apply<protocol::ConsumerGroupMemberMetadataKey,
                             protocol::ConsumerGroupMemberMetadataValue>(in);
            case protocol::ConsumerGroupTargetAssignmentMetadataKey::api_key:
                return apply<protocol::ConsumerGroupTargetAssignmentMetadataKey,
                             protocol::ConsumerGroupTargetAssignmentMetadataValue>(in);
            case protocol::ConsumerGroupTargetAssignmentMemberKey::api_key:
                return apply<protocol::ConsumerGroupTargetAssignmentMemberKey,
                             protocol::ConsumerGroupTargetAssignmentMemberValue>(in);
            case protocol::ConsumerGroupCurrentMemberAssignmentKey::api_key:
                return apply<protocol::ConsumerGroupCurrentMemberAssignmentKey,
                             protocol::ConsumerGroupCurrentMemberAssignmentValue>(in);
            case protocol::ConsumerGroupRegularExpressionKey::api_key:
                return apply<protocol::ConsumerGroupRegularExpressionKey,
                             protocol::ConsumerGroupRegularExpressionValue>(in);
            default:
                return;  // Share and streams groups, and what newer releases write.
        }
    }

private:
    template <typename Key, typename Value>
    void apply(protocol::Reader& in) {
        Key key;
        protocol::read_coordinator_key(in, key);
        if (!in.ok()) {
            return unreadable();
        }
        if (!record_.value) {
            return remove(key);
        }
        protocol::Reader value_in{*record_.value};
        Value value;
        protocol::read_versioned(value_in, value);
        if (!value_in.ok()) {
            return unreadable();  // A version that we don't know, most likely.
        }
        set(key, value);
    }

    void unreadable() {
        MR_LOG(state_.env.log, warn, "groups.unreadable_record",
               field("offset", record_.offset.value));
    }

    // Offsets.
    void set(const protocol::OffsetCommitKey& key, const protocol::OffsetCommitValue& value) {
        CommittedOffset offset{.offset = Offset{value.offset},
                               .leader_epoch = LeaderEpoch{value.leader_epoch},
                               .metadata = std::string{value.metadata},
                               .committed_at = Timestamp{value.commit_timestamp},
                               .expires_at = value.expire_timestamp == -1
                                                 ? std::nullopt
                                                 : std::optional{Timestamp{value.expire_timestamp}},
                               .topic_id = value.topic_id,
                               .record = record_.offset};
        commit(key.group, key.topic, key.partition, std::move(offset));
    }
    void set(const protocol::LegacyOffsetCommitKey& key,
             const protocol::LegacyOffsetCommitValue& value) {
        CommittedOffset offset;
        offset.offset = Offset{value.offset};
        offset.metadata = std::string{value.metadata};
        offset.committed_at = Timestamp{value.commit_timestamp};
        offset.record = record_.offset;
        commit(key.group, key.topic, key.partition, std::move(offset));
    }
    void commit(std::string_view group, std::string_view topic, std::int32_t partition,
                CommittedOffset offset) {
        if (state_.find(group) == nullptr) {
            // Somebody commits without being a member, or the group's own record comes later.
            put_group(ClassicGroup{std::string{group}, record_.timestamp});
        }
        if (record_.producer == no_producer) {
            state_.offsets.commit(group, topic, partition, std::move(offset), journal_);
        } else {
            state_.offsets.commit_in_transaction(record_.producer, group, topic, partition,
                                                 std::move(offset), journal_);
        }
    }
    void remove(const protocol::OffsetCommitKey& key) {
        state_.offsets.remove(key.group, key.topic, key.partition, journal_);
    }
    void remove(const protocol::LegacyOffsetCommitKey& key) {
        state_.offsets.remove(key.group, key.topic, key.partition, journal_);
    }

    // Classic groups.
    void set(const protocol::GroupMetadataKey& key, const protocol::GroupMetadataValue& value) {
        if (state_.live && state_.find_classic(key.group) != nullptr) {
            return;  // The group in memory is what this was written from.
        }
        std::vector<ClassicMember> members;
        for (const auto& from : value.members) {
            ClassicMember& to = members.emplace_back();
            to.id = std::string{from.member_id};
            to.instance_id = own(from.group_instance_id);
            to.client_id = std::string{from.client_id};
            to.client_host = std::string{from.client_host};
            to.session_timeout_ms = from.session_timeout;
            to.rebalance_timeout_ms =
                from.rebalance_timeout == -1 ? from.session_timeout : from.rebalance_timeout;
            to.protocols = {
                {std::string{value.protocol.value_or("")}, make_blob(from.subscription)}};
            to.assignment = make_blob(from.assignment);
        }
        ClassicGroup group{std::string{key.group}, record_.timestamp};
        group.restore(value.generation,
                      value.protocol_type.empty() ? std::nullopt
                                                  : std::optional{std::string{value.protocol_type}},
                      own(value.protocol), own(value.leader),
                      value.current_state_timestamp == -1
                          ? std::nullopt
                          : std::optional{Timestamp{value.current_state_timestamp}},
                      std::move(members));
        put_group(std::move(group));
    }
    void remove(const protocol::GroupMetadataKey& key) {
        if (state_.find_classic(key.group) != nullptr) {
            coordinator::erase(journal_, state_.groups, key.group);
        }
    }

    // Consumer groups.
    void set(const protocol::ConsumerGroupMetadataKey& key,
             const protocol::ConsumerGroupMetadataValue& value) {
        consumer(key.group_id).set_epoch(value.epoch, value.metadata_hash, journal_);
    }
    void remove(const protocol::ConsumerGroupMetadataKey& key) {
        if (state_.find_consumer(key.group_id) != nullptr) {
            coordinator::erase(journal_, state_.groups, key.group_id);
        }
    }

    /// Releases before 4.1 kept the subscribed topics here; now it only waits for its tombstone.
    void apply_partition_metadata(protocol::Reader& in) {
        protocol::ConsumerGroupPartitionMetadataKey key;
        protocol::read_coordinator_key(in, key);
        if (!in.ok()) {
            return unreadable();
        }
        if (record_.value) {
            consumer(key.group_id).set_partition_metadata_record(true, journal_);
        } else if (ConsumerGroup* group = state_.find_consumer(key.group_id)) {
            group->set_partition_metadata_record(false, journal_);
        }
    }

    void set(const protocol::ConsumerGroupMemberMetadataKey& key,
             const protocol::ConsumerGroupMemberMetadataValue& value) {
        ConsumerGroup& group = consumer(key.group_id);
        ConsumerMember member = copy_of(group, key.member_id);
        member.instance_id = own(value.instance_id);
        member.rack_id = own(value.rack_id);
        member.client_id = std::string{value.client_id};
        member.client_host = std::string{value.client_host};
        member.topics.assign(value.subscribed_topic_names.begin(),
                             value.subscribed_topic_names.end());
        std::sort(member.topics.begin(), member.topics.end());
        member.topics.erase(std::unique(member.topics.begin(), member.topics.end()),
                            member.topics.end());
        member.regex = std::string{value.subscribed_topic_regex.value_or("")};
        member.rebalance_timeout_ms = value.rebalance_timeout_ms;
        member.assignor = own(value.server_assignor);
        member.classic.reset();
        // A record without the field reads as one with an empty one; classic members offer something.
        if (value.classic_member_metadata &&
            !value.classic_member_metadata->supported_protocols.empty()) {
            member.classic.emplace();
            member.classic->session_timeout_ms = value.classic_member_metadata->session_timeout_ms;
            for (const auto& from : value.classic_member_metadata->supported_protocols) {
                member.classic->protocols.push_back(
                    {std::string{from.name}, make_blob(from.metadata)});
            }
        }
        group.set_member(std::make_shared<const ConsumerMember>(std::move(member)), journal_);
    }
    void remove(const protocol::ConsumerGroupMemberMetadataKey& key) {
        if (ConsumerGroup* group = state_.find_consumer(key.group_id)) {
            group->remove_member(key.member_id, journal_);
        }
    }

    void set(const protocol::ConsumerGroupTargetAssignmentMetadataKey& key,
             const protocol::ConsumerGroupTargetAssignmentMetadataValue& value) {
        consumer(key.group_id)
            .set_assignment(value.assignment_epoch,
                            value.assignment_timestamp == 0
                                ? std::nullopt
                                : std::optional{Timestamp{value.assignment_timestamp}},
                            journal_);
    }
    void remove(const protocol::ConsumerGroupTargetAssignmentMetadataKey& key) {
        if (ConsumerGroup* group = state_.find_consumer(key.group_id)) {
            group->set_assignment(-1, std::nullopt, journal_);
        }
    }

    void set(const protocol::ConsumerGroupTargetAssignmentMemberKey& key,
             const protocol::ConsumerGroupTargetAssignmentMemberValue& value) {
        auto target = std::make_shared<PartitionSet>();
        for (const auto& topic : value.topic_partitions) {
            if (!topic.partitions.empty()) {
                std::vector<std::int32_t>& partitions = (*target)[topic.topic_id];
                partitions = topic.partitions;
                std::sort(partitions.begin(), partitions.end());
            }
        }
        consumer(key.group_id).set_target(std::string{key.member_id}, std::move(target), journal_);
    }
    void remove(const protocol::ConsumerGroupTargetAssignmentMemberKey& key) {
        if (ConsumerGroup* group = state_.find_consumer(key.group_id)) {
            group->remove_target(key.member_id, journal_);
        }
    }

    void set(const protocol::ConsumerGroupCurrentMemberAssignmentKey& key,
             const protocol::ConsumerGroupCurrentMemberAssignmentValue& value) {
        ConsumerGroup& group = consumer(key.group_id);
        ConsumerMember member = copy_of(group, key.member_id);
        member.epoch = value.member_epoch;
        member.previous_epoch = value.previous_member_epoch;
        member.state = value.state >= 0 && value.state <= 2 ? static_cast<MemberState>(value.state)
                                                            : MemberState::unknown;
        member.assigned = epoch_set(value.assigned_partitions, value.member_epoch);
        member.revoking = epoch_set(value.partitions_pending_revocation, value.member_epoch);
        group.set_member(std::make_shared<const ConsumerMember>(std::move(member)), journal_);
    }
    void remove(const protocol::ConsumerGroupCurrentMemberAssignmentKey& key) {
        ConsumerGroup* group = state_.find_consumer(key.group_id);
        const MemberPtr present = group == nullptr ? nullptr : group->find(key.member_id);
        if (present == nullptr) {
            return;
        }
        ConsumerMember member = *present;
        member.epoch = member.previous_epoch = leave_epoch;
        member.assigned.clear();
        member.revoking.clear();
        group->set_member(std::make_shared<const ConsumerMember>(std::move(member)), journal_);
    }

    void set(const protocol::ConsumerGroupRegularExpressionKey& key,
             const protocol::ConsumerGroupRegularExpressionValue& value) {
        ResolvedRegex resolved{.topics = {value.topics.begin(), value.topics.end()},
                               .version = value.version,
                               .at = Timestamp{value.timestamp}};
        std::sort(resolved.topics.begin(), resolved.topics.end());
        consumer(key.group_id)
            .set_resolved(std::string{key.regular_expression}, std::move(resolved), journal_);
    }
    void remove(const protocol::ConsumerGroupRegularExpressionKey& key) {
        if (ConsumerGroup* group = state_.find_consumer(key.group_id)) {
            group->set_resolved(std::string{key.regular_expression}, std::nullopt, journal_);
        }
    }

    // Helpers.
    template <typename State>
    void put_group(State group) {
        const std::string id = group.id();
        coordinator::put(journal_, state_.groups, id, std::make_unique<Group>(std::move(group)));
    }
    /// The consumer group of that name, created if need be: the latest record says what a group is.
    ConsumerGroup& consumer(std::string_view group) {
        if (state_.find_consumer(group) == nullptr) {
            put_group(ConsumerGroup{std::string{group}});
        }
        return *state_.find_consumer(group);
    }
    static ConsumerMember copy_of(const ConsumerGroup& group, std::string_view id) {
        if (const MemberPtr present = group.find(id)) {
            return *present;
        }
        ConsumerMember fresh;
        fresh.id = std::string{id};
        return fresh;
    }
    template <typename Topics>
    static EpochSet epoch_set(const Topics& topics, std::int32_t member_epoch) {
        EpochSet out;
        for (const auto& topic : topics) {
            // Records of before KIP-1251 have no epochs per partition.
            const bool has_epochs = topic.assignment_epochs &&
                                    topic.assignment_epochs->size() == topic.partitions.size();
            for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
                out[topic.topic_id][topic.partitions[i]] =
                    has_epochs ? (*topic.assignment_epochs)[i] : std::max(member_epoch, 0);
            }
        }
        return out;
    }

    ShardState& state_;
    const RecordView& record_;
    Journal& journal_;
};

}  // namespace

void replay(ShardState& state, const coordinator::RecordView& record,
            coordinator::Journal& journal) {
    Replay{state, record, journal}.run();
}

}  // namespace millrace::groups
