// What a pull asks of the source beyond fetching: whether what both have is the same, where the log
// begins and ends, where an epoch ended.
#include <algorithm>

#include "mirror/internal/link_pull.h"
#include "mirror/internal/same_records.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/offset_for_leader_epoch_request.h"
#include "protocol/messages/offset_for_leader_epoch_response.h"
#include "storage/partition_log.h"

namespace millrace::mirror {
namespace {

constexpr Duration question_timeout = 10s;
constexpr std::int32_t verify_bytes = 64 << 10;  ///< The first batch comes whole.
/// Of what was compacted, the last batch may be on one side only.
constexpr std::int64_t verify_offsets = 1000;
constexpr std::int64_t earliest_stamp = -2;
constexpr std::int64_t latest_stamp = -1;

/// What an answer says of the one partition that was asked about; null: nothing that can be used.
template <typename Response>
auto* told_of_partition(const Result<Response>& response) {
    const bool has_one =
        response && !response->topics.empty() && !response->topics.front().partitions.empty();
    auto* one = has_one ? &response->topics.front().partitions.front() : nullptr;
    return one != nullptr && one->error_code == 0 ? one : nullptr;
}

}  // namespace

/// The source may be another broker by now.
void LinkPull::ask_again_later(Pull& pull) {
    up_.refresh_source(id_);
    wait(pull, back_off);
}

void LinkPull::verify(Pull& pull, Offset end, PartitionEffects rest) {
    using protocol::FetchRequest;
    using protocol::FetchResponse;
    client::Connection* connection = connection_of(pull);
    const auto log = facts(pull);
    if (connection == nullptr || !log) {
        wait(pull, back_off);
        return;
    }
    const Offset from = pull.job.is_compacted
                            ? std::max({end - verify_offsets, log->start, pull.told_start})
                            : end - 1;
    client::ask<FetchRequest, FetchResponse>(
        *connection, question_timeout,
        [topic = pull.job.source_topic, partition = pull.job.id.partition,
         from = std::min(from, end - 1)](std::int16_t) {
            FetchRequest request;
            request.min_bytes = 1;
            request.max_bytes = verify_bytes;
            auto& to = request.topics.emplace_back();
            to.topic = topic;
            auto& one = to.partitions.emplace_back();
            one.partition = partition.value;
            one.fetch_offset = from.value;
            one.partition_max_bytes = verify_bytes;
            return request;
        },
        if_same(pull, [end, rest = std::move(rest)](
                          LinkPull& self, Pull& now, const Result<FetchResponse>& response,
                          std::int16_t) { self.on_verified(now, end, rest, response); }),
        {9, 12});  // by name: an answer of one partition needs no ids
}

void LinkPull::on_verified(Pull& pull, Offset end, const PartitionEffects& rest,
                           const Result<protocol::FetchResponse>& response) {
    if (!response || response->responses.empty() ||
        response->responses.front().partitions.empty()) {
        wait(pull, back_off);
        return;
    }
    const auto& data = response->responses.front().partitions.front();
    const auto error = static_cast<KafkaError>(data.error_code);
    if (error != KafkaError::none && error != KafkaError::offset_out_of_range) {
        wait(pull, back_off);
        return;
    }
    // Out of range: the source keeps nothing there any more that could differ.
    record::BatchRange theirs(data.records ? data.records->bytes : ByteView{});
    while (const auto batch = theirs.next()) {
        if (batch->base_offset() >= end) {
            break;
        }
        if (batch->next_offset() > end || !is_ours(pull, *batch)) {
            run(pull, {Halt{HaltReason::divergence}});
            return;
        }
    }
    run(pull, rest);
}

bool LinkPull::is_ours(const Pull& pull, const record::BatchView& theirs) {
    const auto slice = replicas_.read_mirrored(pull.job.id, pull.job.leader_epoch,
                                               theirs.base_offset(), 1);  // one batch, whole
    if (!slice || slice->empty()) {
        return true;  // nothing of ours lies there: deleted here
    }
    Buffer bytes(slice->length);
    const auto got = slice->file->read_at(slice->position, bytes);
    const auto ours = record::BatchView::parse(bytes);
    if (!got || !ours) {
        return false;
    }
    if (std::equal(bytes.begin(), bytes.end(), theirs.bytes().begin(), theirs.bytes().end())) {
        return true;
    }
    // Compaction takes records out of a batch and leaves its bounds: the topic may have been a
    // compacted one until a moment ago.
    const bool may_be_cleaned =
        pull.job.is_compacted || (ours->base_offset() == theirs.base_offset() &&
                                  ours->next_offset() == theirs.next_offset() &&
                                  theirs.record_count() < ours->record_count());
    return may_be_cleaned && agree(theirs, *ours);
}

template <typename Then>
void LinkPull::ask_offset(Pull& pull, std::int64_t which, Then then) {
    using protocol::ListOffsetsRequest;
    using protocol::ListOffsetsResponse;
    client::Connection* connection = connection_of(pull);
    if (connection == nullptr) {
        wait(pull, back_off);
        return;
    }
    client::ask<ListOffsetsRequest, ListOffsetsResponse>(
        *connection, question_timeout,
        [topic = pull.job.source_topic, epoch = pull.job.source_epoch, which,
         partition = pull.job.id.partition](std::int16_t) {
            ListOffsetsRequest request;
            request.replica_id = -1;
            auto& to = request.topics.emplace_back();
            to.name = topic;
            auto& one = to.partitions.emplace_back();
            one.partition_index = partition.value;
            one.current_leader_epoch = epoch.value;
            one.timestamp = which;
            return request;
        },
        if_same(pull,
                [then](LinkPull& self, Pull& now, const Result<ListOffsetsResponse>& response,
                       std::int16_t) {
                    if (const auto* told = told_of_partition(response)) {
                        then(self, now, Offset{told->offset});
                    } else {
                        self.ask_again_later(now);
                    }
                }),
        {4, ListOffsetsRequest::max_version});
}

void LinkPull::ask_range(Pull& pull) {
    ask_offset(pull, earliest_stamp, [](LinkPull& self, Pull& now, Offset start) {
        self.ask_offset(now, latest_stamp, [start](LinkPull& again, Pull& then, Offset end) {
            if (const auto log = again.facts(then)) {
                again.run(then, then.core.on_range(start, end, *log));
            }
        });
    });
}

void LinkPull::ask_epoch_end(Pull& pull, LeaderEpoch epoch) {
    using protocol::OffsetForLeaderEpochRequest;
    using protocol::OffsetForLeaderEpochResponse;
    client::Connection* connection = connection_of(pull);
    if (connection == nullptr) {
        wait(pull, back_off);
        return;
    }
    client::ask<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(
        *connection, question_timeout,
        [topic = pull.job.source_topic, current = pull.job.source_epoch, epoch,
         partition = pull.job.id.partition](std::int16_t) {
            OffsetForLeaderEpochRequest request;
            request.replica_id = -1;
            auto& to = request.topics.emplace_back();
            to.topic = topic;
            auto& one = to.partitions.emplace_back();
            one.partition = partition.value;
            one.current_leader_epoch = current.value;
            one.leader_epoch = epoch.value;
            return request;
        },
        if_same(pull,
                [epoch](LinkPull& self, Pull& now,
                        const Result<OffsetForLeaderEpochResponse>& response, std::int16_t) {
                    const auto log = self.facts(now);
                    const auto* end = told_of_partition(response);
                    if (!log || end == nullptr) {
                        self.ask_again_later(now);
                        return;
                    }
                    self.run(now, now.core.on_epoch_end(epoch, LeaderEpoch{end->leader_epoch},
                                                        Offset{end->end_offset}, *log));
                }),
        {2, OffsetForLeaderEpochRequest::max_version});
}

}  // namespace millrace::mirror
