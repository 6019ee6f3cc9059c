// The groups of a link: when their offsets are copied.
#include <utility>

#include "mirror/internal/runner.h"

namespace millrace::mirror {

void Runner::arm_groups() {
    runtime::Executor& loop = *shell_.control.executor;
    loop.cancel(groups_timer_);
    const Duration interval =
        std::chrono::milliseconds{std::max(100, link_.spec.groups_interval_ms)};
    groups_timer_ = loop.after(interval, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->groups_timer_ = {};
            if (!self->groups_busy_) {
                self->sync_groups([] {});
            }
            self->arm_groups();
        }
    });
}

void Runner::sync_groups(runtime::Task then) {
    const metadata::ImagePtr image = shell_.image->current();
    if (groups_busy_) {
        // What began earlier has not seen what this caller wants to be copied.
        after_groups_ = [before = std::move(after_groups_), then = std::move(then)]() mutable {
            if (before) {
                before();
            }
            then();
        };
        return;
    }
    if (link_.spec.groups_include.empty() || !is_mine(*image)) {
        then();
        return;
    }
    if (!knows_source()) {
        groups_synced_ = false;
        then();
        return;
    }
    GroupSync::Mirrors mirrors;
    for (const LocalTopic& local : topics_of_link(*image, link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        // Of a paused link only what is promoted all the same.
        const bool follows = local.note.stage == Stage::mirroring && phase_ == LinkPhase::active;
        if (source && (follows || local.note.stage == Stage::promoting)) {
            mirrors[*source] = {local.name, local.follows_since};
        }
    }
    if (mirrors.empty()) {
        then();
        return;
    }
    if (!groups_) {
        groups_ = std::make_shared<GroupSync>(*source_, *shell_.own_client, *shell_.log);
    }
    groups_busy_ = true;
    groups_->round(link_.spec, mark_of_link(link_.id), std::move(mirrors),
                   [weak = weak_from_this(),
                    then = std::move(then)](const Result<GroupSync::Outcome>& outcome) mutable {
                       auto self = weak.lock();
                       if (self) {
                           self->groups_busy_ = false;
                           self->on_groups(outcome);
                       }
                       then();
                       if (self && self->after_groups_) {
                           self->sync_groups(std::exchange(self->after_groups_, {}));
                       }
                   });
}

void Runner::on_groups(const Result<GroupSync::Outcome>& outcome) {
    groups_synced_ = outcome && outcome->failed == 0;
    if (!outcome) {
        return;
    }
    clamped_ = outcome->clamped;
    groups_total_.written += outcome->written;
    groups_total_.skipped += outcome->skipped;
    groups_total_.failed += outcome->failed;
}

}  // namespace millrace::mirror
