#include <algorithm>
#include <fmt/format.h>

#include "metadata/internal/replay.h"

namespace millrace::metadata {
namespace {

template <typename Records>
std::vector<Endpoint> endpoints_of(const Records& records) {
    std::vector<Endpoint> endpoints;
    for (const auto& record : records) {
        endpoints.push_back({std::string(record.name), std::string(record.host), record.port,
                             record.security_protocol});
    }
    return endpoints;
}

template <typename Records>
std::map<std::string, VersionRange> features_of(const Records& records) {
    std::map<std::string, VersionRange> features;
    for (const auto& record : records) {
        features.insert_or_assign(
            std::string(record.name),
            VersionRange{record.min_supported_version, record.max_supported_version});
    }
    return features;
}

std::vector<Uuid> sorted(std::vector<Uuid> ids) {
    std::sort(ids.begin(), ids.end());
    return ids;
}

}  // namespace

Result<void> Delta::Replayer::operator()(const protocol::FeatureLevelRecord& record) {
    if (record.name == feature::kraft_version) {
        return {};  // raft keeps it in its control records
    }
    if (record.name == feature::metadata_version &&
        MetadataVersion{record.feature_level}.name() == "unknown") {
        return Error::make(
            Code::unsupported, "metadata.version {}: this build reads levels {} to {}",
            record.feature_level, MetadataVersion::oldest.level, MetadataVersion::latest.level);
    }
    std::string name(record.name);
    changes().features.insert(name);
    if (record.feature_level == 0) {
        next().features.erase(name);
    } else {
        next().features.set(std::move(name), record.feature_level);
    }
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::NoOpRecord&) {
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::ZkMigrationStateRecord&) {
    return {};  // a finished migration's trace in an old log
}

Result<void> Delta::Replayer::operator()(const protocol::BeginTransactionRecord&) {
    if (delta.transaction_start_) {
        return Error::make(Code::corrupt, "a metadata transaction begins inside another");
    }
    delta.transaction_start_ = Saved{delta.next_, delta.changes_};
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::EndTransactionRecord&) {
    if (!delta.transaction_start_) {
        return Error::make(Code::corrupt, "a metadata transaction ends that never began");
    }
    delta.transaction_start_.reset();
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::AbortTransactionRecord&) {
    if (!delta.transaction_start_) {
        return Error::make(Code::corrupt, "a metadata transaction is aborted that never began");
    }
    delta.next_ = std::move(delta.transaction_start_->image);
    delta.changes_ = std::move(delta.transaction_start_->changes);
    delta.transaction_start_.reset();
    return {};
}

Result<const Broker*> Delta::Replayer::registration(std::string_view what, std::int32_t id,
                                                    std::int64_t epoch) {
    const Broker* broker = next().cluster.broker(BrokerId{id});
    if (broker == nullptr) {
        return Error::make(Code::corrupt, "{} of broker {}, which is not registered", what, id);
    }
    if (broker->epoch.value != epoch) {
        return Error::make(Code::corrupt, "{} of broker {} epoch {}, which is registered as {}",
                           what, id, epoch, broker->epoch.value);
    }
    return broker;
}

void Delta::Replayer::put_broker(Broker broker) {
    const BrokerId id = broker.id;
    changes().brokers.insert(id);
    next().cluster.brokers.set(id, make_ref<Broker>(std::move(broker)));
}

Result<void> Delta::Replayer::operator()(const protocol::RegisterBrokerRecord& record) {
    Broker broker;
    broker.id = BrokerId{record.broker_id};
    broker.epoch = BrokerEpoch{record.broker_epoch};
    broker.incarnation = record.incarnation_id;
    broker.endpoints = endpoints_of(record.end_points);
    broker.features = features_of(record.features);
    if (record.rack) {
        broker.rack = std::string(*record.rack);
    }
    broker.fenced = record.fenced;
    broker.in_controlled_shutdown = record.in_controlled_shutdown;
    broker.is_migrating = record.is_migrating_zk_broker;
    broker.directories = sorted(record.log_dirs);
    if (record.cordoned_log_dirs) {
        broker.cordoned_directories = sorted(*record.cordoned_log_dirs);
    }
    put_broker(std::move(broker));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::UnregisterBrokerRecord& record) {
    MR_TRY_VOID(registration("unregistration", record.broker_id, record.broker_epoch));
    next().cluster.brokers.erase(BrokerId{record.broker_id});
    changes().brokers.insert(BrokerId{record.broker_id});
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::FenceBrokerRecord& record) {
    MR_TRY(const Broker* before, registration("fencing", record.id, record.epoch));
    Broker broker = *before;
    broker.fenced = true;
    put_broker(std::move(broker));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::UnfenceBrokerRecord& record) {
    MR_TRY(const Broker* before, registration("unfencing", record.id, record.epoch));
    Broker broker = *before;
    broker.fenced = false;
    put_broker(std::move(broker));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::BrokerRegistrationChangeRecord& record) {
    MR_TRY(const Broker* before,
           registration("registration change", record.broker_id, record.broker_epoch));
    if (record.fenced < -1 || record.fenced > 1 || record.in_controlled_shutdown < 0 ||
        record.in_controlled_shutdown > 1) {
        return Error::make(Code::corrupt,
                           "registration change of broker {}: fenced {}, controlled shutdown {}",
                           record.broker_id, record.fenced, record.in_controlled_shutdown);
    }
    Broker broker = *before;
    if (record.fenced != 0) {
        broker.fenced = record.fenced == 1;
    }
    if (record.in_controlled_shutdown == 1) {
        broker.in_controlled_shutdown = true;
    }
    if (!record.log_dirs.empty()) {
        broker.directories = sorted(record.log_dirs);
    }
    if (record.cordoned_log_dirs) {
        broker.cordoned_directories = sorted(*record.cordoned_log_dirs);
    }
    put_broker(std::move(broker));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::RegisterControllerRecord& record) {
    ControllerNode node;
    node.id = BrokerId{record.controller_id};
    node.incarnation = record.incarnation_id;
    node.is_migration_ready = record.zk_migration_ready;
    node.endpoints = endpoints_of(record.end_points);
    node.features = features_of(record.features);
    changes().controllers.insert(node.id);
    next().cluster.controllers.set(node.id, make_ref<ControllerNode>(std::move(node)));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::UnregisterControllerRecord& record) {
    if (!next().cluster.controllers.erase(BrokerId{record.controller_id})) {
        return Error::make(Code::corrupt, "unregistration of controller {}, which is not there",
                           record.controller_id);
    }
    changes().controllers.insert(BrokerId{record.controller_id});
    return {};
}

}  // namespace millrace::metadata
