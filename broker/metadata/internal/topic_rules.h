// metadata/internal/topic_rules.h
//
// The few topic settings that the controller itself obeys, as they hold for one topic now: set for
// the topic, else for this node, else for the cluster, else in this node's own configuration.
#pragma once

#include <cstdint>
#include <string_view>

#include "metadata/controller_core.h"
#include "metadata/image.h"

namespace millrace::metadata {

namespace setting {
inline constexpr std::string_view min_insync_replicas = "min.insync.replicas";
inline constexpr std::string_view unclean_election = "unclean.leader.election.enable";
inline constexpr std::string_view durability = "millrace.durability";
inline constexpr std::string_view cordoned_directories = "cordoned.log.dirs";
}  // namespace setting

struct TopicRules {
    std::size_t min_isr = 1;
    bool unclean_election = false;
    bool synced = true;
};

TopicRules topic_rules(const Image& image, const ControllerOptions& options,
                       std::string_view topic);

}  // namespace millrace::metadata
