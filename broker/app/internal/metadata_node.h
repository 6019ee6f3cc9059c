// app/internal/metadata_node.h
//
// The metadata of one node, put together: raft below, the loader and publisher above it, and with
// the controller role the controller. Lives on the control loop.
#pragma once

#include <atomic>
#include <memory>

#include "handlers/controller_apis.h"
#include "handlers/doors.h"
#include "metadata/controller.h"
#include "metadata/loader.h"
#include "metadata/publisher.h"
#include "metadata/raft_log.h"
#include "metadata/snapshotter.h"
#include "raft/raft_driver.h"

namespace millrace::app {

class MetadataNode final : public handlers::QuorumDoor {
public:
    struct Options {
        bool is_controller = true;
        metadata::ControllerOptions controller;
        metadata::ControllerTimers timers;
        metadata::SnapshotPolicy snapshots;
        std::size_t max_batch_bytes = 8 << 20;
    };

    MetadataNode(Options options, runtime::Shard control, metadata::ImageHandle& image,
                 const metadata::ConfigRules& rules, raft::RaftDriver& driver, Logger log);
    ~MetadataNode() override;

    /// Subscribe first, then start: the controller hears last, so that who gets its answer finds
    /// this node's own shards told already.
    metadata::Publisher& publisher() { return publisher_; }
    void start(UniqueFunction<void(Error)> on_halt);
    /// Hears of every change after the controller has.
    void on_leadership(UniqueFunction<void()> listener) { tell_ = std::move(listener); }

    /// Null on a node without the controller role.
    metadata::Controller* controller() { return controller_.get(); }
    handlers::ControllerApis* apis() { return apis_.get(); }
    const raft::Leadership& leadership() const { return leadership_; }

    // What arrives at the controller listener.
    void handle(std::int16_t api_key, std::int16_t version, const protocol::RequestBody& body,
                UniqueFunction<void(Result<Buffer>)> reply) override;
    std::vector<handlers::VoterAddress> voters(std::string_view listener) const override;
    BrokerId leader() const override { return leadership_.leader; }
    std::int16_t kraft_version() const override {
        return kraft_version_.load(std::memory_order_relaxed);
    }

private:
    raft::RaftDriver& driver_;
    metadata::Publisher publisher_;
    metadata::Loader loader_;
    metadata::RaftLog log_;
    metadata::Snapshotter snapshotter_;
    std::unique_ptr<metadata::Controller> controller_;
    std::unique_ptr<handlers::ControllerApis> apis_;
    raft::Leadership leadership_;
    UniqueFunction<void()> tell_;
    std::atomic<std::int16_t> kraft_version_{0};  ///< The driver's, for other loops.
};

}  // namespace millrace::app
