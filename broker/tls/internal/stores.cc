#include "tls/internal/stores.h"

#include <cstring>
#include <fmt/core.h>

namespace millrace::tls::internal {
namespace {

constexpr std::uint64_t most_bytes = 8U << 20;
constexpr std::string_view java_magic = "\xFE\xED\xFE\xED";

const Store& store_of(const Settings& settings, StoreKind kind) {
    return kind == StoreKind::key ? settings.key_store : settings.trust_store;
}

std::string_view word(StoreKind kind) {
    return kind == StoreKind::key ? "ssl.keystore." : "ssl.truststore.";
}

/// Where the store's contents are said: the file, or the text itself.
std::string source(const Settings& settings, StoreKind kind) {
    const Store& store = store_of(settings, kind);
    if (!store.location.empty()) {
        return fmt::format("{}{}location={}", settings.prefix, word(kind), store.location);
    }
    return named(settings, kind,
                 kind == StoreKind::key ? "certificate.chain=[hidden]" : "certificates=[hidden]");
}

Error wrong(const Settings& settings, StoreKind kind, std::string_view why) {
    return Error::make(Code::invalid, "{}: {}", source(settings, kind), why);
}

int give_password(char* into, int size, int, void* password) {
    const auto& text = *static_cast<const std::string*>(password);
    if (text.empty() || text.size() > static_cast<std::size_t>(size)) {
        return -1;
    }
    std::memcpy(into, text.data(), text.size());
    return static_cast<int>(text.size());
}

bool is_pem(const std::string& bytes) {
    return bytes.find("-----BEGIN ") != std::string::npos;
}

Result<CertificateStackPtr> certificates_in(const Settings& settings, StoreKind kind,
                                            const std::string& text) {
    CertificateStackPtr found(sk_X509_new_null());
    const BioPtr bio = memory_of(text);
    ERR_clear_error();
    while (CertificatePtr one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        sk_X509_push(found.get(), one.release());
    }
    const unsigned long end = ERR_peek_last_error();
    if (end != 0 && ERR_GET_REASON(end) != PEM_R_NO_START_LINE) {
        return wrong(settings, kind,
                     fmt::format("certificate {} can't be read: {}", sk_X509_num(found.get()) + 1,
                                 take_reason()));
    }
    ERR_clear_error();
    if (sk_X509_num(found.get()) == 0) {
        return wrong(settings, kind,
                     "there is no certificate in it; PEM has lines of -----BEGIN CERTIFICATE-----");
    }
    return found;
}

Result<KeyPtr> private_key_in(const Settings& settings, const std::string& text) {
    const BioPtr bio = memory_of(text);
    ERR_clear_error();
    auto& password = const_cast<std::string&>(settings.key_password.reveal());
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, &password));
    if (key) {
        return key;
    }
    const std::string reason = take_reason();
    if (text.find("PRIVATE KEY-----") == std::string::npos) {
        return wrong(settings, StoreKind::key,
                     "there is no private key in it; PEM has lines of -----BEGIN PRIVATE KEY-----");
    }
    const bool encrypted = text.find("ENCRYPTED") != std::string::npos;
    if (encrypted && settings.key_password.empty()) {
        return wrong(
            settings, StoreKind::key,
            fmt::format("the private key is encrypted; give {}ssl.key.password", settings.prefix));
    }
    return wrong(settings, StoreKind::key,
                 fmt::format("the private key can't be read: {}{}", reason,
                             encrypted ? fmt::format("; is {}ssl.key.password the right one?",
                                                     settings.prefix)
                                       : ""));
}

Result<KeyStore> key_from_pem(const Settings& settings, const std::string& text) {
    KeyStore found;
    MR_TRY(found.chain, certificates_in(settings, StoreKind::key, text));
    const std::string& key =
        settings.key_store.key.empty() ? text : settings.key_store.key.reveal();
    MR_TRY(found.key, private_key_in(settings, key));
    found.certificate.reset(sk_X509_shift(found.chain.get()));
    return found;
}

struct Pkcs12Contents {
    CertificatePtr certificate;
    CertificateStackPtr others;
    KeyPtr key;
};

