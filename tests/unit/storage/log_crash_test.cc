// Power cuts and kills at every single disk call. What a recovery finds is the log as it stood at
// some moment since the last completed sync, cut at its end: never less than was synced, never a
// hole, never bytes that were not appended.
#include <cstdlib>
#include <map>

#include "record/record_view.h"
#include "storage/journal.h"
#include "storage/log_store.h"
#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

using Contents = std::vector<std::string>;  // The bytes of each batch.

enum class Death { kill, power_cut };

struct Life {
    std::uint64_t seed = 1;
    Death death = Death::power_cut;
    std::uint64_t dies_at = 0;  ///< Disk call; 0: never.
    bool journaled = false;     ///< Most syncs go to a journal, a small one.
};

LogLimits small_limits(bool journaled = false) {
    // A journal takes only what has begun no segment.
    return {.segment_bytes = journaled ? 8000_B : 1500_B,
            .index_interval = 300_B,
            .tail_mark_step = 200_B,
            .preallocate = true};
}

/// One process that works on a log until it is done or its machine dies, and what it knows.
class Worker {
public:
    Worker(Life life, SimulatedMachine& machine)
        : life_(life),
          machine_(machine),
          random_(life.seed),
          directory_(std::make_shared<LogDirectory>(machine.node.disk(), "/data", Uuid{1, 2},
                                                    Logger{}, 3)),
          log_(PartitionLog::create(directory_, partition, Uuid{3, 4},
                                    small_limits(life.journaled))) {
        versions_.push_back({});
    }

    void run(int steps) {
        if (life_.dies_at > 0) {
            machine_.node.sim_disk().die_at_call(life_.dies_at);
        }
        if (life_.journaled) {
            make_journal();
        }
        for (int i = 0; i < steps && !log_->failure(); ++i) {
            step();
        }
        if (!log_->failure() && life_.seed % 3 == 0 && log_->close_cleanly()) {
            synced();
        }
        log_.reset();
        journal_.reset();
        directory_.reset();
    }

    bool died() const { return machine_.node.sim_disk().is_dead(); }
    Offset synced_end() const { return synced_end_; }
    /// Every state since the last completed sync; the first one was synced.
    const std::vector<Contents>& versions() const { return versions_; }

    static inline const TopicPartition partition{"orders", PartitionIndex{0}};
    static inline int syncs_journaled = 0;
    static inline int halves_freed = 0;

private:
    void step() {
        switch (random_.below(12)) {
            case 0:
            case 1:
                sync();
                break;
            case 2:
                if (random_.one_in(3)) {
                    truncate();
                }
                break;
            case 3:
            case 4:
                record();
                break;
            default:
                append_some();
                if (life_.journaled && random_.one_in(2)) {
                    sync();
                }
        }
    }

    void append_some() {
        std::vector<OwnedBatch> batches;
        Contents next = versions_.back();
        std::int64_t base = log_->end().value;
        for (std::uint64_t i = 0; i <= random_.below(3); ++i) {
            const int records = static_cast<int>(random_.between(1, 4));
            batches.push_back(make_batch({.base = base,
                                          .records = records,
                                          .epoch = epoch_,
                                          .value_size = random_.below(300),
                                          .producer = ProducerId{random_.between(1, 3)},
                                          .sequence = static_cast<std::int32_t>(base),
                                          .key = "k" + std::to_string(++made_)}));
            next.emplace_back(as_text(batches.back().bytes));
            base += records;
        }
        std::vector<record::BatchView> views;
        for (const OwnedBatch& batch : batches) {
            views.push_back(batch.view());
        }
        // Whatever append() says, the bytes may be on their way from here on.
        versions_.push_back(std::move(next));
        (void)log_->append(views, noon);
    }

    void make_journal() {
        auto journal = std::make_shared<Journal>(*directory_, 0, std::uint64_t{40} << 10);
        auto made = journal->make_more();
        while (made && !*made) {
            made = journal->make_more();
        }
        if (made) {
            directory_->journals().add(journal);
            journal_ = std::move(journal);
        }
    }

    void sync() {
        const bool is_full = journal_ && journal_->full(1).has_value();
        const auto job = log_->begin_sync(random_.one_in(is_full ? 2 : 8));
        if (!job) {
            return;
        }
        using SyncedIn = PartitionLog::SyncedIn;
        Result<void> outcome;
        SyncedIn in = SyncedIn::files;
        const SyncJob* const one[] = {&*job};
        if (journal_ && job->journal_part() != nullptr) {
            const auto written = journal_->write(one);
            outcome = written ? Result<void>{} : Result<void>(written.error());
            in = written && !written->taken[0] ? SyncedIn::files : SyncedIn::journal;
        }
        if (in == SyncedIn::files) {
            outcome = job->run();
        }
        log_->complete_sync(*job, outcome, in);
        if (outcome) {
            synced();
            syncs_journaled += in == SyncedIn::journal ? 1 : 0;
        }
        if (journal_ && journal_->can_be_freed()) {
            halves_freed += journal_->free_half() ? 1 : 0;
        }
    }
    void synced() {
        versions_.erase(versions_.begin(), versions_.end() - 1);
        synced_end_ = log_->synced_end();
    }

