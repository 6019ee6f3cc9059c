#include "storage/compaction.h"

#include "record/record_view.h"
#include "storage/internal/key_offsets.h"
#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::SizeIs;

class CompactionTest : public OnDisk {
protected:
    static LogLimits limits() {
        return {.segment_bytes = 400_B,
                .cleanup = {.remove = false, .compact = true},
                .delete_retention = 1h};
    }
    void SetUp() override { log_ = create(limits()); }

    void put(const std::string& key, std::optional<std::string> value, Timestamp at = noon) {
        record::BatchBuilder builder({.base_offset = log_->end(), .leader_epoch = LeaderEpoch{0}});
        builder.append({.timestamp = at.milliseconds,
                        .key = as_bytes(key),
                        .value = value ? std::optional{as_bytes(*value)} : std::nullopt});
        ASSERT_TRUE(append(*log_, {builder.finish()}, at));
    }
    void put_in_transaction(const std::string& key, ProducerId producer, std::int32_t sequence) {
        record::BatchBuilder builder({.base_offset = log_->end(),
                                      .leader_epoch = LeaderEpoch{0},
                                      .producer_id = producer,
                                      .producer_epoch = ProducerEpoch{0},
                                      .base_sequence = sequence,
                                      .is_transactional = true});
        builder.append({.timestamp = noon.milliseconds,
                        .key = as_bytes(key),
                        .value = as_bytes("in transaction")});
        ASSERT_TRUE(append(*log_, {builder.finish()}));
    }
    void end_transaction(ProducerId producer, bool commit) {
        ASSERT_TRUE(
            append(*log_, make_marker(log_->end().value, producer, ProducerEpoch{0}, commit)));
    }
    /// Everything so far becomes compactable.
    void seal() {
        ASSERT_TRUE(log_->roll(noon));
        ASSERT_TRUE(log_->sync_now());
    }
    CompactionNeed need(Timestamp now = noon) {
        return *log_->compaction_need(now, first_dirty_, log_->producers().last_stable(log_->end()),
                                      log_->synced_end());
    }
    void compact(Timestamp now = noon, CompactionBudget budget = {}) {
        const auto round = log_->begin_compaction(need(now), budget, now);
        ASSERT_TRUE(round) << round.error().to_string();
        while (true) {
            (*round)->work();
            const auto more = log_->continue_compaction(**round);
            ASSERT_TRUE(more) << more.error().to_string();
            if (!*more) {
                break;
            }
        }
        ASSERT_FALSE((*round)->failure()) << (*round)->failure()->to_string();
        stats_ = (*round)->stats();
        cleaned_end_ = (*round)->cleaned_end();
    }
    /// Offset and "key=value" of every data record.
    std::vector<std::pair<std::int64_t, std::string>> records() {
        std::vector<std::pair<std::int64_t, std::string>> all;
        for_each_batch([&all](const record::BatchView& batch) {
            record::RecordReader reader(batch);
            for (record::RecordView record; !batch.is_control() && reader.next(record);) {
                all.emplace_back(record::offset_of(batch, record).value,
                                 std::string(as_text(*record.key)) + "=" +
                                     (record.value ? std::string(as_text(*record.value)) : "-"));
            }
        });
        return all;
    }
    std::vector<std::int64_t> markers() {
        std::vector<std::int64_t> all;
        for_each_batch([&all](const record::BatchView& batch) {
            if (batch.is_control() && batch.record_count() > 0) {
                all.push_back(batch.base_offset().value);
            }
        });
        return all;
    }
    void for_each_batch(const std::function<void(const record::BatchView&)>& each) {
        Offset from = log_->start();
        while (from < log_->end()) {
            const auto slice =
                log_->read({.from = from, .upper = log_->end(), .max_bytes = 1 << 20});
            ASSERT_TRUE(slice) << slice.error().to_string();
            if (slice->empty()) {
                return;
            }
            const std::string bytes = read_slice(*slice);
            record::BatchRange range{as_bytes(bytes)};
            for (const record::BatchView batch : range) {
                each(batch);
                from = batch.next_offset();
            }
        }
    }
    void reopen() {
        ASSERT_TRUE(log_->close_cleanly());
        const Offset end = log_->end();
        log_.reset();
        auto again = recover({.recovery_point = end, .clean = true, .now = noon}, limits());
        ASSERT_TRUE(again) << again.error().to_string();
        log_ = *std::move(again);
    }

    std::unique_ptr<PartitionLog> log_;
    Offset first_dirty_{0};
    CompactionStats stats_;
    Offset cleaned_end_;
};

