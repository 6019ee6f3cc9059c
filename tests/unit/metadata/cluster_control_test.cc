// Registration, heartbeats, fencing and controlled shutdown.
#include "metadata/recovered_directories.h"
#include "metadata/refusal_reason.h"
#include "protocol/messages/controller_registration_request.h"
#include "protocol/messages/controller_registration_response.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

KafkaError refused(World& world, const protocol::BrokerRegistrationRequest& request) {
    auto decision = register_broker(*world.borrow(), request);
    EXPECT_TRUE(decision.draft.records().empty());
    return static_cast<KafkaError>(world.apply(std::move(decision)).error_code);
}

TEST(Registration, gives_the_offset_of_its_record_as_epoch_and_starts_fenced) {
    World world;
    const Offset expected = world.end;
    EXPECT_EQ(world.register_broker(1, "rack-a"), expected.value);
    const Broker* broker = world.image.cluster.broker(b(1));
    ASSERT_NE(broker, nullptr);
    EXPECT_TRUE(broker->fenced);
    EXPECT_EQ(broker->rack, "rack-a");
}

TEST(Registration, of_the_same_incarnation_keeps_the_epoch) {  // case 21
    World world;
    const auto request = world.registration(1);
    const auto first = world.apply(register_broker(*world.borrow(), request)).broker_epoch;
    EXPECT_EQ(world.apply(register_broker(*world.borrow(), request)).broker_epoch, first);
}

TEST(Registration, of_another_process_is_refused_while_the_session_lasts) {
    World world;
    world.bring_up(1);
    EXPECT_EQ(refused(world, world.registration(1)), KafkaError::duplicate_broker_registration);
    world.now = world.now + 3s;
    EXPECT_EQ(world.apply(register_broker(*world.borrow(), world.registration(1))).error_code, 0);
}

TEST(Registration, of_another_cluster_is_refused) {
    World world;
    auto request = world.registration(1);
    request.cluster_id = "elsewhere";
    EXPECT_EQ(refused(world, request), KafkaError::inconsistent_cluster_id);
}

TEST(Registration, with_a_directory_of_another_broker_is_refused) {
    World world;
    world.bring_up(1);
    auto request = world.registration(2);
    request.log_dirs.push_back(directory_of(1));
    EXPECT_EQ(refused(world, request), KafkaError::invalid_registration);
}

// The error code alone would send somebody looking for the wrong mistake.
TEST(Registration, that_is_refused_says_why) {
    World world;
    world.bring_up(1);
    const auto why = [&](const protocol::BrokerRegistrationRequest& request) {
        const auto answer = world.apply(register_broker(*world.borrow(), request));
        return std::string(refusal_reason(answer));
    };
    auto request = world.registration(2);
    request.log_dirs.push_back(directory_of(1));
    EXPECT_THAT(why(request), HasSubstr("belongs to broker 1: a copied data directory?"));
    auto again = world.registration(1);
    EXPECT_THAT(why(again), HasSubstr("another process is registered as broker 1"));
    again.cluster_id = "elsewhere";
    EXPECT_THAT(why(again), HasSubstr("the broker is of cluster elsewhere"));
    EXPECT_EQ(why(world.registration(3)), "");
}

TEST(Registration, needs_directories_that_are_distinct_and_not_reserved) {
    World world;
    for (const std::vector<Uuid>& directories :
         {std::vector<Uuid>{}, {lost_directory}, {directory_of(1), directory_of(1)}}) {
        auto request = world.registration(1);
        request.log_dirs = directories;
        EXPECT_EQ(refused(world, request), KafkaError::invalid_registration);
    }
}

TEST(Registration, of_a_broker_that_cant_run_what_is_finalized_is_refused) {
    World world;
    auto request = world.registration(1);
    for (auto& feature : request.features) {
        if (feature.name == feature::group_version) {
            feature.max_supported_version = 0;
        }
    }
    EXPECT_EQ(refused(world, request), KafkaError::unsupported_version);
    request.features.clear();
    EXPECT_EQ(refused(world, request), KafkaError::invalid_registration);
}

TEST(Heartbeat, unfences_once_the_broker_has_applied_its_registration) {
    World world;
    const auto epoch = world.register_broker(1);
    auto request = world.heartbeat_of(1);
    request.current_metadata_offset = epoch - 1;
    auto answer = world.apply(broker_heartbeat(*world.borrow(), request));
    EXPECT_TRUE(answer.is_fenced);
    EXPECT_FALSE(answer.is_caught_up);
    request.current_metadata_offset = epoch;
    answer = world.apply(broker_heartbeat(*world.borrow(), request));
    EXPECT_FALSE(answer.is_fenced);
    EXPECT_TRUE(answer.is_caught_up);
}

