// The manifest of a log directory: what it keeps, when it counts, and what a recovery does with it.
#include "storage/internal/manifest.h"

#include "storage/log_store.h"
#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

LogFacts facts_of(const std::string& topic, std::int64_t end) {
    return {.partition = {topic, PartitionIndex{3}},
            .topic_id = Uuid{5, 6},
            .sealed = {{.base = Offset{0}, .size = 700, .offset_entries = 3, .time_entries = 2}},
            .tail = TailMark{.front = {.base = Offset{7}, .size = 90}, .end = Offset{end}}};
}

class ManifestTest : public OnDisk {
protected:
    LogLimits limits(Bytes segment = 1_GiB) const {
        return {.segment_bytes = segment, .index_interval = 300_B, .tail_mark_step = 400_B};
    }
    void fill(PartitionLog& log, int batches, std::int32_t epoch = 0) {
        for (int i = 0; i < batches; ++i) {
            const auto base = log.end().value;
            ASSERT_TRUE(append(log, make_batch({.base = base,
                                                .epoch = epoch,
                                                .first_time = noon + base * 1ms,
                                                .value_size = 60,
                                                .producer = ProducerId{base % 3},
                                                .sequence = static_cast<std::int32_t>(base / 3)})));
        }
    }
    /// As the rounds of checkpoints do it: what is marked by one is told by the next.
    void record(PartitionLog& log) {
        for (int round = 0; round < 2; ++round) {
            ASSERT_TRUE(log.mark_tail());
            ASSERT_TRUE(log.sync_now());
            const auto begun = directory_->begin_checkpoint();
            if (auto facts = log.take_facts()) {
                ASSERT_TRUE(directory_->write_manifest(begun, {*std::move(facts)}));
            }
            ASSERT_TRUE(directory_->write_checkpoint(Checkpoint::recovery_point, begun,
                                                     {{partition_, log.synced_end()}}));
        }
    }
    /// With what a directory opened anew says.
    std::unique_ptr<PartitionLog> recover_known(const LogLimits& limits, bool clean = false) {
        directory_ = open_directory();
        const auto points = directory_->read_checkpoint(Checkpoint::recovery_point);
        auto manifest = directory_->read_manifest();
        RecoveryInput input{.recovery_point = points->at(partition_), .clean = clean, .now = noon};
        if (const auto known = manifest.find(partition_); known != manifest.end()) {
            input.known = std::make_shared<LogFacts>(known->second);
        }
        auto log = recover(input, limits);
        EXPECT_TRUE(log) << log.error().to_string();
        return *std::move(log);
    }
    void expect_whole(PartitionLog& log, std::int64_t end) {
        EXPECT_EQ(log.end(), Offset{end});
        EXPECT_THAT(batches_in(log, 0, end), SizeIs(static_cast<std::size_t>(end)));
        for (std::int64_t offset = 0; offset < end; offset += 5) {
            const auto found = log.search_timestamp(noon + offset * 1ms)->run();
            ASSERT_TRUE(found && *found) << offset;
            EXPECT_EQ((*found)->offset, Offset{offset});
        }
        for (std::int64_t producer = 0; producer < 3; ++producer) {
            const ProducerEntry* entry = log.producers().find(ProducerId{producer});
            ASSERT_TRUE(entry) << producer;
            EXPECT_EQ(entry->last_sequence(), (end - 1 - producer) / 3) << producer;
        }
    }
    std::string manifest_path() const { return root_ + "/millrace-manifest"; }
};

TEST_F(ManifestTest, keeps_the_last_word_on_each_log) {
    Manifest manifest(disk(), root_);
    const LogFacts news[] = {facts_of("a", 9), facts_of("b", 9), facts_of("a", 12)};
    ASSERT_TRUE(manifest.note(news));
    ASSERT_TRUE(manifest.forget({&news[1].partition, 1}));
    const auto read = Manifest(disk(), root_).read();
    ASSERT_TRUE(read);
    ASSERT_THAT(read->logs, SizeIs(1));
    EXPECT_EQ(read->logs.begin()->second, facts_of("a", 12));
}

