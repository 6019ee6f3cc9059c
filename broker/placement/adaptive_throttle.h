// placement/adaptive_throttle.h
//
// How fast a broker lets a plan's copies go, and how many at once: as its clients don't feel it.
// Pure: told every few seconds how the broker fares, it answers with a rate, a window and the
// reason. Under pressure the rate shrinks at once by a third; after ten calm seconds it grows by a
// twentieth each time. A copy that gets less than is produced meanwhile never ends, so where the
// rate does not do for all, fewer leave at once, and it never falls below what the first of those
// and all that arrive need: whose turn it is, leaders decide.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace millrace::placement {

struct ThrottleLimits {
    std::int64_t most = 0;  ///< Bytes a second that were asked for; 0: as many as go.
    /// What each copy under way gets, and a tenth more than is produced to its partition.
    std::int64_t least_each = 8 << 20;
    /// The first rate is taken from what goes, or from this: a plan that has hardly begun says
    /// little of what the broker bears, and growing takes its time.
    std::int64_t begin_from = 32 << 20;
    /// Produce requests may take this long, or half as long again as before the plan.
    Duration produce_p99 = 20ms;
    std::optional<Duration> produce_p99_before;
    Duration loop_delay = 50ms;  ///< Until a loop comes to what is posted to it.
};

/// A broker, over the last few seconds.
struct ThrottleSigns {
    Instant at;
    std::optional<Duration> produce_p99;  ///< None: nobody produced.
    Duration loop_delay{};
    int under_min_isr = 0;  ///< Partitions led here that have too few in sync.
    int healing = 0;        ///< Replicas that catch up without being part of a move.
    std::int64_t moved_bytes_per_second = 0;
    /// Of the copies that leave for other brokers, and of those that arrive: the bytes that are
    /// produced to each one's partition in a second. In an order that all brokers share, so that
    /// the first of all has its turn at both of its ends.
    std::vector<std::int64_t> leaving;
    std::vector<std::int64_t> arriving;
};

/// How many copies may go at once, from the first one on.
struct CopyWindow {
    std::size_t leaving = 0;
    std::size_t arriving = 0;
    friend bool operator==(const CopyWindow&, const CopyWindow&) = default;
};

class AdaptiveThrottle {
public:
    explicit AdaptiveThrottle(ThrottleLimits limits);

    void step(const ThrottleSigns& signs);
    /// For the same plan, another upper bound.
    void set_most(std::int64_t bytes_per_second);

    /// None: nothing slows copies down.
    std::optional<std::int64_t> rate() const { return rate_; }
    /// Of the copies that the last signs named. With any at all, at least one of each kind.
    CopyWindow window() const;
    std::string_view reason() const { return reason_; }

private:
    std::string_view pressure(const ThrottleSigns& signs) const;
    std::int64_t need_of(std::int64_t produced) const;
    void note_needs(const ThrottleSigns& signs);
    std::int64_t least() const;
    std::size_t fit(const std::vector<std::int64_t>& needs) const;
    void shrink(std::int64_t moved);
    void grow();

    ThrottleLimits limits_;
    std::optional<std::int64_t> rate_;
    std::string_view reason_;
    std::optional<Instant> calm_since_;
    std::vector<std::int64_t> leaving_needs_;
    std::vector<std::int64_t> arriving_needs_;
};

/// How many moves a plan has under way on each broker: as many as it wants while nobody else
/// suffers; half of them as soon as replicas that don't move fall behind, and one more after every
/// ten calm seconds. Pure.
class MoveWindow {
public:
    explicit MoveWindow(int most) : most_(std::max(1, most)), now_(most_) {}

    /// `behind`: replicas that should be in sync, on brokers that are up, and aren't.
    void step(Instant at, std::int64_t behind);
    int moves_per_broker() const { return now_; }

private:
    int most_;
    int now_;
    std::optional<Instant> halved_at_;
    std::optional<Instant> calm_since_;
};

}  // namespace millrace::placement
