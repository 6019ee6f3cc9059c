// metadata/raft_log.h
//
// The controller's log over raft's driver: record lists become Kafka's batches.
#pragma once

#include "metadata/controller.h"
#include "metadata/loader.h"
#include "raft/raft_driver.h"
#include "runtime/executor.h"

namespace millrace::metadata {

/// One uncompressed batch with offsets from 0, as Kafka's controllers write them.
Buffer metadata_batch(const RecordList& records, Timestamp now);

class RaftLog final : public MetadataLog {
public:
    /// `max_batch_bytes`: QuorumConfig::max_batch.
    RaftLog(raft::RaftDriver& driver, const Loader& loader, const Clock& clock,
            std::size_t max_batch_bytes)
        : driver_(driver), loader_(loader), clock_(clock), max_batch_bytes_(max_batch_bytes) {}

    Result<Offset> append(QuorumEpoch epoch, const RecordList& records) override;
    Offset end() const override { return driver_.log_end(); }
    std::size_t max_batch_bytes() const override { return max_batch_bytes_; }
    bool in_transaction() const override { return loader_.in_transaction(); }

private:
    raft::RaftDriver& driver_;
    const Loader& loader_;
    const Clock& clock_;
    std::size_t max_batch_bytes_;
};

}  // namespace millrace::metadata
