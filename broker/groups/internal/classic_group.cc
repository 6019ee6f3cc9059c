#include "groups/internal/classic_group.h"

#include <algorithm>

#include "base/assert.h"
#include "groups/internal/embedded.h"

namespace millrace::groups {

std::string_view to_string(ClassicState state) {
    switch (state) {
        case ClassicState::preparing_rebalance:
            return "PreparingRebalance";
        case ClassicState::completing_rebalance:
            return "CompletingRebalance";
        case ClassicState::stable:
            return "Stable";
        case ClassicState::dead:
            return "Dead";
        case ClassicState::empty:
            return "Empty";
    }
    return "Unknown";
}

bool operator==(const ClassicProtocol& a, const ClassicProtocol& b) {
    return a.name == b.name && same(a.metadata, view(b.metadata));
}

bool ClassicMember::offers(std::string_view protocol) const {
    return std::any_of(protocols.begin(), protocols.end(),
                       [&](const ClassicProtocol& p) { return p.name == protocol; });
}

Blob ClassicMember::metadata(std::string_view protocol) const {
    const auto found = std::find_if(protocols.begin(), protocols.end(),
                                    [&](const ClassicProtocol& p) { return p.name == protocol; });
    return found == protocols.end() ? nullptr : found->metadata;
}

std::size_t ClassicMember::metadata_bytes() const {
    std::size_t bytes = 0;
    for (const ClassicProtocol& protocol : protocols) {
        bytes += protocol.name.size() + view(protocol.metadata).size();
    }
    return bytes;
}

ClassicMember* ClassicGroup::find(std::string_view member) {
    const auto found = members_.find(member);
    return found == members_.end() ? nullptr : &found->second;
}

const ClassicMember* ClassicGroup::find(std::string_view member) const {
    const auto found = members_.find(member);
    return found == members_.end() ? nullptr : &found->second;
}

const std::string* ClassicGroup::static_member(std::string_view instance) const {
    const auto found = static_members_.find(instance);
    return found == static_members_.end() ? nullptr : &found->second;
}

std::int32_t ClassicGroup::rebalance_timeout_ms() const {
    std::int32_t longest = 0;
    for (const auto& [id, member] : members_) {
        longest = std::max(longest, member.rebalance_timeout_ms);
    }
    return longest;
}

bool ClassicGroup::can_rebalance() const {
    return state_ == ClassicState::stable || state_ == ClassicState::completing_rebalance ||
           state_ == ClassicState::empty;
}

KafkaError ClassicGroup::check_member(std::string_view member,
                                      const std::optional<std::string_view>& instance) const {
    if (instance) {
        const std::string* known = static_member(*instance);
        if (known == nullptr) {
            return KafkaError::unknown_member_id;
        }
        if (*known != member) {
            return KafkaError::fenced_instance_id;
        }
    }
    return has(member) ? KafkaError::none : KafkaError::unknown_member_id;
}

bool ClassicGroup::supports(std::string_view type,
                            const std::vector<ClassicProtocol>& protocols) const {
    if (is(ClassicState::empty)) {
        return !type.empty() && !protocols.empty();
    }
    return protocol_type_ == type &&
           std::any_of(protocols.begin(), protocols.end(), [&](const ClassicProtocol& protocol) {
               const auto found = offers_.find(protocol.name);
               return (found == offers_.end() ? 0 : found->second) == members_.size();
           });
}

std::string ClassicGroup::select_protocol() const {
    MR_ASSERT(!members_.empty());
    StringMap<std::size_t> votes;
    for (const auto& [id, member] : members_) {
        const auto preferred = std::find_if(
            member.protocols.begin(), member.protocols.end(), [&](const ClassicProtocol& protocol) {
                return offers_.find(protocol.name)->second == members_.size();
            });
        MR_ASSERT(preferred != member.protocols.end());  // supports() let it in.
        ++votes[preferred->name];
    }
    return std::max_element(votes.begin(), votes.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
}

bool ClassicGroup::is_subscribed_to(std::string_view topic) const {
    return topics_ ? topics_->contains(topic) : uses_consumer_protocol();
}

void ClassicGroup::transition(ClassicState state, Timestamp now) {
    previous_ = state_;
    state_ = state;
    since_ = now;
}

void ClassicGroup::add(ClassicMember member, std::string_view type) {
    if (members_.empty()) {
        protocol_type_ = std::string{type};
    }
    MR_ASSERT(!has(member.id) && protocol_type_ == type);
    if (!leader_) {
        leader_ = member.id;
    }
    if (member.instance_id) {
        static_members_.insert_or_assign(*member.instance_id, member.id);
    }
    count_protocols(member, 1);
    pending_.erase(member.id);
    awaiting_join_ += static_cast<std::size_t>(member.is_awaiting_join());
    std::string id = member.id;
    members_.emplace(std::move(id), std::move(member));
}

void ClassicGroup::remove(std::string_view id) {
    if (ClassicMember* member = find(id)) {
        MR_ASSERT(!member->is_awaiting_join());
        count_protocols(*member, -1);
        if (member->instance_id) {
            static_members_.erase(*member->instance_id);
        }
        const bool was_leader = is_leader(id);
        members_.erase(members_.find(id));
        if (was_leader) {
            leader_ = members_.empty() ? std::nullopt : std::optional{members_.begin()->first};
        }
    }
    if (const auto found = pending_.find(id); found != pending_.end()) {
        pending_.erase(found);
    }
    synced(id);
}

void ClassicGroup::update(ClassicMember& member, std::vector<ClassicProtocol> protocols,
                          std::int32_t rebalance_timeout_ms, std::int32_t session_timeout_ms) {
    count_protocols(member, -1);
    member.protocols = std::move(protocols);
    count_protocols(member, 1);
    member.rebalance_timeout_ms = rebalance_timeout_ms;
    member.session_timeout_ms = session_timeout_ms;
}

void ClassicGroup::await_join(ClassicMember& member, Reply<protocol::JoinGroupResponse> reply) {
    MR_ASSERT(reply && !member.is_awaiting_join());
    ++awaiting_join_;
    member.awaiting_join = std::move(reply);
}

Reply<protocol::JoinGroupResponse> ClassicGroup::stop_awaiting_join(ClassicMember& member) {
    if (member.is_awaiting_join()) {
        --awaiting_join_;
    }
    return std::move(member.awaiting_join);
}

ClassicMember& ClassicGroup::replace_static(std::string_view instance, const std::string& new_id) {
    const auto at = static_members_.find(instance);
    MR_ASSERT(at != static_members_.end());
    auto node = members_.extract(at->second);
    MR_ASSERT(!node.mapped().is_awaiting_join() && !node.mapped().is_awaiting_sync());
    synced(at->second);
    if (is_leader(at->second)) {
        leader_ = new_id;
    }
    at->second = new_id;
    node.key() = new_id;
    node.mapped().id = new_id;
    return members_.insert(std::move(node)).position->second;
}

bool ClassicGroup::elect_joined_leader() {
    if (leader_) {
        const ClassicMember* leader = find(*leader_);
        if (leader != nullptr && leader->is_awaiting_join()) {
            return true;
        }
    }
    for (const auto& [id, member] : members_) {
        if (member.is_awaiting_join()) {
            leader_ = id;
            return true;
        }
    }
    return false;
}

void ClassicGroup::next_generation(Timestamp now) {
    ++generation_;
    if (members_.empty()) {
        protocol_.reset();
        transition(ClassicState::empty, now);
    } else {
        protocol_ = select_protocol();
        transition(ClassicState::completing_rebalance, now);
    }
    refresh_topics();
    unsynced_.clear();
}

void ClassicGroup::expect_syncs() {
    for (const auto& [id, member] : members_) {
        unsynced_.insert(id);
    }
}

void ClassicGroup::synced(std::string_view member) {
    if (const auto found = unsynced_.find(member); found != unsynced_.end()) {
        unsynced_.erase(found);
    }
}

void ClassicGroup::restore(std::int32_t generation, std::optional<std::string> type,
                           std::optional<std::string> protocol, std::optional<std::string> leader,
                           std::optional<Timestamp> since, std::vector<ClassicMember> members) {
    generation_ = generation;
    for (ClassicMember& member : members) {
        if (!has(member.id)) {
            add(std::move(member), type.value_or(""));
        }
    }
    protocol_type_ = std::move(type);
    protocol_ = std::move(protocol);
    leader_ = std::move(leader);
    state_ = members_.empty() ? ClassicState::empty : ClassicState::stable;
    if (since) {
        since_ = *since;
    }
    refresh_topics();
}

void ClassicGroup::count_protocols(const ClassicMember& member, int by) {
    for (const ClassicProtocol& protocol : member.protocols) {
        std::size_t& count = offers_[protocol.name];
        count += static_cast<std::size_t>(by);
        if (count == 0) {
            offers_.erase(protocol.name);
        }
    }
    metadata_bytes_ += static_cast<std::size_t>(by) * member.metadata_bytes();
}

void ClassicGroup::refresh_topics() {
    topics_.reset();
    if (!uses_consumer_protocol() || (!protocol_ && !members_.empty())) {
        return;
    }
    std::set<std::string, std::less<>> topics;
    for (const auto& [id, member] : members_) {
        const Result<std::vector<std::string>> names =
            parse_subscribed_topics(view(member.metadata(*protocol_)));
        if (!names) {
            return;  // Someone's own format: then the group counts as subscribed to every topic.
        }
        topics.insert(names->begin(), names->end());
    }
    topics_ = std::move(topics);
}

}  // namespace millrace::groups
