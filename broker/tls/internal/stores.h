// tls/internal/stores.h
//
// Key and trust stores: files or PEM text into OpenSSL's objects.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/disk.h"
#include "tls/internal/openssl.h"
#include "tls/settings.h"

namespace millrace::tls::internal {

enum class StoreKind { key, trust };

struct KeyStore {
    CertificatePtr certificate;
    CertificateStackPtr chain;  ///< Above it, without the root as a rule.
    KeyPtr key;
};

/// The bytes that a store is made of, wherever they lie.
Result<Secret> store_bytes(const Settings& settings, StoreKind kind, runtime::Disk& disk);
Result<KeyStore> read_key_store(const Settings& settings, const Secret& bytes);
Result<CertificateStackPtr> read_trust_store(const Settings& settings, const Secret& bytes);

/// "listener.name.x.ssl.keystore.location=/a/b": how a message begins.
std::string named(const Settings& settings, StoreKind kind, std::string_view what);

}  // namespace millrace::tls::internal
