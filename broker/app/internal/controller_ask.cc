#include "app/internal/controller_ask.h"

#include <string>

namespace millrace::app {
namespace {

Code code_for(KafkaError error) {
    switch (error) {
        case KafkaError::broker_id_not_registered:
        case KafkaError::unknown_topic_or_partition:
        case KafkaError::voter_not_found:
            return Code::not_found;
        case KafkaError::duplicate_voter:
            return Code::exists;
        case KafkaError::not_controller:
        case KafkaError::not_leader_or_follower:
            return Code::not_leader;
        case KafkaError::request_timed_out:
            return Code::timed_out;
        case KafkaError::cluster_authorization_failed:
            return Code::permission;
        case KafkaError::unsupported_version:
            return Code::unsupported;
        case KafkaError::ineligible_replica:
        case KafkaError::fenced_leader_epoch:
        case KafkaError::reassignment_in_progress:
            return Code::fenced;
        case KafkaError::unknown_server_error:
            return Code::internal;
        default:
            return Code::invalid;
    }
}

}  // namespace

Error error_of(std::int16_t kafka_code, std::optional<std::string_view> message) {
    const auto error = static_cast<KafkaError>(kafka_code);
    return Error(code_for(error), message && !message->empty() ? std::string(*message)
                                                               : std::string(message_of(error)));
}

}  // namespace millrace::app
