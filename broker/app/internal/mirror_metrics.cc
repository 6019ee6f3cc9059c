#include "app/internal/mirror_metrics.h"

#include <map>

namespace millrace::app {
namespace {

namespace metric = metrics::metric;
using Samples = std::vector<metrics::Sample>;
constexpr std::string_view mirror_publisher = "mirrors";

}  // namespace

void publish_mirrors(metrics::Registry& registry, const mirror::Links& links) {
    Samples lag_records, lag_seconds, rpo, rtt, bytes, batches, gaps, truncated, epochs, groups,
        connections, throttled, topics, drift;
    for (const mirror::LinkFigures& link : links.figures()) {
        const std::string& name = link.view.name;
        std::map<std::string, double> by_state;
        for (const mirror::TopicView& topic : link.view.topics) {
            lag_records.push_back({{name, topic.topic}, static_cast<double>(topic.lag_records)});
            lag_seconds.push_back({{name, topic.topic}, to_seconds(topic.lag)});
            ++by_state[std::string(to_string(topic.state))];
        }
        for (const auto& [state, count] : by_state) {
            topics.push_back({{name, state}, count});
        }
        rpo.push_back({{name}, to_seconds(link.view.could_lose)});
        rtt.push_back({{name}, to_seconds(link.view.round_trip)});
        bytes.push_back({{name}, static_cast<double>(link.pulled.bytes)});
        batches.push_back({{name}, static_cast<double>(link.pulled.batches)});
        gaps.push_back({{name}, static_cast<double>(link.pulled.gap_records)});
        truncated.push_back({{name}, static_cast<double>(link.pulled.truncated_records)});
        epochs.push_back({{name}, static_cast<double>(link.pulled.epoch_raises)});
        throttled.push_back({{name}, static_cast<double>(link.pulled.throttled_ms) / 1e3});
        connections.push_back({{name}, static_cast<double>(link.connections)});
        drift.push_back({{name}, static_cast<double>(link.settings_reverted)});
        groups.push_back({{name, "written"}, static_cast<double>(link.group_offsets_written)});
        groups.push_back({{name, "skipped"}, static_cast<double>(link.group_offsets_skipped)});
        groups.push_back({{name, "clamped"}, static_cast<double>(link.view.clamped.size())});
    }
    registry.publish(metric::mirror_lag_records, mirror_publisher, std::move(lag_records));
    registry.publish(metric::mirror_lag_seconds, mirror_publisher, std::move(lag_seconds));
    registry.publish(metric::mirror_rpo_seconds, mirror_publisher, std::move(rpo));
    registry.publish(metric::mirror_link_rtt_seconds, mirror_publisher, std::move(rtt));
    registry.publish(metric::mirror_bytes, mirror_publisher, std::move(bytes));
    registry.publish(metric::mirror_batches, mirror_publisher, std::move(batches));
    registry.publish(metric::mirror_gap_records, mirror_publisher, std::move(gaps));
    registry.publish(metric::mirror_truncated_records, mirror_publisher, std::move(truncated));
    registry.publish(metric::mirror_epoch_bumps, mirror_publisher, std::move(epochs));
    registry.publish(metric::mirror_group_offsets, mirror_publisher, std::move(groups));
    registry.publish(metric::mirror_fetch_connections, mirror_publisher, std::move(connections));
    registry.publish(metric::mirror_throttled_seconds, mirror_publisher, std::move(throttled));
    registry.publish(metric::mirror_topics, mirror_publisher, std::move(topics));
    registry.publish(metric::mirror_config_drift_reverted, mirror_publisher, std::move(drift));
}

}  // namespace millrace::app
