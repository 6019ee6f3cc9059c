#include "app/internal/lifecycle.h"

#include <utility>

#include "app/internal/unheard_failures.h"
#include "app/internal/what_we_offer.h"
#include "metadata/recovered_directories.h"
#include "metadata/refusal_reason.h"
#include "model/kafka_error.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_heartbeat_response.h"
#include "protocol/messages/broker_registration_request.h"
#include "protocol/messages/broker_registration_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

using protocol::BrokerHeartbeatRequest;
using protocol::BrokerHeartbeatResponse;
using protocol::BrokerRegistrationRequest;
using protocol::BrokerRegistrationResponse;

constexpr Duration call_patience = 3s;
constexpr Duration step_again = 100ms;
constexpr int most_refusals = 5;  ///< The pause doubles with each.

template <typename Request>
Buffer encode(const Request& request) {
    Buffer body;
    protocol::Writer writer(body);
    request.encode(writer, Request::max_version);
    MR_ASSERT(writer.ok());
    return body;
}

template <typename Response>
Result<Response> decode(const handlers::ControllerDoor::Answer& answer) {
    Response response;
    protocol::Reader reader(answer.body);
    response.decode(reader, answer.version);
    if (!reader.ok()) {
        return reader.error();
    }
    return response;
}

}  // namespace

struct Lifecycle::Inside : std::enable_shared_from_this<Lifecycle::Inside> {
    enum class State { starting, registered, unfenced, leaving, gone };

    Inside(Options options_in, runtime::Executor& control_in, ControllerLink& controller_in,
           const metadata::ImageHandle& image_in, const Logger& log_in)
        : options(std::move(options_in)),
          control(control_in),
          controller(controller_in),
          image(image_in),
          log(log_in),
          unheard(options.failure_timeout) {}

    void enroll() {
        BrokerRegistrationRequest request;
        request.broker_id = options.self.value;
        request.cluster_id = options.cluster_id;
        request.incarnation_id = options.incarnation;
        add_what_we_offer(request, options.endpoints);
        request.rack.reset();
        if (options.rack) {
            request.rack = *options.rack;
        }
        request.log_dirs = options.directories;
        request.previous_broker_epoch = options.previous_epoch ? options.previous_epoch->value : -1;
        const Buffer proof = metadata::encode_recovered_directories(recovered);
        if (!recovered.empty()) {
            request.unknown_tags.push_back(
                {.tag = metadata::recovered_directories_tag, .data = proof});
        }
        controller.call(BrokerRegistrationRequest::api_key, BrokerRegistrationRequest::max_version,
                        encode(request), call_patience,
                        [weak = weak_from_this()](Result<handlers::ControllerDoor::Answer> answer) {
                            if (auto self = weak.lock()) {
                                self->on_enrolled(std::move(answer));
                            }
                        });
    }

    void on_enrolled(Result<handlers::ControllerDoor::Answer> answer) {
        auto response = answer ? decode<BrokerRegistrationResponse>(*answer)
                               : Result<BrokerRegistrationResponse>(answer.error());
        const auto error = response ? static_cast<KafkaError>(response->error_code)
                                    : KafkaError::request_timed_out;
        if (error != KafkaError::none) {
            std::string reason = response ? std::string(metadata::refusal_reason(*response))
                                          : response.error().message();
            if (reason.empty()) {
                reason = message_of(error);  // a controller of Kafka's
            }
            MR_LOG(log, warn, "broker.registration_refused", field("error", error),
                   field("reason", reason));
            // Who waits for a controller asks soon again; who was refused by one would only be so
            // again.
            refusals = response ? std::min(refusals + 1, most_refusals) : 0;
            again(&Inside::enroll, step_again * (1 << refusals));
            return;
        }
        refusals = 0;
        epoch = BrokerEpoch{response->broker_epoch};
        state = State::registered;
        MR_LOG(log, info, "broker.registered", field("broker", options.self),
               field("epoch", epoch));
        beat();
    }

    void again(void (Inside::*step)(), Duration pause = step_again) {
        control.after(pause, [weak = weak_from_this(), step] {
            if (auto self = weak.lock(); self && self->state != State::gone) {
                ((*self).*step)();
            }
        });
    }

    /// Our own registration has come back through the log: what came before it is known, too.
    bool is_current() const {
        const metadata::ImagePtr now = image.current();
        const metadata::Broker* us = now->cluster.broker(options.self);
        return us != nullptr && us->epoch == epoch;
    }

    void beat() {
        control.cancel(timer);
        timer = {};
        if (in_flight || state == State::gone) {
            beat_wanted = true;
            return;
        }
        in_flight = true;
        beat_wanted = false;
        BrokerHeartbeatRequest request;
        request.broker_id = options.self.value;
        request.broker_epoch = epoch.value;
        request.current_metadata_offset = image.current()->provenance.end.value - 1;
        request.want_fence = !is_current();
        request.want_shut_down = state == State::leaving;
        if (options.failed_directories) {
            request.offline_log_dirs = options.failed_directories();
            if (unheard.is_overdue(request.offline_log_dirs, control.clock().now())) {
                options.on_failure_unheard();
            }
            said_failed = request.offline_log_dirs;
        }
        if (options.cordoned) {
            said_cordoned = options.cordoned();
            request.cordoned_log_dirs = said_cordoned;
        }
        said_current = !request.want_fence;
        controller.call(BrokerHeartbeatRequest::api_key, BrokerHeartbeatRequest::max_version,
                        encode(request), call_patience,
                        [weak = weak_from_this()](Result<handlers::ControllerDoor::Answer> answer) {
                            if (auto self = weak.lock()) {
                                self->on_beat(std::move(answer));
                            }
                        });
    }

