#include "metadata/loader.h"

#include <fmt/format.h>

#include "metadata/internal/replay_batch.h"
#include "record/batch_view.h"
#include "record/record_view.h"

namespace millrace::metadata {

Result<void> replay_batch(Delta& delta, const record::BatchView& batch,
                          record::Decompressor& decompressor) {
    record::RecordReader reader(batch, decompressor);
    record::RecordView record;
    while (reader.next(record)) {
        if (!record.value) {
            return Error::make(Code::corrupt, "metadata record at offset {} has no value",
                               record::offset_of(batch, record));
        }
        MR_TRY_VOID(delta.replay(*record.value, record::offset_of(batch, record)));
    }
    return reader.status();
}

Result<void> Loader::replay(Delta& delta, ByteView batch) {
    MR_TRY(const record::BatchView view, record::BatchView::parse(batch));
    return replay_batch(delta, view, decompressor_);
}

Result<void> Loader::on_commit(std::span<const raft::CommittedBatch> batches) {
    Delta delta = open_ ? *std::move(open_) : Delta(image_);
    open_.reset();
    Provenance provenance = image_.provenance;
    for (const raft::CommittedBatch& batch : batches) {
        if (!batch.is_control) {
            MR_TRY_VOID(replay(delta, batch.bytes));
        }
        bytes_since_snapshot_ += batch.bytes.size();
        provenance = {batch.end, batch.epoch, batch.append_time};
    }
    delta.set_provenance(provenance);
    if (delta.in_transaction()) {
        open_ = std::move(delta);
        return {};
    }
    image_ = delta.after();
    publisher_.publish(delta);
    return {};
}

Result<void> Loader::on_snapshot(raft::SnapshotReader& snapshot) {
    Delta fresh{Image{}};
    while (true) {
        MR_TRY(const std::optional<ByteView> batch, snapshot.next());
        if (!batch) {
            break;
        }
        MR_TRY_VOID(replay(fresh, *batch));
    }
    if (snapshot.id().end == Offset{0} && fresh.after().metadata_version().level == 0) {
        // Kafka's format leaves one in front of everything, with the voters and nothing else.
        return {};
    }
    // What is missing from a snapshot reads as deleted, so one that can't be whole must not be
    // taken.
    if (fresh.after().metadata_version().level == 0 || fresh.in_transaction()) {
        return Error::make(Code::corrupt, "snapshot up to offset {} is not whole",
                           snapshot.id().end);
    }
    fresh.set_provenance(
        {snapshot.id().end, snapshot.id().epoch, snapshot.last_contained_log_time()});
    open_.reset();
    bytes_since_snapshot_ = 0;
    const Delta delta = Delta::between(std::move(image_), fresh.after());
    image_ = delta.after();
    publisher_.publish(delta);
    return {};
}

void Loader::on_leader_change(const raft::Leadership& leadership) {
    if (on_leadership_) {
        on_leadership_(leadership);
    }
}

}  // namespace millrace::metadata
