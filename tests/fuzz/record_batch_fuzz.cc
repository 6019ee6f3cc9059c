// Any bytes as what a client produced or a segment holds: framing, header, records, every codec,
// the produce path with all its rules, and old message sets. Nothing may be read past the end, and
// memory stays within the limits.
#include <cstdint>
#include <span>

#include "base/assert.h"
#include "base/crc32c.h"
#include "record/batch_view.h"
#include "record/control.h"
#include "record/legacy.h"
#include "record/record_view.h"
#include "record/validate.h"

namespace millrace::record {
namespace {

constexpr DecompressLimits limits{.output = 1 << 20, .window = 256 << 10};

void read_batch(const BatchView& batch, Decompressor& decompressor) {
    RecordReader reader{batch, decompressor, limits};
    std::size_t seen = 0;
    for (RecordView record; reader.next(record);) {
        seen += record.bytes.size();
        for (const HeaderView& header : record.headers) {
            MR_ASSERT(header.key.size() <= record.bytes.size());
        }
        if (batch.is_control() && record.key) {
            (void)parse_end_transaction(record).has_value();
        }
    }
    MR_ASSERT(seen <= std::max(limits.output, batch.size()));
    MR_ASSERT(!reader.status() || reader.records_read() == batch.record_count());
}

void judge(Buffer bytes, Decompressor& decompressor, bool strict, bool compacted) {
    const ProduceRules rules{.is_compacted = compacted, .strict = strict, .decompress = limits};
    const Verdict verdict =
        validate_produce(bytes, rules, Timestamp{1'700'000'000'000}, decompressor);
    if (!verdict.accepted()) {
        return;
    }
    stamp(bytes, verdict, Offset{1000}, LeaderEpoch{1});
    const auto stored = BatchView::parse(bytes);
    MR_ASSERT(stored.has_value() && stored->check().has_value());
    if (verdict.walked) {
        RecordReader reader{*stored, decompressor, limits};
        for (RecordView record; reader.next(record);) {
        }
        MR_ASSERT(reader.status().has_value());
    }
}

/// A fuzzer does not guess a checksum; without this it would never get past it.
Buffer with_right_checksum(ByteView bytes) {
    Buffer copy(bytes.begin(), bytes.end());
    if (copy.size() >= BatchHeader::size) {
        store_big_endian(copy.data() + BatchHeader::batch_length,
                         static_cast<std::int32_t>(copy.size() - BatchHeader::length_overhead));
        store_big_endian(copy.data() + BatchHeader::magic, BatchHeader::current_magic);
        store_big_endian(copy.data() + BatchHeader::crc,
                         crc32c(ByteView{copy}.subspan(BatchHeader::attributes)));
    }
    return copy;
}

void read_legacy(ByteView bytes, Decompressor& decompressor) {
    const auto entry = LegacyEntry::parse(bytes);
    if (!entry) {
        return;
    }
    const auto current = to_current(*entry, decompressor, limits);
    MR_ASSERT(!current || BatchView::parse(*current)->check().has_value());
}

}  // namespace
}  // namespace millrace::record

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace;
    using namespace millrace::record;
    const ByteView bytes = std::as_bytes(std::span{data, size});
    static Decompressor decompressor;  // as a shard keeps it: states must not leak into each other
    BatchRange range{bytes};
    for (const BatchView& batch : range) {
        (void)batch.check().has_value();
        read_batch(batch, decompressor);
    }
    (void)range.rest_framing();
    read_legacy(range.rest(), decompressor);

    const Buffer mended = with_right_checksum(bytes);
    judge(mended, decompressor, /*strict=*/true, /*compacted=*/false);
    judge(mended, decompressor, /*strict=*/false, /*compacted=*/false);
    judge(mended, decompressor, /*strict=*/true, /*compacted=*/true);
    return 0;
}