TEST_F(ManifestTest, a_torn_record_takes_nothing_with_it_and_makes_room_for_the_next) {
    const LogFacts first = facts_of("a", 9);
    const LogFacts second = facts_of("b", 9);
    std::uint64_t whole = 0;
    {
        Manifest manifest(disk(), root_);
        ASSERT_TRUE(manifest.note({&first, 1}));
        whole = *disk().file_size(manifest_path());
        ASSERT_TRUE(manifest.note({&second, 1}));
    }
    const auto file = *disk().open(manifest_path(), runtime::OpenMode::read_write);
    for (std::uint64_t size = *file->size() - 1; size > whole; size -= 5) {
        ASSERT_TRUE(file->truncate(size));
        EXPECT_THAT(Manifest(disk(), root_).read()->logs, SizeIs(1)) << size;
    }
    ASSERT_TRUE(Manifest(disk(), root_).note({&second, 1}));
    EXPECT_THAT(Manifest(disk(), root_).read()->logs, SizeIs(2));
}

TEST_F(ManifestTest, a_flipped_bit_anywhere_is_never_believed) {
    const LogFacts facts = facts_of("a", 9);
    ASSERT_TRUE(Manifest(disk(), root_).note({&facts, 1}));
    const std::uint64_t size = *disk().file_size(manifest_path());
    for (std::uint64_t at = 0; at < size; ++at) {
        ASSERT_TRUE(sim_disk().rot(manifest_path(), at, 3));
        EXPECT_THAT(Manifest(disk(), root_).read()->logs, IsEmpty()) << at;
        ASSERT_TRUE(sim_disk().rot(manifest_path(), at, 3));
    }
    EXPECT_THAT(Manifest(disk(), root_).read()->logs, SizeIs(1));
}

TEST_F(ManifestTest, is_written_anew_without_the_folders_that_are_gone) {
    ASSERT_TRUE(disk().create_directories(root_ + "/kept-3"));
    Manifest manifest(disk(), root_);
    const LogFacts gone = facts_of("gone", 9);
    ASSERT_TRUE(manifest.note({&gone, 1}));
    std::uint64_t largest = 0;
    for (int i = 0; i < 30'000 && *disk().file_size(manifest_path()) >= largest; ++i) {
        largest = *disk().file_size(manifest_path());
        const std::vector<LogFacts> news(100, facts_of("kept", i));
        ASSERT_TRUE(manifest.note(news));
    }
    EXPECT_LT(*disk().file_size(manifest_path()), largest);
    const auto read = manifest.read();
    ASSERT_THAT(read->logs, SizeIs(1));
    EXPECT_EQ(read->logs.begin()->first.topic, "kept");
}

TEST_F(ManifestTest, what_could_not_be_written_takes_everything_older_with_it) {
    Manifest manifest(disk(), root_);
    const LogFacts first = facts_of("a", 9);
    ASSERT_TRUE(manifest.note({&first, 1}));
    sim_disk().fail_next(runtime::sim::DiskCall::sync, 1);
    const LogFacts newer = facts_of("a", 12);
    EXPECT_FALSE(manifest.note({&newer, 1}));
    EXPECT_THAT(manifest.read()->logs, IsEmpty());
    ASSERT_TRUE(manifest.note({&newer, 1}));
    EXPECT_THAT(manifest.read()->logs, SizeIs(1));
}

// --- Whether it counts ---------------------------------------------------------------------------

TEST_F(ManifestTest, counts_for_nothing_once_another_has_written_the_recovery_points) {
    const auto log = create(limits());
    fill(*log, 20);
    record(*log);
    EXPECT_THAT(directory_->read_manifest(), SizeIs(1));
    // Kafka: the same offsets, and one that it has taken further.
    ASSERT_TRUE(
        disk().replace_whole(root_ + "/recovery-point-offset-checkpoint", "0\n1\norders 0 21\n"));
    EXPECT_THAT(directory_->read_manifest(), IsEmpty());
}

TEST_F(ManifestTest, counts_when_a_crash_came_between_it_and_the_checkpoint) {
    const auto log = create(limits());
    fill(*log, 20);
    record(*log);
    ASSERT_TRUE(Manifest(disk(), root_).note_points("0\n1\norders 0 99\n"));
    EXPECT_THAT(directory_->read_manifest(), SizeIs(1));
}

TEST_F(ManifestTest, counts_for_nothing_where_the_page_cache_may_lie) {
    const auto log = create(limits());
    fill(*log, 20);
    record(*log);
    directory_->fail(Error(Code::io, "planted"));
    EXPECT_THAT(open_directory()->read_manifest(), IsEmpty());
}

// --- Recovery ------------------------------------------------------------------------------------

