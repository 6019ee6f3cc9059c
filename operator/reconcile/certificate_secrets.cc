#include "operator/reconcile/certificate_secrets.h"

#include <algorithm>

#include "operator/kube/base64.h"
#include "operator/render/broker_config.h"
#include "operator/render/names.h"

namespace millrace::reconcile {

namespace {

Result<certificates::Entries> entries_in(const kube::Json& secret) {
    certificates::Entries entries;
    for (const auto& [name, value] : secret["data"].members()) {
        MR_TRY(entries[name], kube::from_base64(value.text()));
    }
    return entries;
}

}  // namespace

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) {
        text += (text.empty() ? "" : ",") + part;
    }
    return text;
}

const std::string& noted(const kube::Json& object, std::string_view name) {
    return object["metadata"]["annotations"][name].text();
}

Result<certificates::Authority> authority_in(const kube::Json& secret) {
    MR_TRY(const auto entries, entries_in(secret));
    return certificates::read_authority(entries);
}

Result<CertificateSecret> issue_certificate(const kube::Json& authority_secret,
                                            certificates::Wanted wanted) {
    MR_TRY(const auto authority, authority_in(authority_secret));
    MR_TRY(const Timestamp last, certificates::end_of_validity(authority.signer.certificate_pem));
    wanted.validity.length =
        std::min<Duration>(wanted.validity.length, last - wanted.validity.from);
    MR_TRY(const auto issued, certificates::issue(authority.signer, wanted));
    MR_TRY(const Timestamp end, certificates::end_of_validity(issued.certificate_pem));
    MR_TRY(const std::string serial, certificates::serial_of(issued.certificate_pem));
    return CertificateSecret{
        {{"ca.crt", authority.trusted_pem},
         {"tls.crt", issued.certificate_pem},
         {"tls.key", issued.key_pem.reveal()},
         {render::key_store_file, issued.key_pem.reveal() + issued.certificate_pem}},
        {{std::string(render::annotation::not_after), std::to_string(end.milliseconds)},
         {std::string(render::annotation::serial), serial},
         {std::string(render::annotation::names), joined(wanted.names)},
         {std::string(render::annotation::trusts),
          noted(authority_secret, render::annotation::trusts)},
         {std::string(render::annotation::issuer),
          noted(authority_secret, render::annotation::serial)}}};
}

}  // namespace millrace::reconcile
