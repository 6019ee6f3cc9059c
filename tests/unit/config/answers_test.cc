// DescribeConfigs and IncrementalAlterConfigs against what an Apache Kafka 4.4.0 broker answered,
// started with tests/vectors/config/answers.properties (kafka-4.4.0-answers.tsv).
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>

#include "config/alter.h"
#include "config/overlay.h"
#include "config/value.h"
#include "tests/unit/config/vectors.h"

namespace millrace::config {
namespace {

std::string source_name(ConfigSource source) {
    switch (source) {
        case ConfigSource::topic:
            return "DYNAMIC_TOPIC_CONFIG";
        case ConfigSource::dynamic_broker:
            return "DYNAMIC_BROKER_CONFIG";
        case ConfigSource::dynamic_default_broker:
            return "DYNAMIC_DEFAULT_BROKER_CONFIG";
        case ConfigSource::static_broker:
            return "STATIC_BROKER_CONFIG";
        case ConfigSource::fallback:
            return "DEFAULT_CONFIG";
        case ConfigSource::client_metrics:
            return "DYNAMIC_CLIENT_METRICS_CONFIG";
        case ConfigSource::group:
            return "DYNAMIC_GROUP_CONFIG";
        default:
            return "UNKNOWN";
    }
}

std::string type_name_of(std::int8_t number) {
    const std::vector<std::string> names = {"UNKNOWN", "BOOLEAN", "STRING", "INT",   "SHORT",
                                            "LONG",    "DOUBLE",  "LIST",   "CLASS", "PASSWORD"};
    return names.at(static_cast<std::size_t>(number));
}

std::string escaped(const std::optional<std::string>& text) {
    if (!text) {
        return "\\N";
    }
    std::string out;
    for (const char c : *text) {
        out += c == '\\' ? "\\\\" : std::string(1, c);
    }
    return out;
}

/// A described setting as a line of the vectors.
std::vector<std::string> line_of(const std::string& resource, const Described& one) {
    std::vector<std::string> line = {"describe",
                                     resource,
                                     one.name,
                                     escaped(one.value),
                                     source_name(one.source),
                                     one.read_only ? "true" : "false",
                                     one.sensitive ? "true" : "false",
                                     type_name_of(one.type)};
    for (const Synonym& synonym : one.synonyms) {
        line.push_back(synonym.name + "=" + escaped(synonym.value) + "@" +
                       source_name(synonym.source));
    }
    return line;
}

class KafkaAnswersTest : public testing::Test {
protected:
    KafkaAnswersTest() {
        std::ifstream file{std::string{MILLRACE_SOURCE_DIR} +
                           "/tests/vectors/config/answers.properties"};
        std::stringstream text;
        text << file.rdbuf();
        Source source;
        source.text = text.str();
        // Kafka keeps what it doesn't know; we do when told to.
        source.command_line = {"millrace.config.ignore=some.unknown.key"};
        Loaded loaded = load(source);
        EXPECT_TRUE(loaded.errors.empty());
        given_ = loaded.given;
    }

