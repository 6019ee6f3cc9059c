// Two to five whole clusters with links as a seed draws them: chains, many into one, everybody and
// everybody under prefixes, rings, edges as they fall. Producers with transactions, groups, deleted
// records, pauses and topics made anew at the sources; faults on all sides; then promotions, one
// link after another. mirror_watch.h says what must hold meanwhile and at the end.
#include <map>
#include <utility>
#include <vector>

#include "record/batch_builder.h"
#include "record/control.h"
#include "tests/sim/harness/scenario.h"
#include "tests/sim/planted.h"
#include "tests/sim/systems/mirror_driver.h"
#include "tests/sim/systems/mirror_watch.h"

namespace millrace::simtest {

namespace {

using mirror::Desired;
using mirror::LocalTopic;
using mirror::Stage;

constexpr std::uint32_t steps = 80;
constexpr Duration bad_time = 10s;
constexpr Duration good_time = 240s;
constexpr int longest_filler = 3'000;
constexpr std::int64_t slow_link = 12'000;  ///< Mirrors stay behind for a while.

std::int32_t partitions_of(ClusterIndex origin) {
    return 1 + static_cast<std::int32_t>(origin % 2);
}

class LinksRun {
public:
    LinksRun(const RunPlan& plan, sim::Simulation& simulation, Topology topology, Random& shape)
        : plan_(plan),
          simulation_(simulation),
          world_(simulation, std::move(topology)),
          watch_(world_, simulation),
          wishes_(world_.topology.links.size()),
          recreates_(shape.one_in(4)),
          archives_(shape.one_in(2)),
          longest_thought_(std::chrono::milliseconds{shape.between(20, 200)}),
          limit_(shape.one_in(3) ? slow_link : 0) {
        world_.start(static_cast<std::size_t>(shape.between(1, 2)));
        simulation_.add_node({.name = "driver"}).start([this](runtime::Node& node) {
            auto driver = std::make_unique<MirrorDriver>(node, world_.topology.clusters);
            driver_ = driver.get();
            return driver;
        });
        simulation_.add_invariant("links", [this] { return watch_.check(); });
        for (const ClusterIndex origin : world_.topology.origins) {
            create(origin);
        }
        keep_applied();
        think();
        look_deep();
        if (recreates_) {
            simulation_.in(3s, [this] { make_anew(*world_.topology.origins.begin()); });
        }
    }

    void run_bad_time() { simulation_.run_for(bad_time); }

    /// In a healthy world: everything arrives, stands still, obeys, and is promoted.
    void finish() {
        settle("before the promotions") && check_at_rest() && check_groups() && stands_still() &&
            obeys_pauses() && promote_all();
    }

    std::uint64_t acknowledged() const { return acknowledged_; }

private:
    struct Wish {
        Desired state = Desired::mirroring;
        mirror::Promotion promotion = mirror::Promotion::planned;
    };

    // --- The world ---

    void create(ClusterIndex origin) {
        driver_->create_topic(
            origin, origin_topic(origin), partitions_of(origin), [this, origin](KafkaError error) {
                if (error == KafkaError::none || error == KafkaError::topic_already_exists) {
                    ready_.insert(origin);
                } else {
                    simulation_.in(300ms, [this, origin] { create(origin); });
                }
            });
    }

    /// Nobody writes while it is gone: what is under way would land in either.
    void make_anew(ClusterIndex origin) {
        ready_.erase(origin);
        simulation_.in(4s, [this, origin] { remove(origin); });
    }

    void remove(ClusterIndex origin) {
        driver_->delete_topic(origin, origin_topic(origin), [this, origin](KafkaError error) {
            if (error == KafkaError::none || error == KafkaError::unknown_topic_or_partition) {
                ++incarnation_[origin];
                create(origin);
            } else {
                simulation_.in(300ms, [this, origin] { remove(origin); });
            }
        });
    }

    /// As operators would: every link is applied until it is as wished.
    void keep_applied() {
        for (std::size_t i = 0; i < wishes_.size(); ++i) {
            const DrawnLink& drawn = world_.topology.links[i];
            const app::BrokerView* now = world_.view(drawn.to);
            if (now != nullptr && now->mirrors != nullptr) {
                mirror::LinkSpec spec = drawn.spec();
                spec.state = wishes_[i].state;
                spec.promotion = wishes_[i].promotion;
                spec.bytes_per_second = limit_;
                spec.on_source_recreated =
                    archives_ ? mirror::Reaction::archive_and_restart : mirror::Reaction::halt;
                now->mirrors->apply(std::move(spec), 0, false,
                                    [](const Result<mirror::Links::Applied>&) {});
            }
        }
        simulation_.in(500ms, [this] { keep_applied(); });
    }

