#include "mirror/internal/runner.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "config/listeners.h"
#include "mirror/internal/sealed_secret.h"

namespace millrace::mirror {
namespace {

constexpr Duration longest_backoff = 30s;
constexpr Duration lost_after = 30s;
constexpr Duration drain_tick = 200ms;
constexpr std::size_t default_connections = 4;

/// Brokers that lead a partition which the link writes.
std::int64_t leaders_of_link(const metadata::Image& image, const std::string& link) {
    std::set<BrokerId> leaders;
    for (const LocalTopic& local : topics_of_link(image, link)) {
        for (const auto& entry : image.topics.find(local.id)->partitions) {
            leaders.insert(entry.value->leader);
        }
    }
    leaders.erase(no_broker);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(leaders.size()));
}

std::vector<runtime::Address> addresses_of(const LinkSpec& spec) {
    std::vector<runtime::Address> all;
    for (const std::string& text : spec.bootstrap_servers) {
        if (const auto parsed = config::parse_host_port(text)) {
            all.push_back({parsed->host, parsed->port});
        }
    }
    return all;
}

/// Whether connections made for the one serve the other.
bool same_source(const LinkSpec& a, const LinkSpec& b) {
    const auto how_to_reach = [](const LinkSpec& spec) {
        return std::tie(spec.bootstrap_servers, spec.sasl_mechanism, spec.sasl_username, spec.tls,
                        spec.tls_ca, spec.tls_certificate, spec.tls_server_name);
    };
    return how_to_reach(a) == how_to_reach(b) && a.sasl_password == b.sasl_password &&
           a.tls_key == b.tls_key;
}

}  // namespace

Runner::Runner(Shell& shell, Link link) : shell_(shell), link_(std::move(link)) {}

Runner::~Runner() {
    shell_.control.executor->cancel(timer_);
    shell_.control.executor->cancel(groups_timer_);
}

void Runner::start() {
    phase_ = LinkPhase::connecting;
    lost_since_ = shell_.control.executor->clock().now();
    followed_at_ = lost_since_;
    make_source();
    arm(Duration{});
    arm_groups();
}

void Runner::make_source() {
    client::ClusterOptions options;
    options.bootstrap = addresses_of(link_.spec);
    options.client_id = fmt::format("millrace-link-{}", link_.spec.name);
    const auto open = unsealed(link_.spec, shell_.options.cluster_id);
    if (open && !link_.spec.sasl_mechanism.empty()) {
        options.sasl = {link_.spec.sasl_mechanism, link_.spec.sasl_username, open->sasl_password};
    }
    Result<void> secured;
    if (open && link_.spec.tls) {
        auto wrap = shell_.options.secure(*open);
        if (wrap) {
            options.wrap = *std::move(wrap);
        } else {
            secured = wrap.error();
        }
        options.server_name = link_.spec.tls_server_name;
    }
    groups_.reset();
    groups_busy_ = false;
    under_way_.clear();  // who was asked is gone, and the answer with it
    source_.reset();
    if (!open) {
        fail("SecretUnreadable", open.error().message());
        return;
    }
    if (options.bootstrap.empty()) {
        fail("BadBootstrapServers", "none of the bootstrap servers is host:port");
        return;
    }
    if (!secured) {
        fail("BadCertificates", secured.error().message());
        return;
    }
    source_ = std::make_unique<client::Cluster>(std::move(options), shell_.control, *shell_.log);
}

void Runner::change(Link link) {
    const LinkSpec before = link_.spec;
    link_ = std::move(link);
    const LinkSpec& now = link_.spec;
    refused_.clear();
    has_planned_ = false;
    if (phase_ == LinkPhase::failed) {
        phase_ = LinkPhase::connecting;
        reason_.clear();
        message_.clear();
    }
    if (!same_source(before, now)) {
        looking_ = false;
        make_source();
    }
    hand_out_jobs();
    look_soon();
}

void Runner::on_metadata() {
    hand_out_jobs();
}

