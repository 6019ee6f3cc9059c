// The controller's shell over a log that commits when the test says so: answers come with commits,
// leadership comes and goes, sessions run out, snapshots are loaded and written.
#include "metadata/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/config_rules.h"
#include "metadata/loader.h"
#include "metadata/raft_log.h"
#include "metadata/snapshotter.h"
#include "protocol/messages/begin_transaction_record.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_heartbeat_response.h"
#include "protocol/messages/broker_registration_request.h"
#include "protocol/messages/broker_registration_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/topic_record.h"
#include "record/batch_view.h"
#include "tests/support/manual_loop.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using millrace::support::ManualLoop;

using ::testing::ElementsAre;

/// What raft's driver does, without a quorum: batches get offsets at once, and are committed later.
class FakeDriver final : public raft::RaftDriver {
public:
    void start(raft::StateListener&, UniqueFunction<void(Error)>) override {}
    Result<raft::Appended> append(QuorumEpoch epoch, Buffer batch,
                                  UniqueFunction<void(Result<void>)>) override {
        if (epoch != leadership_.epoch || !leadership_.is_self) {
            return Error::make(Code::not_leader, "epoch {}", epoch.value);
        }
        const auto view = record::BatchView::parse(batch);
        EXPECT_TRUE(view.has_value() && view->check().has_value());
        store_big_endian(batch.data(), end_.value);  // the base offset
        const Offset base = end_;
        end_ = end_ + view->record_count();
        batches_.push_back({base, end_, std::move(batch)});
        return raft::Appended{base, end_};
    }
    void handle(std::int16_t, std::int16_t, const protocol::RequestBody&,
                UniqueFunction<void(Result<Buffer>)>) override {}
    Result<std::unique_ptr<raft::SnapshotWriter>> create_snapshot(Offset end, Timestamp) override;
    void resign(QuorumEpoch) override {}
    void shutdown(Duration, UniqueFunction<void()>) override {}
    raft::Leadership leadership() const override { return leadership_; }
    std::string why_no_leader() const override { return {}; }
    std::optional<raft::Endpoint> leader_endpoint() const override { return std::nullopt; }
    std::optional<Offset> high_watermark() const override { return std::nullopt; }
    Offset log_start() const override { return Offset{0}; }
    Offset log_end() const override { return end_; }
    const raft::VoterSet& voters() const override { return voters_; }
    std::int16_t kraft_version() const override { return 1; }
    std::optional<raft::SnapshotId> latest_snapshot() const override { return std::nullopt; }

    /// Delivers all that was appended.
    Result<void> commit(Loader& loader) {
        for (; committed_ < batches_.size(); ++committed_) {
            const Batch& batch = batches_[committed_];
            raft::CommittedBatch delivered;
            delivered.base = batch.base;
            delivered.end = batch.end;
            delivered.epoch = leadership_.epoch;
            delivered.bytes = batch.bytes;
            MR_TRY_VOID(loader.on_commit({&delivered, 1}));
        }
        return {};
    }
    void lead(Loader& loader, int epoch) {
        leadership_ = {QuorumEpoch{epoch}, BrokerId{1000}, true};
        loader.on_leader_change(leadership_);
    }
    /// Another leads; what was not committed is gone.
    void follow(Loader& loader, int epoch) {
        batches_.resize(committed_);
        end_ = batches_.empty() ? Offset{0} : batches_.back().end;
        leadership_ = {QuorumEpoch{epoch}, BrokerId{2000}, false};
        loader.on_leader_change(leadership_);
    }
    std::size_t appended() const { return batches_.size(); }

    std::vector<Buffer> snapshot;
    bool snapshot_finished = false;

private:
    struct Batch {
        Offset base;
        Offset end;
        Buffer bytes;
    };
    std::vector<Batch> batches_;
    std::size_t committed_ = 0;
    Offset end_{0};
    raft::Leadership leadership_;
    raft::VoterSet voters_;
};

class FakeSnapshotWriter final : public raft::SnapshotWriter {
public:
    FakeSnapshotWriter(FakeDriver& driver, raft::SnapshotId id) : driver_(driver), id_(id) {}
    raft::SnapshotId id() const override { return id_; }
    Result<void> append(Buffer batch) override {
        driver_.snapshot.push_back(std::move(batch));
        return {};
    }
    void finish(UniqueFunction<void(Result<void>)> done) override {
        driver_.snapshot_finished = true;
        done({});
    }

private:
    FakeDriver& driver_;
    raft::SnapshotId id_;
};

