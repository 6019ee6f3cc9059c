// Produce: validate each partition's batch here, on the connection's loop, then hand it to the loop
// that owns the partition. In the common case that is this loop, and the bytes go from the receive
// buffer to the file without a copy.

#include <algorithm>
#include <memory>
#include <vector>

#include "handlers/error_map.h"
#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "handlers/request_meter.h"
#include "handlers/topic_names.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "record/validate.h"

namespace millrace::handlers {
namespace {

using protocol::ProduceRequest;
using protocol::ProduceResponse;
using ProduceCall = Call<ProduceRequest, ProduceResponse>;

constexpr std::int16_t first_produce_with_ids = 13;
constexpr std::int16_t first_version_with_zstd = 7;
constexpr std::int16_t first_produce_with_leader = 10;
/// The one client that may write where only the brokers write.
constexpr std::string_view admin_client = "__admin_client";

struct PartitionOutcome {
    std::int32_t index = 0;
    replication::AppendResult result;
    std::vector<record::BadRecord> bad_records;
    std::string message;
    std::uint64_t records = 0;  ///< Of a batch that was handed to its partition.
    std::uint64_t bytes = 0;
    std::uint64_t rejected_bytes = 0;  ///< Of a batch that failed validation.
};

struct TopicOutcome {
    std::string name;      ///< As asked: empty where the topic was named by its id.
    std::string known_as;  ///< Of a topic that exists.
    Uuid id;
    std::vector<PartitionOutcome> partitions;
};

/// Everything the answer needs once the frame is gone.
struct Produced {
    const Doors* doors;
    ProduceCall call;
    std::int16_t acks;
    std::vector<TopicOutcome> topics;
};

void count(const Produced& progress) {
    RequestMeter& all = *progress.call.meta().meter;
    for (const TopicOutcome& topic : progress.topics) {
        std::uint64_t records = 0, bytes = 0, rejected = 0;
        for (const PartitionOutcome& partition : topic.partitions) {
            if (partition.result.error == KafkaError::none) {
                records += partition.records;
                bytes += partition.bytes;
            } else {
                rejected += partition.rejected_bytes;
                all.refused(Refused::produce, topic.known_as, partition.result.error);
            }
        }
        if (!topic.known_as.empty()) {
            TopicMeter& meter = all.topic(topic.known_as);
            meter.produced_records.add(records);
            meter.produced_bytes.add(bytes);
            meter.produce_requests.add();
            meter.rejected_bytes.add(rejected);
        }
    }
}

/// Where to find a leader that clients are sent to, said once (KIP-951).
void add_endpoint(ProduceResponse& response, const metadata::Image& image, BrokerId leader,
                  std::string_view listener) {
    const metadata::Broker* broker = image.cluster.broker(leader);
    const metadata::Endpoint* endpoint = broker == nullptr ? nullptr : broker->endpoint(listener);
    if (endpoint == nullptr ||
        std::any_of(response.node_endpoints.begin(), response.node_endpoints.end(),
                    [&](const auto& known) { return known.node_id == leader.value; })) {
        return;
    }
    auto& node = response.node_endpoints.emplace_back();
    node.node_id = broker->id.value;
    node.host = endpoint->host;
    node.port = endpoint->port;
    if (broker->rack) {
        node.rack = *broker->rack;
    }
}

void answer(Produced& progress) {
    count(progress);
    const RequestMeta& meta = progress.call.meta();
    if (quotas::Meter* meter = meta.quota ? meta.quota->meter(quotas::Kind::produce) : nullptr) {
        progress.call.throttle(meter->spend(
            static_cast<double>(progress.call.frame().bytes().size()), meta.home->clock().now()));
    }
    if (progress.acks == 0) {
        bool failed = false;
        for (const TopicOutcome& topic : progress.topics) {
            for (const PartitionOutcome& partition : topic.partitions) {
                failed = failed || partition.result.error != KafkaError::none;
            }
        }
        if (failed) {
            progress.call.close();  // the only way to tell a producer that asked for silence
        } else {
            progress.call.answer_nothing();
        }
        return;
    }
    ProduceResponse response;
    response.responses.reserve(progress.topics.size());
    const metadata::ImagePtr image = progress.doors->image->current();
    for (const TopicOutcome& topic : progress.topics) {
        auto& to = response.responses.emplace_back();
        to.name = topic.name;
        to.topic_id = topic.id;
        to.partition_responses.reserve(topic.partitions.size());
        for (const PartitionOutcome& from : topic.partitions) {
            auto& partition = to.partition_responses.emplace_back();
            partition.index = from.index;
            partition.error_code = code_of(from.result.error);
            partition.base_offset = from.result.base.value;
            partition.log_append_time_ms = from.result.append_time.milliseconds;
            partition.log_start_offset = from.result.log_start.value;
            for (const record::BadRecord& bad : from.bad_records) {
                partition.record_errors.push_back(
                    {.batch_index = bad.index, .batch_index_error_message = describe(bad.refusal)});
            }
            if (!from.message.empty()) {
                partition.error_message = from.message;
            }
            if (from.result.error == KafkaError::not_leader_or_follower &&
                progress.call.version() >= first_produce_with_leader &&
                from.result.leader != no_broker) {
                partition.current_leader = {.leader_id = from.result.leader.value,
                                            .leader_epoch = from.result.leader_epoch.value};
                add_endpoint(response, *image, from.result.leader, progress.call.meta().listener);
            }
        }
    }
    progress.call.answer(response);
}

/// A batch on its way to its partition.
struct Accepted {
    TopicIdPartition id;
    MutableBytes bytes;
    Buffer rewritten;  ///< Where the topic stores another codec; `bytes` then lies in here.
    PartitionOutcome* outcome;
};

/// What a partition takes until it is answered; a few are not worth counting.
constexpr std::size_t bytes_a_partition =
    sizeof(PartitionOutcome) + sizeof(Accepted) + sizeof(ProduceResponse::PartitionProduceResponse);
constexpr std::size_t many_partitions = 64;

class Judge {
public:
    Judge(const Doors& doors, const ProduceCall& call, Timestamp now)
        : doors_(doors), call_(call), now_(now) {}

