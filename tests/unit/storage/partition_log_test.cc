#include "storage/partition_log.h"

#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PartitionLogTest : public OnDisk {
protected:
    /// `count` batches of `records` each from `base` on, appended one by one.
    void fill(PartitionLog& log, int count, int records = 1, std::size_t value_size = 10,
              record::Compression codec = record::Compression::none) {
        for (int i = 0; i < count; ++i) {
            const auto base = log.end().value;
            const BatchSpec spec{.base = base,
                                 .records = records,
                                 .first_time = noon + base * 1ms,
                                 .value_size = value_size,
                                 .codec = codec};
            ASSERT_TRUE(append(log, make_batch(spec)));
        }
    }
};

/// Applies retention as its owner does, who goes on syncing. Returns how many segments went.
std::size_t retain(PartitionLog& log, Timestamp now, Offset upper) {
    EXPECT_TRUE(log.sync_now());
    const std::size_t gone = *log.apply_retention(now, upper);
    while (log.has_unsynced()) {
        EXPECT_TRUE(log.sync_now());
    }
    return gone;
}

// A replica without data costs no file: the directory appears with the first append.
TEST_F(PartitionLogTest, creates_nothing_before_the_first_append) {
    const auto log = create();
    EXPECT_FALSE(*disk().exists(root_ + "/orders-0"));
    ASSERT_TRUE(append(*log, make_batch({})));
    EXPECT_TRUE(*disk().exists(in_log("00000000000000000000.log")));
    EXPECT_EQ(*disk().read_whole(in_log("partition.metadata"), 100),
              "version: 0\ntopic_id: " + topic_id_.to_string());
}

TEST_F(PartitionLogTest, returns_what_was_appended_byte_for_byte) {
    const auto log = create();
    const OwnedBatch first = make_batch({.base = 0, .records = 3});
    const OwnedBatch second = make_batch({.base = 3, .records = 2});
    const record::BatchView views[] = {first.view(), second.view()};
    ASSERT_TRUE(log->append(views, noon));
    EXPECT_EQ(log->end(), Offset{5});
    const auto slice = log->read({.from = Offset{0}, .upper = Offset{5}, .max_bytes = 1 << 20});
    ASSERT_TRUE(slice);
    EXPECT_EQ(read_slice(*slice),
              std::string(as_text(first.bytes)) + std::string(as_text(second.bytes)));
}

TEST_F(PartitionLogTest, refuses_batches_out_of_order) {
    const auto log = create();
    fill(*log, 3);
    const auto again = append(*log, make_batch({.base = 2}));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Code::invalid);
    EXPECT_EQ(log->end(), Offset{3});
}

// A follower of a compacted leader gets batches with holes between them.
TEST_F(PartitionLogTest, takes_holes_between_batches) {
    const auto log = create();
    ASSERT_TRUE(append(*log, make_batch({.base = 4})));
    ASSERT_TRUE(append(*log, make_batch({.base = 9})));
    EXPECT_EQ(log->end(), Offset{10});
    EXPECT_THAT(batches_in(*log, 0, 10), ElementsAre(4, 9));
    EXPECT_THAT(batches_in(*log, 5, 10), ElementsAre(9));
}

TEST_F(PartitionLogTest, rolls_when_the_segment_is_full) {
    const auto log = create({.segment_bytes = 300_B});
    fill(*log, 10);
    EXPECT_GT(log->segment_count(), 3U);
    EXPECT_THAT(batches_in(*log, 0, 10), SizeIs(10));
    EXPECT_TRUE(*disk().exists(in_log("00000000000000000000.index")));
    EXPECT_TRUE(*disk().exists(in_log("00000000000000000000.timeindex")));
}

TEST_F(PartitionLogTest, rolls_when_the_records_grow_older_than_the_limit) {
    const auto log = create({.segment_age = 1h});
    ASSERT_TRUE(append(*log, make_batch({.base = 0, .first_time = noon})));
    ASSERT_TRUE(append(*log, make_batch({.base = 1, .first_time = noon + 1h})));
    EXPECT_EQ(log->segment_count(), 1U);
    ASSERT_TRUE(append(*log, make_batch({.base = 2, .first_time = noon + 1h + 1ms})));
    EXPECT_EQ(log->segment_count(), 2U);
}

