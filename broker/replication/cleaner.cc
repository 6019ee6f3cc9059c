#include "replication/cleaner.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "replication/housekeeping.h"

namespace millrace::replication {
namespace {

/// Lanes of the disk pool: the pieces of one round run one at a time.
constexpr std::uint64_t first_lane = 0xc1ea'0000;
constexpr Duration first_held_pause = 500ms;

}  // namespace

struct Cleaner::Inside : std::enable_shared_from_this<Cleaner::Inside> {
    Inside(runtime::Executor& control_in, const Replicas& replicas_in, Random& random_in,
           std::function<void()> record_in, const Logger& log_in)
        : control(control_in),
          replicas(replicas_in),
          random(random_in),
          record(std::move(record_in)),
          log(log_in) {}

    void look_after(Duration pause) {
        control.cancel(timer);
        timer = control.after(pause, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->look();
            }
        });
    }

    /// Asks every shard for its neediest log.
    void look() {
        if (*stopping || looking || lanes.size() >= settings.rounds_at_once) {
            return;
        }
        looking = true;
        struct Answers {
            std::size_t left;
            std::optional<std::pair<std::size_t, CompactionCandidate>> best;
            bool any_held = false;
        };
        auto answers = std::make_shared<Answers>(Answers{replicas.size(), std::nullopt});
        for (std::size_t i = 0; i < replicas.size(); ++i) {
            replicas.on_shard(i, [weak = weak_from_this(), &home = control, answers,
                                  i](ShardReplicas& shard) {
                home.post([weak, answers, i, needs = shard.compaction_needs()] {
                    auto self = weak.lock();
                    if (!self) {
                        return;
                    }
                    const auto& candidate = needs.neediest;
                    answers->any_held = answers->any_held || needs.any_held;
                    if (candidate && (!answers->best ||
                                      is_needier(candidate->need, answers->best->second.need))) {
                        answers->best.emplace(i, *candidate);
                    }
                    if (--answers->left == 0) {
                        self->on_looked(answers->best, answers->any_held);
                    }
                });
            });
        }
    }

    void on_looked(const std::optional<std::pair<std::size_t, CompactionCandidate>>& best,
                   bool any_held) {
        looking = false;
        if (*stopping) {
            return;
        }
        if (!best && any_held) {
            record();
            // Longer and longer: a disk may be slow to sync, or not do it at all.
            held_pause = std::min<Duration>(2 * held_pause, settings.pause);
            look_after(held_pause);
            return;
        }
        held_pause = first_held_pause;
        if (!best) {
            look_after(settings.pause);
            return;
        }
        begin(best->first, best->second);
        look();
    }

    void begin(std::size_t shard_index, const CompactionCandidate& candidate) {
        std::uint64_t lane = first_lane;
        while (lanes.contains(lane)) {
            ++lane;
        }
        lanes.insert(lane);
        const auto share = static_cast<double>(settings.rounds_at_once);
        const storage::CompactionBudget budget{
            .key_bytes = settings.key_bytes / settings.rounds_at_once,
            .seed_low = random.next(),
            .seed_high = random.next()};
        const CompactionPace pace{.bytes_per_second = settings.bytes_per_second > 0
                                                          ? settings.bytes_per_second / share
                                                          : std::numeric_limits<double>::infinity(),
                                  .lane = lane,
                                  .stopping = stopping};
        replicas.on_shard(shard_index, [weak = weak_from_this(), &home = control, budget, pace,
                                        id = candidate.id](ShardReplicas& shard) {
            const auto view = shard.view(id);
            shard.compact(id, budget, pace,
                          [weak, &home, lane = pace.lane, topic = view ? view->topic : "",
                           id](CompactionOutcome outcome) {
                              home.post([weak, lane, topic, id, outcome = std::move(outcome)] {
                                  if (auto self = weak.lock()) {
                                      self->on_round(lane, topic, id, outcome);
                                  }
                              });
                          });
        });
    }

    void on_round(std::uint64_t lane, const std::string& topic, const TopicIdPartition& id,
                  const CompactionOutcome& outcome) {
        lanes.erase(lane);
        rounds.fetch_add(1, std::memory_order_relaxed);
        bytes_read.fetch_add(outcome.stats.bytes_read, std::memory_order_relaxed);
        bytes_written.fetch_add(outcome.stats.bytes_written, std::memory_order_relaxed);
        if (outcome.failure && outcome.failure->code() != Code::cancelled) {
            failures.fetch_add(1, std::memory_order_relaxed);
            MR_LOG(log, warn, "replication.compaction_failed", field("topic", topic),
                   field("partition", id.partition), field("reason", outcome.failure->message()));
        } else if (!outcome.failure) {
            MR_LOG(log, info, "replication.compacted", field("topic", topic),
                   field("partition", id.partition), field("read", outcome.stats.bytes_read),
                   field("written", outcome.stats.bytes_written),
                   field("segments", outcome.stats.segments_after));
        }
        if (*stopping) {
            if (lanes.empty() && stopped) {
                std::exchange(stopped, {})();
            }
            return;
        }
        if (outcome.failure) {
            look_after(settings.pause);  // it would fail again at once
        } else {
            look();
        }
    }

    runtime::Executor& control;
    const Replicas& replicas;
    Random& random;
    const std::function<void()> record;
    const Logger& log;
    Duration held_pause = first_held_pause;
    CleanerSettings settings;
    bool started = false;
    bool looking = false;
    runtime::TimerId timer{};
    std::set<std::uint64_t> lanes;  ///< Of the rounds under way.
    std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
    UniqueFunction<void()> stopped;
    std::atomic<std::uint64_t> rounds{0};
    std::atomic<std::uint64_t> failures{0};
    std::atomic<std::uint64_t> bytes_read{0};
    std::atomic<std::uint64_t> bytes_written{0};
};

Cleaner::Cleaner(runtime::Executor& control, const Replicas& replicas, Random& random,
                 std::function<void()> record, const Logger& log)
    : inside_(std::make_shared<Inside>(control, replicas, random, std::move(record), log)) {}

Cleaner::~Cleaner() = default;

void Cleaner::set(const CleanerSettings& settings) {
    if (inside_->started && inside_->settings == settings) {
        return;
    }
    inside_->started = true;
    inside_->settings = settings;
    inside_->look_after(settings.pause);
}

void Cleaner::stop(UniqueFunction<void()> done) {
    *inside_->stopping = true;
    inside_->control.cancel(inside_->timer);
    if (inside_->lanes.empty()) {
        done();
        return;
    }
    inside_->stopped = std::move(done);
}

CleanerCounts Cleaner::counts() const {
    return {inside_->rounds.load(std::memory_order_relaxed),
            inside_->failures.load(std::memory_order_relaxed),
            inside_->bytes_read.load(std::memory_order_relaxed),
            inside_->bytes_written.load(std::memory_order_relaxed)};
}

}  // namespace millrace::replication