// --- Looking at the source ---

void Runner::arm(Duration delay) {
    runtime::Executor& loop = *shell_.control.executor;
    loop.cancel(timer_);
    timer_ = loop.after(delay, [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->timer_ = {};
            self->look();
        }
    });
}

void Runner::look_soon() {
    if (looking_) {
        look_again_ = true;
    } else {
        arm(std::min<Duration>(backoff_, 100ms));
    }
}

void Runner::look() {
    if (looking_ || !source_ || phase_ == LinkPhase::failed) {
        return;
    }
    looking_ = true;
    look_again_ = false;
    const Instant asked = shell_.control.executor->clock().now();
    source_->refresh([weak = weak_from_this(), asked](const Result<client::ClusterInfoPtr>& info) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->looking_ = false;
        self->round_trip_ = self->shell_.control.executor->clock().now() - asked;
        self->on_source(info);
    });
}

Result<void> Runner::check_identity(const client::ClusterInfo& info) {
    if (info.cluster_id == shell_.options.cluster_id) {
        return Error(Code::invalid, "the source is this very cluster");
    }
    const std::string& expected =
        link_.cluster_id.empty() ? link_.spec.expected_cluster_id : link_.cluster_id;
    if (!expected.empty() && expected != info.cluster_id) {
        return Error::make(Code::fenced, "the source is cluster {}, not {}", info.cluster_id,
                           expected);
    }
    return {};
}

void Runner::on_source(const Result<client::ClusterInfoPtr>& info) {
    if (!info) {
        on_source_lost(info.error());
        return;
    }
    if (const auto identity = check_identity(**info); !identity) {
        fail(identity.error().code() == Code::invalid ? "SelfLink" : "ClusterIdMismatch",
             identity.error().message());
        return;
    }
    if (phase_ != LinkPhase::active) {
        MR_LOG(*shell_.log, info, "mirror.source_found", field("link", link_.spec.name),
               field("cluster", (*info)->cluster_id), field("topics", (*info)->topics.size()));
    }
    backoff_ = {};
    info_ = *info;
    phase_ = link_.spec.state == Desired::paused ? LinkPhase::paused : LinkPhase::active;
    reason_.clear();
    message_.clear();
    if (phase_ == LinkPhase::active) {
        followed_at_ = shell_.control.executor->clock().now();
    }
    const metadata::ImagePtr image = shell_.image->current();
    if (is_mine(*image)) {
        if (link_.cluster_id.empty()) {
            pin(info_->cluster_id);
        } else {
            plan(info_.get());
            sync_settings();
        }
    }
    hand_out_jobs();
    arm(look_again_         ? Duration{200ms}
        : draining_.empty() ? shell_.options.look_interval
                            : drain_tick);
}

void Runner::on_source_lost(const Error& why) {
    const Instant now = shell_.control.executor->clock().now();
    if (phase_ == LinkPhase::active || phase_ == LinkPhase::paused) {
        lost_since_ = now;
        phase_ = LinkPhase::degraded;
    }
    if (now - lost_since_ >= lost_after) {
        phase_ = LinkPhase::source_unavailable;
    }
    reason_ = why.code() == Code::permission ? "Unauthorized" : "SourceUnavailable";
    message_ = why.message();
    if (is_mine(*shell_.image->current()) && !link_.cluster_id.empty()) {
        plan(nullptr);  // a wish to promote by force does not wait for the dead
    }
    backoff_ =
        std::clamp<Duration>(backoff_ * 2, shell_.options.first_look_interval, longest_backoff);
    arm(backoff_ / 2 + Duration{shell_.control.random->between(0, backoff_.count() / 2)});
}

void Runner::fail(std::string reason, std::string message) {
    MR_LOG(*shell_.log, warn, "mirror.link_failed", field("link", link_.spec.name),
           field("reason", reason), field("message", message));
    phase_ = LinkPhase::failed;
    reason_ = std::move(reason);
    message_ = std::move(message);
    info_.reset();
    hand_out_jobs();
}