Result<std::unique_ptr<raft::SnapshotWriter>> FakeDriver::create_snapshot(Offset end, Timestamp) {
    return std::unique_ptr<raft::SnapshotWriter>(
        new FakeSnapshotWriter(*this, raft::SnapshotId{end, leadership_.epoch}));
}

class FakeSnapshotReader final : public raft::SnapshotReader {
public:
    FakeSnapshotReader(const std::vector<Buffer>& batches, Offset end)
        : batches_(batches), end_(end) {}
    raft::SnapshotId id() const override { return {end_, QuorumEpoch{1}}; }
    Timestamp last_contained_log_time() const override { return {5}; }
    Result<std::optional<ByteView>> next() override {
        return at_ < batches_.size() ? std::optional<ByteView>(batches_[at_++]) : std::nullopt;
    }

private:
    const std::vector<Buffer>& batches_;
    Offset end_;
    std::size_t at_ = 0;
};

/// One node: loader, publisher and controller over a driver.
struct Node {
    explicit Node(ManualLoop& executor, FakeDriver& driver)
        : log(driver, loader, executor.clock(), 1 << 20),
          controller(executor, random, log, rules, options(), ControllerTimers{}, Logger{}) {
        publisher.subscribe([this](const Delta& delta, const ImagePtr& image) {
            controller.on_publish(delta, image);
        });
        loader.set_leadership_listener(
            [this](const raft::Leadership& leadership) { controller.on_leadership(leadership); });
    }
    static ControllerOptions options() {
        ControllerOptions options;
        options.node = BrokerId{1000};
        options.cluster_id = cluster_id;
        return options;
    }

    SeededRandom random{3};
    TableConfigRules rules{config::load({}).given, BrokerId{1000}};
    ImageHandle handle;
    Publisher publisher{handle};
    Loader loader{publisher};
    RaftLog log;
    Controller controller;
};

struct ControllerShell : ::testing::Test {
    ManualLoop executor;
    FakeDriver driver;
    Node node{executor, driver};

    void lead(int epoch = 1) {
        driver.lead(node.loader, epoch);
        commit();
    }
    void commit() {
        executor.run_ready();
        const auto done = driver.commit(node.loader);
        EXPECT_TRUE(done.has_value()) << done.error().to_string();
    }
    const Image& image() const { return node.loader.image(); }

    /// The answer's code, or the error's in words.
    std::string& create_topic(std::string name) {
        auto& outcome = *outcomes.emplace_back(std::make_unique<std::string>("waiting"));
        node.controller.submit<protocol::CreateTopicsResponse>(
            [name](Context& context) {
                protocol::CreateTopicsRequest request;
                auto& topic = request.topics.emplace_back();
                topic.name = name;
                topic.num_partitions = 1;
                topic.replication_factor = 1;
                return create_topics(context, request, {});
            },
            [&outcome](Result<Answered<protocol::CreateTopicsResponse>> answer) {
                outcome = answer ? std::string(to_string(static_cast<KafkaError>(
                                       answer->body.topics.at(0).error_code)))
                                 : std::string(to_string(answer.error().code()));
            });
        return outcome;
    }
    void bring_up(std::int32_t id) {
        node.controller.submit<protocol::BrokerRegistrationResponse>(
            [id](Context& context) {
                protocol::BrokerRegistrationRequest request;
                request.broker_id = id;
                request.cluster_id = cluster_id;
                request.incarnation_id = Uuid{9, static_cast<std::uint64_t>(id)};
                request.log_dirs = {directory_of(id)};
                for (const FeatureInfo& info : known_features()) {
                    auto& feature = request.features.emplace_back();
                    feature.name = info.name;
                    feature.min_supported_version = info.min;
                    feature.max_supported_version = info.max;
                }
                return register_broker(context, request);
            },
            [](const Result<Answered<protocol::BrokerRegistrationResponse>>& answer) {
                ASSERT_TRUE(answer.has_value());
                EXPECT_EQ(answer->body.error_code, 0);
            });
        commit();
        heartbeat(id);
        commit();
    }
    void heartbeat(std::int32_t id) {
        node.controller.submit<protocol::BrokerHeartbeatResponse>(
            [id](Context& context) {
                protocol::BrokerHeartbeatRequest request;
                request.broker_id = id;
                request.broker_epoch = context.image.cluster.broker(b(id))->epoch.value;
                request.current_metadata_offset = context.next_offset.value - 1;
                return broker_heartbeat(context, request);
            },
            [](const Result<Answered<protocol::BrokerHeartbeatResponse>>&) {});
        executor.run_ready();
    }
    std::vector<std::unique_ptr<std::string>> outcomes;
};

