#include "replication/internal/sync_group.h"

#include <algorithm>
#include <utility>

namespace millrace::replication {

namespace {

/// Each costs the device several writes, behind which those of the journal wait: one at a time, and
/// more only where the half that is in use would be full before the other is free.
constexpr std::size_t filed_at_once = 1;
constexpr std::size_t filed_in_a_hurry = 4;
constexpr double hurries_from = 0.4;  // Of the half in use: by a half, all should be filed.
constexpr Duration look_again_after = 50ms;
constexpr Duration make_again_after = 60s;

}  // namespace

struct SyncGroup::Write {
    std::shared_ptr<storage::LogDirectory> directory;  // Before the journal, which refers to it.
    std::shared_ptr<storage::Journal> journal;
    std::vector<Item> items;
    std::optional<Result<storage::Journal::Written>> outcome;
};

SyncGroup::SyncGroup(Doors doors, JournalRules rules,
                     std::shared_ptr<storage::LogDirectory> directory)
    : doors_(std::move(doors)), rules_(rules), directory_(std::move(directory)) {}

bool SyncGroup::may_be_journaled(const storage::SyncJob& job) const {
    return journal_ && job.journal_part() != nullptr && journal_->unfiled() < rules_.unfiled_max &&
           journal_->takes(job.journal_part()->size_in_journal());
}

void SyncGroup::sync(storage::SyncJob job, const TopicIdPartition& id, Done done) {
    Item item{std::move(job), id, std::move(done)};
    if (!may_be_journaled(item.job)) {
        note_overlap();
        run_alone(std::move(item));
        return;
    }
    waiting_.push_back(std::move(item));
    write_soon();
}

void SyncGroup::file(storage::SyncJob job, const TopicIdPartition& id, Done done) {
    run_alone({std::move(job), id, std::move(done)});
}

void SyncGroup::run_alone(Item item) {
    const auto [place, is_free] = alone_.try_emplace(item.id);
    if (!is_free) {
        place->second.push_back(std::move(item));
        return;
    }
    auto shared = std::make_shared<std::pair<Item, Result<void>>>(std::move(item), Result<void>{});
    doors_.pool->run(
        0, *doors_.loop, [shared] { shared->second = shared->first.job.run(); },
        [weak = weak_from_this(), shared] {
            Item& item = shared->first;
            auto self = weak.lock();
            std::vector<Item> next;
            if (self) {
                next = std::move(self->alone_.extract(item.id).mapped());
            }
            item.done(item.job, shared->second, SyncedIn::files);
            if (self) {
                // First: filing comes again and again.
                for (Item& waited : next) {
                    self->run_alone(std::move(waited));
                }
                self->on_filed(item.id, shared->second);
            }
        });
}

/// At the end of the turn, with whatever else it brings.
void SyncGroup::write_soon() {
    if (writing_ || waiting_.empty() || std::exchange(write_posted_, true)) {
        return;
    }
    doors_.loop->post([weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->write_posted_ = false;
            self->write();
        }
    });
}

void SyncGroup::write() {
    if (writing_ || waiting_.empty()) {
        return;
    }
    writing_ = true;
    auto write = std::make_shared<Write>();
    write->directory = directory_;
    write->journal = journal_;
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    while (count < waiting_.size()) {
        bytes += waiting_[count].job.journal_part()->size_in_journal();
        if (count > 0 && bytes > journal_->write_max()) {
            break;
        }
        ++count;
    }
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    std::move(waiting_.begin(), end, std::back_inserter(write->items));
    waiting_.erase(waiting_.begin(), end);
    doors_.pool->run(
        0, *doors_.loop,
        [write] {
            std::vector<const storage::SyncJob*> jobs;
            for (const Item& item : write->items) {
                jobs.push_back(&item.job);
            }
            write->outcome = write->journal->write(jobs);
        },
        [weak = weak_from_this(), write] {
            if (auto self = weak.lock()) {
                self->on_written(*write);
            }
        });
}

void SyncGroup::on_written(Write& write) {
    writing_ = false;
    const Result<storage::Journal::Written>& outcome = *write.outcome;
    if (outcome) {
        ShardCounts::add(doors_.counts->journal_writes,
                         std::uint64_t{outcome->entries > 0 ? 1U : 0U});
        ShardCounts::add(doors_.counts->journal_bytes, outcome->bytes);
        ShardCounts::add(doors_.counts->journal_entries, std::uint64_t{outcome->entries});
    }
    write_soon();  // Before the answers: what they bring joins those that wait.
    for (std::size_t i = 0; i < write.items.size(); ++i) {
        Item& item = write.items[i];
        if (outcome && !outcome->taken[i]) {
            note_overlap();
            run_alone(std::move(item));
            continue;
        }
        item.done(item.job, outcome ? Result<void>{} : Result<void>(outcome.error()),
                  SyncedIn::journal);
    }
    file_some();
}

