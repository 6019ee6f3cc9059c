// The groups of a link: when their offsets are copied.
#include <algorithm>
#include <utility>

#include "mirror/internal/link_views.h"
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

/// Whose promotion has cut what was undecided may have positions in what is gone.
void Runner::end_groups(const metadata::Image& image) {
    if (!link_.spec.truncate_open_transactions || own_groups_ || !is_mine(image)) {
        return;
    }
    Endings endings;
    std::map<std::string, Timestamp> topics;
    for (const LocalTopic& local : topics_of_link(image, link_.id)) {
        if (local.note.stage != Stage::promoted ||
            static_cast<std::int32_t>(local.sealed.size()) < local.partitions) {
            ended_.erase(local.name);
            continue;
        }
        Timestamp last{};
        for (const auto& [index, sealed] : local.sealed) {
            last = std::max(last, sealed.at);
        }
        if (const auto known = ended_.find(local.name);
            known != ended_.end() && known->second == last) {
            continue;
        }
        topics[local.name] = last;
        for (const LostRange& lost : losses_of(local)) {
            const auto sealed = local.sealed.find(lost.partition.partition);
            if (lost.truncated && sealed != local.sealed.end() && lost.from == sealed->second.end) {
                endings[lost.partition] = {sealed->second.end, sealed->second.at};
            }
        }
    }
    if (endings.empty()) {
        ended_.insert(topics.begin(), topics.end());
        return;
    }
    own_groups_ = std::make_shared<GroupSync>(*shell_.own_client, *shell_.own_client, *shell_.log);
    shell_.own_client->refresh([weak = weak_from_this(), endings = std::move(endings),
                                topics = std::move(topics)](const auto& info) mutable {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        if (!info) {
            self->on_groups_ended(topics, info.error());
            return;
        }
        self->own_groups_->end(std::move(endings),
                               [weak, topics](const Result<GroupSync::Outcome>& outcome) {
                                   if (auto again = weak.lock()) {
                                       again->on_groups_ended(topics, outcome);
                                   }
                               });
    });
}

/// What failed is tried again at the next look.
void Runner::on_groups_ended(const std::map<std::string, Timestamp>& topics,
                             const Result<GroupSync::Outcome>& outcome) {
    // It is still on the stack that calls us.
    shell_.control.executor->post([groups = std::exchange(own_groups_, {})] {});
    if (!outcome) {
        return;
    }
    for (const auto& [group, offsets] : outcome->clamped) {
        clamped_[group] = offsets;
    }
    groups_total_.written += outcome->written;
    if (outcome->failed == 0) {
        for (const auto& [topic, sealed] : topics) {
            ended_[topic] = sealed;
        }
    }
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
