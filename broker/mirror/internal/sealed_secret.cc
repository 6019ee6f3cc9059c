#include "mirror/internal/sealed_secret.h"

#include <array>
#include <fmt/format.h>
#include <memory>
#include <openssl/evp.h>
#include <string>
#include <utility>

#include "base/assert.h"

namespace millrace::mirror {
namespace {

/// Under a key from the cluster's id; under a key of its own, whose name follows.
constexpr std::string_view derived_mark = "sealed1:";
constexpr std::string_view own_mark = "sealed2:";
constexpr std::string_view derived_purpose = "millrace mirror link secret\n";
constexpr std::string_view own_purpose = "millrace mirror link secret, key of its own\n";
constexpr std::string_view name_purpose = "millrace mirror link key name\n";
constexpr std::size_t name_size = 8;  ///< Of a key, in hexadecimal digits.
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

Key digest(std::string_view purpose, std::string_view of) {
    const std::string material = std::string(purpose) + std::string(of);
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

/// Tells keys apart, and nothing about them.
std::string name_of(const Secret& key) {
    const Key named = digest(name_purpose, key.reveal());
    return to_hex({reinterpret_cast<const char*>(named.data()), name_size / 2});
}

/// What stands before what seal() makes now.
std::string mark_of(const SealingKeys& keys) {
    return keys.own.empty() ? std::string(derived_mark)
                            : fmt::format("{}{}:", own_mark, name_of(keys.own.front()));
}

/// The key that the stored text names, and the text behind its mark.
Result<std::pair<Key, std::string_view>> key_for(std::string_view stored, const SealingKeys& keys) {
    if (stored.starts_with(derived_mark)) {
        return std::pair(digest(derived_purpose, keys.cluster_id),
                         stored.substr(derived_mark.size()));
    }
    const std::string_view rest = stored.substr(own_mark.size());
    const std::string_view name = rest.substr(0, name_size);
    for (const Secret& key : keys.own) {
        if (name_of(key) == name && rest.size() > name_size) {
            return std::pair(digest(own_purpose, key.reveal()), rest.substr(name_size + 1));
        }
    }
    return Error::make(Code::not_found,
                       "a secret is sealed under a key, {}, that this broker does not have: see "
                       "millrace.links.key.file",
                       name);
}

}  // namespace

Secret seal(const Secret& plain, const SealingKeys& keys, Random& random) {
    if (plain.empty()) {
        return plain;
    }
    std::string nonce(nonce_size, '\0');
    for (char& c : nonce) {
        c = static_cast<char>(random.below(256));
    }
    const Key key = keys.own.empty() ? digest(derived_purpose, keys.cluster_id)
                                     : digest(own_purpose, keys.own.front().reveal());
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
    return Secret(mark_of(keys) + to_hex(nonce + cipher + tag));
}

bool is_sealed_as_now(const Secret& stored, const SealingKeys& keys) {
    return stored.empty() || stored.reveal().starts_with(mark_of(keys));
}

Result<Secret> unseal(const Secret& stored, const SealingKeys& keys) {
    if (!stored.reveal().starts_with(derived_mark) && !stored.reveal().starts_with(own_mark)) {
        return stored;
    }
    MR_TRY(const auto sealed, key_for(stored.reveal(), keys));
    const Key& key = sealed.first;
    MR_TRY(const std::string bytes, from_hex(sealed.second));
    if (bytes.size() < nonce_size + tag_size) {
        return Error(Code::corrupt, "a sealed secret that is cut short");
    }
    const std::string_view all = bytes;
    const std::string_view nonce = all.substr(0, nonce_size);
    const std::string_view cipher = all.substr(nonce_size, all.size() - nonce_size - tag_size);
    std::string tag(all.substr(all.size() - tag_size));
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

Result<LinkSpec> unsealed(LinkSpec spec, const SealingKeys& keys) {
    MR_TRY(spec.sasl_password, unseal(spec.sasl_password, keys));
    MR_TRY(spec.tls_key, unseal(spec.tls_key, keys));
    return spec;
}

}  // namespace millrace::mirror
