// Every rule refuses what it should, in its words, and accepts the nearest thing that is fine. The
// same cases are put to a real API server by tests/api/rule_cases.sh.
#include <gtest/gtest.h>
#include <map>
#include <re2/re2.h>

#include "operator/api/cluster.h"
#include "operator/api/mirror_link.h"
#include "operator/api/topic.h"
#include "tests/unit/api/fixture.h"

namespace millrace::api {
namespace {

std::vector<Json> cases() {
    return read_manifests(source_dir / "tests/api/rule_cases.yaml");
}

TEST(Rules, each_case_is_refused_in_its_words_and_its_neighbour_is_accepted) {
    for (const Json& one : cases()) {
        const Kind& kind = kind_named(one["kind"].text());
        const std::string said =
            judged(kind, one["refused"], one["before"], one["name"].text_or("case"));
        EXPECT_TRUE(RE2::PartialMatch(said, one["says"].text()))
            << one.dump() << "\nsaid: " << said;
        EXPECT_EQ(judged(kind, one["accepted"], one["before"]), "") << one.dump();
    }
}

TEST(Rules, every_rule_has_a_case_that_it_refuses) {
    std::map<std::string, std::string> said;  // By kind.
    for (const Json& one : cases()) {
        const Kind& kind = kind_named(one["kind"].text());
        said[kind.name] += judged(kind, one["refused"], one["before"], one["name"].text_or("case"));
    }
    for (const Kind& kind : kinds()) {
        for (const Rule& rule : kind.rules) {
            EXPECT_NE(said[kind.name].find(rule.message), std::string::npos)
                << kind.name << ": " << rule.cel;
        }
    }
}

TEST(Rules, the_parser_refuses_what_a_rule_without_a_past_refuses) {
    for (const Json& one : cases()) {
        if (!one["before"].is_null() || one.has("name")) {
            continue;
        }
        const auto parse = [&](const Json& spec) -> std::string {
            const std::string& kind = one["kind"].text();
            if (kind == "Cluster") {
                const auto parsed = parse_cluster_spec(spec);
                return parsed ? "" : parsed.error().message();
            }
            if (kind == "Topic") {
                const auto parsed = parse_topic_spec(spec);
                return parsed ? "" : parsed.error().message();
            }
            const auto parsed = parse_mirror_link_spec(spec);
            return parsed ? "" : parsed.error().message();
        };
        EXPECT_TRUE(RE2::PartialMatch(parse(one["refused"]), one["says"].text()))
            << one.dump() << "\nsaid: " << parse(one["refused"]);
        EXPECT_EQ(parse(one["accepted"]), "") << one.dump();
    }
}

TEST(Rules, settings_are_texts_however_they_are_written) {
    Json fine = *Json::parse(R"({"replicas": 3, "storage": {"size": "1Gi"}})");
    fine["config"]["num.partitions"] = 3;
    fine["config"]["auto.create.topics.enable"] = false;
    const auto parsed = parse_cluster_spec(fine);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->config.at("num.partitions"), "3");
    EXPECT_EQ(parsed->config.at("auto.create.topics.enable"), "false");
}

TEST(Rules, a_topic_says_min_in_sync_replicas_once) {
    const auto parsed = parse_topic_spec(*Json::parse(
        R"({"clusterRef": {"name": "main"}, "minInSyncReplicas": 2,
            "config": {"min.insync.replicas": "2"}})"));
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().message().find("say the same: remove one"), std::string::npos);
}

TEST(Rules, a_topic_says_no_more_min_in_sync_replicas_than_it_has_in_either_spelling) {
    const auto parsed = parse_topic_spec(*Json::parse(
        R"({"clusterRef": {"name": "main"}, "replicas": 2, "config": {"min.insync.replicas": 3}})"));
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().message().find("min.insync.replicas can't be more than replicas"),
              std::string::npos);
    EXPECT_TRUE(parse_topic_spec(*Json::parse(
        R"({"clusterRef": {"name": "main"}, "replicas": 3, "config": {"min.insync.replicas": 3}})")));
}

TEST(Rules, a_slip_in_a_quantity_is_one_complaint) {
    const std::string said = judged(kind_named("Cluster"),
                                    *Json::parse(R"({"replicas": 3, "storage": {"size": "10gb"}})"),
                                    *Json::parse(R"({"replicas": 3, "storage": {"size": "1Gi"}})"));
    EXPECT_NE(said.find("spec.storage.size"), std::string::npos);
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST(Rules, a_setting_is_no_list_and_no_object) {
    const Kind& topic = kind_named("Topic");
    for (const char* value : {R"(["compact", "delete"])", R"({"a": 1})"}) {
        Json spec = *Json::parse(R"({"clusterRef": {"name": "main"}})");
        spec["config"]["cleanup.policy"] = *Json::parse(value);
        EXPECT_NE(judged(topic, spec, {}).find("spec.config.cleanup.policy"), std::string::npos);
    }
    for (const char* value : {R"("compact,delete")", "3", "1.5", "true"}) {
        Json spec = *Json::parse(R"({"clusterRef": {"name": "main"}})");
        spec["config"]["cleanup.policy"] = *Json::parse(value);
        EXPECT_EQ(judged(topic, spec, {}), "") << value;
    }
}

}  // namespace
}  // namespace millrace::api
