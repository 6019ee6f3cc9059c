// tls/settings.h
//
// What one listener's TLS is made from: the values of Kafka's ssl.* settings, as app reads them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/time.h"

namespace millrace::tls {

/// ssl.keystore.* or ssl.truststore.*: a file, or PEM text in its place.
struct Store {
    std::string type = "JKS";  ///< PEM, PKCS12, or JKS for whatever Java has written.
    std::string location;
    Secret password;
    Secret
        certificates;  ///< PEM text: ssl.keystore.certificate.chain, ssl.truststore.certificates.
    Secret key;        ///< PEM text: ssl.keystore.key.
    bool given() const { return !location.empty() || !certificates.empty() || !key.empty(); }
    friend bool operator==(const Store&, const Store&) = default;
};

enum class ClientAuth { none, requested, required };

struct Settings {
    std::string prefix;  ///< What a message puts before a key: "listener.name.internal.".
    Store key_store;
    Store trust_store;  ///< Not given: whom this machine trusts.
    Secret key_password;
    ClientAuth client_auth = ClientAuth::none;
    std::vector<std::string> protocols{"TLSv1.2", "TLSv1.3"};
    std::vector<std::string> cipher_suites;  ///< By their registered names; empty: the library's.
    bool verify_host = true;  ///< A server's certificate must name the address that was dialed.
    std::string principal_rules = "DEFAULT";
    bool allow_name_change = false;   ///< ssl.allow.dn.changes: at a reload.
    bool allow_address_loss = false;  ///< ssl.allow.san.changes: at a reload.
    Duration handshake_timeout = 10s;
    Duration failure_delay = 100ms;  ///< A refused client learns the reason before the end.
    friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace millrace::tls
