// What a shard does for its logs while nobody asks, on a simulated machine.
#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record/batch_builder.h"
#include "record/compression.h"
#include "replication/checkpoints.h"
#include "replication/cleaner.h"
#include "replication/housekeeping.h"
#include "replication/shard_replicas.h"
#include "runtime/sim/simulation.h"
#include "storage/log_store.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

using storage::Checkpoint;

/// Answers nothing by itself.
class SilentController final : public IsrProposer {
public:
    void propose(Proposal proposal, UniqueFunction<void(KafkaError)> refused) override {
        asked.emplace_back(std::move(proposal), std::move(refused));
    }
    std::vector<std::pair<Proposal, UniqueFunction<void(KafkaError)>>> asked;
};

/// One broker's storage and its only shard.
class KeptMachine final : public runtime::sim::Program {
public:
    KeptMachine(runtime::Node& node_in, const std::vector<std::string>& paths) : node(node_in) {
        storage::StoreOptions options;
        options.paths = paths;
        options.identity = {"cluster", BrokerId{1}};
        store = *storage::LogStore::open(node.disk(), options, *node.control_shard().random,
                                         node.control_shard().executor->clock().wall(), node.log());
        ShardReplicas::Options shard_options;
        shard_options.self = BrokerId{1};
        shard_options.placed = [this](const TopicIdPartition&, Uuid directory) {
            placed.push_back(directory);
        };
        for (const storage::FoundLog& found : store->found()) {
            shard_options.found.push_back(&found);
        }
        shard = std::make_unique<ShardReplicas>(shard_options, node.data_shard(0), node.disk_pool(),
                                                *store, controller, peers, node.log());
        replicas.add(node.data_shard(0), shard.get());
        cleaner = std::make_unique<Cleaner>(
            *node.control_shard().executor, replicas, *node.control_shard().random,
            [this] { checkpoints->write_points_soon(); }, node.log());
        checkpoints = std::make_unique<Checkpoints>(node, *store, replicas, node.log());
    }

    runtime::Node& node;
    NoPeers peers;
    SilentController controller;
    std::unique_ptr<storage::LogStore> store;
    std::unique_ptr<ShardReplicas> shard;
    Replicas replicas;
    std::unique_ptr<Cleaner> cleaner;
    std::unique_ptr<Checkpoints> checkpoints;
    std::vector<Uuid> placed;  ///< What the controller would be told.
};

class ShardUpkeep : public testing::Test {
protected:
    ShardUpkeep() : ShardUpkeep({"/data"}) {}
    explicit ShardUpkeep(std::vector<std::string> paths)
        : paths_(std::move(paths)), node_(simulation_.add_node({.name = "n1"})) {
        start();
    }

    void start() {
        node_.start(
            [this](runtime::Node& node) { return std::make_unique<KeptMachine>(node, paths_); });
    }
    KeptMachine& machine() { return static_cast<KeptMachine&>(*node_.program()); }

    /// Runs `task` with the shard on its loop, and waits for it.
    template <typename F>
    void on_shard(F task) {
        bool done = false;
        node_.data_shard(0).executor->post([&] {
            task(*machine().shard);
            done = true;
        });
        ASSERT_TRUE(simulation_.run_until([&] { return done; }, 10s));
    }
    template <typename F>
    void on_control(F task) {
        bool done = false;
        node_.control_shard().executor->post([&] {
            task(machine());
            done = true;
        });
        ASSERT_TRUE(simulation_.run_until([&] { return done; }, 10s));
    }

    void assign(const PartitionSettings& settings, std::vector<BrokerId> replicas = {BrokerId{1}},
                Uuid directory = {}) {
        PartitionState state;
        state.directory = directory;
        state.id = id_;
        state.topic = "orders";
        state.replicas = state.isr = std::move(replicas);
        state.leader = BrokerId{1};
        on_shard([&](ShardReplicas& shard) { shard.assign(state, settings); });
        simulation_.run_for(1s);
    }

    Buffer batch(const std::string& key, std::size_t size) {
        record::BatchBuilder builder({});
        const std::string value(size, 'v');
        builder.append(
            {.timestamp = wall().milliseconds, .key = as_bytes(key), .value = as_bytes(value)});
        record::Compressor compressor;
        return *builder.finish(compressor);
    }
    void append(const std::string& key, std::size_t size = 500) {
        Buffer bytes = batch(key, size);
        std::optional<KafkaError> error;
        on_shard([&](ShardReplicas& shard) {
            Append request;
            request.id = id_;
            request.batch = bytes;
            request.done = [&](AppendResult result) { error = result.error; };
            shard.append(std::move(request));
        });
        ASSERT_TRUE(simulation_.run_until([&] { return error.has_value(); }, 10s));
        EXPECT_EQ(*error, KafkaError::none);
    }

