#include "metadata/publisher.h"

namespace millrace::metadata {

ImagePtr ImageHandle::current() const {
    const std::lock_guard lock(mutex_);
    return image_;
}

void ImageHandle::swap(ImagePtr image) {
    {
        const std::lock_guard lock(mutex_);
        image_.swap(image);
        version_.fetch_add(1, std::memory_order_release);
    }
    // The old image goes here, outside the lock: freeing one can take a while.
}

const ImagePtr& ImageReader::current() {
    if (handle_->version_.load(std::memory_order_acquire) != version_) {
        const std::lock_guard lock(handle_->mutex_);
        image_ = handle_->image_;
        version_ = handle_->version_.load(std::memory_order_relaxed);
    }
    return image_;
}

void Publisher::subscribe(Subscriber subscriber) {
    const ImagePtr image = handle_.current();
    subscriber(Delta::between(Image{}, *image), image);
    subscribers_.push_back(std::move(subscriber));
}

void Publisher::publish(const Delta& delta) {
    const auto image = std::make_shared<const Image>(delta.after());
    handle_.swap(image);
    for (Subscriber& subscriber : subscribers_) {
        subscriber(delta, image);
    }
}

}  // namespace millrace::metadata
