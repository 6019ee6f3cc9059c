#include "client/scram.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <vector>

namespace millrace::client {
namespace {

constexpr int least_iterations = 4096;
constexpr int most_iterations = 1 << 20;  // a server must not keep us busy for minutes

const EVP_MD* digest_of(bool sha512) {
    return sha512 ? EVP_sha512() : EVP_sha256();
}

const unsigned char* raw(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string hmac(const EVP_MD* digest, std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out;
    unsigned size = 0;
    HMAC(digest, key.data(), static_cast<int>(key.size()), raw(text), text.size(), out.data(),
         &size);
    return {reinterpret_cast<const char*>(out.data()), size};
}

std::string hash(const EVP_MD* digest, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out;
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), out.data(), &size, digest, nullptr);
    return {reinterpret_cast<const char*>(out.data()), size};
}

std::string to_base64(std::string_view bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), raw(bytes),
                                     static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

Result<std::string> from_base64(std::string_view text) {
    std::string bytes(3 * (text.size() / 4) + 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), raw(text),
                                     static_cast<int>(text.size()));
    if (size < 0 || text.size() % 4 != 0) {
        return Error(Code::corrupt, "SCRAM: no base64");
    }
    const auto padding = std::min<std::size_t>(
        2, static_cast<std::size_t>(std::count(text.begin(), text.end(), '=')));
    bytes.resize(static_cast<std::size_t>(size) - padding);
    return bytes;
}

/// "r=abc,s=...,i=4096" as a map from letter to value.
std::map<char, std::string> attributes(std::string_view message) {
    std::map<char, std::string> found;
    while (!message.empty()) {
        const std::size_t comma = std::min(message.find(','), message.size());
        const std::string_view part = message.substr(0, comma);
        if (part.size() >= 2 && part[1] == '=') {
            found.emplace(part[0], part.substr(2));
        }
        message.remove_prefix(std::min(comma + 1, message.size()));
    }
    return found;
}

std::string escaped(std::string_view name) {
    std::string out;
    for (const char c : name) {
        out += c == ',' ? "=2C" : c == '=' ? "=3D" : std::string(1, c);
    }
    return out;
}

}  // namespace

Result<ScramClient> ScramClient::make(std::string_view mechanism, std::string username,
                                      Secret password, std::string nonce) {
    const bool sha512 = mechanism == "SCRAM-SHA-512";
    if (!sha512 && mechanism != "SCRAM-SHA-256") {
        return Error::make(Code::invalid, "SASL mechanism {} is not offered", mechanism);
    }
    return ScramClient(sha512, std::move(username), std::move(password), std::move(nonce));
}

std::string ScramClient::first_bare() const {
    return fmt::format("n={},r={}", escaped(username_), nonce_);
}

std::string ScramClient::first_message() const {
    return "n,," + first_bare();
}

Result<std::string> ScramClient::final_message(std::string_view server_first) {
    const auto server = attributes(server_first);
    if (const auto error = server.find('e'); error != server.end()) {
        return Error::make(Code::permission, "SCRAM: {}", error->second);
    }
    if (!server.contains('r') || !server.contains('s') || !server.contains('i')) {
        return Error(Code::corrupt, "SCRAM: the server's first message lacks something");
    }
    const std::string& nonce = server.at('r');
    if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size()) {
        return Error(Code::permission, "SCRAM: the server answered somebody else's nonce");
    }
    int iterations = 0;
    const std::string& count = server.at('i');
    std::from_chars(count.data(), count.data() + count.size(), iterations);
    if (iterations < least_iterations || iterations > most_iterations) {
        return Error::make(Code::permission, "SCRAM: {} iterations", count);
    }
    MR_TRY(const std::string salt, from_base64(server.at('s')));
    const EVP_MD* digest = digest_of(sha512_);
    std::string salted(static_cast<std::size_t>(EVP_MD_size(digest)), '\0');
    const std::string& password = password_.reveal();
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), raw(salt),
                      static_cast<int>(salt.size()), iterations, digest,
                      static_cast<int>(salted.size()),
                      reinterpret_cast<unsigned char*>(salted.data()));
    const std::string without_proof = fmt::format("c=biws,r={}", nonce);
    const std::string to_sign = fmt::format("{},{},{}", first_bare(), server_first, without_proof);
    const std::string client_key = hmac(digest, salted, "Client Key");
    std::string proof = hmac(digest, hash(digest, client_key), to_sign);
    for (std::size_t i = 0; i < proof.size(); ++i) {
        proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
    }
    server_signature_ = hmac(digest, hmac(digest, salted, "Server Key"), to_sign);
    return fmt::format("{},p={}", without_proof, to_base64(proof));
}

Result<void> ScramClient::check_server(std::string_view server_final) const {
    const auto server = attributes(server_final);
    if (const auto error = server.find('e'); error != server.end()) {
        return Error::make(Code::permission, "SCRAM: {}", error->second);
    }
    const auto verifier = server.find('v');
    if (verifier == server.end()) {
        return Error(Code::permission, "SCRAM: the server does not prove that it knows us");
    }
    MR_TRY(const std::string signature, from_base64(verifier->second));
    if (signature.size() != server_signature_.size() ||
        CRYPTO_memcmp(signature.data(), server_signature_.data(), signature.size()) != 0) {
        return Error(Code::permission, "SCRAM: the server does not know our password");
    }
    return {};
}

}  // namespace millrace::client
