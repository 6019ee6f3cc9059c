// Any bytes as what the quorum reads: quorum-state, snapshots, batches that a leader sent, control
// records, requests. What is accepted once must be accepted again when written anew.
#include <cstdint>

#include "base/assert.h"
#include "protocol/api_table.h"
#include "raft/internal/control_batch.h"
#include "raft/internal/quorum_state_file.h"
#include "raft/internal/snapshot_file.h"
#include "raft/internal/wire.h"
#include "raft/quorum_config.h"

namespace millrace::raft {
namespace {

void read_quorum_state(ByteView bytes) {
    if (const auto state = parse_quorum_state(as_text(bytes))) {
        const auto again = parse_quorum_state(print_quorum_state(*state));
        MR_ASSERT(again.has_value() && *again == *state);
    }
}

void read_snapshot(ByteView bytes) {
    SnapshotChecker checker;
    record::BatchRange range{bytes};
    for (const record::BatchView batch : range) {
        if (!checker.add(batch)) {
            return;
        }
    }
    (void)checker.finish().has_value();
}

/// As a log tells it: control batches that hold together come back as they were.
void read_log(ByteView bytes) {
    const auto fetched = read_batches(Buffer(bytes.begin(), bytes.end()));
    if (!fetched) {
        return;
    }
    for (const LogBatch& batch : fetched->batches) {
        std::vector<ControlRecord> records;
        for (const auto& [offset, record] : batch.control) {
            records.push_back(record);
        }
        if (records.empty() || batch.base < Offset{0}) {
            continue;
        }
        const Buffer written = build_control_batch(records, batch.base, batch.epoch, Timestamp{1});
        const auto back = record::BatchView::parse(written);
        MR_ASSERT(back.has_value() && read_control_records(*back).has_value());
    }
}

/// The checksum would keep the fuzzer out of what lies behind it.
void read_control(ByteView bytes) {
    if (const auto batch = record::BatchView::parse(bytes)) {
        (void)read_all_control_records(*batch).has_value();
    }
}

void read_request(ByteView bytes) {
    if (bytes.size() < 2) {
        return;
    }
    const auto api_key = static_cast<std::int16_t>(bytes[0]);
    const auto version = static_cast<std::int16_t>(bytes[1]);
    const protocol::Api* api = protocol::find_api(api_key);
    if (api == nullptr || !api->serves(version)) {
        return;
    }
    const auto request = decode_request(api_key, version, bytes.subspan(2));
    if (request) {
        (void)encode_request(*request, versions_of(*request).max).has_value();
    }
}

void read_lists(ByteView bytes) {
    (void)parse_voters(as_text(bytes), "CONTROLLER").has_value();
    (void)parse_bootstrap_servers(as_text(bytes)).has_value();
    if (const auto id = parse_snapshot_file_name(as_text(bytes))) {
        MR_ASSERT(snapshot_file_name(*id) == as_text(bytes));
    }
}

}  // namespace
}  // namespace millrace::raft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::raft;
    if (size == 0) {
        return 0;
    }
    const millrace::ByteView bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
    switch (data[0] % 6) {
        case 0:
            read_quorum_state(bytes);
            break;
        case 1:
            read_snapshot(bytes);
            break;
        case 2:
            read_log(bytes);
            break;
        case 3:
            read_control(bytes);
            break;
        case 4:
            read_request(bytes);
            break;
        default:
            read_lists(bytes);
            break;
    }
    return 0;
}
