#include "runtime/sim/internal/sim_file.h"

#include <algorithm>
#include <vector>

#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

namespace {

constexpr std::uint64_t page = SimDisk::page;

Buffer gather(std::span<const iovec> parts) {
    Buffer bytes;
    for (const iovec& part : parts) {
        const auto* from = static_cast<const std::byte*>(part.iov_base);
        bytes.insert(bytes.end(), from, from + part.iov_len);
    }
    return bytes;
}

/// What a failed or cut call may have done of `size` bytes.
std::size_t some_of(Random& random, std::size_t size) {
    return static_cast<std::size_t>(random.below(size + 1));
}

}  // namespace

Result<std::size_t> SimFile::read_at(std::uint64_t offset, MutableBytes into) const {
    MR_TRY_VOID(disk_.begin(DiskCall::read, "pread", path_));
    const Buffer& cached = inode_->cached;
    if (offset >= cached.size()) {
        return std::size_t{0};
    }
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), cached.size() - offset));
    std::copy_n(cached.begin() + static_cast<std::ptrdiff_t>(offset), length, into.begin());
    if (disk_.stale_reads_ > 0) {
        --disk_.stale_reads_;
        disk_.world_.count(FaultKind::stale_read);
        const Buffer& device = inode_->device;
        for (std::size_t i = 0; i < length; ++i) {
            into[i] = offset + i < device.size() ? device[offset + i] : std::byte{0};
        }
    }
    return length;
}

Result<void> SimFile::write_at(std::uint64_t offset, std::span<const iovec> parts) {
    if (!writable_) {
        return Error::make(Code::io, "pwrite {}: Bad file descriptor", path_);
    }
    const Buffer bytes = gather(parts);
    const bool was_dead = disk_.dead_;
    if (auto begun = disk_.begin(DiskCall::write, "pwrite", path_); !begun) {
        if (!was_dead) {
            store(offset, ByteView(bytes).first(some_of(disk_.random_, bytes.size())));
        }
        return begun;
    }
    MR_TRY_VOID(cut_by_full_disk(offset, bytes));
    disk_.world_.trace.fold(offset);
    disk_.world_.trace.fold(ByteView(bytes));
    store(offset, bytes);
    return {};
}

Result<void> SimFile::cut_by_full_disk(std::uint64_t offset, ByteView bytes) {
    const std::uint64_t end = offset + bytes.size();
    const std::uint64_t size = inode_->cached.size();
    if (end <= size) {
        return {};  // Blocks that are there already.
    }
    const std::uint64_t room = disk_.capacity_ > disk_.used() ? disk_.capacity_ - disk_.used() : 0;
    if (!disk_.full_ && end - size <= room) {
        return {};
    }
    disk_.world_.count(FaultKind::disk_full);
    const std::uint64_t most = disk_.full_ ? 0 : std::min<std::uint64_t>(room, bytes.size());
    store(offset, bytes.first(some_of(disk_.random_, static_cast<std::size_t>(most))));
    return Error::make(Code::no_space, "pwrite {}: No space left on device", path_);
}

void SimFile::store(std::uint64_t offset, ByteView bytes) {
    if (bytes.empty()) {
        return;
    }
    Inode& inode = *inode_;
    if (offset + bytes.size() > inode.cached.size()) {
        inode.resize(static_cast<std::size_t>(offset + bytes.size()));
        inode.size_dirty = true;
    }
    std::copy(bytes.begin(), bytes.end(),
              inode.cached.begin() + static_cast<std::ptrdiff_t>(offset));
    if (disk_.lose_writes_ > 0) {
        --disk_.lose_writes_;
        disk_.world_.count(FaultKind::lost_write);
        return;
    }
    if (disk_.misdirect_writes_ > 0 && !inode.device.empty()) {
        --disk_.misdirect_writes_;
        disk_.world_.count(FaultKind::misdirected_write);
        const std::uint64_t wrong = disk_.random_.below(inode.device.size());
        const std::size_t fits = std::min<std::size_t>(bytes.size(), inode.device.size() - wrong);
        std::copy_n(bytes.begin(), fits, inode.device.begin() + static_cast<std::ptrdiff_t>(wrong));
        return;
    }
    for (std::uint64_t number = offset / page; number * page < offset + bytes.size(); ++number) {
        inode.dirty.insert(number);
    }
    if (World::chance(disk_.random_, disk_.world_.ambient.writeback)) {
        write_back_page(
            *std::next(inode.dirty.begin(),
                       static_cast<std::ptrdiff_t>(disk_.random_.below(inode.dirty.size()))));
    }
}

