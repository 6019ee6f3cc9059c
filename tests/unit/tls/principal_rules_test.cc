#include "tls/principal_rules.h"

#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace millrace::tls {
namespace {

std::vector<std::string> cells(const std::string& line) {
    std::vector<std::string> found(1);
    for (const char c : line) {
        if (c == '\t') {
            found.emplace_back();
        } else {
            found.back().push_back(c);
        }
    }
    return found;
}

// The file holds rules, a name and what Kafka's own SslPrincipalMapper made of it.
TEST(PrincipalRules, map_names_as_kafka_does) {
    std::ifstream file(MILLRACE_SOURCE_DIR "/tests/vectors/tls/kafka_principal_rules.txt");
    int lines = 0;
    for (std::string line; std::getline(file, line); ++lines) {
        const auto cell = cells(line);
        ASSERT_EQ(cell.size(), 3U) << line;
        const auto rules = PrincipalRules::parse(cell[0]);
        if (cell[2] == "invalid") {
            EXPECT_FALSE(rules) << line;
            continue;
        }
        ASSERT_TRUE(rules) << line << ": " << rules.error().message();
        const auto mapped = rules->map(cell[1]);
        EXPECT_EQ(mapped ? "=" + *mapped : "none:NoMatchingRule", cell[2]) << line;
    }
    EXPECT_GT(lines, 90);
}

// Kafka drops the rules before a line's end, and with them what they forbid.
TEST(PrincipalRules, may_stand_one_on_a_line) {
    const auto rules = PrincipalRules::parse("RULE:^CN=(.*?),.*$/$1/\n  DEFAULT\n");
    ASSERT_TRUE(rules);
    EXPECT_EQ(rules->map("CN=a,O=b"), "a");
    EXPECT_EQ(rules->map("O=b"), "O=b");
}

TEST(PrincipalRules, refuse_what_takes_more_than_linear_time_and_say_so) {
    const auto rules = PrincipalRules::parse(R"(RULE:^CN=(.*)\1$/$1/)");
    ASSERT_FALSE(rules);
    EXPECT_NE(rules.error().message().find("can't be used"), std::string::npos);
}

TEST(PrincipalRules, refuse_a_dollar_sign_that_names_no_group_by_number) {
    EXPECT_FALSE(PrincipalRules::parse("RULE:^CN=.*$/a$/"));
    EXPECT_FALSE(PrincipalRules::parse("RULE:^(CN=.*)$/${n}/"));
    EXPECT_TRUE(PrincipalRules::parse("RULE:^(CN=.*)$/a\\$/"));
}

}  // namespace
}  // namespace millrace::tls
