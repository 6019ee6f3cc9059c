// How a mirrored history ends: what is here is committed, then the partition is its own.
#include <algorithm>

#include "mirror/internal/link_pull.h"

namespace millrace::mirror {
namespace {

constexpr Duration seal_tick = 50ms;

/// Equal on every broker of the cluster.
std::uint32_t salt_of(const std::string& link) {
    std::uint32_t hash = 2166136261U;
    for (const char c : link) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    return hash;
}

}  // namespace

/// At once what has just become possible; what has to wait is looked at again a moment later.
void LinkPull::seal_soon(Duration delay) {
    shard_.executor->cancel(seal_timer_);
    const bool any = std::any_of(pulls_.begin(), pulls_.end(),
                                 [](const auto& entry) { return entry.second.job.seal; });
    if (!any) {
        seal_timer_ = {};
        return;
    }
    seal_timer_ = shard_.executor->after(delay, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->seal_timer_ = {};
            for (auto& [id, pull] : self->pulls_) {
                if (pull.job.seal && !pull.busy && pull.not_before <= self->now()) {
                    self->seal(pull);
                }
            }
            self->seal_soon(seal_tick);
        }
    });
}

void LinkPull::seal(Pull& pull) {
    const auto log = facts(pull);
    if (!log || log->high_watermark < log->end) {
        return;
    }
    if (const PartitionEffects cut = pull.core.on_seal(*log); !cut.empty()) {
        run(pull, cut);
        return;
    }
    const LeaderEpoch last = PartitionCore::last_epoch(*log);
    if (!pull.seal_epoch) {
        pull.seal_epoch =
            seal_epochs_.contains(pull.job.id)
                ? seal_epochs_[pull.job.id]
                : PartitionCore::promoted_epoch(log->leader_epoch, last, salt_of(id_));
        seal_epochs_[pull.job.id] = *pull.seal_epoch;
    }
    if (log->leader_epoch < *pull.seal_epoch) {
        replicas_.raise_epoch(pull.job.id, *pull.seal_epoch);
        wait(pull, epoch_patience);
        return;
    }
    // Where it was not followed any more, what it was seen to have is the least that is missing; if
    // that is nothing, nobody knows.
    const bool is_known = !pull.seen_at || pull.source_high_watermark > log->end;
    const Sealed record{pull.job.id.partition,
                        last,
                        log->end,
                        log->leader_epoch,
                        is_known ? pull.source_high_watermark : no_offset,
                        behind(pull, log->end),
                        {}};
    up_.remember_seal(id_, pull.job.topic, record, *shard_.executor,
                      if_same(pull, [](LinkPull& self, Pull& now, bool) {
                          // The metadata ends this job; if it doesn't, once more.
                          self.wait(now, epoch_patience);
                      }));
}

}  // namespace millrace::mirror