    KafkaError judge(const metadata::Topic& topic, const TopicRules& rules,
                     const ProduceRequest::PartitionProduceData& data, PartitionOutcome& outcome,
                     std::vector<Accepted>& accepted) {
        const metadata::Partition* partition = topic.partition(PartitionIndex{data.index});
        if (partition == nullptr) {
            return KafkaError::unknown_topic_or_partition;
        }
        if (call_.request().acks < -1 || call_.request().acks > 1) {
            return KafkaError::invalid_required_acks;
        }
        if (is_internal_topic(topic.name) && call_.meta().client_id != admin_client) {
            outcome.message = "clients do not write to the brokers' own topics";
            return KafkaError::invalid_topic_exception;
        }
        if (rules.fenced) {
            outcome.message = "topic is fenced or a mirror: it takes no writes from clients";
            return KafkaError::policy_violation;
        }
        if (partition->leader != doors_.self) {
            outcome.result.leader = partition->leader;
            outcome.result.leader_epoch = partition->leader_epoch;
            return KafkaError::not_leader_or_follower;
        }
        record::ProduceRules produce = rules.produce;
        produce.is_zstd_allowed = call_.version() >= first_version_with_zstd;
        const ByteView bytes = data.records ? data.records->bytes : ByteView{};
        const record::Verdict verdict =
            record::validate_produce(bytes, produce, now_, decompressor_);
        if (!verdict.accepted()) {
            outcome.message = describe(verdict.refusal);
            outcome.rejected_bytes = bytes.size();
            outcome.bad_records = verdict.bad_records;
            return to_kafka(verdict.refusal);
        }
        if (verdict.batch->is_transactional()) {
            // Who may write for no transactional id at all?
            lacks_id_ = lacks_id_ || !call_.request().transactional_id;
            // Nobody could ever end what such a batch begins, and committed readers would wait.
            outcome.message = "no transaction coordinator knows this transactional id";
            return KafkaError::invalid_producer_id_mapping;
        }
        Accepted one;
        one.id = {topic.id, PartitionIndex{data.index}};
        one.outcome = &outcome;
        outcome.records = static_cast<std::uint64_t>(verdict.batch->record_count());
        outcome.bytes = bytes.size();
        // The frame is ours to patch: a view of it is only const on its way through the codec.
        one.bytes = {const_cast<std::byte*>(bytes.data()), bytes.size()};
        if (verdict.recompress) {
            auto rewritten =
                record::recompress(*verdict.batch, rules.stored, produce.max_batch_size,
                                   produce.decompress, decompressor_, compressor_);
            if (!rewritten) {
                outcome.message = rewritten.error().message();
                return rewritten.error().code() == Code::exhausted ? KafkaError::message_too_large
                                                                   : KafkaError::corrupt_message;
            }
            one.rewritten = *std::move(rewritten);
            one.bytes = one.rewritten;
        }
        if (one.bytes.size() >
            static_cast<std::size_t>(rules.replication.limits.segment_bytes.count)) {
            outcome.message = "the batch is larger than a segment of the topic's log";
            outcome.rejected_bytes = bytes.size();
            return KafkaError::record_list_too_large;
        }
        record::stamp(one.bytes, verdict, Offset{0}, LeaderEpoch{0});
        accepted.push_back(std::move(one));
        return KafkaError::none;
    }

