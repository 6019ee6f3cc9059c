// groups/internal/classic_group.h
//
// A group of the classic protocol: its members, its generation and its state. What the log knows of
// it is written when an assignment is stored or the group becomes empty; the rest (who waits for a
// join or a sync, what members offer) lives here only. No time, no records: classic_membership.h
// decides when what happens.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "groups/group_coordinator.h"
#include "groups/internal/values.h"
#include "model/kafka_error.h"

namespace millrace::groups {

inline constexpr std::string_view consumer_protocol_type = "consumer";

enum class ClassicState { preparing_rebalance, completing_rebalance, stable, dead, empty };

/// "PreparingRebalance", as clients and tools know it.
std::string_view to_string(ClassicState state);

struct ClassicProtocol {
    std::string name;
    Blob metadata;
};
bool operator==(const ClassicProtocol& a, const ClassicProtocol& b);

struct ClassicMember {
    std::string id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    std::int32_t rebalance_timeout_ms = -1;
    std::int32_t session_timeout_ms = -1;
    std::vector<ClassicProtocol> protocols;  ///< In the member's order of preference.
    Blob assignment;

    bool is_new = false;  ///< Its first join is still waiting.
    Reply<protocol::JoinGroupResponse> awaiting_join;
    Reply<protocol::SyncGroupResponse> awaiting_sync;

    bool is_awaiting_join() const { return static_cast<bool>(awaiting_join); }
    bool is_awaiting_sync() const { return static_cast<bool>(awaiting_sync); }
    /// A parked request proves that a member lives; a new one may be gone without our knowing.
    bool satisfies_heartbeat() const {
        return !is_new && (is_awaiting_join() || is_awaiting_sync());
    }
    bool offers(std::string_view protocol) const;
    Blob metadata(std::string_view protocol) const;
    std::size_t metadata_bytes() const;  ///< Of what it offers.
};

class ClassicGroup {
public:
    ClassicGroup(std::string id, Timestamp since) : id_(std::move(id)), since_(since) {}

    // What there is.
    const std::string& id() const { return id_; }
    ClassicState state() const { return state_; }
    ClassicState previous_state() const { return previous_; }
    bool is(ClassicState state) const { return state_ == state; }
    Timestamp since() const { return since_; }
    std::int32_t generation() const { return generation_; }
    const std::optional<std::string>& protocol_type() const { return protocol_type_; }
    const std::optional<std::string>& protocol() const { return protocol_; }
    const std::optional<std::string>& leader() const { return leader_; }
    bool is_leader(std::string_view member) const { return leader_ && *leader_ == member; }
    bool uses_consumer_protocol() const { return protocol_type_ == consumer_protocol_type; }
    /// Only holds offsets that someone committed without being a member.
    bool is_simple() const {
        return state_ == ClassicState::empty && !protocol_type_ && pending_.empty();
    }

    const StringMap<ClassicMember>& members() const { return members_; }
    StringMap<ClassicMember>& members() { return members_; }
    ClassicMember* find(std::string_view member);
    const ClassicMember* find(std::string_view member) const;
    bool has(std::string_view member) const { return members_.contains(member); }
    /// The member id behind an instance id; null if there is none.
    const std::string* static_member(std::string_view instance) const;
    bool is_pending(std::string_view member) const { return pending_.contains(member); }
    std::size_t pending_count() const { return pending_.size(); }
    std::size_t awaiting_join_count() const { return awaiting_join_; }
    std::size_t metadata_bytes() const { return metadata_bytes_; }
    bool all_joined() const { return members_.size() == awaiting_join_ && pending_.empty(); }
    bool all_synced() const { return unsynced_.empty(); }
    const std::set<std::string, std::less<>>& unsynced() const { return unsynced_; }
    std::int32_t rebalance_timeout_ms() const;  ///< The longest of any member.
    bool can_rebalance() const;

    /// none, unknown_member_id or fenced_instance_id.
    KafkaError check_member(std::string_view member,
                            const std::optional<std::string_view>& instance) const;
    bool supports(std::string_view type, const std::vector<ClassicProtocol>& protocols) const;
    /// The protocol that all members offer and most prefer.
    std::string select_protocol() const;
    /// The topics that members subscribe to; none if the group isn't one of consumers or what they
    /// sent can't be read.
    const std::optional<std::set<std::string, std::less<>>>& topics() const { return topics_; }
    bool is_subscribed_to(std::string_view topic) const;

    // What happens to it.
    void transition(ClassicState state, Timestamp now);
    /// supports() must have said yes.
    void add(ClassicMember member, std::string_view type);
    /// Who still waited for a join must have been answered before.
    void remove(std::string_view member);
    void add_pending(std::string member) { pending_.insert(std::move(member)); }
    void update(ClassicMember& member, std::vector<ClassicProtocol> protocols,
                std::int32_t rebalance_timeout_ms, std::int32_t session_timeout_ms);
    void await_join(ClassicMember& member, Reply<protocol::JoinGroupResponse> reply);
    /// Takes the parked reply of a member that waits for its join; empty if it doesn't.
    Reply<protocol::JoinGroupResponse> stop_awaiting_join(ClassicMember& member);
    /// The same member under a new id, without what its predecessor waited for.
    ClassicMember& replace_static(std::string_view instance, const std::string& new_id);
    /// A leader that has rejoined; false if nobody has.
    bool elect_joined_leader();
    void next_generation(Timestamp now);
    void expect_syncs();
    void synced(std::string_view member);
    void forget_syncs() { unsynced_.clear(); }

    bool new_member_added = false;  ///< Since the initial delay was last extended.

    /// As the log has it. `topics` follow from what members sent.
    void restore(std::int32_t generation, std::optional<std::string> type,
                 std::optional<std::string> protocol, std::optional<std::string> leader,
                 std::optional<Timestamp> since, std::vector<ClassicMember> members);

private:
    void count_protocols(const ClassicMember& member, int by);
    void refresh_topics();

    std::string id_;
    ClassicState state_ = ClassicState::empty;
    ClassicState previous_ = ClassicState::dead;
    Timestamp since_;  ///< Of the state.
    std::int32_t generation_ = 0;
    std::optional<std::string> protocol_type_;
    std::optional<std::string> protocol_;
    std::optional<std::string> leader_;
    StringMap<ClassicMember> members_;
    StringMap<std::string> static_members_;
    std::set<std::string, std::less<>> pending_;   ///< Were given an id and have not joined yet.
    std::set<std::string, std::less<>> unsynced_;  ///< Of this generation.
    StringMap<std::size_t> offers_;                ///< Members by protocol that they offer.
    std::size_t awaiting_join_ = 0;
    std::size_t metadata_bytes_ = 0;
    std::optional<std::set<std::string, std::less<>>> topics_;
};

}  // namespace millrace::groups
