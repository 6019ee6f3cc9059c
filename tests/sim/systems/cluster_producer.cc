#include "tests/sim/systems/cluster_producer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "model/kafka_error.h"
#include "protocol/messages/init_producer_id_request.h"
#include "protocol/messages/init_producer_id_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "record/batch_builder.h"
#include "tests/sim/systems/cluster_wire.h"

namespace millrace::simtest {

namespace {

constexpr std::int16_t init_version = 5;
constexpr std::int16_t produce_version = 13;
constexpr Duration request_timeout = 3s;
constexpr Duration pause_least = 20ms;
constexpr Duration pause_most = 150ms;
constexpr std::string_view prefix = "op:";

}  // namespace

std::string value_of(ClusterHistory::Operation operation, std::size_t filler) {
    return fmt::format("{}{}:{}", prefix, operation, std::string(filler, 'x'));
}

std::optional<ClusterHistory::Operation> operation_of(std::string_view value) {
    ClusterHistory::Operation operation = 0;
    if (!value.starts_with(prefix)) {
        return std::nullopt;
    }
    value.remove_prefix(prefix.size());
    const char* const end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, operation);
    if (error != std::errc{} || at == end || *at != ':') {
        return std::nullopt;
    }
    return operation;
}

ClusterProducer::ClusterProducer(Options options, ClusterMap& map, ClusterHistory& history,
                                 std::function<void(std::string)> fail,
                                 std::function<void(std::int32_t, Offset)> on_acknowledged)
    : options_(options),
      map_(map),
      history_(history),
      fail_(std::move(fail)),
      on_acknowledged_(std::move(on_acknowledged)),
      lanes_(static_cast<std::size_t>(options.partitions)) {
    get_id();
}

ClusterProducer::~ClusterProducer() {
    *alive_ = false;
}

std::size_t ClusterProducer::open() const {
    std::size_t open = 0;
    for (const Lane& lane : lanes_) {
        open += lane.pending.size();
    }
    return open;
}

Duration ClusterProducer::longest_wait() const {
    Duration longest{};
    const Instant now = map_.shard().executor->clock().now();
    for (const Lane& lane : lanes_) {
        longest = std::max(longest, lane.pending.empty() ? Duration{} : now - lane.moved_at);
    }
    return longest;
}

void ClusterProducer::send(ClusterHistory::Operation operation, std::int32_t partition,
                           std::size_t filler) {
    Lane& lane = lanes_[static_cast<std::size_t>(partition)];
    history_.sent(operation, options_.sender, partition);
    if (lane.pending.empty()) {
        lane.moved_at = map_.shard().executor->clock().now();
    }
    lane.pending.push_back({operation, lane.next_sequence++, filler, false});
    pump(partition);
}

void ClusterProducer::get_id() {
    protocol::InitProducerIdRequest request;
    request.transactional_id.reset();
    request.transaction_timeout_ms = 60'000;
    ask<protocol::InitProducerIdResponse>(
        map_.anybody(), request, init_version, request_timeout,
        [this, alive = alive_](Result<Answered<protocol::InitProducerIdResponse>> answer) {
            if (!*alive) {
                return;
            }
            if (!answer || answer->response.error_code != 0) {
                map_.shard().executor->after(pause_most, [this, alive] {
                    if (*alive) {
                        get_id();
                    }
                });
                return;
            }
            id_ = ProducerId{answer->response.producer_id};
            epoch_ = ProducerEpoch{answer->response.producer_epoch};
            for (std::int32_t partition = 0; partition < options_.partitions; ++partition) {
                pump(partition);
            }
        });
}

void ClusterProducer::pump(std::int32_t partition) {
    Lane& lane = lanes_[static_cast<std::size_t>(partition)];
    if (id_ == no_producer || lane.waits) {
        return;
    }
    // What a leader remembers of a producer reaches back `window` batches and no further: the
    // oldest unanswered one holds back those that would push it out. What is sent again goes alone.
    const auto may_send = [&] {
        return lane.in_flight < std::min(lane.pending.size(), options_.window) &&
               (lane.in_flight == 0 || !lane.pending[lane.in_flight].was_sent) &&
               lane.pending[lane.in_flight].sequence - lane.pending.front().sequence <
                   static_cast<std::int32_t>(options_.window);
    };
    while (may_send()) {
        if (map_.topic_id().is_zero() || map_.leader(partition).channel == nullptr) {
            start_over(partition);
            return;
        }
        transmit(partition, lane.pending[lane.in_flight++]);
    }
}