TEST_F(ManifestTest, a_recovery_scans_only_what_came_after_the_mark) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    const std::uint64_t marked = log->size_bytes();
    fill(*log, 6);
    ASSERT_TRUE(log->sync_now());
    const std::uint64_t size = log->size_bytes();
    log.reset();
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, Offset{40});
    EXPECT_EQ(report_.scanned_bytes, size - marked);
    expect_whole(*log, 46);
    fill(*log, 4);
    expect_whole(*log, 50);
}

TEST_F(ManifestTest, a_recovery_that_finds_nothing_after_the_mark_scans_nothing) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    log.reset();
    log = recover_known(limits());
    EXPECT_EQ(report_.scanned_bytes, 0U);
    expect_whole(*log, 40);
}

TEST_F(ManifestTest, a_recovery_goes_on_from_the_mark_of_the_life_before_the_last) {
    auto log = create(limits());
    fill(*log, 40);
    ASSERT_TRUE(log->close_cleanly());
    record(*log);
    log.reset();
    log = recover_known(limits(), /*clean=*/true);
    fill(*log, 2);  // Too little for another mark.
    record(*log);
    log.reset();
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, Offset{40});
    expect_whole(*log, 42);
}

TEST_F(ManifestTest, a_recovery_goes_on_from_a_mark_in_a_segment_that_was_sealed_since) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    fill(*log, 5);
    ASSERT_TRUE(log->roll(noon));
    fill(*log, 5);
    log.reset();
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, Offset{40});
    expect_whole(*log, 50);
}

TEST_F(ManifestTest, a_torn_tail_is_cut_behind_the_mark) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    fill(*log, 2);
    const std::uint64_t size = log->size_bytes();
    log.reset();
    const auto file =
        *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->truncate(size - 1));
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, Offset{40});
    expect_whole(*log, 41);
}

TEST_F(ManifestTest, a_file_that_ends_before_the_mark_is_scanned_and_its_loss_is_told) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    const std::uint64_t size = log->size_bytes();
    log.reset();
    const auto file =
        *disk().open(in_log("00000000000000000000.log"), runtime::OpenMode::read_write);
    ASSERT_TRUE(file->truncate(size - 1));
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, std::nullopt);
    EXPECT_TRUE(report_.lost_synced_data);
    expect_whole(*log, 39);
}

// What was truncated and written anew has another leader epoch: the old mark must not fit it.
TEST_F(ManifestTest, a_mark_of_before_a_truncation_does_not_fit) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    const auto manifest = *disk().read_whole(manifest_path(), 1 << 20);
    ASSERT_TRUE(log->truncate_to(Offset{30}));
    fill(*log, 10, /*epoch=*/1);
    record(*log);
    // The manifest's last writes are lost, and the checkpoint's are not.
    ASSERT_TRUE(disk().replace_whole(manifest_path(), manifest));
    const auto points = *disk().read_whole(root_ + "/recovery-point-offset-checkpoint", 1 << 20);
    ASSERT_TRUE(Manifest(disk(), root_).note_points(points));
    log.reset();
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, std::nullopt);
    expect_whole(*log, 40);
    EXPECT_EQ(log->epochs().latest(), (EpochStart{LeaderEpoch{1}, Offset{30}}));
}

TEST_F(ManifestTest, a_mark_above_the_recovery_point_is_not_believed) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    ASSERT_TRUE(directory_->lower_recovery_point(partition_, Offset{20}));
    log.reset();
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, std::nullopt);
    expect_whole(*log, 40);
}

TEST_F(ManifestTest, a_mark_without_its_index_costs_a_scan) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    log.reset();
    ASSERT_TRUE(disk().remove(in_log("00000000000000000000.index")));
    log = recover_known(limits());
    EXPECT_EQ(report_.resumed_at, std::nullopt);
    expect_whole(*log, 40);
}

TEST_F(ManifestTest, a_mark_without_its_snapshot_costs_the_producers_a_replay) {
    auto log = create(limits());
    fill(*log, 40);
    record(*log);
    log.reset();
    ASSERT_TRUE(disk().remove(in_log("00000000000000000040.snapshot")));
    log = recover_known(limits());
    expect_whole(*log, 40);
}

