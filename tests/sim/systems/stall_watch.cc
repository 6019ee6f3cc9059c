#include "tests/sim/systems/stall_watch.h"

#include <algorithm>
#include <utility>

namespace millrace::simtest {

namespace {

namespace sim = runtime::sim;

constexpr Duration look_every = 100ms;

Duration tolerance_of(const sim::Ambient& ambient) {
    const Duration path = (ambient.latency + 5 * ambient.jitter) * ambient.uneven_links;
    return 20 * (ambient.device_time + ambient.timer_lateness + ambient.post_delay) + 10 * path +
           200 * ambient.disk_call;
}

/// A world so slow that a follower may lag without standing still.
bool is_slow(const sim::Ambient& ambient) {
    constexpr std::int64_t bytes_a_second = 200'000;
    const Duration path = (ambient.latency + ambient.jitter) * ambient.uneven_links;
    return ambient.device_time > 100ms ||
           Duration{1s} / std::max(2 * path, Duration{1}) * ambient.window_bytes < bytes_a_second;
}

bool is_of_two(sim::FaultKind kind) {
    return kind >= sim::FaultKind::partition && kind <= sim::FaultKind::half_open &&
           kind != sim::FaultKind::isolate;
}

/// One end is gone and the other has not heard of it.
bool leaves_dead_connections(sim::FaultKind kind) {
    return kind == sim::FaultKind::half_open || kind == sim::FaultKind::power_cut ||
           kind == sim::FaultKind::power_cut_in_write || kind == sim::FaultKind::blackout;
}

/// Nothing can be appended or synced, maybe; asking goes on.
bool is_shortage(sim::FaultKind kind) {
    return kind == sim::FaultKind::disk_full || kind == sim::FaultKind::open_error;
}

std::uint64_t failures_of(const sim::FaultCounts& counts, bool out_of_files) {
    std::uint64_t sum =
        counts.of(sim::FaultKind::connect_failure) + counts.of(sim::FaultKind::ghost_connection);
    for (const auto& kinds : {sim::disk_faults(), sim::silent_disk_faults()}) {
        for (const sim::FaultKind kind : kinds) {
            const bool is_told = kind == sim::FaultKind::open_error && !out_of_files;
            sum += is_shortage(kind) && !is_told ? 0 : counts.of(kind);
        }
    }
    return sum;
}

/// A loop waits for a slow disk, maybe long after that was mended: a turn makes many calls.
bool stands_still(sim::SimNode& machine, Instant now) {
    for (std::size_t i = 0; i < machine.data_shards(); ++i) {
        const auto& loop = static_cast<const sim::SimExecutor&>(*machine.data_shard(i).executor);
        if (loop.busy_until() > now + 1s) {
            return true;
        }
    }
    return false;
}

BrokerId id_of(std::size_t index) {
    return BrokerId{static_cast<std::int32_t>(index) + 1};
}

}  // namespace

StallWatch::StallWatch(Options options, sim::Simulation& simulation)
    : options_(std::move(options)),
      tolerance_(tolerance_of(options_.plan.ambient)),
      is_slow_(is_slow(options_.plan.ambient)),
      simulation_(simulation),
      nodes_(options_.brokers) {
    faults_ = options_.plan.faults;
    faults_.insert(faults_.end(), options_.out_of_files.begin(), options_.out_of_files.end());
    for (const auto& [topic, partitions] : options_.topics) {
        for (std::int32_t partition = 0; partition < partitions; ++partition) {
            places_.emplace_back(topic, partition);
        }
    }
}

BrokerProgram* StallWatch::program(std::size_t node) const {
    return static_cast<BrokerProgram*>(simulation_.node(node).program());
}

void StallWatch::healed() {
    healed_ = simulation_.now();
}

std::optional<std::string> StallWatch::check() {
    const Instant now = simulation_.now();
    if (now < next_look_) {
        return std::nullopt;
    }
    next_look_ = now + look_every;
    const std::uint64_t failures =
        failures_of(simulation_.counts(), !options_.out_of_files.empty());
    if (std::exchange(failures_, failures) != failures) {
        last_failure_ = now;
    }
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        look_at(index);
    }
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        for (const Place& place : places_) {
            if (auto broken = check_heard(index, place)) {
                return broken;
            }
        }
    }
    if (auto broken = check_members()) {
        return broken;
    }
    if (is_slow_ && !healed_) {
        return std::nullopt;
    }
    const Duration waited = std::min(options_.longest_wait(), now - disturbed());
    if (waited > 2 * options_.lag_max + tolerance_) {
        return fmt::format("a producer has waited for {} ms of a healthy world",
                           to_milliseconds(waited));
    }
    return std::nullopt;
}

