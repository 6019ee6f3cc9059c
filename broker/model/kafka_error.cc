#include "model/kafka_error.h"

namespace millrace {

std::string_view to_string(KafkaError error) {
    switch (error) {
#define MR_KAFKA_ERROR(name, wire_name, code, retriable, message) \
    case KafkaError::name: return wire_name;
#include "model/kafka_errors.def"
#undef MR_KAFKA_ERROR
    }
    return "UNKNOWN_SERVER_ERROR";
}

std::string_view message_of(KafkaError error) {
    switch (error) {
#define MR_KAFKA_ERROR(name, wire_name, code, retriable, message) \
    case KafkaError::name: return message;
#include "model/kafka_errors.def"
#undef MR_KAFKA_ERROR
    }
    return message_of(KafkaError::unknown_server_error);
}

bool is_retriable(KafkaError error) {
    switch (error) {
#define MR_KAFKA_ERROR(name, wire_name, code, retriable, message) \
    case KafkaError::name: return retriable;
#include "model/kafka_errors.def"
#undef MR_KAFKA_ERROR
    }
    return false;
}

}  // namespace millrace
