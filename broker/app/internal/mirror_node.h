// app/internal/mirror_node.h
//
// The mirror links of one broker, wired to its controller, its replicas and its own listeners.
#pragma once

#include <functional>
#include <memory>

#include "app/internal/controller_link.h"
#include "metadata/copies.h"
#include "metadata/publisher.h"
#include "mirror/links.h"

namespace millrace::app {

struct MirrorNodeOptions {
    BrokerId self;
    std::string cluster_id;
    std::string own_listener;  ///< Of brokers, as they reach each other.
    net::StreamWrapper own_wrap;
    Duration deletion_grace = std::chrono::hours{24};
    std::vector<Secret> secret_keys;
    metadata::CopiesOptions default_copies;
};

/// Keys for the secrets of links, one a line; lines that are empty don't count.
Result<std::vector<Secret>> read_link_keys(runtime::Disk& disk, const std::string& path);

class MirrorNode {
public:
    MirrorNode(MirrorNodeOptions options, runtime::Node& node,
               const replication::Replicas& replicas, const metadata::ImageHandle& image,
               ControllerLink& controller);
    ~MirrorNode();

    mirror::Links& links() { return *links_; }

private:
    class ToController;
    std::unique_ptr<ToController> controller_;
    std::unique_ptr<mirror::Links> links_;
};

}  // namespace millrace::app
