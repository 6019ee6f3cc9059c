// InitProducerId: an id for an idempotent producer.

#include <memory>

#include "handlers/handlers.h"
#include "protocol/messages/init_producer_id_request.h"
#include "protocol/messages/init_producer_id_response.h"

namespace millrace::handlers {

void init_producer_id(
    const Doors& doors,
    Call<protocol::InitProducerIdRequest, protocol::InitProducerIdResponse> call) {
    const protocol::InitProducerIdRequest& request = call.request();
    protocol::InitProducerIdResponse response;
    if (request.transactional_id) {
        response.error_code =
            code_of(request.transactional_id->empty() ? KafkaError::invalid_request
                                                      : KafkaError::unsupported_version);
        response.producer_epoch = -1;
        call.answer(response);
        return;
    }
    if ((request.producer_id == -1) != (request.producer_epoch == -1)) {
        response.error_code = code_of(KafkaError::invalid_request);
        response.producer_epoch = -1;
        call.answer(response);
        return;
    }
    runtime::Executor& home = call.home();
    auto shared = std::make_shared<decltype(call)>(std::move(call));
    doors.producer_ids->next(home, [shared](Result<ProducerId> id) {
        protocol::InitProducerIdResponse answer;
        if (id) {
            answer.producer_id = id->value;
            answer.producer_epoch = 0;
        } else {
            answer.error_code = code_of(KafkaError::coordinator_load_in_progress);
            answer.producer_epoch = -1;
        }
        shared->answer(answer);
    });
}

}  // namespace millrace::handlers