/// Rendezvous: of the brokers that are up, the one whose name mixed with the link's is greatest.
bool Runner::is_mine(const metadata::Image& image) const {
    BrokerId best = no_broker;
    std::uint64_t best_weight = 0;
    for (const auto& entry : image.cluster.brokers) {
        if (entry.value->fenced) {
            continue;
        }
        std::uint64_t weight = 1469598103934665603ULL;
        for (const char c : fmt::format("{}/{}", link_.id, entry.key)) {
            weight = (weight ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        }
        if (best == no_broker || weight > best_weight) {
            best = entry.key;
            best_weight = weight;
        }
    }
    return best == shell_.options.self;
}

void Runner::pin(const std::string& cluster_id) {
    Link pinned = link_;
    pinned.cluster_id = cluster_id;
    ++pinned.version;
    shell_.own->set_link(link_.spec.name, encode(pinned), [weak = weak_from_this()](Result<void>) {
        if (auto self = weak.lock()) {
            self->look_soon();
        }
    });
}

// --- Topics ---

void Runner::plan(const client::ClusterInfo* source) {
    const metadata::ImagePtr image = shell_.image->current();
    const TopicPlan plan = plan_topics({link_, source, *image, missing_});
    if (source != nullptr) {
        missing_.clear();
        for (const LocalTopic& local : topics_of_link(*image, link_.id)) {
            const auto name = link_.spec.source_name(local.name);
            if (name && !source->topics.contains(*name)) {
                missing_.insert(*name);
                look_again_ = look_again_ || local.note.stage == Stage::mirroring;
            }
        }
        refused_ = plan.refused;
        has_planned_ = true;
        creating_.clear();
        for (const TopicAction& action : plan.actions) {
            if (const auto* create = std::get_if<CreateMirror>(&action)) {
                creating_.insert(create->topic);
            } else if (const auto* adopt = std::get_if<AdoptTopic>(&action)) {
                creating_.insert(adopt->topic);
            }
        }
    }
    for (const TopicAction& action : plan.actions) {
        std::visit(
            [this](const auto& one) {
                if (!under_way_.contains(one.topic)) {
                    act(one);
                }
            },
            action);
    }
    std::erase_if(draining_, [&](const auto& entry) {
        const auto local = local_topic(*image, entry.first);
        return !local || local->note.stage != Stage::promoting;
    });
}

OwnCluster::Done Runner::noted(std::string what, std::string topic) {
    under_way_.insert(topic);
    return [weak = weak_from_this(), what = std::move(what),
            topic = std::move(topic)](const Result<void>& outcome) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->under_way_.erase(topic);
        const bool fine = outcome || outcome.error().code() == Code::exists;
        if (fine) {
            MR_LOG(*self->shell_.log, info, "mirror.topic_changed",
                   field("link", self->link_.spec.name), field("topic", topic),
                   field("what", what));
        } else {
            MR_LOG(*self->shell_.log, warn, "mirror.topic_not_changed",
                   field("link", self->link_.spec.name), field("topic", topic), field("what", what),
                   field("reason", outcome.error().message()));
        }
    };
}

void Runner::act(const CreateMirror& action) {
    under_way_.insert(action.topic);
    read_settings({action.source_topic},
                  [weak = weak_from_this(), action](const Result<Settings>& settings) {
                      auto self = weak.lock();
                      if (!self) {
                          return;
                      }
                      self->under_way_.erase(action.topic);
                      if (settings && settings->contains(action.source_topic)) {
                          self->create(action, settings->at(action.source_topic));
                      }
                  });
}

