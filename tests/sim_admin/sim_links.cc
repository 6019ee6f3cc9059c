// Mirror links of the simulated cluster: they connect, catch up and are promoted over ticks.
#include <algorithm>
#include <fnmatch.h>

#include "tests/sim_admin/sim_call.h"
#include "tests/sim_admin/sim_cluster.h"

namespace millrace::sim_admin {

namespace {

bool matches(const google::protobuf::RepeatedPtrField<std::string>& globs,
             const std::string& name) {
    return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
        return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0;
    });
}

bool is_mirrored(const v1::LinkSpec& spec, const std::string& topic) {
    return matches(spec.topics().include(), topic) && !matches(spec.topics().exclude(), topic);
}

v1::LinkSpec without_secrets(v1::LinkSpec spec) {
    if (spec.source().has_tls()) {
        spec.mutable_source()->mutable_tls()->clear_key_pem();
    }
    if (spec.source().has_sasl()) {
        spec.mutable_source()->mutable_sasl()->clear_password();
    }
    return spec;
}

/// What is wished for a topic: its own override, or the link's.
v1::LinkDesired desired(const v1::LinkSpec& spec, const std::string& topic) {
    const auto own = spec.topic_states().find(topic);
    return own == spec.topic_states().end() ? spec.state() : own->second;
}

}  // namespace

void SimCluster::add_source(const std::string& bootstrap, const std::string& cluster_id,
                            std::map<std::string, std::int64_t> records_by_topic) {
    const SimCall call{*this, ""};
    sources_[bootstrap] = Source{cluster_id, true, std::move(records_by_topic)};
    moved();
}

void SimCluster::set_source_reachable(const std::string& bootstrap, bool reachable) {
    const SimCall call{*this, ""};
    sources_.at(bootstrap).reachable = reachable;
    moved();
}

void SimCluster::produce_at_source(const std::string& bootstrap, const std::string& topic,
                                   std::int64_t records) {
    const SimCall call{*this, ""};
    sources_.at(bootstrap).records[topic] += records;
    moved();
}

const SimCluster::Source* SimCluster::source_of(const Link& link) const {
    for (const std::string& bootstrap : link.spec.source().bootstrap_servers()) {
        const auto found = sources_.find(bootstrap);
        if (found != sources_.end() && found->second.reachable) {
            return &found->second;
        }
    }
    return nullptr;
}

void SimCluster::promote_topics(Link& link, const Source* source) {
    for (const auto& [topic, records] : link.mirrored) {
        if (desired(link.spec, topic) != v1::LINK_DESIRED_PROMOTED ||
            link.promoted.count(topic) != 0) {
            continue;
        }
        const bool forced = link.spec.promotion() == v1::LINK_PROMOTION_FORCED;
        const bool drained = source != nullptr && source->records.count(topic) != 0 &&
                             source->records.at(topic) == records;
        if (!forced && !drained) {
            continue;  // planned: only when nothing is left at the source
        }
        link.promoted.insert(topic);
        v1::FailoverReport report = link.report.value_or(v1::FailoverReport{});
        report.set_promotion(link.spec.promotion());
        report.set_lost_records_at_most(source == nullptr
                                            ? -1
                                            : report.lost_records_at_most() +
                                                  source->records.at(topic) - records);
        link.report = report;
    }
}

void SimCluster::tick_link(Link& link) {
    const Source* source = source_of(link);
    ++link.ticks;
    if (link.phase == v1::LINK_PHASE_FAILED) {
        return;
    }
    if (source != nullptr && !link.spec.source().expected_cluster_id().empty() &&
        link.spec.source().expected_cluster_id() != source->cluster_id) {
        link.phase = v1::LINK_PHASE_FAILED;
        return;
    }
    if (link.ticks < knobs_.link_connect_ticks) {
        link.phase = v1::LINK_PHASE_CONNECTING;
        return;
    }
    if (source == nullptr) {
        link.phase = v1::LINK_PHASE_SOURCE_UNAVAILABLE;
    } else {
        link.phase = link.spec.state() == v1::LINK_DESIRED_PAUSED ? v1::LINK_PHASE_PAUSED
                                                                  : v1::LINK_PHASE_ACTIVE;
        for (const auto& [topic, records] : source->records) {
            if (!is_mirrored(link.spec, topic) || link.promoted.count(topic) != 0) {
                continue;
            }
            std::int64_t& mirrored = link.mirrored[topic];
            if (desired(link.spec, topic) != v1::LINK_DESIRED_PAUSED) {
                mirrored = std::min(records, mirrored + knobs_.link_records_per_tick);
            }
        }
    }
    promote_topics(link, source);
}

