// Settings and log directories, through the same requests that Kafka's clients send.
#include "admin/internal/kafka_call.h"
#include "config/alter.h"
#include "config/value.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"
#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t alter_configs_version = 1;
constexpr std::int16_t describe_log_dirs_version = 5;

std::string type_text(std::int8_t number) {
    for (const config::Type type :
         {config::Type::boolean, config::Type::string, config::Type::int16, config::Type::int32,
          config::Type::int64, config::Type::decimal, config::Type::list, config::Type::class_name,
          config::Type::password}) {
        if (config::kafka_type_number(type) == number) {
            return std::string{config::type_name(type)};
        }
    }
    return "unknown";
}

void fill(v1::ConfigEntry& to,
          const protocol::DescribeConfigsResponse::DescribeConfigsResourceResult& from) {
    to.set_key(std::string{from.name});
    if (from.value) {
        to.set_value(std::string{*from.value});
    }
    to.set_source(static_cast<v1::ConfigSource>(from.config_source));
    to.set_read_only(from.read_only);
    to.set_sensitive(from.is_sensitive);
    to.set_type(type_text(from.config_type));
    to.set_documentation(std::string{from.documentation.value_or("")});
    for (const auto& synonym : from.synonyms) {
        auto& one = *to.add_synonyms();
        one.set_key(std::string{synonym.name});
        if (synonym.value) {
            one.set_value(std::string{*synonym.value});
        }
        one.set_source(static_cast<v1::ConfigSource>(synonym.source));
    }
}

/// Kafka's number of an operation; -1 for none.
std::int8_t kafka_op(v1::ConfigAlteration::Op op) {
    switch (op) {
        case v1::ConfigAlteration::OP_SET:
            return 0;
        case v1::ConfigAlteration::OP_DELETE:
            return 1;
        case v1::ConfigAlteration::OP_APPEND:
            return 2;
        case v1::ConfigAlteration::OP_SUBTRACT:
            return 3;
        default:
            return -1;
    }
}

void fill(v1::LogDir& to, BrokerId broker,
          const protocol::DescribeLogDirsResponse::DescribeLogDirsResult& from,
          bool with_replicas) {
    to.set_broker_id(broker.value);
    to.set_path(std::string{from.log_dir});
    to.set_total_bytes(from.total_bytes);
    to.set_free_bytes(from.usable_bytes);
    to.set_online(from.error_code == 0);
    to.set_cordoned(from.is_cordoned);
    if (from.error_code != 0) {
        to.set_error(std::string{message_of(static_cast<KafkaError>(from.error_code))});
    }
    for (const auto& topic : from.topics) {
        for (const auto& partition : topic.partitions) {
            if (!with_replicas) {
                continue;
            }
            auto& replica = *to.add_replicas();
            replica.mutable_partition()->set_topic(std::string{topic.name});
            replica.mutable_partition()->set_partition(partition.partition_index);
            replica.set_size_bytes(partition.partition_size);
            replica.set_lag_records(partition.offset_lag);
            replica.set_is_future(partition.is_future_key);
        }
    }
}

}  // namespace