void Runner::create(const CreateMirror& action,
                    const std::map<std::string, std::string>& settings) {
    const auto chain = chain_of(settings);
    if (!chain) {
        refused_[action.topic] = HaltReason::provenance_loop;
        return;
    }
    SettingChanges changes = setting_changes(settings, {});
    changes[std::string(topic_setting::link)] = link_.id;
    changes[std::string(topic_setting::state)] = to_text({});
    changes[std::string(topic_setting::chain)] = *chain;
    changes[std::string(topic_setting::source_topic)] = action.source_id.to_string();
    shell_.own->create_topic(action.topic, action.partitions, shell_.options.replication_factor,
                             changes, noted("created", action.topic));
}

void Runner::act(const AdoptTopic& action) {
    under_way_.insert(action.topic);
    read_settings({action.source_topic}, [weak = weak_from_this(),
                                          action](const Result<Settings>& settings) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->under_way_.erase(action.topic);
        if (!settings || !settings->contains(action.source_topic)) {
            return;
        }
        const auto chain = self->chain_of(settings->at(action.source_topic));
        if (!chain) {
            self->refused_[action.topic] = HaltReason::provenance_loop;
            return;
        }
        SettingChanges changes;
        changes[std::string(topic_setting::link)] = self->link_.id;
        changes[std::string(topic_setting::state)] = to_text({});
        changes[std::string(topic_setting::chain)] = *chain;
        changes[std::string(topic_setting::source_topic)] = action.source_id.to_string();
        changes[std::string(topic_setting::promotion)] = std::nullopt;  // of a link of before
        self->shell_.own->set_topic(action.topic, changes, self->noted("adopted", action.topic));
    });
}

/// The clusters that the source's topic came through, itself first; none if it comes from us and
/// still follows us.
std::optional<std::string> Runner::chain_of(
    const std::map<std::string, std::string>& settings) const {
    const auto get = [&](std::string_view name) {
        const auto found = settings.find(std::string(name));
        return found == settings.end() ? std::string() : found->second;
    };
    const std::string came = get(topic_setting::chain);
    const bool is_ours = came.find(shell_.options.cluster_id) != std::string::npos;
    if (is_ours && stage_of(get(topic_setting::state)).stage != Stage::promoted) {
        return std::nullopt;
    }
    return came.empty() || is_ours ? link_.cluster_id : link_.cluster_id + ";" + came;
}

void Runner::act(const GrowMirror& action) {
    shell_.own->grow_topic(action.topic, action.partitions, noted("grown", action.topic));
}

void Runner::act(const SetStage& action) {
    SettingChanges changes;
    changes[std::string(topic_setting::state)] = to_text(action.note);
    if (action.note.stage == Stage::promoted) {
        // Who was fenced when the other side took over is not any more.
        changes[std::string(topic_setting::fenced)] = std::nullopt;
    } else {
        changes[std::string(topic_setting::promotion)] = std::nullopt;
    }
    const auto local = local_topic(*shell_.image->current(), action.topic);
    const auto source = link_.spec.source_name(action.topic);
    if (local && source && source_ && local->note.stage == Stage::promoting &&
        action.note.stage != Stage::promoted) {
        set_fence(*source, std::nullopt, [](const Result<void>&) {});  // the promotion is off
    }
    shell_.own->set_topic(action.topic, changes, noted(to_text(action.note), action.topic));
}

// --- What shards do ---

