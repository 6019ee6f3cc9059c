#include "operator/planner/link_planner.h"

#include <algorithm>
#include <fmt/core.h>

#include "operator/planner/internal/certificate_notes.h"
#include "operator/planner/internal/link_status.h"

namespace millrace::planner {

namespace {

constexpr Duration while_something_happens = 1s;
constexpr Duration while_settled = 5s;

bool is_going(const api::MirrorLink& link) {
    return !link.metadata.deletion_timestamp.empty();
}

bool has_finalizer(const api::MirrorLink& link) {
    const auto& list = link.metadata.finalizers;
    return std::find(list.begin(), list.end(), link_finalizer) != list.end();
}

bool is_there(const std::shared_ptr<const api::Cluster>& cluster) {
    return cluster && cluster->metadata.deletion_timestamp.empty();
}

/// Where the destination's brokers reach a source that is a Cluster.
Result<std::string> bootstrap_of(const api::Cluster& source) {
    MR_TRY(const SourceWay way, way_to(source));
    for (const api::ListenerStatus& status : source.status.listeners) {
        if (status.name == way.listener && !status.bootstrap.empty()) {
            return status.bootstrap;
        }
    }
    return Error::make(Code::unavailable, "Cluster {} has no address yet", source.metadata.name);
}

class LinkPlanner {
public:
    explicit LinkPlanner(const LinkWorld& world) : world_(world) {}

    LinkPlan plan() {
        plan_.again = while_something_happens;
        if (is_going(world_.link)) {
            let_go();
        } else {
            keep();
        }
        LinkTold told = tell_link(world_, wish_error_);
        plan_.status = std::move(told.status);
        plan_.events = std::move(told.events);
        if (told.settled && plan_.act == LinkAct::none && !is_going(world_.link)) {
            plan_.again = while_settled;
        }
        return std::move(plan_);
    }

private:
    void keep() {
        if (!has_finalizer(world_.link)) {
            plan_.finalizers = world_.link.metadata.finalizers;
            plan_.finalizers->emplace_back(link_finalizer);
        }
        auto wish = wish_of(world_);
        if (!wish) {
            wish_error_ = wish.error().message();
            return;
        }
        if (world_.found && !world_.found->is_as_wished) {
            apply(*std::move(wish));
        }
    }

    void apply(brokers::LinkWish wish) {
        plan_.act = LinkAct::apply;
        plan_.wish = std::move(wish);
        plan_.expected_version = world_.found->version;
    }

    void drop_finalizer() {
        if (!has_finalizer(world_.link)) {
            return;
        }
        std::vector<std::string> rest = world_.link.metadata.finalizers;
        std::erase(rest, link_finalizer);
        plan_.finalizers = std::move(rest);
    }

    void let_go() {
        if (!is_there(world_.destination)) {
            drop_finalizer();  // With the cluster goes the link.
            return;
        }
        if (!world_.found) {
            return;  // The cluster is there and doesn't answer: the promise waits.
        }
        if (!world_.found->exists) {
            drop_finalizer();
            return;
        }
        if (world_.link.spec.on_delete == api::OnLinkDelete::keep_read_only) {
            plan_.act = LinkAct::delete_keeping;
            return;
        }
        if (!world_.unreadable.empty()) {  // No wish can be made of it; it may be promoted already.
            plan_.act = LinkAct::delete_promoting;
            wish_error_ = fmt::format(
                "the link is to be promoted before it goes, and its spec can't be read: {}. Mend "
                "it, or say onDelete: KeepReadOnly",
                world_.unreadable);
            return;
        }
        if (!world_.found->is_as_wished) {  // Promotion comes first: the wish of a link that goes.
            auto wish = wish_of(world_);
            if (!wish) {
                wish_error_ = wish.error().message();
                return;
            }
            apply(*std::move(wish));
            return;
        }
        plan_.act = LinkAct::delete_promoting;
    }

