// What ClusterReconciler does about certificates: each action is one write of one Secret, refused
// if somebody wrote it since it was read.
#include <fmt/core.h>

#include "operator/kube/base64.h"
#include "operator/kube/time_text.h"
#include "operator/reconcile/certificate_secrets.h"
#include "operator/reconcile/cluster_reconciler.h"
#include "operator/render/names.h"

namespace millrace::reconcile {

namespace {

using certificates::Authority;
using certificates::KeyPair;
using kube::Json;
using kube::ObjectKey;
using kube::ObjectPtr;
using planner::World;

/// Authorities are made to outlive what they sign by far.
constexpr Duration authority_lasts = std::chrono::hours(24 * 3650);

/// What the planner reads of an authority without opening a certificate.
Result<api::Texts> notes_of(const Authority& authority) {
    MR_TRY(const Timestamp end, certificates::end_of_validity(authority.signer.certificate_pem));
    api::Texts notes;
    notes[std::string(render::annotation::not_after)] = std::to_string(end.milliseconds);
    notes[std::string(render::annotation::serial)] =
        render::content_hash(authority.signer.certificate_pem);
    notes[std::string(render::annotation::trusts)] =
        joined(certificates::fingerprints_of(authority.trusted_pem));
    notes[std::string(render::annotation::next)] =
        authority.next ? render::content_hash(authority.next->certificate_pem) : "";
    return notes;
}

void put_data(Json& secret, const certificates::Entries& entries) {
    secret["data"] = Json(Json::Object{});
    for (const auto& [name, value] : entries) {
        secret["data"][name] = kube::to_base64(value);
    }
}

}  // namespace

Result<ObjectPtr> ClusterReconciler::own_authority(const World& world) {
    const auto& tls = world.cluster.spec.tls;
    if (!tls || tls->ca != api::CertificateAuthority::secret) {
        return ObjectPtr{};
    }
    auto secret = parts_.api->get(kube::secrets,
                                  {world.cluster.metadata.space, tls->secret_name.value_or("")});
    if (!secret && secret.error().code() == Code::not_found) {
        return ObjectPtr{};
    }
    MR_TRY(auto found, std::move(secret));
    return std::make_shared<const Json>(std::move(found));
}

/// A person's own, or one made now.
Result<KeyPair> ClusterReconciler::next_signer(const World& world) {
    if (world.own_authority) {
        const Json& data = (*world.own_authority)["data"];
        MR_TRY(auto certificate, kube::from_base64(data["tls.crt"].text()));
        MR_TRY(auto key, kube::from_base64(data["tls.key"].text()));
        KeyPair own{std::move(certificate), Secret(std::move(key))};
        if (const auto fine = certificates::can_sign(own); !fine) {
            return Error::make(Code::invalid, "Secret {}: {}",
                               (*world.own_authority)["metadata"]["name"].text(),
                               fine.error().message());
        }
        return own;
    }
    // Two authorities of one cluster have two names: some clients look for an issuer by its name.
    return certificates::make_authority(
        fmt::format("{} authority {}", world.cluster.metadata.name, kube::time_text(world.now)),
        {world.now, authority_lasts});
}

Result<void> ClusterReconciler::issue_authority(const World& world) {
    MR_TRY(auto signer, next_signer(world));
    const Authority made = Authority::of(std::move(signer));
    MR_TRY(auto notes, notes_of(made));
    const auto& asked = world.cluster.metadata.annotations;
    if (const auto found = asked.find(render::annotation::renew_authority); found != asked.end()) {
        notes[std::string(render::annotation::renewed_for)] = found->second;
    }
    // Created, never overwritten: a second operator's must not replace the first one's.
    auto result = parts_.api->create(
        kube::secrets, render::secret({world.cluster, parts_.around},
                                      render::authority_name(world.cluster.metadata.name), -1,
                                      certificates::entries_of(made), notes));
    if (result) {
        parts_.cache(kube::secrets).note_written(*result);
    }
    return counted(kube::secrets, "create", result ? Result<void>{} : result.error());
}

/// Created, never overwritten: what was sealed under the first one could not be opened any more.
Result<void> ClusterReconciler::issue_links_key(const World& world) {
    MR_TRY(const Secret key, certificates::make_random_key());
    auto result = parts_.api->create(
        kube::secrets, render::links_key({world.cluster, parts_.around}, key.reveal() + "\n"));
    if (result) {
        parts_.cache(kube::secrets).note_written(*result);
    }
    return counted(kube::secrets, "create", result ? Result<void>{} : result.error());
}

Result<ObjectPtr> ClusterReconciler::authority_of(const World& world) {
    const std::string name = render::authority_name(world.cluster.metadata.name);
    ObjectPtr secret = parts_.cache(kube::secrets).get({world.cluster.metadata.space, name});
    if (!secret) {
        return Error::make(Code::fenced, "Secret {} is gone", name);
    }
    return secret;
}

/// As it was read, with changes; refused if somebody changed it since.
Result<void> ClusterReconciler::replace_secret(const Json& secret) {
    auto result = parts_.api->replace(kube::secrets, secret);
    if (result) {
        parts_.cache(kube::secrets).note_written(*result);
    }
    return counted(kube::secrets, "replace", result ? Result<void>{} : result.error());
}

Result<void> ClusterReconciler::renew_authority(const World& world,
                                                const planner::RenewAuthority& change) {
    using Step = planner::RenewAuthority::Step;
    MR_TRY(const auto stored, authority_of(world));
    MR_TRY(auto authority, authority_in(*stored));
    Json next = *stored;
    if (change.step == Step::introduce) {
        MR_TRY(auto signer, next_signer(world));
        authority = certificates::introduce(std::move(authority), std::move(signer));
    } else if (change.step == Step::put_in_charge) {
        if (!authority.next) {
            return Error(Code::fenced, "the next authority is gone");
        }
        authority = certificates::put_in_charge(std::move(authority));
        next["metadata"]["annotations"][render::annotation::renewed_for] = change.renewed_for;
    } else {
        authority = certificates::retire_others(std::move(authority));
    }
    put_data(next, certificates::entries_of(authority));
    MR_TRY(const auto notes, notes_of(authority));
    for (const auto& [name, value] : notes) {
        next["metadata"]["annotations"][name] = value;
    }
    return replace_secret(next);
}

Result<void> ClusterReconciler::issue(const World& world, const planner::IssueCertificate& wanted) {
    MR_TRY(const auto stored, authority_of(world));
    const api::TlsSpec tls = world.cluster.spec.tls.value_or(api::TlsSpec{});
    MR_TRY(const auto issued,
           issue_certificate(*stored, {wanted.common_name,
                                       wanted.names,
                                       wanted.broker >= 0,
                                       {world.now, Duration(tls.validity.length)}}));
    return apply(kube::secrets, render::secret({world.cluster, parts_.around}, wanted.secret,
                                               wanted.broker, issued.data, issued.annotations));
}

Result<void> ClusterReconciler::hurry(const planner::Hurry& pod) {
    Json patch = Json(Json::Object{});
    patch["metadata"]["annotations"][render::annotation::hurried] = pod.mark;
    auto result = parts_.api->merge(kube::pods, pod.pod, patch);
    if (!result && result.error().code() == Code::not_found) {
        return {};  // Its successor starts with what is there then.
    }
    if (result) {
        parts_.cache(kube::pods).note_written(*result);
    }
    return counted(kube::pods, "patch", result ? Result<void>{} : result.error());
}

Result<void> ClusterReconciler::update_trust(const World& world,
                                             const planner::UpdateTrust& update) {
    MR_TRY(const auto authority, authority_of(world));
    const ObjectPtr secret =
        parts_.cache(kube::secrets).get({world.cluster.metadata.space, update.secret});
    if (!secret) {
        return Error::make(Code::fenced, "Secret {} is gone", update.secret);
    }
    Json next = *secret;
    next["data"]["ca.crt"] = (*authority)["data"]["ca.crt"];
    next["metadata"]["annotations"][render::annotation::trusts] =
        noted(*authority, render::annotation::trusts);
    return replace_secret(next);
}

}  // namespace millrace::reconcile
