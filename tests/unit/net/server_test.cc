// Connections under a hand-cranked loop: framing, order, back-pressure, deadlines.
#include "net/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/net/fakes.h"

namespace millrace::net {
namespace {

using testing::ElementsAre;

struct Recorder final : Dispatch {
    void on_frame(const ConnectionInfo&, std::unique_ptr<Session>&, Frame frame,
                  Reply reply) override {
        seen.emplace_back(as_text(frame.bytes()));
        const auto wish = static_cast<std::int64_t>(frame.bytes().size()) * becomes_times;
        frame.hold(std::min(wish, frame.room()));
        if (echo) {
            const ByteView bytes = frame.bytes();
            reply.send(Response{.bytes = Buffer(bytes.begin(), bytes.end())});
        } else {
            frames.push_back(std::move(frame));
            replies.push_back(std::move(reply));
        }
    }
    bool echo = true;
    std::int64_t becomes_times = 0;  ///< So many times its bytes are held beside them.
    std::vector<std::string> seen;
    std::vector<Frame> frames;
    std::vector<Reply> replies;
};

struct ServerTest : testing::Test {
    void start(ServerLimits limits = {}, std::int64_t ledger_bytes = 1 << 30) {
        ledger = std::make_unique<Ledger>(ledger_bytes);
        auto made =
            Server::start({"PLAINTEXT", {"127.0.0.1", 0}, limits, {}, false, admit, gate, pace},
                          {{&loop, &net, nullptr}}, dispatch, *ledger, log);
        ASSERT_TRUE(made);
        server = *std::move(made);
    }
    std::shared_ptr<Wire> connect(std::string from = "127.0.0.1") {
        auto wire = std::make_shared<Wire>();
        net.on_accept(std::make_unique<FakeStream>(wire, std::move(from)));
        loop.run();
        return wire;
    }
    void receive(Wire& wire, std::string_view bytes) {
        wire.to_broker.append(bytes);
        if (!wire.paused && wire.events != nullptr) {
            wire.events->on_readable();
        }
        loop.run();
    }
    static Response text(std::string_view body) {
        return Response{.bytes = Buffer(as_bytes(body).begin(), as_bytes(body).end())};
    }

    void end(Wire& wire) {
        wire.ended = true;
        wire.events->on_readable();
        loop.run();
    }

    std::function<Duration(const std::string&, Instant)> admit;
    std::shared_ptr<ConnectionGate> gate;
    std::function<Duration(Instant)> pace;
    Logger log;
    std::unique_ptr<Ledger> ledger;
    ManualExecutor loop;
    FakeNet net;
    Recorder dispatch;  // What it holds goes back to the ledger, and to the loop.
    std::unique_ptr<Server> server;
};

// Three frames arrive in pieces of every size; each is dispatched once, whole.
TEST_F(ServerTest, frames_survive_every_cut) {
    start();
    const std::string stream = framed("one") + framed("") + framed(std::string(300, 'x'));
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        dispatch.seen.clear();
        auto wire = connect();
        wire->read_most = piece;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            receive(*wire, stream.substr(at, piece));
        }
        EXPECT_THAT(dispatch.seen, ElementsAre("one", "", std::string(300, 'x'))) << piece;
        EXPECT_EQ(wire->from_broker, stream) << piece;
    }
}

