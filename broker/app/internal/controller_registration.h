// app/internal/controller_registration.h
//
// A controller's own entry in the metadata (KIP-919): where it listens and what it can run. Sent to
// the active controller as long as the metadata does not show this run of it, whoever is active. On
// the control loop.
#pragma once

#include <memory>
#include <vector>

#include "app/internal/controller_link.h"
#include "base/log.h"
#include "metadata/image_cluster.h"

namespace millrace::app {

class ControllerRegistration {
public:
    struct Options {
        BrokerId self;
        Uuid incarnation;
        std::vector<metadata::Endpoint> endpoints;  ///< Of the controllers' listeners.
    };

    ControllerRegistration(Options options, runtime::Executor& control, ControllerLink& controller,
                           const metadata::ImageHandle& image, const Logger& log);
    ~ControllerRegistration();

    /// With each new image.
    void look();

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
