#include "tls/filter.h"

#include <array>
#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "base/random.h"
#include "tests/unit/tls/certificates.h"
#include "tests/unit/tls/fakes.h"

namespace millrace::tls {
namespace {

class Filter : public testing::Test {
protected:
    std::shared_ptr<Context> context(Settings settings) {
        auto made = Context::open(std::move(settings), disk);
        EXPECT_TRUE(made) << (made ? "" : made.error().message());
        return *std::move(made);
    }
    void accept(std::shared_ptr<Context> with) {
        auto end = std::make_unique<End>(to_server, to_client);
        server_end = end.get();
        server.own(server_filter(std::move(with))(std::move(end), shard, {}));
    }
    void dial(std::shared_ptr<Context> with, const std::string& name = "localhost") {
        auto end = std::make_unique<End>(to_client, to_server);
        client_end = end.get();
        client.own(client_filter(std::move(with))(std::move(end), shard, name));
    }
    void connect(Settings server_settings, Settings client_settings,
                 const std::string& name = "localhost") {
        accept(context(std::move(server_settings)));
        dial(context(std::move(client_settings)), name);
    }
    /// Until nothing moves any more.
    void run() {
        for (int quiet = 0; quiet < 3; ++quiet) {
            const auto before = moved();
            executor.run();
            if (server.stream() != nullptr) {
                server_end->turn();
            }
            if (client.stream() != nullptr) {
                client_end->turn();
            }
            if (before != moved()) {
                quiet = 0;
            }
        }
    }
    std::array<std::size_t, 4> moved() const {
        return {to_server->carried, to_server->bytes.size(), to_client->carried,
                to_client->bytes.size()};
    }
    static Settings demanding() {
        Settings settings = settings_of("server");
        settings.client_auth = ClientAuth::required;
        return settings;
    }
    static bool says(const std::optional<Error>& error, const std::string& words) {
        return error && error->message().find(words) != std::string::npos;
    }