// A frame larger than the shared scratch is collected in a buffer of its own and charged for.
TEST_F(ServerTest, large_frames_are_collected_and_charged) {
    start();
    auto wire = connect();
    const std::string large(1'000'000, 'y');
    receive(*wire, framed("a") + framed(large).substr(0, 500'000));
    EXPECT_THAT(dispatch.seen, ElementsAre("a"));
    EXPECT_GE(ledger->used(), 1'000'000);
    receive(*wire, framed(large).substr(500'000) + framed("b"));
    EXPECT_THAT(dispatch.seen, ElementsAre("a", large, "b"));
    dispatch.frames.clear();
    EXPECT_EQ(ledger->used(), 0);
}

// Answers leave in the order of their requests, whatever order they are given in.
TEST_F(ServerTest, answers_keep_the_order_of_requests) {
    start();
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("1") + framed("2") + framed("3"));
    ASSERT_EQ(dispatch.replies.size(), 3U);
    dispatch.replies[2].send(text("c"));
    dispatch.replies[1].send(text("b"));
    loop.run();
    EXPECT_EQ(wire->from_broker, "");
    dispatch.replies[0].send(text("a"));
    loop.run();
    EXPECT_EQ(wire->from_broker, framed("a") + framed("b") + framed("c"));
}

// An answer that mutes its connection leaves at once; what is sent behind it waits, and nobody is
// closed for having waited.
TEST_F(ServerTest, a_muted_connection_is_heard_again_when_its_time_is_over) {
    start({.request_deadline = 60s, .idle_deadline = 10min});
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("1"));
    Response answer = text("a");
    answer.mute = 15min;
    dispatch.replies[0].send(std::move(answer));
    loop.run();
    EXPECT_EQ(wire->from_broker, framed("a"));
    receive(*wire, framed("2") + framed("3").substr(0, 2));
    EXPECT_THAT(dispatch.seen, ElementsAre("1"));
    loop.advance(14min);
    EXPECT_THAT(dispatch.seen, ElementsAre("1"));
    loop.advance(1min);
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2"));
    receive(*wire, framed("3").substr(2));
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2", "3"));
    EXPECT_FALSE(wire->closed);
}

// The longest of several times counts, whatever comes later.
TEST_F(ServerTest, a_shorter_time_behind_a_longer_one_ends_nothing) {
    start();
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("1") + framed("2"));
    for (const Duration time : {Duration{10s}, Duration{1s}}) {
        Response answer = text("a");
        answer.mute = time;
        dispatch.replies[time == 10s ? 0U : 1U].send(std::move(answer));
    }
    loop.run();
    receive(*wire, framed("3"));
    loop.advance(9s);
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2"));
    loop.advance(1s);
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2", "3"));
}

// Who may not come now is kept waiting without being heard, then sent off.
TEST_F(ServerTest, a_connection_that_is_not_admitted_ends_after_its_wait) {
    admit = [](const std::string&, Instant) { return Duration{3s}; };
    start();
    auto wire = connect();
    receive(*wire, framed("1"));
    loop.advance(2s);
    EXPECT_FALSE(wire->closed);
    loop.advance(2s);
    EXPECT_TRUE(wire->closed);
    EXPECT_TRUE(dispatch.seen.empty());
    EXPECT_EQ(server->counters().refused, 1);
}

// Who comes faster than allowed is let in all the same, later, and so is everybody behind.
TEST_F(ServerTest, a_connection_that_comes_too_soon_waits_with_those_behind_it) {
    pace = [](Instant) { return Duration{3s}; };
    start();
    auto wire = connect();
    EXPECT_TRUE(net.is_paused);
    receive(*wire, framed("1"));
    loop.advance(2s);
    EXPECT_TRUE(net.is_paused);
    EXPECT_TRUE(dispatch.seen.empty());
    loop.advance(2s);
    EXPECT_FALSE(net.is_paused);
    receive(*wire, framed("2"));
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2"));
    EXPECT_EQ(server->counters().refused, 0);
}

TEST_F(ServerTest, who_waits_at_the_door_of_a_server_that_closes_is_sent_off) {
    pace = [](Instant) { return Duration{3s}; };
    start();
    auto wire = connect();
    bool drained = false;
    server->drain(10s, [&] { drained = true; });
    loop.advance(4s);
    EXPECT_TRUE(wire->closed);
    EXPECT_TRUE(drained);
    EXPECT_EQ(server->counters().open_connections, 0);
}

// File ranges are spliced where they were placed, also when the peer takes a byte at a time.
TEST_F(ServerTest, file_ranges_are_spliced_into_the_answer) {
    start();
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("fetch"));
    Response response = text("headtail");
    auto file = std::make_shared<FakeFile>("0123456789");
    response.splices.push_back({4, {file, 2, 5}});
    response.splices.push_back({8, {file, 0, 1}});
    wire->write_most = 0;
    dispatch.replies[0].send(std::move(response));
    loop.run();
    for (int i = 0; i < 40; ++i) {
        wire->write_most = 1;
        wire->events->on_writable();
        loop.run();
    }
    EXPECT_EQ(wire->from_broker, framed("head23456tail0"));
}

TEST_F(ServerTest, negative_and_oversized_lengths_close_only_their_connection) {
    start({.max_request_bytes = 1000});
    auto good = connect();
    auto negative = connect();
    auto oversized = connect();
    receive(*negative, std::string("\xff\xff\xff\xff", 4));
    receive(*oversized, framed(std::string(1001, 'z')).substr(0, 4));
    receive(*good, framed("still here"));
    EXPECT_TRUE(negative->closed);
    EXPECT_TRUE(oversized->closed);
    EXPECT_FALSE(good->closed);
    EXPECT_EQ(good->from_broker, framed("still here"));
    EXPECT_EQ(server->counters().closed_for_cause.load(), 2);
    EXPECT_EQ(server->counters().open_connections.load(), 1);
}

