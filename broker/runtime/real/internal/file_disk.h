// runtime/real/internal/file_disk.h
//
// The real Disk: plain system calls, each fact in the error.
#pragma once

#include "runtime/disk.h"
#include "runtime/real/internal/system.h"

namespace millrace::runtime::internal {

class FileDisk final : public Disk {
public:
    Result<FilePtr> open(const std::string& path, OpenMode mode) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& path) override;
    Result<void> create_directories(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
    Result<bool> exists(const std::string& path) override;
    Result<std::uint64_t> file_size(const std::string& path) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<DiskUsage> usage(const std::string& path) override;
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;
};

class DescriptorFile final : public File {
public:
    DescriptorFile(std::string path, Descriptor descriptor)
        : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

    using File::write_at;
    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) const override;
    Result<void> write_at(std::uint64_t offset, std::span<const iovec> parts) override;
    Result<void> truncate(std::uint64_t size) override;
    Result<std::uint64_t> size() const override;
    Result<void> sync() override;
    void preallocate(std::uint64_t offset, std::uint64_t length) override;
    void start_writeback(std::uint64_t offset, std::uint64_t length) override;
    int descriptor() const override { return descriptor_.get(); }

private:
    Error error(const char* call) const;

    const std::string path_;
    const Descriptor descriptor_;
};

}  // namespace millrace::runtime::internal
