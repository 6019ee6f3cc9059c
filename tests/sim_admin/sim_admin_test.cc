// That the simulated cluster keeps the contract's promises, seen through a gRPC client.
#include "tests/sim_admin/sim_admin.h"

#include <chrono>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "millrace/admin/v1/admin.grpc.pb.h"

namespace millrace::sim_admin {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SimAdminTest : public testing::Test {
protected:
    SimAdminTest() {
        for (const int id : {1, 2, 3}) {
            cluster_->add_broker(id, "rack-" + std::to_string(id));
        }
        stub_ = v1::Admin::NewStub(
            grpc::CreateChannel(server_.address(), grpc::InsecureChannelCredentials()));
    }

    static std::unique_ptr<grpc::ClientContext> context() {
        auto made = std::make_unique<grpc::ClientContext>();
        made->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
        return made;
    }
    template <typename Request, typename Response>
    Response ask(grpc::Status (v1::Admin::Stub::*call)(grpc::ClientContext*, const Request&,
                                                       Response*),
                 const Request& request) {
        Response response;
        status_ = (*stub_.*call)(context().get(), request, &response);
        return response;
    }
    v1::RestartCheckResponse restart_check(std::vector<int> ids, bool with_those_down = false) {
        v1::RestartCheckRequest request;
        request.mutable_broker_ids()->Add(ids.begin(), ids.end());
        request.set_with_those_down(with_those_down);
        return ask(&v1::Admin::Stub::RestartCheck, request);
    }
    v1::Plan plan(v1::PlanMode mode, std::vector<int> drain = {}) {
        v1::PlanRebalanceRequest request;
        request.set_mode(mode);
        request.mutable_drain()->Add(drain.begin(), drain.end());
        request.set_show_moves(100);
        return ask(&v1::Admin::Stub::PlanRebalance, request).plan();
    }
    v1::PlanProgress apply(const std::string& hash) {
        v1::ApplyPlanRequest request;
        request.set_hash(hash);
        return ask(&v1::Admin::Stub::ApplyPlan, request).progress();
    }
    v1::PlanProgress progress() {
        return ask(&v1::Admin::Stub::GetPlan, v1::GetPlanRequest{}).progress();
    }