    /// Into a compacted log; the bytes that it has then.
    std::uint64_t fill_with_two_keys(PartitionSettings settings) {
        settings.limits.cleanup = {.remove = false, .compact = true};
        assign(settings);
        for (int i = 0; i < 20; ++i) {
            append(i % 2 == 0 ? "even" : "odd");
        }
        return view().size_bytes;
    }

    /// What a follower says it has, by asking for what comes next.
    void fetch_as(BrokerId replica, Offset start, Offset end) {
        on_shard([&](ShardReplicas& shard) {
            FetchPosition position;
            position.id = id_;
            position.from = end;
            position.reader_log_start = start;
            position.reader_synced_end = end;
            Reader reader;
            reader.level = ReadLevel::replica;
            reader.replica = replica;
            (void)shard.fetch({position}, reader, 1 << 20);
        });
    }

    ShardReplicas::View view() {
        std::optional<ShardReplicas::View> found;
        on_shard([&](ShardReplicas& shard) { found = shard.view(id_); });
        return found.value_or(ShardReplicas::View{});
    }
    Timestamp wall() { return node_.data_shard(0).executor->clock().wall(); }
    std::size_t files(std::string_view ending) {
        const auto entries = node_.disk().list("/data/orders-0");
        return entries ? static_cast<std::size_t>(std::count_if(
                             entries->begin(), entries->end(),
                             [&](const auto& entry) { return entry.name.ends_with(ending); }))
                       : 0;
    }
    storage::OffsetMap checkpoint(Checkpoint which) {
        return *machine().store->directories().front()->read_checkpoint(which);
    }

    const std::vector<std::string> paths_;
    runtime::sim::Simulation simulation_{{.seed = 3}};
    runtime::sim::SimNode& node_;
    const TopicIdPartition id_{{5, 6}, PartitionIndex{0}};
    const TopicPartition name_{"orders", PartitionIndex{0}};
};

PartitionSettings small_segments(Durability durability = Durability::synced) {
    PartitionSettings settings;
    settings.durability = durability;
    settings.limits.segment_bytes = 1_KiB;
    settings.limits.file_delete_delay = 5s;
    return settings;
}

// A follower that has restarted since may have lost what made it a member.
TEST_F(ShardUpkeep, an_unanswered_isr_proposal_is_made_again_for_the_same_lives) {
    PartitionState state;
    state.id = id_;
    state.topic = "orders";
    state.replicas = {BrokerId{1}, BrokerId{2}};
    state.isr = {BrokerId{1}};
    state.leader = BrokerId{1};
    on_shard([&](ShardReplicas& shard) { shard.assign(state, {}); });
    simulation_.run_for(1s);
    const auto fetch_as = [&](BrokerEpoch life) {
        on_shard([&](ShardReplicas& shard) {
            FetchPosition position;
            position.id = id_;
            position.from = Offset{0};
            position.reader_synced_end = Offset{0};
            (void)shard.fetch(
                {position},
                {.level = ReadLevel::replica, .replica = BrokerId{2}, .replica_epoch = life}, 1000);
        });
    };
    auto& asked = machine().controller.asked;
    fetch_as(BrokerEpoch{7});
    ASSERT_EQ(asked.size(), 1U);
    on_shard([&](ShardReplicas&) { asked[0].second(KafkaError::request_timed_out); });
    fetch_as(BrokerEpoch{9});
    simulation_.run_for(1s);
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_EQ(asked[1].first.epochs.at(BrokerId{2}), BrokerEpoch{7});
}

class RetentionOf : public ShardUpkeep, public testing::WithParamInterface<Durability> {};