TEST_F(ControllerShell, writes_the_features_of_a_new_cluster_once) {
    lead();
    EXPECT_EQ(image().metadata_version(), MetadataVersion::latest);
    const std::size_t batches = driver.appended();
    driver.follow(node.loader, 2);
    lead(3);
    EXPECT_EQ(driver.appended(), batches);
}

TEST_F(ControllerShell, answers_when_the_records_are_committed_not_before) {
    lead();
    bring_up(1);
    const std::string& outcome = create_topic("t");
    executor.run_ready();
    EXPECT_EQ(outcome, "waiting");
    EXPECT_EQ(image().topics.find("t"), nullptr);
    commit();
    EXPECT_EQ(outcome, "NONE");
    EXPECT_NE(image().topics.find("t"), nullptr);
}

TEST_F(ControllerShell, decides_on_what_is_under_way_and_answers_that_after_it) {
    lead();
    bring_up(1);
    const std::string& first = create_topic("t");
    const std::string& again = create_topic("t");
    executor.run_ready();
    EXPECT_EQ(again, "waiting");  // the refusal rests on something not committed yet
    commit();
    EXPECT_EQ(first, "NONE");
    EXPECT_EQ(again, "TOPIC_ALREADY_EXISTS");
}

TEST_F(ControllerShell, answers_not_leader_when_it_doesnt_lead) {
    const std::string& outcome = create_topic("t");
    executor.run_ready();
    EXPECT_EQ(outcome, "not_leader");
}

TEST_F(ControllerShell, losing_leadership_forgets_what_was_not_committed) {
    lead();
    bring_up(1);
    const std::string& lost = create_topic("t");
    executor.run_ready();
    driver.follow(node.loader, 2);
    EXPECT_EQ(lost, "not_leader");
    EXPECT_FALSE(node.controller.is_active());
    EXPECT_EQ(executor.next(), Instant::never());
    lead(3);
    const std::string& anew = create_topic("t");
    commit();
    EXPECT_EQ(anew, "NONE");
}

TEST_F(ControllerShell, a_change_of_epoch_is_a_loss_even_if_it_leads_again) {
    lead();
    bring_up(1);
    const std::string& lost = create_topic("t");
    executor.run_ready();
    driver.lead(node.loader, 5);
    EXPECT_EQ(lost, "not_leader");
    EXPECT_TRUE(node.controller.is_active());
}

TEST_F(ControllerShell, fences_a_silent_broker_by_itself) {
    lead();
    bring_up(1);
    bring_up(2);
    for (int i = 0; i < 8; ++i) {
        executor.advance(500ms);
        heartbeat(2);
    }
    commit();
    EXPECT_TRUE(image().cluster.broker(b(1))->fenced);
    EXPECT_FALSE(image().cluster.broker(b(2))->fenced);
}

TEST_F(ControllerShell, a_new_controller_gives_everyone_a_full_session) {
    lead();
    bring_up(1);
    executor.advance(2900ms);
    driver.follow(node.loader, 2);
    lead(3);
    executor.advance(2900ms);
    commit();
    EXPECT_FALSE(image().cluster.broker(b(1))->fenced);
    executor.advance(200ms);
    commit();
    EXPECT_TRUE(image().cluster.broker(b(1))->fenced);
}

TEST_F(ControllerShell, fences_the_broker_that_died_with_this_process_at_once) {
    lead();
    bring_up(1);
    driver.follow(node.loader, 2);

    ControllerOptions options = Node::options();
    options.node = b(1);
    options.own_incarnation = Uuid{9, 99};  // not the one that is registered
    Controller next(executor, node.random, node.log, node.rules, options, {}, {});
    node.publisher.subscribe(
        [&](const Delta& delta, const ImagePtr& at) { next.on_publish(delta, at); });
    node.loader.set_leadership_listener(
        [&](const raft::Leadership& leadership) { next.on_leadership(leadership); });
    lead(3);
    executor.advance(1ms);
    commit();
    EXPECT_TRUE(image().cluster.broker(b(1))->fenced);
}

