#include "tls/context.h"

#include "tls/internal/loaded.h"

namespace millrace::tls {

Result<std::shared_ptr<Context>> Context::open(Settings settings, runtime::Disk& disk) {
    MR_TRY(auto loaded, internal::load(std::move(settings), disk));
    return std::make_shared<Context>(std::move(loaded));
}

Result<CertificateFacts> facts_of_files(const std::string& certificate,
                                        const std::string& authorities, runtime::Disk& disk) {
    Settings settings;
    settings.key_store.type = settings.trust_store.type = "PEM";
    settings.key_store.location = certificate;
    settings.trust_store.location = authorities;
    return internal::facts_of_stores(settings, disk);
}

Context::Context(std::shared_ptr<const internal::Loaded> loaded) : loaded_(std::move(loaded)) {}
Context::~Context() = default;

Result<bool> Context::reload(Settings settings, runtime::Disk& disk) {
    MR_TRY(auto next, internal::load(std::move(settings), disk));
    const auto before = loaded();
    if (next->settings == before->settings && next->key_bytes == before->key_bytes &&
        next->trust_bytes == before->trust_bytes) {
        return false;
    }
    MR_TRY_VOID(internal::check_succession(*before, *next));
    const std::lock_guard lock(mutex_);
    loaded_ = std::move(next);
    return true;
}

Result<void> Context::judge(Settings settings, runtime::Disk& disk) const {
    MR_TRY(const auto next, internal::load(std::move(settings), disk));
    return internal::check_succession(*loaded(), *next);
}

bool Context::has_certificate() const {
    return loaded()->server != nullptr;
}

CertificateFacts Context::facts() const {
    return loaded()->facts;
}

Settings Context::settings() const {
    return loaded()->settings;
}

std::shared_ptr<const internal::Loaded> Context::loaded() const {
    const std::lock_guard lock(mutex_);
    return loaded_;
}

}  // namespace millrace::tls
