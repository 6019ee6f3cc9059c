// Fetch: what can be read now, or, when that is less than the reader wants, a watch on the
// partitions and another look when it wakes or the wait is over. Stored bytes are not touched: the
// answer carries file ranges.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "handlers/fetch_session.h"
#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "handlers/request_meter.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace millrace::handlers {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::Records;
using FetchCall = Call<FetchRequest, FetchResponse>;

/// From here on clients know KAFKA_STORAGE_ERROR, and that it passes.
constexpr std::int16_t first_fetch_with_storage_error = 6;
constexpr std::int16_t first_version_with_rack = 11;
constexpr std::int16_t first_fetch_with_leader = 16;
constexpr std::int16_t first_fetch_with_ids = 13;
constexpr std::int16_t first_version_with_replica_state = 15;
constexpr std::int16_t first_version_with_endpoints = 16;
/// What one answer may hold for a follower, whatever it asks; clients have fetch.max.bytes.
constexpr std::int32_t max_answer_bytes = 256 << 20;
/// So often a fetch that waits looks whether somebody still waits for it.
constexpr Duration longest_look = 5s;
/// A tagged field of ours on FetchPartition: how far a follower has synced. Kafka ignores it.
constexpr std::uint32_t synced_end_tag = 10'000;

FetchAsk to_ask(const FetchRequest::FetchTopic& topic, const FetchRequest::FetchPartition& asked) {
    FetchAsk ask;
    ask.topic = std::string(topic.topic);
    ask.topic_id = topic.topic_id;
    ask.partition = asked.partition;
    ask.from = Offset{asked.fetch_offset};
    ask.current_epoch = std::max(LeaderEpoch{asked.current_leader_epoch}, no_leader_epoch);
    ask.last_fetched_epoch = LeaderEpoch{asked.last_fetched_epoch};
    ask.max_bytes = asked.partition_max_bytes;
    ask.reader_log_start = Offset{asked.log_start_offset};
    for (const protocol::UnknownTag& tag : asked.unknown_tags) {
        if (tag.tag == synced_end_tag && tag.data.size() == sizeof(std::int64_t)) {
            ask.reader_synced_end = Offset{load_big_endian<std::int64_t>(tag.data.data())};
        }
    }
    return ask;
}

FetchSessions::Request to_session_request(const FetchCall& call, const metadata::Image& image) {
    const FetchRequest& request = call.request();
    FetchSessions::Request to;
    to.session_id = request.session_id;
    to.session_epoch = request.session_epoch;
    to.by_id = call.version() >= first_fetch_with_ids;
    for (const auto& topic : request.topics) {
        const metadata::Topic* known = to.by_id ? image.topics.find(topic.topic_id) : nullptr;
        for (const auto& partition : topic.partitions) {
            FetchAsk& ask = to.asks.emplace_back(to_ask(topic, partition));
            if (known != nullptr) {
                ask.topic = known->name;
            }
        }
    }
    for (const auto& topic : request.forgotten_topics_data) {
        for (const std::int32_t partition : topic.partitions) {
            FetchAsk& gone = to.forgotten.emplace_back();
            gone.topic = std::string(topic.topic);
            gone.topic_id = topic.topic_id;
            gone.partition = partition;
        }
    }
    return to;
}

/// -1: a client asks.
std::int32_t replica_of(const FetchCall& call) {
    return call.version() >= first_version_with_replica_state
               ? call.request().replica_state.replica_id
               : call.request().replica_id;
}

struct Slot {
    FetchAsk ask;
    replication::FetchResult result;
    bool is_unknown = false;  ///< No such partition, as far as this broker knows.
    bool is_told = true;      ///< In the answer: not where a session has nothing new to say.
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
    static constexpr std::size_t bytes_a_partition = sizeof(FetchAsk) + sizeof(Slot) +
                                                     sizeof(replication::FetchPosition) +
                                                     sizeof(FetchResponse::PartitionData);

