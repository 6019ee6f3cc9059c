// DescribeConfigs: every setting of a resource with where it comes from.

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handlers/handlers.h"
#include "handlers/repeats.h"
#include "handlers/topic_names.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"

namespace millrace::handlers {
namespace {

using metadata::ConfigResourceType;
using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using DescribeConfigsCall = Call<DescribeConfigsRequest, DescribeConfigsResponse>;

constexpr std::int16_t first_version_with_documentation = 3;

struct Found {
    KafkaError error = KafkaError::none;
    std::string message;
    std::vector<config::Described> settings;
};

Found refuse(KafkaError error, std::string message) {
    return {error, std::move(message), {}};
}

config::Entries entries_of(const metadata::Image& image, ConfigResourceType type,
                           std::string_view name) {
    const metadata::ConfigMap* found = image.configs.find({type, std::string(name)});
    return found == nullptr ? config::Entries{} : found->values;
}

/// Refuses who asks this broker about another.
std::optional<Found> refuse_other_broker(const Doors& doors, std::string_view name) {
    std::int32_t id = -1;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
    if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) {
        return refuse(KafkaError::invalid_request,
                      fmt::format("broker id must be an integer, but it is: {}", name));
    }
    if (BrokerId{id} != doors.self) {
        return refuse(
            KafkaError::invalid_request,
            fmt::format("this is broker {}: ask broker {} for its settings", doors.self, id));
    }
    return std::nullopt;
}

Found describe_broker(const Doors& doors, const config::BrokerConfig& config,
                      std::string_view name) {
    if (name.empty()) {
        return {.settings = config.describe_cluster_default()};
    }
    if (auto refusal = refuse_other_broker(doors, name)) {
        return *std::move(refusal);
    }
    return {.settings = config.describe_broker()};
}

Found describe_logger(const Doors& doors, std::string_view name) {
    if (name.empty()) {
        return refuse(KafkaError::invalid_request, "a broker's id may not be empty");
    }
    if (auto refusal = refuse_other_broker(doors, name)) {
        return *std::move(refusal);
    }
    return {};  // No logger levels can be set one by one here: there is nothing to list.
}

bool is_known(std::int8_t type) {
    switch (static_cast<ConfigResourceType>(type)) {
        case ConfigResourceType::topic:
        case ConfigResourceType::broker:
        case ConfigResourceType::broker_logger:
        case ConfigResourceType::client_metrics:
        case ConfigResourceType::group:
            return true;
        case ConfigResourceType::unknown:
            break;
    }
    return false;
}

Found describe(const Doors& doors, const metadata::Image& image, const TopicBook& book,
               ConfigResourceType type, std::string_view name) {
    const config::BrokerConfig& config = book.config();
    switch (type) {
        case ConfigResourceType::topic:
            if (!is_valid_topic_name(name)) {
                return refuse(KafkaError::invalid_topic_exception, "not a topic name");
            }
            if (image.topics.find(name) == nullptr) {
                return refuse(KafkaError::unknown_topic_or_partition,
                              std::string(message_of(KafkaError::unknown_topic_or_partition)));
            }
            return {.settings = config.describe_topic(entries_of(image, type, name))};
        case ConfigResourceType::broker:
            return describe_broker(doors, config, name);
        case ConfigResourceType::group:
            if (name.empty()) {
                return refuse(KafkaError::invalid_request, "a group's name may not be empty");
            }
            return {.settings = config.describe_group(entries_of(image, type, name))};
        case ConfigResourceType::client_metrics:
            if (name.empty()) {
                return refuse(KafkaError::invalid_request,
                              "a subscription's name may not be empty");
            }
            return {.settings = config.describe_client_metrics(entries_of(image, type, name))};
        case ConfigResourceType::broker_logger:
            return describe_logger(doors, name);
        case ConfigResourceType::unknown:
            break;
    }
    return refuse(KafkaError::invalid_request, "unknown kind of resource");
}

bool wanted(const DescribeConfigsRequest::DescribeConfigsResource& asked, std::string_view name) {
    return !asked.configuration_keys || asked.configuration_keys->empty() ||
           std::find(asked.configuration_keys->begin(), asked.configuration_keys->end(), name) !=
               asked.configuration_keys->end();
}

void add_setting(DescribeConfigsResponse::DescribeConfigsResult& to,
                 const config::Described& setting, const DescribeConfigsRequest& request,
                 std::int16_t version) {
    auto& out = to.configs.emplace_back();
    out.name = setting.name;
    out.value.reset();
    if (setting.value) {
        out.value = *setting.value;
    }
    out.read_only = setting.read_only;
    out.config_source = static_cast<std::int8_t>(setting.source);
    out.is_sensitive = setting.sensitive;
    if (request.include_synonyms) {
        for (const config::Synonym& synonym : setting.synonyms) {
            auto& one = out.synonyms.emplace_back();
            one.name = synonym.name;
            one.value.reset();
            if (synonym.value) {
                one.value = *synonym.value;
            }
            one.source = static_cast<std::int8_t>(synonym.source);
        }
    }
    out.documentation.reset();
    if (version >= first_version_with_documentation) {
        out.config_type = setting.type;
        if (request.include_documentation) {
            out.documentation = setting.documentation;
        }
    }
}

constexpr std::size_t settings_of_a_turn = 1'000;

/// Makes and writes one resource after the other: all at once would take ten times the memory of
/// the answer. Others get their turn in between.
class Answering : public std::enable_shared_from_this<Answering> {
public:
    Answering(const Doors& doors, DescribeConfigsCall call)
        : doors_(doors),
          call_(std::move(call)),
          image_(doors.image->current()),
          book_(doors.topics->current()),
          // One resource of an unknown kind spoils the request.
          is_readable_(
              std::all_of(call_.request().resources.begin(), call_.request().resources.end(),
                          [](const auto& asked) { return is_known(asked.resource_type); })),
          bytes_(begin_response(call_.meta())),
          writer_(bytes_, call_.room_to_answer()) {
        burst_.emplace(writer_);
        writer_.int32(call_.throttle_time_ms());
        writer_.array_size(static_cast<std::int64_t>(call_.request().resources.size()),
                           is_flexible());
    }

