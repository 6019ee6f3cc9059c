#include "handlers/dispatch.h"

#include <algorithm>

#include "protocol/api_table.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/request_header.h"

namespace millrace::handlers {
namespace {

constexpr std::size_t fixed_header = 8;  // key, version, correlation id
constexpr std::int16_t first_add_partitions_by_brokers = 4;

struct Fixed {
    std::int16_t api_key;
    std::int16_t version;
    std::int32_t correlation_id;
};

bool is_api_versions(std::int16_t api_key) {
    return api_key == protocol::ApiVersionsRequest::api_key;
}

}  // namespace

namespace internal {

void log_undecodable(const Doors& doors, const RequestMeta& meta, const std::string& why) {
    MR_LOG(*doors.log, warn, "handlers.request_not_decodable", field("api_key", meta.api_key),
           field("version", meta.version), field("client", meta.client_id),
           field("peer", meta.client_host), field("reason", why));
}

std::string why_undecodable(const Error& error, std::size_t room, std::size_t usual) {
    const std::size_t least = std::min(room, most_decoded);
    if (error.code() != Code::exhausted || usual <= least) {
        return error.message();
    }
    return fmt::format("{}: {}",
                       room < most_decoded ? "memory is short" : "it names too much at once",
                       error.message());
}

BodyReader::BodyReader(CallState& state_in, std::size_t body_at)
    : state(state_in),
      room(static_cast<std::size_t>(state.frame.room())),
      usual(protocol::Reader::budget_for(state.frame.bytes().size() - body_at)),
      reader(state.frame.bytes().subspan(body_at), std::min({usual, room, most_decoded})) {}

bool BodyReader::is_done(const Doors& doors) {
    // Bytes after the last field are left alone, as Kafka leaves them: librdkafka sends two behind
    // a Metadata request for all topics.
    if (!reader.ok()) {
        state.meta.meter->malformed(Malformed::body);
        log_undecodable(doors, state.meta, why_undecodable(reader.error(), room, usual));
        return false;
    }
    state.frame.hold(static_cast<std::int64_t>(reader.charged()));
    return true;
}

}  // namespace internal

bool is_between_brokers(std::int16_t api_key, std::int16_t version) {
    const protocol::Api* api = protocol::find_api(api_key);
    if (api == nullptr || api->acls.empty()) {
        return false;
    }
    switch (api->key) {
        case protocol::ApiKey::write_txn_markers:
            return true;
        case protocol::ApiKey::add_partitions_to_txn:
            return version >= first_add_partitions_by_brokers;
        default:
            return std::all_of(api->acls.begin(), api->acls.end(),
                               [](const protocol::RequiredAcl& acl) {
                                   return acl.operation == protocol::AclOperation::cluster_action;
                               });
    }
}

Dispatcher::Dispatcher(ListenerKind kind, const Doors& doors, std::vector<runtime::Executor*> loops,
                       std::vector<RequestMeter> meters)
    : doors_(doors),
      loops_(std::move(loops)),
      meters_(std::move(meters)),
      routes_(make_routes(kind)) {
    meters_.resize(loops_.size());
    clients_.resize(kind == ListenerKind::broker ? loops_.size() : 0);
    std::sort(routes_.begin(), routes_.end(),
              [](const Route& a, const Route& b) { return a.api_key < b.api_key; });
    row_of_.fill(-1);
    for (std::size_t i = 0; i < routes_.size(); ++i) {
        row_of_.at(static_cast<std::size_t>(routes_[i].api_key)) = static_cast<std::int16_t>(i);
    }
}

const Route* Dispatcher::route(std::int16_t api_key) const {
    if (api_key < 0 || static_cast<std::size_t>(api_key) >= row_of_.size()) {
        return nullptr;
    }
    const std::int16_t row = row_of_[static_cast<std::size_t>(api_key)];
    return row < 0 ? nullptr : &routes_[static_cast<std::size_t>(row)];
}

void Dispatcher::on_frame(const net::ConnectionInfo& connection, std::unique_ptr<net::Session>&,
                          net::Frame frame, net::Reply reply) {
    RequestMeta meta;
    meta.listener = connection.listener;
    meta.listener_port = connection.local.port;
    meta.client_host = "/" + connection.peer.host;
    meta.connection = connection.id;
    meta.principal = connection.principal;
    meta.shard = connection.shard;
    meta.home = loops_.at(connection.shard);
    meta.meter = &meters_.at(connection.shard);
    meta.received = meta.home->read_clock();
    if (frame.bytes().size() < fixed_header) {
        meta.meter->malformed(Malformed::header);
        internal::log_undecodable(doors_, meta, "shorter than a request header");
        return;
    }
    const std::byte* at = frame.bytes().data();
    const Fixed fixed{load_big_endian<std::int16_t>(at), load_big_endian<std::int16_t>(at + 2),
                      load_big_endian<std::int32_t>(at + 4)};
    meta.api_key = fixed.api_key;
    meta.version = fixed.version;
    meta.correlation_id = fixed.correlation_id;
    const Route* found = route(fixed.api_key);
    if (found == nullptr) {
        meta.meter->malformed(Malformed::api);
        meta.meter->unsupported(fixed.api_key, fixed.version);
        internal::log_undecodable(doors_, meta, "this listener does not serve the API");
        return;
    }
    const bool known = fixed.version >= found->min_version && fixed.version <= found->max_version;
    if (!known) {
        meta.meter->unsupported(fixed.api_key, fixed.version);
        // ApiVersions answers in the oldest layout, so that any client can read what we serve;
        // the others in the nearest version we know.
        meta.version = is_api_versions(fixed.api_key)
                           ? std::int16_t{0}
                           : std::clamp(fixed.version, found->min_version, found->max_version);
        meta.flexible_response_header =
            !is_api_versions(fixed.api_key) && meta.version >= found->first_flexible;
        found->refuse_version(doors_, std::move(meta), std::move(frame), 0, std::move(reply));
        return;
    }
    meta.meter->received(fixed.api_key, fixed.version, frame.bytes().size());
    const bool flexible = fixed.version >= found->first_flexible;
    meta.flexible_response_header = flexible && !is_api_versions(fixed.api_key);
    if (!found->lends_frame || doors_.replicas == nullptr || doors_.replicas->size() > 1) {
        frame.keep();
    }
    protocol::Reader reader(frame.bytes());
    protocol::RequestHeader header;
    header.decode(reader, flexible ? 2 : 1);
    if (!reader.ok()) {
        meta.meter->malformed(Malformed::header);
        internal::log_undecodable(doors_, meta, reader.error().message());
        return;
    }
    if (header.client_id) {
        meta.client_id = *header.client_id;
    }
    if (doors_.quotas != nullptr && doors_.quotas->any() && !clients_.empty() &&
        !is_between_brokers(fixed.api_key, fixed.version)) {
        meta.quota =
            clients_.at(connection.shard).find(*doors_.quotas, meta.principal.name, meta.client_id);
    }
    const quotas::ClientPtr quota = meta.quota;
    const Instant begin = meta.received;
    runtime::Executor& home = *meta.home;
    RequestMeter& meter = *meta.meter;
    found->handle(doors_, std::move(meta), std::move(frame), reader.position(), std::move(reply));
    const bool is_exempt = meter.take_exempt();
    if (quota && !is_exempt && quota->meter(quotas::Kind::request) != nullptr) {
        const Instant end = home.read_clock();
        const double percent = to_seconds(end - begin) * 100;
        (void)quota->meter(quotas::Kind::request)->spend(percent, end);
    }
}

void Dispatcher::on_answer(const net::ConnectionInfo& connection, const net::Response& response) {
    if (response.kind >= 0) {
        const Duration took = loops_.at(connection.shard)->read_clock() - response.received;
        meters_.at(connection.shard).answered(response.kind, took, response.size());
        if (response.mute > Duration{}) {
            meters_.at(connection.shard).throttled(response.kind, response.mute);
        }
    }
}

}  // namespace millrace::handlers
