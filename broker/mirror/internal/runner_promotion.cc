// A planned promotion: fence the source, wait until nothing is left there, copy the groups' offsets
// a last time, then let the mirror take writes.
#include <algorithm>
#include <utility>

#include "config/alter.h"
#include "mirror/internal/ends.h"
#include "mirror/internal/runner.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::mirror {
namespace {

constexpr Duration groups_patience = 10s;
constexpr Duration groups_pause = 100ms;

/// Asking again would bring the same answer.
bool is_final(KafkaError error) {
    switch (error) {
        case KafkaError::invalid_config:
        case KafkaError::invalid_request:
        case KafkaError::policy_violation:
        case KafkaError::unsupported_version:
        case KafkaError::topic_authorization_failed:
        case KafkaError::cluster_authorization_failed:
        case KafkaError::unknown_topic_or_partition:
        case KafkaError::invalid_topic_exception:
            return true;
        default:
            return false;
    }
}

}  // namespace

void Runner::act(const Drain& action) {
    const auto [at, is_new] = draining_.try_emplace(action.topic);
    if (is_new) {
        const auto local = local_topic(*shell_.image->current(), action.topic);
        at->second = {action.source_topic, DrainCore(local ? local->source_topic : Uuid{})};
        if (!takes_over()) {
            at->second.core.on_no_fence_wished();
        }
    }
}

std::optional<std::string> Runner::not_listed() const {
    if (looked_version_ != link_.version) {
        return "the source is asked once more which topics it has";
    }
    for (const std::string& topic : creating_) {
        const auto local = local_topic(*shell_.image->current(), topic);
        const bool is_here = local && local->link == link_.id;
        const auto source = link_.spec.source_name(topic);
        const bool is_left_out =
            refused_.contains(topic) || (source && left_out_.contains(*source));
        if (!is_here && !is_left_out && link_.spec.desired(topic) == Desired::promoted) {
            return room_.lacking.contains(topic)
                       ? room_message()
                       : fmt::format("{} is made here first: the source has it since a moment ago",
                                     topic);
        }
        if (is_here && local->note.stage != Stage::promoted && !draining_.contains(topic)) {
            return fmt::format("{} is copied first: the source has it since a moment ago", topic);
        }
    }
    return std::nullopt;
}

std::string Runner::draining_message() const {
    if (const auto first = not_listed()) {
        return *first;
    }
    // Who has not even been asked comes first, then who can't be fenced.
    const auto first = std::find_if(draining_.begin(), draining_.end(), [](const auto& entry) {
        return !entry.second.core.is_copying();
    });
    const auto& [topic, draining] = first == draining_.end() ? *draining_.begin() : *first;
    return draining.core.waits_for(topic, shell_.options.standstill);
}

/// All topics of a link go together: a switchover of a thousand asks the source as often as one of
/// a single topic. Nobody is asked behind an address before its identity was seen.
void Runner::drain() {
    if (drain_step_ || !knows_source()) {
        return;
    }
    std::vector<std::string> open;
    std::vector<std::string> fenced;
    for (const auto& [topic, draining] : draining_) {
        if (!under_way_.contains(topic)) {
            (draining.core.is_asked_for() ? fenced : open).push_back(topic);
        }
    }
    if (!open.empty()) {
        fence_sources(std::move(open));
    } else if (!fenced.empty()) {
        compare_ends(fenced);
    }
}

void Runner::drained_a_step(bool moved) {
    drain_step_ = false;
    arm_drain(moved ? Duration{} : drain_pause_);
    drain_pause_ = moved ? shortest_drain_pause : std::min(drain_pause_ * 2, longest_drain_pause);
}

void Runner::arm_drain(Duration delay) {
    runtime::Executor& loop = *shell_.control.executor;
    loop.cancel(drain_timer_);
    drain_timer_ = loop.after(delay, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->drain_timer_ = {};
            self->drain();
        }
    });
}

void Runner::fence_sources(std::vector<std::string> topics) {
    drain_step_ = true;
    MirrorsBySource mirrors;
    for (const std::string& topic : topics) {
        mirrors[draining_[topic].source] = topic;
    }
    set_fences(*source_, mirrors, shell_.options.cluster_id, true,
               [weak = weak_from_this(),
                topics = std::move(topics)](const Result<FenceOutcomes>& outcomes) {
                   if (auto self = weak.lock()) {
                       self->on_fences(topics, outcomes);
                   }
               });
}