void SimFile::write_back_page(std::uint64_t number) {
    Inode& inode = *inode_;
    inode.truncate_device();  // Before any byte that came after it.
    inode.dirty.erase(number);
    const std::uint64_t from = number * page;
    const auto to = std::min<std::uint64_t>(from + page, inode.cached.size());
    if (from >= to) {
        return;
    }
    if (inode.device.size() < to) {
        inode.device.resize(static_cast<std::size_t>(to));
    }
    std::copy(inode.cached.begin() + static_cast<std::ptrdiff_t>(from),
              inode.cached.begin() + static_cast<std::ptrdiff_t>(to),
              inode.device.begin() + static_cast<std::ptrdiff_t>(from));
}

void SimFile::start_writeback(std::uint64_t offset, std::uint64_t length) {
    if (disk_.dead_) {
        return;
    }
    const std::vector<std::uint64_t> pages(inode_->dirty.lower_bound(offset / page),
                                           inode_->dirty.upper_bound((offset + length) / page));
    for (const std::uint64_t number : pages) {
        if (disk_.random_.one_in(2)) {  // Started is not done.
            write_back_page(number);
        }
    }
}

Result<void> SimFile::truncate(std::uint64_t size) {
    if (!writable_) {
        return Error::make(Code::io, "ftruncate {}: Bad file descriptor", path_);
    }
    MR_TRY_VOID(disk_.begin(DiskCall::write, "ftruncate", path_));
    Inode& inode = *inode_;
    if (size == inode.cached.size()) {
        return {};
    }
    inode.resize(static_cast<std::size_t>(size));
    inode.size_dirty = true;
    inode.device_valid = std::min(inode.device_valid, size);
    inode.dirty.erase(inode.dirty.lower_bound((size + page - 1) / page), inode.dirty.end());
    return {};
}

Result<std::uint64_t> SimFile::size() const {
    if (disk_.dead_) {
        return disk_.dead_error();
    }
    return std::uint64_t{inode_->cached.size()};
}

// A sync that failed, or that the machine did not live to see the end of.
void SimFile::sync_in_part(const std::vector<std::uint64_t>& pages) {
    Inode& inode = *inode_;
    const bool is_evicted = disk_.random_.one_in(4);
    const bool keeps_some = disk_.random_.one_in(2);
    std::size_t lost = 0;
    for (const std::uint64_t number : pages) {
        if (keeps_some && disk_.random_.one_in(2)) {
            write_back_page(number);
            continue;
        }
        if (disk_.dead_) {
            continue;
        }
        // The kernel marks the page clean: the next sync finds nothing to do and succeeds. Until it
        // is evicted the page can still be read, as if nothing had happened.
        ++lost;
        inode.dirty.erase(number);
        const std::uint64_t end = std::min<std::uint64_t>((number + 1) * page, inode.cached.size());
        for (std::uint64_t at = number * page; is_evicted && at < end; ++at) {
            inode.cached[at] = at < inode.device.size() ? inode.device[at] : std::byte{0};
        }
    }
    disk_.node_.note(fmt::format("disk: {} of {} pages of {} are lost{}", lost, pages.size(), path_,
                                 is_evicted ? " and evicted" : ""));
}

Result<void> SimFile::sync() {
    Inode& inode = *inode_;
    const bool was_dead = disk_.dead_;
    // A device that is asked for nothing reports nothing.
    const bool is_clean = inode.dirty.empty() && !inode.size_dirty;
    auto begun = disk_.begin(is_clean ? DiskCall::other : DiskCall::sync, "fdatasync", path_);
    disk_.world_.stalled += World::exponential(disk_.random_, disk_.world_.ambient.device_time);
    const std::vector<std::uint64_t> pages(inode.dirty.begin(), inode.dirty.end());
    if (!begun) {
        if (!was_dead) {
            sync_in_part(pages);
        }
        return begun;
    }
    for (const std::uint64_t number : pages) {
        write_back_page(number);
    }
    inode.truncate_device();
    inode.device.resize(inode.cached.size());
    inode.size_dirty = false;
    return {};
}

}  // namespace millrace::runtime::sim
