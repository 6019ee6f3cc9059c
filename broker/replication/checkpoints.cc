#include "replication/checkpoints.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "replication/housekeeping.h"

namespace millrace::replication {
namespace {

using storage::Checkpoint;
using storage::LogDirectory;
using storage::OffsetMap;

constexpr std::array<Checkpoint, 4> every_kind{Checkpoint::recovery_point,
                                               Checkpoint::high_watermark, Checkpoint::log_start,
                                               Checkpoint::cleaner};

/// Kafka names a log in a file only where the file says more than the log itself.
std::optional<Offset> offset_for(Checkpoint kind, const LogMark& mark) {
    switch (kind) {
        case Checkpoint::recovery_point:
            return mark.recovery_point;
        case Checkpoint::high_watermark:
            return mark.high_watermark;
        case Checkpoint::log_start:
            return mark.start > mark.first_base ? std::optional(mark.start) : std::nullopt;
        case Checkpoint::cleaner:
            return mark.cleaned_end > Offset{0} ? std::optional(mark.cleaned_end) : std::nullopt;
    }
    return std::nullopt;
}

OffsetMap offsets_of(Checkpoint kind, const LogDirectory& directory,
                     const std::vector<LogMark>& marks) {
    OffsetMap offsets;
    for (const LogMark& mark : marks) {
        const auto offset =
            mark.directory.get() == &directory ? offset_for(kind, mark) : std::nullopt;
        if (offset) {
            offsets.emplace(mark.partition, *offset);
        }
    }
    return offsets;
}

}  // namespace

struct Checkpoints::Inside : std::enable_shared_from_this<Checkpoints::Inside> {
    struct Round {
        std::vector<Checkpoint> kinds;
        std::vector<std::shared_ptr<LogDirectory>> directories;
        std::vector<std::uint64_t> begun;  ///< By directory.
        std::vector<LogMark> marks;
        std::size_t shards_left = 0;
    };
    /// What a file held when it was last written: it is not written again without a change.
    using Written = std::map<std::pair<std::string, Checkpoint>, OffsetMap>;

    Inside(runtime::Node& node_in, storage::LogStore& store_in, const Replicas& replicas_in,
           const Logger& log_in)
        : node(node_in),
          control(*node_in.control_shard().executor),
          store(store_in),
          replicas(replicas_in),
          log(log_in) {}

    void arm(std::size_t timer, Duration interval, std::vector<Checkpoint> kinds) {
        control.cancel(timers[timer]);
        timers[timer] = control.after(interval, [weak = weak_from_this(), timer, interval, kinds] {
            if (auto self = weak.lock()) {
                self->want(kinds);
                self->arm(timer, interval, kinds);
            }
        });
    }

    void want(const std::vector<Checkpoint>& kinds) {
        for (const Checkpoint kind : kinds) {
            if (std::find(wanted.begin(), wanted.end(), kind) == wanted.end()) {
                wanted.push_back(kind);
            }
        }
        begin();
    }

    void begin() {
        if (under_way || wanted.empty()) {
            return;
        }
        under_way = true;
        const bool points =
            std::find(wanted.begin(), wanted.end(), Checkpoint::recovery_point) != wanted.end();
        auto round = std::make_shared<Round>();
        round->kinds = std::exchange(wanted, {});
        for (const auto& directory : store.directories()) {
            if (!directory->failed()) {
                round->directories.push_back(directory);
                round->begun.push_back(directory->begin_checkpoint());
            }
        }
        round->shards_left = replicas.size();
        for (std::size_t i = 0; i < replicas.size(); ++i) {
            replicas.on_shard(
                i, [weak = weak_from_this(), &home = control, round, points](ShardReplicas& shard) {
                    auto marks = points ? shard.marks_with_facts() : shard.marks();
                    home.post([weak, round, marks = std::move(marks)]() mutable {
                        if (auto self = weak.lock()) {
                            self->on_marks(round, std::move(marks));
                        }
                    });
                });
        }
    }