std::vector<PullJob> Runner::jobs(const metadata::Image& image) const {
    std::vector<PullJob> all;
    if (phase_ == LinkPhase::failed) {
        return all;
    }
    const PartitionPolicy policy{link_.spec.start_from, link_.spec.on_gap,
                                 link_.spec.on_divergence};
    for (const LocalTopic& local : topics_of_link(image, link_.id)) {
        const Stage stage = local.note.stage;
        const auto source_name = link_.spec.source_name(local.name);
        if (!source_name ||
            (stage != Stage::mirroring && stage != Stage::promoting && stage != Stage::promoted)) {
            continue;
        }
        const client::TopicInfo* source = nullptr;
        if (info_) {
            const auto found = info_->topics.find(*source_name);
            // Another incarnation is another topic: never appended to this one.
            const bool same =
                found != info_->topics.end() &&
                (found->second.id.is_zero() || found->second.id == local.source_topic);
            source = same ? &found->second : nullptr;
        }
        for (const auto& entry : image.topics.find(local.id)->partitions) {
            const metadata::Partition& partition = *entry.value;
            const bool seal = stage == Stage::promoted;
            if (partition.leader != shell_.options.self ||
                (seal && local.sealed.contains(entry.key))) {
                continue;
            }
            PullJob job;
            job.id = {local.id, entry.key};
            job.topic = local.name;
            job.leader_epoch = partition.leader_epoch;
            job.source_topic = *source_name;
            job.source_topic_id = local.source_topic;
            job.policy = policy;
            job.read_up_to = link_.spec.read_up_to;
            job.seal = seal;
            const auto cleanup = local.settings.find("cleanup.policy");
            job.is_compacted = cleanup != local.settings.end() &&
                               cleanup->second.find("compact") != std::string::npos;
            if (source != nullptr && !seal) {
                for (const client::PartitionInfo& there : source->partitions) {
                    const auto address = info_->brokers.find(there.leader);
                    if (there.index == entry.key && address != info_->brokers.end()) {
                        job.source_leader = there.leader;
                        job.source_address = address->second;
                        job.source_epoch = there.epoch;
                    }
                }
            }
            all.push_back(std::move(job));
        }
    }
    return all;
}

void Runner::hand_out_jobs() {
    const metadata::ImagePtr image = shell_.image->current();
    const std::size_t shards = shell_.replicas->size();
    std::vector<Puller::Link> links(shards);
    for (PullJob& job : jobs(*image)) {
        const std::size_t shard = shell_.replicas->shard_of(job.id);
        links[shard].jobs.push_back(std::move(job));
    }
    // The limit is the whole link's: each shard that pulls, here and on other brokers, has a share.
    const std::int64_t here = std::count_if(links.begin(), links.end(),
                                            [](const auto& one) { return !one.jobs.empty(); });
    const std::int64_t pulling =
        std::max<std::int64_t>(1, here) * leaders_of_link(*image, link_.id);
    for (std::size_t i = 0; i < shards; ++i) {
        if (source_) {
            links[i].connection = source_->connection_options({});
        }
        links[i].bytes_per_second = link_.spec.bytes_per_second / pulling;
        links[i].connections_per_broker =
            link_.spec.connections_per_broker > 0
                ? static_cast<std::size_t>(link_.spec.connections_per_broker)
                : default_connections;
        shell_.pull(i, link_.id, std::move(links[i]));
    }
}

LinkView Runner::view() const {
    LinkView view;
    view.name = link_.spec.name;
    view.id = link_.id;
    view.version = link_.version;
    const metadata::ImagePtr image = shell_.image->current();
    view.phase = phase_ == LinkPhase::active && !has_planned_ && is_mine(*image)
                     ? LinkPhase::validating
                     : phase_;
    view.reason = reason_;
    view.message = message_.empty() ? draining_message() : message_;
    view.source_cluster_id = link_.cluster_id;
    view.round_trip = round_trip_;
    if (phase_ != LinkPhase::active) {
        view.unseen = shell_.control.executor->clock().now() - followed_at_;
    }
    view.groups_synced = groups_synced_;
    for (const auto& [group, offsets] : clamped_) {
        for (const ClampedOffset& one : offsets) {
            view.clamped.push_back({group, one.partition, one.source, one.written});
        }
    }
    for (const std::string& topic : creating_) {
        const auto local = local_topic(*image, topic);
        if ((!local || local->link != link_.id) && !refused_.contains(topic)) {
            view.topics.push_back({topic, TopicState::initializing, {}, 0, {}});
        }
    }
    view.credentials_valid = reason_ != "Unauthorized";
    for (const auto& [topic, reason] : refused_) {
        view.topics.push_back({topic, TopicState::halted, std::string(to_string(reason)), 0, {}});
    }
    return view;
}

}  // namespace millrace::mirror
