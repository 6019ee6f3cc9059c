// handlers/error_map.h
//
// The one place where an Error of ours becomes what a Kafka client is told.
#pragma once

#include "base/error.h"
#include "model/kafka_error.h"
#include "record/validate.h"

namespace millrace::handlers {

KafkaError to_kafka(const Error& error);
KafkaError to_kafka(record::Refusal refusal);

}  // namespace millrace::handlers
