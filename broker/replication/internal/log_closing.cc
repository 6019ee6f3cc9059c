#include "replication/internal/log_closing.h"

#include <utility>

namespace millrace::replication {

namespace {

/// Each holds some five open files beyond what the cache of files may have open, so that few shards
/// stay far from the limit of the process; the disk pool has no more threads than this.
constexpr std::size_t at_once = 16;

}  // namespace

LogClosing::LogClosing(std::vector<TopicIdPartition> ids, Find find, UniqueFunction<void()> done)
    : ids_(std::move(ids)), find_(std::move(find)), done_(std::move(done)) {}

void LogClosing::run(std::vector<TopicIdPartition> ids, Find find, UniqueFunction<void()> done) {
    std::shared_ptr<LogClosing> closing(
        new LogClosing(std::move(ids), std::move(find), std::move(done)));
    closing->go_on();
}

void LogClosing::go_on() {
    if (std::exchange(going_, true)) {
        return;  // a log with nothing to sync is done at once; the loop below goes on with the next
    }
    while (next_ < ids_.size() && under_way_ < at_once) {
        const auto partition = find_(ids_[next_++]);
        if (!partition) {
            continue;
        }
        ++under_way_;
        partition->close_log([self = shared_from_this()] {
            --self->under_way_;
            self->go_on();
        });
    }
    going_ = false;
    if (next_ == ids_.size() && under_way_ == 0 && done_) {
        std::exchange(done_, {})();
    }
}

}  // namespace millrace::replication
