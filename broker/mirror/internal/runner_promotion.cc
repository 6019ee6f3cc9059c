// A planned promotion: fence the source, wait until nothing is left there, copy the groups' offsets
// a last time, then let the mirror take writes.
#include <algorithm>
#include <functional>
#include <utility>

#include "mirror/internal/ends.h"
#include "mirror/internal/runner.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::mirror {
namespace {

constexpr Duration fence_settles = 1s;

}  // namespace

void Runner::act(const Drain& action) {
    draining_[action.topic].source = action.source_topic;
}

std::string Runner::draining_message() const {
    for (const auto& [topic, draining] : draining_) {
        if (!draining.fence_answered) {
            return fmt::format("{}: the source is asked to take no more writes", topic);
        }
        if (!draining.fenced) {
            return fmt::format(
                "{}: the source can't be fenced, so its end must stand still for {} s: stop its "
                "producers",
                topic, to_milliseconds(shell_.options.standstill) / 1000);
        }
    }
    return draining_.empty() ? "" : "the source is fenced; what is left there is being copied";
}

/// All topics of a link go together: a switchover of a thousand asks the source as often as one of
/// a single topic.
void Runner::drain() {
    if (drain_step_ || !source_) {
        return;
    }
    std::vector<std::string> open;
    std::vector<std::string> fenced;
    for (const auto& [topic, draining] : draining_) {
        if (!under_way_.contains(topic)) {
            (draining.fence_answered ? fenced : open).push_back(topic);
        }
    }
    if (!open.empty()) {
        fence_sources(std::move(open));
    } else if (!fenced.empty()) {
        compare_ends(fenced);
    }
}

void Runner::drained_a_step(Duration pause) {
    drain_step_ = false;
    if (looking_) {
        look_again_ = true;
    } else {
        arm(pause);
    }
}

void Runner::fence_sources(std::vector<std::string> topics) {
    drain_step_ = true;
    std::vector<std::string> sources;
    for (const std::string& topic : topics) {
        sources.push_back(draining_[topic].source);
    }
    set_fences(*source_, std::move(sources), "true",
               [weak = weak_from_this(),
                topics = std::move(topics)](const Result<FenceOutcomes>& outcomes) {
                   if (auto self = weak.lock()) {
                       self->on_fences(topics, outcomes);
                   }
               });
}

/// A promotion that nobody will end any more leaves its source as it was.
void Runner::leave(const metadata::Image& image) {
    std::vector<std::string> fenced;
    for (const LocalTopic& local : topics_of_link(image, link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        if (local.note.stage == Stage::promoting && source) {
            fenced.push_back(*source);
        }
    }
    if (fenced.empty() || !source_ || !is_mine(image)) {
        return;
    }
    // Outlives us until it has answered; and is not destroyed by its own answer.
    std::shared_ptr<client::Cluster> source = std::move(source_);
    set_fences(*source, std::move(fenced), std::nullopt,
               [source, &loop = *shell_.control.executor, log = *shell_.log,
                name = link_.spec.name](const Result<FenceOutcomes>& outcomes) mutable {
                   if (!outcomes) {
                       MR_LOG(log, warn, "mirror.fences_left", field("link", name),
                              field("reason", outcomes.error().message()));
                   }
                   loop.post([source = std::move(source)] {});
               });
}

void Runner::set_fences(client::Cluster& source, std::vector<std::string> source_topics,
                        std::optional<std::string> value,
                        UniqueFunction<void(Result<FenceOutcomes>)> done) {
    using protocol::IncrementalAlterConfigsRequest;
    using protocol::IncrementalAlterConfigsResponse;
    client::ask<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
        source.any(), source.request_timeout(),
        [topics = std::move(source_topics), value = std::move(value)](std::int16_t) {
            IncrementalAlterConfigsRequest request;
            for (const std::string& topic : topics) {
                auto& to = request.resources.emplace_back();
                to.resource_type = 2;
                to.resource_name = topic;
                auto& fence = to.configs.emplace_back();
                fence.name = topic_setting::fenced;
                fence.config_operation = value ? std::int8_t{0} : std::int8_t{1};
                fence.value = value ? std::optional<std::string_view>(*value) : std::nullopt;
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
                outcomes.emplace(std::string(one.resource_name),
                                 error == KafkaError::none
                                     ? Result<void>{}
                                     : Error::make(Code::unsupported, "{}", error));
            }
            done(std::move(outcomes));
        });
}