    FetchOperation(const Doors& doors, FetchCall call, FetchPlan plan)
        : doors_(doors), call_(std::move(call)), session_(std::move(plan.session)) {
        const FetchRequest& request = call_.request();
        const std::int32_t replica = replica_of(call_);
        if (replica >= 0) {
            reader_.level = replication::ReadLevel::replica;
            reader_.replica = BrokerId{replica};
            reader_.replica_epoch = BrokerEpoch{request.replica_state.replica_epoch};
        } else {
            reader_.level = request.isolation_level == 1 ? replication::ReadLevel::committed
                                                         : replication::ReadLevel::uncommitted;
            reader_.at_followers = call_.version() >= first_version_with_rack;
            if (doors.fetch_by_rack && reader_.at_followers) {
                rack_ = request.rack_id;
            }
        }
        const std::int32_t limit = std::clamp(
            request.max_bytes, 0, replica >= 0 ? max_answer_bytes : doors.fetch_max_bytes);
        budget_ = static_cast<std::size_t>(limit);
        if (replica >= 0) {
            call_.exempt_from_quotas();
        } else if (call_.meta().quota) {
            meter_ = call_.meta().quota->meter(quotas::Kind::fetch);
        }
        if (meter_ != nullptr) {
            // No more at once than one window holds.
            const double most = meter_->bound() * to_seconds(doors.quotas->window().least());
            budget_ = std::min(budget_, static_cast<std::size_t>(std::clamp(most, 1.0, 1e12)));
        }
        min_bytes_ = std::min(request.min_bytes, static_cast<std::int32_t>(budget_));
        max_wait_ = std::chrono::milliseconds{std::max(0, request.max_wait_ms)};
        wants_session_ = plan.wants_session;
        slots_.reserve(plan.asks.size());
        for (FetchAsk& ask : plan.asks) {
            slots_.emplace_back().ask = std::move(ask);
        }
    }

    void start() {
        deadline_ = call_.home().clock().now() + max_wait_;
        resolve();
        look();
    }

private:
    void resolve() {
        const metadata::ImagePtr image = doors_.image->current();
        std::vector<ShardPart> parts(doors_.replicas->size());
        for (Slot& slot : slots_) {
            const metadata::Topic* topic = topic_of(*image, slot);
            if (topic == nullptr) {
                continue;
            }
            const metadata::Partition* partition =
                topic->partition(PartitionIndex{slot.ask.partition});
            if (partition == nullptr) {
                refuse(slot, KafkaError::unknown_topic_or_partition);
            } else if (!may_read(*partition)) {
                slot.result.error = KafkaError::not_leader_or_follower;
                slot.result.leader = partition->leader;
                slot.result.leader_epoch = partition->leader_epoch;
                settled_ = true;
            } else {
                add(parts, topic->id, slot, nearer(*image, *partition));
            }
        }
        for (std::size_t shard = 0; shard < parts.size(); ++shard) {
            if (!parts[shard].positions.empty()) {
                parts[shard].shard = shard;
                parts_.push_back(std::move(parts[shard]));
            }
        }
    }

    const metadata::Topic* topic_of(const metadata::Image& image, Slot& slot) {
        if (call_.version() < first_fetch_with_ids) {
            const metadata::Topic* topic = image.topics.find(slot.ask.topic);
            if (topic == nullptr) {
                refuse(slot, KafkaError::unknown_topic_or_partition);
            }
            return topic;
        }
        const metadata::Topic* topic = image.topics.find(slot.ask.topic_id);
        if (topic == nullptr) {
            // A session knows what the id once named: a topic that is gone, or one made anew.
            refuse(slot, slot.ask.topic.empty() ? KafkaError::unknown_topic_id
                         : image.topics.find(slot.ask.topic) == nullptr
                             ? KafkaError::unknown_topic_or_partition
                             : KafkaError::inconsistent_topic_id);
        }
        return topic;
    }

