// operator/local/internal/journal.h
//
// The store on disk: a snapshot and a journal of what came after. A record is in the kernel's hands
// before its writer is answered, so it survives the death of this process at any point; the disk
// gets it at the next sync(). A torn tail is dropped, damage elsewhere stops the start.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "operator/local/internal/store.h"

namespace millrace::local {

class Journal {
public:
    /// Reads what is there into `store`, which must be empty.
    static Result<std::unique_ptr<Journal>> open(const std::filesystem::path& dir, Store& store);
    ~Journal();

    Result<void> append(const Change& change);
    Result<void> sync() const;  ///< Also beside an append() of another thread.
    /// Rewrites the snapshot when the journal has grown well past it.
    Result<void> compact_if_large(const Store& store);

private:
    Journal(std::filesystem::path dir, int file) : dir_(std::move(dir)), file_(file) {}

    const std::filesystem::path dir_;
    const int file_;
    std::size_t size_ = 0;
    std::size_t snapshot_size_ = 0;
};

}  // namespace millrace::local
