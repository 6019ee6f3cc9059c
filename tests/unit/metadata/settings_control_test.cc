// Configs, features, producer ids, quotas, SCRAM, ACLs and directories.
#include <algorithm>

#include "metadata/judged_mark.h"
#include "protocol/messages/allocate_producer_ids_request.h"
#include "protocol/messages/allocate_producer_ids_response.h"
#include "protocol/messages/alter_client_quotas_request.h"
#include "protocol/messages/alter_client_quotas_response.h"
#include "protocol/messages/alter_configs_request.h"
#include "protocol/messages/alter_configs_response.h"
#include "protocol/messages/alter_user_scram_credentials_request.h"
#include "protocol/messages/alter_user_scram_credentials_response.h"
#include "protocol/messages/assign_replicas_to_dirs_request.h"
#include "protocol/messages/assign_replicas_to_dirs_response.h"
#include "protocol/messages/create_acls_request.h"
#include "protocol/messages/create_acls_response.h"
#include "protocol/messages/delete_acls_request.h"
#include "protocol/messages/delete_acls_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/update_features_request.h"
#include "protocol/messages/update_features_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Settings : ::testing::Test {
    Settings() {
        world.bring_up(1);
        world.bring_up(2);
        topic = world.create("t", {{1, 2}});
    }
    KafkaError set(ConfigResourceType type, std::string_view name, std::string_view key,
                   std::optional<std::string_view> value, std::int8_t operation = 0,
                   bool judged = false) {
        protocol::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = static_cast<std::int8_t>(type);
        resource.resource_name = name;
        auto& config = resource.configs.emplace_back();
        config.name = key;
        config.value = value;
        config.config_operation = operation;
        if (judged) {
            resource.unknown_tags.push_back({.tag = judged_tag, .data = {}});
        }
        const auto answer = world.apply(incremental_alter_configs(*world.borrow(), request));
        words = answer.responses.at(0).error_message.value_or("");
        return static_cast<KafkaError>(answer.responses.at(0).error_code);
    }
    std::string value_of(ConfigResourceType type, std::string_view name, std::string_view key) {
        const std::string* value = world.image.configs.find({type, std::string(name)}, key);
        return value != nullptr ? *value : "(unset)";
    }

    World world;
    Uuid topic;
    std::string words;  ///< Of the last answer.
};
constexpr auto of_topic = ConfigResourceType::topic;
constexpr auto of_broker = ConfigResourceType::broker;

TEST_F(Settings, of_every_kind_of_resource_are_set_and_removed) {
    EXPECT_EQ(set(of_topic, "t", "retention.ms", "7"), KafkaError::none);
    EXPECT_EQ(value_of(of_topic, "t", "retention.ms"), "7");
    EXPECT_EQ(set(of_topic, "t", "retention.ms", std::nullopt, 1), KafkaError::none);
    EXPECT_EQ(value_of(of_topic, "t", "retention.ms"), "(unset)");
    EXPECT_EQ(set(of_broker, "1", "log.cleaner.threads", "2"), KafkaError::none);
    EXPECT_EQ(value_of(of_broker, "1", "log.cleaner.threads"), "2");
    EXPECT_EQ(set(of_broker, "", "log.cleaner.threads", "3"), KafkaError::none);
    EXPECT_EQ(value_of(of_broker, "", "log.cleaner.threads"), "3");
    EXPECT_EQ(set(ConfigResourceType::group, "g", "consumer.session.timeout.ms", "50000"),
              KafkaError::none);
    EXPECT_EQ(value_of(ConfigResourceType::group, "g", "consumer.session.timeout.ms"), "50000");
    EXPECT_EQ(set(ConfigResourceType::client_metrics, "m", "interval.ms", "60000"),
              KafkaError::none);
}

