// What journals hold, how they are read, and what a recovery makes of them.
#include "storage/journal.h"

#include <cstdlib>
#include <functional>

#include "base/crc32c.h"
#include "storage/internal/journal_format.h"
#include "storage/internal/log_names.h"
#include "storage/log_store.h"
#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using SyncedIn = PartitionLog::SyncedIn;

// --- Format --------------------------------------------------------------------------------------

const Uuid home{1, 2};

JournalEntry entry_of(std::string_view bytes, std::uint64_t position = 0) {
    return {.partition = {"orders", PartitionIndex{3}},
            .topic_id = {3, 4},
            .base = Offset{100},
            .position = position,
            .length = static_cast<std::uint32_t>(bytes.size())};
}

Buffer record_of(std::string_view bytes, std::uint64_t life, std::uint64_t sequence,
                 std::uint64_t position = 0) {
    JournalRecord record;
    EXPECT_TRUE(record.add(entry_of(bytes, position), [bytes](MutableBytes into) {
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(into.data()));
        return true;
    }));
    const ByteView whole = record.finish(life, sequence);
    return {whole.begin(), whole.end()};
}

class JournalFormat : public OnDisk {
protected:
    /// A journal of two halves of eight blocks, with these records in the first.
    void store(const std::vector<Buffer>& records, std::uint64_t life = 10) {
        file_ = *disk().open("/data/millrace-journal-0", runtime::OpenMode::create_empty);
        ASSERT_TRUE(file_->write_at(0, ByteView(Buffer(2 * half))));
        ASSERT_TRUE(
            file_->write_at(0, ByteView(print_journal_half({.life = life, .directory = home}))));
        std::uint64_t at = journal_block;
        for (const Buffer& record : records) {
            ASSERT_TRUE(file_->write_at(at, ByteView(record)));
            at += record.size();
        }
    }
    std::size_t entries() {
        const auto read = read_journal(*file_, home);
        EXPECT_TRUE(read);
        return read ? read->size() : 0;
    }

    static constexpr std::uint64_t half = 8 * journal_block;
    runtime::FilePtr file_;
};

TEST_F(JournalFormat, a_record_comes_back_as_it_was_written) {
    JournalRecord record;
    const JournalEntry written = entry_of("abc", 7);
    ASSERT_TRUE(record.add(written, [](MutableBytes into) {
        std::fill(into.begin(), into.end(), std::byte{'x'});
        return true;
    }));
    EXPECT_FALSE(record.add(entry_of("gone"), [](MutableBytes) { return false; }));
    const ByteView bytes = record.finish(10, 11);
    EXPECT_EQ(bytes.size() % journal_block, 0U);
    store({Buffer(bytes.begin(), bytes.end())});
    const auto read = *read_journal(*file_, home);
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read[0].partition, written.partition);
    EXPECT_EQ(read[0].topic_id, written.topic_id);
    EXPECT_EQ(read[0].base, written.base);
    EXPECT_EQ(read[0].position, 7U);
    EXPECT_EQ(read[0].sequence, 11U);
    Buffer there(3);
    ASSERT_TRUE(file_->read_at(read[0].at, there));
    EXPECT_EQ(as_text(there), "xxx");
}

TEST_F(JournalFormat, a_torn_record_ends_its_half) {
    const std::string large(2 * journal_block, 'l');
    store({record_of("a", 10, 11), record_of(large, 10, 12), record_of("c", 10, 13)});
    ASSERT_EQ(entries(), 3U);
    ASSERT_TRUE(file_->write_at(3 * journal_block + 5, as_bytes("?")));
    EXPECT_EQ(entries(), 1U);
}

TEST_F(JournalFormat, records_of_an_earlier_use_of_the_half_are_not_read) {
    store({record_of("new", 20, 21), record_of("old", 10, 12), record_of("old", 10, 13)}, 20);
    EXPECT_EQ(entries(), 1U);
}

