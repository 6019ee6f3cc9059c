#include "app/internal/controller_registration.h"

#include <string>
#include <utility>

#include "app/internal/registration_pace.h"
#include "app/internal/what_we_offer.h"
#include "model/kafka_error.h"
#include "protocol/messages/controller_registration_request.h"
#include "protocol/messages/controller_registration_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

using protocol::ControllerRegistrationRequest;
using protocol::ControllerRegistrationResponse;

constexpr Duration entry_patience = 3s;

Result<void> outcome_of(const Result<handlers::ControllerDoor::Answer>& answer) {
    if (!answer) {
        return answer.error();
    }
    ControllerRegistrationResponse response;
    protocol::Reader reader(answer->body);
    response.decode(reader, answer->version);
    if (!reader.ok()) {
        return reader.error();
    }
    if (response.error_code != 0) {
        const auto error = static_cast<KafkaError>(response.error_code);
        return Error::make(Code::unavailable, "{}: {}", error,
                           response.error_message ? *response.error_message : message_of(error));
    }
    return {};
}

}  // namespace

struct ControllerRegistration::Inside : std::enable_shared_from_this<Inside> {
    Inside(Options options_in, runtime::Executor& control_in, ControllerLink& controller_in,
           const metadata::ImageHandle& image_in, const Logger& log_in)
        : options(std::move(options_in)),
          control(control_in),
          controller(controller_in),
          image(image_in),
          log(log_in) {}

    /// Whether the metadata can have it, and has none or that of another run.
    bool is_missing() const {
        const metadata::ImagePtr now = image.current();
        if (!now->metadata_version().has_controller_registration()) {
            return false;
        }
        const metadata::ControllerNodeRef* us = now->cluster.controllers.find(options.self);
        return us == nullptr || (*us)->incarnation != options.incarnation;
    }

    void look() {
        if (waits || !is_missing()) {
            return;
        }
        waits = true;
        ControllerRegistrationRequest request;
        request.controller_id = options.self.value;
        request.incarnation_id = options.incarnation;
        add_what_we_offer(request, options.endpoints);
        Buffer body;
        protocol::Writer writer(body);
        request.encode(writer, ControllerRegistrationRequest::max_version);
        MR_ASSERT(writer.ok());
        controller.call(ControllerRegistrationRequest::api_key,
                        ControllerRegistrationRequest::max_version, std::move(body), entry_patience,
                        [weak = weak_from_this()](Result<handlers::ControllerDoor::Answer> answer) {
                            if (auto self = weak.lock()) {
                                self->on_answer(outcome_of(answer));
                            }
                        });
    }

    /// In either case there is a pause: what was taken comes with the metadata, a little later.
    void on_answer(const Result<void>& outcome) {
        const Duration pause = outcome ? pace.after_success() : pace.after_refusal();
        if (!outcome) {
            MR_LOG(log, info, "controller.not_registered", field("controller", options.self),
                   field("reason", outcome.error().message()));
        } else if (pace.is_disputed()) {
            MR_LOG(log, warn, "controller.registered_again", field("controller", options.self),
                   field("reason", "another process has registered under this id"),
                   field("remedy", "give every node a node.id of its own"));
        } else {
            MR_LOG(log, info, "controller.registered", field("controller", options.self));
        }
        control.after(pause, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->waits = false;
                self->look();
            }
        });
    }

    const Options options;
    runtime::Executor& control;
    ControllerLink& controller;
    const metadata::ImageHandle& image;
    const Logger& log;
    RegistrationPace pace;
    bool waits = false;  ///< For an answer, or for a while after it.
};

ControllerRegistration::ControllerRegistration(Options options, runtime::Executor& control,
                                               ControllerLink& controller,
                                               const metadata::ImageHandle& image,
                                               const Logger& log)
    : inside_(std::make_shared<Inside>(std::move(options), control, controller, image, log)) {}

ControllerRegistration::~ControllerRegistration() = default;

void ControllerRegistration::look() {
    inside_->look();
}

}  // namespace millrace::app
