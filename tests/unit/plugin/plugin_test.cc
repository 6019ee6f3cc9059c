#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/plugin/commands.h"
#include "operator/plugin/screens.h"

namespace millrace::plugin {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

api::Cluster a_cluster() {
    api::Cluster cluster;
    cluster.metadata.name = "main";
    cluster.metadata.space = "default";
    cluster.metadata.generation = 2;
    cluster.spec.replicas = 3;
    cluster.status.observed_generation = 2;
    cluster.status.phase = "Rolling";
    cluster.status.version = "0.1.0";
    cluster.status.ready_replicas = 2;
    cluster.status.brokers = {{.id = 0,
                               .pool = "brokers",
                               .rack = "a",
                               .pod = "main-0",
                               .ready = true,
                               .updated = true,
                               .state = api::BrokerState::running},
                              {.id = 12,
                               .pool = "brokers",
                               .rack = "b",
                               .pod = "main-12",
                               .ready = false,
                               .updated = true,
                               .state = api::BrokerState::recovering,
                               .recovery_percent = 40,
                               .waiting_for = "its log"}};
    return cluster;
}

TEST(StatusScreen, shows_brokers_under_their_columns) {
    EXPECT_EQ(status_screen({a_cluster(), {}, {}}),
              "Cluster default/main   Rolling   2/3 brokers ready   version 0.1.0\n"
              "\n"
              "  BROKER  POOL     RACK  STATE           READY  UPDATED  WAITING FOR\n"
              "  0       brokers  a     Running         yes    yes\n"
              "  12      brokers  b     Recovering 40%  no     yes      its log\n");
}

TEST(StatusScreen, says_where_to_look_when_nobody_takes_an_edit_up) {
    api::Cluster cluster = a_cluster();
    cluster.metadata.generation = 3;
    EXPECT_THAT(status_screen({cluster, {}, {}}),
                testing::AllOf(HasSubstr("the last edit is not taken up yet"),
                               HasSubstr("watches namespace default? kubectl get pods -A")));
}

// The API server keeps new entries of the list behind the old ones.
TEST(StatusScreen, shows_brokers_by_their_ids) {
    api::Cluster cluster = a_cluster();
    std::swap(cluster.status.brokers[0], cluster.status.brokers[1]);
    const std::string screen = status_screen({cluster, {}, {}});
    EXPECT_LT(screen.find("\n  0 "), screen.find("\n  12 ")) << screen;
}

TEST(StatusScreen, shows_a_roll_and_moves_with_bars) {
    api::Cluster cluster = a_cluster();
    cluster.status.rolling = api::RollingStatus{
        .reason = "config", .done = 1, .total = 4, .current = {12}, .waiting_for = "broker 12"};
    cluster.status.rebalance = api::RebalanceStatus{};
    cluster.status.rebalance->state = api::RebalanceState::moving;
    cluster.status.rebalance->moves = {.total = 10, .done = 4, .in_flight = 2};
    cluster.status.rebalance->bytes = {.total = std::int64_t{4} << 30,
                                       .done = std::int64_t{1} << 30};
    cluster.status.rebalance->rate = 10 << 20;
    cluster.status.rebalance->eta = api::Span(90s);
    const std::string screen = status_screen({cluster, {}, {}});
    EXPECT_THAT(screen, HasSubstr("rolling   [#####---------------] 1 of 4, config; down now: 12; "
                                  "waits: broker 12\n"));
    EXPECT_THAT(screen, HasSubstr("moving    [#####---------------] Moving, 4 of 10 replicas, 1.0 "
                                  "GiB of 4.0 GiB, 10 MiB/s, 1m30s left\n"));
}

TEST(StatusScreen, names_what_needs_attention_and_nothing_else) {
    api::Cluster cluster = a_cluster();
    cluster.status.conditions = {{.type = "Ready", .status = "True"},
                                 {.type = "Paused", .status = "False"},
                                 {.type = "RackPlacement",
                                  .status = "False",
                                  .reason = "Crowded",
                                  .message = "two of three in a"}};
    const std::string screen = status_screen({cluster, {}, {}});
    EXPECT_THAT(screen, HasSubstr("RackPlacement=False  Crowded  two of three in a"));
    EXPECT_THAT(screen, Not(HasSubstr("Paused")));
    EXPECT_THAT(screen, Not(HasSubstr("Ready=")));
}

TEST(StatusScreen, says_how_old_the_figures_are_where_no_controller_answers) {
    api::Cluster cluster = a_cluster();
    cluster.status.controllers = api::ControllersStatus{.leader = 1, .voters = {0, 1, 2}};
    cluster.status.health = api::HealthStatus{.under_replicated = 4};
    ClusterView view{cluster, {}, {}, {1'700'000'042'000}};
    EXPECT_THAT(status_screen(view), HasSubstr("quorum    controller 1 of voters 0, 1, 2\n"));
    EXPECT_THAT(status_screen(view), HasSubstr("health    0 partitions offline, 0 under min ISR, "
                                               "4 under-replicated"));
    view.cluster.status.controllers->leader.reset();
    view.cluster.status.health->as_of = "2023-11-14T22:13:20Z";
    EXPECT_THAT(status_screen(view), HasSubstr("quorum    no controller answers; voters 0, 1, 2"));
    EXPECT_THAT(status_screen(view), HasSubstr("health    unknown; 42s ago: 0 partitions offline"));
}

// What keeps a broker from leaving stood there three times.
TEST(StatusScreen, says_each_thing_once) {
    const std::string why = "wide-0 can't leave broker 3: it has 4 replicas";
    api::Cluster cluster = a_cluster();
    cluster.status.message = why;
    cluster.status.rebalance = api::RebalanceStatus{};
    cluster.status.rebalance->state = api::RebalanceState::blocked;
    cluster.status.rebalance->trigger = "broker 3 leaves";
    cluster.status.rebalance->blocked_by = why;
    cluster.status.conditions = {
        {.type = "Ready", .status = "False", .reason = "Scaling", .message = why},
        {.type = "Balanced", .status = "False", .reason = "Blocked", .message = "broker 3 leaves"}};
    const std::string screen = status_screen({cluster, {}, {}});
    EXPECT_EQ(screen.find(why), screen.rfind(why)) << screen;
    EXPECT_THAT(screen, HasSubstr("moving    nothing: broker 3 leaves\n"));
}

TEST(StatusScreen, says_which_topics_are_not_ready) {
    api::Topic fine;
    fine.status.conditions = {{.type = "Ready", .status = "True"}};
    api::Topic stuck;
    stuck.metadata.name = "orders";
    stuck.status.conditions = {
        {.type = "Ready", .status = "False", .reason = "X", .message = "no room"}};
    EXPECT_THAT(status_screen({a_cluster(), {fine, stuck}, {}}),
                HasSubstr("topics    2, 1 not ready\n    orders: no room\n"));
}

// Producers were refused while the screen said "all ready".
TEST(StatusScreen, says_which_topics_take_no_writes) {
    std::vector<api::Topic> all(6);
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i].metadata.name = "t" + std::to_string(i);
        all[i].status.conditions = {{.type = "Ready", .status = "True"}};
        if (i > 0) {
            all[i].status.conditions.push_back({.type = "Writable",
                                                .status = "False",
                                                .reason = "Fenced",
                                                .message = i == 5 ? "mirror" : "fenced by abc"});
        }
    }
    EXPECT_THAT(status_screen({a_cluster(), all, {}}),
                HasSubstr("topics    6, all ready, 5 take no writes\n"
                          "    t1, t2, t3 and 1 more: fenced by abc\n"
                          "    t5: mirror\n"));
}