TEST_P(RetentionOf, old_segments_go_by_themselves_and_their_files_after_the_delay) {
    PartitionSettings settings = small_segments(GetParam());
    settings.limits.retention = 60s;
    assign(settings);
    for (int i = 0; i < 10; ++i) {
        append("key");
    }
    EXPECT_EQ(files(".log"), 10U);
    on_shard([](ShardReplicas& shard) {
        shard.set_upkeep({.first_after = 1s, .retention = 10s, .producers = 10s});
    });
    simulation_.run_for(30s);
    EXPECT_EQ(view().start, Offset{0}) << "nothing is old yet";
    simulation_.run_for(60s);
    EXPECT_EQ(view().start, Offset{10});
    EXPECT_EQ(view().end, Offset{10});
    EXPECT_EQ(files(".log"), 1U);
    EXPECT_EQ(files(".deleted"), 0U);
}
INSTANTIATE_TEST_SUITE_P(Durabilities, RetentionOf,
                         testing::Values(Durability::synced, Durability::replicated));

TEST_F(ShardUpkeep, a_log_that_nobody_appends_to_rolls_when_its_segment_is_of_age) {
    PartitionSettings settings;
    settings.limits.segment_age = 60s;
    assign(settings);
    append("key");
    on_shard([](ShardReplicas& shard) {
        shard.set_upkeep({.first_after = 1s, .retention = 10s, .producers = 10s});
    });
    simulation_.run_for(50s);
    EXPECT_EQ(files(".log"), 1U);
    simulation_.run_for(30s);
    EXPECT_EQ(files(".log"), 2U);
    simulation_.run_for(300s);
    EXPECT_EQ(files(".log"), 2U) << "an empty segment does not roll";
}

TEST_F(ShardUpkeep, a_new_interval_counts_from_now_on) {
    PartitionSettings settings = small_segments();
    settings.limits.retention = 1s;
    assign(settings);
    append("key");
    append("key");
    on_shard([](ShardReplicas& shard) {
        shard.set_upkeep({.first_after = 24h, .retention = 24h, .producers = 24h});
    });
    simulation_.run_for(60s);
    EXPECT_EQ(view().start, Offset{0});
    on_shard([](ShardReplicas& shard) {
        shard.set_upkeep({.first_after = 24h, .retention = 2s, .producers = 24h});
    });
    simulation_.run_for(5s);
    EXPECT_EQ(view().start, Offset{2});
}

TEST_F(ShardUpkeep, the_cleaner_keeps_the_last_record_of_each_key) {
    const std::uint64_t before = fill_with_two_keys(small_segments());
    on_control([](KeptMachine& m) {
        m.checkpoints->set({.recovery_points = 5s, .log_starts = 5s, .high_watermarks = 5s});
        m.cleaner->set({.rounds_at_once = 1, .key_bytes = 1 << 20, .pause = 1s});
    });
    simulation_.run_for(60s);
    EXPECT_LT(view().size_bytes, before / 4);
    EXPECT_EQ(view().end, Offset{20});
    EXPECT_GE(machine().cleaner->counts().rounds, 1U);
    EXPECT_EQ(machine().cleaner->counts().failures, 0U);
    EXPECT_GT(checkpoint(Checkpoint::cleaner).at(name_), Offset{10});
    EXPECT_EQ(files(".cleaned") + files(".swap") + files(".deleted"), 0U);
}

class CompactionOf : public ShardUpkeep, public testing::WithParamInterface<Durability> {};

TEST_P(CompactionOf, a_log_that_is_due_does_not_wait_for_the_checkpoints_own_time) {
    const std::uint64_t before = fill_with_two_keys(small_segments(GetParam()));
    on_control([](KeptMachine& m) {
        m.checkpoints->set({.recovery_points = 1h, .log_starts = 1h, .high_watermarks = 1h});
        m.cleaner->set({.rounds_at_once = 1, .key_bytes = 1 << 20, .pause = 2s});
    });
    simulation_.run_for(20s);
    EXPECT_LT(view().size_bytes, before / 4);
    EXPECT_EQ(machine().cleaner->counts().failures, 0U);
    EXPECT_GT(checkpoint(Checkpoint::recovery_point).at(name_), Offset{10});
}
INSTANTIATE_TEST_SUITE_P(Durabilities, CompactionOf,
                         testing::Values(Durability::synced, Durability::replicated));