void StallWatch::look_at(std::size_t index) {
    sim::SimNode& machine = simulation_.node(index);
    Node& node = nodes_[index];
    const Instant now = simulation_.now();
    if (node.life != machine.life() || !machine.is_running()) {
        node.roles.clear();
        node.life = machine.life();
        node.well_since = now;
    }
    if (std::exchange(node.boot, machine.boot()) != machine.boot()) {
        node.booted = now;
    }
    if (!machine.is_running() || !program(index)->is_ready() || machine.is_paused() ||
        stands_still(machine, now)) {
        node.well_since = now;
        return;
    }
    const app::BrokerView& view = *program(index)->view();
    for (const Place& place : places_) {
        look_at_partition(index, view, place);
    }
}

void StallWatch::look_at_partition(std::size_t index, const app::BrokerView& view,
                                   const Place& place) {
    const Instant now = simulation_.now();
    Role& role = nodes_[index].roles[place];
    const metadata::ImagePtr image = view.doors->image->current();
    const metadata::Topic* topic = image->topics.find(place.first);
    const TopicIdPartition id{topic == nullptr ? Uuid{} : topic->id, PartitionIndex{place.second}};
    const replication::ShardReplicas& shard =
        view.doors->replicas->here(view.doors->replicas->shard_of(id));
    const auto seen = shard.view(id);
    if (!seen || seen->failure || shard.epochs(id) == nullptr) {
        role = {.since = now};
        return;
    }
    if (role.leader != seen->leader || role.epoch != seen->leader_epoch) {
        role = {.leader = seen->leader, .epoch = seen->leader_epoch, .since = now};
    }
    const auto* followers = seen->is_leader ? shard.followers(id) : nullptr;
    if (followers == nullptr) {
        role.heard.clear();
        return;
    }
    std::erase_if(role.heard, [&](const auto& entry) { return !followers->contains(entry.first); });
    for (const auto& [replica, follower] : *followers) {
        auto [at, is_new] = role.heard.try_emplace(replica, follower.last_fetch_at, now);
        if (std::exchange(at->second.first, follower.last_fetch_at) != follower.last_fetch_at) {
            at->second.second = now;
        }
    }
}

template <typename Touches>
Instant StallWatch::last_fault(const Touches& touches) const {
    const Instant now = simulation_.now();
    Instant last;
    for (const sim::Fault& fault : faults_) {
        const Instant at = Instant{} + fault.at;
        if (at > healed_.value_or(now) || !touches(fault)) {
            continue;
        }
        Instant end = std::min(at + fault.lasts, healed_.value_or(at + fault.lasts));
        if (leaves_dead_connections(fault.kind)) {
            end = end + options_.answer_timeout;
        } else if (fault.kind == sim::FaultKind::disk_slow) {
            // Calls that began in time; a loop does several in one turn.
            end = end + 10 * std::chrono::microseconds{fault.value};
        }
        last = std::max(last, std::min(end, now));
    }
    return last;
}

Instant StallWatch::disturbed(std::size_t leader, std::size_t follower) const {
    const Instant fault = last_fault([&](const sim::Fault& fault) {
        const std::size_t node = fault.node % simulation_.nodes();
        const std::size_t other = fault.other % simulation_.nodes();
        const auto is_one = [&](std::size_t index) { return index == leader || index == follower; };
        if (is_shortage(fault.kind)) {
            return false;
        }
        return fault.kind == sim::FaultKind::blackout ||
               (is_of_two(fault.kind) ? is_one(node) && is_one(other) : is_one(node));
    });
    return std::max({fault, last_failure_, healed_.value_or(Instant{})});
}

Instant StallWatch::disturbed() const {
    Instant last = std::max({last_fault([](const sim::Fault&) { return true; }), last_failure_,
                             healed_.value_or(Instant{})});
    for (const Node& node : nodes_) {
        last = std::max(last, node.well_since);
    }
    return last;
}

/// Both live and are what the other one's metadata says.
bool StallWatch::know_each_other(std::size_t leader, std::size_t follower) const {
    const auto here = program(leader)->view()->doors->image->current();
    const auto there = program(follower)->view()->doors->image->current();
    for (const std::size_t index : {leader, follower}) {
        const metadata::Broker* a = here->cluster.broker(id_of(index));
        const metadata::Broker* b = there->cluster.broker(id_of(index));
        if (a == nullptr || b == nullptr || a->epoch != b->epoch || !a->is_active() ||
            !b->is_active()) {
            return false;
        }
    }
    return true;
}