TEST_F(ControllerShell, fences_who_cant_be_reached_unless_heard_of_since) {
    lead();
    bring_up(1);
    const Instant suspected = executor.clock().now();
    executor.advance(100ms);
    heartbeat(1);
    const BrokerEpoch epoch = image().cluster.broker(b(1))->epoch;
    node.controller.fence_unreachable(b(1), epoch, suspected);
    commit();
    EXPECT_FALSE(image().cluster.broker(b(1))->fenced);
    node.controller.fence_unreachable(b(1), epoch, executor.clock().now());
    commit();
    EXPECT_TRUE(image().cluster.broker(b(1))->fenced);
}

TEST_F(ControllerShell, aborts_a_transaction_that_its_controller_left_open) {
    lead();
    RecordList half;
    half.add(protocol::BeginTransactionRecord{}, 0);
    protocol::TopicRecord topic;
    topic.name = "half";
    topic.topic_id = Uuid{4, 4};
    half.add(topic, 0);
    ASSERT_TRUE(node.log.append(QuorumEpoch{1}, half).has_value());
    commit();
    EXPECT_TRUE(node.loader.in_transaction());
    EXPECT_EQ(image().topics.find("half"), nullptr);
    driver.follow(node.loader, 2);
    lead(3);
    EXPECT_FALSE(node.loader.in_transaction());
    EXPECT_EQ(image().topics.find("half"), nullptr);
}

TEST_F(ControllerShell, cuts_what_need_not_be_atomic_into_batches) {
    lead();
    bring_up(1);
    bring_up(2);
    std::string outcome = "waiting";
    node.controller.submit<NoAnswer>(
        [](Context& context) {
            Decision<NoAnswer> decision(context);
            decision.atomic = false;
            for (int i = 0; i < 12'000; ++i) {
                protocol::TopicRecord record;
                const std::string name = "t" + std::to_string(i);
                record.name = name;
                record.topic_id = Uuid{5, static_cast<std::uint64_t>(i)};
                decision.draft.add(record, 0);
            }
            return decision;
        },
        [&](const Result<Answered<NoAnswer>>& answer) { outcome = answer ? "done" : "failed"; });
    const std::size_t before = driver.appended();
    executor.run_ready();
    EXPECT_EQ(driver.appended(), before + 2);
    commit();
    EXPECT_EQ(outcome, "done");
    EXPECT_EQ(image().topics.size(), 12'000U);
}

TEST_F(ControllerShell, refuses_an_atomic_change_that_no_batch_holds) {  // case 43
    lead();
    Code code = Code::again;
    node.controller.submit<NoAnswer>(
        [](Context& context) {
            Decision<NoAnswer> decision(context);
            const std::string name(200, 'n');
            for (int i = 0; i < 5'000; ++i) {
                protocol::TopicRecord record;
                const std::string numbered = name + std::to_string(i);
                record.name = numbered;
                record.topic_id = Uuid{5, static_cast<std::uint64_t>(i)};
                decision.draft.add(record, 0);
            }
            return decision;
        },
        [&](const Result<Answered<NoAnswer>>& answer) { code = answer.error().code(); });
    const std::size_t before = driver.appended();
    commit();
    EXPECT_EQ(code, Code::exhausted);
    EXPECT_EQ(driver.appended(), before);
    EXPECT_EQ(image().topics.size(), 0U);
}

TEST_F(ControllerShell, subscribers_hear_of_a_change_before_its_answer_goes_out) {
    lead();
    bring_up(1);
    std::vector<std::string> order;
    // As app wires it: the controller is subscribed after everyone else.
    ImageHandle handle;
    Publisher publisher(handle);
    publisher.subscribe([&](const Delta& delta, const ImagePtr&) {
        if (!delta.changes().topics_created.empty()) {
            order.push_back("subscriber");
        }
    });
    Loader loader(publisher);
    FakeDriver quorum;
    RaftLog log(quorum, loader, executor.clock(), 1 << 20);
    Controller controller(executor, node.random, log, node.rules, Node::options(), {}, {});
    publisher.subscribe(
        [&](const Delta& delta, const ImagePtr& at) { controller.on_publish(delta, at); });
    loader.set_leadership_listener(
        [&](const raft::Leadership& leadership) { controller.on_leadership(leadership); });
    quorum.lead(loader, 1);
    controller.submit<NoAnswer>(
        [](Context& context) {
            Decision<NoAnswer> decision(context);
            protocol::TopicRecord record;
            record.name = "t";
            record.topic_id = Uuid{5, 5};
            decision.draft.add(record, 0);
            return decision;
        },
        [&](const Result<Answered<NoAnswer>>&) { order.push_back("answer"); });
    executor.run_ready();
    ASSERT_TRUE(quorum.commit(loader).has_value());
    EXPECT_THAT(order, ElementsAre("subscriber", "answer"));
}

TEST_F(ControllerShell, a_record_that_doesnt_fit_stops_the_node) {  // case 44
    lead();
    RecordList bad;
    protocol::PartitionRecord orphan;
    orphan.topic_id = Uuid{4, 4};
    orphan.partition_id = 0;
    bad.add(orphan, 2);
    ASSERT_TRUE(node.log.append(QuorumEpoch{1}, bad).has_value());
    const auto done = driver.commit(node.loader);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code(), Code::corrupt);
}

