#include "tls/internal/loaded.h"

#include <algorithm>
#include <array>
#include <fmt/core.h>

namespace millrace::tls::internal {
namespace {

constexpr std::size_t read_ahead = 64U << 10;
constexpr long most_certificate_bytes = 64L << 10;

struct Versions {
    int least = 0;
    int most = 0;
};

Result<Versions> versions_of(const Settings& settings) {
    Versions range;
    for (const std::string& name : settings.protocols) {
        const int version = name == "TLSv1.2"   ? TLS1_2_VERSION
                            : name == "TLSv1.3" ? TLS1_3_VERSION
                                                : 0;
        if (version == 0) {
            return Error::make(Code::invalid,
                               "{}ssl.enabled.protocols={}: only TLSv1.2 and TLSv1.3 are offered",
                               settings.prefix, name);
        }
        range.least = range.least == 0 ? version : std::min(range.least, version);
        range.most = std::max(range.most, version);
    }
    if (range.least == 0) {
        return Error::make(Code::invalid,
                           "{}ssl.enabled.protocols: it is empty; name TLSv1.2, TLSv1.3 or both",
                           settings.prefix);
    }
    return range;
}

/// The library keeps suites of TLS 1.3 apart from the others and names those its own way.
Result<void> set_suites(SSL_CTX& context, const Settings& settings, Versions& versions) {
    if (settings.cipher_suites.empty()) {
        return {};
    }
    std::string newer;
    std::string older;
    for (const std::string& suite : settings.cipher_suites) {
        const bool is_newer = suite.starts_with("TLS_AES_") || suite.starts_with("TLS_CHACHA20_");
        const char* ours = is_newer ? suite.c_str() : OPENSSL_cipher_name(suite.c_str());
        const std::string_view known = ours == nullptr ? "(NONE)" : ours;
        std::string& list = is_newer ? newer : older;
        list += list.empty() ? "" : ":";
        list += known == "(NONE)" ? std::string_view(suite) : known;
        const bool taken = is_newer ? SSL_CTX_set_ciphersuites(&context, newer.c_str()) == 1
                                    : SSL_CTX_set_cipher_list(&context, older.c_str()) == 1;
        if (!taken || (!is_newer && known == "(NONE)")) {
            ERR_clear_error();
            return Error::make(Code::invalid,
                               "{}ssl.cipher.suites={}: no such suite here; write it as in "
                               "TLS_AES_256_GCM_SHA384, or leave the setting out",
                               settings.prefix, suite);
        }
    }
    if (newer.empty()) {
        versions.most = TLS1_2_VERSION;
    }
    if (older.empty()) {
        versions.least = TLS1_3_VERSION;
    }
    if (versions.least > versions.most) {
        return Error::make(Code::invalid,
                           "{}ssl.cipher.suites: none of them is for a version in "
                           "{}ssl.enabled.protocols",
                           settings.prefix, settings.prefix);
    }
    return {};
}

Error refused(std::string_view what) {
    return Error::make(Code::internal, "OpenSSL could not {}: {}", what, take_reason());
}

Result<void> trust(SSL_CTX& context, const STACK_OF(X509) * certificates) {
    if (certificates == nullptr) {
        return SSL_CTX_set_default_verify_paths(&context) == 1
                   ? Result<void>{}
                   : refused("find whom this machine trusts");
    }
    X509_STORE* store = SSL_CTX_get_cert_store(&context);
    for (int i = 0; i < sk_X509_num(certificates); ++i) {
        if (X509_STORE_add_cert(store, sk_X509_value(certificates, i)) != 1) {
            return refused("take a trusted certificate");
        }
    }
    // Whoever is named there is trusted, also one in the middle of a chain: as Java does it.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return {};
}

Result<void> identify(SSL_CTX& context, const KeyStore& keys) {
    if (SSL_CTX_use_certificate(&context, keys.certificate.get()) != 1) {
        return Error::make(Code::invalid, "ssl.keystore: the certificate can't be used: {}",
                           take_reason());
    }
    if (SSL_CTX_use_PrivateKey(&context, keys.key.get()) != 1) {
        return refused("take the private key");
    }
    const int above = keys.chain ? sk_X509_num(keys.chain.get()) : 0;
    for (int i = 0; i < above; ++i) {
        if (SSL_CTX_add1_chain_cert(&context, sk_X509_value(keys.chain.get(), i)) != 1) {
            return refused("take the certificate's chain");
        }
    }
    return {};
}

/// Notes whose certificate is refused: the library forgets it.
int note_verdict(int accepted, X509_STORE_CTX* verification) {
    const X509* whose = X509_STORE_CTX_get0_cert(verification);
    auto* ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* note = static_cast<std::string*>(SSL_get_app_data(ssl));
    if (accepted != 1 && whose != nullptr && note != nullptr) {
        *note = name_text(X509_get_subject_name(whose));
    }
    return accepted;
}

void demand_of_clients(SSL_CTX& context, const Settings& settings,
                       const STACK_OF(X509) * certificates) {
    if (settings.client_auth == ClientAuth::none) {
        static constexpr std::array<unsigned char, 8> same{'m', 'i', 'l', 'l', 'r', 'a', 'c', 'e'};
        SSL_CTX_set_session_id_context(&context, same.data(), same.size());
        SSL_CTX_set_num_tickets(&context, 1);
        return;
    }
    const bool required = settings.client_auth == ClientAuth::required;
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       note_verdict);
    // A resumed session would outlive the client's certificate, and our trust in who signed it.
    SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(&context, 0);
    for (int i = 0; certificates != nullptr && i < sk_X509_num(certificates); ++i) {
        SSL_CTX_add_client_CA(&context, sk_X509_value(certificates, i));
    }
}

Result<SslContextPtr> make_context(const Settings& settings, bool is_server, const KeyStore* keys,
                                   const STACK_OF(X509) * trusted) {
    SslContextPtr context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    if (!context) {
        return refused("make a context");
    }
    MR_TRY(Versions versions, versions_of(settings));
    MR_TRY_VOID(set_suites(*context, settings, versions));
    SSL_CTX_set_min_proto_version(context.get(), versions.least);
    SSL_CTX_set_max_proto_version(context.get(), versions.most);
    // Frames carry their lengths, so an end without TLS's goodbye cuts nothing off unseen.
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), read_ahead);
    SSL_CTX_set_max_cert_list(context.get(), most_certificate_bytes);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    MR_TRY_VOID(trust(*context, trusted));
    if (keys != nullptr) {
        MR_TRY_VOID(identify(*context, *keys));
    }
    if (is_server) {
        demand_of_clients(*context, settings, trusted);
    } else {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, note_verdict);
    }
    return context;
}

