// Which copies of a partition are slowed down, and what they cost.
#include <algorithm>

#include "replication/internal/partition.h"

namespace millrace::replication {
namespace {

/// Who hasn't asked for so long isn't catching up: it is away.
constexpr Duration asked_lately = 5s;

bool contains(const std::vector<BrokerId>& list, BrokerId broker) {
    return std::find(list.begin(), list.end(), broker) != list.end();
}

}  // namespace

ThrottleGate Partition::gate_towards(BrokerId replica) const {
    ThrottleGate gate;
    Throttles& throttles = *shell_.throttles;
    const bool listed = settings_.throttled_as_leader && throttles.leader.is_limited();
    const bool moving = throttles.moves_out.is_limited() && contains(state_.adding, replica);
    if ((!listed && !moving) || !leader_ || leader_->counts(replica)) {
        return gate;
    }
    if (listed) {
        gate.add(throttles.leader);
    }
    if (moving) {
        gate.add(copy_held_ ? throttles.held : throttles.moves_out);
    }
    return gate;
}

ThrottleGate Partition::gate_here() const {
    ThrottleGate gate;
    Throttles& throttles = *shell_.throttles;
    const bool listed = settings_.throttled_as_follower && throttles.follower.is_limited();
    const bool moving = throttles.moves_in.is_limited() && contains(state_.adding, shell_.self);
    if ((!listed && !moving) || keeps_up()) {
        return gate;
    }
    if (listed) {
        gate.add(throttles.follower);
    }
    if (moving) {
        gate.add(throttles.moves_in);
    }
    return gate;
}

void Partition::note_sent(BrokerId replica, std::size_t bytes) {
    if (bytes == 0) {
        return;
    }
    if (contains(state_.adding, replica)) {
        shell_.counts->moved_out_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    if (const ThrottleGate gate = gate_towards(replica)) {
        gate.spend(bytes, shell_.loop->clock().now());
    }
}

std::optional<CopyUnderWay> Partition::copy_under_way() const {
    if (state_.adding.empty() || !log_) {
        return std::nullopt;
    }
    CopyUnderWay copy{state_.id, false, log_->end(), log_->end(), appended_bytes_};
    if (leader_) {
        const bool leaves =
            std::any_of(state_.adding.begin(), state_.adding.end(), [this](BrokerId replica) {
                return replica != shell_.self && !leader_->isr().contains(replica);
            });
        return leaves ? std::optional(copy) : std::nullopt;
    }
    if (!contains(state_.adding, shell_.self) || is_in_sync()) {
        return std::nullopt;
    }
    copy.arrives = true;
    if (follower_) {
        copy.leader_end = std::max(log_->end(), follower_->leader_high_watermark());
    }
    return copy;
}

int Partition::healing(Instant now) const {
    if (!leader_ || leader_->isr().size() >= state_.replicas.size()) {
        return 0;
    }
    int count = 0;
    for (const auto& [replica, follower] : leader_->followers()) {
        const bool asks =
            follower.last_fetch_at > Instant{} && now - follower.last_fetch_at < asked_lately;
        count += asks && !leader_->isr().contains(replica) && !contains(state_.adding, replica);
    }
    return count;
}

void Partition::note_received(std::size_t bytes) {
    shell_.counts->replicated_in_bytes.fetch_add(bytes, std::memory_order_relaxed);
    appended_bytes_ += bytes;
    if (contains(state_.adding, shell_.self)) {
        shell_.counts->moved_in_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    if (const ThrottleGate gate = gate_here()) {
        gate.spend(bytes, shell_.loop->clock().now());
    }
}

}  // namespace millrace::replication
