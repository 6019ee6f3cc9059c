// What a disk can do to a log: full, failing, rotten.
#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using runtime::sim::DiskCall;
using testing::ElementsAre;
using testing::SizeIs;

class DiskFault : public OnDisk {
protected:
    void SetUp() override {
        log_ = create({.segment_bytes = 2_KiB});
        fill(3);
    }
    void fill(int count) {
        for (int i = 0; i < count; ++i) {
            const OwnedBatch batch = make_batch({.base = log_->end().value, .value_size = 200});
            ASSERT_TRUE(append(*log_, batch));
        }
    }
    Result<void> append_one() {
        return append(*log_, make_batch({.base = log_->end().value, .value_size = 200}));
    }

    std::unique_ptr<PartitionLog> log_;
};

TEST_F(DiskFault, a_log_is_never_taken_for_the_one_before_it) {
    for (int i = 0; i < 100; ++i) {
        const std::shared_ptr<const void> before = log_->identity();
        log_.reset();
        log_ = create();
        EXPECT_NE(log_->identity(), before);
    }
}

TEST_F(DiskFault, a_full_disk_refuses_the_append_and_nothing_else) {
    ASSERT_TRUE(log_->sync_now());
    const auto size = log_->size_bytes();
    sim_disk().set_full(true);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(append_one().error().code(), Code::no_space);
        EXPECT_EQ(log_->end(), Offset{3});
        EXPECT_EQ(log_->size_bytes(), size);
    }
    EXPECT_FALSE(log_->failure());
    EXPECT_THAT(batches_in(*log_, 0, 3), ElementsAre(0, 1, 2));
    sim_disk().set_full(false);
    fill(20);
    EXPECT_THAT(batches_in(*log_, 0, 23), SizeIs(23));
}

// The append spans two segments, and the second one can't be made.
TEST_F(DiskFault, an_append_that_fits_only_in_part_is_undone) {
    std::vector<OwnedBatch> owned;
    std::vector<record::BatchView> views;
    for (int i = 0; i < 12; ++i) {
        owned.push_back(make_batch({.base = 3 + i, .value_size = 200}));
        views.push_back(owned.back().view());
    }
    sim_disk().set_capacity(3000);
    const auto refused = log_->append(views, noon);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::no_space);
    EXPECT_EQ(log_->end(), Offset{3});
    sim_disk().set_capacity(1 << 20);
    ASSERT_TRUE(log_->append(views, noon));
    EXPECT_THAT(batches_in(*log_, 0, 15), SizeIs(15));
    log_.reset();
    const auto again = recover({.now = noon});
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ((*again)->end(), Offset{15});
    EXPECT_EQ(report_.truncated_bytes, 0U);
}

TEST_F(DiskFault, appends_stop_before_the_reserve_and_come_back_by_themselves) {
    LogLimits vital = log_->limits();
    vital.may_use_reserve = true;
    const auto metadata =
        PartitionLog::create(directory_, {"vital", PartitionIndex{0}}, Uuid{8, 9}, vital);
    const auto free = directory_->check_space(0)->free_bytes;
    ASSERT_TRUE(directory_->check_space(free + 1));
    EXPECT_EQ(append_one().error().code(), Code::no_space);
    EXPECT_TRUE(append(*metadata, make_batch({})));
    EXPECT_TRUE(*log_->advance_start(Offset{2})) << "deletion goes on";
    ASSERT_TRUE(directory_->check_space(free / 2));
    EXPECT_TRUE(append_one());
}

TEST_F(DiskFault, a_failed_write_fails_the_directory_and_no_other) {
    const auto elsewhere =
        std::make_shared<LogDirectory>(disk(), "/other", Uuid{5, 5}, Logger{}, 4);
    ASSERT_TRUE(disk().create_directories("/other"));
    const auto other = PartitionLog::create(elsewhere, partition_, topic_id_, {});
    const auto neighbour =
        PartitionLog::create(directory_, {"neighbour", PartitionIndex{0}}, Uuid{8, 9}, {});
    sim_disk().fail_next(DiskCall::write, 1);
    EXPECT_EQ(append_one().error().code(), Code::io);
    EXPECT_EQ(append_one().error().code(), Code::io) << "for good";
    EXPECT_EQ(append(*neighbour, make_batch({})).error().code(), Code::io);
    EXPECT_TRUE(append(*other, make_batch({})));
}