TEST_F(ControllerShell, a_snapshot_written_here_is_the_image_elsewhere) {
    lead();
    bring_up(1);
    create_topic("a");
    create_topic("b");
    commit();
    Snapshotter snapshotter(executor, driver, node.loader, {.records_per_slice = 3}, Logger{});
    bool taken = false;
    snapshotter.take([&](const Result<void>& result) { taken = result.has_value(); });
    EXPECT_TRUE(snapshotter.is_busy());
    create_topic("c");  // goes on meanwhile, and is not in it
    commit();
    EXPECT_TRUE(taken);
    EXPECT_TRUE(driver.snapshot_finished);
    EXPECT_GT(driver.snapshot.size(), 2U);

    ImageHandle handle;
    Publisher publisher(handle);
    std::set<Uuid> created;
    publisher.subscribe(
        [&](const Delta& delta, const ImagePtr&) { created = delta.changes().topics_created; });
    Loader loader(publisher);
    FakeSnapshotReader reader(driver.snapshot, Offset{77});
    ASSERT_TRUE(loader.on_snapshot(reader).has_value());
    EXPECT_NE(loader.image().topics.find("a"), nullptr);
    EXPECT_NE(loader.image().topics.find("b"), nullptr);
    EXPECT_EQ(loader.image().topics.find("c"), nullptr);
    EXPECT_EQ(created.size(), 2U);
    EXPECT_EQ(loader.image().provenance.end, Offset{77});
    EXPECT_EQ(handle.current()->topics.size(), 2U);
}

TEST_F(ControllerShell, a_snapshot_that_cant_be_whole_is_not_taken) {  // case 42, J18
    lead();
    bring_up(1);
    create_topic("a");
    commit();
    const std::vector<Buffer> nothing;
    FakeSnapshotReader reader(nothing, Offset{50});
    const auto loaded = node.loader.on_snapshot(reader);
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code(), Code::corrupt);
    EXPECT_NE(image().topics.find("a"), nullptr);
}

// kafka-storage format --standalone leaves one that holds the voters alone.
TEST_F(ControllerShell, an_empty_snapshot_in_front_of_everything_is_whole) {
    ImageHandle handle;
    Publisher publisher(handle);
    Loader loader(publisher);
    const std::vector<Buffer> nothing;
    FakeSnapshotReader reader(nothing, Offset{0});
    ASSERT_TRUE(loader.on_snapshot(reader).has_value());
    EXPECT_EQ(loader.image().topics.size(), 0U);
}

TEST_F(ControllerShell, snapshots_are_due_by_size_and_by_time) {
    lead();
    Snapshotter snapshotter(executor, driver, node.loader,
                            {.max_bytes = 1'000'000, .max_interval = 60s}, Logger{});
    snapshotter.on_publish();
    EXPECT_FALSE(snapshotter.is_busy());
    executor.advance(61s);
    snapshotter.on_publish();
    EXPECT_TRUE(snapshotter.is_busy());
    executor.run_ready();
    EXPECT_TRUE(driver.snapshot_finished);
    EXPECT_EQ(node.loader.bytes_since_snapshot(), 0U);
    executor.advance(61s);
    snapshotter.on_publish();
    EXPECT_FALSE(snapshotter.is_busy());  // nothing new
}

TEST(ImageReader, sees_the_newest_image_and_keeps_the_old_one_alive) {
    ImageHandle handle;
    ImageReader reader(handle);
    const ImagePtr before = reader.current();
    Image next = *before;
    next.next_producer_id = 7;
    handle.swap(std::make_shared<const Image>(next));
    EXPECT_EQ(reader.current()->next_producer_id, 7);
    EXPECT_EQ(reader.current().get(), handle.current().get());
    EXPECT_EQ(before->next_producer_id, std::nullopt);
}

}  // namespace
}  // namespace millrace::metadata::testing