Buffer ClusterProducer::batch_bytes(const Batch& batch) const {
    record::BatchOptions options;
    options.producer_id = id_;
    options.producer_epoch = epoch_;
    options.base_sequence = batch.sequence;
    record::BatchBuilder builder(std::move(options));
    const std::string value = value_of(batch.operation, batch.filler);
    builder.append({.timestamp = map_.shard().executor->clock().wall().milliseconds,
                    .key = std::nullopt,
                    .value = as_bytes(value),
                    .headers = {}});
    return builder.finish();
}

void ClusterProducer::transmit(std::int32_t partition, Batch& batch) {
    batch.was_sent = true;
    const Buffer bytes = batch_bytes(batch);
    protocol::ProduceRequest request;
    request.transactional_id.reset();
    request.acks = -1;
    request.timeout_ms = 2'000;
    auto& topic = request.topic_data.emplace_back();
    topic.topic_id = map_.topic_id();
    topic.partition_data.push_back(
        {.index = partition, .records = protocol::Records{.bytes = bytes}});
    net::Channel* const channel = map_.leader(partition).channel;
    MR_LOG(map_.log(), info, "producer.sends", field("partition", partition),
           field("sequence", batch.sequence), field("to", channel->address().host),
           field("epoch", map_.leader(partition).epoch));
    const std::uint64_t generation = lanes_[static_cast<std::size_t>(partition)].generation;
    ask<protocol::ProduceResponse>(
        *channel, request, produce_version, request_timeout,
        [this, alive = alive_, partition, generation, sequence = batch.sequence,
         channel](Result<Answered<protocol::ProduceResponse>> answer) {
            if (!*alive) {
                return;
            }
            Outcome outcome;
            if (answer && answer->response.responses.size() == 1 &&
                answer->response.responses[0].partition_responses.size() == 1) {
                const auto& told = answer->response.responses[0].partition_responses[0];
                outcome = {true, told.error_code, Offset{told.base_offset}};
            } else if (!answer && answer.error().code() == Code::timed_out) {
                channel->reset();
            }
            on_outcome(partition, generation, sequence, outcome);
        });
}

void ClusterProducer::on_outcome(std::int32_t partition, std::uint64_t generation,
                                 std::int32_t sequence, const Outcome& outcome) {
    Lane& lane = lanes_[static_cast<std::size_t>(partition)];
    const bool is_current = generation == lane.generation;
    const auto error = static_cast<KafkaError>(outcome.error);
    MR_LOG(map_.log(), info, "producer.outcome", field("partition", partition),
           field("sequence", sequence), field("answered", outcome.answered), field("error", error),
           field("base", outcome.base), field("current", is_current));
    if (outcome.answered &&
        (error == KafkaError::none || error == KafkaError::duplicate_sequence_number)) {
        accept(partition, sequence, error == KafkaError::none ? outcome.base : no_offset);
        pump(partition);
        return;
    }
    if (!is_current) {
        return;
    }
    const bool is_first = !lane.pending.empty() && lane.pending.front().sequence == sequence;
    const bool follows_a_failure = error == KafkaError::out_of_order_sequence_number && !is_first;
    if (outcome.answered && !is_retriable(error) && !follows_a_failure) {
        fail_(fmt::format("a producer was told {} for operation {} of partition {}", error,
                          is_first ? lane.pending.front().operation : 0, partition));
        return;
    }
    start_over(partition);
}

void ClusterProducer::accept(std::int32_t partition, std::int32_t sequence, Offset base) {
    Lane& lane = lanes_[static_cast<std::size_t>(partition)];
    const auto found = std::find_if(lane.pending.begin(), lane.pending.end(),
                                    [&](const Batch& batch) { return batch.sequence == sequence; });
    if (found == lane.pending.end()) {
        return;  // a second answer for what was sent twice
    }
    const auto index = static_cast<std::size_t>(found - lane.pending.begin());
    history_.acknowledged(found->operation, base);
    lane.pending.erase(found);
    lane.moved_at = map_.shard().executor->clock().now();
    if (index < lane.in_flight) {
        --lane.in_flight;
    }
    if (base != no_offset) {
        on_acknowledged_(partition, base);
    }
}

void ClusterProducer::start_over(std::int32_t partition) {
    Lane& lane = lanes_[static_cast<std::size_t>(partition)];
    ++lane.generation;
    lane.in_flight = 0;
    map_.refresh();
    if (std::exchange(lane.waits, true)) {
        return;
    }
    const Duration pause{
        map_.shard().random->between(pause_least.count(), Duration{pause_most}.count())};
    map_.shard().executor->after(pause, [this, partition, alive = alive_] {
        if (*alive) {
            lanes_[static_cast<std::size_t>(partition)].waits = false;
            pump(partition);
        }
    });
}

}  // namespace millrace::simtest
