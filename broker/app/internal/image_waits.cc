#include "app/internal/image_waits.h"

#include <utility>
#include <vector>

namespace millrace::app {
namespace {

/// For our own image to show what the controller has done; a call has 30 seconds in all.
constexpr Duration sight_patience = 5s;

}  // namespace

void ImageWaits::when(Seen seen, Then then) {
    if (const metadata::ImagePtr now = inside_->image.current(); seen(*now)) {
        then(now);
        return;
    }
    auto& waits = inside_->waits;
    const auto wait = waits.insert(waits.end(), Wait{std::move(seen), std::move(then), {}});
    wait->timer = inside_->control.after(sight_patience, [weak = std::weak_ptr(inside_), wait] {
        if (const auto inside = weak.lock()) {
            inside->end(wait);
        }
    });
}

void ImageWaits::Inside::end(std::list<Wait>::iterator wait) {
    Then then = std::move(wait->then);
    waits.erase(wait);
    then(image.current());
}

void ImageWaits::on_publish(const metadata::ImagePtr& now) {
    std::vector<std::list<Wait>::iterator> due;
    for (auto at = inside_->waits.begin(); at != inside_->waits.end(); ++at) {
        if (at->seen(*now)) {
            due.push_back(at);
        }
    }
    for (const auto& wait : due) {
        inside_->control.cancel(wait->timer);
        inside_->end(wait);
    }
}

}  // namespace millrace::app