TEST(Heartbeat, of_an_older_incarnation_is_stale) {
    World world;
    world.bring_up(1);
    auto request = world.heartbeat_of(1);
    --request.broker_epoch;
    EXPECT_EQ(world.apply(broker_heartbeat(*world.borrow(), request)).error_code,
              code(KafkaError::stale_broker_epoch));
    request.broker_id = 9;
    EXPECT_EQ(world.apply(broker_heartbeat(*world.borrow(), request)).error_code,
              code(KafkaError::stale_broker_epoch));
}

TEST(Heartbeat, without_news_writes_nothing) {
    World world;
    world.bring_up(1);
    const Offset before = world.end;
    world.heartbeat(1);
    EXPECT_EQ(world.end, before);
}

TEST(Heartbeat, notes_cordoned_directories_once) {
    World world;
    world.bring_up(1);
    auto request = world.heartbeat_of(1);
    request.cordoned_log_dirs = std::vector<Uuid>{directory_of(1)};
    world.apply(broker_heartbeat(*world.borrow(), request));
    EXPECT_TRUE(world.image.cluster.broker(b(1))->is_cordoned());
    const Offset before = world.end;
    world.apply(broker_heartbeat(*world.borrow(), request));
    EXPECT_EQ(world.end, before);
}

TEST(Heartbeat, with_an_offline_directory_moves_its_leaders_away) {  // case 79
    World world;
    for (const int id : {1, 2}) {
        auto request = world.registration(id);
        request.log_dirs = {directory_of(id, 0), directory_of(id, 1)};
        world.apply(register_broker(*world.borrow(), request));
        world.heartbeat(id);
    }
    const Uuid topic = world.create("t", {{1, 2}, {1, 2}});
    for (const int partition : {0, 1}) {
        // As AssignReplicasToDirs leaves it: partition n lies in directory n.
        protocol::PartitionChangeRecord record;
        record.topic_id = topic;
        record.partition_id = partition;
        record.directories = {directory_of(1, partition), directory_of(2, partition)};
        Decision<NoAnswer> decision(world.context());
        decision.draft.add(record, 2);
        world.apply(std::move(decision));
    }
    auto request = world.heartbeat_of(1);
    request.offline_log_dirs = {directory_of(1, 0)};
    world.apply(broker_heartbeat(*world.borrow(), request));
    EXPECT_EQ(world.partition(topic, 0).leader, b(2));
    EXPECT_THAT(world.partition(topic, 0).isr, ElementsAre(b(2)));
    EXPECT_EQ(world.partition(topic, 1).leader, b(1));
    EXPECT_THAT(world.image.cluster.broker(b(1))->directories, ElementsAre(directory_of(1, 1)));
}

TEST(Fencing, takes_an_overdue_broker_out_and_elects_another) {
    World world;
    world.bring_up(1);
    world.bring_up(2);
    const Uuid topic = world.create("t", {{1, 2}});
    world.now = world.now + 2s;
    world.heartbeat(2);
    world.now = world.now + 1s;
    world.apply(fence_overdue_brokers(*world.borrow()));
    EXPECT_TRUE(world.image.cluster.broker(b(1))->fenced);
    EXPECT_FALSE(world.image.cluster.broker(b(2))->fenced);
    EXPECT_EQ(world.partition(topic).leader, b(2));
    EXPECT_EQ(world.partition(topic).leader_epoch, LeaderEpoch{1});
    EXPECT_THAT(world.partition(topic).isr, ElementsAre(b(2)));
}

TEST(Fencing, of_many_at_one_instant_elects_nobody_who_goes_too) {  // case 46
    World world;
    for (const int id : {1, 2, 3}) {
        world.bring_up(id);
    }
    const Uuid topic = world.create("t", {{1, 2, 3}}, {{"min.insync.replicas", "2"}});
    world.now = world.now + 2s;
    world.heartbeat(3);
    world.now = world.now + 1s;
    world.apply(fence_overdue_brokers(*world.borrow()));
    EXPECT_EQ(world.partition(topic).leader, b(3));
    EXPECT_EQ(world.partition(topic).leader_epoch, LeaderEpoch{1});  // one election, not two
    EXPECT_THAT(world.partition(topic).isr, ElementsAre(b(3)));
    EXPECT_THAT(world.partition(topic).elr, ElementsAre(b(1), b(2)));
}

