#include "mirror/internal/same_records.h"

#include <map>
#include <string>

#include "record/record_view.h"

namespace millrace::mirror {
namespace {

void append(std::string& to, const std::optional<ByteView>& part) {
    to += part ? fmt::format("{}:", part->size()) : "-";
    if (part) {
        to.append(reinterpret_cast<const char*>(part->data()), part->size());
    }
}

/// Without what a cleaner writes anew: deltas, and timestamps of the batch.
std::string content_of(const record::RecordView& record) {
    std::string content;
    append(content, record.key);
    append(content, record.value);
    append(content, record.headers.bytes());
    return content;
}

template <typename Take>
void each_record(const record::BatchView& batch, Take take) {
    record::Decompressor decompressor;
    record::RecordReader reader(batch, decompressor);
    for (record::RecordView record; reader.next(record);) {
        take(record::offset_of(batch, record), content_of(record));
    }
}

}  // namespace

bool agree(const record::BatchView& theirs, const record::BatchView& ours) {
    std::map<Offset, std::string> here;
    each_record(ours, [&](Offset at, std::string content) { here[at] = std::move(content); });
    bool same = true;
    each_record(theirs, [&](Offset at, const std::string& content) {
        const auto found = here.find(at);
        same = same && (found == here.end() || found->second == content);
    });
    return same;
}

}  // namespace millrace::mirror