TEST_F(JournalFormat, sequences_ascend) {
    store({record_of("a", 10, 12), record_of("b", 10, 12), record_of("c", 10, 13)});
    EXPECT_EQ(entries(), 1U);
}

TEST_F(JournalFormat, another_directorys_says_nothing) {
    store({record_of("a", 10, 11)});
    const auto read = read_journal(*file_, Uuid{9, 9});
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->empty());
}

TEST_F(JournalFormat, one_that_was_never_finished_says_nothing) {
    store({record_of("a", 10, 11)});
    ASSERT_TRUE(file_->truncate(2 * half - 1));
    EXPECT_EQ(entries(), 0U);
    ASSERT_TRUE(file_->truncate(0));
    EXPECT_EQ(entries(), 0U);
}

TEST_F(JournalFormat, a_damaged_header_costs_its_half_alone) {
    store({record_of("a", 10, 11)});
    ASSERT_TRUE(
        file_->write_at(half, ByteView(print_journal_half({.life = 30, .directory = home}))));
    ASSERT_TRUE(file_->write_at(half + journal_block, ByteView(record_of("b", 30, 31))));
    ASSERT_EQ(entries(), 2U);
    ASSERT_TRUE(file_->write_at(9, as_bytes("?")));
    EXPECT_EQ(entries(), 1U);
}

TEST_F(JournalFormat, hostile_lengths_are_refused_whatever_their_checksum) {
    const auto with = [&](std::size_t at, std::uint32_t value) {
        Buffer record = record_of("abcdef", 10, 11);
        const std::size_t size = load_big_endian<std::uint32_t>(record.data() + 24);
        store_big_endian(record.data() + at, value);
        store_big_endian(record.data() + 4, crc32c(ByteView(record).first(size).subspan(8)));
        store({record});
        return entries();
    };
    constexpr std::size_t entry_length_at = 32 + 2 + 6 + 4 + 16 + 8 + 8;
    EXPECT_EQ(with(entry_length_at, 6), 1U);
    EXPECT_EQ(with(entry_length_at, 7), 0U);
    EXPECT_EQ(with(entry_length_at, UINT32_MAX), 0U);
    EXPECT_EQ(with(24, UINT32_MAX), 0U) << "the record's size";
    EXPECT_EQ(with(24, 1), 0U);
    EXPECT_EQ(with(28, UINT32_MAX), 0U) << "how many entries";
    EXPECT_EQ(with(28, 0), 0U) << "bytes of nobody";
}

TEST(JournalCuts, come_back_as_they_were_written) {
    const std::vector<JournalCut> cuts{
        {.partition = {"a", PartitionIndex{1}}, .everything = true, .sequence = 5},
        {.partition = {"b", PartitionIndex{2}}, .base = Offset{7}, .position = 8, .sequence = 6}};
    Buffer bytes = print_journal_cuts(cuts);
    EXPECT_EQ(*parse_journal_cuts(bytes), cuts);
    bytes[20] ^= std::byte{1};
    EXPECT_FALSE(parse_journal_cuts(bytes));
    EXPECT_FALSE(parse_journal_cuts({}));
}

// --- Recovery ------------------------------------------------------------------------------------

class JournalRecovery : public OnDisk {
protected:
    JournalRecovery() { make_journal(); }

    void make_journal() {
        journal_ = std::make_shared<Journal>(*directory_, 0, std::uint64_t{64} << 10);
        while (!*journal_->make_more()) {
        }
        directory_->journals().add(journal_);
    }

    void add(PartitionLog& log, int records = 1, std::int32_t epoch = 0, std::size_t size = 10) {
        ASSERT_TRUE(append(log, make_batch({.base = log.end().value,
                                            .records = records,
                                            .epoch = epoch,
                                            .value_size = size})));
    }

    /// By the journal, as it has to be possible.
    void journal(PartitionLog& log) {
        const auto job = log.begin_sync();
        ASSERT_TRUE(job && job->journal_part() != nullptr);
        const SyncJob* const one[] = {&*job};
        const auto written = journal_->write(one);
        ASSERT_TRUE(written);
        ASSERT_TRUE(written->taken[0]);
        log.complete_sync(*job, Result<void>{}, SyncedIn::journal);
    }

