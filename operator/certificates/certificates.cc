#include "operator/certificates/certificates.h"

#include <algorithm>
#include <arpa/inet.h>
#include <memory>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace millrace::certificates {

namespace {

template <auto free>
struct Freed {
    template <typename T>
    void operator()(T* object) const {
        free(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;

/// Clocks differ: a certificate is valid a little before it is made.
constexpr Duration clock_difference = std::chrono::minutes(5);

Error failed(const char* what) {
    char reason[256] = "unknown";
    if (const unsigned long code = ERR_get_error(); code != 0) {
        ERR_error_string_n(code, reason, sizeof reason);
    }
    ERR_clear_error();
    return Error::make(Code::internal, "{}: {}", what, reason);
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
}

Bio bio_of(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate read_certificate(const std::string& pem) {
    return Certificate(PEM_read_bio_X509(bio_of(pem).get(), nullptr, nullptr, nullptr));
}

std::vector<Certificate> read_certificates(const std::string& pem) {
    std::vector<Certificate> all;
    const Bio bio = bio_of(pem);
    while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        all.push_back(std::move(one));
    }
    ERR_clear_error();  // The end of the text is one.
    return all;
}

Key read_key(const Secret& pem) {
    return Key(PEM_read_bio_PrivateKey(bio_of(pem.reveal()).get(), nullptr, nullptr, nullptr));
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    if (extension == nullptr) {
        return false;
    }
    const bool added = X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

bool set_serial(X509* certificate) {
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] &= 0x7fU;  // Positive.
    std::unique_ptr<BIGNUM, Freed<BN_free>> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
    return number &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_time(ASN1_TIME* to, Timestamp at) {
    return ASN1_TIME_set(to, static_cast<std::time_t>(at.milliseconds / 1000)) != nullptr;
}

/// Everything but extensions and signature.
Certificate begin_certificate(const std::string& name, Validity validity, EVP_PKEY* key) {
    Certificate made(X509_new());
    const Timestamp from{validity.from.milliseconds - to_milliseconds(clock_difference)};
    if (!made || X509_set_version(made.get(), 2) != 1 || !set_serial(made.get()) ||
        !set_time(X509_getm_notBefore(made.get()), from) ||
        !set_time(X509_getm_notAfter(made.get()), validity.from + validity.length) ||
        X509_set_pubkey(made.get(), key) != 1) {
        return nullptr;
    }
    // A common name has at most 64 characters; names that matter are in the extension.
    const std::string common = name.substr(0, 64);
    X509_NAME* subject = X509_get_subject_name(made.get());
    const auto* bytes = reinterpret_cast<const unsigned char*>(common.data());
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, bytes,
                                   static_cast<int>(common.size()), -1, 0) != 1) {
        return nullptr;
    }
    return made;
}

Result<KeyPair> to_pem(X509* certificate, EVP_PKEY* key) {
    const Bio first(BIO_new(BIO_s_mem()));
    const Bio second(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(first.get(), certificate) != 1 ||
        PEM_write_bio_PrivateKey(second.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return failed("writing a certificate");
    }
    return KeyPair{text_of(first.get()), Secret(text_of(second.get()))};
}

bool is_address(const std::string& name) {
    unsigned char bytes[sizeof(in6_addr)];
    return inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
           inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

std::string joined_names(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
    }
    return text;
}

std::string hexadecimal(const unsigned char* bytes, unsigned int size) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
        text += digits[bytes[i] >> 4U];
        text += digits[bytes[i] & 0xFU];
    }
    return text;
}

}  // namespace

Result<KeyPair> make_authority(const std::string& name, Validity validity) {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate made = key ? begin_certificate(name, validity, key.get()) : nullptr;
    if (!made || X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())) != 1 ||
        !add_extension(made.get(), made.get(), NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(made.get(), made.get(), NID_subject_key_identifier, "hash") ||
        X509_sign(made.get(), key.get(), EVP_sha256()) == 0) {
        return failed("making an authority");
    }
    return to_pem(made.get(), key.get());
}

