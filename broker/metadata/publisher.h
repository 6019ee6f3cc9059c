// metadata/publisher.h
//
// From the log to everyone who must know: the loader replays committed records and snapshots on the
// control shard, swaps the image that other shards read, and tells subscribers (delta, image) in
// the order they subscribed (architecture: config, security, replication, coordinators, metrics).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/delta.h"
#include "metadata/image.h"

namespace millrace::metadata {

/// The current image, shared by all shards.
class ImageHandle {
public:
    ImageHandle() : image_(std::make_shared<Image>()) {}

    /// From any thread; takes a lock for one pointer copy. Shards use an ImageReader.
    ImagePtr current() const;
    void swap(ImagePtr image);

private:
    friend class ImageReader;
    mutable std::mutex mutex_;
    ImagePtr image_;
    std::atomic<std::uint64_t> version_{1};
};

/// One per shard: current() is one atomic load while nothing changed.
class ImageReader {
public:
    explicit ImageReader(const ImageHandle& handle) : handle_(&handle) {}

    /// Stays valid until the next call on this reader; copy the pointer to hold on to it.
    const ImagePtr& current();

private:
    const ImageHandle* handle_;
    ImagePtr image_;
    std::uint64_t version_ = 0;
};

/// A record of the log with where it lies. `bytes` live for the call.
struct CommittedRecord {
    Offset offset;
    ByteView bytes;
};

class Loader {
public:
    using Subscriber = UniqueFunction<void(const Delta&, const ImagePtr&)>;

    explicit Loader(ImageHandle& handle) : handle_(handle), image_(handle.current()) {}

    /// Called in this order after every change, on the control shard. `name` is for errors and
    /// logs.
    void subscribe(std::string name, Subscriber subscriber);

    /// Committed records of one batch, in order. An error is fatal for the node.
    Result<void> on_commit(std::span<const CommittedRecord> records, Offset end, QuorumEpoch epoch,
                           Timestamp appended);
    /// Replaces everything; subscribers get the difference to what they knew.
    Result<void> on_snapshot(Image image);

    const ImagePtr& image() const { return image_; }

private:
    void publish(const Delta& delta);

    ImageHandle& handle_;
    ImagePtr image_;
    std::optional<Delta> open_;  ///< A metadata transaction that has not ended yet.
    std::vector<std::pair<std::string, Subscriber>> subscribers_;
};

}  // namespace millrace::metadata
