#include "protocol/api_table.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <vector>

#include "protocol/headers.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {
namespace {

// One line of tests/vectors/apis.txt: what Kafka's own classes say of an API.
struct Official {
    std::int16_t key, min, max, stable;
    std::string name, listeners;
    bool cluster_action, forwardable;
    std::vector<std::string> headers;  // "2/1" for each version from min to max.
};

std::vector<Official> official_apis() {
    std::ifstream file(MILLRACE_SOURCE_DIR "/tests/vectors/apis.txt");
    std::vector<Official> apis;
    std::string line;
    while (std::getline(file, line)) {
        if (line.front() == '#') {
            continue;
        }
        std::istringstream words(line);
        Official api;
        std::string headers;
        words >> api.key >> api.name >> api.min >> api.max >> api.stable >> api.listeners >>
            api.cluster_action >> api.forwardable >> headers;
        std::istringstream pairs(headers);
        for (std::string pair; std::getline(pairs, pair, ',');) {
            api.headers.push_back(pair);
        }
        apis.push_back(api);
    }
    return apis;
}

// Keys, versions, listeners, forwarding and cluster action are Kafka's, for every API.
TEST(ApiTable, says_what_kafka_says) {
    const auto official = official_apis();
    ASSERT_EQ(official.size(), api_count);
    for (const Official& expected : official) {
        SCOPED_TRACE(expected.name);
        const Api* api = find_api(expected.key);
        ASSERT_NE(api, nullptr);
        EXPECT_EQ(api->name, expected.name);
        EXPECT_EQ(api->min_version, expected.min);
        EXPECT_EQ(api->max_version, expected.stable);
        EXPECT_EQ(api->has_unstable_version, expected.max != expected.stable);
        EXPECT_EQ(api->on_broker, expected.listeners.find("BROKER") != std::string::npos);
        EXPECT_EQ(api->on_controller, expected.listeners.find("CONTROLLER") != std::string::npos);
        EXPECT_EQ(api->cluster_action, expected.cluster_action);
        EXPECT_EQ(api->forwardable, expected.forwardable);
    }
}

// The header in front of every version of every request and response is the one Kafka puts there.
TEST(ApiTable, chooses_kafkas_header_versions) {
    for (const Official& expected : official_apis()) {
        SCOPED_TRACE(expected.name);
        for (std::int16_t v = expected.min; v <= expected.max; ++v) {
            const std::string headers = std::to_string(request_header_version(expected.key, v)) +
                                        "/" +
                                        std::to_string(response_header_version(expected.key, v));
            EXPECT_EQ(headers, expected.headers.at(static_cast<std::size_t>(v - expected.min)));
        }
    }
}

// Old librdkafka stops compressing when the broker says that Produce starts above 0.
TEST(ApiTable, advertises_produce_from_0_and_serves_it_from_3) {
    EXPECT_EQ(api_of(ApiKey::produce).advertised_min, 0);
    EXPECT_FALSE(api_of(ApiKey::produce).serves(2));
    EXPECT_TRUE(api_of(ApiKey::produce).serves(3));
}

// Keys that no API has, on either side and in the gap that the old inter-broker APIs left.
TEST(ApiTable, finds_nothing_for_a_key_without_an_api) {
    for (const std::int16_t key : std::initializer_list<std::int16_t>{-1, 4, 7, 95, 32767}) {
        EXPECT_EQ(find_api(key), nullptr) << key;
    }
}

// Slots number the handlers: each once, without a gap.
TEST(ApiTable, slots_are_dense) {
    std::size_t next = 0;
    for (const Api& api : all_apis()) {
        EXPECT_EQ(api.slot, next++);
    }
    EXPECT_EQ(next, api_count);
}

// What only brokers may call asks for CLUSTER_ACTION, except what administrators may do as well.
TEST(ApiTable, asks_acls_of_every_api_but_the_open_ones) {
    std::vector<std::string> open;
    for (const Api& api : all_apis()) {
        if (api.acls.empty()) {
            open.emplace_back(api.name);
        }
    }
    EXPECT_THAT(open, testing::ElementsAre("SaslHandshake", "ApiVersions", "SaslAuthenticate",
                                           "RenewDelegationToken", "ExpireDelegationToken",
                                           "GetTelemetrySubscriptions", "PushTelemetry"));
}

// A header of a version that we don't serve is still read, so that it can be refused politely.
TEST(Headers, reads_the_header_of_a_version_too_new) {
    RequestHeader header;
    header.request_api_key = static_cast<std::int16_t>(ApiKey::api_versions);
    header.request_api_version = 99;
    header.correlation_id = 5;
    header.client_id = "tester";
    Buffer bytes;
    Writer writer(bytes);
    encode_request_header(writer, header);
    ASSERT_TRUE(writer.ok());

    RequestHeader again;
    Reader reader(bytes);
    decode_request_header(reader, again);
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ(again, header);
    EXPECT_EQ(reader.remaining(), 0U);
}

}  // namespace
}  // namespace millrace::protocol
