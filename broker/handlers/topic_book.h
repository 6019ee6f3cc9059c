// handlers/topic_book.h
//
// What a topic's settings mean to those who serve it, worked out once per topic and configuration.
// app makes a new book whenever a setting of any topic, of this broker or of the cluster changes.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/config.h"
#include "metadata/image.h"
#include "record/compression.h"
#include "record/validate.h"
#include "replication/types.h"

namespace millrace::handlers {

/// Kafka's list of throttled replicas: partition:broker, ... or * for all.
struct ThrottledReplicas {
    bool all = false;
    std::set<std::pair<PartitionIndex, BrokerId>> some;

    static ThrottledReplicas parse(const std::vector<std::string>& list);
    bool contains(PartitionIndex partition, BrokerId broker) const {
        return all || some.contains({partition, broker});
    }
};

struct TopicRules {
    record::ProduceRules produce;
    record::CompressionChoice stored;  ///< Where produce.stored_codec is set.
    replication::PartitionSettings replication;
    bool fenced = false;  ///< millrace.fenced, or a mirror that is not promoted: no client writes.
    bool mirrored = false;  ///< A mirror link writes it, or did until it was promoted.
    /// Of a promoted mirror: the partitions that are open to clients, and where that began.
    std::map<PartitionIndex, Offset> mirrored_ends;
    ThrottledReplicas throttled_leaders;
    ThrottledReplicas throttled_followers;

    /// On this broker.
    replication::PartitionSettings replication_of(PartitionIndex partition, BrokerId self) const;
};

class TopicBook {
public:
    TopicBook(std::shared_ptr<const config::BrokerConfig> config, metadata::Configs configs)
        : config_(std::move(config)), configs_(std::move(configs)) {}

    /// The book after settings of these topics changed, and nothing else: what was worked out for
    /// the others stays, unless it is much more than the `count` topics that there are.
    std::shared_ptr<const TopicBook> after(metadata::Configs configs,
                                           const std::vector<std::string>& changed,
                                           std::size_t count) const;

    /// From any thread.
    std::shared_ptr<const TopicRules> rules(const std::string& topic) const;
    const config::BrokerConfig& config() const { return *config_; }
    /// What was set for the topic itself.
    config::Entries overrides(const std::string& topic) const;

private:
    TopicRules work_out(const std::string& topic) const;

    std::shared_ptr<const config::BrokerConfig> config_;
    metadata::Configs configs_;
    mutable std::shared_mutex mutex_;
    mutable std::unordered_map<std::string, std::shared_ptr<const TopicRules>> known_;
};

/// The book in force. From any thread.
class TopicBookHandle {
public:
    std::shared_ptr<const TopicBook> current() const {
        const std::lock_guard lock(mutex_);
        return book_;
    }
    void swap(std::shared_ptr<const TopicBook> book) {
        const std::lock_guard lock(mutex_);
        book_ = std::move(book);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const TopicBook> book_;
};

}  // namespace millrace::handlers