    std::shared_ptr<SimCluster> cluster_ = std::make_shared<SimCluster>();
    SimAdmin server_{cluster_};
    std::unique_ptr<v1::Admin::Stub> stub_;
    grpc::Status status_;
};

TEST_F(SimAdminTest, lets_brokers_stop_only_while_partitions_keep_their_replicas) {
    cluster_->add_topic("orders", 6, 3, 2);
    EXPECT_TRUE(restart_check({1}).allowed());
    EXPECT_FALSE(restart_check({1, 2}).allowed());
    cluster_->stop_broker(3);
    const auto verdict = restart_check({1}, true);
    EXPECT_FALSE(verdict.allowed());
    EXPECT_EQ(verdict.blockers(0).reason(), v1::RestartBlocker::REASON_UNDER_MIN_ISR);
    EXPECT_FALSE(restart_check({9}).allowed());
}

TEST_F(SimAdminTest, says_the_verdict_that_a_test_sets) {
    cluster_->forbid_restart(2, "because the test says so");
    EXPECT_THAT(restart_check({2}).blockers(0).message(), HasSubstr("because the test says so"));
    cluster_->allow_restart(2);
    EXPECT_TRUE(restart_check({2}).allowed());
}

TEST_F(SimAdminTest, brings_a_restarted_broker_back_over_ticks) {
    cluster_->add_topic("orders", 3, 3, 2);
    cluster_->stop_broker(1);
    cluster_->start_broker(1);
    v1::RestartProgressRequest request;
    request.set_broker_id(1);
    request.set_previous_broker_epoch(1);
    auto progress = ask(&v1::Admin::Stub::RestartProgress, request);
    EXPECT_EQ(progress.state(), v1::BROKER_STATE_RECOVERING);
    EXPECT_FALSE(progress.caught_up());
    cluster_->tick(2);
    progress = ask(&v1::Admin::Stub::RestartProgress, request);
    EXPECT_EQ(progress.state(), v1::BROKER_STATE_RUNNING);
    EXPECT_THAT(progress.waiting_for(), HasSubstr("in sync"));
    cluster_->tick(2);
    EXPECT_TRUE(ask(&v1::Admin::Stub::RestartProgress, request).caught_up());
}

TEST_F(SimAdminTest, drains_leaders_to_the_other_replicas) {
    cluster_->add_topic("orders", 6, 2, 1);
    v1::DrainLeadersRequest request;
    request.set_broker_id(1);
    EXPECT_EQ(ask(&v1::Admin::Stub::DrainLeaders, request).leaders_left(), 0);
    EXPECT_EQ(cluster_->health().brokers(0).leaders(), 0);
    cluster_->add_topic("lonely", 3, 1, 1);
    const auto stuck = ask(&v1::Admin::Stub::DrainLeaders, request);
    EXPECT_EQ(stuck.leaders_left(), 1);
}

TEST_F(SimAdminTest, scales_out_by_a_plan_that_runs_over_ticks) {
    cluster_->add_topic("orders", 6, 2);
    cluster_->add_broker(4, "rack-1");
    const v1::Plan made = plan(v1::PLAN_MODE_SCALE_OUT);
    EXPECT_GT(made.move_count(), 0);
    EXPECT_EQ(plan(v1::PLAN_MODE_SCALE_OUT).hash(), made.hash());
    cluster_->knobs().moves_at_once = 1;
    EXPECT_EQ(apply(made.hash()).state(), v1::PLAN_STATE_RUNNING);
    cluster_->tick(made.move_count());
    EXPECT_EQ(progress().state(), v1::PLAN_STATE_DONE);
    EXPECT_EQ(progress().moves_done(), made.move_count());
    EXPECT_TRUE(cluster_->has_replicas(4));
    EXPECT_EQ(plan(v1::PLAN_MODE_SCALE_OUT).move_count(), 0);
}

TEST_F(SimAdminTest, refuses_a_plan_for_a_cluster_that_has_changed) {
    cluster_->add_topic("orders", 6, 2);
    cluster_->add_broker(4, "rack-1");
    const v1::Plan made = plan(v1::PLAN_MODE_SCALE_OUT);
    cluster_->add_topic("more", 1, 1);
    apply(made.hash());
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    apply("nonsense");
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(SimAdminTest, pauses_cancels_and_rolls_back) {
    cluster_->add_topic("orders", 8, 2);
    cluster_->add_broker(4, "rack-1");
    cluster_->knobs().moves_at_once = 1;
    const v1::Plan made = plan(v1::PLAN_MODE_DRAIN, {1});
    ASSERT_GT(made.move_count(), 3);
    apply(made.hash());
    cluster_->tick();
    ask(&v1::Admin::Stub::PausePlan, v1::PausePlanRequest{});
    cluster_->tick(5);
    EXPECT_EQ(progress().moves_done(), 2);
    ask(&v1::Admin::Stub::ResumePlan, v1::ResumePlanRequest{});
    ask(&v1::Admin::Stub::CancelPlan, v1::CancelPlanRequest{});
    cluster_->tick();
    EXPECT_EQ(progress().state(), v1::PLAN_STATE_CANCELLED);
    ask(&v1::Admin::Stub::RollbackPlan, v1::RollbackPlanRequest{});
    cluster_->tick(5);
    EXPECT_EQ(progress().state(), v1::PLAN_STATE_ROLLED_BACK);
    EXPECT_FALSE(cluster_->has_replicas(4));
}

TEST_F(SimAdminTest, scales_in_only_when_a_broker_is_empty) {
    cluster_->add_topic("orders", 4, 2);
    cluster_->add_broker(4, "rack-1");
    v1::UnregisterBrokerRequest unregister;
    unregister.set_broker_id(3);
    ask(&v1::Admin::Stub::UnregisterBroker, unregister);
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status_.error_message(), HasSubstr("replicas"));
    apply(plan(v1::PLAN_MODE_DRAIN, {3}).hash());
    cluster_->tick(5);
    EXPECT_FALSE(cluster_->has_replicas(3));
    ask(&v1::Admin::Stub::UnregisterBroker, unregister);
    EXPECT_THAT(status_.error_message(), HasSubstr("voter"));
    v1::RemoveVoterRequest remove;
    remove.set_id(3);
    remove.set_directory_id("dir-3");
    ask(&v1::Admin::Stub::RemoveVoter, remove);
    ask(&v1::Admin::Stub::UnregisterBroker, unregister);
    EXPECT_TRUE(status_.ok());
    EXPECT_THAT(cluster_->journal(), Contains("UnregisterBroker 3"));
}

TEST_F(SimAdminTest, streams_health_with_each_change) {
    const auto call = context();
    auto reader = stub_->Health(call.get(), {});
    v1::HealthResponse news;
    ASSERT_TRUE(reader->Read(&news));
    EXPECT_EQ(news.brokers_size(), 3);
    cluster_->stop_broker(2);
    while (news.brokers(1).state() != v1::BROKER_STATE_FENCED) {
        ASSERT_TRUE(reader->Read(&news));
    }
    call->TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(SimAdminTest, fails_the_calls_that_a_test_wants_failed) {
    cluster_->fail_next("Cordon", Code::unavailable, "nobody leads", 2);
    v1::CordonRequest request;
    request.add_broker_ids(1);
    for (const auto code :
         {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::OK}) {
        ask(&v1::Admin::Stub::Cordon, request);
        EXPECT_EQ(status_.error_code(), code);
    }
    EXPECT_THAT(cluster_->journal(), ElementsAre("Cordon 1"));
}

TEST_F(SimAdminTest, mirrors_a_source_and_promotes_without_loss_or_by_force) {
    cluster_->add_source("east:9092", "east-id", {{"orders", 2500}, {"orders.tmp", 5}});
    v1::ApplyLinkRequest request;
    auto& spec = *request.mutable_link();
    spec.set_name("east-to-west");
    spec.mutable_source()->add_bootstrap_servers("east:9092");
    spec.mutable_source()->mutable_sasl()->set_password("hunter2");
    spec.mutable_topics()->add_include("orders*");
    spec.mutable_topics()->add_exclude("*.tmp");
    spec.set_state(v1::LINK_DESIRED_MIRRORING);
    EXPECT_TRUE(ask(&v1::Admin::Stub::ApplyLink, request).changed());
    EXPECT_FALSE(ask(&v1::Admin::Stub::ApplyLink, request).changed());
    cluster_->tick(3);
    EXPECT_EQ(cluster_->link_status("").links(0).lag_records(), 500);
    spec.set_state(v1::LINK_DESIRED_PROMOTED);
    spec.set_promotion(v1::LINK_PROMOTION_PLANNED);
    ask(&v1::Admin::Stub::ApplyLink, request);
    cluster_->tick();
    const v1::LinkState state = cluster_->link_status("east-to-west").links(0);
    EXPECT_EQ(state.worst_topics_size(), 1);
    EXPECT_EQ(state.topics_by_state().at("promoted"), 1);
    EXPECT_EQ(state.last_failover().lost_records_at_most(), 0);
    // Back to mirroring only by an explicit cut.
    spec.set_state(v1::LINK_DESIRED_MIRRORING);
    ask(&v1::Admin::Stub::ApplyLink, request);
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    spec.set_truncate_existing(true);
    ask(&v1::Admin::Stub::ApplyLink, request);
    EXPECT_TRUE(status_.ok());
    v1::GetLinkRequest get;
    get.set_name("east-to-west");
    EXPECT_EQ(ask(&v1::Admin::Stub::GetLink, get).link().source().sasl().password(), "");
}

TEST_F(SimAdminTest, reports_what_a_forced_promotion_may_lose) {
    cluster_->add_source("east:9092", "east-id", {{"orders", 10'000}});
    v1::ApplyLinkRequest request;
    auto& spec = *request.mutable_link();
    spec.set_name("l");
    spec.mutable_source()->add_bootstrap_servers("east:9092");
    spec.mutable_topics()->add_include("*");
    spec.set_state(v1::LINK_DESIRED_MIRRORING);
    ask(&v1::Admin::Stub::ApplyLink, request);
    cluster_->tick(3);
    cluster_->set_source_reachable("east:9092", false);
    cluster_->tick();
    EXPECT_EQ(cluster_->link_status("l").links(0).phase(), v1::LINK_PHASE_SOURCE_UNAVAILABLE);
    spec.set_state(v1::LINK_DESIRED_PROMOTED);
    spec.set_promotion(v1::LINK_PROMOTION_FORCED);
    ask(&v1::Admin::Stub::ApplyLink, request);
    cluster_->tick();
    EXPECT_EQ(cluster_->link_status("l").links(0).last_failover().lost_records_at_most(), -1);
}

TEST_F(SimAdminTest, makes_topics_and_pages_through_them) {
    v1::CreateTopicsRequest create;
    for (const char* name : {"c", "a", "b", "a"}) {
        auto& topic = *create.add_topics();
        topic.set_name(name);
        topic.set_partitions(2);
        topic.set_replication_factor(2);
    }
    const auto created = ask(&v1::Admin::Stub::CreateTopics, create);
    EXPECT_EQ(created.topics(3).error().kafka_error(), 36);
    v1::ListTopicsRequest list;
    list.mutable_page()->set_size(2);
    auto page = ask(&v1::Admin::Stub::ListTopics, list);
    EXPECT_EQ(page.topics_size(), 2);
    list.mutable_page()->set_after(page.next());
    page = ask(&v1::Admin::Stub::ListTopics, list);
    ASSERT_EQ(page.topics_size(), 1);
    EXPECT_EQ(page.topics(0).name(), "c");
    EXPECT_EQ(page.next(), "");
}

TEST_F(SimAdminTest, tells_the_lag_of_groups) {
    cluster_->add_topic("orders", 2, 1);
    cluster_->add_group("billing", "orders", 7);
    v1::GroupLagRequest request;
    request.set_with_partitions(true);
    const auto lag = ask(&v1::Admin::Stub::GroupLag, request);
    EXPECT_EQ(lag.groups(0).total_records(), 14);
    EXPECT_EQ(lag.groups(0).partitions(1).records(), 7);
}

}  // namespace
}  // namespace millrace::sim_admin
