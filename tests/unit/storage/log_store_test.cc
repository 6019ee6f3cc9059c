#include "storage/log_store.h"

#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class LogStoreTest : public OnDisk {
protected:
    StoreOptions options(const std::vector<std::string>& names) const {
        StoreOptions options{
            .identity = {.cluster_id = "cGVlcmthZmthcGVlcmthZg", .node = BrokerId{1}}};
        for (const auto& name : names) {
            options.paths.push_back(root_ + "/" + name);
        }
        return options;
    }
    Result<std::unique_ptr<LogStore>> open(const std::vector<std::string>& names) {
        return LogStore::open(disk(), options(names), random_, noon, Logger{});
    }
    std::unique_ptr<LogStore> must_open(const std::vector<std::string>& names) {
        auto store = open(names);
        EXPECT_TRUE(store) << store.error().to_string();
        return *std::move(store);
    }
    /// One log with five records in the store, closed in order or as by a kill.
    void write_log(LogStore& store, bool clean) {
        const auto log = *store.create(partition_, topic_id_, {});
        for (int i = 0; i < 5; ++i) {
            ASSERT_TRUE(append(*log, make_batch({.base = i})));
        }
        if (!clean) {
            return;
        }
        ASSERT_TRUE(log->close_cleanly());
        ASSERT_TRUE(log->directory()->write_checkpoint(Checkpoint::recovery_point,
                                                       log->directory()->begin_checkpoint(),
                                                       {{partition_, log->synced_end()}}));
        ASSERT_TRUE(store.mark_clean_shutdown(BrokerEpoch{77}));
    }

    SeededRandom random_{1};
};

TEST_F(LogStoreTest, formats_an_empty_directory_and_knows_it_again) {
    const Uuid id = must_open({"a"})->directories().front()->id();
    EXPECT_FALSE(id.is_zero());
    EXPECT_EQ(must_open({"a"})->directories().front()->id(), id);
}

TEST_F(LogStoreTest, an_unformatted_directory_is_refused_where_that_is_asked_for) {
    StoreOptions strict = options({"a"});
    strict.format_if_empty = false;
    ASSERT_TRUE(disk().create_directories(strict.paths.front()));
    const auto store = LogStore::open(disk(), strict, random_, noon, Logger{});
    ASSERT_FALSE(store);
    EXPECT_THAT(store.error().message(), HasSubstr("not formatted"));
}

TEST_F(LogStoreTest, refuses_the_directory_of_another_cluster_or_node) {
    must_open({"a"});
    StoreOptions other = options({"a"});
    other.identity.node = BrokerId{2};
    EXPECT_THAT(LogStore::open(disk(), other, random_, noon, Logger{}).error().message(),
                HasSubstr("belongs to node 1, this is node 2: set node.id=1 to go on with what it "
                          "holds, or name a directory of this node"));
    other = options({"a"});
    other.identity.cluster_id = "x";
    EXPECT_THAT(LogStore::open(disk(), other, random_, noon, Logger{}).error().message(),
                HasSubstr("belongs to cluster cGVlcmthZmthcGVlcmthZg, this broker to x"));
}

// The quorum knows the directory by its id already.
TEST_F(LogStoreTest, a_directory_becomes_another_clusters_with_its_id) {
    const Uuid id = must_open({"a"})->directories().front()->id();
    StoreOptions other = options({"a", "b"});
    other.identity.cluster_id = "x";
    other.instead_of = options({"a"}).identity.cluster_id;
    {
        const auto moved = LogStore::open(disk(), other, random_, noon, Logger{});
        ASSERT_TRUE(moved) << moved.error().message();
        EXPECT_EQ((*moved)->directories().front()->id(), id);
    }
    other.instead_of.clear();
    EXPECT_TRUE(LogStore::open(disk(), other, random_, noon, Logger{}));
    EXPECT_FALSE(open({"a"}));
}

