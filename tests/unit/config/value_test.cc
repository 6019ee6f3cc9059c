// Reading of values and files against Kafka's and Java's own
// (tests/vectors/config/kafka-4.4.0-values.tsv).
#include "config/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

#include "config/internal/properties.h"
#include "config/internal/text.h"
#include "tests/unit/config/vectors.h"

namespace millrace::config {
namespace {

TEST(Values, are_read_as_kafka_reads_them) {
    int cases = 0;
    for (const auto& fields : read_vectors("kafka-4.4.0-values.tsv")) {
        if (fields[0] != "value") {
            continue;
        }
        const Scope scope = fields[1] == "broker"  ? Scope::broker
                            : fields[1] == "topic" ? Scope::topic
                            : fields[1] == "group" ? Scope::group
                                                   : Scope::client_metrics;
        const Option* option = find_option(scope, fields[2]);
        ASSERT_NE(option, nullptr) << fields[2];
        if (fields[2] == "authorizer.class.name" || fields[2] == "replica.selector.class") {
            continue;  // Kafka takes any class there; we name the ones that we know.
        }
        const std::string text = unescaped_field(fields[3]);
        const auto parsed = parse_value(*option, text);
        EXPECT_EQ(parsed.index() == 0, fields[4] == "ok") << fields[2] << "=" << fields[3];
        if (parsed.index() == 0 && fields[4] == "ok" && !option->sensitive()) {
            EXPECT_EQ(to_text(std::get<Value>(parsed)), unescaped_field(fields[5]))
                << fields[2] << "=" << fields[3];
        }
        ++cases;
    }
    EXPECT_GT(cases, 1500);
}

TEST(Properties, are_read_as_java_reads_them) {
    int cases = 0;
    for (const auto& fields : read_vectors("kafka-4.4.0-values.tsv")) {
        if (fields[0] != "properties") {
            continue;
        }
        const ParsedProperties parsed = parse_properties(unescaped_field(fields[1]));
        EXPECT_EQ(parsed.problems.empty(), fields[2] == "ok") << fields[1];
        std::map<std::string, std::string> read;
        for (const Property& property : parsed.properties) {
            read[property.key] = property.value;
        }
        std::map<std::string, std::string> wanted;
        for (std::size_t i = 3; fields[2] == "ok" && i + 1 < fields.size(); i += 2) {
            wanted[unescaped_field(fields[i])] = unescaped_field(fields[i + 1]);
        }
        EXPECT_EQ(read, wanted) << fields[1];
        ++cases;
    }
    EXPECT_GT(cases, 35);
}

TEST(Properties, know_the_line_they_begin_on) {
    const ParsedProperties parsed = parse_properties("# a\n\na=1\\\n 2\r\n!x\rb=2\nc=\\u12\n");
    ASSERT_EQ(parsed.properties.size(), 2u);
    EXPECT_EQ(parsed.properties[0].line, 3);
    EXPECT_EQ(parsed.properties[1].line, 6);
    ASSERT_EQ(parsed.problems.size(), 1u);
    EXPECT_EQ(parsed.problems[0].line, 7);
}

TEST(Values, of_passwords_are_never_told) {
    const Option* option = find_option(Scope::broker, "ssl.key.password");
    const auto parsed = parse_value(*option, "s3cret");
    EXPECT_EQ(std::get<Secret>(std::get<Value>(parsed)).reveal(), "s3cret");
    EXPECT_EQ(to_text(std::get<Value>(parsed)), std::nullopt);
}

TEST(Values, print_numbers_as_java_does) {
    EXPECT_EQ(java_double(0.5), "0.5");
    EXPECT_EQ(java_double(1), "1.0");
    EXPECT_EQ(java_double(0), "0.0");
    EXPECT_EQ(java_double(-0.0), "-0.0");
    EXPECT_EQ(java_double(1e7), "1.0E7");
    EXPECT_EQ(java_double(9999999), "9999999.0");
    EXPECT_EQ(java_double(0.0001), "1.0E-4");
    EXPECT_EQ(java_double(1.7976931348623157e308), "1.7976931348623157E308");
}

TEST(Values, read_iso_durations) {
    for (const char* good : {"PT1H", "P1D", "P1DT2H3M4.5S", "pt20.345s", "-PT6H", "PT-6H"}) {
        EXPECT_TRUE(is_iso_duration(good)) << good;
    }
    for (const char* bad : {"", "P", "PT", "1H", "PT1D", "P1H", "PT1", "P1DT", "PT1M1H", "PT1HX"}) {
        EXPECT_FALSE(is_iso_duration(bad)) << bad;
    }
}

}  // namespace
}  // namespace millrace::config
