// runtime/sim/internal/inode.h
//
// A file or directory of a simulated disk, twice: as the running system sees it and as the device
// holds it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/bytes.h"

namespace millrace::runtime::sim {

struct Inode;
using InodePtr = std::shared_ptr<Inode>;

struct Inode {
    Inode(std::uint64_t the_id, bool directory, std::shared_ptr<std::uint64_t> used)
        : id(the_id), is_directory(directory), used_bytes(std::move(used)) {}
    ~Inode() { *used_bytes -= cached.size(); }
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;

    void resize(std::size_t size) {
        *used_bytes += size;
        *used_bytes -= cached.size();
        cached.resize(size);
    }

    const std::uint64_t id;
    const bool is_directory;
    const std::shared_ptr<std::uint64_t> used_bytes;

    // A file.
    Buffer cached;
    Buffer device;
    std::set<std::uint64_t> dirty;  ///< Pages of `cached` that the device has not got.
    bool size_dirty = false;
    /// The smallest size since the device last knew: what it holds beyond is not the file's.
    std::uint64_t device_valid = UINT64_MAX;

    void truncate_device() {
        if (device_valid < device.size()) {
            device.resize(static_cast<std::size_t>(device_valid));
        }
        device_valid = UINT64_MAX;
    }

    // A directory.
    std::map<std::string, InodePtr> cached_names;
    std::map<std::string, InodePtr> device_names;
};

}  // namespace millrace::runtime::sim
