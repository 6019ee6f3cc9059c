// metadata/records.h
//
// Records of __cluster_metadata as bytes: Kafka's frame (frame version, api key, version) around a
// generated record struct. A RecordList holds what one operation wants to commit, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace millrace::metadata {

class RecordList {
public:
    /// `record` is a generated metadata record, e.g. protocol::TopicRecord. That the version can't
    /// carry a field is a bug of ours. Defined for every record in records.cc.
    template <typename Record>
    void add(const Record& record, std::int16_t version);
    void add_encoded(ByteView record);
    void append(const RecordList& other);

    std::size_t size() const { return ends_.size(); }
    bool empty() const { return ends_.empty(); }
    std::size_t total_bytes() const { return bytes_.size(); }
    ByteView operator[](std::size_t i) const {
        const std::size_t from = i == 0 ? 0 : ends_[i - 1];
        return ByteView(bytes_).subspan(from, ends_[i] - from);
    }

private:
    Buffer bytes_;
    std::vector<std::size_t> ends_;
};

/// Frame of an encoded record.
struct RecordFrame {
    std::int16_t api_key = 0;
    std::int16_t version = 0;
    ByteView body;
};
Result<RecordFrame> parse_record_frame(ByteView record);

/// "PartitionChange {...}", for people and scripted tests. Secrets are hidden.
std::string describe_record(ByteView record);

}  // namespace millrace::metadata
