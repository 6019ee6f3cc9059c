// app/internal/move_throttle.h
//
// While a plan of moves runs, this broker's share in it goes no faster than its clients bear and
// the plan says: looks every two seconds how they fare and what is produced to the partitions that
// move, sets the buckets and says which copies wait. On the control loop.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
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

    /// From now on it knows how clients fare, so that it can tell what a plan changes.
    void start();
    /// A setting has changed: a plan may have begun, ended or got another rate.
    void settings_changed(const metadata::Image& image);

private:
    using Copies = std::map<TopicIdPartition, replication::CopyUnderWay>;

    void note_calm();
    void begin(std::int64_t most);
    void end();
    void look();
    void judge(Duration loop_delay, const Copies& copies);
    std::int64_t produced_to(const replication::CopyUnderWay& copy, Duration passed) const;
    std::vector<TopicIdPartition> leaving_in_turn(const Copies& copies) const;
    void apply();
    void let_go(const std::vector<TopicIdPartition>& leaving);
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
    std::vector<std::uint64_t> produced_lately_;  ///< Without a plan, and a few seconds ago.
    placement::UsualProduceTime usual_;
    Copies copies_before_;
    std::set<TopicIdPartition> going_;  ///< Those that leave and aren't held back.
};

}  // namespace millrace::app
