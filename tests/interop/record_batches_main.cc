// Prints batches of our making with what we mean by them, for Kafka's reader to judge:
// tests/interop/record_batches.sh.
#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/compression.h"
#include "record/control.h"
#include "record/validate.h"
#include "tests/unit/record/describe.h"

namespace millrace::record {
namespace {

constexpr std::int64_t now = 1'700'000'000'000;
constexpr Compression codecs[] = {Compression::none, Compression::gzip, Compression::snappy,
                                  Compression::lz4, Compression::zstd};

void print(const std::string& name, const Buffer& batch) {
    std::string text = fmt::format("batch {} {}\n", name, to_base64(batch));
    for (const std::string& line : describe(batch)) {
        text += line + "\n";
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
}

Buffer finish(BatchBuilder& builder) {
    Compressor compressor;
    Result<Buffer> batch = builder.finish(compressor);
    MR_ASSERT(batch.has_value());
    return *std::move(batch);
}

void fill(BatchBuilder& builder, int records, std::size_t value_size) {
    const HeaderView headers[] = {
        {"trace", as_bytes("abc")}, {"none", std::nullopt}, {"", ByteView{}}};
    for (int i = 0; i < records; ++i) {
        const std::string key = fmt::format("key-{}", i % 17);
        std::string value;
        while (value.size() < value_size) {
            value += fmt::format("{{\"n\":{},\"pad\":{}}}", i, value.size() * 7919 % 1000);
        }
        NewRecord record{.timestamp = now + i * 3, .key = as_bytes(key), .value = as_bytes(value)};
        if (i % 5 == 1) {
            record.headers = headers;
        }
        if (i % 7 == 2) {
            record.key = std::nullopt;
        }
        if (i % 11 == 3) {
            record.value = std::nullopt;
        }
        builder.append(record);
    }
}

BatchOptions options(CompressionChoice choice) {
    return {.base_offset = Offset{5'000'000'000},
            .leader_epoch = LeaderEpoch{9},
            .compression = choice};
}

void print_matrix() {
    for (const Compression codec : codecs) {
        for (const auto& [records, size] : {std::pair{1, 0}, {9, 40}, {200, 900}, {3, 300'000}}) {
            for (const bool is_append_time : {false, true}) {
                for (const bool is_transactional : {false, true}) {
                    BatchOptions chosen = options({.codec = codec});
                    if (is_append_time) {
                        chosen.append_time = now + 5;
                    }
                    if (is_transactional) {
                        chosen.is_transactional = true;
                        chosen.producer_id = ProducerId{77};
                        chosen.producer_epoch = ProducerEpoch{2};
                        chosen.base_sequence = 40;
                    }
                    BatchBuilder builder{chosen};
                    fill(builder, records, static_cast<std::size_t>(size));
                    print(fmt::format("{}/{}x{}/{}{}", to_string(codec), records, size,
                                      is_append_time ? "append-time" : "create-time",
                                      is_transactional ? "/transactional" : ""),
                          finish(builder));
                }
            }
        }
    }
}

void print_levels() {
    const auto print_range = [](Compression codec, int from, int to) {
        for (int level = from; level <= to; ++level) {
            BatchBuilder builder{options({.codec = codec, .level = level})};
            fill(builder, 100, 900);
            print(fmt::format("{}/level{}", to_string(codec), level), finish(builder));
        }
    };
    print_range(Compression::gzip, 1, 9);
    print_range(Compression::lz4, 1, 17);
    print_range(Compression::zstd, -3, 22);
}

void print_special() {
    for (const ControlType type : {ControlType::abort, ControlType::commit}) {
        print(fmt::format("marker/{}", static_cast<int>(type)),
              end_transaction_batch(ProducerId{5}, ProducerEpoch{1}, {type, 3}, now));
    }
    for (const Compression codec : codecs) {
        BatchOptions chosen = options({.codec = codec});
        chosen.delete_horizon = now + 1'000'000;
        BatchBuilder holes{chosen};
        holes.append_at(Offset{5'000'000'003}, {.timestamp = now, .key = as_bytes("k")});
        holes.append_at(Offset{5'000'000'300}, {.timestamp = now - 5, .key = as_bytes("l")});
        holes.keep_last_offset(Offset{5'000'000'999});
        print(fmt::format("holes/{}", to_string(codec)), finish(holes));
        BatchBuilder empty{options({.codec = codec})};
        empty.keep_last_offset(Offset{5'000'000'019});
        empty.keep_max_timestamp(now);
        print(fmt::format("empty/{}", to_string(codec)), finish(empty));
    }
}

/// Every batch Kafka or librdkafka wrote, through our recompression and stamping.
void print_rewritten() {
    Decompressor decompressor;
    Compressor compressor;
    for (const char* const file : {"batches.txt", "librdkafka.txt"}) {
        for (const Vector& vector : read_vectors(file)) {
            const auto batch = BatchView::parse(vector.bytes);
            if (!batch || batch->is_control() || batch->record_count() == 0) {
                continue;
            }
            for (const Compression codec : codecs) {
                auto rewritten = recompress(*batch, {.codec = codec}, std::size_t{1} << 30, {},
                                            decompressor, compressor);
                MR_ASSERT(rewritten.has_value());
                patch_base_offset(*rewritten, Offset{31});
                patch_leader_epoch(*rewritten, LeaderEpoch{4});
                patch_timestamps(*rewritten, TimestampType::log_append_time, now + 1);
                print(fmt::format("{}/as-{}", vector.name, to_string(codec)), *rewritten);
            }
        }
    }
}

}  // namespace
}  // namespace millrace::record

int main() {
    millrace::record::print_matrix();
    millrace::record::print_levels();
    millrace::record::print_special();
    millrace::record::print_rewritten();
    return 0;
}