// Each segment lets off another part of the jitter, so that many logs don't roll at one moment.
// Never all of its age: it would take one batch.
TEST_F(PartitionLogTest, spreads_the_age_at_which_segments_roll) {
    std::set<std::int64_t> lengths;
    for (int partition = 0; partition < 5; ++partition) {
        partition_.partition = PartitionIndex{partition};
        const auto log = create({.segment_age = 100s, .segment_jitter = 1000s});
        std::size_t known = 1;
        std::int64_t since = 0;
        for (std::int64_t at = 0; at < 400; ++at) {
            const Timestamp now = noon + at * 1s;
            ASSERT_TRUE(append(*log, make_batch({.base = at, .first_time = now}), now));
            if (log->segment_count() > known) {
                known = log->segment_count();
                lengths.insert(at - since);
                since = at;
            }
        }
        EXPECT_GT(log->segment_count(), 4U);
        EXPECT_LT(log->segment_count(), 40U);
    }
    EXPECT_GT(lengths.size(), 5U);
    EXPECT_LE(*lengths.rbegin(), 101);
}

TEST_F(PartitionLogTest, rolls_what_has_no_timestamps_by_the_age_of_the_segment) {
    const auto log = create({.segment_age = 1h});
    const auto append_at = [&](Timestamp now) {
        return append(*log, make_batch({.base = log->end().value, .first_time = Timestamp{-1}}),
                      now);
    };
    ASSERT_TRUE(append_at(noon));
    ASSERT_TRUE(append_at(noon + 40min));
    EXPECT_EQ(log->segment_count(), 1U);
    ASSERT_TRUE(append_at(noon + 80min));
    EXPECT_EQ(log->segment_count(), 2U);
}

TEST_F(PartitionLogTest, reads_from_the_middle_of_a_batch_as_from_its_base) {
    const auto log = create();
    fill(*log, 3, 10);
    const auto slice = log->read({.from = Offset{15}, .upper = Offset{30}, .max_bytes = 1 << 20});
    ASSERT_TRUE(slice);
    EXPECT_EQ(slice->first, Offset{10});
}

TEST_F(PartitionLogTest, returns_whole_batches_within_the_size_asked_for) {
    const auto log = create();
    fill(*log, 100, 1, 500);
    for (const std::int64_t from : {0, 3, 40, 95}) {
        const auto slice =
            log->read({.from = Offset{from}, .upper = Offset{100}, .max_bytes = 2500});
        ASSERT_TRUE(slice);
        EXPECT_LE(slice->length, 2500U);
        EXPECT_GE(slice->length, 1000U);
        record::BatchRange range{as_bytes(read_slice(*slice))};
        EXPECT_EQ(slice->first, Offset{from});
    }
    EXPECT_THAT(batches_in(*log, 0, 100, 2500), SizeIs(100));
}

TEST_F(PartitionLogTest, returns_the_first_batch_whole_however_large) {
    const auto log = create();
    fill(*log, 2, 1, 5000);
    const auto slice = log->read({.from = Offset{0}, .upper = Offset{2}, .max_bytes = 100});
    ASSERT_TRUE(slice);
    EXPECT_GT(slice->length, 5000U);
    const auto none = log->read(
        {.from = Offset{0}, .upper = Offset{2}, .max_bytes = 100, .min_one_batch = false});
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
}

TEST_F(PartitionLogTest, never_returns_a_batch_that_ends_above_the_upper_bound) {
    const auto log = create();
    fill(*log, 4, 10);
    EXPECT_THAT(batches_in(*log, 0, 29), ElementsAre(0, 10));
    EXPECT_THAT(batches_in(*log, 0, 30), ElementsAre(0, 10, 20));
    const auto nothing = log->read({.from = Offset{30}, .upper = Offset{35}, .max_bytes = 1000});
    ASSERT_TRUE(nothing);
    EXPECT_TRUE(nothing->empty());
}

