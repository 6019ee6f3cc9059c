// metadata/image.h
//
// An Image is the cluster's metadata at one offset of __cluster_metadata: a value that is never
// changed once published. Copying one is a dozen pointers; deriving the next costs what changed
// (PersistentMap). Shards read it through an ImageReader (publisher.h) without a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "metadata/features.h"
#include "metadata/image_cluster.h"
#include "metadata/image_settings.h"
#include "metadata/image_topics.h"
#include "model/ids.h"

namespace millrace::metadata {

/// Up to where the log made this image.
struct Provenance {
    Offset end{0};  ///< One past the last record contained.
    QuorumEpoch epoch{-1};
    Timestamp last_appended{-1};
    friend bool operator==(const Provenance&, const Provenance&) = default;
};

struct Image {
    // Not inline: they are long, and every source that decides has some.
    Image();
    Image(const Image&);
    Image(Image&&) noexcept;
    Image& operator=(const Image&);
    Image& operator=(Image&&) noexcept;
    ~Image();

    Provenance provenance;
    FeatureLevels features;
    Cluster cluster;
    Topics topics;
    Configs configs;
    Quotas quotas;
    ScramCredentials scram;
    Acls acls;
    DelegationTokens delegation_tokens;
    /// First id of the next producer-id block; nullopt before the first block was given out.
    std::optional<std::int64_t> next_producer_id;

    /// 0 if the feature is not finalized.
    std::int16_t feature_level(std::string_view name) const {
        const std::int16_t* level = features.find(name);
        return level != nullptr ? *level : std::int16_t{0};
    }
    MetadataVersion metadata_version() const {
        return MetadataVersion{feature_level(feature::metadata_version)};
    }
    /// What is set for the topic, else for one broker or the cluster default: see config for the
    /// defaults and synonyms. Null if nobody set it.
    const std::string* topic_setting(std::string_view topic, std::string_view key) const;
};

/// Same content, provenance aside. Costs as much as there is, except for shared parts.
bool same_content(const Image& a, const Image& b);

using ImagePtr = std::shared_ptr<const Image>;

}  // namespace millrace::metadata
