// Batches that others wrote and judged: Kafka's own classes and librdkafka. tests/vectors/records
// holds them with the programs that made them.
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "record/batch_view.h"
#include "record/compression.h"
#include "record/record_view.h"
#include "record/validate.h"
#include "tests/unit/record/describe.h"

namespace millrace::record {
namespace {

constexpr Timestamp arrival{1'700'000'000'000};

TEST(Vectors, batches_written_by_kafka_mean_to_us_what_they_mean_to_kafka) {
    const auto vectors = read_vectors("batches.txt");
    ASSERT_GT(vectors.size(), 60u);
    for (const Vector& vector : vectors) {
        EXPECT_EQ(describe(vector.bytes), vector.lines) << vector.name;
    }
}

TEST(Vectors, batches_written_by_librdkafka_mean_to_us_what_they_mean_to_kafka) {
    const auto vectors = read_vectors("librdkafka.txt");
    std::set<Compression> codecs;
    for (const Vector& vector : vectors) {
        EXPECT_EQ(describe(vector.bytes), vector.lines) << vector.name;
        codecs.insert(BatchView::parse(vector.bytes)->compression());
    }
    EXPECT_EQ(codecs.size(), 5u);
}

TEST(Vectors, librdkafka_writes_the_raw_snappy_that_java_never_does) {
    std::set<std::string> first_bytes;
    for (const char* const file : {"librdkafka.txt", "batches.txt"}) {
        for (const Vector& vector : read_vectors(file)) {
            const auto batch = BatchView::parse(vector.bytes);
            if (batch && batch->compression() == Compression::snappy) {
                const bool framed = batch->payload()[0] == std::byte{0x82};
                first_bytes.insert(std::string{file} + (framed ? " framed" : " raw"));
            }
        }
    }
    EXPECT_EQ(first_bytes, (std::set<std::string>{"batches.txt framed", "librdkafka.txt raw"}));
}

struct Case {
    std::string name;
    ProduceRules rules;
    Buffer sent;
    std::string outcome;
    std::string detail;  ///< What is stored, or the indexes of bad records.
};

std::vector<Case> read_cases() {
    const std::map<std::string, Compression> codecs{{"none", Compression::none},
                                                    {"gzip", Compression::gzip},
                                                    {"snappy", Compression::snappy},
                                                    {"lz4", Compression::lz4},
                                                    {"zstd", Compression::zstd}};
    std::vector<Case> cases;
    for (const std::string& line : read_lines("verdicts.txt")) {
        const auto words = split(line, ' ');
        Case c{.name = words.at(0),
               .rules = {},
               .sent = from_base64(words.at(6)),
               .outcome = words.at(7),
               .detail = words.size() > 8 ? words[8] : ""};
        c.rules.is_compacted = words.at(1) == "true";
        c.rules.timestamp_type = words.at(2) == "LogAppendTime" ? TimestampType::log_append_time
                                                                : TimestampType::create_time;
        c.rules.before_max_ms = std::stoll(words.at(3));
        c.rules.after_max_ms = std::stoll(words.at(4));
        c.rules.strict = true;
        if (words.at(5) != "producer") {
            c.rules.stored_codec = codecs.at(words[5]);
        }
        cases.push_back(std::move(c));
    }
    return cases;
}

std::string kafka_error_of(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
            return "ok";
        case Refusal::malformed:
        case Refusal::bad_crc:
        case Refusal::bad_compressed_data:
            return "CORRUPT_MESSAGE";
        case Refusal::too_large:
        case Refusal::too_large_inside:
            return "MESSAGE_TOO_LARGE";
        case Refusal::timestamp_type:
        case Refusal::timestamp_range:
            return "INVALID_TIMESTAMP";
        case Refusal::unknown_codec:
        case Refusal::codec_too_new:
            return "UNSUPPORTED_COMPRESSION_TYPE";
        default:
            return "INVALID_RECORD";
    }
}

/// What we knowingly answer otherwise than Kafka, and why.
bool differs_on_purpose(const Case& c, const Verdict& verdict) {
    // Bytes that no codec could have written: Kafka's answer is that it doesn't know what happened.
    if (verdict.refusal == Refusal::bad_compressed_data) {
        return c.outcome == "UNKNOWN_SERVER_ERROR" || c.outcome == "INVALID_RECORD";
    }
    // Kafka stores uncompressed records with lying offset deltas, and consumers then stumble.
    return verdict.refusal == Refusal::bad_count && c.outcome == "ok" &&
           c.name.starts_with("none/byte-");
}

std::string indexes(const Verdict& verdict) {
    std::string text;
    for (const BadRecord& bad : verdict.bad_records) {
        text += (text.empty() ? "" : ",") + std::to_string(bad.index);
    }
    return text;
}

Buffer as_stored(const Case& c, const Verdict& verdict, Decompressor& decompressor) {
    Buffer stored = c.sent;
    if (verdict.recompress) {
        Compressor compressor;
        auto rewritten = recompress(*verdict.batch, {.codec = *c.rules.stored_codec},
                                    c.rules.max_batch_size, {}, decompressor, compressor);
        EXPECT_TRUE(rewritten.has_value()) << c.name;
        stored = *std::move(rewritten);
    }
    stamp(stored, verdict, Offset{1000}, LeaderEpoch{7});
    return stored;
}

/// Without size and checksum, which differ between two encoders of one codec.
std::vector<std::string> meaning(ByteView batch) {
    auto lines = describe(batch);
    lines.front().resize(lines.front().find(" size="));
    return lines;
}

TEST(Vectors, produced_batches_are_judged_as_kafkas_validator_judges_them) {
    Decompressor decompressor;
    const auto cases = read_cases();
    ASSERT_GT(cases.size(), 200u);
    int on_purpose = 0;
    for (const Case& c : cases) {
        const Verdict verdict = validate_produce(c.sent, c.rules, arrival, decompressor);
        if (kafka_error_of(verdict.refusal) != c.outcome && differs_on_purpose(c, verdict)) {
            ++on_purpose;
            continue;
        }
        EXPECT_EQ(kafka_error_of(verdict.refusal), c.outcome)
            << c.name << ": " << describe(verdict.refusal);
        if (c.outcome != "ok") {
            EXPECT_EQ(indexes(verdict), c.detail) << c.name;
        }
    }
    EXPECT_EQ(on_purpose, 12);
}

// Offsets, leader epoch, timestamps and checksum: byte for byte, unless a codec wrote anew.
TEST(Vectors, accepted_batches_are_stored_as_kafka_stores_them) {
    Decompressor decompressor;
    int compared = 0;
    for (const Case& c : read_cases()) {
        const Verdict verdict = validate_produce(c.sent, c.rules, arrival, decompressor);
        if (!verdict.accepted()) {
            continue;
        }
        ++compared;
        const Buffer stored = as_stored(c, verdict, decompressor);
        const Buffer expected = from_base64(c.detail);
        if (verdict.recompress) {
            EXPECT_EQ(meaning(stored), meaning(expected)) << c.name;
        } else {
            EXPECT_EQ(to_base64(stored), to_base64(expected)) << c.name;
        }
    }
    EXPECT_GT(compared, 90);
}

}  // namespace
}  // namespace millrace::record
