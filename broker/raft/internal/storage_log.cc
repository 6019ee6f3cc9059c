#include "raft/storage_log.h"

#include <utility>

#include "raft/internal/wire_names.h"
#include "record/batch_view.h"
#include "runtime/disk_lanes.h"
#include "storage/log_directory.h"
#include "storage/partition_log.h"

namespace millrace::raft {

namespace {

class StorageLog final : public ReplicatedLog {
public:
    StorageLog(std::unique_ptr<storage::PartitionLog> log, runtime::Node& node)
        : log_(std::move(log)), node_(node) {}

    Offset start() const override { return log_->start(); }
    Offset end() const override { return log_->end(); }

    Result<void> append(ByteView bytes) override {
        std::vector<record::BatchView> batches;
        record::BatchRange range{bytes};
        for (const record::BatchView batch : range) {
            batches.push_back(batch);
        }
        MR_ASSERT(range.rest().empty());  // Whole batches: that is the caller's word.
        return log_->append(batches, now());
    }

    Result<void> truncate(Offset end) override { return log_->truncate_to(end); }

    Result<void> restart_at(LogPosition start) override {
        MR_TRY_VOID(log_->truncate_fully_and_start_at(start.end));
        remove_retired();
        return {};
    }

    Result<void> advance_start(Offset start) override {
        MR_TRY_VOID(log_->advance_start(start));
        remove_retired();
        return {};
    }

    Result<Buffer> read(Offset from, Offset limit, Bytes max) const override {
        Buffer bytes;
        Offset at = from;
        // A slice ends with its segment; what was asked for may go on in the next one.
        while (at < limit && static_cast<std::int64_t>(bytes.size()) < max.count) {
            const std::size_t room = static_cast<std::size_t>(max.count) - bytes.size();
            MR_TRY(const auto slice, log_->read({.from = at,
                                                 .upper = limit,
                                                 .max_bytes = room,
                                                 .min_one_batch = bytes.empty()}));
            if (slice.empty()) {
                break;
            }
            const std::size_t before = bytes.size();
            bytes.resize(before + slice.length);
            MR_TRY(const std::size_t got,
                   slice.file->read_at(slice.position, MutableBytes(bytes).subspan(before)));
            if (got != slice.length) {
                return Error::make(Code::corrupt, "{}: {} of {} bytes at offset {}", log_->path(),
                                   got, slice.length, at);
            }
            for (const record::BatchView batch :
                 record::BatchRange{ByteView(bytes).subspan(before)}) {
                at = batch.next_offset();
            }
        }
        return bytes;
    }

    void sync(UniqueFunction<void(Result<void>)> done) override {
        MR_ASSERT(!log_->sync_under_way());
        auto job = log_->begin_sync();
        auto& executor = *node_.control_shard().executor;
        if (!job) {
            // Nothing to do, or nothing that may be done any more.
            const auto failure = log_->failure();
            executor.post([failure, done = std::move(done)]() mutable {
                done(failure ? Result<void>(*failure) : Result<void>());
            });
            return;
        }
        struct Sync {
            storage::SyncJob job;
            Result<void> outcome;
            UniqueFunction<void(Result<void>)> done;
        };
        auto sync = std::make_shared<Sync>(Sync{*std::move(job), {}, std::move(done)});
        node_.disk_pool().run(
            runtime::first_lane, executor, [sync] { sync->outcome = sync->job.run(); },
            [this, sync, alive = std::weak_ptr<bool>(alive_)] {
                if (!alive.expired()) {
                    log_->complete_sync(sync->job, sync->outcome);
                    sync->done(sync->outcome);
                }
            });
    }

    Result<void> sync_now() override { return log_->sync_now(); }
    Result<void> close() override { return log_->close_cleanly(); }

private:
    Timestamp now() const { return node_.control_shard().executor->clock().wall(); }

    /// Nobody holds slices of this log beyond a call, so its files may go at once.
    void remove_retired() {
        auto retired = std::make_shared<storage::RetiredFiles>(log_->take_retired());
        if (!retired->empty()) {
            auto outcome = std::make_shared<Result<void>>();
            const Logger& log = node_.log();
            node_.disk_pool().run(
                0, *node_.control_shard().executor,
                [retired, outcome] { *outcome = retired->run(); },
                [outcome, &log] {
                    if (!*outcome) {
                        MR_LOG(log, warn, "raft.old_segments_remain",
                               field("error", outcome->error().to_string()));
                    }
                });
        }
    }

    std::unique_ptr<storage::PartitionLog> log_;
    runtime::Node& node_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Result<std::unique_ptr<ReplicatedLog>> open_storage_log(
    std::shared_ptr<storage::LogDirectory> directory, runtime::Node& node, Bytes segment_bytes) {
    const std::string path = directory->path() + "/" + metadata_folder;
    MR_TRY_VOID(directory->disk().create_directories_durably(path));
    storage::LogLimits limits;
    limits.may_use_reserve = true;
    limits.segment_bytes = segment_bytes;
    limits.cleanup = {.remove = false, .compact = false};
    const auto now = node.control_shard().executor->clock().wall();
    // Read in full: it is short, thanks to snapshots, and everything that we promised is in it.
    MR_TRY(auto log, storage::PartitionLog::recover_folder(
                         std::move(directory), {std::string(metadata_topic), PartitionIndex{0}},
                         metadata_folder, limits, {.recovery_point = Offset{0}, .now = now}));
    if (log->topic_id() != metadata_topic_id) {
        MR_TRY_VOID(log->set_topic_id(metadata_topic_id));
    }
    return std::unique_ptr<ReplicatedLog>(std::make_unique<StorageLog>(std::move(log), node));
}

}  // namespace millrace::raft
