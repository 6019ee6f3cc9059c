// protocol/api_table.h
//
// Every API of the protocol: which versions we serve, on which listener, who may call it. Versions,
// names and listeners come from the schemas; forwarding and required ACLs are said in api_table.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace millrace::protocol {

enum class ApiKey : std::int16_t {
#define MR_API(name, enumerator, key, ...) enumerator = key,
#include "protocol/messages/apis.def"
#undef MR_API
};

// Kafka's codes: they travel in ACL requests and in authorized-operations bit sets.
enum class AclOperation : std::int8_t {
    unknown = 0,
    any = 1,
    all = 2,
    read = 3,
    write = 4,
    create = 5,
    remove = 6,
    alter = 7,
    describe = 8,
    cluster_action = 9,
    describe_configs = 10,
    alter_configs = 11,
    idempotent_write = 12,
    create_tokens = 13,
    describe_tokens = 14,
    two_phase_commit = 15,
};

enum class AclResource : std::int8_t {
    unknown = 0,
    any = 1,
    topic = 2,
    group = 3,
    cluster = 4,
    transactional_id = 5,
    delegation_token = 6,
    user = 7,
};

struct RequiredAcl {
    AclOperation operation;
    AclResource resource;
    std::string_view when;  ///< For documentation and for who reads the check: on what it is asked.
};

struct Api {
    ApiKey key;
    std::string_view name;
    std::int16_t min_version;  ///< Served.
    std::int16_t max_version;  ///< Served: an unstable latest version is not.
    /// What ApiVersions says. Lower than min_version for Produce alone: old librdkafka takes a
    /// higher one for a broker without compression.
    std::int16_t advertised_min;
    std::int16_t first_flexible_version;
    bool has_unstable_version;  ///< The schema knows one version more than is served.
    bool on_broker;
    bool on_controller;
    bool forwardable;     ///< A broker hands it to the active controller.
    bool cluster_action;  ///< Brokers and controllers only.
    std::span<const RequiredAcl> acls;
    std::size_t slot;  ///< Dense, 0 .. api_count-1: where its handler and its counters lie.

    bool serves(std::int16_t version) const {
        return version >= min_version && version <= max_version;
    }
};

inline constexpr std::size_t api_count = 0
#define MR_API(...) +1
#include "protocol/messages/apis.def"
#undef MR_API
    ;

/// In ascending order of key.
std::span<const Api> all_apis();
/// nullptr for a key that no API has.
const Api* find_api(std::int16_t key);
inline const Api& api_of(ApiKey key) {
    return *find_api(static_cast<std::int16_t>(key));
}

std::string_view to_string(AclOperation operation);  ///< "DESCRIBE_CONFIGS"
std::string_view to_string(AclResource resource);    ///< "TRANSACTIONAL_ID"

}  // namespace millrace::protocol
