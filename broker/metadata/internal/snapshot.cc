#include "metadata/snapshot.h"

#include "metadata/internal/brokers.h"
#include "metadata/internal/record_types.h"
#include "metadata/internal/registration_records.h"

namespace millrace::metadata {
namespace {

void add_feature(RecordList& records, std::string_view name, std::int16_t level) {
    protocol::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    records.add(record, 0);
}

protocol::ConfigRecord config_record(const ConfigResource& resource, const std::string& name,
                                     const std::string& value) {
    protocol::ConfigRecord record;
    record.resource_type = static_cast<std::int8_t>(resource.type);
    record.resource_name = resource.name;
    record.name = name;
    record.value = value;
    return record;
}

protocol::ClientQuotaRecord quota_record(const QuotaEntity& entity, const std::string& key,
                                         double value) {
    protocol::ClientQuotaRecord record;
    for (const auto& [type, name] : entity) {
        auto& part = record.entity.emplace_back();
        part.entity_type = type;
        part.entity_name = name ? std::optional<std::string_view>(*name) : std::nullopt;
    }
    record.key = key;
    record.value = value;
    return record;
}

protocol::UserScramCredentialRecord scram_record(const ScramKey& key,
                                                 const ScramCredential& credential) {
    protocol::UserScramCredentialRecord record;
    record.name = key.user;
    record.mechanism = static_cast<std::int8_t>(key.mechanism);
    record.salt = as_bytes(credential.salt.reveal());
    record.stored_key = as_bytes(credential.stored_key.reveal());
    record.server_key = as_bytes(credential.server_key.reveal());
    record.iterations = credential.iterations;
    return record;
}

protocol::DelegationTokenRecord token_record(const std::string& id, const DelegationToken& token) {
    protocol::DelegationTokenRecord record;
    record.owner = token.owner;
    record.requester = token.requester;
    record.renewers.assign(token.renewers.begin(), token.renewers.end());
    record.issue_timestamp = token.issued.milliseconds;
    record.max_timestamp = token.max.milliseconds;
    record.expiration_timestamp = token.expires.milliseconds;
    record.token_id = id;
    return record;
}

/// The entry after `after`, or the first if the walk of this map has not begun.
template <typename Map>
auto next_entry(const Map& map, const std::string& after, bool begun) {
    return begun ? map.upper_bound(after) : map.begin();
}

}  // namespace

ImageWriter::ImageWriter(Image image)
    : image_(std::move(image)),
      version_(image_.metadata_version()),
      feature_(image_.features.begin()),
      broker_(image_.cluster.brokers.begin()),
      controller_(image_.cluster.controllers.begin()),
      topic_(image_.topics.by_id().begin()),
      config_(image_.configs.by_resource().begin()),
      quota_(image_.quotas.begin()),
      acl_(image_.acls.begin()),
      scram_(image_.scram.begin()),
      token_(image_.delegation_tokens.begin()) {}

RecordList ImageWriter::next(std::size_t max_records) {
    RecordList records;
    while (records.size() < max_records && write_one(records)) {
    }
    return records;
}

/// False when nothing is left. Each part is written before the next begins.
bool ImageWriter::write_one(RecordList& records) {
    return write_feature(records) || write_cluster(records) || write_topic(records) ||
           write_config(records) || write_quota(records) || write_producer_ids(records) ||
           write_security(records);
}

/// A reader must know the metadata.version before it meets anything that depends on it.
bool ImageWriter::write_feature(RecordList& records) {
    if (!wrote_metadata_version_) {
        wrote_metadata_version_ = true;
        if (version_.level != 0) {
            add_feature(records, feature::metadata_version, version_.level);
            return true;
        }
    }
    while (feature_ != image_.features.end() && feature_->key == feature::metadata_version) {
        ++feature_;
    }
    if (feature_ == image_.features.end()) {
        return false;
    }
    add_feature(records, feature_->key, feature_->value);
    ++feature_;
    return true;
}

bool ImageWriter::write_cluster(RecordList& records) {
    if (broker_ != image_.cluster.brokers.end()) {
        records.add(registration_record(*broker_->value, version_),
                    version_.register_broker_record());
        ++broker_;
        return true;
    }
    if (controller_ != image_.cluster.controllers.end()) {
        records.add(registration_record(*controller_->value), 0);
        ++controller_;
        return true;
    }
    return false;
}

bool ImageWriter::write_topic(RecordList& records) {
    if (partition_ != Partitions::Iterator()) {
        records.add(
            partition_record({partitions_of_, partition_->key}, *partition_->value, version_),
            version_.partition_record());
        ++partition_;
        return true;
    }
    if (topic_ == image_.topics.by_id().end()) {
        return false;
    }
    protocol::TopicRecord record;
    record.name = topic_->value->name;
    record.topic_id = topic_->key;
    records.add(record, 0);
    partitions_of_ = topic_->key;
    partition_ = topic_->value->partitions.begin();
    ++topic_;
    return true;
}

bool ImageWriter::write_config(RecordList& records) {
    while (config_ != image_.configs.by_resource().end()) {
        const auto& values = config_->value->values;
        const auto entry = next_entry(values, config_after_, config_begun_);
        if (entry != values.end()) {
            records.add(config_record(config_->key, entry->first, entry->second), 0);
            config_after_ = entry->first;
            config_begun_ = true;
            return true;
        }
        config_begun_ = false;
        ++config_;
    }
    return false;
}

bool ImageWriter::write_quota(RecordList& records) {
    while (quota_ != image_.quotas.end()) {
        const auto entry = next_entry(quota_->value, quota_after_, quota_begun_);
        if (entry != quota_->value.end()) {
            records.add(quota_record(quota_->key, entry->first, entry->second), 0);
            quota_after_ = entry->first;
            quota_begun_ = true;
            return true;
        }
        quota_begun_ = false;
        ++quota_;
    }
    return false;
}

bool ImageWriter::write_producer_ids(RecordList& records) {
    if (wrote_producer_ids_ || !image_.next_producer_id) {
        return false;
    }
    wrote_producer_ids_ = true;
    protocol::ProducerIdsRecord record;
    record.broker_id = -1;
    record.broker_epoch = -1;
    record.next_producer_id = *image_.next_producer_id;
    records.add(record, 0);
    return true;
}

bool ImageWriter::write_security(RecordList& records) {
    if (acl_ != image_.acls.end()) {
        records.add(acl_record(acl_->key, acl_->value), 0);
        ++acl_;
        return true;
    }
    if (scram_ != image_.scram.end()) {
        records.add(scram_record(scram_->key, scram_->value), 0);
        ++scram_;
        return true;
    }
    if (token_ != image_.delegation_tokens.end()) {
        records.add(token_record(token_->key, token_->value), 0);
        ++token_;
        return true;
    }
    return false;
}

RecordList image_to_records(const Image& image) {
    return ImageWriter(image).next(SIZE_MAX);
}

}  // namespace millrace::metadata
