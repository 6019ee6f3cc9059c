// What the controller listener does with a body before somebody decides: its share of the memory
// for requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>

#include "handlers/dispatch.h"
#include "handlers/request_meter.h"
#include "net/server.h"
#include "protocol/headers.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/describe_cluster_request.h"
#include "protocol/messages/describe_cluster_response.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "protocol/reader.h"
#include "protocol/record_frame.h"
#include "tests/support/manual_loop.h"

namespace millrace::handlers {
namespace {

using support::ManualLoop;

/// Decodes, and answers when the test says so.
class WaitingQuorum final : public QuorumDoor {
public:
    void handle(std::int16_t, std::int16_t version, const protocol::RequestBody& body,
                UniqueFunction<void(Result<Buffer>)> reply) override {
        auto request = protocol::decode_whole<protocol::CreateTopicsRequest>(body, version);
        if (!request) {
            refused = request.error();
            reply(request.error());
            return;
        }
        waiting = std::move(reply);
    }
    std::vector<VoterAddress> voters(std::string_view) const override {
        return {{BrokerId{1}, "quorum-1", 9093}, {BrokerId{2}, "quorum-2", 9093}};
    }
    BrokerId leader() const override { return no_broker; }
    std::int16_t kraft_version() const override { return 0; }

    UniqueFunction<void(Result<Buffer>)> waiting;
    std::optional<Error> refused;
};

class Asker final : public net::Reply::Target {
public:
    explicit Asker(ManualLoop& loop) : loop_(loop) {}
    void deliver(std::uint64_t, std::uint64_t, net::Response response) override {
        was_answered = true;
        bytes = std::move(response.bytes);
    }
    void abandon(std::uint64_t, std::uint64_t) override { was_closed = true; }
    runtime::Executor& home() override { return loop_; }

    bool was_answered = false;
    bool was_closed = false;
    Buffer bytes;

private:
    ManualLoop& loop_;
};

constexpr std::size_t topics = 4000;

template <typename Request>
std::shared_ptr<Buffer> frame_of(const Request& request, std::int16_t version) {
    auto bytes = std::make_shared<Buffer>();
    protocol::Writer writer(*bytes);
    protocol::RequestHeader header;
    header.request_api_key = Request::api_key;
    header.request_api_version = version;
    protocol::encode_request_header(writer, header);
    request.encode(writer, version);
    EXPECT_TRUE(writer.ok());
    return bytes;
}

std::shared_ptr<Buffer> request_for_many_topics() {
    protocol::CreateTopicsRequest request;
    request.topics.resize(topics);
    return frame_of(request, 7);
}

class ControllerListener : public ::testing::Test {
protected:
    ControllerListener() {
        doors_.log = &log_;
        doors_.control = &loop_;
        doors_.quorum = &quorum_;
        doors_.image = &image_;
    }
    void ask() { ask(request_for_many_topics()); }
    void ask(const std::shared_ptr<Buffer>& bytes) {
        const auto size = static_cast<std::int64_t>(bytes->size());
        std::unique_ptr<net::Session> session;
        net::ConnectionInfo connection;
        connection.listener = "CONTROLLER";
        dispatcher_.on_frame(connection, session,
                             net::Frame(bytes, net::Reservation::try_make(ledger_, size)),
                             net::Reply(asker_, 0, 0));
        loop_.run_ready();
    }

    const Logger log_;
    ManualLoop loop_;
    WaitingQuorum quorum_;
    metadata::ImageHandle image_;
    Doors doors_;
    net::Ledger ledger_{16 << 20};
    std::shared_ptr<Asker> asker_ = std::make_shared<Asker>(loop_);
    Dispatcher dispatcher_{ListenerKind::controller, doors_, {&loop_}, {}};
};

TEST_F(ControllerListener, counts_what_is_made_of_a_request_until_it_is_answered) {
    ask();
    ASSERT_TRUE(quorum_.waiting);
    EXPECT_GT(ledger_.used(), static_cast<std::int64_t>(
                                  topics * sizeof(protocol::CreateTopicsRequest{}.topics[0])));
    quorum_.waiting(Buffer{});
    quorum_.waiting = {};
    loop_.run_ready();
    EXPECT_TRUE(asker_->was_answered);
    EXPECT_EQ(ledger_.used(), 0);
}

TEST_F(ControllerListener, refuses_what_would_become_more_than_there_is) {
    const auto others = net::Reservation::try_make(ledger_, (16 << 20) - (300 << 10));
    const std::int64_t before = ledger_.used();
    ask();
    EXPECT_FALSE(quorum_.waiting);
    ASSERT_TRUE(quorum_.refused);
    EXPECT_EQ(quorum_.refused->code(), Code::exhausted);
    EXPECT_TRUE(asker_->was_closed);
    EXPECT_EQ(ledger_.used(), before);
}

// KIP-919: where a controller says that it is counts, also of one that has no vote (yet).
TEST_F(ControllerListener, tells_where_controllers_registered_and_of_others_what_the_quorum_knows) {
    auto image = std::make_shared<metadata::Image>();
    for (const int id : {2, 3}) {
        metadata::ControllerNode node;
        node.id = BrokerId{id};
        node.endpoints = {{"OTHER", "elsewhere", 1, 0},
                          {"CONTROLLER", fmt::format("registered-{}", id), 9093, 0}};
        image->cluster.controllers.set(node.id, metadata::make_ref<metadata::ControllerNode>(node));
    }
    image_.swap(std::move(image));
    protocol::DescribeClusterRequest request;
    request.endpoint_type = 2;
    constexpr std::int16_t version = 1;
    ask(frame_of(request, version));
    ASSERT_TRUE(asker_->was_answered);
    protocol::Reader reader(asker_->bytes);
    protocol::ResponseHeader header;
    header.decode(reader, 1);
    protocol::DescribeClusterResponse answer;
    answer.decode(reader, version);
    ASSERT_TRUE(reader.ok());
    std::map<std::int32_t, std::string_view> hosts;
    for (const auto& node : answer.brokers) {
        hosts.emplace(node.broker_id, node.host);
    }
    EXPECT_THAT(hosts, ::testing::ElementsAre(::testing::Pair(1, "quorum-1"),
                                              ::testing::Pair(2, "registered-2"),
                                              ::testing::Pair(3, "registered-3")));
}

}  // namespace
}  // namespace millrace::handlers
