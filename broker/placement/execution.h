// placement/execution.h
//
// Which moves of a plan may start now, and what became of the others. Pure: looks at the cluster as
// it is at each step and remembers only which moves it has let go. A window, not barriers: as soon
// as brokers have room the next moves that need no more than that start, so that a slow partition
// holds up nobody else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "placement/plan.h"

namespace millrace::placement {

/// A partition as the metadata has it.
struct PartitionNow {
    std::vector<BrokerId> replicas;  ///< With those being added and removed.
    std::vector<BrokerId> adding;
    std::vector<BrokerId> removing;
    bool is_moving() const { return !adding.empty() || !removing.empty(); }
    /// What it will have when nothing is under way any more.
    std::vector<BrokerId> target() const;
};

struct WorldNow {
    /// None: deleted.
    std::function<std::optional<PartitionNow>(const std::string& topic, std::int32_t partition)>
        partition;
    /// Up, and allowed to get replicas.
    std::function<bool(BrokerId)> takes_replicas;
    /// Takes none, but soon may again: moves to it wait. Unset: nobody is waited for.
    std::function<bool(BrokerId)> is_awaited;
    /// Every partition that is being moved, by whoever: they fill the brokers' places.
    std::vector<PartitionNow> moving;
    /// Replicas of the other partitions that aren't in sync, though their brokers are up.
    std::int64_t behind = 0;
};

enum class MoveState { waiting, in_flight, done, dropped, failed, reverted };

struct MoveOutcome {
    MoveState state = MoveState::waiting;
    std::string why;  ///< Dropped or failed; or what a waiting one waits for.
    /// It waits for something else than its turn.
    bool is_held_up = false;
};

class Execution {
public:
    Execution(std::vector<Move> moves, int max_moves_per_broker);

    /// From now on; what is under way beyond it goes on.
    void set_max_moves_per_broker(int count) { cap_ = std::max(1, count); }
    /// Takes note of what ended.
    void look(const WorldNow& world) { settle(world); }
    /// The same, and returns the moves to start, in order. Call started() or
    /// failed() for each.
    std::vector<const Move*> next(const WorldNow& world);
    void started(const Move& move);
    void failed(const Move& move, std::string why);
    /// Moves in flight to a broker that is lost end here; returns them, to be taken back.
    std::vector<const Move*> give_up(const std::function<bool(BrokerId)>& is_lost);
    /// Nothing starts any more; returns the moves to take back.
    std::vector<const Move*> cancel(const WorldNow& world);

    bool is_over() const { return waiting_.empty() && in_flight_.empty(); }
    const std::vector<Move>& moves() const { return moves_; }
    const MoveOutcome& outcome(std::size_t move) const { return outcomes_[move]; }
    std::size_t count(MoveState state) const;
    std::int64_t bytes_done() const;
    std::vector<std::size_t> in_flight() const { return {in_flight_.begin(), in_flight_.end()}; }

private:
    void settle(const WorldNow& world);
    std::size_t number_of(const Move& move) const {
        return static_cast<std::size_t>(&move - moves_.data());
    }
    void end(std::size_t move, MoveState state, std::string why);

    std::vector<Move> moves_;
    std::vector<MoveOutcome> outcomes_;
    int cap_;
    std::deque<std::size_t> waiting_;
    std::set<std::size_t> in_flight_;
};

}  // namespace millrace::placement