    void on_marks(const std::shared_ptr<Round>& round, std::vector<LogMark> marks) {
        std::move(marks.begin(), marks.end(), std::back_inserter(round->marks));
        if (--round->shards_left > 0) {
            return;
        }
        node.disk_pool().run(
            0, control,
            [self = shared_from_this(), round] {
                for (std::size_t i = 0; i < round->directories.size(); ++i) {
                    self->write_manifest(round->begun[i], *round->directories[i], round->marks);
                    for (const Checkpoint kind : round->kinds) {
                        // What goes wrong is logged, and tried again by the next round.
                        (void)self->write(kind, round->begun[i], *round->directories[i],
                                          round->marks);
                    }
                }
            },
            [self = shared_from_this(), round] { self->on_written(*round); });
    }

    /// Before the recovery points that were gathered with it.
    void write_manifest(std::uint64_t begun, LogDirectory& directory,
                        const std::vector<LogMark>& marks) {
        std::vector<storage::LogFacts> news;
        for (const LogMark& mark : marks) {
            if (mark.facts && mark.directory.get() == &directory) {
                news.push_back(*mark.facts);
            }
        }
        if (news.empty()) {
            return;
        }
        if (const auto noted = directory.write_manifest(begun, std::move(news)); !noted) {
            MR_LOG(log, warn, "replication.manifest_not_written", field("path", directory.path()),
                   field("reason", noted.error().message()));
        }
    }

    /// In the pool, one round at a time: `written` has no other user.
    Result<void> write(Checkpoint kind, std::uint64_t begun, LogDirectory& directory,
                       const std::vector<LogMark>& marks) {
        OffsetMap offsets = offsets_of(kind, directory, marks);
        OffsetMap& before = written[{directory.path(), kind}];
        if (before == offsets) {
            return {};
        }
        auto outcome = directory.write_checkpoint(kind, begun, offsets);
        if (outcome) {
            before = std::move(offsets);
        } else {
            before.clear();
            MR_LOG(log, warn, "replication.checkpoint_not_written", field("path", directory.path()),
                   field("reason", outcome.error().message()));
        }
        return outcome;
    }

    void on_written(const Round& round) {
        under_way = false;
        begin();
        const bool points = std::find(round.kinds.begin(), round.kinds.end(),
                                      Checkpoint::recovery_point) != round.kinds.end();
        if (!points) {
            return;
        }
        std::map<std::size_t, std::vector<std::pair<TopicIdPartition, Offset>>> recorded;
        for (const LogMark& mark : round.marks) {
            if (mark.is_compacted) {
                recorded[replicas.shard_of(mark.id)].emplace_back(mark.id, mark.recovery_point);
            }
        }
        for (auto& [shard, news] : recorded) {
            replicas.on_shard(shard, [news = std::move(news)](ShardReplicas& there) {
                there.note_recorded(news);
            });
        }
    }

    runtime::Node& node;
    runtime::Executor& control;
    storage::LogStore& store;
    const Replicas& replicas;
    const Logger& log;
    std::array<runtime::TimerId, 3> timers{};
    std::optional<CheckpointTimes> times;
    std::vector<Checkpoint> wanted;
    bool under_way = false;
    Written written;
};

Checkpoints::Checkpoints(runtime::Node& node, storage::LogStore& store, const Replicas& replicas,
                         const Logger& log)
    : inside_(std::make_shared<Inside>(node, store, replicas, log)) {}

Checkpoints::~Checkpoints() = default;

void Checkpoints::set(const CheckpointTimes& times) {
    if (inside_->times == times) {
        return;
    }
    inside_->times = times;
    inside_->arm(0, times.recovery_points, {Checkpoint::recovery_point, Checkpoint::cleaner});
    inside_->arm(1, times.log_starts, {Checkpoint::log_start});
    inside_->arm(2, times.high_watermarks, {Checkpoint::high_watermark});
}

void Checkpoints::write_points_soon() {
    inside_->want({Checkpoint::recovery_point});
}

Result<void> Checkpoints::write_last(const std::vector<LogMark>& marks) {
    Result<void> outcome;
    for (const auto& directory : inside_->store.directories()) {
        if (!directory->failed()) {
            inside_->write_manifest(directory->begin_checkpoint(), *directory, marks);
        }
        for (const Checkpoint kind : every_kind) {
            if (directory->failed()) {
                continue;
            }
            if (auto done = inside_->write(kind, directory->begin_checkpoint(), *directory, marks);
                !done) {
                outcome = done;
            }
        }
    }
    return outcome;
}

}  // namespace millrace::replication
