// The cluster's own authority, a certificate for every broker and for the operator, and the way
// from one authority to the next: everybody believes both, then the next one signs, then the old
// one is believed no more. Each step waits until every node says that it has taken up the last.
#include <algorithm>
#include <fmt/core.h>

#include "operator/kube/base64.h"
#include "operator/planner/internal/certificate_notes.h"
#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

using Step = RenewAuthority::Step;

/// Renewal is looked at again after at most this long.
constexpr Duration look_again = std::chrono::hours(6);
/// A Secret of a person's own is not watched.
constexpr Duration look_at_own_again = std::chrono::minutes(2);
/// Nobody tells when a node has taken up its files.
constexpr Duration ask_again = std::chrono::seconds(2);
constexpr std::string_view only_prepare = "prepare";

std::vector<std::string> parts_of(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

bool has_all(std::vector<std::string> all, std::vector<std::string> wanted) {
    std::sort(all.begin(), all.end());
    std::sort(wanted.begin(), wanted.end());
    return std::includes(all.begin(), all.end(), wanted.begin(), wanted.end());
}

Duration renew_before(const Draft& draft) {
    return Duration(draft.world.cluster.spec.tls.value_or(api::TlsSpec{}).renew_before.length);
}

/// Why its owner needs another certificate; empty: this one does.
std::string why_anew(const Draft& draft, const Json& secret, const Json& authority,
                     const IssueCertificate& wanted) {
    if (note(secret, render::annotation::issuer) != note(authority, render::annotation::serial)) {
        return "another authority issued the old one";
    }
    const std::string& names = note(secret, render::annotation::names);
    if (!names.empty() && !has_all(parts_of(names), wanted.names)) {
        return "its owner is reached by another name now";
    }
    const Timestamp due = end_of(secret) + Duration(-renew_before(draft));
    // One that would end at the same time is no better.
    const bool can_last_longer = end_of(secret) < end_of(authority);
    return draft.world.now >= due && can_last_longer ? "the old one ends soon" : "";
}

void keep_certificate(Draft& draft, const Json& authority, IssueCertificate wanted) {
    const ObjectPtr found = draft.find(draft.world.secrets, wanted.secret);
    const std::string why =
        found ? why_anew(draft, *found, authority, wanted) : std::string("it is needed");
    if (!why.empty()) {
        draft.missing_certificates += found ? 0 : 1;
        draft.act(Lane::certificates, std::move(wanted), "CertificateIssued", why);
        return;
    }
    if (note(*found, render::annotation::trusts) != note(authority, render::annotation::trusts)) {
        draft.act(Lane::certificates, UpdateTrust{wanted.secret}, "",
                  "it is to believe whom the cluster believes now");
    }
    const Timestamp due = end_of(*found) + Duration(-renew_before(draft));
    if (draft.world.now < due) {
        draft.look_again_in(std::min<Duration>(due - draft.world.now, look_again));
    }
}

/// What clients and brokers call it; none: its address, which they need, isn't known yet.
std::vector<std::string> names_of(const Draft& draft, const render::Member& member) {
    std::vector<std::string> names = render::server_names(draft.subject, member.id);
    const auto add = [&](const std::string& name) {
        if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(name);
        }
    };
    if (draft.world.around.domain.empty()) {
        const auto pod = draft.pods.find(member.id);
        if (pod == draft.pods.end() || pod->second.ip.empty()) {
            return {};
        }
        add(pod->second.ip);
    }
    bool serves_clients = false;
    for (const api::ListenerSpec& listener : api::all_listeners(draft.world.cluster.spec)) {
        if (!member.broker || !listener.tls) {
            continue;
        }
        serves_clients = true;
        if (has_service_per_broker(listener) || listener.advertised) {
            const std::string address = outside_address(draft, member.id, listener);
            add(address.substr(0, address.rfind(':')));
        }
    }
    if (serves_clients) {
        for (const std::string& name : render::bootstrap_names(draft.subject)) {
            add(name);
        }
        if (const ObjectPtr service =
                draft.find(draft.world.services, render::bootstrap_name(draft.name()))) {
            add((*service)["spec"]["clusterIP"].text());
        }
    }
    return names;
}

