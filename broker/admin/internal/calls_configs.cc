// Settings and log directories, through the same requests that Kafka's clients send.
#include <map>
#include <memory>
#include <set>

#include "admin/internal/whom_to_ask.h"
#include "config/alter.h"
#include "config/value.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"
#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t alter_configs_version = 1;

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

/// Directories of several brokers, in the order of their ids.
class DirectoryQuestion : public std::enable_shared_from_this<DirectoryQuestion> {
public:
    DirectoryQuestion(AdminDoors& doors, Caller caller, const v1::DescribeLogDirsRequest& request,
                      Answer<v1::DescribeLogDirsResponse> answer)
        : doors_(doors),
          caller_(std::move(caller)),
          topics_(request.topics().begin(), request.topics().end()),
          with_replicas_(request.with_replicas()),
          answer_(std::move(answer)) {
        for (const std::int32_t id : request.broker_ids()) {
            brokers_.insert(BrokerId{id});
        }
        if (brokers_.empty()) {
            const std::vector<BrokerId> others = doors.other_brokers();
            brokers_.insert(others.begin(), others.end());
            brokers_.insert(doors.self());
        }
    }

    void begin() {
        doors_.identity([self = shared_from_this()](Result<millrace::admin::Identity> identity) {
            if (!identity) {
                self->answer_(identity.error());
                return;
            }
            self->own_ = *std::move(identity);
            if (self->topics_.empty()) {
                self->ask(std::nullopt);
            } else {
                self->look_up_partitions();
            }
        });
    }

private:
    using Topics =
        std::optional<std::vector<protocol::DescribeLogDirsRequest::DescribableLogDirTopic>>;

    /// Kafka's question names partitions, not topics alone.
    void look_up_partitions() {
        protocol::MetadataRequest request;
        request.allow_auto_topic_creation = false;
        for (const std::string& topic : topics_) {
            request.topics->emplace_back().name = topic;
        }
        ask_kafka<protocol::MetadataResponse>(
            doors_, caller_, metadata_version, request,
            [self = shared_from_this()](const Error& error,
                                        const protocol::MetadataResponse* found) {
                if (found == nullptr) {
                    self->answer_(error);
                    return;
                }
                Topics topics;
                topics.emplace();
                for (const auto& topic : found->topics) {
                    auto& one = topics->emplace_back();
                    one.topic = topic.name.value_or("");
                    for (const auto& partition : topic.partitions) {
                        one.partitions.push_back(partition.partition_index);
                    }
                }
                self->ask(topics);
            });
    }

    void ask(const Topics& topics) {
        std::map<BrokerId, protocol::DescribeLogDirsRequest> requests;
        for (const BrokerId broker : brokers_) {
            requests[broker].topics = topics;
        }
        ask_each<protocol::DescribeLogDirsResponse>(
            doors_, caller_, describe_log_dirs_version, requests,
            [self = shared_from_this()](BrokerId broker, const Error& error,
                                        const protocol::DescribeLogDirsResponse* from) {
                if (from == nullptr) {
                    self->miss(broker, error);
                } else {
                    self->note(broker, *from);
                }
            },
            [self = shared_from_this()] { self->finish(); });
    }

    void miss(BrokerId broker, const Error& error) {
        silent_.insert(broker);
        why_silent_ = error;
    }

    void note(BrokerId broker, const protocol::DescribeLogDirsResponse& from) {
        for (const auto& result : from.results) {
            v1::LogDir& directory = found_[broker].emplace_back();
            fill(directory, broker, result, with_replicas_);
            for (const LogDirectory& known : own_.directories) {
                if (broker == own_.broker_id && known.path == directory.path()) {
                    directory.set_id(known.id.to_string());
                }
            }
        }
    }

    void finish() {
        if (silent_.size() == brokers_.size()) {
            answer_(why_silent_);
            return;
        }
        v1::DescribeLogDirsResponse response;
        for (auto& [broker, directories] : found_) {
            for (v1::LogDir& directory : directories) {
                *response.add_directories() = std::move(directory);
            }
        }
        for (const BrokerId broker : silent_) {
            response.add_silent_brokers(broker.value);
        }
        answer_(std::move(response));
    }