    void record() {
        (void)log_->mark_tail();
        if (random_.one_in(2)) {
            sync();
        }
        const auto begun = directory_->begin_checkpoint();
        const Offset point = log_->recovery_point();
        if (auto facts = log_->take_facts()) {
            (void)directory_->write_manifest(begun, {*std::move(facts)});
        }
        (void)directory_->write_checkpoint(Checkpoint::recovery_point, begun, {{partition, point}});
    }

    void truncate() {
        const Offset to{random_.between(0, log_->end().value)};
        Contents next;
        std::int64_t end = 0;
        for (const std::string& bytes : versions_.back()) {
            const auto batch = *record::BatchView::parse(as_bytes(bytes));
            if (batch.next_offset() > to) {
                break;
            }
            next.push_back(bytes);
            end = batch.next_offset().value;
        }
        versions_.push_back(std::move(next));
        ++epoch_;  // As a new leader has one.
        synced_end_ = std::min(synced_end_, Offset{end});
        if (log_->truncate_to(to)) {
            EXPECT_EQ(log_->end().value, end);
        }
    }

    const Life life_;
    SimulatedMachine& machine_;
    SeededRandom random_;
    std::shared_ptr<LogDirectory> directory_;
    std::shared_ptr<Journal> journal_;
    std::unique_ptr<PartitionLog> log_;
    std::vector<Contents> versions_;
    Offset synced_end_{0};
    std::int32_t epoch_ = 0;
    int made_ = 0;
};

Contents contents_of(PartitionLog& log) {
    Contents contents;
    Offset from = log.start();
    while (from < log.end()) {
        const auto slice = log.read({.from = from, .upper = log.end(), .max_bytes = 1 << 20});
        EXPECT_TRUE(slice) << slice.error().to_string();
        if (!slice || slice->empty()) {
            break;
        }
        const std::string bytes = read_slice(*slice);
        record::BatchRange range{as_bytes(bytes)};
        for (const record::BatchView batch : range) {
            contents.emplace_back(as_text(batch.bytes()));
            from = batch.next_offset();
        }
    }
    EXPECT_EQ(from, log.end());
    return contents;
}

bool is_prefix(const Contents& part, const Contents& whole) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

/// "base+count@epoch" of each batch, for a person.
std::string offsets_of(const Contents& contents) {
    std::string text;
    for (const std::string& bytes : contents) {
        const auto batch = *record::BatchView::parse(as_bytes(bytes));
        text += std::to_string(batch.base_offset().value) + "+" +
                std::to_string(batch.record_count()) + "@" +
                std::to_string(batch.partition_leader_epoch().value) + " ";
    }
    return text;
}
std::string offsets_of_all(const std::vector<Contents>& versions) {
    std::string text;
    for (const Contents& version : versions) {
        text += "  " + offsets_of(version) + "\n";
    }
    return text;
}

void die(const Life& life, SimulatedMachine& machine) {
    if (life.death == Death::power_cut) {
        machine.node.cut_power();
        machine.node.restore_power();
    }
    machine.node.sim_disk().revive();
    machine.node.sim_disk().release_locks();
}

std::shared_ptr<const LogFacts> known_of(const LogDirectory& directory) {
    auto manifest = directory.read_manifest();
    const auto known = manifest.find(Worker::partition);
    return known == manifest.end() ? nullptr : std::make_shared<LogFacts>(std::move(known->second));
}

RecoveryInput input_of(LogDirectory& directory) {
    const auto points = directory.read_checkpoint(Checkpoint::recovery_point);
    EXPECT_TRUE(points) << "a checkpoint is never half written";
    const auto found = points->find(Worker::partition);
    return {.recovery_point = found == points->end() ? Offset{0} : found->second,
            .known = known_of(directory),
            .journaled = directory.journals().left_of(Worker::partition),
            .now = noon};
}

int lives_resumed = 0;
int lives_replayed = 0;

