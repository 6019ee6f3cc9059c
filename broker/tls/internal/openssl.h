// tls/internal/openssl.h
//
// The one way to OpenSSL in this room: its objects with owners, its errors as text.
#pragma once

#include <memory>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string>

namespace millrace::tls::internal {

template <auto release>
struct Releases {
    template <typename T>
    void operator()(T* object) const {
        release(object);
    }
};

inline void free_all(STACK_OF(X509) * stack) {
    sk_X509_pop_free(stack, X509_free);
}
inline void free_names(GENERAL_NAMES* names) {
    GENERAL_NAMES_free(names);
}
inline void free_openssl_memory(unsigned char* bytes) {
    OPENSSL_free(bytes);
}

using BioPtr = std::unique_ptr<BIO, Releases<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Releases<X509_free>>;
using CertificateStackPtr = std::unique_ptr<STACK_OF(X509), Releases<free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Releases<EVP_PKEY_free>>;
using Pkcs12Ptr = std::unique_ptr<PKCS12, Releases<PKCS12_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Releases<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Releases<SSL_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Releases<free_names>>;
using OpenSslBytes = std::unique_ptr<unsigned char, Releases<free_openssl_memory>>;

/// What the library says went wrong, the innermost reason; empties its queue.
inline std::string take_reason() {
    unsigned long last = 0;
    while (const unsigned long code = ERR_get_error()) {
        last = code;
    }
    const char* text = last == 0 ? nullptr : ERR_reason_error_string(last);
    return text == nullptr ? "no reason given" : text;
}

inline BioPtr memory_of(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// A certificate's subject as Java's X500Principal.getName() writes it: RFC 2253, last part first.
std::string name_text(const X509_NAME* name);

}  // namespace millrace::tls::internal