// Case 80. The records are on the disk and the epoch that they begin is not: recovery would not
// find it below the recovery point.
TEST_F(DiskFault, a_full_disk_at_the_epoch_checkpoint_is_tried_again_and_nothing_counts_before) {
    ASSERT_TRUE(log_->sync_now());
    ASSERT_TRUE(append(*log_, make_batch({.base = 3, .epoch = 7, .value_size = 200})));
    sim_disk().set_full(true);
    EXPECT_EQ(log_->sync_now().error().code(), Code::no_space);
    EXPECT_FALSE(log_->failure());
    EXPECT_EQ(log_->synced_end(), Offset{3});
    EXPECT_TRUE(log_->has_unsynced());
    sim_disk().set_full(false);
    ASSERT_TRUE(log_->sync_now());
    EXPECT_EQ(log_->synced_end(), Offset{4});
    log_.reset();
    power_cycle();
    directory_ = open_directory();
    log_ = *recover({.recovery_point = Offset{4}, .now = noon});
    EXPECT_EQ(log_->end(), Offset{4});
    EXPECT_EQ(log_->epochs().latest(), (EpochStart{LeaderEpoch{7}, Offset{3}}));
}

// The process died and its pages live on: what was never synced counts once the checkpoint is
// there.
TEST_F(DiskFault, a_start_that_finds_no_room_for_the_epoch_checkpoint_goes_on_and_writes_it_later) {
    ASSERT_TRUE(log_->sync_now());
    ASSERT_TRUE(append(*log_, make_batch({.base = 3, .epoch = 7, .value_size = 200})));
    log_.reset();
    sim_disk().set_full(true);
    auto log = recover({.recovery_point = Offset{3}, .now = noon});
    ASSERT_TRUE(log) << log.error().to_string();
    EXPECT_EQ((*log)->end(), Offset{4});
    EXPECT_EQ((*log)->synced_end(), Offset{3});
    EXPECT_EQ((*log)->sync_now().error().code(), Code::no_space);
    sim_disk().set_full(false);
    ASSERT_TRUE((*log)->sync_now());
    EXPECT_EQ((*log)->synced_end(), Offset{4});
    log->reset();
    power_cycle();
    directory_ = open_directory();
    log_ = *recover({.recovery_point = Offset{4}, .now = noon});
    EXPECT_EQ(log_->end(), Offset{4});
    EXPECT_EQ(log_->epochs().latest(), (EpochStart{LeaderEpoch{7}, Offset{3}}));
}

// What was appended while there was no room is covered by the sync that finds some.
TEST_F(DiskFault, a_sync_that_found_no_room_covers_with_the_next_what_came_meanwhile) {
    log_->set_limits({.segment_bytes = 1_MiB});
    ASSERT_TRUE(append(*log_, make_batch({.base = 3, .epoch = 7, .value_size = 200})));
    const auto job = log_->begin_sync();
    ASSERT_TRUE(job);
    sim_disk().set_full(true);
    const auto outcome = job->run();
    sim_disk().set_full(false);
    ASSERT_TRUE(append(*log_, make_batch({.base = 4, .epoch = 7, .value_size = 200})));
    ASSERT_TRUE(append(*log_, make_batch({.base = 5, .epoch = 7, .value_size = 200})));
    log_->complete_sync(*job, outcome);
    EXPECT_EQ(log_->synced_end(), Offset{0});
    ASSERT_TRUE(log_->sync_now());
    EXPECT_EQ(log_->synced_end(), Offset{6});
    log_.reset();
    power_cycle();
    directory_ = open_directory();
    log_ = *recover({.recovery_point = Offset{6}, .now = noon});
    EXPECT_EQ(log_->end(), Offset{6});
    EXPECT_FALSE(report_.lost_synced_data);
}

