// Replicas in sync are fetched apart from those that catch up, so that an acknowledgement never
// waits for the bulk of a copy. A follower on a simulated machine, and a leader that notes what it
// is asked for and answers when the test says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "record/batch_builder.h"
#include "record/compression.h"
#include "replication/housekeeping.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr BrokerId follower{1};
constexpr BrokerId leader{2};
constexpr BrokerId another_leader{3};
constexpr Uuid topic{5, 6};
constexpr std::uint16_t port = 9091;

/// A fetch that waits for its answer.
struct Asked {
    std::uint64_t connection = 0;
    std::int32_t correlation = 0;
    std::map<int, Offset> from;    ///< By partition.
    std::map<int, Offset> synced;  ///< What the follower says it has on its disk.
    net::Reply reply;

    std::vector<int> partitions() const {
        std::vector<int> all;
        for (const auto& [partition, offset] : from) {
            all.push_back(partition);
        }
        return all;
    }
};

class Leader final : public runtime::sim::Program, public net::Dispatch {
public:
    explicit Leader(runtime::Node& node) {
        node.control_shard().executor->post([this, &node] {
            server_ = *net::Server::start({.listener = "REPLICATION", .address = {"", port}},
                                          {node.control_shard()}, *this, memory_, node.log());
        });
    }

    void on_frame(const net::ConnectionInfo& connection, std::unique_ptr<net::Session>&,
                  net::Frame frame, net::Reply reply) override {
        protocol::Reader reader(frame.bytes());
        protocol::RequestHeader header;
        header.decode(reader, 2);
        FetchRequest fetch;
        fetch.decode(reader, header.request_api_version);
        Asked asked{connection.id, header.correlation_id, {}, {}, std::move(reply)};
        for (const auto& one : fetch.topics.at(0).partitions) {
            asked.from[one.partition] = Offset{one.fetch_offset};
            asked.synced[one.partition] =
                Offset{load_big_endian<std::int64_t>(one.unknown_tags.at(0).data.data())};
        }
        waiting.push_back(std::move(asked));
    }

    std::vector<Asked> waiting;

private:
    net::Ledger memory_{1 << 26};
    std::unique_ptr<net::Server> server_;
};

class OneLeader final : public Peers {
public:
    explicit OneLeader(runtime::Address at) : at_(std::move(at)) {}
    std::optional<runtime::Address> address_of(BrokerId) const override { return at_; }
    BrokerEpoch own_epoch() const override { return BrokerEpoch{1}; }
    bool may_join(BrokerId, BrokerEpoch) const override { return true; }
    net::StreamWrapper wrapper() const override { return {}; }

private:
    runtime::Address at_;
};

Buffer batch_at(Offset base, int records) {
    record::BatchBuilder builder({.base_offset = base, .leader_epoch = LeaderEpoch{2}});
    for (int i = 0; i < records; ++i) {
        builder.append({.timestamp = 1, .value = as_bytes(std::string_view("value"))});
    }
    record::Compressor compressor;
    return *builder.finish(compressor);
}

class Lanes : public testing::Test {
protected:
    Lanes()
        : leader_node_(simulation_.add_node({.name = "leader"})),
          follower_node_(simulation_.add_node({.name = "follower"})) {
        leader_node_.start([](runtime::Node& node) { return std::make_unique<Leader>(node); });
        follower_node_.start([](runtime::Node& node) {
            return std::make_unique<Machine>(
                node, std::make_unique<OneLeader>(runtime::Address{"leader", port}));
        });
        simulation_.run_for(10ms);
    }

