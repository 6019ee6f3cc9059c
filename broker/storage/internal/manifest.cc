#include "storage/internal/manifest.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/crc32c.h"
#include "storage/internal/log_names.h"

namespace millrace::storage {

namespace {

constexpr std::string_view manifest_name = "millrace-manifest";
constexpr std::string_view manifest_magic = "MRMANIF1";
constexpr std::uint64_t manifest_max = std::uint64_t{1} << 30;
constexpr std::uint64_t least_growth = std::uint64_t{1} << 20;
constexpr std::size_t record_head = 8;  // Size and checksum of the body.

enum class RecordKind : std::uint8_t { log = 1, gone = 2, points = 3 };

class RecordWriter {
public:
    template <typename T>
    void put(T value) {
        const std::size_t at = body_.size();
        body_.resize(at + sizeof(T));
        store_big_endian(body_.data() + at, value);
    }
    void put(std::string_view text) {
        put(static_cast<std::uint16_t>(text.size()));
        const ByteView bytes = as_bytes(text);
        body_.insert(body_.end(), bytes.begin(), bytes.end());
    }
    void put(const TopicPartition& partition) {
        put(std::string_view(partition.topic));
        put(partition.partition.value);
    }
    void put(const SegmentFacts& segment) {
        put(segment.base.value);
        put(segment.size);
        put(segment.offset_entries);
        put(segment.time_entries);
        put(segment.max_timestamp);
        put(segment.max_timestamp_offset);
    }
    /// Ends the record that was put.
    void finish(Buffer& to) {
        std::byte head[record_head];
        store_big_endian(head, static_cast<std::uint32_t>(body_.size()));
        store_big_endian(head + 4, crc32c(body_));
        to.insert(to.end(), std::begin(head), std::end(head));
        to.insert(to.end(), body_.begin(), body_.end());
        body_.clear();
    }

private:
    Buffer body_;
};

/// Reads a body; anything that it lacks reads as zero and shows in whole().
class RecordReader {
public:
    explicit RecordReader(ByteView body) : rest_(body) {}

    template <typename T>
    T get() {
        if (rest_.size() < sizeof(T)) {
            whole_ = false;
            return T{};
        }
        const T value = load_big_endian<T>(rest_.data());
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }
    TopicPartition get_partition() {
        const std::size_t size = get<std::uint16_t>();
        if (rest_.size() < size) {
            whole_ = false;
            return {};
        }
        TopicPartition partition{std::string(as_text(rest_.first(size))), PartitionIndex{0}};
        rest_ = rest_.subspan(size);
        partition.partition = PartitionIndex{get<std::int32_t>()};
        return partition;
    }
    SegmentFacts get_segment() {
        SegmentFacts segment;
        segment.base = Offset{get<std::int64_t>()};
        segment.size = get<std::uint64_t>();
        segment.offset_entries = get<std::uint32_t>();
        segment.time_entries = get<std::uint32_t>();
        segment.max_timestamp = get<std::int64_t>();
        segment.max_timestamp_offset = get<std::int32_t>();
        return segment;
    }
    std::size_t left() const { return rest_.size(); }
    bool whole() const { return whole_ && rest_.empty(); }
    bool short_of_bytes() const { return !whole_; }

private:
    ByteView rest_;
    bool whole_ = true;
};

void print_log(const LogFacts& log, Buffer& to) {
    RecordWriter writer;
    writer.put(static_cast<std::uint8_t>(RecordKind::log));
    writer.put(log.partition);
    writer.put(log.topic_id.high);
    writer.put(log.topic_id.low);
    writer.put(static_cast<std::uint8_t>(log.tail.has_value()));
    if (log.tail) {
        writer.put(log.tail->front);
        writer.put(log.tail->end.value);
        writer.put(log.tail->last_batch);
    }
    writer.put(static_cast<std::uint32_t>(log.sealed.size()));
    for (const SegmentFacts& segment : log.sealed) {
        writer.put(segment);
    }
    writer.finish(to);
}

void print_points(std::uint32_t checksum, Buffer& to) {
    RecordWriter writer;
    writer.put(static_cast<std::uint8_t>(RecordKind::points));
    writer.put(checksum);
    writer.finish(to);
}

std::uint32_t checksum_of(std::string_view checkpoint) {
    return std::max(std::uint32_t{1}, crc32c(as_bytes(checkpoint)));  // Zero means none.
}

std::optional<LogFacts> parse_log(RecordReader& reader) {
    LogFacts log{.partition = reader.get_partition()};
    log.topic_id.high = reader.get<std::uint64_t>();
    log.topic_id.low = reader.get<std::uint64_t>();
    if (reader.get<std::uint8_t>() != 0) {
        TailMark tail{.front = reader.get_segment()};
        tail.end = Offset{reader.get<std::int64_t>()};
        tail.last_batch = reader.get<std::uint32_t>();
        log.tail = tail;
    }
    const auto count = reader.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && !reader.short_of_bytes(); ++i) {
        log.sealed.push_back(reader.get_segment());
    }
    return reader.whole() ? std::optional{std::move(log)} : std::nullopt;
}

/// False if it is no record of this version.
bool take_record(ByteView body, ManifestContents& contents) {
    RecordReader reader(body);
    switch (static_cast<RecordKind>(reader.get<std::uint8_t>())) {
        case RecordKind::log: {
            auto log = parse_log(reader);
            if (log) {
                contents.logs.insert_or_assign(log->partition, *std::move(log));
            }
            return log.has_value();
        }
        case RecordKind::gone:
            contents.logs.erase(reader.get_partition());
            return reader.whole();
        case RecordKind::points:
            contents.points = {reader.get<std::uint32_t>(), contents.points[0]};
            return reader.whole();
    }
    return false;
}

}  // namespace

