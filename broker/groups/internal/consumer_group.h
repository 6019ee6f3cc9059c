// groups/internal/consumer_group.h
//
// A group of the consumer protocol (KIP-848). Everything in here comes from records, so every
// change goes through a Journal; heartbeats decide (consumer_heartbeat.cc) and append records.
//
//   group epoch        grows when members or their topics change
//   assignment epoch   the group epoch that the target assignment was made for
//   member epoch       the assignment epoch that a member has reached
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "coordinator/state_machine.h"
#include "groups/internal/classic_group.h"
#include "groups/internal/values.h"

namespace millrace::groups {

inline constexpr std::int32_t leave_epoch = -1;
inline constexpr std::int32_t leave_static_epoch = -2;

enum class MemberState : std::int8_t {
    stable = 0,
    unrevoked_partitions = 1,   ///< Has to give up partitions before it may go on.
    unreleased_partitions = 2,  ///< Waits for partitions that others still hold.
    unknown = 127,              ///< Written by a newer release.
};

/// How a member of the classic protocol takes part in a consumer group.
struct ClassicSide {
    std::int32_t session_timeout_ms = 0;
    std::vector<ClassicProtocol> protocols;
    friend bool operator==(const ClassicSide&, const ClassicSide&) = default;
};

struct ConsumerMember {
    std::string id;
    std::int32_t epoch = 0;
    std::int32_t previous_epoch = -1;
    MemberState state = MemberState::stable;
    std::optional<std::string> instance_id;
    std::optional<std::string> rack_id;
    std::int32_t rebalance_timeout_ms = -1;
    std::string client_id;
    std::string client_host;
    std::vector<std::string> topics;  ///< Sorted, without repeats.
    std::string regex;                ///< Empty: none.
    std::optional<std::string> assignor;
    EpochSet assigned;
    EpochSet revoking;
    std::optional<ClassicSide> classic;
    friend bool operator==(const ConsumerMember&, const ConsumerMember&) = default;

    bool is_reconciled_to(std::int32_t assignment_epoch) const {
        return state == MemberState::stable && epoch == assignment_epoch;
    }
    /// Same but for what a current assignment record holds.
    bool same_metadata(const ConsumerMember& other) const;
};

using MemberPtr = std::shared_ptr<const ConsumerMember>;
using TargetPtr = std::shared_ptr<const PartitionSet>;

struct ResolvedRegex {
    std::vector<std::string> topics;  ///< Sorted.
    std::int64_t version = 0;         ///< Of the topics it was resolved against.
    Timestamp at;
    friend bool operator==(const ResolvedRegex&, const ResolvedRegex&) = default;
};

enum class ConsumerState { empty, assigning, reconciling, stable };
std::string_view to_string(ConsumerState state);

class ConsumerGroup {
public:
    static constexpr std::int32_t initial_epoch = 1;

    explicit ConsumerGroup(std::string id) : id_(std::move(id)) {}

    const std::string& id() const { return id_; }
    std::int32_t epoch() const { return epoch_; }
    std::int64_t metadata_hash() const { return metadata_hash_; }
    std::int32_t assignment_epoch() const { return assignment_epoch_; }
    /// When the target was made; none lets the next one be made at once.
    std::optional<Timestamp> assigned_at() const { return assigned_at_; }
    bool has_partition_metadata_record() const { return has_partition_metadata_; }
    ConsumerState state() const;
    bool empty() const { return members_.empty(); }

    const StringMap<MemberPtr>& members() const { return members_; }
    MemberPtr find(std::string_view member) const;
    MemberPtr find_static(std::string_view instance) const;
    bool has_static(const std::optional<std::string>& instance) const {
        return instance && static_members_.contains(*instance);
    }
    /// What the member shall have; empty for a member that has no target yet.
    const PartitionSet& target(std::string_view member) const;
    const StringMap<TargetPtr>& targets() const { return targets_; }
    /// The epoch in which somebody holds the partition (or still has to give it up); -1 for nobody.
    std::int32_t owner_epoch(const Uuid& topic, std::int32_t partition) const;

