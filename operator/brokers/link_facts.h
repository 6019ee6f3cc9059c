// operator/brokers/link_facts.h
//
// A mirror link as the operator wishes it and as brokers know it: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "operator/api/mirror_link.h"

namespace millrace::brokers {

struct LinkTlsMaterial {
    std::string ca_pem;
    std::string certificate_pem;
    Secret key_pem;
    friend bool operator==(const LinkTlsMaterial&, const LinkTlsMaterial&) = default;
};

/// The whole of what a link shall be.
struct LinkWish {
    std::string name;
    api::MirrorLinkSpec spec;
    std::vector<std::string> bootstrap;  ///< Where the source is, whichever way the spec says it.
    std::string cluster_id;              ///< That the source must have; empty: the first one seen.
    std::optional<LinkTlsMaterial> tls;
    std::string username;
    Secret password;
    /// Names this version of the secrets: brokers never tell them, only what they were called.
    std::string credentials_version;
    friend bool operator==(const LinkWish&, const LinkWish&) = default;
};

enum class LinkPhase {
    pending,
    connecting,
    validating,
    active,
    degraded,
    source_unavailable,
    paused,
    failed,
    terminating,
};

struct LinkTopicFacts {
    std::string topic;
    std::string state;  ///< "mirroring", as the brokers' metrics say it.
    std::string reason;
    std::int64_t lag_records = 0;
    std::int64_t lag_ms = 0;
    friend bool operator==(const LinkTopicFacts&, const LinkTopicFacts&) = default;
};

struct LinkLoss {
    std::string topic;
    int partition = 0;
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t at_ms = 0;
    bool truncated = false;  ///< Taken back by a cut; otherwise never mirrored.
    friend bool operator==(const LinkLoss&, const LinkLoss&) = default;
};

struct LinkFailover {
    std::int64_t at_ms = 0;
    std::int64_t topics = 0;
    std::int64_t partitions = 0;
    std::int64_t lost_records = 0;  ///< Known to be lost; -1: the source was never seen.
    std::int64_t lost_ms = 0;
    std::int64_t clamped = 0;
    friend bool operator==(const LinkFailover&, const LinkFailover&) = default;
};

/// What all brokers of the cluster together say of one link.
struct LinkFacts {
    bool exists = false;
    bool is_as_wished = false;
    std::string id;
    std::int64_t version = 0;
    /// Of the wish that the brokers have.
    std::vector<std::string> bootstrap;
    std::string expected_cluster_id;
    std::string username;
    std::optional<LinkTlsMaterial> tls;  ///< Without the key, which is in no answer.
    std::string credentials_version;
    LinkPhase phase = LinkPhase::pending;
    std::string reason;
    std::string message;
    std::string source_cluster_id;
    std::int64_t topics = 0;
    std::int64_t topics_as_wished = -1;  ///< -1: brokers of a version that doesn't tell.
    std::map<std::string, std::int64_t, std::less<>> topics_by_state;
    std::int64_t lag_records = 0;
    std::int64_t lag_ms = 0;
    std::int64_t rpo_ms = 0;
    std::vector<LinkTopicFacts> worst;  ///< With a reason first, then the furthest behind.
    std::vector<LinkLoss> losses;
    std::optional<LinkFailover> failover;
    bool lacks_room = false;  ///< Topics are not begun, because they would not fit: see `message`.
    /// Promoted without a fence, and their source takes writes, too.
    std::vector<std::string> split;
    bool credentials_valid = true;
    bool groups_synced = false;
    friend bool operator==(const LinkFacts&, const LinkFacts&) = default;
};

}  // namespace millrace::brokers
