#include "storage/producer_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/internal/producer_snapshot.h"

namespace millrace::storage {
namespace {

using Kind = ProducerVerdictKind;

constexpr ProducerId alice{7};
constexpr ProducerId bob{8};

class ProducerStateTest : public testing::Test {
protected:
    ProducerBatch batch(std::int32_t first, std::int32_t last, ProducerId producer = alice,
                        std::int16_t epoch = 0, bool transactional = false) const {
        const std::int64_t count = last >= first ? last - first : INT32_MAX - first + 1LL + last;
        return {.producer = producer,
                .epoch = ProducerEpoch{epoch},
                .first_sequence = first,
                .last_sequence = last,
                .first_offset = state_.end(),
                .last_offset = state_.end() + count,
                .max_timestamp = Timestamp{1000 + state_.end().value},
                .transactional = transactional};
    }
    Kind judge(const ProducerBatch& b) const { return state_.check(b).kind; }
    /// Checks as a client's and, if accepted, appends.
    Kind produce(const ProducerBatch& b) {
        const Kind kind = judge(b);
        if (kind == Kind::accept) {
            state_.apply(b);
        }
        return kind;
    }
    TransactionMarker marker(bool commit, ProducerId producer = alice, std::int16_t epoch = 0,
                             std::int32_t coordinator = 0) const {
        return {.producer = producer,
                .epoch = ProducerEpoch{epoch},
                .coordinator_epoch = coordinator,
                .commit = commit,
                .offset = state_.end(),
                .timestamp = Timestamp{2000}};
    }