Result<KeyPair> issue(const KeyPair& authority, const Wanted& wanted) {
    const Certificate issuer = read_certificate(authority.certificate_pem);
    const Key issuer_key = read_key(authority.key_pem);
    if (!issuer || !issuer_key) {
        return failed("reading the authority");
    }
    const Key key(EVP_EC_gen("P-256"));
    const Certificate made =
        key ? begin_certificate(wanted.name, wanted.validity, key.get()) : nullptr;
    const char* uses = wanted.serves ? "serverAuth,clientAuth" : "clientAuth";
    if (!made || X509_set_issuer_name(made.get(), X509_get_subject_name(issuer.get())) != 1 ||
        !add_extension(made.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(made.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") ||
        !add_extension(made.get(), issuer.get(), NID_ext_key_usage, uses) ||
        !add_extension(made.get(), issuer.get(), NID_authority_key_identifier, "keyid") ||
        (!wanted.names.empty() && !add_extension(made.get(), issuer.get(), NID_subject_alt_name,
                                                 joined_names(wanted.names))) ||
        X509_sign(made.get(), issuer_key.get(), EVP_sha256()) == 0) {
        return failed("issuing a certificate");
    }
    return to_pem(made.get(), key.get());
}

Result<Secret> make_random_key() {
    unsigned char bytes[32];
    unsigned char text[48];  // Four characters for three bytes, and the end that OpenSSL adds.
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return Error(Code::internal, "OpenSSL has no random bytes");
    }
    const int size = EVP_EncodeBlock(text, bytes, sizeof bytes);
    return Secret(std::string(text, text + size));
}

Result<void> can_sign(const KeyPair& pair) {
    const Certificate certificate = read_certificate(pair.certificate_pem);
    const Key key = read_key(pair.key_pem);
    if (!certificate || !key) {
        return failed(certificate ? "reading an authority's key"
                                  : "reading an authority's certificate");
    }
    const bool matches = X509_check_private_key(certificate.get(), key.get()) == 1;
    ERR_clear_error();
    if (!matches) {
        return Error(Code::invalid, "the key is not that of the authority's certificate");
    }
    if (X509_check_ca(certificate.get()) == 0) {
        return Error(Code::invalid, "the certificate is no authority's: it lacks CA:TRUE");
    }
    return {};
}

bool belongs_together(const KeyPair& pair, const std::string& authorities_pem) {
    const Certificate certificate = read_certificate(pair.certificate_pem);
    const std::vector<Certificate> authorities = read_certificates(authorities_pem);
    const Key key = read_key(pair.key_pem);
    const auto signed_by = [&](const Certificate& authority) {
        return X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) == 1;
    };
    const bool fine = certificate && key &&
                      X509_check_private_key(certificate.get(), key.get()) == 1 &&
                      std::any_of(authorities.begin(), authorities.end(), signed_by);
    ERR_clear_error();
    return fine;
}

Result<Timestamp> end_of_validity(const std::string& certificate_pem) {
    const Certificate certificate = read_certificate(certificate_pem);
    std::tm parts{};
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1) {
        return failed("reading a certificate");
    }
    return Timestamp{static_cast<std::int64_t>(timegm(&parts)) * 1000};
}

Result<std::string> serial_of(const std::string& certificate_pem) {
    const Certificate certificate = read_certificate(certificate_pem);
    if (!certificate) {
        return failed("reading a certificate");
    }
    const std::unique_ptr<BIGNUM, Freed<BN_free>> number(
        ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr));
    char* digits = number ? BN_bn2hex(number.get()) : nullptr;
    if (digits == nullptr) {
        return failed("reading a certificate's serial number");
    }
    std::string text = digits;
    OPENSSL_free(digits);
    return text;
}

std::vector<std::string> fingerprints_of(const std::string& certificates_pem) {
    std::vector<std::string> all;
    for (const Certificate& one : read_certificates(certificates_pem)) {
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned int size = 0;
        if (X509_digest(one.get(), EVP_sha256(), bytes, &size) == 1) {
            all.push_back(hexadecimal(bytes, size));
        }
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

}  // namespace millrace::certificates
