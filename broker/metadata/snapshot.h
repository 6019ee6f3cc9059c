// metadata/snapshot.h
//
// An image as records: those of Kafka's own snapshots, metadata.version first. Replaying them on an
// empty image (Delta) gives the image again.
#pragma once

#include <cstddef>

#include "metadata/image.h"
#include "metadata/records.h"

namespace millrace::metadata {

/// Walks an image in slices: a large one is written while the loop goes on with other things. Keeps
/// the image alive.
class ImageWriter {
public:
    explicit ImageWriter(Image image);

    /// The next `max_records` at most; empty when all is written.
    RecordList next(std::size_t max_records);

private:
    bool write_one(RecordList& records);
    bool write_feature(RecordList& records);
    bool write_cluster(RecordList& records);
    bool write_topic(RecordList& records);
    bool write_config(RecordList& records);
    bool write_quota(RecordList& records);
    bool write_producer_ids(RecordList& records);
    bool write_security(RecordList& records);

    Image image_;
    MetadataVersion version_;
    bool wrote_metadata_version_ = false;
    bool wrote_producer_ids_ = false;
    FeatureLevels::Iterator feature_;
    PersistentMap<BrokerId, BrokerRef>::Iterator broker_;
    PersistentMap<BrokerId, ControllerNodeRef>::Iterator controller_;
    PersistentMap<Uuid, Ref<Topic>>::Iterator topic_;
    Uuid partitions_of_;
    Partitions::Iterator partition_;
    PersistentMap<ConfigResource, Ref<ConfigMap>>::Iterator config_;
    std::string config_after_;  ///< Of config_'s settings, those up to here are written.
    bool config_begun_ = false;
    Quotas::Iterator quota_;
    std::string quota_after_;
    bool quota_begun_ = false;
    Acls::Iterator acl_;
    ScramCredentials::Iterator scram_;
    DelegationTokens::Iterator token_;
};

/// Everything in one list: tests and small images.
RecordList image_to_records(const Image& image);

}  // namespace millrace::metadata
