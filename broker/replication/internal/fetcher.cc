#include "replication/internal/fetcher.h"

#include <algorithm>
#include <utility>

#include "protocol/arena.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::replication {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;

/// How far we have synced, as a tagged field of FetchPartition that only brokers of ours read.
constexpr std::uint32_t synced_end_tag = 10'000;

}  // namespace

Fetcher::Fetcher(Options options, runtime::Shard shard, const Peers& peers, Find find,
                 const Logger& log)
    : options_(options), shard_(shard), peers_(peers), find_(std::move(find)), log_(log) {}

void Fetcher::add(const TopicIdPartition& id) {
    backing_off_.erase(id);
    if (joining_.contains(id)) {
        return;
    }
    if (!partitions_.insert(id).second && asked_.contains(id)) {
        return;
    }
    if (in_flight_ && !asked_.contains(id) && channel_) {
        // The fetch under way does not ask for it and may be parked for a while.
        restart_ = true;
    }
    kick();
}

void Fetcher::join(const TopicIdPartition& id, UniqueFunction<void()> asked) {
    joining_.insert_or_assign(id, std::move(asked));
    kick();
}

void Fetcher::remove(const TopicIdPartition& id) {
    partitions_.erase(id);
    joining_.erase(id);
    backing_off_.erase(id);
}

void Fetcher::stop() {
    stopped_ = true;
    channel_.reset();
}

void Fetcher::kick() {
    if (kicked_ || stopped_) {
        return;
    }
    kicked_ = true;
    shard_.executor->post([weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->kicked_ = false;
            if (self->restart_ && self->in_flight_ && self->channel_) {
                self->restart_ = false;
                self->channel_->reset();  // the parked fetch fails, and a new round begins
                return;
            }
            self->round();
        }
    });
}

void Fetcher::retry_later(Duration delay) {
    shard_.executor->after(delay, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->round();
        }
    });
}

void Fetcher::round() {
    if (in_flight_ || syncs_to_come_ > 0 || stopped_) {
        return;
    }
    for (auto& [id, asked] : std::exchange(joining_, {})) {
        partitions_.insert(id);
        asked();
    }
    if (partitions_.empty() || waits_for_syncs()) {
        return;
    }
    const auto address = peers_.address_of(options_.leader);
    if (!address) {
        retry_later(options_.fetch.back_off);
        return;
    }
    if (!channel_ || address_ != address) {
        address_ = address;
        net::ChannelOptions channel;
        channel.address = *address;
        channel.wrap = peers_.wrapper();
        channel_ = std::make_unique<net::Channel>(std::move(channel), shard_, log_);
    }
    Buffer frame = request();
    if (asked_.empty()) {
        retry_later(opens_in_.value_or(options_.fetch.back_off));
        return;
    }
    in_flight_ = true;
    channel_->call(std::move(frame), options_.fetch.max_wait + options_.fetch.answer_timeout,
                   [weak = weak_from_this()](Result<net::ResponseFrame> answer) {
                       if (auto self = weak.lock()) {
                           self->on_answer(std::move(answer));
                       }
                   });
}

Buffer Fetcher::request() {
    asked_.clear();
    const Instant now = shard_.executor->clock().now();
    protocol::Arena arena;
    FetchRequest fetch;
    opens_in_.reset();
    fetch.replica_state = {.replica_id = options_.self.value,
                           .replica_epoch = peers_.own_epoch().value};
    fetch.max_wait_ms = static_cast<std::int32_t>(to_milliseconds(options_.fetch.max_wait));
    fetch.min_bytes = options_.fetch.min_bytes;
    fetch.max_bytes = options_.fetch.max_bytes;
    for (const TopicIdPartition& id : partitions_) {
        const auto wait = backing_off_.find(id);
        if (wait != backing_off_.end()) {
            if (wait->second > now) {
                continue;
            }
            backing_off_.erase(wait);
        }
        auto partition = find_(id);
        if (!partition || !partition->follows()) {
            continue;
        }
        std::int32_t max_bytes = options_.fetch.max_partition_bytes;
        if (const ThrottleGate gate = partition->gate_here()) {
            if (const Duration closed = gate.closed_for(now); closed > Duration{}) {
                opens_in_ = std::min(opens_in_.value_or(closed), closed);
                continue;
            }
            max_bytes = static_cast<std::int32_t>(
                std::min(static_cast<std::size_t>(max_bytes), gate.piece()));
        }
        const FetchPosition position = partition->follower_position();
        asked_[id] = {position.current_epoch, position.from};
        if (fetch.topics.empty() || fetch.topics.back().topic_id != id.topic_id) {
            fetch.topics.emplace_back().topic_id = id.topic_id;
        }
        auto& to = fetch.topics.back().partitions.emplace_back();
        to.partition = id.partition.value;
        to.current_leader_epoch = position.current_epoch.value;
        to.fetch_offset = position.from.value;
        to.last_fetched_epoch = position.last_fetched_epoch.value;
        to.log_start_offset = position.reader_log_start.value;
        to.partition_max_bytes = max_bytes;
        if (position.reader_synced_end) {
            std::array<std::byte, sizeof(std::int64_t)> bytes;
            store_big_endian(bytes.data(), position.reader_synced_end->value);
            to.unknown_tags.push_back({.tag = synced_end_tag, .data = arena.copy(ByteView(bytes))});
        }
    }
    if (opens_in_) {
        // What isn't asked for now is to be asked for as soon as its throttle lets it through.
        const auto soon = static_cast<std::int32_t>(to_milliseconds(*opens_in_)) + 1;
        fetch.max_wait_ms = std::min(fetch.max_wait_ms, soon);
    }
    protocol::RequestHeader header;
    header.request_api_key = FetchRequest::api_key;
    header.request_api_version = FetchRequest::max_version;
    header.client_id = "replica";
    Buffer frame;
    protocol::Writer writer(frame);
    header.encode(writer, 2);
    fetch.encode(writer, FetchRequest::max_version);
    MR_ASSERT(writer.ok());
    return frame;
}