    void look_deep() {
        if (auto broken = watch_.check_logs()) {
            simulation_.fail(*broken);
        }
        look_at_groups();
        simulation_.in(1s, [this] { look_deep(); });
    }

    // --- What clients do ---

    void think() {
        const Duration pause{simulation_.random().between(1'000'000, longest_thought_.count())};
        simulation_.in(pause, [this] {
            if (!ready_.empty() && next_ < plan_.operations.size()) {
                act(plan_.operations[next_++]);
            }
            think();
        });
    }

    ClusterIndex some_origin(Random& random) const {
        auto at = ready_.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random.below(ready_.size())));
        return *at;
    }

    void act(std::uint32_t operation) {
        SeededRandom random(sim::derive_seed(plan_.seed, "operation", operation));
        const ClusterIndex origin = some_origin(random);
        const auto partition = static_cast<std::int32_t>(
            random.below(static_cast<std::uint64_t>(partitions_of(origin))));
        const std::uint64_t kind = random.below(20);
        if (kind < 8) {
            send(origin, partition, operation, random);
        } else if (kind < 12) {
            transact(origin, partition, operation, random);
        } else if (kind < 14) {
            write_too_early(random);
        } else if (kind == 14) {
            rewind(origin, partition, random);
        } else if (kind == 15) {
            use_here(random);
        } else if (kind == 16) {
            look_at_groups();
        } else if (kind == 17) {
            delete_records(origin, partition, random);
        } else {
            pause_some(random);
            send(origin, partition, operation, random);
        }
    }

    void send(ClusterIndex origin, std::int32_t partition, std::uint32_t operation,
              Random& random) {
        const int incarnation = incarnation_[origin];
        driver_->produce(
            origin, origin_topic(origin), partition,
            value_text({operation, false}, random.below(longest_filler)),
            [this, origin, partition, incarnation, operation](KafkaError error, Offset base) {
                if (error == KafkaError::none) {
                    ++acknowledged_;
                    commit_at(origin, partition, base + 1);
                    if (ready_.contains(origin) && incarnation == incarnation_[origin]) {
                        watch_.landed(operation, incarnation);
                    }
                }
            });
    }