/// Lives, dies, recovers; then dies again at `again` within the recovery, and recovers for good.
void live_and_recover(Life life, const runtime::sim::Ambient& ambient, int steps, bool& died) {
    SimulatedMachine machine(life.seed * 7919 + life.dies_at, ambient);
    Worker worker(life, machine);
    worker.run(steps);
    died = worker.died();
    die(life, machine);
    if (life.dies_at % 2 == 1) {
        // A recovery that is itself cut short.
        machine.node.sim_disk().die_at_call(1 + life.dies_at % 40);
        auto directory =
            std::make_shared<LogDirectory>(machine.node.disk(), "/data", Uuid{1, 2}, Logger{}, 3);
        const auto points = directory->read_checkpoint(Checkpoint::recovery_point);
        if (points && directory->journals().open(false)) {
            (void)PartitionLog::recover(
                directory, Worker::partition, small_limits(life.journaled),
                {.recovery_point = points->contains(Worker::partition)
                                       ? points->at(Worker::partition)
                                       : Offset{0},
                 .known = known_of(*directory),
                 .journaled = directory->journals().left_of(Worker::partition),
                 .now = noon});
        }
        directory.reset();
        die(life, machine);
    }
    auto directory =
        std::make_shared<LogDirectory>(machine.node.disk(), "/data", Uuid{1, 2}, Logger{}, 3);
    RecoveryReport report;
    ASSERT_TRUE(directory->journals().open(false));
    auto log = PartitionLog::recover(directory, Worker::partition, small_limits(life.journaled),
                                     input_of(*directory), &report);
    if (!log && log.error().code() == Code::not_found) {
        EXPECT_EQ(worker.synced_end(), Offset{0}) << "the whole log is gone";
        return;
    }
    ASSERT_TRUE(log) << log.error().to_string();
    lives_resumed += report.resumed_at ? 1 : 0;
    lives_replayed += report.replayed_bytes > 0 ? 1 : 0;
    EXPECT_FALSE(report.lost_synced_data) << report.reason;
    EXPECT_TRUE(directory->journals().is_settled());
    EXPECT_GE((*log)->end(), worker.synced_end()) << report.reason;
    const Contents found = contents_of(**log);
    const bool known =
        std::any_of(worker.versions().begin(), worker.versions().end(),
                    [&found](const Contents& version) { return is_prefix(found, version); });
    EXPECT_TRUE(known) << "found " << offsets_of(found) << "\nexpected a beginning of one of\n"
                       << offsets_of_all(worker.versions()) << report.reason;
    // And it goes on.
    EXPECT_TRUE(append(**log, make_batch({.base = (*log)->end().value, .epoch = 1000})));
    EXPECT_TRUE((*log)->sync_now());
}

/// Each seed is a life that ends at every one of its disk calls. CRASH_SEEDS asks for more.
std::uint64_t seeds() {
    const char* asked = std::getenv("CRASH_SEEDS");
    return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 2;
}

class LogCrash : public testing::TestWithParam<Death> {};

TEST_P(LogCrash, keeps_what_was_synced_whichever_disk_call_is_the_last) {
    const runtime::sim::Ambient unkind{.writeback = 300, .torn_pages = true};
    for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
        bool died = true;
        for (std::uint64_t call = 1; died; ++call) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", call " + std::to_string(call));
            live_and_recover({seed, GetParam(), call}, unkind, 40, died);
            if (HasFailure()) {
                return;
            }
        }
    }
    EXPECT_GT(lives_resumed, 0) << "no recovery went on from a tail mark";
}

// A file system may bring names to the disk in any order.
TEST_P(LogCrash, keeps_what_was_synced_when_names_are_lost_in_any_order) {
    const runtime::sim::Ambient unkind{
        .writeback = 300, .torn_pages = true, .reordered_names = true};
    for (std::uint64_t seed = 100; seed < 100 + seeds(); ++seed) {
        bool died = true;
        for (std::uint64_t call = 1; died; ++call) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", call " + std::to_string(call));
            live_and_recover({seed, GetParam(), call}, unkind, 40, died);
            if (HasFailure()) {
                return;
            }
        }
    }
}

TEST_P(LogCrash, keeps_what_a_journal_has_whichever_disk_call_is_the_last) {
    for (std::uint64_t seed = 200; seed < 200 + seeds(); ++seed) {
        const runtime::sim::Ambient unkind{
            .writeback = 300, .torn_pages = true, .reordered_names = seed % 2 == 1};
        bool died = true;
        for (std::uint64_t call = 1; died; ++call) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", call " + std::to_string(call));
            live_and_recover({seed, GetParam(), call, true}, unkind, 60, died);
            if (HasFailure()) {
                return;
            }
        }
    }
    EXPECT_GT(Worker::syncs_journaled, 0);
    EXPECT_GT(Worker::halves_freed, 0);
    if (GetParam() == Death::power_cut) {
        EXPECT_GT(lives_replayed, 0) << "no recovery needed the journal";
    }
}

INSTANTIATE_TEST_SUITE_P(Deaths, LogCrash, testing::Values(Death::kill, Death::power_cut),
                         [](const auto& tested) {
                             return tested.param == Death::kill ? "kill" : "power_cut";
                         });

}  // namespace
}  // namespace millrace::storage::test