void Fetcher::on_answer(Result<net::ResponseFrame> answer) {
    in_flight_ = false;
    if (stopped_) {
        return;
    }
    if (!answer) {
        on_failure(answer.error());
        return;
    }
    if (auto taken = take(*answer); !taken) {
        on_failure(taken.error());
        return;
    }
    round();
}

void Fetcher::on_failure(const Error& why) {
    if (why.code() == Code::cancelled) {
        round();  // our own reset: something new is to be asked for
        return;
    }
    MR_LOG(log_, debug, "replication.fetch_failed", field("leader", options_.leader),
           field("reason", why.message()));
    retry_later(options_.fetch.back_off);
}

Result<void> Fetcher::take(const net::ResponseFrame& frame) {
    protocol::Reader reader(*frame.bytes);
    protocol::ResponseHeader header;
    header.decode(reader, 1);
    FetchResponse response;
    response.decode(reader, FetchRequest::max_version);
    if (!reader.ok()) {
        return reader.error();
    }
    if (response.error_code != 0) {
        return Error::make(Code::unavailable, "{}", static_cast<KafkaError>(response.error_code));
    }
    const Instant now = shard_.executor->clock().now();
    for (const auto& topic : response.responses) {
        for (const auto& data : topic.partitions) {
            const TopicIdPartition id{topic.topic_id, PartitionIndex{data.partition_index}};
            const auto asked = asked_.find(id);
            auto partition = find_(id);
            if (asked == asked_.end() || !partition || !partition->follows()) {
                continue;
            }
            Fetched fetched;
            fetched.asked_in_epoch = asked->second.first;
            fetched.asked_from = asked->second.second;
            fetched.error = static_cast<KafkaError>(data.error_code);
            if (data.diverging_epoch.end_offset >= 0) {
                fetched.diverging = DivergingEpoch{LeaderEpoch{data.diverging_epoch.epoch},
                                                   Offset{data.diverging_epoch.end_offset}};
            }
            fetched.high_watermark = Offset{data.high_watermark};
            fetched.log_start = Offset{data.log_start_offset};
            const ByteView bytes = data.records ? data.records->bytes : ByteView{};
            fetched.bytes = bytes.size();
            if (!bytes.empty()) {
                partition->note_received(bytes.size());
            }
            if (partition->take_fetched(fetched, bytes) == Partition::Taken::back_off) {
                backing_off_[id] = now + options_.fetch.back_off;
            }
        }
    }
    return {};
}

/// A fetch that leaves now may be parked, and could not say how far a sync under way has come:
/// where the leader counts us, acknowledgements would wait for as long, and with them those of
/// everybody who sends to it.
bool Fetcher::waits_for_syncs() {
    if (options_.durability == Durability::replicated) {
        return false;
    }
    for (const TopicIdPartition& id : partitions_) {
        const auto partition = find_(id);
        if (!partition || !partition->follows() || !partition->sync_to_come()) {
            continue;
        }
        ++syncs_to_come_;
        partition->when_synced([weak = weak_from_this()] {
            if (auto self = weak.lock(); self && --self->syncs_to_come_ == 0) {
                self->kick();
            }
        });
    }
    return syncs_to_come_ > 0;
}

}  // namespace millrace::replication
