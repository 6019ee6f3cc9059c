#include "group_fixture.h"

#include <algorithm>
#include <fmt/format.h>

namespace millrace::groups {

namespace {

/// "orders:0,1 logs:2" as the wire has it.
std::vector<protocol::ConsumerGroupHeartbeatRequest::TopicPartitions> parse_owned(
    const std::string& text, const TopicsView& topics) {
    std::vector<protocol::ConsumerGroupHeartbeatRequest::TopicPartitions> out;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        const std::string entry = text.substr(at, end - at);
        const std::size_t colon = entry.find(':');
        auto& topic = out.emplace_back();
        topic.topic_id = topics.find(entry.substr(0, colon))->id;
        for (std::size_t from = colon + 1; from < entry.size();) {
            const std::size_t comma = std::min(entry.find(',', from), entry.size());
            topic.partitions.push_back(std::stoi(entry.substr(from, comma - from)));
            from = comma + 1;
        }
        at = end + 1;
    }
    return out;
}

template <typename TopicPartitions>
std::string print(const std::vector<TopicPartitions>& partitions, const TopicsView& topics) {
    std::map<std::string, std::vector<std::int32_t>> sorted;
    for (const auto& topic : partitions) {
        const auto known = topics.find(topic.topic_id);
        auto& to = sorted[known ? std::string{known->name} : "?"];
        to.insert(to.end(), topic.partitions.begin(), topic.partitions.end());
        std::sort(to.begin(), to.end());
    }
    std::string out;
    for (const auto& [name, indexes] : sorted) {
        out += fmt::format("{}{}:{}", out.empty() ? "" : " ", name, fmt::join(indexes, ","));
    }
    return out;
}

}  // namespace

Later<Beat> GroupTest::beat(const Heartbeat& heartbeat) {
    protocol::ConsumerGroupHeartbeatRequest request;
    request.group_id = heartbeat.group;
    request.member_id = heartbeat.member;
    request.member_epoch = heartbeat.epoch;
    request.instance_id = heartbeat.instance;
    request.rack_id = std::nullopt;
    request.server_assignor = heartbeat.assignor;
    request.rebalance_timeout_ms = heartbeat.rebalance_ms;
    if (heartbeat.topics) {
        request.subscribed_topic_names.emplace(heartbeat.topics->begin(), heartbeat.topics->end());
    }
    request.subscribed_topic_regex = heartbeat.regex;
    if (heartbeat.owned) {
        request.topic_partitions = parse_owned(*heartbeat.owned, *topics);
    }
    Later<Beat> later;
    Caller caller{.version = heartbeat.version,
                  .client_id = "client",
                  .client_host = "/127.0.0.1",
                  .may_describe = heartbeat.may_describe};
    coordinator->consumer_group_heartbeat(
        request, caller,
        [this, later,
         version = heartbeat.version](protocol::ConsumerGroupHeartbeatResponse& response) {
            expect_encodes(response, version);
            Beat out;
            out.error = static_cast<KafkaError>(response.error_code);
            out.message = std::string{response.error_message.value_or("")};
            out.member = std::string{response.member_id.value_or("")};
            out.epoch = response.member_epoch;
            out.interval_ms = response.heartbeat_interval_ms;
            if (response.assignment) {
                out.assignment = print(response.assignment->topic_partitions, *topics);
            }
            later.set(std::move(out));
        });
    loop.run_ready();
    return later;
}

Later<KafkaError> GroupTest::commit_later(const Commit& commit) {
    protocol::OffsetCommitRequest request;
    request.group_id = commit.group;
    request.member_id = commit.member;
    request.generation_id_or_member_epoch = commit.generation;
    request.group_instance_id = commit.instance;
    request.retention_time_ms = commit.retention_ms;
    auto& topic = request.topics.emplace_back();
    topic.name = commit.version < 10 ? std::string_view{commit.topic} : "";
    topic.topic_id = commit.topic_id;
    topic.partitions.push_back({.partition_index = commit.partition,
                                .committed_offset = commit.offset,
                                .committed_metadata = commit.metadata});
    return ask<KafkaError, protocol::OffsetCommitResponse>(
        commit.version,
        [&](const Caller& caller, auto reply) {
            coordinator->offset_commit(request, caller, std::move(reply));
        },
        [](const protocol::OffsetCommitResponse& response) {
            return static_cast<KafkaError>(response.topics.at(0).partitions.at(0).error_code);
        });
}

