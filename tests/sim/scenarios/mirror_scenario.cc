// Two whole clusters of one broker each and mirror links between them, under faults of processes
// and wires. `mirror`: the mirror ends with the source's bytes at the source's offsets, never leads
// in an epoch below what it holds, and takes writes once it is promoted, not before. `swap`: the
// roles change and change back, by edits that come in any order while clients write; whatever was
// acknowledged, on either side, is in both logs at the end.
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "record/batch_view.h"
#include "tests/sim/harness/scenario.h"
#include "tests/sim/planted.h"
#include "tests/sim/systems/mirror_driver.h"

namespace millrace::simtest {

namespace {

using mirror::Desired;
using mirror::LocalTopic;
using mirror::Stage;

constexpr std::int32_t pair_partitions = 2;
constexpr Duration pair_good_time = 180s;
constexpr ClusterIndex east = 0;
constexpr ClusterIndex west = 1;

/// What both scenarios stand on: the clusters, a client of both, and links as they are wished.
class Pair {
public:
    Pair(const RunPlan& plan, sim::Simulation& simulation, Random& shape)
        : plan_(plan),
          simulation_(simulation),
          world_(simulation, {"pair", 2, {{east, west, ""}, {west, east, ""}}, {east}}) {
        world_.start(static_cast<std::size_t>(shape.between(1, 2)));
        simulation_.add_node({.name = "driver"}).start([this](runtime::Node& node) {
            auto driver = std::make_unique<MirrorDriver>(node, world_.topology.clusters);
            driver_ = driver.get();
            return driver;
        });
        simulation_.add_invariant("epochs", [this] { return check_epochs(); });
        create();
        keep_applied();
    }

    struct Wish {
        Desired state = Desired::mirroring;
        bool truncate = false;
        std::int64_t bytes_per_second = 0;
    };

protected:
    const DrawnLink& link_into(ClusterIndex cluster) const {
        return world_.topology.links[cluster == west ? 0 : 1];
    }

    std::optional<LocalTopic> topic_at(ClusterIndex cluster) const {
        const metadata::ImagePtr image = world_.image(cluster);
        return image == nullptr ? std::nullopt : mirror::local_topic(*image, topic_);
    }

    /// Follows the other side, as far as metadata tell.
    bool is_in(ClusterIndex cluster, Stage stage) const {
        const auto local = topic_at(cluster);
        const auto link = world_.link(link_into(cluster));
        return local && link && local->link == link->id && local->note.stage == stage &&
               (stage != Stage::promoted ||
                static_cast<std::int32_t>(local->sealed.size()) == local->partitions);
    }

    bool is_same() const {
        for (std::int32_t i = 0; i < pair_partitions; ++i) {
            const auto there = world_.replica(east, topic_, i);
            const auto here = world_.replica(west, topic_, i);
            if (!there || !here || there->high_watermark != here->high_watermark ||
                there->high_watermark != there->end || here->high_watermark != here->end) {
                return false;
            }
        }
        return true;
    }

    std::optional<Buffer> bytes(ClusterIndex cluster, std::int32_t partition) const {
        auto log = world_.read(cluster, topic_, partition);
        return log ? std::optional(std::move(log->bytes)) : std::nullopt;
    }

    /// The same bytes on both sides; otherwise the run has failed.
    std::optional<std::map<std::int32_t, Buffer>> same_bytes() {
        std::map<std::int32_t, Buffer> all;
        for (std::int32_t i = 0; i < pair_partitions; ++i) {
            auto theirs = bytes(east, i);
            const auto ours = bytes(west, i);
            if (!theirs || !ours || *theirs != *ours) {
                simulation_.fail(fmt::format("partition {} differs byte for byte", i));
                return std::nullopt;
            }
            all[i] = *std::move(theirs);
        }
        return all;
    }

    bool has_operations() const { return is_ready_ && next_ < plan_.operations.size(); }
    std::uint32_t next_operation() { return plan_.operations[next_++]; }
    bool all_sent() const { return next_ >= plan_.operations.size(); }