TEST_F(ShardUpkeep, quiesce_leaves_every_log_as_a_clean_start_wants_it) {
    assign(small_segments());
    for (int i = 0; i < 3; ++i) {
        append("key");
    }
    const std::size_t snapshots = files(".snapshot");
    bool quiet = false;
    on_shard([&](ShardReplicas& shard) { shard.quiesce([&] { quiet = true; }); });
    ASSERT_TRUE(simulation_.run_until([&] { return quiet; }, 60s));
    EXPECT_EQ(files(".snapshot"), snapshots + 1);
    std::vector<LogMark> marks;
    on_shard([&](ShardReplicas& shard) { marks = *shard.close_cleanly(); });
    ASSERT_EQ(marks.size(), 1U);
    EXPECT_EQ(marks.front().recovery_point, Offset{3});
    EXPECT_EQ(files(".snapshot"), snapshots + 1) << "what quiesce() left needs nothing more";
}

// Case 80: a new leader's first sync finds no room for its epoch.
TEST_F(ShardUpkeep, a_disk_that_was_full_when_an_epoch_was_to_be_written_heals_by_itself) {
    PartitionState state;
    state.id = id_;
    state.topic = "orders";
    state.replicas = state.isr = {BrokerId{1}};
    state.leader = BrokerId{1};
    on_shard([&](ShardReplicas& shard) { shard.assign(state, small_segments()); });
    simulation_.run_for(1s);
    append("before");
    node_.sim_disk().set_full(true);
    state.leader_epoch = LeaderEpoch{1};
    state.partition_epoch = PartitionEpoch{1};
    on_shard([&](ShardReplicas& shard) { shard.assign(state, small_segments()); });
    simulation_.run_for(10s);
    node_.sim_disk().set_full(false);
    simulation_.run_for(2s);
    EXPECT_GT(machine().shard->counts().syncs.load(), 2U);
    append("after");
    node_.cut_power();
    start();
    on_shard([&](ShardReplicas& shard) { shard.assign(state, small_segments()); });
    simulation_.run_for(1s);
    EXPECT_EQ(view().end, Offset{2});
}

// A topic goes and comes again while the disk is slow: the next log may have the address of the
// last.
TEST_F(ShardUpkeep, a_sync_that_comes_back_to_another_log_counts_for_nothing) {
    PartitionState state;
    state.id = id_;
    state.topic = "orders";
    state.replicas = state.isr = {BrokerId{1}};
    state.leader = BrokerId{1};
    node_.sim_disk().set_slow(20ms);
    std::deque<Buffer> batches;
    for (int i = 0; i < 100; ++i) {
        on_shard([&](ShardReplicas& shard) {
            shard.unassign(id_);
            shard.assign(state, small_segments());
        });
        simulation_.run_for(Duration{std::chrono::milliseconds{5 + i % 7}});
        on_shard([&](ShardReplicas& shard) {
            record::BatchBuilder builder({});
            builder.append({.timestamp = wall().milliseconds, .key = as_bytes("key"), .value = {}});
            record::Compressor compressor;
            Append request;
            request.id = id_;
            request.batch = batches.emplace_back(*builder.finish(compressor));
            request.done = [](const AppendResult&) {};
            shard.append(std::move(request));
        });
    }
    simulation_.run_for(10s);
    EXPECT_FALSE(view().failure);
    EXPECT_EQ(view().synced_end, view().end);
}

TEST_F(ShardUpkeep, a_stop_waits_for_the_round_under_way) {
    PartitionSettings settings = small_segments();
    settings.limits.cleanup = {.remove = false, .compact = true};
    assign(settings);
    for (int i = 0; i < 20; ++i) {
        append("key");
    }
    on_control([](KeptMachine& m) {
        m.checkpoints->set({.recovery_points = 1s, .log_starts = 1s, .high_watermarks = 1s});
        // So slow that the round is still at it.
        m.cleaner->set({.key_bytes = 1 << 20, .bytes_per_second = 1000, .pause = 1s});
    });
    simulation_.run_for(6s);
    bool stopped = false;
    on_control([&](KeptMachine& m) { m.cleaner->stop([&] { stopped = true; }); });
    EXPECT_TRUE(simulation_.run_until([&] { return stopped; }, 120s));
    const auto rounds = machine().cleaner->counts().rounds;
    EXPECT_EQ(rounds, 1U);
    simulation_.run_for(60s);
    EXPECT_EQ(machine().cleaner->counts().rounds, rounds) << "and none begins";
}

