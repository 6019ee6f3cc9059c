#include "handlers/topic_book.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

#include "handlers/topic_names.h"

namespace millrace::handlers {
namespace {

namespace topic_option = config::topic_option;

Duration milliseconds(std::int64_t count) {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 1'000'000;
    return std::chrono::milliseconds{std::clamp<std::int64_t>(count, -1, most)};
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

storage::LogLimits log_limits(const config::TopicValues& values) {
    storage::LogLimits limits;
    limits.segment_bytes = Bytes{values.get(topic_option::segment_bytes)};
    limits.segment_age = milliseconds(values.get(topic_option::segment_ms));
    limits.segment_jitter = milliseconds(values.get(topic_option::segment_jitter_ms));
    limits.index_interval = Bytes{values.get(topic_option::index_interval_bytes)};
    limits.segment_index_bytes = Bytes{values.get(topic_option::segment_index_bytes)};
    limits.retention = milliseconds(values.get(topic_option::retention_ms));
    limits.retention_bytes = Bytes{values.get(topic_option::retention_bytes)};
    limits.file_delete_delay = std::min<Duration>(
        milliseconds(values.get(topic_option::file_delete_delay_ms)), 365 * 24h);  // a timer's
    const auto& policy = values.get(topic_option::cleanup_policy);
    limits.cleanup.remove = contains(policy, "delete");
    limits.cleanup.compact = contains(policy, "compact");
    limits.min_compaction_lag = milliseconds(values.get(topic_option::min_compaction_lag_ms));
    limits.max_compaction_lag = milliseconds(values.get(topic_option::max_compaction_lag_ms));
    limits.min_cleanable_ratio = values.get(topic_option::min_cleanable_dirty_ratio);
    limits.delete_retention = milliseconds(values.get(topic_option::delete_retention_ms));
    limits.preallocate = true;
    return limits;
}

/// partition:last epoch:end:first local epoch, of each promoted partition.
std::map<PartitionIndex, Offset> ends_of(const std::vector<std::string>& promotion) {
    std::map<PartitionIndex, Offset> ends;
    for (const std::string& entry : promotion) {
        const char* at = entry.data();
        const char* const stop = at + entry.size();
        std::int64_t numbers[3] = {};
        std::size_t read = 0;
        for (; read < std::size(numbers); ++read) {
            const auto [next, error] = std::from_chars(at, stop, numbers[read]);
            if (error != std::errc{} || next == stop || *next != ':') {
                break;
            }
            at = next + 1;
        }
        if (read == std::size(numbers)) {
            ends[PartitionIndex{static_cast<std::int32_t>(numbers[0])}] = Offset{numbers[2]};
        }
    }
    return ends;
}

std::optional<std::int32_t> number(std::string_view text) {
    std::int32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                    : std::nullopt;
}

std::optional<record::CompressionChoice> stored_codec(const config::TopicValues& values) {
    const std::string& type = values.get(topic_option::compression_type);
    if (type == "gzip") {
        return record::CompressionChoice{record::Compression::gzip,
                                         values.get(topic_option::compression_gzip_level)};
    }
    if (type == "lz4") {
        return record::CompressionChoice{record::Compression::lz4,
                                         values.get(topic_option::compression_lz4_level)};
    }
    if (type == "zstd") {
        return record::CompressionChoice{record::Compression::zstd,
                                         values.get(topic_option::compression_zstd_level)};
    }
    if (type == "snappy") {
        return record::CompressionChoice{record::Compression::snappy, std::nullopt};
    }
    if (type == "uncompressed") {
        return record::CompressionChoice{record::Compression::none, std::nullopt};
    }
    return std::nullopt;  // producer: as it came
}

}  // namespace

ThrottledReplicas ThrottledReplicas::parse(const std::vector<std::string>& list) {
    ThrottledReplicas throttled;
    throttled.all = handlers::contains(list, "*");
    for (const std::string_view entry : list) {
        const std::size_t colon = std::min(entry.find(':'), entry.size());
        const auto partition = number(entry.substr(0, colon));
        const auto broker = number(entry.substr(std::min(colon + 1, entry.size())));
        if (partition && broker) {
            throttled.some.emplace(PartitionIndex{*partition}, BrokerId{*broker});
        }
    }
    return throttled;
}

std::shared_ptr<const TopicBook> TopicBook::after(metadata::Configs configs,
                                                  const std::vector<std::string>& changed,
                                                  std::size_t count) const {
    auto next = std::make_shared<TopicBook>(config_, std::move(configs));
    {
        const std::shared_lock lock(mutex_);
        if (known_.size() <= 2 * count + 100) {  // else it is of topics that are gone
            next->known_ = known_;
        }
    }
    for (const std::string& topic : changed) {
        next->known_.erase(topic);
    }
    return next;
}

std::shared_ptr<const TopicRules> TopicBook::rules(const std::string& topic) const {
    {
        const std::shared_lock lock(mutex_);
        if (const auto at = known_.find(topic); at != known_.end()) {
            return at->second;
        }
    }
    auto made = std::make_shared<const TopicRules>(work_out(topic));
    const std::unique_lock lock(mutex_);
    return known_.emplace(topic, std::move(made)).first->second;
}

config::Entries TopicBook::overrides(const std::string& topic) const {
    const metadata::ConfigMap* found = configs_.find({metadata::ConfigResourceType::topic, topic});
    return found == nullptr ? config::Entries{} : found->values;
}

TopicRules TopicBook::work_out(const std::string& topic) const {
    const config::TopicValues values = config_->topic(overrides(topic));
    TopicRules rules;
    rules.replication.limits = log_limits(values);
    rules.replication.limits.producer_expiry =
        milliseconds(config_->broker().get(config::broker_option::producer_id_expiration_ms));
    // Committed offsets and transactions end what waits for them, also while a disk fills up.
    rules.replication.limits.may_use_reserve = is_internal_topic(topic);
    rules.replication.min_isr = values.get(topic_option::min_insync_replicas);
    rules.replication.durability = values.get(topic_option::millrace_durability) == "replicated"
                                       ? replication::Durability::replicated
                                       : replication::Durability::synced;
    rules.replication.log_append_time =
        values.get(topic_option::message_timestamp_type) == "LogAppendTime";
    rules.replication.unclean_leader_election =
        values.get(topic_option::unclean_leader_election_enable);
    rules.throttled_leaders =
        ThrottledReplicas::parse(values.get(topic_option::leader_replication_throttled_replicas));
    rules.throttled_followers =
        ThrottledReplicas::parse(values.get(topic_option::follower_replication_throttled_replicas));
    record::ProduceRules& produce = rules.produce;
    produce.max_batch_size = static_cast<std::size_t>(values.get(topic_option::max_message_bytes));
    produce.timestamp_type = rules.replication.log_append_time
                                 ? record::TimestampType::log_append_time
                                 : record::TimestampType::create_time;
    produce.before_max_ms = values.get(topic_option::message_timestamp_before_max_ms);
    produce.after_max_ms = values.get(topic_option::message_timestamp_after_max_ms);
    if (const auto choice = stored_codec(values)) {
        rules.stored = *choice;
        produce.stored_codec = choice->codec;
    }
    produce.is_compacted = rules.replication.limits.cleanup.compact;
    produce.strict = values.get(topic_option::millrace_record_validation) == "records";
    const std::string& mirror = values.get(topic_option::millrace_mirror_state);
    const bool promoted = mirror == "promoted";
    rules.fenced = values.get(topic_option::millrace_fenced) || (!mirror.empty() && !promoted);
    rules.replication.fenced = rules.fenced;
    rules.mirrored = !mirror.empty();
    if (promoted) {
        rules.mirrored_ends = ends_of(values.get(topic_option::millrace_mirror_promotion));
    } else if (rules.mirrored) {
        // What the source keeps, the mirror keeps: it follows the source's log start. What the
        // source has compacted no fetch tells: the mirror does that by itself, or grows for ever.
        rules.replication.limits.retention = milliseconds(-1);
        rules.replication.limits.retention_bytes = Bytes{-1};
        rules.replication.limits.cleanup.remove = true;
    }
    return rules;
}

replication::PartitionSettings TopicRules::replication_of(PartitionIndex partition,
                                                          BrokerId self) const {
    replication::PartitionSettings settings = replication;
    settings.throttled_as_leader = throttled_leaders.contains(partition, self);
    settings.throttled_as_follower = throttled_followers.contains(partition, self);
    const auto end = mirrored_ends.find(partition);
    settings.mirrored = mirrored && end == mirrored_ends.end();
    if (end != mirrored_ends.end()) {
        settings.mirrored_end = end->second;
    }
    return settings;
}

}  // namespace millrace::handlers