    /// A log with ten records in its files, and five more in the journal.
    std::unique_ptr<PartitionLog> journaled_log(const LogLimits& limits = {}) {
        auto log = create(limits);
        add(*log, 10);
        EXPECT_TRUE(log->sync_now());
        add(*log, 5);
        journal(*log);
        EXPECT_EQ(log->synced_end(), Offset{15});
        EXPECT_EQ(log->recovery_point(), Offset{10});
        return log;
    }

    void next_start() {
        journal_.reset();
        directory_ = open_directory();
        ASSERT_TRUE(directory_->journals().open(false));
    }
    /// Nothing that was not synced survives.
    void cut_power(std::unique_ptr<PartitionLog> log) {
        log.reset();
        directory_.reset();
        power_cycle();
        next_start();
    }
    Result<std::unique_ptr<PartitionLog>> recover_from(std::int64_t recovery_point,
                                                       const LogLimits& limits = {}) {
        auto found = recover({.recovery_point = Offset{recovery_point},
                              .journaled = directory_->journals().left_of(partition_),
                              .now = noon},
                             limits);
        return found;
    }
    std::string log_file(std::int64_t base = 0) const {
        return in_log(offset_name(Offset{base}, ".log"));
    }

    std::shared_ptr<Journal> journal_;
};

TEST_F(JournalRecovery, what_was_journaled_survives_a_power_cut) {
    cut_power(journaled_log());
    const auto log = *recover_from(10);
    EXPECT_EQ(log->end(), Offset{15});
    EXPECT_EQ(log->synced_end(), Offset{15});
    EXPECT_EQ(log->recovery_point(), Offset{15});
    EXPECT_TRUE(directory_->journals().is_settled());
    EXPECT_FALSE(*disk().exists("/data/millrace-journal-0"));
}

TEST_F(JournalRecovery, many_writes_continue_each_other) {
    auto log = journaled_log();
    for (int i = 0; i < 5; ++i) {
        add(*log, 2, 0, 3000);
        journal(*log);
    }
    const Offset end = log->end();
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(10))->end(), end);
}

TEST_F(JournalRecovery, a_killed_process_left_it_all_in_the_files) {
    journaled_log().reset();
    next_start();
    const auto log = *recover_from(10);
    EXPECT_EQ(log->end(), Offset{15});
    EXPECT_EQ(report_.replayed_bytes, 0U);
    EXPECT_TRUE(directory_->journals().is_settled());
}

TEST_F(JournalRecovery, a_crash_within_the_replay_changes_nothing) {
    cut_power(journaled_log());
    sim_disk().die_at_call(30);
    (void)recover_from(10).has_value();
    sim_disk().revive();
    power_cycle();
    next_start();
    EXPECT_EQ((*recover_from(10))->end(), Offset{15});
}

TEST_F(JournalRecovery, what_was_cut_stays_cut) {
    auto log = journaled_log();
    ASSERT_TRUE(log->truncate_to(Offset{12}));
    ASSERT_EQ(log->end(), Offset{10});  // as a whole
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(0))->end(), Offset{10});
}

TEST_F(JournalRecovery, a_cut_keeps_what_lies_in_front_of_it) {
    auto log = journaled_log();
    add(*log, 1);
    add(*log, 1);
    journal(*log);
    ASSERT_TRUE(log->truncate_to(Offset{16}));
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(0))->end(), Offset{16});
}

TEST_F(JournalRecovery, what_was_written_behind_a_cut_is_not_mixed_with_what_was_cut) {
    auto log = journaled_log();
    ASSERT_TRUE(log->truncate_to(Offset{10}));
    add(*log, 2, 1);
    ASSERT_TRUE(log->sync_now());
    add(*log, 1, 1);
    journal(*log);
    cut_power(std::move(log));
    const auto found = *recover_from(0);
    EXPECT_EQ(found->end(), Offset{13});
    EXPECT_EQ(found->epochs().epoch_of(Offset{12}), LeaderEpoch{1});
}