TEST_F(LogStoreTest, never_claims_a_directory_with_logs_that_are_not_its_own) {
    ASSERT_TRUE(disk().create_directories(root_ + "/a/orders-0"));
    const auto store = open({"a"});
    ASSERT_FALSE(store);
    EXPECT_THAT(store.error().message(), HasSubstr("holds logs but has no meta.properties"));
}

TEST_F(LogStoreTest, refuses_a_copied_directory) {
    must_open({"a"});
    const auto meta = *disk().read_whole(root_ + "/a/meta.properties", 1000);
    ASSERT_TRUE(disk().create_directories(root_ + "/b"));
    ASSERT_TRUE(disk().replace_whole(root_ + "/b/meta.properties", meta));
    EXPECT_THAT(open({"a", "b"}).error().message(), HasSubstr("same directory.id"));
}

TEST_F(LogStoreTest, a_wrong_directory_leaves_the_others_as_they_were) {
    StoreOptions other = options({"theirs"});
    other.identity.node = BrokerId{2};
    ASSERT_TRUE(LogStore::open(disk(), other, random_, noon, Logger{}));
    ASSERT_TRUE(disk().create_directories(root_ + "/empty"));
    EXPECT_THAT(open({"new", "empty", "theirs"}).error().message(), HasSubstr("belongs to node 2"));
    EXPECT_FALSE(*disk().exists(root_ + "/new"));
    EXPECT_THAT(*disk().list(root_ + "/empty"), IsEmpty());
}

TEST_F(LogStoreTest, refuses_a_file_and_a_directory_named_twice) {
    ASSERT_TRUE(disk().replace_whole(root_ + "/file", "no directory"));
    for (const std::string name : {"file", "file/below"}) {
        const auto store = open({"new", name});
        ASSERT_FALSE(store);
        EXPECT_EQ(store.error().code(), Code::invalid) << store.error().to_string();
    }
    for (const char* again : {"new", "./new", "new/", "other/../new"}) {
        EXPECT_THAT(open({"new", "other", again}).error().message(), HasSubstr("are one directory"))
            << again;
    }
    EXPECT_FALSE(*disk().exists(root_ + "/new"));
}

TEST_F(LogStoreTest, locks_its_directories) {
    const auto store = must_open({"a"});
    EXPECT_FALSE(open({"a"}));
}

TEST_F(LogStoreTest, a_refused_start_leaves_new_and_empty_directories_as_they_were) {
    const auto store = must_open({"locked"});
    ASSERT_TRUE(disk().create_directories(root_ + "/empty"));
    for (const auto& names : {std::vector<std::string>{"new/below", "empty", "locked"},
                              {"locked", "empty", "new/below"}}) {
        const auto refused = open(names);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), Code::invalid);
        EXPECT_THAT(refused.error().message(), HasSubstr("is locked by another process"));
        EXPECT_FALSE(*disk().exists(root_ + "/new"));
        EXPECT_THAT(*disk().list(root_ + "/empty"), IsEmpty());
    }
}

TEST_F(LogStoreTest, a_claim_that_is_dropped_leaves_nothing_and_lets_go_of_what_it_locked) {
    ASSERT_TRUE(disk().create_directories(root_ + "/empty"));
    {
        const auto claim = LogStore::claim(disk(), options({"new", "empty"}), random_, Logger{});
        ASSERT_TRUE(claim);
        EXPECT_FALSE(open({"empty"}));
    }
    EXPECT_FALSE(*disk().exists(root_ + "/new"));
    EXPECT_THAT(*disk().list(root_ + "/empty"), IsEmpty());
    EXPECT_TRUE(open({"new", "empty"}));
}

