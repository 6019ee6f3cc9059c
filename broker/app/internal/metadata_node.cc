#include "app/internal/metadata_node.h"

#include <utility>

namespace millrace::app {

MetadataNode::MetadataNode(Options options, runtime::Shard control, metadata::ImageHandle& image,
                           const metadata::ConfigRules& rules, raft::RaftDriver& driver, Logger log)
    : driver_(driver),
      publisher_(image),
      loader_(publisher_),
      log_(driver, loader_, control.executor->clock(), options.max_batch_bytes),
      snapshotter_(*control.executor, driver, loader_, options.snapshots, log) {
    if (options.is_controller) {
        controller_ = std::make_unique<metadata::Controller>(
            *control.executor, *control.random, log_, rules, std::move(options.controller),
            options.timers, log);
        apis_ = std::make_unique<handlers::ControllerApis>(*controller_);
    }
    loader_.set_leadership_listener([this](const raft::Leadership& leadership) {
        leadership_ = leadership;
        kraft_version_.store(driver_.kraft_version(), std::memory_order_relaxed);
        if (controller_) {
            controller_->on_leadership(leadership);
        }
        if (tell_) {
            tell_();
        }
    });
}

MetadataNode::~MetadataNode() = default;

void MetadataNode::start(UniqueFunction<void(Error)> on_halt) {
    publisher_.subscribe([this](const metadata::Delta& delta, const metadata::ImagePtr& image) {
        kraft_version_.store(driver_.kraft_version(), std::memory_order_relaxed);
        if (controller_) {
            controller_->on_publish(delta, image);
        }
        snapshotter_.on_publish();
    });
    driver_.start(loader_, std::move(on_halt));
}

std::vector<handlers::VoterAddress> MetadataNode::voters(std::string_view listener) const {
    std::vector<handlers::VoterAddress> addresses;
    for (const raft::Voter& voter : driver_.voters().voters()) {
        for (const raft::Listener& one : voter.listeners) {
            if (one.name == listener) {
                addresses.push_back({voter.key.id, one.endpoint.host, one.endpoint.port});
            }
        }
    }
    return addresses;
}

void MetadataNode::handle(std::int16_t api_key, std::int16_t version,
                          const protocol::RequestBody& body,
                          UniqueFunction<void(Result<Buffer>)> reply) {
    if (raft::RaftDriver::is_raft_api(api_key)) {
        driver_.handle(api_key, version, body, std::move(reply));
    } else if (apis_) {
        apis_->handle(api_key, version, body, std::move(reply));
    } else {
        reply(Error(Code::not_leader, "this node has no controller"));
    }
}

}  // namespace millrace::app