    /// As a transaction coordinator would have it written; some it never ends.
    void transact(ClusterIndex origin, std::int32_t partition, std::uint32_t operation,
                  Random& random) {
        const std::uint64_t fate = random.below(3);
        const ProducerId producer{1000 + static_cast<std::int64_t>(operation)};
        record::BatchBuilder builder({.producer_id = producer,
                                      .producer_epoch = ProducerEpoch{0},
                                      .base_sequence = 0,
                                      .is_transactional = true});
        const std::string value = value_text({operation, true}, random.below(longest_filler));
        builder.append({.timestamp = 1'700'000'000'000, .key = {}, .value = as_bytes(value)});
        const auto id = append(origin, partition, builder.finish(), Uuid{});
        if (!id) {
            return;
        }
        watch_.landed(operation, incarnation_[origin]);
        if (fate == 0) {
            watch_.to_commit(operation);
        }
        if (fate < 2) {
            const auto type = fate == 0 ? record::ControlType::commit : record::ControlType::abort;
            const Duration later{random.between(0, 4'000'000'000)};
            simulation_.in(later, [this, origin, partition, producer, type, id] {
                end_transaction(origin, partition, producer, type, *id);
            });
        }
    }

    void end_transaction(ClusterIndex origin, std::int32_t partition, ProducerId producer,
                         record::ControlType type, Uuid topic) {
        const auto known = world_.replica(origin, origin_topic(origin), partition);
        if (known && known->id.topic_id != topic) {
            return;
        }
        Buffer marker = record::end_transaction_batch(producer, ProducerEpoch{0}, {.type = type},
                                                      1'700'000'000'000);
        if (!append(origin, partition, std::move(marker), topic)) {
            simulation_.in(200ms, [this, origin, partition, producer, type, topic] {
                end_transaction(origin, partition, producer, type, topic);
            });
        }
    }

    /// Into the leader's log, on its loop. The topic's id, or none while nobody leads it.
    std::optional<Uuid> append(ClusterIndex origin, std::int32_t partition, Buffer batch,
                               Uuid wanted) {
        const auto facts = world_.replica(origin, origin_topic(origin), partition);
        if (!facts || (!wanted.is_zero() && facts->id.topic_id != wanted)) {
            return std::nullopt;
        }
        const replication::Replicas& replicas = *world_.view(origin)->doors->replicas;
        replicas.on_shard(
            replicas.shard_of(facts->id),
            [id = facts->id, batch = std::move(batch)](replication::ShardReplicas& shard) mutable {
                replication::Append append;
                append.id = id;
                append.batch = batch;
                append.acks = 1;
                append.origin = replication::Origin::coordinator;
                append.done = [](const replication::AppendResult&) {};
                shard.append(std::move(append));
            });
        return facts->id.topic_id;
    }

    struct Mirror {
        ClusterIndex cluster;
        LocalTopic topic;
    };
    std::optional<Mirror> some_mirror(Random& random) const {
        std::vector<Mirror> all;
        for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
            for (LocalTopic& local : world_.mirrors(i)) {
                if (local.note.stage != Stage::promoted) {
                    all.push_back({i, std::move(local)});
                }
            }
        }
        return all.empty() ? std::nullopt : std::optional(std::move(all[random.below(all.size())]));
    }

    /// I3, whatever state the mirror is in.
    void write_too_early(Random& random) {
        if (const auto mirror = some_mirror(random); mirror && !promoting_) {
            driver_->produce(mirror->cluster, mirror->topic.name, 0, "too early",
                             [this, name = mirror->topic.name](KafkaError error, Offset) {
                                 if (error == KafkaError::none && !promoting_) {
                                     simulation_.fail("I3: the mirror " + name + " took a record");
                                 }
                             });
        }
    }

    /// A consumer that is always up to date, but for when it rewinds.
    void commit_at(ClusterIndex origin, std::int32_t partition, Offset offset) {
        driver_->commit(origin, "g", {origin_topic(origin), PartitionIndex{partition}}, offset,
                        [](KafkaError) {});
    }

    void rewind(ClusterIndex origin, std::int32_t partition, Random& random) {
        if (const auto facts = world_.replica(origin, origin_topic(origin), partition)) {
            commit_at(origin, partition, Offset{random.between(0, facts->high_watermark.value)});
        }
    }

    /// A group of its own for each mirror: used there first, then at the source.
    void use_here(Random& random) {
        const auto mirror = some_mirror(random);
        const DrawnLink* drawn = mirror ? watch_.owner(mirror->cluster, mirror->topic) : nullptr;
        const auto source =
            drawn != nullptr ? drawn->spec().source_name(mirror->topic.name) : std::nullopt;
        if (!source || mirror::is_archive(mirror->topic)) {
            return;
        }
        const std::string group = fmt::format("used-c{}-{}", mirror->cluster, mirror->topic.name);
        driver_->commit(mirror->cluster, group, {mirror->topic.name, PartitionIndex{0}}, Offset{0},
                        [this, group, at = mirror->cluster, from = drawn->from,
                         there = *source](KafkaError error) {
                            if (error == KafkaError::none) {
                                used_.emplace(group, at);
                                driver_->commit(from, group, {there, PartitionIndex{0}}, Offset{1},
                                                [](KafkaError) {});
                            }
                        });
    }

    /// I8: what is committed on a mirror is mirrored.
    void look_at_groups() {
        for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
            driver_->fetch_offsets(i, "g", [this, i](const mirror::GroupOffsets& offsets) {
                for (const auto& [place, offset] : offsets) {
                    const auto facts = world_.replica(i, place.topic, place.partition.value);
                    if (facts && offset.offset > facts->end && !recreates_) {
                        simulation_.fail(fmt::format("I8: c{} {}-{} is committed at {} of {}", i,
                                                     place.topic, place.partition, offset.offset,
                                                     facts->end));
                    }
                }
            });
        }
    }

    void delete_records(ClusterIndex origin, std::int32_t partition, Random& random) {
        const auto facts = world_.replica(origin, origin_topic(origin), partition);
        if (facts && facts->high_watermark > facts->start) {
            driver_->delete_records(
                origin, origin_topic(origin), partition,
                random.one_in(2)
                    ? facts->high_watermark
                    : Offset{random.between(facts->start.value, facts->high_watermark.value)});
        }
    }