// --- Making one ----------------------------------------------------------------------------------

void SyncGroup::note_overlap() {
    if (journal_ || making_ || rules_.bytes == 0 || (alone_.empty() && rules_.after > 0)) {
        return;
    }
    const Instant now = doors_.loop->clock().now();
    if (now - overlaps_since_ > 1s) {
        overlaps_since_ = now;
        overlaps_ = 0;
    }
    if (++overlaps_ >= rules_.after && now >= make_again_ && !directory_->failed() &&
        directory_->journals().is_settled()) {
        overlaps_ = 0;
        making_ = true;
        auto journal = std::make_shared<storage::Journal>(*directory_, rules_.shard, rules_.bytes);
        make(journal);
    }
}

void SyncGroup::make(const std::shared_ptr<storage::Journal>& journal) {
    auto made = std::make_shared<std::optional<Result<bool>>>();
    const Instant begun = doors_.loop->read_clock();
    doors_.pool->run(
        0, *doors_.loop, [journal, made, directory = directory_] { *made = journal->make_more(); },
        [weak = weak_from_this(), journal, made, begun] {
            auto self = weak.lock();
            if (!self) {
                return;
            }
            if (!**made) {
                // It is made to be quick, not needed to be safe.
                MR_LOG(*self->doors_.log, warn, "replication.journal_not_made",
                       field("directory", self->directory_->path()),
                       field("reason", (**made).error().message()));
                self->making_ = false;
                self->make_again_ = self->doors_.loop->clock().now() + make_again_after;
                return;
            }
            if (***made) {
                self->making_ = false;
                self->directory_->journals().add(journal);
                self->journal_ = journal;
                return;
            }
            // The device is everybody's: for each piece it rests three times as long.
            const Duration took = self->doors_.loop->read_clock() - begun;
            self->doors_.loop->after(3 * took, [weak, journal] {
                if (auto again = weak.lock()) {
                    again->make(journal);
                }
            });
        });
}

// --- Room ----------------------------------------------------------------------------------------

void SyncGroup::file_soon(const TopicIdPartition& id) {
    to_file_.insert(id);
    file_some();
}

void SyncGroup::on_filed(const TopicIdPartition& id, const Result<void>& outcome) {
    if (!outcome && runtime::is_shortage(outcome.error())) {
        rests_until_ = doors_.loop->clock().now() + runtime::shortage_pause;
    }
    to_file_.erase(id);
    filing_.erase(id);
    if (journal_) {
        file_some();
    }
}

void SyncGroup::file_some() {
    if (directory_->failed()) {
        return;
    }
    if (doors_.loop->clock().now() < rests_until_) {
        look_again_soon();
        return;
    }
    const auto full = journal_ ? journal_->full(filed_in_a_hurry * 4) : std::nullopt;
    const std::size_t at_once =
        full && full->other_filled > hurries_from ? filed_in_a_hurry : filed_at_once;
    if (full && !freeing_ && journal_->can_be_freed()) {
        freeing_ = true;
        doors_.pool->run(
            0, *doors_.loop,
            [journal = journal_, directory = directory_] {
                (void)journal->free_half().has_value();  // A failure is the directory's.
            },
            [weak = weak_from_this()] {
                if (auto self = weak.lock()) {
                    self->freeing_ = false;
                    self->look_again_soon();
                }
            });
    }
    const auto begin = [&](const TopicIdPartition& id) {
        if (filing_.size() >= at_once || !filing_.insert(id).second) {
            return;
        }
        if (!doors_.file(id)) {
            filing_.erase(id);
        }
    };
    if (full) {
        // Twice as fast as the other half fills: early enough, and no faster than that.
        const double due = 2 * full->other_filled * static_cast<double>(full->logs);
        const double done = static_cast<double>(full->logs - std::min(full->logs, full->left));
        for (const storage::Journal::Log& log : full->unfiled) {
            if (done < due) {
                begin({log.topic_id, log.partition.partition});
            }
        }
    }
    for (auto next = to_file_.begin(); next != to_file_.end() && filing_.size() < at_once;) {
        const auto at = next++;
        begin(*at);
        if (!filing_.contains(*at)) {
            to_file_.erase(at);  // it is gone
        }
    }
    if (!filing_.empty() || freeing_) {
        look_again_soon();
    }
}

/// Who was to be filed may have gone without a word.
void SyncGroup::look_again_soon() {
    if (std::exchange(looking_again_, true)) {
        return;
    }
    const Duration rest = rests_until_ - doors_.loop->clock().now();
    doors_.loop->after(std::max(look_again_after, rest), [weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->looking_again_ = false;
            if (self->doors_.loop->clock().now() >= self->rests_until_) {
                std::erase_if(self->filing_,
                              [&](const TopicIdPartition& id) { return !self->doors_.file(id); });
            }
            self->file_some();
        }
    });
}

}  // namespace millrace::replication
