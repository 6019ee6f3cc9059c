// The quorum as it runs: drivers over storage's files and net's connections, on simulated machines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/internal/wire.h"
#include "raft/raft_driver.h"
#include "raft/storage_log.h"
#include "tests/unit/raft/quorum_node.h"

namespace millrace::raft {
namespace {

using runtime::sim::FaultPlan;
using runtime::sim::SimNode;
using runtime::sim::Simulation;
using test::QuorumNode;
using test::QuorumNodeOptions;

constexpr std::uint16_t first_port = 9000;

class Cluster {
public:
    explicit Cluster(std::uint64_t seed, FaultPlan plan = {})
        : simulation({.seed = seed, .plan = std::move(plan), .trace = trace()}) {}

    /// Nodes 1..n, all of them in the list of voters.
    void add_nodes(int n, std::size_t snapshot_every = 0) {
        for (int i = 1; i <= n; ++i) {
            add_node(i, list_of(n), snapshot_every);
        }
    }
    void add_node(int id, const std::string& voters, std::size_t snapshot_every = 0) {
        QuorumNodeOptions options;
        options.quorum.node_id = BrokerId{id};
        options.quorum.cluster_id = "test-cluster";
        options.port = static_cast<std::uint16_t>(first_port + id);
        options.quorum.listeners = {{"CONTROLLER", {fmt::format("n{}", id), options.port}}};
        options.quorum.voters = *parse_voters(voters, "CONTROLLER");
        options.snapshot_every = snapshot_every;
        options.segment_bytes = 4_KiB;
        options_.push_back(options);
        SimNode& machine = simulation.add_node({.name = fmt::format("n{}", id)});
        const std::size_t index = options_.size() - 1;
        machine.start([this, index](runtime::Node& node) {
            return std::make_unique<QuorumNode>(node, options_[index], ledger);
        });
    }
    static std::string list_of(int n) {
        std::string text;
        for (int i = 1; i <= n; ++i) {
            text += fmt::format("{}{}@n{}:{}", i == 1 ? "" : ",", i, i, first_port + i);
        }
        return text;
    }

    SimNode& machine(int id) { return simulation.node(static_cast<std::size_t>(id - 1)); }
    QuorumNode* node(int id) { return static_cast<QuorumNode*>(machine(id).program()); }
    QuorumNodeOptions& options(int id) { return options_[static_cast<std::size_t>(id - 1)]; }
    std::size_t size() const { return options_.size(); }

    int leader() {
        int found = 0;
        for (int i = 1; i <= static_cast<int>(size()); ++i) {
            if (node(i) != nullptr && node(i)->is_leader() && !machine(i).is_paused() &&
                (found == 0 || node(found)->leadership().epoch < node(i)->leadership().epoch)) {
                found = i;
            }
        }
        return found;
    }
    bool await_leader(Duration limit = std::chrono::seconds(20), int other_than = 0) {
        return simulation.run_until([&] { return leader() != 0 && leader() != other_than; }, limit);
    }
    /// Says a word on the leader and waits until it is committed.
    bool say(const std::string& word, Duration limit = std::chrono::seconds(20)) {
        bool said = false;
        return simulation.run_until(
            [&] {
                if (!said && leader() != 0) {
                    said = on_loop(leader(), [&](QuorumNode& n) { return n.say(word); });
                }
                return ledger.acked.contains(word);
            },
            limit);
    }
    bool await_everywhere(const std::string& word, Duration limit = std::chrono::seconds(30)) {
        return simulation.run_until(
            [&] {
                for (int i = 1; i <= static_cast<int>(size()); ++i) {
                    if (node(i) == nullptr || !has(*node(i), word)) {
                        return false;
                    }
                }
                return true;
            },
            limit);
    }
    static bool has(const QuorumNode& node, const std::string& word) {
        return std::find(node.words().begin(), node.words().end(), word) != node.words().end();
    }
    /// Posts to the node's control loop; the answer comes when it ran.
    bool on_loop(int id, std::function<bool(QuorumNode&)> act) {
        auto done = std::make_shared<int>(-1);
        QuorumNode* target = node(id);
        machine(id).control_shard().executor->post([this, id, target, act = std::move(act), done] {
            *done = node(id) == target && act(*target) ? 1 : 0;
        });
        simulation.run_until([&] { return *done >= 0 || node(id) != target; },
                             std::chrono::seconds(5));
        return *done == 1;
    }
    /// What a tool asks of the node, answered.
    std::optional<Response> ask(int id, const Request& request) {
        std::optional<Response> answer;
        const WireVersions versions = versions_of(request);
        on_loop(id, [&](QuorumNode& n) {
            n.ask(versions.api_key, versions.max, *encode_request(request, versions.max),
                  [&, version = versions.max](Result<Buffer> body) {
                      if (body) {
                          answer = *decode_response(request, version, *body);
                      }
                  });
            return true;
        });
        simulation.run_until([&] { return answer.has_value(); }, std::chrono::seconds(20));
        return answer;
    }
    std::vector<std::string> files(int id) {
        std::vector<std::string> names;
        const auto entries = machine(id).disk().list("/data/__cluster_metadata-0");
        for (const auto& entry : *entries) {
            names.push_back(entry.name);
        }
        return names;
    }
    void expect_agreement() {
        EXPECT_THAT(ledger.contradictions, testing::IsEmpty());
        EXPECT_FALSE(simulation.violation()) << simulation.violation()->what;
    }