TEST_F(LogStoreTest, meta_properties_of_no_known_kind_is_a_wrong_setting) {
    for (const std::string text : {"version=9\n", "version=1\nnode.id=1\n", "\1\2\3",
                                   "version=1\nnode.id=1\ncluster.id=c\ndirectory.id=!\n"}) {
        ASSERT_TRUE(disk().create_directories(root_ + "/a"));
        ASSERT_TRUE(disk().replace_whole(root_ + "/a/meta.properties", text));
        const auto store = open({"new", "a"});
        ASSERT_FALSE(store);
        EXPECT_EQ(store.error().code(), Code::invalid) << store.error().to_string();
        EXPECT_FALSE(*disk().exists(root_ + "/new"));
    }
}

TEST_F(LogStoreTest, a_clean_stop_needs_no_scan) {
    {
        const auto store = must_open({"a"});
        EXPECT_FALSE(store->clean_start());
        write_log(*store, true);
    }
    const auto store = must_open({"a"});
    EXPECT_TRUE(store->clean_start());
    EXPECT_EQ(store->last_broker_epoch(), BrokerEpoch{77});
    ASSERT_THAT(store->found(), SizeIs(1));
    EXPECT_EQ(store->found().front().topic_id, topic_id_);
    const auto log = store->load(store->found().front(), {}, &report_);
    ASSERT_TRUE(log) << log.error().to_string();
    EXPECT_EQ((*log)->end(), Offset{5});
    EXPECT_EQ(report_.scanned_bytes, 0U);
}

// KAFKA-10471: a crash while loading must not look like a clean stop at the next start.
TEST_F(LogStoreTest, the_clean_mark_is_gone_before_anything_is_loaded) {
    write_log(*must_open({"a"}), true);
    EXPECT_TRUE(must_open({"a"})->clean_start());
    const auto store = must_open({"a"});
    EXPECT_FALSE(store->clean_start());
    ASSERT_TRUE(store->load(store->found().front(), {}, &report_));
    EXPECT_GT(report_.scanned_bytes, 0U);
}

TEST_F(LogStoreTest, a_damaged_recovery_checkpoint_costs_a_scan_and_nothing_else) {
    write_log(*must_open({"a"}), true);
    ASSERT_TRUE(disk().replace_whole(root_ + "/a/recovery-point-offset-checkpoint", "0\n9\n"));
    const auto store = must_open({"a"});
    const auto log = store->load(store->found().front(), {}, &report_);
    ASSERT_TRUE(log);
    EXPECT_EQ((*log)->end(), Offset{5});
    EXPECT_GT(report_.scanned_bytes, 0U);
}

// Damage is never read as "does not exist": deletion needs the metadata's word.
TEST_F(LogStoreTest, a_log_with_a_damaged_identity_is_found_and_not_loaded) {
    write_log(*must_open({"a"}), true);
    ASSERT_TRUE(disk().replace_whole(root_ + "/a/orders-0/partition.metadata", "version: 0\nxx"));
    const auto store = must_open({"a"});
    ASSERT_THAT(store->found(), SizeIs(1));
    EXPECT_TRUE(store->found().front().unreadable);
    EXPECT_EQ(store->load(store->found().front(), {}).error().code(), Code::corrupt);
}

// Two logs in one folder would overwrite each other.
TEST_F(LogStoreTest, a_new_log_never_takes_the_folder_of_one_that_was_not_opened) {
    write_log(*must_open({"a"}), false);
    const auto store = must_open({"a"});
    const auto log = *store->create(partition_, topic_id_, {});
    EXPECT_EQ(append(*log, make_batch({})).error().code(), Code::exists);
    EXPECT_FALSE(store->directories().front()->failed());
}

