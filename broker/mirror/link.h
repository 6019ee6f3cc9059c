// mirror/link.h
//
// What a mirror link is to be, as it was applied, and what is known of it: plain values. A link
// lies in the cluster's metadata as one entry (see encode()), so every broker knows it at the same
// moment as the topics that it writes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "model/ids.h"

namespace millrace::mirror {

enum class Naming : std::uint8_t { identity = 1, prefix };
enum class Desired : std::uint8_t { mirroring = 1, paused, promoted };
enum class Promotion : std::uint8_t { planned = 1, forced };
enum class StartFrom : std::uint8_t { earliest = 1, latest };
enum class ReadUpTo : std::uint8_t { high_watermark = 1, last_stable };
enum class Reaction : std::uint8_t {
    go_on = 1,
    halt,
    retain,
    remove,
    truncate,
    archive_and_restart
};

struct LinkSpec {
    std::string name;
    std::vector<std::string> bootstrap_servers;  ///< host:port
    std::string expected_cluster_id;             ///< Empty: the first one seen, from then on.
    bool tls = false;
    std::string tls_ca;
    std::string tls_certificate;
    Secret tls_key;
    std::string tls_server_name;
    std::string sasl_mechanism;  ///< Empty: none.
    std::string sasl_username;
    Secret sasl_password;
    Naming naming = Naming::identity;
    std::string alias;
    std::vector<std::string> topics_include;  ///< Globs.
    std::vector<std::string> topics_exclude;
    StartFrom start_from = StartFrom::earliest;
    std::vector<std::string> groups_include;
    std::vector<std::string> groups_exclude;
    std::int32_t groups_interval_ms = 5'000;
    std::int32_t configs_interval_ms = 30'000;  ///< 0: off.
    bool sync_acls = false;
    Desired state = Desired::mirroring;
    Promotion promotion = Promotion::planned;
    std::map<std::string, Desired> topic_states;  ///< Where it differs from the link's.
    bool truncate_existing = false;
    std::int64_t bytes_per_second = 0;  ///< 0: no limit. For each destination broker its share.
    std::int32_t connections_per_broker = 0;  ///< 0: as needed.
    ReadUpTo read_up_to = ReadUpTo::high_watermark;
    bool truncate_open_transactions = false;  ///< At the seal: cut at the LSO instead of aborting.
    Reaction on_gap = Reaction::go_on;
    Reaction on_source_deleted = Reaction::retain;
    Reaction on_source_recreated = Reaction::halt;
    Reaction on_divergence = Reaction::truncate;
    std::int64_t max_lag_ms = 0;
    /// What whoever applied it calls this version of its secrets.
    std::string credentials_version;

    friend bool operator==(const LinkSpec&, const LinkSpec&) = default;

    /// What is wished for one topic of this cluster. What is left out stays as it is.
    Desired desired(const std::string& topic) const;
    /// A mirror whose topic is excluded by now, or not included any more; an override comes first.
    bool leaves_out(const std::string& topic) const;
    /// Whether the source's topic is to be mirrored. Internal topics never are.
    bool takes_topic(std::string_view source_topic) const;
    bool takes_group(std::string_view group) const;
    std::string mirror_name(std::string_view source_topic) const;
    /// Whether the topic's name is in a list without a glob: meant as it stands.
    bool names_topic(std::string_view source_topic) const;
    /// A topic that is included by what is listed, and left out for its name alone.
    bool misses(std::string_view source_topic) const;
    /// The other way; none if the name can't be one of this link's.
    std::optional<std::string> source_name(std::string_view mirror_topic) const;
};

struct Link {
    std::string id;
    std::int64_t version = 0;
    std::string cluster_id;  ///< Of the source, pinned once it was seen.
    LinkSpec spec;
    friend bool operator==(const Link&, const Link&) = default;
};

/// Only `*` and `?` mean something, as in the .proto's globs.
bool matches_glob(std::string_view pattern, std::string_view text);

/// Whether it can work at all, before anything is asked of the source.
Result<void> check(const LinkSpec& spec);

/// The metadata entry's value: "version:..." (config checks that versions count up by one).
std::string encode(const Link& link);
Result<Link> decode(std::string_view value);

}  // namespace millrace::mirror