TEST_F(PartitionLogTest, says_which_offsets_it_has) {
    const auto log = create();
    fill(*log, 2);
    const auto beyond = log->read({.from = Offset{3}, .upper = Offset{9}, .max_bytes = 10});
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code(), Code::not_found);
    EXPECT_THAT(beyond.error().message(), HasSubstr("offset 3 is outside of [0, 2]"));
    const auto at_end = log->read({.from = Offset{2}, .upper = Offset{9}, .max_bytes = 10});
    ASSERT_TRUE(at_end);
    EXPECT_TRUE(at_end->empty());
}

// Old batches are found through the index, not by walking the file: 500 batches, every offset.
TEST_F(PartitionLogTest, finds_every_offset) {
    const auto log = create({.segment_bytes = 60_KiB});
    fill(*log, 500, 2, 300);
    for (std::int64_t offset = 0; offset < 1000; ++offset) {
        const auto slice =
            log->read({.from = Offset{offset}, .upper = Offset{1000}, .max_bytes = 1});
        ASSERT_TRUE(slice);
        EXPECT_EQ(slice->first, Offset{offset - offset % 2});
    }
}

TEST_F(PartitionLogTest, finds_the_first_record_at_or_after_a_time_inside_any_batch) {
    for (const auto codec :
         {record::Compression::none, record::Compression::gzip, record::Compression::snappy,
          record::Compression::lz4, record::Compression::zstd}) {
        partition_.partition = PartitionIndex{static_cast<int>(codec)};
        const auto log = create({.segment_bytes = 20_KiB});
        fill(*log, 100, 10, 100, codec);
        for (const std::int64_t offset : {0, 1, 9, 10, 555, 999}) {
            const auto search = log->search_timestamp(noon + offset * 1ms);
            ASSERT_TRUE(search);
            const auto found = search->run();
            ASSERT_TRUE(found && *found);
            EXPECT_EQ((*found)->offset, Offset{offset});
            EXPECT_EQ((*found)->timestamp, noon + offset * 1ms);
        }
        EXPECT_EQ(*log->search_timestamp(noon + 1000ms)->run(), std::nullopt);
        EXPECT_EQ((*log->search_timestamp(Timestamp{0})->run())->offset, Offset{0});
    }
}

TEST_F(PartitionLogTest, finds_the_largest_timestamp_wherever_it_lies) {
    const auto log = create({.segment_bytes = 300_B});
    fill(*log, 5);
    ASSERT_TRUE(append(*log, make_batch({.base = 5, .records = 3, .first_time = noon + 1h})));
    fill(*log, 5);
    const auto found = log->search_max_timestamp()->run();
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->offset, Offset{7});
    EXPECT_EQ((*found)->timestamp, noon + 1h + 2ms);
}

TEST_F(PartitionLogTest, a_time_search_looks_at_nothing_below_the_start) {
    const auto log = create();
    fill(*log, 10, 1);
    ASSERT_TRUE(log->advance_start(Offset{4}));
    EXPECT_EQ((*log->search_timestamp(noon)->run())->offset, Offset{4});
}

// --- Sync ----------------------------------------------------------------------------------------

TEST_F(PartitionLogTest, a_sync_covers_what_was_appended_before_it_began) {
    const auto log = create();
    fill(*log, 2);
    const auto job = log->begin_sync();
    ASSERT_TRUE(job);
    fill(*log, 1);
    EXPECT_FALSE(log->begin_sync()) << "one at a time";
    log->complete_sync(*job, job->run());
    EXPECT_EQ(log->synced_end(), Offset{2});
    const auto next = log->begin_sync();
    ASSERT_TRUE(next);
    log->complete_sync(*next, next->run());
    EXPECT_EQ(log->synced_end(), Offset{3});
    EXPECT_FALSE(log->begin_sync()) << "nothing left";
}

