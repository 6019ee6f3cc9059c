#include "config/internal/cross_checks.h"

#include <algorithm>
#include <span>

#include "config/internal/text.h"
#include "config/listeners.h"

namespace millrace::config {

namespace {

/// `smaller` × factor ≤ `larger`.
struct Order {
    std::string_view smaller;
    std::string_view larger;
    std::int64_t factor = 1;
    bool is_mild = false;
};

constexpr Order broker_orders[] = {
    {"broker.heartbeat.interval.ms", "broker.session.timeout.ms", 2},
    {"replica.fetch.wait.max.ms", "replica.socket.timeout.ms"},
    {"replica.fetch.wait.max.ms", "replica.lag.time.max.ms"},
    {"message.max.bytes", "socket.request.max.bytes", 1, true},
    {"log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"},
    {"group.min.session.timeout.ms", "group.max.session.timeout.ms"},
    {"group.consumer.min.session.timeout.ms", "group.consumer.session.timeout.ms"},
    {"group.consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms"},
    {"group.consumer.min.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"},
    {"group.consumer.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"},
    {"group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms"},
    {"group.consumer.min.assignment.interval.ms", "group.consumer.assignment.interval.ms"},
    {"group.consumer.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"},
    {"group.share.min.session.timeout.ms", "group.share.session.timeout.ms"},
    {"group.share.session.timeout.ms", "group.share.max.session.timeout.ms"},
    {"group.share.min.heartbeat.interval.ms", "group.share.heartbeat.interval.ms"},
    {"group.share.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms"},
    {"group.share.heartbeat.interval.ms", "group.share.session.timeout.ms"},
    {"group.share.min.record.lock.duration.ms", "group.share.record.lock.duration.ms"},
    {"group.share.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"},
    {"group.share.min.partition.max.record.locks", "group.share.partition.max.record.locks"},
    {"group.share.partition.max.record.locks", "group.share.max.partition.max.record.locks"},
    {"group.share.min.delivery.count.limit", "group.share.delivery.count.limit"},
    {"group.share.delivery.count.limit", "group.share.max.delivery.count.limit"},
    {"group.share.min.assignment.interval.ms", "group.share.assignment.interval.ms"},
    {"group.share.assignment.interval.ms", "group.share.max.assignment.interval.ms"},
    {"group.streams.min.session.timeout.ms", "group.streams.session.timeout.ms"},
    {"group.streams.session.timeout.ms", "group.streams.max.session.timeout.ms"},
    {"group.streams.min.heartbeat.interval.ms", "group.streams.heartbeat.interval.ms"},
    {"group.streams.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms"},
    {"group.streams.heartbeat.interval.ms", "group.streams.session.timeout.ms"},
    {"group.streams.num.standby.replicas", "group.streams.max.standby.replicas"},
    {"group.streams.num.warmup.replicas", "group.streams.max.warmup.replicas"},
    {"group.streams.min.assignment.interval.ms", "group.streams.assignment.interval.ms"},
    {"group.streams.assignment.interval.ms", "group.streams.max.assignment.interval.ms"},
    {"group.streams.min.task.offset.interval.ms", "group.streams.task.offset.interval.ms"},
};

/// A group's setting and the broker's that bound it.
struct Bound {
    std::string_view setting;
    std::string_view least;
    std::string_view most;
};

constexpr Bound group_bounds[] = {
    {"consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms",
     "group.consumer.max.session.timeout.ms"},
    {"consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms",
     "group.consumer.max.heartbeat.interval.ms"},
    {"consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms",
     "group.consumer.max.assignment.interval.ms"},
    {"share.session.timeout.ms", "group.share.min.session.timeout.ms",
     "group.share.max.session.timeout.ms"},
    {"share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms",
     "group.share.max.heartbeat.interval.ms"},
    {"share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms",
     "group.share.max.record.lock.duration.ms"},
    {"share.partition.max.record.locks", "group.share.min.partition.max.record.locks",
     "group.share.max.partition.max.record.locks"},
    {"share.delivery.count.limit", "group.share.min.delivery.count.limit",
     "group.share.max.delivery.count.limit"},
    {"share.assignment.interval.ms", "group.share.min.assignment.interval.ms",
     "group.share.max.assignment.interval.ms"},
    {"streams.session.timeout.ms", "group.streams.min.session.timeout.ms",
     "group.streams.max.session.timeout.ms"},
    {"streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms",
     "group.streams.max.heartbeat.interval.ms"},
    {"streams.assignment.interval.ms", "group.streams.min.assignment.interval.ms",
     "group.streams.max.assignment.interval.ms"},
    {"streams.num.standby.replicas", "", "group.streams.max.standby.replicas"},
    {"streams.num.warmup.replicas", "", "group.streams.max.warmup.replicas"},
    {"streams.task.offset.interval.ms", "group.streams.min.task.offset.interval.ms", ""},
};

/// An integer by name; the tables here name only options that are integers with a default.
template <Scope scope>
std::int64_t integer(const Values<scope>& values, std::string_view name) {
    const Option* option = find_option(scope, name);
    MR_ASSERT(option != nullptr);
    const auto* value = std::get_if<std::int64_t>(&values.at(row_of(*option)));
    MR_ASSERT(value != nullptr);
    return *value;
}

void check_orders(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    for (const Order& order : broker_orders) {
        const std::int64_t smaller = integer(values, order.smaller);
        const std::int64_t larger = integer(values, order.larger);
        if (smaller * order.factor > larger) {
            conflicts.push_back(
                {std::string{order.smaller},
                 order.factor == 1
                     ? fmt::format("is {}, more than the {} of {}", smaller, larger, order.larger)
                     : fmt::format("is {}, more than a half of the {} of {}", smaller, larger,
                                   order.larger),
                 order.is_mild,
                 {order.larger}});
        }
    }
}

void check_retention(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    const auto refuse_zero = [&](std::string_view name, std::optional<std::int64_t> value) {
        if (value == 0) {
            conflicts.push_back(
                {std::string{name}, "is 0; it must be 1 or more, or -1 for no limit"});
        }
    };
    refuse_zero("log.retention.ms", values.find(broker_option::log_retention_ms));
    refuse_zero("log.retention.minutes", values.find(broker_option::log_retention_minutes));
    refuse_zero("log.retention.hours", values.find(broker_option::log_retention_hours));
}

void check_connection_overrides(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    std::vector<ListenerFault> faults;
    connection_overrides(values, faults);
    for (ListenerFault& fault : faults) {
        conflicts.push_back({std::string{fault.key}, std::move(fault.what)});
    }
}

void check_listeners(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    std::vector<ListenerFault> faults;
    const std::vector<ListenerSpec> listeners = read_listeners(values, faults);
    for (ListenerFault& fault : faults) {
        conflicts.push_back(
            {std::string{fault.key}, std::move(fault.what), false, std::move(fault.also)});
    }
    if (!faults.empty()) {
        return;
    }
    const std::vector<std::string_view> also = {"listeners", "controller.listener.names",
                                                "process.roles", "listener.security.protocol.map"};
    for (const ListenerSpec& listener : listeners) {
        if (listener.protocol == SecurityProtocol::sasl_plaintext ||
            listener.protocol == SecurityProtocol::sasl_ssl) {
            conflicts.push_back({"listener.security.protocol.map",
                                 fmt::format("makes {} of {}; SASL is not offered yet, take SSL "
                                             "with ssl.client.auth=required",
                                             to_string(listener.protocol), listener.name),
                                 false, also});
        }
    }
    const auto& roles = values.get(broker_option::process_roles);
    const bool is_controller = std::find(roles.begin(), roles.end(), "controller") != roles.end();
    const bool is_broker = std::find(roles.begin(), roles.end(), "broker") != roles.end();
    const bool serves_quorum = std::any_of(listeners.begin(), listeners.end(),
                                           [](const auto& one) { return one.controller; });
    const bool has_peers = !values.get(broker_option::controller_quorum_voters).empty() ||
                           !values.get(broker_option::controller_quorum_bootstrap_servers).empty();
    if (is_broker && !is_controller && !has_peers) {
        conflicts.push_back({"process.roles",
                             "is broker alone, and neither controller.quorum.voters nor "
                             "controller.quorum.bootstrap.servers says where the controllers are",
                             false,
                             {"controller.quorum.voters", "controller.quorum.bootstrap.servers"}});
    }
    const auto other = std::find_if(listeners.begin(), listeners.end(),
                                    [](const auto& one) { return !one.controller; });
    if (is_controller && !is_broker && other != listeners.end()) {
        conflicts.push_back(
            {"listeners",
             fmt::format("has {}, which controller.listener.names doesn't name, and process.roles "
                         "is controller alone; remove it, or add broker to process.roles",
                         other->name),
             false, also});
    } else if (is_controller && !serves_quorum && has_peers) {
        conflicts.push_back({"controller.listener.names",
                             "none of these is in listeners, so other nodes of the quorum could "
                             "not reach this one",
                             false, also});
    }
    if (is_broker && std::all_of(listeners.begin(), listeners.end(),
                                 [](const auto& one) { return one.controller; })) {
        conflicts.push_back(
            {"listeners", "has only controller listeners, none for clients", false, also});
    }
}

struct ListedVoter {
    std::string_view id;
    std::string_view address;
    std::string_view port;
};

/// Of controller.quorum.voters, whose items are id@host:port.
std::vector<ListedVoter> listed_voters(const BrokerValues& values) {
    std::vector<ListedVoter> voters;
    for (const std::string_view item : values.get(broker_option::controller_quorum_voters)) {
        const std::size_t at = item.find('@');
        voters.push_back(
            {item.substr(0, at), item.substr(at + 1), item.substr(item.rfind(':') + 1)});
    }
    return voters;
}

/// The others dial what is listed. Behind a translation of addresses that may be another port than
/// the one that is listened on; then advertised.listeners can say so.
void check_own_port(const BrokerValues& values, const ListedVoter& own,
                    std::vector<Conflict>& conflicts) {
    std::vector<ListenerFault> faults;
    const std::vector<ListenerSpec> listeners = read_listeners(values, faults);
    std::string ports;
    for (const ListenerSpec& one : listeners) {
        const bool is_it = one.port == 0 || own.port == std::to_string(one.port) ||
                           own.port == std::to_string(one.advertised_port);
        if (one.controller && is_it) {
            return;
        }
        if (one.controller) {
            ports += fmt::format("{}{}://:{}", ports.empty() ? "" : ", ", one.name, one.port);
        }
    }
    if (!faults.empty() || ports.empty()) {
        return;
    }
    conflicts.push_back({"controller.quorum.voters",
                         fmt::format("the other nodes look for this one, {}, at {}, but its "
                                     "listeners for controllers are {}; if nothing leads from one "
                                     "to the other, correct one of the two",
                                     own.id, own.address, ports),
                         false,
                         {},
                         true});
}

/// Who votes is said once, for all nodes: a voter is a controller, and the other way round.
void check_voters(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    const std::vector<ListedVoter> voters = listed_voters(values);
    if (voters.empty()) {
        return;
    }
    const auto& roles = values.get(broker_option::process_roles);
    const bool is_controller = std::find(roles.begin(), roles.end(), "controller") != roles.end();
    const std::string id = std::to_string(values.get(broker_option::node_id));
    const auto own = std::find_if(voters.begin(), voters.end(),
                                  [&](const ListedVoter& voter) { return voter.id == id; });
    const std::vector<std::string_view> also = {"controller.quorum.voters", "process.roles",
                                                "node.id", "broker.id"};
    if (is_controller && own == voters.end()) {
        conflicts.push_back(
            {"node.id",
             fmt::format(
                 "is {}, which controller.quorum.voters doesn't list, but process.roles has "
                 "controller; add {}@host:port there, at every node, or correct node.id, "
                 "or take controller out of process.roles; a controller that is to join a "
                 "quorum later has controller.quorum.bootstrap.servers instead of that list",
                 id, id),
             false, also});
    } else if (!is_controller && !roles.empty() && own != voters.end()) {
        conflicts.push_back(
            {"process.roles",
             fmt::format("has no controller, but controller.quorum.voters lists {}, which is this "
                         "node.id; add controller here, or take it out of that list at every node, "
                         "or correct node.id",
                         id),
             false, also});
    } else if (own != voters.end()) {
        check_own_port(values, *own, conflicts);
    }
}

/// An address of ours, empty for none.
std::optional<HostPort> check_address(std::string_view key, const std::string& text,
                                      std::vector<Conflict>& conflicts) {
    if (text.empty()) {
        return std::nullopt;
    }
    const auto address = parse_host_port(text);
    if (!address) {
        conflicts.push_back({std::string{key}, address.error().message()});
        return std::nullopt;
    }
    return *address;
}

void check_edge(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    check_address("millrace.metrics.listener", values.get(broker_option::millrace_metrics_listener),
                  conflicts);
    const auto admin = check_address("millrace.admin.listener",
                                     values.get(broker_option::millrace_admin_listener), conflicts);
    const auto& tls = {values.get(broker_option::millrace_admin_tls_certificate),
                       values.get(broker_option::millrace_admin_tls_key),
                       values.get(broker_option::millrace_admin_tls_client_ca)};
    const auto missing = std::count(tls.begin(), tls.end(), "");
    if (missing == 1 || missing == 2) {
        conflicts.push_back({"millrace.admin.tls.certificate",
                             "belongs together with millrace.admin.tls.key and "
                             "millrace.admin.tls.client.ca; not all are given"});
    } else if (admin && !is_loopback(admin->host) && missing > 0) {
        conflicts.push_back(
            {"millrace.admin.listener",
             fmt::format("others can reach {}; give millrace.admin.tls.certificate, "
                         "millrace.admin.tls.key and millrace.admin.tls.client.ca, or listen on "
                         "127.0.0.1",
                         admin->host.empty() ? "every interface" : admin->host)});
    }
}

/// Kafka formats with any text. What can't stand in meta.properties as it is, or is seen by nobody,
/// is a slip.
void check_cluster_id(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    const std::string& id = values.get(broker_option::cluster_id);
    if (std::any_of(id.begin(), id.end(),
                    [](char c) { return c <= ' ' || c > '~' || c == '\\'; })) {
        conflicts.push_back({"cluster.id",
                             "holds a space, a backslash or something that is not ASCII; take "
                             "letters, digits, - and _"});
    }
}

void check_roles(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    if (values.get(broker_option::process_roles).empty()) {
        conflicts.push_back({"process.roles", "is empty; name broker, controller or both"});
    }
}

/// Kafka takes any class and any number there, and fails when it comes to use it.
void check_groups(const BrokerValues& values, std::vector<Conflict>& conflicts) {
    constexpr std::string_view classes = "org.apache.kafka.coordinator.group.assignor.";
    for (const std::string& named : values.get(broker_option::group_consumer_assignors)) {
        const bool is_class = named == fmt::format("{}UniformAssignor", classes) ||
                              named == fmt::format("{}RangeAssignor", classes);
        if (!is_class && named != "uniform" && named != "range") {
            conflicts.push_back(
                {"group.consumer.assignors",
                 fmt::format("{} is not known here: uniform and range are", named)});
        }
    }
    const std::int32_t codec = values.get(broker_option::offsets_topic_compression_codec);
    if (codec < 0 || codec > 4) {
        conflicts.push_back({"offsets.topic.compression.codec",
                             fmt::format("is {}, and codecs are 0 to 4", codec)});
    }
}

/// A member that is to be heard less often than it may be silent would be thrown out between two
/// heartbeats.
void check_heartbeats(const GroupValues& group, std::vector<Conflict>& conflicts) {
    for (const std::string_view kind : {"consumer", "share", "streams"}) {
        const std::string heartbeat = fmt::format("{}.heartbeat.interval.ms", kind);
        const std::string session = fmt::format("{}.session.timeout.ms", kind);
        if (integer(group, heartbeat) >= integer(group, session)) {
            conflicts.push_back({heartbeat, fmt::format("is {}, not less than the {} of {}",
                                                        integer(group, heartbeat),
                                                        integer(group, session), session)});
        }
    }
}

}  // namespace

std::vector<Conflict> broker_conflicts(const BrokerValues& values) {
    std::vector<Conflict> conflicts;
    check_groups(values, conflicts);
    check_orders(values, conflicts);
    check_retention(values, conflicts);
    check_connection_overrides(values, conflicts);
    check_cluster_id(values, conflicts);
    check_roles(values, conflicts);
    check_listeners(values, conflicts);
    check_voters(values, conflicts);
    check_edge(values, conflicts);
    return conflicts;
}

std::vector<Conflict> topic_conflicts(const TopicValues& topic, const BrokerValues& broker) {
    std::vector<Conflict> conflicts;
    const std::int64_t min_lag = topic.get(topic_option::min_compaction_lag_ms);
    const std::int64_t max_lag = topic.get(topic_option::max_compaction_lag_ms);
    if (min_lag > max_lag) {
        conflicts.push_back(
            {"min.compaction.lag.ms",
             fmt::format("is {}, more than the {} of max.compaction.lag.ms", min_lag, max_lag)});
    }
    const std::int64_t batch = topic.get(topic_option::max_message_bytes);
    const std::int64_t request = broker.get(broker_option::socket_request_max_bytes);
    if (batch > request) {
        conflicts.push_back(
            {"max.message.bytes",
             fmt::format("is {}, more than the {} of the broker's socket.request.max.bytes", batch,
                         request)});
    }
    return conflicts;
}

std::vector<Conflict> group_conflicts(const GroupValues& group, const BrokerValues& broker) {
    std::vector<Conflict> conflicts;
    for (const Bound& bound : group_bounds) {
        const std::int64_t value = integer(group, bound.setting);
        if (!bound.least.empty() && value < integer(broker, bound.least)) {
            conflicts.push_back({std::string{bound.setting},
                                 fmt::format("is {}, less than the {} of the broker's {}", value,
                                             integer(broker, bound.least), bound.least)});
        }
        if (!bound.most.empty() && value > integer(broker, bound.most)) {
            conflicts.push_back({std::string{bound.setting},
                                 fmt::format("is {}, more than the {} of the broker's {}", value,
                                             integer(broker, bound.most), bound.most)});
        }
    }
    check_heartbeats(group, conflicts);
    return conflicts;
}

}  // namespace millrace::config