void keep_certificates(Draft& draft, const Json& authority) {
    for (const auto& [id, member] : draft.running) {
        std::vector<std::string> names = names_of(draft, member);
        if (names.empty()) {
            draft.missing_certificates += 1;
            continue;
        }
        keep_certificate(draft, authority,
                         {render::certificate_name(draft.name(), id),
                          render::pod_name(draft.name(), id), std::move(names), id});
    }
    // Last: who is asked to let it in has taken up the new authority by then.
    keep_certificate(
        draft, authority,
        {render::operator_certificate_name(draft.name()), "millrace-operator", {}, -1});
}

/// Nodes that run and don't say yet what `has_taken_up` wants to hear. None: nobody could be asked.
template <typename Condition>
std::optional<std::vector<int>> behind(Draft& draft, const Condition& has_taken_up) {
    const auto& answer = draft.world.answers.certificates;
    if (!answer) {
        draft.plan.questions.emplace_back(AskCertificates{});
        return std::nullopt;
    }
    const brokers::CertificateUses nobody;
    const brokers::CertificateUses& uses = answer->value ? *answer->value : nobody;
    std::vector<int> ids;
    for (const auto& [id, pod] : draft.pods) {
        // Who has never started takes what is there when it does.
        if (pod.going || pod.ended || pod.ip.empty() || !pod.trouble.empty()) {
            continue;
        }
        const auto use = uses.find(id);
        if (use == uses.end() || !has_taken_up(id, use->second)) {
            ids.push_back(id);
        }
    }
    return ids;
}

/// Its node has what it needs and doesn't know it yet.
void hurry(Draft& draft, int id) {
    const ObjectPtr secret =
        draft.find(draft.world.secrets, render::certificate_name(draft.name(), id));
    if (!secret) {
        return;
    }
    const Json& pod = *draft.pods.at(id).object;
    const std::string mark = render::content_hash(note(*secret, render::annotation::serial) + " " +
                                                  note(*secret, render::annotation::trusts));
    if (note(pod, render::annotation::hurried) != mark) {
        draft.act(Lane::certificates, Hurry{kube::key_of(pod), mark}, "",
                  "its node is to look at the pod's certificate now");
    }
}

/// True once nobody is behind; else the status says who is.
template <typename Condition>
bool all_have(Draft& draft, std::string_view what, const Condition& has_taken_up) {
    const auto ids = behind(draft, has_taken_up);
    if (ids && ids->empty()) {
        return true;
    }
    if (ids) {
        for (const int id : *ids) {
            hurry(draft, id);
        }
        draft.certificates_wait =
            fmt::format("a new authority takes over: broker {} has yet to {}", ids->front(), what);
        draft.look_again_in(ask_again);
    }
    return false;
}

struct Wish {
    bool introduce = false;
    bool put_in_charge = false;
    bool withdrawn = false;  ///< Who was introduced isn't wanted any more.
    std::string why;
    std::string renewed_for;
};

/// What the spec, a person or the time wants of the authority.
Wish wish_of(Draft& draft, const Json& authority) {
    Wish wish;
    const api::Texts& annotations = draft.world.cluster.metadata.annotations;
    const auto asking = annotations.find(render::annotation::renew_authority);
    const std::string asked = asking == annotations.end() ? "" : asking->second;
    wish.renewed_for = asked;
    const bool is_asked =
        !asked.empty() && asked != note(authority, render::annotation::renewed_for);
    const bool may_go_on = asked != only_prepare;
    const api::TlsSpec tls = draft.world.cluster.spec.tls.value_or(api::TlsSpec{});
    if (tls.ca == api::CertificateAuthority::secret) {
        draft.look_again_in(look_at_own_again);
        if (!draft.world.own_authority) {
            draft.certificates_problem =
                fmt::format("spec.tls.secretName: there is no Secret {} with tls.crt and tls.key",
                            tls.secret_name.value_or(""));
            return wish;
        }
        const auto pem = kube::from_base64((*draft.world.own_authority)["data"]["tls.crt"].text());
        const std::string serial = pem ? render::content_hash(*pem) : "";
        const bool differs = serial != note(authority, render::annotation::serial);
        wish.introduce = differs && serial != note(authority, render::annotation::next);
        wish.put_in_charge = differs && may_go_on;
        wish.withdrawn = !differs;
        wish.why = fmt::format("Secret {} has another one", tls.secret_name.value_or(""));
        return wish;
    }
    // Leaves end with their authority at the latest: it is replaced before it shortens them, and
    // clients that keep a copy of ca.crt have some time to renew it.
    const Duration left = end_of(authority) - draft.world.now;
    const Duration early = renew_before(draft);
    wish.introduce = is_asked || left < early * 3;
    wish.put_in_charge = may_go_on && (is_asked || left < early * 3 / 2);
    wish.why = is_asked ? "it was asked for" : "the old one ends soon";
    return wish;
}