// fsyncgate: after a failed sync the kernel may have dropped the pages; nobody may acknowledge.
TEST_F(PartitionLogTest, a_failed_sync_is_final) {
    const auto log = create();
    fill(*log, 1);
    const auto job = log->begin_sync();
    log->complete_sync(*job, Error(Code::io, "fdatasync: Input/output error"));
    EXPECT_EQ(log->synced_end(), Offset{0});
    ASSERT_TRUE(log->failure());
    EXPECT_TRUE(directory_->failed());
    EXPECT_FALSE(log->begin_sync());
    EXPECT_EQ(append(*log, make_batch({.base = 1})).error().code(), Code::io);
    EXPECT_EQ(log->read({.from = Offset{0}, .upper = Offset{1}, .max_bytes = 1}).error().code(),
              Code::io);
}

// What is appended after a truncation is not covered by a sync that began before it.
TEST_F(PartitionLogTest, a_truncation_lowers_what_a_running_sync_proves) {
    const auto log = create();
    fill(*log, 5);
    const auto job = log->begin_sync();
    ASSERT_TRUE(log->truncate_to(Offset{2}));
    fill(*log, 3);
    log->complete_sync(*job, job->run());
    EXPECT_EQ(log->synced_end(), Offset{2});
}

// --- Cut -----------------------------------------------------------------------------------------

TEST_F(PartitionLogTest, truncates_within_a_segment_and_goes_on) {
    const auto log = create();
    fill(*log, 10);
    ASSERT_TRUE(log->truncate_to(Offset{4}));
    EXPECT_EQ(log->end(), Offset{4});
    fill(*log, 2, 3);
    EXPECT_THAT(batches_in(*log, 0, 10), ElementsAre(0, 1, 2, 3, 4, 7));
}

// Case 8: an epoch in which we led and wrote nothing, and that the next leader never knew. If the
// log's end were all that a truncation looked at, leader and follower would talk about it for ever.
TEST_F(PartitionLogTest, a_truncation_to_the_end_forgets_an_epoch_without_records) {
    const auto log = create();
    fill(*log, 3);
    ASSERT_TRUE(log->assign_epoch(LeaderEpoch{9}));
    ASSERT_EQ(log->epochs().latest()->epoch, LeaderEpoch{9});
    ASSERT_TRUE(log->truncate_to(Offset{3}));
    EXPECT_EQ(log->end(), Offset{3});
    EXPECT_LT(log->epochs().latest()->epoch, LeaderEpoch{9});
}

TEST_F(PartitionLogTest, truncates_away_whole_segments) {
    const auto log = create({.segment_bytes = 300_B});
    fill(*log, 20);
    ASSERT_TRUE(log->sync_now());
    ASSERT_TRUE(log->truncate_to(Offset{5}));
    EXPECT_EQ(log->end(), Offset{5});
    EXPECT_EQ(log->synced_end(), Offset{5});
    EXPECT_THAT(batches_in(*log, 0, 5), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_FALSE(log->take_retired().empty());
}

// The segment's snapshot has a producer's last batch alone: an earlier one that comes again, since
// nobody had answered it, is no gap in its sequences.
TEST_F(PartitionLogTest, a_cut_at_the_front_of_a_segment_forgets_no_batch_of_a_producer) {
    const auto log = create({.segment_bytes = 300_B});
    const auto batch = [](int number) {
        return make_batch({.base = number, .producer = ProducerId{7}, .sequence = number});
    };
    int count = 0;
    while (log->segment_count() < 2 || count < 3) {
        ASSERT_TRUE(append(*log, batch(count++)));
    }
    ASSERT_TRUE(log->truncate_to(Offset{count - 1}));
    for (int i = 0; i < count - 1; ++i) {
        const ProducerBatch again{.producer = ProducerId{7},
                                  .epoch = ProducerEpoch{0},
                                  .first_sequence = i,
                                  .last_sequence = i};
        EXPECT_EQ(log->producers().check(again).kind, ProducerVerdictKind::duplicate) << i;
    }
}

TEST_F(PartitionLogTest, a_batch_across_the_truncation_point_goes_as_a_whole) {
    const auto log = create();
    fill(*log, 3, 10);
    ASSERT_TRUE(log->truncate_to(Offset{15}));
    EXPECT_EQ(log->end(), Offset{10});
}

TEST_F(PartitionLogTest, what_was_set_aside_outlives_a_cut_of_everything) {
    const auto log = create();
    fill(*log, 3);
    const std::string kept = in_log("0-3.diverged.quarantined");
    ASSERT_TRUE(disk().open(kept, runtime::OpenMode::create_empty));
    ASSERT_TRUE(log->truncate_to(Offset{0}));
    EXPECT_TRUE(*disk().exists(kept));
    EXPECT_EQ(log->end(), Offset{0});
    fill(*log, 2);
    EXPECT_THAT(batches_in(*log, 0, 2), ElementsAre(0, 1));
    ASSERT_TRUE(log->truncate_fully_and_start_at(Offset{100}));
    EXPECT_TRUE(*disk().exists(kept));
    EXPECT_EQ(log->start(), Offset{100});
}

TEST_F(PartitionLogTest, truncates_fully_and_starts_elsewhere) {
    const auto log = create();
    fill(*log, 3);
    ASSERT_TRUE(log->truncate_fully_and_start_at(Offset{100}));
    EXPECT_EQ(log->start(), Offset{100});
    EXPECT_EQ(log->end(), Offset{100});
    EXPECT_EQ(log->segment_count(), 1U);
    fill(*log, 1);
    EXPECT_THAT(batches_in(*log, 100, 101), ElementsAre(100));
}

// A mirror whose source has nothing left begins where the source does, and so do its groups.
TEST_F(PartitionLogTest, what_never_had_a_record_remembers_where_it_was_told_to_begin) {
    auto log = create();
    ASSERT_TRUE(log->truncate_fully_and_start_at(Offset{100}));
    ASSERT_TRUE(log->sync_now());
    log.reset();
    const auto again = recover({.now = noon});
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->end(), Offset{100});
    EXPECT_EQ((*again)->start(), Offset{100});
}