TEST_F(Settings, of_lists_are_appended_to_and_subtracted_from) {
    EXPECT_EQ(set(of_topic, "t", "cleanup.policy", "compact", 2), KafkaError::none);
    EXPECT_EQ(value_of(of_topic, "t", "cleanup.policy"), "delete,compact");
    EXPECT_EQ(set(of_topic, "t", "cleanup.policy", "delete", 3), KafkaError::none);
    EXPECT_EQ(value_of(of_topic, "t", "cleanup.policy"), "compact");
    EXPECT_EQ(set(of_topic, "t", "retention.ms", "1", 2), KafkaError::invalid_config);
}

TEST_F(Settings, that_make_no_sense_are_refused) {
    EXPECT_EQ(set(of_topic, "t", "no.such", "1"), KafkaError::invalid_config);
    EXPECT_EQ(set(of_topic, "t", "retention.ms", "x"), KafkaError::invalid_config);
    EXPECT_EQ(set(of_topic, "t", "retention.ms", "1", 9), KafkaError::invalid_request);
    EXPECT_EQ(set(of_topic, "u", "retention.ms", "1"), KafkaError::unknown_topic_or_partition);
    EXPECT_EQ(set(of_topic, "u/", "retention.ms", "1"), KafkaError::invalid_topic_exception);
    EXPECT_EQ(set(of_topic, "", "retention.ms", "1"), KafkaError::invalid_request);
    EXPECT_EQ(set(of_broker, "one", "log.cleaner.threads", "1"), KafkaError::invalid_request);
    EXPECT_EQ(set(of_broker, "9", "log.cleaner.threads", "1"),
              KafkaError::broker_id_not_registered);
    EXPECT_EQ(set(ConfigResourceType::group, "", "consumer.session.timeout.ms", "50000"),
              KafkaError::invalid_request);
    EXPECT_EQ(set(static_cast<ConfigResourceType>(77), "", "a", "b"), KafkaError::invalid_request);
}

TEST_F(Settings, of_a_controller_are_taken_like_a_brokers) {
    EXPECT_EQ(set(of_broker, "3000", "leader.replication.throttled.rate", "1"),
              KafkaError::broker_id_not_registered);
    world.options.is_controller = [](BrokerId id) { return id == BrokerId{3000}; };
    // kafka-reassign-partitions removes throttles of whoever it finds at a bootstrap controller.
    EXPECT_EQ(set(of_broker, "3000", "leader.replication.throttled.rate", std::nullopt, 1),
              KafkaError::none);
}

TEST_F(Settings, that_cordon_directories_are_judged_by_who_has_them) {
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", "/a,/b"), KafkaError::invalid_config);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", "/a,/b", 0, true), KafkaError::none);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", "/b"), KafkaError::none);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", "/a"), KafkaError::invalid_config);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", "/c", 2), KafkaError::invalid_config);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", ""), KafkaError::none);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", "*"), KafkaError::none);
    EXPECT_EQ(set(of_broker, "1", "cordoned.log.dirs", std::nullopt, 1), KafkaError::none);
}

// Whom it has told is known to the broker alone.
TEST_F(Settings, listeners_are_taken_from_their_own_broker_only) {
    const char* const listeners = "PLAINTEXT://:9999,CONTROLLER://:9998";
    EXPECT_EQ(set(of_broker, "1", "listeners", listeners), KafkaError::invalid_request);
    EXPECT_EQ(set(of_broker, "1", "listeners", listeners, 0, true), KafkaError::none);
}

TEST_F(Settings, of_one_resource_fail_alone) {
    protocol::IncrementalAlterConfigsRequest request;
    for (const std::string_view name : {"t", "unknown"}) {
        auto& resource = request.resources.emplace_back();
        resource.resource_type = 2;
        resource.resource_name = name;
        auto& config = resource.configs.emplace_back();
        config.name = "retention.ms";
        config.value = "9";
    }
    const auto answer = world.apply(incremental_alter_configs(*world.borrow(), request));
    EXPECT_EQ(answer.responses[0].error_code, 0);
    EXPECT_EQ(answer.responses[1].error_code, code(KafkaError::unknown_topic_or_partition));
    EXPECT_EQ(value_of(of_topic, "t", "retention.ms"), "9");
}