/// It asks, and what it says of its log does not count: it can't cut it for want of a file.
bool StallWatch::diverges(std::size_t leader, std::size_t follower, const Place& place) const {
    const auto log_of = [&](std::size_t index) {
        const handlers::Doors& doors = *program(index)->view()->doors;
        const metadata::Topic* topic = doors.image->current()->topics.find(place.first);
        const TopicIdPartition id{topic == nullptr ? Uuid{} : topic->id,
                                  PartitionIndex{place.second}};
        const auto& shard = doors.replicas->here(doors.replicas->shard_of(id));
        return std::pair{shard.view(id), shard.epochs(id)};
    };
    const auto [theirs, their_epochs] = log_of(leader);
    const auto [ours, our_epochs] = log_of(follower);
    return !theirs || !ours || ours->end > theirs->end ||
           their_epochs->epoch_of(ours->end - 1) != our_epochs->epoch_of(ours->end - 1);
}

std::optional<std::string> StallWatch::check_heard(std::size_t leader, const Place& place) {
    const Instant now = simulation_.now();
    const auto leads = nodes_[leader].roles.find(place);
    if (leads == nodes_[leader].roles.end() || leads->second.leader != id_of(leader)) {
        return std::nullopt;
    }
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        Node& node = nodes_[index];
        const auto follows = node.roles.find(place);
        const auto heard = leads->second.heard.find(id_of(index));
        if (index == leader || follows == node.roles.end() || heard == leads->second.heard.end() ||
            follows->second.leader != id_of(leader) ||
            follows->second.epoch != leads->second.epoch) {
            continue;
        }
        const Instant well =
            std::max({nodes_[leader].well_since, node.well_since, disturbed(leader, index),
                      leads->second.since, follows->second.since, follows->second.diverged,
                      heard->second.second, nodes_[leader].booted + options_.answer_timeout});
        if (now - well <= options_.lag_max + tolerance_ || !know_each_other(leader, index)) {
            continue;
        }
        if (diverges(leader, index, place)) {
            follows->second.diverged = now;
        } else {
            return fmt::format(
                "node {} follows node {} in {}-{}, both are well, and it has not asked for {} ms",
                index, leader, place.first, place.second,
                to_milliseconds(now - heard->second.second));
        }
    }
    return std::nullopt;
}

std::int64_t StallWatch::heard_ago(const Place& place, BrokerId leader, BrokerId replica) const {
    const auto& roles = nodes_[static_cast<std::size_t>(leader.value) - 1].roles;
    const auto role = roles.find(place);
    if (role == roles.end() || !role->second.heard.contains(replica)) {
        return -1;
    }
    return to_milliseconds(simulation_.now() - role->second.heard.at(replica).second);
}

std::optional<std::string> StallWatch::check_members() {
    const metadata::ImagePtr before = newest_;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        if (simulation_.node(index).is_running() && program(index)->view() != nullptr) {
            const auto image = program(index)->view()->doors->image->current();
            if (newest_ == nullptr || image->provenance.end > newest_->provenance.end) {
                newest_ = image;
            }
        }
    }
    if (before == nullptr || before == newest_ || (is_slow_ && !healed_) ||
        simulation_.now() - disturbed() < 2 * options_.lag_max + tolerance_) {
        return std::nullopt;
    }
    for (const auto& [topic, partition] : places_) {
        const metadata::Topic* was = before->topics.find(topic);
        const metadata::Topic* is = newest_->topics.find(topic);
        const metadata::Partition* old =
            was == nullptr ? nullptr : was->partition(PartitionIndex{partition});
        const metadata::Partition* now =
            is == nullptr ? nullptr : is->partition(PartitionIndex{partition});
        if (old == nullptr || now == nullptr) {
            continue;
        }
        for (const BrokerId member : old->isr) {
            const metadata::Broker* broker = newest_->cluster.broker(member);
            if (now->replicas.contains(member) && !now->isr.contains(member) && broker != nullptr &&
                broker->is_active()) {
                return fmt::format(
                    "broker {} left the ISR of {}-{} in a healthy world; its leader heard it {} "
                    "ms ago",
                    member, topic, partition, heard_ago({topic, partition}, now->leader, member));
            }
        }
    }
    return std::nullopt;
}

}  // namespace millrace::simtest
