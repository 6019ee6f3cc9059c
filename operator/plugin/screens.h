// operator/plugin/screens.h
//
// What `kubectl millrace` prints, from what the API server has. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "operator/api/cluster.h"
#include "operator/api/mirror_link.h"
#include "operator/api/topic.h"

namespace millrace::plugin {

struct ClusterView {
    api::Cluster cluster;
    std::vector<api::Topic> topics;      ///< Those that name it.
    std::vector<api::MirrorLink> links;  ///< Those it is the destination of.
    Timestamp now{};
};

/// An object that isn't as its kind says.
struct Unreadable {
    std::string what;  ///< "Topic default/orders"
    std::string why;
};
std::string unreadable_screen(const std::vector<Unreadable>& objects);  ///< Empty for none.

/// Where there is no Cluster: in one namespace, or (empty) in all.
std::string first_steps(const std::string& space);

std::string status_screen(const ClusterView& view);
std::string plan_screen(const api::Cluster& cluster);

/// What `plan --approve` does. `hash`: as it was given; empty: whatever plan is shown.
struct Approval {
    std::string hash;  ///< To be written into balance.approve; empty: there is nothing to write.
    std::string text;
};
Result<Approval> approval_of(const api::Cluster& cluster, const std::string& hash);

std::string mirror_screen(const api::MirrorLink& link);

/// "[#####---------------]"
std::string progress_bar(std::int64_t done, std::int64_t total, std::size_t width = 20);

/// "1.5 GiB", "820 KiB", "12 B"
std::string readable_bytes(std::int64_t bytes);

/// Columns padded to their widest cell; the first row is the head.
std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view margin);

}  // namespace millrace::plugin
