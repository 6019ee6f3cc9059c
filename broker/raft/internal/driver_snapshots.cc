#include <algorithm>

#include "raft/internal/driver.h"
#include "record/batch_view.h"

namespace millrace::raft {

namespace {

/// Makes a finished file durable under its name. In the disk pool.
Result<SnapshotSummary> publish(runtime::Disk& disk, runtime::File& file, const std::string& from,
                                const std::string& to, const std::string& directory) {
    MR_TRY_VOID(file.sync());
    // Read back what will be trusted with the cluster's state.
    MR_TRY(auto summary, check_snapshot_file(file));
    MR_TRY_VOID(disk.rename(from, to));
    MR_TRY_VOID(disk.sync_directory(directory));
    return summary;
}

}  // namespace

// ---- Written here -------------------------------------------------------------------------------

class FileSnapshotWriter final : public SnapshotWriter {
public:
    FileSnapshotWriter(Driver& driver, const SnapshotId& id, std::string path,
                       runtime::FilePtr file)
        : driver_(&driver),
          alive_(driver.alive_),
          disk_(driver.disk_),
          id_(id),
          path_(std::move(path)),
          file_(std::move(file)) {}

    ~FileSnapshotWriter() override {
        if (file_) {
            file_.reset();
            // Best effort: what stays is removed at the next start.
            static_cast<void>(disk_.remove(path_));
        }
    }

    Result<void> write(const Buffer& batch) {
        MR_TRY_VOID(file_->write_at(position_, ByteView(batch)));
        position_ += batch.size();
        MR_TRY(const auto view, record::BatchView::parse(batch));
        next_ = view.next_offset();
        return {};
    }

    SnapshotId id() const override { return id_; }

    Result<void> append(Buffer batch) override {
        MR_TRY(const auto view, record::BatchView::parse(batch));
        if (view.size() != batch.size() || view.is_control()) {
            return Error(Code::invalid, "not one batch of data records");
        }
        record::patch_base_offset(batch, next_);
        record::patch_leader_epoch(batch, LeaderEpoch{id_.epoch.value});
        return write(batch);
    }

