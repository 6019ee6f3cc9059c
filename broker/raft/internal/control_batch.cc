#include "raft/internal/control_batch.h"

#include "base/overloaded.h"
#include "protocol/messages/kraft_version_record.h"
#include "protocol/messages/leader_change_message.h"
#include "protocol/messages/snapshot_footer_record.h"
#include "protocol/messages/snapshot_header_record.h"
#include "protocol/messages/voters_record.h"
#include "protocol/record_frame.h"
#include "record/batch_builder.h"
#include "record/control.h"
#include "record/record_view.h"

namespace millrace::raft {

namespace {

using record::ControlType;

template <typename Message>
Buffer encoded(Message message, std::int16_t version) {
    message.version = version;
    Buffer bytes;
    protocol::Writer writer(bytes);
    message.encode(writer, version);
    MR_ASSERT(writer.ok());  // Every field of ours exists in the version we chose.
    return bytes;
}

Buffer value_of(const LeaderChange& change) {
    using Wire = protocol::LeaderChangeMessage;
    // Version 1 would tell the directories too, but Kafka (4.4) reads every version as 0.
    const auto to_wire = [](const std::vector<ReplicaKey>& keys) {
        std::vector<Wire::Voter> voters;
        for (const ReplicaKey& key : keys) {
            voters.push_back({.voter_id = key.id.value});
        }
        return voters;
    };
    return encoded(Wire{.leader_id = change.leader.value,
                        .voters = to_wire(change.voters),
                        .granting_voters = to_wire(change.granting)},
                   0);
}

Buffer value_of(const KraftVersionChange& change) {
    return encoded(protocol::KRaftVersionRecord{.kraft_version = change.version}, 0);
}

Buffer value_of(const VotersChange& change) {
    using Wire = protocol::VotersRecord;
    Wire wire;
    for (const Voter& voter : change.voters.voters()) {
        Wire::Voter entry{
            .voter_id = voter.key.id.value,
            .voter_directory_id = voter.key.directory,
            .kraft_version_feature = {.min_supported_version = voter.kraft_version.min,
                                      .max_supported_version = voter.kraft_version.max}};
        for (const Listener& listener : voter.listeners) {
            entry.endpoints.push_back({.name = listener.name,
                                       .host = listener.endpoint.host,
                                       .port = listener.endpoint.port});
        }
        wire.voters.push_back(std::move(entry));
    }
    return encoded(std::move(wire), 0);
}

Buffer value_of(const SnapshotHeader& header) {
    return encoded(protocol::SnapshotHeaderRecord{.last_contained_log_timestamp =
                                                      header.last_contained_log_time.milliseconds},
                   0);
}

Buffer value_of(const SnapshotFooter&) {
    return encoded(protocol::SnapshotFooterRecord{}, 0);
}

ControlType type_of(const AnyControlRecord& record) {
    return std::visit(Overloaded{
                          [](const LeaderChange&) { return ControlType::leader_change; },
                          [](const KraftVersionChange&) { return ControlType::kraft_version; },
                          [](const VotersChange&) { return ControlType::kraft_voters; },
                          [](const SnapshotHeader&) { return ControlType::snapshot_header; },
                          [](const SnapshotFooter&) { return ControlType::snapshot_footer; },
                      },
                      record);
}

/// These messages begin with their own version.
template <typename Message>
Result<Message> decode(ByteView value) {
    protocol::Reader reader(value);
    const std::int16_t version = reader.int16();
    if (!reader.ok() || version < Message::min_version) {
        return Error::make(Code::corrupt, "a control record of version {}", version);
    }
    // A newer version only adds at its end or in tags: read what we know.
    const std::int16_t readable = std::min(version, Message::max_version);
    protocol::Reader whole(value);
    Message message;
    message.decode(whole, readable);
    if (!whole.ok()) {
        return whole.error();
    }
    return message;
}

Result<AnyControlRecord> parse_leader_change(ByteView value) {
    MR_TRY(const auto wire, decode<protocol::LeaderChangeMessage>(value));
    const auto from_wire = [](const auto& voters) {
        std::vector<ReplicaKey> keys;
        for (const auto& voter : voters) {
            keys.push_back({BrokerId{voter.voter_id}, voter.voter_directory_id});
        }
        return keys;
    };
    return AnyControlRecord(LeaderChange{BrokerId{wire.leader_id}, from_wire(wire.voters),
                                         from_wire(wire.granting_voters)});
}

Result<AnyControlRecord> parse_voters(ByteView value) {
    MR_TRY(const auto wire, decode<protocol::VotersRecord>(value));
    std::vector<Voter> voters;
    for (const auto& entry : wire.voters) {
        for (const Voter& other : voters) {
            if (other.key.id.value == entry.voter_id) {
                return Error::make(Code::corrupt, "voter {} is named twice", entry.voter_id);
            }
        }
        Voter voter{{BrokerId{entry.voter_id}, entry.voter_directory_id},
                    {},
                    {entry.kraft_version_feature.min_supported_version,
                     entry.kraft_version_feature.max_supported_version}};
        for (const auto& endpoint : entry.endpoints) {
            voter.listeners.push_back(
                {std::string(endpoint.name), {std::string(endpoint.host), endpoint.port}});
        }
        voters.push_back(std::move(voter));
    }
    if (voters.empty()) {
        return Error(Code::corrupt, "a voter set without voters");
    }
    return AnyControlRecord(VotersChange{VoterSet(std::move(voters))});
}

Result<std::optional<AnyControlRecord>> parse_value(ControlType type, ByteView value) {
    switch (type) {
        case ControlType::leader_change: {
            MR_TRY(auto record, parse_leader_change(value));
            return std::optional(std::move(record));
        }
        case ControlType::kraft_version: {
            MR_TRY(const auto wire, decode<protocol::KRaftVersionRecord>(value));
            return std::optional(AnyControlRecord(KraftVersionChange{wire.kraft_version}));
        }
        case ControlType::kraft_voters: {
            MR_TRY(auto record, parse_voters(value));
            return std::optional(std::move(record));
        }
        case ControlType::snapshot_header: {
            MR_TRY(const auto wire, decode<protocol::SnapshotHeaderRecord>(value));
            return std::optional(
                AnyControlRecord(SnapshotHeader{{wire.last_contained_log_timestamp}}));
        }
        case ControlType::snapshot_footer: {
            MR_TRY_VOID(decode<protocol::SnapshotFooterRecord>(value));
            return std::optional(AnyControlRecord(SnapshotFooter{}));
        }
        default:
            return std::optional<AnyControlRecord>();
    }
}

}  // namespace

Buffer build_control_batch(const std::vector<AnyControlRecord>& records, Offset base,
                           QuorumEpoch epoch, Timestamp time) {
    record::BatchBuilder builder(
        {.base_offset = base, .leader_epoch = LeaderEpoch{epoch.value}, .is_control = true});
    for (const AnyControlRecord& record : records) {
        const auto key = record::control_key(type_of(record));
        const Buffer value = std::visit([](const auto& r) { return value_of(r); }, record);
        builder.append({.timestamp = time.milliseconds, .key = key, .value = value});
    }
    return builder.finish();
}

Buffer build_control_batch(const std::vector<ControlRecord>& records, Offset base,
                           QuorumEpoch epoch, Timestamp time) {
    std::vector<AnyControlRecord> all;
    for (const ControlRecord& record : records) {
        std::visit([&](const auto& r) { all.emplace_back(r); }, record);
    }
    return build_control_batch(all, base, epoch, time);
}

Result<std::vector<std::pair<Offset, AnyControlRecord>>> read_all_control_records(
    const record::BatchView& batch) {
    if (batch.compression() != record::Compression::none) {
        return Error::make(Code::corrupt, "the control batch at {} is compressed",
                           batch.base_offset());
    }
    std::vector<std::pair<Offset, AnyControlRecord>> records;
    record::RecordReader reader{batch};
    for (record::RecordView view; reader.next(view);) {
        if (!view.key || !view.value) {
            return Error::make(Code::corrupt, "a control record without key or value at {}",
                               record::offset_of(batch, view));
        }
        MR_TRY(const auto type, record::parse_control_key(*view.key));
        MR_TRY(auto record, parse_value(type, *view.value));
        if (record) {
            records.emplace_back(record::offset_of(batch, view), *std::move(record));
        }
    }
    MR_TRY_VOID(reader.status());
    return records;
}

Result<std::vector<std::pair<Offset, ControlRecord>>> read_control_records(
    const record::BatchView& batch) {
    MR_TRY(const auto all, read_all_control_records(batch));
    std::vector<std::pair<Offset, ControlRecord>> records;
    for (const auto& [offset, record] : all) {
        const bool fits = std::visit(Overloaded{
                                         [](const SnapshotHeader&) { return false; },
                                         [](const SnapshotFooter&) { return false; },
                                         [&, at = offset](const auto& r) {
                                             records.emplace_back(at, r);
                                             return true;
                                         },
                                     },
                                     record);
        if (!fits) {
            return Error::make(Code::corrupt, "a snapshot's record in the log at {}", offset);
        }
    }
    return records;
}

}  // namespace millrace::raft