    void on_beat(Result<handlers::ControllerDoor::Answer> answer) {
        in_flight = false;
        if (!answer && state == State::leaving) {
            // Nobody leads the quorum: when a whole cluster stops, the last brokers see this.
            // Nobody can hand our leadership over either.
            MR_LOG(log, info, "broker.leaves_unheard", field("reason", answer.error().message()));
            gone();
            return;
        }
        auto response = answer ? decode<BrokerHeartbeatResponse>(*answer)
                               : Result<BrokerHeartbeatResponse>(answer.error());
        const auto error = response ? static_cast<KafkaError>(response->error_code)
                                    : KafkaError::request_timed_out;
        if (error == KafkaError::stale_broker_epoch ||
            error == KafkaError::broker_id_not_registered) {
            MR_LOG(log, warn, "broker.registration_lost", field("error", error));
            if (state == State::leaving) {
                gone();
                return;
            }
            if (state == State::unfenced) {
                look_for_registration();
                return;
            }
            state = State::starting;
            enroll();
            return;
        }
        if (error == KafkaError::none) {
            unheard.heard(said_failed);
            if (state == State::leaving && response->should_shut_down) {
                gone();
                return;
            }
            if (state == State::registered && !response->is_fenced) {
                state = State::unfenced;
                MR_LOG(log, info, "broker.unfenced", field("broker", options.self));
            } else if (state == State::unfenced && response->is_fenced) {
                state = State::registered;
                MR_LOG(log, warn, "broker.fenced", field("broker", options.self));
            }
        }
        // While something is expected soon, ask soon; otherwise at the interval.
        const bool eager = beat_wanted || state == State::leaving ||
                           (state == State::registered && !said_current && is_current());
        schedule(eager ? Duration{1ms} : options.heartbeat_interval);
    }

    /// The controller doesn't know us any more, after it did. If somebody unregistered this broker,
    /// it stays away until its next start; whoever did that counts on it.
    void look_for_registration() {
        const metadata::ImagePtr now = image.current();
        const metadata::Broker* us = now->cluster.broker(options.self);
        if (us != nullptr && us->epoch == epoch) {
            control.after(step_again, [weak = weak_from_this()] {
                if (auto self = weak.lock(); self && self->state == State::unfenced) {
                    self->look_for_registration();  // our image is behind the controller's
                }
            });
        } else if (us == nullptr) {
            MR_LOG(log, warn, "broker.unregistered", field("broker", options.self),
                   field("remedy", "restart it to let it join again"));
            gone();
        } else {
            state = State::starting;
            enroll();
        }
    }

    void schedule(Duration delay) {
        timer = control.after(delay, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->beat();
            }
        });
    }

    void gone() {
        if (state == State::gone) {
            return;
        }
        state = State::gone;
        control.cancel(timer);
        control.cancel(patience);
        if (left) {
            auto done = std::move(left);
            done();
        }
    }

    Options options;
    runtime::Executor& control;
    ControllerLink& controller;
    const metadata::ImageHandle& image;
    const Logger& log;
    State state = State::starting;
    BrokerEpoch epoch{-1};
    std::vector<Uuid> recovered;
    runtime::TimerId timer{};
    runtime::TimerId patience{};
    int refusals = 0;  ///< Of the registration, one after another.
    bool in_flight = false;
    bool beat_wanted = false;
    bool said_current = false;
    UnheardFailures unheard;
    std::vector<Uuid> said_failed;
    std::vector<Uuid> said_cordoned;
    UniqueFunction<void()> left;
};

Lifecycle::Lifecycle(Options options, runtime::Executor& control, ControllerLink& controller,
                     const metadata::ImageHandle& image, const Logger& log)
    : inside_(std::make_shared<Inside>(std::move(options), control, controller, image, log)) {}

Lifecycle::~Lifecycle() = default;

void Lifecycle::start(std::vector<Uuid> recovered) {
    inside_->recovered = std::move(recovered);
    inside_->enroll();
}

void Lifecycle::on_publish(const metadata::ImagePtr&) {
    if (inside_->state == Inside::State::registered && !inside_->said_current &&
        inside_->is_current()) {
        inside_->beat();
    }
}

void Lifecycle::tell_cordoned() {
    const bool enrolled =
        inside_->state == Inside::State::registered || inside_->state == Inside::State::unfenced;
    if (enrolled && inside_->options.cordoned &&
        inside_->options.cordoned() != inside_->said_cordoned) {
        inside_->beat();
    }
}

void Lifecycle::leave(Duration patience, UniqueFunction<void()> done) {
    Inside& self = *inside_;
    self.left = std::move(done);
    if (self.state == Inside::State::starting || self.state == Inside::State::gone) {
        self.state = Inside::State::leaving;
        self.gone();
        return;
    }
    self.state = Inside::State::leaving;
    self.patience = self.control.after(patience, [weak = std::weak_ptr(inside_)] {
        if (auto inside = weak.lock()) {
            inside->gone();
        }
    });
    self.beat();
}

bool Lifecycle::is_unfenced() const {
    return inside_->state == Inside::State::unfenced;
}

BrokerEpoch Lifecycle::epoch() const {
    return inside_->epoch;
}

}  // namespace millrace::app