    bool wait_until(const std::function<bool()>& condition) {
        std::uint64_t asked = 0;
        return simulation_.run_until([&] { return ++asked % 64 == 0 && condition(); },
                                     pair_good_time);
    }

    const RunPlan& plan_;
    sim::Simulation& simulation_;
    MirrorWorld world_;
    MirrorDriver* driver_ = nullptr;
    const std::string topic_ = origin_topic(east);
    std::map<ClusterIndex, Wish> wishes_;  ///< Of the link into each cluster.

private:
    void create() {
        driver_->create_topic(east, topic_, pair_partitions, [this](KafkaError error) {
            is_ready_ = error == KafkaError::none || error == KafkaError::topic_already_exists;
            if (!is_ready_) {
                simulation_.in(300ms, [this] { create(); });
            }
        });
    }

    /// As an operator would: each link is applied until it is as wished.
    void keep_applied() {
        for (const auto& [cluster, wish] : wishes_) {
            const app::BrokerView* now = world_.view(cluster);
            if (now != nullptr && now->mirrors != nullptr) {
                mirror::LinkSpec spec = link_into(cluster).spec();
                spec.state = wish.state;
                spec.truncate_existing = wish.truncate;
                spec.bytes_per_second = wish.bytes_per_second;
                now->mirrors->apply(std::move(spec), 0, false,
                                    [](const Result<mirror::Links::Applied>&) {});
            }
        }
        simulation_.in(500ms, [this] { keep_applied(); });
    }

    /// I5: the local leader epoch is never below an epoch of what is stored.
    std::optional<std::string> check_epochs() {
        if (++checks_ % 256 != 0) {
            return std::nullopt;
        }
        for (std::int32_t i = 0; i < pair_partitions; ++i) {
            const auto here = world_.replica(west, topic_, i);
            if (here && here->last_epoch > here->leader_epoch) {
                return fmt::format("partition {} is led in {} and holds a batch of {}", i,
                                   here->leader_epoch, here->last_epoch);
            }
        }
        return std::nullopt;
    }

    std::size_t next_ = 0;  ///< Into plan_.operations.
    std::uint64_t checks_ = 0;
    bool is_ready_ = false;
};

// --- mirror
// ------------------------------------------------------------------------------------------

class MirrorRun : public Pair {
public:
    MirrorRun(const RunPlan& plan, sim::Simulation& simulation, Random& shape)
        : Pair(plan, simulation, shape),
          longest_thought_(std::chrono::milliseconds{shape.between(10, 200)}),
          filler_one_in_(shape.one_in(2) ? 1 : 1 + shape.below(20)) {
        wishes_[west] = {};
        think();
    }

    void finish() {
        if (!wait_until([this] { return all_sent() && is_same(); })) {
            simulation_.fail("the mirror did not arrive in a healthy world");
            return;
        }
        const auto before = same_bytes();
        if (!before) {
            return;
        }
        may_promote_ = true;
        wishes_[west].state = Desired::promoted;
        if (!wait_until([this] { return written_west_ > 0; })) {
            simulation_.fail("a promoted mirror takes no writes");
            return;
        }
        for (const auto& [partition, theirs] : *before) {
            const auto ours = bytes(west, partition);
            if (!ours || ours->size() < theirs.size() ||
                !std::equal(theirs.begin(), theirs.end(), ours->begin())) {
                simulation_.fail("the promotion changed what was mirrored");
            }
        }
    }

    std::uint64_t acknowledged() const { return acknowledged_; }

private:
    void think() {
        const Duration pause{simulation_.random().between(1'000'000, longest_thought_.count())};
        simulation_.in(pause, [this] {
            send_next();
            think();
        });
    }

