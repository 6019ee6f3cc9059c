// The runtime with a machine that is a map of strings, over a log whose every move a test makes.
#include "coordinator/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "coordinator/journaled.h"
#include "record/batch_builder.h"
#include "record/control.h"
#include "tests/support/manual_loop.h"
#include "tests/support/memory_log.h"

namespace millrace::coordinator {
namespace {

using support::ManualLoop;
using support::MemoryLog;
using support::MemoryTopic;
using ::testing::ElementsAre;
using ::testing::Pair;

Buffer bytes(std::string_view text) {
    const ByteView view = as_bytes(text);
    return {view.begin(), view.end()};
}

/// state[key] = value; a transaction's records wait in `pending` for their marker.
class Register final : public StateMachine {
public:
    std::map<std::string, std::string> state;
    std::map<ProducerId, std::map<std::string, std::string>> pending;
    std::vector<Instant> deadlines;
    int loads = 0;
    int ticks = 0;
    std::vector<std::string>* unloads = nullptr;

    void replay(const RecordView& record, Journal& journal) override {
        const std::string key{as_text(record.key)};
        if (!record.value) {
            erase(journal, state, key);
        } else if (record.producer != no_producer) {
            put(journal, pending[record.producer], key, std::string{as_text(*record.value)});
        } else {
            put(journal, state, key, std::string{as_text(*record.value)});
        }
    }
    void replay_marker(ProducerId producer, ProducerEpoch, TransactionResult result,
                       Journal& journal) override {
        if (result == TransactionResult::commit) {
            for (const auto& [key, value] : pending[producer]) {
                put(journal, state, key, value);
            }
        }
        erase(journal, pending, producer);
    }
    void loaded(Operation&) override { ++loads; }
    void unloading() override {
        if (unloads != nullptr) {
            unloads->push_back("unloaded");
        }
    }
    Instant next_deadline() const override {
        return deadlines.empty() ? Instant::never() : deadlines.front();
    }
    void on_deadline(Operation& operation) override {
        ++ticks;
        deadlines.erase(deadlines.begin());
        operation.append({bytes("tick" + std::to_string(ticks)), bytes("fired")});
    }
};

constexpr PartitionIndex p0{0};

struct RuntimeTest : ::testing::Test {
    ManualLoop loop;
    MemoryTopic topic;
    MemoryLog log{loop, topic};
    std::vector<std::string> answers;
    int made = 0;
    RuntimeSettings settings;
    std::optional<Runtime> runtime;

    void SetUp() override { start(); }

    void start() {
        runtime.emplace(
            "state", loop, log,
            [this](PartitionIndex) {
                ++made;
                auto machine = std::make_unique<Register>();
                machine->unloads = &answers;
                return machine;
            },
            settings, Logger{});
    }
    void lead(int epoch = 1) {
        topic[p0].leader_epoch = LeaderEpoch{epoch};
        runtime->elected(p0, LeaderEpoch{epoch});
        loop.run_ready();
    }
    Outcome note(std::string name) {
        return [this, name](KafkaError error) {
            answers.push_back(name + " " + std::string{to_string(error)});
        };
    }
    void set(const std::string& key, const std::string& value) {
        runtime->run(
            p0,
            [&](StateMachine&, Operation& operation) {
                operation.append({bytes(key), bytes(value)});
                operation.then(note(key + "=" + value));
            },
            note("refused"));
    }
    void get(const std::string& key) {
        runtime->run(
            p0,
            [&](StateMachine& machine, Operation& operation) {
                operation.then(note(key + "->" + static_cast<Register&>(machine).state[key]));
            },
            note("refused"));
    }
    const Register& machine() { return static_cast<const Register&>(*runtime->peek(p0)); }
};

TEST_F(RuntimeTest, refuses_partitions_that_it_does_not_lead) {
    set("a", "1");
    EXPECT_THAT(answers, ElementsAre("refused NOT_COORDINATOR"));
}

TEST_F(RuntimeTest, refuses_while_it_loads) {
    runtime->elected(p0, LeaderEpoch{1});
    set("a", "1");
    EXPECT_THAT(answers, ElementsAre("refused COORDINATOR_LOAD_IN_PROGRESS"));
    loop.run_ready();
    EXPECT_EQ(runtime->status(p0), KafkaError::none);
    EXPECT_EQ(machine().loads, 1);
}

TEST_F(RuntimeTest, answers_a_write_once_it_is_committed_and_not_before) {
    lead();
    log.commit_at_once = false;
    set("a", "1");
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre());
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "1")));
    log.commit_all(p0);
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("a=1 NONE"));
}

