// A certificate that has signed itself, of any name and time; and its key, as text or in PKCS12.
#pragma once

#include <string>

#include "tls/internal/openssl.h"

namespace millrace::tls {

class SelfSigned {
public:
    /// `subject` has one part, "/CN=name"; days count from today.
    SelfSigned(const std::string& subject, int from_day, int to_day)
        : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
        constexpr long day = 24L * 60 * 60;
        X509* made = certificate_.get();
        X509_set_version(made, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(made), 42);
        X509_gmtime_adj(X509_getm_notBefore(made), from_day * day);
        X509_gmtime_adj(X509_getm_notAfter(made), to_day * day);
        X509_NAME_add_entry_by_txt(
            X509_get_subject_name(made), "CN", MBSTRING_UTF8,
            reinterpret_cast<const unsigned char*>(subject.substr(4).c_str()), -1, -1, 0);
        X509_set_issuer_name(made, X509_get_subject_name(made));
        X509_set_pubkey(made, key_.get());
        X509_sign(made, key_.get(), EVP_sha256());
    }

    std::string certificate_pem() const {
        return written([&](BIO* to) { PEM_write_bio_X509(to, certificate_.get()); });
    }
    std::string key_pem(const char* password = nullptr) const {
        return written([&](BIO* to) {
            PEM_write_bio_PKCS8PrivateKey(to, key_.get(),
                                          password == nullptr ? nullptr : EVP_aes_256_cbc(),
                                          nullptr, 0, nullptr, const_cast<char*>(password));
        });
    }
    std::string pkcs12(const char* password) const {
        const internal::Pkcs12Ptr store(
            PKCS12_create(password, "us", key_.get(), certificate_.get(), nullptr, 0, 0, 0, 0, 0));
        return written([&](BIO* to) { i2d_PKCS12_bio(to, store.get()); });
    }

private:
    template <typename Write>
    static std::string written(Write write) {
        const internal::BioPtr to(BIO_new(BIO_s_mem()));
        write(to.get());
        char* at = nullptr;
        const long size = BIO_get_mem_data(to.get(), &at);
        return {at, static_cast<std::size_t>(size)};
    }

    internal::KeyPtr key_;
    internal::CertificatePtr certificate_;
};

}  // namespace millrace::tls
