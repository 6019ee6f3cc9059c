// app/internal/move_throttle.h
//
// While a plan of moves runs, this broker's share in it goes no faster than its clients bear and
// the plan says: looks every two seconds how they fare and what is produced to the partitions that
// move, sets the buckets and says which copies wait. On the control loop.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "metadata/image.h"
#include "metrics/metrics.h"
#include "placement/adaptive_throttle.h"
#include "replication/housekeeping.h"
#include "replication/replicas.h"
#include "replication/throttle.h"
#include "runtime/node.h"

namespace millrace::app {

class MoveThrottle : public std::enable_shared_from_this<MoveThrottle> {
public:
    /// `produce_seconds`: of each loop that serves clients.
    MoveThrottle(std::shared_ptr<replication::Throttles> throttles,
                 const replication::Replicas& replicas,
                 std::vector<metrics::Histogram> produce_seconds, runtime::Node& node);

    /// A setting has changed: a plan may have begun, ended or got another rate.
    void settings_changed(const metadata::Image& image);

private:
    /// In the order of their ids, which all brokers share.
    using Copies = std::map<TopicIdPartition, replication::CopyUnderWay>;

    void begin(std::int64_t most);
    void end();
    void look();
    void judge(Duration loop_delay, const Copies& copies);
    void note_produced(placement::ThrottleSigns& signs, const Copies& copies,
                       Duration passed) const;
    void apply();
    void hold(const Copies& copies) const;
    std::uint64_t moved_bytes() const;
    std::vector<std::uint64_t> produced() const;
    std::optional<Duration> p99(const std::vector<std::uint64_t>& counts) const;

    std::shared_ptr<replication::Throttles> throttles_;
    const replication::Replicas& replicas_;
    std::vector<metrics::Histogram> produce_seconds_;
    runtime::Executor& control_;
    const Logger& log_;
    std::optional<placement::AdaptiveThrottle> adaptive_;  ///< None: no plan runs.
    runtime::TimerId timer_{};
    Instant looked_at_;
    std::uint64_t moved_before_ = 0;
    std::vector<std::uint64_t> produced_before_;
    Copies copies_before_;
};

}  // namespace millrace::app