TEST_F(RuntimeTest, answers_a_read_only_with_what_is_committed) {
    lead();
    log.commit_at_once = false;
    set("a", "1");
    loop.run_ready();
    get("a");
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre());
    log.commit_all(p0);
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("a=1 NONE", "a->1 NONE"));
}

TEST_F(RuntimeTest, answers_a_read_at_once_when_nothing_is_pending) {
    lead();
    get("a");
    EXPECT_THAT(answers, ElementsAre("a-> NONE"));
}

TEST_F(RuntimeTest, appends_the_writes_of_one_turn_as_one_batch) {
    lead();
    set("a", "1");
    set("b", "2");
    set("c", "3");
    loop.run_ready();
    EXPECT_EQ(log.appends, 1u);
    EXPECT_EQ(topic[p0].end(), Offset{3});
    EXPECT_THAT(answers, ElementsAre("a=1 NONE", "b=2 NONE", "c=3 NONE"));
}

TEST_F(RuntimeTest, writes_what_comes_while_a_batch_is_on_its_way_in_the_next_one) {
    lead();
    log.hold_appends = true;
    set("a", "1");
    loop.run_ready();
    set("b", "2");
    set("c", "3");
    loop.run_ready();
    EXPECT_EQ(log.held(), 1u);
    log.hold_appends = false;
    log.release_appends();
    loop.run_ready();
    EXPECT_EQ(log.appends, 2u);
    EXPECT_THAT(answers, ElementsAre("a=1 NONE", "b=2 NONE", "c=3 NONE"));
}

TEST_F(RuntimeTest, takes_everything_back_when_the_log_refuses) {
    lead();
    set("a", "1");
    loop.run_ready();
    answers.clear();
    log.hold_appends = true;
    set("a", "2");
    loop.run_ready();
    set("b", "3");
    get("a");
    log.refuse = KafkaError::not_enough_replicas;
    log.release_appends();
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("a=2 NOT_ENOUGH_REPLICAS", "b=3 NOT_ENOUGH_REPLICAS",
                                     "a->2 NOT_ENOUGH_REPLICAS"));
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "1")));
    EXPECT_EQ(made, 1);  // Nothing was read again for it.

    answers.clear();
    log.refuse = KafkaError::none;
    log.hold_appends = false;
    set("c", "4");
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("c=4 NONE"));
    EXPECT_EQ(topic[p0].end(), Offset{2});
}

TEST_F(RuntimeTest, undoes_removals_too) {
    lead();
    set("a", "1");
    loop.run_ready();
    log.refuse = KafkaError::kafka_storage_error;
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.append({bytes("a"), std::nullopt});
            operation.append({bytes("a"), bytes("new")});
            operation.append({bytes("a"), std::nullopt});
        },
        note("refused"));
    EXPECT_THAT(machine().state, ElementsAre());
    loop.run_ready();
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "1")));
}

TEST_F(RuntimeTest, gives_up_waiting_for_a_commit_after_the_write_timeout) {
    lead();
    log.commit_at_once = false;
    set("a", "1");
    loop.advance(4s);
    set("b", "2");
    EXPECT_THAT(answers, ElementsAre());
    loop.advance(1s);
    EXPECT_THAT(answers, ElementsAre("a=1 REQUEST_TIMED_OUT"));
    loop.advance(4s);
    EXPECT_THAT(answers, ElementsAre("a=1 REQUEST_TIMED_OUT", "b=2 REQUEST_TIMED_OUT"));
    // The write itself stays: it may have happened.
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "1"), Pair("b", "2")));
}

TEST_F(RuntimeTest, gives_up_also_while_the_append_itself_hangs) {
    lead();
    log.hold_appends = true;
    set("a", "1");
    loop.run_ready();
    set("b", "2");
    loop.advance(5s);
    EXPECT_THAT(answers, ElementsAre("a=1 REQUEST_TIMED_OUT", "b=2 REQUEST_TIMED_OUT"));
}

TEST_F(RuntimeTest, splits_what_does_not_fit_into_one_batch_between_operations) {
    lead();
    log.max_batch_size = 1_KiB;
    const std::string big(600, 'x');
    set("a", big);
    set("b", big);
    loop.run_ready();
    EXPECT_EQ(log.appends, 2u);
    EXPECT_EQ(machine().state.size(), 2u);
    ASSERT_EQ(topic[p0].entries.size(), 2u);
    EXPECT_EQ(topic[p0].entries[1].base, Offset{1});
}