    static void refuse(Slot& slot, KafkaError error) {
        slot.result.error = error;
        slot.is_unknown = error != KafkaError::inconsistent_topic_id;
    }

    static bool has_replica(const metadata::Partition& partition, BrokerId broker) {
        return std::find(partition.replicas.begin(), partition.replicas.end(), broker) !=
               partition.replicas.end();
    }

    /// A follower reads at the leader what it is a replica of; every client reads there, and those
    /// that know of it at any replica.
    bool may_read(const metadata::Partition& partition) const {
        if (reader_.level == replication::ReadLevel::replica) {
            return partition.leader == doors_.self && reader_.replica != doors_.self &&
                   has_replica(partition, reader_.replica);
        }
        return partition.leader == doors_.self ||
               (reader_.at_followers && has_replica(partition, doors_.self));
    }

    /// At the leader, unless it is as near itself: the replicas in the reader's rack that are up.
    std::vector<BrokerId> nearer(const metadata::Image& image,
                                 const metadata::Partition& partition) const {
        std::vector<BrokerId> nearer;
        if (rack_.empty() || partition.leader != doors_.self) {
            return nearer;
        }
        for (const BrokerId replica : partition.isr) {
            const metadata::Broker* broker = image.cluster.broker(replica);
            if (broker == nullptr || broker->rack != rack_) {
                continue;
            }
            if (replica == doors_.self) {
                return {};
            }
            if (broker->is_active()) {
                nearer.push_back(replica);
            }
        }
        return nearer;
    }