// With max_in_flight requests open nothing more is read; an answer lets the next one in.
TEST_F(ServerTest, a_full_pipeline_stops_reading_until_an_answer_leaves) {
    start({.max_in_flight = 2});
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("1") + framed("2") + framed("3") + framed("4"));
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2"));
    EXPECT_TRUE(wire->paused);
    dispatch.replies[0].send(text("a"));
    loop.run();
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2", "3"));
    dispatch.replies[1].send(text("b"));
    dispatch.replies[2].send(text("c"));
    loop.run();
    EXPECT_THAT(dispatch.seen, ElementsAre("1", "2", "3", "4"));
    EXPECT_FALSE(wire->paused);
}

// When the ledger is used up a large frame waits unread, and goes on once memory is back.
TEST_F(ServerTest, an_exhausted_ledger_delays_instead_of_failing) {
    start({}, 1'000'000);
    auto wire = connect();
    auto other = Reservation::try_make(*ledger, 900'000);
    receive(*wire, framed(std::string(500'000, 'w')));
    EXPECT_TRUE(dispatch.seen.empty());
    loop.advance(50ms);
    EXPECT_TRUE(dispatch.seen.empty());
    other = Reservation();
    loop.advance(50ms);
    EXPECT_EQ(dispatch.seen.size(), 1U);
    EXPECT_FALSE(wire->closed);
}

// Whoever asks and asks and takes no answer is heard until his answers hold his share.
TEST_F(ServerTest, a_crowd_that_reads_no_answer_leaves_room_for_others) {
    constexpr std::size_t answer = 40'000;
    constexpr std::int64_t budget = 16 << 20;
    start({}, budget);
    std::vector<std::shared_ptr<Wire>> crowd;
    for (int i = 0; i < 20; ++i) {
        crowd.push_back(connect());
        crowd.back()->write_most = 0;
        for (int request = 0; request < 60; ++request) {
            receive(*crowd.back(), framed(std::string(answer, 'x')));
        }
    }
    EXPECT_LT(dispatch.seen.size() * answer, static_cast<std::size_t>(budget));
    EXPECT_LT(ledger->used(), budget);
    EXPECT_GE(ledger->used(), static_cast<std::int64_t>(dispatch.seen.size() * answer) / 2);
    auto other = connect();
    receive(*other, framed("well"));
    EXPECT_EQ(other->from_broker, framed("well"));
    // Who takes them after all is heard again.
    const std::size_t before = dispatch.seen.size();
    crowd.front()->write_most = SIZE_MAX;
    crowd.front()->events->on_writable();
    loop.run();
    EXPECT_GT(dispatch.seen.size(), before);
    server.reset();
    loop.run();
    EXPECT_EQ(ledger->used(), 0);
}

// Large requests that are announced and don't come: small ones go on, and the large ones go soon.
TEST_F(ServerTest, a_crowd_of_large_requests_that_do_not_come_leaves_room_for_others) {
    start({}, 3'900'000);
    const std::string begun = framed(std::string(1'000'000, 'w')).substr(0, 300'000);
    std::vector<std::shared_ptr<Wire>> crowd;
    for (int i = 0; i < 10; ++i) {
        crowd.push_back(connect());
        receive(*crowd.back(), begun);
    }
    EXPECT_LE(ledger->used(), 3'000'000);
    auto other = connect();
    receive(*other, framed("well"));
    EXPECT_EQ(other->from_broker, framed("well"));
    loop.advance(5s);
    EXPECT_TRUE(crowd[0]->closed && crowd[1]->closed && crowd[2]->closed);
}

// What a handler makes of a request counts as long as it has it.
TEST_F(ServerTest, what_is_made_of_a_request_is_in_the_ledger_until_it_is_gone) {
    start();
    dispatch.echo = false;
    dispatch.becomes_times = 27;
    auto wire = connect();
    receive(*wire, framed(std::string(1'000, 's')));
    EXPECT_EQ(ledger->used(), 28'000);
    receive(*wire, framed(std::string(1'000'000, 'l')));
    EXPECT_EQ(ledger->used(), 28'028'000);
    dispatch.frames[1].hold(5);
    EXPECT_EQ(ledger->used(), 1'028'005);
    dispatch.frames.clear();
    EXPECT_EQ(ledger->used(), 0);
}

// Requests that wait and have become many times their bytes: a crowd of them, of any size, stays in
// its bounds, and small requests of others go on.
TEST_F(ServerTest, a_crowd_of_requests_that_become_more_leaves_room_for_others) {
    for (const std::size_t size : {100U, 5'000U, 200'000U, 1'000'000U}) {
        constexpr std::int64_t budget = 32 << 20;
        start({}, budget);
        dispatch.echo = false;
        dispatch.becomes_times = 27;
        std::vector<std::shared_ptr<Wire>> crowd;
        for (std::size_t wanted = 0; wanted < 2 * budget; wanted += 28 * size * 20) {
            crowd.push_back(connect());
            for (int request = 0; request < 20; ++request) {
                receive(*crowd.back(), framed(std::string(size, 'x')));
            }
        }
        EXPECT_LE(ledger->used(), budget) << size;
        EXPECT_GE(ledger->used(), budget / 2) << size;
        dispatch.echo = true;
        auto other = connect();
        receive(*other, framed("well"));
        EXPECT_EQ(other->from_broker, framed("well")) << size;
        dispatch.frames.clear();
        dispatch.replies.clear();
        server.reset();
        loop.run();
        EXPECT_EQ(ledger->used(), 0) << size;
    }
}

TEST_F(ServerTest, who_has_gone_wants_no_answer) {
    start();
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("well?"));
    EXPECT_TRUE(dispatch.replies[0].is_wanted());
    wire->ended = true;
    wire->events->on_readable();
    loop.run();
    EXPECT_FALSE(dispatch.replies[0].is_wanted());
}

TEST_F(ServerTest, a_frame_begun_and_not_finished_is_given_up) {
    start({.request_deadline = 5s});
    auto wire = connect();
    receive(*wire, framed("first"));
    receive(*wire, framed("slow loris").substr(0, 6));
    loop.advance(4s);
    EXPECT_FALSE(wire->closed);
    loop.advance(3s);
    EXPECT_TRUE(wire->closed);
}

// However thin its line: what comes steadily is waited for.
TEST_F(ServerTest, a_frame_that_goes_on_coming_is_waited_for) {
    start({.request_deadline = 5s});
    auto wire = connect();
    receive(*wire, framed("first"));
    const std::string frame = framed("a thin line");
    for (const char byte : frame) {
        receive(*wire, std::string(1, byte));
        loop.advance(4s);
    }
    EXPECT_FALSE(wire->closed);
    EXPECT_THAT(dispatch.seen, ElementsAre("first", "a thin line"));
}

TEST_F(ServerTest, what_has_come_of_a_frame_is_in_the_ledger) {
    start();
    auto wire = connect();
    const std::string frame = framed(std::string(100'000, 'x'));
    receive(*wire, frame.substr(0, 90'000));
    EXPECT_EQ(ledger->used(), 90'000);
    receive(*wire, frame.substr(90'000));
    EXPECT_EQ(dispatch.seen.size(), 1U);
    EXPECT_EQ(ledger->used(), 0);
    receive(*wire, frame.substr(0, 90'000));
    wire->ended = true;
    wire->events->on_readable();
    loop.run();
    EXPECT_EQ(ledger->used(), 0);
}

// Frames that fit the scratch cost their peers nothing to begin: a crowd of them is let in as far
// as there is room, who sends no more of one goes, and small requests are served all the while.
TEST_F(ServerTest, a_crowd_of_frames_that_stop_before_their_end_leaves_room_for_others) {
    constexpr std::int64_t limit = 4 << 20;
    start({}, limit);
    auto other = connect();
    const std::string frame = framed(std::string(250'000, 'x'));
    std::vector<std::shared_ptr<Wire>> crowd;
    for (int i = 0; i < 200; ++i) {
        crowd.push_back(connect());
        receive(*crowd.back(), frame.substr(0, 240'000));
        EXPECT_LE(ledger->used(), limit);
    }
    std::int64_t taken = 0;
    for (const auto& wire : crowd) {
        taken += 240'000 - static_cast<std::int64_t>(wire->to_broker.size());
    }
    EXPECT_LE(taken, limit + 200 * (16 << 10)) << "and so much of each connection at rest";
    receive(*other, framed("small"));
    EXPECT_THAT(dispatch.seen, ElementsAre("small"));
    loop.advance(2min);
    for (const auto& wire : crowd) {
        EXPECT_TRUE(wire->closed);
    }
    EXPECT_FALSE(other->closed);
    EXPECT_EQ(ledger->used(), 0);
}

TEST_F(ServerTest, a_silent_connection_is_closed_before_its_first_request) {
    start({.first_request_deadline = 3s});
    auto wire = connect();
    loop.advance(5s);
    EXPECT_TRUE(wire->closed);
}

TEST_F(ServerTest, a_peer_that_takes_no_answer_is_closed) {
    start({.response_deadline = 3s});
    auto wire = connect();
    wire->write_most = 2;
    receive(*wire, framed("hello"));
    loop.advance(2s);
    EXPECT_FALSE(wire->closed);
    loop.advance(3s);
    EXPECT_TRUE(wire->closed);
}

// A reply that is dropped ends its connection: no request is silently forgotten.
TEST_F(ServerTest, a_dropped_reply_closes_the_connection) {
    start();
    dispatch.echo = false;
    auto wire = connect();
    receive(*wire, framed("lost"));
    dispatch.replies.clear();
    loop.run();
    EXPECT_TRUE(wire->closed);
}

TEST_F(ServerTest, draining_answers_what_is_open_and_takes_nothing_new) {
    start();
    dispatch.echo = false;
    auto busy = connect();
    auto idle = connect();
    receive(*busy, framed("open"));
    bool drained = false;
    server->drain(10s, [&] { drained = true; });
    loop.run();
    EXPECT_TRUE(idle->closed);
    EXPECT_FALSE(busy->closed);
    EXPECT_FALSE(drained);
    dispatch.replies[0].send(text("done"));
    loop.run();
    EXPECT_EQ(busy->from_broker, framed("done"));
    EXPECT_TRUE(busy->closed);
    EXPECT_TRUE(drained);
}

// Else its connections go on to be heard of by whoever takes its place.
TEST_F(ServerTest, one_that_goes_while_it_drains_leaves_nothing_behind) {
    start();
    dispatch.echo = false;
    auto busy = connect();
    receive(*busy, framed("open"));
    auto kept = std::make_shared<bool>(true);
    server->drain(10s, [kept] {});
    loop.run();
    const std::weak_ptr<bool> left = kept;
    kept.reset();
    server.reset();
    EXPECT_TRUE(left.expired());
}

TEST_F(ServerTest, connections_beyond_the_limit_are_refused) {
    gate = ConnectionGate::make({.in_all = 1});
    start();
    auto first = connect();
    auto second = connect();
    EXPECT_FALSE(first->closed);
    EXPECT_TRUE(second->closed);
    EXPECT_EQ(server->counters().refused.load(), 1);
    end(*first);
    EXPECT_FALSE(connect()->closed) << "the place of one that has ended is free";
}

TEST_F(ServerTest, an_address_has_no_more_connections_than_its_limit) {
    gate = ConnectionGate::make({.per_address = 2, .of_address = {{"10.0.0.9", 3}}});
    start();
    auto first = connect("10.0.0.1");
    auto second = connect("10.0.0.1");
    EXPECT_TRUE(connect("10.0.0.1")->closed);
    EXPECT_FALSE(connect("10.0.0.2")->closed) << "others are let in";
    end(*first);
    EXPECT_FALSE(connect("10.0.0.1")->closed);
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(connect("10.0.0.9")->closed) << "it has a limit of its own";
    }
    EXPECT_TRUE(connect("10.0.0.9")->closed);
    EXPECT_EQ(server->counters().open_connections.load(), 6);
}

TEST_F(ServerTest, a_limit_that_changes_is_felt_by_who_comes_next) {
    gate = ConnectionGate::make({.per_address = 1});
    start();
    auto first = connect();
    EXPECT_TRUE(connect()->closed);
    gate->set({.per_address = 2});
    EXPECT_FALSE(connect()->closed);
    gate->set({.per_address = 1});
    EXPECT_FALSE(first->closed) << "who is in stays";
    EXPECT_TRUE(connect()->closed);
}

TEST(ConnectionGate, counts_over_listeners_and_lets_brokers_in_beyond_it) {
    const auto gate = ConnectionGate::make(
        {.in_all = 2, .of_listener = {{"SLOW", 1}}, .spared_listener = "INTERNAL"});
    auto slow = gate->enter("SLOW", "10.0.0.1");
    ASSERT_TRUE(slow);
    EXPECT_EQ(gate->enter("SLOW", "10.0.0.2").error().code(), Code::exhausted);
    auto fast = gate->enter("FAST", "10.0.0.1");
    ASSERT_TRUE(fast);
    EXPECT_FALSE(gate->enter("FAST", "10.0.0.3"));
    auto broker = gate->enter("INTERNAL", "10.0.0.4");
    EXPECT_TRUE(broker);
    *fast = ConnectionGate::Place{};
    EXPECT_FALSE(gate->enter("FAST", "10.0.0.3")) << "the brokers' connections count";
    *broker = ConnectionGate::Place{};
    EXPECT_TRUE(gate->enter("FAST", "10.0.0.3"));
}

}  // namespace
}  // namespace millrace::net