    test::Ledger ledger;
    Simulation simulation;

private:
    static std::function<void(const std::string&)> trace() {
        if (std::getenv("MILLRACE_TRACE") == nullptr) {
            return {};
        }
        return [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    }
    std::vector<QuorumNodeOptions> options_;
};

TEST(RaftDriver, forms_a_quorum_of_one_by_itself_and_keeps_its_state_over_a_restart) {
    Cluster cluster(1);
    cluster.add_nodes(1);
    ASSERT_TRUE(cluster.say("one"));
    ASSERT_TRUE(cluster.say("two"));
    cluster.machine(1).kill();
    cluster.machine(1).restart();
    ASSERT_TRUE(cluster.say("three"));
    EXPECT_THAT(cluster.node(1)->words(), testing::ElementsAre("one", "two", "three"));
    EXPECT_THAT(cluster.files(1), testing::Contains("quorum-state"));
    cluster.expect_agreement();
}

TEST(RaftDriver, elects_another_leader_within_a_second_of_the_leaders_death) {
    Cluster cluster(2);
    cluster.add_nodes(3);
    ASSERT_TRUE(cluster.say("before"));
    const int former = cluster.leader();
    const Instant killed = cluster.simulation.now();
    cluster.machine(former).kill();
    ASSERT_TRUE(cluster.await_leader(std::chrono::seconds(5), former));
    EXPECT_LT(cluster.simulation.now() - killed, std::chrono::seconds(1));
    ASSERT_TRUE(cluster.say("after"));
    cluster.machine(former).restart();
    EXPECT_TRUE(cluster.await_everywhere("after"));
    cluster.expect_agreement();
}

TEST(RaftDriver, hands_over_at_once_when_the_leader_is_stopped_in_order) {
    Cluster cluster(3);
    cluster.add_nodes(5);
    ASSERT_TRUE(cluster.say("before"));
    ASSERT_TRUE(cluster.await_everywhere("before"));
    const int former = cluster.leader();
    const Instant stopped = cluster.simulation.now();
    cluster.machine(former).stop();
    ASSERT_TRUE(cluster.await_leader(std::chrono::seconds(5), former));
    EXPECT_LT(cluster.simulation.now() - stopped, std::chrono::milliseconds(200));
    cluster.expect_agreement();
}

// Kafka's MetadataRequestTest: who follows the only voter listed it for as long as it was away.
TEST(RaftDriver, who_follows_the_only_voter_hears_what_it_decided_last) {
    Cluster cluster(9);
    cluster.add_nodes(1);
    cluster.add_node(2, Cluster::list_of(1));
    cluster.add_node(3, Cluster::list_of(1));
    ASSERT_TRUE(cluster.say("before"));
    ASSERT_TRUE(cluster.await_everywhere("before"));
    ASSERT_TRUE(cluster.say("last"));
    cluster.machine(1).stop();
    ASSERT_TRUE(cluster.simulation.run_until([&] { return cluster.node(1) == nullptr; },
                                             std::chrono::seconds(5)));
    EXPECT_TRUE(Cluster::has(*cluster.node(2), "last"));
    EXPECT_TRUE(Cluster::has(*cluster.node(3), "last"));
}

TEST(RaftDriver, loses_nothing_when_all_machines_lose_power_at_once) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        FaultPlan plan;
        plan.ambient = {.torn_pages = true, .reordered_names = true};
        Cluster cluster(seed, plan);
        cluster.add_nodes(3);
        for (int i = 0; i < 10; ++i) {
            ASSERT_TRUE(cluster.say(fmt::format("word-{}", i)));
        }
        for (int i = 1; i <= 3; ++i) {
            cluster.machine(i).cut_power();
        }
        const auto promised = cluster.ledger.acked;
        for (int i = 1; i <= 3; ++i) {
            cluster.machine(i).restart();
        }
        ASSERT_TRUE(cluster.say("after")) << "seed " << seed;
        ASSERT_TRUE(cluster.await_everywhere("after")) << "seed " << seed;
        for (const auto& [word, at] : promised) {
            EXPECT_TRUE(Cluster::has(*cluster.node(1), word)) << word << " seed " << seed;
        }
        cluster.expect_agreement();
    }
}

TEST(RaftDriver, snapshots_let_the_log_be_dropped_and_bring_an_empty_node_up_to_date) {
    Cluster cluster(4);
    cluster.add_nodes(3, /*snapshot_every=*/20);
    ASSERT_TRUE(cluster.say("first"));
    cluster.machine(3).kill();
    for (int i = 0; i < 120; ++i) {
        ASSERT_TRUE(cluster.say(fmt::format("word-{}", i)));
    }
    const int leader = cluster.leader();
    EXPECT_GT(cluster.node(leader)->snapshots_taken(), 2U);
    EXPECT_GT(cluster.node(leader)->driver()->log_start(), Offset{50});
    cluster.simulation.run_for(std::chrono::milliseconds(100));
    // Two snapshots stay, the one before the last so that the log reaches back to it.
    const auto names = cluster.files(leader);
    EXPECT_EQ(std::count_if(names.begin(), names.end(),
                            [](const std::string& n) { return n.ends_with(".checkpoint"); }),
              2);
    cluster.machine(3).sim_disk().wipe();
    cluster.machine(3).restart();
    EXPECT_TRUE(cluster.await_everywhere("word-119"));
    EXPECT_EQ(cluster.node(3)->words(), cluster.node(leader)->words());
    EXPECT_EQ(cluster.node(3)->snapshots_loaded(), 1U);
    cluster.expect_agreement();
}

TEST(RaftDriver, starts_from_its_own_snapshot_and_the_log_behind_it) {
    Cluster cluster(5);
    cluster.add_nodes(1, /*snapshot_every=*/10);
    for (int i = 0; i < 35; ++i) {
        ASSERT_TRUE(cluster.say(fmt::format("word-{}", i)));
    }
    const auto words = cluster.node(1)->words();
    cluster.machine(1).cut_power();
    cluster.machine(1).restart();
    ASSERT_TRUE(cluster.await_leader());
    EXPECT_EQ(cluster.node(1)->words(), words);
    EXPECT_EQ(cluster.node(1)->snapshots_loaded(), 1U);
    cluster.expect_agreement();
}

// Case 42: never an empty state, never half of one.
TEST(RaftDriver, case_42_falls_back_to_the_snapshot_before_a_damaged_one) {
    Cluster cluster(6);
    cluster.simulation.expect_error("raft.snapshot_damaged");
    cluster.add_nodes(1, /*snapshot_every=*/10);
    for (int i = 0; i < 45; ++i) {
        ASSERT_TRUE(cluster.say(fmt::format("word-{}", i)));
    }
    const auto words = cluster.node(1)->words();
    cluster.machine(1).stop();
    ASSERT_TRUE(cluster.simulation.run_until([&] { return !cluster.machine(1).is_running(); },
                                             std::chrono::seconds(5)));
    std::string latest;
    for (const std::string& name : cluster.files(1)) {
        latest = name.ends_with(".checkpoint") ? name : latest;
    }
    ASSERT_TRUE(cluster.machine(1).sim_disk().rot("/data/__cluster_metadata-0/" + latest, 150, 3));
    cluster.machine(1).restart();
    ASSERT_TRUE(cluster.await_leader());
    EXPECT_EQ(cluster.node(1)->words(), words);
    EXPECT_THAT(cluster.files(1), testing::Contains(latest + ".damaged"));
    cluster.expect_agreement();
}

// Case 47.
TEST(RaftDriver, case_47_refuses_a_quorum_state_of_an_unknown_version) {
    Cluster cluster(7);
    cluster.add_nodes(1);
    ASSERT_TRUE(cluster.say("one"));
    cluster.machine(1).kill();
    ASSERT_TRUE(cluster.machine(1)
                    .disk()
                    .replace_whole("/data/__cluster_metadata-0/quorum-state",
                                   R"({"leaderId":1,"leaderEpoch":9,"data_version":7})")
                    .has_value());
    cluster.machine(1).restart();
    ASSERT_TRUE(cluster.node(1)->refused());
    EXPECT_THAT(
        cluster.node(1)->refused()->message(),
        testing::AllOf(testing::HasSubstr("quorum-state"), testing::HasSubstr("data_version 7")));
}

TEST(RaftDriver, grows_from_one_voter_to_three_without_a_new_format) {
    Cluster cluster(8);
    cluster.add_node(1, Cluster::list_of(1));
    ASSERT_TRUE(cluster.say("alone"));
    cluster.add_node(2, Cluster::list_of(1));
    cluster.add_node(3, Cluster::list_of(1));
    ASSERT_TRUE(cluster.await_everywhere("alone"));
    for (const int id : {2, 3}) {
        const auto answer = cluster.ask(
            cluster.leader(), AddVoterRequest{"test-cluster",
                                              std::chrono::seconds(5),
                                              {BrokerId{id}, cluster.node(id)->directory()},
                                              cluster.options(id).quorum.listeners});
        ASSERT_TRUE(answer);
        const auto& change = std::get<VoterChangeResponse>(*answer);
        EXPECT_EQ(change.error, KafkaError::none) << change.message;
    }
    EXPECT_EQ(cluster.node(1)->driver()->voters().size(), 3U);
    // Two of three go on without the first.
    cluster.machine(1).kill();
    ASSERT_TRUE(cluster.await_leader(std::chrono::seconds(5), 1));
    ASSERT_TRUE(cluster.say("together"));
    cluster.expect_agreement();
}

TEST(RaftDriver, describes_the_quorum_with_voters_observers_and_how_far_they_are) {
    Cluster cluster(9);
    cluster.add_nodes(3);
    cluster.add_node(4, Cluster::list_of(3));
    ASSERT_TRUE(cluster.say("word"));
    ASSERT_TRUE(cluster.await_everywhere("word"));
    cluster.simulation.run_for(std::chrono::milliseconds(100));
    const auto answer = cluster.ask(cluster.leader(), DescribeQuorumRequest{});
    ASSERT_TRUE(answer);
    const auto& quorum = std::get<DescribeQuorumResponse>(*answer);
    EXPECT_EQ(quorum.error, KafkaError::none);
    EXPECT_EQ(quorum.hint.leader, BrokerId{cluster.leader()});
    EXPECT_EQ(quorum.voters.size(), 3U);
    ASSERT_EQ(quorum.observers.size(), 1U);
    EXPECT_EQ(quorum.observers[0].key, (ReplicaKey{BrokerId{4}, cluster.node(4)->directory()}));
    EXPECT_EQ(quorum.observers[0].log_end, quorum.high_watermark);
}

// Case 78: after a failed sync the log is never spoken for again.
TEST(RaftDriver, case_78_a_failed_sync_of_the_log_ends_the_node) {
    Cluster cluster(10);
    cluster.simulation.expect_error("raft.halted");
    cluster.simulation.expect_error("storage");
    cluster.add_nodes(3);
    ASSERT_TRUE(cluster.say("before"));
    const int former = cluster.leader();
    cluster.machine(former).sim_disk().fail_next(runtime::sim::DiskCall::sync, 1);
    cluster.on_loop(former, [](QuorumNode& n) { return n.say("lost or not"); });
    ASSERT_TRUE(cluster.simulation.run_until(
        [&] { return cluster.node(former)->halted().has_value(); }, std::chrono::seconds(5)));
    cluster.machine(former).kill();
    ASSERT_TRUE(cluster.say("after"));
    cluster.machine(former).restart();
    EXPECT_TRUE(cluster.await_everywhere("after"));
    cluster.expect_agreement();
}

// Two voters are put back from a backup and lead; what the third knows as committed is gone there.
// Only this process knows that: the next start must not go on as if nothing had been.
TEST(RaftDriver, who_is_asked_to_truncate_what_is_committed_stays_down_until_a_person_allows_it) {
    Cluster cluster(17);
    cluster.simulation.expect_error("raft.halted");
    cluster.add_nodes(3);
    ASSERT_TRUE(cluster.say("kept"));
    ASSERT_TRUE(cluster.await_everywhere("kept"));
    const std::string directory = "/data/__cluster_metadata-0/";
    const auto all_of = [&](int id) {
        std::map<std::string, std::string> contents;
        for (const std::string& name : cluster.files(id)) {
            contents[name] = *cluster.machine(id).disk().read_whole(directory + name, 1 << 20);
        }
        return contents;
    };
    const std::map<int, std::map<std::string, std::string>> backup{{1, all_of(1)}, {2, all_of(2)}};
    ASSERT_TRUE(cluster.say("forgotten"));
    ASSERT_TRUE(cluster.await_everywhere("forgotten"));
    cluster.machine(3).pause();
    for (const auto& [id, contents] : backup) {
        cluster.machine(id).kill();
        for (const std::string& name : cluster.files(id)) {
            ASSERT_TRUE(cluster.machine(id).disk().remove(directory + name).has_value());
        }
        for (const auto& [name, content] : contents) {
            ASSERT_TRUE(
                cluster.machine(id).disk().replace_whole(directory + name, content).has_value());
        }
    }
    cluster.machine(1).restart();
    cluster.machine(2).restart();
    ASSERT_TRUE(cluster.say("another history"));
    cluster.machine(3).resume();
    ASSERT_TRUE(cluster.simulation.run_until([&] { return cluster.node(3)->halted().has_value(); },
                                             std::chrono::seconds(20)));
    EXPECT_THAT(cluster.node(3)->halted()->message(), testing::HasSubstr("below the committed"));
    EXPECT_TRUE(Cluster::has(*cluster.node(3), "forgotten"));
    cluster.machine(3).kill();
    cluster.machine(3).restart();
    ASSERT_TRUE(cluster.node(3)->refused());
    EXPECT_THAT(cluster.node(3)->refused()->message(),
                testing::AllOf(testing::HasSubstr("below the committed"),
                               testing::HasSubstr("remove " + directory + "halted")));
    cluster.machine(3).kill();
    ASSERT_TRUE(cluster.machine(3).disk().remove(directory + "halted").has_value());
    cluster.machine(3).restart();
    EXPECT_TRUE(cluster.await_everywhere("another history"));
}

// Nobody votes without having room to remember it, and nobody is lost for that.
TEST(RaftDriver, case_80_a_disk_too_full_for_a_vote_puts_the_vote_off) {
    Cluster cluster(14);
    cluster.add_nodes(3);
    ASSERT_TRUE(cluster.say("before"));
    ASSERT_TRUE(cluster.await_everywhere("before"));
    const int former = cluster.leader();
    cluster.machine(former).kill();
    const auto on_others = [&](const auto& act) {
        for (int id = 1; id <= 3; ++id) {
            if (id != former) {
                act(id);
            }
        }
    };
    on_others([&](int id) { cluster.machine(id).sim_disk().set_full(true); });
    cluster.simulation.run_for(std::chrono::seconds(10));
    EXPECT_EQ(cluster.leader(), 0);
    on_others([&](int id) { EXPECT_FALSE(cluster.node(id)->halted().has_value()) << id; });
    on_others([&](int id) { cluster.machine(id).sim_disk().set_full(false); });
    ASSERT_TRUE(cluster.say("after"));
    cluster.machine(former).restart();
    EXPECT_TRUE(cluster.await_everywhere("after"));
    cluster.expect_agreement();
}

// Case 43: all of it or nothing.
TEST(RaftDriver, case_43_refuses_what_is_not_one_batch_and_what_is_too_large) {
    Cluster cluster(11);
    cluster.add_nodes(1);
    ASSERT_TRUE(cluster.say("one"));
    const bool ran = cluster.on_loop(1, [](QuorumNode& n) {
        const QuorumEpoch epoch = n.leadership().epoch;
        const Offset end = n.driver()->log_end();
        const auto garbage = n.driver()->append(epoch, Buffer(100), nullptr);
        const auto large = n.driver()->append(epoch, Buffer((8 << 20) + 1), nullptr);
        EXPECT_FALSE(garbage.has_value());
        EXPECT_FALSE(large.has_value());
        EXPECT_EQ(n.driver()->log_end(), end);
        return true;
    });
    EXPECT_TRUE(ran);
}

TEST(RaftDriver, case_44_a_record_that_cannot_be_applied_stops_that_node_and_is_not_skipped) {
    Cluster cluster(12);
    cluster.simulation.expect_error("raft.halted");
    cluster.add_nodes(3);
    ASSERT_TRUE(cluster.say("good"));
    ASSERT_TRUE(cluster.await_everywhere("good"));
    const int standby = cluster.leader() == 3 ? 2 : 3;
    cluster.node(standby)->refuse("poison");
    ASSERT_TRUE(cluster.say("poison"));
    ASSERT_TRUE(cluster.simulation.run_until(
        [&] { return cluster.node(standby)->halted().has_value(); }, std::chrono::seconds(5)));
    ASSERT_TRUE(cluster.say("more"));
    cluster.simulation.run_for(std::chrono::seconds(2));
    EXPECT_THAT(cluster.node(standby)->words(), testing::ElementsAre("good"));
    cluster.expect_agreement();
}

TEST(RaftDriver, case_45_who_resigned_is_told_so_and_appends_no_more) {
    Cluster cluster(13);
    cluster.add_nodes(3);
    ASSERT_TRUE(cluster.say("before"));
    const int former = cluster.leader();
    const bool refused = cluster.on_loop(former, [](QuorumNode& n) {
        const QuorumEpoch epoch = n.leadership().epoch;
        n.driver()->resign(epoch);
        // Before anybody was told: the quorum is the one owner of who leads.
        return n.leadership().is_self && !n.say("too late");
    });
    EXPECT_TRUE(refused);
    ASSERT_TRUE(cluster.simulation.run_until([&] { return !cluster.node(former)->is_leader(); },
                                             std::chrono::seconds(1)));
    ASSERT_TRUE(cluster.say("after"));
    cluster.expect_agreement();
}

/// What can happen to a quorum of three with one machine to lose.
FaultPlan drawn_plan(std::uint64_t seed) {
    SeededRandom random(seed);
    runtime::sim::FaultProfile profile;
    for (const auto& kinds : {runtime::sim::process_faults(), runtime::sim::network_faults(),
                              runtime::sim::clock_faults()}) {
        profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
    }
    std::erase(profile.kinds, runtime::sim::FaultKind::empty_disk);
    profile.nodes = {0, 1, 2};
    profile.from = std::chrono::seconds(1);
    profile.until = std::chrono::seconds(12);
    return draw_plan(random, profile);
}

// The whole stack under the simulator's faults: every promise to the client is kept, the nodes
// agree batch by batch, and the healed cluster works.
TEST(RaftDriver, keeps_its_promises_under_simulated_faults) {
    const char* asked = std::getenv("MILLRACE_DRIVER_SEEDS");
    const std::uint64_t seeds = asked != nullptr ? std::strtoull(asked, nullptr, 10) : 25;
    const char* only = std::getenv("MILLRACE_DRIVER_SEED");
    const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
    std::size_t promises = 0;
    for (std::uint64_t seed = first; seed < first + (only != nullptr ? 1 : seeds); ++seed) {
        Cluster cluster(seed, drawn_plan(seed));
        cluster.simulation.expect_error("raft.");
        cluster.simulation.expect_error("storage.");
        cluster.simulation.expect_error("net.");
        cluster.add_nodes(3, /*snapshot_every=*/seed % 2 == 0 ? 15 : 0);
        int word = 0;
        while (cluster.simulation.now() < Instant{0} + std::chrono::seconds(14)) {
            cluster.simulation.run_for(std::chrono::milliseconds(60));
            for (int i = 1; i <= 3; ++i) {
                if (cluster.node(i) != nullptr && !cluster.machine(i).is_paused()) {
                    const std::string text = fmt::format("word-{}", ++word);
                    QuorumNode* target = cluster.node(i);
                    cluster.machine(i).control_shard().executor->post(
                        [target, text] { target->say(text); });
                }
            }
            ASSERT_FALSE(cluster.simulation.violation())
                << "seed " << seed << ": " << cluster.simulation.violation()->what;
        }
        cluster.simulation.heal();
        for (int i = 1; i <= 3; ++i) {
            const QuorumNode* node = cluster.node(i);
            if (node != nullptr && (node->halted() || node->refused())) {
                cluster.machine(i).kill();
                cluster.machine(i).restart();
            }
        }
        ASSERT_TRUE(cluster.say("healed", std::chrono::seconds(60))) << "seed " << seed;
        ASSERT_TRUE(cluster.await_everywhere("healed", std::chrono::seconds(60)))
            << "seed " << seed;
        for (const auto& [promised, at] : cluster.ledger.acked) {
            ASSERT_TRUE(Cluster::has(*cluster.node(1), promised)) << promised << " seed " << seed;
        }
        ASSERT_THAT(cluster.ledger.contradictions, testing::IsEmpty()) << "seed " << seed;
        promises += cluster.ledger.acked.size();
    }
    EXPECT_GT(promises, seeds);
}

}  // namespace
}  // namespace millrace::raft
