#include "tests/sim/systems/cluster_watch.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <utility>

#include "tests/sim/systems/device_disk.h"

namespace millrace::simtest {

namespace {

std::vector<std::int32_t> ids(const metadata::BrokerList& list) {
    std::vector<std::int32_t> ids;
    for (const BrokerId id : list) {
        ids.push_back(id.value);
    }
    return ids;
}

}  // namespace

BrokerProgram* ClusterWatch::program(std::size_t node) const {
    return static_cast<BrokerProgram*>(simulation_.node(node).program());
}

void ClusterWatch::note_emptied_disks() {
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        Node& node = nodes_[index];
        const std::uint64_t wipes = simulation_.node(index).sim_disk().wipes();
        if (std::exchange(node.wipes, wipes) == wipes) {
            continue;
        }
        node.emptied.insert(node.directory);
        for (auto& [partition, replica] : node.replicas) {
            replica.emptied[node.directory] = replica.synced_end;
            replica.synced_end = replica.end = Offset{0};
        }
    }
}

std::optional<Uuid> ClusterWatch::emptied_disk(std::size_t index,
                                               const metadata::Image& image) const {
    const metadata::Broker* registered =
        image.cluster.broker(BrokerId{static_cast<std::int32_t>(index) + 1});
    if (registered == nullptr) {
        return std::nullopt;
    }
    const auto found = std::find_if(
        registered->directories.begin(), registered->directories.end(),
        [&](const Uuid& directory) { return nodes_[index].emptied.count(directory) > 0; });
    return found == registered->directories.end() ? std::nullopt : std::optional(*found);
}

