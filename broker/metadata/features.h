// metadata/features.h
//
// The features that a cluster finalizes (KIP-584) and which record versions each metadata.version
// writes. Facts of Kafka 4.4; a metadata.version is a level of the feature "metadata.version".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace millrace::metadata {

namespace feature {
inline constexpr std::string_view metadata_version = "metadata.version";
inline constexpr std::string_view kraft_version = "kraft.version";  // kept by raft, not by records
inline constexpr std::string_view transaction_version = "transaction.version";
inline constexpr std::string_view group_version = "group.version";
inline constexpr std::string_view eligible_leader_replicas = "eligible.leader.replicas.version";
inline constexpr std::string_view share_version = "share.version";
inline constexpr std::string_view streams_version = "streams.version";
}  // namespace feature

struct MetadataVersion {
    std::int16_t level = 0;
    friend constexpr auto operator<=>(const MetadataVersion&, const MetadataVersion&) = default;

    static const MetadataVersion oldest;  ///< 3.3-IV3, the oldest that Kafka 4 still runs.
    static const MetadataVersion latest;  ///< 4.4-IV2.

    bool has_scram() const { return level >= 11; }
    bool bumps_leader_epoch_on_isr_shrink() const { return level < 12; }
    bool has_transactions() const { return level >= 13; }
    bool has_delegation_tokens() const { return level >= 14; }
    bool has_controller_registration() const { return level >= 15; }
    bool has_directories() const { return level >= 17; }
    bool has_elr() const { return level >= 23; }
    bool has_cordoned_directories() const { return level >= 30; }
    bool has_controller_unregistration() const { return level >= 33; }

    std::int16_t register_broker_record() const;
    std::int16_t broker_registration_change_record() const;
    std::int16_t partition_record() const;         ///< Of PartitionRecord.
    std::int16_t partition_change_record() const;  ///< Of PartitionChangeRecord.

    /// "4.4-IV2"; "unknown" for a level that we don't know.
    std::string_view name() const;
    /// True if a record written at the one may not be readable at the other.
    static bool metadata_changed_between(MetadataVersion a, MetadataVersion b);
};
inline constexpr MetadataVersion MetadataVersion::oldest{7};
inline constexpr MetadataVersion MetadataVersion::latest{33};

struct FeatureInfo {
    std::string_view name;
    std::int16_t min = 0;
    std::int16_t max = 0;  ///< Highest level that this build runs.
};

/// Every feature that this build knows, ordered by name; kraft.version is raft's.
std::span<const FeatureInfo> known_features();
const FeatureInfo* find_feature(std::string_view name);
/// The level that a new cluster at that metadata.version gets.
std::int16_t default_level(std::string_view feature, MetadataVersion version);

}  // namespace millrace::metadata
