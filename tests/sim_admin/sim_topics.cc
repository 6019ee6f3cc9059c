// Topics, settings and groups of the simulated cluster.
#include <algorithm>

#include "tests/sim_admin/sim_call.h"
#include "tests/sim_admin/sim_cluster.h"

namespace millrace::sim_admin {

namespace {

// Kafka's codes, as ItemError carries them.
constexpr int unknown_topic_or_partition = 3;
constexpr int invalid_config = 40;
constexpr int topic_already_exists = 36;
constexpr int invalid_partitions = 37;
constexpr int invalid_replication_factor = 38;
constexpr int group_id_not_found = 69;
constexpr int unknown_topic_id = 100;

void fail(v1::ItemError& error, int code, const std::string& message) {
    error.set_kafka_error(code);
    error.set_message(message);
}

}  // namespace

Result<v1::CreateTopicsResponse> SimCluster::CreateTopics(const v1::CreateTopicsRequest& request) {
    MR_SIM_ENTER(CreateTopics);
    v1::CreateTopicsResponse response;
    for (const v1::NewTopic& wanted : request.topics()) {
        auto& created = *response.add_topics();
        created.set_name(wanted.name());
        const int partitions = wanted.partitions() < 0 ? 1 : wanted.partitions();
        const int factor = wanted.replication_factor() < 0 ? 1 : wanted.replication_factor();
        if (topics_.count(wanted.name()) != 0) {
            fail(*created.mutable_error(), topic_already_exists, "it exists");
        } else if (partitions < 1) {
            fail(*created.mutable_error(), invalid_partitions, "at least one partition");
        } else if (factor < 1 || factor > static_cast<int>(live_brokers().size())) {
            fail(*created.mutable_error(), invalid_replication_factor,
                 "there are " + std::to_string(live_brokers().size()) + " brokers");
        } else {
            Topic topic;
            topic.id = new_id("topic-");
            topic.configs = {wanted.configs().begin(), wanted.configs().end()};
            if (const auto min_isr = topic.configs.find("min.insync.replicas");
                min_isr != topic.configs.end()) {
                topic.min_isr = std::stoi(min_isr->second);
            }
            place(topic, partitions, factor);
            created.set_id(topic.id);
            created.set_partitions(partitions);
            created.set_replication_factor(factor);
            if (!request.guard().dry_run()) {
                note("CreateTopics " + wanted.name());
                topics_[wanted.name()] = std::move(topic);
                ++placement_version_;
                moved();
            }
        }
    }
    return response;
}

Result<v1::DeleteTopicsResponse> SimCluster::DeleteTopics(const v1::DeleteTopicsRequest& request) {
    MR_SIM_ENTER(DeleteTopics);
    v1::DeleteTopicsResponse response;
    for (const v1::TopicRef& wanted : request.topics()) {
        auto& outcome = *response.add_topics();
        outcome.set_name(wanted.name());
        const auto found = topics_.find(wanted.name());
        if (found == topics_.end()) {
            fail(*outcome.mutable_error(), unknown_topic_or_partition, "there is no such topic");
        } else if (!wanted.expected_id().empty() && wanted.expected_id() != found->second.id) {
            fail(*outcome.mutable_error(), unknown_topic_id, "the topic was made anew");
        } else if (!request.guard().dry_run()) {
            note("DeleteTopics " + wanted.name());
            topics_.erase(found);
            ++placement_version_;
            moved();
        }
    }
    return response;
}

Result<v1::ListTopicsResponse> SimCluster::ListTopics(const v1::ListTopicsRequest& request) {
    MR_SIM_ENTER(ListTopics);
    v1::ListTopicsResponse response;
    const int size = request.page().size() > 0 ? request.page().size() : 1000;
    for (auto topic = topics_.upper_bound(request.page().after()); topic != topics_.end();
         ++topic) {
        if (response.topics_size() == size) {
            response.set_next(response.topics(size - 1).name());
            break;
        }
        auto& summary = *response.add_topics();
        summary.set_name(topic->first);
        summary.set_id(topic->second.id);
        summary.set_partitions(static_cast<int>(topic->second.partitions.size()));
        for (const Partition& partition : topic->second.partitions) {
            summary.set_replication_factor(static_cast<int>(partition.replicas.size()));
            summary.set_offline_partitions(summary.offline_partitions() +
                                           (partition.leader < 0 ? 1 : 0));
            summary.set_under_replicated_partitions(
                summary.under_replicated_partitions() +
                (partition.isr.size() < partition.replicas.size() ? 1 : 0));
        }
    }
    return response;
}

Result<v1::DescribeTopicsResponse> SimCluster::DescribeTopics(
    const v1::DescribeTopicsRequest& request) {
    MR_SIM_ENTER(DescribeTopics);
    v1::DescribeTopicsResponse response;
    for (const v1::TopicRef& wanted : request.topics()) {
        auto& description = *response.add_topics();
        description.set_name(wanted.name());
        const auto found = topics_.find(wanted.name());
        if (found == topics_.end()) {
            fail(*description.mutable_error(), unknown_topic_or_partition,
                 "there is no such topic");
            continue;
        }
        const Topic& topic = found->second;
        description.set_id(topic.id);
        description.mutable_configs()->insert(topic.configs.begin(), topic.configs.end());
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            const Partition& from = topic.partitions[i];
            auto& to = *description.add_partitions();
            to.set_partition(static_cast<int>(i));
            to.set_leader(from.leader);
            to.mutable_replicas()->Add(from.replicas.begin(), from.replicas.end());
            to.mutable_isr()->Add(from.isr.begin(), from.isr.end());
            to.mutable_adding()->Add(from.adding.begin(), from.adding.end());
            to.set_start_offset(from.start);
            to.set_end_offset(from.end);
        }
    }
    return response;
}

