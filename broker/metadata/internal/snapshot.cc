#include "metadata/snapshot.h"

#include "base/assert.h"
#include "metadata/internal/brokers.h"
#include "metadata/internal/record_types.h"
#include "metadata/internal/registration_records.h"

namespace millrace::metadata {
namespace {

class ImageWriter {
public:
    ImageWriter(const Image& image, std::size_t max_records, RecordSink sink)
        : image_(image),
          version_(image.metadata_version()),
          max_records_(max_records),
          sink_(std::move(sink)) {}

    Result<void> write() {
        // A reader must know the metadata.version before it meets anything that depends on it.
        MR_TRY_VOID(write_features());
        MR_TRY_VOID(write_cluster());
        MR_TRY_VOID(write_topics());
        MR_TRY_VOID(write_configs());
        MR_TRY_VOID(write_quotas());
        MR_TRY_VOID(write_producer_ids());
        MR_TRY_VOID(write_acls());
        MR_TRY_VOID(write_scram());
        MR_TRY_VOID(write_tokens());
        return records_.empty() ? Result<void>() : flush();
    }

private:
    template <typename Record>
    Result<void> put(const Record& record, std::int16_t version = 0) {
        records_.add(record, version);
        return records_.size() < max_records_ ? Result<void>() : flush();
    }
    Result<void> flush() {
        Result<void> done = sink_(records_);
        records_ = {};
        return done;
    }

    Result<void> write_feature(std::string_view name, std::int16_t level) {
        protocol::FeatureLevelRecord record;
        record.name = name;
        record.feature_level = level;
        return put(record);
    }
    Result<void> write_features() {
        if (version_.level != 0) {
            MR_TRY_VOID(write_feature(feature::metadata_version, version_.level));
        }
        for (const auto& [name, level] : image_.features) {
            if (name != feature::metadata_version) {
                MR_TRY_VOID(write_feature(name, level));
            }
        }
        return {};
    }

    Result<void> write_cluster() {
        for (const auto& [id, broker] : image_.cluster.brokers) {
            MR_TRY_VOID(
                put(registration_record(*broker, version_), version_.register_broker_record()));
        }
        for (const auto& [id, controller] : image_.cluster.controllers) {
            MR_TRY_VOID(put(registration_record(*controller)));
        }
        return {};
    }

    Result<void> write_topics() {
        for (const auto& [id, topic] : image_.topics.by_id()) {
            protocol::TopicRecord record;
            record.name = topic->name;
            record.topic_id = id;
            MR_TRY_VOID(put(record));
            for (const auto& [index, partition] : topic->partitions) {
                MR_TRY_VOID(put(partition_record({id, index}, *partition, version_),
                                version_.partition_record()));
            }
        }
        return {};
    }

    Result<void> write_configs() {
        for (const auto& [resource, map] : image_.configs.by_resource()) {
            for (const auto& [name, value] : map->values) {
                protocol::ConfigRecord record;
                record.resource_type = static_cast<std::int8_t>(resource.type);
                record.resource_name = resource.name;
                record.name = name;
                record.value = value;
                MR_TRY_VOID(put(record));
            }
        }
        return {};
    }

    Result<void> write_quotas() {
        for (const auto& [entity, values] : image_.quotas) {
            protocol::ClientQuotaRecord record;
            for (const auto& [type, name] : entity) {
                protocol::ClientQuotaRecord::EntityData part;
                part.entity_type = type;
                part.entity_name = name ? std::optional<std::string_view>(*name) : std::nullopt;
                record.entity.push_back(part);
            }
            for (const auto& [key, value] : values) {
                record.key = key;
                record.value = value;
                MR_TRY_VOID(put(record));
            }
        }
        return {};
    }

    Result<void> write_producer_ids() {
        if (!image_.next_producer_id) {
            return {};
        }
        protocol::ProducerIdsRecord record;
        record.broker_id = -1;
        record.broker_epoch = -1;
        record.next_producer_id = *image_.next_producer_id;
        return put(record);
    }

    Result<void> write_acls() {
        for (const auto& [id, acl] : image_.acls) {
            MR_TRY_VOID(put(acl_record(id, acl)));
        }
        return {};
    }

    Result<void> write_scram() {
        for (const auto& [key, credential] : image_.scram) {
            protocol::UserScramCredentialRecord record;
            record.name = key.user;
            record.mechanism = static_cast<std::int8_t>(key.mechanism);
            record.salt = as_bytes(credential.salt.reveal());
            record.stored_key = as_bytes(credential.stored_key.reveal());
            record.server_key = as_bytes(credential.server_key.reveal());
            record.iterations = credential.iterations;
            MR_TRY_VOID(put(record));
        }
        return {};
    }

    Result<void> write_tokens() {
        for (const auto& [id, token] : image_.delegation_tokens) {
            protocol::DelegationTokenRecord record;
            record.owner = token.owner;
            record.requester = token.requester;
            record.renewers.assign(token.renewers.begin(), token.renewers.end());
            record.issue_timestamp = token.issued.milliseconds;
            record.max_timestamp = token.max.milliseconds;
            record.expiration_timestamp = token.expires.milliseconds;
            record.token_id = id;
            MR_TRY_VOID(put(record));
        }
        return {};
    }

    const Image& image_;
    MetadataVersion version_;
    std::size_t max_records_;
    RecordSink sink_;
    RecordList records_;
};

}  // namespace

Result<void> write_image(const Image& image, std::size_t max_records, RecordSink sink) {
    return ImageWriter(image, max_records, std::move(sink)).write();
}

RecordList image_to_records(const Image& image) {
    RecordList all;
    const Result<void> done =
        write_image(image, SIZE_MAX, [&](const RecordList& records) -> Result<void> {
            all.append(records);
            return {};
        });
    MR_ASSERT(done.has_value());
    return all;
}

}  // namespace millrace::metadata