TEST_F(PartitionLogTest, a_held_slice_outlives_its_segment) {
    const auto log = create({.segment_bytes = 300_B});
    fill(*log, 10);
    const auto slice = log->read({.from = Offset{0}, .upper = Offset{10}, .max_bytes = 1 << 20});
    const std::string before = read_slice(*slice);
    ASSERT_TRUE(log->sync_now());
    ASSERT_TRUE(*log->advance_start(Offset{9}));
    ASSERT_TRUE(log->take_retired().run());
    EXPECT_FALSE(*disk().exists(in_log("00000000000000000000.log")));
    EXPECT_EQ(read_slice(*slice), before);
}

TEST_F(PartitionLogTest, advancing_the_start_drops_whole_segments_below_it) {
    const auto log = create({.segment_bytes = 300_B});
    fill(*log, 10);
    const std::size_t before = log->segment_count();
    EXPECT_TRUE(*log->advance_start(Offset{7}));
    EXPECT_FALSE(*log->advance_start(Offset{5})) << "it never goes back";
    EXPECT_EQ(log->start(), Offset{7});
    while (log->has_unsynced()) {
        ASSERT_TRUE(log->sync_now());
    }
    EXPECT_LT(log->segment_count(), before);
    EXPECT_EQ(log->read({.from = Offset{6}, .upper = Offset{10}, .max_bytes = 1}).error().code(),
              Code::not_found);
    EXPECT_EQ(batches_in(*log, 7, 10).front(), 7);
}

// --- Retention -----------------------------------------------------------------------------------

TEST_F(PartitionLogTest, retention_by_time_drops_segments_whose_last_record_is_too_old) {
    const auto log = create({.segment_bytes = 100_B, .retention = 1h});
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(append(*log, make_batch({.base = i, .first_time = noon + 10min * i}),
                           noon + 10min * i));
    }
    EXPECT_EQ(retain(*log, noon + 1h, Offset{5}), 0U);
    EXPECT_EQ(retain(*log, noon + 1h + 15min, Offset{5}), 2U);
    EXPECT_EQ(log->start(), Offset{2});
    EXPECT_EQ(retain(*log, noon + 48h, Offset{4}), 2U) << "nothing above the bound";
    EXPECT_EQ(retain(*log, noon + 48h, Offset{5}), 1U) << "the active one too";
    EXPECT_EQ(log->start(), Offset{5});
    EXPECT_EQ(log->end(), Offset{5});
}

