// metadata/image_settings.h
//
// Configs, features, quotas and security records of an image.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "metadata/persistent_map.h"
#include "metadata/ref.h"
#include "model/ids.h"

namespace millrace::metadata {

/// Kafka's ConfigResource types, as on the wire and in the log.
enum class ConfigResourceType : std::int8_t {
    unknown = 0,
    topic = 2,
    broker = 4,  ///< With an empty name: the default of every broker.
    broker_logger = 8,
    client_metrics = 16,
    group = 32,
};

struct ConfigResource {
    ConfigResourceType type = ConfigResourceType::unknown;
    std::string name;
    friend auto operator<=>(const ConfigResource&, const ConfigResource&) = default;
};

struct ConfigMap : RefCounted {
    std::map<std::string, std::string, std::less<>> values;
    friend bool operator==(const ConfigMap& a, const ConfigMap& b) { return a.values == b.values; }
};

class Configs {
public:
    /// Null if nothing was ever set there.
    const ConfigMap* find(const ConfigResource& resource) const {
        const Ref<ConfigMap>* found = by_resource_.find(resource);
        return found != nullptr ? found->get() : nullptr;
    }
    /// What was set for exactly this resource; no inheritance.
    const std::string* find(const ConfigResource& resource, std::string_view key) const;
    /// {key: ConfigResource, value: Ref<ConfigMap>}, ordered by type, then name.
    const PersistentMap<ConfigResource, Ref<ConfigMap>>& by_resource() const {
        return by_resource_;
    }

    void set(const ConfigResource& resource, std::string key, std::string value);
    void erase(const ConfigResource& resource, std::string_view key);
    void erase(const ConfigResource& resource) { by_resource_.erase(resource); }

    friend bool operator==(const Configs& a, const Configs& b);

private:
    PersistentMap<ConfigResource, Ref<ConfigMap>> by_resource_;
};

/// Finalized feature levels by name; a level of 0 is not kept.
using FeatureLevels = PersistentMap<std::string, std::int16_t>;

/// Sorted by type; a null name is the type's default entity.
using QuotaEntity = std::vector<std::pair<std::string, std::optional<std::string>>>;
using QuotaValues = std::map<std::string, double>;
using Quotas = PersistentMap<QuotaEntity, QuotaValues>;

enum class ScramMechanism : std::int8_t { unknown = 0, sha_256 = 1, sha_512 = 2 };
struct ScramKey {
    ScramMechanism mechanism = ScramMechanism::unknown;
    std::string user;
    friend auto operator<=>(const ScramKey&, const ScramKey&) = default;
};
struct ScramCredential {
    Secret salt;
    Secret stored_key;
    Secret server_key;
    std::int32_t iterations = 0;
    friend bool operator==(const ScramCredential&, const ScramCredential&) = default;
};
using ScramCredentials = PersistentMap<ScramKey, ScramCredential>;

/// One access control entry; the numbers are Kafka's ResourceType, PatternType, AclOperation and
/// AclPermissionType codes, which security gives a meaning to.
struct Acl {
    std::int8_t resource_type = 0;
    std::string resource_name;
    std::int8_t pattern_type = 0;
    std::string principal;
    std::string host;
    std::int8_t operation = 0;
    std::int8_t permission_type = 0;
    friend auto operator<=>(const Acl&, const Acl&) = default;
};
using Acls = PersistentMap<Uuid, Acl>;

struct DelegationToken {
    std::string owner;  ///< "User:alice"
    std::string requester;
    std::vector<std::string> renewers;
    Timestamp issued;
    Timestamp max;
    Timestamp expires;
    friend bool operator==(const DelegationToken&, const DelegationToken&) = default;
};
using DelegationTokens = PersistentMap<std::string, DelegationToken>;

}  // namespace millrace::metadata