    const LinkWorld& world_;
    LinkPlan plan_;
    std::string wish_error_;
};

}  // namespace

Result<SourceWay> way_to(const api::Cluster& source) {
    std::optional<SourceWay> best;
    for (const api::ListenerSpec& listener : api::all_listeners(source.spec)) {
        const bool shows = listener.auth == api::ListenerAuth::tls;
        if (listener.auth != api::ListenerAuth::none && !shows) {
            continue;
        }
        if (!best || (best->tls && !listener.tls)) {
            best = SourceWay{listener.name, listener.tls, shows};
        }
    }
    if (!best) {
        return Error::make(Code::invalid,
                           "every listener of Cluster {} asks for a login; give its addresses as "
                           "source.bootstrapServers with tls and auth",
                           source.metadata.name);
    }
    return *best;
}

std::string why_certificate(const LinkWorld& world) {
    const auto way = world.source ? way_to(*world.source) : Result<SourceWay>(SourceWay{});
    if (!way || !way->shows_certificate || !world.authority || is_going(world.link)) {
        return "";
    }
    if (!world.certificate) {
        return "the source asks for one";
    }
    const kube::Json& authority = *world.authority;
    const kube::Json& held = *world.certificate;
    if (note(held, render::annotation::issuer) != note(authority, render::annotation::serial)) {
        return "another authority issued the old one";
    }
    const api::TlsSpec tls = world.source->spec.tls.value_or(api::TlsSpec{});
    const Timestamp due = end_of(held) + Duration(-Duration(tls.renew_before.length));
    return world.now >= due && end_of(held) < end_of(authority) ? "the old one ends soon" : "";
}

Result<brokers::LinkWish> wish_of(const LinkWorld& world) {
    brokers::LinkWish wish;
    wish.name = world.link.metadata.name;
    wish.spec = world.link.spec;
    if (is_going(world.link) && wish.spec.on_delete == api::OnLinkDelete::promote) {
        wish.spec.state = api::LinkState::promoted;
        wish.spec.topics.overrides.clear();
    }
    // A disaster may have taken the source's object and its Secret too: promotion needs neither,
    // and that of a single topic no more than that of all.
    const auto& overrides = wish.spec.topics.overrides;
    const bool promotes =
        wish.spec.state == api::LinkState::promoted ||
        std::any_of(overrides.begin(), overrides.end(), [](const api::TopicOverride& one) {
            return one.state == api::LinkState::promoted;
        });
    const brokers::LinkFacts* const known =
        world.found && world.found->exists && promotes ? &*world.found : nullptr;
    const api::LinkSource& source = world.link.spec.source;
    if (source.cluster_ref) {
        const auto bootstrap =
            world.source ? bootstrap_of(*world.source)
                         : Result<std::string>(Error::make(Code::not_found,
                                                           "there is no Cluster {} to follow",
                                                           source.cluster_ref->name));
        if (!bootstrap && known == nullptr) {
            return bootstrap.error();
        }
        wish.bootstrap = bootstrap ? std::vector{*bootstrap} : known->bootstrap;
        wish.cluster_id =
            world.source ? world.source->status.cluster_id : known->expected_cluster_id;
    } else {
        wish.bootstrap = source.bootstrap_servers;
    }
    if (source.tls && !source.tls->verify_host_name && known == nullptr) {
        return Error(Code::unsupported,
                     "source.tls.verifyHostName: false is not offered by brokers of this version");
    }
    if (source.cluster_id) {
        wish.cluster_id = *source.cluster_id;
    }
    if (world.secrets.missing.empty()) {
        wish.tls = world.secrets.tls;
        wish.username = world.secrets.username;
        wish.password = world.secrets.password;
        wish.credentials_version = world.secrets.version;
    } else if (known != nullptr) {
        wish.username = known->username;  // The brokers keep the password that goes with it,
        wish.tls = known->tls;            // and the key that goes with its certificate.
        wish.credentials_version = known->credentials_version;
    } else {
        return Error(Code::not_found, world.secrets.missing);
    }
    return wish;
}

LinkPlan plan_link(const LinkWorld& world) {
    return LinkPlanner(world).plan();
}

}  // namespace millrace::planner
