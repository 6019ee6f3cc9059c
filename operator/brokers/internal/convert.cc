#include "operator/brokers/internal/convert.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>
#include <limits>

namespace millrace::brokers {

namespace {

Code code_of(grpc::StatusCode code) {
    switch (code) {
        case grpc::StatusCode::INVALID_ARGUMENT:
            return Code::invalid;
        case grpc::StatusCode::NOT_FOUND:
            return Code::not_found;
        case grpc::StatusCode::FAILED_PRECONDITION:
            return Code::fenced;
        case grpc::StatusCode::ABORTED:
        case grpc::StatusCode::RESOURCE_EXHAUSTED:
            return Code::busy;
        case grpc::StatusCode::UNAVAILABLE:
            return Code::unavailable;
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            return Code::timed_out;
        case grpc::StatusCode::PERMISSION_DENIED:
        case grpc::StatusCode::UNAUTHENTICATED:
            return Code::permission;
        case grpc::StatusCode::UNIMPLEMENTED:
            return Code::unsupported;
        case grpc::StatusCode::CANCELLED:
            return Code::cancelled;
        default:
            return Code::internal;
    }
}

BrokerState from_proto(v1::BrokerState state) {
    switch (state) {
        case v1::BROKER_STATE_STARTING:
            return BrokerState::starting;
        case v1::BROKER_STATE_RECOVERING:
            return BrokerState::recovering;
        case v1::BROKER_STATE_RUNNING:
            return BrokerState::running;
        case v1::BROKER_STATE_DRAINING:
            return BrokerState::draining;
        case v1::BROKER_STATE_FENCED:
            return BrokerState::fenced;
        case v1::BROKER_STATE_DEAD:
            return BrokerState::dead;
        default:
            return BrokerState::unknown;
    }
}

PlanState from_proto(v1::PlanState state) {
    switch (state) {
        case v1::PLAN_STATE_PLANNED:
            return PlanState::planned;
        case v1::PLAN_STATE_RUNNING:
            return PlanState::running;
        case v1::PLAN_STATE_PAUSED:
            return PlanState::paused;
        case v1::PLAN_STATE_CANCELLING:
        case v1::PLAN_STATE_ROLLING_BACK:
            return PlanState::cancelling;
        case v1::PLAN_STATE_CANCELLED:
        case v1::PLAN_STATE_ROLLED_BACK:
            return PlanState::cancelled;
        case v1::PLAN_STATE_DONE:
            return PlanState::done;
        case v1::PLAN_STATE_FAILED:
            return PlanState::failed;
        default:
            return PlanState::none;
    }
}

v1::PlanMode to_proto(PlanMode mode) {
    switch (mode) {
        case PlanMode::repair:
            return v1::PLAN_MODE_REPAIR;
        case PlanMode::drain:
            return v1::PLAN_MODE_DRAIN;
        case PlanMode::scale_out:
            return v1::PLAN_MODE_SCALE_OUT;
    }
    return v1::PLAN_MODE_UNSPECIFIED;
}

/// The brokers tell the worst first.
std::string first_offline(const v1::PartitionHealth& partitions) {
    if (partitions.offline() == 0 || partitions.worst_size() == 0) {
        return "";
    }
    const v1::UnhealthyPartition& worst = partitions.worst(0);
    std::string brokers;
    for (const int id : worst.replicas()) {
        brokers += fmt::format("{}{}", brokers.empty() ? "" : ", ", id);
    }
    return fmt::format("{}-{}, whose replicas are on {}", worst.partition().topic(),
                       worst.partition().partition(), brokers);
}

}  // namespace

Error error_of(const grpc::Status& status, std::string_view call) {
    return Error::make(code_of(status.error_code()), "{}: {}", call, status.error_message());
}

ClusterFacts from_proto(const v1::HealthResponse& health, const std::string& cluster_id) {
    ClusterFacts facts;
    facts.cluster_id = cluster_id;
    facts.epoch = health.epoch();
    facts.metadata_offset = health.metadata_offset();
    facts.controller = health.controller_id();
    for (const v1::BrokerHealth& from : health.brokers()) {
        BrokerFacts& to = facts.brokers[from.id()];
        to.id = from.id();
        to.rack = from.rack();
        to.state = from_proto(from.state());
        to.cordoned = from.cordoned();
        to.epoch = from.broker_epoch();
        to.replicas = from.replicas();
        to.leaders = from.leaders();
        to.lagging_replicas = from.lagging_replicas();
        to.recovery_percent = from.recovery_percent();
        to.waiting_for = from.waiting_for();
    }
    const v1::PartitionHealth& partitions = health.partitions();
    facts.partitions = {partitions.total(),           partitions.offline(),
                        partitions.under_min_isr(),   partitions.under_replicated(),
                        partitions.rack_violations(), partitions.reassigning(),
                        first_offline(partitions)};
    for (const v1::Voter& voter : health.quorum().voters()) {
        facts.voters.push_back(voter.id());
    }
    std::sort(facts.voters.begin(), facts.voters.end());
    return facts;
}

Result<Volumes> from_proto(const v1::DescribeLogDirsResponse& response, int broker) {
    if (response.silent_brokers_size() > 0) {
        return Error::make(Code::unavailable, "broker {} doesn't answer", broker);
    }
    Volumes volumes;
    for (const v1::LogDir& directory : response.directories()) {
        if (!directory.online()) {
            return Error::make(Code::unavailable, "{}: {}", directory.path(), directory.error());
        }
        int volume = -1;  // "/var/lib/millrace/1/log"
        const std::string& path = directory.path();
        const std::size_t end = path.rfind('/');
        const std::size_t begin =
            end == 0 || end == std::string::npos ? end : path.rfind('/', end - 1);
        if (begin != std::string::npos && begin < end &&
            std::from_chars(path.data() + begin + 1, path.data() + end, volume).ptr ==
                path.data() + end) {
            volumes[volume] = {path, directory.replicas_size(), directory.cordoned()};
        }
    }
    return volumes;
}

RestartVerdict from_proto(const v1::RestartCheckResponse& response) {
    RestartVerdict verdict;
    verdict.allowed = response.allowed();
    for (const v1::RestartBlocker& blocker : response.blockers()) {
        const auto reason = blocker.reason();
        const bool partition = reason == v1::RestartBlocker::REASON_OFFLINE ||
                               reason == v1::RestartBlocker::REASON_UNDER_MIN_ISR;
        const bool quorum = reason == v1::RestartBlocker::REASON_QUORUM;
        verdict.partitions |= partition;
        verdict.quorum |= quorum;
        verdict.other |= !partition && !quorum;
    }
    if (response.blockers_size() > 0) {
        verdict.reason = response.blockers(0).message();
        if (response.blocker_count() > 1) {
            verdict.reason += fmt::format(" (and {} more)", response.blocker_count() - 1);
        }
    }
    return verdict;
}

namespace {

/// The quorum's leader remembers a disk that is gone for minutes, beside the one that its owner has
/// come back with: of two nodes with one id, who was heard last is there.
bool is_superseded(const v1::Voter& one, const v1::QuorumHealth& quorum) {
    const auto silence = [](const v1::Voter& node) {
        return node.last_fetch_ms() < 0 ? std::numeric_limits<std::int64_t>::max()
                                        : node.last_fetch_ms();
    };
    const auto is_newer = [&](const v1::Voter& other) {
        return other.id() == one.id() && other.directory_id() != one.directory_id() &&
               silence(other) < silence(one);
    };
    return std::any_of(quorum.voters().begin(), quorum.voters().end(), is_newer) ||
           std::any_of(quorum.observers().begin(), quorum.observers().end(), is_newer);
}

}  // namespace

QuorumFacts from_proto(const v1::QuorumHealth& quorum) {
    QuorumFacts facts;
    for (const v1::Voter& one : quorum.voters()) {
        facts.voters.push_back({one.id(), one.directory_id()});
    }
    for (const v1::Voter& one : quorum.observers()) {
        if (!is_superseded(one, quorum)) {
            facts.observers.push_back({one.id(), one.directory_id()});
        }
    }
    return facts;
}

Result<v1::AddVoterRequest> to_proto(const QuorumNode& node, const std::string& address) {
    const std::size_t colon = address.rfind(':');
    int port = 0;
    const char* end = address.data() + address.size();
    if (colon == std::string::npos ||
        std::from_chars(address.data() + colon + 1, end, port).ptr != end) {
        return Error::make(Code::invalid, "'{}' is not host:port", address);
    }
    v1::AddVoterRequest request;
    v1::Voter& voter = *request.mutable_voter();
    voter.set_id(node.id);
    voter.set_directory_id(node.directory);
    v1::VoterEndpoint& endpoint = *voter.add_endpoints();
    endpoint.set_listener("CONTROLLER");
    endpoint.set_host(address.substr(0, colon));
    endpoint.set_port(port);
    return request;
}

RestartProgress from_proto(const v1::RestartProgressResponse& response) {
    return {response.caught_up(), response.recovery_percent(), response.in_sync_percent(),
            response.waiting_for()};
}

CertificateUse from_proto(const v1::ReloadCertificatesResponse& response) {
    CertificateUse use;
    bool is_first = true;
    for (const v1::ReloadedCertificate& one : response.certificates()) {
        use.serials.push_back(one.serial());
        std::vector<std::string> trusted(one.trusted().begin(), one.trusted().end());
        std::sort(trusted.begin(), trusted.end());
        if (!std::exchange(is_first, false)) {
            std::vector<std::string> both;
            std::set_intersection(use.trusted.begin(), use.trusted.end(), trusted.begin(),
                                  trusted.end(), std::back_inserter(both));
            trusted = std::move(both);
        }
        use.trusted = std::move(trusted);
    }
    return use;
}

PlanFacts from_proto(const v1::Plan& plan) {
    PlanFacts facts;
    facts.hash = plan.hash();
    facts.moves = plan.move_count() + plan.disk_moves();
    facts.replicas = plan.replica_moves() + plan.disk_moves();
    facts.bytes = plan.move_bytes();
    facts.lower_bound = plan.lower_bound_moves() + plan.disk_moves();
    for (const v1::Unmet& unmet : plan.unmet()) {
        facts.unmet.push_back({unmet.constraint(), unmet.reason(), unmet.count()});
    }
    return facts;
}

PlanProgress from_proto(const v1::PlanProgress& from) {
    PlanProgress to;
    to.hash = from.hash();
    to.state = from_proto(from.state());
    to.moves_total = from.moves_total();
    to.moves_done = from.moves_done();
    to.moves_in_flight = from.moves_in_flight();
    to.moves_failed = from.moves_failed();
    to.bytes_total = from.bytes_total();
    to.bytes_done = from.bytes_done();
    to.bytes_per_second = from.bytes_per_second();
    to.eta_seconds = from.eta_seconds();
    to.lower_bound = from.lower_bound_moves();
    to.throttle_bytes_per_second = from.throttle_bytes_per_second();
    if (from.blocked_size() > 0) {
        to.blocked_by =
            fmt::format("{}-{}: {}", from.blocked(0).partition().topic(),
                        from.blocked(0).partition().partition(), from.blocked(0).reason());
    }
    return to;
}

TopicFacts from_proto(const v1::TopicDescription& from) {
    TopicFacts to;
    to.name = from.name();
    to.id = from.id();
    to.partitions = from.partitions_size();
    for (const v1::PartitionDescription& partition : from.partitions()) {
        const bool moving = partition.adding_size() + partition.removing_size() > 0;
        to.moving += moving ? 1 : 0;
        // What a moving partition will have: those being removed don't count.
        const int factor = partition.replicas_size() - partition.removing_size();
        to.replication_factor =
            to.replication_factor == 0 ? factor : std::min(to.replication_factor, factor);
    }
    to.configs = {from.configs().begin(), from.configs().end()};
    return to;
}

v1::PlanRebalanceRequest to_proto(const PlanWish& wish) {
    v1::PlanRebalanceRequest request;
    request.set_mode(to_proto(wish.mode));
    request.mutable_drain()->Add(wish.drain.begin(), wish.drain.end());
    request.mutable_lost()->Add(wish.lost.begin(), wish.lost.end());
    for (const auto& [topic, factor] : wish.replication_factors) {
        (*request.mutable_replication_factors())[topic] = factor;
    }
    for (const std::string& topic : wish.exclude_topics) {
        request.add_exclude_topics(topic);
    }
    request.set_empty_cordoned_directories(wish.empty_cordoned_volumes);
    request.mutable_limits()->set_max_moves_per_broker(wish.max_moves_per_broker);
    request.mutable_limits()->set_throttle_bytes_per_second(wish.throttle_bytes_per_second);
    return request;
}

Result<void> all_done(const std::vector<Outcome>& outcomes) {
    for (const Outcome& one : outcomes) {
        if (one.kafka_error != 0) {
            return Error::make(Code::invalid, "AlterConfigs: {}", one.message);
        }
    }
    return {};
}

v1::AlterConfigsRequest cordon_request(int broker, const std::vector<std::string>& paths) {
    v1::AlterConfigsRequest request;
    v1::ConfigAlterations& one = *request.add_resources();
    one.mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
    one.mutable_resource()->set_name(std::to_string(broker));
    v1::ConfigAlteration& alteration = *one.add_alterations();
    alteration.set_key("cordoned.log.dirs");
    alteration.set_op(paths.empty() ? v1::ConfigAlteration::OP_DELETE
                                    : v1::ConfigAlteration::OP_SET);
    std::string list;
    for (const std::string& path : paths) {
        list += (list.empty() ? "" : ",") + path;
    }
    alteration.set_value(list);
    return request;
}

v1::AlterConfigsRequest to_proto(const std::vector<SettingsChange>& changes) {
    v1::AlterConfigsRequest request;
    for (const SettingsChange& change : changes) {
        v1::ConfigAlterations& one = *request.add_resources();
        one.mutable_resource()->set_type(change.topic.empty() ? v1::CONFIG_RESOURCE_TYPE_BROKER
                                                              : v1::CONFIG_RESOURCE_TYPE_TOPIC);
        one.mutable_resource()->set_name(change.topic);
        for (const auto& [key, value] : change.set) {
            v1::ConfigAlteration& alteration = *one.add_alterations();
            alteration.set_key(key);
            alteration.set_op(v1::ConfigAlteration::OP_SET);
            alteration.set_value(value);
        }
        for (const std::string& key : change.remove) {
            v1::ConfigAlteration& alteration = *one.add_alterations();
            alteration.set_key(key);
            alteration.set_op(v1::ConfigAlteration::OP_DELETE);
        }
    }
    return request;
}

std::vector<Outcome> from_proto(const v1::AlterConfigsResponse& response) {
    std::vector<Outcome> outcomes;
    for (const v1::AlteredResource& one : response.resources()) {
        outcomes.push_back(
            {one.resource().name(), "", one.error().kafka_error(), one.error().message()});
    }
    return outcomes;
}

}  // namespace millrace::brokers