TEST_F(ShardUpkeep, checkpoints_follow_the_log_and_bound_the_next_recovery) {
    assign(small_segments());
    on_control([](KeptMachine& m) {
        m.checkpoints->set({.recovery_points = 5s, .log_starts = 5s, .high_watermarks = 1s});
    });
    for (int i = 0; i < 5; ++i) {
        append("key");
    }
    on_shard([&](ShardReplicas& shard) {
        shard.delete_records(
            id_, Offset{2}, 1s, [](BrokerId) { return true; },
            [](KafkaError error, Offset) { EXPECT_EQ(error, KafkaError::none); });
    });
    simulation_.run_for(10s);
    EXPECT_EQ(checkpoint(Checkpoint::recovery_point).at(name_), Offset{5});
    EXPECT_EQ(checkpoint(Checkpoint::high_watermark).at(name_), Offset{5});
    node_.cut_power();
    start();
    ASSERT_EQ(machine().store->found().size(), 1U);
    EXPECT_EQ(machine().store->found().front().recovery.recovery_point, Offset{5});
    EXPECT_EQ(machine().store->found().front().high_watermark, Offset{5});
    assign(small_segments());
    EXPECT_EQ(view().start, Offset{2}) << "what was deleted on request stays deleted";
    EXPECT_EQ(view().end, Offset{5});
}

// KIP-107: the answer says from where on nobody who is up has records any more.
TEST_F(ShardUpkeep, records_are_deleted_once_every_replica_has_let_them_go) {
    assign(small_segments(), {BrokerId{1}, BrokerId{2}});
    std::vector<std::pair<KafkaError, Offset>> answers;
    bool is_up = true;
    Buffer bytes = batch("key", 100);
    on_shard([&](ShardReplicas& shard) {
        for (int i = 0; i < 5; ++i) {
            Append request;
            request.id = id_;
            request.batch = bytes;
            request.done = [](AppendResult) {};
            shard.append(std::move(request));
        }
    });
    simulation_.run_for(1s);
    fetch_as(BrokerId{2}, Offset{0}, Offset{5});
    const auto delete_before = [&](Offset before, Duration timeout) {
        on_shard([&](ShardReplicas& shard) {
            shard.delete_records(
                id_, before, timeout, [&](BrokerId) { return is_up; },
                [&](KafkaError error, Offset low) { answers.emplace_back(error, low); });
        });
    };
    delete_before(Offset{3}, 20s);
    simulation_.run_for(2s);
    EXPECT_THAT(answers, testing::IsEmpty()) << "the other replica has them yet";
    EXPECT_EQ(view().start, Offset{3});
    fetch_as(BrokerId{2}, Offset{3}, Offset{5});
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0], std::pair(KafkaError::none, Offset{3}));
    delete_before(Offset{2}, 20s);
    ASSERT_EQ(answers.size(), 2U) << "they are gone already";
    EXPECT_EQ(answers[1], std::pair(KafkaError::none, Offset{3}));
    delete_before(Offset{4}, 5s);
    simulation_.run_for(6s);
    ASSERT_EQ(answers.size(), 3U);
    EXPECT_EQ(answers[2], std::pair(KafkaError::request_timed_out, Offset{3}));
    delete_before(Offset{5}, 20s);
    is_up = false;
    simulation_.run_for(2s);
    ASSERT_EQ(answers.size(), 4U) << "who is down isn't waited for";
    EXPECT_EQ(answers[3], std::pair(KafkaError::none, Offset{5}));
}

// The lines of a topic's old checkpoints must not be taken for those of its successor.
TEST_F(ShardUpkeep, a_topic_with_a_used_name_begins_without_a_past) {
    assign(small_segments());
    on_control([](KeptMachine& m) {
        m.checkpoints->set({.recovery_points = 5s, .log_starts = 5s, .high_watermarks = 5s});
    });
    for (int i = 0; i < 5; ++i) {
        append("key");
    }
    on_shard([&](ShardReplicas& shard) {
        shard.delete_records(
            id_, Offset{4}, 1s, [](BrokerId) { return true; }, [](KafkaError, Offset) {});
    });
    simulation_.run_for(10s);
    on_shard([&](ShardReplicas& shard) { shard.unassign(id_); });
    assign(small_segments());
    append("key");
    EXPECT_FALSE(checkpoint(Checkpoint::recovery_point).contains(name_));
    EXPECT_FALSE(checkpoint(Checkpoint::log_start).contains(name_));
    node_.cut_power();
    start();
    assign(small_segments());
    EXPECT_EQ(view().start, Offset{0});
    EXPECT_EQ(view().end, Offset{1});
}

