// Volumes that the spec has no more. What is on them would be out of reach, and topics with one
// replica offline, so a broker keeps one until no replica is on it.
#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "operator/planner/internal/draft.h"
#include "operator/render/names.h"

namespace millrace::planner {

namespace {

constexpr Duration ask_of_volumes_after = 10s;  ///< Moves between volumes are no news.

bool has_volume(const api::StorageSpec& storage, int id) {
    const std::vector<api::VolumeSpec> volumes = api::all_volumes(storage);
    return std::any_of(volumes.begin(), volumes.end(),
                       [&](const api::VolumeSpec& one) { return one.id == id; });
}

/// Its broker has run with it, as far as that can be seen: what was never mounted holds nothing.
bool was_in_use(const Draft& draft, int broker, int volume, const std::string& claim) {
    const auto& known = draft.world.cluster.status.brokers;
    const bool is_recorded = std::any_of(known.begin(), known.end(), [&](const auto& one) {
        return one.id == broker &&
               std::find(one.volumes.begin(), one.volumes.end(), volume) != one.volumes.end();
    });
    const auto pod = draft.pods.find(broker);
    if (pod == draft.pods.end()) {
        return is_recorded;
    }
    const Json& mounted = (*pod->second.object)["spec"]["volumes"];
    const bool is_mounted = std::any_of(
        mounted.items().begin(), mounted.items().end(),
        [&](const Json& one) { return one["persistentVolumeClaim"]["claimName"].text() == claim; });
    return is_mounted && (is_recorded || pod->second.ready);
}

/// How many replicas hold it back; none: it may go. What nobody can tell now holds it back, too.
std::string why_kept(Draft& draft, int broker, int volume) {
    const auto answer = draft.world.answers.volumes.find(broker);
    if (answer == draft.world.answers.volumes.end()) {
        draft.plan.questions.emplace_back(AskVolumes{broker});
        return "what is on it is being asked";
    }
    if (!answer->second.value) {
        return "what is on it isn't known: " + answer->second.error;
    }
    const auto found = answer->second.value->find(volume);
    if (found == answer->second.value->end() || found->second == 0) {
        return "";
    }
    return fmt::format("{} of its replicas {} on it", found->second,
                       found->second == 1 ? "is" : "are");
}

void keep_volume(Draft& draft, int broker, api::VolumeSpec volume) {
    for (auto* members : {&draft.membership.wanted, &draft.running}) {
        if (const auto member = members->find(broker); member != members->end()) {
            api::StorageSpec& storage = member->second.pool.storage;
            storage.volumes = api::all_volumes(storage);
            storage.volumes.push_back(volume);
            storage.size.reset();
        }
    }
}

}  // namespace

void keep_used_volumes(Draft& draft) {
    for (const ObjectPtr& claim : draft.world.claims) {
        const Json& metadata = (*claim)["metadata"];
        const std::string& number = metadata["labels"][render::label::volume].text();
        const int broker = broker_of(*claim).value_or(-1);
        int volume = -1;
        std::from_chars(number.data(), number.data() + number.size(), volume);
        const auto member = draft.running.find(broker);
        if (member == draft.running.end() || !member->second.broker || volume < 0 ||
            metadata.has("deletionTimestamp") || !is_bound(*claim) ||
            has_volume(member->second.pool.storage, volume) ||
            !was_in_use(draft, broker, volume, metadata["name"].text())) {
            continue;
        }
        const auto size =
            api::Quantity::parse((*claim)["spec"]["resources"]["requests"]["storage"].text());
        const std::string why = size ? why_kept(draft, broker, volume) : std::string();
        if (why.empty()) {
            continue;
        }
        api::VolumeSpec kept{.id = volume, .size = *size, .storage_class = {}};
        if (const std::string& asked =
                metadata["annotations"][render::annotation::storage_class].text();
            !asked.empty()) {
            kept.storage_class = asked;
        }
        keep_volume(draft, broker, std::move(kept));
        draft.look_again_in(ask_of_volumes_after);
        if (draft.volume_waits.empty()) {
            draft.volume_waits = fmt::format(
                "broker {} keeps volume {}, which the spec has no more: {}; move them to its other "
                "volumes (kafka-reassign-partitions does), or write the volume back",
                broker, volume, why);
        }
    }
}

}  // namespace millrace::planner
