// Three whole brokers, producers and a reader: nothing acknowledged is lost, doubled or reordered,
// whatever happens to processes, wires, disks and clocks.
#include <algorithm>
#include <deque>
#include <vector>

#include "tests/sim/harness/scenario.h"
#include "tests/sim/planted.h"
#include "tests/sim/systems/cluster_broker.h"
#include "tests/sim/systems/cluster_history.h"
#include "tests/sim/systems/cluster_mover.h"
#include "tests/sim/systems/cluster_producer.h"
#include "tests/sim/systems/cluster_reader.h"
#include "tests/sim/systems/cluster_watch.h"
#include "tests/sim/systems/loose_writer.h"
#include "tests/sim/systems/stall_watch.h"

namespace millrace::simtest {

namespace {

constexpr std::uint32_t voters = 3;
constexpr std::uint32_t replicas = 3;
constexpr std::uint32_t most_producers = 2;
constexpr std::uint32_t sends = 200;
constexpr Duration good_time = 180s;
constexpr Duration restart_after = 300ms;
constexpr Duration lag_max = 5s;
constexpr std::string_view topic = "t";
constexpr std::string_view loose_topic = "loose";
constexpr std::int32_t loose_partitions = 6;

struct Shape {
    std::uint32_t brokers = 3;  ///< The first three are the quorum, too.
    bool moves = false;         ///< Somebody reassigns partitions all the time.
    bool gives_up = false;      ///< There is a second topic, whose writer asks for nothing again.
    Duration bad_time = 20s;
};

/// What all machines of a run report to.
struct Run {
    Run(const RunPlan& the_plan, const Shape& shape)
        : plan(the_plan),
          brokers(shape.brokers),
          moves(shape.moves),
          gives_up(shape.gives_up),
          bad_time(shape.bad_time),
          simulation(plan.world()) {
        SeededRandom random(sim::derive_seed(plan.seed, "shape"));
        producers = static_cast<std::uint32_t>(random.between(1, most_producers));
        partitions = static_cast<std::int32_t>(random.between(1, 3));
        data_shards = static_cast<std::size_t>(random.between(1, 2));
        window = static_cast<std::size_t>(random.between(1, 5));
        longest_thought = std::chrono::milliseconds{random.between(20, 250)};
        filler_one_in = random.one_in(2) ? 1 : 1 + random.below(20);
        reader_rack = random.one_in(2) ? fmt::format("r{}", random.below(brokers)) : "";
        recovery_points_ms = random.one_in(3) ? recovery_points_ms : random.between(100, 3000);
        roll_ms = random.one_in(2) ? roll_ms : random.between(200, 5000);
        journal_bytes = random.one_in(8) ? 0 : std::uint64_t{32} << (10 + random.below(4));
        watch = std::make_unique<ClusterWatch>(
            ClusterWatch::Options{
                .brokers = brokers, .topic = std::string(topic), .partitions = partitions},
            simulation);
        simulation.add_invariant("cluster", [this] { return watch->check(); });
        stalls = std::make_unique<StallWatch>(
            StallWatch::Options{.brokers = brokers,
                                .topics = topics(),
                                .plan = the_plan.faults,
                                .out_of_files = out_of_files(),
                                .lag_max = lag_max,
                                .longest_wait = [this] { return longest_wait(); }},
            simulation);
        simulation.add_invariant("stalls", [this] { return stalls->check(); });
    }

    const RunPlan& plan;
    const std::uint32_t brokers;
    const bool moves;
    const bool gives_up;
    const Duration bad_time;
    ClusterHistory history;
    std::uint32_t producers = 0;
    std::int32_t partitions = 0;
    std::size_t data_shards = 1;
    std::size_t window = 1;
    Duration longest_thought{};
    std::uint64_t filler_one_in = 1;
    std::uint64_t journal_bytes = 0;
    std::int64_t recovery_points_ms = 60'000;  ///< A round of them.
    std::int64_t roll_ms = 604'800'000;
    std::string reader_rack;                ///< Empty: it reads from leaders.
    std::size_t next[most_producers] = {};  ///< Into plan.operations.
    std::uint64_t next_sender = 1;
    std::unique_ptr<ClusterWatch> watch;
    std::unique_ptr<StallWatch> stalls;
    sim::Simulation simulation;  // Last: programs refer to the rest until they are destroyed.