TEST_F(JournalRecovery, a_job_that_a_cut_overtakes_goes_into_no_journal) {
    auto log = journaled_log();
    add(*log, 2);
    const auto job = log->begin_sync();
    ASSERT_TRUE(job && job->journal_part() != nullptr);
    ASSERT_TRUE(log->truncate_to(Offset{10}));
    const SyncJob* const one[] = {&*job};
    EXPECT_FALSE(journal_->write(one)->taken[0]);
    log->complete_sync(*job, job->run());
    EXPECT_EQ(log->synced_end(), Offset{10});
    EXPECT_FALSE(log->begin_sync()->journal_part()) << "the cut has to be synced in the file";
}

TEST_F(JournalRecovery, a_log_that_began_anew_has_nothing_of_the_old_one) {
    auto log = journaled_log();
    ASSERT_TRUE(log->truncate_fully_and_start_at(Offset{40}));
    ASSERT_TRUE(log->sync_now());
    cut_power(std::move(log));
    const auto found = *recover_from(0);
    EXPECT_EQ(found->start(), Offset{40});
    EXPECT_EQ(found->end(), Offset{40});
}

// A new leader has nothing of it: the log begins again where it began, while its bytes are on their
// way into the journal.
TEST_F(JournalRecovery, a_log_that_begins_anew_meanwhile_has_nothing_of_the_old_one_to_file) {
    auto log = create();
    add(*log, 10);
    ASSERT_TRUE(log->sync_now());
    add(*log, 5);
    const auto job = log->begin_sync();
    ASSERT_TRUE(job && job->journal_part() != nullptr);
    const SyncJob* const one[] = {&*job};
    ASSERT_TRUE(journal_->write(one)->taken[0]);
    ASSERT_TRUE(log->truncate_fully_and_start_at(Offset{0}));
    log->complete_sync(*job, {}, SyncedIn::journal);
    EXPECT_FALSE(log->has_unfiled());
    ASSERT_TRUE(log->sync_now());
    add(*log, 3, 1);
    ASSERT_TRUE(log->sync_now());
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(0))->end(), Offset{3});
}

TEST_F(JournalRecovery, a_log_made_anew_under_its_name_has_nothing_of_the_old_one) {
    auto old = journaled_log();
    ASSERT_TRUE(old->retire_folder("orders-0.00000000000000000000000000000001-delete"));
    directory_->note_gone(partition_);
    auto log = create();
    add(*log, 10);
    ASSERT_TRUE(log->sync_now());
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(0))->end(), Offset{10});
}

TEST_F(JournalRecovery, a_copy_that_takes_the_name_has_nothing_of_the_old_one) {
    auto old = journaled_log();
    ASSERT_TRUE(old->retire_folder("orders-0.00000000000000000000000000000001-delete"));
    directory_->note_gone(partition_);
    auto copy = create();
    ASSERT_TRUE(copy->rename_folder("orders-0.00000000000000000000000000000002-future"));
    add(*copy, 10);
    ASSERT_TRUE(copy->sync_now());
    ASSERT_TRUE(copy->rename_folder("orders-0"));
    ASSERT_TRUE(copy->sync_now());
    cut_power(std::move(copy));
    EXPECT_EQ((*recover_from(0))->end(), Offset{10});
}

TEST_F(JournalRecovery, a_segment_that_was_sealed_since_is_extended_too) {
    auto log = journaled_log();
    ASSERT_TRUE(log->roll(noon));
    // The new segment's name may be on the device before the old one's records.
    ASSERT_TRUE(disk().sync_directory("/data/orders-0"));
    cut_power(std::move(log));
    const auto found = *recover_from(10);
    EXPECT_EQ(found->end(), Offset{15});
    EXPECT_EQ(found->segment_count(), 2U) << report_.reason;
}

