#include "app/internal/producer_ids.h"

#include <utility>

#include "model/kafka_error.h"
#include "protocol/messages/allocate_producer_ids_request.h"
#include "protocol/messages/allocate_producer_ids_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

using protocol::AllocateProducerIdsRequest;
using protocol::AllocateProducerIdsResponse;
using Answer = handlers::ControllerDoor::Answer;

constexpr Duration block_timeout = 10s;

Result<AllocateProducerIdsResponse> decode(const Result<Answer>& answer) {
    if (!answer) {
        return answer.error();
    }
    AllocateProducerIdsResponse response;
    protocol::Reader reader(answer->body);
    response.decode(reader, answer->version);
    if (!reader.ok()) {
        return reader.error();
    }
    if (response.error_code != 0) {
        return Error::make(Code::unavailable, "{}", static_cast<KafkaError>(response.error_code));
    }
    return response;
}

}  // namespace

struct BlockProducerIds::Inside : std::enable_shared_from_this<BlockProducerIds::Inside> {
    struct Waiting {
        runtime::Executor* home;
        UniqueFunction<void(Result<ProducerId>)> done;
        void finish(Result<ProducerId> id) {
            home->post(
                [done = std::move(done), id = std::move(id)]() mutable { done(std::move(id)); });
        }
    };

    Inside(BrokerId self_in, runtime::Executor& control_in, ControllerLink& controller_in,
           const Lifecycle& lifecycle_in)
        : self(self_in), control(control_in), controller(controller_in), lifecycle(lifecycle_in) {}

    void ask(Waiting one) {
        if (next < end) {
            one.finish(ProducerId{next++});
            return;
        }
        waiting.push_back(std::move(one));
        fetch_block();
    }

    void fetch_block() {
        if (asked) {
            return;
        }
        asked = true;
        AllocateProducerIdsRequest request;
        request.broker_id = self.value;
        request.broker_epoch = lifecycle.epoch().value;
        Buffer body;
        protocol::Writer writer(body);
        request.encode(writer, AllocateProducerIdsRequest::max_version);
        controller.call(AllocateProducerIdsRequest::api_key,
                        AllocateProducerIdsRequest::max_version, std::move(body), block_timeout,
                        [weak = weak_from_this()](Result<Answer> answer) {
                            if (auto inside = weak.lock()) {
                                inside->on_block(answer);
                            }
                        });
    }

    void on_block(const Result<Answer>& answer) {
        asked = false;
        const auto response = decode(answer);
        if (!response) {
            for (Waiting& one : std::exchange(waiting, {})) {
                one.finish(response.error());
            }
            return;
        }
        next = response->producer_id_start;
        end = next + response->producer_id_len;
        while (!waiting.empty() && next < end) {
            Waiting one = std::move(waiting.front());
            waiting.pop_front();
            one.finish(ProducerId{next++});
        }
        if (!waiting.empty()) {
            fetch_block();
        }
    }

    BrokerId self;
    runtime::Executor& control;
    ControllerLink& controller;
    const Lifecycle& lifecycle;
    std::int64_t next = 0;
    std::int64_t end = 0;
    bool asked = false;
    std::deque<Waiting> waiting;
};

BlockProducerIds::BlockProducerIds(BrokerId self, runtime::Executor& control,
                                   ControllerLink& controller, const Lifecycle& lifecycle)
    : inside_(std::make_shared<Inside>(self, control, controller, lifecycle)) {}

BlockProducerIds::~BlockProducerIds() = default;

void BlockProducerIds::next(runtime::Executor& home,
                            UniqueFunction<void(Result<ProducerId>)> done) {
    inside_->control.post([inside = inside_, &home, done = std::move(done)]() mutable {
        inside->ask({&home, std::move(done)});
    });
}

}  // namespace millrace::app