bool ManifestContents::belongs_to(std::string_view checkpoint) const {
    return std::count(points.begin(), points.end(), checksum_of(checkpoint)) > 0;
}

ManifestContents parse_manifest(ByteView bytes) {
    ManifestContents contents;
    if (!as_text(bytes).starts_with(manifest_magic)) {
        return contents;
    }
    contents.good_end = manifest_magic.size();
    while (bytes.size() - contents.good_end >= record_head) {
        const ByteView rest = bytes.subspan(contents.good_end);
        const auto size = load_big_endian<std::uint32_t>(rest.data());
        const auto checksum = load_big_endian<std::uint32_t>(rest.data() + 4);
        if (size > rest.size() - record_head) {
            break;
        }
        const ByteView body = rest.subspan(record_head, size);
        if (crc32c(body) != checksum || !take_record(body, contents)) {
            break;
        }
        contents.good_end += record_head + size;
    }
    return contents;
}

Manifest::Manifest(runtime::Disk& disk, std::string folder)
    : disk_(disk), folder_(std::move(folder)), path_(join_path(folder_, manifest_name)) {}

Result<ManifestContents> Manifest::read() const {
    const auto bytes = disk_.read_whole(path_, manifest_max);
    if (!bytes) {
        const bool absent = bytes.error().code() == Code::not_found;
        return absent ? Result<ManifestContents>(ManifestContents{})
                      : Result<ManifestContents>(bytes.error());
    }
    return parse_manifest(as_bytes(*bytes));
}

Result<void> Manifest::open() {
    MR_TRY(const ManifestContents contents, read());
    if (contents.good_end == 0) {
        return write_anew(contents);
    }
    MR_TRY(auto file, disk_.open(path_, runtime::OpenMode::read_write));
    MR_TRY_VOID(file->truncate(contents.good_end));
    size_ = contents.good_end;
    written_anew_at_ = std::max(written_anew_at_, least_growth);
    file_ = std::move(file);
    return {};
}

Result<void> Manifest::write_anew(const ManifestContents& contents) {
    MR_TRY(const auto entries, disk_.list(folder_));
    std::set<std::string_view> folders;
    for (const auto& entry : entries) {
        folders.insert(entry.name);
    }
    const ByteView magic = as_bytes(manifest_magic);
    Buffer bytes(magic.begin(), magic.end());
    for (const auto& [partition, log] : contents.logs) {
        if (folders.contains(log_folder_name(partition))) {
            print_log(log, bytes);
        }
    }
    for (const std::uint32_t checksum : {contents.points[1], contents.points[0]}) {
        if (checksum != 0) {
            print_points(checksum, bytes);
        }
    }
    file_.reset();
    MR_TRY_VOID(disk_.replace_whole(path_, as_text(bytes)));
    MR_TRY(file_, disk_.open(path_, runtime::OpenMode::read_write));
    size_ = bytes.size();
    written_anew_at_ = 2 * size_ + least_growth;
    return {};
}

Result<void> Manifest::try_append(ByteView records) {
    if (!file_) {
        MR_TRY_VOID(open());
    }
    MR_TRY_VOID(file_->write_at(size_, records));
    MR_TRY_VOID(file_->sync());
    size_ += records.size();
    if (size_ <= written_anew_at_) {
        return {};
    }
    MR_TRY(const ManifestContents contents, read());
    return write_anew(contents);
}

Result<void> Manifest::append(ByteView records) {
    if (given_up_) {
        return {};  // It no longer belongs to the checkpoint, once that changes.
    }
    const auto written = try_append(records);
    if (!written) {
        file_.reset();
        const auto removed = disk_.remove(path_);
        given_up_ = !removed && removed.error().code() != Code::not_found;
    }
    return written;
}

Result<void> Manifest::note(std::span<const LogFacts> logs) {
    Buffer records;
    for (const LogFacts& log : logs) {
        print_log(log, records);
    }
    return records.empty() ? Result<void>{} : append(records);
}

Result<void> Manifest::forget(std::span<const TopicPartition> logs) {
    Buffer records;
    for (const TopicPartition& partition : logs) {
        RecordWriter writer;
        writer.put(static_cast<std::uint8_t>(RecordKind::gone));
        writer.put(partition);
        writer.finish(records);
    }
    return records.empty() ? Result<void>{} : append(records);
}

Result<void> Manifest::note_points(std::string_view checkpoint) {
    Buffer record;
    print_points(checksum_of(checkpoint), record);
    return append(record);
}

}  // namespace millrace::storage
