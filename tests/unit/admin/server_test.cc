// The endpoint over a real loopback connection, on a free port.
#include "admin/server.h"

#include <chrono>
#include <fstream>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sstream>
#include <thread>

#include "millrace/admin/v1/admin.grpc.pb.h"
#include "tests/unit/admin/fake_doors.h"

namespace millrace::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AdminServerTest : public testing::Test {
protected:
    explicit AdminServerTest(ServerOptions options = {}) {
        auto started = Server::start(options, doors_, Logger{}, registry_);
        EXPECT_TRUE(started.has_value());
        server_ = *std::move(started);
        channel_ = grpc::CreateChannel(fmt::format("127.0.0.1:{}", server_->port()),
                                       grpc::InsecureChannelCredentials());
        stub_ = v1::Admin::NewStub(channel_);
    }

    /// A context whose call can't hang a test.
    static std::unique_ptr<grpc::ClientContext> context(std::chrono::milliseconds deadline = 20s) {
        auto made = std::make_unique<grpc::ClientContext>();
        made->set_deadline(std::chrono::system_clock::now() + deadline);
        return made;
    }

    static v1::CordonRequest cordon_request(const std::string& key, int broker = 1) {
        v1::CordonRequest request;
        request.mutable_guard()->set_idempotency_key(key);
        request.add_broker_ids(broker);
        return request;
    }

    std::shared_ptr<FakeDoors> doors_ = std::make_shared<FakeDoors>();
    std::shared_ptr<metrics::Registry> registry_ = std::make_shared<metrics::Registry>();
    std::unique_ptr<Server> server_;
    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<v1::Admin::Stub> stub_;
};

TEST_F(AdminServerTest, says_who_it_is) {
    v1::IdentityResponse response;
    const auto status = stub_->Identity(context().get(), {}, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.broker_id(), 3);
    EXPECT_EQ(response.cluster_id(), "Zm9vYmFyYmF6cXV4cXV4eA");
    EXPECT_EQ(response.epoch(), 7);
    EXPECT_EQ(response.features().at("metadata.version"), 33);
}