TEST_F(Settings, of_the_old_form_replace_all_there_was) {
    set(of_topic, "t", "retention.ms", "7");
    protocol::AlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 2;
    resource.resource_name = "t";
    auto& config = resource.configs.emplace_back();
    config.name = "segment.bytes";
    config.value = "2000000";
    EXPECT_EQ(world.apply(alter_configs(*world.borrow(), request)).responses.at(0).error_code, 0);
    EXPECT_EQ(value_of(of_topic, "t", "retention.ms"), "(unset)");
    EXPECT_EQ(value_of(of_topic, "t", "segment.bytes"), "2000000");
}

TEST_F(Settings, only_validated_change_nothing) {
    protocol::IncrementalAlterConfigsRequest request;
    request.validate_only = true;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 2;
    resource.resource_name = "t";
    auto& config = resource.configs.emplace_back();
    config.name = "retention.ms";
    config.value = "7";
    EXPECT_EQ(
        world.apply(incremental_alter_configs(*world.borrow(), request)).responses.at(0).error_code,
        0);
    EXPECT_EQ(value_of(of_topic, "t", "retention.ms"), "(unset)");
}

TEST_F(Settings, of_min_isr_belong_to_cluster_and_topic_while_elr_is_on) {
    EXPECT_EQ(value_of(of_broker, "", "min.insync.replicas"), "1");  // written at bootstrap
    EXPECT_EQ(set(of_broker, "1", "min.insync.replicas", "2"), KafkaError::invalid_config);
    EXPECT_EQ(set(of_broker, "", "min.insync.replicas", std::nullopt, 1),
              KafkaError::invalid_config);
    EXPECT_EQ(set(of_broker, "", "min.insync.replicas", "2"), KafkaError::none);
}

TEST_F(Settings, of_another_min_isr_make_the_old_elr_void) {
    set(of_topic, "t", "min.insync.replicas", "2");
    world.propose_isr(topic, {1});
    ASSERT_THAT(world.partition(topic).elr, ElementsAre(b(2)));
    set(of_topic, "t", "min.insync.replicas", "1");
    EXPECT_THAT(world.partition(topic).elr, IsEmpty());
}

TEST(Bootstrap, finalizes_what_kafka_4_4_would) {
    World world;
    EXPECT_EQ(world.image.metadata_version(), MetadataVersion::latest);
    EXPECT_EQ(world.image.metadata_version().name(), "4.4-IV2");
    EXPECT_EQ(world.image.feature_level(feature::group_version), 1);
    EXPECT_EQ(world.image.feature_level(feature::transaction_version), 2);
    EXPECT_EQ(world.image.feature_level(feature::share_version), 2);
    EXPECT_EQ(world.image.feature_level(feature::streams_version), 1);
    EXPECT_EQ(world.image.feature_level(feature::eligible_leader_replicas), 1);
    EXPECT_EQ(world.image.feature_level(feature::kraft_version), 0);
    EXPECT_THAT(bootstrap(*world.borrow()).draft.records(), SizeIs(0));
}

TEST(Bootstrap, at_an_older_metadata_version_gives_its_defaults) {
    World world(1, {{"metadata.version", std::int16_t{22}}});
    EXPECT_EQ(world.image.feature_level(feature::group_version), 1);
    EXPECT_EQ(world.image.feature_level(feature::transaction_version), 0);
    EXPECT_EQ(world.image.feature_level(feature::eligible_leader_replicas), 0);
    world.bring_up(1);
    world.bring_up(2);
    const Uuid topic = world.create("t", {{1, 2}});
    world.fence(1);
    EXPECT_EQ(world.partition(topic).leader, b(2));
}

struct Features : ::testing::Test {
    explicit Features(std::int16_t level = 24) : world(1, {{"metadata.version", level}}) {
        world.bring_up(1);
    }
    KafkaError update(std::string_view name, std::int16_t level, std::int8_t type = 1) {
        protocol::UpdateFeaturesRequest request;
        auto& asked = request.feature_updates.emplace_back();
        asked.feature = name;
        asked.max_version_level = level;
        asked.upgrade_type = type;
        return static_cast<KafkaError>(
            world.apply(update_features(*world.borrow(), request)).error_code);
    }
    World world;
};

