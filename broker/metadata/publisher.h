// metadata/publisher.h
//
// The current image, shared by all shards, and those who are told of every change.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_function.h"
#include "metadata/delta.h"
#include "metadata/image.h"

namespace millrace::metadata {

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

/// Swaps the image, then tells subscribers in the order in which they came (architecture: config,
/// security, replication, coordinators, metrics). On the control shard.
class Publisher {
public:
    using Subscriber = UniqueFunction<void(const Delta&, const ImagePtr&)>;

    explicit Publisher(ImageHandle& handle) : handle_(handle) {}

    /// A subscriber that comes late first hears of all there is, as a difference from nothing.
    void subscribe(Subscriber subscriber);
    void publish(const Delta& delta);

private:
    ImageHandle& handle_;
    std::vector<Subscriber> subscribers_;
};

}  // namespace millrace::metadata
