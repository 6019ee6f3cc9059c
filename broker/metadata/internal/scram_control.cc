// AlterUserScramCredentials (KIP-554): the client sends a salted password; we keep the two keys
// that follow from it (RFC 5802), not the password.
#include <map>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/alter_user_scram_credentials_request.h"
#include "protocol/messages/alter_user_scram_credentials_response.h"
#include "protocol/messages/remove_user_scram_credential_record.h"
#include "protocol/messages/user_scram_credential_record.h"

namespace millrace::metadata {
namespace {

constexpr std::int32_t min_iterations = 4'096;
constexpr std::int32_t max_iterations = 16'384;

using Upsertion = protocol::AlterUserScramCredentialsRequest::ScramCredentialUpsertion;

const EVP_MD* digest_of(std::int8_t mechanism) {
    switch (static_cast<ScramMechanism>(mechanism)) {
        case ScramMechanism::sha_256:
            return EVP_sha256();
        case ScramMechanism::sha_512:
            return EVP_sha512();
        case ScramMechanism::unknown:
            break;
    }
    return nullptr;
}

const unsigned char* raw(ByteView bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

Buffer hmac(const EVP_MD* digest, ByteView key, std::string_view text) {
    Buffer out(EVP_MAX_MD_SIZE);
    unsigned int size = 0;
    const auto* made = HMAC(digest, key.data(), static_cast<int>(key.size()), raw(as_bytes(text)),
                            text.size(), reinterpret_cast<unsigned char*>(out.data()), &size);
    MR_ASSERT(made != nullptr);
    out.resize(size);
    return out;
}

Buffer hash(const EVP_MD* digest, ByteView text) {
    Buffer out(EVP_MAX_MD_SIZE);
    unsigned int size = 0;
    const int done =
        EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()), &size,
                   digest, nullptr);
    MR_ASSERT(done == 1);
    out.resize(size);
    return out;
}

MaybeRefusal check_name(std::string_view name, std::int8_t mechanism) {
    if (name.empty()) {
        return Refusal::make(KafkaError::unacceptable_credential, "a user needs a name");
    }
    if (digest_of(mechanism) == nullptr) {
        return Refusal::make(KafkaError::unsupported_sasl_mechanism, "unknown SCRAM mechanism {}",
                             mechanism);
    }
    return std::nullopt;
}

MaybeRefusal check_upsertion(const Upsertion& upsertion) {
    if (MaybeRefusal refusal = check_name(upsertion.name, upsertion.mechanism)) {
        return refusal;
    }
    if (upsertion.iterations < min_iterations || upsertion.iterations > max_iterations) {
        return Refusal::make(KafkaError::unacceptable_credential,
                             "{} iterations; at least {} and at most {}", upsertion.iterations,
                             min_iterations, max_iterations);
    }
    return std::nullopt;
}

void add_upsertion(Draft& draft, const Upsertion& upsertion) {
    const EVP_MD* digest = digest_of(upsertion.mechanism);
    const Buffer client_key = hmac(digest, upsertion.salted_password, "Client Key");
    const Buffer stored_key = hash(digest, client_key);
    const Buffer server_key = hmac(digest, upsertion.salted_password, "Server Key");
    protocol::UserScramCredentialRecord record;
    record.name = upsertion.name;
    record.mechanism = upsertion.mechanism;
    record.salt = upsertion.salt;
    record.stored_key = stored_key;
    record.server_key = server_key;
    record.iterations = upsertion.iterations;
    draft.add(record, 0);
}

MaybeRefusal add_deletion(
    Draft& draft,
    const protocol::AlterUserScramCredentialsRequest::ScramCredentialDeletion& deletion) {
    if (MaybeRefusal refusal = check_name(deletion.name, deletion.mechanism)) {
        return refusal;
    }
    const ScramKey key{static_cast<ScramMechanism>(deletion.mechanism), std::string(deletion.name)};
    if (!draft.image().scram.contains(key)) {
        return Refusal::make(KafkaError::resource_not_found,
                             "the user has no credential of this mechanism");
    }
    protocol::RemoveUserScramCredentialRecord record;
    record.name = deletion.name;
    record.mechanism = deletion.mechanism;
    draft.add(record, 0);
    return std::nullopt;
}

}  // namespace

Decision<protocol::AlterUserScramCredentialsResponse> alter_user_scram_credentials(
    Context& context, const protocol::AlterUserScramCredentialsRequest& request) {
    Decision<protocol::AlterUserScramCredentialsResponse> decision(context);
    std::map<std::string_view, int> times;  // one alteration for each user
    for (const auto& deletion : request.deletions) {
        ++times[deletion.name];
    }
    for (const auto& upsertion : request.upsertions) {
        ++times[upsertion.name];
    }
    MaybeRefusal for_all;
    if (!context.image.metadata_version().has_scram()) {
        for_all = Refusal::make(KafkaError::unsupported_version, "metadata.version {} has no SCRAM",
                                context.image.metadata_version().name());
    } else if (times.size() > context.options.max_records_per_operation) {
        for_all = too_many_records(context.options);
    }
    std::set<std::string_view> answered;
    const auto answer = [&](std::string_view user, auto&& apply) {
        if (!answered.insert(user).second) {
            return;
        }
        MaybeRefusal refusal = for_all;
        if (!refusal && times[user] > 1) {
            refusal = Refusal::make(KafkaError::duplicate_resource, "the user is altered twice");
        }
        if (!refusal) {
            refusal = apply();
        }
        auto& result = decision.answer.results.emplace_back();
        result.user = decision.texts.keep(std::string(user));
        set_outcome(result, refusal, decision.texts);
    };
    for (const auto& deletion : request.deletions) {
        answer(deletion.name, [&] { return add_deletion(decision.draft, deletion); });
    }
    for (const Upsertion& upsertion : request.upsertions) {
        answer(upsertion.name, [&] {
            MaybeRefusal refusal = check_upsertion(upsertion);
            if (!refusal) {
                add_upsertion(decision.draft, upsertion);
            }
            return refusal;
        });
    }
    return decision;
}

}  // namespace millrace::metadata
