// Two whole clusters of one broker each and a mirror link between them: whatever happens to
// processes, wires and disks, the mirror ends with the source's bytes at the source's offsets,
// never leads in an epoch below what it holds, and takes writes once it is promoted, not before.
#include <map>
#include <vector>

#include "app/broker.h"
#include "app/internal/broker_view.h"
#include "client/cluster.h"
#include "config/config.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "record/batch_builder.h"
#include "tests/sim/harness/scenario.h"

namespace millrace::simtest {

namespace {

constexpr std::uint32_t sends = 60;
constexpr std::int32_t partitions = 2;
constexpr Duration bad_time = 8s;
constexpr Duration good_time = 180s;
constexpr Duration call_limit = 3s;
constexpr std::uint32_t east = 0;
constexpr std::uint32_t west = 1;
constexpr std::string_view topic = "t";

std::string settings_of(std::uint32_t node) {
    const std::string_view name = node == east ? "east" : "west";
    return fmt::format(
        "node.id=1\nprocess.roles=broker,controller\n"
        "listeners=PLAINTEXT://{0}:9092,CONTROLLER://{0}:9093\n"
        "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@{0}:9093\n"
        "cluster.id=SimulatedCluster{0}xx\nlog.dirs=/data\nlog.retention.ms=-1\n",
        name);
}

/// The production broker as a machine's program; only the gRPC and metrics edges are missing.
class MirrorBroker final : public sim::Program {
public:
    MirrorBroker(runtime::Node& node, const std::string& settings,
                 std::function<void(std::string)> on_failed) {
        const config::Loaded loaded = config::load({.text = settings});
        MR_ASSERT(loaded.errors.empty());
        app::BrokerOptions options;
        options.given = loaded.given;
        auto made = app::Broker::make(std::move(options), node,
                                      [on_failed](const Error& why) { on_failed(why.message()); });
        if (!made) {
            on_failed(made.error().message());
            return;
        }
        broker_ = *std::move(made);
        view_ = std::make_unique<app::BrokerView>(broker_->view());
    }

    void stop(runtime::Task stopped) override {
        if (!broker_) {
            stopped();
            return;
        }
        broker_->drain(std::move(stopped));
    }
    const app::BrokerView* view() const { return view_.get(); }
    bool is_ready() const { return broker_ && broker_->is_ready(); }

private:
    std::unique_ptr<app::Broker> broker_;
    std::unique_ptr<app::BrokerView> view_;
};

struct Run {
    explicit Run(const RunPlan& the_plan) : plan(the_plan), simulation(plan.world()) {
        SeededRandom random(sim::derive_seed(plan.seed, "shape"));
        longest_thought = std::chrono::milliseconds{random.between(10, 200)};
        filler_one_in = random.one_in(2) ? 1 : 1 + random.below(20);
        data_shards = static_cast<std::size_t>(random.between(1, 2));
        simulation.add_invariant("epochs", [this] { return check_epochs(); });
    }

    const app::BrokerView* view(std::uint32_t node) {
        auto* program = static_cast<MirrorBroker*>(simulation.node(node).program());
        return program == nullptr || !program->is_ready() ? nullptr : program->view();
    }

    std::optional<replication::ShardReplicas::View> replica(std::uint32_t node,
                                                            std::int32_t partition) {
        const app::BrokerView* now = view(node);
        if (now == nullptr) {
            return std::nullopt;
        }
        const auto image = now->doors->image->current();
        const metadata::Topic* found = image->topics.find(topic);
        if (found == nullptr) {
            return std::nullopt;
        }
        const TopicIdPartition id{found->id, PartitionIndex{partition}};
        return now->doors->replicas->here(now->doors->replicas->shard_of(id)).view(id);
    }

    /// I5: the local leader epoch is never below an epoch of what is stored.
    std::optional<std::string> check_epochs() {
        if (++asked % 256 != 0) {
            return std::nullopt;
        }
        for (std::int32_t i = 0; i < partitions; ++i) {
            const auto here = replica(west, i);
            if (here && here->is_leader && here->last_epoch > here->leader_epoch) {
                return fmt::format("partition {} is led in {} and holds a batch of {}", i,
                                   here->leader_epoch, here->last_epoch);
            }
        }
        return std::nullopt;
    }