TEST_F(Features, go_up_when_everyone_can_run_them) {
    EXPECT_EQ(update(feature::metadata_version, 33), KafkaError::none);
    EXPECT_EQ(world.image.metadata_version().level, 33);
    EXPECT_EQ(update(feature::metadata_version, 34), KafkaError::invalid_update_version);
    EXPECT_EQ(update("no.such.feature", 1), KafkaError::invalid_update_version);
}

TEST_F(Features, dont_go_up_past_a_broker_that_cant_run_them) {
    auto old = world.registration(2);
    for (auto& feature : old.features) {
        if (feature.name == feature::metadata_version) {
            feature.max_supported_version = 25;
        }
    }
    world.apply(register_broker(*world.borrow(), old));
    EXPECT_EQ(update(feature::metadata_version, 26), KafkaError::invalid_update_version);
    EXPECT_EQ(update(feature::metadata_version, 25), KafkaError::none);
}

TEST_F(Features, go_down_only_when_asked_and_when_nothing_gets_unreadable) {
    EXPECT_EQ(update(feature::metadata_version, 23), KafkaError::invalid_update_version);
    EXPECT_EQ(update(feature::metadata_version, 23, 2), KafkaError::none);
    EXPECT_EQ(update(feature::metadata_version, 22, 2), KafkaError::invalid_update_version);
    EXPECT_EQ(update(feature::metadata_version, 22, 3), KafkaError::invalid_update_version);
    EXPECT_EQ(update(feature::transaction_version, 0, 2), KafkaError::none);
    EXPECT_EQ(world.image.feature_level(feature::transaction_version), 0);
    EXPECT_EQ(update(feature::transaction_version, 2, 2), KafkaError::invalid_update_version);
}

TEST_F(Features, of_elr_settle_min_isr_first) {
    protocol::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 4;
    resource.resource_name = "1";
    auto& config = resource.configs.emplace_back();
    config.name = "min.insync.replicas";
    config.value = "2";
    world.apply(incremental_alter_configs(*world.borrow(), request));
    EXPECT_EQ(update(feature::eligible_leader_replicas, 1), KafkaError::none);
    EXPECT_EQ(world.image.configs.find({of_broker, "1"}), nullptr);
    EXPECT_EQ(*world.image.configs.find({of_broker, ""}, "min.insync.replicas"), "1");
}

// Kept, it would name replicas that miss what is acknowledged while nobody looks after it.
TEST_F(Features, of_elr_taken_back_leave_no_elr_behind) {
    ASSERT_EQ(update(feature::eligible_leader_replicas, 1), KafkaError::none);
    world.bring_up(2);
    const Uuid topic = world.create("t", {{1, 2}}, {{"min.insync.replicas", "2"}});
    world.fence(2);
    ASSERT_THAT(world.partition(topic).elr, ElementsAre(b(2)));
    world.fence(1);
    ASSERT_THAT(world.partition(topic).isr, IsEmpty());
    EXPECT_EQ(update(feature::eligible_leader_replicas, 0, 2), KafkaError::invalid_update_version)
        << "nobody could lead it any more";
    ASSERT_THAT(world.partition(topic).elr, ElementsAre(b(2), b(1)));
    world.heartbeat(1);
    ASSERT_EQ(world.partition(topic).leader, b(1));
    EXPECT_EQ(update(feature::eligible_leader_replicas, 0, 2), KafkaError::none);
    EXPECT_THAT(world.partition(topic).elr, IsEmpty());
    EXPECT_EQ(world.partition(topic).leader, b(1));
}

TEST_F(Features, of_the_quorum_are_not_the_controllers) {
    EXPECT_EQ(update(feature::kraft_version, 1), KafkaError::none);
    EXPECT_EQ(update(feature::kraft_version, 0, 2), KafkaError::invalid_update_version);
    EXPECT_EQ(world.image.feature_level(feature::kraft_version), 0);
}

