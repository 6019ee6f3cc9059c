// Writes log directories for Kafka's tools to read, and reads what Kafka wrote. See
// e2e/peers/storage.
//
//   storage_files write DIR          one log of each kind, closed in order
//   storage_files read DIR           opens every log as after a crash, prints a line for each
//   storage_files read-clean DIR     opens them as the clean-shutdown mark says
//   storage_files write-keyed DIR SEED       a log to compact: keys, tombstones, transactions
//   storage_files compact DIR AFTER_MS       compacts all of every log, that long after the last
//   write
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <map>

#include "base/crc32c.h"
#include "record/batch_builder.h"
#include "record/control.h"
#include "record/legacy.h"
#include "record/record_view.h"
#include "runtime/real/real_node.h"
#include "storage/internal/text_files.h"
#include "storage/log_store.h"

namespace millrace::storage {
namespace {

/// Producers expire by the clock, in Kafka's loader as in ours.
const Timestamp now{std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count()};

Result<Buffer> data_batch(record::BatchOptions options, int records, std::size_t value_size) {
    record::BatchBuilder builder(options);
    const record::HeaderView header{"trace", as_bytes("abc")};
    for (int i = 0; i < records; ++i) {
        const auto offset = options.base_offset.value + i;
        const std::string key = fmt::format("key-{}", offset % 17);
        const std::string value = fmt::format("value-{}-{}", offset, std::string(value_size, 'v'));
        builder.append({.timestamp = now.milliseconds + offset,
                        .key = as_bytes(key),
                        .value = offset % 13 == 12 ? std::nullopt : std::optional{as_bytes(value)},
                        .headers = offset % 5 == 0 ? std::span(&header, 1)
                                                   : std::span<const record::HeaderView>{}});
    }
    record::Compressor compressor;
    return builder.finish(compressor);
}

Result<void> append(PartitionLog& log, const Buffer& bytes) {
    MR_TRY(const auto batch, record::BatchView::parse(bytes));
    return log.append({&batch, 1}, now);
}

Result<void> write_codec(LogStore& store, record::Compression codec,
                         std::vector<std::unique_ptr<PartitionLog>>& logs) {
    const std::string topic = fmt::format("codec-{}", record::to_string(codec));
    MR_TRY(auto log, store.create({topic, PartitionIndex{0}}, Uuid{1, 1 + logs.size()},
                                  {.segment_bytes = 64_KiB}));
    for (int i = 0; i < 120; ++i) {
        MR_TRY(const Buffer bytes, data_batch({.base_offset = log->end(),
                                               .leader_epoch = LeaderEpoch{i / 50},
                                               .compression = {.codec = codec}},
                                              1 + i % 20, 60));
        MR_TRY_VOID(append(*log, bytes));
    }
    logs.push_back(std::move(log));
    return {};
}

Result<void> write_transactions(LogStore& store, std::vector<std::unique_ptr<PartitionLog>>& logs) {
    MR_TRY(auto log, store.create({"transactions", PartitionIndex{0}}, Uuid{1, 1 + logs.size()},
                                  {.segment_bytes = 4_KiB}));
    std::map<std::int64_t, std::int32_t> sequences;
    for (int i = 0; i < 40; ++i) {
        const ProducerId producer{100 + i % 3};
        std::int32_t& sequence = sequences[producer.value];
        MR_TRY(const Buffer bytes, data_batch({.base_offset = log->end(),
                                               .leader_epoch = LeaderEpoch{0},
                                               .producer_id = producer,
                                               .producer_epoch = ProducerEpoch{0},
                                               .base_sequence = sequence,
                                               .is_transactional = true},
                                              5, 30));
        MR_TRY_VOID(append(*log, bytes));
        sequence += 5;
        if (i % 7 < 5 && i < 38) {
            Buffer marker = record::end_transaction_batch(
                producer, ProducerEpoch{0},
                {i % 2 == 0 ? record::ControlType::abort : record::ControlType::commit, 3},
                now.milliseconds + i);
            record::patch_base_offset(marker, log->end());
            record::patch_leader_epoch(marker, LeaderEpoch{0});
            MR_TRY_VOID(append(*log, marker));
        }
    }
    logs.push_back(std::move(log));
    return {};
}

Result<void> write_idempotent(LogStore& store, std::vector<std::unique_ptr<PartitionLog>>& logs) {
    MR_TRY(auto log, store.create({"idempotent", PartitionIndex{3}}, Uuid{1, 1 + logs.size()},
                                  {.segment_bytes = 100_KiB}));
    for (int i = 0; i < 400; ++i) {
        MR_TRY(const Buffer bytes, data_batch({.base_offset = log->end(),
                                               .leader_epoch = LeaderEpoch{i / 100},
                                               .producer_id = ProducerId{500 + i % 20},
                                               .producer_epoch = ProducerEpoch{2},
                                               .base_sequence = i / 20 * 3},
                                              3, 200));
        MR_TRY_VOID(append(*log, bytes));
    }
    MR_TRY_VOID(log->advance_start(Offset{100}));
    logs.push_back(std::move(log));
    return {};
}

Result<void> close_all(LogStore& store, const std::vector<std::unique_ptr<PartitionLog>>& logs) {
    OffsetMap ends;
    OffsetMap starts;
    for (const auto& log : logs) {
        MR_TRY_VOID(log->close_cleanly());
        MR_TRY_VOID(log->take_retired().run());
        ends[log->partition()] = log->end();
        starts[log->partition()] = log->start();
    }
    const auto& directory = store.directories().front();
    const std::uint64_t begun = directory->begin_checkpoint();
    MR_TRY_VOID(directory->write_checkpoint(Checkpoint::recovery_point, begun, ends));
    MR_TRY_VOID(directory->write_checkpoint(Checkpoint::high_watermark, begun, ends));
    MR_TRY_VOID(directory->write_checkpoint(Checkpoint::log_start, begun, starts));
    return store.mark_clean_shutdown(BrokerEpoch{5});
}

Result<void> write_logs(LogStore& store) {
    std::vector<std::unique_ptr<PartitionLog>> logs;
    for (const auto codec :
         {record::Compression::none, record::Compression::gzip, record::Compression::snappy,
          record::Compression::lz4, record::Compression::zstd}) {
        MR_TRY_VOID(write_codec(store, codec, logs));
    }
    MR_TRY_VOID(write_transactions(store, logs));
    MR_TRY_VOID(write_idempotent(store, logs));
    return close_all(store, logs);
}

/// A log in which everything that compaction looks at occurs, drawn from `seed`.
class KeyedWriter {
public:
    KeyedWriter(PartitionLog& log, std::uint64_t seed) : log_(log), random_(seed) {}

