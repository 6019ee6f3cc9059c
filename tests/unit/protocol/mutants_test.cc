// Damaged messages: ours and Apache Kafka's own classes must agree on what is still a message.
#include <gtest/gtest.h>

#include "protocol/reader.h"
#include "protocol/registry.h"
#include "protocol/writer.h"
#include "tests/support/protocol_vectors.h"

namespace millrace::protocol {
namespace {

struct Verdict {
    bool read = false;
    bool same = false;  ///< Written again as it was.
    std::string fault;
};

Verdict our_verdict(const test::ProtocolVector& mutant) {
    Buffer bytes;
    Reader reader(mutant.bytes);
    Writer writer(bytes);
    find_message(mutant.message)->recode(reader, writer, mutant.version);
    if (!reader.ok()) {
        return {.fault = reader.error().to_string()};
    }
    const auto used = ByteView(mutant.bytes).first(reader.position());
    return {.read = true, .same = writer.ok() && as_text(used) == as_text(bytes), .fault = {}};
}

// What Kafka reads and writes back, so do we; what it refuses, so do we.
TEST(Mutants, are_judged_as_kafka_judges_them) {
    std::size_t judged = 0;
    for (const test::ProtocolVector& mutant : test::protocol_vectors("mutants")) {
        SCOPED_TRACE(mutant.message + " v" + std::to_string(mutant.version));
        const Verdict ours = our_verdict(mutant);
        if (mutant.kind == "refused") {
            EXPECT_FALSE(ours.read);
            ++judged;
        } else if (mutant.kind == "same") {
            EXPECT_TRUE(ours.read) << ours.fault;
            EXPECT_TRUE(ours.same);
            ++judged;
        }
    }
    EXPECT_GT(judged, 5000U);
}

}  // namespace
}  // namespace millrace::protocol