    std::vector<runtime::Address> addresses() const {
        std::vector<runtime::Address> all;
        for (std::uint32_t i = 0; i < brokers; ++i) {
            all.push_back({fmt::format("n{}", i), 9092});
        }
        return all;
    }
    ClusterMap::Topic the_topic() const { return {std::string(topic), partitions, replicas}; }
    std::map<std::string, std::int32_t> topics() const {
        std::map<std::string, std::int32_t> all{{std::string(topic), partitions}};
        if (gives_up) {
            all.emplace(loose_topic, loose_partitions);
        }
        return all;
    }
    /// Files run out now and then where a writer gives up: what is open goes on.
    std::vector<sim::Fault> out_of_files() const {
        constexpr int most = 4;
        std::vector<sim::Fault> all;
        SeededRandom random(sim::derive_seed(plan.seed, "files"));
        for (std::uint64_t left = gives_up ? random.below(most + 1) : 0; left > 0; --left) {
            all.push_back({.kind = sim::FaultKind::open_error,
                           .at = Duration{random.between(5'000'000'000, bad_time.count())},
                           .lasts = Duration{random.between(100'000'000, 20'000'000'000)},
                           .node = static_cast<std::uint32_t>(random.below(brokers))});
        }
        return all;
    }
    Duration longest_wait();
    /// Without its founder's disk a quorum that has never met can't be told from one that lost a
    /// member, and who was alone in an ISR takes that with it: by design, and there is nothing yet
    /// to lose.
    bool waits_for_a_person() const {
        return watch->was_emptied_unformed() || watch->lost_an_only_member();
    }
    bool all_sent() const {
        std::size_t sent = 0;
        for (const std::size_t count : next) {
            sent += count;
        }
        return sent >= plan.operations.size();
    }
};

std::string settings_of(const Run& run, std::uint32_t node) {
    std::string quorum;
    for (std::uint32_t i = 0; i < voters; ++i) {
        quorum += fmt::format("{}{}@n{}:9093", i == 0 ? "" : ",", i + 1, i);
    }
    const bool votes = node < voters;
    return fmt::format(
        "node.id={0}\nprocess.roles={3}\nlisteners=PLAINTEXT://n{1}:9092{4}\n"
        "controller.listener.names=CONTROLLER\ncontroller.quorum.voters={2}\n"
        "cluster.id=SimulatedClusterOfThree\nlog.dirs=/data\nbroker.rack=r{1}\n"
        "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector\n"
        "default.replication.factor=3\nmin.insync.replicas=2\nreplica.lag.time.max.ms={7}\n"
        "leader.imbalance.check.interval.seconds=5\nlog.retention.ms=-1\n"
        // Clocks may be anywhere: neither the future nor the age of a record shall matter here.
        "log.message.timestamp.after.max.ms=9223372036854775807\nproducer.id.expiration.ms="
        "2147483647\nlog.flush.offset.checkpoint.interval.ms={5}\nlog.roll.ms={6}\n",
        node + 1, node, quorum, votes ? "broker,controller" : "broker",
        votes ? fmt::format(",CONTROLLER://n{}:9093", node) : "", run.recovery_points_ms,
        run.roll_ms, to_milliseconds(lag_max));
}

class ProducerProgram final : public sim::Program {
public:
    ProducerProgram(Run& run, runtime::Node& node, std::uint32_t number)
        : run_(run),
          shard_(node.control_shard()),
          number_(number),
          map_(node, run.addresses(), run.the_topic()),
          producer_(
              {run.next_sender++, run.window, run.partitions}, map_, run.history,
              [this](std::string why) { run_.simulation.fail(std::move(why)); },
              [this](std::int32_t partition, Offset at) { on_ack(partition, at); }) {
        think();
    }
    std::size_t open() const { return producer_.open(); }
    Duration longest_wait() const { return producer_.longest_wait(); }

private:
    void think() {
        shard_.executor->after(Duration{shard_.random->between(0, run_.longest_thought.count())},
                               [this] {
                                   send_next();
                                   think();
                               });
    }

    void send_next() {
        const std::size_t index = run_.next[number_] * run_.producers + number_;
        if (index >= run_.plan.operations.size() || producer_.open() > 20) {
            return;
        }
        ++run_.next[number_];
        const std::uint32_t operation = run_.plan.operations[index];
        SeededRandom random(sim::derive_seed(run_.plan.seed, "send", operation));
        const auto partition =
            static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(run_.partitions)));
        // Long values now and then: batches that cross pages and are written alone.
        const std::size_t filler = random.one_in(run_.filler_one_in) ? random.below(40'000) : 5;
        producer_.send(operation, partition, filler);
    }

    void on_ack(std::int32_t partition, Offset at) {
        if (at >= run_.watch->committed(partition)) {
            run_.simulation.fail(fmt::format("{} of partition {} was acknowledged, {} is committed",
                                             at, partition, run_.watch->committed(partition)));
        }
        if (run_.history.broken()) {
            run_.simulation.fail(*run_.history.broken());
        }
    }

    Run& run_;
    const runtime::Shard shard_;
    const std::uint32_t number_;
    ClusterMap map_;
    ClusterProducer producer_;
};

Duration Run::longest_wait() {
    if (waits_for_a_person()) {
        return {};
    }
    Duration longest{};
    for (std::uint32_t i = 0; i < producers; ++i) {
        auto* program = static_cast<ProducerProgram*>(simulation.node(brokers + i).program());
        longest = std::max(longest, program == nullptr ? Duration{} : program->longest_wait());
    }
    return longest;
}

class ReaderProgram final : public sim::Program {
public:
    ReaderProgram(Run& run, runtime::Node& node)
        : map(node, run.addresses(), run.the_topic()),
          reader(
              run.partitions, run.reader_rack, map, run.history,
              [&run](std::string why) { run.simulation.fail(std::move(why)); },
              [&run](std::int32_t partition, Offset end) {
                  if (end > run.watch->committed(partition)) {
                      run.simulation.fail(
                          fmt::format("partition {} was read to {}, {} is committed", partition,
                                      end, run.watch->committed(partition)));
                  }
              }) {}
    ClusterMap map;
    ClusterReader reader;
};

class MoverProgram final : public sim::Program {
public:
    MoverProgram(Run& run, runtime::Node& node)
        : map(node, run.addresses(), run.the_topic()),
          mover({.topic = std::string(topic),
                 .partitions = run.partitions,
                 .brokers = static_cast<std::int32_t>(run.brokers),
                 .replicas = replicas,
                 .until = Instant{} + run.bad_time},
                map) {}
    ClusterMap map;
    ClusterMover mover;
};

class LooseProgram final : public sim::Program {
public:
    LooseProgram(Run& run, runtime::Node& node, const ClusterMap::Topic& topic)
        : map(node, run.addresses(), topic), writer({topic.name, topic.partitions}, map) {}
    ClusterMap map;
    LooseWriter writer;
};

/// As an operator would: a broker that ended by itself is started anew.
void end_and_restart(Run& run, std::uint32_t number, const std::string& why) {
    run.simulation.note(&run.simulation.node(number), "ends by itself: " + why);
    run.simulation.in(Duration{}, [&run, number] {
        sim::SimNode& node = run.simulation.node(number);
        if (node.is_running()) {
            node.kill();
        }
        run.simulation.in(restart_after, [&node] {
            if (!node.is_running() && node.has_power()) {
                node.restart();
            }
        });
    });
}

/// Errors that a broker may log in this run: those of a disk that was made to fail.
void expect_errors(Run& run) {
    const auto disk_kinds = sim::disk_faults();
    const bool disks_fail =
        run.gives_up || std::any_of(run.plan.faults.faults.begin(), run.plan.faults.faults.end(),
                                    [&](const sim::Fault& fault) {
                                        return fault.kind == sim::FaultKind::kill_in_write ||
                                               fault.kind == sim::FaultKind::power_cut_in_write ||
                                               std::find(disk_kinds.begin(), disk_kinds.end(),
                                                         fault.kind) != disk_kinds.end();
                                    });
    if (disks_fail) {
        for (const char* event : {"raft.halted", "broker.halted", "storage.directory_failed",
                                  "storage.directory_offline", "replication.directory_offline",
                                  "replication.sync_failed", "replication.epoch_not_written",
                                  "replication.log_not_loaded", "replication.stray_log_in_the_way",
                                  "broker.log_not_recovered"}) {
            run.simulation.expect_error(event);
        }
    }
}

void add_machines(Run& run) {
    for (std::uint32_t i = 0; i < run.brokers; ++i) {
        run.simulation.add_node({.name = fmt::format("n{}", i), .data_shards = run.data_shards})
            .start([&run, i](runtime::Node& node) {
                return std::make_unique<BrokerProgram>(
                    node, settings_of(run, i),
                    [&run, i](const std::string& why) { end_and_restart(run, i, why); },
                    run.journal_bytes);
            });
    }
    for (std::uint32_t i = 0; i < run.producers; ++i) {
        run.simulation.add_node({.name = fmt::format("producer{}", i)})
            .start([&run, i](runtime::Node& node) {
                return std::make_unique<ProducerProgram>(run, node, i);
            });
    }
    run.simulation.add_node({.name = "reader"}).start([&run](runtime::Node& node) {
        return std::make_unique<ReaderProgram>(run, node);
    });
    if (run.moves) {
        run.simulation.add_node({.name = "mover"}).start([&run](runtime::Node& node) {
            return std::make_unique<MoverProgram>(run, node);
        });
    }
    if (run.gives_up) {
        const ClusterMap::Topic loose{std::string(loose_topic), loose_partitions, replicas};
        run.simulation.add_node({.name = "loose-writer"}).start([&run, loose](runtime::Node& node) {
            return std::make_unique<LooseProgram>(run, node, loose);
        });
    }
}

void run_out_of_files(Run& run) {
    for (const sim::Fault& fault : run.out_of_files()) {
        sim::SimDisk& disk = run.simulation.node(fault.node).sim_disk();
        run.simulation.at(Instant{} + fault.at, [&run, &disk, fault] {
            run.simulation.note(&run.simulation.node(fault.node), "is out of files");
            disk.fail_next(sim::DiskCall::open, UINT64_MAX, Code::exhausted);
        });
        // After that, heal() has.
        if (fault.at + fault.lasts < run.bad_time) {
            run.simulation.in(fault.at + fault.lasts,
                              [&disk] { disk.fail_next(sim::DiskCall::open, 0, Code::exhausted); });
        }
    }
}

bool is_done(Run& run) {
    if (!run.all_sent() || !run.watch->is_whole()) {
        return false;
    }
    for (std::uint32_t i = 0; i < run.producers; ++i) {
        const auto* program =
            static_cast<ProducerProgram*>(run.simulation.node(run.brokers + i).program());
        if (program == nullptr || program->open() > 0) {
            return false;
        }
    }
    const auto* reader =
        static_cast<ReaderProgram*>(run.simulation.node(run.brokers + run.producers).program());
    for (std::int32_t partition = 0; partition < run.partitions; ++partition) {
        if (reader == nullptr ||
            reader->reader.position(partition) < run.watch->committed(partition)) {
            return false;
        }
    }
    return true;
}

class ClusterScenario : public Scenario {
public:
    std::string_view name() const override { return "cluster"; }
    std::string_view about() const override {
        return "three whole brokers, idempotent producers, a reader; nothing acknowledged is lost";
    }
    std::uint32_t operations() const override { return sends; }

    sim::FaultProfile faults() const override {
        sim::FaultProfile profile;
        for (const auto& kinds : {sim::process_faults(), sim::network_faults(), sim::disk_faults(),
                                  sim::clock_faults()}) {
            profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
        }
        profile.nodes = {0, 1, 2};
        profile.from = 1s;
        profile.until = shape().bad_time - 2s;
        profile.longest = 6s;
        profile.most = 10;
        return profile;
    }

    std::vector<std::string> planted_bugs() const override {
        return {"leader_counts_unsynced",
                "follower_counts_unsynced",
                "follower_reports_unsynced",
                "commits_under_min_isr",
                "leader_commits_alone",
                "isr_without_the_slowest",
                "proposed_members_do_not_count",
                "joins_before_it_caught_up",
                "late_refusal_ends_any_proposal",
                "no_truncation_on_divergence",
                "truncates_to_high_watermark",
                "takes_answers_of_another_epoch",
                "high_watermark_beyond_log",
                "epochs_of_readers_unchecked",
                "acknowledges_before_commit",
                "unknown_outcome_taken_for_refusal",
                "sequences_unchecked",
                "counts_diverging_fetches",
                "keeps_epochs_without_records",
                "directories_not_synced",
                "duplicate_registrations_accepted",
                "proposals_on_any_epoch",
                "members_of_any_life",
                "failed_syncs_count",
                "restarts_unnoticed",
                "anybody_is_elected",
                "elr_takes_any_replica",
                "elr_outlives_its_use",
                "recovery_trusts_the_cache",
                "recovery_trusts_names",
                "journal_not_replayed",
                "journal_not_synced",
                "journal_reused_before_its_logs",
                "filing_counts_what_came_since",
                "journaled_end_is_recorded",
                "journal_cuts_not_noted",
                "remembers_one_batch",
                "a_refusal_answers_every_attempt",
                "quorum_vote_not_synced",
                "quorum_leader_counts_unsynced",
                "quorum_follower_fetches_unsynced",
                "quorum_vote_for_shorter_log",
                "quorum_vote_twice_in_epoch",
                "quorum_no_truncation_on_divergence",
                "quorum_count_diverging_fetch",
                "quorum_high_watermark_before_leader_change"};
    }

    Outcome run(const RunPlan& plan) const override {
        plant(plan.bug);
        Run run(plan, shape());
        expect_errors(run);
        add_machines(run);
        run_out_of_files(run);
        run.simulation.run_for(run.bad_time);
        run.simulation.heal();
        run.stalls->healed();
        std::uint64_t asked = 0;
        const auto done = [&] { return ++asked % 64 == 0 && is_done(run); };
        if (!run.simulation.violation() && !run.simulation.run_until(done, good_time) &&
            !run.waits_for_a_person()) {
            run.simulation.fail("not whole in a healthy world: " + run.watch->state());
        }
        if (auto violation = run.history.violation(); violation && !run.simulation.violation()) {
            run.simulation.fail(*violation);
        }
        Outcome outcome = Outcome::of(run.simulation);
        outcome.operations = run.history.acknowledged();
        return outcome;
    }

protected:
    virtual Shape shape() const { return {}; }
};

/// One machine may come back with nothing on its disk, again and again: a voter that is another one
/// now, a replica that may be in no ISR until it has everything again.
class WipedScenario final : public ClusterScenario {
public:
    std::string_view name() const override { return "wiped"; }
    std::string_view about() const override {
        return "as cluster, and one machine may lose its whole disk";
    }
    sim::FaultProfile faults() const override {
        sim::FaultProfile profile = ClusterScenario::faults();
        profile.kinds = {sim::FaultKind::empty_disk, sim::FaultKind::kill,
                         sim::FaultKind::power_cut,  sim::FaultKind::pause,
                         sim::FaultKind::reset,      sim::FaultKind::slow_link,
                         sim::FaultKind::one_way};
        profile.may_lose_data = 1;
        profile.longest = 3s;
        return profile;
    }
    std::vector<std::string> planted_bugs() const override {
        return {"proposals_without_lives",
                "acts_on_its_predecessors_metadata",
                "unclean_stops_keep_their_place",
                "earlier_lives_count",
                "members_of_any_life",
                "restarts_unnoticed",
                "asks_again_for_any_life",
                "fetches_without_its_epoch",
                "quorum_directory_id_unchecked"};
    }
};

/// Replicas come and go while brokers die. Every reassignment ends once the world is healthy, and
/// none loses what was acknowledged.
class MovedScenario final : public ClusterScenario {
public:
    std::string_view name() const override { return "moved"; }
    std::string_view about() const override {
        return "four brokers, partitions are reassigned all the time";
    }
    sim::FaultProfile faults() const override {
        sim::FaultProfile profile = ClusterScenario::faults();
        profile.nodes = {0, 1, 2, 3};
        return profile;
    }
    std::vector<std::string> planted_bugs() const override {
        return {"leaders_keep_their_first_replicas", "recovery_trusts_a_cache_that_lied",
                "moves_end_before_all_are_in_sync"};
    }

protected:
    Shape shape() const override { return {.brokers = 4, .moves = true}; }
};

/// Bursts into partitions whose leaders change, of records that nobody sends again when they are
/// cut away: whatever waits for them waits for ever, and nobody else may wait for that.
class LooseScenario final : public ClusterScenario {
public:
    std::string_view name() const override { return "loose"; }
    std::string_view about() const override {
        return "as moved, and a writer that gives up: nobody may stand still for what was cut";
    }
    sim::FaultProfile faults() const override {
        sim::FaultProfile profile = ClusterScenario::faults();
        profile.nodes = {0, 1, 2, 3};
        profile.kinds = {sim::FaultKind::kill,      sim::FaultKind::graceful_stop,
                         sim::FaultKind::pause,     sim::FaultKind::slow_link,
                         sim::FaultKind::disk_full, sim::FaultKind::disk_slow};
        profile.longest = 40s;
        profile.most = 2;  // A stall shows where nothing else is wrong.
        return profile;
    }
    std::vector<std::string> planted_bugs() const override {
        return {"short_syncs_hold_up_others"};
    }

protected:
    Shape shape() const override {
        return {.brokers = 4, .moves = true, .gives_up = true, .bad_time = 60s};
    }
};

MR_SCENARIO(ClusterScenario);
MR_SCENARIO(LooseScenario);
MR_SCENARIO(MovedScenario);
MR_SCENARIO(WipedScenario);

}  // namespace

}  // namespace millrace::simtest