Result<v1::CreatePartitionsResponse> SimCluster::CreatePartitions(
    const v1::CreatePartitionsRequest& request) {
    MR_SIM_ENTER(CreatePartitions);
    v1::CreatePartitionsResponse response;
    for (const v1::NewPartitions& wanted : request.topics()) {
        auto& outcome = *response.add_topics();
        outcome.set_name(wanted.name());
        const auto found = topics_.find(wanted.name());
        if (found == topics_.end()) {
            fail(*outcome.mutable_error(), unknown_topic_or_partition, "there is no such topic");
            continue;
        }
        Topic& topic = found->second;
        const int now = static_cast<int>(topic.partitions.size());
        if (wanted.total() <= now) {
            fail(*outcome.mutable_error(), invalid_partitions,
                 "there are " + std::to_string(now) + " already");
        } else if (!request.guard().dry_run()) {
            note("CreatePartitions " + wanted.name() + " " + std::to_string(wanted.total()));
            place(topic, wanted.total() - now,
                  static_cast<int>(topic.partitions.front().replicas.size()));
            ++placement_version_;
            moved();
        }
    }
    return response;
}

Result<v1::DeleteRecordsResponse> SimCluster::DeleteRecords(
    const v1::DeleteRecordsRequest& request) {
    MR_SIM_ENTER(DeleteRecords);
    v1::DeleteRecordsResponse response;
    for (const v1::RecordsBefore& wanted : request.partitions()) {
        auto& deleted = *response.add_partitions();
        deleted.mutable_partition()->set_topic(wanted.topic());
        deleted.mutable_partition()->set_partition(wanted.partition());
        const auto found = topics_.find(wanted.topic());
        if (found == topics_.end() || wanted.partition() < 0 ||
            wanted.partition() >= static_cast<int>(found->second.partitions.size())) {
            fail(*deleted.mutable_error(), unknown_topic_or_partition,
                 "there is no such partition");
            continue;
        }
        Partition& partition =
            found->second.partitions[static_cast<std::size_t>(wanted.partition())];
        const std::int64_t before =
            wanted.before_offset() < 0 ? partition.end : wanted.before_offset();
        if (!request.guard().dry_run()) {
            partition.start = std::max(partition.start, std::min(before, partition.end));
            moved();
        }
        deleted.set_start_offset(partition.start);
    }
    return response;
}