/// A promotion that nobody will end any more leaves its source as it was. Every broker asks: the
/// one who looked after the link may be what is gone, and a fence that is lifted twice is lifted.
void Runner::leave(const metadata::Image& image) {
    MirrorsBySource fenced;
    for (const LocalTopic& local : topics_of_link(image, link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        if (local.note.stage == Stage::promoting && source) {
            fenced[*source] = local.name;
        }
    }
    if (fenced.empty() || !source_) {
        return;
    }
    // Outlives us until it has answered; and is not destroyed by its own answer.
    std::shared_ptr<client::Cluster> source = std::move(source_);
    set_fences(*source, fenced, shell_.options.cluster_id, false,
               [source, &loop = *shell_.control.executor, log = *shell_.log,
                name = link_.spec.name](const Result<FenceOutcomes>& outcomes) mutable {
                   if (!outcomes) {
                       MR_LOG(log, warn, "mirror.fences_left", field("link", name),
                              field("reason", outcomes.error().message()));
                   }
                   loop.post([source = std::move(source)] {});
               });
}

void Runner::set_fences(client::Cluster& source, const MirrorsBySource& mirrors,
                        const std::string& own_cluster, bool wanted,
                        UniqueFunction<void(Result<FenceOutcomes>)> done) {
    using protocol::IncrementalAlterConfigsRequest;
    using protocol::IncrementalAlterConfigsResponse;
    std::map<std::string, std::string> by;  // what goes is named as it was written before, too
    for (const auto& [topic, mirror] : mirrors) {
        const std::string name = fence_name(own_cluster, mirror);
        by[topic] = wanted ? name : fmt::format("{},{}", name, own_cluster);
    }
    client::ask<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
        source.any(), source.request_timeout(),
        [by = std::move(by), wanted](std::int16_t) {
            const auto operation = [](config::AlterOp op) { return static_cast<std::int8_t>(op); };
            IncrementalAlterConfigsRequest request;
            for (const auto& [topic, names] : by) {
                auto& to = request.resources.emplace_back();
                to.resource_type = 2;
                to.resource_name = topic;
                if (wanted) {
                    to.configs.push_back({.name = topic_setting::fenced,
                                          .config_operation = operation(config::AlterOp::set),
                                          .value = "true"});
                }
                to.configs.push_back(
                    {.name = topic_setting::fenced_by,
                     .config_operation =
                         operation(wanted ? config::AlterOp::append : config::AlterOp::subtract),
                     .value = names});
            }
            return request;
        },
        [done = std::move(done)](const Result<IncrementalAlterConfigsResponse>& response,
                                 std::int16_t) mutable {
            if (!response) {
                done(response.error());
                return;
            }
            FenceOutcomes outcomes;
            for (const auto& one : response->responses) {
                const auto error = static_cast<KafkaError>(one.error_code);
                outcomes.emplace(
                    std::string(one.resource_name),
                    error == KafkaError::none
                        ? Result<void>{}
                        : Error::make(is_final(error) ? Code::unsupported : Code::unavailable, "{}",
                                      error));
            }
            done(std::move(outcomes));
        });
}

void Runner::on_fences(const std::vector<std::string>& topics,
                       const Result<FenceOutcomes>& outcomes) {
    bool moved = false;
    for (const std::string& topic : topics) {
        const auto draining = draining_.find(topic);
        if (draining == draining_.end() || !outcomes) {
            continue;
        }
        const auto outcome = outcomes->find(draining->second.source);
        if (outcome == outcomes->end()) {
            continue;
        }
        const Result<void>& fenced = outcome->second;
        const std::string why = fenced ? "" : fenced.error().message();
        MR_LOG(*shell_.log, info, "mirror.source_fenced", field("topic", topic),
               field("fenced", fenced.has_value()), field("reason", why));
        if (fenced || fenced.error().code() == Code::unsupported) {
            draining->second.core.on_fence(fenced.has_value(), why);
            moved = true;
        }
    }
    drained_a_step(moved);
}

/// The promotion is off: the source takes writes first, then the topic follows it again. A source
/// that does not answer is asked again at the next look: nobody is left fenced.
void Runner::release() {
    if (releases_.empty() || !source_) {
        return;
    }
    MirrorsBySource mirrors;
    for (const auto& [topic, note] : releases_) {
        mirrors[link_.spec.source_name(topic).value_or(topic)] = topic;
    }
    set_fences(*source_, mirrors, shell_.options.cluster_id, false,
               [weak = weak_from_this(),
                asked = std::exchange(releases_, {})](const Result<FenceOutcomes>& outcomes) {
                   if (auto self = weak.lock()) {
                       self->on_released(asked, outcomes);
                   }
               });
}

