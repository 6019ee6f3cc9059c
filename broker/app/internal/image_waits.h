// app/internal/image_waits.h
//
// What is answered once this node's own image shows what was done. On the control loop.
#pragma once

#include <functional>
#include <list>
#include <memory>

#include "metadata/publisher.h"
#include "runtime/executor.h"

namespace millrace::app {

class ImageWaits {
public:
    using Seen = std::function<bool(const metadata::Image&)>;
    using Then = UniqueFunction<void(const metadata::ImagePtr&)>;

    ImageWaits(runtime::Executor& control, const metadata::ImageHandle& image)
        : inside_(std::make_shared<Inside>(control, image)) {}

    /// Runs `then` when the image shows it, or after a while anyway: what is answered is then the
    /// state as it is.
    void when(Seen seen, Then then);
    void on_publish(const metadata::ImagePtr& now);

private:
    struct Wait {
        Seen seen;
        Then then;
        runtime::TimerId timer{};
    };
    struct Inside {
        Inside(runtime::Executor& control_in, const metadata::ImageHandle& image_in)
            : control(control_in), image(image_in) {}
        void end(std::list<Wait>::iterator wait);

        runtime::Executor& control;
        const metadata::ImageHandle& image;
        std::list<Wait> waits;
    };
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
