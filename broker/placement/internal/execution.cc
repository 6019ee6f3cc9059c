#include "placement/execution.h"

#include <algorithm>
#include <fmt/core.h>

namespace millrace::placement {
namespace {

/// So many waiting moves are looked at in one step: what is behind them has to wait longer anyway.
/// Who is held up by something else than its turn goes behind them.
constexpr std::size_t looked_at_most = 2'000;

bool contains(const std::vector<BrokerId>& list, BrokerId broker) {
    return std::find(list.begin(), list.end(), broker) != list.end();
}

std::vector<BrokerId> without(const std::vector<BrokerId>& list,
                              const std::vector<BrokerId>& gone) {
    std::vector<BrokerId> kept;
    std::copy_if(list.begin(), list.end(), std::back_inserter(kept),
                 [&](BrokerId broker) { return !contains(gone, broker); });
    return kept;
}

/// Replicas coming to and leaving each broker.
class BrokerPlaces {
public:
    BrokerPlaces(const std::vector<PartitionNow>& moving, int cap) : cap_(cap) {
        for (const PartitionNow& partition : moving) {
            take(partition.adding, partition.removing);
        }
    }
    void take(const std::vector<BrokerId>& in, const std::vector<BrokerId>& out) {
        for (const BrokerId broker : in) {
            ++in_[broker];
        }
        for (const BrokerId broker : out) {
            ++out_[broker];
        }
    }
    /// The broker that has no place left; none if all have one.
    std::optional<BrokerId> full(const std::vector<BrokerId>& in,
                                 const std::vector<BrokerId>& out) const {
        for (const BrokerId broker : in) {
            if (of(in_, broker) >= cap_) {
                return broker;
            }
        }
        for (const BrokerId broker : out) {
            if (of(out_, broker) >= cap_) {
                return broker;
            }
        }
        return std::nullopt;
    }

private:
    static int of(const std::map<BrokerId, int>& counts, BrokerId broker) {
        const auto found = counts.find(broker);
        return found != counts.end() ? found->second : 0;
    }
    int cap_;
    std::map<BrokerId, int> in_;
    std::map<BrokerId, int> out_;
};

}  // namespace

std::vector<BrokerId> PartitionNow::target() const {
    return without(replicas, removing);
}

Execution::Execution(std::vector<Move> moves, int max_moves_per_broker)
    : moves_(std::move(moves)), outcomes_(moves_.size()), cap_(std::max(1, max_moves_per_broker)) {
    for (std::size_t i = 0; i < moves_.size(); ++i) {
        waiting_.push_back(i);
    }
}

void Execution::end(std::size_t move, MoveState state, std::string why) {
    in_flight_.erase(move);
    outcomes_[move] = {state, std::move(why)};
}

void Execution::settle(const WorldNow& world) {
    for (const std::size_t number : std::set(in_flight_)) {
        const Move& move = moves_[number];
        const auto now = world.partition(move.topic, move.partition);
        if (!now) {
            end(number, MoveState::dropped, "the topic is deleted");
        } else if (!now->is_moving()) {
            if (now->replicas == move.to) {
                end(number, MoveState::done, "");
            } else {
                end(number, MoveState::dropped, "it was taken back by somebody else");
            }
        } else if (now->target() != move.to) {
            end(number, MoveState::dropped, "somebody else moves it elsewhere");
        }
    }
}

std::vector<const Move*> Execution::next(const WorldNow& world) {
    settle(world);
    BrokerPlaces places(world.moving, cap_);
    std::vector<const Move*> due;
    std::deque<std::size_t> still;
    std::deque<std::size_t> held_up;
    std::size_t looked_at = 0;
    while (!waiting_.empty() && looked_at++ < looked_at_most) {
        const std::size_t number = waiting_.front();
        waiting_.pop_front();
        const Move& move = moves_[number];
        const auto now = world.partition(move.topic, move.partition);
        const std::vector<BrokerId> in = without(move.to, move.from);
        const std::vector<BrokerId> out = without(move.from, move.to);
        const auto absent = std::find_if(
            in.begin(), in.end(), [&](BrokerId broker) { return !world.takes_replicas(broker); });
        const auto gone = std::find_if(absent, in.end(), [&](BrokerId broker) {
            return !world.takes_replicas(broker) && !(world.is_awaited && world.is_awaited(broker));
        });
        if (!now) {
            end(number, MoveState::dropped, "the topic is deleted");
        } else if (!now->is_moving() && now->replicas == move.to) {
            end(number, MoveState::done, "");
        } else if (gone != in.end()) {
            end(number, MoveState::dropped, fmt::format("broker {} takes no replica", gone->value));
        } else if (absent != in.end()) {
            outcomes_[number] = {MoveState::waiting,
                                 fmt::format("broker {} is down", absent->value), true};
            held_up.push_back(number);
        } else if (now->is_moving()) {
            outcomes_[number] = {MoveState::waiting, "somebody else moves the partition", true};
            held_up.push_back(number);
        } else if (now->replicas != move.from) {
            end(number, MoveState::dropped, "its replicas are others by now");
        } else if (const auto full = places.full(in, out)) {
            outcomes_[number] = {MoveState::waiting,
                                 fmt::format("broker {} has {} moves", full->value, cap_)};
            still.push_back(number);
        } else {
            places.take(in, out);
            due.push_back(&move);
            still.push_back(number);
        }
    }
    waiting_.insert(waiting_.begin(), still.begin(), still.end());
    waiting_.insert(waiting_.end(), held_up.begin(), held_up.end());
    return due;
}

void Execution::started(const Move& move) {
    const std::size_t number = number_of(move);
    std::erase(waiting_, number);
    in_flight_.insert(number);
    outcomes_[number] = {MoveState::in_flight, ""};
}

void Execution::failed(const Move& move, std::string why) {
    const std::size_t number = number_of(move);
    std::erase(waiting_, number);
    end(number, MoveState::failed, std::move(why));
}

std::vector<const Move*> Execution::give_up(const std::function<bool(BrokerId)>& is_lost) {
    std::vector<const Move*> back;
    for (const std::size_t number : std::set(in_flight_)) {
        const Move& move = moves_[number];
        const std::vector<BrokerId> in = without(move.to, move.from);
        const auto lost = std::find_if(in.begin(), in.end(), is_lost);
        if (lost != in.end()) {
            end(number, MoveState::dropped, fmt::format("broker {} is gone", lost->value));
            back.push_back(&move);
        }
    }
    return back;
}

std::vector<const Move*> Execution::cancel(const WorldNow& world) {
    settle(world);
    for (const std::size_t number : waiting_) {
        outcomes_[number] = {MoveState::dropped, "the plan is cancelled"};
    }
    waiting_.clear();
    std::vector<const Move*> back;
    for (const std::size_t number : std::set(in_flight_)) {
        end(number, MoveState::reverted, "");
        back.push_back(&moves_[number]);
    }
    return back;
}

std::size_t Execution::count(MoveState state) const {
    return static_cast<std::size_t>(
        std::count_if(outcomes_.begin(), outcomes_.end(),
                      [&](const MoveOutcome& outcome) { return outcome.state == state; }));
}

std::int64_t Execution::bytes_done() const {
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < moves_.size(); ++i) {
        bytes += outcomes_[i].state == MoveState::done ? moves_[i].bytes : 0;
    }
    return bytes;
}

}  // namespace millrace::placement