void Runner::on_released(const std::map<std::string, StageNote>& asked,
                         const Result<FenceOutcomes>& outcomes) {
    Error why(Code::unavailable, "the source did not say what came of it");
    for (const auto& [topic, note] : asked) {
        under_way_.erase(topic);
        Result<void> released = outcomes ? Result<void>(why) : Result<void>(outcomes.error());
        if (outcomes) {
            const auto found = outcomes->find(link_.spec.source_name(topic).value_or(topic));
            released = found == outcomes->end() ? released : found->second;
        }
        if (!released && released.error().code() != Code::unsupported) {
            MR_LOG(*shell_.log, warn, "mirror.fence_not_lifted", field("link", link_.spec.name),
                   field("topic", topic), field("reason", released.error().message()));
            arm(longest_drain_pause);
            continue;
        }
        const auto local = local_topic(*shell_.image->current(), topic);
        const bool wrote = local && local->note.stage == Stage::rejoining;
        // Wished to be promoted again meanwhile, it is fenced again; but who has taken writes of
        // his own first follows the source, which takes some by now.
        if (wrote || link_.spec.desired(topic) != Desired::promoted) {
            set_stage(topic, note);
        }
    }
}

void Runner::compare_ends(const std::vector<std::string>& topics) {
    drain_step_ = true;
    auto both = std::make_shared<Comparison>(Comparison{topics, {}, {}});
    const auto arrived = [weak = weak_from_this(), both](LastEnds& side, Result<LastEnds>& found) {
        if (found) {
            side = *std::move(found);
        }
        auto self = weak.lock();
        if (--both->left == 0 && self) {
            self->on_ends(*both);
        }
    };
    std::vector<std::string> sources;
    for (const std::string& topic : topics) {
        sources.push_back(draining_[topic].source);
    }
    read_last_ends(*source_, link_.cluster_id, std::move(sources),
                   [both, arrived](Result<LastEnds> theirs) { arrived(both->theirs, theirs); });
    read_committed_ends(*shell_.own_client, topics,
                        [both, arrived](Result<LastEnds> ours) { arrived(both->ours, ours); });
}

void Runner::on_ends(const Comparison& ends) {
    const Instant now = shell_.control.executor->clock().now();
    std::vector<std::string> drained;
    for (const std::string& topic : ends.topics) {
        const auto draining = draining_.find(topic);
        const auto ours = ends.ours.find(topic);
        if (draining == draining_.end() || ours == ends.ours.end()) {
            continue;
        }
        const auto theirs = ends.theirs.find(draining->second.source);
        if (theirs != ends.theirs.end() &&
            draining->second.core.on_ends(theirs->second, ours->second, now,
                                          shell_.options.standstill)) {
            drained.push_back(topic);
        }
    }
    // What the source has by now comes along: else it would stay behind there, and take writes.
    if (drained.empty() || not_listed()) {
        drained_a_step(false);
        return;
    }
    for (const std::string& topic : drained) {
        under_way_.insert(topic);
    }
    copy_groups(drained, now + groups_patience);
}

/// All data is here, so every offset of a group can be: nobody's position is clamped. What fails is
/// tried again, as a coordinator may be on its way to another broker, but nobody's writes wait for
/// ever for a group that can't be read.
void Runner::copy_groups(const std::vector<std::string>& topics, Instant until) {
    sync_groups([weak = weak_from_this(), topics, until] {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        runtime::Executor& loop = *self->shell_.control.executor;
        if (self->groups_synced_ || self->link_.spec.groups_include.empty()) {
            self->promote_drained(topics);
        } else if (loop.clock().now() < until) {
            loop.after(groups_pause, [weak, topics, until] {
                auto again = weak.lock();
                // Else the source was exchanged meanwhile, and whoever drains begins anew.
                if (again && again->under_way_.contains(topics.front())) {
                    again->copy_groups(topics, until);
                }
            });
        } else {
            MR_LOG(*self->shell_.log, warn, "mirror.groups_left_behind",
                   field("link", self->link_.spec.name), field("topics", topics.size()));
            self->promote_drained(topics);
        }
    });
}

void Runner::promote_drained(const std::vector<std::string>& topics) {
    for (const std::string& topic : topics) {
        under_way_.erase(topic);
        const bool drains = draining_.erase(topic) > 0;
        if (drains && link_.spec.desired(topic) == Desired::promoted) {  // not called off meanwhile
            set_stage(topic, {Stage::promoted, {}, 0}, true);
        }
    }
    drained_a_step(true);
}

}  // namespace millrace::mirror
