#include "tests/sim/systems/cluster_reader.h"

#include <utility>

#include "model/kafka_error.h"
#include "protocol/messages/fetch_request.h"
#include "record/record_view.h"
#include "tests/sim/systems/cluster_producer.h"
#include "tests/sim/systems/cluster_wire.h"

namespace millrace::simtest {

namespace {

constexpr std::int16_t fetch_version = 17;
constexpr Duration fetch_wait = 400ms;
constexpr Duration request_timeout = 3s;
constexpr Duration pause = 150ms;
constexpr std::int32_t max_bytes = 1 << 20;

}  // namespace

ClusterReader::ClusterReader(std::int32_t partitions, std::string rack, ClusterMap& map,
                             ClusterHistory& history, std::function<void(std::string)> fail,
                             std::function<void(std::int32_t, Offset)> on_read)
    : rack_(std::move(rack)),
      map_(map),
      history_(history),
      fail_(std::move(fail)),
      on_read_(std::move(on_read)),
      positions_(static_cast<std::size_t>(partitions), Offset{0}),
      nearest_(static_cast<std::size_t>(partitions), no_broker) {
    for (std::int32_t partition = 0; partition < partitions; ++partition) {
        fetch_later(partition);
    }
}

ClusterReader::~ClusterReader() {
    *alive_ = false;
}

void ClusterReader::fetch_later(std::int32_t partition) {
    map_.shard().executor->after(pause, [this, partition, alive = alive_] {
        if (*alive) {
            fetch(partition);
        }
    });
}

void ClusterReader::go_back(std::int32_t partition) {
    nearest_[static_cast<std::size_t>(partition)] = no_broker;
    map_.refresh();
    fetch_later(partition);
}

void ClusterReader::fetch(std::int32_t partition) {
    const BrokerId nearest = nearest_[static_cast<std::size_t>(partition)];
    const ClusterMap::Leader leader =
        nearest == no_broker ? map_.leader(partition) : map_.replica(partition, nearest);
    if (leader.channel == nullptr || map_.topic_id().is_zero()) {
        go_back(partition);
        return;
    }
    protocol::FetchRequest request;
    request.rack_id = rack_;
    request.max_wait_ms = static_cast<std::int32_t>(to_milliseconds(fetch_wait));
    request.min_bytes = 1;
    auto& topic = request.topics.emplace_back();
    topic.topic_id = map_.topic_id();
    topic.partitions.push_back({.partition = partition,
                                .current_leader_epoch = leader.epoch.value,
                                .fetch_offset = position(partition).value,
                                .partition_max_bytes = max_bytes});
    ask<protocol::FetchResponse>(*leader.channel, request, fetch_version, request_timeout,
                                 [this, partition, channel = leader.channel, alive = alive_](
                                     Result<Answered<protocol::FetchResponse>> answer) {
                                     if (!*alive) {
                                         return;
                                     }
                                     if (answer) {
                                         take(partition, answer->response);
                                         return;
                                     }
                                     if (answer.error().code() == Code::timed_out) {
                                         channel->reset();
                                     }
                                     go_back(partition);
                                 });
}

void ClusterReader::take(std::int32_t partition, const protocol::FetchResponse& response) {
    if (response.error_code != 0 || response.responses.size() != 1 ||
        response.responses[0].partitions.size() != 1) {
        go_back(partition);
        return;
    }
    const auto& data = response.responses[0].partitions[0];
    const auto error = static_cast<KafkaError>(data.error_code);
    BrokerId& nearest = nearest_[static_cast<std::size_t>(partition)];
    // A follower may not have got that far yet.
    const bool is_out_of_range = error == KafkaError::offset_out_of_range && nearest == no_broker;
    if (is_out_of_range || error == KafkaError::corrupt_message) {
        fail_(fmt::format("a consumer at {} of partition {} was told {}", position(partition),
                          partition, error));
        return;
    }
    if (error != KafkaError::none) {
        go_back(partition);
        return;
    }
    if (data.preferred_read_replica >= 0) {
        if (rack_.empty() || nearest != no_broker) {
            fail_(fmt::format("a consumer {} was sent on to node {}",
                              rack_.empty() ? "without a rack" : "at a follower",
                              data.preferred_read_replica));
            return;
        }
        nearest = BrokerId{data.preferred_read_replica};
    }
    if (data.records) {
        take_records(partition, data.records->bytes);
    }
    fetch(partition);
}

void ClusterReader::take_records(std::int32_t partition, ByteView bytes) {
    Offset& at = positions_[static_cast<std::size_t>(partition)];
    record::BatchRange range{bytes};
    while (const auto batch = range.next()) {
        if (!batch->check()) {
            fail_(fmt::format("a consumer got a broken batch at {} of partition {}",
                              batch->base_offset(), partition));
            return;
        }
        record::RecordReader reader{*batch};
        for (record::RecordView record; reader.next(record);) {
            const Offset offset = record::offset_of(*batch, record);
            if (offset < at) {
                continue;  // a batch may begin before what was asked for
            }
            const auto operation = operation_of(as_text(record.value.value_or(ByteView{})));
            if (!operation) {
                fail_(fmt::format("a consumer read what nobody wrote at {} of partition {}", offset,
                                  partition));
                return;
            }
            history_.read(partition, offset, *operation);
        }
        at = std::max(at, batch->next_offset());
    }
    on_read_(partition, at);
    if (history_.broken()) {
        fail_(*history_.broken());
    }
}

}  // namespace millrace::simtest
