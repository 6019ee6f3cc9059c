// DescribeTopicPartitions: topics with their partitions, a page at a time, ordered by name.

#include <algorithm>
#include <string>
#include <vector>

#include "handlers/authorized_operations.h"
#include "handlers/handlers.h"
#include "handlers/offline_replicas.h"
#include "handlers/topic_names.h"
#include "protocol/messages/describe_topic_partitions_request.h"
#include "protocol/messages/describe_topic_partitions_response.h"

namespace millrace::handlers {
namespace {

using protocol::DescribeTopicPartitionsRequest;
using protocol::DescribeTopicPartitionsResponse;
using DescribeCall = Call<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>;

/// max.request.partition.size.limit: what one page may hold whatever is asked for.
constexpr std::int32_t page_limit = 2000;

std::vector<std::int32_t> ids(const metadata::BrokerList& list) {
    std::vector<std::int32_t> out;
    for (const BrokerId id : list) {
        out.push_back(id.value);
    }
    return out;
}

class Page {
public:
    Page(const DescribeCall& call, const metadata::Image& image, std::int32_t room)
        : call_(call), image_(image), room_(room) {}

    /// False when the page is full.
    bool add(std::string_view name, std::int32_t from) {
        if (room_ == 0) {
            response_.next_cursor.emplace();
            response_.next_cursor->topic_name = name;
            response_.next_cursor->partition_index = from;
            return false;
        }
        auto& to = response_.topics.emplace_back();
        to.name = name;
        to.is_internal = is_internal_topic(name);
        to.topic_authorized_operations = all_topic_operations;
        const metadata::Topic* topic = image_.topics.find(name);
        if (topic == nullptr) {
            to.error_code =
                code_of(is_valid_topic_name(name) ? KafkaError::unknown_topic_or_partition
                                                  : KafkaError::invalid_topic_exception);
            return true;
        }
        to.topic_id = topic->id;
        for (const auto& entry : topic->partitions) {
            if (entry.key.value < from) {
                continue;
            }
            if (room_ == 0) {
                response_.next_cursor.emplace();
                response_.next_cursor->topic_name = topic->name;
                response_.next_cursor->partition_index = entry.key.value;
                return false;
            }
            --room_;
            add_partition(to, entry.key, *entry.value);
        }
        return true;
    }

    const DescribeTopicPartitionsResponse& response() const { return response_; }

private:
    void add_partition(DescribeTopicPartitionsResponse::DescribeTopicPartitionsResponseTopic& topic,
                       PartitionIndex index, const metadata::Partition& partition) {
        auto& to = topic.partitions.emplace_back();
        to.partition_index = index.value;
        // No error where nobody leads, unlike Metadata: the missing leader says it.
        to.leader_id = is_reachable(partition.leader) ? partition.leader.value : no_broker.value;
        to.leader_epoch = partition.leader_epoch.value;
        to.replica_nodes = ids(partition.replicas);
        to.isr_nodes = ids(partition.isr);
        to.eligible_leader_replicas = ids(partition.elr);
        to.last_known_elr = ids(partition.last_known_elr);
        for (const BrokerId replica : partition.replicas) {
            if (is_offline(image_.cluster, partition, replica, call_.meta().listener)) {
                to.offline_replicas.push_back(replica.value);
            }
        }
    }

    bool is_reachable(BrokerId id) const {
        const metadata::Broker* broker = image_.cluster.broker(id);
        return broker != nullptr && broker->endpoint(call_.meta().listener) != nullptr;
    }

    const DescribeCall& call_;
    const metadata::Image& image_;
    std::int32_t room_;
    DescribeTopicPartitionsResponse response_;
};

/// A page goes on within what was asked for.
bool is_valid_cursor(const DescribeTopicPartitionsRequest& request) {
    if (!request.cursor) {
        return true;
    }
    return request.cursor->partition_index >= 0 &&
           (request.topics.empty() ||
            std::any_of(request.topics.begin(), request.topics.end(), [&](const auto& topic) {
                return topic.name == request.cursor->topic_name;
            }));
}

}  // namespace

void describe_topic_partitions(const Doors& doors, DescribeCall call) {
    const metadata::ImagePtr image = doors.image->current();
    const DescribeTopicPartitionsRequest& request = call.request();
    if (!is_valid_cursor(request)) {
        DescribeTopicPartitionsResponse refusal;
        for (const auto& topic : request.topics) {
            auto& to = refusal.topics.emplace_back();
            to.name = topic.name;
            to.error_code = code_of(KafkaError::invalid_request);
        }
        call.answer(refusal);
        return;
    }
    std::vector<std::string> names;
    if (request.topics.empty()) {
        for (const auto& entry : image->topics.by_name()) {
            names.push_back(entry.key);
        }
    } else {
        for (const auto& topic : request.topics) {
            names.emplace_back(topic.name);
        }
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
    }
    Page page(call, *image,
              std::clamp(request.response_partition_limit, std::int32_t{1}, page_limit));
    for (const std::string& name : names) {
        std::int32_t from = 0;
        if (request.cursor) {
            if (name < request.cursor->topic_name) {
                continue;
            }
            if (name == request.cursor->topic_name) {
                from = request.cursor->partition_index;
            }
        }
        if (!page.add(name, from)) {
            break;
        }
    }
    call.answer(page.response());
}

}  // namespace millrace::handlers
