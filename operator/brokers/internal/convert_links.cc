#include "operator/brokers/internal/convert_links.h"

#include <algorithm>
#include <google/protobuf/util/message_differencer.h>
#include <tuple>

namespace millrace::brokers {

namespace {

constexpr std::size_t worst_shown = 10;

v1::LinkDesired to_proto(api::LinkState state) {
    switch (state) {
        case api::LinkState::mirroring:
            return v1::LINK_DESIRED_MIRRORING;
        case api::LinkState::paused:
            return v1::LINK_DESIRED_PAUSED;
        case api::LinkState::promoted:
            return v1::LINK_DESIRED_PROMOTED;
    }
    return v1::LINK_DESIRED_UNSPECIFIED;
}

template <typename From>
void fill(google::protobuf::RepeatedPtrField<std::string>& to, const From& from) {
    to.Assign(from.begin(), from.end());
}

void fill(v1::LinkSource& to, const LinkWish& wish) {
    fill(*to.mutable_bootstrap_servers(), wish.bootstrap);
    to.set_expected_cluster_id(wish.cluster_id);
    to.set_credentials_version(wish.credentials_version);
    if (wish.tls) {
        to.mutable_tls()->set_enabled(true);
        to.mutable_tls()->set_ca_pem(wish.tls->ca_pem);
        to.mutable_tls()->set_certificate_pem(wish.tls->certificate_pem);
        to.mutable_tls()->set_key_pem(wish.tls->key_pem.reveal());
    }
    if (wish.spec.source.auth) {
        to.mutable_sasl()->set_mechanism(
            std::string(api::to_string(wish.spec.source.auth->mechanism)));
        to.mutable_sasl()->set_username(wish.username);
        to.mutable_sasl()->set_password(wish.password.reveal());
    }
}

void fill(v1::LinkPolicy& to, const api::LinkPolicy& from) {
    to.set_read_level(from.read_level == api::ReadLevel::last_stable
                          ? v1::LinkPolicy::READ_LEVEL_LAST_STABLE
                          : v1::LinkPolicy::READ_LEVEL_HIGH_WATERMARK);
    to.set_open_transactions(from.open_transactions == api::OpenTransactions::abort
                                 ? v1::LinkPolicy::OPEN_TRANSACTIONS_ABORT
                                 : v1::LinkPolicy::OPEN_TRANSACTIONS_TRUNCATE_TO_LAST_STABLE);
    to.set_on_gap(from.on_gap == api::OnGap::halt ? v1::LinkPolicy::REACTION_HALT
                                                  : v1::LinkPolicy::REACTION_CONTINUE);
    to.set_on_source_topic_deleted(from.on_source_topic_deleted == api::OnSourceDeleted::remove
                                       ? v1::LinkPolicy::REACTION_DELETE
                                       : v1::LinkPolicy::REACTION_RETAIN);
    to.set_on_source_topic_recreated(from.on_source_topic_recreated ==
                                             api::OnSourceRecreated::archive_and_restart
                                         ? v1::LinkPolicy::REACTION_ARCHIVE_AND_RESTART
                                         : v1::LinkPolicy::REACTION_HALT);
    to.set_on_divergence(from.on_divergence == api::OnDivergence::halt
                             ? v1::LinkPolicy::REACTION_HALT
                             : v1::LinkPolicy::REACTION_TRUNCATE);
}

std::int32_t milliseconds(const api::Span& span) {
    return static_cast<std::int32_t>(std::min<std::int64_t>(span.length.count(), INT32_MAX));
}

std::string word_of(v1::MirrorTopicState state) {
    constexpr std::string_view prefix = "MIRROR_TOPIC_STATE_";
    std::string name = v1::MirrorTopicState_Name(state);
    name.erase(0, std::min(prefix.size(), name.size()));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return name;
}

/// The worse of two brokers' views of the source.
LinkPhase worse(LinkPhase a, LinkPhase b) {
    constexpr LinkPhase best_first[] = {LinkPhase::active,     LinkPhase::paused,
                                        LinkPhase::degraded,   LinkPhase::source_unavailable,
                                        LinkPhase::validating, LinkPhase::connecting,
                                        LinkPhase::pending,    LinkPhase::terminating,
                                        LinkPhase::failed};
    const auto rank = [&](LinkPhase one) {
        return std::find(std::begin(best_first), std::end(best_first), one);
    };
    return rank(a) < rank(b) ? b : a;
}

LinkPhase from_proto(v1::LinkPhase phase) {
    return phase == v1::LINK_PHASE_UNSPECIFIED
               ? LinkPhase::pending
               : static_cast<LinkPhase>(static_cast<int>(phase) - 1);
}

class Merger {
public:
    explicit Merger(LinkFacts& facts) : facts_(facts) {}

