#include "record/control.h"

#include "base/assert.h"

namespace millrace::record {

namespace {

constexpr std::int16_t key_version = 0;
constexpr std::int16_t end_transaction_version = 0;
constexpr std::size_t end_transaction_size = 6;  // version int16, coordinator epoch int32

}  // namespace

ControlKey control_key(ControlType type) {
    ControlKey key;
    store_big_endian(key.data(), key_version);
    store_big_endian(key.data() + 2, static_cast<std::int16_t>(type));
    return key;
}

Result<ControlType> parse_control_key(ByteView key) {
    if (key.size() < sizeof(ControlKey)) {
        return Error::make(Code::corrupt, "control record with a key of {} bytes", key.size());
    }
    const auto version = load_big_endian<std::int16_t>(key.data());
    if (version < 0) {
        return Error::make(Code::corrupt, "control record key of version {}", version);
    }
    return static_cast<ControlType>(load_big_endian<std::int16_t>(key.data() + 2));
}

Result<EndTransactionMarker> parse_end_transaction(const RecordView& record) {
    MR_TRY(const ControlType type, parse_control_key(record.key.value_or(ByteView{})));
    if (type != ControlType::abort && type != ControlType::commit) {
        return Error::make(Code::invalid, "control record of type {} ends no transaction",
                           static_cast<int>(type));
    }
    const ByteView value = record.value.value_or(ByteView{});
    if (value.size() < end_transaction_size ||
        load_big_endian<std::int16_t>(value.data()) < end_transaction_version) {
        return Error::make(Code::corrupt, "end of a transaction in {} bytes", value.size());
    }
    return EndTransactionMarker{type, load_big_endian<std::int32_t>(value.data() + 2)};
}

Buffer end_transaction_batch(ProducerId producer, ProducerEpoch epoch, EndTransactionMarker marker,
                             std::int64_t timestamp) {
    MR_ASSERT(marker.type == ControlType::abort || marker.type == ControlType::commit);
    std::array<std::byte, end_transaction_size> value;
    store_big_endian(value.data(), end_transaction_version);
    store_big_endian(value.data() + 2, marker.coordinator_epoch);
    return control_batch(
        {.producer_id = producer, .producer_epoch = epoch, .is_transactional = true}, marker.type,
        value, timestamp);
}

Buffer control_batch(BatchOptions options, ControlType type, ByteView value,
                     std::int64_t timestamp) {
    options.is_control = true;
    const ControlKey key = control_key(type);
    BatchBuilder builder{options};
    builder.append({.timestamp = timestamp, .key = ByteView{key}, .value = value});
    return builder.finish();
}

}  // namespace millrace::record