TEST_F(AdminServerTest, reflects_nothing_unless_it_was_asked_for) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const auto call_context = context();
    const auto call = stub.PrepareUnaryCall(
        call_context.get(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        grpc::ByteBuffer(), &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    void* tag = nullptr;
    bool is_done = false;
    call->Finish(&answer, &status, &tag);
    ASSERT_TRUE(queue.Next(&tag, &is_done));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(AdminServerTest, asks_the_rules_what_the_proto_says) {
    v1::IdentityResponse response;
    ASSERT_TRUE(stub_->Identity(context().get(), {}, &response).ok());
    EXPECT_THAT(doors_->asked_, ElementsAre(std::tuple{8, 4, "kafka-cluster"}));
    doors_->asked_.clear();
    v1::CreateTopicsRequest create;
    create.add_topics()->set_name("b");
    create.add_topics()->set_name("a");
    v1::CreateTopicsResponse created;
    stub_->CreateTopics(context().get(), create, &created);
    EXPECT_THAT(doors_->asked_, ElementsAre(std::tuple{5, 2, "a"}, std::tuple{5, 2, "b"}));
}

TEST_F(AdminServerTest, refuses_who_may_not_before_any_door_is_asked) {
    doors_->denied_ = {"kafka-cluster"};
    v1::CordonResponse response;
    const auto status = stub_->Cordon(context().get(), cordon_request(""), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(), HasSubstr("User:ANONYMOUS may not call Cordon"));
    EXPECT_EQ(doors_->cordons_, 0);
}

TEST_F(AdminServerTest, denies_a_call_on_many_things_if_one_is_not_allowed) {
    doors_->denied_ = {"secret"};
    v1::DescribeTopicsRequest request;
    request.add_topics()->set_name("public");
    request.add_topics()->set_name("secret");
    v1::DescribeTopicsResponse response;
    const auto status = stub_->DescribeTopics(context().get(), request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(), HasSubstr("secret"));
}

// The connection to a controller that dies ends with "cancelled" inside; the caller cancelled
// nothing.
TEST_F(AdminServerTest, tells_who_did_not_cancel_that_it_may_try_again) {
    doors_->cordon_fails_ = Error(Code::cancelled, "channel closed");
    v1::CordonResponse response;
    const auto status = stub_->Cordon(context().get(), cordon_request(""), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(status.error_message(), "channel closed");
}

TEST_F(AdminServerTest, refuses_a_decision_made_in_another_epoch) {
    v1::CordonRequest request = cordon_request("");
    request.mutable_guard()->set_expected_epoch(6);
    v1::CordonResponse response;
    EXPECT_EQ(stub_->Cordon(context().get(), request, &response).error_code(),
              grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(doors_->cordons_, 0);
    request.mutable_guard()->set_expected_epoch(7);
    EXPECT_TRUE(stub_->Cordon(context().get(), request, &response).ok());
}

TEST_F(AdminServerTest, answers_a_repeated_call_without_doing_it_again) {
    v1::CordonResponse first;
    v1::CordonResponse second;
    ASSERT_TRUE(stub_->Cordon(context().get(), cordon_request("k1"), &first).ok());
    ASSERT_TRUE(stub_->Cordon(context().get(), cordon_request("k1"), &second).ok());
    EXPECT_EQ(doors_->cordons_, 1);
    EXPECT_THAT(second.cordoned(), ElementsAre(1));
    EXPECT_EQ(stub_->Cordon(context().get(), cordon_request("k1", 2), &second).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServerTest, passes_on_that_a_call_is_only_to_be_tried) {
    v1::CordonRequest request = cordon_request("k1");
    request.mutable_guard()->set_dry_run(true);
    v1::CordonResponse response;
    ASSERT_TRUE(stub_->Cordon(context().get(), request, &response).ok());
    EXPECT_THAT(response.cordoned(), ElementsAre());
    // A trial doesn't use the key up.
    ASSERT_TRUE(stub_->Cordon(context().get(), cordon_request("k1"), &response).ok());
    EXPECT_THAT(response.cordoned(), ElementsAre(1));
}

TEST_F(AdminServerTest, ends_a_call_at_its_deadline_and_remembers_how_it_came_out) {
    doors_->hold_ = true;
    v1::CordonResponse response;
    EXPECT_EQ(stub_->Cordon(context(200ms).get(), cordon_request("k1"), &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
    EXPECT_EQ(stub_->Cordon(context().get(), cordon_request("k1"), &response).error_code(),
              grpc::StatusCode::ABORTED);
    doors_->held_(std::vector{BrokerId{1}});
    ASSERT_TRUE(stub_->Cordon(context().get(), cordon_request("k1"), &response).ok());
    EXPECT_THAT(response.cordoned(), ElementsAre(1));
    EXPECT_EQ(doors_->cordons_, 1);
}

TEST_F(AdminServerTest, says_unavailable_when_a_stopping_loop_drops_the_question) {
    doors_->hold_ = true;
    v1::CordonResponse response;
    grpc::Status status;
    std::thread caller{
        [&] { status = stub_->Cordon(context().get(), cordon_request("k1"), &response); }};
    while (true) {
        const std::lock_guard lock{doors_->mutex_};
        if (doors_->held_) {
            doors_->held_ = {};
            break;
        }
    }
    caller.join();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(AdminServerTest, shows_a_hundred_reasons_and_counts_the_rest) {
    v1::RestartCheckRequest request;
    v1::RestartCheckResponse response;
    EXPECT_EQ(stub_->RestartCheck(context().get(), request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
    request.add_broker_ids(1);
    ASSERT_TRUE(stub_->RestartCheck(context().get(), request, &response).ok());
    EXPECT_EQ(response.blockers_size(), 100);
    EXPECT_EQ(response.blocker_count(), 150);
}

TEST_F(AdminServerTest, streams_health_at_once_and_at_each_change) {
    const auto call = context();
    auto reader = stub_->Health(call.get(), {});
    v1::HealthResponse news;
    ASSERT_TRUE(reader->Read(&news));
    EXPECT_EQ(news.epoch(), 7);
    Health change;
    change.epoch = QuorumEpoch{8};
    change.brokers.resize(2);
    change.brokers[1].state = BrokerState::fenced;
    doors_->tell(change);
    ASSERT_TRUE(reader->Read(&news));
    EXPECT_EQ(news.epoch(), 8);
    EXPECT_EQ(news.brokers(1).state(), v1::BROKER_STATE_FENCED);
    call->TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(AdminServerTest, says_the_last_news_again_after_a_silence) {
    v1::HealthRequest request;
    request.set_repeat_ms(1);
    const auto call = context();
    auto reader = stub_->Health(call.get(), request);
    v1::HealthResponse news;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(reader->Read(&news));
        EXPECT_EQ(news.epoch(), 7);
    }
    call->TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(AdminServerTest, puts_news_together_for_a_reader_that_is_slow) {
    const auto call = context();
    auto reader = stub_->Health(call.get(), {});
    v1::HealthResponse news;
    ASSERT_TRUE(reader->Read(&news));
    Health change;
    change.brokers.resize(100);
    for (int i = 1; i <= 2000; ++i) {
        change.metadata_offset = Offset{i};
        doors_->tell(change);
    }
    int reads = 0;
    while (news.metadata_offset() < 2000 && reader->Read(&news)) {
        ++reads;
    }
    EXPECT_EQ(news.metadata_offset(), 2000);
    EXPECT_LT(reads, 2000);
    call->TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(AdminServerTest, ends_streams_and_their_subscriptions_when_it_stops) {
    const auto call = context();
    auto reader = stub_->Health(call.get(), {});
    v1::HealthResponse news;
    ASSERT_TRUE(reader->Read(&news));
    server_->stop(10s);
    EXPECT_FALSE(reader->Read(&news));
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_TRUE(doors_->ended_);
}

TEST_F(AdminServerTest, offers_honestly_what_is_not_built) {
    v1::PlanRebalanceResponse response;
    const auto status = stub_->PlanRebalance(context().get(), {}, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_THAT(status.error_message(), HasSubstr("PlanRebalance"));
}

TEST_F(AdminServerTest, validates_settings_with_the_tables) {
    v1::ValidateConfigRequest request;
    v1::ValidateConfigResponse response;
    request.set_scope(v1::ValidateConfigRequest::SCOPE_TOPIC);
    (*request.mutable_entries())["retention.mss"] = "1";
    (*request.mutable_entries())["segment.bytes"] = "7";
    (*request.mutable_entries())["cleanup.policy"] = "compact";
    ASSERT_TRUE(stub_->ValidateConfig(context().get(), request, &response).ok());
    ASSERT_EQ(response.errors_size(), 2);
    EXPECT_THAT(response.errors(0).message(), HasSubstr("did you mean retention.ms?"));
    EXPECT_EQ(response.errors(1).key(), "segment.bytes");
}

TEST_F(AdminServerTest, counts_calls_by_outcome) {
    v1::IdentityResponse response;
    ASSERT_TRUE(stub_->Identity(context().get(), {}, &response).ok());
    server_->stop(10s);
    double calls = 0;
    for (const metrics::Family& family : registry_->collect()) {
        for (const metrics::Series& series : family.series) {
            if (series.labels == std::vector<std::string>{"Identity", "OK"}) {
                calls = series.value;
            }
        }
    }
    EXPECT_EQ(calls, 1);
}

struct Limited : AdminServerTest {
    static ServerOptions options() {
        ServerOptions limits;
        limits.changes_per_second = 2;
        limits.max_streams = 1;
        limits.max_message_bytes = 1000;
        return limits;
    }
    Limited() : AdminServerTest(options()) {}
};

TEST_F(Limited, refuses_changes_that_come_too_fast) {
    v1::CordonResponse response;
    EXPECT_TRUE(stub_->Cordon(context().get(), cordon_request(""), &response).ok());
    EXPECT_TRUE(stub_->Cordon(context().get(), cordon_request(""), &response).ok());
    EXPECT_EQ(stub_->Cordon(context().get(), cordon_request(""), &response).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
    v1::IdentityResponse identity;
    EXPECT_TRUE(stub_->Identity(context().get(), {}, &identity).ok());
}

TEST_F(Limited, refuses_a_message_that_is_too_long) {
    v1::CordonRequest request = cordon_request(std::string(2000, 'k'));
    v1::CordonResponse response;
    EXPECT_EQ(stub_->Cordon(context().get(), request, &response).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(doors_->cordons_, 0);
}

TEST(AdminServer, refuses_an_address_that_others_reach_without_tls) {
    for (const char* host : {"0.0.0.0", "", "192.0.2.1", "::"}) {
        ServerOptions options;
        options.host = host;
        const auto started = Server::start(options, std::make_shared<FakeDoors>(), Logger{},
                                           std::make_shared<metrics::Registry>());
        ASSERT_FALSE(started.has_value()) << host;
        EXPECT_EQ(started.error().code(), Code::invalid);
        EXPECT_THAT(started.error().message(), HasSubstr("millrace.admin.tls.certificate"));
    }
}

TEST(AdminServer, refuses_tls_with_a_file_missing) {
    ServerOptions options;
    options.tls.certificate = "/some/cert.pem";
    const auto started = Server::start(options, std::make_shared<FakeDoors>(), Logger{},
                                       std::make_shared<metrics::Registry>());
    ASSERT_FALSE(started.has_value());
    EXPECT_THAT(started.error().message(), HasSubstr("belong together"));
}

std::string test_file(const std::string& name) {
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/tests/vectors/tls/" + name};
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

class AdminTlsTest : public testing::Test {
protected:
    AdminTlsTest() {
        const std::string folder = std::string{MILLRACE_SOURCE_DIR} + "/tests/vectors/tls/";
        ServerOptions options;
        options.tls = {folder + "server.pem", folder + "server.key", folder + "authority.pem"};
        auto started =
            Server::start(options, doors_, Logger{}, std::make_shared<metrics::Registry>());
        EXPECT_TRUE(started.has_value());
        server_ = *std::move(started);
    }

    grpc::Status identity_as(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
        const auto channel =
            grpc::CreateChannel(fmt::format("localhost:{}", server_->port()), credentials);
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + 20s);
        v1::IdentityResponse response;
        return v1::Admin::NewStub(channel)->Identity(&context, {}, &response);
    }

    static std::shared_ptr<grpc::ChannelCredentials> credentials_of(const std::string& who) {
        grpc::SslCredentialsOptions options;
        options.pem_root_certs = test_file("authority.pem");
        if (!who.empty()) {
            options.pem_private_key = test_file(who + ".key");
            options.pem_cert_chain = test_file(who + ".pem");
        }
        return grpc::SslCredentials(options);
    }

    std::shared_ptr<FakeDoors> doors_ = std::make_shared<FakeDoors>();
    std::unique_ptr<Server> server_;
};

TEST_F(AdminTlsTest, knows_a_caller_by_the_certificate) {
    const auto status = identity_as(credentials_of("client"));
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(doors_->peer_.tls);
    EXPECT_EQ(doors_->peer_.subject, "O=Millrace tests,CN=alice");
}

TEST_F(AdminTlsTest, refuses_a_caller_without_a_certificate_of_its_authority) {
    EXPECT_EQ(identity_as(credentials_of("intruder")).error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(identity_as(credentials_of("")).error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(identity_as(grpc::InsecureChannelCredentials()).error_code(),
              grpc::StatusCode::UNAVAILABLE);
    EXPECT_TRUE(doors_->asked_.empty());
}

TEST(AdminServer, does_not_share_its_port) {
    auto first = Server::start({}, std::make_shared<FakeDoors>(), Logger{},
                               std::make_shared<metrics::Registry>());
    ASSERT_TRUE(first.has_value());
    ServerOptions options;
    options.port = (*first)->port();
    const auto second = Server::start(options, std::make_shared<FakeDoors>(), Logger{},
                                      std::make_shared<metrics::Registry>());
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().message(), HasSubstr("Address already in use"));
}

}  // namespace
}  // namespace millrace::admin