TEST_F(ShardUpkeep, a_log_that_the_metadata_does_not_know_is_set_aside_and_kept) {
    assign(small_segments());
    append("key");
    node_.cut_power();
    start();
    on_shard([](ShardReplicas& shard) { shard.set_aside_unclaimed(); });
    const auto entries = node_.disk().list("/data");
    ASSERT_TRUE(entries);
    EXPECT_TRUE(std::any_of(entries->begin(), entries->end(), [](const auto& entry) {
        return entry.name.starts_with("orders-0.") && entry.name.ends_with("-stray");
    }));
    EXPECT_EQ(files(".log"), 0U);
}

TEST_F(ShardUpkeep, a_topic_made_anew_while_we_were_away_gets_the_name) {
    assign(small_segments());
    append("key");
    node_.cut_power();
    start();
    PartitionState state;
    state.id = {{7, 8}, PartitionIndex{0}};
    state.topic = "orders";
    state.replicas = state.isr = {BrokerId{1}};
    state.leader = BrokerId{1};
    on_shard([&](ShardReplicas& shard) { shard.assign(state, small_segments()); });
    std::optional<ShardReplicas::View> fresh;
    on_shard([&](ShardReplicas& shard) { fresh = shard.view(state.id); });
    ASSERT_TRUE(fresh);
    EXPECT_EQ(fresh->end, Offset{0});
    EXPECT_FALSE(fresh->failure);
}

// --- Several directories -------------------------------------------------------------------------

class SeveralDirectories : public ShardUpkeep {
protected:
    SeveralDirectories() : ShardUpkeep({"/data", "/more"}) {}

    KafkaError move_to(const std::string& path) {
        KafkaError answer = KafkaError::unknown_server_error;
        on_shard([&](ShardReplicas& shard) { answer = shard.move_log(id_, path); });
        return answer;
    }
    std::size_t records() {
        std::size_t bytes = 0;
        on_shard([&](ShardReplicas& shard) {
            FetchPosition position;
            position.id = id_;
            const auto results = shard.fetch({position}, {}, 1 << 20);
            EXPECT_EQ(results.front().error, KafkaError::none);
            bytes = results.front().slice.length;
        });
        return bytes;
    }
};

TEST_F(SeveralDirectories, a_log_moves_while_it_is_written_and_the_controller_hears_of_it) {
    assign(small_segments());
    for (int i = 0; i < 20; ++i) {
        append("key");
    }
    const std::string from = view().directory_path;
    const std::string to = from == "/data" ? "/more" : "/data";
    EXPECT_EQ(move_to("/nowhere"), KafkaError::log_dir_not_found);
    EXPECT_EQ(move_to(to), KafkaError::none);
    EXPECT_TRUE(view().future.has_value());
    for (int i = 0; i < 20; ++i) {
        append("key");
    }
    simulation_.run_for(10s);
    EXPECT_EQ(view().directory_path, to);
    EXPECT_FALSE(view().future.has_value());
    EXPECT_EQ(view().end, Offset{40});
    EXPECT_EQ(machine().placed.back(), view().directory);
    append("key");
    simulation_.run_for(60s);
    EXPECT_EQ(node_.disk().list(from + "/orders-0").error().code(), Code::not_found);
    node_.cut_power();
    start();
    assign(small_segments());
    EXPECT_EQ(view().directory_path, to);
    EXPECT_EQ(view().end, Offset{41});
    EXPECT_GT(records(), 500U);
}

/// As after a crash of Kafka between the two halves of a move, or with the other disk gone.
TEST_F(ShardUpkeep, a_copy_without_its_log_is_it_where_the_metadata_has_the_replica) {
    assign(small_segments());
    for (int i = 0; i < 20; ++i) {
        append("key");
    }
    simulation_.run_for(1s);
    const Uuid directory = view().directory;
    const std::string copy = "/data/orders-0.0123456789abcdef0123456789abcdef-future";
    node_.kill();
    ASSERT_TRUE(node_.disk().rename("/data/orders-0", copy));
    start();
    on_shard([](ShardReplicas& shard) { shard.set_aside_unclaimed(); });
    simulation_.run_for(1s);
    EXPECT_FALSE(*node_.disk().exists(copy)) << "set aside, as nobody claims it";
    const auto names = *node_.disk().list("/data");
    const auto aside = std::find_if(names.begin(), names.end(), [](const auto& entry) {
        return entry.name.ends_with("-stray");
    });
    ASSERT_NE(aside, names.end()) << "and kept";
    node_.kill();
    ASSERT_TRUE(node_.disk().rename("/data/" + aside->name, copy));
    start();
    assign(small_segments(), {BrokerId{1}}, directory);
    EXPECT_EQ(view().end, Offset{20});
    on_shard([](ShardReplicas& shard) { shard.set_aside_unclaimed(); });
    append("key");
    simulation_.run_for(1s);
    node_.kill();
    start();
    assign(small_segments(), {BrokerId{1}}, directory);
    EXPECT_EQ(view().end, Offset{21});
    EXPECT_EQ(view().directory_path, "/data");
}

