// A partition as it is read: by consumers, by followers, by those who look for an offset.

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "replication/internal/partition.h"

namespace millrace::replication {

FetchResult Partition::read(const FetchPosition& position, const Reader& reader,
                            std::size_t max_bytes, bool min_one_batch) {
    FetchResult result;
    result.id = position.id;
    result.leader = state_.leader;
    result.leader_epoch = state_.leader_epoch;
    result.error = check_reader(reader, position.current_epoch);
    if (result.error != KafkaError::none) {
        return result;
    }
    result.high_watermark = high_watermark();
    result.last_stable = last_stable();
    result.log_start = log_->start();
    if (position.last_fetched_epoch != no_leader_epoch) {
        const storage::EpochEnd end =
            log_->epochs().end_offset_for(position.last_fetched_epoch, log_->end());
        if (end.end == no_offset) {
            result.error = KafkaError::offset_out_of_range;
            return result;
        }
        if (end.epoch < position.last_fetched_epoch || end.end < position.from) {
            result.diverging = DivergingEpoch{end.epoch, end.end};
            return result;
        }
    }
    Offset upper = log_->end();
    if (reader.level == ReadLevel::uncommitted) {
        upper = result.high_watermark;
    } else if (reader.level == ReadLevel::committed) {
        upper = result.last_stable;
    }
    if (position.from < log_->start() || position.from > log_->end()) {
        result.error = KafkaError::offset_out_of_range;
        return result;
    }
    if (leader_ && !position.nearer.empty()) {
        result.preferred = leader_->nearest(position.nearer, position.from);
    }
    if (position.from >= upper || result.preferred != no_broker) {
        return result;
    }
    max_bytes = std::min(max_bytes, static_cast<std::size_t>(std::max(0, position.max_bytes)));
    if (reader.level == ReadLevel::replica) {
        if (const ThrottleGate gate = gate_towards(reader.replica)) {
            result.throttled_for = gate.closed_for(shell_.loop->clock().now());
            if (result.throttled_for > Duration{}) {
                return result;
            }
            max_bytes = std::min(max_bytes, gate.piece());
            min_one_batch = true;  // or a batch larger than a piece would never go
        }
    }
    auto slice = log_->read({.from = position.from,
                             .upper = upper,
                             .max_bytes = max_bytes,
                             .min_one_batch = min_one_batch});
    if (!slice) {
        if (slice.error().code() == Code::corrupt) {
            shell_.counts->corrupt_reads.fetch_add(1, std::memory_order_relaxed);
            MR_LOG(*shell_.log, warn, "replication.corrupt_read", field("topic", state_.topic),
                   field("partition", state_.id.partition), field("offset", position.from),
                   field("reason", slice.error().message()));
        }
        result.error = slice.error().code() == Code::not_found ? KafkaError::offset_out_of_range
                       : slice.error().code() == Code::corrupt ? KafkaError::corrupt_message
                                                               : KafkaError::kafka_storage_error;
        return result;
    }
    if (reader.level == ReadLevel::committed) {
        auto aborted = log_->aborted_transactions(position.from, upper);
        if (!aborted) {
            result.error = KafkaError::kafka_storage_error;
            return result;
        }
        result.aborted = *std::move(aborted);
    }
    result.slice = *std::move(slice);
    return result;
}

std::int64_t Partition::readable_bytes(const FetchPosition& position, const Reader& reader) {
    const FetchResult now = read(position, reader, SIZE_MAX >> 1, true);
    const bool starts_elsewhere = !deletions_.empty() && reader.replica != no_broker &&
                                  position.reader_log_start < log_->start();
    if (now.error != KafkaError::none || now.diverging || now.preferred != no_broker ||
        starts_elsewhere) {
        return INT64_MAX / 4;  // an answer is due
    }
    return static_cast<std::int64_t>(now.slice.length);
}

void Partition::follower_fetched(const FetchPosition& position, const Reader& reader) {
    if (leader_ && check_leader(position.current_epoch) == KafkaError::none) {
        run(leader_->step(FollowerFetched{reader.replica, position.from, position.reader_synced_end,
                                          shell_.loop->clock().now(), reader.replica_epoch,
                                          position.reader_log_start,
                                          may_join(reader.replica, reader.replica_epoch)}));
    }
}

bool Partition::may_join(BrokerId replica, BrokerEpoch epoch) const {
    return std::find(state_.isr.begin(), state_.isr.end(), replica) != state_.isr.end() ||
           shell_.peers->may_join(replica,
                                  MR_PLANTED(proposals_without_lives) ? BrokerEpoch{-1} : epoch);
}

std::set<BrokerId> Partition::ineligible() const {
    std::set<BrokerId> all;
    for (const auto& [replica, follower] : leader_->followers()) {
        if (!may_join(replica, follower.epoch)) {
            all.insert(replica);
        }
    }
    return all;
}

void Partition::tick(Instant now) {
    if (log_) {
        log_->forget_decided_below(high_watermark());
    }
    if (leader_ && state_.replicas.size() > 1) {
        run(leader_->step(Tick{now, ineligible()}));
    }
}

void Partition::find_offset(ShardReplicas::OffsetKind kind, Timestamp at, LeaderEpoch current_epoch,
                            ReadLevel level, UniqueFunction<void(OffsetAnswer)> done) {
    using Kind = ShardReplicas::OffsetKind;
    OffsetAnswer answer;
    const bool is_to_clients = level == ReadLevel::uncommitted || level == ReadLevel::committed;
    answer.error =
        level == ReadLevel::local ? check_epoch(current_epoch) : check_leader(current_epoch);
    if (answer.error != KafkaError::none) {
        done(answer);
        return;
    }
    const Offset upper = !is_to_clients                  ? log_->end()
                         : level == ReadLevel::committed ? last_stable()
                                                         : leader_->high_watermark();
    if (is_to_clients && !leader_->is_current() && kind != Kind::earliest) {
        // A new leader does not know yet how far its predecessor had committed (KIP-207).
        answer.error = KafkaError::offset_not_available;
        done(answer);
        return;
    }
    if (kind == Kind::earliest || kind == Kind::earliest_local || kind == Kind::latest) {
        answer.offset = kind == Kind::latest ? upper : log_->start();
        const auto epoch = log_->epochs().epoch_of(answer.offset);
        // Of what the log knows, not what we lead in: a mirror's log holds the source's epochs, and
        // a consumer compares with the log.
        const auto latest = log_->epochs().latest();
        answer.epoch = kind != Kind::latest ? epoch.value_or(no_leader_epoch)
                       : latest             ? latest->epoch
                                            : no_leader_epoch;
        done(answer);
        return;
    }
    auto prepared =
        kind == Kind::max_timestamp ? log_->search_max_timestamp() : log_->search_timestamp(at);
    if (!prepared) {
        answer.error = KafkaError::kafka_storage_error;
        done(answer);
        return;
    }
    auto search = std::make_shared<storage::TimestampSearch>(*std::move(prepared));
    auto found = std::make_shared<Result<std::optional<storage::TimestampOffset>>>(
        std::optional<storage::TimestampOffset>{});
    shell_.pool->run(
        0, *shell_.loop, [search, found] { *found = search->run(); },
        [found, upper, done = std::move(done)]() mutable {
            OffsetAnswer late;
            if (!*found) {
                late.error = KafkaError::kafka_storage_error;
            } else if (const auto& hit = **found; hit && hit->offset < upper) {
                late.offset = hit->offset;
                late.timestamp = hit->timestamp;
                late.epoch = hit->epoch;
            }
            done(late);
        });
}

EpochEndAnswer Partition::epoch_end(LeaderEpoch current_epoch, LeaderEpoch asked) {
    EpochEndAnswer answer;
    answer.error = check_leader(current_epoch);
    if (answer.error == KafkaError::none) {
        const storage::EpochEnd end = log_->epochs().end_offset_for(asked, log_->end());
        answer.epoch = end.epoch;
        answer.end = end.end;
    }
    return answer;
}

void Partition::delete_records(Offset before, Duration timeout, std::function<bool(BrokerId)> is_up,
                               UniqueFunction<void(KafkaError, Offset)> done) {
    if (!leader_) {
        done(KafkaError::not_leader_or_follower, no_offset);
        return;
    }
    const Offset target = before == no_offset ? leader_->high_watermark() : before;
    if (target < Offset{0} || target > leader_->high_watermark()) {
        done(KafkaError::offset_out_of_range, no_offset);
        return;
    }
    if (const auto moved = log_->advance_start(target); !moved) {
        done(KafkaError::kafka_storage_error, no_offset);
        return;
    }
    if (const Offset low = leader_->low_watermark(log_->start(), is_up); low >= target) {
        done(KafkaError::none, low);
        return;
    }
    const std::uint64_t number = next_deletion_++;
    const auto at =
        deletions_.emplace(number, Deletion{target, std::move(is_up), std::move(done), {}}).first;
    at->second.timer = shell_.loop->after(timeout, [find = shell_.find, id = state_.id, number] {
        auto self = find(id);
        if (!self) {
            return;
        }
        if (auto late = self->deletions_.extract(number)) {
            late.mapped().done(
                KafkaError::request_timed_out,
                self->leader_->low_watermark(self->log_->start(), late.mapped().is_up));
        }
    });
    shell_.readable(*this);  // followers learn where the log begins now
}

void Partition::answer_deletions() {
    for (auto at = deletions_.begin(); at != deletions_.end();) {
        const Offset low = leader_->low_watermark(log_->start(), at->second.is_up);
        if (at->second.target > low) {
            ++at;
            continue;
        }
        shell_.loop->cancel(at->second.timer);
        auto done = std::move(at->second.done);
        at = deletions_.erase(at);
        done(KafkaError::none, low);
    }
}

}  // namespace millrace::replication
