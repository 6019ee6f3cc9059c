// Fetch: what can be read now, or, when that is less than the reader wants, a watch on the
// partitions and another look when it wakes or the wait is over. Stored bytes are not touched: the
// answer carries file ranges.

#include <algorithm>
#include <memory>
#include <vector>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace millrace::handlers {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::Records;
using FetchCall = Call<FetchRequest, FetchResponse>;

constexpr std::int16_t first_version_with_leader = 12;
constexpr std::int16_t first_version_with_ids = 13;
constexpr std::int16_t first_version_with_replica_state = 15;
constexpr std::int16_t first_version_with_endpoints = 16;
/// What one answer may hold whatever the reader asks for.
constexpr std::int32_t max_answer_bytes = 256 << 20;
/// A tagged field of ours on FetchPartition: how far a follower has synced. Kafka ignores it.
constexpr std::uint32_t synced_end_tag = 10'000;

struct Slot {
    std::int32_t partition = 0;
    replication::FetchResult result;
};

struct TopicSlots {
    std::string name;
    Uuid id;
    std::vector<Slot> slots;
};

/// The positions that one shard answers, and where the answers go.
struct ShardPart {
    std::size_t shard = 0;
    std::vector<replication::FetchPosition> positions;
    std::vector<Slot*> slots;
    replication::WatchId watch;
};

class FetchOperation : public std::enable_shared_from_this<FetchOperation> {
public:
    FetchOperation(const Doors& doors, FetchCall call) : doors_(doors), call_(std::move(call)) {
        const FetchRequest& request = call_.request();
        const std::int32_t replica = call_.version() >= first_version_with_replica_state
                                         ? request.replica_state.replica_id
                                         : request.replica_id;
        if (replica >= 0) {
            reader_.level = replication::ReadLevel::replica;
            reader_.replica = BrokerId{replica};
            reader_.replica_epoch = BrokerEpoch{request.replica_state.replica_epoch};
        } else if (request.isolation_level == 1) {
            reader_.level = replication::ReadLevel::committed;
        }
        const std::int32_t most = replica >= 0 ? max_answer_bytes
                                               : doors_.topics->current()->config().broker().get(
                                                     config::broker_option::fetch_max_bytes);
        budget_ = static_cast<std::size_t>(std::clamp(request.max_bytes, 0, most));
        min_bytes_ = std::min(request.min_bytes, request.max_bytes);
        max_wait_ = std::chrono::milliseconds{std::max(0, request.max_wait_ms)};
    }

