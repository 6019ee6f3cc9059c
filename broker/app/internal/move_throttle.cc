#include "app/internal/move_throttle.h"

#include <algorithm>
#include <set>

#include "app/internal/plan_intent.h"

namespace millrace::app {
namespace {

constexpr Duration look_every = 2s;
/// Of fewer requests the slowest hundredth is no request at all.
constexpr std::uint64_t requests_needed = 20;

}  // namespace

MoveThrottle::MoveThrottle(std::shared_ptr<replication::Throttles> throttles,
                           const replication::Replicas& replicas,
                           std::vector<metrics::Histogram> produce_seconds, runtime::Node& node)
    : throttles_(std::move(throttles)),
      replicas_(replicas),
      produce_seconds_(std::move(produce_seconds)),
      control_(*node.control_shard().executor),
      log_(node.log()) {}

void MoveThrottle::settings_changed(const metadata::Image& image) {
    const auto intent = intent_in(image);
    if (!intent || intent->is_over()) {
        end();
    } else if (!adaptive_) {
        begin(intent->throttle_bytes_per_second);
    } else {
        adaptive_->set_most(intent->throttle_bytes_per_second);
        apply();
    }
}

void MoveThrottle::begin(std::int64_t most) {
    looked_at_ = control_.clock().now();
    moved_before_ = moved_bytes();
    produced_before_ = produced();
    adaptive_.emplace(
        placement::ThrottleLimits{.most = most, .produce_p99_before = p99(produced_before_)});
    apply();
    timer_ = control_.after(look_every, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->look();
        }
    });
}

void MoveThrottle::end() {
    if (!adaptive_) {
        return;
    }
    adaptive_.reset();
    control_.cancel(timer_);
    copies_before_.clear();
    apply();
    hold({});
}

/// How long the loops take to come to a task says how busy they are.
void MoveThrottle::look() {
    timer_ = control_.after(look_every, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->look();
        }
    });
    struct Asked {
        Instant at;
        std::size_t left;
        Duration loop_delay{};
        Copies copies;
    };
    auto asked = std::make_shared<Asked>(Asked{control_.read_clock(), replicas_.size()});
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        replicas_.executor(i).post(
            [weak = weak_from_this(), asked, i, &control = control_, &replicas = replicas_] {
                const Duration waited = replicas.executor(i).read_clock() - asked->at;
                control.post([weak, asked, waited, copies = replicas.here(i).copies_under_way()] {
                    asked->loop_delay = std::max(asked->loop_delay, waited);
                    for (const replication::CopyUnderWay& copy : copies) {
                        asked->copies.emplace(copy.id, copy);
                    }
                    auto self = weak.lock();
                    if (--asked->left == 0 && self) {
                        self->judge(asked->loop_delay, asked->copies);
                    }
                });
            });
    }
}

/// Where a copy leaves, what was appended to the partition. Where it arrives, how far the leader's
/// log grew, in records as large as those that came.
void MoveThrottle::note_produced(placement::ThrottleSigns& signs, const Copies& copies,
                                 Duration passed) const {
    const double seconds = std::chrono::duration<double>(passed).count();
    for (const auto& [id, copy] : copies) {
        std::int64_t rate = 0;
        const auto found = copies_before_.find(id);
        if (found != copies_before_.end() && found->second.arrives == copy.arrives &&
            found->second.bytes <= copy.bytes) {
            const replication::CopyUnderWay& before = found->second;
            auto bytes = static_cast<double>(copy.bytes - before.bytes);
            if (copy.arrives) {
                const std::int64_t came = copy.own_end - before.own_end;
                const std::int64_t grew = copy.leader_end - before.leader_end;
                bytes = came > 0 && grew > 0
                            ? bytes / static_cast<double>(came) * static_cast<double>(grew)
                            : 0;
            }
            rate = static_cast<std::int64_t>(bytes / seconds);
        }
        (copy.arrives ? signs.arriving : signs.leaving).push_back(rate);
    }
}