TEST_F(PartitionLogTest, a_timestamp_from_the_future_does_not_keep_a_segment_for_ever) {
    const auto log = create({.segment_bytes = 100_B, .retention = 1h});
    ASSERT_TRUE(append(*log, make_batch({.base = 0, .first_time = noon + 100'000h}), noon));
    ASSERT_TRUE(append(*log, make_batch({.base = 1, .first_time = noon}), noon));
    EXPECT_EQ(retain(*log, noon + 2h, Offset{2}), 2U);
}

TEST_F(PartitionLogTest, retention_by_size_keeps_at_least_that_much) {
    const auto log = create({.segment_bytes = 100_B, .retention = -1ms});
    fill(*log, 10);
    const auto one = log->size_bytes() / 10;
    LogLimits limits = log->limits();
    limits.retention_bytes = Bytes{static_cast<std::int64_t>(one * 3 + 1)};
    log->set_limits(limits);
    EXPECT_EQ(retain(*log, noon, Offset{10}), 6U);
    EXPECT_GE(log->size_bytes(), one * 3 + 1);
}

// A crash must not bring back one removed segment and not the next: a gap looks like lost data.
TEST_F(PartitionLogTest, removes_one_segment_at_a_time) {
    const auto log = create({.segment_bytes = 100_B, .retention = -1ms});
    fill(*log, 6);
    ASSERT_TRUE(log->sync_now());
    ASSERT_TRUE(*log->advance_start(Offset{5}));
    EXPECT_EQ(log->segment_count(), 5U);
    EXPECT_EQ(*log->apply_retention(noon, Offset{6}), 0U) << "it is below the start already";
    EXPECT_EQ(log->segment_count(), 5U) << "the first removal is not synced yet";
    ASSERT_TRUE(log->sync_now());
    EXPECT_EQ(log->segment_count(), 4U);
    while (log->has_unsynced()) {
        ASSERT_TRUE(log->sync_now());
    }
    EXPECT_EQ(log->segment_count(), 1U);
}

// --- Recovery ------------------------------------------------------------------------------------

TEST_F(PartitionLogTest, a_clean_close_is_opened_as_it_was) {
    auto log = create({.segment_bytes = 600_B});
    fill(*log, 20);
    ASSERT_TRUE(log->assign_epoch(LeaderEpoch{3}));
    ASSERT_TRUE(append(*log, make_batch({.base = 20, .epoch = 3})));
    ASSERT_TRUE(log->close_cleanly());
    log.reset();
    const auto again = recover({.recovery_point = Offset{21}, .clean = true, .now = noon});
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ((*again)->end(), Offset{21});
    EXPECT_EQ((*again)->synced_end(), Offset{21});
    EXPECT_EQ((*again)->topic_id(), topic_id_);
    EXPECT_EQ((*again)->epochs().latest(), (EpochStart{LeaderEpoch{3}, Offset{20}}));
    EXPECT_EQ(report_.scanned_bytes, 0U);
    EXPECT_THAT(batches_in(**again, 0, 21), SizeIs(21));
}

TEST_F(PartitionLogTest, recovers_what_a_killed_process_left) {
    auto log = create({.segment_bytes = 600_B});
    fill(*log, 20);
    log.reset();
    const auto again = recover({.now = noon});
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ((*again)->end(), Offset{20});
    EXPECT_EQ(report_.truncated_bytes, 0U);
    EXPECT_THAT(batches_in(**again, 0, 20), SizeIs(20));
    EXPECT_EQ((*again)->epochs().latest(), (EpochStart{LeaderEpoch{0}, Offset{0}}));
}

TEST_F(PartitionLogTest, cuts_a_torn_tail_at_every_byte) {
    auto log = create();
    fill(*log, 2);
    const auto good = log->size_bytes();
    fill(*log, 1);
    const auto size = log->size_bytes();
    log.reset();
    const auto path = in_log("00000000000000000000.log");
    const std::string whole = *disk().read_whole(path, 1 << 20);
    for (auto cut = good; cut < size; ++cut) {
        auto file = *disk().open(path, runtime::OpenMode::create_empty);
        ASSERT_TRUE(file->write_at(0, as_bytes(whole.substr(0, cut))));
        const auto again = recover({.now = noon});
        ASSERT_TRUE(again) << again.error().to_string();
        EXPECT_EQ((*again)->end(), Offset{2}) << "cut at " << cut;
        EXPECT_EQ((*again)->size_bytes(), good);
        EXPECT_FALSE(report_.quarantined);
    }
}

TEST_F(PartitionLogTest, cuts_a_tail_of_zeros) {
    auto log = create();
    fill(*log, 3);
    const auto size = log->size_bytes();
    log.reset();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->write_at(size, as_bytes(std::string(5000, '\0'))));
    const auto again = recover({.now = noon});
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->end(), Offset{3});
    EXPECT_EQ(report_.truncated_bytes, 5000U);
    EXPECT_FALSE(report_.quarantined);
    EXPECT_EQ(*file->size(), size);
}

// Later pages reached the disk, earlier ones did not: nothing behind the hole is served, and it is
// kept aside because it might be all that is left of something.
TEST_F(PartitionLogTest, sets_aside_what_follows_a_hole) {
    auto log = create();
    fill(*log, 2);
    const auto hole = log->size_bytes();
    fill(*log, 1, 1, 3000);
    const auto after = log->size_bytes();
    fill(*log, 2);
    log.reset();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->write_at(hole, as_bytes(std::string(after - hole, '\0'))));
    const auto again = recover({.now = noon});
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->end(), Offset{2});
    EXPECT_TRUE(report_.quarantined);
    EXPECT_TRUE(
        *disk().exists(in_log("00000000000000000000." + std::to_string(hole) + ".quarantined")));
}