TEST(ProducerIds, start_at_a_salt_and_never_meet) {
    World world(5);
    world.bring_up(1);
    protocol::AllocateProducerIdsRequest request;
    request.broker_id = 1;
    request.broker_epoch = world.image.cluster.broker(b(1))->epoch.value;
    const auto first = world.apply(allocate_producer_ids(*world.borrow(), request));
    EXPECT_EQ(first.producer_id_start & ((std::int64_t{1} << 43) - 1), 0);
    EXPECT_GT(first.producer_id_start >> 43, 0);
    EXPECT_EQ(first.producer_id_len, 1000);
    const auto second = world.apply(allocate_producer_ids(*world.borrow(), request));
    EXPECT_EQ(second.producer_id_start, first.producer_id_start + 1000);
    --request.broker_epoch;
    EXPECT_EQ(world.apply(allocate_producer_ids(*world.borrow(), request)).error_code,
              code(KafkaError::stale_broker_epoch));
    World other(6);
    other.bring_up(1);
    request.broker_epoch = other.image.cluster.broker(b(1))->epoch.value;
    EXPECT_NE(other.apply(allocate_producer_ids(*other.borrow(), request)).producer_id_start >> 43,
              first.producer_id_start >> 43);
}

struct QuotaPart {
    std::string_view type;
    std::optional<std::string_view> name;
};

KafkaError set_quota(World& world, std::vector<QuotaPart> entity, std::string_view key,
                     double value, bool remove = false) {
    protocol::AlterClientQuotasRequest request;
    auto& entry = request.entries.emplace_back();
    for (const QuotaPart& part : entity) {
        auto& to = entry.entity.emplace_back();
        to.entity_type = part.type;
        to.entity_name = part.name;
    }
    auto& op = entry.ops.emplace_back();
    op.key = key;
    op.value = value;
    op.remove = remove;
    return static_cast<KafkaError>(
        world.apply(alter_client_quotas(*world.borrow(), request)).entries.at(0).error_code);
}

TEST(Quotas, are_set_and_removed_for_each_kind_of_entity) {
    World world;
    EXPECT_EQ(set_quota(world, {{"user", "alice"}, {"client-id", std::nullopt}},
                        "producer_byte_rate", 1024),
              KafkaError::none);
    const QuotaEntity entity{{"client-id", std::nullopt}, {"user", "alice"}};
    ASSERT_NE(world.image.quotas.find(entity), nullptr);
    EXPECT_EQ(world.image.quotas.find(entity)->at("producer_byte_rate"), 1024);
    EXPECT_EQ(set_quota(world, {{"ip", "127.0.0.1"}}, "connection_creation_rate", 10),
              KafkaError::none);
    EXPECT_EQ(set_quota(world, {{"user", "alice"}, {"client-id", std::nullopt}},
                        "producer_byte_rate", 0, true),
              KafkaError::none);
    EXPECT_EQ(world.image.quotas.find(entity), nullptr);
}

TEST(Quotas, are_answered_with_the_client_id_before_the_user) {
    World world;
    protocol::AlterClientQuotasRequest request;
    auto& entry = request.entries.emplace_back();
    entry.entity.resize(2);
    entry.entity[0].entity_type = "user";
    entry.entity[0].entity_name = "alice";
    entry.entity[1].entity_type = "client-id";
    entry.entity[1].entity_name = std::nullopt;
    const auto answer = world.apply(alter_client_quotas(*world.borrow(), request)).entries.at(0);
    ASSERT_EQ(answer.entity.size(), 2U);
    EXPECT_EQ(answer.entity[0].entity_type, "client-id");
    EXPECT_EQ(answer.entity[0].entity_name, std::nullopt);
    EXPECT_EQ(answer.entity[1].entity_type, "user");
    EXPECT_EQ(answer.entity[1].entity_name, "alice");
}

