// Volumes that the spec has no more. What is on them would be out of reach, and topics with one
// replica offline, so a broker keeps one until no replica is on it. They are closed to new ones
// first; a plan empties them.
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

const brokers::VolumeFacts* facts_of(const Draft& draft, int broker, int volume) {
    const auto answer = draft.world.answers.volumes.find(broker);
    if (answer == draft.world.answers.volumes.end() || !answer->second.value) {
        return nullptr;
    }
    const auto found = answer->second.value->find(volume);
    return found == answer->second.value->end() ? nullptr : &found->second;
}

/// Asks once a round. False: it isn't known now.
bool know_volumes(Draft& draft, int broker) {
    const auto answer = draft.world.answers.volumes.find(broker);
    if (answer == draft.world.answers.volumes.end()) {
        draft.plan.questions.emplace_back(AskVolumes{broker});
        return false;
    }
    return answer->second.value.has_value();
}

/// What holds it back; nothing: it may go. What nobody can tell now holds it back, too.
std::string why_kept(Draft& draft, int broker, int volume) {
    if (!know_volumes(draft, broker)) {
        const auto answer = draft.world.answers.volumes.find(broker);
        return answer == draft.world.answers.volumes.end()
                   ? "what is on it is being asked"
                   : "what is on it isn't known: " + answer->second.error;
    }
    const brokers::VolumeFacts* facts = facts_of(draft, broker, volume);
    if (facts == nullptr || (facts->replicas == 0 && facts->cordoned)) {
        return "";
    }
    if (facts->replicas == 0) {
        return "it is being closed to new replicas";
    }
    const bool is_ours = draft.world.cluster.spec.balance.mode != api::BalanceMode::off;
    return fmt::format(
        "{} of its replicas {} on it; {}", facts->replicas, facts->replicas == 1 ? "is" : "are",
        is_ours ? "they go to its other volumes"
                : "balance.mode is Off: move them to its other volumes (kafka-reassign-partitions "
                  "does), or write the volume back");
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

bool is_bound(const Json& claim) {
    return claim["status"]["phase"].text() == "Bound" ||
           !claim["spec"]["volumeName"].text().empty();
}

std::optional<api::VolumeSpec> volume_of(const Json& claim) {
    const std::string& number = claim["metadata"]["labels"][render::label::volume].text();
    int id = -1;
    std::from_chars(number.data(), number.data() + number.size(), id);
    const auto size =
        api::Quantity::parse(claim["spec"]["resources"]["requests"]["storage"].text());
    if (id < 0 || !size) {
        return std::nullopt;
    }
    api::VolumeSpec volume{.id = id, .size = *size, .storage_class = {}};
    if (const std::string& asked =
            claim["metadata"]["annotations"][render::annotation::storage_class].text();
        !asked.empty()) {
        volume.storage_class = asked;
    }
    return volume;
}

void keep_used_volumes(Draft& draft) {
    for (const ObjectPtr& claim : draft.world.claims) {
        const Json& metadata = (*claim)["metadata"];
        const int broker = broker_of(*claim).value_or(-1);
        auto kept = volume_of(*claim);
        const auto member = draft.running.find(broker);
        if (!kept || member == draft.running.end() || !member->second.broker ||
            metadata.has("deletionTimestamp") || !is_bound(*claim) ||
            has_volume(member->second.pool.storage, kept->id) ||
            !was_in_use(draft, broker, kept->id, metadata["name"].text())) {
            continue;
        }
        const int volume = kept->id;
        const std::string why = why_kept(draft, broker, volume);
        if (why.empty()) {
            continue;
        }
        keep_volume(draft, broker, *std::move(kept));
        draft.kept_volumes[broker].insert(volume);
        draft.look_again_in(ask_of_volumes_after);
        if (draft.volume_waits.empty()) {
            draft.volume_waits = fmt::format(
                "broker {} keeps volume {}, which the spec has no more: {}", broker, volume, why);
        }
    }
}

void close_kept_volumes(Draft& draft) {
    std::map<int, std::set<std::int32_t>> ours = draft.kept_volumes;
    for (const api::BrokerStatus& known : draft.world.cluster.status.brokers) {
        if (draft.running.contains(known.id)) {
            ours[known.id].insert(known.closed_volumes.begin(), known.closed_volumes.end());
        }
    }
    for (const auto& [broker, volumes] : ours) {
        if (volumes.empty()) {
            continue;
        }
        const brokers::BrokerFacts* facts = draft.broker(broker);
        const bool is_up = facts != nullptr && facts->state == brokers::BrokerState::running;
        const auto kept = draft.kept_volumes.find(broker);
        const auto stays_closed = [&](int volume) {
            return kept != draft.kept_volumes.end() && kept->second.contains(volume);
        };
        if (!is_up || !know_volumes(draft, broker)) {
            draft.closed_volumes[broker] = volumes;
            draft.look_again_in(ask_of_volumes_after);
            continue;
        }
        std::set<std::int32_t>& closed = draft.closed_volumes[broker];
        std::vector<std::string> paths;
        bool is_other = false;
        for (const auto& [volume, now] : *draft.world.answers.volumes.at(broker).value) {
            const bool wanted = volumes.contains(volume) ? stays_closed(volume) : now.cordoned;
            is_other |= wanted != now.cordoned;
            if (wanted) {
                paths.push_back(now.path);
            }
            if (volumes.contains(volume) && (wanted || now.cordoned)) {
                closed.insert(volume);
            }
        }
        for (const std::int32_t volume : volumes) {  // What a setting names that is there no more.
            is_other |= facts_of(draft, broker, volume) == nullptr;
        }
        if (is_other) {
            draft.act(Lane::scale, CordonVolumes{broker, std::move(paths)}, "VolumesClosed",
                      kept == draft.kept_volumes.end()
                          ? fmt::format("broker {}: no volume is about to go any more", broker)
                          : fmt::format("no new replica goes to volumes of broker {} that the spec "
                                        "has no more",
                                        broker));
        }
    }
}

bool are_kept_volumes_in_use(const Draft& draft) {
    return std::any_of(draft.kept_volumes.begin(), draft.kept_volumes.end(), [&](const auto& kept) {
        return std::any_of(kept.second.begin(), kept.second.end(), [&](int volume) {
            const brokers::VolumeFacts* facts = facts_of(draft, kept.first, volume);
            return facts != nullptr && facts->cordoned && facts->replicas > 0;
        });
    });
}

}  // namespace millrace::planner
