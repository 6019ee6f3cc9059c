#include "groups/internal/embedded.h"

#include <algorithm>

#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/consumer_protocol_subscription.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::groups {

namespace {

using protocol::ConsumerProtocolAssignment;
using protocol::ConsumerProtocolSubscription;

/// Later versions only append, so that what we don't know lies behind what we read.
template <typename Message>
Result<Message> decode(ByteView bytes, std::int16_t& version, std::int16_t newest) {
    protocol::Reader in(bytes);
    version = in.int16();
    if (in.ok() && version < 0) {
        in.fail("negative version");
    }
    version = std::min(version, newest);
    Message message;
    if (in.ok()) {
        message.decode(in, version);
    }
    if (!in.ok()) {
        return in.error();
    }
    return message;
}

std::vector<std::string> sorted_names(const std::vector<std::string_view>& names) {
    std::vector<std::string> out{names.begin(), names.end()};
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace

Result<Subscription> parse_subscription(ByteView bytes) {
    Subscription out;
    MR_TRY(const auto message, decode<ConsumerProtocolSubscription>(
                                   bytes, out.version, ConsumerProtocolSubscription::max_version));
    out.topics = sorted_names(message.topics);
    if (message.rack_id && !message.rack_id->empty()) {
        out.rack = std::string{*message.rack_id};
    }
    for (const auto& topic : message.owned_partitions) {
        out.owned[std::string{topic.topic}] = topic.partitions;
    }
    return out;
}

Result<std::vector<std::string>> parse_subscribed_topics(ByteView bytes) {
    std::int16_t version = 0;
    MR_TRY(const auto message, decode<ConsumerProtocolSubscription>(bytes, version, 0));
    return sorted_names(message.topics);
}

Result<ClassicAssignment> parse_assignment(ByteView bytes) {
    ClassicAssignment out;
    if (bytes.empty()) {
        return out;
    }
    std::int16_t version = 0;
    MR_TRY(const auto message, decode<ConsumerProtocolAssignment>(
                                   bytes, version, ConsumerProtocolAssignment::max_version));
    for (const auto& topic : message.assigned_partitions) {
        out.partitions[std::string{topic.topic}] = topic.partitions;
    }
    out.has_user_data = message.user_data && !message.user_data->empty();
    return out;
}

Buffer build_assignment(const PartitionSet& partitions, std::int16_t version,
                        const TopicsView& topics) {
    ConsumerProtocolAssignment message;
    for (const auto& [id, indexes] : partitions) {
        if (const auto topic = topics.find(id)) {
            message.assigned_partitions.push_back({.topic = topic->name, .partitions = indexes});
        }
    }
    const auto used = std::clamp<std::int16_t>(version, ConsumerProtocolAssignment::min_version,
                                               ConsumerProtocolAssignment::max_version);
    Buffer out;
    protocol::Writer writer{out};
    writer.int16(used);
    message.encode(writer, used);
    MR_ASSERT(writer.ok());  // Names of topics that exist fit.
    return out;
}

PartitionSet by_topic_id(const std::map<std::string, std::vector<std::int32_t>>& partitions,
                         const TopicsView& topics) {
    PartitionSet out;
    for (const auto& [name, indexes] : partitions) {
        if (const auto topic = topics.find(name); topic && !indexes.empty()) {
            std::vector<std::int32_t>& sorted = out[topic->id];
            sorted = indexes;
            std::sort(sorted.begin(), sorted.end());
            sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
        }
    }
    return out;
}

}  // namespace millrace::groups