    void send_next() {
        if (may_promote_) {
            write_west("late", 0);
        } else if (has_operations()) {
            const std::uint32_t operation = next_operation();
            SeededRandom random(sim::derive_seed(plan_.seed, "send", operation));
            const std::size_t filler = random.one_in(filler_one_in_) ? random.below(40'000) : 5;
            const auto partition = static_cast<std::int32_t>(random.below(pair_partitions));
            driver_->produce(
                east, topic_, partition, fmt::format("{}{}", operation, std::string(filler, 'x')),
                [this](KafkaError error, Offset) { acknowledged_ += error == KafkaError::none; });
            if (random.one_in(8)) {
                write_west("too early", partition);
            }
        }
    }

    void write_west(const std::string& value, std::int32_t partition) {
        driver_->produce(west, topic_, partition, value, [this](KafkaError error, Offset) {
            written_west_ += error == KafkaError::none;
            if (error == KafkaError::none && !may_promote_) {
                simulation_.fail("a mirror took a record from a client");
            }
        });
    }

    const Duration longest_thought_;
    const std::uint64_t filler_one_in_;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t written_west_ = 0;
    bool may_promote_ = false;
};

// --- swap
// --------------------------------------------------------------------------------------------

class SwapRun : public Pair {
public:
    SwapRun(const RunPlan& plan, sim::Simulation& simulation, Random& shape)
        : Pair(plan, simulation, shape),
          random_(sim::derive_seed(plan.seed, "edits")),
          longest_thought_(std::chrono::milliseconds{shape.between(20, 150)}),
          limit_(shape.one_in(2) ? slow_link : 0) {
        wishes_[west] = {.bytes_per_second = limit_};
        think();
        go_on();
    }

    void finish() {
        if (!wait_until([this] { return step_ == Step::done && all_sent() && is_same(); })) {
            if (!simulation_.violation()) {
                simulation_.fail(fmt::format("in a healthy world the swap stands still at step {}",
                                             static_cast<int>(step_)));
            }
            return;
        }
        const auto logs = same_bytes();
        if (!logs) {
            return;
        }
        std::multiset<std::string> there;
        for (const auto& [partition, log] : *logs) {
            collect(log, there);
        }
        for (const std::string& value : acknowledged_) {
            if (there.count(value) != 1) {
                simulation_.fail(fmt::format("{} was acknowledged and is there {} times", value,
                                             there.count(value)));
                return;
            }
        }
    }

    std::uint64_t acknowledged() const { return acknowledged_.size(); }

private:
    static constexpr std::int64_t slow_link = 12'000;  ///< What drains takes a while.

    enum class Step { west_follows, west_leads, east_follows, roles_change, done };

    /// The next edit follows what the one before has brought about, at some distance.
    void go_on() {
        bool is_over = false;
        switch (step_) {
            case Step::west_follows:
                is_over = is_in(west, Stage::mirroring);
                break;
            case Step::west_leads:
                wishes_[west].state = Desired::promoted;
                is_over = is_in(west, Stage::promoted);
                break;
            case Step::east_follows:
                wishes_[east] = {.truncate = true, .bytes_per_second = limit_};
                is_over = is_in(east, Stage::mirroring);
                break;
            case Step::roles_change:
                change_roles();
                is_over = is_in(east, Stage::promoted) && is_in(west, Stage::mirroring);
                break;
            case Step::done:
                return;
        }
        if (is_over) {
            step_ = static_cast<Step>(static_cast<int>(step_) + 1);
        }
        simulation_.in(std::chrono::milliseconds{is_over ? random_.between(0, 1500) : 100},
                       [this] { go_on(); });
    }

    /// Two edits, by two people: whoever is first.
    void change_roles() {
        if (std::exchange(are_changing_, true)) {
            return;
        }
        const auto soon = [this] { return std::chrono::milliseconds{random_.between(0, 3000)}; };
        simulation_.in(soon(), [this] { wishes_[east].state = Desired::promoted; });
        simulation_.in(soon(), [this] {
            wishes_[west].state = Desired::mirroring;
            wishes_[west].truncate = true;
        });
    }

    void think() {
        const Duration pause{simulation_.random().between(1'000'000, longest_thought_.count())};
        simulation_.in(pause, [this] {
            if (has_operations()) {
                send(next_operation());
            }
            think();
        });
    }

