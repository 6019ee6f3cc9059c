// operator/certificates/certificates.h
//
// A cluster's own certificate authority and what it signs: one certificate a broker, one for the
// operator. EC keys (P-256). Randomness is OpenSSL's, time is an input. Any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"

namespace millrace::certificates {

struct KeyPair {
    std::string certificate_pem;
    Secret key_pem;
};

struct Validity {
    Timestamp from;
    Duration length;
};

/// Signs itself, and may sign others but no further authority.
Result<KeyPair> make_authority(const std::string& name, Validity validity);

struct Wanted {
    std::string name;                    ///< The subject's common name.
    std::vector<std::string> dns_names;  ///< What it may be reached as.
    bool serves = false;                 ///< For TLS servers; it is a client's in any case.
    Validity validity;
};
Result<KeyPair> issue(const KeyPair& authority, const Wanted& wanted);

/// Does the key belong to the certificate, and did the authority sign it?
bool belongs_together(const KeyPair& pair, const std::string& authority_pem);

Result<Timestamp> end_of_validity(const std::string& certificate_pem);

}  // namespace millrace::certificates
