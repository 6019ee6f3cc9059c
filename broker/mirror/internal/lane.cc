#include <algorithm>
#include <utility>

#include "mirror/internal/pull.h"
#include "record/batch_view.h"

namespace millrace::mirror {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr Duration first_backoff = 100ms;
constexpr Duration longest_lane_backoff = 30s;
constexpr Duration nothing_ready = 100ms;
constexpr Duration wait_at_source = 250ms;
constexpr Duration timeout_beyond_wait = 20s;
constexpr Duration longest_lead = 200ms;
/// Of a backlog: what is under way must outlast the round trip. Of the rest: little, and soon.
constexpr std::int32_t backlog_bytes = 16 << 20;
constexpr std::int32_t backlog_partition_bytes = 4 << 20;
/// An answer that takes longer is too large for the wire: groups, leaders and whatever is new wait
/// behind it. One that comes sooner may be larger.
constexpr Duration long_answer = 5s;
constexpr Duration short_answer = 1s;
constexpr int most_halved = 8;
/// Alone it has the wire to itself: with one request under way at a time, a round trip costs the
/// less the more comes in it.
constexpr std::int32_t lone_backlog_bytes = 48 << 20;
constexpr std::int32_t quiet_bytes = 4 << 20;
constexpr std::int32_t quiet_partition_bytes = 1 << 20;
/// Without the epoch of what we have (before 12), a source could not tell us that it diverged.
constexpr client::Versions fetch_versions{9, FetchRequest::max_version};
constexpr std::int16_t first_with_ids = 13;

}  // namespace

Lane::Lane(std::weak_ptr<LaneOwner> owner, LaneKind kind, client::ConnectionOptions options,
           runtime::Shard shard, const Logger& log)
    : owner_(std::move(owner)),
      kind_(kind),
      shard_(shard),
      log_(log),
      connection_(std::move(options), shard, log) {}

void Lane::add(const TopicIdPartition& id) {
    partitions_.insert(id);
    is_heard_ = false;
    kick();
}

void Lane::remove(const TopicIdPartition& id) {
    partitions_.erase(id);
}

void Lane::kick(Duration delay) {
    if (!in_flight_) {
        arm(delay);
    }
}

void Lane::arm(Duration delay) {
    shard_.executor->cancel(timer_);
    timer_ = shard_.executor->after(delay, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->timer_ = {};
            self->round();
        }
    });
}

bool Lane::gather(LaneOwner& owner) {
    wanted_.clear();
    asked_.clear();
    const Instant now = shard_.executor->clock().now();
    const std::int32_t most = kind_ == LaneKind::quiet  ? quiet_bytes
                              : partitions_.size() == 1 ? lone_backlog_bytes
                                                        : backlog_bytes;
    max_bytes_ = static_cast<std::int32_t>(owner.most_at_once(most >> halved_));
    for (const TopicIdPartition& id : partitions_) {
        Pull* pull = owner.find(id);
        if (pull == nullptr || pull->busy || pull->halted || pull->job.seal ||
            pull->not_before > now) {
            continue;
        }
        const auto log = owner.facts(*pull);
        if (!log) {
            continue;
        }
        owner.catch_up(*pull, *log);
        const std::int32_t partition = id.partition.value;
        SourceTopic& topic = wanted_[pull->job.source_topic];
        topic.id = pull->job.source_topic_id;
        topic.partitions[partition] = {pull->job.source_epoch, log->end,
                                       PartitionCore::last_epoch(*log), pull->generation};
        asked_[{pull->job.source_topic, partition}] = {id, pull->generation, log->end};
        last_stable_ = pull->job.read_up_to == ReadUpTo::last_stable;
    }
    return !asked_.empty();
}

FetchRequest Lane::request(std::int16_t version) const {
    const bool backlog = kind_ == LaneKind::backlog;
    const auto count = static_cast<std::int32_t>(std::min<std::size_t>(asked_.size(), 1000));
    const std::int32_t partition_bytes = std::min(
        max_bytes_, !backlog     ? quiet_partition_bytes
                    : count == 1 ? max_bytes_
                                 : std::max(backlog_partition_bytes, backlog_bytes / count));
    FetchRequest fetch;
    fetch.max_wait_ms = static_cast<std::int32_t>(to_milliseconds(wait_at_source));
    fetch.min_bytes = 1;
    fetch.max_bytes = max_bytes_;
    fetch.isolation_level = last_stable_ ? 1 : 0;
    fetch.session_id = next_.session_id;
    fetch.session_epoch = next_.session_epoch;
    for (const auto& [name, topic] : next_.ask) {
        auto& to = fetch.topics.emplace_back();
        to.topic = version >= first_with_ids ? std::string_view{} : std::string_view(name);
        to.topic_id = version >= first_with_ids ? topic.id : Uuid{};
        for (const auto& [partition, position] : topic.partitions) {
            auto& one = to.partitions.emplace_back();
            one.partition = partition;
            one.current_leader_epoch = position.source_epoch.value;
            one.fetch_offset = position.from.value;
            if (version >= 12) {
                one.last_fetched_epoch = position.last_epoch.value;
            }
            one.partition_max_bytes = partition_bytes;
        }
    }
    for (const auto& [name, topic] : next_.forget) {
        auto& to = fetch.forgotten_topics_data.emplace_back();
        to.topic = version >= first_with_ids ? std::string_view{} : std::string_view(name);
        to.topic_id = version >= first_with_ids ? topic.first : Uuid{};
        to.partitions = topic.second;
    }
    return fetch;
}