void SimCluster::tick_links() {
    for (auto& [name, link] : links_) {
        tick_link(link);
    }
}

v1::LinkState SimCluster::link_state(const Link& link) const {
    v1::LinkState state;
    const Source* source = source_of(link);
    state.set_name(link.spec.name());
    state.set_phase(link.phase);
    state.set_version(link.version);
    state.set_credentials_valid(true);
    if (link.phase == v1::LINK_PHASE_FAILED) {
        state.set_reason("ClusterIdMismatch");
        state.set_message("the source is another cluster than expected");
    } else if (link.phase == v1::LINK_PHASE_SOURCE_UNAVAILABLE) {
        state.set_reason("SourceUnavailable");
        state.set_message("no source broker can be reached");
    }
    if (source != nullptr) {
        state.set_source_cluster_id(source->cluster_id);
    }
    state.set_topics_as_wished(0);
    for (const auto& [topic, records] : link.mirrored) {
        const std::int64_t end = source != nullptr && source->records.count(topic) != 0
                                     ? source->records.at(topic)
                                     : records;
        const std::int64_t lag = std::max<std::int64_t>(0, end - records);
        const bool promoted = link.promoted.count(topic) != 0;
        auto& worst = *state.add_worst_topics();
        worst.set_topic(topic);
        worst.set_lag_records(promoted ? 0 : lag);
        worst.set_state(
            promoted ? v1::MIRROR_TOPIC_STATE_PROMOTED
            : desired(link.spec, topic) == v1::LINK_DESIRED_PROMOTED
                ? v1::MIRROR_TOPIC_STATE_PROMOTING
            : desired(link.spec, topic) == v1::LINK_DESIRED_PAUSED ? v1::MIRROR_TOPIC_STATE_PAUSED
            : source == nullptr ? v1::MIRROR_TOPIC_STATE_SOURCE_UNAVAILABLE
            // Records under way don't make a mirror that is behind.
            : lag <= knobs_.link_records_per_tick / 10 ? v1::MIRROR_TOPIC_STATE_MIRRORING
                                                       : v1::MIRROR_TOPIC_STATE_CATCHING_UP);
        state.set_topics_total(state.topics_total() + 1);
        state.set_topics_mirroring(state.topics_mirroring() +
                                   (worst.state() == v1::MIRROR_TOPIC_STATE_MIRRORING ? 1 : 0));
        const v1::LinkDesired wish = desired(link.spec, topic);
        const bool is_as_wished = wish == v1::LINK_DESIRED_PROMOTED ? promoted
                                  : wish == v1::LINK_DESIRED_PAUSED
                                      ? worst.state() == v1::MIRROR_TOPIC_STATE_PAUSED
                                      : worst.state() == v1::MIRROR_TOPIC_STATE_MIRRORING;
        state.set_topics_as_wished(state.topics_as_wished() + (is_as_wished ? 1 : 0));
        state.set_lag_records(state.lag_records() + worst.lag_records());
        const std::string name = v1::MirrorTopicState_Name(worst.state()).substr(19);
        std::string key;
        for (const char c : name) {
            key += c == '_' ? '_' : static_cast<char>(c - 'A' + 'a');
        }
        ++(*state.mutable_topics_by_state())[key];
    }
    if (link.report) {
        *state.mutable_last_failover() = *link.report;
    }
    if (const auto said = said_.find(link.spec.name()); said != said_.end()) {
        state.MergeFrom(said->second);
    }
    return state;
}

v1::LinkStatusResponse SimCluster::link_status(const std::string& name) const {
    const std::lock_guard lock{mutex_};
    v1::LinkStatusResponse response;
    for (const auto& [link_name, link] : links_) {
        if (name.empty() || name == link_name) {
            *response.add_links() = link_state(link);
        }
    }
    return response;
}

