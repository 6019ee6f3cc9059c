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
/// Why a mirror is not begun.
constexpr std::string_view no_room = "NoRoom";

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
    shell_.control.executor->cancel(drain_timer_);
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
    const auto open = unsealed(link_.spec, shell_.options.sealing());
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
    after_groups_ = {};
    horizon_.reset();
    drain_step_ = false;
    under_way_.clear();  // who was asked is gone, and the answer with it
    begins_.clear();
    rejoins_.clear();
    releases_.clear();
    source_.reset();
    ++source_generation_;
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
    at_source_.clear();
    looked_back_at_ = {};
    came_from_here_.clear();
    has_planned_ = false;
    if (phase_ == LinkPhase::failed) {
        phase_ = LinkPhase::connecting;
        reason_.clear();
        message_.clear();
    }
    if (!source_ || !same_source(before, now)) {
        looking_ = false;
        make_source();
    }
    if (before.groups_interval_ms != now.groups_interval_ms) {
        arm_groups();  // the one before may be hours away
    }
    if (is_mine(*shell_.image->current())) {
        plan(nullptr);  // what needs no source is done at once: it may be dead
    }
    hand_out_jobs();
    look_soon();
}

void Runner::on_metadata() {
    hand_out_jobs();
    end_groups(*shell_.image->current());
    if (drains_next_ && knows_source() && is_mine(*shell_.image->current())) {
        plan(nullptr);  // topics may be promoting by now: the source is fenced at once
    }
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
    if (looking_ || !source_ || (phase_ == LinkPhase::failed && !is_another_cluster_)) {
        return;
    }
    looking_ = true;
    look_again_ = false;
    const Instant asked = shell_.control.executor->clock().now();
    source_->refresh([weak = weak_from_this(), asked,
                      version = link_.version](const Result<client::ClusterInfoPtr>& info) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->looking_ = false;
        self->round_trip_ = self->shell_.control.executor->clock().now() - asked;
        self->on_source(info, version);
    });
}

bool Runner::takes_the_place(const client::ClusterInfo& info) const {
    if (link_.cluster_id.empty() || info.cluster_id == link_.cluster_id ||
        info.cluster_id != link_.spec.expected_cluster_id ||
        info.cluster_id == shell_.options.cluster_id || !link_.spec.truncate_existing) {
        return false;
    }
    const std::vector<LocalTopic> topics = topics_of_link(*shell_.image->current(), link_.id);
    return std::all_of(topics.begin(), topics.end(), [](const LocalTopic& one) {
        return is_archive(one) || one.note.stage == Stage::promoted ||
               one.note.stage == Stage::rejoining;
    });
}

Result<void> Runner::check_identity(const client::ClusterInfo& info) {
    if (info.cluster_id == shell_.options.cluster_id) {
        return Error(Code::invalid, "the source is this very cluster");
    }
    // The one that was seen first, and the one that is expected by now.
    for (const std::string* wanted : {&link_.cluster_id, &link_.spec.expected_cluster_id}) {
        if (!wanted->empty() && *wanted != info.cluster_id) {
            return Error::make(Code::fenced, "the source is cluster {}, not {}", info.cluster_id,
                               *wanted);
        }
    }
    return {};
}

void Runner::on_source(const Result<client::ClusterInfoPtr>& info, std::int64_t asked_version) {
    if (!info) {
        on_source_lost(info.error());
        return;
    }
    if (takes_the_place(**info)) {
        if (is_mine(*shell_.image->current())) {
            pin((*info)->cluster_id);
        }
        arm(shell_.options.look_interval);
        return;
    }
    const auto identity = check_identity(**info);
    is_another_cluster_ = !identity;
    if (!identity) {
        fail(identity.error().code() == Code::invalid ? "SelfLink" : "ClusterIdMismatch",
             identity.error().message());
        arm(shell_.options.look_interval);  // the right one may be back behind its address
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
            looked_version_ = asked_version;
            sync_settings();
            watch_horizons();
            look_back();
        }
    }
    hand_out_jobs();
    arm(look_again_                          ? Duration{200ms}
        : draining_.empty() && !drains_next_ ? shell_.options.look_interval
                                             : drain_look);
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
    reason_ = reason_of_loss(why.code() == Code::permission);
    message_ = why.message();
    if (is_mine(*shell_.image->current())) {
        plan(nullptr);  // a wish to promote by force does not wait for the dead
    }
    backoff_ =
        std::clamp<Duration>(backoff_ * 2, shell_.options.first_look_interval, longest_backoff);
    arm(backoff_ / 2 + Duration{shell_.control.random->between(0, backoff_.count() / 2)});
}

void Runner::fail(std::string reason, std::string message) {
    if (phase_ == LinkPhase::failed && reason_ == reason && message_ == message) {
        return;
    }
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
    view.message = !message_.empty()                        ? message_
                   : !draining_.empty()                     ? draining_message()
                   : !room_.lacking.empty()                 ? room_message()
                   : !held_.empty()                         ? held_message()
                   : !left_out_.empty() || !missed_.empty() ? left_out_message()
                                                            : unknown_override_message(*image);
    if (view.message.empty()) {
        view.message = nothing_promoted_message();
    }
    if (view.message.empty()) {
        view.message = unmatched_message();
    }
    if (source_ && phase_ == LinkPhase::active) {
        for (const auto& [topic, there] : at_source_) {
            if (there.takes_writes && !refused_.contains(topic)) {
                view.split.push_back(topic);
            }
        }
    }
    for (const auto& [topic, hold] : held_) {
        view.held.emplace(topic, to_string(hold));
    }
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
    if (!room_.lacking.empty()) {
        view.room = {{room_.lacking.begin(), room_.lacking.end()}, room_.needed, room_.left};
    }
    for (const std::string& topic : creating_) {
        const auto local = local_topic(*image, topic);
        if ((!local || local->link != link_.id) && !refused_.contains(topic)) {
            view.topics.push_back({topic,
                                   TopicState::initializing,
                                   room_.lacking.contains(topic) ? std::string(no_room) : "",
                                   0,
                                   {}});
        }
    }
    view.credentials_valid = reason_ != "Unauthorized";
    for (const auto& [topic, reason] : refused_) {
        view.topics.push_back({topic, TopicState::halted, std::string(to_string(reason)), 0, {}});
    }
    return view;
}

}  // namespace millrace::mirror
