// operator/certificates/authority.h
//
// Who signs a cluster's certificates, and who is believed. One authority follows another in three
// steps, with time between them for everybody to take up the last one: both are believed, the next
// one signs, only it is believed. Each step is one write of one Secret; what the Secret holds says
// which step is next. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "operator/certificates/certificates.h"

namespace millrace::certificates {

struct Authority {
    KeyPair signer;
    std::optional<KeyPair> next;  ///< Is believed, and doesn't sign yet.
    std::string trusted_pem;      ///< Everybody who is believed: "ca.crt".

    /// Alone and in charge.
    static Authority of(KeyPair signer);
};

/// A Secret's entries, decoded.
using Entries = std::map<std::string, std::string, std::less<>>;
Result<Authority> read_authority(const Entries& entries);
Entries entries_of(const Authority& authority);

/// Both are believed from now on.
Authority introduce(Authority authority, KeyPair next);
/// The next one signs; whoever was believed still is. There must be a next one.
Authority put_in_charge(Authority authority);
/// Nobody but the signer is believed.
Authority retire_others(Authority authority);

}  // namespace millrace::certificates
