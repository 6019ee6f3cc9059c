// Moves a partition's log to another directory: a copy is made beside serving, and takes its place
// once it has everything. Appends are gathered while the two change places, so nothing is
// acknowledged that only the old place has; on the disk the old folder goes after the new one has
// its name, so that a crash leaves one of them, or both with the same contents.
#include <algorithm>
#include <utility>

#include "record/batch_view.h"
#include "replication/internal/partition.h"

namespace millrace::replication {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;
/// With no more than this left to copy the two may change places.
constexpr std::int64_t last_offsets = 10'000;
constexpr Duration retry_pause = 100ms;

Result<void> append_bytes(storage::PartitionLog& log, ByteView bytes, Timestamp now) {
    std::vector<record::BatchView> batches;
    record::BatchRange range{bytes};
    while (const auto batch = range.next()) {
        if (batch->next_offset() > log.end()) {
            batches.push_back(*batch);
        }
    }
    if (batches.empty()) {
        return Error::make(Code::corrupt, "{}: no batch at {}", log.partition(), log.end());
    }
    return log.append(batches, now);
}

Result<Buffer> read_whole(const storage::ReadSlice& slice) {
    MR_TRY_VOID(storage::check_slice(slice));
    Buffer bytes(slice.length);
    MR_TRY(const std::size_t got, slice.file->read_at(slice.position, bytes));
    if (got != slice.length) {
        return Error(Code::corrupt, "the log ended early");
    }
    return bytes;
}

}  // namespace

struct Partition::Move {
    std::unique_ptr<storage::PartitionLog> log;
};

KafkaError Partition::move_to(const std::shared_ptr<storage::LogDirectory>& directory,
                              const std::string& folder) {
    if (!log_ || log_->failure() || directory->failed()) {
        return KafkaError::kafka_storage_error;
    }
    if (holding_) {
        return KafkaError::none;  // It is changing places this moment.
    }
    if (move_ && move_->log->directory() == directory) {
        return KafkaError::none;
    }
    give_up_move();
    if (log_->directory() == directory) {
        return KafkaError::none;
    }
    auto copy = storage::PartitionLog::create(directory, log_->partition(), log_->topic_id(),
                                              settings_.limits, log_->start());
    if (const auto named = copy->rename_folder(folder); !named) {
        return KafkaError::kafka_storage_error;
    }
    move_ = std::make_shared<Move>(Move{std::move(copy)});
    copy_more(move_);
    return KafkaError::none;
}

void Partition::give_up_move() {
    if (auto move = std::exchange(move_, nullptr)) {
        shell_.retire(*move->log, 0s);
    }
}

/// `then` runs with this partition, if this is still the move under way.
template <typename Then>
auto Partition::if_moving(const std::shared_ptr<Move>& move, Then then) {
    return [find = shell_.find, id = state_.id, move, then = std::move(then)] {
        auto partition = find(id);
        if (partition && partition->log_ && partition->move_ == move) {
            then(*partition);
        }
    };
}

void Partition::fail_move(const Error& why) {
    MR_LOG(*shell_.log, warn, "replication.log_not_moved", field("topic", state_.topic),
           field("partition", state_.id.partition), field("reason", why.message()));
    holding_ = false;
    give_up_move();
    flush();
}

void Partition::copy_more(const std::shared_ptr<Move>& move) {
    storage::PartitionLog& copy = *move->log;
    if (copy.end() < log_->start()) {
        if (auto begun = copy.truncate_fully_and_start_at(log_->start()); !begun) {
            fail_move(begun.error());
            return;
        }
    }
    if (copy.end() >= high_watermark()) {
        sync_copy(move, [move](Partition& self) { self.hold_for_move(move); });
        return;
    }
    RateBucket& throttle = shell_.throttles->log_dirs;
    if (const Duration pause = throttle.closed_for(shell_.loop->clock().now());
        pause > Duration{}) {
        shell_.loop->after(pause,
                           if_moving(move, [move](Partition& self) { self.copy_more(move); }));
        return;
    }
    auto slice = log_->read({.from = copy.end(),
                             .upper = high_watermark(),
                             .max_bytes = std::min(piece_bytes, throttle.piece()),
                             .check_in_place = false});
    if (!slice) {
        fail_move(slice.error());
        return;
    }
    if (slice->empty()) {
        // Only holes are left, as compaction leaves them.
        sync_copy(move, [move](Partition& self) { self.hold_for_move(move); });
        return;
    }
    auto bytes = std::make_shared<Result<Buffer>>(Buffer{});
    shell_.pool->run(
        0, *shell_.loop, [slice = *std::move(slice), bytes] { *bytes = read_whole(slice); },
        if_moving(move, [move, bytes](Partition& self) {
            if (*bytes) {
                self.shell_.throttles->log_dirs.spend((*bytes)->size(),
                                                      self.shell_.loop->clock().now());
            }
            auto copied = *bytes
                              ? append_bytes(*move->log, **bytes, self.shell_.loop->clock().wall())
                              : Result<void>(bytes->error());
            if (copied) {
                self.copy_more(move);
            } else {
                self.fail_move(copied.error());
            }
        }));
}

