// app/internal/in_process_call.h
//
// A request of the Kafka protocol from inside the process, through the same dispatcher as one from
// a listener.
#pragma once

#include "admin/doors.h"
#include "app/internal/broker_view.h"

namespace millrace::app {

/// From any thread; for this broker, whatever the call's target. Answers that hold file ranges
/// (Fetch) are refused.
void call_in_process(const BrokerView& view, admin::KafkaCall call, const std::string& address,
                     admin::Reply<Buffer> reply);

/// The request with a header of ours.
Buffer framed(const admin::KafkaCall& call);

/// An answer without its header.
Result<Buffer> body_of(ByteView answer, std::int16_t header_version);

}  // namespace millrace::app