    void add(const v1::GetLinkResponse& answer) {
        const v1::LinkState& state = answer.state();
        const bool first = !facts_.exists;
        facts_.exists = true;
        const LinkPhase phase = from_proto(state.phase());
        const LinkPhase both = first ? phase : worse(facts_.phase, phase);
        if (both != facts_.phase || facts_.message.empty()) {
            facts_.reason = state.reason();
            facts_.message = state.message();
        }
        facts_.phase = both;
        facts_.id = answer.id();
        facts_.source_cluster_id = state.source_cluster_id();
        facts_.topics = std::max<std::int64_t>(facts_.topics, state.topics_total());
        // A topic is as wished once everybody says so; who doesn't tell, doesn't say so.
        const std::int64_t as_wished = state.has_topics_as_wished() ? state.topics_as_wished() : -1;
        facts_.topics_as_wished =
            first ? as_wished : std::min<std::int64_t>(facts_.topics_as_wished, as_wished);
        facts_.lag_records += state.lag_records();
        facts_.lag_ms = std::max(facts_.lag_ms, state.max_lag_ms());
        facts_.rpo_ms = std::max(facts_.rpo_ms, state.rpo_ms());
        facts_.credentials_valid = facts_.credentials_valid && state.credentials_valid();
        facts_.groups_synced = facts_.groups_synced || state.groups_synced();
        // The counts of whoever sees the fewest topics in a steady state.
        if (first || state.topics_mirroring() < mirroring_) {
            mirroring_ = state.topics_mirroring();
            facts_.topics_by_state = {state.topics_by_state().begin(),
                                      state.topics_by_state().end()};
        }
        facts_.lacks_room = facts_.lacks_room || state.has_room();
        if (facts_.split.empty()) {  // whoever looks after the link tells
            facts_.split = {state.split_topics().begin(), state.split_topics().end()};
        }
        add_topics(state);
        add_losses(state);
        add_failover(state);
    }

    void finish() {
        for (auto& [name, topic] : topics_) {
            facts_.worst.push_back(std::move(topic));
        }
        std::sort(facts_.worst.begin(), facts_.worst.end(), [](const auto& a, const auto& b) {
            const bool well_a = a.reason.empty();
            const bool well_b = b.reason.empty();
            return std::tie(well_a, b.lag_ms, a.topic) < std::tie(well_b, a.lag_ms, b.topic);
        });
        if (facts_.worst.size() > worst_shown) {
            facts_.worst.resize(worst_shown);
        }
        for (const auto& [place, loss] : losses_) {
            facts_.losses.push_back(loss);
        }
    }

private:
    void add_topics(const v1::LinkState& state) {
        for (const v1::TopicLag& one : state.worst_topics()) {
            LinkTopicFacts& topic = topics_[one.topic()];
            const bool steady = one.state() == v1::MIRROR_TOPIC_STATE_MIRRORING;
            if (topic.topic.empty() || !steady) {
                topic.state = word_of(one.state());
            }
            if (!one.reason().empty()) {
                topic.reason = one.reason();
            }
            topic.topic = one.topic();
            topic.lag_records += one.lag_records();
            topic.lag_ms = std::max(topic.lag_ms, one.lag_ms());
        }
    }

    /// Every broker knows all of them, from the metadata.
    void add_losses(const v1::LinkState& state) {
        for (const v1::Gap& one : state.gaps()) {
            losses_[{one.partition().topic(), one.partition().partition(), one.from(), one.to()}] =
                {one.partition().topic(),
                 one.partition().partition(),
                 one.from(),
                 one.to(),
                 one.at_ms(),
                 one.truncated()};
        }
    }

    void add_failover(const v1::LinkState& state) {
        if (!state.has_last_failover()) {
            return;
        }
        const v1::FailoverReport& from = state.last_failover();
        LinkFailover to = facts_.failover.value_or(LinkFailover{});
        to.clamped = std::max<std::int64_t>(to.clamped, from.clamped_size());
        if (from.partitions() >= to.partitions) {
            to.at_ms = from.at_ms();
            to.topics = from.topics();
            to.partitions = from.partitions();
            to.lost_records = from.lost_records_at_most();
            to.lost_ms = from.lost_ms();
        }
        facts_.failover = to;
    }