void plan_change(Draft& draft, const Json& authority) {
    const bool has_next = !note(authority, render::annotation::next).empty();
    const std::vector<std::string> trusted = parts_of(note(authority, render::annotation::trusts));
    const Wish wish = wish_of(draft, authority);
    const bool is_own = draft.world.cluster.spec.tls &&
                        draft.world.cluster.spec.tls->ca == api::CertificateAuthority::secret;
    if (has_next || trusted.size() > 1) {
        draft.certificates_wait = "a new authority takes over";
    }
    if (wish.introduce && (!has_next || is_own)) {
        draft.act(Lane::certificates, RenewAuthority{Step::introduce, ""}, "AuthorityIntroduced",
                  "the next certificate authority is trusted beside the old one: " + wish.why);
        return;
    }
    const auto believes_all = [&](int, const brokers::CertificateUse& use) {
        return has_all(use.trusted, trusted);
    };
    if (has_next && wish.withdrawn) {
        draft.act(Lane::certificates, RenewAuthority{Step::retire_others, ""}, "AuthorityRetired",
                  "the certificate authority that was introduced is not wanted any more");
        return;
    }
    if (has_next) {
        if (!all_have(draft, "trust it", believes_all)) {
            return;
        }
        if (!wish.put_in_charge) {
            draft.certificates_wait =
                "the next authority is trusted by all and doesn't sign yet; clients should have "
                "the new ca.crt by now";
            return;
        }
        draft.act(Lane::certificates, RenewAuthority{Step::put_in_charge, wish.renewed_for},
                  "AuthorityReplaced",
                  "every broker trusts the next certificate authority: from now on it signs");
        return;
    }
    const auto shows_its_own = [&](int id, const brokers::CertificateUse& use) {
        const ObjectPtr secret =
            draft.find(draft.world.secrets, render::certificate_name(draft.name(), id));
        const auto& serials = use.serials;
        return secret && !serials.empty() &&
               std::all_of(serials.begin(), serials.end(), [&](const std::string& one) {
                   return one == note(*secret, render::annotation::serial);
               });
    };
    if (trusted.size() > 1 && all_have(draft, "show its new certificate", shows_its_own)) {
        draft.act(Lane::certificates, RenewAuthority{Step::retire_others, ""}, "AuthorityRetired",
                  "every broker shows a certificate of the new authority: the old one is trusted "
                  "no more");
    }
}

}  // namespace

void plan_certificates(Draft& draft) {
    if (!render::has_certificates(draft.subject)) {
        return;
    }
    const ObjectPtr authority =
        draft.find(draft.world.secrets, render::authority_name(draft.name()));
    if (!authority) {
        draft.missing_certificates = static_cast<int>(draft.membership.wanted.size()) + 1;
        const api::TlsSpec tls = draft.world.cluster.spec.tls.value_or(api::TlsSpec{});
        if (tls.ca == api::CertificateAuthority::secret && !draft.world.own_authority) {
            draft.certificates_problem =
                fmt::format("spec.tls.secretName: there is no Secret {} with tls.crt and tls.key",
                            tls.secret_name.value_or(""));
            draft.look_again_in(look_at_own_again);
            return;
        }
        draft.act(Lane::certificates, IssueAuthority{}, "AuthorityMade",
                  "brokers and operator trust nobody else");
        return;
    }
    const std::size_t before = draft.plan.actions.size();
    keep_certificates(draft, *authority);
    if (draft.plan.actions.size() == before) {  // Else the last step is still on its way.
        plan_change(draft, *authority);
    } else if (!note(*authority, render::annotation::next).empty() ||
               parts_of(note(*authority, render::annotation::trusts)).size() > 1) {
        draft.certificates_wait = "a new authority takes over";
    }
}

}  // namespace millrace::planner
