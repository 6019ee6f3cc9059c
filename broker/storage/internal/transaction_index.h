// storage/internal/transaction_index.h
//
// A segment's .txnindex: the transactions aborted in it, 34 bytes each in Kafka's layout (version
// 0). Rare and small, so it is kept in memory once read and written through.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "storage/internal/file_cache.h"
#include "storage/internal/log_names.h"
#include "storage/producer_state.h"

namespace millrace::storage {

class TransactionIndex {
public:
    static constexpr std::size_t stored_size = 34;

    TransactionIndex(FileCache& cache, const std::string& folder, Offset base)
        : file_(cache, folder, base, suffix::transaction_index) {}

    /// No file: no aborted transactions, and nothing to read.
    void set_absent() { loaded_ = true; }
    Result<const std::vector<AbortedTransaction>*> entries();
    /// Writes through; the file appears with the first entry.
    Result<runtime::FilePtr> append(const AbortedTransaction& transaction);
    /// Drops what was decided at or above `end`.
    Result<void> truncate_from(Offset end);
    Result<void> clear();
    bool has_file() const { return !loaded_ || has_file_; }

    CachedFile& file() { return file_; }

    static void store(const AbortedTransaction& transaction, std::byte* to);
    static Result<std::vector<AbortedTransaction>> parse(ByteView bytes);

private:
    Result<void> load();

    CachedFile file_;
    std::vector<AbortedTransaction> entries_;
    bool loaded_ = false;
    bool has_file_ = false;
};

}  // namespace millrace::storage
