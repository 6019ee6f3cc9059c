// Any bytes as what a crash has left of a journal, and of the cuts beside it. What is read lies
// within the file; a list of cuts that is accepted is printed as it was.
#include <algorithm>
#include <cstdint>

#include "base/assert.h"
#include "base/crc32c.h"
#include "storage/internal/journal_format.h"

namespace millrace::storage {
namespace {

const Uuid home{1, 2};

class BytesFile final : public runtime::File {
public:
    explicit BytesFile(Buffer bytes) : bytes_(std::move(bytes)) {}
    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) const override {
        MR_ASSERT(into.size() <= journal_record_max);  // Whatever it says of its sizes.
        if (offset >= bytes_.size()) {
            return std::size_t{0};
        }
        const auto from = static_cast<std::size_t>(offset);
        const std::size_t count = std::min(into.size(), bytes_.size() - from);
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(from), count, into.begin());
        return count;
    }
    Result<void> write_at(std::uint64_t, std::span<const iovec>) override { return {}; }
    Result<void> truncate(std::uint64_t) override { return {}; }
    Result<std::uint64_t> size() const override { return bytes_.size(); }
    Result<void> sync() override { return {}; }
    void preallocate(std::uint64_t, std::uint64_t) override {}
    void start_writeback(std::uint64_t, std::uint64_t) override {}
    int descriptor() const override { return -1; }

private:
    const Buffer bytes_;
};

void read(Buffer bytes) {
    const std::size_t size = bytes.size();
    const BytesFile file(std::move(bytes));
    const auto entries = read_journal(file, home);
    MR_ASSERT(entries.has_value());
    for (const JournalEntry& entry : *entries) {
        MR_ASSERT(entry.at + entry.length <= size);
    }
}

/// The checksums would keep the fuzzer out: `bytes` as one record of a sound half.
void read_record(ByteView bytes) {
    Buffer file = print_journal_half({.life = 1, .directory = home});
    Buffer record(32);
    record.insert(record.end(), bytes.begin(), bytes.end());
    const std::size_t size = record.size();
    store_big_endian(record.data(), std::uint32_t{0x4d524a52});
    store_big_endian(record.data() + 8, std::uint64_t{1});
    store_big_endian(record.data() + 16, std::uint64_t{2});
    store_big_endian(record.data() + 24, static_cast<std::uint32_t>(size));
    store_big_endian(record.data() + 28, std::uint32_t{bytes.empty() ? 0U : 1U});
    store_big_endian(record.data() + 4, crc32c(ByteView(record).subspan(8)));
    record.resize((size + journal_block - 1) / journal_block * journal_block);
    file.insert(file.end(), record.begin(), record.end());
    file.resize(2 * file.size());
    read(std::move(file));
}

void read_cuts(ByteView bytes) {
    if (const auto cuts = parse_journal_cuts(bytes)) {
        const Buffer again = print_journal_cuts(*cuts);
        MR_ASSERT(*parse_journal_cuts(again) == *cuts);
    }
}

}  // namespace
}  // namespace millrace::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::storage;
    if (size == 0) {
        return 0;
    }
    const millrace::ByteView bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
    switch (data[0] % 3) {
        case 0:
            read(millrace::Buffer(bytes.begin(), bytes.end()));
            break;
        case 1:
            read_record(bytes);
            break;
        default:
            read_cuts(bytes);
            break;
    }
    return 0;
}
