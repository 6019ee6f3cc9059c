#include "operator/kube/json.h"

#include <gtest/gtest.h>

#include "operator/kube/yaml.h"

namespace millrace::kube {
namespace {

TEST(Json, prints_what_it_parsed_with_sorted_members) {
    const auto value = Json::parse(R"( {"b":[1,-2.5,true,null,"x\n\u00e9"],"a":{}} )");
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(value->dump(), "{\"a\":{},\"b\":[1,-2.5,true,null,\"x\\n\xc3\xa9\"]}");
}

TEST(Json, joins_surrogate_pairs) {
    EXPECT_EQ(Json::parse(R"("\ud83d\ude00")")->text(), "\xf0\x9f\x98\x80");
}

TEST(Json, refuses_what_is_not_json_and_says_where) {
    for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "tru", "1 2", "\"a", "{a:1}", "--1"}) {
        EXPECT_FALSE(Json::parse(text).has_value()) << text;
    }
    EXPECT_EQ(Json::parse("[1 2]").error().message(), "JSON at byte 3: ',' or ']' is missing");
}

TEST(Json, refuses_a_nesting_bomb) {
    EXPECT_FALSE(Json::parse(std::string(100000, '[')).has_value());
}

TEST(Json, reading_through_what_is_absent_answers_null) {
    const Json value = Json::object({{"a", 1}});
    EXPECT_TRUE(value["x"]["y"]["z"].is_null());
    EXPECT_EQ(value["a"].integer(), 1);
    EXPECT_EQ(value["a"].text_or("none"), "none");
}

TEST(Yaml, gives_plain_scalars_their_type_and_keeps_quoted_ones_as_text) {
    const auto documents =
        parse_yaml("a: 5\nb: '5'\nc: true\nd: 10Gi\ne: [1.5, null, \"null\"]\n---\n---\nx: -1\n");
    ASSERT_TRUE(documents.has_value());
    ASSERT_EQ(documents->size(), 2u);
    EXPECT_EQ((*documents)[0].dump(),
              R"({"a":5,"b":"5","c":true,"d":"10Gi","e":[1.5,null,"null"]})");
    EXPECT_EQ((*documents)[1]["x"].integer(), -1);
}

TEST(Yaml, says_where_a_manifest_is_broken) {
    EXPECT_FALSE(parse_yaml("a: [1\nb: 2").has_value());
    const auto twice = parse_yaml("a: {b: 1,\n  b: 2}");
    ASSERT_FALSE(twice.has_value());
    EXPECT_EQ(twice.error().message(), "line 2: b is there twice");
}

}  // namespace
}  // namespace millrace::kube
