#include "storage/internal/transaction_index.h"

#include <algorithm>
#include <fmt/format.h>

namespace millrace::storage {

namespace {
constexpr std::int16_t entry_version = 0;
}

void TransactionIndex::store(const AbortedTransaction& transaction, std::byte* to) {
    store_big_endian(to, entry_version);
    store_big_endian(to + 2, transaction.producer.value);
    store_big_endian(to + 10, transaction.first_offset.value);
    store_big_endian(to + 18, transaction.last_offset.value);
    store_big_endian(to + 26, transaction.last_stable_offset.value);
}

Result<std::vector<AbortedTransaction>> TransactionIndex::parse(ByteView bytes) {
    if (bytes.size() % stored_size != 0) {
        return Error::make(Code::corrupt, "transaction index of {} bytes", bytes.size());
    }
    std::vector<AbortedTransaction> entries;
    entries.reserve(bytes.size() / stored_size);
    for (std::size_t at = 0; at < bytes.size(); at += stored_size) {
        const std::byte* from = bytes.data() + at;
        if (const auto version = load_big_endian<std::int16_t>(from); version != entry_version) {
            return Error::make(Code::corrupt, "transaction index entry of version {}", version);
        }
        const auto load = [from](std::size_t field) {
            return load_big_endian<std::int64_t>(from + field);
        };
        const AbortedTransaction entry{ProducerId{load(2)}, Offset{load(10)}, Offset{load(18)},
                                       Offset{load(26)}};
        if (entry.last_offset < entry.first_offset ||
            (!entries.empty() && entry.last_offset <= entries.back().last_offset)) {
            return Error::make(Code::corrupt, "transaction index does not ascend at byte {}", at);
        }
        entries.push_back(entry);
    }
    return entries;
}

Result<void> TransactionIndex::load() {
    if (loaded_) {
        return {};
    }
    MR_TRY(const auto file, file_.open());
    MR_TRY(const std::uint64_t size, file->size());
    Buffer bytes(static_cast<std::size_t>(size));
    MR_TRY(const std::size_t got, file->read_at(0, bytes));
    auto parsed = parse(ByteView(bytes).first(got));
    if (!parsed) {
        return parsed.error().with_context(file_.path());
    }
    entries_ = *std::move(parsed);
    loaded_ = true;
    has_file_ = true;
    return {};
}

Result<const std::vector<AbortedTransaction>*> TransactionIndex::entries() {
    MR_TRY_VOID(load());
    return &entries_;
}

Result<runtime::FilePtr> TransactionIndex::append(const AbortedTransaction& transaction) {
    MR_TRY_VOID(load());
    MR_TRY(auto file, file_.create());
    std::byte bytes[stored_size];
    store(transaction, bytes);
    MR_TRY_VOID(file->write_at(entries_.size() * stored_size, ByteView(bytes)));
    entries_.push_back(transaction);
    has_file_ = true;
    return file;
}

Result<void> TransactionIndex::truncate_from(Offset end) {
    MR_TRY_VOID(load());
    const auto cut = std::find_if(entries_.begin(), entries_.end(),
                                  [end](const auto& entry) { return entry.last_offset >= end; });
    if (cut == entries_.end()) {
        return {};
    }
    entries_.erase(cut, entries_.end());
    MR_TRY(const auto file, file_.open());
    return file->truncate(entries_.size() * stored_size);
}

Result<void> TransactionIndex::clear() {
    const bool nothing_stored = loaded_ && !has_file_;
    entries_.clear();
    loaded_ = true;
    if (nothing_stored) {
        return {};
    }
    has_file_ = true;
    MR_TRY(const auto file, file_.open());
    return file->truncate(0);
}

}  // namespace millrace::storage
