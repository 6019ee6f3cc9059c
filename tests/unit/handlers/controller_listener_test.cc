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
#include "protocol/messages/request_header.h"
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
    std::vector<VoterAddress> voters(std::string_view) const override { return {}; }
    BrokerId leader() const override { return no_broker; }
    std::int16_t kraft_version() const override { return 0; }

    UniqueFunction<void(Result<Buffer>)> waiting;
    std::optional<Error> refused;
};

class Asker final : public net::Reply::Target {
public:
    explicit Asker(ManualLoop& loop) : loop_(loop) {}
    void deliver(std::uint64_t, std::uint64_t, net::Response) override { was_answered = true; }
    void abandon(std::uint64_t, std::uint64_t) override { was_closed = true; }
    runtime::Executor& home() override { return loop_; }

    bool was_answered = false;
    bool was_closed = false;

private:
    ManualLoop& loop_;
};

constexpr std::size_t topics = 4000;

std::shared_ptr<Buffer> request_for_many_topics() {
    constexpr std::int16_t version = 7;
    auto bytes = std::make_shared<Buffer>();
    protocol::Writer writer(*bytes);
    protocol::RequestHeader header;
    header.request_api_key = protocol::CreateTopicsRequest::api_key;
    header.request_api_version = version;
    protocol::encode_request_header(writer, header);
    protocol::CreateTopicsRequest request;
    request.topics.resize(topics);
    request.encode(writer, version);
    EXPECT_TRUE(writer.ok());
    return bytes;
}

class ControllerListener : public ::testing::Test {
protected:
    ControllerListener() {
        doors_.log = &log_;
        doors_.control = &loop_;
        doors_.quorum = &quorum_;
    }
    void ask() {
        const auto bytes = request_for_many_topics();
        const auto size = static_cast<std::int64_t>(bytes->size());
        std::unique_ptr<net::Session> session;
        dispatcher_.on_frame({}, session,
                             net::Frame(bytes, net::Reservation::try_make(ledger_, size)),
                             net::Reply(asker_, 0, 0));
        loop_.run_ready();
    }

    const Logger log_;
    ManualLoop loop_;
    WaitingQuorum quorum_;
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

}  // namespace
}  // namespace millrace::handlers
