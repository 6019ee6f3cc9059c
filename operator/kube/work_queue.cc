#include "operator/kube/work_queue.h"

#include <algorithm>

namespace millrace::kube {

namespace {

constexpr Duration first_wait = 100ms;
constexpr Duration longest_wait = 30s;

}  // namespace

void WorkQueueCore::add(const std::string& key, Instant) {
    later_.erase(key);
    if (working_.contains(key)) {
        again_.insert(key);
    } else if (queued_.insert(key).second) {
        ready_.push_back(key);
    }
}

void WorkQueueCore::add_at(const std::string& key, Instant at) {
    if (queued_.contains(key)) {
        return;
    }
    const auto [found, is_new] = later_.emplace(key, at);
    if (!is_new) {
        found->second = std::min(found->second, at);
    }
}

std::optional<std::string> WorkQueueCore::take(Instant now) {
    for (auto at = later_.begin(); at != later_.end();) {
        if (at->second <= now && !working_.contains(at->first)) {
            if (queued_.insert(at->first).second) {
                ready_.push_back(at->first);
            }
            at = later_.erase(at);
        } else {
            ++at;
        }
    }
    if (ready_.empty()) {
        return std::nullopt;
    }
    std::string key = std::move(ready_.front());
    ready_.pop_front();
    queued_.erase(key);
    working_.insert(key);
    return key;
}

void WorkQueueCore::done(const std::string& key, Instant now, std::optional<Duration> again) {
    working_.erase(key);
    failures_.erase(key);
    if (again_.erase(key) > 0) {
        add(key, now);
    } else if (again) {
        add_at(key, now + *again);
    }
}

void WorkQueueCore::failed(const std::string& key, Instant now) {
    working_.erase(key);
    const int failures = std::min(++failures_[key], 16);
    if (again_.erase(key) > 0 && failures == 1) {
        add(key, now);  // News came while the first attempt failed: worth a look at once.
        return;
    }
    add_at(key, now + std::min<Duration>(first_wait * (1 << failures), longest_wait));
}

Instant WorkQueueCore::next_due() const {
    if (!ready_.empty()) {
        return Instant{0};
    }
    Instant due = Instant::never();
    for (const auto& [key, at] : later_) {
        if (!working_.contains(key)) {
            due = std::min(due, at);
        }
    }
    return due;
}

void WorkQueue::add(const std::string& key) {
    {
        const std::lock_guard lock(mutex_);
        core_.add(key, clock_.now());
    }
    wake_.notify_one();
}

void WorkQueue::done(const std::string& key, std::optional<Duration> again) {
    {
        const std::lock_guard lock(mutex_);
        core_.done(key, clock_.now(), again);
    }
    wake_.notify_one();
}

void WorkQueue::failed(const std::string& key) {
    {
        const std::lock_guard lock(mutex_);
        core_.failed(key, clock_.now());
    }
    wake_.notify_one();
}

std::optional<std::string> WorkQueue::take() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const Instant now = clock_.now();
        if (auto key = core_.take(now)) {
            return key;
        }
        const Instant due = core_.next_due();
        if (due == Instant::never()) {
            wake_.wait(lock);
        } else {
            wake_.wait_for(lock, due - now);
        }
    }
    return std::nullopt;
}

void WorkQueue::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
}

std::size_t WorkQueue::waiting() const {
    const std::lock_guard lock(mutex_);
    return core_.waiting();
}

}  // namespace millrace::kube