using Records = std::vector<std::pair<std::int64_t, std::string>>;

TEST_F(CompactionTest, keeps_the_last_record_of_each_key_at_its_offset) {
    for (int i = 0; i < 12; ++i) {
        put("k" + std::to_string(i % 3), std::to_string(i));
    }
    seal();
    compact();
    EXPECT_EQ(records(), (Records{{9, "k0=9"}, {10, "k1=10"}, {11, "k2=11"}}));
    EXPECT_EQ(log_->end(), Offset{12});
    EXPECT_EQ(cleaned_end_, Offset{12});
    reopen();
    EXPECT_EQ(records(), (Records{{9, "k0=9"}, {10, "k1=10"}, {11, "k2=11"}}));
}

TEST_F(CompactionTest, never_touches_the_active_segment) {
    put("a", "1");
    seal();
    put("a", "2");
    compact();
    EXPECT_EQ(records(), (Records{{0, "a=1"}, {1, "a=2"}}));
}

// A tombstone is seen by every reader that is not more than delete_retention behind.
TEST_F(CompactionTest, a_tombstone_stays_until_its_horizon_has_passed) {
    put("a", "1");
    put("a", std::nullopt);
    put("b", "2");
    seal();
    compact(noon);
    EXPECT_EQ(records(), (Records{{1, "a=-"}, {2, "b=2"}}));
    compact(noon + 59min);
    EXPECT_THAT(records(), SizeIs(2));
    compact(noon + 60min);
    EXPECT_EQ(records(), (Records{{2, "b=2"}}));
}

TEST_F(CompactionTest, aborted_records_go_and_hide_nothing) {
    put("a", "committed");
    put_in_transaction("a", ProducerId{7}, 0);
    end_transaction(ProducerId{7}, false);
    seal();
    compact();
    EXPECT_EQ(records(), (Records{{0, "a=committed"}}));
}

// The transaction began in a sealed segment and was aborted in the active one: its records are
// known to be aborted all the same, and must not push out what was committed before.
TEST_F(CompactionTest, an_abort_in_the_active_segment_counts_for_older_ones) {
    put("a", "committed");
    put_in_transaction("a", ProducerId{7}, 0);
    seal();
    end_transaction(ProducerId{7}, false);
    ASSERT_TRUE(log_->sync_now());
    compact();
    EXPECT_EQ(records(), (Records{{0, "a=committed"}}));
}

TEST_F(CompactionTest, nothing_above_an_open_transaction_is_looked_at) {
    put("a", "1");
    seal();
    put_in_transaction("b", ProducerId{7}, 0);
    seal();
    put("a", "2");
    seal();
    EXPECT_EQ(need().end, Offset{1});
}

// KAFKA-8351: a marker that goes before the data of its transaction would turn aborted records into
// committed ones.
TEST_F(CompactionTest, a_marker_outlives_the_data_that_it_decides) {
    put_in_transaction("a", ProducerId{7}, 0);
    put_in_transaction("a", ProducerId{7}, 1);
    end_transaction(ProducerId{7}, true);
    seal();
    compact(noon);
    EXPECT_THAT(markers(), ElementsAre(2));
    compact(noon + 100h);
    EXPECT_THAT(markers(), ElementsAre(2)) << "record 1 is still there";
    put("a", "plain");
    seal();
    ASSERT_NO_FATAL_FAILURE(compact(noon + 100h));
    ASSERT_NO_FATAL_FAILURE(compact(noon + 102h));
    EXPECT_EQ(records(), (Records{{3, "a=plain"}}));
}

// A user's key may look like a marker's key (KAFKA-14055).
TEST_F(CompactionTest, a_marker_is_no_record_with_a_key) {
    const auto marker_key = record::control_key(record::ControlType::abort);
    const std::string key(as_text(marker_key));
    put(key, "1");
    put_in_transaction("b", ProducerId{7}, 0);
    end_transaction(ProducerId{7}, false);
    seal();
    compact();
    EXPECT_EQ(records().front().first, 0);
}

TEST_F(CompactionTest, the_last_batch_of_a_producer_stays_as_an_empty_one) {
    ASSERT_TRUE(append(*log_, make_batch({.base = 0, .producer = ProducerId{7}, .key = "a"})));
    put("a", "2");
    seal();
    compact();
    EXPECT_EQ(records(), (Records{{1, "a=2"}}));
    reopen();
    const auto again = log_->producers().check({.producer = ProducerId{7},
                                                .epoch = ProducerEpoch{0},
                                                .first_sequence = 0,
                                                .last_sequence = 0});
    EXPECT_EQ(again.kind, ProducerVerdictKind::duplicate);
}

