#include "app/internal/move_throttle.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "app/internal/plan_intent.h"

namespace millrace::app {
namespace {

constexpr Duration look_every = 2s;
constexpr Duration note_calm_every = 5s;
/// Of fewer requests the slowest hundredth is no request at all.
constexpr std::uint64_t requests_needed = 20;

Duration duration_of(double seconds) {
    return Duration{static_cast<std::int64_t>(seconds * 1e9)};
}

std::vector<std::uint64_t> since(const std::vector<std::uint64_t>& before,
                                 std::vector<std::uint64_t> now) {
    for (std::size_t i = 0; i < std::min(now.size(), before.size()); ++i) {
        now[i] -= before[i];
    }
    return now;
}

}  // namespace

MoveThrottle::MoveThrottle(std::shared_ptr<replication::Throttles> throttles,
                           const replication::Replicas& replicas,
                           std::vector<metrics::Histogram> produce_seconds, runtime::Node& node)
    : throttles_(std::move(throttles)),
      replicas_(replicas),
      produce_seconds_(std::move(produce_seconds)),
      control_(*node.control_shard().executor),
      log_(node.log()) {}

void MoveThrottle::start() {
    note_calm();
}

void MoveThrottle::note_calm() {
    if (!adaptive_) {
        const auto before = std::exchange(produced_lately_, produced());
        usual_.note(p99(since(before, produced_lately_)));
    }
    control_.after(note_calm_every, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->note_calm();
        }
    });
}

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
    adaptive_.emplace(placement::ThrottleLimits{.most = most, .produce_p99_before = usual_.p99()});
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
    produced_lately_ = produced();
    apply();
    let_go({});
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

/// In a second. Where a copy leaves, what was appended to the partition; where it arrives, how far
/// the leader's log grew, in records as large as those that came.
std::int64_t MoveThrottle::produced_to(const replication::CopyUnderWay& copy,
                                       Duration passed) const {
    const auto found = copies_before_.find(copy.id);
    if (found == copies_before_.end() || found->second.arrives != copy.arrives ||
        found->second.bytes > copy.bytes) {
        return 0;
    }
    const replication::CopyUnderWay& before = found->second;
    auto bytes = static_cast<double>(copy.bytes - before.bytes);
    if (copy.arrives) {
        const std::int64_t came = copy.own_end - before.own_end;
        const std::int64_t grew = copy.leader_end - before.leader_end;
        bytes = came > 0 && grew > 0 ? bytes / static_cast<double>(came) * static_cast<double>(grew)
                                     : 0;
    }
    return static_cast<std::int64_t>(bytes / std::chrono::duration<double>(passed).count());
}

/// Who goes already goes on: a copy that is held when it is nearly done has cost all and brings
/// nothing.
std::vector<TopicIdPartition> MoveThrottle::leaving_in_turn(const Copies& copies) const {
    std::vector<TopicIdPartition> all;
    for (const bool goes : {true, false}) {
        for (const auto& [id, copy] : copies) {
            if (!copy.arrives && going_.contains(id) == goes) {
                all.push_back(id);
            }
        }
    }
    return all;
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
    signs.produce_p99 = p99(since(produced_before_, produced_now));
    const std::uint64_t moved = moved_bytes();
    signs.moved_bytes_per_second = static_cast<std::int64_t>(
        static_cast<double>(moved - moved_before_) / std::chrono::duration<double>(passed).count());
    for (const replication::ShardCounts* counts : replicas_.counts()) {
        signs.healing += counts->healing.load(std::memory_order_relaxed);
        signs.under_min_isr += counts->under_min_isr.load(std::memory_order_relaxed);
    }
    const std::vector<TopicIdPartition> leaving = leaving_in_turn(copies);
    for (const TopicIdPartition& id : leaving) {
        signs.leaving.push_back(produced_to(copies.at(id), passed));
    }
    for (const auto& [id, copy] : copies) {
        if (copy.arrives) {
            signs.arriving.push_back(produced_to(copy, passed));
        }
    }
    looked_at_ = now;
    moved_before_ = moved;
    copies_before_ = copies;
    produced_before_ = std::move(produced_now);
    const auto before = adaptive_->rate();
    adaptive_->step(signs);
    if (adaptive_->rate() != before) {
        MR_LOG(
            log_, info, "plan.throttled", field("bytes_per_second", adaptive_->rate().value_or(0)),
            field("leaving", signs.leaving.size()), field("go", adaptive_->leaving()),
            field("arriving", signs.arriving.size()), field("moved", signs.moved_bytes_per_second),
            field("produce_p99_ms", to_milliseconds(signs.produce_p99.value_or(Duration{}))),
            field("reason", adaptive_->reason()));
    }
    apply();
    let_go(leaving);
}

/// All shards are told, each time: a partition may have changed its role or come anew.
void MoveThrottle::let_go(const std::vector<TopicIdPartition>& leaving) {
    const std::size_t go = std::min(leaving.size(), adaptive_ ? adaptive_->leaving() : 0);
    const auto last = leaving.begin() + static_cast<std::ptrdiff_t>(go);
    going_ = {leaving.begin(), last};
    const std::set<TopicIdPartition> held(last, leaving.end());
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

/// Where the slowest hundredth begins, as if the requests of a bucket were spread over it evenly.
std::optional<Duration> MoveThrottle::p99(const std::vector<std::uint64_t>& counts) const {
    const auto total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    if (total < requests_needed) {
        return std::nullopt;
    }
    const std::span<const double> bounds = produce_seconds_.front().bounds();
    const auto slowest = static_cast<double>(total) / 100;
    double slower = 0;
    std::size_t i = counts.size();
    while (slower + static_cast<double>(counts[i - 1]) < slowest) {
        slower += static_cast<double>(counts[--i]);
    }
    const std::size_t bucket = i - 1;
    if (bucket >= bounds.size()) {
        return duration_of(bounds.back());
    }
    const double from = bucket == 0 ? 0 : bounds[bucket - 1];
    const double share = (slowest - slower) / static_cast<double>(counts[bucket]);
    return duration_of(bounds[bucket] - (bounds[bucket] - from) * share);
}

}  // namespace millrace::app