    void start() {
        deadline_ = call_.home().clock().now() + max_wait_;
        resolve();
        look();
    }

private:
    void resolve() {
        const FetchRequest& request = call_.request();
        const metadata::ImagePtr image = doors_.image->current();
        const bool by_id = call_.version() >= first_version_with_ids;
        topics_.resize(request.topics.size());
        std::vector<ShardPart> parts(doors_.replicas->size());
        for (std::size_t t = 0; t < request.topics.size(); ++t) {
            const auto& asked = request.topics[t];
            TopicSlots& to = topics_[t];
            to.name = std::string(asked.topic);
            to.id = asked.topic_id;
            to.slots.resize(asked.partitions.size());
            const metadata::Topic* topic =
                by_id ? image->topics.find(asked.topic_id) : image->topics.find(asked.topic);
            for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
                Slot& slot = to.slots[p];
                slot.partition = asked.partitions[p].partition;
                const metadata::Partition* partition =
                    topic == nullptr ? nullptr : topic->partition(PartitionIndex{slot.partition});
                if (partition == nullptr) {
                    slot.result.error = topic == nullptr && by_id
                                            ? KafkaError::unknown_topic_id
                                            : KafkaError::unknown_topic_or_partition;
                    settled_ = true;
                    continue;
                }
                if (partition->leader != doors_.self) {
                    slot.result.error = KafkaError::not_leader_or_follower;
                    slot.result.leader = partition->leader;
                    slot.result.leader_epoch = partition->leader_epoch;
                    settled_ = true;
                    continue;
                }
                add(parts, topic->id, asked.partitions[p], slot);
            }
        }
        for (std::size_t shard = 0; shard < parts.size(); ++shard) {
            if (!parts[shard].positions.empty()) {
                parts[shard].shard = shard;
                parts_.push_back(std::move(parts[shard]));
            }
        }
    }

    void add(std::vector<ShardPart>& parts, const Uuid& topic,
             const FetchRequest::FetchPartition& asked, Slot& slot) {
        replication::FetchPosition position;
        position.id = {topic, PartitionIndex{asked.partition}};
        position.from = Offset{asked.fetch_offset};
        position.current_epoch = LeaderEpoch{asked.current_leader_epoch};
        position.last_fetched_epoch = LeaderEpoch{asked.last_fetched_epoch};
        position.max_bytes = asked.partition_max_bytes;
        position.reader_log_start = Offset{asked.log_start_offset};
        for (const protocol::UnknownTag& tag : asked.unknown_tags) {
            if (tag.tag == synced_end_tag && tag.data.size() == sizeof(std::int64_t)) {
                position.reader_synced_end = Offset{load_big_endian<std::int64_t>(tag.data.data())};
            }
        }
        ShardPart& part = parts[doors_.replicas->shard_of(position.id)];
        part.positions.push_back(std::move(position));
        part.slots.push_back(&slot);
    }

    /// Reads what there is; answers, or waits for more.
    void look() {
        auto gather = Gather::of(parts_.size() + 1, [self = shared_from_this()] { self->judge(); });
        runtime::Executor& home = call_.home();
        for (ShardPart& part : parts_) {
            doors_.replicas->on_shard(part.shard, [self = shared_from_this(), &part, gather,
                                                   &home](replication::ShardReplicas& shard) {
                auto results = std::make_shared<std::vector<replication::FetchResult>>(
                    shard.fetch(part.positions, self->reader_, self->budget_));
                run_on(home, [self, &part, gather, results] {
                    for (std::size_t i = 0; i < results->size(); ++i) {
                        part.slots[i]->result = std::move((*results)[i]);
                    }
                    gather->arrive();
                });
            });
        }
        gather->arrive();
    }

    void judge() {
        std::int64_t bytes = 0;
        bool urgent = settled_ || parts_.empty();
        for (const TopicSlots& topic : topics_) {
            for (const Slot& slot : topic.slots) {
                bytes += static_cast<std::int64_t>(slot.result.slice.length);
                urgent = urgent || slot.result.error != KafkaError::none || slot.result.diverging;
            }
        }
        const Duration left = deadline_ - call_.home().clock().now();
        if (urgent || bytes >= min_bytes_ || left <= Duration{0}) {
            answer();
        } else {
            wait(left);
        }
    }

    void wait(Duration left) {
        const std::uint64_t round = ++round_;
        runtime::Executor& home = call_.home();
        timer_ = home.after(left, [self = shared_from_this(), round] { self->wake(round); });
        for (ShardPart& part : parts_) {
            doors_.replicas->on_shard(part.shard, [self = shared_from_this(), &part, round,
                                                   &home](replication::ShardReplicas& shard) {
                part.watch = shard.watch(
                    part.positions, self->reader_, self->min_bytes_,
                    [self, round, &home] { run_on(home, [self, round] { self->wake(round); }); });
            });
        }
    }

    void wake(std::uint64_t round) {
        if (round != round_) {
            return;  // of an earlier wait
        }
        ++round_;
        call_.home().cancel(timer_);
        for (ShardPart& part : parts_) {
            doors_.replicas->on_shard(
                part.shard, [self = shared_from_this(), &part](replication::ShardReplicas& shard) {
                    shard.unwatch(part.watch);
                });
        }
        look();
    }

    void answer() {
        FetchResponse response;
        std::vector<net::FileRange> files;
        const bool uncut = reader_.level == replication::ReadLevel::committed;
        response.responses.reserve(topics_.size());
        std::size_t total = 0;
        for (TopicSlots& topic : topics_) {
            auto& to = response.responses.emplace_back();
            to.topic = topic.name;
            to.topic_id = topic.id;
            to.partitions.reserve(topic.slots.size());
            for (Slot& slot : topic.slots) {
                replication::FetchResult& from = slot.result;
                auto& data = to.partitions.emplace_back();
                data.partition_index = slot.partition;
                data.error_code = code_of(from.error);
                data.high_watermark = from.high_watermark.value;
                data.last_stable_offset = from.last_stable.value;
                data.log_start_offset = from.log_start.value;
                if (from.diverging) {
                    data.diverging_epoch = {.epoch = from.diverging->epoch.value,
                                            .end_offset = from.diverging->end.value};
                }
                if (is_leadership(from.error) && call_.version() >= first_version_with_leader) {
                    data.current_leader = {.leader_id = from.leader.value,
                                           .leader_epoch = from.leader_epoch.value};
                    add_endpoint(response, from.leader);
                }
                data.aborted_transactions.reset();
                if (uncut) {
                    auto& aborted = data.aborted_transactions.emplace();
                    for (const storage::AbortedTransaction& one : from.aborted) {
                        aborted.push_back({.producer_id = one.producer.value,
                                           .first_offset = one.first_offset.value});
                    }
                }
                data.records = Records{};
                // Several shards read with the whole budget each: together they may not exceed it.
                if (from.slice.length > 0 && (total == 0 || total + from.slice.length <= budget_)) {
                    total += from.slice.length;
                    data.records = Records::in_file(static_cast<std::uint32_t>(files.size()),
                                                    from.slice.length);
                    files.push_back(
                        {std::move(from.slice.file), from.slice.position, from.slice.length});
                }
            }
        }
        call_.answer(response, std::move(files));
    }

    static bool is_leadership(KafkaError error) {
        return error == KafkaError::not_leader_or_follower ||
               error == KafkaError::fenced_leader_epoch;
    }

    void add_endpoint(FetchResponse& response, BrokerId leader) {
        if (call_.version() < first_version_with_endpoints || leader == no_broker) {
            return;
        }
        for (const auto& known : response.node_endpoints) {
            if (known.node_id == leader.value) {
                return;
            }
        }
        endpoints_image_ = doors_.image->current();
        const metadata::Broker* broker = endpoints_image_->cluster.broker(leader);
        const metadata::Endpoint* endpoint =
            broker == nullptr ? nullptr : broker->endpoint(call_.meta().listener);
        if (endpoint == nullptr) {
            return;
        }
        auto& node = response.node_endpoints.emplace_back();
        node.node_id = leader.value;
        node.host = endpoint->host;
        node.port = endpoint->port;
        if (broker->rack) {
            node.rack = *broker->rack;
        }
    }

    const Doors& doors_;
    FetchCall call_;
    replication::Reader reader_;
    std::size_t budget_ = 0;
    std::int64_t min_bytes_ = 0;
    Duration max_wait_{};
    Instant deadline_{};
    bool settled_ = false;  ///< Something needs no waiting: the answer is due now.
    std::vector<TopicSlots> topics_;
    std::vector<ShardPart> parts_;
    runtime::TimerId timer_;
    std::uint64_t round_ = 0;
    metadata::ImagePtr endpoints_image_;  ///< Keeps the texts of node endpoints alive.
};

}  // namespace

void fetch(const Doors& doors, FetchCall call) {
    if (call.request().session_id != 0) {
        // No session is kept: the reader starts over with a full request.
        FetchResponse response;
        response.error_code = code_of(KafkaError::fetch_session_id_not_found);
        call.answer(response);
        return;
    }
    std::make_shared<FetchOperation>(doors, std::move(call))->start();
}

}  // namespace millrace::handlers