TEST_F(LogStoreTest, a_retired_log_is_not_found_again) {
    const auto store = must_open({"a"});
    write_log(*store, false);
    auto log = *store->create(partition_, topic_id_, {});
    {
        const auto again = must_open({"b"});
        auto other = *again->create(partition_, topic_id_, {});
        ASSERT_TRUE(append(*other, make_batch({})));
        const auto path = again->retire(*other);
        ASSERT_TRUE(path) << path.error().to_string();
        EXPECT_THAT(*path, HasSubstr("-delete"));
        EXPECT_EQ(append(*other, make_batch({.base = 1})).error().code(), Code::closed);
    }
    const auto again = must_open({"b"});
    EXPECT_THAT(again->found(), IsEmpty());
    EXPECT_THAT(again->leftovers(), SizeIs(1));
    EXPECT_EQ(*store->retire(*log), "") << "it never had a file";
}

/// A store on a machine whose power can be cut; every open() is the start of another process.
class LogStoreLives : public testing::Test {
protected:
    std::unique_ptr<LogStore> open() {
        const StoreOptions options{.paths = {"/srv/broker/logs"},
                                   .identity = {"cluster", BrokerId{1}}};
        return *LogStore::open(machine_.node.disk(), options, random_, noon, Logger{});
    }
    std::unique_ptr<PartitionLog> create(LogStore& store) {
        return *store.create(partition_, Uuid{3, 4}, {});
    }
    std::unique_ptr<PartitionLog> recover(LogStore& store) {
        const FoundLog& found = store.found().front();
        return *PartitionLog::recover(found.directory, partition_, {}, found.recovery);
    }
    /// One batch, synced and recorded as such, and a new segment.
    void write_and_roll(PartitionLog& log) {
        ASSERT_TRUE(append(log, make_batch({})));
        ASSERT_TRUE(log.sync_now());
        LogDirectory& directory = *log.directory();
        ASSERT_TRUE(directory.write_checkpoint(Checkpoint::recovery_point,
                                               directory.begin_checkpoint(),
                                               {{partition_, log.synced_end()}}));
        ASSERT_TRUE(log.roll(noon));
    }
    void cut_power() {
        machine_.node.cut_power();
        machine_.node.restore_power();
    }

    const TopicPartition partition_{"orders", PartitionIndex{0}};
    test::SimulatedMachine machine_;
    SeededRandom random_{1};
};

TEST_F(LogStoreLives, a_new_directory_outlives_a_power_cut_with_all_that_was_synced_in_it) {
    {
        const auto store = open();
        const auto log = create(*store);
        ASSERT_TRUE(append(*log, make_batch({})));
        ASSERT_TRUE(log->sync_now());
    }
    cut_power();
    EXPECT_EQ(open()->found().size(), 1U);
}

TEST_F(LogStoreLives, a_start_makes_durable_what_a_kill_left_in_the_cache_a_new_logs_name_too) {
    {
        const auto store = open();
        ASSERT_TRUE(append(*create(*store), make_batch({})));
    }
    EXPECT_EQ(recover(*open())->synced_end(), Offset{1});
    cut_power();
    const auto store = open();
    ASSERT_THAT(store->found(), SizeIs(1));
    EXPECT_EQ(recover(*store)->end(), Offset{1});
}

TEST_F(LogStoreLives, a_start_makes_durable_what_a_kill_left_in_the_cache_a_segments_name_too) {
    {
        const auto store = open();
        const auto log = create(*store);
        write_and_roll(*log);
        ASSERT_TRUE(append(*log, make_batch({.base = 1})));
    }
    EXPECT_EQ(recover(*open())->synced_end(), Offset{2});
    cut_power();
    EXPECT_EQ(recover(*open())->end(), Offset{2});
}

TEST_F(LogStoreLives,
       an_empty_segment_whose_name_a_kill_left_in_the_cache_costs_nothing_until_used) {
    {
        const auto store = open();
        write_and_roll(*create(*store));
    }
    {
        const auto store = open();
        const auto log = recover(*store);
        EXPECT_FALSE(log->has_unsynced());
        ASSERT_TRUE(append(*log, make_batch({.base = 1})));
        ASSERT_TRUE(log->sync_now());
    }
    cut_power();
    EXPECT_EQ(recover(*open())->end(), Offset{2});
}