KafkaError GroupTest::commit_in_transaction(const Commit& commit, std::int64_t producer) {
    protocol::TxnOffsetCommitRequest request;
    request.transactional_id = "t";
    request.group_id = commit.group;
    request.producer_id = producer;
    request.producer_epoch = 1;
    request.member_id = commit.member;
    request.generation_id_or_member_epoch = commit.generation;
    request.group_instance_id = commit.instance;
    auto& topic = request.topics.emplace_back();
    topic.name = commit.topic;
    topic.partitions.push_back(
        {.partition_index = commit.partition, .committed_offset = commit.offset});
    return *ask<KafkaError, protocol::TxnOffsetCommitResponse>(
        std::min<std::int16_t>(commit.version, 5),
        [&](const Caller& caller, auto reply) {
            coordinator->txn_offset_commit(request, caller, std::move(reply));
        },
        [](const protocol::TxnOffsetCommitResponse& response) {
            return static_cast<KafkaError>(response.topics.at(0).partitions.at(0).error_code);
        });
}

KafkaError GroupTest::end_transaction(std::int64_t producer,
                                      coordinator::TransactionResult result) {
    Later<KafkaError> later;
    coordinator->end_transaction(p0, ProducerId{producer}, ProducerEpoch{1}, 0, result,
                                 [later](KafkaError error) { later.set(error); });
    loop.run_ready();
    return *later;
}

Later<GroupTest::Fetched> GroupTest::fetch_later(const Fetch& fetch) {
    protocol::OffsetFetchRequest request;
    request.require_stable = fetch.stable;
    if (fetch.version >= 8) {
        auto& group = request.groups.emplace_back();
        group.group_id = fetch.group;
        group.member_id = fetch.member;
        group.member_epoch = fetch.epoch;
        auto& topic = group.topics->emplace_back();
        topic.name = fetch.version < 10 ? std::string_view{fetch.topic} : "";
        topic.topic_id = fetch.topic_id;
        topic.partition_indexes = {fetch.partition};
    } else {
        request.group_id = fetch.group;
        request.topics->push_back({.name = fetch.topic, .partition_indexes = {fetch.partition}});
    }
    return ask<Fetched, protocol::OffsetFetchResponse>(
        fetch.version,
        [&](const Caller& caller, auto reply) {
            coordinator->offset_fetch(request, caller, std::move(reply));
        },
        [](const protocol::OffsetFetchResponse& response) {
            Fetched out;
            const auto take = [&](const auto& topics) {
                if (topics.empty()) {
                    return;
                }
                const auto& partition = topics.at(0).partitions.at(0);
                out.error = static_cast<KafkaError>(partition.error_code);
                out.offset = partition.committed_offset;
                out.metadata = std::string{partition.metadata.value_or("(null)")};
            };
            if (response.groups.empty()) {
                out.group_error = static_cast<KafkaError>(response.error_code);
                take(response.topics);
            } else {
                out.group_error = static_cast<KafkaError>(response.groups.at(0).error_code);
                take(response.groups.at(0).topics);
            }
            return out;
        });
}

