// Every message, in every version, against what Apache Kafka's own classes write and read.
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <utility>

#include "protocol/reader.h"
#include "protocol/registry.h"
#include "protocol/writer.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/flat_json.h"
#include "tests/support/protocol_vectors.h"

namespace millrace::protocol {
namespace {

using test::ProtocolVector;

std::string label(const ProtocolVector& vector) {
    return vector.message + " v" + std::to_string(vector.version) + " " + vector.kind;
}

class Vectors : public testing::TestWithParam<std::string> {
protected:
    const std::vector<ProtocolVector>& vectors_ = test::protocol_vectors(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Family, Vectors, testing::ValuesIn(test::vector_families),
                         [](const auto& family) { return family.param; });

// Decoded and encoded again, Kafka's bytes are the same bytes, to the last one.
TEST_P(Vectors, come_back_to_the_same_bytes) {
    for (const ProtocolVector& vector : vectors_) {
        SCOPED_TRACE(label(vector));
        const MessageType* type = find_message(vector.message);
        ASSERT_NE(type, nullptr);
        Buffer bytes;
        Reader reader(vector.bytes);
        Writer writer(bytes);
        type->recode(reader, writer, vector.version);
        ASSERT_TRUE(reader.ok()) << reader.error().to_string();
        ASSERT_TRUE(writer.ok()) << writer.error().to_string();
        EXPECT_EQ(reader.remaining(), 0U);
        EXPECT_TRUE(bytes == vector.bytes);
    }
}

// Each field holds what Kafka's converter shows for it, under its own name.
TEST_P(Vectors, hold_the_same_values_in_the_same_fields) {
    std::size_t compared = 0;
    for (const ProtocolVector& vector : vectors_) {
        if (vector.tree == "-") {
            continue;
        }
        SCOPED_TRACE(label(vector));
        Reader reader(vector.bytes);
        const auto ours =
            test::flat_json(find_message(vector.message)->debug_string(reader, vector.version));
        for (const auto& [path, value] : test::flat_json(vector.tree)) {
            const auto found = ours.find(path);
            ASSERT_NE(found, ours.end()) << path;
            if (found->second != "\"[hidden]") {
                EXPECT_EQ(found->second, value) << path;
                ++compared;
            }
        }
    }
    EXPECT_GT(compared, 10U);
}

// A known tagged field that is there twice counts as it is there last, as Kafka reads it.
TEST(Twice, a_tagged_field_leaves_nothing_of_the_first) {
    std::size_t compared = 0;
    for (const ProtocolVector& vector : test::protocol_vectors("twice")) {
        SCOPED_TRACE(label(vector));
        Buffer bytes;
        Reader reader(vector.bytes);
        Writer writer(bytes);
        find_message(vector.message)->recode(reader, writer, vector.version);
        ASSERT_TRUE(reader.ok()) << reader.error().to_string();
        ASSERT_TRUE(writer.ok()) << writer.error().to_string();
        EXPECT_TRUE(bytes == test::from_hex(vector.tree));
        ++compared;
    }
    EXPECT_GT(compared, 450U);
}

// A message cut at any byte is a fault, and never one beyond it.
TEST_P(Vectors, cut_anywhere_are_refused) {
    for (const ProtocolVector& vector : vectors_) {
        SCOPED_TRACE(label(vector));
        const MessageType* type = find_message(vector.message);
        // Large ones only repeat themselves: a dozen cuts show what all would.
        const std::size_t stride = vector.kind == "large" ? vector.bytes.size() / 12 + 1 : 1;
        for (std::size_t size = 0; size < vector.bytes.size(); size += stride) {
            // A copy of exactly that size, so that a sanitizer sees a read beyond it.
            const Buffer cut(vector.bytes.begin(),
                             vector.bytes.begin() + static_cast<std::ptrdiff_t>(size));
            Buffer bytes;
            Reader reader(cut);
            Writer writer(bytes);
            type->recode(reader, writer, vector.version);
            ASSERT_FALSE(reader.ok()) << "at byte " << size;
        }
    }
}

// Decoding allocates within the budget, whatever the message.
TEST_P(Vectors, stay_within_the_memory_budget) {
    for (const ProtocolVector& vector : vectors_) {
        SCOPED_TRACE(label(vector));
        Buffer bytes;
        bytes.reserve(vector.bytes.size() + 64);
        Reader reader(vector.bytes);
        Writer writer(bytes);
        const std::size_t before = test::allocations().bytes;
        find_message(vector.message)->recode(reader, writer, vector.version);
        const std::size_t used = test::allocations().bytes - before;
        EXPECT_LE(used, 32 * vector.bytes.size() + 64 * 1024);
    }
}

// The vectors leave nothing out: each message, each of its versions, each kind.
TEST(VectorFiles, cover_every_message_and_version) {
    std::map<std::pair<std::string, std::int16_t>, std::set<std::string>> kinds;
    for (const std::string& family : test::vector_families) {
        for (const ProtocolVector& vector : test::protocol_vectors(family)) {
            kinds[{vector.message, vector.version}].insert(vector.kind);
        }
    }
    // Only of messages that have something to leave out within an element or a struct.
    std::map<std::string, int> nested;
    for (const MessageType& type : all_messages()) {
        for (std::int16_t v = type.min_version; v <= type.max_version; ++v) {
            SCOPED_TRACE(std::string(type.name) + " v" + std::to_string(v));
            std::set<std::string> expected = {"default", "full",  "nulls",
                                              "empty",   "large", "random"};
            if (v >= type.first_flexible_version) {
                expected.insert("tags");
            }
            std::set<std::string>& found = kinds[std::make_pair(std::string(type.name), v)];
            for (const std::string kind : {"nested_empty", "nested_nulls"}) {
                nested[kind] += static_cast<int>(found.erase(kind));
            }
            EXPECT_EQ(found, expected);
        }
    }
    EXPECT_GE(nested["nested_empty"], 300);
    EXPECT_GE(nested["nested_nulls"], 150);
}

}  // namespace
}  // namespace millrace::protocol
