// app/internal/cluster_check.h
//
// The quorum's channel, watched for peers that take this node for one of another cluster: they are
// asked for their cluster's id, and once it is certain (ClusterDoubt), `on_other` is told. On the
// control loop.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "app/internal/cluster_doubt.h"
#include "base/log.h"
#include "raft/channel.h"

namespace millrace::app {

struct ClusterCheckOptions {
    std::string cluster_id;
    /// Controllers that the settings list besides this node. Where the record has them may be
    /// another's place by now: who answers there says nothing of us.
    std::vector<raft::Endpoint> others;
    Duration timeout{0};  ///< For a peer to say which cluster it is of.
    std::function<void(const ClusterDoubt&)> on_other;
};

std::unique_ptr<raft::Channel> with_cluster_check(std::unique_ptr<raft::Channel> channel,
                                                  ClusterCheckOptions options, const Logger& log);

}  // namespace millrace::app