// Without its id the next start would take the log for one that never held anything.
TEST_F(DiskFault, a_log_that_found_no_room_for_its_identity_writes_it_before_its_first_record) {
    log_ = PartitionLog::create(directory_, {"late", PartitionIndex{0}}, topic_id_, {});
    sim_disk().set_full(true);
    EXPECT_EQ(append(*log_, make_batch({})).error().code(), Code::no_space);
    sim_disk().set_full(false);
    ASSERT_TRUE(append(*log_, make_batch({})));
    ASSERT_TRUE(log_->sync_now());
    log_.reset();
    power_cycle();
    directory_ = open_directory();
    partition_ = {"late", PartitionIndex{0}};
    log_ = *recover({.now = noon});
    EXPECT_EQ(log_->topic_id(), topic_id_);
    EXPECT_EQ(log_->end(), Offset{1});
}

TEST_F(DiskFault, a_full_disk_puts_off_a_roll_and_a_cut) {
    ASSERT_TRUE(log_->sync_now());
    ASSERT_TRUE(directory_->write_checkpoint(
        Checkpoint::recovery_point, directory_->begin_checkpoint(), {{partition_, Offset{3}}}));
    sim_disk().set_full(true);
    EXPECT_EQ(log_->roll(noon).error().code(), Code::no_space);
    EXPECT_EQ(log_->truncate_to(Offset{1}).error().code(), Code::no_space);
    EXPECT_EQ(log_->truncate_fully_and_start_at(Offset{9}).error().code(), Code::no_space);
    EXPECT_EQ(log_->end(), Offset{3});
    EXPECT_FALSE(log_->failure());
    sim_disk().set_full(false);
    ASSERT_TRUE(log_->truncate_to(Offset{1}));
    ASSERT_TRUE(log_->roll(noon));
    fill(5);
    ASSERT_TRUE(log_->sync_now());
    EXPECT_EQ(log_->synced_end(), Offset{6});
}

// Case 90: a process that has no file left to open has a sound disk.
TEST_F(DiskFault, case_90_without_a_file_to_open_an_append_is_refused_and_the_log_goes_on) {
    log_->set_limits({.segment_bytes = 1_KiB});
    while (log_->segment_count() == 1) {
        sim_disk().fail_next(DiskCall::open, 1, Code::exhausted);
        const auto appended = append_one();
        if (!appended) {
            EXPECT_EQ(appended.error().code(), Code::exhausted);
            break;
        }
    }
    EXPECT_EQ(log_->segment_count(), 1U) << "the next segment could not be made";
    EXPECT_FALSE(log_->failure());
    EXPECT_FALSE(directory_->failed());
    sim_disk().end_all_faults();
    const Offset end = log_->end();
    fill(3);
    ASSERT_TRUE(log_->sync_now());
    EXPECT_EQ(log_->synced_end(), end + 3);
}

TEST_F(DiskFault, case_90_without_a_file_to_open_a_sync_is_put_off_and_not_lost) {
    sim_disk().fail_next(DiskCall::open, 1, Code::exhausted);
    EXPECT_EQ(log_->sync_now().error().code(), Code::exhausted);
    EXPECT_EQ(log_->synced_end(), Offset{0});
    EXPECT_FALSE(log_->failure());
    ASSERT_TRUE(log_->sync_now());
    EXPECT_EQ(log_->synced_end(), Offset{3});
}

// A sync of records is another matter: whatever the kernel says, its pages count as clean now.
TEST_F(DiskFault, a_sync_of_records_that_fails_for_want_of_memory_is_final) {
    sim_disk().fail_next(DiskCall::sync, 1, Code::exhausted);
    EXPECT_EQ(log_->sync_now().error().code(), Code::io);
    EXPECT_TRUE(directory_->failed());
    EXPECT_FALSE(log_->begin_sync());
}

// fsyncgate: the second sync would succeed and lie.
TEST_F(DiskFault, a_failed_sync_is_never_tried_again) {
    sim_disk().fail_next(DiskCall::sync, 1);
    const auto job = log_->begin_sync();
    log_->complete_sync(*job, job->run());
    EXPECT_EQ(log_->synced_end(), Offset{0});
    EXPECT_TRUE(directory_->failed());
    EXPECT_FALSE(log_->begin_sync());
    EXPECT_EQ(log_->close_cleanly().error().code(), Code::io);
}

