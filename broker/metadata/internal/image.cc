#include "metadata/image.h"

#include <algorithm>

namespace millrace::metadata {

Image::Image() = default;
Image::Image(const Image&) = default;
Image::Image(Image&&) noexcept = default;
Image& Image::operator=(const Image&) = default;
Image& Image::operator=(Image&&) noexcept = default;
Image::~Image() = default;

namespace {

const Endpoint* endpoint_of(const std::vector<Endpoint>& endpoints, std::string_view listener) {
    for (const Endpoint& at : endpoints) {
        if (at.listener == listener) {
            return &at;
        }
    }
    return nullptr;
}

}  // namespace

const Endpoint* Broker::endpoint(std::string_view listener) const {
    return endpoint_of(endpoints, listener);
}

const Endpoint* ControllerNode::endpoint(std::string_view listener) const {
    return endpoint_of(endpoints, listener);
}

bool Broker::has_online_directory(const Uuid& directory) const {
    if (directory == unassigned_directory || directory == migrating_directory) {
        return true;  // nobody has said where it is; the broker will
    }
    // A registration without directories is from before metadata.version 3.7-IV2.
    return directory != lost_directory &&
           (directories.empty() ||
            std::binary_search(directories.begin(), directories.end(), directory));
}

bool Broker::is_cordoned() const {
    return cordoned_directories && !directories.empty() &&
           std::includes(cordoned_directories->begin(), cordoned_directories->end(),
                         directories.begin(), directories.end());
}

bool operator==(const Broker& a, const Broker& b) {
    return a.id == b.id && a.epoch == b.epoch && a.incarnation == b.incarnation &&
           a.endpoints == b.endpoints && a.features == b.features && a.rack == b.rack &&
           a.fenced == b.fenced && a.in_controlled_shutdown == b.in_controlled_shutdown &&
           a.is_migrating == b.is_migrating && a.directories == b.directories &&
           a.cordoned_directories == b.cordoned_directories;
}

bool operator==(const ControllerNode& a, const ControllerNode& b) {
    return a.id == b.id && a.incarnation == b.incarnation &&
           a.is_migration_ready == b.is_migration_ready && a.endpoints == b.endpoints &&
           a.features == b.features;
}

Uuid Partition::directory_of(BrokerId broker) const {
    for (std::size_t i = 0; i < replicas.size(); ++i) {
        if (replicas[i] == broker) {
            return i < directories.size() ? directories[i] : unassigned_directory;
        }
    }
    return unassigned_directory;
}

bool operator==(const Partition& a, const Partition& b) {
    return a.replicas == b.replicas && a.isr == b.isr && a.removing == b.removing &&
           a.adding == b.adding && a.elr == b.elr && a.last_known_elr == b.last_known_elr &&
           a.directories == b.directories && a.leader == b.leader &&
           a.leader_epoch == b.leader_epoch && a.epoch == b.epoch && a.recovery == b.recovery;
}

void Topics::add(Uuid id, std::string name) {
    auto topic = make_ref<Topic>();
    topic->id = id;
    topic->name = name;
    by_id_.set(id, std::move(topic));
    ids_.set(std::move(name), id);
}

bool Topics::remove(const Uuid& id) {
    const Topic* topic = find(id);
    if (topic == nullptr) {
        return false;
    }
    partition_count_ -= static_cast<std::int64_t>(topic->partitions.size());
    ids_.erase(topic->name);
    by_id_.erase(id);
    return true;
}

bool Topics::set_partition(const TopicIdPartition& which, PartitionRef partition) {
    Ref<Topic>* topic = by_id_.mutate(which.topic_id);
    if (topic == nullptr) {
        return false;
    }
    if (!(*topic)->has_one_owner()) {
        *topic = make_ref<Topic>(**topic);
    }
    const std::size_t before = (*topic)->partitions.size();
    (*topic)->partitions.set(which.partition, std::move(partition));
    partition_count_ += static_cast<std::int64_t>((*topic)->partitions.size() - before);
    return true;
}

bool operator==(const Topics& a, const Topics& b) {
    if (a.ids_ != b.ids_) {
        return false;
    }
    return a.by_id_.is_same_as(b.by_id_) ||
           std::equal(a.by_id_.begin(), a.by_id_.end(), b.by_id_.begin(), b.by_id_.end(),
                      [](const auto& x, const auto& y) {
                          return x.value == y.value || *x.value == *y.value;
                      });
}

const std::string* Configs::find(const ConfigResource& resource, std::string_view key) const {
    const ConfigMap* map = find(resource);
    if (map == nullptr) {
        return nullptr;
    }
    const auto found = map->values.find(key);
    return found != map->values.end() ? &found->second : nullptr;
}

void Configs::set(const ConfigResource& resource, std::string key, std::string value) {
    Ref<ConfigMap>* map = by_resource_.mutate(resource);
    if (map == nullptr) {
        auto fresh = make_ref<ConfigMap>();
        fresh->values.emplace(std::move(key), std::move(value));
        by_resource_.set(resource, std::move(fresh));
        return;
    }
    if (!(*map)->has_one_owner()) {
        *map = make_ref<ConfigMap>(**map);
    }
    (*map)->values.insert_or_assign(std::move(key), std::move(value));
}

void Configs::erase(const ConfigResource& resource, std::string_view key) {
    if (find(resource, key) == nullptr) {
        return;
    }
    if (find(resource)->values.size() == 1) {
        by_resource_.erase(resource);
        return;
    }
    Ref<ConfigMap>* map = by_resource_.mutate(resource);
    if (!(*map)->has_one_owner()) {
        *map = make_ref<ConfigMap>(**map);
    }
    (*map)->values.erase((*map)->values.find(key));
}

bool operator==(const Configs& a, const Configs& b) {
    return a.by_resource_.is_same_as(b.by_resource_) ||
           std::equal(a.by_resource_.begin(), a.by_resource_.end(), b.by_resource_.begin(),
                      b.by_resource_.end(), [](const auto& x, const auto& y) {
                          return x.key == y.key && (x.value == y.value || *x.value == *y.value);
                      });
}

const std::string* Image::topic_setting(std::string_view topic, std::string_view key) const {
    const std::string* set = configs.find({ConfigResourceType::topic, std::string(topic)}, key);
    return set != nullptr ? set : configs.find({ConfigResourceType::broker, {}}, key);
}

namespace {

template <typename Map>
bool same_objects(const Map& a, const Map& b) {
    return a.is_same_as(b) ||
           std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
               return x.key == y.key && (x.value == y.value || *x.value == *y.value);
           });
}

}  // namespace

bool operator==(const Topic& a, const Topic& b) {
    return a.id == b.id && a.name == b.name && same_objects(a.partitions, b.partitions);
}

bool same_content(const Image& a, const Image& b) {
    return a.features == b.features && same_objects(a.cluster.brokers, b.cluster.brokers) &&
           same_objects(a.cluster.controllers, b.cluster.controllers) && a.topics == b.topics &&
           a.configs == b.configs && a.quotas == b.quotas && a.scram == b.scram &&
           a.acls == b.acls && a.delegation_tokens == b.delegation_tokens &&
           a.next_producer_id == b.next_producer_id;
}

}  // namespace millrace::metadata