    /// A batch belongs to a transaction, and the request doesn't say to whose: all of it is
    /// refused.
    bool lacks_transactional_id() const { return lacks_id_; }

private:
    const Doors& doors_;
    const ProduceCall& call_;
    Timestamp now_;
    bool lacks_id_ = false;
    record::Decompressor decompressor_;
    record::Compressor compressor_;
};

const metadata::Topic* find_topic(const metadata::Image& image, std::int16_t version,
                                  const ProduceRequest::TopicProduceData& topic) {
    return version >= first_produce_with_ids ? image.topics.find(topic.topic_id)
                                             : image.topics.find(topic.name);
}

void send_to_owner(const std::shared_ptr<Produced>& progress, const std::shared_ptr<Gather>& gather,
                   Accepted one, Duration timeout) {
    const replication::Replicas& replicas = *progress->doors->replicas;
    runtime::Executor& home = progress->call.home();
    auto done = [progress, gather, outcome = one.outcome, &home](replication::AppendResult result) {
        run_on(home, [progress, gather, outcome, result] {
            outcome->result = result;
            gather->arrive();
        });
    };
    // The frame lives in `progress`, a rewritten batch in `one`: both outlast the owner's call.
    replicas.on_shard(replicas.shard_of(one.id),
                      [one = std::move(one), acks = progress->acks, timeout,
                       done = std::move(done)](replication::ShardReplicas& shard) mutable {
                          replication::Append append;
                          append.id = one.id;
                          append.batch =
                              one.rewritten.empty() ? one.bytes : MutableBytes(one.rewritten);
                          append.acks = acks;
                          append.timeout = timeout;
                          append.done = std::move(done);
                          shard.append(std::move(append));
                      });
}

void refuse_all(Produced& progress, std::vector<Accepted>& accepted) {
    accepted.clear();
    for (TopicOutcome& topic : progress.topics) {
        for (PartitionOutcome& partition : topic.partitions) {
            const std::int32_t index = partition.index;
            partition = {};
            partition.index = index;
            partition.message = "a transactional batch needs a transactional id in its request";
            partition.result.error = KafkaError::transactional_id_authorization_failed;
        }
    }
}

}  // namespace

void produce(const Doors& doors, ProduceCall call) {
    const std::int16_t version = call.version();
    const std::int16_t acks = call.request().acks;
    const metadata::ImagePtr image = doors.image->current();
    const auto book = doors.topics->current();
    const Timestamp now = call.home().clock().wall();
    const Duration timeout = std::chrono::milliseconds{std::max(0, call.request().timeout_ms)};

    std::size_t partitions = 0;
    for (const auto& topic : call.request().topic_data) {
        partitions += topic.partition_data.size();
    }
    if (partitions > many_partitions && !call.hold(static_cast<std::size_t>(call.frame().held()) +
                                                   partitions * bytes_a_partition)) {
        return;
    }
    auto progress = std::make_shared<Produced>(Produced{&doors, std::move(call), acks, {}});
    const ProduceRequest& request = progress->call.request();
    progress->topics.resize(request.topic_data.size());
    std::vector<Accepted> accepted;
    Judge judge(doors, progress->call, now);
    for (std::size_t t = 0; t < request.topic_data.size(); ++t) {
        const auto& asked = request.topic_data[t];
        TopicOutcome& outcome = progress->topics[t];
        outcome.id = asked.topic_id;
        outcome.name = std::string(asked.name);
        outcome.partitions.resize(asked.partition_data.size());
        const metadata::Topic* topic = find_topic(*image, version, asked);
        outcome.known_as = topic == nullptr ? std::string() : topic->name;
        const auto rules = topic == nullptr ? nullptr : book->rules(topic->name);
        for (std::size_t p = 0; p < asked.partition_data.size(); ++p) {
            PartitionOutcome& partition = outcome.partitions[p];
            partition.index = asked.partition_data[p].index;
            KafkaError error = KafkaError::none;
            if (topic == nullptr) {
                error = version >= first_produce_with_ids ? KafkaError::unknown_topic_id
                                                          : KafkaError::unknown_topic_or_partition;
            } else {
                error = judge.judge(*topic, *rules, asked.partition_data[p], partition, accepted);
            }
            partition.result.error = error;
        }
    }
    if (judge.lacks_transactional_id()) {
        refuse_all(*progress, accepted);
    }
    auto gather = Gather::of(accepted.size() + 1, [progress] { answer(*progress); });
    for (Accepted& one : accepted) {
        send_to_owner(progress, gather, std::move(one), timeout);
    }
    gather->arrive();
}

}  // namespace millrace::handlers
