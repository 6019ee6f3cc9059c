#include "storage/internal/producer_snapshot.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <span>
#include <utility>

#include "base/crc32c.h"

namespace millrace::storage {

namespace {

constexpr std::int16_t snapshot_version = 1;
constexpr std::size_t crc_at = 2;
constexpr std::size_t body_at = 6;  // The checksum covers from here on.
constexpr std::size_t entries_at = 10;

namespace field {
constexpr std::size_t producer_id = 0;
constexpr std::size_t epoch = 8;
constexpr std::size_t last_sequence = 10;
constexpr std::size_t last_offset = 14;
constexpr std::size_t offset_delta = 22;
constexpr std::size_t timestamp = 26;
constexpr std::size_t coordinator_epoch = 34;
constexpr std::size_t transaction_start = 38;
constexpr std::size_t size = 46;
}  // namespace field

void encode_row(std::byte* to, ProducerId producer, const ProducerEntry& entry,
                const StoredBatch& batch, bool is_last) {
    // Kafka forgets each row by its own age: none may outlive the last.
    const Timestamp time =
        is_last ? entry.last_timestamp : std::min(batch.timestamp, entry.last_timestamp);
    const Offset transaction_start = is_last ? entry.transaction_start : no_offset;
    store_big_endian(to + field::producer_id, producer.value);
    store_big_endian(to + field::epoch, entry.epoch.value);
    store_big_endian(to + field::last_sequence, batch.last_sequence);
    store_big_endian(to + field::last_offset, batch.last_offset.value);
    store_big_endian(to + field::offset_delta, batch.offset_delta);
    store_big_endian(to + field::timestamp, time.milliseconds);
    store_big_endian(to + field::coordinator_epoch, entry.coordinator_epoch);
    store_big_endian(to + field::transaction_start, transaction_start.value);
}

std::pair<ProducerId, ProducerEntry> decode_row(const std::byte* from) {
    ProducerEntry entry;
    entry.epoch = ProducerEpoch{load_big_endian<std::int16_t>(from + field::epoch)};
    entry.coordinator_epoch = load_big_endian<std::int32_t>(from + field::coordinator_epoch);
    entry.last_timestamp = Timestamp{load_big_endian<std::int64_t>(from + field::timestamp)};
    entry.transaction_start =
        Offset{load_big_endian<std::int64_t>(from + field::transaction_start)};
    const Offset last_offset{load_big_endian<std::int64_t>(from + field::last_offset)};
    if (last_offset >= Offset{0}) {  // Else only a marker is known of this producer.
        entry.batches[0] = {
            .last_sequence = load_big_endian<std::int32_t>(from + field::last_sequence),
            .offset_delta = load_big_endian<std::int32_t>(from + field::offset_delta),
            .last_offset = last_offset,
            .timestamp = entry.last_timestamp};
        entry.batch_count = 1;
    }
    return {ProducerId{load_big_endian<std::int64_t>(from + field::producer_id)}, entry};
}

/// The batches to remember: of an ended transaction none but the last.
std::span<const StoredBatch> kept_batches(const ProducerEntry& entry) {
    static constexpr StoredBatch none{};
    if (entry.batch_count == 0) {
        return {&none, 1};
    }
    const auto all = std::span(entry.batches).first(entry.batch_count);
    std::size_t first = 0;
    while (first + 1 < all.size() && all[first].last_offset < entry.settled_end) {
        ++first;
    }
    return all.subspan(first);
}

/// A later row of the same producer: what it did before stays known.
void put_before(ProducerEntry& entry, const ProducerEntry& before) {
    if (before.epoch != entry.epoch || entry.batch_count == 0) {
        return;
    }
    const std::size_t count =
        std::min<std::size_t>(before.batch_count, ProducerEntry::batches_kept - 1);
    entry.batches[count] = entry.batches[0];
    std::copy_n(before.batches.begin() + before.batch_count - static_cast<std::ptrdiff_t>(count),
                count, entry.batches.begin());
    entry.batch_count = static_cast<std::uint8_t>(count + 1);
}

}  // namespace

Buffer encode_producer_snapshot(const ProducerState& state) {
    std::vector<std::pair<ProducerId, const ProducerEntry*>> sorted;
    sorted.reserve(state.entries().size());
    for (const auto& [producer, entry] : state.entries()) {
        sorted.emplace_back(producer, &entry);
    }
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::size_t rows = 0;
    for (const auto& [producer, entry] : sorted) {
        rows += kept_batches(*entry).size();
    }
    Buffer bytes(entries_at + rows * field::size);
    store_big_endian(bytes.data(), snapshot_version);
    store_big_endian(bytes.data() + body_at, static_cast<std::int32_t>(rows));
    std::byte* at = bytes.data() + entries_at;
    for (const auto& [producer, entry] : sorted) {
        const auto batches = kept_batches(*entry);
        for (const StoredBatch& batch : batches) {
            encode_row(at, producer, *entry, batch, &batch == &batches.back());
            at += field::size;
        }
    }
    store_big_endian(bytes.data() + crc_at, crc32c(ByteView(bytes).subspan(body_at)));
    return bytes;
}

Result<void> decode_producer_snapshot(ByteView bytes, Timestamp now, Duration expiry,
                                      ProducerState& state) {
    if (bytes.size() < entries_at) {
        return Error::make(Code::corrupt, "producer snapshot of {} bytes", bytes.size());
    }
    const auto version = load_big_endian<std::int16_t>(bytes.data());
    if (version != snapshot_version) {
        return Error::make(Code::corrupt, "producer snapshot of version {}", version);
    }
    const auto crc = load_big_endian<std::uint32_t>(bytes.data() + crc_at);
    if (crc != crc32c(bytes.subspan(body_at))) {
        return Error::make(Code::corrupt, "producer snapshot fails its checksum");
    }
    const auto count = load_big_endian<std::int32_t>(bytes.data() + body_at);
    const std::size_t room = (bytes.size() - entries_at) / field::size;
    if (count < 0 || static_cast<std::size_t>(count) > room) {
        return Error::make(Code::corrupt, "producer snapshot names {} producers in {} bytes", count,
                           bytes.size());
    }
    std::optional<std::pair<ProducerId, ProducerEntry>> last;
    const auto restore_last = [&] {
        if (last &&
            (last->second.has_open_transaction() || now - last->second.last_timestamp < expiry)) {
            state.restore(last->first, last->second);
        }
    };
    for (std::int32_t i = 0; i < count; ++i) {
        auto row =
            decode_row(bytes.data() + entries_at + static_cast<std::size_t>(i) * field::size);
        if (last && last->first == row.first) {
            put_before(row.second, last->second);
        } else {
            restore_last();
        }
        last = std::move(row);
    }
    restore_last();
    return {};
}

}  // namespace millrace::storage