TEST_F(JournalRecovery, what_contradicts_the_file_is_out_of_date) {
    auto log = journaled_log();
    const auto job = log->begin_sync(true);  // into the files
    ASSERT_TRUE(job);
    log->complete_sync(*job, job->run());
    log.reset();
    // As if somebody else had gone on with the directory from offset 10.
    Buffer other;
    for (int i = 0; i < 2; ++i) {
        const Buffer bytes = make_batch({.base = 10 + i, .epoch = 3, .value_size = 12}).bytes;
        other.insert(other.end(), bytes.begin(), bytes.end());
    }
    const auto ten = make_batch({.base = 0, .records = 10}).bytes.size();
    {
        const auto file = *disk().open(log_file(), runtime::OpenMode::read_write);
        ASSERT_TRUE(file->truncate(ten));
        ASSERT_TRUE(file->write_at(ten, ByteView(other)));
        ASSERT_TRUE(file->sync());
    }
    directory_.reset();
    next_start();
    const auto found = *recover_from(10);
    EXPECT_EQ(found->end(), Offset{12});
    EXPECT_EQ(report_.replayed_bytes, 0U);
}

TEST_F(JournalRecovery, a_sync_of_the_file_that_failed_unheard_takes_nothing) {
    auto log = journaled_log();
    sim_disk().fail_next(runtime::sim::DiskCall::sync, 1);
    EXPECT_FALSE(log->sync_now());
    log.reset();
    ASSERT_TRUE(disk().remove("/data/millrace-directory-failed"));
    next_start();
    EXPECT_EQ((*recover_from(10))->end(), Offset{15});
    ASSERT_TRUE(directory_->journals().is_settled());
    directory_.reset();
    power_cycle();
    next_start();
    EXPECT_EQ((*recover_from(10))->end(), Offset{15}) << "the pages were clean, and lost";
}

TEST_F(JournalRecovery, what_goes_on_nowhere_was_lost_and_is_told) {
    auto log = journaled_log();
    add(*log, 1);
    journal(*log);
    cut_power(std::move(log));
    {
        const auto file = *disk().open(log_file(), runtime::OpenMode::read_write);
        const std::size_t ten = make_batch({.base = 0, .records = 10}).bytes.size();
        ASSERT_TRUE(file->truncate(ten - 1));  // Damage to what was synced in the file.
        ASSERT_TRUE(file->sync());
    }
    const auto found = *recover_from(0);
    EXPECT_EQ(found->end(), Offset{0});
    EXPECT_TRUE(report_.lost_synced_data);
    EXPECT_EQ(report_.replayed_bytes, 0U);
}

TEST_F(JournalRecovery, epochs_come_back_from_the_records) {
    auto log = journaled_log();
    ASSERT_TRUE(log->assign_epoch(LeaderEpoch{7}));
    journal(*log);
    EXPECT_TRUE(log->has_unfiled());
    add(*log, 1, 7);
    journal(*log);
    cut_power(std::move(log));
    const auto found = *recover_from(10);
    EXPECT_EQ(found->epochs().latest()->epoch, LeaderEpoch{7});
    EXPECT_EQ(found->epochs().latest()->start, Offset{15});
}

TEST_F(JournalRecovery, epochs_are_in_their_file_once_the_recovery_point_is_above_them) {
    auto log = journaled_log();
    add(*log, 1, 7);
    journal(*log);
    ASSERT_TRUE(log->sync_now());
    const Offset point = log->recovery_point();
    EXPECT_EQ(point, log->end());
    cut_power(std::move(log));
    const auto found = *recover_from(point.value);
    EXPECT_EQ(found->epochs().latest()->epoch, LeaderEpoch{7});
}