TEST_F(RuntimeTest, moves_an_operation_whole_into_the_next_batch) {
    lead();
    log.max_batch_size = 1_KiB;
    const std::string big(450, 'x');
    set("a", big);
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.append({bytes("b"), bytes(big)});
            operation.append({bytes("c"), bytes(big)});
            operation.then(note("b,c"));
        },
        note("refused"));
    loop.run_ready();
    ASSERT_EQ(topic[p0].entries.size(), 2u);
    EXPECT_EQ(topic[p0].entries[0].end, Offset{1});
    EXPECT_EQ(topic[p0].entries[1].end, Offset{3});
    EXPECT_EQ(answers.back(), "b,c NONE");
}

TEST_F(RuntimeTest, refuses_an_operation_that_outgrows_a_batch_and_leaves_the_others) {
    lead();
    log.max_batch_size = 1_KiB;
    set("a", "1");
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.append({bytes("b"), bytes("2")});
            operation.append({bytes("c"), bytes(std::string(2000, 'x'))});
            operation.append({bytes("d"), bytes("4")});
            operation.then(note("huge"));
        },
        note("refused"));
    set("e", "5");
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("huge MESSAGE_TOO_LARGE", "a=1 NONE", "e=5 NONE"));
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "1"), Pair("e", "5")));
    EXPECT_EQ(topic[p0].end(), Offset{2});
}

TEST_F(RuntimeTest, spreads_an_operation_that_allows_it_over_batches) {
    lead();
    log.max_batch_size = 1_KiB;
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.allow_split();
            for (int i = 0; i < 10; ++i) {
                operation.append({bytes("k" + std::to_string(i)), bytes(std::string(300, 'x'))});
            }
            operation.then(note("all"));
        },
        note("refused"));
    loop.run_ready();
    EXPECT_EQ(machine().state.size(), 10u);
    EXPECT_GT(log.appends, 3u);
    EXPECT_THAT(answers, ElementsAre("all NONE"));
}

TEST_F(RuntimeTest, is_busy_when_too_much_waits_for_the_log) {
    settings.max_pending = 2_KiB;
    start();
    lead();
    log.hold_appends = true;
    set("a", std::string(3000, 'x'));
    set("b", "2");
    EXPECT_THAT(answers, ElementsAre("refused COORDINATOR_NOT_AVAILABLE"));
}

TEST_F(RuntimeTest, is_after_a_load_what_it_was_before) {
    lead();
    set("a", "1");
    set("b", "2");
    loop.run_ready();
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) { operation.append({bytes("a"), std::nullopt}); },
        note("refused"));
    loop.run_ready();
    const auto before = machine().state;
    start();
    lead(2);
    EXPECT_EQ(machine().state, before);
    set("c", "3");
    loop.run_ready();
    EXPECT_EQ(topic[p0].end(), Offset{4});
}

TEST_F(RuntimeTest, loads_a_log_that_begins_late_in_many_reads) {
    lead();
    for (int i = 0; i < 20; ++i) {
        set("k" + std::to_string(i), std::string(100, 'x'));
        loop.run_ready();
    }
    topic[p0].entries.erase(topic[p0].entries.begin(), topic[p0].entries.begin() + 5);
    topic[p0].start = Offset{5};
    settings.load_chunk = 300_B;
    start();
    log.reads = 0;
    lead(2);
    EXPECT_EQ(machine().state.size(), 15u);
    EXPECT_GT(log.reads, 5u);
}

TEST_F(RuntimeTest, loads_a_log_of_which_only_offsets_are_left) {
    topic[p0].start = Offset{100};
    topic[p0].high_watermark = Offset{100};
    lead();
    set("a", "1");
    loop.run_ready();
    EXPECT_EQ(topic[p0].entries.front().base, Offset{100});
    EXPECT_THAT(answers, ElementsAre("a=1 NONE"));
}

TEST_F(RuntimeTest, waits_for_the_commit_of_what_it_loaded) {
    lead();
    log.commit_at_once = false;
    set("a", "1");
    loop.run_ready();
    start();
    answers.clear();
    lead(2);
    get("a");
    EXPECT_THAT(answers, ElementsAre());
    log.commit_all(p0);
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("a->1 NONE"));
}