std::string GroupTest::offsets(const std::string& group_id, std::int16_t version) {
    protocol::OffsetFetchRequest request;
    if (version >= 8) {
        auto& group = request.groups.emplace_back();
        group.group_id = group_id;
        group.topics.reset();
    } else {
        request.group_id = group_id;
        request.topics.reset();
    }
    return *ask<std::string, protocol::OffsetFetchResponse>(
        version,
        [&](const Caller& caller, auto reply) {
            coordinator->offset_fetch(request, caller, std::move(reply));
        },
        [](const protocol::OffsetFetchResponse& response) {
            std::vector<std::string> out;
            const auto take = [&](const auto& topics) {
                for (const auto& topic : topics) {
                    for (const auto& partition : topic.partitions) {
                        out.push_back(fmt::format("{}-{}={}", topic.name, partition.partition_index,
                                                  partition.committed_offset));
                    }
                }
            };
            take(response.topics);
            for (const auto& group : response.groups) {
                take(group.topics);
            }
            return fmt::format("{}", fmt::join(out, " "));
        });
}

std::string GroupTest::delete_offsets(const std::string& topic_name,
                                      std::vector<std::int32_t> partitions,
                                      const std::string& group) {
    protocol::OffsetDeleteRequest request;
    request.group_id = group;
    auto& topic = request.topics.emplace_back();
    topic.name = topic_name;
    for (const std::int32_t partition : partitions) {
        topic.partitions.push_back({.partition_index = partition});
    }
    return *ask<std::string, protocol::OffsetDeleteResponse>(
        0,
        [&](const Caller& caller, auto reply) {
            coordinator->offset_delete(request, caller, std::move(reply));
        },
        [](const protocol::OffsetDeleteResponse& response) {
            if (response.error_code != 0) {
                return std::string{to_string(static_cast<KafkaError>(response.error_code))};
            }
            std::vector<std::string> out;
            for (const auto& partition : response.topics.at(0).partitions) {
                out.emplace_back(to_string(static_cast<KafkaError>(partition.error_code)));
            }
            return fmt::format("{}", fmt::join(out, " "));
        });
}

std::string GroupTest::describe(const std::string& group, std::int16_t version) {
    protocol::DescribeGroupsRequest request;
    request.groups = {group};
    return *ask<std::string, protocol::DescribeGroupsResponse>(
        version,
        [&](const Caller& caller, auto reply) {
            coordinator->describe_groups(request, caller, std::move(reply));
        },
        [](const protocol::DescribeGroupsResponse& response) {
            const auto& group = response.groups.at(0);
            std::string out = fmt::format(
                "{} {} type={} protocol={}", to_string(static_cast<KafkaError>(group.error_code)),
                group.group_state, group.protocol_type, group.protocol_data);
            for (const auto& member : group.members) {
                out +=
                    fmt::format(" [{} {} {} {}]", member.client_id, member.client_host,
                                as_text(member.member_metadata), as_text(member.member_assignment));
            }
            return out;
        });
}

std::string GroupTest::describe_consumer(const std::string& group) {
    protocol::ConsumerGroupDescribeRequest request;
    request.group_ids = {group};
    return *ask<std::string, protocol::ConsumerGroupDescribeResponse>(
        1,
        [&](const Caller& caller, auto reply) {
            coordinator->consumer_group_describe(request, caller, std::move(reply));
        },
        [this](const protocol::ConsumerGroupDescribeResponse& response) {
            const auto& group = response.groups.at(0);
            if (group.error_code != 0) {
                return std::string{to_string(static_cast<KafkaError>(group.error_code))};
            }
            std::string out =
                fmt::format("{} epoch={} assigned={} {}", group.group_state, group.group_epoch,
                            group.assignment_epoch, group.assignor_name);
            for (const auto& member : group.members) {
                out += fmt::format(" [{} epoch={} has {} wants {}]", member.member_id,
                                   member.member_epoch,
                                   print(member.assignment.topic_partitions, *topics),
                                   print(member.target_assignment.topic_partitions, *topics));
            }
            return out;
        });
}

std::string GroupTest::list(std::vector<std::string> states, std::vector<std::string> types) {
    protocol::ListGroupsRequest request;
    request.states_filter.assign(states.begin(), states.end());
    request.types_filter.assign(types.begin(), types.end());
    return *ask<std::string, protocol::ListGroupsResponse>(
        5,
        [&](const Caller& caller, auto reply) {
            coordinator->list_groups(request, caller, std::move(reply));
        },
        [](const protocol::ListGroupsResponse& response) {
            if (response.error_code != 0) {
                return std::string{to_string(static_cast<KafkaError>(response.error_code))};
            }
            std::vector<std::string> out;
            for (const auto& group : response.groups) {
                out.push_back(fmt::format("{}({},{},{})", group.group_id, group.group_type,
                                          group.protocol_type, group.group_state));
            }
            return fmt::format("{}", fmt::join(out, " "));
        });
}

