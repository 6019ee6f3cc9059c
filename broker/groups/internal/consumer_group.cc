#include "groups/internal/consumer_group.h"

#include <algorithm>
#include <iterator>

#include "coordinator/journaled.h"

namespace millrace::groups {

namespace {

void add_to(StringMap<std::size_t>& counts, std::string_view key, int by) {
    const auto found = counts.try_emplace(std::string{key}, 0).first;
    found->second += static_cast<std::size_t>(by);
    if (found->second == 0) {
        counts.erase(found);
    }
}

}  // namespace

bool ConsumerMember::same_metadata(const ConsumerMember& other) const {
    return id == other.id && instance_id == other.instance_id && rack_id == other.rack_id &&
           rebalance_timeout_ms == other.rebalance_timeout_ms && client_id == other.client_id &&
           client_host == other.client_host && topics == other.topics && regex == other.regex &&
           assignor == other.assignor && classic == other.classic;
}

std::string_view to_string(ConsumerState state) {
    switch (state) {
        case ConsumerState::empty:
            return "Empty";
        case ConsumerState::assigning:
            return "Assigning";
        case ConsumerState::reconciling:
            return "Reconciling";
        case ConsumerState::stable:
            return "Stable";
    }
    return "Unknown";
}

ConsumerState ConsumerGroup::state() const {
    if (members_.empty()) {
        return ConsumerState::empty;
    }
    if (epoch_ > assignment_epoch_) {
        return ConsumerState::assigning;
    }
    const auto stable = stable_by_epoch_.find(assignment_epoch_);
    return stable != stable_by_epoch_.end() && stable->second == members_.size()
               ? ConsumerState::stable
               : ConsumerState::reconciling;
}

MemberPtr ConsumerGroup::find(std::string_view member) const {
    const auto found = members_.find(member);
    return found == members_.end() ? nullptr : found->second;
}

MemberPtr ConsumerGroup::find_static(std::string_view instance) const {
    const auto found = static_members_.find(instance);
    return found == static_members_.end() ? nullptr : find(found->second);
}

const PartitionSet& ConsumerGroup::target(std::string_view member) const {
    static const PartitionSet nothing;
    const auto found = targets_.find(member);
    return found == targets_.end() ? nothing : *found->second;
}

std::int32_t ConsumerGroup::owner_epoch(const Uuid& topic, std::int32_t partition) const {
    const auto at_topic = owners_.find(topic);
    if (at_topic == owners_.end()) {
        return -1;
    }
    const auto found = at_topic->second.find(partition);
    return found == at_topic->second.end() ? -1 : found->second.epoch;
}

std::vector<std::string_view> ConsumerGroup::subscribed_topics() const {
    std::vector<std::string_view> out;
    out.reserve(topics_.size());
    for (const auto& [topic, interest] : topics_) {
        out.push_back(topic);
    }
    return out;
}

bool ConsumerGroup::is_homogeneous() const {
    if (regex_members_.empty()) {
        return std::all_of(topics_.begin(), topics_.end(), [&](const auto& entry) {
            return entry.second.by_name == members_.size();
        });
    }
    // One expression that everybody has, and no names beside it.
    return regex_members_.size() == 1 && regex_members_.begin()->second == members_.size() &&
           std::all_of(topics_.begin(), topics_.end(),
                       [](const auto& entry) { return entry.second.by_name == 0; });
}

const ResolvedRegex* ConsumerGroup::resolved(std::string_view regex) const {
    const auto found = resolved_.find(regex);
    return found == resolved_.end() ? nullptr : &found->second;
}

std::vector<std::string_view> ConsumerGroup::topics_of(const ConsumerMember& member) const {
    const ResolvedRegex* matched = member.regex.empty() ? nullptr : resolved(member.regex);
    if (matched == nullptr) {
        return {member.topics.begin(), member.topics.end()};
    }
    std::vector<std::string_view> out;
    std::set_union(member.topics.begin(), member.topics.end(), matched->topics.begin(),
                   matched->topics.end(), std::back_inserter(out));
    return out;
}

std::optional<std::string> ConsumerGroup::preferred_assignor() const {
    const auto most =
        std::max_element(assignors_.begin(), assignors_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == assignors_.end() ? std::nullopt : std::optional{most->first};
}

bool ConsumerGroup::supports_classic(std::string_view type,
                                     const std::vector<ClassicProtocol>& protocols) const {
    if (type != consumer_protocol_type) {
        return false;
    }
    if (members_.empty()) {
        return !protocols.empty();
    }
    return std::any_of(protocols.begin(), protocols.end(), [&](const ClassicProtocol& protocol) {
        const auto found = classic_offers_.find(protocol.name);
        return (found == classic_offers_.end() ? 0 : found->second) == classic_members_;
    });
}

bool ConsumerGroup::waits_for_others(const ConsumerMember& member) const {
    if (member.state != MemberState::unreleased_partitions) {
        return false;
    }
    for (const auto& [topic, partitions] : target(member.id)) {
        const auto held = member.assigned.find(topic);
        for (const std::int32_t partition : partitions) {
            const bool has = held != member.assigned.end() && held->second.contains(partition);
            if (!has && owner_epoch(topic, partition) != -1) {
                return true;
            }
        }
    }
    return false;
}

void ConsumerGroup::set_epoch(std::int32_t epoch, std::int64_t hash,
                              coordinator::Journal& journal) {
    coordinator::assign(journal, epoch_, epoch);
    coordinator::assign(journal, metadata_hash_, hash);
}

void ConsumerGroup::set_assignment(std::int32_t epoch, std::optional<Timestamp> at,
                                   coordinator::Journal& journal) {
    coordinator::assign(journal, assignment_epoch_, epoch);
    coordinator::assign(journal, assigned_at_, at);
}

void ConsumerGroup::set_member(MemberPtr member, coordinator::Journal& journal) {
    if (journal.keeps()) {
        journal.undo_with(
            [this, id = member->id, before = find(member->id)] { exchange(id, before); });
    }
    const std::string id = member->id;
    exchange(id, std::move(member));
}

void ConsumerGroup::remove_member(std::string_view member, coordinator::Journal& journal) {
    const MemberPtr before = find(member);
    if (before == nullptr) {
        return;
    }
    if (journal.keeps()) {
        journal.undo_with([this, before] { exchange(before->id, before); });
    }
    exchange(before->id, nullptr);
}

void ConsumerGroup::set_target(const std::string& member, TargetPtr target,
                               coordinator::Journal& journal) {
    coordinator::put(journal, targets_, member, std::move(target));
}

void ConsumerGroup::remove_target(std::string_view member, coordinator::Journal& journal) {
    coordinator::erase(journal, targets_, member);
}

void ConsumerGroup::set_resolved(const std::string& regex, std::optional<ResolvedRegex> resolved,
                                 coordinator::Journal& journal) {
    if (journal.keeps()) {
        const ResolvedRegex* present = this->resolved(regex);
        journal.undo_with(
            [this, regex,
             before = present != nullptr ? std::optional{*present} : std::nullopt]() mutable {
                exchange_resolved(regex, std::move(before));
            });
    }
    exchange_resolved(regex, std::move(resolved));
}

void ConsumerGroup::set_partition_metadata_record(bool present, coordinator::Journal& journal) {
    coordinator::assign(journal, has_partition_metadata_, present);
}

void ConsumerGroup::exchange(std::string_view id, MemberPtr member) {
    const auto found = members_.find(id);
    if (found != members_.end()) {
        const MemberPtr before = found->second;
        count(*before, -1);
        members_.erase(found);
    }
    if (member != nullptr) {
        count(*member, 1);
        std::string key = member->id;
        members_.emplace(std::move(key), std::move(member));
    }
}

void ConsumerGroup::exchange_resolved(const std::string& regex,
                                      std::optional<ResolvedRegex> resolved) {
    if (const auto found = resolved_.find(regex); found != resolved_.end()) {
        for (const std::string& topic : found->second.topics) {
            count_topic(topic, &Interest::by_regex, -1);
        }
        resolved_.erase(found);
    }
    if (resolved) {
        for (const std::string& topic : resolved->topics) {
            count_topic(topic, &Interest::by_regex, 1);
        }
        resolved_.emplace(regex, *std::move(resolved));
    }
}

void ConsumerGroup::count_topic(std::string_view topic, std::size_t Interest::* what, int by) {
    const auto found = topics_.try_emplace(std::string{topic}).first;
    found->second.*what += static_cast<std::size_t>(by);
    if (found->second.by_name == 0 && found->second.by_regex == 0) {
        topics_.erase(found);
    }
}

void ConsumerGroup::count(const ConsumerMember& member, int by) {
    for (const std::string& topic : member.topics) {
        count_topic(topic, &Interest::by_name, by);
    }
    if (!member.regex.empty()) {
        add_to(regex_members_, member.regex, by);
    }
    if (member.assignor) {
        add_to(assignors_, *member.assignor, by);
    }
    if (member.classic) {
        classic_members_ += static_cast<std::size_t>(by);
        for (const ClassicProtocol& protocol : member.classic->protocols) {
            add_to(classic_offers_, protocol.name, by);
        }
    }
    if (member.state == MemberState::stable) {
        std::size_t& stable = stable_by_epoch_[member.epoch];
        stable += static_cast<std::size_t>(by);
        if (stable == 0) {
            stable_by_epoch_.erase(member.epoch);
        }
    }
    if (by > 0) {
        if (member.instance_id) {
            static_members_.insert_or_assign(*member.instance_id, member.id);
        }
        hold(member, member.assigned);
        hold(member, member.revoking);
    } else {
        const auto found =
            member.instance_id ? static_members_.find(*member.instance_id) : static_members_.end();
        if (found != static_members_.end() && found->second == member.id) {
            static_members_.erase(found);
        }
        release(member, member.assigned);
        release(member, member.revoking);
    }
}

void ConsumerGroup::hold(const ConsumerMember& member, const EpochSet& partitions) {
    for (const auto& [topic, epochs] : partitions) {
        auto& owners = owners_[topic];
        for (const auto& [partition, epoch] : epochs) {
            owners.insert_or_assign(partition, Owner{member.epoch, member.id});
        }
    }
}

void ConsumerGroup::release(const ConsumerMember& member, const EpochSet& partitions) {
    for (const auto& [topic, epochs] : partitions) {
        const auto at_topic = owners_.find(topic);
        if (at_topic == owners_.end()) {
            continue;
        }
        for (const auto& [partition, epoch] : epochs) {
            // What somebody else took over meanwhile stays theirs: compaction may show us a
            // predecessor's last words after its successor's first.
            const auto found = at_topic->second.find(partition);
            if (found != at_topic->second.end() && found->second.member == member.id) {
                at_topic->second.erase(found);
            }
        }
        if (at_topic->second.empty()) {
            owners_.erase(at_topic);
        }
    }
}

}  // namespace millrace::groups