Result<v1::ElectLeadersResponse> SimCluster::ElectLeaders(const v1::ElectLeadersRequest& request) {
    MR_SIM_ENTER(ElectLeaders);
    v1::ElectLeadersResponse response;
    if (!request.guard().dry_run()) {
        note("ElectLeaders");
        elect_all();
        moved();
    }
    return response;
}

Result<v1::DescribeConfigsResponse> SimCluster::DescribeConfigs(
    const v1::DescribeConfigsRequest& request) {
    MR_SIM_ENTER(DescribeConfigs);
    v1::DescribeConfigsResponse response;
    for (const v1::ConfigResource& resource : request.resources()) {
        auto& configs = *response.add_resources();
        *configs.mutable_resource() = resource;
        const auto topic = topics_.find(resource.name());
        const bool of_topic = resource.type() == v1::CONFIG_RESOURCE_TYPE_TOPIC;
        if (of_topic && topic == topics_.end()) {
            fail(*configs.mutable_error(), unknown_topic_or_partition, "there is no such topic");
            continue;
        }
        for (const auto& [key, value] :
             of_topic ? topic->second.configs : configs_[config_key(resource)]) {
            auto& entry = *configs.add_entries();
            entry.set_key(key);
            entry.set_value(value);
            entry.set_source(of_topic ? v1::CONFIG_SOURCE_TOPIC : v1::CONFIG_SOURCE_DYNAMIC_BROKER);
        }
    }
    return response;
}

Result<v1::AlterConfigsResponse> SimCluster::AlterConfigs(const v1::AlterConfigsRequest& request) {
    MR_SIM_ENTER(AlterConfigs);
    v1::AlterConfigsResponse response;
    for (const v1::ConfigAlterations& wanted : request.resources()) {
        auto& altered = *response.add_resources();
        *altered.mutable_resource() = wanted.resource();
        const bool of_topic = wanted.resource().type() == v1::CONFIG_RESOURCE_TYPE_TOPIC;
        const auto topic = topics_.find(wanted.resource().name());
        if (of_topic && topic == topics_.end()) {
            fail(*altered.mutable_error(), unknown_topic_or_partition, "there is no such topic");
            continue;
        }
        auto& entries = of_topic ? topic->second.configs : configs_[config_key(wanted.resource())];
        const auto before = entries;
        auto after = entries;
        for (const v1::ConfigAlteration& one : wanted.alterations()) {
            if (one.op() == v1::ConfigAlteration::OP_DELETE) {
                if (!of_topic && one.key() == "min.insync.replicas") {
                    fail(*altered.mutable_error(), invalid_config,
                         "min.insync.replicas has one value for the cluster: it can't be removed");
                    break;
                }
                after.erase(one.key());
            } else {
                after[one.key()] = one.value();
            }
        }
        altered.set_changed(!altered.has_error() && after != before);
        if (!request.guard().dry_run() && altered.changed()) {
            note("AlterConfigs " + wanted.resource().name());
            entries = after;
            moved();
        }
    }
    return response;
}

Result<v1::ListGroupsResponse> SimCluster::ListGroups(const v1::ListGroupsRequest&) {
    MR_SIM_ENTER(ListGroups);
    v1::ListGroupsResponse response;
    for (const auto& [name, group] : groups_) {
        auto& summary = *response.add_groups();
        summary.set_id(name);
        summary.set_type("consumer");
        summary.set_state("Empty");
        summary.set_coordinator_id(controller_);
    }
    return response;
}