    /// To both: who leads takes it.
    void send(std::uint32_t operation) {
        SeededRandom random(sim::derive_seed(plan_.seed, "send", operation));
        const std::string filler(random.below(3'000), 'x');
        const auto partition = static_cast<std::int32_t>(random.below(pair_partitions));
        for (const ClusterIndex cluster : {east, west}) {
            const std::string name = fmt::format("c{}-{}", cluster, operation);
            driver_->produce(cluster, topic_, partition, name + " " + filler,
                             [this, name](KafkaError error, Offset) {
                                 if (error == KafkaError::none) {
                                     acknowledged_.insert(name);
                                 }
                             });
        }
    }

    static void collect(const Buffer& log, std::multiset<std::string>& names) {
        record::BatchRange batches{ByteView(log)};
        while (const auto batch = batches.next()) {
            // One record each, whose value nobody compressed.
            const std::string_view text = as_text(batch->bytes());
            const std::size_t at =
                text.find("c0-") == std::string_view::npos ? text.find("c1-") : text.find("c0-");
            if (at != std::string_view::npos) {
                names.emplace(text.substr(at, text.find(' ', at) - at));
            }
        }
    }

    SeededRandom random_;
    const Duration longest_thought_;
    const std::int64_t limit_;  ///< Bytes a second of each link; 0: none.
    Step step_ = Step::west_follows;
    bool are_changing_ = false;
    std::set<std::string> acknowledged_;
};

// --- Scenarios
// ---------------------------------------------------------------------------------------

template <typename Run>
class PairScenario : public Scenario {
public:
    sim::FaultProfile faults() const override {
        sim::FaultProfile profile;
        for (const auto& kinds : {sim::process_faults(), sim::network_faults()}) {
            profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
        }
        // A source that forgets what it had is orphaned, and rightly so: there would be nothing to
        // compare with. What one machine keeps through a power cut is its own scenario's matter.
        std::erase_if(profile.kinds, [](sim::FaultKind kind) {
            return kind == sim::FaultKind::power_cut ||
                   kind == sim::FaultKind::power_cut_in_write || kind == sim::FaultKind::blackout ||
                   kind == sim::FaultKind::empty_disk;
        });
        profile.nodes = {east, west};
        profile.from = 1s;
        profile.until = bad_time() - 2s;
        profile.longest = 2s;
        profile.most = 12;
        return profile;
    }

    Outcome run(const RunPlan& plan) const override {
        plant(plan.bug);
        auto owned = std::make_unique<sim::Simulation>(plan.world());
        sim::Simulation& simulation = *owned;
        for (const char* event : {"raft.halted", "broker.halted", "storage.directory_failed",
                                  "replication.sync_failed", "replication.epoch_not_written",
                                  "replication.log_not_loaded", "broker.log_not_recovered"}) {
            simulation.expect_error(event);  // a machine that dies in the middle of a call
        }
        SeededRandom shape(sim::derive_seed(plan.seed, "shape"));
        Run run(plan, simulation, shape);
        simulation.run_for(bad_time());
        simulation.heal();
        if (!simulation.violation()) {
            run.finish();
        }
        Outcome outcome = Outcome::of(simulation);
        outcome.operations = run.acknowledged();
        owned.reset();  // programs refer to the rest until they are destroyed
        return outcome;
    }

private:
    virtual Duration bad_time() const = 0;
};

class MirrorScenario final : public PairScenario<MirrorRun> {
public:
    std::string_view name() const override { return "mirror"; }
    std::string_view about() const override {
        return "a link between two whole brokers; the same bytes, no early write, a promotion";
    }
    std::uint32_t operations() const override { return 60; }

private:
    Duration bad_time() const override { return 8s; }
};

class SwapScenario final : public PairScenario<SwapRun> {
public:
    std::string_view name() const override { return "swap"; }
    std::string_view about() const override {
        return "a switchover and the way back, edits in any order; nothing acknowledged is lost";
    }
    std::uint32_t operations() const override { return 200; }
    std::vector<std::string> planted_bugs() const override { return {"rejoins_before_the_source"}; }

private:
    Duration bad_time() const override { return 15s; }
};

MR_SCENARIO(MirrorScenario);
MR_SCENARIO(SwapScenario);

}  // namespace

}  // namespace millrace::simtest
