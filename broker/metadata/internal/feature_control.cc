// UpdateFeatures, and the features of a new cluster.
#include <algorithm>
#include <fmt/format.h>

#include "metadata/controller_core.h"
#include "metadata/internal/config_changes.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/update_features_request.h"
#include "protocol/messages/update_features_response.h"

namespace millrace::metadata {
namespace {

using Update = protocol::UpdateFeaturesRequest::FeatureUpdateKey;

enum class Upgrade : std::int8_t { up = 1, safe_down = 2, unsafe_down = 3 };

/// Our quorums have dynamic voters from their first day (KIP-853).
constexpr std::int16_t kraft_version_level = 1;

Refusal invalid(const Update& update, std::string why) {
    return Refusal{KafkaError::invalid_update_version,
                   fmt::format("{} {}: {}", update.feature, update.max_version_level, why)};
}

MaybeRefusal check_support(const Image& image, const Update& update) {
    const FeatureInfo* info = find_feature(update.feature);
    const std::int16_t level = update.max_version_level;
    const VersionRange ours = info != nullptr ? VersionRange{info->min, info->max} : VersionRange{};
    if (!ours.contains(level)) {
        return invalid(update, fmt::format("this controller can run {} to {}", ours.min, ours.max));
    }
    const std::string name(update.feature);
    const auto can_run = [&](const std::map<std::string, VersionRange>& features) {
        const auto found = features.find(name);
        return (found != features.end() ? found->second : VersionRange{}).contains(level);
    };
    for (const auto& [id, broker] : image.cluster.brokers) {
        if (!can_run(broker->features)) {
            return invalid(update, fmt::format("broker {} can't run it", id));
        }
    }
    for (const auto& [id, controller] : image.cluster.controllers) {
        if (!can_run(controller->features)) {
            return invalid(update, fmt::format("controller {} can't run it", id));
        }
    }
    return std::nullopt;
}

MaybeRefusal check_direction(const Update& update, std::int16_t current, Upgrade how) {
    if (update.max_version_level < current && how == Upgrade::up) {
        return invalid(update,
                       fmt::format("it is at {}; a downgrade has to be asked for", current));
    }
    if (update.max_version_level > current && how != Upgrade::up) {
        return invalid(update, fmt::format("it is at {}: that would be no downgrade", current));
    }
    return std::nullopt;
}

MaybeRefusal check_metadata_version(const Update& update, MetadataVersion current) {
    const MetadataVersion wanted{update.max_version_level};
    if (wanted < current && MetadataVersion::metadata_changed_between(wanted, current)) {
        return invalid(update, "what was written since could not be read any more");
    }
    return std::nullopt;
}

/// ELR state is written in records that only newer metadata.versions have.
MaybeRefusal check_dependency(const Image& image, const Update& update) {
    if (update.feature == feature::eligible_leader_replicas && update.max_version_level > 0 &&
        !image.metadata_version().has_elr()) {
        return invalid(update, "it needs metadata.version 4.0-IV1");
    }
    return std::nullopt;
}

MaybeRefusal check(const Image& image, const Update& update) {
    const Upgrade how =
        update.allow_downgrade ? Upgrade::safe_down : static_cast<Upgrade>(update.upgrade_type);
    if (how < Upgrade::up || how > Upgrade::unsafe_down) {
        return invalid(update, fmt::format("unknown upgrade type {}", update.upgrade_type));
    }
    if (update.max_version_level < 0) {
        return invalid(update, "a level is not negative");
    }
    if (update.feature == feature::kraft_version) {
        return update.max_version_level == kraft_version_level
                   ? MaybeRefusal()
                   : invalid(update,
                             fmt::format("the quorum runs {}, for good", kraft_version_level));
    }
    if (MaybeRefusal refusal = check_support(image, update)) {
        return refusal;
    }
    if (MaybeRefusal refusal = check_direction(update, image.feature_level(update.feature), how)) {
        return refusal;
    }
    return update.feature == feature::metadata_version
               ? check_metadata_version(update, image.metadata_version())
               : check_dependency(image, update);
}

void add_level(Draft& draft, std::string_view name, std::int16_t level) {
    protocol::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    draft.add(record, 0);
}

/// Nobody keeps an ELR true while the feature is off: one that outlived it would name replicas that
/// miss what was acknowledged meanwhile. A partition that has nothing but its ELR needs it.
MaybeRefusal clear_elr(Draft& draft, const Context& context, const Update& update) {
    for (const auto& [which, nothing] : context.index.leaderless()) {
        const Topic& topic = *draft.image().topics.find(which.topic_id);
        if (const Partition& partition = *topic.partition(which.partition);
            partition.isr.empty() && !partition.elr.empty()) {
            return invalid(update,
                           fmt::format("{}-{} has nobody in sync, and broker {} could lead it by "
                                       "its place among the eligible leaders alone: start that "
                                       "broker first",
                                       topic.name, which.partition, partition.elr[0]));
        }
    }
    draft.add(protocol::ClearElrRecord(), 0);
    return std::nullopt;
}

MaybeRefusal apply(Draft& draft, const Context& context, const Update& update) {
    if (MaybeRefusal refusal = check(draft.image(), update)) {
        return refusal;
    }
    if (update.feature == feature::eligible_leader_replicas && update.max_version_level == 0 &&
        draft.image().feature_level(update.feature) > 0) {
        if (MaybeRefusal refusal = clear_elr(draft, context, update)) {
            return refusal;
        }
    }
    if (update.feature == feature::eligible_leader_replicas && update.max_version_level > 0) {
        settle_min_isr_for_elr(draft, context.options);
    }
    if (update.feature != feature::kraft_version) {  // raft keeps that one
        add_level(draft, update.feature, update.max_version_level);
    }
    return std::nullopt;
}

std::int16_t bootstrap_level(const ControllerOptions& options, std::string_view name,
                             std::int16_t fallback) {
    const auto found = options.bootstrap_features.find(name);
    return found != options.bootstrap_features.end() ? found->second : fallback;
}

}  // namespace

Decision<protocol::UpdateFeaturesResponse> update_features(
    Context& context, const protocol::UpdateFeaturesRequest& request) {
    Decision<protocol::UpdateFeaturesResponse> decision(context);
    MaybeRefusal refusal;
    // metadata.version first: the others may depend on it.
    std::vector<const Update*> updates;
    for (const Update& update : request.feature_updates) {
        const bool first = update.feature == feature::metadata_version;
        updates.insert(first ? updates.begin() : updates.end(), &update);
    }
    for (const Update* update : updates) {
        refusal = apply(decision.draft, context, *update);
        if (refusal) {
            break;
        }
    }
    if (refusal || request.validate_only) {
        decision.draft = Draft(context.image);
    }
    set_outcome(decision.answer, refusal, decision.texts);
    for (const Update& update : request.feature_updates) {
        auto& result = decision.answer.results.emplace_back();
        result.feature = decision.texts.keep(std::string(update.feature));
        set_outcome(result, refusal, decision.texts);
    }
    return decision;
}

Decision<NoAnswer> bootstrap(Context& context) {
    Decision<NoAnswer> decision(context);
    if (context.image.metadata_version().level != 0) {
        return decision;
    }
    Draft& draft = decision.draft;
    const MetadataVersion version{
        bootstrap_level(context.options, feature::metadata_version, MetadataVersion::latest.level)};
    add_level(draft, feature::metadata_version, version.level);
    for (const FeatureInfo& info : known_features()) {
        const std::int16_t level =
            bootstrap_level(context.options, info.name, default_level(info.name, version));
        if (info.name != feature::metadata_version && level > 0) {
            add_level(draft, info.name, level);
        }
    }
    if (draft.image().feature_level(feature::eligible_leader_replicas) > 0) {
        settle_min_isr_for_elr(draft, context.options);
    }
    return decision;
}

}  // namespace millrace::metadata