    void add(std::vector<ShardPart>& parts, const Uuid& topic, Slot& slot,
             std::vector<BrokerId> nearer) {
        replication::FetchPosition position;
        position.id = {topic, PartitionIndex{slot.ask.partition}};
        position.from = slot.ask.from;
        position.current_epoch = slot.ask.current_epoch;
        position.last_fetched_epoch = slot.ask.last_fetched_epoch;
        position.max_bytes = slot.ask.max_bytes;
        position.reader_log_start = slot.ask.reader_log_start;
        position.reader_synced_end = slot.ask.reader_synced_end;
        position.nearer = std::move(nearer);
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
        if (!call_.is_wanted()) {
            return;  // who asked has gone, and nothing is kept for him
        }
        std::int64_t bytes = 0;
        // What is unknown here does not end the wait for the rest: a reader that still asks for a
        // deleted topic would otherwise spin.
        bool urgent = settled_ || parts_.empty();
        Duration again = Duration::max();  // A throttled copy may go on.
        for (const Slot& slot : slots_) {
            if (slot.result.throttled_for > Duration{}) {
                again = std::min(again, slot.result.throttled_for);
            }
            bytes += static_cast<std::int64_t>(slot.result.slice.length);
            urgent = urgent || slot.result.diverging || slot.result.preferred != no_broker ||
                     (slot.result.error != KafkaError::none && !slot.is_unknown);
        }
        const Instant now = call_.home().clock().now();
        const Duration left = deadline_ - now;
        // A long wait that holds what others need ends early, with less than was asked for.
        urgent = urgent ||
                 (now - call_.meta().received >= longest_look && call_.frame().is_in_the_way());
        if (urgent || bytes >= min_bytes_ || left <= Duration{0}) {
            answer();
        } else {
            wait(std::min({left, again, longest_look}));
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

    /// A topic that was deleted while its reader waited has no other leader to go to.
    void name_what_is_gone() {
        for (Slot& slot : slots_) {
            if (slot.result.error != KafkaError::not_leader_or_follower) {
                continue;
            }
            const metadata::ImagePtr image = doors_.image->current();
            const metadata::Topic* topic = call_.version() < first_fetch_with_ids
                                               ? image->topics.find(slot.ask.topic)
                                               : image->topics.find(slot.ask.topic_id);
            if (topic == nullptr) {
                slot.result.error = KafkaError::unknown_topic_or_partition;
            }
        }
    }

    void answer() {
        FetchResponse response;
        name_what_is_gone();
        cut_to_budget();
        if (is_over_quota()) {
            answer_without_data();
            return;
        }
        tell_session(response);
        std::vector<net::FileRange> files;
        FetchResponse::FetchableTopicResponse* topic = nullptr;
        for (Slot& slot : slots_) {
            if (!slot.is_told) {
                continue;
            }
            if (topic == nullptr || topic->topic_id != slot.ask.topic_id ||
                topic->topic != slot.ask.topic) {
                topic = &response.responses.emplace_back();
                topic->topic = slot.ask.topic;
                topic->topic_id = slot.ask.topic_id;
                count_request(slot);
            }
            count(slot);
            fill(response, topic->partitions.emplace_back(), slot, files);
        }
        call_.answer(response, std::move(files));
    }

    void count_request(const Slot& slot) {
        if (reader_.level != replication::ReadLevel::replica && !slot.is_unknown) {
            call_.meta().meter->topic(slot.ask.topic).fetch_requests.add();
        }
    }

    void count(const Slot& slot) {
        RequestMeter& meter = *call_.meta().meter;
        if (slot.result.error != KafkaError::none &&
            reader_.level != replication::ReadLevel::replica) {
            meter.refused(Refused::fetch, slot.is_unknown ? std::string() : slot.ask.topic,
                          slot.result.error);
        }
        if (slot.result.slice.length == 0) {
            return;
        }
        if (reader_.level == replication::ReadLevel::replica) {
            meter.replicated_out().add(slot.result.slice.length);
        } else {
            meter.topic(slot.ask.topic).fetched_bytes.add(slot.result.slice.length);
        }
    }

    /// Who has to wait gets no data meanwhile (KIP-219): not for bytes, nor for the time of a loop.
    bool is_over_quota() {
        if (!call_.meta().quota) {
            return false;
        }
        std::size_t total = 0;
        for (const Slot& slot : slots_) {
            total += slot.result.slice.length;
        }
        if (total == 0) {
            return false;
        }
        const Duration time = wait_for_time(call_.meta());
        if (time > Duration{} || meter_ == nullptr) {
            return time > Duration{};
        }
        const auto verdict =
            meter_->spend_if_room(static_cast<double>(total), call_.home().clock().now());
        call_.throttle(verdict.wait);
        return !verdict.may_go;
    }

    /// No partition at all: a session stays as it was, and one that was to begin does not. The wait
    /// in it says why.
    void answer_without_data() {
        FetchResponse response;
        response.session_id = session_ != nullptr ? session_->id() : 0;
        call_.answer(response);
    }

    /// Several shards read with the whole budget each: together they may not exceed it.
    void cut_to_budget() {
        std::size_t total = 0;
        for (Slot& slot : slots_) {
            const std::size_t length = slot.result.slice.length;
            if (length > 0 && total > 0 && total + length > budget_) {
                slot.result.slice = {};
            } else {
                total += length;
            }
        }
    }

    /// Leaves out what the reader's session need not hear of, or begins a session.
    void tell_session(FetchResponse& response) {
        std::shared_ptr<FetchSession> session = session_;
        if (wants_session_) {
            session = doors_.fetch_sessions->at(call_.meta().shard)
                          .create(reader_.level == replication::ReadLevel::replica,
                                  call_.version() >= first_fetch_with_ids, slots_.size(),
                                  call_.home().clock().now());
        }
        if (session == nullptr) {
            return;
        }
        response.session_id = session->id();
        for (Slot& slot : slots_) {
            const replication::FetchResult& result = slot.result;
            if (wants_session_) {
                session->ask(slot.ask);
            }
            const bool is_news =
                session->tell(slot.ask, {.error = result.error,
                                         .high_watermark = result.high_watermark,
                                         .log_start = result.log_start,
                                         .has_records = result.slice.length > 0,
                                         .is_diverging = result.diverging.has_value(),
                                         .is_sent_on = result.preferred != no_broker});
            slot.is_told = wants_session_ || is_news;
        }
    }

    void fill(FetchResponse& response, FetchResponse::PartitionData& data, Slot& slot,
              std::vector<net::FileRange>& files) {
        replication::FetchResult& from = slot.result;
        data.partition_index = slot.ask.partition;
        data.error_code = code_of(from.error == KafkaError::kafka_storage_error &&
                                          call_.version() < first_fetch_with_storage_error
                                      ? KafkaError::not_leader_or_follower
                                      : from.error);
        data.high_watermark = from.high_watermark.value;
        data.last_stable_offset = from.last_stable.value;
        data.log_start_offset = from.log_start.value;
        data.preferred_read_replica = from.preferred.value;
        if (from.diverging) {
            data.diverging_epoch = {.epoch = from.diverging->epoch.value,
                                    .end_offset = from.diverging->end.value};
        }
        if (is_leadership(from.error) && call_.version() >= first_fetch_with_leader) {
            data.current_leader = {.leader_id = from.leader.value,
                                   .leader_epoch = from.leader_epoch.value};
            add_endpoint(response, from.leader);
        }
        data.aborted_transactions.reset();
        const bool is_committed =
            reader_.level == replication::ReadLevel::committed && from.error == KafkaError::none;
        if (is_committed || slot.is_unknown) {
            auto& aborted = data.aborted_transactions.emplace();
            for (const storage::AbortedTransaction& one : from.aborted) {
                aborted.push_back(
                    {.producer_id = one.producer.value, .first_offset = one.first_offset.value});
            }
        }
        data.records = Records{};
        if (from.slice.length > 0) {
            data.records =
                Records::in_file(static_cast<std::uint32_t>(files.size()), from.slice.length);
            files.push_back({std::move(from.slice.file), from.slice.position, from.slice.length});
        }
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
    std::string rack_;                ///< Of a consumer that is to read in its own.
    quotas::Meter* meter_ = nullptr;  ///< Lives as long as the call.
    std::size_t budget_ = 0;
    std::int64_t min_bytes_ = 0;
    Duration max_wait_{};
    Instant deadline_{};
    bool settled_ = false;  ///< Something needs no waiting: the answer is due now.
    bool wants_session_ = false;
    std::shared_ptr<FetchSession> session_;  ///< Of an incremental request.
    std::vector<Slot> slots_;                ///< Grows only before the first look.
    std::vector<ShardPart> parts_;
    runtime::TimerId timer_;
    std::uint64_t round_ = 0;
    metadata::ImagePtr endpoints_image_;  ///< Keeps the texts of node endpoints alive.
};

}  // namespace

void fetch(const Doors& doors, FetchCall call) {
    const metadata::ImagePtr image = doors.image->current();
    FetchPlan plan = doors.fetch_sessions->at(call.meta().shard)
                         .open(to_session_request(call, *image), call.home().clock().now());
    if (plan.error != KafkaError::none) {
        FetchResponse response;
        response.error_code = code_of(plan.error);
        call.answer(response);
        return;
    }
    // All that it asks for is in the plan by now. Not "= {}": that keeps the memory.
    call.mutable_request().topics = decltype(FetchRequest::topics)();
    call.mutable_request().forgotten_topics_data = decltype(FetchRequest::forgotten_topics_data)();
    const std::size_t bytes = plan.asks.size() * FetchOperation::bytes_a_partition;
    if (replica_of(call) >= 0 &&
        std::cmp_less_equal(plan.asks.size(), image->topics.partition_count())) {
        call.hold_anyway(bytes);  // a replica that is behind is worth more than what it takes
    } else if (!call.hold(bytes)) {
        return;
    }
    std::make_shared<FetchOperation>(doors, std::move(call), std::move(plan))->start();
}

}  // namespace millrace::handlers