    void go_on() {
        std::size_t settings = 0;
        while (next_ < call_.request().resources.size() && settings < settings_of_a_turn &&
               writer_.ok()) {
            settings += 1 + write(call_.request().resources[next_++]);
        }
        if (next_ < call_.request().resources.size() && writer_.ok()) {
            call_.home().post([self = shared_from_this()] {
                if (self->call_.is_wanted()) {
                    self->go_on();
                }
            });
            return;
        }
        if (is_flexible()) {
            writer_.unknown_tags({});
        }
        burst_.reset();
        call_.answer_written(writer_, std::move(bytes_), first_error_);
    }

private:
    bool is_flexible() const {
        return call_.version() >= DescribeConfigsResponse::first_flexible_version;
    }

    /// How many settings the resource has.
    std::size_t write(const DescribeConfigsRequest::DescribeConfigsResource& asked) {
        const Found found = !is_readable_
                                ? refuse(KafkaError::invalid_request, "unknown kind of resource")
                                : describe(doors_, *image_, *book_,
                                           static_cast<ConfigResourceType>(asked.resource_type),
                                           asked.resource_name);
        DescribeConfigsResponse::DescribeConfigsResult to;
        to.resource_type = asked.resource_type;
        to.resource_name = asked.resource_name;
        to.error_code = code_of(found.error);
        to.error_message.reset();
        if (found.error != KafkaError::none) {
            to.error_message = found.message;
        }
        for (const config::Described& setting : found.settings) {
            if (wanted(asked, setting.name)) {
                add_setting(to, setting, call_.request(), call_.version());
            }
        }
        if (first_error_ == 0) {
            first_error_ = to.error_code;
        }
        to.encode(writer_, call_.version());
        return found.settings.size();
    }

    const Doors& doors_;
    DescribeConfigsCall call_;
    metadata::ImagePtr image_;
    std::shared_ptr<const TopicBook> book_;
    bool is_readable_;
    Buffer bytes_;
    protocol::Writer writer_;
    std::optional<protocol::Writer::Burst> burst_;  ///< One for all turns: each begins with a copy.
    std::size_t next_ = 0;
    std::int16_t first_error_ = 0;
};

}  // namespace

void describe_configs(const Doors& doors, DescribeConfigsCall call) {
    keep_distinct(call.mutable_request().resources, [](const auto& asked) {
        return std::pair(asked.resource_type, asked.resource_name);
    });
    std::make_shared<Answering>(doors, std::move(call))->go_on();
}

}  // namespace millrace::handlers