TEST_F(JournalRecovery, a_half_is_free_once_its_logs_are_synced_and_forgets_them) {
    auto log = journaled_log();
    while (!journal_->full(1)) {
        add(*log, 1, 0, 2000);
        journal(*log);
    }
    EXPECT_FALSE(journal_->can_be_freed());
    ASSERT_EQ(journal_->full(9)->unfiled.size(), 1U);
    const auto job = log->begin_sync(true);
    ASSERT_EQ(job->journal_part(), nullptr);
    log->complete_sync(*job, job->run());
    EXPECT_EQ(log->recovery_point(), log->end());
    EXPECT_FALSE(log->has_unfiled());
    ASSERT_TRUE(journal_->can_be_freed());
    ASSERT_TRUE(journal_->free_half());
    EXPECT_FALSE(journal_->full(1));
    const auto file = *disk().open("/data/millrace-journal-0", runtime::OpenMode::read);
    EXPECT_LE(read_journal(*file, home)->size(), 1U) << "the freed half names nobody";
}

// --- Filing: a file is synced while journals go on ----------------------------------------------

TEST_F(JournalRecovery, what_is_journaled_during_a_filing_is_synced_and_not_filed) {
    auto log = journaled_log();
    const auto filing = log->begin_filing();
    ASSERT_TRUE(filing);
    EXPECT_TRUE(log->is_filing());
    EXPECT_FALSE(log->begin_filing()) << "one at a time";
    add(*log, 3);
    journal(*log);
    EXPECT_EQ(log->synced_end(), Offset{18});
    EXPECT_EQ(log->recovery_point(), Offset{10});
    log->complete_filing(*filing, filing->run());
    EXPECT_FALSE(log->failure());
    EXPECT_EQ(log->recovery_point(), Offset{15});
    EXPECT_TRUE(log->has_unfiled());
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(15))->end(), Offset{18});
}

TEST_F(JournalRecovery, a_filing_alone_leaves_nothing_to_file) {
    auto log = journaled_log();
    const auto filing = log->begin_filing();
    log->complete_filing(*filing, filing->run());
    EXPECT_EQ(log->recovery_point(), Offset{15});
    EXPECT_FALSE(log->has_unfiled());
    EXPECT_FALSE(log->begin_filing());
    journal_.reset();
    directory_->journals().note_filed(partition_);
    log.reset();
    power_cycle();
    ASSERT_TRUE(disk().remove("/data/millrace-journal-0"));
    next_start();
    EXPECT_EQ((*recover_from(15))->end(), Offset{15}) << "without any journal";
}

TEST_F(JournalRecovery, a_half_that_was_written_to_during_a_filing_is_not_free_after_it) {
    auto log = journaled_log();
    const auto filing = log->begin_filing();
    const Offset filed = log->synced_end();
    while (!journal_->full(1)) {
        add(*log, 1, 0, 2000);
        journal(*log);
    }
    log->complete_filing(*filing, filing->run());
    EXPECT_FALSE(journal_->can_be_freed()) << "the file was synced up to " << filed.value;
    const auto next = log->begin_filing();
    log->complete_filing(*next, next->run());
    EXPECT_TRUE(journal_->can_be_freed());
}

TEST_F(JournalRecovery, what_needs_its_file_waits_for_the_filing) {
    auto log = journaled_log();
    const auto filing = log->begin_filing();
    add(*log, 1, 0, std::size_t{2} * journal_entry_max);
    EXPECT_FALSE(log->begin_sync()) << "more than a journal takes";
    EXPECT_FALSE(log->begin_sync(true));
    EXPECT_EQ(log->begin_close().error().code(), Code::busy);
    EXPECT_EQ(log->rename_folder("elsewhere").error().code(), Code::busy);
    log->complete_filing(*filing, filing->run());
    const auto job = log->begin_sync();
    ASSERT_TRUE(job);
    EXPECT_FALSE(log->begin_filing()) << "the job has the file";
    log->complete_sync(*job, job->run());
    EXPECT_EQ(log->recovery_point(), Offset{16});
}