TEST_F(RuntimeTest, starts_a_load_over_that_failed_half_way) {
    lead();
    for (int i = 0; i < 10; ++i) {
        set("k" + std::to_string(i), std::string(100, 'x'));
        loop.run_ready();
    }
    settings.load_chunk = 300_B;
    settings.retry_pause = 500ms;
    start();
    made = 0;
    topic[p0].leader_epoch = LeaderEpoch{2};
    runtime->elected(p0, LeaderEpoch{2});
    loop.step();
    log.fail_reads = Error{Code::io, "disk"};
    loop.run_ready();
    EXPECT_EQ(runtime->status(p0), KafkaError::coordinator_load_in_progress);
    const std::size_t reads = log.reads;
    loop.advance(400ms);
    EXPECT_EQ(log.reads, reads);  // No endless loop.
    log.fail_reads.reset();
    loop.advance(100ms);
    EXPECT_EQ(runtime->status(p0), KafkaError::none);
    EXPECT_EQ(made, 2);
    EXPECT_EQ(machine().state.size(), 10u);
}

TEST_F(RuntimeTest, retries_a_load_ever_more_slowly) {
    log.fail_reads = Error{Code::io, "disk"};
    lead();
    loop.advance(1h);
    EXPECT_LT(log.reads, 140u);
    EXPECT_GT(log.reads, 100u);
}

TEST_F(RuntimeTest, forgets_a_partition_that_is_lost_while_it_loads) {
    runtime->elected(p0, LeaderEpoch{1});
    runtime->resigned(p0, LeaderEpoch{2});
    loop.run_ready();
    EXPECT_EQ(runtime->status(p0), KafkaError::not_coordinator);
    EXPECT_TRUE(runtime->shards().empty());
}

TEST_F(RuntimeTest, does_not_load_a_corrupt_log) {
    lead();
    set("a", "1");
    loop.run_ready();
    topic[p0].entries[0].batch.back() ^= std::byte{1};
    start();
    lead(2);
    EXPECT_EQ(runtime->status(p0), KafkaError::coordinator_load_in_progress);
}

TEST_F(RuntimeTest, tells_everyone_who_waits_when_another_broker_leads) {
    lead();
    log.commit_at_once = false;
    set("a", "1");
    loop.run_ready();
    set("b", "2");
    runtime->resigned(p0, LeaderEpoch{2});
    EXPECT_THAT(answers, ElementsAre("unloaded", "a=1 NOT_COORDINATOR", "b=2 NOT_COORDINATOR"));
    loop.advance(10s);
    EXPECT_EQ(answers.size(), 3u);
}

TEST_F(RuntimeTest, ignores_a_resignation_that_is_older_than_the_election) {
    lead(5);
    runtime->resigned(p0, LeaderEpoch{4});
    EXPECT_EQ(runtime->status(p0), KafkaError::none);
}

TEST_F(RuntimeTest, keeps_its_state_when_re_elected_on_the_same_broker) {
    lead(1);
    log.commit_at_once = false;
    set("a", "1");
    loop.run_ready();
    lead(2);
    EXPECT_EQ(made, 1);
    EXPECT_EQ(runtime->status(p0), KafkaError::none);
    log.commit_all(p0);
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("a=1 NONE"));
}

// A batch that is on its way when the epoch changes is sent again.
TEST_F(RuntimeTest, loses_no_commit_in_flight_when_re_elected_on_the_same_broker) {
    lead(1);
    log.hold_appends = true;
    set("a", "1");
    loop.run_ready();
    lead(2);
    EXPECT_EQ(runtime->status(p0), KafkaError::coordinator_load_in_progress);
    log.hold_appends = false;
    log.release_appends();  // Refused: it was for epoch 1.
    loop.run_ready();
    EXPECT_EQ(made, 1);
    EXPECT_THAT(answers, ElementsAre("a=1 NONE"));
    EXPECT_EQ(topic[p0].end(), Offset{1});
    EXPECT_EQ(topic[p0].last_epoch(), LeaderEpoch{2});
}

TEST_F(RuntimeTest, loads_again_when_another_broker_led_in_between) {
    lead(1);
    set("a", "1");
    loop.run_ready();
    {  // Epoch 2 was another broker's: it cut nothing and wrote one batch.
        record::BatchBuilder builder{{}};
        const Buffer key = bytes("a");
        const Buffer value = bytes("theirs");
        builder.append({.timestamp = 1, .key = ByteView{key}, .value = ByteView{value}});
        topic[p0].put(LeaderEpoch{2}, builder.finish());
        topic[p0].high_watermark = topic[p0].end();
    }
    lead(3);
    EXPECT_EQ(made, 2);
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "theirs")));
}

TEST_F(RuntimeTest, loads_again_when_its_tail_was_cut_and_written_anew) {
    lead(1);
    log.commit_at_once = false;
    set("a", "1");
    loop.run_ready();
    topic[p0].truncate(Offset{0});
    record::BatchBuilder builder{{}};
    const Buffer key = bytes("b");
    builder.append({.timestamp = 1, .key = ByteView{key}, .value = ByteView{key}});
    topic[p0].put(LeaderEpoch{2}, builder.finish());  // Ends where ours did.
    lead(3);
    EXPECT_THAT(answers, ElementsAre("unloaded", "a=1 NOT_COORDINATOR"));
    EXPECT_THAT(machine().state, ElementsAre(Pair("b", "b")));
}

