// operator/render/names.h
//
// What everything that belongs to a cluster is called, labelled and annotated. Names are kept for
// ever: disks are found by them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::render {

namespace label {
inline constexpr std::string_view cluster = "millrace.dev/cluster";
inline constexpr std::string_view broker = "millrace.dev/broker";
inline constexpr std::string_view pool = "millrace.dev/pool";
inline constexpr std::string_view volume = "millrace.dev/volume";
inline constexpr std::string_view retired =
    "millrace.dev/retired";  ///< On kept disks of brokers that left.
inline constexpr std::string_view managed_by = "app.kubernetes.io/managed-by";
inline constexpr std::string_view manager = "millrace-operator";
}  // namespace label

namespace annotation {
inline constexpr std::string_view revision = "millrace.dev/revision";  ///< Of a pod: what it runs.
inline constexpr std::string_view restart = "millrace.dev/restart";  ///< Of a pod: asked for by it.
inline constexpr std::string_view cluster_id = "millrace.dev/cluster-id";  ///< Of a disk.
inline constexpr std::string_view voters = "millrace.dev/voters";          ///< Of a disk: "0,1,2"
/// Of a voter's disk: names of the settings that the cluster on it was told, "a,b".
inline constexpr std::string_view told = "millrace.dev/told";
inline constexpr std::string_view storage_class =
    "millrace.dev/storage-class";  ///< Of a disk: the one that was asked for.
inline constexpr std::string_view not_after = "millrace.dev/not-after";  ///< Of a Secret: ms.
inline constexpr std::string_view issuer = "millrace.dev/issuer";  ///< Its authority's serial.
inline constexpr std::string_view serial = "millrace.dev/serial";
inline constexpr std::string_view next = "millrace.dev/next";  ///< Serial of the next authority.
/// Fingerprints of the authorities that a Secret's ca.crt has: "a,b".
inline constexpr std::string_view trusts = "millrace.dev/trusts";
/// What a certificate's owner is reached as: "a.b.svc,10.0.0.1".
inline constexpr std::string_view names = "millrace.dev/names";
/// Of a Cluster, by a person: another value asks for a new authority; `prepare` only makes
/// everybody trust it.
inline constexpr std::string_view renew_authority = "millrace.dev/renew-authority";
/// Of an authority: the value that it was renewed for.
inline constexpr std::string_view renewed_for = "millrace.dev/renewed-for";
/// Of a pod: a hash of the certificate that its node was last hurried to take up.
inline constexpr std::string_view hurried = "millrace.dev/hurried";
inline constexpr std::string_view content = "millrace.dev/content";  ///< Hash of what we applied.
}  // namespace annotation

/// Selects all that the operator made, in every cluster.
std::string managed_selector();

std::string pod_name(const std::string& cluster, std::int32_t broker);
std::string claim_name(const std::string& cluster, std::int32_t broker, std::int32_t volume);
/// One a revision: a broker that restarts by itself finds what it ran with.
std::string config_name(const std::string& cluster, std::int32_t broker,
                        const std::string& revision);
std::string certificate_name(const std::string& cluster, std::int32_t broker);
std::string operator_certificate_name(const std::string& cluster);
std::string authority_name(const std::string& cluster);
/// Of the ConfigMap with the last spec that could be carried out.
std::string spec_name(const std::string& cluster);
/// Of the Secret with the key under which passwords of mirror links lie in the metadata.
std::string links_key_name(const std::string& cluster);
/// Of the Secret with the certificate that a mirror link shows to a Cluster that it follows.
std::string link_certificate_name(const std::string& link);
std::string headless_name(const std::string& cluster);
std::string bootstrap_name(const std::string& cluster);
std::string budget_name(const std::string& cluster);
/// Of the service that one broker has for one listener.
std::string broker_service_name(const std::string& cluster, std::int32_t broker,
                                const std::string& listener);

/// 16 hexadecimal digits; the same on every machine and in every version.
std::string content_hash(std::string_view text);

/// A cluster id as Kafka writes it, made of an object's uid: the same one after every crash.
std::string cluster_id_from_uid(const std::string& uid);

}  // namespace millrace::render
