// metadata/delta.h
//
// A Delta takes an image forward record by record and remembers what it touched, so that a
// subscriber's work is proportional to the change. A record that is unknown, malformed or does not
// fit the image (a partition of no topic, say) is an error with the facts; the caller stops the
// node: skipping it would make this image differ from everyone else's (case 44 of tests/cases.txt).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "metadata/image.h"

namespace millrace::metadata {

class Delta {
public:
    explicit Delta(Image base) : base_(std::move(base)), next_(base_) {}

    /// The difference of two images, as if one log led from `from` to `to`. For snapshots; costs as
    /// much as there is.
    static Delta between(Image from, Image to);

    /// One record as in the log (records.h). `offset` is only for error messages.
    Result<void> replay(ByteView record, Offset offset);
    void set_provenance(const Provenance& provenance) { next_.provenance = provenance; }

    const Image& before() const { return base_; }
    const Image& after() const { return next_; }

    /// Inside BeginTransaction .. EndTransaction (KIP-868): not to be published yet. An abort takes
    /// back everything since the begin.
    bool in_transaction() const { return transaction_start_.has_value(); }

    // What changed: look it up in before() and after().
    struct Changes {
        std::set<Uuid> topics_created;               ///< With partitions in `partitions`, too.
        std::map<Uuid, std::string> topics_deleted;  ///< Id and name; may be created again by name.
        std::set<TopicIdPartition>
            partitions;              ///< Created or changed; not those of deleted topics.
        std::set<BrokerId> brokers;  ///< Registered, changed or unregistered.
        std::set<BrokerId> controllers;
        std::set<ConfigResource> configs;
        std::set<std::string> features;
        std::set<QuotaEntity> quotas;
        std::set<ScramKey> scram;
        std::set<Uuid> acls;
        std::set<std::string> delegation_tokens;
        bool producer_ids = false;
    };
    const Changes& changes() const { return changes_; }
    bool is_empty() const;

private:
    struct Replayer;  // one function per record type, in internal/
    struct Saved {
        Image image;
        Changes changes;
    };

    Image base_;
    Image next_;
    Changes changes_;
    std::optional<Saved> transaction_start_;
};

}  // namespace millrace::metadata