    void pause_some(Random& random) {
        Wish& wish = wishes_[random.below(wishes_.size())];
        if (wish.state == Desired::mirroring && !promoting_) {
            wish.state = Desired::paused;
            const Duration time = std::chrono::milliseconds{random.between(500, 3'000)};
            simulation_.in(time, [&wish] {
                if (wish.state == Desired::paused) {
                    wish.state = Desired::mirroring;
                }
            });
        }
    }

    // --- In a healthy world ---

    bool wait_until(const std::function<bool()>& condition, Duration limit = good_time) {
        std::uint64_t asked = 0;
        return simulation_.run_until([&] { return ++asked % 256 == 0 && condition(); }, limit);
    }

    bool fails(const std::string& what) {
        simulation_.fail(what);
        return false;
    }

    bool settle(const std::string& when) {
        const auto done = [this] {
            return next_ >= plan_.operations.size() &&
                   ready_.size() == world_.topology.origins.size() && !watch_.unsettled();
        };
        return wait_until(done) ||
               (!simulation_.violation() &&
                fails(fmt::format("{}: {}", when, watch_.unsettled().value_or("operations left"))));
    }

    bool check_at_rest() {
        auto broken = watch_.check_logs();
        if (!broken) {
            broken = watch_.check_losses();
        }
        if (!broken) {
            broken = watch_.check_undecided();
        }
        return !broken || fails(*broken);
    }

    /// I9, and that positions arrive: what was committed at the source, within what is mirrored.
    bool check_groups() {
        for (const auto& [group, at] : used_) {
            driver_->fetch_offsets(at, group, [this, group = group](const auto& offsets) {
                for (const auto& [place, offset] : offsets) {
                    const bool is_its_own =
                        group.ends_with("-" + place.topic) && place.partition == PartitionIndex{0};
                    if (is_its_own && !recreates_ &&
                        (offset.offset != Offset{0} || offset.metadata.starts_with("mirror:"))) {
                        simulation_.fail("I9: a link wrote " + group);
                    }
                }
            });
        }
        look_at_groups();
        return simulation_.run_for(5s);
    }

    /// I17: once all is as it shall be, nothing is written any more.
    bool stands_still() {
        const std::string before = watch_.settings();
        if (!simulation_.run_for(10s)) {
            return false;
        }
        return before == watch_.settings() || fails("I17: settings change though nothing does");
    }

    /// I18: what is paused changes nothing, and loses nothing.
    bool obeys_pauses() {
        for (Wish& wish : wishes_) {
            wish.state = Desired::paused;
        }
        if (!wait_until([this] { return are_paused(); })) {
            return !simulation_.violation() && fails("a link is not paused");
        }
        simulation_.run_for(1s);  // what was under way
        const auto before = watch_.ends();
        send_some("P900");
        simulation_.run_for(3s);
        if (simulation_.violation() || before != watch_.ends()) {
            return !simulation_.violation() && fails("I18: a paused mirror moves");
        }
        for (Wish& wish : wishes_) {
            wish.state = Desired::mirroring;
        }
        return settle("after a pause") && check_at_rest();
    }

    bool are_paused() const {
        for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
            for (const LocalTopic& local : world_.mirrors(i)) {
                if (local.note.stage == Stage::mirroring) {
                    return false;
                }
            }
        }
        return true;
    }

    void send_some(const std::string& text) {
        for (const ClusterIndex origin : ready_) {
            driver_->produce(origin, origin_topic(origin), 0, text, [](KafkaError, Offset) {});
        }
    }

    /// One link after another, each by one edit, in some order, with a death in between (I14); what
    /// still follows one that was promoted follows it on (I22).
    bool promote_all() {
        promoting_ = true;
        watch_.note_promotions();
        SeededRandom random(sim::derive_seed(plan_.seed, "promotions"));
        std::vector<std::size_t> order(wishes_.size());
        for (std::size_t i = 0; i < order.size(); ++i) {
            order[i] = i;
            std::swap(order[i], order[random.below(i + 1)]);
        }
        for (const std::size_t i : order) {
            if (!promote(i, random)) {
                return false;
            }
        }
        return true;
    }

    bool promote(std::size_t index, Random& random) {
        const DrawnLink& drawn = world_.topology.links[index];
        wishes_[index] = {Desired::promoted, random.one_in(2) ? mirror::Promotion::forced
                                                              : mirror::Promotion::planned};
        if (random.one_in(2)) {
            simulation_.run_for(std::chrono::milliseconds{random.between(1, 1500)});
            simulation_.node(drawn.to).kill();
            simulation_.run_for(300ms);
            simulation_.node(drawn.to).restart();
        }
        if (!wait_until([&] { return is_promoted(drawn); })) {
            return !simulation_.violation() &&
                   fails(fmt::format("c{} {} is not promoted\n{}", drawn.to, drawn.name(),
                                     watch_.ends().value_or("")));
        }
        const auto link = world_.link(drawn);
        for (const LocalTopic& local : world_.mirrors(drawn.to)) {
            if (link && local.link == link->id && !mirror::is_archive(local) &&
                !write_late(drawn.to, local)) {
                return false;
            }
        }
        return settle("after a promotion") && check_at_rest();
    }

    bool is_promoted(const DrawnLink& drawn) const {
        const auto link = world_.link(drawn);
        if (!link) {
            return false;
        }
        for (const LocalTopic& local : world_.mirrors(drawn.to)) {
            if (local.link == link->id && !mirror::is_archive(local) &&
                (local.note.stage != Stage::promoted ||
                 static_cast<std::int32_t>(local.sealed.size()) != local.partitions)) {
                return false;
            }
        }
        return true;
    }

    /// I4: what was promoted takes records, behind what was mirrored.
    bool write_late(ClusterIndex cluster, const LocalTopic& topic) {
        auto written = std::make_shared<std::optional<Offset>>();
        const std::function<void()> ask = [this, cluster, name = topic.name, written] {
            driver_->produce(cluster, name, 0, "late", [written](KafkaError error, Offset base) {
                if (error == KafkaError::none) {
                    *written = base;
                }
            });
        };
        for (int attempt = 0; attempt < 50 && !*written; ++attempt) {
            ask();
            if (!wait_until([&] { return written->has_value(); }, 1s) && simulation_.violation()) {
                return false;
            }
        }
        const auto sealed = topic.sealed.find(PartitionIndex{0});
        if (!*written) {
            return fails(
                fmt::format("c{} {} was promoted and takes no writes", cluster, topic.name));
        }
        return **written >= sealed->second.end ||
               fails(fmt::format("I4: {} is written at {}, mirrored up to {}", topic.name,
                                 **written, sealed->second.end));
    }

    const RunPlan& plan_;
    sim::Simulation& simulation_;
    MirrorWorld world_;
    MirrorWatch watch_;
    MirrorDriver* driver_ = nullptr;
    std::vector<Wish> wishes_;
    const bool recreates_;
    const bool archives_;
    const Duration longest_thought_;
    const std::int64_t limit_;      ///< Bytes a second of every link; 0: none.
    std::set<ClusterIndex> ready_;  ///< Origins whose topic is there.
    std::map<ClusterIndex, int> incarnation_;
    std::map<std::string, ClusterIndex> used_;
    std::size_t next_ = 0;  ///< Into plan.operations.
    std::uint64_t acknowledged_ = 0;
    bool promoting_ = false;
};

class LinksScenario final : public Scenario {
public:
    std::string_view name() const override { return "links"; }
    std::string_view about() const override {
        return "two to five clusters with links as they fall; every promise of a mirror";
    }
    std::uint32_t operations() const override { return steps; }

