// Registration of brokers and controllers.
#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "base/mutants.h"
#include "metadata/controller_core.h"
#include "metadata/internal/config_changes.h"
#include "metadata/internal/partition_updates.h"
#include "metadata/internal/refusal.h"
#include "metadata/internal/registration_records.h"
#include "metadata/recovered_directories.h"
#include "metadata/refusal_reason.h"
#include "metadata/standing.h"
#include "protocol/messages/broker_registration_change_record.h"
#include "protocol/messages/broker_registration_request.h"
#include "protocol/messages/broker_registration_response.h"
#include "protocol/messages/controller_registration_request.h"
#include "protocol/messages/controller_registration_response.h"
#include "protocol/messages/unregister_broker_record.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"
#include "protocol/messages/unregister_controller_record.h"
#include "protocol/messages/unregister_controller_request.h"
#include "protocol/messages/unregister_controller_response.h"

namespace millrace::metadata {
namespace {

template <typename Node, typename Request>
void take_endpoints_and_features(Node& node, const Request& request) {
    for (const auto& listener : request.listeners) {
        node.endpoints.push_back({std::string(listener.name), std::string(listener.host),
                                  listener.port, listener.security_protocol});
    }
    for (const auto& feature : request.features) {
        node.features.insert_or_assign(
            std::string(feature.name),
            VersionRange{feature.min_supported_version, feature.max_supported_version});
    }
}

bool is_reserved_directory(const Uuid& id) {
    return id.high == 0 && id.low < 100;
}

MaybeRefusal check_directories(const Image& image,
                               const protocol::BrokerRegistrationRequest& request) {
    if (!image.metadata_version().has_directories()) {
        return std::nullopt;
    }
    if (request.log_dirs.empty()) {
        return Refusal::make(KafkaError::invalid_registration, "no log directories given");
    }
    std::set<Uuid> seen;
    for (const Uuid& id : request.log_dirs) {
        if (is_reserved_directory(id) || !seen.insert(id).second) {
            return Refusal::make(KafkaError::invalid_registration,
                                 "log directory id {} is reserved or given twice", id);
        }
    }
    for (const auto& [other, broker] : image.cluster.brokers) {
        for (const Uuid& id : broker->directories) {
            if (other.value != request.broker_id && seen.contains(id)) {
                return Refusal::make(KafkaError::invalid_registration,
                                     "log directory {} belongs to broker {}: a copied data "
                                     "directory?",
                                     id, other);
            }
        }
    }
    return std::nullopt;
}

/// What is finalized must be within what the broker can run; a feature it doesn't name is 0.
MaybeRefusal check_features(const Image& image, const Broker& broker) {
    if (!broker.features.contains(std::string(feature::metadata_version))) {
        return Refusal::make(KafkaError::invalid_registration, "{} is not among the features",
                             feature::metadata_version);
    }
    for (const auto& [name, level] : image.features) {
        const auto found = broker.features.find(name);
        const VersionRange range = found != broker.features.end() ? found->second : VersionRange{};
        if (!range.contains(level)) {
            return Refusal::make(KafkaError::unsupported_version,
                                 "the cluster runs {} {}, broker {} can run {} to {}", name, level,
                                 broker.id, range.min, range.max);
        }
    }
    return std::nullopt;
}

std::string place_of(const Broker& broker) {
    return broker.endpoints.empty() ? ""
                                    : fmt::format(", at {}:{}", broker.endpoints.front().host,
                                                  broker.endpoints.front().port);
}

MaybeRefusal check_registration(const Context& context,
                                const protocol::BrokerRegistrationRequest& request,
                                const Broker* existing) {
    if (request.cluster_id != context.options.cluster_id) {
        return Refusal::make(KafkaError::inconsistent_cluster_id,
                             "this is cluster {}, the broker is of cluster {}",
                             context.options.cluster_id, request.cluster_id);
    }
    if (!MR_PLANTED(duplicate_registrations_accepted) && existing != nullptr &&
        existing->incarnation != request.incarnation_id &&
        // Who said that it goes may come back before its session has run out.
        !existing->in_controlled_shutdown &&
        context.sessions.is_valid(existing->id, existing->epoch, context.now)) {
        return Refusal::make(KafkaError::duplicate_broker_registration,
                             "another process is registered as broker {}{}: it went a moment ago "
                             "and its session still lasts, or two nodes have this node.id",
                             request.broker_id, place_of(*existing));
    }
    if (request.is_migrating_zk_broker) {
        return Refusal::make(KafkaError::broker_id_not_registered,
                             "brokers of ZooKeeper can't register");
    }
    return check_directories(context.image, request);
}

Broker broker_of(const protocol::BrokerRegistrationRequest& request, const Image& image) {
    Broker broker;
    broker.id = BrokerId{request.broker_id};
    broker.incarnation = request.incarnation_id;
    take_endpoints_and_features(broker, request);
    if (request.rack) {
        broker.rack = std::string(*request.rack);
    }
    if (image.metadata_version().has_directories()) {
        broker.directories = request.log_dirs;
    }
    return broker;
}

/// What the last incarnation still holds. A clean stop keeps the place in the ELR; an unclean one
/// loses it (KIP-966), unless the partition is `synced` and the very directory came back with
/// everything that had been synced: then nothing that counted is missing.
void end_last_incarnation(Draft& draft, const Context& context,
                          const protocol::BrokerRegistrationRequest& request, bool is_clean) {
    const BrokerId id{request.broker_id};
    const bool elr = draft.image().feature_level(feature::eligible_leader_replicas) > 0;
    const std::set<Uuid> recovered = recovered_directories(request);
    drop_unclean(draft, context, id, [&](const TopicRules& rules, const Partition& partition) {
        return elr && !is_clean && !MR_PLANTED(unclean_stops_keep_their_place) &&
               !(rules.synced && recovered.contains(partition.directory_of(id)));
    });
}

bool only_if_unused(const protocol::UnregisterBrokerRequest& request) {
    return std::any_of(
        request.unknown_tags.begin(), request.unknown_tags.end(),
        [](const protocol::UnknownTag& tag) { return tag.tag == only_if_unused_tag; });
}

/// What was asked of this broker is not meant for the next one that gets its id.
void forget_standing(Draft& draft, BrokerId broker) {
    const ConfigResource settings = broker_settings(broker);
    for (const std::string_view name : {setting::cordoned, setting::drained_epoch}) {
        if (draft.image().configs.find(settings, name) != nullptr) {
            add_config(draft, settings, name, std::nullopt);
        }
    }
}

}  // namespace

Decision<protocol::BrokerRegistrationResponse> register_broker(
    Context& context, const protocol::BrokerRegistrationRequest& request) {
    Decision<protocol::BrokerRegistrationResponse> decision(context);
    decision.atomic = false;
    Draft& draft = decision.draft;
    const BrokerId id{request.broker_id};
    const BrokerRef existing = context.image.cluster.brokers.contains(id)
                                   ? *context.image.cluster.brokers.find(id)
                                   : nullptr;
    Broker broker = broker_of(request, context.image);
    MaybeRefusal refusal = check_registration(context, request, existing.get());
    if (!refusal) {
        refusal = check_features(context.image, broker);
    }
    if (refusal) {
        decision.answer.error_code = code_of(refusal->code);
        decision.answer.unknown_tags.push_back(
            {refusal_reason_tag, as_bytes(decision.texts.keep(std::move(refusal->message)))});
        return decision;
    }
    if (existing && existing->cordoned_directories) {
        // Until its first heartbeat says anew, what was cordoned stays so.
        broker.cordoned_directories = existing->cordoned_directories;
        std::erase_if(*broker.cordoned_directories, [&](const Uuid& directory) {
            return !broker.has_online_directory(directory);
        });
    }
    const bool same_process = existing && existing->incarnation == request.incarnation_id;
    if (same_process) {
        broker.epoch = existing->epoch;
        broker.fenced = existing->fenced;
        broker.in_controlled_shutdown = existing->in_controlled_shutdown;
    } else {
        if (!MR_PLANTED(restarts_unnoticed)) {
            if (existing && !existing->fenced) {
                // It is gone, though nobody has said so yet. What it led gets another leader epoch:
                // its log may have lost a tail that others have in the old one.
                take_out_of_isrs(draft, context, {id});
            }
            // Of one that was unregistered nobody knows how it ended; its replicas may still be in
            // an ELR.
            end_last_incarnation(
                draft, context, request,
                existing && request.previous_broker_epoch == existing->epoch.value);
        }
        // The offset of the record to come: brokers are let in once they have applied it.
        broker.epoch = BrokerEpoch{context.next_offset.value +
                                   static_cast<std::int64_t>(draft.records().size())};
    }
    const MetadataVersion version = draft.image().metadata_version();
    draft.add(registration_record(broker, version), version.register_broker_record());
    if (!same_process) {
        context.sessions.end(id);
    }
    if (context.sessions.find(id) == nullptr) {
        context.sessions.begin(id, broker.epoch, context.now);
    }
    decision.answer.broker_epoch = broker.epoch.value;
    return decision;
}

Decision<protocol::UnregisterBrokerResponse> unregister_broker(
    Context& context, const protocol::UnregisterBrokerRequest& request) {
    Decision<protocol::UnregisterBrokerResponse> decision(context);
    const BrokerId id{request.broker_id};
    const Broker* broker = context.image.cluster.broker(id);
    MaybeRefusal refusal;
    if (broker == nullptr) {
        refusal =
            Refusal::make(KafkaError::broker_id_not_registered, "broker {} is not registered", id);
    } else if (const auto replicas = context.index.load_of(id).replicas;
               replicas > 0 && only_if_unused(request)) {
        refusal = Refusal::make(KafkaError::ineligible_replica, "broker {} has {} replicas", id,
                                replicas);
    } else {
        const std::int64_t epoch = broker->epoch.value;
        take_out_of_isrs(decision.draft, context, {id});
        protocol::UnregisterBrokerRecord record;
        record.broker_id = id.value;
        record.broker_epoch = epoch;
        decision.draft.add(record, 0);
        forget_standing(decision.draft, id);
        context.sessions.end(id);
    }
    decision.atomic = false;
    set_outcome(decision.answer, refusal, decision.texts);
    return decision;
}

Decision<protocol::ControllerRegistrationResponse> register_controller(
    Context& context, const protocol::ControllerRegistrationRequest& request) {
    Decision<protocol::ControllerRegistrationResponse> decision(context);
    MaybeRefusal refusal;
    if (!context.image.metadata_version().has_controller_registration()) {
        refusal = Refusal::make(KafkaError::unsupported_version,
                                "metadata.version {} has no controller registrations",
                                context.image.metadata_version().name());
    } else {
        ControllerNode node;
        node.id = BrokerId{request.controller_id};
        node.incarnation = request.incarnation_id;
        take_endpoints_and_features(node, request);
        const ControllerNodeRef* known = context.image.cluster.controllers.find(node.id);
        if (known == nullptr || !(**known == node)) {
            decision.draft.add(registration_record(node), 0);
        }
    }
    set_outcome(decision.answer, refusal, decision.texts);
    return decision;
}

Decision<protocol::UnregisterControllerResponse> unregister_controller(
    Context& context, const protocol::UnregisterControllerRequest& request) {
    Decision<protocol::UnregisterControllerResponse> decision(context);
    MaybeRefusal refusal;
    if (!context.image.metadata_version().has_controller_unregistration()) {
        refusal = Refusal::make(KafkaError::unsupported_version,
                                "metadata.version {} can't unregister controllers",
                                context.image.metadata_version().name());
    } else if (!context.image.cluster.controllers.contains(BrokerId{request.controller_id})) {
        refusal = Refusal::make(KafkaError::controller_id_not_registered,
                                "controller {} is not registered", request.controller_id);
    } else {
        protocol::UnregisterControllerRecord record;
        record.controller_id = request.controller_id;
        decision.draft.add(record, 0);
    }
    set_outcome(decision.answer, refusal, decision.texts);
    return decision;
}

}  // namespace millrace::metadata
