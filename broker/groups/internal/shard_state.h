// groups/internal/shard_state.h
//
// What one partition of __consumer_offsets says, and what goes with it while we coordinate it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "coordinator/state_machine.h"
#include "groups/internal/classic_group.h"
#include "groups/internal/consumer_group.h"
#include "groups/internal/deadlines.h"
#include "groups/internal/env.h"
#include "groups/internal/offset_store.h"

namespace millrace::groups {

class Group {
public:
    explicit Group(ClassicGroup group) : state_(std::move(group)) {}
    explicit Group(ConsumerGroup group) : state_(std::move(group)) {}
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    const std::string& id() const {
        return std::visit([](const auto& group) -> const std::string& { return group.id(); },
                          state_);
    }
    ClassicGroup* classic() { return std::get_if<ClassicGroup>(&state_); }
    const ClassicGroup* classic() const { return std::get_if<ClassicGroup>(&state_); }
    ConsumerGroup* consumer() { return std::get_if<ConsumerGroup>(&state_); }
    const ConsumerGroup* consumer() const { return std::get_if<ConsumerGroup>(&state_); }

    bool empty() const {
        return classic() != nullptr ? classic()->is(ClassicState::empty) : consumer()->empty();
    }
    bool is_subscribed_to(std::string_view topic) const {
        return std::visit([&](const auto& group) { return group.is_subscribed_to(topic); }, state_);
    }
    std::string_view state_name() const {
        return std::visit([](const auto& group) { return to_string(group.state()); }, state_);
    }

private:
    std::variant<ClassicGroup, ConsumerGroup> state_;
};

/// Groups stay where they are: changes that can be undone point to them.
using GroupMap = StringMap<std::unique_ptr<Group>>;

struct ShardState {
    explicit ShardState(Env& world) : env(world) {}

    Env& env;
    GroupMap groups;
    OffsetStore offsets;
    Deadlines deadlines;
    /// False while the log is read. Afterwards the classic groups in memory know more than their
    /// records, which are then written after the fact.
    bool live = false;

    Group* find(std::string_view group) {
        const auto found = groups.find(group);
        return found == groups.end() ? nullptr : found->second.get();
    }
    const Group* find(std::string_view group) const {
        const auto found = groups.find(group);
        return found == groups.end() ? nullptr : found->second.get();
    }
    ClassicGroup* find_classic(std::string_view group) {
        Group* found = find(group);
        return found == nullptr ? nullptr : found->classic();
    }
    ConsumerGroup* find_consumer(std::string_view group) {
        Group* found = find(group);
        return found == nullptr ? nullptr : found->consumer();
    }
};

/// Applies one record to the state. Tolerates what compaction leaves: tombstones of unknown keys,
/// offsets before their group, members before their group, a type of group after another.
void replay(ShardState& state, const coordinator::RecordView& record,
            coordinator::Journal& journal);

}  // namespace millrace::groups
