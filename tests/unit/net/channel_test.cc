// Requests and answers over one outgoing connection, step by step on a loop that the test cranks.
#include "net/channel.h"

#include <gtest/gtest.h>
#include <optional>

#include "tests/unit/net/fakes.h"

namespace millrace::net {
namespace {

constexpr Duration patience = std::chrono::seconds{10};

struct ChannelTest : testing::Test {
    void open(bool waits_while_it_comes) {
        ChannelOptions options;
        options.address = {"127.0.0.1", 9092};
        options.waits_while_it_comes = waits_while_it_comes;
        channel = std::make_unique<Channel>(std::move(options),
                                            runtime::Shard{&loop, &net, &random}, log);
    }
    void ask() {
        Buffer request(8);
        channel->call(std::move(request), patience, [this](Result<ResponseFrame> frame) {
            answer = frame ? std::string(as_text(*frame->bytes)) : frame.error().message();
            failed = frame ? std::nullopt : std::optional(frame.error().code());
        });
        loop.advance({});
        if (!net.dials.empty()) {
            auto dialed = std::move(net.dials.front());
            net.dials.pop_front();
            dialed(runtime::StreamPtr(std::make_unique<FakeStream>(wire)));
        }
        loop.advance({});
    }
    void arrives(std::string_view bytes) {
        wire->to_broker.append(bytes);
        wire->events->on_readable();
        loop.run();
    }
    /// As a broker frames it: the correlation id of the first call, then what it has to say.
    static std::string answer_of(std::size_t size) {
        std::string body(4, '\0');
        body[3] = 1;
        for (std::size_t i = 0; i < size; ++i) {
            body += static_cast<char>('a' + i % 26);
        }
        return framed(body);
    }

    Logger log;
    ManualExecutor loop;
    FakeNet net;
    SeededRandom random{1};
    std::shared_ptr<Wire> wire = std::make_shared<Wire>();
    std::unique_ptr<Channel> channel;
    std::optional<std::string> answer;
    std::optional<Code> failed;
};

TEST_F(ChannelTest, who_cant_be_reached_is_named_once) {
    open(false);
    Buffer request(8);
    channel->call(std::move(request), patience,
                  [this](Result<ResponseFrame> frame) { answer = frame.error().message(); });
    loop.advance({});
    ASSERT_FALSE(net.dials.empty());
    net.dials.front()(Error(Code::unavailable, "127.0.0.1:9092: connect: Connection refused"));
    loop.run();
    EXPECT_EQ(answer, "127.0.0.1:9092: connect: Connection refused");
}

TEST_F(ChannelTest, a_large_answer_arrives_as_it_was_sent_however_it_is_cut) {
    open(false);
    ask();
    const std::string sent = answer_of(300'000);
    wire->read_most = 70'001;
    for (std::size_t at = 0; at < sent.size(); at += 99'999) {
        arrives(sent.substr(at, 99'999));
    }
    EXPECT_EQ(answer, sent.substr(4));
}

TEST_F(ChannelTest, what_follows_a_large_answer_is_the_next_one) {
    open(false);
    ask();
    std::string second = answer_of(10);
    second[7] = 2;
    const std::string sent = answer_of(200'000);
    arrives(sent.substr(0, 100'000));
    arrives(sent.substr(100'000));
    EXPECT_EQ(answer, sent.substr(4));
    ask();
    arrives(second);
    EXPECT_EQ(answer, second.substr(4));
}

TEST_F(ChannelTest, an_answer_that_keeps_coming_is_not_late) {
    open(true);
    ask();
    const std::string sent = answer_of(400'000);
    for (std::size_t at = 0; at < sent.size(); at += 40'000) {
        loop.advance(std::chrono::seconds{8});
        EXPECT_FALSE(answer) << *answer;
        arrives(sent.substr(at, 40'000));
    }
    EXPECT_EQ(answer, sent.substr(4));
}

TEST_F(ChannelTest, an_answer_that_stops_coming_is_late) {
    open(true);
    ask();
    arrives(answer_of(400'000).substr(0, 100'000));
    loop.advance(std::chrono::seconds{10});  // something has come in since
    EXPECT_FALSE(answer);
    loop.advance(std::chrono::seconds{10});
    EXPECT_EQ(failed, Code::timed_out);
}

TEST_F(ChannelTest, an_answer_that_drips_is_late) {
    open(true);
    ask();
    arrives(answer_of(400'000).substr(0, 1'000));
    loop.advance(std::chrono::seconds{10});
    EXPECT_EQ(failed, Code::timed_out);
}

TEST_F(ChannelTest, who_does_not_wait_ends_after_its_time) {
    open(false);
    ask();
    arrives(answer_of(400'000).substr(0, 100'000));
    loop.advance(std::chrono::seconds{10});
    EXPECT_EQ(failed, Code::timed_out);
}

}  // namespace
}  // namespace millrace::net
