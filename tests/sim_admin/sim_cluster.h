// A whole cluster as millrace.admin.v1 shows it, in memory: what the operator and mirrors are
// tested against before there are brokers, and where brokers would be too slow. It keeps the
// contract's promises (states, refusals, progress), not Kafka's semantics. Time is ticks that the
// test gives.
//
// All methods may be called from any thread. Messages are the .proto's own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "millrace/admin/v1/admin.pb.h"

namespace millrace::sim_admin {

namespace v1 = millrace::admin::v1;

/// What a test may turn.
struct Knobs {
    int recovery_ticks = 2;  ///< From a broker's start until it has checked its logs.
    int catch_up_ticks = 2;  ///< And until its replicas are in sync again.
    int move_ticks = 1;      ///< A move of a plan takes.
    int moves_at_once = 4;
    int link_connect_ticks = 2;
    std::int64_t link_records_per_tick = 1000;
    int first_voters = 3;     ///< So many of the first brokers make up the quorum.
    int repair_ticks = 1000;  ///< Until a fenced broker counts as dead.
};

class SimCluster {
public:
    SimCluster();

    // ---- The world, as a test makes it -----------------------------------------------------
    Knobs& knobs() { return knobs_; }
    void add_broker(int id, const std::string& rack);
    void add_controller(int id);  ///< No broker: it follows the quorum, or votes among the first.
    void stop_broker(int id);     ///< A crash: leaders move, replicas leave the in-sync sets.
    /// So many of its replicas are on that volume, as far as it is asked about its directories.
    void put_on_volume(int id, int volume, int replicas);
    void change_disk(int id);  ///< It comes back with an empty one: it follows, without a vote.
    bool is_registered(int id) const;
    void start_broker(int id);  ///< With a new epoch; recovers over ticks.
    void add_topic(const std::string& name, int partitions, int replication_factor,
                   int min_isr = 1);
    void add_group(const std::string& name, const std::string& topic, std::int64_t lag);
    /// A mirror's source: topics with records that a link to these servers finds.
    void add_source(const std::string& bootstrap, const std::string& cluster_id,
                    std::map<std::string, std::int64_t> records_by_topic);
    void set_source_reachable(const std::string& bootstrap, bool reachable);
    void produce_at_source(const std::string& bootstrap, const std::string& topic,
                           std::int64_t records);
    void elect_controller(int id);
    void tick(int times = 1);

    // ---- What a test makes go wrong --------------------------------------------------------
    /// RestartCheck says no for this broker, with this reason, until it is allowed again.
    void forbid_restart(int id, const std::string& reason);
    void allow_restart(int id);
    /// The next calls of this name fail so.
    void fail_next(const std::string& call, Code code, const std::string& message, int times = 1);
    /// What is said of this link besides, until something else is: laid over its state.
    void say_of_link(const std::string& name, v1::LinkState said) { said_[name] = std::move(said); }
    /// Moves of this topic fail when a plan gets to them.
    void fail_moves_of(const std::string& topic);

    // ---- What a test looks at --------------------------------------------------------------
    bool is_cordoned(int broker, int volume) const;  ///< By cordoned.log.dirs.
    v1::HealthResponse health() const;
    std::int64_t epoch() const;
    bool has_replicas(int broker) const;
    /// Calls that changed something, as "Cordon 1 2", in order.
    std::vector<std::string> journal() const;

    /// Told after each change, without a lock held.
    using Listener = std::function<void()>;
    int listen(Listener listener);
    void forget(int listener);

