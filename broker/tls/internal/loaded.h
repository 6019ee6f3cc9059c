// tls/internal/loaded.h
//
// Everything that new connections of a listener are made with, as it was at one moment.
#pragma once

#include "tls/context.h"
#include "tls/internal/openssl.h"
#include "tls/internal/stores.h"
#include "tls/principal_rules.h"

namespace millrace::tls::internal {

struct Loaded {
    Settings settings;
    Secret key_bytes;  ///< As read, to see whether anything changed.
    Secret trust_bytes;
    SslContextPtr server;  ///< None without a certificate of our own.
    SslContextPtr client;
    PrincipalRules rules;
    CertificateFacts facts;
};

Result<std::shared_ptr<const Loaded>> load(Settings settings, runtime::Disk& disk);

/// What the certificates in both stores say; keys are not looked at.
Result<CertificateFacts> facts_of_stores(const Settings& settings, runtime::Disk& disk);

/// Whether those who know the old certificate will know the new one.
Result<void> check_succession(const Loaded& before, const Loaded& after);

}  // namespace millrace::tls::internal