TEST_F(LogStoreTest, what_is_set_aside_stays_on_disk_and_out_of_sight) {
    write_log(*must_open({"a"}), false);
    {
        const auto store = must_open({"a"});
        EXPECT_THAT(*store->set_aside(store->found().front()), HasSubstr("-stray"));
    }
    const auto store = must_open({"a"});
    EXPECT_THAT(store->found(), IsEmpty());
    EXPECT_THAT(store->leftovers(), IsEmpty());
}

// Two shards may come for it: the one of its own topic id, to whom nobody belongs, and the one
// whose topic needs the name. Who comes second must not take away what the first has put there.
TEST_F(LogStoreTest, a_log_is_set_aside_once_and_its_name_is_somebody_elses_then) {
    write_log(*must_open({"a"}), false);
    {
        const auto store = must_open({"a"});
        ASSERT_TRUE(store->set_aside(store->found().front()));
        write_log(*store, false);
        const auto again = store->set_aside(store->found().front());
        ASSERT_FALSE(again);
        EXPECT_EQ(again.error().code(), Code::not_found);
    }
    EXPECT_THAT(must_open({"a"})->found(), SizeIs(1));
}

TEST_F(LogStoreTest, new_logs_go_to_the_directory_with_the_fewest) {
    const auto store = must_open({"a", "b"});
    std::set<std::string> used;
    for (int i = 0; i < 2; ++i) {
        used.insert((*store->create({"t", PartitionIndex{i}}, topic_id_, {}))->directory()->path());
    }
    EXPECT_THAT(used, SizeIs(2));
    const Uuid first = store->directories().front()->id();
    EXPECT_EQ((*store->create({"t", PartitionIndex{3}}, topic_id_, {}, first))->directory()->id(),
              first);
}

TEST_F(LogStoreTest, a_wish_for_a_directory_holds_once_and_where_it_can_be_had) {
    const auto store = must_open({"a", "b"});
    const auto& second = store->directories()[1];
    store->wish(partition_, second->path());
    EXPECT_EQ(store->take_wish(partition_), second);
    EXPECT_EQ(store->take_wish(partition_), nullptr);
    store->wish(partition_, second->path());
    second->cordon(true);
    EXPECT_EQ(store->take_wish(partition_), nullptr);
    store->wish(partition_, "/elsewhere");
    EXPECT_EQ(store->take_wish(partition_), nullptr);
}

TEST_F(LogStoreTest, a_failed_directory_takes_no_new_log_and_others_go_on) {
    const auto store = must_open({"a", "b"});
    store->directories()[0]->fail(Error(Code::io, "Input/output error"));
    for (int i = 0; i < 3; ++i) {
        const auto log = store->create({"t", PartitionIndex{i}}, topic_id_, {});
        ASSERT_TRUE(log);
        EXPECT_EQ((*log)->directory(), store->directories()[1]);
    }
    EXPECT_EQ(store->create({"t", PartitionIndex{9}}, topic_id_, {}, store->directories()[0]->id())
                  .error()
                  .code(),
              Code::io);
}

TEST_F(LogStoreTest, tells_of_the_same_partition_in_two_directories) {
    for (const auto* name : {"a", "b"}) {
        write_log(*must_open({name}), false);
    }
    const auto store = must_open({"a", "b"});
    ASSERT_THAT(store->found(), SizeIs(2));
    EXPECT_TRUE(store->found()[0].duplicate);
    EXPECT_TRUE(store->found()[1].duplicate);
}

TEST_F(LogStoreTest, leaves_to_others_what_is_theirs) {
    write_log(*must_open({"a"}), false);
    StoreOptions without = options({"a"});
    without.not_ours = {partition_};
    const auto store = LogStore::open(disk(), without, random_, noon, Logger{});
    EXPECT_THAT((*store)->found(), IsEmpty());
}

}  // namespace
}  // namespace millrace::storage::test
