#include "replication/newcomers.h"

#include <algorithm>

namespace millrace::replication {

namespace {

/// Sequences count round a circle of 2^31.
bool is_before(std::int32_t a, std::int32_t b) {
    constexpr std::uint32_t circle = 1U << 31;
    const std::uint32_t distance =
        (static_cast<std::uint32_t>(b) - static_cast<std::uint32_t>(a)) & (circle - 1);
    return distance != 0 && distance < circle / 2;
}

}  // namespace

void Newcomers::refused(ProducerId producer, ProducerEpoch epoch, std::int32_t sequence,
                        Instant now) {
    const auto known = notes_.find(producer);
    if (known == notes_.end()) {
        make_room(now);
        notes_.emplace(producer, Note{epoch, sequence, now});
        return;
    }
    Note& note = known->second;
    if (note.epoch != epoch || now - note.at > remembered_for ||
        is_before(sequence, note.sequence)) {
        note = {epoch, sequence, now};
    }
}

bool Newcomers::admits(ProducerId producer, ProducerEpoch epoch, std::int32_t sequence,
                       Instant now) {
    const auto known = notes_.find(producer);
    const bool came_before = known != notes_.end() && known->second.epoch == epoch &&
                             known->second.sequence == sequence &&
                             now - known->second.at <= remembered_for;
    if (sequence == 0 || came_before) {
        if (known != notes_.end()) {
            notes_.erase(known);
        }
        return true;
    }
    refused(producer, epoch, sequence, now);
    return false;
}

void Newcomers::make_room(Instant now) {
    if (notes_.size() < remembered_most) {
        return;
    }
    std::erase_if(notes_, [&](const auto& one) { return now - one.second.at > remembered_for; });
    if (notes_.size() >= remembered_most) {
        const auto age = [](const auto& note) { return std::pair(note.second.at, note.first); };
        const auto oldest = std::min_element(
            // unordered: of those that are as old the least id goes
            notes_.begin(), notes_.end(),
            [&](const auto& a, const auto& b) { return age(a) < age(b); });
        notes_.erase(oldest);
    }
}

}  // namespace millrace::replication
