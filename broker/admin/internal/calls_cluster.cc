#include <algorithm>

#include "admin/internal/calls.h"
#include "config/alter.h"

namespace millrace::admin {

void fill_partition(v1::TopicPartition& to, const TopicPartition& from) {
    to.set_topic(from.topic);
    to.set_partition(from.partition.value);
}

namespace {

void fill(v1::Voter& to, const Voter& from) {
    to.set_id(from.id.value);
    to.set_directory_id(from.directory_id.to_string());
    to.set_end_offset(from.end.value);
    to.set_last_fetch_ms(from.last_fetch_ms);
    to.set_last_caught_up_ms(from.last_caught_up_ms);
    for (const VoterEndpoint& endpoint : from.endpoints) {
        auto& one = *to.add_endpoints();
        one.set_listener(endpoint.listener);
        one.set_host(endpoint.host);
        one.set_port(endpoint.port);
    }
}

void fill(v1::QuorumHealth& to, const QuorumHealth& from) {
    to.set_leader_id(from.leader.value);
    to.set_high_watermark(from.high_watermark.value);
    for (const Voter& voter : from.voters) {
        fill(*to.add_voters(), voter);
    }
    for (const Voter& observer : from.observers) {
        fill(*to.add_observers(), observer);
    }
}

void fill(v1::BrokerHealth& to, const BrokerHealth& from) {
    to.set_id(from.id.value);
    to.set_rack(from.rack);
    to.set_state(static_cast<v1::BrokerState>(from.state));
    to.set_cordoned(from.cordoned);
    to.set_broker_epoch(from.epoch.value);
    to.set_replicas(from.replicas);
    to.set_leaders(from.leaders);
    to.set_lagging_replicas(from.lagging_replicas);
    to.set_recovery_percent(from.recovery_percent);
    to.set_waiting_for(from.waiting_for);
    to.set_in_moves(from.in_moves);
    to.set_out_moves(from.out_moves);
    for (const std::string& path : from.offline_directories) {
        to.add_offline_directories(path);
    }
}

void fill(v1::UnhealthyPartition& to, const UnhealthyPartition& from) {
    fill_partition(*to.mutable_partition(), from.partition);
    to.set_leader(from.leader.value);
    to.set_min_isr(from.min_isr);
    for (const BrokerId id : from.isr) {
        to.add_isr(id.value);
    }
    for (const BrokerId id : from.replicas) {
        to.add_replicas(id.value);
    }
}

void fill(v1::PartitionHealth& to, const PartitionHealth& from) {
    to.set_total(from.total);
    to.set_offline(from.offline);
    to.set_under_min_isr(from.under_min_isr);
    to.set_under_replicated(from.under_replicated);
    to.set_rack_violations(from.rack_violations);
    to.set_reassigning(from.reassigning);
    for (const UnhealthyPartition& partition : from.worst) {
        fill(*to.add_worst(), partition);
    }
}

v1::IdentityResponse to_proto(const Identity& from, QuorumEpoch epoch) {
    v1::IdentityResponse to;
    to.set_cluster_id(from.cluster_id);
    to.set_broker_id(from.broker_id.value);
    to.set_broker_epoch(from.broker_epoch.value);
    for (const LogDirectory& directory : from.directories) {
        auto& one = *to.add_directories();
        one.set_id(directory.id.to_string());
        one.set_path(directory.path);
    }
    to.set_version(from.version);
    to.set_kafka_version(from.kafka_version);
    for (const auto& [name, level] : from.features) {
        (*to.mutable_features())[name] = level;
    }
    for (const std::string& role : from.roles) {
        to.add_roles(role);
    }
    to.set_rack(from.rack);
    to.set_epoch(epoch.value);
    return to;
}

v1::RestartCheckResponse to_proto(const RestartVerdict& from) {
    constexpr std::size_t most_shown = 100;
    v1::RestartCheckResponse to;
    to.set_allowed(from.allowed);
    to.set_blocker_count(static_cast<std::int32_t>(from.blockers.size()));
    to.set_epoch(from.epoch.value);
    to.set_metadata_offset(from.metadata_offset.value);
    for (std::size_t i = 0; i < std::min(from.blockers.size(), most_shown); ++i) {
        const RestartBlocker& blocker = from.blockers[i];
        auto& one = *to.add_blockers();
        one.set_reason(static_cast<v1::RestartBlocker::Reason>(blocker.reason));
        one.set_broker_id(blocker.broker.value);
        one.set_message(blocker.message);
        if (blocker.partition) {
            fill_partition(*one.mutable_partition(), *blocker.partition);
        }
    }
    return to;
}

v1::RestartProgressResponse to_proto(const RestartProgress& from) {
    v1::RestartProgressResponse to;
    to.set_state(static_cast<v1::BrokerState>(from.state));
    to.set_broker_epoch(from.epoch.value);
    to.set_recovery_percent(from.recovery_percent);
    to.set_in_sync_percent(from.in_sync_percent);
    to.set_leaders_percent(from.leaders_percent);
    to.set_caught_up(from.caught_up);
    to.set_waiting_for(from.waiting_for);
    return to;
}

std::vector<BrokerId> broker_ids(const google::protobuf::RepeatedField<std::int32_t>& from) {
    std::vector<BrokerId> ids;
    for (const std::int32_t id : from) {
        ids.emplace_back(id);
    }
    return ids;
}

/// Turns what a door says into what the caller is told.
template <typename Response, typename T, typename Convert>
Reply<T> converting(Answer<Response> answer, Convert convert) {
    return [answer = std::move(answer), convert](Result<T> result) mutable {
        if (!result) {
            answer(result.error());
        } else {
            answer(convert(*std::move(result)));
        }
    };
}

template <typename Response>
Reply<bool> done(Answer<Response> answer) {
    return converting<Response, bool>(std::move(answer), [](bool) { return Response{}; });
}

std::optional<Uuid> parse_directory(const std::string& text) {
    return text.empty() ? Uuid{} : Uuid::parse(text);
}

Error malformed_directory(const std::string& text) {
    return Error::make(Code::invalid, "directory_id: '{}' is no id", text);
}

void add_problem(v1::ConfigProblem& to, const config::Problem& from) {
    to.set_key(from.key);
    to.set_message(from.what);
    to.set_remedy(from.remedy);
}

void check_start(const config::Entries& entries, v1::ValidateConfigResponse& response) {
    config::Source source;
    for (const auto& [key, value] : entries) {
        source.command_line.push_back(key + "=" + value);
    }
    const config::Loaded loaded = config::load(source);
    for (const config::Problem& problem : loaded.errors) {
        add_problem(*response.add_errors(), problem);
    }
    for (const config::Problem& problem : loaded.warnings) {
        add_problem(*response.add_warnings(), problem);
    }
    for (const auto& [key, value] : entries) {
        const config::Option* option = config::find_option(config::Scope::broker, key);
        if (option != nullptr && option->update == config::Update::read_only) {
            response.add_need_restart(key);
        }
    }
}

void check_entity(config::Resource resource, const config::Entries& entries,
                  const config::BrokerConfig& config, v1::ValidateConfigResponse& response) {
    // One at a time, so that every wrong one is told; then together.
    bool each_is_fine = true;
    const auto add = [&](const std::string& key, const config::Altered& altered) {
        if (const auto* refusal = std::get_if<config::Refusal>(&altered)) {
            auto& error = *response.add_errors();
            error.set_key(key);
            error.set_message(refusal->message);
            each_is_fine = false;
        }
    };
    for (const auto& [key, value] : entries) {
        add(key, config::replace(resource, {}, {{key, value}}, config));
    }
    if (each_is_fine) {
        add("", config::replace(resource, {}, entries, config));
    }
}

std::optional<config::Resource> resource_of(v1::ValidateConfigRequest::Scope scope) {
    switch (scope) {
        case v1::ValidateConfigRequest::SCOPE_TOPIC:
            return config::Resource::topic;
        case v1::ValidateConfigRequest::SCOPE_GROUP:
            return config::Resource::group;
        case v1::ValidateConfigRequest::SCOPE_CLUSTER_DEFAULT:
            return config::Resource::cluster_default;
        default:
            return std::nullopt;
    }
}

}  // namespace

v1::HealthResponse to_proto(const Health& from) {
    v1::HealthResponse to;
    to.set_epoch(from.epoch.value);
    to.set_metadata_offset(from.metadata_offset.value);
    to.set_controller_id(from.quorum.leader.value);
    for (const BrokerHealth& broker : from.brokers) {
        fill(*to.add_brokers(), broker);
    }
    fill(*to.mutable_partitions(), from.partitions);
    fill(*to.mutable_quorum(), from.quorum);
    return to;
}

namespace calls {

void Identity(AdminDoors& doors, Caller, const v1::IdentityRequest&,
              Answer<v1::IdentityResponse> answer) {
    const QuorumEpoch epoch = doors.epoch();
    doors.identity(converting<v1::IdentityResponse, millrace::admin::Identity>(
        std::move(answer),
        [epoch](const millrace::admin::Identity& identity) { return to_proto(identity, epoch); }));
}

void RestartCheck(AdminDoors& doors, Caller caller, const v1::RestartCheckRequest& request,
                  Answer<v1::RestartCheckResponse> answer) {
    if (request.broker_ids().empty()) {
        answer(Error(Code::invalid, "broker_ids: name at least one broker"));
        return;
    }
    doors.restart_check(
        std::move(caller), {broker_ids(request.broker_ids()), request.with_those_down()},
        converting<v1::RestartCheckResponse, RestartVerdict>(
            std::move(answer), [](const RestartVerdict& verdict) { return to_proto(verdict); }));
}

void RestartProgress(AdminDoors& doors, Caller caller, const v1::RestartProgressRequest& request,
                     Answer<v1::RestartProgressResponse> answer) {
    using Progress = millrace::admin::RestartProgress;
    doors.restart_progress(
        std::move(caller), BrokerId{request.broker_id()},
        BrokerEpoch{request.previous_broker_epoch()},
        converting<v1::RestartProgressResponse, Progress>(
            std::move(answer), [](const Progress& progress) { return to_proto(progress); }));
}

void DrainLeaders(AdminDoors& doors, Caller caller, const v1::DrainLeadersRequest& request,
                  Answer<v1::DrainLeadersResponse> answer) {
    doors.drain_leaders(std::move(caller), BrokerId{request.broker_id()}, request.undo(),
                        converting<v1::DrainLeadersResponse, DrainResult>(
                            std::move(answer), [](const DrainResult& result) {
                                v1::DrainLeadersResponse response;
                                response.set_leaders_left(result.leaders_left);
                                for (const TopicPartition& partition : result.stuck) {
                                    fill_partition(*response.add_stuck(), partition);
                                }
                                return response;
                            }));
}

template <typename Request, typename Response>
void set_cordon(AdminDoors& doors, Caller caller, const Request& request, bool cordoned,
                Answer<Response> answer) {
    doors.cordon(std::move(caller), broker_ids(request.broker_ids()), cordoned,
                 converting<Response, std::vector<BrokerId>>(
                     std::move(answer), [](const std::vector<BrokerId>& ids) {
                         Response response;
                         for (const BrokerId id : ids) {
                             response.add_cordoned(id.value);
                         }
                         return response;
                     }));
}

void Cordon(AdminDoors& doors, Caller caller, const v1::CordonRequest& request,
            Answer<v1::CordonResponse> answer) {
    set_cordon(doors, std::move(caller), request, true, std::move(answer));
}

void Uncordon(AdminDoors& doors, Caller caller, const v1::UncordonRequest& request,
              Answer<v1::UncordonResponse> answer) {
    set_cordon(doors, std::move(caller), request, false, std::move(answer));
}

void UnregisterBroker(AdminDoors& doors, Caller caller, const v1::UnregisterBrokerRequest& request,
                      Answer<v1::UnregisterBrokerResponse> answer) {
    doors.unregister_broker(std::move(caller), BrokerId{request.broker_id()},
                            done(std::move(answer)));
}

void DescribeQuorum(AdminDoors& doors, Caller caller, const v1::DescribeQuorumRequest&,
                    Answer<v1::DescribeQuorumResponse> answer) {
    const QuorumEpoch epoch = doors.epoch();
    doors.describe_quorum(std::move(caller),
                          converting<v1::DescribeQuorumResponse, QuorumHealth>(
                              std::move(answer), [epoch](const QuorumHealth& quorum) {
                                  v1::DescribeQuorumResponse response;
                                  fill(*response.mutable_quorum(), quorum);
                                  response.set_epoch(epoch.value);
                                  return response;
                              }));
}

void AddVoter(AdminDoors& doors, Caller caller, const v1::AddVoterRequest& request,
              Answer<v1::AddVoterResponse> answer) {
    const auto directory = parse_directory(request.voter().directory_id());
    if (!directory) {
        answer(malformed_directory(request.voter().directory_id()));
        return;
    }
    Voter voter;
    voter.id = BrokerId{request.voter().id()};
    voter.directory_id = *directory;
    for (const v1::VoterEndpoint& endpoint : request.voter().endpoints()) {
        if (endpoint.port() < 1 || endpoint.port() > 65535) {
            answer(Error::make(Code::invalid, "endpoints: {} is no port", endpoint.port()));
            return;
        }
        voter.endpoints.push_back(
            {endpoint.listener(), endpoint.host(), static_cast<std::uint16_t>(endpoint.port())});
    }
    doors.add_voter(std::move(caller), std::move(voter), done(std::move(answer)));
}

void RemoveVoter(AdminDoors& doors, Caller caller, const v1::RemoveVoterRequest& request,
                 Answer<v1::RemoveVoterResponse> answer) {
    const auto directory = parse_directory(request.directory_id());
    if (!directory) {
        answer(malformed_directory(request.directory_id()));
        return;
    }
    doors.remove_voter(std::move(caller), BrokerId{request.id()}, *directory,
                       done(std::move(answer)));
}

void ReloadCertificates(AdminDoors& doors, Caller caller, const v1::ReloadCertificatesRequest&,
                        Answer<v1::ReloadCertificatesResponse> answer) {
    using Certificates = std::vector<ReloadedCertificate>;
    doors.reload_certificates(std::move(caller),
                              converting<v1::ReloadCertificatesResponse, Certificates>(
                                  std::move(answer), [](const Certificates& certificates) {
                                      v1::ReloadCertificatesResponse response;
                                      for (const ReloadedCertificate& from : certificates) {
                                          auto& to = *response.add_certificates();
                                          to.set_listener(from.listener);
                                          to.set_changed(from.changed);
                                          to.set_subject(from.subject);
                                          to.set_serial(from.serial);
                                          to.set_not_after_ms(from.not_after.milliseconds);
                                          to.set_error(from.error);
                                          to.mutable_trusted()->Add(from.trusted.begin(),
                                                                    from.trusted.end());
                                      }
                                      return response;
                                  }));
}

void ValidateConfig(AdminDoors& doors, Caller, const v1::ValidateConfigRequest& request,
                    Answer<v1::ValidateConfigResponse> answer) {
    const config::Entries entries{request.entries().begin(), request.entries().end()};
    v1::ValidateConfigResponse response;
    if (request.scope() == v1::ValidateConfigRequest::SCOPE_BROKER_START) {
        check_start(entries, response);
    } else if (const auto resource = resource_of(request.scope())) {
        check_entity(*resource, entries, *doors.config(), response);
    } else {
        answer(Error(Code::invalid, "scope: say what the settings are for"));
        return;
    }
    answer(std::move(response));
}

}  // namespace calls

}  // namespace millrace::admin