TEST_F(ManifestTest, snapshots_of_marks_go_with_their_segment) {
    const auto log = create(limits());
    fill(*log, 40);
    record(*log);
    EXPECT_TRUE(*disk().exists(in_log("00000000000000000040.snapshot")));
    fill(*log, 2);
    ASSERT_TRUE(log->roll(noon));
    EXPECT_FALSE(*disk().exists(in_log("00000000000000000040.snapshot")));
    EXPECT_TRUE(*disk().exists(in_log("00000000000000000042.snapshot")));
}

TEST_F(ManifestTest, sealed_segments_are_known_without_their_indexes_being_read) {
    auto log = create(limits(1500_B));
    fill(*log, 60);
    record(*log);
    ASSERT_GT(log->segment_count(), 3U);
    log.reset();
    // A time index that now tells another story is not looked at, as its size is the one noted.
    ASSERT_TRUE(sim_disk().rot(in_log("00000000000000000000.timeindex"), 7, 0));
    log = recover_known(limits(1500_B));
    EXPECT_EQ(log->end(), Offset{60});
    EXPECT_EQ((*log->search_max_timestamp()->run())->offset, Offset{59});
    EXPECT_THAT(batches_in(*log, 0, 60), SizeIs(60));
}

TEST_F(ManifestTest, a_sealed_segment_of_another_size_is_looked_at) {
    auto log = create(limits(1500_B));
    fill(*log, 60);
    record(*log);
    log.reset();
    ASSERT_TRUE(disk().remove(in_log("00000000000000000000.index")));
    log = recover_known(limits(1500_B));
    expect_whole(*log, 60);
}

// --- Names ---------------------------------------------------------------------------------------

class ManifestStoreTest : public ManifestTest {
protected:
    std::unique_ptr<LogStore> open_store() {
        auto store = LogStore::open(
            disk(),
            {.paths = {root_ + "/a"},
             .identity = {.cluster_id = "cGVlcmthZmthcGVlcmthZg", .node = BrokerId{1}}},
            random_, noon, Logger{});
        EXPECT_TRUE(store) << store.error().to_string();
        return *std::move(store);
    }
    void record_in(LogStore& store, PartitionLog& log) {
        directory_ = store.directories().front();
        record(log);
    }
    std::string metadata_file() const { return root_ + "/a/orders-0/partition.metadata"; }

    SeededRandom random_{1};
};

TEST_F(ManifestStoreTest, a_start_knows_a_logs_topic_without_opening_its_folder) {
    {
        auto store = open_store();
        const auto log = *store->create(partition_, topic_id_, limits());
        fill(*log, 20);
        record_in(*store, *log);
        directory_.reset();
    }
    const auto file = *disk().open(metadata_file(), runtime::OpenMode::create_empty);
    ASSERT_TRUE(file->write_at(0, as_bytes(std::string_view("version: 0\nunreadable"))));
    const auto store = open_store();
    ASSERT_THAT(store->found(), SizeIs(1));
    EXPECT_EQ(store->found().front().topic_id, topic_id_);
    EXPECT_FALSE(store->found().front().unreadable);
    const auto log = store->load(store->found().front(), limits());
    ASSERT_TRUE(log);
    EXPECT_EQ((*log)->topic_id(), topic_id_);
}

// A topic was deleted and made again, and the process killed before it could note the new log.
TEST_F(ManifestStoreTest, a_name_that_was_given_again_is_not_taken_for_its_predecessor) {
    const Uuid other{8, 9};
    for (const bool round_between : {false, true}) {
        {
            auto store = open_store();
            const auto log = *store->create(partition_, topic_id_, limits());
            fill(*log, 20);
            record_in(*store, *log);
            const auto away = store->retire(*log);
            ASSERT_TRUE(away);
            if (round_between) {
                for (const auto which : {Checkpoint::recovery_point, Checkpoint::high_watermark,
                                         Checkpoint::log_start, Checkpoint::cleaner}) {
                    ASSERT_TRUE(
                        directory_->write_checkpoint(which, directory_->begin_checkpoint(), {}));
                }
            }
            const auto next = *store->create(partition_, other, limits());
            fill(*next, 1);
            ASSERT_TRUE(next->sync_now());
            directory_.reset();
        }
        const auto store = open_store();
        ASSERT_THAT(store->found(), SizeIs(1));
        EXPECT_EQ(store->found().front().topic_id, other);
        ASSERT_TRUE(disk().remove_tree(root_ + "/a/orders-0"));
    }
}

}  // namespace
}  // namespace millrace::storage::test