template <typename Then>
void Partition::sync_copy(const std::shared_ptr<Move>& move, Then then) {
    auto job = move->log->begin_sync();
    if (!job) {
        then(*this);
        return;
    }
    auto shared = std::make_shared<std::pair<storage::SyncJob, Result<void>>>(*std::move(job),
                                                                              Result<void>{});
    shell_.pool->run(
        0, *shell_.loop, [shared] { shared->second = shared->first.run(); },
        if_moving(move, [move, shared, then = std::move(then)](Partition& self) {
            move->log->complete_sync(shared->first, shared->second);
            if (shared->second) {
                then(self);
            } else {
                self.fail_move(shared->second.error());
            }
        }));
}

void Partition::hold_for_move(const std::shared_ptr<Move>& move) {
    if (compacting_ || log_->end() - move->log->end() > last_offsets) {
        shell_.loop->after(retry_pause,
                           if_moving(move, [move](Partition& self) { self.copy_more(move); }));
        return;
    }
    write_staged();
    holding_ = true;
    while (move->log->end() < log_->end()) {
        auto slice =
            log_->read({.from = move->log->end(), .upper = log_->end(), .max_bytes = piece_bytes});
        auto bytes = !slice           ? Result<Buffer>(slice.error())
                     : slice->empty() ? Result<Buffer>(Error(Code::invalid, "a hole at the end"))
                                      : read_whole(*slice);
        const auto copied = bytes ? append_bytes(*move->log, *bytes, shell_.loop->clock().wall())
                                  : Result<void>(bytes.error());
        if (!copied) {
            fail_move(copied.error());
            return;
        }
    }
    if (const auto trimmed = move->log->advance_start(log_->start()); !trimmed) {
        fail_move(trimmed.error());
        return;
    }
    sync_copy(move, [move](Partition& self) { self.name_moved(move); });
}

void Partition::name_moved(const std::shared_ptr<Move>& move) {
    const std::string name = log_->path().substr(log_->directory()->path().size() + 1);
    if (const auto named = move->log->rename_folder(name); !named) {
        fail_move(named.error());
        return;
    }
    sync_copy(move, [move](Partition& self) { self.change_places(move); });
}

void Partition::change_places(const std::shared_ptr<Move>& move) {
    std::shared_ptr<storage::PartitionLog> old = std::exchange(log_, std::move(move->log));
    move_.reset();
    history_.recorded_end = Offset{0};
    if (const auto trimmed = log_->advance_start(old->start()); !trimmed) {
        MR_LOG(*shell_.log, warn, "replication.start_not_moved", field("topic", state_.topic),
               field("partition", state_.id.partition), field("reason", trimmed.error().message()));
    }
    const std::shared_ptr<storage::LogDirectory> from = old->directory();
    shell_.retire(*old, settings_.limits.file_delete_delay);
    MR_LOG(*shell_.log, info, "replication.log_moved", field("topic", state_.topic),
           field("partition", state_.id.partition), field("from", from->path()),
           field("to", log_->directory()->path()));
    auto outcome = std::make_shared<Result<void>>();
    shell_.pool->run(
        0, *shell_.loop, [from, outcome] { *outcome = from->disk().sync_directory(from->path()); },
        [find = shell_.find, id = state_.id, outcome, from] {
            if (!*outcome) {
                (void)from->note(outcome->error());
            }
            if (auto self = find(id); self && self->log_) {
                self->settle_in();
            }
        });
}

std::optional<ShardReplicas::View::Future> Partition::future_view() const {
    if (!move_) {
        return std::nullopt;
    }
    return ShardReplicas::View::Future{.directory_path = move_->log->directory()->path(),
                                       .end = move_->log->end(),
                                       .size_bytes = move_->log->size_bytes()};
}

void Partition::check_place() {
    if (log_ && log_->directory()->id() != state_.directory) {
        shell_.placed(*this);
    }
}

void Partition::settle_in() {
    holding_ = false;
    shell_.placed(*this);
    if (leader_) {
        run(leader_->step(Synced{log_->synced_end()}));
    }
    on_synced();
    flush();
}

}  // namespace millrace::replication