    Result<void> run(int batches) {
        for (int i = 0; i < batches; ++i) {
            const std::int64_t producer = random_.between(-2, 4);
            Producer& state = producers_[producer];
            if (producer >= 2 && state.open && random_.one_in(3)) {
                MR_TRY_VOID(end_transaction(producer, state));
            } else {
                MR_TRY_VOID(write_batch(producer, state));
            }
        }
        for (auto& [producer, state] : producers_) {
            if (state.open && !random_.one_in(4)) {
                MR_TRY_VOID(end_transaction(producer, state));
            }
        }
        return {};
    }

private:
    struct Producer {
        std::int16_t epoch = 0;
        std::int32_t sequence = 0;
        bool open = false;
    };

    Result<void> write_batch(std::int64_t producer, Producer& state) {
        record::BatchOptions options{.base_offset = log_.end(), .leader_epoch = LeaderEpoch{0}};
        const int records = static_cast<int>(random_.between(1, 6));
        if (producer >= 0) {
            options.producer_id = ProducerId{producer};
            options.producer_epoch = ProducerEpoch{state.epoch};
            options.base_sequence = state.sequence;
            options.is_transactional = producer >= 2;
            state.sequence += records;
            state.open = producer >= 2;
        }
        if (producer == -2) {
            options.append_time = (now + log_.end().value * 1ms).milliseconds;
        }
        record::BatchBuilder builder(options);
        for (int i = 0; i < records; ++i) {
            const std::string key = fmt::format("k{}", random_.below(40));
            const std::string value(random_.below(60), 'v');
            builder.append(
                {.timestamp = now.milliseconds + log_.end().value + i,
                 .key = random_.one_in(30) ? std::nullopt : std::optional{as_bytes(key)},
                 .value = random_.one_in(5) ? std::nullopt : std::optional{as_bytes(value)}});
        }
        return append(log_, builder.finish());
    }

