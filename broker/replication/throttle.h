// replication/throttle.h
//
// How fast replicas are copied, by the kind of traffic. A bucket is shared by all shards of a
// broker and has no lock: one moment, up to which what went is paid for. What is in sync is never
// slowed down; Partition asks a gate for replicas outside the ISR alone.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace millrace::replication {

/// From any thread.
class RateBucket {
public:
    static constexpr std::int64_t unlimited = INT64_MAX;

    /// In bytes a second; 0: nothing goes. What is owed is paid at the new rate.
    void set_rate(std::int64_t bytes_per_second, Instant now);
    std::int64_t rate() const { return rate_.load(std::memory_order_relaxed); }
    bool is_limited() const { return rate() != unlimited; }
    /// Zero: something may go now. Never long: the rate may change meanwhile.
    Duration closed_for(Instant now) const;
    /// What should go at once, once it is open.
    std::size_t piece() const;
    void spend(std::size_t bytes, Instant now);

private:
    std::atomic<std::int64_t> rate_{unlimited};
    std::atomic<std::int64_t> paid_until_{0};  ///< Of the monotonic clock, in nanoseconds.
};

/// One of each for a broker.
struct Throttles {
    RateBucket leader;    ///< leader.replication.throttled.rate
    RateBucket follower;  ///< follower.replication.throttled.rate
    RateBucket log_dirs;  ///< replica.alter.log.dirs.io.max.bytes.per.second
    /// What a plan of moves lets a broker send to replicas that are being added, and take for those
    /// that it gets itself.
    RateBucket moves_out;
    RateBucket moves_in;
    /// For copies of a plan that wait until others are done.
    RateBucket held;
    Throttles() { held.set_rate(0, Instant{}); }
};

/// The buckets that one replica's copy goes through, all of them.
class ThrottleGate {
public:
    void add(RateBucket& bucket) { buckets_[count_++] = &bucket; }
    explicit operator bool() const { return count_ > 0; }
    Duration closed_for(Instant now) const;
    std::size_t piece() const;
    void spend(std::size_t bytes, Instant now) const;

private:
    std::array<RateBucket*, 2> buckets_{};
    std::size_t count_ = 0;
};

}  // namespace millrace::replication