Result<Pkcs12Contents> read_pkcs12(const Settings& settings, StoreKind kind,
                                   const std::string& bytes) {
    const std::string& password = store_of(settings, kind).password.reveal();
    const BioPtr bio = memory_of(bytes);
    ERR_clear_error();
    const Pkcs12Ptr store(d2i_PKCS12_bio(bio.get(), nullptr));
    if (!store) {
        ERR_clear_error();
        return wrong(settings, kind,
                     "it is neither PEM nor PKCS12; make one with openssl pkcs12 -export");
    }
    EVP_PKEY* key = nullptr;
    X509* certificate = nullptr;
    STACK_OF(X509)* others = nullptr;
    if (PKCS12_parse(store.get(), password.c_str(), &key, &certificate, &others) != 1) {
        const std::string reason = take_reason();
        if (reason == "mac verify failure") {
            return wrong(
                settings, kind,
                fmt::format("its password is not {}{}password", settings.prefix, word(kind)));
        }
        return wrong(settings, kind,
                     fmt::format("it can't be opened: {}; old algorithms (RC2, 3DES) are not "
                                 "offered, write it again with openssl pkcs12 -export",
                                 reason));
    }
    return Pkcs12Contents{CertificatePtr(certificate), CertificateStackPtr(others), KeyPtr(key)};
}

/// Whether the bytes are PEM, judged by what the setting says and what they are.
Result<bool> holds_pem(const Settings& settings, StoreKind kind, const std::string& bytes) {
    const Store& store = store_of(settings, kind);
    const bool says_pem = store.type == "PEM";
    if (!says_pem && store.location.empty()) {
        return Error::make(Code::invalid,
                           "{}{}type={}: text in the settings is PEM; set {}{}type=PEM",
                           settings.prefix, word(kind), store.type, settings.prefix, word(kind));
    }
    if (bytes.starts_with(java_magic)) {
        return wrong(settings, kind,
                     "it is in Java's own format, which is not read here; write it again with "
                     "keytool -importkeystore -deststoretype PKCS12");
    }
    if (says_pem != is_pem(bytes)) {
        return wrong(settings, kind,
                     fmt::format("it is {}PEM; set {}{}type={}", is_pem(bytes) ? "" : "not ",
                                 settings.prefix, word(kind), is_pem(bytes) ? "PEM" : "PKCS12"));
    }
    if (says_pem && !store.password.empty()) {
        return Error::make(Code::invalid,
                           "{}{}password=[hidden]: PEM has no password for the whole; a key's is "
                           "{}ssl.key.password",
                           settings.prefix, word(kind), settings.prefix);
    }
    return says_pem;
}

}  // namespace

std::string named(const Settings& settings, StoreKind kind, std::string_view what) {
    return fmt::format("{}{}{}", settings.prefix, word(kind), what);
}

Result<Secret> store_bytes(const Settings& settings, StoreKind kind, runtime::Disk& disk) {
    const Store& store = store_of(settings, kind);
    for (const std::string_view known : {"PEM", "PKCS12", "JKS"}) {
        if (store.type != known) {
            continue;
        }
        if (store.location.empty()) {
            return store.certificates;
        }
        if (!store.certificates.empty() || !store.key.empty()) {
            return wrong(settings, kind, "there is PEM text in the settings too; give one of them");
        }
        auto bytes = disk.read_whole(store.location, most_bytes);
        if (!bytes) {
            return wrong(
                settings, kind,
                fmt::format("{}; name a file that this process may read", bytes.error().message()));
        }
        return Secret(*std::move(bytes));
    }
    return Error::make(Code::invalid, "{}{}: it is none of PEM, PKCS12, JKS",
                       named(settings, kind, "type="), store.type);
}

Result<KeyStore> read_key_store(const Settings& settings, const Secret& bytes) {
    MR_TRY(const bool pem, holds_pem(settings, StoreKind::key, bytes.reveal()));
    KeyStore found;
    if (pem) {
        MR_TRY(found, key_from_pem(settings, bytes.reveal()));
    } else {
        MR_TRY(auto contents, read_pkcs12(settings, StoreKind::key, bytes.reveal()));
        found = {std::move(contents.certificate), std::move(contents.others),
                 std::move(contents.key)};
    }
    if (!found.key || !found.certificate) {
        return wrong(settings, StoreKind::key, "it has no private key with its certificate");
    }
    if (X509_check_private_key(found.certificate.get(), found.key.get()) != 1) {
        ERR_clear_error();
        return wrong(settings, StoreKind::key,
                     "the private key belongs to another certificate than the first one");
    }
    return found;
}

Result<CertificateStackPtr> read_trust_store(const Settings& settings, const Secret& bytes) {
    MR_TRY(const bool pem, holds_pem(settings, StoreKind::trust, bytes.reveal()));
    if (pem) {
        return certificates_in(settings, StoreKind::trust, bytes.reveal());
    }
    MR_TRY(auto contents, read_pkcs12(settings, StoreKind::trust, bytes.reveal()));
    if (!contents.others) {
        contents.others.reset(sk_X509_new_null());
    }
    if (contents.certificate) {
        sk_X509_push(contents.others.get(), contents.certificate.release());
    }
    if (sk_X509_num(contents.others.get()) == 0) {
        return wrong(settings, StoreKind::trust, "there is no certificate in it");
    }
    return std::move(contents.others);
}

}  // namespace millrace::tls::internal
