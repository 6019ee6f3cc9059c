#include "mirror/internal/sealed_secret.h"

#include <array>
#include <fmt/format.h>
#include <memory>
#include <openssl/evp.h>
#include <string>

#include "base/assert.h"

namespace millrace::mirror {
namespace {

constexpr std::string_view mark = "sealed1:";
constexpr std::string_view purpose = "millrace mirror link secret\n";
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;

using Key = std::array<unsigned char, 32>;
struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* raw(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* raw(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

Key key_of(std::string_view cluster_id) {
    const std::string material = std::string(purpose) + std::string(cluster_id);
    Key key{};
    unsigned size = 0;
    const int made =
        EVP_Digest(material.data(), material.size(), key.data(), &size, EVP_sha256(), nullptr);
    MR_ASSERT(made == 1 && size == key.size());
    return key;
}

std::string to_hex(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    }
    return text;
}

int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

Result<std::string> from_hex(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        if (digit(text[i]) < 0 || digit(text[i + 1]) < 0) {
            return Error(Code::corrupt, "a sealed secret that is no hexadecimal text");
        }
        bytes += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
    }
    return bytes;
}

}  // namespace

Secret seal(const Secret& plain, std::string_view cluster_id, Random& random) {
    if (plain.empty()) {
        return plain;
    }
    std::string nonce(nonce_size, '\0');
    for (char& c : nonce) {
        c = static_cast<char>(random.below(256));
    }
    const Key key = key_of(cluster_id);
    std::string cipher(plain.reveal().size(), '\0');
    std::string tag(tag_size, '\0');
    const Context context(EVP_CIPHER_CTX_new());
    int size = 0;
    const bool done =
        context &&
        EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), raw(nonce)) ==
            1 &&
        EVP_EncryptUpdate(context.get(), raw(cipher), &size, raw(plain.reveal()),
                          static_cast<int>(cipher.size())) == 1 &&
        EVP_EncryptFinal_ex(context.get(), raw(cipher) + size, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_size, raw(tag)) == 1;
    MR_ASSERT(done);
    return Secret(std::string(mark) + to_hex(nonce + cipher + tag));
}

Result<Secret> unseal(const Secret& stored, std::string_view cluster_id) {
    if (!stored.reveal().starts_with(mark)) {
        return stored;
    }
    MR_TRY(const std::string bytes,
           from_hex(std::string_view(stored.reveal()).substr(mark.size())));
    if (bytes.size() < nonce_size + tag_size) {
        return Error(Code::corrupt, "a sealed secret that is cut short");
    }
    const std::string_view all = bytes;
    const std::string_view nonce = all.substr(0, nonce_size);
    const std::string_view cipher = all.substr(nonce_size, all.size() - nonce_size - tag_size);
    std::string tag(all.substr(all.size() - tag_size));
    const Key key = key_of(cluster_id);
    std::string plain(cipher.size(), '\0');
    const Context context(EVP_CIPHER_CTX_new());
    int size = 0;
    const bool done =
        context &&
        EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), raw(nonce)) ==
            1 &&
        EVP_DecryptUpdate(context.get(), raw(plain), &size, raw(cipher),
                          static_cast<int>(cipher.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tag_size, raw(tag)) == 1 &&
        EVP_DecryptFinal_ex(context.get(), raw(plain) + size, &size) == 1;
    if (!done) {
        return Error(Code::corrupt, "a sealed secret that another cluster sealed, or damaged");
    }
    return Secret(std::move(plain));
}

Result<LinkSpec> unsealed(LinkSpec spec, std::string_view cluster_id) {
    MR_TRY(spec.sasl_password, unseal(spec.sasl_password, cluster_id));
    MR_TRY(spec.tls_key, unseal(spec.tls_key, cluster_id));
    return spec;
}

}  // namespace millrace::mirror