TEST(PlanScreen, says_how_to_approve_a_plan) {
    api::Cluster cluster = a_cluster();
    EXPECT_THAT(plan_screen(cluster), HasSubstr("nothing moves and nothing is planned"));
    cluster.status.rebalance = api::RebalanceStatus{};
    cluster.status.rebalance->state = api::RebalanceState::awaiting_approval;
    cluster.status.rebalance->plan_hash = "abc";
    cluster.status.rebalance->trigger = "broker 3 joined";
    cluster.status.rebalance->moves.total = 7;
    cluster.status.rebalance->lower_bound = 6;
    EXPECT_THAT(plan_screen(cluster), HasSubstr("broker 3 joined"));
    EXPECT_THAT(plan_screen(cluster),
                HasSubstr("7 replicas, 0 B; no plan can do with fewer than 6"));
    EXPECT_THAT(plan_screen(cluster),
                HasSubstr("kubectl millrace plan -n default main --approve abc"));
}

api::Cluster with_a_plan(api::RebalanceState state) {
    api::Cluster cluster = a_cluster();
    cluster.status.rebalance = api::RebalanceStatus{};
    cluster.status.rebalance->state = state;
    cluster.status.rebalance->plan_hash = "0123abc";
    cluster.status.rebalance->trigger = "broker 3 is new";
    cluster.status.rebalance->moves.total = 7;
    return cluster;
}

