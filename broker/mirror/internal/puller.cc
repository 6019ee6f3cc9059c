#include "mirror/internal/puller.h"

#include <utility>

#include "mirror/internal/link_pull.h"

namespace millrace::mirror {

struct Puller::Inside {
    runtime::Shard shard;
    runtime::Node& node;
    replication::ShardReplicas& replicas;
    Upwards up;
    Logger log;
    std::map<std::string, std::shared_ptr<LinkPull>> links;
};

Puller::Puller(runtime::Shard shard, runtime::Node& node, replication::ShardReplicas& replicas,
               Upwards up, const Logger& log)
    : inside_(std::make_shared<Inside>(Inside{shard, node, replicas, std::move(up), log, {}})) {}

Puller::~Puller() = default;

void Puller::set_link(const std::string& id, Link link) {
    auto& one = inside_->links[id];
    if (!one) {
        one = std::make_shared<LinkPull>(id, inside_->shard, inside_->node, inside_->replicas,
                                         inside_->up, inside_->log);
    }
    one->set(std::move(link));
}

void Puller::drop_link(const std::string& id) {
    inside_->links.erase(id);
}

std::vector<PartitionView> Puller::partitions(const std::string& link) {
    const auto found = inside_->links.find(link);
    return found == inside_->links.end() ? std::vector<PartitionView>{} : found->second->views();
}

PullCounters Puller::counters(const std::string& link) const {
    const auto found = inside_->links.find(link);
    return found == inside_->links.end() ? PullCounters{} : found->second->counters();
}

std::size_t Puller::connections(const std::string& link) const {
    const auto found = inside_->links.find(link);
    return found == inside_->links.end() ? 0 : found->second->connections();
}

}  // namespace millrace::mirror
