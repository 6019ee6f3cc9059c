// AllocateProducerIds: blocks of producer ids that no other cluster gives out.
#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/allocate_producer_ids_request.h"
#include "protocol/messages/allocate_producer_ids_response.h"
#include "protocol/messages/producer_ids_record.h"

namespace millrace::metadata {
namespace {

/// A mirror keeps the producer ids of its source, so two clusters must not meet in one id. Each
/// starts at a random, non-zero 20-bit salt in the high bits; Kafka starts at 0 and stays below.
constexpr int salt_bits = 20;
constexpr int salt_shift = 43;

std::int64_t first_producer_id(Random& random) {
    const std::uint64_t salt = 1 + random.below((std::uint64_t{1} << salt_bits) - 1);
    return static_cast<std::int64_t>(salt << salt_shift);
}

}  // namespace

Decision<protocol::AllocateProducerIdsResponse> allocate_producer_ids(
    Context& context, const protocol::AllocateProducerIdsRequest& request) {
    Decision<protocol::AllocateProducerIdsResponse> decision(context);
    const Broker* broker = context.image.cluster.broker(BrokerId{request.broker_id});
    if (broker == nullptr || broker->epoch.value != request.broker_epoch) {
        decision.answer.error_code = code_of(KafkaError::stale_broker_epoch);
        return decision;
    }
    const std::int64_t start = context.image.next_producer_id ? *context.image.next_producer_id
                                                              : first_producer_id(context.random);
    const std::int32_t length = context.options.producer_id_block;
    if (start > INT64_MAX - length) {
        decision.answer.error_code = code_of(KafkaError::unknown_server_error);
        return decision;
    }
    protocol::ProducerIdsRecord record;
    record.broker_id = request.broker_id;
    record.broker_epoch = request.broker_epoch;
    record.next_producer_id = start + length;
    decision.draft.add(record, 0);
    decision.answer.producer_id_start = start;
    decision.answer.producer_id_len = length;
    return decision;
}

}  // namespace millrace::metadata