// Any hash was "approved".
TEST(Approval, is_of_the_plan_that_is_shown_and_of_no_other) {
    const api::Cluster cluster = with_a_plan(api::RebalanceState::awaiting_approval);
    for (const char* hash : {"", "0123abc", "0123abc/scale-out"}) {
        const auto approval = approval_of(cluster, hash);
        ASSERT_TRUE(approval) << approval.error().message();
        EXPECT_EQ(approval->hash, "0123abc");
        EXPECT_EQ(approval->text,
                  "approved: plan 0123abc of default/main (broker 3 is new; 7 replicas, 0 B)\n");
    }
    const auto other = approval_of(cluster, "deadbeef");
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().message(),
                HasSubstr("plan deadbeef: nothing is approved; the plan now is 0123abc (broker 3 "
                          "is new), see kubectl millrace plan -n default main"));
}

TEST(Approval, is_of_nothing_where_nothing_waits) {
    const auto refusal = [](const api::Cluster& cluster, const std::string& hash) {
        const auto approval = approval_of(cluster, hash);
        return approval ? std::string() : approval.error().message();
    };
    EXPECT_THAT(refusal(a_cluster(), "0123abc"), HasSubstr("nothing waits for approval"));
    api::Cluster blocked = with_a_plan(api::RebalanceState::blocked);
    blocked.status.rebalance->blocked_by = "broker 2 has no room";
    EXPECT_THAT(refusal(blocked, "0123abc"), HasSubstr("it is blocked by broker 2 has no room"));
    api::Cluster edited = with_a_plan(api::RebalanceState::awaiting_approval);
    edited.metadata.generation = 3;
    EXPECT_THAT(refusal(edited, ""), HasSubstr("the last edit is not taken up yet"));
    const auto running = approval_of(with_a_plan(api::RebalanceState::moving), "0123abc");
    ASSERT_TRUE(running);
    EXPECT_EQ(running->hash, "") << "nothing is written";
    EXPECT_THAT(running->text, HasSubstr("runs already"));
}

TEST(MirrorScreen, says_what_a_failover_now_would_lose) {
    api::MirrorLink link;
    link.metadata.name = "east-to-west";
    link.metadata.space = "default";
    link.spec.cluster_ref.name = "west";
    link.status.state = "Active";
    link.status.summary.source = "east";
    link.status.topics = 2;
    link.status.topics_by_state = {{"CatchingUp", 1}, {"Mirroring", 1}};
    link.status.rpo_seconds = 2.25;
    link.status.worst_topics = {{.name = "orders",
                                 .state = "CatchingUp",
                                 .lag_records = 5,
                                 .lag_seconds = 2.25,
                                 .reason = ""}};
    const std::string screen = mirror_screen(link);
    EXPECT_THAT(screen, HasSubstr("east -> west   Active"));
    EXPECT_THAT(screen, HasSubstr("2 (1 CatchingUp, 1 Mirroring)"));
    EXPECT_THAT(screen, HasSubstr("forced now, it would lose the last 2.2 s; planned, nothing"));
    EXPECT_THAT(screen, HasSubstr("orders  CatchingUp  2.2 s   5"));
}

TEST(Screens, bars_and_bytes_stay_in_their_bounds) {
    EXPECT_EQ(progress_bar(0, 0, 4), "[----]");
    EXPECT_EQ(progress_bar(9, 3, 4), "[####]");
    EXPECT_EQ(progress_bar(-1, 3, 4), "[----]");
    EXPECT_EQ(readable_bytes(12), "12 B");
    EXPECT_EQ(readable_bytes(1536), "1.5 KiB");
    EXPECT_EQ(readable_bytes(std::int64_t{820} << 20), "820 MiB");
}

