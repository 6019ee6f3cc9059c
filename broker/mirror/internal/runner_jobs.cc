// What the shards of this broker do for a link, made anew at each change.
#include <algorithm>
#include <set>
#include <utility>

#include "base/mutants.h"
#include "mirror/internal/runner.h"

namespace millrace::mirror {
namespace {

constexpr std::size_t default_connections = 4;

/// Brokers that lead a partition which the link writes.
std::int64_t leaders_of_link(const metadata::Image& image, const std::string& link) {
    std::set<BrokerId> leaders;
    for (const LocalTopic& local : topics_of_link(image, link)) {
        if (local.note.stage == Stage::archived) {
            continue;
        }
        for (const auto& entry : image.topics.find(local.id)->partitions) {
            leaders.insert(entry.value->leader);
        }
    }
    leaders.erase(no_broker);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(leaders.size()));
}

}  // namespace

std::vector<PullJob> Runner::jobs(const metadata::Image& image) const {
    std::vector<PullJob> all;
    for (const LocalTopic& local : topics_of_link(image, link_.id)) {
        add_jobs(all, local, image);
    }
    return all;
}

void Runner::add_jobs(std::vector<PullJob>& all, const LocalTopic& local,
                      const metadata::Image& image) const {
    const Stage stage = local.note.stage;
    const bool seal = stage == Stage::promoted;
    const bool archive = stage == Stage::archiving;
    const bool follows = stage == Stage::mirroring || stage == Stage::promoting || archive ||
                         (stage == Stage::paused && MR_PLANTED(paused_links_pull));
    const auto source_name = link_.spec.source_name(local.name);
    // A promotion does not wait for a link that failed.
    if (!source_name || !(seal || (follows && phase_ != LinkPhase::failed))) {
        return;
    }
    PullJob job;
    job.topic = local.name;
    job.source_topic = *source_name;
    job.source_topic_id = local.source_topic;
    job.policy = {Offset{0}, link_.spec.on_gap, link_.spec.on_divergence,
                  link_.spec.truncate_open_transactions, local.is_shared};
    job.read_up_to = archive ? ReadUpTo::high_watermark : link_.spec.read_up_to;
    job.seal = seal;
    job.from_own = archive;
    job.is_compacted = is_compacted(local.settings);
    for (const auto& entry : image.topics.find(local.id)->partitions) {
        const metadata::Partition& partition = *entry.value;
        if (partition.leader != shell_.options.self || (seal && local.sealed.contains(entry.key))) {
            continue;
        }
        job.id = {local.id, entry.key};
        const auto begin = local.begins.find(entry.key);
        job.policy.begin = begin == local.begins.end() ? Offset{0} : begin->second;
        job.leader_epoch = partition.leader_epoch;
        job.source_leader = no_broker;
        if (archive) {
            aim_at_archived(job, local, image);
        } else if (!seal) {
            aim_at_source(job, local, *source_name);
        }
        all.push_back(job);
    }
}

void Runner::aim_at_source(PullJob& job, const LocalTopic& local,
                           const std::string& source_name) const {
    if (!info_) {
        return;
    }
    const auto found = info_->topics.find(source_name);
    // Another incarnation is another topic: never appended to this one.
    if (found == info_->topics.end() ||
        (!found->second.id.is_zero() && found->second.id != local.source_topic)) {
        return;
    }
    const std::vector<client::PartitionInfo>& partitions = found->second.partitions;
    const auto there = std::find_if(
        partitions.begin(), partitions.end(),
        [&](const client::PartitionInfo& one) { return one.index == job.id.partition; });
    const auto address =
        there == partitions.end() ? info_->brokers.end() : info_->brokers.find(there->leader);
    if (address != info_->brokers.end()) {
        job.source_leader = there->leader;
        job.source_address = address->second;
        job.source_epoch = there->epoch;
    }
}

void Runner::aim_at_archived(PullJob& job, const LocalTopic& archive,
                             const metadata::Image& image) const {
    const metadata::Topic* of = image.topics.find(archive.source_topic);
    const client::ClusterInfoPtr own = shell_.own_client->info();
    if (of == nullptr || !own) {
        return;
    }
    const metadata::Partition* there = of->partition(job.id.partition);
    const auto address = there == nullptr ? own->brokers.end() : own->brokers.find(there->leader);
    if (address != own->brokers.end()) {
        job.source_topic = of->name;
        job.source_leader = there->leader;
        job.source_address = address->second;
        job.source_epoch = there->leader_epoch;
    }
}

void Runner::hand_out_jobs() {
    if (!give_jobs()) {
        // Whoever doesn't own the link has asked our own brokers nothing yet.
        shell_.own_client->refresh([weak = weak_from_this()](const auto& info) {
            if (auto self = weak.lock(); self && info) {
                self->give_jobs();  // Who still isn't found is looked for at the next round.
            }
        });
    }
}

bool Runner::give_jobs() {
    const metadata::ImagePtr image = shell_.image->current();
    const std::size_t shards = shell_.replicas->size();
    std::vector<Puller::Link> links(shards);
    bool all_aimed = true;
    for (PullJob& job : jobs(*image)) {
        all_aimed = all_aimed && !(job.from_own && job.source_leader == no_broker);
        const std::size_t shard = shell_.replicas->shard_of(job.id);
        links[shard].jobs.push_back(std::move(job));
    }
    // The limit is the whole link's: each shard that pulls, here and on other brokers, has a share.
    const std::int64_t here = std::count_if(links.begin(), links.end(),
                                            [](const auto& one) { return !one.jobs.empty(); });
    const std::int64_t pulling =
        std::max<std::int64_t>(1, here) * leaders_of_link(*image, link_.id);
    const std::int64_t limit = link_.spec.bytes_per_second;
    for (std::size_t i = 0; i < shards; ++i) {
        if (source_) {
            links[i].connection = source_->connection_options({});
        }
        links[i].source_generation = source_generation_;
        links[i].own_connection = shell_.own_client->connection_options({});
        links[i].bytes_per_second = limit > 0 ? std::max<std::int64_t>(1, limit / pulling) : 0;
        links[i].connections_per_broker =
            link_.spec.connections_per_broker > 0
                ? static_cast<std::size_t>(link_.spec.connections_per_broker)
                : default_connections;
        shell_.pull(i, link_.id, std::move(links[i]));
    }
    return all_aimed;
}

}  // namespace millrace::mirror
