// The option tables against what Apache Kafka 4.4.0 says about itself
// (tests/vectors/config/kafka-4.4.0-options.tsv).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "config/options.h"
#include "config/value.h"
#include "tests/unit/config/vectors.h"

namespace millrace::config {
namespace {

struct KafkaOption {
    Scope scope;
    std::string name, type, fallback, rule, importance, visibility, update, synonyms;
};

std::vector<KafkaOption> kafka_options() {
    std::vector<KafkaOption> all;
    for (const auto& f : read_vectors("kafka-4.4.0-options.tsv")) {
        const Scope scope = f[0] == "topic"            ? Scope::topic
                            : f[0] == "group"          ? Scope::group
                            : f[0] == "client-metrics" ? Scope::client_metrics
                                                       : Scope::broker;
        all.push_back({scope, f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]});
    }
    return all;
}

const std::vector<Scope> scopes = {Scope::broker, Scope::topic, Scope::group,
                                   Scope::client_metrics};

const Option& row_for(const KafkaOption& kafka) {
    const Option* option = find_option(kafka.scope, kafka.name);
    if (option == nullptr) {
        ADD_FAILURE() << kafka.name << " is missing";
        return options(kafka.scope).front();
    }
    return *option;
}

/// A rule in the words of Kafka's validators.
std::string kafka_words(const Rule& rule) {
    std::string words{rule.words};
    for (std::size_t at = 0; (at = words.find(',', at)) != std::string::npos; at += 2) {
        words.replace(at, 1, ", ");
    }
    const auto number = [](double n) { return fmt::format("{}", n); };
    switch (rule.kind) {
        case Rule::Kind::anything:
            return "";
        case Rule::Kind::range:
            return "[" + number(rule.low) +
                   (rule.high < 1e300 ? ",...," + number(rule.high) + "]" : ",...]");
        case Rule::Kind::range_or_minus1:
            return "[" + number(rule.low) + ",...," + number(rule.high) + "] or -1";
        case Rule::Kind::one_of:
        case Rule::Kind::each_of:
            return "[" + words + "]";
        case Rule::Kind::one_of_any_case:
            return "(case insensitive) [" + words + "]";
        case Rule::Kind::not_empty:
        case Rule::Kind::voters:
        case Rule::Kind::host_ports:
            return "non-empty";
        case Rule::Kind::throttled:
            return "[partitionId]:[brokerId],[partitionId]:[brokerId],...";
        case Rule::Kind::offset_reset:
            return "[latest, earliest, by_duration:PnDTnHnMn.nS]";
        case Rule::Kind::memory_or_auto:
            return "memory";
    }
    return "";
}

TEST(OptionTable, has_every_setting_of_kafka_and_no_other_but_ours) {
    std::set<std::pair<Scope, std::string>> kafka;
    for (const KafkaOption& option : kafka_options()) {
        EXPECT_TRUE(kafka.emplace(option.scope, option.name).second) << option.name;
        EXPECT_NE(find_option(option.scope, option.name), nullptr) << option.name;
    }
    // Kafka's authorizer reads these two from the file without declaring them.
    kafka.emplace(Scope::broker, "super.users");
    kafka.emplace(Scope::broker, "allow.everyone.if.no.acl.found");
    for (const Scope scope : scopes) {
        for (const Option& option : options(scope)) {
            EXPECT_EQ(option.ours, kafka.count({scope, std::string{option.name}}) == 0)
                << option.name;
        }
    }
}

TEST(OptionTable, agrees_with_kafka_on_types_importance_and_visibility) {
    for (const KafkaOption& kafka : kafka_options()) {
        const Option& option = row_for(kafka);
        const std::string importance = option.importance == Importance::high     ? "high"
                                       : option.importance == Importance::medium ? "medium"
                                                                                 : "low";
        EXPECT_EQ(type_name(option.type), kafka.type) << kafka.name;
        EXPECT_EQ(importance, kafka.importance) << kafka.name;
        EXPECT_EQ(option.internal, kafka.visibility == "internal") << kafka.name;
    }
}

TEST(OptionTable, has_kafkas_defaults_except_where_a_reason_is_given) {
    for (const KafkaOption& kafka : kafka_options()) {
        const Option& option = row_for(kafka);
        const std::string ours = option.fallback == nullptr ? "\\N" : option.fallback;
        const bool is_the_same = ours == (kafka.fallback == "\\REQUIRED" ? "\\N" : kafka.fallback);
        EXPECT_EQ(option.deviates.empty(), is_the_same) << kafka.name << ": " << ours;
    }
}

TEST(OptionTable, has_kafkas_rules) {
    // Kafka takes any class there; we name the ones that we know the behaviour of.
    const std::set<std::string> narrower = {"authorizer.class.name", "replica.selector.class"};
    for (const KafkaOption& kafka : kafka_options()) {
        std::string rule = kafka.rule == "\\N" || kafka.rule == "non-null string" ? "" : kafka.rule;
        rule = rule.starts_with("non-empty") ? "non-empty" : rule;
        if (narrower.count(kafka.name) == 0) {
            EXPECT_EQ(kafka_words(row_for(kafka).rule), rule) << kafka.name;
        }
    }
}

TEST(OptionTable, has_kafkas_update_modes_and_synonyms) {
    for (const KafkaOption& kafka : kafka_options()) {
        const Option& option = row_for(kafka);
        const std::string update = option.update == Update::read_only    ? "read-only"
                                   : option.update == Update::per_broker ? "per-broker"
                                                                         : "cluster-wide";
        EXPECT_EQ(update, kafka.update) << kafka.name;
        EXPECT_EQ(option.synonyms, kafka.synonyms == kafka.name && kafka.scope == Scope::broker
                                       ? ""
                                       : kafka.synonyms)
            << kafka.name;
    }
}

TEST(OptionTable, says_one_sentence_about_every_setting_and_a_reason_where_it_has_no_effect) {
    for (const Scope scope : scopes) {
        for (const Option& option : options(scope)) {
            EXPECT_GT(option.doc.size(), 8u) << option.name;
            EXPECT_TRUE(option.doc.ends_with('.')) << option.name;
            const bool needs_why =
                option.support == Support::without_effect || option.support == Support::refused;
            EXPECT_EQ(needs_why, !option.why.empty()) << option.name;
        }
    }
}

TEST(OptionTable, has_defaults_that_its_own_rules_allow) {
    for (const Scope scope : scopes) {
        for (const Option& option : options(scope)) {
            if (option.fallback != nullptr) {
                const auto value = parse_value(option, option.fallback);
                EXPECT_EQ(value.index(), 0u) << option.name;
            }
        }
    }
}

TEST(OptionTable, finds_the_nearest_name_of_a_misspelt_one_and_none_of_a_strange_one) {
    EXPECT_EQ(nearest_name(Scope::broker, "log.retention.hour"), "log.retention.hours");
    EXPECT_EQ(nearest_name(Scope::broker, "auto.create.topic.enable"), "auto.create.topics.enable");
    EXPECT_EQ(nearest_name(Scope::topic, "cleanup.policies"), "cleanup.policy");
    EXPECT_EQ(nearest_name(Scope::broker, "colour"), "");
}

TEST(OptionTable, gives_keys_the_row_of_their_name) {
    EXPECT_EQ(options(Scope::broker)[broker_option::log_segment_bytes.row].name,
              "log.segment.bytes");
    EXPECT_EQ(options(Scope::topic)[topic_option::millrace_durability.row].name,
              "millrace.durability");
    EXPECT_EQ(options(Scope::group)[group_option::share_isolation_level.row].name,
              "share.isolation.level");
    EXPECT_EQ(row_of(*find_option(Scope::topic, "segment.ms")), topic_option::segment_ms.row);
}

}  // namespace
}  // namespace millrace::config
