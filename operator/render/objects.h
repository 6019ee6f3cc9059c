// operator/render/objects.h
//
// The Kubernetes objects of a cluster, whole, as server-side apply takes them. Pure: equal inputs
// give equal objects, so what is applied twice changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/api/mirror_link.h"
#include "operator/kube/json.h"

namespace millrace::render {

using kube::Json;

/// How pods are made has a number. What a later operator makes differently gets the next one, and
/// older ones go on being made as they were: an upgrade of the operator restarts nothing until
/// `spec.rolling.revision` says so. 2: brokers mount the key for passwords of mirror links.
inline constexpr std::int64_t newest_template = 2;
inline constexpr std::int64_t template_with_links_key = 2;

struct Surroundings {
    std::string image = "millrace/millrace:{version}";
    std::string version = "dev";  ///< Of clusters that name none and have none yet.
    bool one_version = false;     ///< There is no other: brokers are a program, not an image.
    std::string image_pull_policy = "IfNotPresent";
    /// Secrets that brokers' images are pulled with; each must be in the Cluster's namespace.
    std::vector<std::string> image_pull_secrets{};
    /// User and groups of a pod are what the platform gives its namespace (OpenShift), not ours.
    bool platform_ids = false;
    /// Kubernetes' DNS domain ("cluster.local"); empty where nobody resolves names: addresses are
    /// used, which then must stay with their pods.
    std::string domain;
    /// Also without `spec.tls` brokers demand a certificate from who calls their admin endpoint.
    bool admin_tls = false;
};

/// One broker that should exist.
struct Member {
    std::int32_t id = 0;
    api::PoolSpec pool;
    bool controller = false;
    bool broker = true;                  ///< False: one of the dedicated controllers.
    std::optional<std::string> restart;  ///< The `rolling.restart` that its pod has seen.
    std::string place{};  ///< The rack where a new one is missing, if it can be had; part of no
                          ///< revision.
};

struct Subject {
    const api::Cluster& cluster;
    const Surroundings& around;
};

/// What the spec says, else what the cluster has been running, else the newest.
std::int64_t template_of(const Subject& subject);
/// What of `rolling.restart` the pods have seen or are to see. A spec that says nothing, or nothing
/// any more, asks for no restart.
std::string restart_of(const Subject& subject);
/// The same of one pod: who has been restarted already stays so where the word is taken back before
/// all have.
std::string restart_of(const Subject& subject, const Member& member);
/// The operator makes a key for links and brokers mount it.
bool has_links_key(const Subject& subject);

/// Brokers demand a certificate from who calls their admin endpoint, and show one.
bool has_admin_tls(const Subject& subject);
/// Brokers have certificates: for that, for each other or for clients.
bool has_certificates(const Subject& subject);

/// The cluster's own, else the one it was made with: a newer operator doesn't change it.
std::string version_of(const Subject& subject);
std::string image_of(const Subject& subject);

std::string host_of(const Subject& subject, std::int32_t broker, const std::string& pod_ip);

Json claim(const Subject& subject, const Member& member, const api::VolumeSpec& volume,
           const std::string& cluster_id, const std::string& voters);
Json pod(const Subject& subject, const Member& member);
/// The Cluster, as `metadata.ownerReferences` of what goes with it.
Json owners(const Subject& subject);
/// What a pod of this member must be annotated with to be up to date.
std::string revision_of(const Subject& subject, const Member& member);
Json config_map(const Subject& subject, const Member& member, const std::string& revision,
                const std::string& properties);
/// Names that a broker's certificate always carries; the first is the one that the operator asks
/// for.
std::vector<std::string> server_names(const Subject& subject, std::int32_t broker);
/// Names of the service by which clients find brokers.
std::vector<std::string> bootstrap_names(const Subject& subject);
/// Whom clients may believe, for their pods to mount: the Secret has the key beside it.
Json trust_map(const Subject& subject, const std::string& certificates_pem);
/// The spec as it was when it could last be carried out: what goes on while an edit of it can't be.
Json spec_map(const Subject& subject);
/// What such an object has; nothing: it can't be read.
std::optional<api::ClusterSpec> spec_in(const Json& config_map);
/// `broker` is -1 for what belongs to the whole cluster. Values are bytes, not base64.
Json secret(const Subject& subject, const std::string& name, std::int32_t broker,
            const api::Texts& data, const api::Texts& annotations);
/// Goes with the link.
Json link_certificate(const api::MirrorLink& link, const api::Texts& data,
                      const api::Texts& annotations);
/// Without an owner where disks are kept: what lies on them can only be opened with it.
Json links_key(const Subject& subject, const std::string& key);
Json headless_service(const Subject& subject);
Json bootstrap_service(const Subject& subject);
/// Of one broker and one listener that is reached from outside by an address of its own.
Json broker_service(const Subject& subject, std::int32_t broker, const api::ListenerSpec& listener);
Json disruption_budget(const Subject& subject, std::int32_t max_unavailable);

/// True if everything that `wanted` says is in `stored`: nothing is to be applied.
bool is_applied(const Json& wanted, const Json& stored);

}  // namespace millrace::render