    /// Everything committed, as it lies in the files; none if it can't be read now.
    std::optional<Buffer> bytes(std::uint32_t node, std::int32_t partition) {
        const app::BrokerView* now = view(node);
        const auto facts = replica(node, partition);
        if (now == nullptr || !facts || !facts->is_leader) {
            return std::nullopt;
        }
        auto& shard = now->doors->replicas->here(now->doors->replicas->shard_of(facts->id));
        Buffer all;
        replication::FetchPosition position;
        position.id = facts->id;
        position.from = facts->start;
        position.max_bytes = 1 << 30;
        while (position.from < facts->high_watermark) {
            auto results = shard.fetch({position}, {}, 1 << 30);
            const storage::ReadSlice& slice = results.front().slice;
            if (results.front().error != KafkaError::none || slice.empty()) {
                return std::nullopt;
            }
            const std::size_t had = all.size();
            all.resize(had + slice.length);
            const auto got = slice.file->read_at(slice.position, MutableBytes(all).subspan(had));
            if (!got || *got != slice.length) {
                return std::nullopt;
            }
            record::BatchRange range(ByteView(all).subspan(had));
            while (const auto batch = range.next()) {
                position.from = batch->next_offset();
            }
        }
        return all;
    }

    bool is_same() {
        for (std::int32_t i = 0; i < partitions; ++i) {
            const auto there = replica(east, i);
            const auto here = replica(west, i);
            if (!there || !here || there->high_watermark != here->high_watermark ||
                here->high_watermark != here->end) {
                return false;
            }
        }
        return true;
    }

    const RunPlan& plan;
    Duration longest_thought{};
    std::uint64_t filler_one_in = 1;
    std::size_t data_shards = 1;
    std::size_t next = 0;  ///< Into plan.operations.
    std::uint64_t asked = 0;
    std::uint64_t acknowledged = 0;
    std::int64_t written_west = 0;
    std::int64_t refused_west = 0;
    bool may_promote = false;
    bool is_promoted = false;
    sim::Simulation simulation;  // Last: programs refer to the rest until they are destroyed.
};

/// Makes the topic, produces to the source, and tries the mirror as well.
class DriverProgram final : public sim::Program {
public:
    DriverProgram(Run& run, runtime::Node& node)
        : run_(run),
          shard_(node.control_shard()),
          east_({.bootstrap = {{"east", 9092}}}, shard_, node.log()),
          west_({.bootstrap = {{"west", 9092}}}, shard_, node.log()) {
        create_topic();
    }

private:
    using Refused = std::function<void(KafkaError)>;

    void later(Duration delay, runtime::Task task) {
        shard_.executor->after(delay, std::move(task));
    }

    void create_topic() {
        using protocol::CreateTopicsRequest;
        using protocol::CreateTopicsResponse;
        client::ask<CreateTopicsRequest, CreateTopicsResponse>(
            east_.any(), call_limit,
            [](std::int16_t) {
                CreateTopicsRequest request;
                request.timeout_ms = 3000;
                auto& one = request.topics.emplace_back();
                one.name = topic;
                one.num_partitions = partitions;
                one.replication_factor = 1;
                return request;
            },
            [this](const Result<CreateTopicsResponse>& response, std::int16_t) {
                const bool there =
                    response && !response->topics.empty() &&
                    (response->topics[0].error_code == 0 ||
                     response->topics[0].error_code == code_of(KafkaError::topic_already_exists));
                later(300ms, [this, there] { there ? think() : create_topic(); });
            });
    }

    void think() {
        later(Duration{shard_.random->between(1'000'000, run_.longest_thought.count())}, [this] {
            send_next();
            think();
        });
    }

