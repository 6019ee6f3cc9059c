#include "metadata/features.h"

#include <algorithm>
#include <array>

namespace millrace::metadata {
namespace {

/// A level of metadata.version. `changed`: its records are not all readable at the level before.
struct Level {
    std::string_view name;
    bool changed;
};

/// From level 7 (the oldest) on.
constexpr std::array levels{
    Level{"3.3-IV3", true},  Level{"3.4-IV0", true},  Level{"3.5-IV0", false},
    Level{"3.5-IV1", false}, Level{"3.5-IV2", true},  Level{"3.6-IV0", false},
    Level{"3.6-IV1", true},  Level{"3.6-IV2", true},  Level{"3.7-IV0", true},
    Level{"3.7-IV1", false}, Level{"3.7-IV2", true},  Level{"3.7-IV3", false},
    Level{"3.7-IV4", false}, Level{"3.8-IV0", false}, Level{"3.9-IV0", false},
    Level{"4.0-IV0", false}, Level{"4.0-IV1", true},  Level{"4.0-IV2", false},
    Level{"4.0-IV3", false}, Level{"4.1-IV0", false}, Level{"4.1-IV1", false},
    Level{"4.2-IV0", false}, Level{"4.2-IV1", false}, Level{"4.3-IV0", true},
    Level{"4.4-IV0", false}, Level{"4.4-IV1", true},  Level{"4.4-IV2", true}};
static_assert(levels.size() == MetadataVersion::latest.level - MetadataVersion::oldest.level + 1);

constexpr std::array features{FeatureInfo{feature::eligible_leader_replicas, 0, 1},
                              FeatureInfo{feature::group_version, 0, 1},
                              FeatureInfo{feature::metadata_version, MetadataVersion::oldest.level,
                                          MetadataVersion::latest.level},
                              FeatureInfo{feature::share_version, 0, 2},
                              FeatureInfo{feature::streams_version, 0, 1},
                              FeatureInfo{feature::transaction_version, 0, 2}};

/// From which metadata.version on new clusters get which level.
struct Default {
    std::string_view feature;
    std::int16_t from_metadata_version;
    std::int16_t level;
};
constexpr std::array defaults{Default{feature::group_version, 22, 1},
                              Default{feature::transaction_version, 24, 2},
                              Default{feature::eligible_leader_replicas, 26, 1},
                              Default{feature::share_version, 28, 1},
                              Default{feature::streams_version, 29, 1},
                              Default{feature::share_version, 31, 2}};

const Level* find_level(MetadataVersion version) {
    if (version < MetadataVersion::oldest || version > MetadataVersion::latest) {
        return nullptr;
    }
    return &levels[static_cast<std::size_t>(version.level - MetadataVersion::oldest.level)];
}

}  // namespace

std::int16_t MetadataVersion::register_broker_record() const {
    if (has_cordoned_directories()) {
        return 4;
    }
    if (has_directories()) {
        return 3;
    }
    return level >= 8 ? 2 : 1;
}

std::int16_t MetadataVersion::broker_registration_change_record() const {
    if (has_cordoned_directories()) {
        return 3;
    }
    return has_directories() ? 2 : 1;
}

std::int16_t MetadataVersion::partition_record() const {
    if (has_elr()) {
        return 2;
    }
    return has_directories() ? 1 : 0;
}

std::int16_t MetadataVersion::partition_change_record() const {
    return partition_record();
}

std::string_view MetadataVersion::name() const {
    const Level* level = find_level(*this);
    return level != nullptr ? level->name : "unknown";
}

bool MetadataVersion::metadata_changed_between(MetadataVersion a, MetadataVersion b) {
    const auto [low, high] = std::minmax(a, b);
    for (MetadataVersion version = high; version > low; --version.level) {
        const Level* level = find_level(version);
        if (level == nullptr || level->changed) {
            return true;
        }
    }
    return false;
}

std::span<const FeatureInfo> known_features() {
    return features;
}

std::int16_t default_level(std::string_view feature, MetadataVersion version) {
    if (feature == feature::metadata_version) {
        return version.level;
    }
    std::int16_t level = 0;
    for (const Default& entry : defaults) {
        if (entry.feature == feature && version.level >= entry.from_metadata_version) {
            level = entry.level;
        }
    }
    return level;
}

const FeatureInfo* find_feature(std::string_view name) {
    const auto found = std::find_if(features.begin(), features.end(),
                                    [&](const FeatureInfo& info) { return info.name == name; });
    return found != features.end() ? &*found : nullptr;
}

}  // namespace millrace::metadata
