// A source that elects, loses, retains and compacts as it likes; a mirror that is restarted, and
// whose answers come late, twice or never. After every step the mirror holds a prefix of a history
// that the source had, and every record that it lacks is in a report.
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/random.h"
#include "mirror/partition_core.h"

namespace millrace::mirror {
namespace {

struct Batch {
    Offset base;
    Offset end;
    LeaderEpoch epoch;
    std::uint64_t content;
};

/// A log as both sides have one: batches with holes between them.
struct ModelLog {
    Offset start{0};
    Offset end{0};
    std::vector<Batch> batches;
    storage::LeaderEpochCache epochs;

    void append(const Batch& batch) {
        batches.push_back(batch);
        epochs.assign(batch.epoch, batch.base);
        end = batch.end;
    }
    void cut(Offset at) {
        while (!batches.empty() && batches.back().end > at) {
            end = batches.back().base;
            batches.pop_back();
        }
        end = std::min(end, at);
        epochs.truncate_from_end(end);
    }
    void advance(Offset to) {
        start = std::max(start, std::min(to, end));
        std::erase_if(batches, [&](const Batch& batch) { return batch.end <= start; });
        epochs.truncate_from_start(start);
    }
    void start_over(Offset at) {
        batches.clear();
        epochs.clear();
        start = end = at;
    }
};

class World {
public:
    explicit World(std::uint64_t seed) : random_(seed) {}

    void step() {
        switch (random_.below(12)) {
            case 0:
            case 1:
            case 2:
            case 3:
                produce();
                break;
            case 4:
                ++epoch_.value;  // a clean election
                break;
            case 5:
                unclean_election();
                break;
            case 6:
                retain();
                break;
            case 7:
                compact();
                break;
            case 8:
                replay_old_answer();
                break;
            default:
                pull();
                break;
        }
        check();
    }

    /// With a source that stands still the mirror arrives, unless it has halted for good reason.
    void settle() {
        for (int i = 0; i < 60 && !halted_; ++i) {
            pull();
        }
        if (!halted_) {
            EXPECT_EQ(mirror_.end, source_.end);
        }
        check();
    }

    bool halted() const { return halted_; }
    std::int64_t taken_over() const { return taken_over_; }

private:
    LogFacts facts() const {
        return {mirror_.start, mirror_.end, mirror_.end, local_epoch_, &mirror_.epochs};
    }

    void produce() {
        for (std::uint64_t left = 1 + random_.below(3); left > 0; --left) {
            const Offset base = source_.end;
            source_.append({base, base + random_.between(1, 5), epoch_, random_.next()});
        }
        remember();
    }
    void unclean_election() {
        ++epoch_.value;
        if (source_.end > source_.start) {
            source_.cut(source_.start + random_.between(1, source_.end - source_.start));
        }
        produce();
    }
    void retain() {
        if (source_.end > source_.start) {
            source_.advance(source_.start + random_.between(0, source_.end - source_.start));
        }
    }
    void compact() {
        for (std::size_t i = 0; i + 1 < source_.batches.size(); ++i) {
            if (random_.one_in(6)) {
                source_.batches.erase(source_.batches.begin() + static_cast<std::ptrdiff_t>(i));
                return;
            }
        }
    }
    void remember() {
        for (const Batch& batch : source_.batches) {
            ever_[batch.base].insert(batch.content);
        }
    }

    struct Reply {
        SourceFetched fetched;
        std::vector<Batch> batches;
    };

    Reply ask() {
        Reply reply;
        SourceFetched& answer = reply.fetched;
        answer.asked_from = mirror_.end;
        answer.high_watermark = source_.end;
        answer.log_start = source_.start;
        const LeaderEpoch last = PartitionCore::last_epoch(facts());
        if (last != no_leader_epoch) {
            const auto end = source_.epochs.end_offset_for(last, source_.end);
            if (end.end == no_offset) {
                answer.error = KafkaError::offset_out_of_range;
                return reply;
            }
            if (end.epoch < last || end.end < mirror_.end) {
                answer.diverging = replication::DivergingEpoch{end.epoch, end.end};
                return reply;
            }
        }
        if (mirror_.end < source_.start || mirror_.end > source_.end) {
            answer.error = KafkaError::offset_out_of_range;
            return reply;
        }
        for (const Batch& batch : source_.batches) {
            if (batch.end > mirror_.end && reply.batches.size() < 3) {
                reply.batches.push_back(batch);
            }
        }
        if (!reply.batches.empty()) {
            answer.bytes = reply.batches.size();
            answer.first_base = reply.batches.front().base;
            answer.first_end = reply.batches.front().end;
        }
        return reply;
    }