    // ---- The calls -------------------------------------------------------------------------
#define MR_SIM_CALL(name) Result<v1::name##Response> name(const v1::name##Request& request);
#include "tests/sim_admin/calls.inc"
#undef MR_SIM_CALL
    /// Progress of a plan for its watchers; none if there is no such plan.
    std::optional<v1::PlanProgress> plan_progress(const std::string& hash) const;
    v1::LinkStatusResponse link_status(const std::string& name) const;

private:
    struct Broker {
        std::string rack;
        bool alive = true;
        bool cordoned = false;
        bool drained = false;
        std::int64_t epoch = 1;
        int recovering_ticks = 0;
        int lagging_ticks = 0;
        int dead_ticks = 0;
        std::string forbidden;
        std::map<int, int> on_volumes;
    };
    struct Partition {
        std::vector<int> replicas;
        std::vector<int> isr;
        std::vector<int> adding;
        int leader = -1;
        std::int64_t start = 0;
        std::int64_t end = 0;
    };
    struct Topic {
        std::string id;
        int min_isr = 1;
        std::vector<Partition> partitions;
        std::map<std::string, std::string> configs;
    };
    struct RunningPlan {
        v1::Plan plan;
        v1::PlanProgress progress;
        std::int64_t placement_version = 0;
        std::map<int, int> in_flight;  ///< Move → ticks left.
    };
    struct Source {
        std::string cluster_id;
        bool reachable = true;
        std::map<std::string, std::int64_t> records;
    };
    struct Link {
        v1::LinkSpec spec;
        std::string id;
        std::int64_t version = 1;
        v1::LinkPhase phase = v1::LINK_PHASE_PENDING;
        int ticks = 0;
        std::map<std::string, std::int64_t> mirrored;
        std::set<std::string> promoted;
        std::optional<v1::FailoverReport> report;
    };
    struct Failure {
        Code code;
        std::string message;
        int times;
    };
    struct Group {
        std::string topic;
        std::map<int, std::int64_t> committed;
    };

    // All with mutex_ held.
    std::optional<Error> injected(const std::string& call);
    void moved() { ++offset_; }
    void note(std::string line) { journal_.push_back(std::move(line)); }
    std::string new_id(const char* prefix) { return prefix + std::to_string(next_id_++); }
    Result<Broker*> broker(int id);
    Result<std::vector<int>> set_cordon(const v1::Guard& guard, const std::vector<int>& ids,
                                        bool cordoned);
    void place(Topic& topic, int partitions, int replication_factor);
    void elect(Partition& partition) const;
    void elect_all();
    std::vector<int> live_brokers() const;
    bool is_up(int id) const;
    void elect_a_voter();
    static std::string config_key(const v1::ConfigResource& resource) {
        return std::to_string(resource.type()) + ":" + resource.name();
    }
    int replicas_on(int broker) const;
    int on_cordoned_volumes() const;
    void empty_cordoned_volumes();
    v1::BrokerHealth broker_health(int id, const Broker& broker) const;
    v1::PartitionHealth partition_health() const;
    v1::QuorumHealth quorum_health() const;
    std::string directory_of(int id) const;
    std::vector<v1::RestartBlocker> blockers(const std::set<int>& stopping) const;
    v1::Plan make_plan(const v1::PlanRebalanceRequest& request) const;
    void tick_brokers();
    void tick_plans();
    void tick_links();
    void start_moves(RunningPlan& plan);
    void finish_move(RunningPlan& plan, int index);
    void end_plan_if_done(RunningPlan& plan);
    RunningPlan* find_plan(const std::string& hash);
    const RunningPlan* find_plan(const std::string& hash) const;
    v1::LinkState link_state(const Link& link) const;
    void tick_link(Link& link);
    void promote_topics(Link& link, const Source* source);
    const Source* source_of(const Link& link) const;

    void tell();  ///< Listeners, without the lock.

    friend class SimCall;

    mutable std::mutex mutex_;
    Knobs knobs_;
    std::map<int, Broker> brokers_;
    std::map<std::string, Topic> topics_;
    std::map<std::string, Group> groups_;
    std::map<int, std::string> voters_;
    std::set<int> controllers_;               ///< Dedicated ones.
    std::map<int, std::string> directories_;  ///< Of brokers whose disk was changed.
    int next_voter_ = 0;
    std::map<std::string, std::map<std::string, std::string>> configs_;
    std::map<std::string, RunningPlan> plans_;
    std::vector<std::string> plan_order_;
    std::map<std::string, Source> sources_;
    std::map<std::string, Link> links_;
    std::map<std::string, v1::LinkState> said_;
    std::map<std::string, Failure> failures_;
    std::set<std::string> failing_topics_;
    std::vector<std::string> journal_;
    std::map<int, Listener> listeners_;
    int next_listener_ = 1;
    int controller_ = 1;
    std::int64_t epoch_ = 1;
    std::int64_t offset_ = 1;
    std::int64_t placement_version_ = 1;
    std::int64_t next_id_ = 1;
};

}  // namespace millrace::sim_admin
