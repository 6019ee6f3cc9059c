// raft/voter_set.h
//
// Who votes: plain values, compared and copied freely. A voter is a node *and* the directory its
// log lives in: a swapped or emptied disk is another voter. A zero directory id means "not known
// yet" (kraft.version 0) and matches any directory of that node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/uuid.h"
#include "model/ids.h"

namespace millrace::raft {

struct ReplicaKey {
    BrokerId id = no_broker;
    Uuid directory;

    friend auto operator<=>(const ReplicaKey&, const ReplicaKey&) = default;
    /// Equal, or one side's directory is unknown.
    bool matches(const ReplicaKey& other) const {
        return id == other.id &&
               (directory == other.directory || directory.is_zero() || other.directory.is_zero());
    }
    std::string to_string() const;
};

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
    bool empty() const { return host.empty() && port == 0; }
    std::string to_string() const;
};

/// An endpoint under the name of the listener it belongs to, e.g. CONTROLLER.
struct Listener {
    std::string name;
    Endpoint endpoint;

    friend auto operator<=>(const Listener&, const Listener&) = default;
};

struct VersionRange {
    std::int16_t min = 0;
    std::int16_t max = 1;

    friend auto operator<=>(const VersionRange&, const VersionRange&) = default;
    bool contains(std::int16_t version) const { return min <= version && version <= max; }
};

struct Voter {
    ReplicaKey key;
    std::vector<Listener> listeners;
    VersionRange kraft_version;

    friend auto operator<=>(const Voter&, const Voter&) = default;
};

class VoterSet {
public:
    VoterSet() = default;
    /// Ids must differ; order is by id from here on.
    explicit VoterSet(std::vector<Voter> voters);

    bool empty() const { return voters_.empty(); }
    std::size_t size() const { return voters_.size(); }
    std::size_t majority() const { return voters_.size() / 2 + 1; }
    const std::vector<Voter>& voters() const { return voters_; }

    const Voter* find(BrokerId id) const;
    /// The voter that this replica is, if it is one.
    const Voter* find(const ReplicaKey& key) const;
    bool contains(const ReplicaKey& key) const { return find(key) != nullptr; }
    bool contains_only(const ReplicaKey& key) const { return size() == 1 && contains(key); }
    /// Every directory id is known: what kraft.version 1 asks for.
    bool has_all_directories() const;

    VoterSet with(Voter voter) const;               ///< `voter.key.id` must be new.
    VoterSet without(const ReplicaKey& key) const;  ///< `key` must be there.
    VoterSet with_updated(Voter voter) const;       ///< `voter.key.id` must be there.

    friend bool operator==(const VoterSet&, const VoterSet&) = default;
    std::string to_string() const;

private:
    std::vector<Voter> voters_;
};

/// The voter set and kraft.version as the log tells them: each in force from its offset on, even
/// before it is committed (KIP-853), and undone by truncation.
class VoterHistory {
public:
    /// `fallback` is in force while neither the log nor a snapshot names voters.
    VoterHistory() = default;
    explicit VoterHistory(VoterSet fallback) : fallback_(std::move(fallback)) {}

    const VoterSet& latest() const { return sets_.empty() ? fallback_ : sets_.back().second; }
    /// The set in force for a reader of the log below `end`.
    const VoterSet& at(Offset end) const;
    std::int16_t kraft_version() const { return versions_.empty() ? 0 : versions_.back().second; }
    std::int16_t kraft_version_at(Offset end) const;
    /// Offset of the record that named the latest set; none if it came from configuration.
    std::optional<Offset> latest_offset() const;

    void set_fallback(VoterSet fallback) { fallback_ = std::move(fallback); }
    void add_voters(Offset at, VoterSet voters);
    void add_kraft_version(Offset at, std::int16_t version);
    void truncate(Offset end);
    /// Replaces everything by what a snapshot ending at `end` holds.
    void reset_to_snapshot(Offset end, std::int16_t kraft_version, std::optional<VoterSet> voters);
    /// Forgets what no reader at or after `start` can ask for.
    void trim(Offset start);

private:
    VoterSet fallback_;
    std::vector<std::pair<Offset, VoterSet>> sets_;
    std::vector<std::pair<Offset, std::int16_t>> versions_;
};

}  // namespace millrace::raft