    void pull() {
        const Reply reply = ask();
        if (random_.one_in(4)) {
            old_.push_back(reply);
        }
        if (!random_.one_in(8)) {  // else it got lost
            deliver(reply);
        }
    }
    void replay_old_answer() {
        if (!old_.empty()) {
            deliver(old_[random_.below(old_.size())]);
        }
    }
    void deliver(const Reply& reply) {
        if (!halted_) {
            run(core_.on_fetched(reply.fetched, facts()), reply);
        }
    }

    void run(const PartitionEffects& effects, const Reply& reply) {
        for (const PartitionEffect& effect : effects) {
            if (const auto* report = std::get_if<Report>(&effect)) {
                for (Offset at = report->from; at < report->to; at = at + 1) {
                    reported_.insert(at);
                }
            } else if (const auto* start = std::get_if<StartAt>(&effect)) {
                mirror_.start_over(start->start);
            } else if (const auto* aside = std::get_if<SetAside>(&effect)) {
                aside_ = *aside;
            } else if (const auto* cut = std::get_if<CutAt>(&effect)) {
                ASSERT_EQ(aside_, (SetAside{cut->end, mirror_.end}));  // I15: cut and kept is all
                mirror_.cut(cut->end);
            } else if (const auto* follow = std::get_if<FollowStart>(&effect)) {
                mirror_.advance(follow->to);
            } else if (std::holds_alternative<TakeOver>(effect)) {
                take_over(reply);
            } else if (const auto* raise = std::get_if<RaiseEpoch>(&effect)) {
                local_epoch_ = raise->to;
            } else if (std::holds_alternative<AskRange>(effect)) {
                run(core_.on_range(source_.start, source_.end, facts()), reply);
            } else if (const auto* question = std::get_if<AskEpochEnd>(&effect)) {
                const auto end = source_.epochs.end_offset_for(question->epoch, source_.end);
                run(core_.on_epoch_end(question->epoch, end.epoch, end.end, facts()), reply);
            } else if (std::holds_alternative<Halt>(effect)) {
                halted_ = true;
            }
        }
    }

    void take_over(const Reply& reply) {
        replication::MirrorAppended appended;
        for (const Batch& batch : reply.batches) {
            if (batch.base < mirror_.end) {
                continue;
            }
            if (batch.epoch > local_epoch_) {
                appended.epoch_needed = batch.epoch;
                break;
            }
            mirror_.append(batch);
            ++appended.batches;
            ++taken_over_;
        }
        run(core_.on_appended(appended, reply.fetched), reply);
    }

    void check() const {
        Offset before = no_offset;
        for (const Batch& batch : mirror_.batches) {
            ASSERT_GE(batch.base, before);         // I2: offsets only grow
            ASSERT_LE(batch.epoch, local_epoch_);  // I5
            const auto known = ever_.find(batch.base);
            ASSERT_TRUE(known != ever_.end() && known->second.contains(batch.content));  // I1
            before = batch.end;
        }
        check_nothing_lost_in_silence();
    }

    /// I10: what the source has below our end and above our start, we have, or it was reported.
    void check_nothing_lost_in_silence() const {
        if (halted_ || !agrees()) {
            return;
        }
        std::set<std::uint64_t> ours;
        for (const Batch& batch : mirror_.batches) {
            ours.insert(batch.content);
        }
        for (const Batch& batch : source_.batches) {
            if (batch.end <= mirror_.end && batch.base >= mirror_.start) {
                ASSERT_TRUE(ours.contains(batch.content) || reported_.contains(batch.base));
            }
        }
    }
    bool agrees() const {
        const LeaderEpoch last = PartitionCore::last_epoch(facts());
        if (last == no_leader_epoch) {
            return true;
        }
        const auto end = source_.epochs.end_offset_for(last, source_.end);
        return end.epoch == last && end.end >= mirror_.end;
    }

    SeededRandom random_;
    ModelLog source_;
    ModelLog mirror_;
    LeaderEpoch epoch_{0};
    LeaderEpoch local_epoch_{0};
    PartitionCore core_{PartitionPolicy{}};
    std::vector<Reply> old_;
    std::map<Offset, std::set<std::uint64_t>> ever_;
    std::set<Offset> reported_;
    SetAside aside_{};
    bool halted_ = false;
    std::int64_t taken_over_ = 0;
};

TEST(MirrorModel, holds_a_prefix_of_the_sources_history_whatever_happens) {
    int halted = 0;
    std::int64_t taken_over = 0;
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        SCOPED_TRACE(seed);
        World world(seed);
        for (int i = 0; i < 150; ++i) {
            world.step();
            if (testing::Test::HasFailure()) {
                return;
            }
        }
        world.settle();
        halted += world.halted() ? 1 : 0;
        taken_over += world.taken_over();
    }
    EXPECT_GT(taken_over, 3'000);
    EXPECT_LT(halted, 75);  // only where nothing was left in common
}

}  // namespace
}  // namespace millrace::mirror