    std::shared_ptr<const Given> given_;
    // As KafkaAnswers.java leaves them. Kafka's controller itself puts min.insync.replicas there.
    Entries cluster_ = {{"log.retention.ms", "7000"},
                        {"log.cleaner.threads", "2"},
                        {"compression.type", "gzip"},
                        {"min.insync.replicas", "1"},
                        {"no.such.key", "2"}};
    Entries broker_ = {{"log.cleaner.threads", "3"},
                       {"log.segment.bytes", "5000000"},
                       {"follower.replication.throttled.rate", "1000000"},
                       {"no.such.key", "2"}};
    Entries own_ = {{"cleanup.policy", "compact"},
                    {"min.cleanable.dirty.ratio", "0.250"},
                    {"retention.ms", "5000"}};
    Entries group_ = {{"consumer.session.timeout.ms", "50000"},
                      {"consumer.heartbeat.interval.ms", "5000"},
                      {"share.auto.offset.reset", "by_duration:PT1H"}};
    Entries metrics_ = {{"interval.ms", "1000"},
                        {"match", "client_id=app.*"},
                        {"metrics", "org.apache.kafka.producer."}};
};

TEST_F(KafkaAnswersTest, describe_every_setting_as_kafka_does) {
    const BrokerConfig config{given_, cluster_, broker_};
    std::map<std::string, std::vector<Described>> described = {
        {"broker:1", config.describe_broker()},
        {"broker:", config.describe_cluster_default()},
        {"topic:plain", config.describe_topic({})},
        {"topic:own", config.describe_topic(own_)},
        {"group:g", config.describe_group(group_)},
        {"client_metrics:m", config.describe_client_metrics(metrics_)}};
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> ours;
    for (const auto& [resource, all] : described) {
        for (const Described& one : all) {
            ours[{resource, one.name}] = line_of(resource, one);
        }
    }
    int compared = 0;
    for (const auto& kafka : read_vectors("kafka-4.4.0-answers.tsv")) {
        if (kafka[0] != "describe") {
            continue;
        }
        const Option* option = find_option(Scope::broker, kafka[2]);
        const auto found = ours.find({kafka[1], kafka[2]});
        ASSERT_NE(found, ours.end()) << kafka[1] << " " << kafka[2];
        auto line = found->second;
        ours.erase(found);
        if (option != nullptr && !option->deviates.empty() && kafka[1] == "broker:1") {
            continue;  // another default of ours, with its reason in the table
        }
        if (kafka[2] == "log.retention.hours") {
            continue;  // Kafka shows the default where its own synonyms say 24
        }
        EXPECT_THAT(line, testing::ElementsAreArray(kafka));
        ++compared;
    }
    EXPECT_GT(compared, 440);
    for (const auto& [name, line] : ours) {
        EXPECT_TRUE(name.second.starts_with("millrace.") || name.second == "super.users" ||
                    name.second == "cluster.id" || name.second == "allow.everyone.if.no.acl.found")
            << name.first << " " << name.second;
    }
}

std::optional<AlterOp> parse_op(const std::string& name) {
    const std::map<std::string, AlterOp> ops = {{"SET", AlterOp::set},
                                                {"DELETE", AlterOp::remove},
                                                {"APPEND", AlterOp::append},
                                                {"SUBTRACT", AlterOp::subtract}};
    return ops.at(name);
}

TEST_F(KafkaAnswersTest, take_and_refuse_changes_as_kafka_does) {
    const std::map<std::string, Resource> resources = {
        {"topic:plain", Resource::topic},
        {"broker:1", Resource::broker},
        {"broker:", Resource::cluster_default},
        {"group:g", Resource::group},
        {"client_metrics:m", Resource::client_metrics}};
    const BrokerConfig config{given_};
    std::map<std::string, Entries> entries;
    for (const auto& kafka : read_vectors("kafka-4.4.0-answers.tsv")) {
        if (kafka[0] != "alter") {
            continue;
        }
        Alteration asked{kafka[3], *parse_op(kafka[2]), std::nullopt};
        if (kafka[4] != "\\N") {
            asked.value = kafka[4];
        }
        const Altered altered = alter(resources.at(kafka[1]), entries[kafka[1]], {asked}, config);
        std::string outcome = "ok";
        if (const auto* refusal = std::get_if<Refusal>(&altered)) {
            outcome = refusal->kind == Refusal::Kind::invalid_config
                          ? "InvalidConfigurationException"
                          : "InvalidRequestException";
            EXPECT_THAT(refusal->message, testing::HasSubstr(kafka[3]));
        } else {
            for (const Change& change : std::get<std::vector<Change>>(altered)) {
                if (change.value) {
                    entries[kafka[1]][change.name] = *change.value;
                } else {
                    entries[kafka[1]].erase(change.name);
                }
            }
        }
        const std::string question = kafka[1] + " " + kafka[2] + " " + kafka[3] + " " + kafka[4];
        if (kafka[4] == "/nowhere" && kafka[1] == "broker:1") {
            EXPECT_EQ(outcome, "ok") << "whether the file is there, its reader says: " << question;
        } else {
            EXPECT_EQ(outcome, kafka[5]) << question;
        }
    }
}

TEST_F(KafkaAnswersTest, brokers_keep_what_nobody_knows_and_lists_are_none_of_it) {
    const BrokerConfig config{given_};
    const auto asked = [&](AlterOp op, const char* name, std::optional<std::string> value) {
        return alter(Resource::broker, {{"a.note", "1"}}, {{name, op, std::move(value)}}, config);
    };
    const auto kept = asked(AlterOp::set, "retention.ms", "5");  // a topic's
    EXPECT_THAT(std::get<std::vector<Change>>(kept),
                testing::ElementsAre(Change{"retention.ms", "5"}));
    const auto gone = asked(AlterOp::remove, "a.note", std::nullopt);
    EXPECT_THAT(std::get<std::vector<Change>>(gone),
                testing::ElementsAre(Change{"a.note", std::nullopt}));
    EXPECT_EQ(std::get<Refusal>(asked(AlterOp::append, "a.note", "2")).kind,
              Refusal::Kind::invalid_config);
    EXPECT_EQ(std::get<Refusal>(asked(AlterOp::set, "a.note", std::nullopt)).kind,
              Refusal::Kind::invalid_request);
    const auto of_listener =
        alter(Resource::cluster_default, {}, {{"listener.name.x.y", AlterOp::set, "1"}}, config);
    EXPECT_EQ(std::get<Refusal>(of_listener).kind, Refusal::Kind::invalid_request);
    const auto slip = asked(AlterOp::set, "millrace.data.shard", "2");
    EXPECT_THAT(std::get<Refusal>(slip).message, testing::HasSubstr("millrace.data.shards"));
}

}  // namespace
}  // namespace millrace::config
