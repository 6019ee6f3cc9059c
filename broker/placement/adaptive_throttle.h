// placement/adaptive_throttle.h
//
// How fast a broker lets a plan's copies go, and how many at once: as its clients don't feel it.
// Pure: told every few seconds how the broker fares, it answers with a rate, a window and the
// reason. It begins with little, since nobody knows yet what the broker bears, and doubles while
// all is calm and the rate is what holds copies back; far up it grows by a tenth, as the page cache
// hides for seconds that a disk has too much to do. Under pressure the rate shrinks, at once where
// it is great, else once it lasts; calm again, it feels its way, with steps that grow as long as
// calm lasts. A copy that gets less than is produced meanwhile never ends, so where the rate does
// not do for all, fewer leave at once, and it never falls below what the first of those and all
// that arrive need: whose turn it is, leaders decide.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace millrace::placement {

struct ThrottleLimits {
    std::int64_t most = 0;  ///< Bytes a second that were asked for; 0: as many as go.
    /// What each copy under way gets, and a tenth more than is produced to its partition.
    std::int64_t least_each = 4 << 20;
    std::int64_t begin_with = 8 << 20;
    std::int64_t double_up_to = 32 << 20;
    /// Produce requests may take this long (guessed from their histogram, of which it is no bound),
    /// or half as long again as before the plan.
    Duration produce_p99 = 15ms;
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
    /// produced to each one's partition in a second. Those that leave in the same order each time:
    /// the first one keeps its turn until it is done.
    std::vector<std::int64_t> leaving;
    std::vector<std::int64_t> arriving;
};

class AdaptiveThrottle {
public:
    explicit AdaptiveThrottle(ThrottleLimits limits);

    void step(const ThrottleSigns& signs);
    /// For the same plan, another upper bound.
    void set_most(std::int64_t bytes_per_second);

    /// None: nothing slows copies down.
    std::optional<std::int64_t> rate() const { return rate_; }
    /// How many of the copies that the last signs named may leave at once, from the first one on;
    /// at least one. What arrives is never held back: its leader has chosen it, and two ends that
    /// both choose wait for one another.
    std::size_t leaving() const;
    std::string_view reason() const { return reason_; }

private:
    Duration produce_p99_allowed() const;
    enum class Pressure { none, some, great };
    struct Pressed {
        Pressure pressure = Pressure::none;
        std::string_view why;
    };
    Pressed pressure(const ThrottleSigns& signs) const;
    std::int64_t need_of(std::int64_t produced) const;
    void note_needs(const ThrottleSigns& signs);
    std::int64_t least() const;
    void shrink(std::int64_t moved, Pressure pressure);
    void learn(const ThrottleSigns& signs, Pressure pressure);
    void grow(std::int64_t moved);

    ThrottleLimits limits_;
    std::optional<std::int64_t> rate_;
    std::string_view reason_;
    bool was_pressed_ = false;  ///< At the last look.
    std::optional<Instant> pressed_last_;
    std::optional<Instant> least_since_;  ///< Nothing could be shrunk any more.
    int growth_ = 100;                    ///< Of the next calm look, in percent.
    std::vector<std::int64_t> leaving_needs_;
    std::int64_t arriving_need_ = 0;  ///< Of all of them.
};

/// How producers usually fare, of the last minute: as in its better quarter. What a burst makes
/// them wait is nothing that a plan may do to them for hours. Pure.
class UsualProduceTime {
public:
    /// Of five seconds. None: nobody produced.
    void note(std::optional<Duration> p99);
    std::optional<Duration> p99() const;

private:
    std::deque<Duration> noted_;
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