TEST(Commands, are_read_with_options_anywhere) {
    const auto command = parse_command({"-n", "prod", "status", "main", "--context=eu"});
    ASSERT_TRUE(command) << command.error().message();
    EXPECT_EQ(command->verb, Verb::status);
    EXPECT_EQ(command->name, "main");
    EXPECT_EQ(command->space, "prod");
    EXPECT_EQ(command->context, "eu");
}

TEST(Commands, approve_takes_a_hash_or_none) {
    const auto approved = [](const std::vector<std::string>& words) {
        const auto command = parse_command(words);
        return command ? command->approve : std::optional<std::string>("refused");
    };
    EXPECT_EQ(approved({"plan", "main"}), std::nullopt);
    EXPECT_EQ(approved({"plan", "main", "--approve", "abc"}), "abc");
    EXPECT_EQ(approved({"plan", "main", "--approve=abc"}), "abc");
    EXPECT_EQ(approved({"plan", "main", "--approve"}), "");
    EXPECT_EQ(approved({"plan", "main", "--approve", "-n", "prod"}), "");
    EXPECT_EQ(approved({"plan", "--approve", "main"}), "refused");
}

TEST(Commands, that_make_no_sense_are_refused_with_a_reason) {
    const auto refusal = [](const std::vector<std::string>& words) {
        const auto command = parse_command(words);
        return command ? std::string() : command.error().message();
    };
    EXPECT_THAT(refusal({"restart"}), HasSubstr("restart needs the name"));
    EXPECT_THAT(refusal({"statsu"}), HasSubstr("say status, plan, restart or mirror"));
    EXPECT_THAT(refusal({"plan", "--approve", "x"}), HasSubstr("with the name of a Cluster"));
    EXPECT_THAT(refusal({"status", "a", "b"}), HasSubstr("one name is enough"));
    EXPECT_THAT(refusal({"status", "--nope", "b"}), HasSubstr("unknown option"));
    EXPECT_THAT(refusal({"status", "-n"}), HasSubstr("its value is missing"));
    EXPECT_THAT(refusal({"status", "-A", "-n", "a"}), HasSubstr("goes with neither"));
}

TEST(Commands, help_is_help_wherever_it_stands) {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"--help"}, {"status", "--help"}, {"restart", "-h"}, {"plan", "main", "--help"}, {}}) {
        const auto command = parse_command(words);
        ASSERT_TRUE(command) << command.error().message();
        EXPECT_EQ(command->verb, Verb::help);
    }
}

TEST(MirrorScreen, what_is_not_offered_needs_no_attention) {
    api::MirrorLink link;
    link.status.conditions = {{.type = "AclsSynced", .status = "Unknown", .reason = "NotOffered"},
                              {.type = "SourceReachable", .status = "Unknown", .reason = "NotYet"}};
    const std::string screen = mirror_screen(link);
    EXPECT_THAT(screen, Not(HasSubstr("AclsSynced")));
    EXPECT_THAT(screen, HasSubstr("SourceReachable=Unknown"));
}

TEST(Screens, one_bad_object_is_one_line) {
    EXPECT_EQ(unreadable_screen({}), "");
    EXPECT_EQ(unreadable_screen({{"Topic default/orders", "spec.config[a]: [1] is no text"}}),
              "Can't be read\n  Topic default/orders  spec.config[a]: [1] is no text\n");
}

TEST(Screens, a_first_cluster_is_a_whole_command) {
    EXPECT_THAT(first_steps("foo"), HasSubstr("no Cluster in namespace foo (-A shows all"));
    EXPECT_THAT(first_steps("foo"), HasSubstr("kubectl apply -n foo -f - <<YAML\napiVersion: "
                                              "millrace.dev/v1\nkind: Cluster\n"));
    EXPECT_THAT(first_steps(""), HasSubstr("no Cluster in any namespace"));
}

}  // namespace
}  // namespace millrace::plugin
