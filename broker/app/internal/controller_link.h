// app/internal/controller_link.h
//
// The way to the active controller: this process's own, or over the network. Waits for one to be
// elected and tries again until the deadline, but only what certainly had no effect.
#pragma once

#include <memory>

#include "app/internal/metadata_node.h"
#include "handlers/doors.h"
#include "raft/channel.h"

namespace millrace::app {

class ControllerLink final : public handlers::ControllerDoor {
public:
    ControllerLink(runtime::Executor& control, MetadataNode& metadata, raft::RaftDriver& driver,
                   raft::Channel& channels, Duration patience_of_clients);
    ~ControllerLink() override;

    void forward(std::int16_t api_key, std::int16_t version, Buffer body,
                 const Principal& principal, runtime::Executor& home,
                 UniqueFunction<void(Result<Answer>)> done) override;
    BrokerId active() const override;

    /// The same from the control loop, with its own patience.
    void call(std::int16_t api_key, std::int16_t version, Buffer body, Duration patience,
              UniqueFunction<void(Result<Answer>)> done);

private:
    struct Attempt;
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