namespace calls {

void DescribeConfigs(AdminDoors& doors, Caller caller, const v1::DescribeConfigsRequest& request,
                     Answer<v1::DescribeConfigsResponse> answer) {
    protocol::DescribeConfigsRequest kafka;
    kafka.include_synonyms = request.with_synonyms();
    kafka.include_documentation = request.with_documentation();
    for (const v1::ConfigResource& resource : request.resources()) {
        protocol::DescribeConfigsRequest::DescribeConfigsResource one;
        one.resource_type = static_cast<std::int8_t>(resource.type());
        one.resource_name = resource.name();
        one.configuration_keys = std::nullopt;
        if (!request.keys().empty()) {
            one.configuration_keys.emplace(request.keys().begin(), request.keys().end());
        }
        kafka.resources.push_back(std::move(one));
    }
    answer_from_kafka<protocol::DescribeConfigsResponse>(
        doors, caller, describe_configs_version, kafka, std::move(answer),
        [](const protocol::DescribeConfigsResponse& from) {
            v1::DescribeConfigsResponse to;
            for (const auto& result : from.results) {
                auto& configs = *to.add_resources();
                configs.mutable_resource()->set_type(
                    static_cast<v1::ConfigResourceType>(result.resource_type));
                configs.mutable_resource()->set_name(std::string{result.resource_name});
                if (result.error_code != 0) {
                    fill_error(*configs.mutable_error(), result.error_code, result.error_message);
                }
                for (const auto& entry : result.configs) {
                    fill(*configs.add_entries(), entry);
                }
            }
            return to;
        });
}

void AlterConfigs(AdminDoors& doors, Caller caller, const v1::AlterConfigsRequest& request,
                  Answer<v1::AlterConfigsResponse> answer) {
    protocol::IncrementalAlterConfigsRequest kafka;
    kafka.validate_only = request.guard().dry_run();
    for (const v1::ConfigAlterations& wanted : request.resources()) {
        protocol::IncrementalAlterConfigsRequest::AlterConfigsResource resource;
        resource.resource_type = static_cast<std::int8_t>(wanted.resource().type());
        resource.resource_name = wanted.resource().name();
        for (const v1::ConfigAlteration& alteration : wanted.alterations()) {
            const std::int8_t op = kafka_op(alteration.op());
            if (op < 0) {
                answer(Error::make(Code::invalid, "{}: say what to do with it (op)",
                                   alteration.key()));
                return;
            }
            protocol::IncrementalAlterConfigsRequest::AlterableConfig one;
            one.name = alteration.key();
            one.config_operation = op;
            one.value = alteration.has_value() ? std::optional<std::string_view>{alteration.value()}
                                               : std::nullopt;
            resource.configs.push_back(one);
        }
        kafka.resources.push_back(std::move(resource));
    }
    answer_from_kafka<protocol::IncrementalAlterConfigsResponse>(
        doors, caller, alter_configs_version, kafka, std::move(answer),
        [](const protocol::IncrementalAlterConfigsResponse& from) {
            v1::AlterConfigsResponse to;
            for (const auto& result : from.responses) {
                auto& altered = *to.add_resources();
                altered.mutable_resource()->set_type(
                    static_cast<v1::ConfigResourceType>(result.resource_type));
                altered.mutable_resource()->set_name(std::string{result.resource_name});
                if (result.error_code != 0) {
                    fill_error(*altered.mutable_error(), result.error_code, result.error_message);
                }
                // Kafka's answer doesn't tell; a caller must take it for a change.
                altered.set_changed(result.error_code == 0);
            }
            return to;
        });
}

void DescribeLogDirs(AdminDoors& doors, Caller caller, const v1::DescribeLogDirsRequest& request,
                     Answer<v1::DescribeLogDirsResponse> answer) {
    if (request.broker_ids_size() > 1) {
        answer(Error(Code::unsupported,
                     "one call about the directories of several brokers is not built yet"));
        return;
    }
    doors.identity([&doors, caller, request, answer = std::move(answer)](
                       Result<millrace::admin::Identity> identity) mutable {
        if (!identity) {
            answer(identity.error());
            return;
        }
        const BrokerId target =
            request.broker_ids().empty() ? identity->broker_id : BrokerId{request.broker_ids(0)};
        protocol::DescribeLogDirsRequest kafka;
        kafka.topics = std::nullopt;
        ask_kafka<protocol::DescribeLogDirsResponse>(
            doors, caller, describe_log_dirs_version, kafka,
            [target, identity = *std::move(identity), with_replicas = request.with_replicas(),
             answer = std::move(answer)](const Error& error,
                                         const protocol::DescribeLogDirsResponse* from) mutable {
                if (from == nullptr) {
                    answer(error);
                    return;
                }
                v1::DescribeLogDirsResponse to;
                for (const auto& result : from->results) {
                    auto& directory = *to.add_directories();
                    fill(directory, target, result, with_replicas);
                    for (const LogDirectory& known : identity.directories) {
                        const bool same =
                            target == identity.broker_id && known.path == directory.path();
                        directory.set_id(same ? known.id.to_string() : directory.id());
                    }
                }
                answer(std::move(to));
            },
            target);
    });
}

}  // namespace calls

}  // namespace millrace::admin
