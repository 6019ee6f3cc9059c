// The settings of mirrored topics: read at the source, held here.
#include "mirror/internal/runner.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"

namespace millrace::mirror {
namespace {

using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;

constexpr std::int8_t topic_resource_type = 2;
constexpr std::int8_t set_for_the_topic = 1;

/// What was promoted may be met at its source once more, by whoever writes there.
constexpr Duration looks_back_every = 5s;

}  // namespace

void Runner::look_back() {
    const Instant now = shell_.control.executor->clock().now();
    if (looking_back_ ||
        (looked_back_at_ != Instant{} && now - looked_back_at_ < looks_back_every)) {
        return;
    }
    std::map<std::string, std::string> asked;  // by their name here
    const metadata::ImagePtr image = shell_.image->current();
    for (const std::string& topic : strangers_) {
        if (const auto source = link_.spec.source_name(topic)) {
            asked.emplace(topic, *source);
        }
    }
    for (const LocalTopic& local : topics_of_link(*image, link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        const auto fence = local.settings.find(topic_setting::fenced);
        const bool is_fenced = fence != local.settings.end() && fence->second == "true";
        if (source && info_->topics.contains(*source) && local.note.stage == Stage::promoted &&
            link_.spec.desired(local.name) == Desired::promoted && !is_fenced &&
            !local.settings.contains(topic_setting::drained)) {
            asked.emplace(local.name, *source);
        }
    }
    std::erase_if(at_source_, [&](const auto& entry) { return !asked.contains(entry.first); });
    if (asked.empty()) {
        return;
    }
    looked_back_at_ = now;
    looking_back_ = true;
    std::vector<std::string> names;
    for (const auto& [topic, source] : asked) {
        names.push_back(source);
    }
    read_settings(names, [weak = weak_from_this(),
                          asked = std::move(asked)](const Result<Settings>& settings) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->looking_back_ = false;
        if (!settings) {
            return;
        }
        const std::string& own = self->shell_.options.cluster_id;
        for (const auto& [topic, source] : asked) {
            const auto found = settings->find(source);
            const auto local = local_topic(*self->shell_.image->current(), topic);
            if (found == settings->end() || !local) {
                continue;
            }
            const bool follows_us = !self->chain_of(found->second);
            const auto is_fenced = [](const auto& of) {
                const auto fence = of.find(std::string(topic_setting::fenced));
                return fence != of.end() && fence->second == "true";
            };
            // Of two that take writes one is this one.
            self->at_source_[topic] = {follows_us || began_here(found->second, own, local->id),
                                       !follows_us && !is_fenced(found->second) &&
                                           !is_fenced(local->settings) && self->takes_over()};
            if (self->strangers_.contains(topic) && !self->at_source_[topic].came_from_here) {
                self->refused_[topic] = HaltReason::name_conflict;
            }
        }
    });
}

void Runner::read_settings(const std::vector<std::string>& topics,
                           UniqueFunction<void(Result<Settings>)> done) {
    client::ask<DescribeConfigsRequest, DescribeConfigsResponse>(
        source_->any(), source_->request_timeout(),
        [topics](std::int16_t) {
            DescribeConfigsRequest request;
            for (const std::string& topic : topics) {
                auto& resource = request.resources.emplace_back();
                resource.resource_type = topic_resource_type;
                resource.resource_name = topic;
                resource.configuration_keys = std::nullopt;
            }
            return request;
        },
        [done = std::move(done)](const Result<DescribeConfigsResponse>& response,
                                 std::int16_t) mutable {
            if (!response) {
                done(response.error());
                return;
            }
            Settings settings;
            for (const auto& result : response->results) {
                if (result.error_code != 0) {
                    continue;
                }
                auto& one = settings[std::string(result.resource_name)];
                for (const auto& config : result.configs) {
                    if (config.config_source == set_for_the_topic && config.value) {
                        one.emplace(config.name, *config.value);
                    }
                }
            }
            done(std::move(settings));
        });
}

void Runner::watch_horizons() {
    if (!horizon_) {
        horizon_ = std::make_shared<HorizonWatch>(*source_, *shell_.own_client, *shell_.own,
                                                  *shell_.control.executor);
    }
    std::vector<HorizonWatch::Mirror> mirrors;
    for (LocalTopic& local : topics_of_link(*shell_.image->current(), link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        if (source && local.note.stage == Stage::mirroring) {
            mirrors.push_back({*source, std::move(local)});
        }
    }
    horizon_->look(std::move(mirrors));
}

void Runner::sync_settings() {
    const Instant now = shell_.control.executor->clock().now();
    const Duration interval = std::chrono::milliseconds{link_.spec.configs_interval_ms};
    if (interval <= Duration{} || (settings_at_ != Instant{} && now - settings_at_ < interval)) {
        return;
    }
    settings_at_ = now;
    std::vector<std::string> names;
    for (const LocalTopic& local : topics_of_link(*shell_.image->current(), link_.id)) {
        const auto name = link_.spec.source_name(local.name);
        if (local.note.stage == Stage::mirroring && name) {
            names.push_back(*name);
        }
    }
    if (names.empty()) {
        return;
    }
    read_settings(names, [weak = weak_from_this()](const Result<Settings>& settings) {
        auto self = weak.lock();
        if (!self || !settings) {
            return;
        }
        const metadata::ImagePtr image = self->shell_.image->current();
        for (const auto& [source, wanted] : *settings) {
            const std::string topic = self->link_.spec.mirror_name(source);
            const auto local = local_topic(*image, topic);
            if (!local || local->link != self->link_.id || local->note.stage != Stage::mirroring ||
                self->under_way_.contains(topic)) {
                continue;
            }
            if (is_fenced_by(wanted, self->shell_.options.cluster_id, topic) &&
                self->link_.spec.desired(topic) != Desired::promoted) {
                // For a promotion that is no more: its mirror, or its link, was made anew since.
                self->under_way_.insert(topic);
                self->releases_[topic] = local->note;
                continue;
            }
            const SettingChanges changes = setting_changes(wanted, local->settings);
            if (!changes.empty()) {
                self->settings_reverted_ += static_cast<std::int64_t>(changes.size());
                self->shell_.own->set_topic(topic, changes, self->noted("settings", topic));
            }
        }
        self->release();
    });
}

}  // namespace millrace::mirror
