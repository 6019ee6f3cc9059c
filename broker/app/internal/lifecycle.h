// app/internal/lifecycle.h
//
// This broker's standing with the controller: registers, heartbeats, asks to be unfenced once its
// metadata is current, and at the end asks to leave. On the control loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/internal/controller_link.h"
#include "base/log.h"
#include "metadata/image_cluster.h"

namespace millrace::app {

class Lifecycle {
public:
    struct Options {
        BrokerId self;
        std::string cluster_id;
        Uuid incarnation;
        std::vector<metadata::Endpoint> endpoints;
        std::optional<std::string> rack;
        std::vector<Uuid> directories;
        std::optional<BrokerEpoch> previous_epoch;  ///< From a clean shutdown.
        /// Directories that take no new replica, as of now (KIP-1066).
        std::function<std::vector<Uuid>()> cordoned;
        Duration heartbeat_interval = 500ms;
        /// Asked with every heartbeat: those of `directories` that are lost for this run.
        std::function<std::vector<Uuid>()> failed_directories;
        /// How long the controller may not hear of one, and what happens then.
        Duration failure_timeout = 30s;
        std::function<void()> on_failure_unheard;
    };

    Lifecycle(Options options, runtime::Executor& control, ControllerLink& controller,
              const metadata::ImageHandle& image, const Logger& log);
    ~Lifecycle();

    /// `recovered`: after an unclean stop, the directories that have everything they had synced.
    void start(std::vector<Uuid> recovered);
    /// A new image: being seen in it may be what we wait for.
    void on_publish(const metadata::ImagePtr& image);
    /// Which directories are cordoned may have changed: the controller is told at once.
    void tell_cordoned();
    /// Hands leadership over; `done` runs when the controller lets us go or patience ends.
    void leave(Duration patience, UniqueFunction<void()> done);

    bool is_unfenced() const;
    BrokerEpoch epoch() const;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
