// app/internal/disk_mover.h
//
// Carries out the moves of a plan between disks of one broker: asks that broker with
// AlterReplicaLogDirs, a few at a time, and sees by DescribeLogDirs what has arrived. On the
// control loop.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/internal/plan_computer.h"
#include "placement/plan.h"
#include "runtime/node.h"

namespace millrace::app {

class DiskMover : public std::enable_shared_from_this<DiskMover> {
public:
    using Move = placement::DiskMove;

    DiskMover(std::vector<Move> moves, std::shared_ptr<PlanComputer> computer,
              runtime::Executor& control, const Logger& log)
        : waiting_(moves.begin(), moves.end()),
          computer_(std::move(computer)),
          control_(control),
          log_(log) {}

    /// Looks at what has arrived, then starts what has a place. `changed` runs if something has.
    void step(bool may_start, UniqueFunction<void()> changed);
    /// Copies that are on their way are given up; the replicas stay where they are.
    void take_back();

    bool is_over() const { return waiting_.empty() && in_flight_.empty(); }
    std::size_t left() const { return waiting_.size() + in_flight_.size(); }
    std::size_t in_flight() const { return in_flight_.size(); }
    std::size_t failed() const { return failed_; }
    const std::string& first_failure() const { return first_failure_; }

private:
    struct Flight {
        Move move;
        int unseen = 0;  ///< Looks in a row that found it neither there nor on its way.
    };

    void settle(const ReplicaSizes& sizes);
    bool start();
    void ask(BrokerId broker, const std::vector<Move>& moves, bool is_way_back);
    void answered(BrokerId broker, const std::vector<Move>& moves, const Result<Buffer>& body);
    void fail(const Move& move, const std::string& why);

    std::deque<Move> waiting_;
    std::vector<Flight> in_flight_;
    std::size_t failed_ = 0;
    std::string first_failure_;
    bool is_looking_ = false;
    std::shared_ptr<PlanComputer> computer_;
    runtime::Executor& control_;
    const Logger& log_;
};

}  // namespace millrace::app
