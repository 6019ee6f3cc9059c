// mirror/links.h
//
// The mirror links of a cluster, on one of its brokers. Every broker pulls what it leads; for each
// link one broker, chosen by the metadata alone, also looks after topics, settings and groups. What
// two of them do while the metadata moves is idempotent.
//
// Lives on the control loop; what says so may be called from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "client/cluster.h"
#include "metadata/copies.h"
#include "metadata/publisher.h"
#include "mirror/link.h"
#include "mirror/state.h"
#include "replication/replicas.h"
#include "runtime/node.h"

namespace millrace::mirror {

/// The controller of our own cluster.
class Controller {
public:
    virtual ~Controller() = default;
    /// From the control loop; `done` runs there.
    virtual void ask(std::int16_t api_key, std::int16_t version, Buffer body,
                     UniqueFunction<void(Result<Buffer>)> done) = 0;
};

/// What secrets of links are sealed under in the metadata.
struct SealingKeys {
    std::string cluster_id;
    std::vector<Secret> own;  ///< The first one seals, all of them open. None: the cluster's id.
};

struct LinksOptions {
    BrokerId self;
    std::string cluster_id;
    std::vector<Secret> secret_keys;         ///< SealingKeys::own
    std::int16_t replication_factor = -1;    ///< Of mirrors; -1: as the cluster's default says.
    metadata::CopiesOptions default_copies;  ///< What that is.
    Duration look_interval = 5s;             ///< At the source's topics.
    Duration first_look_interval = 500ms;    ///< As long as nothing is known of it.
    Duration deletion_grace = std::chrono::hours{24};  ///< Of mirrors whose source is gone.
    Duration standstill = 10s;    ///< A source that can't be fenced has to stand still so long.
    net::StreamWrapper own_wrap;  ///< Towards our own brokers; empty for plaintext.
    /// TLS towards a source that speaks it; the error is for who applied the link.
    std::function<Result<net::StreamWrapper>(const LinkSpec&)> secure;

    SealingKeys sealing() const { return {cluster_id, secret_keys}; }
};

class Links {
public:
    struct Applied {
        std::string id;
        std::int64_t version = 0;
        bool changed = false;
    };
    template <typename T>
    using Reply = UniqueFunction<void(Result<T>)>;

    Links(LinksOptions options, runtime::Node& node, const replication::Replicas& replicas,
          const metadata::ImageHandle& image, Controller& controller,
          std::function<std::vector<runtime::Address>()> own_brokers);
    ~Links();
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;

    void on_publish(const metadata::Delta& delta, const metadata::ImagePtr& image);

    // From any thread.
    /// `expected_version` 0: whatever is there. Code::fenced: the link is at another version.
    void apply(LinkSpec spec, std::int64_t expected_version, bool dry_run, Reply<Applied> reply);
    /// The topics stay read-only mirrors of nobody, or are promoted.
    void remove(const std::string& name, bool promote_topics, bool dry_run, Reply<bool> reply);
    std::vector<Link> list() const;
    void views(UniqueFunction<void(std::vector<LinkView>)> done);
    /// As of a second ago; for metrics.
    std::vector<LinkFigures> figures() const;
    void partitions(const std::string& link, Reply<std::vector<PartitionView>> reply);

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::mirror
