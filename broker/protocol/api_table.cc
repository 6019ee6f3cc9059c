#include "protocol/api_table.h"

#include <array>
#include <iterator>

namespace millrace::protocol {
namespace {

using Op = AclOperation;
using On = AclResource;

namespace acl {

// What Kafka's own listeners ask for, API by API. Where an API names several, `when` tells which
// applies; an API without any is open to whoever is connected.
constexpr RequiredAcl produce[] = {{Op::write, On::transactional_id, "if the request names one"},
                                   {Op::write, On::topic, "each topic"}};
constexpr RequiredAcl fetch[] = {
    {Op::cluster_action, On::cluster, "from a replica, and on the controller listener"},
    {Op::read, On::topic, "each topic, from a consumer"}};
constexpr RequiredAcl describe_topic[] = {{Op::describe, On::topic, "each topic"}};
constexpr RequiredAcl metadata[] = {
    {Op::describe, On::topic, "each topic"},
    {Op::create, On::cluster, "a topic to be created, or on the topic"},
    {Op::create, On::topic, "a topic to be created, or on the cluster"}};
constexpr RequiredAcl offset_commit[] = {{Op::read, On::group, "the group"},
                                         {Op::read, On::topic, "each topic"}};
constexpr RequiredAcl offset_fetch[] = {{Op::describe, On::group, "each group"},
                                        {Op::describe, On::topic, "each topic"}};
constexpr RequiredAcl find_coordinator[] = {
    {Op::describe, On::group, "a group's coordinator"},
    {Op::describe, On::transactional_id, "a transaction's coordinator"},
    {Op::cluster_action, On::cluster, "a share coordinator"}};
constexpr RequiredAcl read_group[] = {{Op::read, On::group, "the group"}};
constexpr RequiredAcl describe_group[] = {{Op::describe, On::group, "each group"}};
constexpr RequiredAcl list_groups[] = {
    {Op::describe, On::cluster, "all groups"},
    {Op::describe, On::group, "else those that may be described"}};
constexpr RequiredAcl create_topics[] = {
    {Op::create, On::cluster, "any topic, or on the topic"},
    {Op::create, On::topic, "each topic, or on the cluster"},
    {Op::describe_configs, On::topic, "to see the configuration in the answer"}};
constexpr RequiredAcl delete_topics[] = {
    {Op::remove, On::cluster, "any topic, or on the topic"},
    {Op::remove, On::topic, "each topic, or on the cluster"},
    {Op::describe, On::topic, "to learn a name from an id, or that it is absent"}};
constexpr RequiredAcl delete_records[] = {{Op::remove, On::topic, "each topic"}};
constexpr RequiredAcl init_producer_id[] = {
    {Op::write, On::transactional_id, "if the request names one"},
    {Op::two_phase_commit, On::transactional_id, "with two-phase commit"},
    {Op::idempotent_write, On::cluster, "without transactional id, or WRITE on any topic"},
    {Op::write, On::topic, "without transactional id: any topic, or IDEMPOTENT_WRITE"}};
constexpr RequiredAcl offset_for_leader_epoch[] = {
    {Op::cluster_action, On::cluster, "from a replica"},
    {Op::describe, On::topic, "each topic, from a consumer"}};
constexpr RequiredAcl add_partitions_to_txn[] = {
    {Op::cluster_action, On::cluster, "version 4 and up, from brokers"},
    {Op::write, On::transactional_id, "the transactional id, below version 4"},
    {Op::write, On::topic, "each topic, below version 4"}};
constexpr RequiredAcl add_offsets_to_txn[] = {
    {Op::write, On::transactional_id, "the transactional id"}, {Op::read, On::group, "the group"}};
constexpr RequiredAcl end_txn[] = {{Op::write, On::transactional_id, "the transactional id"}};
constexpr RequiredAcl write_txn_markers[] = {
    {Op::alter, On::cluster, "an administrator, or CLUSTER_ACTION"},
    {Op::cluster_action, On::cluster, "a broker, or ALTER"}};
constexpr RequiredAcl txn_offset_commit[] = {
    {Op::write, On::transactional_id, "the transactional id"},
    {Op::read, On::group, "the group"},
    {Op::read, On::topic, "each topic"}};
constexpr RequiredAcl describe_cluster[] = {{Op::describe, On::cluster, ""}};
constexpr RequiredAcl alter_cluster[] = {{Op::alter, On::cluster, ""}};
constexpr RequiredAcl cluster_action[] = {{Op::cluster_action, On::cluster, ""}};
constexpr RequiredAcl describe_configs[] = {
    {Op::describe_configs, On::cluster, "brokers and client metrics"},
    {Op::describe_configs, On::topic, "each topic"},
    {Op::describe_configs, On::group, "each group"}};
constexpr RequiredAcl alter_configs[] = {
    {Op::alter_configs, On::cluster, "brokers and client metrics"},
    {Op::alter_configs, On::topic, "each topic"},
    {Op::alter_configs, On::group, "each group"}};
constexpr RequiredAcl create_partitions[] = {{Op::alter, On::topic, "each topic"}};
constexpr RequiredAcl create_delegation_token[] = {
    {Op::create_tokens, On::user, "for another user than oneself"}};
constexpr RequiredAcl describe_delegation_token[] = {
    {Op::describe, On::delegation_token, "another user's token, or on the user"},
    {Op::describe_tokens, On::user, "another user's token, or on the token"}};
constexpr RequiredAcl delete_groups[] = {{Op::remove, On::group, "each group"}};
constexpr RequiredAcl offset_delete[] = {{Op::remove, On::group, "the group"},
                                         {Op::read, On::topic, "each topic"}};
constexpr RequiredAcl describe_configs_of_cluster[] = {{Op::describe_configs, On::cluster, ""}};
constexpr RequiredAcl alter_configs_of_cluster[] = {{Op::alter_configs, On::cluster, ""}};
constexpr RequiredAcl controller_describe_cluster[] = {
    {Op::alter, On::cluster, "on the controller listener; on a broker's none"}};
constexpr RequiredAcl describe_producers[] = {{Op::read, On::topic, "each topic"}};
constexpr RequiredAcl describe_transactions[] = {
    {Op::describe, On::transactional_id, "each transactional id"},
    {Op::describe, On::topic, "else its partitions are left out"}};
constexpr RequiredAcl list_transactions[] = {
    {Op::describe, On::transactional_id, "else it is left out"}};
constexpr RequiredAcl group_heartbeat[] = {{Op::read, On::group, "the group"},
                                           {Op::describe, On::topic, "each topic subscribed to"}};
constexpr RequiredAcl group_describe[] = {{Op::describe, On::group, "each group"},
                                          {Op::describe, On::topic, "each topic of its members"}};
constexpr RequiredAcl share_records[] = {{Op::read, On::group, "the group"},
                                         {Op::read, On::topic, "each topic"}};
constexpr RequiredAcl streams_group_heartbeat[] = {
    {Op::read, On::group, "the group"},
    {Op::describe, On::topic, "each topic of the topology"},
    {Op::create, On::cluster, "an internal topic to be created, or on the topic"},
    {Op::create, On::topic, "an internal topic to be created, or on the cluster"}};

}  // namespace acl

struct Manners {
    ApiKey key;
    bool forwardable;
    bool cluster_action;
    std::span<const RequiredAcl> acls;
};

using K = ApiKey;
constexpr bool here = false;
constexpr bool forwarded = true;
constexpr bool anyone = false;
constexpr bool brokers = true;

constexpr Manners manners[] = {
    {K::produce, here, anyone, acl::produce},
    {K::fetch, here, anyone, acl::fetch},
    {K::list_offsets, here, anyone, acl::describe_topic},
    {K::metadata, here, anyone, acl::metadata},
    {K::offset_commit, here, anyone, acl::offset_commit},
    {K::offset_fetch, here, anyone, acl::offset_fetch},
    {K::find_coordinator, here, anyone, acl::find_coordinator},
    {K::join_group, here, anyone, acl::read_group},
    {K::heartbeat, here, anyone, acl::read_group},
    {K::leave_group, here, anyone, acl::read_group},
    {K::sync_group, here, anyone, acl::read_group},
    {K::describe_groups, here, anyone, acl::describe_group},
    {K::list_groups, here, anyone, acl::list_groups},
    {K::sasl_handshake, here, anyone, {}},
    {K::api_versions, here, anyone, {}},
    {K::create_topics, forwarded, anyone, acl::create_topics},
    {K::delete_topics, forwarded, anyone, acl::delete_topics},
    {K::delete_records, here, anyone, acl::delete_records},
    {K::init_producer_id, here, anyone, acl::init_producer_id},
    {K::offset_for_leader_epoch, here, anyone, acl::offset_for_leader_epoch},
    {K::add_partitions_to_txn, here, anyone, acl::add_partitions_to_txn},
    {K::add_offsets_to_txn, here, anyone, acl::add_offsets_to_txn},
    {K::end_txn, here, anyone, acl::end_txn},
    {K::write_txn_markers, here, brokers, acl::write_txn_markers},
    {K::txn_offset_commit, here, anyone, acl::txn_offset_commit},
    {K::describe_acls, here, anyone, acl::describe_cluster},
    {K::create_acls, forwarded, anyone, acl::alter_cluster},
    {K::delete_acls, forwarded, anyone, acl::alter_cluster},
    {K::describe_configs, here, anyone, acl::describe_configs},
    {K::alter_configs, forwarded, anyone, acl::alter_configs},
    {K::alter_replica_log_dirs, here, anyone, acl::alter_cluster},
    {K::describe_log_dirs, here, anyone, acl::describe_cluster},
    {K::sasl_authenticate, here, anyone, {}},
    {K::create_partitions, forwarded, anyone, acl::create_partitions},
    {K::create_delegation_token, forwarded, anyone, acl::create_delegation_token},
    {K::renew_delegation_token, forwarded, anyone, {}},
    {K::expire_delegation_token, forwarded, anyone, {}},
    {K::describe_delegation_token, here, anyone, acl::describe_delegation_token},
    {K::delete_groups, here, anyone, acl::delete_groups},
    {K::elect_leaders, forwarded, anyone, acl::alter_cluster},
    {K::incremental_alter_configs, forwarded, anyone, acl::alter_configs},
    {K::alter_partition_reassignments, forwarded, anyone, acl::alter_cluster},
    {K::list_partition_reassignments, forwarded, anyone, acl::describe_cluster},
    {K::offset_delete, here, anyone, acl::offset_delete},
    {K::describe_client_quotas, here, anyone, acl::describe_configs_of_cluster},
    {K::alter_client_quotas, forwarded, anyone, acl::alter_configs_of_cluster},
    {K::describe_user_scram_credentials, here, anyone, acl::describe_cluster},
    {K::alter_user_scram_credentials, forwarded, anyone, acl::alter_cluster},
    {K::vote, here, brokers, acl::cluster_action},
    {K::begin_quorum_epoch, here, brokers, acl::cluster_action},
    {K::end_quorum_epoch, here, brokers, acl::cluster_action},
    {K::describe_quorum, forwarded, brokers, acl::describe_cluster},
    {K::alter_partition, here, brokers, acl::cluster_action},
    {K::update_features, forwarded, brokers, acl::alter_cluster},
    {K::envelope, here, brokers, acl::cluster_action},
    {K::fetch_snapshot, here, anyone, acl::cluster_action},
    {K::describe_cluster, here, anyone, acl::controller_describe_cluster},
    {K::describe_producers, here, anyone, acl::describe_producers},
    {K::broker_registration, here, brokers, acl::cluster_action},
    {K::broker_heartbeat, here, brokers, acl::cluster_action},
    {K::unregister_broker, forwarded, anyone, acl::alter_cluster},
    {K::describe_transactions, here, anyone, acl::describe_transactions},
    {K::list_transactions, here, anyone, acl::list_transactions},
    {K::allocate_producer_ids, forwarded, brokers, acl::cluster_action},
    {K::consumer_group_heartbeat, here, anyone, acl::group_heartbeat},
    {K::consumer_group_describe, here, anyone, acl::group_describe},
    {K::controller_registration, here, anyone, acl::cluster_action},
    {K::get_telemetry_subscriptions, here, anyone, {}},
    {K::push_telemetry, here, anyone, {}},
    {K::assign_replicas_to_dirs, here, anyone, acl::cluster_action},
    {K::list_config_resources, here, anyone, acl::describe_configs_of_cluster},
    {K::describe_topic_partitions, here, anyone, acl::describe_topic},
    {K::share_group_heartbeat, here, anyone, acl::group_heartbeat},
    {K::share_group_describe, here, anyone, acl::group_describe},
    {K::share_fetch, here, anyone, acl::share_records},
    {K::share_acknowledge, here, anyone, acl::share_records},
    {K::add_raft_voter, forwarded, anyone, acl::alter_cluster},
    {K::remove_raft_voter, forwarded, anyone, acl::alter_cluster},
    {K::update_raft_voter, here, anyone, acl::cluster_action},
    {K::initialize_share_group_state, here, brokers, acl::cluster_action},
    {K::read_share_group_state, here, brokers, acl::cluster_action},
    {K::write_share_group_state, here, brokers, acl::cluster_action},
    {K::delete_share_group_state, here, brokers, acl::cluster_action},
    {K::read_share_group_state_summary, here, brokers, acl::cluster_action},
    {K::streams_group_heartbeat, here, anyone, acl::streams_group_heartbeat},
    {K::streams_group_describe, here, anyone, acl::group_describe},
    {K::describe_share_group_offsets, here, anyone, acl::offset_fetch},
    {K::alter_share_group_offsets, here, anyone, acl::share_records},
    {K::delete_share_group_offsets, here, anyone, acl::offset_delete},
    {K::streams_group_topology_description_update, here, anyone, acl::read_group},
    {K::unregister_controller, forwarded, anyone, acl::alter_cluster},
};
static_assert(std::size(manners) == api_count, "an API lacks its line here, or has one too many");

struct SchemaFacts {
    ApiKey key;
    std::string_view name;
    std::int16_t min_version;
    std::int16_t max_version;
    bool unstable;
    std::int16_t first_flexible_version;
    bool on_broker;
    bool on_controller;
};

constexpr SchemaFacts schema_facts[] = {
#define MR_API(name, enumerator, key, min, max, unstable, flexible, broker, controller) \
    {K::enumerator, #name, min, max, unstable, flexible, broker, controller},
#include "protocol/messages/apis.def"
#undef MR_API
};

constexpr Api join(std::size_t slot) {
    const SchemaFacts& facts = schema_facts[slot];
    const Manners& manner = manners[slot];
    const bool produce = facts.key == ApiKey::produce;
    const auto served = static_cast<std::int16_t>(facts.max_version - (facts.unstable ? 1 : 0));
    return {.key = facts.key,
            .name = facts.name,
            .min_version = facts.min_version,
            .max_version = served,
            .advertised_min = produce ? std::int16_t{0} : facts.min_version,
            .first_flexible_version = facts.first_flexible_version,
            .has_unstable_version = facts.unstable,
            .on_broker = facts.on_broker,
            .on_controller = facts.on_controller,
            .forwardable = manner.forwardable,
            .cluster_action = manner.cluster_action,
            .acls = manner.acls,
            .slot = slot};
}

constexpr auto table = [] {
    std::array<Api, api_count> made{};
    for (std::size_t slot = 0; slot < api_count; ++slot) {
        made[slot] = join(slot);
    }
    return made;
}();

constexpr std::int16_t last_key = static_cast<std::int16_t>(table.back().key);

// Slot by key, api_count where no API has the key.
constexpr auto slots = [] {
    std::array<std::size_t, last_key + 1> made{};
    made.fill(api_count);
    for (const Api& api : table) {
        made[static_cast<std::size_t>(api.key)] = api.slot;
    }
    return made;
}();

constexpr bool in_step() {
    for (std::size_t slot = 0; slot < api_count; ++slot) {
        const bool ascending = slot == 0 || table[slot - 1].key < table[slot].key;
        if (manners[slot].key != schema_facts[slot].key || !ascending) {
            return false;
        }
    }
    return true;
}
static_assert(in_step(), "both tables list the APIs in ascending order of key");

}  // namespace

std::span<const Api> all_apis() {
    return table;
}

const Api* find_api(std::int16_t key) {
    if (key < 0 || key > last_key) {
        return nullptr;
    }
    const std::size_t slot = slots[static_cast<std::size_t>(key)];
    return slot == api_count ? nullptr : &table[slot];
}

std::string_view to_string(AclOperation operation) {
    constexpr std::string_view names[] = {"UNKNOWN",
                                          "ANY",
                                          "ALL",
                                          "READ",
                                          "WRITE",
                                          "CREATE",
                                          "DELETE",
                                          "ALTER",
                                          "DESCRIBE",
                                          "CLUSTER_ACTION",
                                          "DESCRIBE_CONFIGS",
                                          "ALTER_CONFIGS",
                                          "IDEMPOTENT_WRITE",
                                          "CREATE_TOKENS",
                                          "DESCRIBE_TOKENS",
                                          "TWO_PHASE_COMMIT"};
    const auto code = static_cast<std::size_t>(operation);
    return code < std::size(names) ? names[code] : names[0];
}

std::string_view to_string(AclResource resource) {
    constexpr std::string_view names[] = {
        "UNKNOWN",          "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID",
        "DELEGATION_TOKEN", "USER"};
    const auto code = static_cast<std::size_t>(resource);
    return code < std::size(names) ? names[code] : names[0];
}

}  // namespace millrace::protocol
