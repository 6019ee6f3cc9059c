#include "runtime/real/internal/mailbox.h"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"

namespace millrace::runtime::internal {

bool Mailbox::post(Task task) {
    bool must_ring = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return false;
        }
        tasks_.push_back(std::move(task));
        filled_.store(true, std::memory_order_release);
        must_ring = std::exchange(sleeping_, false);
    }
    if (must_ring) {
        ring();
    }
    return true;
}

void Mailbox::wake() {
    bool must_ring = false;
    {
        const std::lock_guard lock(mutex_);
        woken_ = true;
        must_ring = std::exchange(sleeping_, false);
    }
    if (must_ring) {
        ring();
    }
}

void Mailbox::take(std::vector<Task>& into) {
    MR_ASSERT(into.empty());
    const std::lock_guard lock(mutex_);
    into.swap(tasks_);
    filled_.store(false, std::memory_order_relaxed);
}

bool Mailbox::lie_down() {
    const std::lock_guard lock(mutex_);
    if (!tasks_.empty() || std::exchange(woken_, false)) {
        return false;
    }
    sleeping_ = true;
    return true;
}

void Mailbox::get_up() {
    const std::lock_guard lock(mutex_);
    sleeping_ = false;
}

std::vector<Task> Mailbox::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.store(false, std::memory_order_relaxed);
    return std::exchange(tasks_, {});
}

void Mailbox::ring() const {
    const std::uint64_t one = 1;
    ssize_t written = 0;
    do {
        written = ::write(bell_, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    MR_ASSERT(written == sizeof(one));
}

}  // namespace millrace::runtime::internal
