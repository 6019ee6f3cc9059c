#include "app/internal/move_throttle.h"

#include <algorithm>

#include "app/internal/plan_intent.h"
#include "replication/housekeeping.h"

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
    apply();
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
    };
    auto asked = std::make_shared<Asked>(Asked{control_.read_clock(), replicas_.size()});
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        replicas_.executor(i).post([weak = weak_from_this(), asked, &control = control_] {
            control.post([weak, asked] {
                auto self = weak.lock();
                if (self && --asked->left == 0) {
                    self->judge(self->control_.read_clock() - asked->at);
                }
            });
        });
    }
}

void MoveThrottle::judge(Duration loop_delay) {
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
    looked_at_ = now;
    moved_before_ = moved;
    produced_before_ = std::move(produced_now);
    const auto before = adaptive_->rate();
    adaptive_->step(signs);
    if (adaptive_->rate() != before) {
        MR_LOG(log_, info, "plan.throttled",
               field("bytes_per_second", adaptive_->rate().value_or(0)),
               field("reason", adaptive_->reason()));
    }
    apply();
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