TEST_F(JournalRecovery, a_filing_that_a_cut_overtakes_counts_up_to_the_cut) {
    auto log = journaled_log();
    add(*log, 2);
    journal(*log);
    const auto filing = log->begin_filing();
    ASSERT_TRUE(log->truncate_to(Offset{15}));
    add(*log, 4, 1);
    log->complete_filing(*filing, filing->run());
    EXPECT_EQ(log->recovery_point(), Offset{15});
    EXPECT_EQ(log->synced_end(), Offset{15});
    ASSERT_TRUE(log->sync_now());
    cut_power(std::move(log));
    const auto found = *recover_from(15);
    EXPECT_EQ(found->end(), Offset{19});
    EXPECT_EQ(found->epochs().latest()->epoch, LeaderEpoch{1});
}

TEST_F(JournalRecovery, a_filing_that_fails_fails_the_log) {
    auto log = journaled_log();
    const auto filing = log->begin_filing();
    sim_disk().fail_next(runtime::sim::DiskCall::sync, 1);
    log->complete_filing(*filing, filing->run());
    EXPECT_TRUE(log->failure());
    EXPECT_TRUE(directory_->failed());
    EXPECT_EQ(log->recovery_point(), Offset{10});
}

TEST_F(JournalRecovery, while_no_half_is_free_it_takes_nothing) {
    auto log = journaled_log();
    while (journal_->takes(1000)) {
        add(*log, 1, 0, 2000);
        journal(*log);
    }
    add(*log, 1, 0, 2000);
    const auto job = log->begin_sync();
    const SyncJob* const one[] = {&*job};
    const auto written = journal_->write(one);
    ASSERT_TRUE(written);
    EXPECT_FALSE(written->taken[0]);
    log->complete_sync(*job, job->run());
    EXPECT_EQ(log->recovery_point(), log->end());
    ASSERT_TRUE(journal_->can_be_freed());
}

TEST_F(JournalRecovery, a_failed_write_fails_log_and_directory) {
    auto log = journaled_log();
    add(*log, 1);
    const auto job = log->begin_sync();
    sim_disk().fail_next(runtime::sim::DiskCall::sync, 1);
    const SyncJob* const one[] = {&*job};
    const auto written = journal_->write(one);
    ASSERT_FALSE(written);
    log->complete_sync(*job, written.error(), SyncedIn::journal);
    EXPECT_TRUE(log->failure());
    EXPECT_TRUE(directory_->failed());
    EXPECT_EQ(log->synced_end(), Offset{15});
}

TEST_F(JournalRecovery, one_that_finds_no_room_is_not_made) {
    sim_disk().set_full(true);
    Journal other(*directory_, 1, std::uint64_t{64} << 10);
    EXPECT_EQ(other.make_more().error().code(), Code::no_space);
    sim_disk().set_full(false);
    EXPECT_FALSE(directory_->failed());
    EXPECT_FALSE(*disk().exists("/data/millrace-journal-1"));
}

TEST_F(JournalRecovery, a_clean_close_leaves_nothing_in_journals) {
    auto log = journaled_log();
    ASSERT_TRUE(log->close_cleanly());
    EXPECT_EQ(log->recovery_point(), Offset{15});
    ASSERT_TRUE(directory_->journals().remove());
    EXPECT_FALSE(*disk().exists("/data/millrace-journal-0"));
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(15))->end(), Offset{15});
}

TEST_F(JournalRecovery, a_log_that_was_recovered_may_be_cut_before_the_others_are) {
    auto log = journaled_log();
    // Another log of the directory keeps the journals for now.
    auto other = PartitionLog::create(directory_, {"other", PartitionIndex{0}}, Uuid{5, 6}, {});
    add(*other, 1);
    ASSERT_TRUE(other->sync_now());
    add(*other, 1);
    journal(*other);
    other.reset();
    cut_power(std::move(log));
    log = *recover_from(10);
    EXPECT_FALSE(directory_->journals().is_settled());
    ASSERT_TRUE(log->truncate_to(Offset{10}));
    cut_power(std::move(log));
    EXPECT_EQ((*recover_from(0))->end(), Offset{10});
}

}  // namespace
}  // namespace millrace::storage::test