    LinkFacts& facts_;
    int mirroring_ = 0;
    std::map<std::string, LinkTopicFacts> topics_;
    std::map<std::tuple<std::string, int, std::int64_t, std::int64_t>, LinkLoss> losses_;
};

/// What an answer can show: everything but the secrets.
v1::LinkSpec without_secrets(v1::LinkSpec spec) {
    if (spec.source().has_tls()) {
        spec.mutable_source()->mutable_tls()->clear_key_pem();
    }
    if (spec.source().has_sasl()) {
        spec.mutable_source()->mutable_sasl()->clear_password();
    }
    return spec;
}

}  // namespace

v1::LinkSpec to_proto(const LinkWish& wish) {
    const api::MirrorLinkSpec& from = wish.spec;
    v1::LinkSpec spec;
    spec.set_name(wish.name);
    fill(*spec.mutable_source(), wish);
    spec.set_naming(from.naming == api::LinkNaming::prefix ? v1::LINK_NAMING_PREFIX
                                                           : v1::LINK_NAMING_IDENTITY);
    spec.set_alias(from.alias.value_or(""));
    fill(*spec.mutable_topics()->mutable_include(), from.topics.include);
    fill(*spec.mutable_topics()->mutable_exclude(), from.topics.exclude);
    spec.mutable_topics()->set_start_from(from.topics.start_from == api::StartFrom::latest
                                              ? v1::LinkTopics::START_FROM_LATEST
                                              : v1::LinkTopics::START_FROM_EARLIEST);
    fill(*spec.mutable_groups()->mutable_include(), from.groups.include);
    fill(*spec.mutable_groups()->mutable_exclude(), from.groups.exclude);
    spec.mutable_groups()->set_interval_ms(milliseconds(from.groups.interval));
    spec.mutable_sync()->set_configs_interval_ms(milliseconds(from.sync.configs));
    spec.mutable_sync()->set_acls(from.sync.acls);
    spec.set_state(to_proto(from.state));
    spec.set_promotion(from.promotion == api::LinkPromotion::forced ? v1::LINK_PROMOTION_FORCED
                                                                    : v1::LINK_PROMOTION_PLANNED);
    for (const api::TopicOverride& one : from.topics.overrides) {
        (*spec.mutable_topic_states())[one.name] = to_proto(one.state);
    }
    spec.set_truncate_existing(from.on_existing_data == api::ExistingData::truncate);
    spec.mutable_limits()->set_bytes_per_second(
        from.limits.bytes_per_second ? from.limits.bytes_per_second->value() : 0);
    const std::string& connections = from.limits.connections_per_broker;
    spec.mutable_limits()->set_connections_per_broker(
        connections == "auto"
            ? 0
            : static_cast<std::int32_t>(std::strtol(connections.c_str(), nullptr, 10)));
    fill(*spec.mutable_policy(), from.policy);
    spec.set_max_lag_ms(from.max_lag.length.count());
    return spec;
}

LinkFacts merge(const LinkWish& wish, const std::vector<v1::GetLinkResponse>& answers) {
    LinkFacts facts;
    Merger merger(facts);
    const v1::LinkSpec wanted = without_secrets(to_proto(wish));
    for (const v1::GetLinkResponse& answer : answers) {
        merger.add(answer);
        // Metadata reaches brokers one after the other: the newest is what holds.
        if (answer.version() >= facts.version) {
            const v1::LinkSource& source = answer.link().source();
            facts.bootstrap = {source.bootstrap_servers().begin(),
                               source.bootstrap_servers().end()};
            facts.expected_cluster_id = source.expected_cluster_id();
            facts.username = source.sasl().username();
            facts.tls.reset();
            if (source.tls().enabled()) {
                facts.tls = LinkTlsMaterial{source.tls().ca_pem(), source.tls().certificate_pem(),
                                            Secret()};
            }
            facts.credentials_version = source.credentials_version();
            facts.version = answer.version();
            facts.is_as_wished = google::protobuf::util::MessageDifferencer::Equals(
                without_secrets(answer.link()), wanted);
        }
    }
    merger.finish();
    return facts;
}

}  // namespace millrace::brokers