std::optional<std::string> ClusterWatch::check() {
    note_emptied_disks();
    runtime::sim::SimNode* const node = simulation_.last_node();
    if (node == nullptr || node->index() >= options_.brokers || !node->is_running()) {
        return std::nullopt;
    }
    const std::size_t index = node->index();
    const app::BrokerView* const view = program(index)->view();
    if (view == nullptr) {
        return std::nullopt;
    }
    Node& seen = nodes_[index];
    if (seen.life != node->life()) {
        seen.life = node->life();
        seen.directory = view->directories.front().id;
        seen.image = nullptr;
        seen.quorum_epoch = QuorumEpoch{-1};
        for (auto& [partition, replica] : seen.replicas) {
            replica.high_watermark = no_offset;
            replica.leads_in = no_leader_epoch;
        }
    }
    if (auto broken = check_quorum(index, *view)) {
        return broken;
    }
    if (auto broken = check_image(seen, *view)) {
        return broken;
    }
    for (std::int32_t partition = 0; partition < options_.partitions; ++partition) {
        if (auto broken = check_partition(index, partition, *view)) {
            return fmt::format("{} partition {}: {}", node->name(), partition, *broken);
        }
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::check_quorum(std::size_t index,
                                                      const app::BrokerView& view) {
    const raft::Leadership now = view.quorum->leadership();
    if (!now.is_self || now.epoch == nodes_[index].quorum_epoch) {
        return std::nullopt;
    }
    nodes_[index].quorum_epoch = now.epoch;
    const auto [known, is_new] = controllers_.try_emplace(now.epoch, index);
    if (!is_new) {
        return fmt::format("one leader: nodes {} and {} both lead the quorum's epoch {}",
                           known->second, index, now.epoch);
    }
    return std::nullopt;
}

std::string ClusterWatch::digest(const metadata::Image& image) const {
    std::string text;
    for (const auto& entry : image.cluster.brokers) {
        text +=
            fmt::format("b{}@{}{} ", entry.key, entry.value->epoch, entry.value->fenced ? "f" : "");
    }
    const metadata::Topic* topic = image.topics.find(options_.topic);
    if (topic != nullptr) {
        for (const auto& entry : topic->partitions) {
            const metadata::Partition& partition = *entry.value;
            text += fmt::format("p{} {}@{}.{} r{} i{} e{} ", entry.key, partition.leader,
                                partition.leader_epoch, partition.epoch, ids(partition.replicas),
                                ids(partition.isr), ids(partition.elr));
        }
    }
    return text;
}

std::optional<std::string> ClusterWatch::check_image(Node& node, const app::BrokerView& view) {
    const metadata::ImagePtr image = view.doors->image->current();
    if (image.get() == node.image) {
        return std::nullopt;
    }
    node.image = image.get();
    node.keep = image;
    const auto [known, is_new] = images_.try_emplace(image->provenance.end.value, digest(*image));
    if (!is_new && known->second != digest(*image)) {
        return fmt::format("metadata: at offset {} both [{}] and [{}]", image->provenance.end,
                           known->second, digest(*image));
    }
    if (newest_ == nullptr || image->provenance.end > newest_->provenance.end) {
        newest_ = image;
        if (auto broken = take_newest(*image)) {
            return broken;
        }
    }
    const metadata::Topic* topic = image->topics.find(options_.topic);
    if (topic == nullptr) {
        return std::nullopt;
    }
    topic_id_ = topic->id;
    for (const auto& entry : topic->partitions) {
        const metadata::Partition& partition = *entry.value;
        const bool led = partition.leader == no_broker || partition.isr.contains(partition.leader);
        const bool apart =
            std::none_of(partition.isr.begin(), partition.isr.end(),
                         [&](BrokerId member) { return partition.elr.contains(member); });
        const bool needless = partition.isr.size() >= options_.min_insync && !partition.elr.empty();
        if (!led || !apart || needless ||
            (partition.isr.empty() && partition.elr.empty() && partition.last_known_elr.empty())) {
            return fmt::format("metadata: partition {} leader {} isr {} elr {}", entry.key,
                               partition.leader, ids(partition.isr), ids(partition.elr));
        }
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::take_newest(const metadata::Image& image) {
    const metadata::Topic* topic = image.topics.find(options_.topic);
    for (std::int32_t i = 0; topic != nullptr && i < options_.partitions; ++i) {
        const metadata::Partition* state = topic->partition(PartitionIndex{i});
        std::vector<std::size_t>& members = partitions_[static_cast<std::size_t>(i)].members;
        members.clear();
        if (state == nullptr) {
            continue;
        }
        for (const metadata::BrokerList* list : {&state->isr, &state->elr}) {
            for (const BrokerId member : *list) {
                members.push_back(static_cast<std::size_t>(member.value) - 1);
            }
        }
        if (auto broken = check_members(i)) {
            return fmt::format("partition {}: {}", i, *broken);
        }
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::check_members(std::int32_t partition) const {
    for (const std::size_t member : partitions_[static_cast<std::size_t>(partition)].members) {
        if (auto broken = check_member(member, partition)) {
            return broken;
        }
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::check_member(std::size_t index,
                                                      std::int32_t partition) const {
    const Partition& model = partitions_[static_cast<std::size_t>(partition)];
    const auto replica = nodes_[index].replicas.find(partition);
    if (replica == nodes_[index].replicas.end() || emptied_disk(index, *newest_)) {
        return std::nullopt;  // it has not shown its log yet; or nobody can know that it is gone
    }
    const Offset has = options_.synced ? replica->second.synced_end : replica->second.end;
    if (has < model.committed) {
        return fmt::format(
            "candidate completeness: node {} may be elected with {} of {}, {} is "
            "committed; {}",
            index, has, replica->second.end, model.committed, digest(*newest_));
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::check_partition(std::size_t index, std::int32_t partition,
                                                         const app::BrokerView& view) {
    if (topic_id_.is_zero()) {
        return std::nullopt;
    }
    // Its own image may be an old one, of a broker that starts: that says nothing of its disk.
    if (!has_replica(index, partition, *newest_)) {
        nodes_[index].replicas.erase(partition);  // its log goes; another may come
    }
    const TopicIdPartition id{topic_id_, PartitionIndex{partition}};
    const replication::ShardReplicas& shard =
        view.doors->replicas->here(view.doors->replicas->shard_of(id));
    const storage::LeaderEpochCache* const epochs = shard.epochs(id);
    if (epochs == nullptr) {
        // It goes, and may come again as another before this broker knows what others know.
        if (const auto gone = nodes_[index].replicas.find(partition);
            gone != nodes_[index].replicas.end()) {
            gone->second.high_watermark = no_offset;
            gone->second.said_synced = no_offset;
        }
        return std::nullopt;
    }
    const auto now = *shard.view(id);
    Partition& model = partitions_[static_cast<std::size_t>(partition)];
    Replica& seen = nodes_[index].replicas[partition];
    if (now.synced_end == now.end && now.end > seen.said_synced) {
        seen.said_synced = now.end;
        const std::string folder =
            fmt::format("{}/{}-{}", now.directory_path, now.topic, partition);
        runtime::sim::SimDisk& disk = simulation_.node(index).sim_disk();
        if (options_.synced && disk.has_unsynced(folder, ".log") &&
            !comes_back(disk, now.directory_path, seen_directory(index),
                        {now.topic, PartitionIndex{partition}})) {
            return fmt::format("synced: all below {} is said to be on the disk, and is not",
                               now.end);
        }
    }
    // Synced bytes stay on a disk that an unclean start has not looked through yet.
    seen.end = now.end;
    seen.synced_end = std::min(std::max(seen.synced_end, now.synced_end), now.end);
    if (std::find(model.members.begin(), model.members.end(), index) != model.members.end()) {
        if (auto broken = check_member(index, partition)) {
            return broken;
        }
    }
    if (now.is_leader) {
        if (auto broken = check_leader(index, model, seen, now, *epochs)) {
            return broken;
        }
    } else {
        seen.leads_in = no_leader_epoch;
    }
    if (now.high_watermark > now.end) {
        return fmt::format("the high watermark {} lies beyond the log's end {}", now.high_watermark,
                           now.end);
    }
    if (now.high_watermark == seen.high_watermark) {
        return std::nullopt;
    }
    if (now.high_watermark < seen.high_watermark) {
        return fmt::format("monotone: the high watermark went from {} to {}", seen.high_watermark,
                           now.high_watermark);
    }
    seen.high_watermark = now.high_watermark;
    if (now.high_watermark <= now.start) {
        return std::nullopt;
    }
    if (now.high_watermark > model.committed) {
        if (!now.is_leader) {
            return fmt::format("committed prefix: it follows, and says {} where leaders said {}",
                               now.high_watermark, model.committed);
        }
        return commit(index, partition, now.high_watermark, *epochs, now.leader_epoch);
    }
    const auto ours = epochs->epoch_of(now.high_watermark - 1);
    const auto theirs = model.epochs.epoch_of(now.high_watermark - 1);
    if (ours != theirs) {
        return fmt::format("committed prefix: offset {} is of epoch {}, and of epoch {} elsewhere",
                           now.high_watermark - 1, ours.value_or(no_leader_epoch),
                           theirs.value_or(no_leader_epoch));
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::check_leader(std::size_t index, Partition& model,
                                                      Replica& seen,
                                                      const replication::ShardReplicas::View& now,
                                                      const storage::LeaderEpochCache& epochs) {
    if (seen.leads_in == now.leader_epoch) {
        return std::nullopt;
    }
    seen.leads_in = now.leader_epoch;
    const auto [claim, is_new] = model.leaders.try_emplace(now.leader_epoch, index);
    if (claim->second != index) {
        return fmt::format("one leader: nodes {} and {} both lead in epoch {}", claim->second,
                           index, now.leader_epoch);
    }
    // Who learns late that it led in an epoch that is over need not have what came after.
    if (!is_new || now.leader_epoch < model.committed_in || model.committed == Offset{0}) {
        return std::nullopt;
    }
    const auto ours = epochs.epoch_of(model.committed - 1);
    const auto theirs = model.epochs.epoch_of(model.committed - 1);
    if (now.end < model.committed || ours != theirs) {
        return fmt::format(
            "leader completeness: in epoch {} it has {} to {} with {} in epoch {}, but {} is "
            "committed, in epoch {}",
            now.leader_epoch, now.start, now.end, model.committed - 1,
            ours.value_or(no_leader_epoch), model.committed, theirs.value_or(no_leader_epoch));
    }
    return std::nullopt;
}

std::optional<std::string> ClusterWatch::commit(std::size_t index, std::int32_t partition,
                                                Offset to, const storage::LeaderEpochCache& epochs,
                                                LeaderEpoch in) {
    Partition& model = partitions_[static_cast<std::size_t>(partition)];
    if (model.committed > Offset{0} &&
        epochs.epoch_of(model.committed - 1) != model.epochs.epoch_of(model.committed - 1)) {
        return fmt::format("committed prefix: node {} leads past {} with another log", index,
                           model.committed);
    }
    for (Offset at = model.committed; at < to; at = at + 1) {
        if (const auto epoch = epochs.epoch_of(at)) {
            model.epochs.assign(*epoch, at);
        }
    }
    model.committed = to;
    model.committed_in = std::max(model.committed_in, in);
    std::size_t holders = 0;
    for (std::size_t at = 0; at < nodes_.size(); ++at) {
        const auto replica = nodes_[at].replicas.find(partition);
        if (replica == nodes_[at].replicas.end()) {
            continue;
        }
        const auto gone = emptied_disk(at, *nodes_[index].keep);
        const Replica& seen = replica->second;
        const bool had = gone && seen.emptied.count(*gone) > 0 && seen.emptied.at(*gone) >= to;
        holders += had || (options_.synced ? seen.synced_end : seen.end) >= to ? 1U : 0U;
    }
    if (holders < options_.min_insync) {
        return fmt::format("synced before acked: {} is called committed and {} disks have it", to,
                           holders);
    }
    return check_members(partition);
}

bool ClusterWatch::has_replica(std::size_t index, std::int32_t partition,
                               const metadata::Image& image) const {
    const metadata::Topic* topic = image.topics.find(topic_id_);
    const metadata::Partition* state =
        topic == nullptr ? nullptr : topic->partition(PartitionIndex{partition});
    return state != nullptr &&
           state->replicas.contains(BrokerId{static_cast<std::int32_t>(index) + 1});
}

bool ClusterWatch::is_whole() const {
    if (topic_id_.is_zero()) {
        return false;
    }
    for (std::size_t index = 0; index < options_.brokers; ++index) {
        if (!simulation_.node(index).is_running() || !program(index)->is_ready()) {
            return false;
        }
        const app::BrokerView& view = *program(index)->view();
        const metadata::ImagePtr image = view.doors->image->current();
        const bool controls =
            std::find(view.roles.begin(), view.roles.end(), "controller") != view.roles.end();
        const BrokerId id{static_cast<std::int32_t>(index) + 1};
        if (controls && !image->cluster.controllers.contains(id)) {
            return false;
        }
        const metadata::Topic* topic = image->topics.find(topic_id_);
        for (std::int32_t partition = 0; partition < options_.partitions; ++partition) {
            const auto* state =
                topic == nullptr ? nullptr : topic->partition(PartitionIndex{partition});
            if (state == nullptr || state->leader == no_broker || state->is_reassigning() ||
                state->isr.size() != state->replicas.size()) {
                return false;
            }
            const TopicIdPartition id{topic_id_, PartitionIndex{partition}};
            const auto& shard = view.doors->replicas->here(view.doors->replicas->shard_of(id));
            const auto now = shard.view(id);
            if (!has_replica(index, partition, *image)) {
                if (now) {
                    return false;  // a replica that nobody wants any more
                }
                continue;
            }
            if (!now || now->end != committed(partition) || now->high_watermark != now->end) {
                return false;
            }
        }
    }
    return true;
}

bool ClusterWatch::was_emptied_unformed() const {
    const bool any_emptied =
        std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.wipes > 0; });
    return any_emptied && (newest_ == nullptr || newest_->provenance.end == Offset{0});
}

bool ClusterWatch::lost_an_only_member() const {
    const bool any_emptied =
        std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.wipes > 0; });
    const metadata::Topic* topic =
        newest_ == nullptr ? nullptr : newest_->topics.find(options_.topic);
    if (!any_emptied || topic == nullptr) {
        return false;
    }
    return std::any_of(topic->partitions.begin(), topic->partitions.end(), [&](const auto& entry) {
        const metadata::Partition& partition = *entry.value;
        return partition.leader == no_broker && partition.isr.empty() && partition.elr.empty() &&
               partitions_[static_cast<std::size_t>(entry.key.value)].committed == Offset{0};
    });
}

std::string ClusterWatch::state() const {
    std::string text;
    for (std::size_t index = 0; index < options_.brokers; ++index) {
        text += fmt::format("| node {}: ", index);
        if (!simulation_.node(index).is_running()) {
            text += "not running ";
            continue;
        }
        const app::BrokerView* view = program(index)->view();
        if (view == nullptr) {
            text += "could not start ";
            continue;
        }
        text += fmt::format("{}quorum {}@{} ", program(index)->is_ready() ? "" : "not ready ",
                            view->quorum->leadership().leader, view->quorum->leadership().epoch);
        const metadata::ImagePtr image = view->doors->image->current();
        text += fmt::format("image {}: {}", image->provenance.end, digest(*image));
        for (std::int32_t partition = 0; partition < options_.partitions; ++partition) {
            const TopicIdPartition id{topic_id_, PartitionIndex{partition}};
            const auto& shard = view->doors->replicas->here(view->doors->replicas->shard_of(id));
            if (const auto now = shard.view(id)) {
                text += fmt::format("log {}: {}..{} synced {} high watermark {}{} ", partition,
                                    now->start, now->end, now->synced_end, now->high_watermark,
                                    now->failure ? " FAILED" : "");
            }
        }
    }
    return text;
}

}  // namespace millrace::simtest