TEST_F(PartitionLogTest, a_segment_that_does_not_touch_the_one_before_is_not_served) {
    auto log = create({.segment_bytes = 600_B});
    fill(*log, 20);
    log.reset();
    // The first segment loses its last batch, as if its last page had not reached the disk.
    const std::string path = in_log("00000000000000000000.log");
    auto file = *disk().open(path, runtime::OpenMode::read_write);
    const std::string bytes = *disk().read_whole(path, 1 << 20);
    record::BatchRange range{as_bytes(bytes)};
    std::size_t last = 0;
    std::size_t count = 0;
    for (const auto batch : range) {
        last = batch.size();
        ++count;
    }
    ASSERT_TRUE(file->truncate(bytes.size() - last));
    const auto again = recover({.now = noon});
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->end(), Offset{static_cast<std::int64_t>(count) - 1});
    EXPECT_TRUE(report_.quarantined);
}

TEST_F(PartitionLogTest, says_when_damage_lies_in_synced_data) {
    auto log = create();
    fill(*log, 5);
    log.reset();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->write_at(100, as_bytes("rot")));
    const auto again = recover({.recovery_point = Offset{4}, .now = noon});
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->end(), Offset{1});
    EXPECT_TRUE(report_.lost_synced_data);
    EXPECT_THAT(report_.reason, HasSubstr("00000000000000000000.log"));
}

TEST_F(PartitionLogTest, rebuilds_an_index_that_is_missing_or_lies) {
    auto log = create({.segment_bytes = 50_KiB});
    fill(*log, 300, 1, 500);
    ASSERT_TRUE(log->close_cleanly());
    log.reset();
    const std::string index = in_log("00000000000000000000.index");
    std::string bytes = *disk().read_whole(index, 1 << 20);
    ASSERT_GT(bytes.size(), 32U);
    const RecoveryInput clean{.recovery_point = Offset{300}, .clean = true, .now = noon};
    ASSERT_TRUE(disk().remove(index));
    {
        const auto again = recover(clean);
        ASSERT_TRUE(again);
        EXPECT_EQ(*disk().read_whole(index, 1 << 20), bytes);
    }
    bytes[7] = static_cast<char>(bytes[7] + 1);  // The first entry's position.
    ASSERT_TRUE(disk().replace_whole(index, bytes));
    const auto again = recover(clean);
    ASSERT_TRUE(again);
    for (std::int64_t offset = 0; offset < 300; ++offset) {
        EXPECT_EQ(
            (*again)->read({.from = Offset{offset}, .upper = Offset{300}, .max_bytes = 1})->first,
            Offset{offset});
    }
}

