#include "tests/sim/systems/cluster_history.h"

#include <fmt/core.h>
#include <utility>

#include "base/assert.h"

namespace millrace::simtest {

void ClusterHistory::breaks(std::string why) {
    if (!broken_) {
        broken_ = std::move(why);
    }
}

void ClusterHistory::sent(Operation operation, Sender sender, std::int32_t partition) {
    const bool is_new = sent_.try_emplace(operation, Sent{sender, partition}).second;
    MR_ASSERT(is_new);
}

void ClusterHistory::acknowledged(Operation operation, Offset at) {
    Sent& sent = sent_.at(operation);
    if (!std::exchange(sent.is_acknowledged, true)) {
        ++acknowledged_;
    }
    if (at == no_offset) {
        return;
    }
    if (sent.at != no_offset && sent.at != at) {
        breaks(
            fmt::format("operation {} was acknowledged at {} and at {}", operation, sent.at, at));
    }
    sent.at = at;
}

void ClusterHistory::read(std::int32_t partition, Offset at, Operation operation) {
    const auto [there, is_new] = logs_[partition].try_emplace(at, operation);
    if (there->second != operation) {
        breaks(fmt::format("partition {} offset {}: operation {} was read, now {}", partition, at,
                           there->second, operation));
        return;
    }
    if (!is_new) {
        return;
    }
    const auto known = sent_.find(operation);
    if (known == sent_.end() || known->second.partition != partition) {
        breaks(fmt::format("partition {} offset {}: operation {} was never sent there", partition,
                           at, operation));
        return;
    }
    Sent& sent = known->second;
    if (sent.read_at != no_offset) {
        breaks(fmt::format("duplicate: operation {} at {} and {} of partition {}", operation,
                           sent.read_at, at, partition));
    }
    sent.read_at = at;
}

std::optional<std::string> ClusterHistory::violation() const {
    if (broken_) {
        return broken_;
    }
    for (const auto& [operation, sent] : sent_) {
        if (sent.is_acknowledged && sent.read_at == no_offset) {
            return fmt::format("lost: operation {} was acknowledged at {} of partition {}",
                               operation, sent.at, sent.partition);
        }
        if (sent.at != no_offset && sent.at != sent.read_at) {
            return fmt::format("operation {} was acknowledged at {} and read at {}", operation,
                               sent.at, sent.read_at);
        }
    }
    for (const auto& [partition, log] : logs_) {
        std::map<Sender, Operation> newest;
        for (const auto& [offset, operation] : log) {
            const auto [last, is_first] = newest.try_emplace(sent_.at(operation).sender, operation);
            if (!is_first && last->second >= operation) {
                return fmt::format("partition {} offset {}: operation {} lies behind {}", partition,
                                   offset, operation, last->second);
            }
            last->second = operation;
        }
    }
    return std::nullopt;
}

}  // namespace millrace::simtest