    /// Names that somebody subscribes to, by name or through a resolved regular expression.
    std::vector<std::string_view> subscribed_topics() const;
    bool is_subscribed_to(std::string_view topic) const { return topics_.contains(topic); }
    /// All members want the same topics.
    bool is_homogeneous() const;
    /// Members by the regular expression they subscribe with.
    const StringMap<std::size_t>& regexes() const { return regex_members_; }
    const StringMap<ResolvedRegex>& resolved() const { return resolved_; }
    const ResolvedRegex* resolved(std::string_view regex) const;
    /// What the member subscribes to, sorted.
    std::vector<std::string_view> topics_of(const ConsumerMember& member) const;

    /// The assignor that most members ask for; none if nobody does.
    std::optional<std::string> preferred_assignor() const;
    std::size_t classic_members() const { return classic_members_; }
    bool supports_classic(std::string_view type,
                          const std::vector<ClassicProtocol>& protocols) const;
    /// A member that waits for partitions which somebody still holds: rejoining would not help.
    bool waits_for_others(const ConsumerMember& member) const;

    // Changes.
    void set_epoch(std::int32_t epoch, std::int64_t hash, coordinator::Journal& journal);
    void set_assignment(std::int32_t epoch, std::optional<Timestamp> at,
                        coordinator::Journal& journal);
    void set_member(MemberPtr member, coordinator::Journal& journal);
    void remove_member(std::string_view member, coordinator::Journal& journal);
    void set_target(const std::string& member, TargetPtr target, coordinator::Journal& journal);
    void remove_target(std::string_view member, coordinator::Journal& journal);
    void set_resolved(const std::string& regex, std::optional<ResolvedRegex> resolved,
                      coordinator::Journal& journal);
    void set_partition_metadata_record(bool present, coordinator::Journal& journal);

    /// Whether the subscribed topics have to be compared with those that exist: not since this
    /// version of them, or an epoch that such a comparison led to was taken back.
    bool needs_check(std::int64_t topics_version) const {
        return checked_version_ != topics_version || epoch_ < checked_epoch_;
    }
    void set_checked(std::int64_t topics_version) {
        checked_version_ = topics_version;
        checked_epoch_ = epoch_;
    }

private:
    struct Owner {
        std::int32_t epoch;
        std::string member;
    };
    struct Interest {
        std::size_t by_name = 0;   ///< Members that name the topic.
        std::size_t by_regex = 0;  ///< Regular expressions that resolve to it.
    };

    void exchange(std::string_view id, MemberPtr member);
    void exchange_resolved(const std::string& regex, std::optional<ResolvedRegex> resolved);
    void count(const ConsumerMember& member, int by);
    void count_topic(std::string_view topic, std::size_t Interest::* what, int by);
    void hold(const ConsumerMember& member, const EpochSet& partitions);
    void release(const ConsumerMember& member, const EpochSet& partitions);

    std::string id_;
    std::int32_t epoch_ = initial_epoch;
    std::int64_t metadata_hash_ = 0;
    std::int32_t assignment_epoch_ = initial_epoch;
    std::optional<Timestamp> assigned_at_;
    bool has_partition_metadata_ = false;
    StringMap<MemberPtr> members_;
    StringMap<TargetPtr> targets_;
    StringMap<ResolvedRegex> resolved_;

    // Known to us only.
    std::int64_t checked_version_ = -1;
    std::int32_t checked_epoch_ = 0;

    // Follows from members_ and resolved_.
    StringMap<std::string> static_members_;
    StringMap<Interest> topics_;
    StringMap<std::size_t> regex_members_;
    StringMap<std::size_t> assignors_;
    StringMap<std::size_t> classic_offers_;
    std::size_t classic_members_ = 0;
    std::map<std::int32_t, std::size_t> stable_by_epoch_;
    std::map<Uuid, std::map<std::int32_t, Owner>> owners_;
};

}  // namespace millrace::groups