Timestamp timestamp_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        ERR_clear_error();
        return {};
    }
    return {static_cast<std::int64_t>(timegm(&parts)) * 1000};
}

std::string serial_of(const X509* certificate) {
    std::unique_ptr<BIGNUM, Releases<BN_free>> number(
        ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    std::unique_ptr<char, decltype([](char* text) { OPENSSL_free(text); })> text(
        number ? BN_bn2hex(number.get()) : nullptr);
    return text ? text.get() : "";
}

std::string address_text(const GENERAL_NAME* name) {
    int kind = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &kind));
    if (kind != GEN_DNS && kind != GEN_IPADD) {
        return {};
    }
    const std::string bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                            static_cast<std::size_t>(ASN1_STRING_length(value)));
    if (kind == GEN_DNS) {
        return "DNS:" + bytes;
    }
    std::string text;
    for (const char byte : bytes) {
        const auto number = static_cast<unsigned char>(byte);
        text += bytes.size() == 4 ? fmt::format("{}{}", text.empty() ? "" : ".", number)
                                  : fmt::format("{:02x}", number);
    }
    return "IP:" + text;
}

CertificateFacts facts_of(const X509* certificate) {
    CertificateFacts facts;
    facts.subject = name_text(X509_get_subject_name(certificate));
    facts.serial = serial_of(certificate);
    facts.not_before = timestamp_of(X509_get0_notBefore(certificate));
    facts.not_after = timestamp_of(X509_get0_notAfter(certificate));
    const NamesPtr names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        if (auto text = address_text(sk_GENERAL_NAME_value(names.get(), i)); !text.empty()) {
            facts.addresses.push_back(std::move(text));
        }
    }
    std::sort(facts.addresses.begin(), facts.addresses.end());
    return facts;
}

