// tests/sim/systems/stall_watch.h
//
// Who is well goes on. What stands still is forgiven by the cluster (a follower falls out of the
// ISR, a client asks again) and comes back in the end, so that no check of the end sees it:
//
//   followers are heard   a follower and its leader that know each other, with no fault on them or
//                         between them for `silence`, and yet no fetch of that partition in as long
//   ISRs stay             no member that is up leaves an ISR in a world without faults for `calm`
//   producers go on       none waits for `wait` of such a world with nothing acknowledged
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metadata/image.h"
#include "runtime/sim/simulation.h"
#include "tests/sim/systems/cluster_broker.h"

namespace millrace::simtest {

class StallWatch {
public:
    struct Options {
        std::size_t brokers = 3;                     ///< The first so many nodes of the simulation.
        std::map<std::string, std::int32_t> topics;  ///< With their numbers of partitions.
        runtime::sim::FaultPlan plan;
        /// When which broker could open no file. As a full disk it is no excuse for silence.
        std::vector<runtime::sim::Fault> out_of_files;
        Duration lag_max = 5s;          ///< replica.lag.time.max.ms
        Duration answer_timeout = 30s;  ///< Until a connection that is dead and silent is noticed.
        /// How long each producer has had nothing acknowledged of what it sent.
        std::function<Duration()> longest_wait;
    };
    StallWatch(Options options, runtime::sim::Simulation& simulation);

    std::optional<std::string> check();
    void healed();  ///< The plan is over.

private:
    using Place = std::pair<std::string, std::int32_t>;
    struct Role {  ///< Of a partition at a broker.
        BrokerId leader = no_broker;
        LeaderEpoch epoch = no_leader_epoch;
        Instant since;
        Instant diverged;  ///< When it was last seen to have what its leader has not.
        std::map<BrokerId, std::pair<Instant, Instant>> heard;  ///< Its clock's and when we saw it.
    };
    struct Node {
        runtime::sim::LifeId life = 0;
        std::uint64_t boot = 0;
        Instant well_since;  ///< It runs and serves.
        Instant booted;
        std::map<Place, Role> roles;
    };

    BrokerProgram* program(std::size_t node) const;
    void look_at(std::size_t index);
    void look_at_partition(std::size_t index, const app::BrokerView& view, const Place& place);
    /// The last moment of anything that touches both: now, while it lasts.
    Instant disturbed(std::size_t leader, std::size_t follower) const;
    Instant disturbed() const;
    template <typename Touches>
    Instant last_fault(const Touches& touches) const;
    bool know_each_other(std::size_t leader, std::size_t follower) const;
    bool diverges(std::size_t leader, std::size_t follower, const Place& place) const;
    std::optional<std::string> check_heard(std::size_t leader, const Place& place);
    std::optional<std::string> check_members();
    /// In milliseconds; -1 if nobody knows.
    std::int64_t heard_ago(const Place& place, BrokerId leader, BrokerId replica) const;

    const Options options_;
    std::vector<Place> places_;
    std::vector<runtime::sim::Fault> faults_;
    /// What the ambient alone may take: its disks, wires and timers, many times over.
    const Duration tolerance_;
    const bool is_slow_;
    runtime::sim::Simulation& simulation_;
    std::vector<Node> nodes_;
    Instant next_look_;
    std::optional<Instant> healed_;
    std::uint64_t failures_ = 0;  ///< That were met so far: calls of disks, connections.
    Instant last_failure_;
    metadata::ImagePtr newest_;
};

}  // namespace millrace::simtest
