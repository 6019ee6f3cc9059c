// app/internal/in_process_call.h
//
// A request of the Kafka protocol from inside the process, through the same dispatcher as one from
// a listener.
#pragma once

#include "admin/doors.h"
#include "app/internal/broker_view.h"

namespace millrace::app {

/// From any thread. Answers that hold file ranges (Fetch) are refused.
void call_in_process(const BrokerView& view, admin::KafkaCall call, const std::string& address,
                     admin::Reply<Buffer> reply);

}  // namespace millrace::app