TEST_F(CompactionTest, merges_what_has_become_small) {
    for (int i = 0; i < 60; ++i) {
        put("k" + std::to_string(i % 2), std::to_string(i));
    }
    seal();
    const std::size_t before = log_->segment_count();
    compact();
    compact();
    EXPECT_LT(log_->segment_count(), before / 2);
    EXPECT_EQ(records(), (Records{{58, "k0=58"}, {59, "k1=59"}}));
    ASSERT_TRUE(log_->take_retired().run());
    const auto entries = *disk().list(log_->path());
    for (const auto& entry : entries) {
        EXPECT_THAT(entry.name, Not(HasSubstr(".deleted")));
        EXPECT_THAT(entry.name, Not(HasSubstr(".cleaned")));
    }
}

TEST_F(CompactionTest, a_full_key_table_ends_the_round_early_and_the_next_goes_on) {
    for (int i = 0; i < 2000; ++i) {
        put("key" + std::to_string(i), "1");
    }
    for (int i = 0; i < 2000; ++i) {
        put("key" + std::to_string(i), "2");
    }
    seal();
    const CompactionBudget small{.key_bytes = 24 * 1024};
    compact(noon, small);
    EXPECT_LT(cleaned_end_, Offset{1000});
    for (int rounds = 0; cleaned_end_ < Offset{4000}; ++rounds) {
        ASSERT_LT(rounds, 10);
        first_dirty_ = cleaned_end_;
        compact(noon, small);
    }
    EXPECT_THAT(records(), SizeIs(2000));
}

// --- When
// ------------------------------------------------------------------------------------------

TEST_F(CompactionTest, is_due_when_enough_is_dirty) {
    for (int i = 0; i < 20; ++i) {
        put("k" + std::to_string(i), "1");
    }
    seal();
    EXPECT_TRUE(need().due);
    compact();
    first_dirty_ = cleaned_end_;
    EXPECT_FALSE(need().due);
    put("k1", "2");
    seal();
    EXPECT_LT(need().dirty_ratio, 0.5);
    EXPECT_FALSE(need().due);
}

TEST_F(CompactionTest, is_due_when_a_dirty_record_has_outlived_its_lag) {
    LogLimits lagging = limits();
    lagging.max_compaction_lag = 2h;
    lagging.min_cleanable_ratio = 1;
    log_->set_limits(lagging);
    put("a", "1");
    seal();
    EXPECT_FALSE(need(noon + 2h).due);
    EXPECT_TRUE(need(noon + 2h + 1ms).due);
}

TEST_F(CompactionTest, records_younger_than_the_least_lag_are_left_alone) {
    LogLimits lagging = limits();
    lagging.min_compaction_lag = 1h;
    log_->set_limits(lagging);
    put("a", "1");
    seal();
    put("a", "2", noon + 1h);
    seal();
    EXPECT_EQ(need(noon + 59min).end, Offset{0});
    EXPECT_EQ(need(noon + 61min).end, Offset{1});
    EXPECT_EQ(need(noon + 2h).end, Offset{2});
}

// A recovery takes a gap between unrecorded segments for lost data: compaction keeps away from
// them.
TEST_F(CompactionTest, only_what_a_recovery_will_not_scan_is_compacted) {
    put("a", "1");
    seal();
    put("a", "2");
    seal();
    const auto need = log_->compaction_need(noon, Offset{0}, log_->end(), Offset{1});
    EXPECT_EQ(need->end, Offset{1});
    const auto held = log_->compaction_need(noon, Offset{0}, log_->end(), Offset{0});
    EXPECT_FALSE(held->due);
    EXPECT_TRUE(held->held) << "it waits for the record alone";
}

// --- Meanwhile
// -------------------------------------------------------------------------------------

TEST_F(CompactionTest, appends_and_reads_go_on_between_any_two_pieces) {
    for (int i = 0; i < 30; ++i) {
        put("k" + std::to_string(i % 3), std::to_string(i));
    }
    seal();
    const auto round = *log_->begin_compaction(need(), {}, noon);
    bool more = true;
    int extra = 0;
    while (more) {
        round->work();
        put("extra" + std::to_string(extra++), "x");
        EXPECT_THAT(records(), Contains(Key(29)));
        more = *log_->continue_compaction(*round);
        EXPECT_THAT(records(), Contains(Key(29)));
    }
    EXPECT_THAT(records(), SizeIs(3 + static_cast<std::size_t>(extra)));
}