    ProducerState state_;
};

TEST_F(ProducerStateTest, accepts_sequences_without_gaps) {
    EXPECT_EQ(produce(batch(0, 4)), Kind::accept);
    EXPECT_EQ(produce(batch(5, 5)), Kind::accept);
    EXPECT_EQ(judge(batch(7, 7)), Kind::out_of_order);
    EXPECT_EQ(judge(batch(6, 9)), Kind::accept);
}

TEST_F(ProducerStateTest, answers_a_repeat_with_what_was_stored) {
    produce(batch(0, 4));
    produce(batch(5, 9));
    const auto verdict = state_.check(batch(0, 4));
    EXPECT_EQ(verdict.kind, Kind::duplicate);
    EXPECT_EQ(verdict.first_offset, Offset{0});
    EXPECT_EQ(verdict.last_offset, Offset{4});
    EXPECT_EQ(verdict.timestamp, Timestamp{1000});
}

TEST_F(ProducerStateTest, a_repeat_has_to_cover_the_same_sequences) {
    produce(batch(0, 4));
    EXPECT_EQ(judge(batch(0, 3)), Kind::out_of_order);
    EXPECT_EQ(judge(batch(3, 4)), Kind::out_of_order);
}

TEST_F(ProducerStateTest, remembers_five_batches) {
    for (int i = 0; i < 6; ++i) {
        ASSERT_EQ(produce(batch(i, i)), Kind::accept);
    }
    EXPECT_EQ(judge(batch(0, 0)), Kind::out_of_order);
    for (int i = 1; i < 6; ++i) {
        EXPECT_EQ(state_.check(batch(i, i)).first_offset, Offset{i});
    }
}

TEST_F(ProducerStateTest, fences_an_older_epoch) {
    produce(batch(0, 0, alice, 3));
    EXPECT_EQ(judge(batch(1, 1, alice, 2)), Kind::fenced);
    EXPECT_EQ(judge(batch(0, 0, alice, 2)), Kind::fenced);
}

TEST_F(ProducerStateTest, a_new_epoch_begins_at_zero) {
    produce(batch(0, 4));
    EXPECT_EQ(judge(batch(5, 5, alice, 1)), Kind::out_of_order);
    EXPECT_EQ(produce(batch(0, 0, alice, 1)), Kind::accept);
    EXPECT_EQ(judge(batch(0, 4, alice, 1)), Kind::out_of_order) << "the old epoch's are forgotten";
}

// Retention may have removed all of a producer's records: the broker can't tell a gap then.
TEST_F(ProducerStateTest, an_unknown_producer_may_begin_anywhere) {
    EXPECT_EQ(produce(batch(123, 124)), Kind::accept);
    EXPECT_EQ(judge(batch(126, 126)), Kind::out_of_order);
}

TEST_F(ProducerStateTest, sequences_wrap_to_zero) {
    produce(batch(INT32_MAX - 1, INT32_MAX - 1));
    const ProducerBatch across = batch(INT32_MAX, 1);
    EXPECT_EQ(produce(across), Kind::accept);
    EXPECT_EQ(judge(across), Kind::duplicate);
    EXPECT_EQ(judge(batch(2, 2)), Kind::accept);
    EXPECT_EQ(judge(batch(0, 0)), Kind::out_of_order);
}

TEST_F(ProducerStateTest, zero_follows_the_largest_sequence) {
    produce(batch(INT32_MAX, INT32_MAX));
    EXPECT_EQ(judge(batch(0, 0)), Kind::accept);
}

TEST_F(ProducerStateTest, no_plain_batch_while_a_transaction_is_open) {
    produce(batch(0, 0, alice, 0, true));
    EXPECT_EQ(judge(batch(1, 1)), Kind::not_transactional);
    state_.apply(marker(true));
    EXPECT_EQ(judge(batch(1, 1)), Kind::accept);
}

TEST_F(ProducerStateTest, the_last_stable_offset_waits_for_the_oldest_open_transaction) {
    produce(batch(0, 4, alice, 0, true));  // 0..4
    produce(batch(0, 4, bob, 0, true));    // 5..9
    EXPECT_EQ(state_.last_stable(state_.end()), Offset{0});
    state_.apply(marker(true, alice));  // 10
    EXPECT_EQ(state_.last_stable(state_.end()), Offset{5});
    EXPECT_EQ(state_.last_stable(Offset{3}), Offset{0}) << "its marker lies above";
    state_.apply(marker(false, bob));  // 11
    EXPECT_EQ(state_.last_stable(state_.end()), Offset{12});
    EXPECT_EQ(state_.last_stable(Offset{11}), Offset{5});
}

TEST_F(ProducerStateTest, forgets_decided_transactions_once_settled) {
    produce(batch(0, 4, alice, 0, true));
    state_.apply(marker(true));
    state_.forget_decided_below(Offset{5});
    EXPECT_EQ(state_.last_stable(Offset{5}), Offset{0});
    state_.forget_decided_below(Offset{6});
    EXPECT_EQ(state_.last_stable(Offset{6}), Offset{6});
}

TEST_F(ProducerStateTest, an_abort_tells_what_it_ended_and_how_far_readers_may_go) {
    produce(batch(0, 4, alice, 0, true));
    produce(batch(0, 4, bob, 0, true));
    const auto completed = state_.apply(marker(false, bob));
    ASSERT_TRUE(completed);
    EXPECT_TRUE(completed->aborted);
    EXPECT_EQ(completed->first_offset, Offset{5});
    EXPECT_EQ(completed->last_offset, Offset{10});
    EXPECT_EQ(state_.last_stable_after(*completed), Offset{0}) << "alice's is still open";
}

TEST_F(ProducerStateTest, a_marker_without_records_ends_nothing) {
    EXPECT_FALSE(state_.apply(marker(true)));
    EXPECT_EQ(state_.last_stable(state_.end()), state_.end());
}

TEST_F(ProducerStateTest, a_marker_of_a_replaced_coordinator_is_refused) {
    produce(batch(0, 0, alice, 0, true));
    state_.apply(marker(true, alice, 0, 5));
    EXPECT_EQ(state_.check(marker(true, alice, 0, 4)).kind, Kind::coordinator_fenced);
    EXPECT_EQ(state_.check(marker(true, alice, 0, 5)).kind, Kind::accept);
}

// From transaction version 2 on the marker's epoch must be new, except when it is repeated.
TEST_F(ProducerStateTest, a_marker_of_transaction_version_2_carries_a_new_epoch) {
    produce(batch(0, 0, alice, 4, true));
    EXPECT_EQ(state_.check(marker(true, alice, 4), 2).kind, Kind::fenced);
    EXPECT_EQ(state_.check(marker(true, alice, 5), 2).kind, Kind::accept);
    state_.apply(marker(true, alice, 5));
    EXPECT_EQ(state_.check(marker(true, alice, 5), 2).kind, Kind::accept) << "a repeat";
    EXPECT_EQ(judge(batch(1, 1, alice, 4, true)), Kind::fenced);
    EXPECT_EQ(judge(batch(0, 0, alice, 5, true)), Kind::accept);
}

// The reply of the first transaction's batch was lost, the transaction aborted, the sequence used
// again: that is no repeat, and saying so would lose the second transaction's record.
TEST_F(ProducerStateTest, a_sequence_reused_by_the_next_transaction_is_never_called_a_repeat) {
    produce(batch(0, 0, alice, 0, true));
    state_.apply(marker(false));
    EXPECT_NE(judge(batch(0, 0, alice, 0, true)), Kind::duplicate);
}

TEST_F(ProducerStateTest, silent_producers_are_forgotten_but_never_an_open_transaction) {
    produce(batch(0, 0, alice));         // 1000 ms
    produce(batch(0, 0, bob, 0, true));  // 1001 ms
    state_.expire(Timestamp{1999}, 1000ms);
    EXPECT_NE(state_.find(alice), nullptr);
    state_.expire(Timestamp{5000}, 1000ms);
    EXPECT_EQ(state_.find(alice), nullptr);
    EXPECT_NE(state_.find(bob), nullptr);
}

// A marker counts as a sign of life (KAFKA-9144).
TEST_F(ProducerStateTest, a_marker_keeps_the_producer_alive) {
    produce(batch(0, 0, alice, 0, true));
    state_.apply(marker(true));  // 2000 ms
    state_.expire(Timestamp{2500}, 1000ms);
    EXPECT_NE(state_.find(alice), nullptr);
}

// --- Snapshots
// ------------------------------------------------------------------------------------

TEST_F(ProducerStateTest, a_snapshot_restores_producers_and_open_transactions) {
    produce(batch(0, 4));
    produce(batch(5, 9));
    produce(batch(3, 3, bob, 2, true));
    const Buffer bytes = encode_producer_snapshot(state_);
    ProducerState restored;
    ASSERT_TRUE(decode_producer_snapshot(bytes, Timestamp{1000}, 24h, restored));
    EXPECT_EQ(restored.check(batch(5, 9)).kind, Kind::duplicate);
    EXPECT_EQ(restored.check(batch(10, 10)).kind, Kind::accept);
    EXPECT_EQ(restored.check(batch(11, 11)).kind, Kind::out_of_order);
    EXPECT_EQ(restored.first_open_transaction(), Offset{10});
    EXPECT_EQ(encode_producer_snapshot(restored), bytes);
}

// Kafka's has the last batch alone, and calls a repeat of one before it out of order.
TEST_F(ProducerStateTest, a_snapshot_remembers_all_that_may_be_sent_again) {
    for (int i = 0; i < 7; ++i) {
        produce(batch(i, i));
        produce(batch(i, i, bob));
    }
    const Buffer bytes = encode_producer_snapshot(state_);
    ProducerState restored;
    ASSERT_TRUE(decode_producer_snapshot(bytes, Timestamp{1000}, 24h, restored));
    for (int i = 2; i < 7; ++i) {  // The state remembers five.
        EXPECT_EQ(restored.check(batch(i, i)).kind, Kind::duplicate) << i;
        EXPECT_EQ(restored.check(batch(i, i)).first_offset, Offset{2 * i}) << i;
        EXPECT_EQ(restored.check(batch(i, i, bob)).first_offset, Offset{2 * i + 1}) << i;
    }
    EXPECT_EQ(restored.check(batch(1, 1)).kind, Kind::out_of_order);
    EXPECT_EQ(restored.check(batch(7, 7)).kind, Kind::accept);
    EXPECT_EQ(encode_producer_snapshot(restored), bytes);
}

TEST_F(ProducerStateTest, a_snapshot_remembers_nothing_of_an_ended_transaction_but_the_last) {
    produce(batch(0, 0, alice, 0, true));
    produce(batch(1, 1, alice, 0, true));
    state_.apply(marker(true));
    produce(batch(2, 2, alice, 0, true));
    ProducerState restored;
    ASSERT_TRUE(
        decode_producer_snapshot(encode_producer_snapshot(state_), Timestamp{1000}, 24h, restored));
    EXPECT_EQ(restored.find(alice)->batch_count, 1);
    EXPECT_EQ(restored.find(alice)->last_sequence(), 2);
    EXPECT_EQ(restored.first_open_transaction(), state_.first_open_transaction());
}

TEST_F(ProducerStateTest, a_snapshot_leaves_expired_producers_out) {
    produce(batch(0, 4));
    const Buffer bytes = encode_producer_snapshot(state_);
    ProducerState restored;
    ASSERT_TRUE(decode_producer_snapshot(bytes, Timestamp{1000} + 25h, 24h, restored));
    EXPECT_TRUE(restored.entries().empty());
}

TEST_F(ProducerStateTest, a_flipped_bit_anywhere_in_a_snapshot_is_found) {
    produce(batch(0, 4));
    const Buffer good = encode_producer_snapshot(state_);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        Buffer bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        ProducerState restored;
        EXPECT_FALSE(decode_producer_snapshot(bad, Timestamp{1000}, 24h, restored));
        EXPECT_TRUE(restored.entries().empty());
    }
}

// Bytes that a real Kafka 4.3.1 broker wrote: one producer after an aborted transaction (marker
// only), one with a transaction open since offset 258.
TEST_F(ProducerStateTest, reads_and_writes_snapshots_as_kafka_does) {
    constexpr unsigned char written[] = {
        0x00, 0x01, 0xb7, 0x6a, 0x81, 0xec, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x06, 0x00, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xa1, 0xfe, 0x96, 0xa9, 0x3f, 0x00,
        0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x07, 0x00, 0x04, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x01, 0x0b, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x59,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02};
    const ByteView bytes = std::as_bytes(std::span(written));
    ProducerState restored;
    const auto decoded = decode_producer_snapshot(bytes, Timestamp{0}, 24h, restored);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    ASSERT_EQ(restored.entries().size(), 2U);
    EXPECT_EQ(restored.find(ProducerId{6})->epoch, ProducerEpoch{9});
    EXPECT_EQ(restored.find(ProducerId{6})->last_sequence(), no_sequence);
    EXPECT_EQ(restored.find(ProducerId{7})->last_sequence(), 9);
    EXPECT_EQ(restored.first_open_transaction(), Offset{258});
    const Buffer again = encode_producer_snapshot(restored);
    EXPECT_EQ(as_text(again), as_text(bytes));
}

}  // namespace
}  // namespace millrace::storage