TEST_F(RuntimeTest, loads_again_when_the_log_puts_a_batch_elsewhere) {
    lead();
    record::BatchBuilder builder{{}};
    const Buffer key = bytes("stranger");
    builder.append({.timestamp = 1, .key = ByteView{key}, .value = ByteView{key}});
    topic[p0].put(LeaderEpoch{1}, builder.finish());
    set("a", "1");
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("unloaded", "a=1 NOT_COORDINATOR"));
    EXPECT_THAT(machine().state, ElementsAre(Pair("a", "1"), Pair("stranger", "stranger")));
}

TEST_F(RuntimeTest, writes_a_transaction_apart_and_applies_it_at_its_marker) {
    lead();
    set("a", "1");
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.in_transaction(ProducerId{7}, ProducerEpoch{3});
            operation.append({bytes("t"), bytes("9")});
            operation.then(note("txn"));
        },
        note("refused"));
    set("b", "2");
    loop.run_ready();
    ASSERT_EQ(topic[p0].entries.size(), 3u);
    const auto batch = record::BatchView::parse(topic[p0].entries[1].batch).value();
    EXPECT_TRUE(batch.is_transactional());
    EXPECT_EQ(batch.producer_id(), ProducerId{7});
    EXPECT_EQ(machine().state.count("t"), 0u);

    runtime->end_transaction(p0, ProducerId{7}, ProducerEpoch{3}, 1, TransactionResult::commit,
                             note("marker"));
    loop.run_ready();
    EXPECT_EQ(machine().state.at("t"), "9");
    EXPECT_THAT(answers, ElementsAre("a=1 NONE", "txn NONE", "b=2 NONE", "marker NONE"));
    EXPECT_TRUE(record::BatchView::parse(topic[p0].entries[3].batch).value().is_control());

    const auto before = machine().state;
    start();
    lead(2);
    EXPECT_EQ(machine().state, before);
    EXPECT_TRUE(machine().pending.empty());
}

TEST_F(RuntimeTest, takes_a_marker_back_that_the_log_refused) {
    lead();
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.in_transaction(ProducerId{7}, ProducerEpoch{3});
            operation.append({bytes("t"), bytes("9")});
        },
        note("refused"));
    loop.run_ready();
    log.refuse = KafkaError::not_enough_replicas;
    runtime->end_transaction(p0, ProducerId{7}, ProducerEpoch{3}, 1, TransactionResult::abort,
                             note("marker"));
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("marker NOT_ENOUGH_REPLICAS"));
    EXPECT_EQ(machine().pending.count(ProducerId{7}), 1u);
}

TEST_F(RuntimeTest, calls_the_machine_at_its_deadlines) {
    lead();
    runtime->run(
        p0,
        [&](StateMachine& machine, Operation& operation) {
            static_cast<Register&>(machine).deadlines = {operation.now().instant + 3s,
                                                         operation.now().instant + 3s};
        },
        note("refused"));
    loop.advance(2999ms);
    EXPECT_EQ(machine().ticks, 0);
    loop.advance(1ms);
    EXPECT_EQ(machine().ticks, 2);
    EXPECT_EQ(topic[p0].end(), Offset{2});
}

TEST_F(RuntimeTest, keeps_its_deadlines_through_a_re_election) {
    lead(1);
    runtime->run(
        p0,
        [&](StateMachine& machine, Operation& operation) {
            static_cast<Register&>(machine).deadlines = {operation.now().instant + 3s};
        },
        note("refused"));
    topic[p0].leader_epoch = LeaderEpoch{2};
    runtime->elected(p0, LeaderEpoch{2});
    loop.advance(3s);
    EXPECT_EQ(machine().ticks, 1);
}

TEST_F(RuntimeTest, lets_an_answer_call_back_in) {
    lead();
    runtime->run(
        p0,
        [&](StateMachine&, Operation& operation) {
            operation.append({bytes("a"), bytes("1")});
            operation.then([this](KafkaError) {
                set("b", "2");
                runtime->resigned(p0, std::nullopt);
            });
        },
        note("refused"));
    loop.run_ready();
    EXPECT_THAT(answers, ElementsAre("unloaded", "b=2 NOT_COORDINATOR"));
}

}  // namespace
}  // namespace millrace::coordinator