// The kernel calls a page clean whose write has failed. The next process reads it, and its sync
// finds nothing to do: only what it writes itself is on the disk after that.
TEST_F(DiskFault, after_a_failed_sync_the_next_process_writes_the_tail_again_before_it_counts) {
    ASSERT_TRUE(log_->sync_now());
    log_->set_limits({.segment_bytes = 1_MiB});
    fill(20);
    sim_disk().fail_next(DiskCall::sync, 1);
    EXPECT_FALSE(log_->sync_now());
    log_.reset();
    directory_ = open_directory();
    log_ = *recover({.recovery_point = Offset{3}, .now = noon});
    ASSERT_EQ(log_->synced_end(), Offset{23}) << "the page cache has it all";
    EXPECT_EQ(log_->topic_id(), topic_id_);
    log_.reset();
    power_cycle();
    directory_ = open_directory();
    log_ = *recover({.recovery_point = Offset{3}, .now = noon});
    EXPECT_EQ(log_->end(), Offset{23});
    EXPECT_EQ(log_->topic_id(), topic_id_);
}

// The loop hears of it some time later, or never: its process may be killed first.
TEST_F(DiskFault, a_failed_sync_is_known_to_the_next_process_before_this_one_has_heard_of_it) {
    ASSERT_TRUE(log_->sync_now());
    fill(20);
    sim_disk().fail_next(DiskCall::sync, 1);
    const auto job = log_->begin_sync();
    EXPECT_FALSE(job->run());
    const auto next = open_directory();
    EXPECT_EQ(*next->page_cache_may_lie(), true);
}

TEST_F(DiskFault, a_log_that_is_as_it_was_closed_needs_no_write_to_be_closed_again) {
    ASSERT_TRUE(log_->close_cleanly());
    const auto stays = log_->begin_close();
    ASSERT_TRUE(stays);
    EXPECT_FALSE(stays->has_value());
    log_.reset();
    log_ = *recover({.recovery_point = Offset{3}, .clean = true, .now = noon});
    const auto opened = log_->begin_close();
    ASSERT_TRUE(opened);
    EXPECT_FALSE(opened->has_value()) << "nobody appended to it";
    ASSERT_TRUE(append_one());
    const auto grown = log_->begin_close();
    ASSERT_TRUE(grown);
    EXPECT_TRUE(grown->has_value());
}

TEST_F(DiskFault, a_log_that_was_cut_back_to_where_it_was_closed_is_closed_anew) {
    ASSERT_TRUE(log_->close_cleanly());
    ASSERT_TRUE(append_one());
    ASSERT_TRUE(log_->truncate_to(Offset{3}));
    const auto job = log_->begin_close();
    ASSERT_TRUE(job);
    EXPECT_TRUE(job->has_value());
}

TEST_F(DiskFault, a_read_error_fails_the_directory_but_rot_does_not) {
    ASSERT_TRUE(log_->close_cleanly());
    log_.reset();
    const RecoveryInput clean{.recovery_point = Offset{3}, .clean = true, .now = noon};
    log_ = *recover(clean);
    ASSERT_TRUE(sim_disk().rot(in_log("00000000000000000000.log"), 100, 3));
    const ReadRange all{.from = Offset{0}, .upper = Offset{3}, .max_bytes = 1 << 20};
    EXPECT_EQ(log_->read(all).error().code(), Code::corrupt);
    EXPECT_FALSE(directory_->failed());
    sim_disk().fail_next(DiskCall::read, 1);
    EXPECT_EQ(log_->read(all).error().code(), Code::io);
    EXPECT_TRUE(directory_->failed());
}

TEST_F(DiskFault, a_write_that_was_lost_is_found_by_the_next_start) {
    ASSERT_TRUE(log_->sync_now());
    log_->set_limits({.segment_bytes = 1_MiB});
    sim_disk().lose_next_write();
    // Several pages: what comes next shares none but the last of them.
    ASSERT_TRUE(append(*log_, make_batch({.base = 3, .value_size = 20'000})));
    fill(1);
    ASSERT_TRUE(log_->sync_now());
    log_.reset();
    power_cycle();
    const auto again = recover({.recovery_point = Offset{5}, .now = noon});
    ASSERT_TRUE(again);
    EXPECT_TRUE(report_.lost_synced_data);
    EXPECT_LT((*again)->end(), Offset{5});
    EXPECT_GE((*again)->end(), Offset{3});
}

}  // namespace
}  // namespace millrace::storage::test