    StringDisk disk;
    net::ManualExecutor executor;
    runtime::Shard shard{&executor, nullptr, nullptr};
    std::shared_ptr<Pipe> to_server = std::make_shared<Pipe>();
    std::shared_ptr<Pipe> to_client = std::make_shared<Pipe>();
    End* server_end = nullptr;
    End* client_end = nullptr;
    Owner server;
    Owner client;
};

TEST_F(Filter, carries_bytes_both_ways_and_encrypts_them) {
    connect(settings_of("server"), stranger());
    client.send("a question");
    run();
    EXPECT_EQ(server.received, "a question");
    server.send("an answer");
    executor.run();
    EXPECT_EQ(to_client->bytes.find("an answer"), std::string::npos);
    run();
    EXPECT_EQ(client.received, "an answer");
}

TEST_F(Filter, carries_much_through_a_narrow_pipe) {
    connect(settings_of("server"), stranger());
    to_client->capacity = 1000;
    to_server->capacity = 777;
    std::string much;
    for (int i = 0; much.size() < 300'000; ++i) {
        much += std::to_string(i);
    }
    client.send(much);
    server.send(much);
    run();
    EXPECT_TRUE(client.all_sent() && server.all_sent());
    EXPECT_TRUE(server.received == much);
    EXPECT_TRUE(client.received == much);
}

TEST_F(Filter, leaves_nothing_waiting_for_more_that_does_not_come) {
    connect(settings_of("server"), stranger());
    run();
    client.send(std::string(50'000, 'x'));
    EXPECT_FALSE(client_end->last_had_more);
}

TEST_F(Filter, sends_a_range_of_a_file) {
    connect(settings_of("server"), stranger());
    to_client->capacity = 5000;
    run();
    const std::string contents(40'000, 'f');
    net::FakeFile file("0123" + contents);
    std::size_t sent = 0;
    while (sent < contents.size()) {
        const auto some = server.stream()->send_file(file, 4 + sent, contents.size() - sent);
        if (some) {
            sent += *some;
        } else {
            ASSERT_EQ(some.error().code(), Code::again);
            client_end->turn();
        }
    }
    run();
    EXPECT_TRUE(client.received == contents);
}

TEST_F(Filter, knows_a_client_by_its_certificate) {
    connect(demanding(), settings_of("client"));
    client.send("x");
    run();
    ASSERT_EQ(server.received, "x");
    EXPECT_EQ(server.stream()->peer_name(), "O=Millrace tests,CN=alice");
}

TEST_F(Filter, maps_the_name_by_the_rules) {
    Settings settings = demanding();
    settings.principal_rules = "RULE:^.*CN=(.*?)$/$1/U";
    connect(std::move(settings), settings_of("client"));
    client.send("x");
    run();
    EXPECT_EQ(server.stream()->peer_name(), "ALICE");
}

TEST_F(Filter, refuses_a_name_that_no_rule_maps) {
    Settings settings = demanding();
    settings.principal_rules = "RULE:^CN=bob$/bob/";
    connect(std::move(settings), settings_of("client"));
    run();
    executor.advance(1s);
    EXPECT_TRUE(says(server.error, "no rule of ssl.principal.mapping.rules matches"));
}

TEST_F(Filter, takes_a_client_without_certificate_where_one_is_only_requested) {
    Settings settings = settings_of("server");
    settings.client_auth = ClientAuth::requested;
    connect(std::move(settings), stranger());
    client.send("x");
    run();
    EXPECT_EQ(server.received, "x");
    EXPECT_EQ(server.stream()->peer_name(), "");
}

TEST_F(Filter, refuses_a_client_without_certificate_and_tells_both) {
    connect(demanding(), stranger());
    client.send("x");
    run();
    EXPECT_TRUE(says(client.error, "certificate required"));
    EXPECT_EQ(client.error->code(), Code::permission);
    EXPECT_FALSE(server.error) << "the client is given time to hear of it";
    executor.advance(200ms);
    EXPECT_TRUE(says(server.error, "peer did not return a certificate"));
    EXPECT_EQ(server.error->code(), Code::permission);
}

TEST_F(Filter, refuses_a_client_of_another_authority) {
    auto with = context(demanding());
    accept(with);
    dial(context(settings_of("intruder")));
    client.send("x");
    run();
    executor.advance(200ms);
    EXPECT_EQ(server.received, "");
    EXPECT_TRUE(says(server.error, "CN=mallory")) << server.error->message();
    EXPECT_TRUE(says(server.error, "unable to get local issuer certificate"));
    EXPECT_EQ(with->counters().failures.load(), 1);
    EXPECT_EQ(with->counters().handshakes.load(), 0);
}

TEST_F(Filter, refuses_an_expired_certificate) {
    const SelfSigned expired("/CN=late", -20, -10);
    Settings settings = demanding();
    settings.trust_store.certificates = Secret(expired.certificate_pem());
    Settings late = settings_of("client");
    late.key_store.certificates = Secret(expired.certificate_pem());
    late.key_store.key = Secret(expired.key_pem());
    connect(std::move(settings), std::move(late));
    run();
    executor.advance(200ms);
    EXPECT_TRUE(says(server.error, "certificate has expired")) << server.error->message();
}

TEST_F(Filter, refuses_a_server_that_has_another_name) {
    connect(settings_of("server"), stranger(), "broker-7.example");
    run();
    EXPECT_TRUE(says(client.error, "hostname mismatch")) << client.error->message();
    EXPECT_EQ(client.error->code(), Code::permission);
}

TEST_F(Filter, takes_a_server_by_its_address) {
    connect(settings_of("server"), stranger(), "127.0.0.1");
    client.send("x");
    run();
    EXPECT_EQ(server.received, "x");
}

TEST_F(Filter, does_not_look_at_the_name_where_that_is_turned_off) {
    Settings settings = stranger();
    settings.verify_host = false;
    connect(settings_of("server"), std::move(settings), "broker-7.example");
    client.send("x");
    run();
    EXPECT_EQ(server.received, "x");
}

TEST_F(Filter, refuses_a_peer_that_does_not_speak_tls) {
    accept(context(settings_of("server")));
    to_server->bytes = std::string("\0\0\0\x0a\0\x12\0\4\0\0\0\1\0\0", 14);
    run();
    executor.advance(200ms);
    EXPECT_TRUE(says(server.error, "the peer does not speak TLS"));
}

// Whatever a stranger sends first, the end is an answer or a reason, and soon.
TEST_F(Filter, survives_a_first_message_with_bytes_changed) {
    const auto with = context(demanding());
    const auto without = context(stranger());
    SeededRandom random(2026);
    for (int round = 0; round < 300; ++round) {
        client.drop();
        server.drop();
        server.error.reset();
        to_server->ended = to_client->ended = false;
        to_server->bytes.clear();
        to_client->bytes.clear();
        dial(without);
        ASSERT_GT(to_server->bytes.size(), 100U);
        client.drop();
        for (std::uint64_t changes = 1 + random.below(8); changes > 0; --changes) {
            const std::size_t at = random.below(to_server->bytes.size());
            to_server->bytes[at] = static_cast<char>(random.below(256));
        }
        to_server->bytes.resize(1 + random.below(to_server->bytes.size()));
        accept(with);
        run();
        executor.advance(11s);
        ASSERT_TRUE(server.error) << round;
        EXPECT_EQ(server.error->code(), Code::permission);
    }
}

TEST_F(Filter, takes_no_offence_at_one_who_only_looks_whether_the_port_is_open) {
    auto with = context(settings_of("server"));
    accept(with);
    to_server->ended = true;
    run();
    ASSERT_TRUE(server.error);
    EXPECT_EQ(server.error->code(), Code::closed);
    EXPECT_EQ(with->counters().failures.load(), 0);
}

TEST_F(Filter, gives_up_a_handshake_that_takes_too_long) {
    accept(context(settings_of("server")));
    executor.advance(9s);
    EXPECT_FALSE(server.error);
    executor.advance(2s);
    EXPECT_TRUE(says(server.error, "not finished within 10000 ms"));
}

TEST_F(Filter, ends_in_order_when_the_peer_goes) {
    connect(settings_of("server"), stranger());
    client.send("last words");
    run();
    client.drop();
    run();
    EXPECT_EQ(server.received, "last words");
    EXPECT_TRUE(server.ended);
    EXPECT_FALSE(server.error);
}

TEST_F(Filter, may_be_dropped_inside_an_event) {
    connect(settings_of("server"), stranger());
    server.drop_when_heard = true;
    client.send("x");
    run();
    EXPECT_EQ(server.received, "x");
    EXPECT_TRUE(client.ended);
}

TEST_F(Filter, makes_new_connections_with_what_was_reloaded_and_keeps_the_old) {
    auto with = context(settings_of("server"));
    accept(with);
    dial(context(stranger()));
    client.send("before ");
    run();
    const SelfSigned next("/CN=localhost", -1, 100);
    Settings settings = settings_of("server");
    settings.key_store.certificates = Secret(next.certificate_pem());
    settings.key_store.key = Secret(next.key_pem());
    settings.allow_address_loss = true;
    const auto reloaded = with->reload(settings, disk);
    ASSERT_TRUE(reloaded && *reloaded);
    client.send("after");
    run();
    EXPECT_EQ(server.received, "before after");

    client.drop();
    server.drop();
    to_server->ended = to_client->ended = false;
    to_server->bytes.clear();
    to_client->bytes.clear();
    accept(with);
    Settings knows_next = stranger();
    knows_next.trust_store.certificates = Secret(next.certificate_pem());
    dial(context(knows_next));
    client.send(" again");
    run();
    EXPECT_EQ(server.received, "before after again");
}

}  // namespace
}  // namespace millrace::tls