void Runner::on_fences(const std::vector<std::string>& topics,
                       const Result<FenceOutcomes>& outcomes) {
    for (const std::string& topic : topics) {
        const auto draining = draining_.find(topic);
        if (draining == draining_.end() || !outcomes) {
            continue;
        }
        const auto outcome = outcomes->find(draining->second.source);
        if (outcome == outcomes->end()) {
            continue;
        }
        draining->second.fence_answered = true;
        draining->second.fenced = outcome->second.has_value();
        MR_LOG(*shell_.log, info, "mirror.source_fenced", field("topic", topic),
               field("fenced", outcome->second.has_value()),
               field("reason", outcome->second ? "" : outcome->second.error().message()));
    }
    drained_a_step(outcomes ? Duration{} : drain_tick);
}

void Runner::compare_ends(const std::vector<std::string>& topics) {
    drain_step_ = true;
    std::vector<std::string> sources;
    for (const std::string& topic : topics) {
        sources.push_back(draining_[topic].source);
    }
    read_ends(*source_, std::move(sources),
              [weak = weak_from_this(), topics](const Result<Ends>& theirs) {
                  auto self = weak.lock();
                  if (!self) {
                      return;
                  }
                  const auto still =
                      theirs ? self->standing_still(topics, *theirs) : std::vector<std::string>{};
                  if (still.empty()) {
                      self->drained_a_step(drain_tick);
                      return;
                  }
                  read_ends(*self->shell_.own_client, still,
                            [weak, still](const Result<Ends>& ours) {
                                if (auto alive = weak.lock()) {
                                    alive->on_own_ends(still, ours ? *ours : Ends{});
                                }
                            });
              });
}

/// Those to which nobody writes any more. A fence reaches the source's brokers within moments;
/// whoever can't be fenced has to show it for longer.
std::vector<std::string> Runner::standing_still(const std::vector<std::string>& topics,
                                                const Ends& theirs) {
    const Instant now = shell_.control.executor->clock().now();
    std::vector<std::string> still;
    for (const std::string& topic : topics) {
        const auto found = draining_.find(topic);
        if (found == draining_.end()) {
            continue;
        }
        Draining& draining = found->second;
        const auto ends = theirs.find(draining.source);
        if (ends == theirs.end()) {
            continue;
        }
        if (draining.ends != ends->second) {
            draining.ends = ends->second;
            draining.still_since = now;
        }
        const Duration needed = draining.fenced ? fence_settles : shell_.options.standstill;
        if (now - draining.still_since >= needed) {
            still.push_back(topic);
        }
    }
    return still;
}

void Runner::on_own_ends(const std::vector<std::string>& topics, const Ends& ours) {
    std::vector<std::string> drained;
    for (const std::string& topic : topics) {
        const auto draining = draining_.find(topic);
        const auto own = ours.find(topic);
        if (draining != draining_.end() && own != ours.end() &&
            own->second.size() == draining->second.ends.size() &&
            std::equal(own->second.begin(), own->second.end(), draining->second.ends.begin(),
                       std::greater_equal<>())) {
            drained.push_back(topic);
        }
    }
    if (drained.empty()) {
        drained_a_step(drain_tick);
        return;
    }
    for (const std::string& topic : drained) {
        under_way_.insert(topic);
    }
    // All data is here, so every offset of a group can be: nobody's position is clamped.
    sync_groups([weak = weak_from_this(), drained] {
        if (auto self = weak.lock()) {
            self->promote_drained(drained);
        }
    });
}

void Runner::promote_drained(const std::vector<std::string>& topics) {
    for (const std::string& topic : topics) {
        under_way_.erase(topic);
        const bool drains = draining_.erase(topic) > 0;
        if (drains && link_.spec.desired(topic) == Desired::promoted) {  // not called off meanwhile
            act(SetStage{topic, {Stage::promoted, {}, 0}});
        }
    }
    drained_a_step(Duration{});
}

}  // namespace millrace::mirror