TEST(Fencing, on_a_hint_spares_a_newer_incarnation) {
    World world;
    world.bring_up(1);
    const BrokerEpoch old{world.image.cluster.broker(b(1))->epoch.value - 1};
    world.apply(fence_broker(*world.borrow(), b(1), old));
    EXPECT_FALSE(world.image.cluster.broker(b(1))->fenced);
    world.fence(1);
    EXPECT_TRUE(world.image.cluster.broker(b(1))->fenced);
}

TEST(Fencing, and_coming_back_restores_leadership_of_the_last_replica) {
    World world;
    world.bring_up(1);
    const Uuid topic = world.create("t", {{1}});
    world.fence(1);
    EXPECT_EQ(world.partition(topic).leader, no_broker);
    EXPECT_THAT(world.partition(topic).elr, ElementsAre(b(1)));
    world.heartbeat(1);
    EXPECT_EQ(world.partition(topic).leader, b(1));
    EXPECT_EQ(world.partition(topic).leader_epoch, LeaderEpoch{2});
}

TEST(ControlledShutdown, lets_go_when_leaders_have_moved_and_everyone_knows) {
    World world;
    world.bring_up(1);
    world.bring_up(2);
    const Uuid topic = world.create("t", {{1, 2}});
    auto stop = world.heartbeat_of(1);
    stop.want_shut_down = true;
    EXPECT_FALSE(world.apply(broker_heartbeat(*world.borrow(), stop)).should_shut_down);
    EXPECT_TRUE(world.image.cluster.broker(b(1))->in_controlled_shutdown);
    EXPECT_EQ(world.partition(topic).leader, b(2));
    // Broker 2 has not applied it yet.
    EXPECT_FALSE(world.apply(broker_heartbeat(*world.borrow(), stop)).should_shut_down);
    world.heartbeat(2);
    EXPECT_TRUE(world.apply(broker_heartbeat(*world.borrow(), stop)).should_shut_down);
    EXPECT_TRUE(world.image.cluster.broker(b(1))->fenced);
}

TEST(ControlledShutdown, of_a_broker_that_leads_nothing_is_immediate) {
    World world;
    world.bring_up(1);
    auto stop = world.heartbeat_of(1);
    stop.want_shut_down = true;
    const auto answer = world.apply(broker_heartbeat(*world.borrow(), stop));
    EXPECT_TRUE(answer.should_shut_down);
    EXPECT_TRUE(answer.is_fenced);
}

// Its next process comes at once, and is no second one beside it.
TEST(ControlledShutdown, who_was_let_go_may_register_anew_before_its_session_would_end) {
    World world;
    world.bring_up(1);
    auto stop = world.heartbeat_of(1);
    stop.want_shut_down = true;
    ASSERT_TRUE(world.apply(broker_heartbeat(*world.borrow(), stop)).should_shut_down);
    auto next = world.registration(1);
    next.incarnation_id = Uuid{7, 7};
    EXPECT_EQ(world.apply(register_broker(*world.borrow(), next)).error_code, 0);
}

TEST(Unregistration, removes_the_broker_from_every_isr) {
    World world;
    world.bring_up(1);
    world.bring_up(2);
    const Uuid topic = world.create("t", {{1, 2}});
    protocol::UnregisterBrokerRequest request;
    request.broker_id = 1;
    EXPECT_EQ(world.apply(unregister_broker(*world.borrow(), request)).error_code, 0);
    EXPECT_EQ(world.image.cluster.broker(b(1)), nullptr);
    EXPECT_EQ(world.partition(topic).leader, b(2));
    EXPECT_EQ(world.apply(unregister_broker(*world.borrow(), request)).error_code,
              code(KafkaError::broker_id_not_registered));
}

TEST(ControllerRegistration, is_written_once) {
    World world;
    protocol::ControllerRegistrationRequest request;
    request.controller_id = 1000;
    request.incarnation_id = Uuid{1, 2};
    EXPECT_EQ(world.apply(register_controller(*world.borrow(), request)).error_code, 0);
    EXPECT_TRUE(world.image.cluster.controllers.contains(b(1000)));
    const Offset before = world.end;
    world.apply(register_controller(*world.borrow(), request));
    EXPECT_EQ(world.end, before);
}

// Case 22: who keeps a place in the ELR after an unclean stop.
struct Returned {
    World world;
    Uuid topic;

