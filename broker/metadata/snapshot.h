// metadata/snapshot.h
//
// An image as records: those of Kafka's own snapshots, metadata.version first. Replaying them on an
// empty image (Delta) gives the image again.
#pragma once

#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/image.h"
#include "metadata/records.h"

namespace millrace::metadata {

using RecordSink = UniqueFunction<Result<void>(const RecordList&)>;

/// Calls `sink` with lists of at most `max_records` until all is written or one call fails.
Result<void> write_image(const Image& image, std::size_t max_records, RecordSink sink);

/// Everything in one list: tests and small images.
RecordList image_to_records(const Image& image);

}  // namespace millrace::metadata
