#include "operator/reconcile/link_reconciler.h"

#include <algorithm>
#include <fmt/core.h>

#include "operator/kube/base64.h"
#include "operator/kube/time_text.h"
#include "operator/reconcile/certificate_secrets.h"
#include "operator/render/names.h"

namespace millrace::reconcile {

namespace {

using kube::Json;
using kube::ObjectKey;
using planner::LinkAct;
using planner::LinkPlan;
using planner::LinkWorld;

ObjectKey key_of(const api::MirrorLink& link) {
    return {link.metadata.space, link.metadata.name};
}

Json identity_of(const api::MirrorLink& link) {
    Json object = Json::object({{"apiVersion", "millrace.dev/v1"}, {"kind", "MirrorLink"}});
    object["metadata"] =
        Json::object({{"name", link.metadata.name}, {"namespace", link.metadata.space}});
    return object;
}

/// One entry of a Secret, and a sentence if it isn't there.
std::string entry(const Json& secret, const std::string& name, std::string& missing) {
    const auto value = kube::from_base64(secret["data"][name].text());
    if (!value || value->empty()) {
        missing = fmt::format("Secret {} has no {}", secret["metadata"]["name"].text(), name);
        return {};
    }
    return *value;
}

std::string called(const LinkPlan& plan) {
    switch (plan.act) {
        case LinkAct::apply:
            return "ApplyLink";
        case LinkAct::delete_keeping:
        case LinkAct::delete_promoting:
            return "DeleteLink";
        case LinkAct::none:
            break;
    }
    return "GetLink";
}

}  // namespace

std::shared_ptr<const api::Cluster> LinkReconciler::cluster(const std::string& space,
                                                            const std::string& name) {
    const kube::ObjectPtr object = parts_.cache(clusters).get({space, name});
    if (!object) {
        return nullptr;
    }
    auto cluster = api::parse_cluster(*object);
    if (!cluster) {  // Its own status says what is wrong with it.
        cluster = api::Cluster{};
        cluster->metadata = api::parse_metadata(*object);
    }
    return std::make_shared<const api::Cluster>(*std::move(cluster));
}

/// Read each time: a rotated password is noticed without watching everybody's Secrets.
Result<planner::LinkSecrets> LinkReconciler::read_secrets(const api::MirrorLink& link) {
    planner::LinkSecrets secrets;
    const auto read = [&](const std::string& name) -> Result<Json> {
        auto secret = parts_.api->get(kube::secrets, {link.metadata.space, name});
        if (!secret && secret.error().code() == Code::not_found) {
            secrets.missing = fmt::format("there is no Secret {}", name);
            return Json{};
        }
        if (secret) {
            secrets.version += fmt::format("{}{}/{}", secrets.version.empty() ? "" : " ", name,
                                           (*secret)["metadata"]["resourceVersion"].text());
        }
        return secret;
    };
    const api::LinkSource& source = link.spec.source;
    if (source.auth) {
        MR_TRY(const Json secret, read(source.auth->secret_name));
        if (secret.is_object()) {
            secrets.username = entry(secret, "username", secrets.missing);
            secrets.password = Secret(entry(secret, "password", secrets.missing));
        }
    }
    if (source.tls) {
        secrets.tls = brokers::LinkTlsMaterial{};
        if (source.tls->ca_secret) {
            MR_TRY(const Json secret, read(*source.tls->ca_secret));
            if (secret.is_object()) {
                secrets.tls->ca_pem = entry(secret, "ca.crt", secrets.missing);
            }
        }
        if (source.tls->client_secret) {
            MR_TRY(const Json secret, read(*source.tls->client_secret));
            if (secret.is_object()) {
                secrets.tls->certificate_pem = entry(secret, "tls.crt", secrets.missing);
                secrets.tls->key_pem = Secret(entry(secret, "tls.key", secrets.missing));
            }
        }
    }
    return secrets;
}

Result<LinkWorld> LinkReconciler::observe(const api::MirrorLink& link) {
    LinkWorld world;
    world.link = link;
    world.destination = cluster(link.metadata.space, link.spec.cluster_ref.name);
    if (link.spec.source.cluster_ref) {
        world.source = cluster(link.metadata.space, link.spec.source.cluster_ref->name);
    }
    MR_TRY(world.secrets, read_secrets(link));
    world.now = parts_.clock->wall();
    look_up_source(world);
    return world;
}

void LinkReconciler::look_up_source(LinkWorld& world) {
    const auto way = world.source ? planner::way_to(*world.source)
                                  : Result<planner::SourceWay>(planner::SourceWay{});
    if (!way || !way->tls) {
        return;
    }
    const auto find = [&](const std::string& name) {
        return parts_.cache(kube::secrets).get({world.link.metadata.space, name});
    };
    const std::string authority = render::authority_name(world.source->metadata.name);
    const std::string own = render::link_certificate_name(world.link.metadata.name);
    world.authority = find(authority);
    world.certificate = find(own);
    planner::LinkSecrets& secrets = world.secrets = {};
    secrets.tls = brokers::LinkTlsMaterial{};
    if (!world.authority) {
        secrets.missing = fmt::format("Cluster {} has no authority yet (Secret {})",
                                      world.source->metadata.name, authority);
        return;
    }
    secrets.tls->ca_pem = entry(*world.authority, "ca.crt", secrets.missing);
    secrets.version = fmt::format("{}/{}", authority, render::content_hash(secrets.tls->ca_pem));
    if (!way->shows_certificate) {
        return;
    }
    if (!world.certificate) {
        secrets.missing = fmt::format("there is no Secret {} yet", own);
        return;
    }
    secrets.tls->certificate_pem = entry(*world.certificate, "tls.crt", secrets.missing);
    secrets.tls->key_pem = Secret(entry(*world.certificate, "tls.key", secrets.missing));
    secrets.version +=
        fmt::format(" {}/{}", own, noted(*world.certificate, render::annotation::serial));
}

/// Signed by the source's authority, named after the link: what the source's brokers see.
Result<void> LinkReconciler::issue_certificate(const LinkWorld& world, const std::string& why) {
    if (!parts_.may_write()) {
        return Error(Code::not_leader, "another operator leads now");
    }
    const api::MirrorLink& link = world.link;
    const api::TlsSpec tls = world.source->spec.tls.value_or(api::TlsSpec{});
    MR_TRY(const auto issued,
           reconcile::issue_certificate(
               *world.authority,
               {link.metadata.name, {}, false, {world.now, Duration(tls.validity.length)}}));
    auto written = parts_.api->apply(
        kube::secrets, render::link_certificate(link, issued.data, issued.annotations));
    if (parts_.meter != nullptr) {
        parts_.meter->wrote(kube::secrets, "apply", written.has_value());
    }
    if (!written) {
        return written.error();
    }
    parts_.cache(kube::secrets).note_written(*std::move(written));
    MR_LOG(parts_.log, info, "operator.link_certificate_issued",
           field("link", key_of(link).to_string()), field("why", why));
    announce(link, {{false, "CertificateIssued",
                     fmt::format("a certificate to show to Cluster {}: {}",
                                 world.source->metadata.name, why)}});
    return {};
}

void LinkReconciler::look_up(LinkWorld& world, brokers::Admin* admin) {
    world.found.reset();
    if (!world.destination) {
        return;
    }
    if (admin == nullptr || !admin->facts()) {
        world.unreachable = "no broker answers yet";
        return;
    }
    auto wish = planner::wish_of(world);
    // A wish that isn't complete still names the link, and what brokers know may complete it.
    brokers::LinkWish only_name;
    only_name.name = world.link.metadata.name;
    auto facts = admin->link(wish ? *wish : only_name);
    if (facts && !wish) {
        world.found = *facts;
        wish = planner::wish_of(world);
        if (wish) {
            facts = admin->link(*wish);
        }
        world.found.reset();
    }
    if (parts_.meter != nullptr) {
        parts_.meter->asked_brokers("GetLink", facts.has_value());
    }
    if (facts) {
        world.found = *std::move(facts);
    } else {
        world.unreachable = facts.error().message();
    }
}

/// What was said of a link that worked stays until its cluster was heard, or had time to speak.
Duration LinkReconciler::patience_left(const LinkWorld& world, const brokers::Admin* admin) {
    const auto& link = world.link;
    const Duration left = first_word_.patience_left(key_of(link).to_string(), parts_.clock->now());
    const bool worked = std::any_of(
        link.status.conditions.begin(), link.status.conditions.end(),
        [](const api::Condition& one) { return one.type == "Ready" && one.status == "True"; });
    const bool is_unheard = world.destination && (admin == nullptr || !admin->facts());
    const bool is_edited = link.metadata.generation != link.status.observed_generation;
    return worked && is_unheard && !is_edited ? left : Duration{0};
}

/// The link is about to change: by what the object says now, not by what was heard of it.
Result<bool> LinkReconciler::is_still_wished(const api::MirrorLink& link) {
    const auto now = parts_.api->get(mirror_links, key_of(link));
    if (!now && now.error().code() == Code::not_found) {
        return false;
    }
    if (!now) {
        return now.error();
    }
    const api::Metadata metadata = api::parse_metadata(*now);
    return metadata.uid == link.metadata.uid && metadata.generation == link.metadata.generation &&
           metadata.deletion_timestamp.empty() == link.metadata.deletion_timestamp.empty();
}

void LinkReconciler::act(const LinkPlan& plan, LinkWorld& world, brokers::Admin& admin) {
    Result<void> outcome;
    if (plan.act == LinkAct::apply) {
        outcome = admin.apply_link(plan.wish, plan.expected_version);
    } else {
        outcome =
            admin.delete_link(world.link.metadata.name, plan.act == LinkAct::delete_promoting);
        if (!outcome && outcome.error().code() == Code::not_found) {
            outcome = {};
        }
    }
    if (parts_.meter != nullptr) {
        parts_.meter->asked_brokers(called(plan), outcome.has_value());
    }
    // Somebody was faster, or topics are still being promoted: the next look will tell.
    world.refused.clear();
    if (!outcome && outcome.error().code() != Code::fenced) {
        world.refused = outcome.error().message();
    }
    MR_LOG(parts_.log, info, "operator.link_acted", field("link", key_of(world.link).to_string()),
           field("call", called(plan)),
           field("outcome", outcome ? std::string("done") : outcome.error().message()));
}

void LinkReconciler::announce(const api::MirrorLink& link,
                              const std::vector<planner::LinkEvent>& events) {
    if (parts_.events == nullptr) {
        return;
    }
    Json about = identity_of(link);
    about["metadata"]["uid"] = link.metadata.uid;
    for (const planner::LinkEvent& event : events) {
        parts_.events->note(about,
                            event.is_warning ? kube::EventType::warning : kube::EventType::normal,
                            event.reason, event.message);
    }
}

/// What our parser can't take is told where its author looks.
Result<void> LinkReconciler::refuse(const Json& object, const Error& why) {
    api::MirrorLink link;
    link.metadata = api::parse_metadata(object);
    if (auto before = api::parse_mirror_link_status(object["status"])) {
        link.status = *std::move(before);
    }
    api::MirrorLinkStatus status = link.status;
    status.observed_generation = link.metadata.generation;
    status.state = "Failed";
    status.message = why.message();
    api::Condition condition;
    condition.type = "Ready";
    condition.status = "False";
    condition.reason = "Invalid";
    condition.message = why.message();
    condition.observed_generation = status.observed_generation;
    api::set_condition(status.conditions, std::move(condition),
                       kube::time_text(parts_.clock->wall()));
    return write_status(link, status);
}

Result<std::optional<Duration>> LinkReconciler::reconcile(const ObjectKey& key) {
    const kube::ObjectPtr object = parts_.cache(mirror_links).get(key);
    if (!object) {
        first_word_.forget(key.to_string());
        return std::optional<Duration>{};
    }
    auto link = api::parse_mirror_link(*object);
    std::string unreadable;
    if (!link) {
        if (api::parse_metadata(*object).deletion_timestamp.empty()) {
            MR_TRY_VOID(refuse(*object, link.error()));
            return std::optional<Duration>{};  // Until its author changes it.
        }
        unreadable = link.error().message();
        link = api::outline_of_mirror_link(*object);
    }
    MR_TRY(LinkWorld world, observe(*link));
    world.unreadable = std::move(unreadable);
    if (const std::string why = planner::why_certificate(world); !why.empty()) {
        MR_TRY_VOID(issue_certificate(world, why));
        look_up_source(world);
    }
    const auto admin = parts_.brokers->find(key.space + "/" + link->spec.cluster_ref.name);
    look_up(world, admin.get());
    LinkPlan plan = planner::plan_link(world);
    // A finalizer must be there before the link is: else a delete in between would leave it.
    if (plan.finalizers) {
        MR_TRY_VOID(write_finalizers(*link, *plan.finalizers));
        if (!link->metadata.deletion_timestamp.empty()) {
            return std::optional<Duration>{};
        }
    }
    if (plan.act != LinkAct::none && admin) {
        if (!parts_.may_write()) {
            return Error(Code::not_leader, "another operator leads now");
        }
        MR_TRY(const bool still, is_still_wished(*link));
        if (!still) {
            return std::optional<Duration>{100ms};  // The watch brings the other wish.
        }
        act(plan, world, *admin);
        look_up(world, admin.get());
        plan = planner::plan_link(world);
    }
    if (const Duration patience = patience_left(world, admin.get()); patience > Duration{0}) {
        return std::optional<Duration>{patience};
    }
    MR_TRY_VOID(write_status(*link, plan.status));
    announce(*link, plan.events);
    return std::optional<Duration>{plan.again};
}

Result<void> LinkReconciler::write_finalizers(const api::MirrorLink& link,
                                              const std::vector<std::string>& finalizers) {
    if (!parts_.may_write()) {
        return Error(Code::not_leader, "another operator leads now");
    }
    Json patch = Json(Json::Object{});
    // Only as decided on: somebody else's finalizer must not get lost.
    patch["metadata"]["resourceVersion"] = link.metadata.resource_version;
    patch["metadata"]["finalizers"] = Json(Json::Array{});
    for (const std::string& finalizer : finalizers) {
        patch["metadata"]["finalizers"].push_back(finalizer);
    }
    auto written = parts_.api->merge(mirror_links, key_of(link), patch);
    if (parts_.meter != nullptr) {
        parts_.meter->wrote(mirror_links, "patch", written.has_value());
    }
    if (written) {
        parts_.cache(mirror_links).note_written(*std::move(written));
        return {};
    }
    return written.error().code() == Code::not_found ? Result<void>{} : written.error();
}

Result<void> LinkReconciler::write_status(const api::MirrorLink& link,
                                          const api::MirrorLinkStatus& status) {
    if (status == link.status) {
        return {};
    }
    if (!parts_.may_write()) {
        return Error(Code::not_leader, "another operator leads now");
    }
    Json object = identity_of(link);
    object["status"] = api::to_json(status);
    auto written = parts_.api->apply_status(mirror_links, object);
    if (parts_.meter != nullptr) {
        parts_.meter->wrote(mirror_links, "status", written.has_value());
    }
    if (written) {
        parts_.cache(mirror_links).note_written(*std::move(written));
        return {};
    }
    return written.error().code() == Code::not_found ? Result<void>{} : written.error();
}

}  // namespace millrace::reconcile
