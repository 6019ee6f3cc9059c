// operator/api/mirror_link.h
//
// Kind MirrorLink: topics of one cluster followed by another. The destination owns the link;
// `state` is the one verb of disaster recovery. See cluster.h for what parsing promises.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "operator/api/values.h"

namespace millrace::api {

enum class LinkState { mirroring, paused, promoted };
template <>
struct Words<LinkState> {
    static constexpr std::array<std::string_view, 3> list{"Mirroring", "Paused", "Promoted"};
};

enum class LinkPromotion { planned, forced };
template <>
struct Words<LinkPromotion> {
    static constexpr std::array<std::string_view, 2> list{"Planned", "Forced"};
};

enum class LinkNaming { identity, prefix };
template <>
struct Words<LinkNaming> {
    static constexpr std::array<std::string_view, 2> list{"Identity", "Prefix"};
};

enum class StartFrom { earliest, latest };
template <>
struct Words<StartFrom> {
    static constexpr std::array<std::string_view, 2> list{"Earliest", "Latest"};
};

enum class ExistingData { refuse, truncate };
template <>
struct Words<ExistingData> {
    static constexpr std::array<std::string_view, 2> list{"Refuse", "Truncate"};
};

enum class ReadLevel { high_watermark, last_stable };
template <>
struct Words<ReadLevel> {
    static constexpr std::array<std::string_view, 2> list{"HighWatermark", "LastStable"};
};

enum class OpenTransactions { abort, truncate_to_last_stable };
template <>
struct Words<OpenTransactions> {
    static constexpr std::array<std::string_view, 2> list{"Abort", "TruncateToLastStable"};
};

enum class OnGap { proceed, halt };
template <>
struct Words<OnGap> {
    static constexpr std::array<std::string_view, 2> list{"Continue", "Halt"};
};

enum class OnSourceDeleted { retain, remove };
template <>
struct Words<OnSourceDeleted> {
    static constexpr std::array<std::string_view, 2> list{"Retain", "Delete"};
};

enum class OnSourceRecreated { halt, archive_and_restart };
template <>
struct Words<OnSourceRecreated> {
    static constexpr std::array<std::string_view, 2> list{"Halt", "ArchiveAndRestart"};
};

enum class OnDivergence { truncate, halt };
template <>
struct Words<OnDivergence> {
    static constexpr std::array<std::string_view, 2> list{"Truncate", "Halt"};
};

enum class OnLinkDelete { keep_read_only, promote };
template <>
struct Words<OnLinkDelete> {
    static constexpr std::array<std::string_view, 2> list{"KeepReadOnly", "Promote"};
};

struct LinkTls {
    std::optional<std::string> ca_secret;      ///< Secret with ca.crt.
    std::optional<std::string> client_secret;  ///< Secret with tls.crt and tls.key.
    bool verify_host_name = true;
    friend bool operator==(const LinkTls&, const LinkTls&) = default;
};

enum class SaslMechanism { plain, scram_sha_256, scram_sha_512 };
template <>
struct Words<SaslMechanism> {
    static constexpr std::array<std::string_view, 3> list{"PLAIN", "SCRAM-SHA-256",
                                                          "SCRAM-SHA-512"};
};

struct LinkAuth {
    SaslMechanism mechanism = SaslMechanism::scram_sha_512;
    std::string secret_name;  ///< Secret with username and password.
    friend bool operator==(const LinkAuth&, const LinkAuth&) = default;
};

struct LinkSource {
    std::optional<LocalReference> cluster_ref;   ///< This, or
    std::vector<std::string> bootstrap_servers;  ///< this.
    std::optional<LinkTls> tls;
    std::optional<LinkAuth> auth;
    std::optional<std::string> cluster_id;
    friend bool operator==(const LinkSource&, const LinkSource&) = default;
};

struct TopicOverride {
    std::string name;
    LinkState state = LinkState::mirroring;
    friend bool operator==(const TopicOverride&, const TopicOverride&) = default;
};

struct LinkTopics {
    std::vector<std::string> include;
    std::vector<std::string> exclude;
    StartFrom start_from = StartFrom::earliest;
    std::vector<TopicOverride> overrides;
    friend bool operator==(const LinkTopics&, const LinkTopics&) = default;
};

struct LinkGroups {
    std::vector<std::string> include = {"*"};
    std::vector<std::string> exclude;
    Span interval = std::chrono::seconds(5);
    friend bool operator==(const LinkGroups&, const LinkGroups&) = default;
};

struct LinkSync {
    Span configs = std::chrono::seconds(30);
    bool acls = true;
    friend bool operator==(const LinkSync&, const LinkSync&) = default;
};

struct LinkLimits {
    std::optional<Quantity> bytes_per_second;  ///< Absent: no limit.
    std::string connections_per_broker = "auto";
    friend bool operator==(const LinkLimits&, const LinkLimits&) = default;
};

struct LinkPolicy {
    ReadLevel read_level = ReadLevel::high_watermark;
    OpenTransactions open_transactions = OpenTransactions::abort;
    OnGap on_gap = OnGap::proceed;
    OnSourceDeleted on_source_topic_deleted = OnSourceDeleted::retain;
    OnSourceRecreated on_source_topic_recreated = OnSourceRecreated::halt;
    OnDivergence on_divergence = OnDivergence::truncate;
    friend bool operator==(const LinkPolicy&, const LinkPolicy&) = default;
};

struct MirrorLinkSpec {
    LocalReference cluster_ref;
    LinkSource source;
    LinkNaming naming = LinkNaming::identity;
    std::optional<std::string> alias;
    LinkTopics topics;
    LinkGroups groups;
    LinkSync sync;
    LinkState state = LinkState::mirroring;
    LinkPromotion promotion = LinkPromotion::planned;
    ExistingData on_existing_data = ExistingData::refuse;
    LinkLimits limits;
    LinkPolicy policy;
    Span max_lag = std::chrono::seconds(30);
    OnLinkDelete on_delete = OnLinkDelete::keep_read_only;
    friend bool operator==(const MirrorLinkSpec&, const MirrorLinkSpec&) = default;
};

struct TopicLag {
    std::string name;
    std::string state;
    std::int64_t lag_records = 0;
    double lag_seconds = 0;
    std::string reason;  ///< Why it is halted.
    friend bool operator==(const TopicLag&, const TopicLag&) = default;
};

struct LinkGap {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::string at;
    bool cut = false;  ///< Here, and kept aside; otherwise the source had dropped them.
    friend bool operator==(const LinkGap&, const LinkGap&) = default;
};

struct FailoverReport {
    std::string at;
    std::int64_t topics = 0;
    std::int64_t partitions = 0;
    std::int64_t lost_records = 0;
    double lost_seconds = 0;
    std::int64_t clamped_group_offsets = 0;
    std::int64_t left_out_topics = 0;
    std::int64_t aborted_transactions = 0;
    std::vector<std::int64_t> split_producers;  ///< Committed in one partition, aborted in another.
    friend bool operator==(const FailoverReport&, const FailoverReport&) = default;
};

/// What the columns of `kubectl get` show.
struct LinkSummary {
    std::string source;
    std::string topics;  ///< "120/120"
    std::string lag;     ///< "1.2s"
    friend bool operator==(const LinkSummary&, const LinkSummary&) = default;
};

struct MirrorLinkStatus {
    std::int64_t observed_generation = 0;
    std::string
        state;  ///< Pending, Connecting, Validating, Active, Degraded, SourceUnavailable, ...
    std::string link_id;
    std::string source_cluster_id;
    std::string message;
    std::int64_t topics = 0;
    std::map<std::string, std::int64_t, std::less<>> topics_by_state;
    double lag_seconds = 0;
    double rpo_seconds = 0;
    std::int64_t lag_records = 0;
    std::vector<TopicLag> worst_topics;  ///< At most ten, by seconds.
    std::vector<LinkGap> gaps;
    std::optional<FailoverReport> failover_report;
    LinkSummary summary;
    std::vector<Condition> conditions;
    friend bool operator==(const MirrorLinkStatus&, const MirrorLinkStatus&) = default;
};

struct MirrorLink {
    Metadata metadata;
    MirrorLinkSpec spec;
    MirrorLinkStatus status;
};

/// Of an object that parse_mirror_link() refuses: as much as says whose it is and what becomes of
/// its topics when the object goes.
MirrorLink outline_of_mirror_link(const kube::Json& object);

Result<MirrorLink> parse_mirror_link(const kube::Json& object);
Result<MirrorLinkSpec> parse_mirror_link_spec(const kube::Json& spec);
Result<MirrorLinkStatus> parse_mirror_link_status(const kube::Json& status);
kube::Json to_json(const MirrorLinkSpec& spec);
kube::Json to_json(const MirrorLinkStatus& status);

}  // namespace millrace::api
