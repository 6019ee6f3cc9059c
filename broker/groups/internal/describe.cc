#include "groups/internal/describe.h"

#include <algorithm>
#include <fmt/format.h>

#include "groups/internal/embedded.h"

namespace millrace::groups {

namespace {

/// DescribeGroups 6 says that a group doesn't exist; before, such a group is Dead.
constexpr std::int16_t first_version_with_not_found = 6;
constexpr std::int8_t classic_member_type = 0;
constexpr std::int8_t consumer_member_type = 1;

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(' ');
    return first == std::string_view::npos
               ? ""
               : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool passes(const std::vector<std::string_view>& filter, std::string_view value) {
    return filter.empty() ||
           std::any_of(filter.begin(), filter.end(), [&](std::string_view wanted) {
               return equals_ignoring_case(trimmed(wanted), value);
           });
}

using WireAssignment = protocol::ConsumerGroupDescribeResponse::Assignment;

template <typename Partitions, typename IndexOf>
void add_partitions(WireAssignment& out, Answer<DescribedConsumer>& answer,
                    const TopicsView& topics, const Partitions& partitions, IndexOf index_of) {
    for (const auto& [id, indexes] : partitions) {
        const auto topic = topics.find(id);
        if (!topic) {
            continue;
        }
        auto found = std::find_if(out.topic_partitions.begin(), out.topic_partitions.end(),
                                  [&](const auto& t) { return t.topic_id == id; });
        if (found == out.topic_partitions.end()) {
            out.topic_partitions.push_back({.topic_id = id, .topic_name = answer.own(topic->name)});
            found = out.topic_partitions.end() - 1;
        }
        for (const auto& index : indexes) {
            found->partitions.push_back(index_of(index));
        }
    }
}

void describe_member(const ShardState& state, const ConsumerGroup& group,
                     const ConsumerMember& member, Answer<DescribedConsumer>& answer) {
    auto& out = answer.response.members.emplace_back();
    out.member_id = answer.own(std::string_view{member.id});
    out.instance_id = answer.own(member.instance_id);
    out.rack_id = answer.own(member.rack_id);
    out.member_epoch = member.epoch;
    out.client_id = answer.own(std::string_view{member.client_id});
    out.client_host = answer.own(std::string_view{member.client_host});
    for (const std::string& topic : member.topics) {
        out.subscribed_topic_names.push_back(answer.own(std::string_view{topic}));
    }
    out.subscribed_topic_regex = answer.own(std::string_view{member.regex});
    out.member_type = member.classic ? classic_member_type : consumer_member_type;
    const TopicsView& topics = *state.env.topics;
    // What it still has to give up is its own until it has.
    for (const EpochSet* held : {&member.assigned, &member.revoking}) {
        add_partitions(out.assignment, answer, topics, *held,
                       [](const auto& entry) { return entry.first; });
    }
    add_partitions(out.target_assignment, answer, topics, group.target(member.id),
                   [](std::int32_t index) { return index; });
}

/// Who owns what now, by topic and partition.
struct Owner {
    std::string_view member;
    std::string_view client_id;
    std::string_view client_host;
};
std::map<TopicPartition, Owner> owners_of(const ShardState& state, const Group& group) {
    std::map<TopicPartition, Owner> out;
    if (const ConsumerGroup* consumer = group.consumer()) {
        for (const auto& [id, member] : consumer->members()) {
            for (const auto& [topic_id, epochs] : member->assigned) {
                if (const auto topic = state.env.topics->find(topic_id)) {
                    for (const auto& [partition, epoch] : epochs) {
                        out[{std::string{topic->name}, PartitionIndex{partition}}] = {
                            member->id, member->client_id, member->client_host};
                    }
                }
            }
        }
    } else if (group.classic()->uses_consumer_protocol() &&
               group.classic()->is(ClassicState::stable)) {
        for (const auto& [id, member] : group.classic()->members()) {
            const auto assignment = parse_assignment(view(member.assignment));
            for (const auto& [topic, partitions] :
                 assignment ? assignment->partitions : ClassicAssignment{}.partitions) {
                for (const std::int32_t partition : partitions) {
                    out[{topic, PartitionIndex{partition}}] = {member.id, member.client_id,
                                                               member.client_host};
                }
            }
        }
    }
    return out;
}

}  // namespace

AnswerPtr<DescribedClassic> describe_classic(const ShardState& state, std::string_view group_id,
                                             std::int16_t version) {
    auto answer = make_answer<DescribedClassic>();
    DescribedClassic& out = answer->response;
    out.group_id = answer->own(group_id);
    const Group* found = state.find(group_id);
    const ClassicGroup* group = found == nullptr ? nullptr : found->classic();
    if (group == nullptr) {
        out.group_state = to_string(ClassicState::dead);
        if (version >= first_version_with_not_found) {
            out.error_code = code_of(KafkaError::group_id_not_found);
            const std::string why = found == nullptr
                                        ? fmt::format("Group {} not found.", group_id)
                                        : fmt::format("Group {} is not a classic group.", group_id);
            out.error_message = answer->own(std::string_view{why});
        }
        return answer;
    }
    const bool is_stable = group->is(ClassicState::stable);
    out.group_state = to_string(group->state());
    out.protocol_type =
        answer->own(std::string_view{group->protocol_type() ? *group->protocol_type() : ""});
    if (is_stable && group->protocol()) {
        out.protocol_data = answer->own(std::string_view{*group->protocol()});
    }
    for (const auto& [id, member] : group->members()) {
        auto& to = out.members.emplace_back();
        to.member_id = answer->own(std::string_view{id});
        to.group_instance_id = answer->own(member.instance_id);
        to.client_id = answer->own(std::string_view{member.client_id});
        to.client_host = answer->own(std::string_view{member.client_host});
        // While a rebalance goes on it is what the member had before.
        to.member_assignment = answer->own(member.assignment);
        if (is_stable) {
            to.member_metadata = answer->own(member.metadata(group->protocol().value_or("")));
        }
    }
    return answer;
}

AnswerPtr<DescribedConsumer> describe_consumer(const ShardState& state, std::string_view group_id) {
    auto answer = make_answer<DescribedConsumer>();
    DescribedConsumer& out = answer->response;
    out.group_id = answer->own(group_id);
    const Group* found = state.find(group_id);
    const ConsumerGroup* group = found == nullptr ? nullptr : found->consumer();
    if (group == nullptr) {
        out.error_code = code_of(KafkaError::group_id_not_found);
        const std::string why = found == nullptr
                                    ? fmt::format("Group {} not found.", group_id)
                                    : fmt::format("Group {} is not a consumer group.", group_id);
        out.error_message = answer->own(std::string_view{why});
        return answer;
    }
    out.group_state = to_string(group->state());
    out.group_epoch = group->epoch();
    out.assignment_epoch = group->assignment_epoch();
    const std::string assignor = group->preferred_assignor().value_or(state.env.default_assignor());
    out.assignor_name = answer->own(std::string_view{assignor});
    for (const auto& [id, member] : group->members()) {
        describe_member(state, *group, *member, *answer);
    }
    return answer;
}

void list(const ShardState& state, const protocol::ListGroupsRequest& request,
          Answer<protocol::ListGroupsResponse>& answer) {
    for (const auto& [id, group] : state.groups) {
        const bool is_consumer = group->consumer() != nullptr;
        const std::string_view type = is_consumer ? "consumer" : "classic";
        if (!passes(request.states_filter, group->state_name()) ||
            !passes(request.types_filter, type)) {
            continue;
        }
        auto& out = answer.response.groups.emplace_back();
        out.group_id = answer.own(std::string_view{id});
        out.group_state = group->state_name();
        out.group_type = type;
        if (is_consumer) {
            out.protocol_type = consumer_protocol_type;
        } else if (const auto& protocol = group->classic()->protocol_type()) {
            out.protocol_type = answer.own(std::string_view{*protocol});
        }
    }
}

GroupLag lag_of(const ShardState& state, const Group& group, const EndOffsets& ends) {
    GroupLag out{.group = group.id(),
                 .state = std::string{group.state_name()},
                 .members = group.classic() != nullptr ? group.classic()->members().size()
                                                       : group.consumer()->members().size(),
                 .partitions = {}};
    const OffsetStore::Topics* topics = state.offsets.of_group(group.id());
    if (topics == nullptr) {
        return out;
    }
    const std::map<TopicPartition, Owner> owners = owners_of(state, group);
    for (const auto& [topic, partitions] : *topics) {
        for (const auto& [index, committed] : partitions) {
            PartitionLag& lag = out.partitions.emplace_back();
            lag.partition = {topic, PartitionIndex{index}};
            lag.committed = committed.offset;
            lag.end = ends(lag.partition);
            if (lag.end) {
                lag.lag = std::max<std::int64_t>(*lag.end - committed.offset, 0);
            }
            if (const auto owner = owners.find(lag.partition); owner != owners.end()) {
                lag.member_id = std::string{owner->second.member};
                lag.client_id = std::string{owner->second.client_id};
                lag.client_host = std::string{owner->second.client_host};
            }
        }
    }
    return out;
}

}  // namespace millrace::groups
