#include "handlers/error_map.h"

namespace millrace::handlers {

KafkaError to_kafka(const Error& error) {
    switch (error.code()) {
        case Code::not_leader:
            return KafkaError::not_controller;
        case Code::unavailable:
        case Code::timed_out:
            return KafkaError::request_timed_out;
        case Code::closed:
        case Code::cancelled:
            return KafkaError::network_exception;
        case Code::corrupt:
            return KafkaError::corrupt_message;
        case Code::io:
        case Code::no_space:
            return KafkaError::kafka_storage_error;
        case Code::invalid:
            return KafkaError::invalid_request;
        case Code::permission:
            return KafkaError::cluster_authorization_failed;
        case Code::unsupported:
            return KafkaError::unsupported_version;
        case Code::busy:
        case Code::exhausted:
            return KafkaError::throttling_quota_exceeded;
        case Code::fenced:
            return KafkaError::stale_broker_epoch;
        case Code::not_found:
        case Code::exists:
        case Code::again:
        case Code::internal:
            return KafkaError::unknown_server_error;
    }
    return KafkaError::unknown_server_error;
}

KafkaError to_kafka(record::Refusal refusal) {
    using record::Refusal;
    switch (refusal) {
        case Refusal::none:
            return KafkaError::none;
        case Refusal::malformed:
        case Refusal::bad_crc:
        case Refusal::bad_compressed_data:
            return KafkaError::corrupt_message;
        case Refusal::old_magic:
        case Refusal::not_one_batch:
        case Refusal::base_offset_not_zero:
        case Refusal::bad_count:
        case Refusal::control_batch:
        case Refusal::bad_sequence:
        case Refusal::bad_record:
        case Refusal::missing_key:
            return KafkaError::invalid_record;
        case Refusal::too_large:
        case Refusal::too_large_inside:
            return KafkaError::message_too_large;
        case Refusal::timestamp_type:
        case Refusal::timestamp_range:
            return KafkaError::invalid_timestamp;
        case Refusal::unknown_codec:
        case Refusal::codec_too_new:
            return KafkaError::unsupported_compression_type;
    }
    return KafkaError::unknown_server_error;
}

}  // namespace millrace::handlers