TEST(Quotas, that_make_no_sense_are_refused) {
    World world;
    const auto invalid = KafkaError::invalid_request;
    EXPECT_EQ(set_quota(world, {}, "producer_byte_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"tribe", "x"}}, "producer_byte_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"user", ""}}, "producer_byte_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"user", "a"}, {"user", "b"}}, "producer_byte_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"user", "a"}, {"ip", "::1"}}, "producer_byte_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"ip", "nowhere"}}, "connection_creation_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"ip", "::1"}}, "producer_byte_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"user", "a"}}, "connection_creation_rate", 1), invalid);
    EXPECT_EQ(set_quota(world, {{"user", "a"}}, "producer_byte_rate", 0), invalid);
    EXPECT_EQ(set_quota(world, {{"user", "a"}}, "producer_byte_rate", 1.5), invalid);
    EXPECT_EQ(set_quota(world, {{"user", "a"}}, "request_percentage", 1.5), KafkaError::none);
    EXPECT_EQ(set_quota(world, {{"ip", "::1"}}, "connection_creation_rate", 3e9), invalid);
}

Buffer bytes_of_hex(std::string_view hex) {
    Buffer bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(
            static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

// RFC 7677, section 3: user "user", password "pencil", 4096 iterations; the server's signature
// there follows from this server key.
TEST(Scram, keeps_the_keys_that_follow_from_the_salted_password) {
    World world;
    protocol::AlterUserScramCredentialsRequest request;
    auto& upsertion = request.upsertions.emplace_back();
    upsertion.name = "user";
    upsertion.mechanism = 1;
    upsertion.iterations = 4096;
    const Buffer salt = bytes_of_hex("5b6d99689d12358eeca04b141236fa81");
    const Buffer salted =
        bytes_of_hex("c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
    upsertion.salt = salt;
    upsertion.salted_password = salted;
    EXPECT_EQ(world.apply(alter_user_scram_credentials(*world.borrow(), request))
                  .results.at(0)
                  .error_code,
              0);
    const ScramCredential* kept = world.image.scram.find(ScramKey{ScramMechanism::sha_256, "user"});
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->iterations, 4096);
    EXPECT_EQ(
        kept->server_key.reveal(),
        as_text(bytes_of_hex("c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5")));
    EXPECT_EQ(
        kept->stored_key.reveal(),
        as_text(bytes_of_hex("586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6")));
}

TEST(Scram, refuses_weak_unknown_and_double_alterations) {
    World world;
    protocol::AlterUserScramCredentialsRequest request;
    const auto upsert = [&](std::string_view user, std::int8_t mechanism, std::int32_t iterations) {
        auto& upsertion = request.upsertions.emplace_back();
        upsertion.name = user;
        upsertion.mechanism = mechanism;
        upsertion.iterations = iterations;
    };
    upsert("weak", 1, 4095);
    upsert("slow", 1, 16385);
    upsert("odd", 7, 4096);
    upsert("", 1, 4096);
    upsert("twice", 1, 4096);
    upsert("good", 2, 4096);
    for (const std::string_view user : {"twice", "absent"}) {
        auto& deletion = request.deletions.emplace_back();
        deletion.name = user;
        deletion.mechanism = 1;
    }
    std::map<std::string, std::int16_t> outcomes;
    for (const auto& result :
         world.apply(alter_user_scram_credentials(*world.borrow(), request)).results) {
        outcomes.emplace(result.user, result.error_code);
    }
    EXPECT_THAT(
        outcomes,
        ElementsAre(std::pair("", code(KafkaError::unacceptable_credential)),
                    std::pair("absent", code(KafkaError::resource_not_found)), std::pair("good", 0),
                    std::pair("odd", code(KafkaError::unsupported_sasl_mechanism)),
                    std::pair("slow", code(KafkaError::unacceptable_credential)),
                    std::pair("twice", code(KafkaError::duplicate_resource)),
                    std::pair("weak", code(KafkaError::unacceptable_credential))));
    EXPECT_THAT(world.image.scram, SizeIs(1));
}

protocol::CreateAclsRequest::AclCreation acl(std::string_view name, std::int8_t pattern = 3) {
    protocol::CreateAclsRequest::AclCreation creation;
    creation.resource_type = 2;
    creation.resource_name = name;
    creation.resource_pattern_type = pattern;
    creation.principal = "User:alice";
    creation.host = "*";
    creation.operation = 3;
    creation.permission_type = 3;
    return creation;
}

TEST(AclRecords, are_created_once_and_deleted_by_filter) {
    World world;
    protocol::CreateAclsRequest request;
    request.creations = {acl("orders"), acl("ord", 4), acl("*"), acl("orders"), acl("other")};
    world.apply(create_acls(*world.borrow(), request));
    world.apply(create_acls(*world.borrow(), request));
    EXPECT_THAT(world.image.acls, SizeIs(4));
    protocol::DeleteAclsRequest gone;
    auto& filter = gone.filters.emplace_back();
    filter.resource_type_filter = 2;
    filter.resource_name_filter = "orders";
    filter.pattern_type_filter = 2;  // whatever applies to the name
    filter.principal_filter = std::nullopt;
    filter.host_filter = std::nullopt;
    filter.operation = 1;
    filter.permission_type = 1;
    gone.filters.push_back(filter);
    const auto answer = world.apply(delete_acls(*world.borrow(), gone));
    EXPECT_THAT(answer.filter_results.at(0).matching_acls, SizeIs(3));
    EXPECT_THAT(answer.filter_results.at(1).matching_acls, SizeIs(3));
    EXPECT_THAT(world.image.acls, SizeIs(1));
}

TEST(AclRecords, that_nobody_could_mean_are_refused) {
    World world;
    protocol::CreateAclsRequest request;
    for (int i = 0; i < 8; ++i) {
        request.creations.push_back(acl("orders"));
    }
    request.creations[0].resource_type = 1;
    request.creations[1].resource_pattern_type = 2;
    request.creations[2].operation = 1;
    request.creations[3].permission_type = 1;
    request.creations[4].resource_name = "";
    request.creations[5].principal = "alice";
    request.creations[6].resource_type = 4;
    request.creations[7].operation = 99;
    for (const auto& result : world.apply(create_acls(*world.borrow(), request)).results) {
        EXPECT_EQ(result.error_code, code(KafkaError::invalid_request));
    }
    protocol::DeleteAclsRequest gone;
    gone.filters.emplace_back().pattern_type_filter = 0;
    EXPECT_EQ(world.apply(delete_acls(*world.borrow(), gone)).filter_results.at(0).error_code,
              code(KafkaError::invalid_request));
}

struct Directories : Settings {
    std::int16_t assign(std::int32_t broker, const Uuid& directory, std::int32_t partition = 0) {
        protocol::AssignReplicasToDirsRequest request;
        request.broker_id = broker;
        request.broker_epoch = world.image.cluster.broker(b(broker))->epoch.value;
        auto& data = request.directories.emplace_back();
        data.id = directory;
        auto& asked = data.topics.emplace_back();
        asked.topic_id = topic;
        asked.partitions.emplace_back().partition_index = partition;
        const auto answer = world.apply(assign_replicas_to_dirs(*world.borrow(), request));
        return answer.directories.at(0).topics.at(0).partitions.at(0).error_code;
    }
};

TEST_F(Directories, are_noted_where_the_broker_says) {
    EXPECT_EQ(assign(2, directory_of(2)), 0);
    EXPECT_THAT(world.partition(topic).directories, ElementsAre(directory_of(1), directory_of(2)));
    EXPECT_EQ(assign(2, directory_of(2), 9), code(KafkaError::unknown_topic_or_partition));
    world.bring_up(3);
    EXPECT_EQ(assign(3, directory_of(3)), code(KafkaError::not_leader_or_follower));
}

TEST_F(Directories, that_are_offline_take_the_replica_out_of_the_isr) {
    EXPECT_EQ(assign(1, directory_of(1, 9)), 0);
    EXPECT_EQ(world.partition(topic).leader, b(2));
    EXPECT_THAT(world.partition(topic).isr, ElementsAre(b(2)));
    EXPECT_EQ(world.partition(topic).directory_of(b(1)), directory_of(1, 9));
}

}  // namespace
}  // namespace millrace::metadata::testing
