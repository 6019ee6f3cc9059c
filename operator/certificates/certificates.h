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
    std::string name;                ///< The subject's common name.
    std::vector<std::string> names;  ///< What it may be reached as: names and addresses.
    bool serves = false;             ///< For TLS servers; it is a client's in any case.
    Validity validity;
};
Result<KeyPair> issue(const KeyPair& authority, const Wanted& wanted);

/// 256 random bits as text, as `openssl rand -base64 32` prints them.
Result<Secret> make_random_key();

/// Is it an authority's certificate, and the key its own? For pairs that somebody else made.
Result<void> can_sign(const KeyPair& pair);

/// Does the key belong to the certificate, and did one of these authorities sign it?
bool belongs_together(const KeyPair& pair, const std::string& authorities_pem);

Result<Timestamp> end_of_validity(const std::string& certificate_pem);
/// In hexadecimal, as openssl x509 -serial prints it.
Result<std::string> serial_of(const std::string& certificate_pem);
/// Of every certificate in the text: SHA-256, in hexadecimal, sorted, each once.
std::vector<std::string> fingerprints_of(const std::string& certificates_pem);

}  // namespace millrace::certificates
