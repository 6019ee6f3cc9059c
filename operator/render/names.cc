#include "operator/render/names.h"

#include <array>
#include <fmt/core.h>

namespace millrace::render {

namespace {

std::uint64_t fnv(std::string_view text, std::uint64_t hash) {
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return hash;
}

}  // namespace

std::string managed_selector() {
    return fmt::format("{}={}", label::managed_by, label::manager);
}

std::string pod_name(const std::string& cluster, std::int32_t broker) {
    return fmt::format("{}-{}", cluster, broker);
}
std::string claim_name(const std::string& cluster, std::int32_t broker, std::int32_t volume) {
    return fmt::format("{}-{}-data-{}", cluster, broker, volume);
}
std::string config_name(const std::string& cluster, std::int32_t broker,
                        const std::string& revision) {
    return fmt::format("{}-{}-config-{}", cluster, broker, revision);
}
std::string certificate_name(const std::string& cluster, std::int32_t broker) {
    return fmt::format("{}-{}-tls", cluster, broker);
}
std::string operator_certificate_name(const std::string& cluster) {
    return cluster + "-operator-tls";
}
std::string authority_name(const std::string& cluster) {
    return cluster + "-ca";
}
std::string spec_name(const std::string& cluster) {
    return cluster + "-spec";
}
std::string links_key_name(const std::string& cluster) {
    return cluster + "-links-key";
}
std::string link_certificate_name(const std::string& link) {
    return link + "-link-certificate";
}
std::string headless_name(const std::string& cluster) {
    return cluster + "-brokers";
}
std::string bootstrap_name(const std::string& cluster) {
    return cluster + "-bootstrap";
}
std::string budget_name(const std::string& cluster) {
    return cluster + "-brokers";
}
std::string broker_service_name(const std::string& cluster, std::int32_t broker,
                                const std::string& listener) {
    return fmt::format("{}-{}-{}", cluster, broker, listener);
}

std::string content_hash(std::string_view text) {
    return fmt::format("{:016x}", fnv(text, 0xcbf29ce484222325U));
}

std::string cluster_id_from_uid(const std::string& uid) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // Two different hashes of the uid: the 16 bytes of an id, in base64 without padding. The first
    // letter is never '-', which command lines would take for an option.
    const std::array<std::uint64_t, 2> halves = {fnv(uid, 0xcbf29ce484222325U),
                                                 fnv(uid, 0x84222325cbf29ce4U)};
    std::string id;
    for (int bit = 0; bit < 132; bit += 6) {
        std::uint64_t six = 0;
        for (int i = 0; i < 6; ++i) {
            const int at = bit + i;
            const std::uint64_t one =
                at < 128 ? halves[static_cast<std::size_t>(at / 64)] >> (63 - at % 64) & 1U : 0;
            six = six << 1U | one;
        }
        id += alphabet[six];
    }
    if (id.front() == '-') {
        id.front() = 'A';
    }
    return id;
}

}  // namespace millrace::render