    Result<void> end_transaction(std::int64_t producer, Producer& state) {
        Buffer marker = record::end_transaction_batch(
            ProducerId{producer}, ProducerEpoch{state.epoch},
            {random_.one_in(2) ? record::ControlType::abort : record::ControlType::commit, 0},
            now.milliseconds + log_.end().value);
        record::patch_base_offset(marker, log_.end());
        record::patch_leader_epoch(marker, LeaderEpoch{0});
        MR_TRY_VOID(append(log_, marker));
        state.open = false;
        if (random_.one_in(6)) {
            ++state.epoch;
            state.sequence = 0;
        }
        return {};
    }

    PartitionLog& log_;
    SeededRandom random_;
    std::map<std::int64_t, Producer> producers_;
};

LogLimits keyed_limits() {
    return {.segment_bytes = 4_KiB,
            .index_interval = 512_B,
            .cleanup = {.remove = false, .compact = true},
            .delete_retention = 1h};
}

Result<void> write_keyed(LogStore& store, std::uint64_t seed) {
    std::vector<std::unique_ptr<PartitionLog>> logs;
    for (std::uint64_t i = 0; i < 10; ++i) {
        MR_TRY(auto log, store.create({fmt::format("keyed{}", i), PartitionIndex{0}},
                                      Uuid{2, i + 1}, keyed_limits()));
        MR_TRY_VOID(KeyedWriter(*log, seed * 100 + i).run(300));
        logs.push_back(std::move(log));
    }
    return close_all(store, logs);
}

Result<void> compact(PartitionLog& log, Timestamp at) {
    MR_TRY(const auto need,
           log.compaction_need(at, Offset{0}, log.producers().last_stable(log.end()), log.end()));
    if (need.end == log.start()) {
        return {};
    }
    MR_TRY(const auto round, log.begin_compaction(need, {}, at));
    while (true) {
        round->work();
        MR_TRY(const bool more, log.continue_compaction(*round));
        if (!more) {
            break;
        }
    }
    if (round->failure()) {
        return *round->failure();
    }
    const CompactionStats stats = round->stats();
    fmt::print("{} below {}: {} of {} bytes, {} of {} segments, {} keys\n", log.partition(),
               round->cleaned_end(), stats.bytes_written, stats.bytes_read, stats.segments_after,
               stats.segments_before, stats.keys);
    return {};
}

Result<void> compact_all(LogStore& store, Duration after) {
    std::vector<std::unique_ptr<PartitionLog>> logs;
    for (const FoundLog& found : store.found()) {
        MR_TRY(auto log, store.load(found, keyed_limits()));
        MR_TRY(const auto largest, log->search_max_timestamp()->run());
        MR_TRY_VOID(compact(*log, largest->timestamp + after));
        logs.push_back(std::move(log));
    }
    return close_all(store, logs);
}

struct Digest {
    std::int64_t records = 0;
    std::uint32_t crc = 0;