    sim::FaultProfile faults() const override {
        sim::FaultProfile profile;
        for (const auto& kinds : {sim::process_faults(), sim::network_faults()}) {
            profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
        }
        // As in `mirror`: what a source keeps through a power cut is another scenario's matter.
        std::erase_if(profile.kinds, [](sim::FaultKind kind) {
            return kind == sim::FaultKind::power_cut ||
                   kind == sim::FaultKind::power_cut_in_write || kind == sim::FaultKind::blackout ||
                   kind == sim::FaultKind::empty_disk;
        });
        profile.nodes = {0, 1, 2, 3, 4};
        profile.from = 1s;
        profile.until = bad_time - 2s;
        profile.longest = 2s;
        profile.most = 12;
        return profile;
    }

    std::vector<std::string> planted_bugs() const override {
        return {"provenance_unchecked", "gaps_unreported", "groups_beyond_the_mirror",
                "paused_links_pull", "open_transactions_survive"};
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
        Topology topology = Topology::draw(shape);
        simulation.note(nullptr,
                        fmt::format("{} of {} clusters", topology.kind, topology.clusters));
        LinksRun links(plan, simulation, std::move(topology), shape);
        links.run_bad_time();
        simulation.heal();
        if (!simulation.violation()) {
            links.finish();
        }
        Outcome outcome = Outcome::of(simulation);
        outcome.operations = links.acknowledged();
        owned.reset();  // programs refer to the rest until they are destroyed
        return outcome;
    }
};

MR_SCENARIO(LinksScenario);

}  // namespace

}  // namespace millrace::simtest
