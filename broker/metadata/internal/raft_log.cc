#include "metadata/raft_log.h"

#include "record/batch_builder.h"

namespace millrace::metadata {

Buffer metadata_batch(const RecordList& records, Timestamp now) {
    record::BatchBuilder builder{record::BatchOptions{}};
    for (std::size_t i = 0; i < records.size(); ++i) {
        builder.append({.timestamp = now.milliseconds, .value = records[i]});
    }
    return builder.finish();
}

Result<Offset> RaftLog::append(QuorumEpoch epoch, const RecordList& records) {
    // What becomes of the batch the loader tells: committed records in on_commit, or the end of our
    // leadership.
    MR_TRY(const raft::Appended appended,
           driver_.append(epoch, metadata_batch(records, clock_.wall()), [](Result<void>) {}));
    return appended.end;
}

}  // namespace millrace::metadata
