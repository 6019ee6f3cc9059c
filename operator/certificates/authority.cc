#include "operator/certificates/authority.h"

#include "base/assert.h"

namespace millrace::certificates {

namespace {

constexpr const char* trusted_entry = "ca.crt";
constexpr const char* key_entry = "ca.key";
constexpr const char* signer_entry = "signer.crt";
constexpr const char* next_entry = "next.crt";
constexpr const char* next_key_entry = "next.key";

std::string text_of(const Entries& entries, const char* name) {
    const auto found = entries.find(name);
    return found == entries.end() ? "" : found->second;
}

}  // namespace

Authority Authority::of(KeyPair signer) {
    Authority authority;
    authority.trusted_pem = signer.certificate_pem;
    authority.signer = std::move(signer);
    return authority;
}

Result<Authority> read_authority(const Entries& entries) {
    Authority authority;
    authority.trusted_pem = text_of(entries, trusted_entry);
    authority.signer = {text_of(entries, signer_entry), Secret(text_of(entries, key_entry))};
    if (authority.signer.certificate_pem.empty()) {
        authority.signer.certificate_pem = authority.trusted_pem;
    }
    if (entries.contains(next_entry)) {
        authority.next = {text_of(entries, next_entry), Secret(text_of(entries, next_key_entry))};
    }
    MR_TRY_VOID(can_sign(authority.signer));
    return authority;
}

Entries entries_of(const Authority& authority) {
    Entries entries = {{trusted_entry, authority.trusted_pem},
                       {signer_entry, authority.signer.certificate_pem},
                       {key_entry, authority.signer.key_pem.reveal()}};
    if (authority.next) {
        entries[next_entry] = authority.next->certificate_pem;
        entries[next_key_entry] = authority.next->key_pem.reveal();
    }
    return entries;
}

Authority introduce(Authority authority, KeyPair next) {
    authority.trusted_pem = authority.signer.certificate_pem;
    if (!authority.trusted_pem.ends_with('\n')) {
        authority.trusted_pem += '\n';  // A person's own may lack it.
    }
    authority.trusted_pem += next.certificate_pem;
    authority.next = std::move(next);
    return authority;
}

Authority put_in_charge(Authority authority) {
    MR_ASSERT(authority.next.has_value());
    authority.signer = *std::move(authority.next);
    authority.next.reset();
    return authority;
}

Authority retire_others(Authority authority) {
    return Authority::of(std::move(authority.signer));
}

}  // namespace millrace::certificates
