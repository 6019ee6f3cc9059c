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

void Runner::act(const Drain& action) {
    Draining& draining = draining_[action.topic];
    if (draining.asking) {
        return;
    }
    draining.asking = true;
    if (draining.fence_answered) {
        compare_ends(action);
    } else {
        fence_source(action);
    }
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

void Runner::still_draining(const std::string& topic) {
    const auto found = draining_.find(topic);
    if (found != draining_.end()) {
        found->second.asking = false;
    }
    look_soon();
}

void Runner::fence_source(const Drain& action) {
    set_fence(action.source_topic, "true",
              [weak = weak_from_this(), topic = action.topic](const Result<void>& outcome) {
                  if (auto self = weak.lock()) {
                      self->on_fence(topic, outcome);
                  }
              });
}

/// Code::unsupported: the source understood, and has no such thing.
void Runner::set_fence(const std::string& source_topic, std::optional<std::string> value,
                       OwnCluster::Done done) {
    using protocol::IncrementalAlterConfigsRequest;
    using protocol::IncrementalAlterConfigsResponse;
    client::ask<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
        source_->any(), source_->request_timeout(),
        [source_topic, value = std::move(value)](std::int16_t) {
            IncrementalAlterConfigsRequest request;
            auto& to = request.resources.emplace_back();
            to.resource_type = 2;
            to.resource_name = source_topic;
            auto& fence = to.configs.emplace_back();
            fence.name = topic_setting::fenced;
            fence.config_operation = value ? std::int8_t{0} : std::int8_t{1};
            fence.value = value ? std::optional<std::string_view>(*value) : std::nullopt;
            return request;
        },
        [done = std::move(done)](const Result<IncrementalAlterConfigsResponse>& response,
                                 std::int16_t) mutable {
            if (!response || response->responses.empty()) {
                done(response ? Error(Code::unavailable, "no answer about the fence")
                              : response.error());
                return;
            }
            const auto error = static_cast<KafkaError>(response->responses.front().error_code);
            done(error == KafkaError::none ? Result<void>{}
                                           : Error::make(Code::unsupported, "{}", error));
        });
}

void Runner::on_fence(const std::string& topic, const Result<void>& outcome) {
    const auto found = draining_.find(topic);
    if (found != draining_.end() && (outcome || outcome.error().code() == Code::unsupported)) {
        found->second.fence_answered = true;
        found->second.fenced = outcome.has_value();
        MR_LOG(*shell_.log, info, "mirror.source_fenced", field("topic", topic),
               field("fenced", outcome.has_value()),
               field("reason", outcome ? "" : outcome.error().message()));
    }
    still_draining(topic);
}

void Runner::compare_ends(const Drain& action) {
    read_ends(*source_, action.source_topic,
              [weak = weak_from_this(), action](const Result<std::vector<Offset>>& ends) {
                  if (auto self = weak.lock()) {
                      self->on_source_ends(action, ends);
                  }
              });
}

void Runner::on_source_ends(const Drain& action, const Result<std::vector<Offset>>& ends) {
    const auto found = draining_.find(action.topic);
    if (!ends || found == draining_.end()) {
        still_draining(action.topic);
        return;
    }
    const Instant now = shell_.control.executor->clock().now();
    Draining& draining = found->second;
    if (draining.ends != *ends) {
        draining.ends = *ends;
        draining.still_since = now;
    }
    // A fence reaches the source's brokers within moments; whoever can't be fenced has to show that
    // nobody writes any more.
    const Duration needed = draining.fenced ? Duration{1s} : shell_.options.standstill;
    if (now - draining.still_since < needed) {
        still_draining(action.topic);
        return;
    }
    read_ends(*shell_.own_client, action.topic,
              [weak = weak_from_this(), action](const Result<std::vector<Offset>>& own) {
                  if (auto self = weak.lock()) {
                      self->on_own_ends(action, own);
                  }
              });
}

void Runner::on_own_ends(const Drain& action, const Result<std::vector<Offset>>& own) {
    const auto found = draining_.find(action.topic);
    if (!own || found == draining_.end() || own->size() != found->second.ends.size() ||
        !std::equal(own->begin(), own->end(), found->second.ends.begin(), std::greater_equal<>())) {
        still_draining(action.topic);
        return;
    }
    draining_.erase(found);
    under_way_.insert(action.topic);
    // All data is here, so every offset of a group can be: nobody's position is clamped.
    sync_groups([weak = weak_from_this(), topic = action.topic] {
        if (auto self = weak.lock()) {
            self->under_way_.erase(topic);
            self->act(SetStage{topic, {Stage::promoted, {}, 0}});
        }
    });
}

}  // namespace millrace::mirror