    void finish(UniqueFunction<void(Result<void>)> done) override {
        if (alive_.expired()) {
            done(Error(Code::closed, "the quorum is gone"));
            return;
        }
        Driver& driver = *driver_;
        if (const auto footer = write(snapshot_footer_batch(id_, next_, driver.wall())); !footer) {
            driver.executor_.post(
                [done = std::move(done), footer]() mutable { done(footer.error()); });
            return;
        }
        auto file = std::exchange(file_, nullptr);
        driver.in_pool<SnapshotSummary>(
            [&disk = disk_, file, from = path_, to = driver.path_of(id_),
             directory = driver.options_.directory] {
                return publish(disk, *file, from, to, directory);
            },
            [&driver, id = id_, path = path_,
             done = std::move(done)](Result<SnapshotSummary> summary) mutable {
                if (!summary) {
                    static_cast<void>(driver.disk_.remove(path));
                    done(summary.error().with_context("writing a snapshot"));
                    return;
                }
                driver.note_snapshot(id, *std::move(summary));
                driver.step(SnapshotCreated{id});
                done({});
            });
    }

private:
    Driver* driver_;
    std::weak_ptr<bool> alive_;
    runtime::Disk& disk_;
    SnapshotId id_;
    std::string path_;
    runtime::FilePtr file_;
    std::uint64_t position_ = 0;
    Offset next_{0};
};

Result<std::unique_ptr<SnapshotWriter>> Driver::create_snapshot(Offset end,
                                                                Timestamp last_contained_log_time) {
    if (stopped_ || !core_) {
        return Error(Code::closed, "the quorum is not running");
    }
    if (end > delivered_ || end <= core_->log_start()) {
        return Error::make(Code::invalid, "no snapshot at {}: delivered is up to {}, kept from {}",
                           end, delivered_, core_->log_start());
    }
    if (core_->latest_snapshot() && core_->latest_snapshot()->end >= end) {
        return Error::make(Code::exists, "there is a snapshot at {}",
                           core_->latest_snapshot()->end);
    }
    // The batch before `end` must end there: a snapshot never cuts one in two.
    MR_TRY(const Buffer last, log_->read(end - 1, end, Bytes{1}));
    const auto batch = record::BatchView::parse(last);
    if (!batch || batch->next_offset() != end) {
        return Error::make(Code::invalid, "no batch ends at {}", end);
    }
    const auto id = core_->snapshot_id_at(end);
    MR_ASSERT(id.has_value());  // Delivered, hence committed.
    const std::string path = fmt::format("{}/{:020}-{:010}-{}.checkpoint.part", options_.directory,
                                         id->end.value, id->epoch.value, ++last_download_);
    MR_TRY(auto file, disk_.open(path, runtime::OpenMode::create_empty));
    auto writer = std::make_unique<FileSnapshotWriter>(*this, *id, path, std::move(file));
    const VoterHistory& history = core_->voter_history();
    const std::int16_t version = history.kraft_version_at(end);
    MR_TRY_VOID(writer->write(snapshot_header_batch(
        *id, last_contained_log_time, version,
        version > 0 ? std::optional(history.at(end)) : std::nullopt, wall())));
    return std::unique_ptr<SnapshotWriter>(std::move(writer));
}

void Driver::note_snapshot(const SnapshotId& id, SnapshotSummary summary) {
    snapshots_[id] = std::move(summary);
}

// ---- Downloaded ---------------------------------------------------------------------------------

void Driver::begin_download(const SnapshotId& id) {
    MR_LOG(log_out_, info, "raft.snapshot_download", field("id", id.to_string()));
    const std::string path = fmt::format("{}/{:020}-{:010}-{}.checkpoint.part", options_.directory,
                                         id.end.value, id.epoch.value, ++last_download_);
    if (download_) {
        // Of a leader that is gone, or damaged: the name is not used again.
        static_cast<void>(disk_.remove(download_->path));
        download_.reset();
    }
    auto file = disk_.open(path, runtime::OpenMode::create_empty);
    if (!file) {
        halt(file.error().with_context("downloading a snapshot"));
        return;
    }
    download_ = Download{id, path, *std::move(file)};
}

void Driver::write_chunk(const SnapshotChunk& chunk) {
    MR_ASSERT(download_ && download_->id == chunk.id);
    must(download_->file->write_at(static_cast<std::uint64_t>(chunk.position),
                                   ByteView(*chunk.bytes)),
         "downloading a snapshot");
}

void Driver::complete_download(const SnapshotId& id) {
    MR_ASSERT(download_ && download_->id == id);
    const Download download = *std::exchange(download_, std::nullopt);
    in_pool<SnapshotSummary>(
        [&disk = disk_, download, to = path_of(id), directory = options_.directory] {
            return publish(disk, *download.file, download.path, to, directory);
        },
        [this, download](Result<SnapshotSummary> summary) {
            if (summary) {
                note_snapshot(download.id, *summary);
                step(SnapshotReady{download.id, summary->kraft_version, summary->voters});
                return;
            }
            if (summary.error().code() != Code::corrupt) {
                halt(summary.error().with_context("downloading a snapshot"));
                return;
            }
            MR_LOG(log_out_, warn, "raft.snapshot_refused", field("id", download.id.to_string()),
                   field("error", summary.error().to_string()));
            static_cast<void>(disk_.remove(download.path));
            step(SnapshotDamaged{download.id});
        });
}

void Driver::forget_before(const SnapshotId& id) {
    must(log_->advance_start(id.end), "dropping old log");
    std::vector<std::string> paths;
    while (!snapshots_.empty() && snapshots_.begin()->first < id) {
        paths.push_back(path_of(snapshots_.begin()->first));
        snapshots_.erase(snapshots_.begin());
    }
    served_.reset();
    in_pool<void>(
        [&disk = disk_, paths]() -> Result<void> {
            for (const std::string& path : paths) {
                MR_TRY_VOID(disk.remove(path));
            }
            return {};
        },
        [this](Result<void> outcome) {
            if (!outcome) {
                MR_LOG(log_out_, warn, "raft.old_snapshots_remain",
                       field("error", outcome.error().to_string()));
            }
        });
}

}  // namespace millrace::raft