    void number(std::int64_t value) {
        std::byte bytes[8];
        store_big_endian(bytes, value);
        crc = crc32c_extend(crc, bytes);
    }
    void part(const std::optional<ByteView>& bytes) {
        number(bytes ? static_cast<std::int64_t>(bytes->size()) : -1);
        if (bytes) {
            crc = crc32c_extend(crc, *bytes);
        }
    }
    Result<void> add(const record::BatchView& batch) {
        record::Decompressor decompressor;
        record::RecordReader reader(batch, decompressor);
        for (record::RecordView record; reader.next(record);) {
            ++records;
            number(record::offset_of(batch, record).value);
            number(record::timestamp_of(batch, record));
            part(record.key);
            part(record.value);
        }
        return reader.status();
    }
};

Result<Digest> digest_of(PartitionLog& log) {
    Digest digest;
    Offset from = log.start();
    while (from < log.end()) {
        MR_TRY(const auto slice,
               log.read({.from = from, .upper = log.end(), .max_bytes = 100'000}));
        if (slice.empty()) {
            break;
        }
        Buffer bytes(slice.length);
        MR_TRY_VOID(slice.file->read_at(slice.position, bytes));
        record::BatchRange range{bytes};
        for (const record::BatchView batch : range) {
            MR_TRY_VOID(digest.add(batch));
            from = batch.next_offset();
        }
    }
    return digest;
}

Result<std::string> line_of(PartitionLog& log, const std::string& name) {
    MR_TRY(const Digest digest, digest_of(log));
    MR_TRY(const auto aborted, log.aborted_transactions(log.start(), log.end()));
    std::string line =
        fmt::format("{} start={} end={} records={} digest={:08x} aborted={}", name, log.start(),
                    log.end(), digest.records, digest.crc, aborted.size());
    line += fmt::format(" stable={} epochs=", log.producers().last_stable(log.end()));
    for (const EpochStart& epoch : log.epochs().entries()) {
        line += fmt::format("{}:{},", epoch.epoch, epoch.start);
    }
    std::map<std::int64_t, std::string> producers;
    for (const auto& [id, entry] : log.producers().entries()) {
        producers[id.value] = fmt::format("{}/{}/{},", id, entry.epoch, entry.last_sequence());
    }
    line += " producers=";
    for (const auto& [id, text] : producers) {
        line += text;
    }
    return line;
}

Result<void> read_logs(LogStore& store, bool as_after_a_crash) {
    std::vector<std::string> lines;
    for (FoundLog found : store.found()) {
        if (as_after_a_crash) {
            found.recovery.clean = false;
            found.recovery.recovery_point = Offset{0};
        }
        found.recovery.now = now;
        found.recovery.gaps_below = found.cleaned_end;
        RecoveryReport report;
        // As long as ReadLogs.java tells Kafka's: the vectors grow older.
        constexpr LogLimits limits{.producer_expiry = std::chrono::milliseconds(0x7fff'ffff)};
        auto log = store.load(found, limits, &report);
        if (!log) {
            return log.error().with_context(found.name);
        }
        if (!report.reason.empty()) {
            fmt::print(stderr, "{}: {}\n", found.name, report.reason);
        }
        MR_TRY(std::string line, line_of(**log, found.name));
        lines.push_back(std::move(line));
        MR_TRY_VOID((*log)->close_cleanly());
    }
    std::sort(lines.begin(), lines.end());
    for (const std::string& line : lines) {
        fmt::print("{}\n", line);
    }
    return {};
}

Result<void> run(const std::string& command, const std::string& path, std::int64_t number) {
    MR_TRY(const auto node, runtime::RealNode::create({}));
    SeededRandom random{7};
    StoreIdentity identity{.cluster_id = "cGVlcmthZmthcGVlcmthZg", .node = BrokerId{1}};
    if (const auto text = node->disk().read_whole(path + "/meta.properties", 10'000)) {
        MR_TRY(const auto properties, parse_meta_properties(*text));
        identity = {.cluster_id = properties.cluster_id, .node = properties.node};
    }
    MR_TRY(const auto store,
           LogStore::open(node->disk(),
                          {.paths = {path},
                           .identity = identity,
                           .not_ours = {{"__cluster_metadata", PartitionIndex{0}}}},
                          random, now, Logger{}));
    if (command == "write") {
        return write_logs(*store);
    }
    if (command == "read" || command == "read-clean") {
        return read_logs(*store, command == "read");
    }
    if (command == "write-keyed") {
        return write_keyed(*store, static_cast<std::uint64_t>(number));
    }
    if (command == "compact") {
        return compact_all(*store, number * 1ms);
    }
    return Error::make(Code::invalid, "no command '{}'", command);
}

}  // namespace
}  // namespace millrace::storage

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: storage_files COMMAND DIR [NUMBER]\n");
        return 2;
    }
    const auto done = millrace::storage::run(argv[1], argv[2], argc > 3 ? std::atoll(argv[3]) : 0);
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().to_string());
        return 1;
    }
    return 0;
}