    void follow(int partition, bool in_sync, BrokerId leader = replication::leader) {
        PartitionState state;
        state.id = {topic, PartitionIndex{partition}};
        state.topic = "orders";
        state.replicas = {leader, follower};
        state.isr = in_sync ? state.replicas : std::vector{leader};
        state.leader = leader;
        state.leader_epoch = LeaderEpoch{leader.value};
        state.partition_epoch = PartitionEpoch{++epochs_[partition]};
        bool done = false;
        follower_node_.data_shard(0).executor->post([&] {
            static_cast<Machine&>(*follower_node_.program()).shard->assign(state, {});
            done = true;
        });
        ASSERT_TRUE(simulation_.run_until([&] { return done; }, 60s));
        simulation_.run_for(50ms);  // Less than any wait of a fetch.
    }
    std::vector<Asked>& waiting() { return static_cast<Leader&>(*leader_node_.program()).waiting; }
    /// The last fetch that asks for it: earlier ones were broken off.
    Asked* asking(int partition) {
        const auto found =
            std::find_if(waiting().rbegin(), waiting().rend(),
                         [&](const Asked& asked) { return asked.from.contains(partition); });
        return found == waiting().rend() ? nullptr : &*found;
    }
    /// Answers the fetch that asks for it: `records` more, of a log that is committed up to there.
    void answer(int partition, int records, Offset high_watermark,
                std::optional<DivergingEpoch> diverging = std::nullopt) {
        Asked* found = asking(partition);
        ASSERT_NE(found, nullptr);
        Asked asked = std::move(*found);
        waiting().erase(waiting().begin() + (found - waiting().data()));
        const Buffer batch = records > 0 ? batch_at(asked.from[partition], records) : Buffer{};
        FetchResponse response;
        auto& to = response.responses.emplace_back();
        to.topic_id = topic;
        for (const auto& [index, from] : asked.from) {
            auto& one = to.partitions.emplace_back();
            one.partition_index = index;
            one.high_watermark = index == partition ? high_watermark.value : from.value;
            if (index == partition && records > 0) {
                one.records = protocol::Records{batch};
            }
            if (index == partition && diverging) {
                one.diverging_epoch.epoch = diverging->epoch.value;
                one.diverging_epoch.end_offset = diverging->end.value;
            }
        }
        Buffer bytes;
        protocol::Writer writer(bytes);
        protocol::ResponseHeader header;
        header.correlation_id = asked.correlation;
        header.encode(writer, 1);
        response.encode(writer, FetchRequest::max_version);
        net::Response framed;
        framed.bytes = std::move(bytes);
        leader_node_.control_shard().executor->post(
            [reply = std::make_shared<net::Reply>(std::move(asked.reply)),
             framed = std::make_shared<net::Response>(std::move(framed))] {
                reply->send(std::move(*framed));
            });
        simulation_.run_for(50ms);
    }

    std::uint64_t syncs() {
        return static_cast<Machine&>(*follower_node_.program()).shard->counts().syncs.load();
    }

    std::vector<std::string> lines_;
    runtime::sim::Simulation simulation_{
        {.seed = 7, .trace = [this](const std::string& line) { lines_.push_back(line); }}};
    runtime::sim::SimNode& leader_node_;
    runtime::sim::SimNode& follower_node_;
    std::map<int, int> epochs_;
};

TEST_F(Lanes, who_is_in_sync_is_asked_for_apart_from_who_catches_up) {
    follow(0, true);
    follow(1, false);
    ASSERT_THAT(waiting(), SizeIs(2));
    EXPECT_THAT(asking(0)->partitions(), ElementsAre(0));
    EXPECT_THAT(asking(1)->partitions(), ElementsAre(1));
    EXPECT_NE(asking(0)->connection, asking(1)->connection);
}