TEST_F(ShardUpkeep, a_log_that_could_not_be_loaded_for_a_shortage_is_loaded_once_that_is_over) {
    assign(small_segments());
    append("key");
    simulation_.run_for(1s);
    node_.kill();
    start();
    node_.sim_disk().fail_next(runtime::sim::DiskCall::open, 3, Code::exhausted);
    assign(small_segments());
    EXPECT_EQ(view().end, Offset{0}) << "no log yet, and none made in its place";
    simulation_.run_for(5s);
    EXPECT_EQ(view().end, Offset{1});
    append("key");
    EXPECT_EQ(view().end, Offset{2});
}

TEST_F(ShardUpkeep, a_log_whose_epochs_found_no_room_at_the_start_is_synced_once_there_is_some) {
    assign(small_segments());
    append("key");
    node_.kill();
    start();
    ASSERT_TRUE(node_.disk().remove("/data/orders-0/leader-epoch-checkpoint"));
    node_.sim_disk().set_full(true);
    assign(small_segments());
    EXPECT_EQ(view().end, Offset{1});
    EXPECT_EQ(view().synced_end, Offset{0});
    node_.sim_disk().set_full(false);
    simulation_.run_for(2s);
    EXPECT_EQ(view().synced_end, Offset{1});
}

// Every disk call once the last one: whatever is left on the disk, what was acknowledged is served.
TEST_F(SeveralDirectories, a_power_cut_at_any_moment_of_a_move_loses_nothing) {
    for (int at = 1; at < 60; ++at) {
        SCOPED_TRACE(at);
        assign(small_segments());
        const Offset before = view().end;
        append("key");
        append("key");
        const std::string to = view().directory_path == "/data" ? "/more" : "/data";
        EXPECT_EQ(move_to(to), KafkaError::none);
        simulation_.run_for(Duration{1ms} * at / 4);
        node_.cut_power();
        start();
        assign(small_segments());
        simulation_.run_for(1s);
        EXPECT_EQ(view().end, before + 2);
        on_shard([](ShardReplicas& shard) { shard.set_aside_unclaimed(); });
    }
}

TEST_F(SeveralDirectories, a_failed_directory_takes_its_own_logs_and_no_others) {
    simulation_.expect_error("storage.directory_failed");
    simulation_.expect_error("replication.directory_offline");
    assign(small_segments());
    append("key");
    PartitionState state;
    state.id = {{9, 9}, PartitionIndex{0}};
    state.topic = "others";
    state.replicas = state.isr = {BrokerId{1}};
    state.leader = BrokerId{1};
    on_shard([&](ShardReplicas& shard) { shard.assign(state, small_segments()); });
    std::optional<ShardReplicas::View> other;
    on_shard([&](ShardReplicas& shard) { other = shard.view(state.id); });
    ASSERT_NE(other->directory_path, view().directory_path) << "the one with fewer logs";
    machine().store->directory(other->directory)->fail(Error(Code::io, "broken"));
    on_shard([](ShardReplicas& shard) { shard.directory_failed(); });
    on_shard([&](ShardReplicas& shard) { other = shard.view(state.id); });
    EXPECT_TRUE(other->failure.has_value());
    append("key");
    EXPECT_EQ(view().end, Offset{2});
    // Where the metadata says that the log lies in the failed one, none is made elsewhere.
    state.id = {{9, 9}, PartitionIndex{1}};
    state.directory = other->directory;
    on_shard([&](ShardReplicas& shard) { shard.assign(state, small_segments()); });
    on_shard([&](ShardReplicas& shard) { other = shard.view(state.id); });
    EXPECT_EQ(other->directory_path, "");
}

}  // namespace
}  // namespace millrace::replication
