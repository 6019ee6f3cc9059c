#include "metadata/records.h"

#include <array>

#include "base/assert.h"
#include "base/varint.h"
#include "metadata/internal/record_types.h"
#include "protocol/writer.h"

namespace millrace::metadata {
namespace {

constexpr std::uint32_t frame_version = 1;

/// By api key.
constexpr std::array<std::string_view, 30> record_names{"RegisterBroker",
                                                        "UnregisterBroker",
                                                        "Topic",
                                                        "Partition",
                                                        "Config",
                                                        "PartitionChange",
                                                        "(6)",
                                                        "FenceBroker",
                                                        "UnfenceBroker",
                                                        "RemoveTopic",
                                                        "DelegationToken",
                                                        "UserScramCredential",
                                                        "FeatureLevel",
                                                        "(13)",
                                                        "ClientQuota",
                                                        "ProducerIds",
                                                        "(16)",
                                                        "BrokerRegistrationChange",
                                                        "AccessControlEntry",
                                                        "RemoveAccessControlEntry",
                                                        "NoOp",
                                                        "ZkMigrationState",
                                                        "RemoveUserScramCredential",
                                                        "BeginTransaction",
                                                        "EndTransaction",
                                                        "AbortTransaction",
                                                        "RemoveDelegationToken",
                                                        "RegisterController",
                                                        "ClearElr",
                                                        "UnregisterController"};

}  // namespace

template <typename Record>
void RecordList::add(const Record& record, std::int16_t version) {
    protocol::Writer out(bytes_);
    out.unsigned_varint(frame_version);
    out.unsigned_varint(static_cast<std::uint64_t>(Record::api_key));
    out.unsigned_varint(static_cast<std::uint64_t>(version));
    record.encode(out, version);
    MR_ASSERT(out.ok());
    ends_.push_back(bytes_.size());
}

// Every record that may be written; other uses of add() link to these.
template void RecordList::add(const protocol::AbortTransactionRecord&, std::int16_t);
template void RecordList::add(const protocol::AccessControlEntryRecord&, std::int16_t);
template void RecordList::add(const protocol::BeginTransactionRecord&, std::int16_t);
template void RecordList::add(const protocol::BrokerRegistrationChangeRecord&, std::int16_t);
template void RecordList::add(const protocol::ClearElrRecord&, std::int16_t);
template void RecordList::add(const protocol::ClientQuotaRecord&, std::int16_t);
template void RecordList::add(const protocol::ConfigRecord&, std::int16_t);
template void RecordList::add(const protocol::DelegationTokenRecord&, std::int16_t);
template void RecordList::add(const protocol::EndTransactionRecord&, std::int16_t);
template void RecordList::add(const protocol::FeatureLevelRecord&, std::int16_t);
template void RecordList::add(const protocol::FenceBrokerRecord&, std::int16_t);
template void RecordList::add(const protocol::NoOpRecord&, std::int16_t);
template void RecordList::add(const protocol::PartitionChangeRecord&, std::int16_t);
template void RecordList::add(const protocol::PartitionRecord&, std::int16_t);
template void RecordList::add(const protocol::ProducerIdsRecord&, std::int16_t);
template void RecordList::add(const protocol::RegisterBrokerRecord&, std::int16_t);
template void RecordList::add(const protocol::RegisterControllerRecord&, std::int16_t);
template void RecordList::add(const protocol::RemoveAccessControlEntryRecord&, std::int16_t);
template void RecordList::add(const protocol::RemoveDelegationTokenRecord&, std::int16_t);
template void RecordList::add(const protocol::RemoveTopicRecord&, std::int16_t);
template void RecordList::add(const protocol::RemoveUserScramCredentialRecord&, std::int16_t);
template void RecordList::add(const protocol::TopicRecord&, std::int16_t);
template void RecordList::add(const protocol::UnfenceBrokerRecord&, std::int16_t);
template void RecordList::add(const protocol::UnregisterBrokerRecord&, std::int16_t);
template void RecordList::add(const protocol::UnregisterControllerRecord&, std::int16_t);
template void RecordList::add(const protocol::UserScramCredentialRecord&, std::int16_t);
template void RecordList::add(const protocol::ZkMigrationStateRecord&, std::int16_t);

void RecordList::add_encoded(ByteView record) {
    bytes_.insert(bytes_.end(), record.begin(), record.end());
    ends_.push_back(bytes_.size());
}

void RecordList::append(const RecordList& other) {
    for (std::size_t i = 0; i < other.size(); ++i) {
        add_encoded(other[i]);
    }
}

Result<RecordFrame> parse_record_frame(ByteView record) {
    std::uint64_t numbers[3] = {};
    for (std::uint64_t& number : numbers) {
        const std::size_t used = read_unsigned_varint(record, number, max_varint32_size);
        if (used == 0) {
            return Error::make(Code::corrupt, "metadata record's frame is cut or malformed");
        }
        record = record.subspan(used);
    }
    if (numbers[0] != frame_version) {
        return Error::make(Code::unsupported, "metadata record in frame version {}", numbers[0]);
    }
    if (numbers[1] > INT16_MAX || numbers[2] > INT16_MAX) {
        return Error::make(Code::corrupt, "metadata record of kind {}, version {}", numbers[1],
                           numbers[2]);
    }
    return RecordFrame{static_cast<std::int16_t>(numbers[1]), static_cast<std::int16_t>(numbers[2]),
                       record};
}

std::string describe_record(ByteView record) {
    std::string text;
    const Result<void> done = visit_record(record, [&](const auto& decoded) -> Result<void> {
        const auto key = static_cast<std::size_t>(decoded.api_key);
        text = fmt::format("{} {}", record_names[key], decoded.debug_string());
        return {};
    });
    return done ? text : done.error().to_string();
}

}  // namespace millrace::metadata