TEST_F(Lanes, who_has_caught_up_changes_lane_without_a_fetch_broken_off_or_missed) {
    follow(0, true);
    follow(1, false);
    follow(2, false);
    const std::uint64_t in_sync = asking(0)->connection;
    answer(2, 1, Offset{100});
    follow(1, true);
    EXPECT_THAT(asking(0)->partitions(), ElementsAre(0)) << "the fetch that waits goes on waiting";
    EXPECT_EQ(asking(0)->connection, in_sync);
    ASSERT_NE(asking(1), nullptr) << "until then it is asked for where it was";
    EXPECT_NE(asking(1)->connection, in_sync);
    answer(1, 3, Offset{3});
    EXPECT_THAT(asking(1)->partitions(), ElementsAre(1, 2));
    answer(0, 1, Offset{1});
    EXPECT_THAT(asking(0)->partitions(), ElementsAre(0, 1));
    EXPECT_EQ(asking(0)->connection, in_sync);
    EXPECT_EQ(asking(0)->from[1], Offset{3});
}

// Its leader proposes it with its next fetch, and then every acknowledgement waits for it.
TEST_F(Lanes, who_has_all_but_the_latest_is_asked_for_with_those_in_sync_before_it_is_one_of_them) {
    follow(0, true);
    follow(1, false);
    const std::uint64_t in_sync = asking(0)->connection;
    answer(1, 3, Offset{3});
    EXPECT_NE(asking(1)->connection, in_sync) << "what it has is hardly synced yet";
    answer(1, 2, Offset{5});
    answer(0, 1, Offset{1});
    EXPECT_THAT(asking(0)->partitions(), ElementsAre(0, 1));
    EXPECT_EQ(asking(0)->connection, in_sync);
    const std::size_t fetches = waiting().size();
    follow(1, true);
    EXPECT_THAT(waiting(), SizeIs(fetches)) << "nothing changes when it is in sync";
}

// The leader counts it from then on: a fetch that is parked there could not tell it more.
TEST_F(Lanes, who_changes_lane_is_synced_before_it_is_asked_for_there) {
    follow(1, false);
    answer(1, 3, Offset{3});
    const std::uint64_t behind = asking(1)->connection;
    follower_node_.sim_disk().set_slow(200ms);
    answer(1, 2, Offset{5});
    ASSERT_TRUE(simulation_.run_until(
        [&] { return asking(1) != nullptr && asking(1)->connection != behind; }, 5s));
    EXPECT_EQ(asking(1)->from[1], Offset{5});
    EXPECT_EQ(asking(1)->synced[1], Offset{5});
}

TEST_F(Lanes, who_is_demoted_says_at_once_how_far_it_is_synced) {
    follow(0, true);
    answer(0, 10, Offset{10});
    follower_node_.sim_disk().set_slow(200ms);
    answer(0, 10, Offset{20});
    ASSERT_EQ(asking(0), nullptr) << "the fetch waits for the sync";
    follow(0, true, another_leader);
    ASSERT_TRUE(simulation_.run_until([&] { return asking(0) != nullptr; }, 5s));
    EXPECT_EQ(asking(0)->synced[0], Offset{20});
}

TEST_F(Lanes, who_lags_for_long_behind_those_in_sync_is_asked_for_apart_again) {
    follow(0, true);
    follow(1, false);
    answer(1, 3, Offset{3});
    answer(1, 2, Offset{5});
    answer(0, 1, Offset{1});
    const std::uint64_t in_sync = asking(0)->connection;
    ASSERT_EQ(asking(1)->connection, in_sync);
    for (int i = 0; i < 15; ++i) {
        answer(1, 1, Offset{1000});
        ASSERT_EQ(asking(1)->connection, in_sync) << "after " << i;
    }
    answer(1, 1, Offset{1000});
    EXPECT_NE(asking(1)->connection, in_sync);
}

TEST_F(Lanes, who_falls_out_of_sync_is_asked_for_with_those_that_catch_up) {
    follow(0, true);
    follow(1, true);
    follow(1, false);
    EXPECT_THAT(waiting().back().partitions(), ElementsAre(1));
    EXPECT_NE(waiting().back().connection, waiting().front().connection);
}

