#include "tests/sim/systems/device_disk.h"

#include <algorithm>
#include <utility>

#include "storage/internal/log_names.h"
#include "storage/journal_replay.h"

namespace millrace::simtest {

namespace {

using runtime::Disk;
using runtime::File;

Error read_only() {
    return {Code::invalid, "a device is only looked at"};
}

class DeviceFile final : public File {
public:
    explicit DeviceFile(Buffer bytes) : bytes_(std::move(bytes)) {}

    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) const override {
        if (offset >= bytes_.size()) {
            return std::size_t{0};
        }
        const auto from = static_cast<std::size_t>(offset);
        const std::size_t count = std::min(into.size(), bytes_.size() - from);
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(from), count, into.begin());
        return count;
    }
    Result<void> write_at(std::uint64_t, std::span<const iovec>) override { return read_only(); }
    Result<void> truncate(std::uint64_t) override { return read_only(); }
    Result<std::uint64_t> size() const override { return bytes_.size(); }
    Result<void> sync() override { return read_only(); }
    void preallocate(std::uint64_t, std::uint64_t) override {}
    void start_writeback(std::uint64_t, std::uint64_t) override {}
    int descriptor() const override { return -1; }

private:
    const Buffer bytes_;
};

class DeviceDisk final : public Disk {
public:
    explicit DeviceDisk(runtime::sim::SimDisk& disk) : disk_(disk) {}

    Result<runtime::FilePtr> open(const std::string& path, runtime::OpenMode) override {
        MR_TRY(auto bytes, disk_.on_device(path));
        return runtime::FilePtr(std::make_shared<DeviceFile>(std::move(bytes)));
    }
    Result<std::vector<runtime::DirectoryEntry>> list(const std::string& path) override {
        return disk_.names_on_device(path);
    }
    Result<bool> exists(const std::string& path) override {
        return disk_.on_device(path).has_value();
    }
    Result<void> rename(const std::string&, const std::string&) override { return read_only(); }
    Result<void> remove(const std::string&) override { return read_only(); }
    Result<void> create_directories(const std::string&) override { return read_only(); }
    Result<void> sync_directory(const std::string&) override { return read_only(); }
    Result<runtime::DiskUsage> usage(const std::string&) override { return read_only(); }
    Result<std::unique_ptr<runtime::DirectoryLock>> lock(const std::string&) override {
        return read_only();
    }

private:
    runtime::sim::SimDisk& disk_;
};

/// Up to where `device`, and then the journal where it goes on, is what the log holds.
std::size_t good_end(const Buffer& device, const Buffer& cached, Offset base,
                     const storage::JournaledLog* journaled) {
    std::size_t end = 0;
    const auto go_on = [&] {
        while (end < std::min(device.size(), cached.size()) && device[end] == cached[end]) {
            ++end;
        }
    };
    go_on();
    for (std::size_t i = 0; journaled != nullptr && i < journaled->pieces.size(); ++i) {
        const auto& piece = journaled->pieces[i];
        if (piece.base != base || piece.position > end || piece.end() <= end ||
            piece.position >= cached.size()) {
            continue;
        }
        Buffer bytes(piece.length);
        const auto got = piece.journal->read_at(piece.at, bytes);
        const std::size_t from = static_cast<std::size_t>(piece.position);
        const std::size_t shared = std::min(bytes.size(), cached.size() - from);
        if (!got || *got != bytes.size() ||
            !std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(shared),
                        cached.begin() + static_cast<std::ptrdiff_t>(from))) {
            continue;  // out of date; a recovery would see that, too
        }
        end = from + shared;
        go_on();
    }
    return end;
}

}  // namespace

bool comes_back(runtime::sim::SimDisk& disk, const std::string& directory, Uuid directory_id,
                const TopicPartition& log) {
    DeviceDisk device(disk);
    const auto replay = storage::JournalReplay::read(device, directory, directory_id);
    if (!replay) {
        return false;
    }
    const auto journaled = replay->log(log);
    const std::string folder = storage::join_path(directory, storage::log_folder_name(log));
    bool is_first = true;
    for (const auto& [name, cached] : disk.cached_files(folder)) {
        const auto base = storage::parse_offset_name(name, storage::suffix::log);
        if (!base) {
            continue;
        }
        if (!std::exchange(is_first, false) && cached.empty()) {
            continue;  // Its name says nothing that the segments in front of it don't.
        }
        const auto there = disk.on_device(storage::join_path(folder, name));
        if (!there || good_end(*there, cached, *base, journaled.get()) < cached.size()) {
            return false;
        }
    }
    return true;
}

}  // namespace millrace::simtest
