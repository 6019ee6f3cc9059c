#include "metadata/snapshotter.h"

#include <fmt/format.h>

#include "metadata/raft_log.h"

namespace millrace::metadata {

Snapshotter::Snapshotter(runtime::Executor& executor, raft::RaftDriver& driver, Loader& loader,
                         SnapshotPolicy policy, Logger logger)
    : executor_(executor),
      driver_(driver),
      loader_(loader),
      policy_(policy),
      logger_(std::move(logger)),
      last_(executor.clock().now()) {}

Snapshotter::~Snapshotter() = default;

void Snapshotter::on_publish() {
    const bool by_size = loader_.bytes_since_snapshot() >= policy_.max_bytes;
    const bool by_time = policy_.max_interval.count() > 0 && loader_.bytes_since_snapshot() > 0 &&
                         executor_.clock().now() - last_ >= policy_.max_interval;
    if (is_busy() || !(by_size || by_time)) {
        return;
    }
    take([this](const Result<void>& result) {
        if (!result) {
            MR_LOG(logger_, warn, "metadata.snapshot_failed",
                   field("error", result.error().to_string()));
        }
    });
}

void Snapshotter::take(UniqueFunction<void(Result<void>)> done) {
    if (is_busy()) {
        done(Error::make(Code::busy, "a snapshot is under way"));
        return;
    }
    last_ = executor_.clock().now();
    const Image& image = loader_.image();
    if (image.metadata_version().level == 0) {
        done(Error::make(Code::invalid, "there is no metadata to write"));
        return;
    }
    auto writer = driver_.create_snapshot(image.provenance.end, image.provenance.last_appended);
    if (!writer) {
        // We have that one already: nothing to do is no failure.
        done(writer.error().code() == Code::exists ? Result<void>() : writer.error());
        return;
    }
    loader_.snapshot_taken();
    writer_ = *std::move(writer);
    image_.emplace(image);
    appended_ = image.provenance.last_appended;
    done_ = std::move(done);
    write_slice();
}

void Snapshotter::write_slice() {
    const RecordList records = image_->next(policy_.records_per_slice);
    if (records.empty()) {
        image_.reset();
        writer_->finish([this, alive = std::weak_ptr(alive_)](const Result<void>& result) {
            if (!alive.expired()) {
                finish(result);
            }
        });
        return;
    }
    if (Result<void> written = writer_->append(metadata_batch(records, appended_)); !written) {
        finish(written);
        return;
    }
    executor_.post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) {
            write_slice();
        }
    });
}

void Snapshotter::finish(const Result<void>& result) {
    image_.reset();
    const auto writer = std::move(writer_);
    if (result) {
        MR_LOG(logger_, info, "metadata.snapshot_taken", field("offset", writer->id().end));
    }
    std::exchange(done_, nullptr)(result);
}

}  // namespace millrace::metadata
