#include "storage/internal/journal_format.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"

namespace millrace::storage {

namespace {

constexpr std::uint64_t half_magic = 0x4d524a484c463031;  // "MRJHLF01"
constexpr std::uint32_t record_magic = 0x4d524a52;        // "MRJR"
constexpr std::uint64_t cuts_magic = 0x4d524a4355543031;  // "MRJCUT01"
constexpr std::size_t record_header = 4 + 4 + 8 + 8 + 4 + 4;
constexpr std::size_t half_header = 8 + 4 + 8 + 8 + 8;
constexpr std::size_t checksum_at = 4;  // In a record; what lies behind it is covered.

class JournalPut {
public:
    explicit JournalPut(Buffer& to) : to_(to) {}
    template <typename T>
    void put(T value) {
        const std::size_t at = to_.size();
        to_.resize(at + sizeof(T));
        store_big_endian(to_.data() + at, value);
    }
    void put(ByteView bytes) { to_.insert(to_.end(), bytes.begin(), bytes.end()); }
    void put(const TopicPartition& partition) {
        put(static_cast<std::uint16_t>(partition.topic.size()));
        put(as_bytes(partition.topic));
        put(partition.partition.value);
    }

private:
    Buffer& to_;
};

/// What the bytes lack reads as zero and shows in good().
class JournalGet {
public:
    explicit JournalGet(ByteView bytes) : bytes_(bytes) {}
    template <typename T>
    T get() {
        if (left() < sizeof(T)) {
            good_ = false;
            return T{};
        }
        const T value = load_big_endian<T>(bytes_.data() + at_);
        at_ += sizeof(T);
        return value;
    }
    ByteView get_bytes(std::size_t size) {
        if (left() < size) {
            good_ = false;
            return {};
        }
        const ByteView bytes = bytes_.subspan(at_, size);
        at_ += size;
        return bytes;
    }
    TopicPartition get_partition() {
        const std::size_t size = get<std::uint16_t>();
        TopicPartition partition;
        partition.topic = std::string(as_text(get_bytes(size)));
        partition.partition = PartitionIndex{get<std::int32_t>()};
        return partition;
    }
    std::size_t at() const { return at_; }
    std::size_t left() const { return good_ ? bytes_.size() - at_ : 0; }
    bool good() const { return good_; }

private:
    ByteView bytes_;
    std::size_t at_ = 0;
    bool good_ = true;
};

std::size_t whole_blocks(std::size_t bytes) {
    return (bytes + journal_block - 1) / journal_block * journal_block;
}

/// One record's entries; nothing if they don't make it up exactly.
std::optional<std::vector<JournalEntry>> parse_entries(ByteView record, std::uint32_t count,
                                                       std::uint64_t sequence, std::uint64_t at) {
    std::vector<JournalEntry> entries;
    JournalGet get(record);
    (void)get.get_bytes(record_header);
    for (std::uint32_t i = 0; i < count && get.good(); ++i) {
        JournalEntry entry;
        entry.partition = get.get_partition();
        entry.topic_id.high = get.get<std::uint64_t>();
        entry.topic_id.low = get.get<std::uint64_t>();
        entry.base = Offset{get.get<std::int64_t>()};
        entry.position = get.get<std::uint64_t>();
        entry.length = get.get<std::uint32_t>();
        entry.sequence = sequence;
        entry.at = at + get.at();
        (void)get.get_bytes(entry.length);
        constexpr std::uint64_t position_max = std::uint64_t{1} << 40;  // A segment ends at 2^31.
        if (!get.good() || entry.position > position_max) {
            return std::nullopt;
        }
        entries.push_back(std::move(entry));
    }
    return get.good() && get.left() == 0 ? std::optional{std::move(entries)} : std::nullopt;
}

Result<std::size_t> read_fully(const runtime::File& file, std::uint64_t at, MutableBytes into) {
    std::size_t filled = 0;
    while (filled < into.size()) {
        MR_TRY(const std::size_t got, file.read_at(at + filled, into.subspan(filled)));
        if (got == 0) {
            break;
        }
        filled += got;
    }
    return filled;
}

/// The records of one half, up to the first that is none.
Result<void> read_half(const runtime::File& file, Uuid directory, std::uint64_t begin,
                       std::uint64_t end, std::vector<JournalEntry>& entries) {
    Buffer bytes(journal_block);
    MR_TRY(const std::size_t got, read_fully(file, begin, bytes));
    const auto half =
        got == journal_block ? parse_journal_half(bytes) : std::optional<JournalHalf>{};
    if (!half || half->directory != directory) {
        return {};
    }
    std::uint64_t last = half->life;
    for (std::uint64_t at = begin + journal_block; at + journal_block <= end;) {
        bytes.resize(journal_block);
        MR_TRY(const std::size_t front, read_fully(file, at, bytes));
        if (front < journal_block) {
            return {};
        }
        JournalGet get(bytes);
        const auto magic = get.get<std::uint32_t>();
        const auto checksum = get.get<std::uint32_t>();
        const auto life = get.get<std::uint64_t>();
        const auto sequence = get.get<std::uint64_t>();
        const std::size_t size = get.get<std::uint32_t>();
        const auto count = get.get<std::uint32_t>();
        if (magic != record_magic || life != half->life || sequence <= last ||
            size < record_header || size > journal_record_max || size > end - at) {
            return {};
        }
        if (size > journal_block) {
            bytes.resize(size);
            MR_TRY(const std::size_t rest, read_fully(file, at + journal_block,
                                                      MutableBytes(bytes).subspan(journal_block)));
            if (rest < size - journal_block) {
                return {};
            }
        }
        const ByteView record = ByteView(bytes).first(size);
        if (crc32c(record.subspan(checksum_at + 4)) != checksum) {
            return {};
        }
        auto found = parse_entries(record, count, sequence, at);
        if (!found) {
            return {};
        }
        std::move(found->begin(), found->end(), std::back_inserter(entries));
        last = sequence;
        at += whole_blocks(size);
    }
    return {};
}

}  // namespace

Buffer print_journal_half(const JournalHalf& half) {
    Buffer bytes;
    JournalPut put(bytes);
    put.put(half_magic);
    put.put(std::uint32_t{0});
    put.put(half.life);
    put.put(half.directory.high);
    put.put(half.directory.low);
    store_big_endian(bytes.data() + 8, crc32c(ByteView(bytes).subspan(12)));
    bytes.resize(journal_block);
    return bytes;
}

std::optional<JournalHalf> parse_journal_half(ByteView block) {
    if (block.size() < half_header) {
        return std::nullopt;
    }
    JournalGet get(block.first(half_header));
    const auto magic = get.get<std::uint64_t>();
    const auto checksum = get.get<std::uint32_t>();
    JournalHalf half;
    half.life = get.get<std::uint64_t>();
    half.directory.high = get.get<std::uint64_t>();
    half.directory.low = get.get<std::uint64_t>();
    if (magic != half_magic || checksum != crc32c(block.first(half_header).subspan(12))) {
        return std::nullopt;
    }
    return half;
}

JournalRecord::JournalRecord() : bytes_(record_header) {}

std::size_t JournalRecord::size_with(const JournalEntry& entry) const {
    return whole_blocks(bytes_.size() + 2 + entry.partition.topic.size() + 4 + 16 + 8 + 8 + 4 +
                        entry.length);
}

bool JournalRecord::add(const JournalEntry& entry, const std::function<bool(MutableBytes)>& fill) {
    const std::size_t before = bytes_.size();
    JournalPut put(bytes_);
    put.put(entry.partition);
    put.put(entry.topic_id.high);
    put.put(entry.topic_id.low);
    put.put(entry.base.value);
    put.put(entry.position);
    put.put(entry.length);
    bytes_.resize(bytes_.size() + entry.length);
    if (!fill(MutableBytes(bytes_).last(entry.length))) {
        bytes_.resize(before);
        return false;
    }
    ++entries_;
    return true;
}

ByteView JournalRecord::finish(std::uint64_t life, std::uint64_t sequence) {
    const std::size_t size = bytes_.size();
    MR_ASSERT(size <= journal_record_max);
    std::byte* const front = bytes_.data();
    store_big_endian(front, record_magic);
    store_big_endian(front + 8, life);
    store_big_endian(front + 16, sequence);
    store_big_endian(front + 24, static_cast<std::uint32_t>(size));
    store_big_endian(front + 28, entries_);
    store_big_endian(front + checksum_at, crc32c(ByteView(bytes_).subspan(checksum_at + 4)));
    bytes_.resize(whole_blocks(size));
    return bytes_;
}

Result<std::vector<JournalEntry>> read_journal(const runtime::File& file, Uuid directory) {
    MR_TRY(const std::uint64_t size, file.size());
    const std::uint64_t half = size / 2 / journal_block * journal_block;
    std::vector<JournalEntry> entries;
    if (size == 2 * half) {  // else it was never finished
        MR_TRY_VOID(read_half(file, directory, 0, half, entries));
        MR_TRY_VOID(read_half(file, directory, half, size, entries));
    }
    return entries;
}

Buffer print_journal_cuts(const std::vector<JournalCut>& cuts) {
    Buffer bytes;
    JournalPut put(bytes);
    put.put(cuts_magic);
    put.put(std::uint32_t{0});
    put.put(static_cast<std::uint32_t>(cuts.size()));
    for (const JournalCut& cut : cuts) {
        put.put(cut.partition);
        put.put(static_cast<std::uint8_t>(cut.everything));
        put.put(cut.base.value);
        put.put(cut.position);
        put.put(cut.sequence);
    }
    store_big_endian(bytes.data() + 8, crc32c(ByteView(bytes).subspan(12)));
    return bytes;
}

Result<std::vector<JournalCut>> parse_journal_cuts(ByteView bytes) {
    JournalGet get(bytes);
    const auto magic = get.get<std::uint64_t>();
    const auto checksum = get.get<std::uint32_t>();
    const auto count = get.get<std::uint32_t>();
    if (!get.good() || magic != cuts_magic || crc32c(bytes.subspan(12)) != checksum) {
        return Error(Code::corrupt, "no list of cuts, or a damaged one");
    }
    std::vector<JournalCut> cuts;
    for (std::uint32_t i = 0; i < count && get.good(); ++i) {
        JournalCut cut{.partition = get.get_partition()};
        cut.everything = get.get<std::uint8_t>() != 0;
        cut.base = Offset{get.get<std::int64_t>()};
        cut.position = get.get<std::uint64_t>();
        cut.sequence = get.get<std::uint64_t>();
        cuts.push_back(std::move(cut));
    }
    if (!get.good() || get.left() > 0) {
        return Error(Code::corrupt, "a list of cuts of another length");
    }
    return cuts;
}

}  // namespace millrace::storage