    AdminDoors& doors_;
    Caller caller_;
    const std::vector<std::string> topics_;
    const bool with_replicas_;
    Answer<v1::DescribeLogDirsResponse> answer_;
    std::set<BrokerId> brokers_;
    millrace::admin::Identity own_;
    std::map<BrokerId, std::vector<v1::LogDir>> found_;
    std::set<BrokerId> silent_;
    Error why_silent_{Code::unavailable, ""};
};

/// Settings in the order that they were asked for: a broker's own are asked of it.
class ConfigQuestion : public std::enable_shared_from_this<ConfigQuestion> {
public:
    ConfigQuestion(AdminDoors& doors, Caller caller, Answer<v1::DescribeConfigsResponse> answer)
        : doors_(doors), caller_(std::move(caller)), answer_(std::move(answer)) {}

    void ask(const v1::DescribeConfigsRequest& request) {
        std::map<BrokerId, protocol::DescribeConfigsRequest> requests;
        for (const v1::ConfigResource& resource : request.resources()) {
            const auto [place, is_new] = places_.try_emplace(
                {static_cast<std::int8_t>(resource.type()), resource.name()}, nullptr);
            if (!is_new) {
                continue;
            }
            place->second = response_.add_resources();
            *place->second->mutable_resource() = resource;
            // Until who knows says more.
            fill_error(*place->second->mutable_error(), KafkaError::network_exception);
            protocol::DescribeConfigsRequest::DescribeConfigsResource one;
            one.resource_type = static_cast<std::int8_t>(resource.type());
            one.resource_name = resource.name();
            one.configuration_keys = std::nullopt;
            if (!request.keys().empty()) {
                one.configuration_keys.emplace(request.keys().begin(), request.keys().end());
            }
            auto& kafka = requests[who_knows(resource)];
            kafka.include_synonyms = request.with_synonyms();
            kafka.include_documentation = request.with_documentation();
            kafka.resources.push_back(std::move(one));
        }
        ask_each<protocol::DescribeConfigsResponse>(
            doors_, caller_, describe_configs_version, requests,
            [self = shared_from_this()](BrokerId, const Error& error,
                                        const protocol::DescribeConfigsResponse* from) {
                if (from == nullptr) {
                    self->why_silent_ = error;
                } else {
                    self->note(*from);
                }
            },
            [self = shared_from_this()] { self->finish(); });
    }

private:
    BrokerId who_knows(const v1::ConfigResource& resource) const {
        if (resource.type() == v1::CONFIG_RESOURCE_TYPE_BROKER) {
            for (const BrokerId broker : doors_.other_brokers()) {
                if (resource.name() == std::to_string(broker.value)) {
                    return broker;
                }
            }
        }
        return doors_.self();
    }

    void note(const protocol::DescribeConfigsResponse& from) {
        has_answer_ = true;
        for (const auto& result : from.results) {
            const auto place =
                places_.find({result.resource_type, std::string{result.resource_name}});
            if (place == places_.end()) {
                continue;
            }
            place->second->clear_error();
            if (result.error_code != 0) {
                fill_error(*place->second->mutable_error(), result.error_code,
                           result.error_message);
            }
            for (const auto& entry : result.configs) {
                fill(*place->second->add_entries(), entry);
            }
        }
    }

    void finish() {
        if (!has_answer_ && !places_.empty()) {
            answer_(why_silent_);
        } else {
            answer_(std::move(response_));
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    Answer<v1::DescribeConfigsResponse> answer_;
    v1::DescribeConfigsResponse response_;
    std::map<std::pair<std::int8_t, std::string>, v1::ResourceConfigs*> places_;
    Error why_silent_{Code::unavailable, ""};
    bool has_answer_ = false;
};

}  // namespace

namespace calls {

void DescribeConfigs(AdminDoors& doors, Caller caller, const v1::DescribeConfigsRequest& request,
                     Answer<v1::DescribeConfigsResponse> answer) {
    std::make_shared<ConfigQuestion>(doors, std::move(caller), std::move(answer))->ask(request);
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
    std::make_shared<DirectoryQuestion>(doors, std::move(caller), request, std::move(answer))
        ->begin();
}

}  // namespace calls

}  // namespace millrace::admin
