// runtime/sim/internal/sim_file.h
//
// An open file of a simulated disk.
#pragma once

#include <string>
#include <vector>

#include "runtime/disk.h"
#include "runtime/sim/internal/inode.h"
#include "runtime/sim/sim_disk.h"

namespace millrace::runtime::sim {

class SimFile final : public File {
public:
    SimFile(SimDisk& disk, std::string path, InodePtr inode, bool writable)
        : disk_(disk), path_(std::move(path)), inode_(std::move(inode)), writable_(writable) {}

    using File::write_at;
    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) const override;
    Result<void> write_at(std::uint64_t offset, std::span<const iovec> parts) override;
    Result<void> truncate(std::uint64_t size) override;
    Result<std::uint64_t> size() const override;
    Result<void> sync() override;
    void preallocate(std::uint64_t, std::uint64_t) override {}
    void start_writeback(std::uint64_t offset, std::uint64_t length) override;
    int descriptor() const override { return -1; }

private:
    void store(std::uint64_t offset, ByteView bytes);
    void write_back_page(std::uint64_t page);
    void sync_in_part(const std::vector<std::uint64_t>& pages);
    Result<void> cut_by_full_disk(std::uint64_t offset, ByteView bytes);

    SimDisk& disk_;
    const std::string path_;
    const InodePtr inode_;
    const bool writable_;
};

}  // namespace millrace::runtime::sim
