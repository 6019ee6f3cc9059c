#include "app/internal/topics_of_image.h"

#include <set>

namespace millrace::app {
namespace {

groups::TopicInfo to_info(const metadata::Topic& topic) {
    return {topic.id, topic.name, static_cast<std::int32_t>(topic.partitions.size())};
}

}  // namespace

std::optional<groups::TopicInfo> TopicsOfImage::find(std::string_view name) const {
    const metadata::Topic* topic = image_->topics.find(name);
    return topic == nullptr ? std::nullopt : std::optional(to_info(*topic));
}

std::optional<groups::TopicInfo> TopicsOfImage::find(const Uuid& id) const {
    const metadata::Topic* topic = image_->topics.find(id);
    return topic == nullptr ? std::nullopt : std::optional(to_info(*topic));
}

void TopicsOfImage::for_each(const std::function<void(const groups::TopicInfo&)>& visit) const {
    for (const auto& entry : image_->topics.by_id()) {
        visit(to_info(*entry.value));
    }
}

std::vector<std::string> TopicsOfImage::racks(const Uuid& id, std::int32_t partition) const {
    const metadata::Partition* found = image_->topics.partition({id, PartitionIndex{partition}});
    std::set<std::string> racks;
    if (found != nullptr) {
        for (const BrokerId replica : found->replicas) {
            const metadata::Broker* broker = image_->cluster.broker(replica);
            if (broker != nullptr && broker->rack) {
                racks.insert(*broker->rack);
            }
        }
    }
    return {racks.begin(), racks.end()};
}

}  // namespace millrace::app
