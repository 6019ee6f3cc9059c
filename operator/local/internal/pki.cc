#include "operator/local/internal/pki.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <fstream>
#include <memory>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

template <typename T, void (*free)(T*)>
struct Free {
    void operator()(T* object) const { free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509, X509_free>>;
struct FreeBio {
    void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

constexpr int year = 365 * 24 * 3600;

Error openssl_failed(const char* what) {
    return Error::make(Code::internal, "OpenSSL could not {}", what);
}

Key new_key() {
    return Key(EVP_EC_gen("P-256"));
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

void set_name(X509_NAME* name, const char* common_name) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
}

/// Signed by itself if `issuer` is null.
Result<Certificate> make_certificate(const char* name, EVP_PKEY* key, X509* issuer,
                                     EVP_PKEY* issuer_key) {
    Certificate certificate(X509_new());
    X509* raw = certificate.get();
    X509_set_version(raw, 2);
    std::uint64_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(raw), serial >> 1);
    X509_gmtime_adj(X509_getm_notBefore(raw), -300);
    X509_gmtime_adj(X509_getm_notAfter(raw), issuer == nullptr ? 10L * year : 1L * year);
    X509_set_pubkey(raw, key);
    set_name(X509_get_subject_name(raw), name);
    X509_set_issuer_name(raw, X509_get_subject_name(issuer == nullptr ? raw : issuer));
    X509* signer = issuer == nullptr ? raw : issuer;
    const bool extended =
        issuer == nullptr
            ? add_extension(raw, signer, NID_basic_constraints, "critical,CA:TRUE") &&
                  add_extension(raw, signer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                  add_extension(raw, signer, NID_subject_key_identifier, "hash")
            : add_extension(raw, signer, NID_basic_constraints, "critical,CA:FALSE") &&
                  add_extension(raw, signer, NID_ext_key_usage, "serverAuth") &&
                  add_extension(raw, signer, NID_authority_key_identifier, "keyid") &&
                  add_extension(raw, signer, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    if (!extended || X509_sign(raw, issuer_key, EVP_sha256()) == 0) {
        return openssl_failed("make a certificate");
    }
    return certificate;
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return text_of(bio.get());
}

std::string pem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(bio.get());
}

bool still_valid(const std::filesystem::path& path) {
    const auto text = read_file(path);
    if (!text) {
        return false;
    }
    const Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
    const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) {
        return false;
    }
    int days = 0;
    int seconds = 0;
    ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get()));
    return days >= 30;
}

Result<void> make_pki(const Pki& pki) {
    // The CA's key is used once and forgotten: nobody can sign another certificate with it.
    const Key ca_key = new_key();
    const Key key = new_key();
    if (!ca_key || !key) {
        return openssl_failed("make a key");
    }
    MR_TRY(const Certificate ca,
           make_certificate("millrace-local-ca", ca_key.get(), nullptr, ca_key.get()));
    MR_TRY(const Certificate certificate,
           make_certificate("millrace-local", key.get(), ca.get(), ca_key.get()));
    MR_TRY_VOID(write_private_file(pki.key, pem(key.get())));
    MR_TRY_VOID(write_private_file(pki.ca, pem(ca.get())));
    return write_private_file(pki.certificate, pem(certificate.get()));
}

}  // namespace

std::string random_hex(std::size_t bytes) {
    std::string raw(bytes, '\0');
    const int drawn =
        RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(raw.size()));
    MR_ASSERT(drawn == 1);
    std::string out;
    for (const char c : raw) {
        out += fmt::format("{:02x}", static_cast<unsigned char>(c));
    }
    return out;
}

Result<std::string> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return Error::make(Code::not_found, "{}: can't be read", path.string());
    }
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}

Result<void> write_private_file(const std::filesystem::path& path, std::string_view text) {
    const std::string temporary = path.string() + ".tmp";
    const int file =
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return Error::make(Code::io, "{}: {}", temporary, std::strerror(errno));
    }
    const bool written =
        ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fchmod(file, 0600) == 0 && ::fsync(file) == 0;
    ::close(file);
    if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
        return Error::make(Code::io, "{}: {}", path.string(), std::strerror(errno));
    }
    return {};
}

Result<Pki> ensure_pki(const std::filesystem::path& dir) {
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    if (failed) {
        return Error::make(Code::io, "{}: {}", dir.string(), failed.message());
    }
    Pki pki{dir / "ca.crt", dir / "server.crt", dir / "server.key", ""};
    if (!still_valid(pki.certificate) || !still_valid(pki.ca) || !read_file(pki.key)) {
        MR_TRY_VOID(make_pki(pki));
    }
    const std::filesystem::path token_file = dir / "token";
    if (const auto token = read_file(token_file); token && token->size() == 64) {
        pki.token = *token;
    } else {
        pki.token = random_hex(32);
        MR_TRY_VOID(write_private_file(token_file, pki.token));
    }
    return pki;
}

std::string kubeconfig_text(const Pki& pki, const std::string& url) {
    const auto ca = read_file(pki.ca);
    return fmt::format(
        "apiVersion: v1\nkind: Config\ncurrent-context: millrace-local\n"
        "clusters:\n- name: millrace-local\n  cluster:\n    server: {}\n"
        "    certificate-authority-data: {}\n"
        "users:\n- name: millrace-local\n  user:\n    token: {}\n"
        "contexts:\n- name: millrace-local\n  context:\n    cluster: millrace-local\n"
        "    user: millrace-local\n    namespace: default\n",
        url, to_base64(ca ? *ca : ""), pki.token);
}

}  // namespace millrace::local
