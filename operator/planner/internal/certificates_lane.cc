// The cluster's own authority, and a certificate for every broker and for the operator.
#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

/// Renewal is looked at again after at most this long.
constexpr Duration look_again = std::chrono::hours(6);

std::int64_t end_of(const Json& secret) {
    const std::string& text =
        secret["metadata"]["annotations"][render::annotation::not_after].text();
    std::int64_t end = 0;
    std::from_chars(text.data(), text.data() + text.size(), end);
    return end;
}

void keep_certificate(Draft& draft, const Json& authority, IssueCertificate wanted) {
    const ObjectPtr found = draft.find(draft.world.secrets, wanted.secret);
    const std::string& issuer =
        authority["metadata"]["annotations"][render::annotation::serial].text();
    std::string why;
    if (!found) {
        why = "it is needed";
    } else if ((*found)["metadata"]["annotations"][render::annotation::issuer].text() != issuer) {
        why = "another authority issued the old one";
    } else {
        const api::TlsSpec tls = draft.world.cluster.spec.tls.value_or(api::TlsSpec{});
        const Timestamp due =
            Timestamp{end_of(*found)} + Duration(-Duration(tls.renew_before.length));
        if (draft.world.now < due) {
            const Duration wait = std::min<Duration>(due - draft.world.now, look_again);
            draft.plan.again = draft.plan.again ? std::min(*draft.plan.again, wait) : wait;
            return;
        }
        why = "the old one ends soon";
    }
    draft.missing_certificates += found ? 0 : 1;
    draft.act(Lane::certificates, std::move(wanted), "CertificateIssued", why);
}

}  // namespace

void plan_certificates(Draft& draft) {
    if (!draft.world.around.admin_tls) {
        return;
    }
    const ObjectPtr authority =
        draft.find(draft.world.secrets, render::authority_name(draft.name()));
    if (!authority) {
        draft.missing_certificates = static_cast<int>(draft.membership.wanted.size()) + 1;
        draft.act(Lane::certificates, IssueAuthority{}, "AuthorityMade",
                  "brokers and operator trust nobody else");
        return;
    }
    keep_certificate(
        draft, *authority,
        {render::operator_certificate_name(draft.name()), "millrace-operator", {}, -1});
    for (const auto& [id, member] : draft.running) {
        keep_certificate(
            draft, *authority,
            {render::certificate_name(draft.name(), id), render::pod_name(draft.name(), id),
             render::server_names(draft.subject, id), id});
    }
}

}  // namespace millrace::planner