// No checksum covers a batch's offset and leader epoch.
TEST_F(PartitionLogTest, finds_rot_in_the_offset_and_the_epoch_of_a_batch) {
    constexpr int batches = 6;
    auto log = create();
    fill(*log, batches, 10);
    ASSERT_TRUE(log->close_cleanly());
    const auto size = static_cast<std::uint64_t>(log->size_bytes());
    log.reset();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    const Offset end{batches * 10};
    for (int batch = 0; batch < batches; ++batch) {
        for (const int at : {0, 4, 6, 7, 12, 15}) {
            for (int bit = 0; bit < 8; ++bit) {
                const std::uint64_t position =
                    size / batches * static_cast<unsigned>(batch) + static_cast<unsigned>(at);
                std::byte good{};
                ASSERT_TRUE(file->read_at(position, MutableBytes(&good, 1)));
                const std::byte bad = good ^ std::byte{static_cast<unsigned char>(1U << bit)};
                ASSERT_TRUE(file->write_at(position, ByteView(&bad, 1)));
                const auto again = recover({.recovery_point = end, .clean = true, .now = noon});
                if (again) {
                    std::int64_t served = 0;
                    Offset from{0};
                    while (from < end) {
                        const auto slice =
                            (*again)->read({.from = from, .upper = end, .max_bytes = 1});
                        if (!slice || slice->empty()) {
                            break;
                        }
                        EXPECT_EQ(slice->first, from) << batch << " " << at << " " << bit;
                        from = from + 10;
                        ++served;
                    }
                    EXPECT_LE(served, batch) << "byte " << at << ", bit " << bit;
                }
                ASSERT_TRUE(file->write_at(position, ByteView(&good, 1)));
            }
        }
    }
}

TEST_F(PartitionLogTest, finds_rot_when_it_is_read_and_never_serves_it) {
    auto log = create();
    fill(*log, 5);
    ASSERT_TRUE(log->close_cleanly());
    log.reset();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->write_at(80, as_bytes("X")));
    const auto again = recover({.recovery_point = Offset{5}, .clean = true, .now = noon});
    ASSERT_TRUE(again);
    const auto slice =
        (*again)->read({.from = Offset{0}, .upper = Offset{5}, .max_bytes = 1 << 20});
    ASSERT_FALSE(slice);
    EXPECT_EQ(slice.error().code(), Code::corrupt);
    EXPECT_THAT(slice.error().message(), HasSubstr("position 0"));
}

TEST_F(PartitionLogTest, serves_what_lies_in_front_of_rot) {
    auto log = create();
    fill(*log, 5);
    ASSERT_TRUE(log->close_cleanly());
    const std::uint64_t one = log->size_bytes() / 5;
    log.reset();
    auto file = *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->write_at(3 * one + 80, as_bytes("X")));
    const auto again = recover({.recovery_point = Offset{5}, .clean = true, .now = noon});
    ASSERT_TRUE(again);
    const auto front =
        (*again)->read({.from = Offset{0}, .upper = Offset{5}, .max_bytes = 1 << 20});
    ASSERT_TRUE(front) << front.error().to_string();
    EXPECT_EQ(front->length, 3 * one);
    const auto at = (*again)->read({.from = Offset{3}, .upper = Offset{5}, .max_bytes = 1 << 20});
    ASSERT_FALSE(at);
    EXPECT_EQ(at.error().code(), Code::corrupt);
    EXPECT_TRUE((*again)->read({.from = Offset{4}, .upper = Offset{5}, .max_bytes = 1 << 20}));
}

TEST_F(PartitionLogTest, keeps_few_files_open) {
    directory_ = open_directory(4);
    auto log = create({.segment_bytes = 100_B});
    fill(*log, 50);
    ASSERT_TRUE(log->sync_now());
    EXPECT_THAT(batches_in(*log, 0, 50), SizeIs(50));
}

}  // namespace
}  // namespace millrace::storage::test
