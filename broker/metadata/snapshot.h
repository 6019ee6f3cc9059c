// metadata/snapshot.h
//
// An image as records, and back. The records are those of Kafka's own snapshots: features first,
// then brokers, topics, configs and the rest; replaying them on an empty image gives the image.
#pragma once

#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/image.h"
#include "metadata/records.h"

namespace millrace::metadata {

/// Calls `sink` with batches of at most `max_batch_records` records until all is written or it
/// fails.
Result<void> write_image(const Image& image, std::size_t max_batch_records,
                         UniqueFunction<Result<void>(const RecordList&)> sink);

/// Everything in one list: tests and small images.
RecordList image_to_records(const Image& image);

/// Rebuilds an image. A damaged or incomplete snapshot is an error, never a smaller image.
class SnapshotLoader {
public:
    Result<void> replay(ByteView record);
    Result<Image> finish(const Provenance& provenance) &&;

private:
    Image image_;
    std::int64_t records_ = 0;
};

}  // namespace millrace::metadata
