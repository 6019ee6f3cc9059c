#include "replication/internal/upkeep.h"

#include <algorithm>

namespace millrace::replication {
namespace {

constexpr std::size_t slice = 64;

}  // namespace

void Upkeep::set(const UpkeepTimes& times) {
    change(0, times.retention, times.first_after);
    change(1, times.producers, times.first_after);
}

void Upkeep::change(std::size_t round, Duration interval, Duration first) {
    Round& r = rounds_[round];
    if (r.interval == interval) {
        return;
    }
    const bool fresh = r.interval == Duration{};
    r.interval = interval;
    if (r.walking) {
        return;  // its end arms the timer
    }
    doors_.loop->cancel(r.timer);
    arm(round, fresh ? std::min(first, interval) : interval);
}

void Upkeep::arm(std::size_t round, Duration delay) {
    rounds_[round].timer = doors_.loop->after(delay, [weak = weak_from_this(), round] {
        if (auto self = weak.lock()) {
            self->begin(round);
        }
    });
}

void Upkeep::begin(std::size_t round) {
    rounds_[round].walking = true;
    auto walk = std::make_shared<Walk>();
    walk->ids = doors_.all();
    go_on(round, walk);
}

void Upkeep::go_on(std::size_t round, const std::shared_ptr<Walk>& walk) {
    const Timestamp now = doors_.loop->clock().wall();
    const std::size_t end = std::min(walk->ids.size(), walk->at + slice);
    for (; walk->at < end; ++walk->at) {
        if (auto partition = doors_.find(walk->ids[walk->at])) {
            ((*partition).*rounds_[round].visit)(now);
        }
    }
    if (end == walk->ids.size()) {
        rounds_[round].walking = false;
        arm(round, rounds_[round].interval);
        return;
    }
    doors_.loop->post([weak = weak_from_this(), round, walk] {
        if (auto self = weak.lock()) {
            self->go_on(round, walk);
        }
    });
}

}  // namespace millrace::replication