KafkaError GroupTest::delete_group(const std::string& group) {
    protocol::DeleteGroupsRequest request;
    request.groups_names = {group};
    return *ask<KafkaError, protocol::DeleteGroupsResponse>(
        3,
        [&](const Caller& caller, auto reply) {
            coordinator->delete_groups(request, caller, std::move(reply));
        },
        [](const protocol::DeleteGroupsResponse& response) {
            return static_cast<KafkaError>(response.results.at(0).error_code);
        });
}

std::string GroupTest::subscription(std::vector<std::string> topics,
                                    const std::map<std::string, std::vector<std::int32_t>>& owned) {
    protocol::ConsumerProtocolSubscription message;
    message.topics.assign(topics.begin(), topics.end());
    for (const auto& [topic, partitions] : owned) {
        message.owned_partitions.push_back({.topic = topic, .partitions = partitions});
    }
    Buffer out;
    protocol::Writer writer{out};
    writer.int16(1);
    message.encode(writer, 1);
    return text(out);
}

std::string GroupTest::assignment(
    const std::map<std::string, std::vector<std::int32_t>>& assigned) {
    protocol::ConsumerProtocolAssignment message;
    for (const auto& [topic, partitions] : assigned) {
        message.assigned_partitions.push_back({.topic = topic, .partitions = partitions});
    }
    Buffer out;
    protocol::Writer writer{out};
    writer.int16(1);
    message.encode(writer, 1);
    return text(out);
}

std::string GroupTest::read_assignment(const std::string& bytes) {
    protocol::Reader reader{as_bytes(bytes)};
    protocol::ConsumerProtocolAssignment message;
    message.decode(reader, reader.int16());
    EXPECT_TRUE(reader.ok());
    std::string out;
    for (const auto& topic : message.assigned_partitions) {
        out += fmt::format("{}{}:{}", out.empty() ? "" : " ", topic.topic,
                           fmt::join(topic.partitions, ","));
    }
    return out;
}

std::vector<std::string> GroupTest::stable_group(int members) {
    return stable_group(members, Join{});
}

std::vector<std::string> GroupTest::stable_group(int members, const Join& prototype) {
    std::vector<Later<Joined>> joins;
    for (int i = 0; i < members; ++i) {
        Join wanted = prototype;
        if (prototype.instance) {
            wanted.instance = *prototype.instance + std::to_string(i);
        }
        joins.push_back(enter_classic(wanted));
    }
    while (!joins.front().ready() && loop.step()) {
    }
    std::vector<std::string> ids;
    std::string leader;
    for (const auto& joined : joins) {
        EXPECT_EQ(joined->error, KafkaError::none);
        leader = joined->leader;
        ids.push_back(joined->member);
    }
    std::iter_swap(ids.begin(), std::find(ids.begin(), ids.end(), leader));
    std::map<std::string, std::string> assignments;
    for (const std::string& id : ids) {
        assignments[id] = "for " + std::to_string(assignments.size());
    }
    const std::int32_t generation = joins.front()->generation;
    for (const std::string& id : ids) {
        const auto found = std::find_if(joins.begin(), joins.end(),
                                        [&](const auto& j) { return j->member == id; });
        std::optional<std::string> instance;
        if (prototype.instance) {
            instance = *prototype.instance + std::to_string(found - joins.begin());
        }
        EXPECT_EQ(sync(id, generation,
                       id == leader ? assignments : std::map<std::string, std::string>{}, instance,
                       prototype.group)
                      ->error,
                  KafkaError::none);
    }
    return ids;
}

}  // namespace millrace::groups