void Lane::round() {
    auto owner = owner_.lock();
    if (!owner || in_flight_ || partitions_.empty()) {
        return;
    }
    if (!gather(*owner)) {
        arm(nothing_ready);
        return;
    }
    in_flight_ = true;
    asked_at_ = shard_.executor->clock().now();
    next_ = session_.next(wanted_);
    client::ask<FetchRequest, FetchResponse>(
        connection_, wait_at_source + timeout_beyond_wait,
        [weak = weak_from_this()](std::int16_t version) {
            auto self = weak.lock();
            return self ? self->request(version) : FetchRequest{};
        },
        [weak = weak_from_this()](const Result<FetchResponse>& response, std::int16_t) {
            if (auto self = weak.lock()) {
                self->on_answer(response);
            }
        },
        fetch_versions);
}

void Lane::on_answer(const Result<FetchResponse>& response) {
    in_flight_ = false;
    auto owner = owner_.lock();
    if (!owner) {
        return;
    }
    if (!response) {
        on_failure(*owner, response.error());
        return;
    }
    const auto error = static_cast<KafkaError>(response->error_code);
    if (SourceSession::is_about_session(error)) {
        // A source that was restarted, or has given our place to somebody else.
        session_.failed();
        arm(next_.session_epoch == 0 ? first_backoff : Duration{});
        return;
    }
    if (error != KafkaError::none) {
        on_failure(*owner,
                   Error::make(Code::unavailable, "the source answers a fetch with {}", error));
        return;
    }
    session_.answered(response->session_id, wanted_);
    backoff_ = {};
    note_answer(*owner);
    std::map<Uuid, std::string> names;
    for (const auto& [name, wanted] : wanted_) {
        names[wanted.id] = name;
    }
    std::int64_t bytes = 0;
    for (const auto& topic : response->responses) {
        const std::string name =
            topic.topic.empty() ? names[topic.topic_id] : std::string(topic.topic);
        for (const auto& data : topic.partitions) {
            bytes += data.records ? static_cast<std::int64_t>(data.records->bytes.size()) : 0;
            on_partition(*owner, name, data);
        }
    }
    asked_.clear();
    const Duration way = shard_.executor->clock().now() - asked_at_;
    fit_to_wire(way, bytes);
    // Asked for so early that it comes when it may: a limit is filled over a long wire, too.
    arm(std::max(Duration{}, owner->spend(bytes) - std::min<Duration>(way, longest_lead)));
}

void Lane::fit_to_wire(Duration way, std::int64_t bytes) {
    if (way > long_answer && bytes > 0) {
        halved_ = std::min(most_halved, halved_ + 1);
    } else if (way < short_answer && bytes >= max_bytes_ / 2) {
        halved_ = std::max(0, halved_ - 1);
    }
}

void Lane::on_failure(LaneOwner& owner, const Error& why) {
    session_.failed();
    MR_LOG(log_, debug, "mirror.fetch_failed", field("source", connection_.address().to_string()),
           field("reason", why.message()));
    note_loss(owner, why);
    owner.source_lost(why);
    // With jitter: many lanes that lost one source shall not come back at the same moment.
    backoff_ = std::min(longest_lane_backoff, std::max(first_backoff, backoff_ * 2));
    arm(backoff_ / 2 + Duration{shard_.random->between(0, backoff_.count() / 2)});
}

/// Kept with each partition: it may come to another lane meanwhile.
void Lane::note_loss(LaneOwner& owner, const Error& why) {
    is_heard_ = false;
    for (const TopicIdPartition& id : partitions_) {
        if (Pull* pull = owner.find(id)) {
            pull->lost_since = pull->lost_since.value_or(asked_at_);
            pull->is_refused = why.code() == Code::permission;
        }
    }
}

void Lane::note_answer(LaneOwner& owner) {
    if (std::exchange(is_heard_, true)) {
        return;
    }
    for (const TopicIdPartition& id : partitions_) {
        if (Pull* pull = owner.find(id)) {
            pull->lost_since.reset();
        }
    }
}

void Lane::on_partition(LaneOwner& owner, const std::string& topic,
                        const FetchResponse::PartitionData& data) {
    const auto asked = asked_.find({topic, data.partition_index});
    if (asked == asked_.end()) {
        return;
    }
    Pull* pull = owner.find(asked->second.id);
    if (pull == nullptr || pull->generation != asked->second.generation) {
        return;  // the job is over, or another one
    }
    SourceFetched fetched;
    fetched.asked_from = asked->second.from;
    fetched.error = static_cast<KafkaError>(data.error_code);
    fetched.high_watermark = Offset{data.high_watermark};
    fetched.log_start = Offset{data.log_start_offset};
    if (data.diverging_epoch.end_offset >= 0) {
        fetched.diverging = replication::DivergingEpoch{LeaderEpoch{data.diverging_epoch.epoch},
                                                        Offset{data.diverging_epoch.end_offset}};
    }
    const ByteView bytes = data.records ? data.records->bytes : ByteView{};
    fetched.bytes = bytes.size();
    if (const auto first = record::BatchView::parse(bytes); first) {
        fetched.first_base = first->base_offset();
        fetched.first_end = first->next_offset();
    } else {
        fetched.old_format = first.error().code() == Code::unsupported;
        if (!fetched.old_format) {
            fetched.bytes = 0;  // not one whole batch
        }
    }
    owner.take(*pull, fetched, bytes);
}

}  // namespace millrace::mirror
