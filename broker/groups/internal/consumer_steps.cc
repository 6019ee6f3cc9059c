// The steps from a member's word to its assignment, and the way out of the group.
#include <algorithm>

#include "base/assert.h"
#include "groups/internal/assignor.h"
#include "groups/internal/consumer_membership.h"
#include "groups/internal/reconcile.h"
#include "groups/internal/records.h"

namespace millrace::groups {

namespace {

/// Groups up to this size get a new target with every change, whatever the interval: it takes
/// microseconds, and members learn of it with their next heartbeat instead of the one after.
constexpr std::size_t small_group = 64;

/// Regular expressions are resolved again no sooner than this, new ones and known ones.
constexpr Duration min_new_regex_pause = 1s;
constexpr Duration min_regex_pause = 10s;

/// Wall clocks jump; a time that lies ahead counts as long ago.
bool has_passed(Timestamp since, Duration pause, Timestamp now) {
    return now < since || now - since >= pause;
}

}  // namespace

ConsumerGroup& ConsumerMembership::group(std::string_view id) {
    ConsumerGroup* found = state_.find_consumer(id);
    MR_ASSERT(found != nullptr);
    return *found;
}

/// The member as it comes in. A static member under a new id takes its predecessor's place.
ConsumerMember ConsumerMembership::enter(Operation& operation, std::string_view group_id,
                                         std::string_view id,
                                         const std::optional<std::string_view>& instance,
                                         bool is_joining) {
    const ConsumerGroup* group = state_.find_consumer(group_id);
    const MemberPtr known = group == nullptr ? nullptr
                            : instance       ? group->find_static(*instance)
                                             : group->find(id);
    if (known == nullptr) {
        const MemberPtr same_id = group == nullptr ? nullptr : group->find(id);
        ConsumerMember fresh;
        fresh.id = std::string{id};
        return same_id != nullptr ? *same_id : fresh;
    }
    if (!instance || !is_joining) {
        return *known;
    }
    ConsumerMember next = *known;
    next.id = std::string{id};
    next.epoch = next.previous_epoch = 0;
    const PartitionSet target = group->target(known->id);
    operation.append(records::current_assignment_tombstone(group_id, known->id));
    operation.append(records::member_target_tombstone(group_id, known->id));
    operation.append(records::member_metadata_tombstone(group_id, known->id));
    operation.append(records::member_metadata(group_id, next));
    operation.append(records::member_target(group_id, next.id, target));
    operation.append(records::current_assignment(group_id, next));
    if (known->id != next.id) {
        forget(group_id, known->id);
    }
    return next;
}

ConsumerMembership::Change ConsumerMembership::update_member(Operation& operation,
                                                             std::string_view group_id,
                                                             const ConsumerMember& before,
                                                             ConsumerMember next,
                                                             const Caller& caller) {
    const ConsumerGroup* present = state_.find_consumer(group_id);
    const bool is_new = present == nullptr || present->find(next.id) == nullptr;
    if (is_new || !before.same_metadata(next)) {
        operation.append(records::member_metadata(group_id, next));
    }
    ConsumerGroup& group = this->group(group_id);
    const bool names_changed = before.topics != next.topics;
    const bool regex_changed = before.regex != next.regex;
    if (regex_changed && !group.regexes().contains(before.regex) &&
        group.resolved(before.regex) != nullptr) {
        operation.append(records::regex_tombstone(group_id, before.regex));
    }
    const bool is_new_regex =
        regex_changed && !next.regex.empty() && group.resolved(next.regex) == nullptr;
    const bool matches_changed =
        !group.regexes().empty() && refresh_regexes(operation, group.id(), is_new_regex, caller);
    // What a new expression means is news only if it means something.
    const bool regex_settled = regex_changed && !is_new_regex;
    return {.subscription = names_changed || regex_changed,
            // Another assignor has its say with the next change; it is no reason for one.
            .bump = names_changed || regex_settled || matches_changed};
}

/// Resolves what is new, and everything when topics have come or the interval is over. True if
/// some expression now means other topics.
bool ConsumerMembership::refresh_regexes(Operation& operation, const std::string& group_id,
                                         bool is_new_regex, const Caller& caller) {
    const TopicsView& topics = *state_.env.topics;
    const ConsumerGroup& group = this->group(group_id);
    const Timestamp now = operation.now().wall;
    std::optional<Timestamp> last;
    bool is_outdated = false;
    for (const auto& [regex, resolved] : group.resolved()) {
        last = last ? std::max(*last, resolved.at) : resolved.at;
        is_outdated = is_outdated || resolved.version < topics.version() ||
                      has_passed(resolved.at, state_.env.settings.regex_refresh, now);
    }
    const bool is_incomplete = group.regexes().size() != group.resolved().size();
    if (!is_new_regex && !is_incomplete && !is_outdated) {
        return false;
    }
    if (last && !has_passed(*last, is_new_regex ? min_new_regex_pause : min_regex_pause, now)) {
        return false;  // The next heartbeat will see to it.
    }
    std::vector<std::string> todo;
    for (const auto& [regex, members] : group.regexes()) {
        if (is_outdated || group.resolved(regex) == nullptr) {
            todo.push_back(regex);
        }
    }
    bool changed = false;
    for (const std::string& regex : todo) {
        ResolvedRegex resolved{.topics = resolve_regex(regex, topics, caller.may_describe),
                               .version = topics.version(),
                               .at = now};
        const ResolvedRegex* before = group.resolved(regex);
        changed = changed || resolved.topics !=
                                 (before == nullptr ? std::vector<std::string>{} : before->topics);
        operation.append(records::regex(group_id, regex, resolved));
    }
    return changed;
}

void ConsumerMembership::update_epoch(Operation& operation, ConsumerGroup& group, bool bump) {
    const TopicsView& topics = *state_.env.topics;
    if (!bump && !group.needs_check(topics.version())) {
        return;
    }
    const std::int64_t hash = state_.env.metadata_hash.of(group.subscribed_topics(), topics);
    if (bump || hash != group.metadata_hash()) {
        operation.append(records::consumer_group(group.id(), group.epoch() + 1, hash));
        ++state_.env.counters.consumer_rebalances;
    }
    group.set_checked(topics.version());
    if (group.has_partition_metadata_record()) {
        operation.append(records::partition_metadata_tombstone(group.id()));
    }
}

bool ConsumerMembership::may_assign(Operation& operation, const ConsumerGroup& group) const {
    return group.members().size() <= small_group || !group.assigned_at() ||
           has_passed(*group.assigned_at(), state_.env.consumer_assignment_interval(group.id()),
                      operation.now().wall);
}

void ConsumerMembership::update_target(Operation& operation, ConsumerGroup& group) {
    if (group.assignment_epoch() >= group.epoch() || !may_assign(operation, group)) {
        return;
    }
    const TopicsView& topics = *state_.env.topics;
    AssignorSpec spec;
    spec.is_homogeneous = group.is_homogeneous();
    for (const auto& [id, member] : group.members()) {
        AssignorMember& out = spec.members.emplace_back();
        out.id = id;
        out.instance = member->instance_id;
        out.present = &group.target(id);
        if (spec.is_homogeneous && spec.members.size() > 1) {
            out.topics = spec.members.front().topics;
            continue;
        }
        for (const std::string_view name : group.topics_of(*member)) {
            if (const auto topic = topics.find(name)) {
                out.topics.push_back(topic->id);
                spec.topics.emplace(topic->id, topic->partitions);
            }
        }
        std::sort(out.topics.begin(), out.topics.end());
    }
    const std::string wanted = group.preferred_assignor().value_or(state_.env.default_assignor());
    Assignor assign = find_assignor(wanted);
    if (assign == nullptr) {  // Written by a broker that has others.
        assign = assign_uniform;
    }
    const Assignments assigned = assign(spec);
    std::vector<coordinator::Record> changed;
    for (std::size_t i = 0; i < assigned.size(); ++i) {
        const auto present = group.targets().find(spec.members[i].id);
        if (present == group.targets().end() || *present->second != assigned[i]) {
            changed.push_back(records::member_target(group.id(), spec.members[i].id, assigned[i]));
        }
    }
    for (coordinator::Record& record : changed) {
        operation.append(std::move(record));
    }
    operation.append(records::target_assignment(group.id(), group.epoch(), operation.now().wall));
}

void ConsumerMembership::advance(Operation& operation, ConsumerGroup& group, std::string_view id,
                                 bool subscription_changed,
                                 const std::optional<PartitionSet>& owned) {
    const MemberPtr member = group.find(id);
    if (!subscription_changed && member->is_reconciled_to(group.assignment_epoch())) {
        return;
    }
    std::set<Uuid> subscribed;
    for (const std::string_view name : group.topics_of(*member)) {
        if (const auto topic = state_.env.topics->find(name)) {
            subscribed.insert(topic->id);
        }
    }
    const ConsumerMember next = reconcile(
        *member,
        {.epoch = group.assignment_epoch(),
         .target = group.target(id),
         .subscribed = subscribed,
         .subscription_changed = subscription_changed,
         .owner_epoch = [&](const Uuid& topic,
                            std::int32_t partition) { return group.owner_epoch(topic, partition); },
         .owned = owned});
    if (next == *member) {
        return;
    }
    operation.append(records::current_assignment(group.id(), next));
    if (next.classic) {
        return;  // Their deadlines are those of join and sync.
    }
    if (next.state == MemberState::unrevoked_partitions) {
        state_.deadlines.set(DeadlineKind::consumer_rebalance, group.id(), id,
                             operation.now().instant + from_milliseconds(next.rebalance_timeout_ms),
                             next.epoch);
    } else {
        state_.deadlines.cancel(DeadlineKind::consumer_rebalance, group.id(), id);
    }
}

void ConsumerMembership::watch(Operation& operation, const ConsumerGroup& group,
                               const ConsumerMember& member) {
    const Duration session = member.classic ? from_milliseconds(member.classic->session_timeout_ms)
                                            : state_.env.consumer_session_timeout(group.id());
    state_.deadlines.set(DeadlineKind::consumer_session, group.id(), member.id,
                         operation.now().instant + session);
}

void ConsumerMembership::forget(std::string_view group, std::string_view member) {
    for (const DeadlineKind kind :
         {DeadlineKind::consumer_session, DeadlineKind::consumer_rebalance,
          DeadlineKind::consumer_join, DeadlineKind::consumer_sync}) {
        state_.deadlines.cancel(kind, group, member);
    }
}

void ConsumerMembership::adopt(Operation& operation, const ConsumerGroup& group) {
    for (const auto& [id, member] : group.members()) {
        watch(operation, group, *member);
        if (member->state == MemberState::unrevoked_partitions && !member->classic) {
            state_.deadlines.set(
                DeadlineKind::consumer_rebalance, group.id(), id,
                operation.now().instant + from_milliseconds(member->rebalance_timeout_ms),
                member->epoch);
        }
    }
}

void ConsumerMembership::fence(Operation& operation, ConsumerGroup& group,
                               const std::set<std::string, std::less<>>& members) {
    if (members.empty()) {
        return;
    }
    // Should the log refuse, they are back, with what was left of their sessions.
    std::map<std::string, Instant> sessions;
    for (const std::string& member : members) {
        sessions[member] = state_.deadlines.find(DeadlineKind::consumer_session, group.id(), member)
                               .value_or(operation.now().instant + 1s);
    }
    operation.then([this, id = group.id(), sessions = std::move(sessions)](KafkaError error) {
        for (const auto& [member, at] : sessions) {
            if (error != KafkaError::none) {
                state_.deadlines.set_if_absent(DeadlineKind::consumer_session, id, member, at);
            }
        }
    });
    if (may_downgrade(group, members) && downgrade(operation, group, members, true)) {
        return;
    }
    const std::string id = group.id();
    for (const std::string& member : members) {
        operation.append(records::current_assignment_tombstone(id, member));
        operation.append(records::member_target_tombstone(id, member));
        operation.append(records::member_metadata_tombstone(id, member));
        forget(id, member);
    }
    std::vector<std::string> unused;
    for (const auto& [regex, resolved] : group.resolved()) {
        if (!group.regexes().contains(regex)) {
            unused.push_back(regex);
        }
    }
    for (const std::string& regex : unused) {
        operation.append(records::regex_tombstone(id, regex));
    }
    const std::int64_t hash =
        state_.env.metadata_hash.of(group.subscribed_topics(), *state_.env.topics);
    operation.append(records::consumer_group(id, group.epoch() + 1, hash));
    if (group.empty()) {
        operation.append(records::target_assignment(id, group.epoch(), std::nullopt));
    }
}

std::vector<coordinator::Record> ConsumerMembership::tombstones(const ConsumerGroup& group) {
    const std::string& id = group.id();
    std::vector<coordinator::Record> out;
    for (const auto& [member, state] : group.members()) {
        out.push_back(records::current_assignment_tombstone(id, member));
    }
    for (const auto& [member, target] : group.targets()) {
        out.push_back(records::member_target_tombstone(id, member));
    }
    out.push_back(records::target_assignment_tombstone(id));
    for (const auto& [member, state] : group.members()) {
        out.push_back(records::member_metadata_tombstone(id, member));
    }
    for (const auto& [regex, resolved] : group.resolved()) {
        out.push_back(records::regex_tombstone(id, regex));
    }
    if (group.has_partition_metadata_record()) {
        out.push_back(records::partition_metadata_tombstone(id));
    }
    out.push_back(records::consumer_group_tombstone(id));
    return out;
}

void ConsumerMembership::on_deadline(Operation& operation, const Due& due) {
    ConsumerGroup* group = state_.find_consumer(due.group);
    const MemberPtr member = group == nullptr ? nullptr : group->find(due.member);
    if (member == nullptr) {
        return;
    }
    // A deadline may outlive its reason: what it was set for may have been taken back.
    const bool is_moot =
        (due.kind == DeadlineKind::consumer_rebalance &&
         (member->epoch != due.tag || member->state != MemberState::unrevoked_partitions)) ||
        (due.kind == DeadlineKind::consumer_join && !has_to_rejoin(*group, *member));
    if (is_moot) {
        return;
    }
    MR_LOG(state_.env.log, info, "groups.member_fenced", field("group", due.group),
           field("member", due.member),
           field("why", due.kind == DeadlineKind::consumer_session     ? "session expired"
                        : due.kind == DeadlineKind::consumer_rebalance ? "did not revoke in time"
                        : due.kind == DeadlineKind::consumer_join      ? "did not rejoin in time"
                                                                       : "did not sync in time"));
    fence(operation, *group, {due.member});
}

}  // namespace millrace::groups
