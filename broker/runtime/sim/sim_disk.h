// runtime/sim/sim_disk.h
//
// The disk of one simulated machine: files in memory behind a volatile cache. What was not synced
// survives the death of a process, and at a power cut is lost page by page; a name that was not
// synced with its directory may be lost too, in order or (Ambient) in any order.
//
// Owned by SimNode; programs see it as runtime::Disk. The controls below are the simulation's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/disk.h"
#include "runtime/sim/internal/inode.h"
#include "runtime/sim/internal/world.h"

namespace millrace::runtime::sim {

class SimNode;

enum class DiskCall : std::uint8_t { open, read, write, sync, rename, other, count_ };

class SimDisk final : public Disk {
public:
    static constexpr std::uint64_t page = 4096;
    static constexpr std::uint64_t sector = 512;

    SimDisk(World& world, SimNode& node, std::uint64_t seed, std::uint64_t capacity);
    ~SimDisk() override;

    Result<FilePtr> open(const std::string& path, OpenMode mode) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& path) override;
    Result<void> create_directories(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
    Result<bool> exists(const std::string& path) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<DiskUsage> usage(const std::string& path) override;
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;

    // The simulation's side.

    /// The next `times` calls of this kind fail: with an I/O error, or for want of files or memory.
    void fail_next(DiskCall call, std::uint64_t times, Code why = Code::io);
    /// The next writes are acknowledged and do not reach the device, or reach the wrong place.
    void lose_next_write() { ++lose_writes_; }
    void misdirect_next_write() { ++misdirect_writes_; }
    void serve_stale_next_read() { ++stale_reads_; }
    /// Flips one bit of some file's contents on the device, and in the cache. False: no file.
    bool rot();
    bool rot(const std::string& path, std::uint64_t offset, unsigned bit);
    void set_full(bool full) { full_ = full; }
    void set_slow(Duration up_to) { slow_ = up_to; }
    void end_all_faults();
    void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }

    void cut_power();      ///< Keeps what the device has, with the accidents of the moment.
    void release_locks();  ///< The process is gone.
    void wipe();           ///< An empty disk.
    std::uint64_t wipes() const { return wipes_; }
    void swap_with(SimDisk& other);
    /// For checks: a file of that directory whose name ends so would not survive a power cut as it
    /// is now. An empty one says nothing beside others.
    bool has_unsynced(const std::string& directory, std::string_view suffix) const;
    /// For checks: what a power cut leaves at least of a file, and of a directory's names; what the
    /// files hold as the system sees them.
    Result<Buffer> on_device(const std::string& path) const;
    std::map<std::string, Buffer> cached_files(const std::string& directory) const;
    Result<std::vector<DirectoryEntry>> names_on_device(const std::string& path) const;

    /// The node dies at the `n`th call from now: that call and all later ones have no effect.
    void die_at_call(std::uint64_t n) { dies_in_ = n; }
    void die() { dead_ = true; }
    bool is_dead() const { return dead_; }
    void revive();

private:
    friend class SimFile;
    class Lock;
    struct NameChange;

    struct Place {
        InodePtr directory;
        std::string name;
    };

    Result<InodePtr> find(const std::string& path) const;
    Result<InodePtr> find_on_device(const std::string& path) const;
    Result<Place> find_place(const std::string& path) const;
    Result<void> begin(DiskCall call, std::string_view what, const std::string& path);
    Error dead_error() const;
    void record(NameChange change);
    void apply(const NameChange& change);
    void crash_names();
    void crash_contents(const InodePtr& inode);
    void forget_cache(const InodePtr& directory);
    std::uint64_t used() const { return *used_; }
    InodePtr make_inode(bool is_directory);
    void stall();

    World& world_;
    SimNode& node_;
    SeededRandom random_;
    std::shared_ptr<std::uint64_t> used_;  ///< Bytes in all inodes that live.
    std::uint64_t capacity_;
    InodePtr root_;
    std::vector<NameChange> changes_;  ///< Not yet on the device, oldest first.
    std::map<std::string, std::uint64_t> locks_;
    std::uint64_t next_lock_ = 1;
    std::uint64_t next_inode_ = 1;

    std::uint64_t failing_[static_cast<std::size_t>(DiskCall::count_)] = {};
    Code failing_with_ = Code::io;
    std::uint64_t lose_writes_ = 0;
    std::uint64_t misdirect_writes_ = 0;
    std::uint64_t stale_reads_ = 0;
    bool full_ = false;
    Duration slow_{};
    std::uint64_t dies_in_ = 0;
    std::uint64_t wipes_ = 0;
    bool dead_ = false;
};

}  // namespace millrace::runtime::sim