void MoveThrottle::judge(Duration loop_delay, const Copies& copies) {
    const Instant now = control_.clock().now();
    const Duration passed = now - looked_at_;
    if (!adaptive_ || passed <= Duration{}) {
        return;
    }
    placement::ThrottleSigns signs;
    signs.at = now;
    signs.loop_delay = loop_delay;
    std::vector<std::uint64_t> produced_now = produced();
    std::vector<std::uint64_t> lately = produced_now;
    for (std::size_t i = 0; i < std::min(lately.size(), produced_before_.size()); ++i) {
        lately[i] -= produced_before_[i];
    }
    signs.produce_p99 = p99(lately);
    const std::uint64_t moved = moved_bytes();
    signs.moved_bytes_per_second = static_cast<std::int64_t>(
        static_cast<double>(moved - moved_before_) / std::chrono::duration<double>(passed).count());
    for (const replication::ShardCounts* counts : replicas_.counts()) {
        signs.healing += counts->healing.load(std::memory_order_relaxed);
        signs.under_min_isr += counts->under_min_isr.load(std::memory_order_relaxed);
    }
    note_produced(signs, copies, passed);
    looked_at_ = now;
    moved_before_ = moved;
    copies_before_ = copies;
    produced_before_ = std::move(produced_now);
    const auto before = adaptive_->rate();
    adaptive_->step(signs);
    const placement::CopyWindow window = adaptive_->window();
    if (adaptive_->rate() != before) {
        MR_LOG(log_, info, "plan.throttled",
               field("bytes_per_second", adaptive_->rate().value_or(0)),
               field("leaving", window.leaving), field("arriving", window.arriving),
               field("copies", copies.size()), field("reason", adaptive_->reason()));
    }
    apply();
    hold(copies);
}

/// All shards are told, each time: a partition may have changed its role or come anew.
void MoveThrottle::hold(const Copies& copies) const {
    placement::CopyWindow left = adaptive_ ? adaptive_->window() : placement::CopyWindow{};
    std::set<TopicIdPartition> held;
    for (const auto& [id, copy] : copies) {
        std::size_t& places = copy.arrives ? left.arriving : left.leaving;
        if (places == 0) {
            held.insert(id);
        } else {
            --places;
        }
    }
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        replicas_.on_shard(i,
                           [held](replication::ShardReplicas& shard) { shard.hold_copies(held); });
    }
}

void MoveThrottle::apply() {
    const Instant now = control_.clock().now();
    const std::int64_t rate = adaptive_
                                  ? adaptive_->rate().value_or(replication::RateBucket::unlimited)
                                  : replication::RateBucket::unlimited;
    throttles_->moves_out.set_rate(rate, now);
    throttles_->moves_in.set_rate(rate, now);
}

std::uint64_t MoveThrottle::moved_bytes() const {
    std::uint64_t bytes = 0;
    for (const replication::ShardCounts* counts : replicas_.counts()) {
        bytes += counts->moved_in_bytes.load(std::memory_order_relaxed) +
                 counts->moved_out_bytes.load(std::memory_order_relaxed);
    }
    return bytes;
}

std::vector<std::uint64_t> MoveThrottle::produced() const {
    std::vector<std::uint64_t> sum;
    for (const metrics::Histogram& histogram : produce_seconds_) {
        const std::vector<std::uint64_t> counts = histogram.counts();
        sum.resize(std::max(sum.size(), counts.size()));
        for (std::size_t i = 0; i < counts.size(); ++i) {
            sum[i] += counts[i];
        }
    }
    return sum;
}

/// The upper bound of the bucket that the slowest hundredth begins in.
std::optional<Duration> MoveThrottle::p99(const std::vector<std::uint64_t>& counts) const {
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts) {
        total += count;
    }
    if (total < requests_needed) {
        return std::nullopt;
    }
    const std::span<const double> bounds = produce_seconds_.front().bounds();
    std::uint64_t slower = 0;
    for (std::size_t i = counts.size(); i-- > 0;) {
        slower += counts[i];
        if (slower * 100 >= total) {
            const double seconds = bounds[std::min(i, bounds.size() - 1)];
            return Duration{static_cast<std::int64_t>(seconds * 1e9)};
        }
    }
    return std::nullopt;
}

}  // namespace millrace::app