    void send_next() {
        if (run_.may_promote) {
            produce(west_, "late", 0, [this](KafkaError error) { on_west(error); });
        } else if (run_.next < run_.plan.operations.size()) {
            const std::uint32_t operation = run_.plan.operations[run_.next++];
            SeededRandom random(sim::derive_seed(run_.plan.seed, "send", operation));
            const std::size_t filler = random.one_in(run_.filler_one_in) ? random.below(40'000) : 5;
            const auto partition = static_cast<std::int32_t>(random.below(partitions));
            produce(east_, fmt::format("{}{}", operation, std::string(filler, 'x')), partition,
                    [this](KafkaError error) { run_.acknowledged += error == KafkaError::none; });
            if (random.one_in(8)) {
                produce(west_, "too early", partition,
                        [this](KafkaError error) { on_west(error); });
            }
        }
    }

    void on_west(KafkaError error) {
        if (error == KafkaError::none) {
            ++run_.written_west;
            if (!run_.may_promote) {
                run_.simulation.fail("a mirror took a record from a client");
            }
        } else {
            ++run_.refused_west;
        }
    }

    void produce(client::Cluster& cluster, const std::string& value, std::int32_t partition,
                 Refused done) {
        using protocol::ProduceRequest;
        using protocol::ProduceResponse;
        record::BatchBuilder builder({});
        builder.append({.timestamp = 1'700'000'000'000, .key = {}, .value = as_bytes(value)});
        auto batch = std::make_shared<Buffer>(builder.finish());
        client::ask<ProduceRequest, ProduceResponse>(
            cluster.any(), call_limit,
            [batch, partition](std::int16_t) {
                ProduceRequest request;
                request.acks = -1;
                request.timeout_ms = 3000;
                auto& to = request.topic_data.emplace_back();
                to.name = topic;
                auto& data = to.partition_data.emplace_back();
                data.index = partition;
                data.records = protocol::Records{.bytes = *batch};
                return request;
            },
            [done](const Result<ProduceResponse>& response, std::int16_t) {
                const bool whole = response && !response->responses.empty() &&
                                   !response->responses[0].partition_responses.empty();
                done(whole ? static_cast<KafkaError>(
                                 response->responses[0].partition_responses[0].error_code)
                           : KafkaError::network_exception);
            },
            {9, 12});  // by name: no need to learn ids first
    }

    Run& run_;
    const runtime::Shard shard_;
    client::Cluster east_;
    client::Cluster west_;
};

mirror::LinkSpec link(const Run& run) {
    mirror::LinkSpec spec;
    spec.name = "east-to-west";
    spec.bootstrap_servers = {"east:9092"};
    spec.topics_include = {"*"};
    spec.state = run.may_promote ? mirror::Desired::promoted : mirror::Desired::mirroring;
    return spec;
}

/// As an operator would: the link is applied until it is as wished.
void keep_applied(Run& run) {
    if (const app::BrokerView* now = run.view(west); now != nullptr && now->mirrors != nullptr) {
        now->mirrors->apply(link(run), 0, false, [](const Result<mirror::Links::Applied>&) {});
    }
    run.simulation.in(1s, [&run] { keep_applied(run); });
}

void end_and_restart(Run& run, std::uint32_t number, const std::string& why) {
    run.simulation.note(&run.simulation.node(number), "ends by itself: " + why);
    run.simulation.in(Duration{}, [&run, number] {
        sim::SimNode& node = run.simulation.node(number);
        if (node.is_running()) {
            node.kill();
        }
        run.simulation.in(300ms, [&node] {
            if (!node.is_running() && node.has_power()) {
                node.restart();
            }
        });
    });
}

class MirrorScenario final : public Scenario {
public:
    std::string_view name() const override { return "mirror"; }
    std::string_view about() const override {
        return "a link between two whole brokers; the same bytes, no early write, a promotion";
    }
    std::uint32_t operations() const override { return sends; }

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
        profile.until = bad_time - 2s;
        profile.longest = 2s;
        profile.most = 12;
        return profile;
    }

    Outcome run(const RunPlan& plan) const override {
        Run run(plan);
        for (const char* event : {"raft.halted", "broker.halted", "storage.directory_failed",
                                  "replication.sync_failed", "replication.epoch_not_written",
                                  "replication.log_not_loaded", "broker.log_not_recovered"}) {
            run.simulation.expect_error(event);  // a machine that dies in the middle of a call
        }
        for (const std::uint32_t number : {east, west}) {
            run.simulation
                .add_node(
                    {.name = number == east ? "east" : "west", .data_shards = run.data_shards})
                .start([&run, number](runtime::Node& node) {
                    return std::make_unique<MirrorBroker>(node, settings_of(number),
                                                          [&run, number](const std::string& why) {
                                                              end_and_restart(run, number, why);
                                                          });
                });
        }
        run.simulation.add_node({.name = "driver"}).start([&run](runtime::Node& node) {
            return std::make_unique<DriverProgram>(run, node);
        });
        keep_applied(run);
        run.simulation.run_for(bad_time);
        run.simulation.heal();
        finish(run);
        Outcome outcome = Outcome::of(run.simulation);
        outcome.operations = run.acknowledged;
        return outcome;
    }

private:
    static void finish(Run& run) {
        std::uint64_t asked = 0;
        const auto all_there = [&] {
            return ++asked % 64 == 0 && run.next >= run.plan.operations.size() && run.is_same();
        };
        if (run.simulation.violation()) {
            return;
        }
        if (!run.simulation.run_until(all_there, good_time)) {
            run.simulation.fail("the mirror did not arrive in a healthy world");
            return;
        }
        std::map<std::int32_t, Buffer> there;
        for (std::int32_t i = 0; i < partitions; ++i) {
            const auto theirs = run.bytes(east, i);
            const auto ours = run.bytes(west, i);
            if (!theirs || !ours || *theirs != *ours) {
                run.simulation.fail(fmt::format("partition {} differs byte for byte", i));
                return;
            }
            there[i] = *theirs;
        }
        run.may_promote = true;
        if (!run.simulation.run_until([&] { return run.written_west > 0; }, good_time)) {
            run.simulation.fail("a promoted mirror takes no writes");
            return;
        }
        for (std::int32_t i = 0; i < partitions; ++i) {
            const auto ours = run.bytes(west, i);
            if (!ours || ours->size() < there[i].size() ||
                !std::equal(there[i].begin(), there[i].end(), ours->begin())) {
                run.simulation.fail("the promotion changed what was mirrored");
            }
        }
    }
};

MR_SCENARIO(MirrorScenario);

}  // namespace

}  // namespace millrace::simtest
