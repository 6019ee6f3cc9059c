// What a produced batch costs: checksum, judgement, decoding. Figures go to the room's README.
#include <benchmark/benchmark.h>
#include <string>

#include "base/assert.h"
#include "base/crc32c.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/record_view.h"
#include "record/validate.h"

namespace millrace::record {
namespace {

constexpr Timestamp now{1'700'000'000'000};

void set_bytes(benchmark::State& state, std::size_t per_iteration) {
    state.SetBytesProcessed(static_cast<std::int64_t>(per_iteration) * state.iterations());
}

/// Events as services write them: compresses about fourfold.
Buffer batch_of(Compression codec, int records, std::size_t value_size) {
    BatchBuilder builder{{.compression = {.codec = codec}}};
    std::uint32_t random = 7;
    for (int i = 0; i < records; ++i) {
        std::string value;
        while (value.size() < value_size) {
            random = random * 1664525 + 1013904223;
            value += "{\"event\":\"page-view\",\"user\":" + std::to_string(random) + "},";
        }
        value.resize(value_size);
        const std::string key = "user-" + std::to_string(random % 1000);
        builder.append(
            {.timestamp = now.milliseconds + i, .key = as_bytes(key), .value = as_bytes(value)});
    }
    Compressor compressor;
    auto batch = builder.finish(compressor);
    MR_ASSERT(batch.has_value());
    return *std::move(batch);
}

void crc_hardware(benchmark::State& state) {
    const Buffer bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
    for (auto _ : state) {
        benchmark::DoNotOptimize(crc32c(bytes));
    }
    set_bytes(state, bytes.size());
}
BENCHMARK(crc_hardware)->Arg(64)->Arg(1024)->Arg(16 << 10)->Arg(1 << 20);

void crc_portable(benchmark::State& state) {
    const Buffer bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
    for (auto _ : state) {
        benchmark::DoNotOptimize(crc32c_ways::portable(0, bytes));
    }
    set_bytes(state, bytes.size());
}
BENCHMARK(crc_portable)->Arg(64)->Arg(1024)->Arg(16 << 10)->Arg(1 << 20);

void patch_max_timestamp(benchmark::State& state) {
    Buffer batch = batch_of(Compression::none, 1, static_cast<std::size_t>(state.range(0)));
    std::int64_t timestamp = 0;
    for (auto _ : state) {
        patch_timestamps(batch, TimestampType::log_append_time, ++timestamp);
    }
}
BENCHMARK(patch_max_timestamp)->Arg(1024)->Arg(16 << 10)->Arg(1 << 20);

void validate(benchmark::State& state, Compression codec, int records, std::size_t value_size,
              bool strict) {
    const Buffer batch = batch_of(codec, records, value_size);
    const ProduceRules rules{.max_batch_size = 8 << 20, .strict = strict};
    Decompressor decompressor;
    for (auto _ : state) {
        const Verdict verdict = validate_produce(batch, rules, now, decompressor);
        MR_ASSERT(verdict.accepted());
    }
    set_bytes(state, batch.size());
    state.counters["records"] = benchmark::Counter(static_cast<double>(records),
                                                   benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK_CAPTURE(validate, one_1k_record, Compression::none, 1, 1024, false);
BENCHMARK_CAPTURE(validate, sixteen_1k_records, Compression::none, 16, 1024, false);
BENCHMARK_CAPTURE(validate, 128_1k_records, Compression::none, 128, 1024, false);
BENCHMARK_CAPTURE(validate, 10000_small_records, Compression::none, 10'000, 10, false);
BENCHMARK_CAPTURE(validate, 128_1k_lz4_by_header, Compression::lz4, 128, 1024, false);
BENCHMARK_CAPTURE(validate, 128_1k_lz4_strict, Compression::lz4, 128, 1024, true);
BENCHMARK_CAPTURE(validate, 128_1k_zstd_by_header, Compression::zstd, 128, 1024, false);
BENCHMARK_CAPTURE(validate, 128_1k_zstd_strict, Compression::zstd, 128, 1024, true);

void decompress(benchmark::State& state, Compression codec) {
    const Buffer batch = batch_of(codec, 140, 1024);
    const auto view = BatchView::parse(batch);
    Decompressor decompressor;
    std::size_t size = 0;
    for (auto _ : state) {
        const auto output = decompressor.decompress(codec, view->payload(), 8 << 20);
        size = output->size();
    }
    set_bytes(state, size);
}
BENCHMARK_CAPTURE(decompress, gzip, Compression::gzip);
BENCHMARK_CAPTURE(decompress, snappy, Compression::snappy);
BENCHMARK_CAPTURE(decompress, lz4, Compression::lz4);
BENCHMARK_CAPTURE(decompress, zstd, Compression::zstd);

void read_records(benchmark::State& state, Compression codec) {
    const Buffer batch = batch_of(codec, 140, 1024);
    const auto view = BatchView::parse(batch);
    Decompressor decompressor;
    for (auto _ : state) {
        RecordReader reader{*view, decompressor};
        for (RecordView record; reader.next(record);) {
            benchmark::DoNotOptimize(record.value);
        }
        MR_ASSERT(reader.status().has_value());
    }
    set_bytes(state, std::size_t{140} * 1024);
}
BENCHMARK_CAPTURE(read_records, none, Compression::none);
BENCHMARK_CAPTURE(read_records, lz4, Compression::lz4);
BENCHMARK_CAPTURE(read_records, zstd, Compression::zstd);

void build(benchmark::State& state) {
    const std::string value(1024, 'v');
    for (auto _ : state) {
        BatchBuilder builder{{}};
        for (int i = 0; i < 128; ++i) {
            builder.append({.timestamp = now.milliseconds, .value = as_bytes(value)});
        }
        benchmark::DoNotOptimize(builder.finish());
    }
    set_bytes(state, std::size_t{128} * 1024);
}
BENCHMARK(build);

}  // namespace
}  // namespace millrace::record