TEST_F(CompactionTest, a_round_gives_way_to_retention) {
    for (int i = 0; i < 30; ++i) {
        put("k" + std::to_string(i % 3), std::to_string(i));
    }
    seal();
    const auto round = *log_->begin_compaction(need(), {}, noon);
    ASSERT_TRUE(*log_->advance_start(Offset{25}));
    while (true) {
        round->work();
        if (!*log_->continue_compaction(*round)) {
            break;
        }
    }
    ASSERT_TRUE(round->failure());
    EXPECT_EQ(round->failure()->code(), Code::cancelled);
    EXPECT_FALSE(log_->failure());
    EXPECT_THAT(records(), SizeIs(testing::Ge(5U)));
}

TEST_F(CompactionTest, damage_ends_the_round_and_changes_nothing) {
    for (int i = 0; i < 10; ++i) {
        put("k" + std::to_string(i % 3), std::to_string(i));
    }
    seal();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->write_at(70, as_bytes("X")));
    const auto round = *log_->begin_compaction(need(), {}, noon);
    while (true) {
        round->work();
        if (!*log_->continue_compaction(*round)) {
            break;
        }
    }
    ASSERT_TRUE(round->failure());
    EXPECT_EQ(round->failure()->code(), Code::corrupt);
    EXPECT_FALSE(log_->failure());
}

TEST_F(CompactionTest, compresses_again_what_was_compressed) {
    for (const auto codec : {record::Compression::gzip, record::Compression::snappy,
                             record::Compression::lz4, record::Compression::zstd}) {
        for (const auto* value : {"old", "new"}) {
            record::BatchBuilder builder({.base_offset = log_->end(),
                                          .leader_epoch = LeaderEpoch{0},
                                          .compression = {.codec = codec}});
            for (const auto* key : {"a", value}) {
                const std::string full = std::string(to_string(codec)) + key;
                builder.append({.timestamp = noon.milliseconds,
                                .key = as_bytes(full),
                                .value = as_bytes(value)});
            }
            record::Compressor compressor;
            ASSERT_TRUE(append(*log_, {*builder.finish(compressor)}));
        }
    }
    seal();
    compact();
    std::size_t batches = 0;
    for_each_batch([&](const record::BatchView& batch) {
        EXPECT_NE(batch.compression(), record::Compression::none);
        record::Decompressor decompressor;
        record::RecordReader reader(batch, decompressor);
        record::RecordView record;
        while (reader.next(record)) {
        }
        EXPECT_TRUE(reader.status());
        EXPECT_EQ(reader.records_read(), batch.base_offset().value % 4 == 0 ? 1 : 2);
        ++batches;
    });
    EXPECT_EQ(batches, 8U);
}

// --- The keys
// --------------------------------------------------------------------------------------

// The vectors that the authors of SipHash publish for 128 bits of output.
TEST(KeyOffsets, hashes_as_siphash_does) {
    std::byte key[3] = {std::byte{0}, std::byte{1}, std::byte{2}};
    constexpr std::uint64_t low = 0x0706050403020100;
    constexpr std::uint64_t high = 0x0f0e0d0c0b0a0908;
    EXPECT_EQ(sip_hash_128(ByteView(key, 0), low, high),
              (KeyHash{0xe6a825ba047f81a3, 0x930255c71472f66d}));
    EXPECT_EQ(sip_hash_128(ByteView(key, 1), low, high),
              (KeyHash{0x44af996bd8c187da, 0x45fc229b11597634}));
}

TEST(KeyOffsets, finds_the_last_offset_of_each_of_many_keys) {
    KeyOffsets keys(1 << 20, 1, 2);
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 5000; ++i) {
            ASSERT_TRUE(keys.put(as_bytes(std::to_string(i)), Offset{round * 5000 + i}));
        }
    }
    for (int i = 0; i < 5000; ++i) {
        EXPECT_EQ(keys.find(as_bytes(std::to_string(i))), Offset{5000 + i});
    }
    EXPECT_EQ(keys.find(as_bytes("other")), std::nullopt);
    EXPECT_EQ(keys.size(), 5000U);
    EXPECT_EQ(keys.latest(), Offset{9999});
}

TEST(KeyOffsets, says_when_it_is_full_and_still_takes_known_keys) {
    KeyOffsets keys(0, 1, 2);
    int stored = 0;
    while (keys.put(as_bytes(std::to_string(stored)), Offset{stored})) {
        ++stored;
    }
    EXPECT_GT(stored, 500);
    EXPECT_EQ(keys.latest(), Offset{stored - 1});
    EXPECT_TRUE(keys.put(as_bytes("7"), Offset{100'000}));
}

}  // namespace
}  // namespace millrace::storage::test
