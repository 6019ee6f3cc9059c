// operator/planner/link_planner.h
//
// One MirrorLink: what to ask of the destination's brokers, and what the object's status says.
// Pure. Called again after the asked-for was tried, so that the status tells how it went.
//
// Figures in the status are rounded: a link whose source is written to all the time is settled, and
// what is less than a second behind is not behind.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "operator/api/cluster.h"
#include "operator/api/mirror_link.h"
#include "operator/brokers/link_facts.h"
#include "operator/kube/cache.h"

namespace millrace::planner {

/// What the Secrets that a link names hold now.
struct LinkSecrets {
    std::optional<brokers::LinkTlsMaterial> tls;
    std::string username;
    Secret password;
    std::string version;  ///< Changes whenever one of them does.
    std::string missing;  ///< A sentence about the first that isn't there or lacks an entry.
};

/// How a Cluster is followed: its first listener without TLS, else the first with TLS that asks
/// for no login.
struct SourceWay {
    std::string listener;
    bool tls = false;
    bool shows_certificate = false;  ///< The listener asks for one: auth: TLS.
};
Result<SourceWay> way_to(const api::Cluster& source);

struct LinkWorld {
    api::MirrorLink link;
    std::shared_ptr<const api::Cluster> destination;  ///< Null: there is none of that name.
    std::shared_ptr<const api::Cluster> source;       ///< Null: none, or the source is no Cluster.
    /// Of a source that is a Cluster and is followed with TLS: the Secrets with its authority and
    /// with the link's own certificate. Null: not there yet.
    kube::ObjectPtr authority;
    kube::ObjectPtr certificate;
    LinkSecrets secrets;
    std::optional<brokers::LinkFacts> found;  ///< None: the brokers couldn't be asked.
    std::string unreachable;                  ///< Why they couldn't.
    std::string unreadable;  ///< What in the spec can't be read: the link only goes.
    std::string refused;     ///< Why they refused what this round asked for.
    Timestamp now;
};

struct LinkEvent {
    bool is_warning = false;
    std::string reason;
    std::string message;
    friend bool operator==(const LinkEvent&, const LinkEvent&) = default;
};

enum class LinkAct { none, apply, delete_keeping, delete_promoting };

struct LinkPlan {
    LinkAct act = LinkAct::none;
    brokers::LinkWish wish;                              ///< Of apply.
    std::int64_t expected_version = 0;                   ///< Of apply.
    std::optional<std::vector<std::string>> finalizers;  ///< If they are to be others.
    api::MirrorLinkStatus status;
    std::vector<LinkEvent> events;  ///< Of what has changed since the stored status.
    Duration again{};
};

inline constexpr std::string_view link_finalizer = "millrace.dev/mirror-link";

/// The whole wish; an error says what is missing for it.
Result<brokers::LinkWish> wish_of(const LinkWorld& world);

/// Why the link needs another certificate to show to its source; empty: it doesn't.
std::string why_certificate(const LinkWorld& world);

LinkPlan plan_link(const LinkWorld& world);

}  // namespace millrace::planner
