// operator/kube/work_queue.h
//
// Which objects to look at next. A key waits once, however often it is added; a key that is being
// worked on isn't given to a second worker, and comes again if it was added meanwhile. A failed key
// waits longer each time; news about it ends the wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/time.h"

namespace millrace::kube {

/// Without clock or threads; time is an input.
class WorkQueueCore {
public:
    void add(const std::string& key, Instant now);
    void add_at(const std::string& key, Instant at);
    std::optional<std::string> take(Instant now);
    /// It worked; `again` asks for another look later (none: only when there is news).
    void done(const std::string& key, Instant now, std::optional<Duration> again);
    void failed(const std::string& key, Instant now);
    /// When the next waiting key becomes due; never() if none waits.
    Instant next_due() const;
    std::size_t waiting() const { return ready_.size() + later_.size(); }

private:
    std::deque<std::string> ready_;
    std::set<std::string> queued_;  ///< What is in ready_.
    std::map<std::string, Instant> later_;
    std::set<std::string> working_;
    std::set<std::string> again_;  ///< Added while it was worked on.
    std::map<std::string, int> failures_;
};

class WorkQueue {
public:
    explicit WorkQueue(const Clock& clock) : clock_(clock) {}

    void add(const std::string& key);
    void done(const std::string& key, std::optional<Duration> again);
    void failed(const std::string& key);
    /// Blocks; none once stop() was called.
    std::optional<std::string> take();
    void stop();
    std::size_t waiting() const;

private:
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    WorkQueueCore core_;
    bool stopping_ = false;
};

}  // namespace millrace::kube
