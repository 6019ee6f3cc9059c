// Mirror links: between the .proto's messages and what mirror knows.
#include <algorithm>
#include <fmt/format.h>
#include <tuple>

#include "admin/internal/calls.h"

namespace millrace::admin {

namespace {

constexpr std::size_t worst_topics_shown = 10;
constexpr std::size_t losses_shown = 100;
constexpr int page_most = 1000;

/// The .proto's zero of every enum is "not said".
template <typename Ours, typename Theirs>
Ours said_or(Theirs value, Ours fallback) {
    return static_cast<int>(value) == 0 ? fallback : static_cast<Ours>(value);
}

std::vector<std::string> list_of(const google::protobuf::RepeatedPtrField<std::string>& from) {
    return {from.begin(), from.end()};
}

template <typename From>
void fill_list(google::protobuf::RepeatedPtrField<std::string>& to, const From& from) {
    for (const std::string& one : from) {
        *to.Add() = one;
    }
}

mirror::LinkSpec spec_of(const v1::LinkSpec& from) {
    mirror::LinkSpec spec;
    spec.name = from.name();
    spec.bootstrap_servers = list_of(from.source().bootstrap_servers());
    spec.expected_cluster_id = from.source().expected_cluster_id();
    spec.tls = from.source().tls().enabled();
    spec.tls_ca = from.source().tls().ca_pem();
    spec.tls_certificate = from.source().tls().certificate_pem();
    spec.tls_key = Secret(from.source().tls().key_pem());
    spec.tls_server_name = from.source().tls().server_name();
    spec.sasl_mechanism = from.source().sasl().mechanism();
    spec.sasl_username = from.source().sasl().username();
    spec.sasl_password = Secret(from.source().sasl().password());
    spec.naming = said_or(from.naming(), mirror::Naming::identity);
    spec.alias = from.alias();
    spec.topics_include = list_of(from.topics().include());
    spec.topics_exclude = list_of(from.topics().exclude());
    spec.start_from = said_or(from.topics().start_from(), mirror::StartFrom::earliest);
    spec.groups_include = list_of(from.groups().include());
    spec.groups_exclude = list_of(from.groups().exclude());
    if (from.groups().interval_ms() > 0) {
        spec.groups_interval_ms = from.groups().interval_ms();
    }
    spec.configs_interval_ms =
        from.has_sync() ? from.sync().configs_interval_ms() : spec.configs_interval_ms;
    spec.sync_acls = from.sync().acls();
    spec.state = said_or(from.state(), mirror::Desired::mirroring);
    spec.promotion = said_or(from.promotion(), mirror::Promotion::planned);
    for (const auto& [topic, state] : from.topic_states()) {
        spec.topic_states[topic] = said_or(state, mirror::Desired::mirroring);
    }
    spec.truncate_existing = from.truncate_existing();
    spec.bytes_per_second = from.limits().bytes_per_second();
    spec.connections_per_broker = from.limits().connections_per_broker();
    const v1::LinkPolicy& policy = from.policy();
    spec.read_up_to = said_or(policy.read_level(), mirror::ReadUpTo::high_watermark);
    spec.truncate_open_transactions =
        policy.open_transactions() == v1::LinkPolicy::OPEN_TRANSACTIONS_TRUNCATE_TO_LAST_STABLE;
    spec.on_gap = said_or(policy.on_gap(), spec.on_gap);
    spec.on_source_deleted = said_or(policy.on_source_topic_deleted(), spec.on_source_deleted);
    spec.on_source_recreated =
        said_or(policy.on_source_topic_recreated(), spec.on_source_recreated);
    spec.on_divergence = said_or(policy.on_divergence(), spec.on_divergence);
    spec.max_lag_ms = from.max_lag_ms();
    spec.credentials_version = from.source().credentials_version();
    return spec;
}

/// Without secrets.
v1::LinkSpec to_proto(const mirror::LinkSpec& from) {
    v1::LinkSpec spec;
    spec.set_name(from.name);
    auto& source = *spec.mutable_source();
    fill_list(*source.mutable_bootstrap_servers(), from.bootstrap_servers);
    source.set_expected_cluster_id(from.expected_cluster_id);
    source.set_credentials_version(from.credentials_version);
    if (from.tls) {
        source.mutable_tls()->set_enabled(true);
        source.mutable_tls()->set_ca_pem(from.tls_ca);
        source.mutable_tls()->set_certificate_pem(from.tls_certificate);
        source.mutable_tls()->set_server_name(from.tls_server_name);
    }
    if (!from.sasl_mechanism.empty()) {
        source.mutable_sasl()->set_mechanism(from.sasl_mechanism);
        source.mutable_sasl()->set_username(from.sasl_username);
    }
    spec.set_naming(static_cast<v1::LinkNaming>(from.naming));
    spec.set_alias(from.alias);
    fill_list(*spec.mutable_topics()->mutable_include(), from.topics_include);
    fill_list(*spec.mutable_topics()->mutable_exclude(), from.topics_exclude);
    spec.mutable_topics()->set_start_from(static_cast<v1::LinkTopics::StartFrom>(from.start_from));
    fill_list(*spec.mutable_groups()->mutable_include(), from.groups_include);
    fill_list(*spec.mutable_groups()->mutable_exclude(), from.groups_exclude);
    spec.mutable_groups()->set_interval_ms(from.groups_interval_ms);
    spec.mutable_sync()->set_configs_interval_ms(from.configs_interval_ms);
    spec.mutable_sync()->set_acls(from.sync_acls);
    spec.set_state(static_cast<v1::LinkDesired>(from.state));
    spec.set_promotion(static_cast<v1::LinkPromotion>(from.promotion));
    for (const auto& [topic, state] : from.topic_states) {
        (*spec.mutable_topic_states())[topic] = static_cast<v1::LinkDesired>(state);
    }
    spec.set_truncate_existing(from.truncate_existing);
    spec.mutable_limits()->set_bytes_per_second(from.bytes_per_second);
    spec.mutable_limits()->set_connections_per_broker(from.connections_per_broker);
    auto& policy = *spec.mutable_policy();
    policy.set_read_level(static_cast<v1::LinkPolicy::ReadLevel>(from.read_up_to));
    policy.set_open_transactions(from.truncate_open_transactions
                                     ? v1::LinkPolicy::OPEN_TRANSACTIONS_TRUNCATE_TO_LAST_STABLE
                                     : v1::LinkPolicy::OPEN_TRANSACTIONS_ABORT);
    policy.set_on_gap(static_cast<v1::LinkPolicy::Reaction>(from.on_gap));
    policy.set_on_source_topic_deleted(
        static_cast<v1::LinkPolicy::Reaction>(from.on_source_deleted));
    policy.set_on_source_topic_recreated(
        static_cast<v1::LinkPolicy::Reaction>(from.on_source_recreated));
    policy.set_on_divergence(static_cast<v1::LinkPolicy::Reaction>(from.on_divergence));
    spec.set_max_lag_ms(from.max_lag_ms);
    return spec;
}

v1::GetLinkResponse to_proto(const KnownLink& known) {
    v1::GetLinkResponse one;
    *one.mutable_link() = to_proto(known.link.spec);
    one.set_id(known.link.id);
    one.set_version(known.link.version);
    *one.mutable_state() = admin::to_proto(known.view);
    return one;
}

v1::MirrorPartition to_proto(const mirror::PartitionView& from) {
    v1::MirrorPartition one;
    fill_partition(*one.mutable_partition(), from.partition);
    one.set_source_topic(from.source_topic);
    one.set_state(static_cast<v1::MirrorTopicState>(from.state));
    one.set_reason(from.reason);
    one.set_end_offset(from.end.value);
    one.set_source_high_watermark(from.source_high_watermark.value);
    one.set_lag_ms(to_milliseconds(from.lag));
    one.set_source_leader(from.source_leader.value);
    one.set_last_source_epoch(from.last_source_epoch.value);
    return one;
}

}  // namespace

v1::LinkState to_proto(const mirror::LinkView& view) {
    v1::LinkState state;
    state.set_name(view.name);
    state.set_phase(static_cast<v1::LinkPhase>(view.phase));
    state.set_reason(view.reason);
    state.set_message(view.message);
    state.set_source_cluster_id(view.source_cluster_id);
    state.set_version(view.version);
    state.set_round_trip_ms(to_milliseconds(view.round_trip));
    state.set_credentials_valid(view.credentials_valid);
    state.set_groups_synced(view.groups_synced);
    std::vector<mirror::TopicView> topics = view.topics;
    std::sort(topics.begin(), topics.end(), [](const auto& a, const auto& b) {
        // What is wrong with a topic is never hidden behind topics that are just behind.
        const bool well_a = a.reason.empty();
        const bool well_b = b.reason.empty();
        return std::tie(well_a, b.lag, a.topic) < std::tie(well_b, a.lag, b.topic);
    });
    for (std::size_t i = 0; i < std::min(view.split.size(), worst_topics_shown); ++i) {
        state.add_split_topics(view.split[i]);
    }
    state.set_topics_as_wished(0);
    for (const mirror::TopicView& topic : topics) {
        state.set_topics_as_wished(state.topics_as_wished() + (topic.is_as_wished ? 1 : 0));
        state.set_topics_total(state.topics_total() + 1);
        state.set_topics_mirroring(state.topics_mirroring() +
                                   (topic.state == mirror::TopicState::mirroring ? 1 : 0));
        ++(*state.mutable_topics_by_state())[std::string(to_string(topic.state))];
        state.set_lag_records(state.lag_records() + topic.lag_records);
        state.set_max_lag_ms(std::max(state.max_lag_ms(), to_milliseconds(topic.lag)));
        if (static_cast<std::size_t>(state.worst_topics_size()) < worst_topics_shown) {
            auto& worst = *state.add_worst_topics();
            worst.set_topic(topic.topic);
            worst.set_state(static_cast<v1::MirrorTopicState>(topic.state));
            worst.set_reason(topic.reason);
            worst.set_lag_records(topic.lag_records);
            worst.set_lag_ms(to_milliseconds(topic.lag));
        }
    }
    state.set_rpo_ms(to_milliseconds(view.could_lose));
    const std::size_t skip =
        view.losses.size() > losses_shown ? view.losses.size() - losses_shown : 0;
    for (std::size_t i = skip; i < view.losses.size(); ++i) {
        auto& gap = *state.add_gaps();
        fill_partition(*gap.mutable_partition(), view.losses[i].partition);
        gap.set_from(view.losses[i].from.value);
        gap.set_to(view.losses[i].to.value);
        gap.set_at_ms(view.losses[i].at.milliseconds);
        gap.set_truncated(view.losses[i].truncated);
    }
    if (view.failover) {
        auto& report = *state.mutable_last_failover();
        report.set_at_ms(view.failover->at.milliseconds);
        report.set_topics(view.failover->topics);
        report.set_partitions(view.failover->partitions);
        report.set_lost_records_at_most(view.failover->lost_records);
        report.set_lost_ms(to_milliseconds(view.failover->lost));
    }
    if (view.room) {
        auto& room = *state.mutable_room();
        const std::size_t shown = std::min(view.room->topics.size(), worst_topics_shown);
        for (std::size_t i = 0; i < shown; ++i) {
            room.add_topics(view.room->topics[i]);
        }
        room.set_topics_total(static_cast<std::int64_t>(view.room->topics.size()));
        room.set_needed_bytes(view.room->needed_bytes);
        room.set_left_bytes(view.room->left_bytes);
    }
    for (const mirror::ClampedGroup& one : view.clamped) {
        auto& clamped = *state.mutable_last_failover()->add_clamped();
        clamped.set_group(one.group);
        fill_partition(*clamped.mutable_partition(), one.partition);
        clamped.set_source_offset(one.source.value);
        clamped.set_offset(one.written.value);
    }
    return state;
}

namespace calls {

void ApplyLink(AdminDoors& doors, Caller caller, const v1::ApplyLinkRequest& request,
               Answer<v1::ApplyLinkResponse> answer) {
    doors.apply_link(std::move(caller), {spec_of(request.link()), request.expected_version()},
                     [answer = std::move(answer)](Result<AppliedLink> applied) mutable {
                         if (!applied) {
                             answer(applied.error());
                             return;
                         }
                         v1::ApplyLinkResponse response;
                         response.set_id(applied->id);
                         response.set_version(applied->version);
                         response.set_changed(applied->changed);
                         answer(std::move(response));
                     });
}

void GetLink(AdminDoors& doors, Caller caller, const v1::GetLinkRequest& request,
             Answer<v1::GetLinkResponse> answer) {
    doors.links(std::move(caller), [name = request.name(), answer = std::move(answer)](
                                       Result<std::vector<KnownLink>> links) mutable {
        if (!links) {
            answer(links.error());
            return;
        }
        for (const KnownLink& known : *links) {
            if (known.link.spec.name == name) {
                answer(to_proto(known));
                return;
            }
        }
        answer(Error::make(Code::not_found, "there is no link {}", name));
    });
}

void ListLinks(AdminDoors& doors, Caller caller, const v1::ListLinksRequest&,
               Answer<v1::ListLinksResponse> answer) {
    doors.links(std::move(caller),
                [answer = std::move(answer)](Result<std::vector<KnownLink>> links) mutable {
                    if (!links) {
                        answer(links.error());
                        return;
                    }
                    v1::ListLinksResponse response;
                    for (const KnownLink& known : *links) {
                        *response.add_links() = to_proto(known);
                    }
                    answer(std::move(response));
                });
}

void DeleteLink(AdminDoors& doors, Caller caller, const v1::DeleteLinkRequest& request,
                Answer<v1::DeleteLinkResponse> answer) {
    doors.delete_link(std::move(caller), request.name(),
                      request.topics() == v1::DeleteLinkRequest::TOPICS_PROMOTE,
                      [answer = std::move(answer)](Result<bool> deleted) mutable {
                          if (deleted) {
                              answer(v1::DeleteLinkResponse{});
                          } else {
                              answer(deleted.error());
                          }
                      });
}

void ListMirrorPartitions(AdminDoors& doors, Caller caller,
                          const v1::ListMirrorPartitionsRequest& request,
                          Answer<v1::ListMirrorPartitionsResponse> answer) {
    doors.mirror_partitions(
        std::move(caller), request.link(),
        [topic = request.topic(), page = request.page(), answer = std::move(answer)](
            Result<std::vector<mirror::PartitionView>> partitions) mutable {
            if (!partitions) {
                answer(partitions.error());
                return;
            }
            const int size = page.size() > 0 ? std::min(page.size(), page_most) : page_most;
            v1::ListMirrorPartitionsResponse response;
            // Names in pages are topic-partition with leading zeros, so that they sort.
            const auto name_of = [](const TopicPartition& one) {
                return fmt::format("{}-{:010}", one.topic, one.partition.value);
            };
            for (const mirror::PartitionView& one : *partitions) {
                if ((!topic.empty() && one.partition.topic != topic) ||
                    name_of(one.partition) <= page.after()) {
                    continue;
                }
                if (response.partitions_size() == size) {
                    const auto& last = response.partitions(size - 1).partition();
                    response.set_next(name_of({last.topic(), PartitionIndex{last.partition()}}));
                    break;
                }
                *response.add_partitions() = to_proto(one);
            }
            answer(std::move(response));
        });
}

}  // namespace calls

}  // namespace millrace::admin