    explicit Returned(const std::string& durability) {
        for (const int id : {1, 2}) {
            world.bring_up(id);
        }
        topic = world.create("t", {{1, 2}},
                             {{"min.insync.replicas", "2"}, {"millrace.durability", durability}});
        world.fence(1);
        EXPECT_THAT(world.partition(topic).elr, ElementsAre(b(1)));
    }
    /// Broker 1 comes back; `previous` and the recovered directories are what it says of its stop.
    void come_back(std::int64_t previous, std::span<const Uuid> recovered) {
        auto request = world.registration(1);
        request.previous_broker_epoch = previous;
        const Buffer tag = encode_recovered_directories(recovered);
        request.unknown_tags.push_back({recovered_directories_tag, tag});
        world.apply(register_broker(*world.borrow(), request));
    }
};

TEST(UncleanReturn, loses_the_place_in_the_elr) {
    Returned returned("replicated");
    returned.come_back(-1, {});
    EXPECT_THAT(returned.world.partition(returned.topic).elr, IsEmpty());
}

TEST(UncleanReturn, of_a_replicated_topic_loses_it_even_with_a_recovered_directory) {
    Returned returned("replicated");
    returned.come_back(-1, std::vector<Uuid>{directory_of(1)});
    EXPECT_THAT(returned.world.partition(returned.topic).elr, IsEmpty());
}

TEST(UncleanReturn, of_a_synced_topic_keeps_it_with_the_same_directory_recovered) {
    Returned returned("synced");
    returned.come_back(-1, std::vector<Uuid>{directory_of(1)});
    EXPECT_THAT(returned.world.partition(returned.topic).elr, ElementsAre(b(1)));
}

TEST(UncleanReturn, of_a_synced_topic_loses_it_when_another_directory_recovered) {
    Returned returned("synced");
    returned.come_back(-1, std::vector<Uuid>{directory_of(1, 5)});
    EXPECT_THAT(returned.world.partition(returned.topic).elr, IsEmpty());
}

// Unregistered in between, it is a broker of whose stop nobody knows: its disk may be another.
TEST(UncleanReturn, after_an_unregistration_loses_the_place_in_the_elr) {
    for (const std::string durability : {"replicated", "synced"}) {
        Returned returned(durability);
        World& world = returned.world;
        protocol::UnregisterBrokerRequest request;
        request.broker_id = 1;
        world.apply(unregister_broker(*world.borrow(), request));
        returned.come_back(-1, {});
        EXPECT_THAT(world.partition(returned.topic).elr, IsEmpty()) << durability;
    }
}

TEST(CleanReturn, keeps_the_place_in_the_elr) {
    Returned returned("replicated");
    returned.come_back(returned.world.image.cluster.broker(b(1))->epoch.value, {});
    EXPECT_THAT(returned.world.partition(returned.topic).elr, ElementsAre(b(1)));
}

TEST(UncleanReturn, of_everyone_lets_the_last_leader_lead_a_replicated_topic_and_says_so) {
    Returned returned("replicated");
    World& world = returned.world;
    world.fence(2);
    EXPECT_THAT(world.partition(returned.topic).elr, ElementsAre(b(1), b(2)));
    world.come_back(1, -1);
    EXPECT_EQ(world.partition(returned.topic).leader, no_broker);
    world.come_back(2, -1);
    EXPECT_EQ(world.partition(returned.topic).leader, b(2));
    EXPECT_EQ(world.partition(returned.topic).recovery, LeaderRecovery::recovering);
}

TEST(UncleanReturn, of_everyone_leaves_a_synced_topic_offline) {  // case 23
    Returned returned("synced");
    World& world = returned.world;
    world.fence(2);
    world.come_back(1, -1);
    world.come_back(2, -1);
    EXPECT_EQ(world.partition(returned.topic).leader, no_broker);
    EXPECT_THAT(world.partition(returned.topic).last_known_elr, ElementsAre(b(2)));
}

TEST(UncleanReturn, of_everyone_with_recovered_directories_brings_a_synced_topic_back) {
    Returned returned("synced");
    World& world = returned.world;
    world.fence(2);
    returned.come_back(-1, std::vector<Uuid>{directory_of(1)});
    world.heartbeat(1);
    EXPECT_EQ(world.partition(returned.topic).leader, b(1));
    EXPECT_EQ(world.partition(returned.topic).recovery, LeaderRecovery::recovered);
}

}  // namespace
}  // namespace millrace::metadata::testing
