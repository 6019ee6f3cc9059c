// metadata/loader.h
//
// From the quorum to the image: replays committed batches and snapshots on the control shard and
// publishes. Every node has one, controller or not. A record that can't be applied is returned as
// an error, which stops the node (case 44 of tests/cases.txt): it is never skipped.
#pragma once

#include <optional>

#include "base/unique_function.h"
#include "metadata/publisher.h"
#include "raft/state_listener.h"
#include "record/compression.h"

namespace millrace::metadata {

class Loader final : public raft::StateListener {
public:
    explicit Loader(Publisher& publisher) : publisher_(publisher) {}

    /// Called after what was committed before is published: Controller::on_leadership.
    void set_leadership_listener(UniqueFunction<void(const raft::Leadership&)> listener) {
        on_leadership_ = std::move(listener);
    }

    /// What was published last.
    const Image& image() const { return image_; }
    /// A metadata transaction has begun and not ended: a new controller aborts it.
    bool in_transaction() const { return open_.has_value(); }
    /// Bytes of record batches applied since the start or the last snapshot.
    std::uint64_t bytes_since_snapshot() const { return bytes_since_snapshot_; }
    void snapshot_taken() { bytes_since_snapshot_ = 0; }

    Result<void> on_commit(std::span<const raft::CommittedBatch> batches) override;
    Result<void> on_snapshot(raft::SnapshotReader& snapshot) override;
    void on_leader_change(const raft::Leadership& leadership) override;

private:
    Result<void> replay(Delta& delta, ByteView batch);

    Publisher& publisher_;
    UniqueFunction<void(const raft::Leadership&)> on_leadership_;
    Image image_;
    std::optional<Delta> open_;  ///< Not to be published before its transaction ends.
    record::Decompressor decompressor_;
    std::uint64_t bytes_since_snapshot_ = 0;
};

}  // namespace millrace::metadata
