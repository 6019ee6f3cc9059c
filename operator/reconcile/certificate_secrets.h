// operator/reconcile/certificate_secrets.h
//
// Authorities and certificates as they lie in Secrets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/api/values.h"
#include "operator/certificates/authority.h"
#include "operator/kube/json.h"

namespace millrace::reconcile {

std::string joined(const std::vector<std::string>& parts);
const std::string& noted(const kube::Json& object, std::string_view name);
/// The authority in a Secret that the operator keeps.
Result<certificates::Authority> authority_in(const kube::Json& secret);

/// What the Secret of a certificate holds, values not yet in base64.
struct CertificateSecret {
    api::Texts data;
    api::Texts annotations;
};
/// Signed by the authority in that Secret; it ends with the authority at the latest.
Result<CertificateSecret> issue_certificate(const kube::Json& authority_secret,
                                            certificates::Wanted wanted);

}  // namespace millrace::reconcile