Result<v1::ApplyLinkResponse> SimCluster::ApplyLink(const v1::ApplyLinkRequest& request) {
    MR_SIM_ENTER(ApplyLink);
    const v1::LinkSpec& spec = request.link();
    if (spec.name().empty() || spec.source().bootstrap_servers().empty()) {
        return Error(Code::invalid, "a link has a name and a source");
    }
    const auto found = links_.find(spec.name());
    const std::int64_t version = found == links_.end() ? 0 : found->second.version;
    if (request.expected_version() != 0 && request.expected_version() != version) {
        return Error::make(Code::fenced, "the link's version is {}, not {}", version,
                           request.expected_version());
    }
    v1::ApplyLinkResponse response;
    const bool same =
        found != links_.end() && found->second.spec.SerializeAsString() == spec.SerializeAsString();
    response.set_changed(!same);
    response.set_version(same ? version : version + 1);
    response.set_id(found == links_.end() ? "new" : found->second.id);
    if (!same && !request.guard().dry_run()) {
        note("ApplyLink " + spec.name());
        Link& link = links_[spec.name()];
        if (link.id.empty()) {
            link.id = new_id("link-");
        }
        // Taking a promoted topic back is failback: the local history is cut to the common part.
        for (auto topic = link.promoted.begin(); topic != link.promoted.end();) {
            const bool back = desired(spec, *topic) != v1::LINK_DESIRED_PROMOTED;
            if (back && !spec.truncate_existing()) {
                return Error::make(Code::fenced, "{} is promoted; truncate_existing takes it back",
                                   *topic);
            }
            topic = back ? link.promoted.erase(topic) : std::next(topic);
        }
        link.spec = spec;
        link.version = version + 1;
        response.set_id(link.id);
        moved();
    }
    return response;
}

Result<v1::GetLinkResponse> SimCluster::GetLink(const v1::GetLinkRequest& request) {
    MR_SIM_ENTER(GetLink);
    const auto found = links_.find(request.name());
    if (found == links_.end()) {
        return Error::make(Code::not_found, "there is no link {}", request.name());
    }
    v1::GetLinkResponse response;
    *response.mutable_link() = without_secrets(found->second.spec);
    response.set_id(found->second.id);
    response.set_version(found->second.version);
    *response.mutable_state() = link_state(found->second);
    return response;
}

Result<v1::ListLinksResponse> SimCluster::ListLinks(const v1::ListLinksRequest&) {
    MR_SIM_ENTER(ListLinks);
    v1::ListLinksResponse response;
    for (const auto& [name, link] : links_) {
        auto& one = *response.add_links();
        *one.mutable_link() = without_secrets(link.spec);
        one.set_id(link.id);
        one.set_version(link.version);
        *one.mutable_state() = link_state(link);
    }
    return response;
}

Result<v1::DeleteLinkResponse> SimCluster::DeleteLink(const v1::DeleteLinkRequest& request) {
    MR_SIM_ENTER(DeleteLink);
    const auto found = links_.find(request.name());
    if (found == links_.end()) {
        return Error::make(Code::not_found, "there is no link {}", request.name());
    }
    if (request.topics() == v1::DeleteLinkRequest::TOPICS_PROMOTE &&
        found->second.promoted.size() < found->second.mirrored.size()) {
        return Error(Code::fenced, "not promoted yet: apply the link with state promoted first");
    }
    if (!request.guard().dry_run()) {
        note("DeleteLink " + request.name());
        links_.erase(request.name());
        moved();
    }
    return v1::DeleteLinkResponse{};
}

Result<v1::ListMirrorPartitionsResponse> SimCluster::ListMirrorPartitions(
    const v1::ListMirrorPartitionsRequest& request) {
    MR_SIM_ENTER(ListMirrorPartitions);
    const auto found = links_.find(request.link());
    if (found == links_.end()) {
        return Error::make(Code::not_found, "there is no link {}", request.link());
    }
    v1::ListMirrorPartitionsResponse response;
    for (const v1::TopicLag& topic : link_state(found->second).worst_topics()) {
        if (!request.topic().empty() && request.topic() != topic.topic()) {
            continue;
        }
        auto& partition = *response.add_partitions();
        partition.mutable_partition()->set_topic(topic.topic());
        partition.set_source_topic(topic.topic());
        partition.set_state(topic.state());
        partition.set_end_offset(found->second.mirrored.at(topic.topic()));
        partition.set_source_high_watermark(partition.end_offset() + topic.lag_records());
    }
    return response;
}

}  // namespace millrace::sim_admin