TEST_F(Lanes, what_is_far_behind_is_fetched_on_before_it_is_synced_and_synced_once_it_is_there) {
    follow(0, false);
    answer(0, 10, Offset{30});
    ASSERT_NE(asking(0), nullptr);
    const Offset names_synced{10};  // A new file's name is, and its content with it.
    answer(0, 10, Offset{30});
    EXPECT_EQ(asking(0)->from[0], Offset{20});
    EXPECT_LE(asking(0)->synced[0], names_synced);
    answer(0, 10, Offset{30});
    EXPECT_EQ(asking(0)->from[0], Offset{30});
    EXPECT_EQ(asking(0)->synced[0], Offset{30});
}

TEST_F(Lanes, who_has_no_room_says_so_once_until_there_was_some) {
    const auto times_told = [&] {
        return std::count_if(lines_.begin(), lines_.end(), [](const std::string& line) {
            return line.find("replication.follower_stopped") != std::string::npos;
        });
    };
    follow(0, true);
    for (int round = 1; round <= 2; ++round) {
        follower_node_.sim_disk().set_full(true);
        for (int i = 0; i < 20; ++i) {
            ASSERT_TRUE(simulation_.run_until([&] { return asking(0) != nullptr; }, 10s)) << i;
            answer(0, 20000, Offset{1000000});
        }
        EXPECT_EQ(times_told(), round);
        follower_node_.sim_disk().set_full(false);
        ASSERT_TRUE(simulation_.run_until([&] { return asking(0) != nullptr; }, 10s));
        answer(0, 1, Offset{1000000});
    }
}

// Others wait for the same device.
TEST_F(Lanes, what_is_far_behind_is_not_synced_again_and_again_on_a_slow_disk) {
    follow(0, false);
    follower_node_.sim_disk().set_slow(100ms);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(simulation_.run_until([&] { return asking(0) != nullptr; }, 10s)) << i;
        answer(0, 1, Offset{1000});
    }
    EXPECT_LE(syncs(), 2U) << "of names";
    follower_node_.sim_disk().set_slow({});
    ASSERT_TRUE(simulation_.run_until([&] { return asking(0) != nullptr; }, 10s));
    answer(0, 950, Offset{1000});
    EXPECT_EQ(asking(0)->synced[0], Offset{1000});
}

TEST_F(Lanes, what_is_in_sync_is_synced_before_it_is_asked_for_again) {
    follow(0, true);
    answer(0, 10, Offset{30});
    ASSERT_NE(asking(0), nullptr);
    EXPECT_EQ(asking(0)->from[0], Offset{10});
    EXPECT_EQ(asking(0)->synced[0], Offset{10});
}

TEST_F(Lanes, who_waits_for_a_sync_goes_on_though_it_has_another_leader_by_now) {
    follow(0, true);
    follow(1, true);
    follower_node_.sim_disk().set_slow(1s);
    answer(0, 10, Offset{0});
    ASSERT_EQ(asking(1), nullptr) << "the fetch waits for the sync";
    follow(0, true, another_leader);
    EXPECT_TRUE(simulation_.run_until([&] { return asking(1) != nullptr; }, 60s));
}

// It can't be told how far it is synced; what else follows this leader must not wait for that.
TEST_F(Lanes, who_finds_no_room_for_a_sync_holds_up_nobody_else) {
    follow(0, true);
    follow(1, true);
    follower_node_.sim_disk().fail_next(runtime::sim::DiskCall::rename, 10'000, Code::exhausted);
    answer(0, 10, Offset{0});
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(simulation_.run_until([&] { return asking(1) != nullptr; }, 5s)) << i;
        EXPECT_EQ(asking(1)->synced[0], Offset{0});
        answer(0, 10, Offset{0});
    }
    follower_node_.sim_disk().end_all_faults();
    simulation_.run_for(5s);
    answer(0, 10, Offset{0});
    ASSERT_NE(asking(0), nullptr);
    EXPECT_EQ(asking(0)->synced[0], Offset{50});
}

}  // namespace
}  // namespace millrace::replication