Result<v1::DescribeGroupsResponse> SimCluster::DescribeGroups(
    const v1::DescribeGroupsRequest& request) {
    MR_SIM_ENTER(DescribeGroups);
    v1::DescribeGroupsResponse response;
    for (const std::string& name : request.groups()) {
        auto& description = *response.add_groups();
        description.set_id(name);
        if (groups_.count(name) == 0) {
            fail(*description.mutable_error(), group_id_not_found, "there is no such group");
            continue;
        }
        description.set_type("consumer");
        description.set_state("Empty");
        description.set_coordinator_id(controller_);
    }
    return response;
}

Result<v1::GroupLagResponse> SimCluster::GroupLag(const v1::GroupLagRequest& request) {
    MR_SIM_ENTER(GroupLag);
    v1::GroupLagResponse response;
    const std::set<std::string> wanted{request.groups().begin(), request.groups().end()};
    for (const auto& [name, group] : groups_) {
        if (!wanted.empty() && wanted.count(name) == 0) {
            continue;
        }
        auto& lag = *response.add_groups();
        lag.set_group(name);
        const auto topic = topics_.find(group.topic);
        for (const auto& [index, committed] : group.committed) {
            const std::int64_t end =
                topic == topics_.end()
                    ? committed
                    : topic->second.partitions[static_cast<std::size_t>(index)].end;
            lag.set_total_records(lag.total_records() + end - committed);
            if (request.with_partitions()) {
                auto& partition = *lag.add_partitions();
                partition.mutable_partition()->set_topic(group.topic);
                partition.mutable_partition()->set_partition(index);
                partition.set_committed(committed);
                partition.set_end(end);
                partition.set_records(end - committed);
            }
        }
    }
    return response;
}

Result<v1::AlterGroupOffsetsResponse> SimCluster::AlterGroupOffsets(
    const v1::AlterGroupOffsetsRequest& request) {
    MR_SIM_ENTER(AlterGroupOffsets);
    const auto group = groups_.find(request.group());
    if (group == groups_.end()) {
        return Error::make(Code::not_found, "there is no group {}", request.group());
    }
    v1::AlterGroupOffsetsResponse response;
    for (const v1::NewOffset& wanted : request.offsets()) {
        auto& altered = *response.add_offsets();
        altered.mutable_partition()->set_topic(wanted.topic());
        altered.mutable_partition()->set_partition(wanted.partition());
        const auto topic = topics_.find(wanted.topic());
        if (topic == topics_.end() || wanted.partition() < 0 ||
            wanted.partition() >= static_cast<int>(topic->second.partitions.size())) {
            fail(*altered.mutable_error(), unknown_topic_or_partition,
                 "there is no such partition");
            continue;
        }
        const Partition& partition =
            topic->second.partitions[static_cast<std::size_t>(wanted.partition())];
        const auto before = group->second.committed.find(wanted.partition());
        altered.set_before(before == group->second.committed.end() ? -1 : before->second);
        altered.set_after(wanted.earliest() ? partition.start
                          : wanted.latest() ? partition.end
                          : wanted.forget() ? -1
                                            : wanted.offset());
        if (!request.guard().dry_run()) {
            group->second.committed[wanted.partition()] = altered.after();
            moved();
        }
    }
    note("AlterGroupOffsets " + request.group());
    return response;
}

Result<v1::DeleteGroupsResponse> SimCluster::DeleteGroups(const v1::DeleteGroupsRequest& request) {
    MR_SIM_ENTER(DeleteGroups);
    v1::DeleteGroupsResponse response;
    for (const std::string& name : request.groups()) {
        auto& outcome = *response.add_groups();
        outcome.set_group(name);
        if (groups_.count(name) == 0) {
            fail(*outcome.mutable_error(), group_id_not_found, "there is no such group");
        } else if (!request.guard().dry_run()) {
            note("DeleteGroups " + name);
            groups_.erase(name);
            moved();
        }
    }
    return response;
}

}  // namespace millrace::sim_admin