std::vector<std::string> fingerprints_of(const STACK_OF(X509) * certificates) {
    std::vector<std::string> all;
    for (int i = 0; certificates != nullptr && i < sk_X509_num(certificates); ++i) {
        std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
        unsigned int size = 0;
        if (X509_digest(sk_X509_value(certificates, i), EVP_sha256(), bytes.data(), &size) == 1) {
            std::string text;
            for (unsigned int at = 0; at < size; ++at) {
                text += fmt::format("{:02x}", bytes[at]);
            }
            all.push_back(std::move(text));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

Result<std::shared_ptr<const Loaded>> load(Settings settings, runtime::Disk& disk) {
    auto rules = PrincipalRules::parse(settings.principal_rules);
    if (!rules) {
        return Error::make(Code::invalid, "{}ssl.principal.mapping.rules={}: {}", settings.prefix,
                           settings.principal_rules, rules.error().message());
    }
    KeyStore keys;
    CertificateStackPtr trusted;
    Secret key_bytes;
    Secret trust_bytes;
    const bool has_keys = settings.key_store.given();
    if (has_keys) {
        MR_TRY(key_bytes, store_bytes(settings, StoreKind::key, disk));
        MR_TRY(keys, read_key_store(settings, key_bytes));
    }
    if (settings.trust_store.given()) {
        MR_TRY(trust_bytes, store_bytes(settings, StoreKind::trust, disk));
        MR_TRY(trusted, read_trust_store(settings, trust_bytes));
    }
    SslContextPtr server;
    if (has_keys) {
        MR_TRY(server, make_context(settings, true, &keys, trusted.get()));
    }
    MR_TRY(auto client, make_context(settings, false, has_keys ? &keys : nullptr, trusted.get()));
    CertificateFacts facts = has_keys ? facts_of(keys.certificate.get()) : CertificateFacts{};
    facts.trusted = fingerprints_of(trusted.get());
    return std::shared_ptr<const Loaded>(std::make_shared<Loaded>(
        Loaded{std::move(settings), std::move(key_bytes), std::move(trust_bytes), std::move(server),
               std::move(client), *std::move(rules), std::move(facts)}));
}

Result<void> check_succession(const Loaded& before, const Loaded& after) {
    if (!before.server || !after.server) {
        return before.server == nullptr
                   ? Result<void>{}
                   : Error::make(Code::invalid, "{}: a listener in use can't go without",
                                 named(after.settings, StoreKind::key, "location"));
    }
    const CertificateFacts& old_facts = before.facts;
    const CertificateFacts& new_facts = after.facts;
    if (old_facts.subject != new_facts.subject && !after.settings.allow_name_change) {
        return Error::make(Code::invalid,
                           "{}: the new certificate is of {}, the one in use of {}; set "
                           "ssl.allow.dn.changes=true where that is meant",
                           named(after.settings, StoreKind::key, "location"), new_facts.subject,
                           old_facts.subject);
    }
    for (const std::string& address : old_facts.addresses) {
        if (!after.settings.allow_address_loss &&
            !std::binary_search(new_facts.addresses.begin(), new_facts.addresses.end(), address)) {
            return Error::make(Code::invalid,
                               "{}: the new certificate lacks {}, which the one in use has; set "
                               "ssl.allow.san.changes=true where that is meant",
                               named(after.settings, StoreKind::key, "location"), address);
        }
    }
    return {};
}

Result<CertificateFacts> facts_of_stores(const Settings& settings, runtime::Disk& disk) {
    MR_TRY(const Secret own_bytes, store_bytes(settings, StoreKind::key, disk));
    MR_TRY(const Secret trust_bytes, store_bytes(settings, StoreKind::trust, disk));
    Settings as_trusted = settings;
    as_trusted.trust_store = settings.key_store;
    MR_TRY(const auto own, read_trust_store(as_trusted, own_bytes));
    MR_TRY(const auto trusted, read_trust_store(settings, trust_bytes));
    CertificateFacts facts = facts_of(sk_X509_value(own.get(), 0));
    facts.trusted = fingerprints_of(trusted.get());
    return facts;
}

}  // namespace millrace::tls::internal
