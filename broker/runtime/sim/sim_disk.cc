#include "runtime/sim/sim_disk.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "runtime/sim/internal/sim_file.h"
#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

namespace {

std::vector<std::string> split(const std::string& path) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t slash = std::min(path.find('/', at), path.size());
        const std::string part = path.substr(at, slash - at);
        if (!part.empty() && part != ".") {
            parts.push_back(part);
        }
        at = slash + 1;
    }
    return parts;
}

Error no_such(std::string_view what, const std::string& path) {
    return Error::make(Code::not_found, "{} {}: No such file or directory", what, path);
}

}  // namespace

/// One change of the tree: a name gone, a name given, or both at once (rename).
struct SimDisk::NameChange {
    InodePtr target;
    InodePtr from;  ///< The directory that loses the name; null: none does.
    std::string from_name;
    InodePtr to;  ///< The directory that gains it; null: none does.
    std::string to_name;

    bool concerns(const InodePtr& directory) const { return from == directory || to == directory; }
};

class SimDisk::Lock final : public DirectoryLock {
public:
    Lock(SimDisk& disk, std::string path, std::uint64_t number)
        : disk_(disk), path_(std::move(path)), number_(number) {}
    ~Lock() override {
        const auto held = disk_.locks_.find(path_);
        if (held != disk_.locks_.end() && held->second == number_) {
            disk_.locks_.erase(held);
        }
    }

private:
    SimDisk& disk_;
    const std::string path_;
    const std::uint64_t number_;
};

SimDisk::SimDisk(World& world, SimNode& node, std::uint64_t seed, std::uint64_t capacity)
    : world_(world),
      node_(node),
      random_(seed),
      used_(std::make_shared<std::uint64_t>(0)),
      capacity_(capacity),
      root_(make_inode(true)) {}

SimDisk::~SimDisk() = default;

InodePtr SimDisk::make_inode(bool is_directory) {
    return std::make_shared<Inode>(next_inode_++, is_directory, used_);
}

Error SimDisk::dead_error() const {
    return {Code::io, "the machine is gone"};
}

void SimDisk::stall() {
    world_.stalled += World::up_to(random_, world_.ambient.disk_call);
    if (slow_ > Duration::zero()) {
        world_.stalled += World::up_to(random_, slow_);
        world_.count(FaultKind::disk_slow);
    }
}

Result<void> SimDisk::begin(DiskCall call, std::string_view what, const std::string& path) {
    if (dead_) {
        return dead_error();
    }
    stall();
    world_.trace.fold(what);
    world_.trace.fold(path);
    if (dies_in_ > 0 && --dies_in_ == 0) {
        dead_ = true;
        node_.note(fmt::format("disk: {} {} is the last call", what, path));
        return dead_error();
    }
    std::uint64_t& failing = failing_[static_cast<std::size_t>(call)];
    if (failing > 0) {
        --failing;
        switch (call) {
            case DiskCall::open:
                world_.count(FaultKind::open_error);
                break;
            case DiskCall::read:
                world_.count(FaultKind::read_error);
                break;
            case DiskCall::write:
                world_.count(FaultKind::write_error);
                break;
            case DiskCall::sync:
                world_.count(FaultKind::sync_error);
                break;
            case DiskCall::rename:
                world_.count(FaultKind::rename_error);
                break;
            default:
                break;
        }
        node_.note(fmt::format("disk: {} {} fails", what, path));
        return Error::make(
            failing_with_, "{} {}: {}", what, path,
            failing_with_ == Code::io ? "Input/output error" : "Too many open files");
    }
    return {};
}

Result<InodePtr> SimDisk::find(const std::string& path) const {
    InodePtr inode = root_;
    for (const std::string& part : split(path)) {
        const auto entry = inode->cached_names.find(part);
        if (entry == inode->cached_names.end()) {
            return no_such("find", path);
        }
        inode = entry->second;
    }
    return inode;
}

bool SimDisk::has_unsynced(const std::string& directory, std::string_view suffix) const {
    const auto folder = find(directory);
    if (!folder) {
        return false;
    }
    const auto counts = [suffix](const auto& entry) {
        return std::string_view(entry.first).ends_with(suffix);
    };
    const bool has_others =
        std::any_of((*folder)->device_names.begin(), (*folder)->device_names.end(), counts);
    for (const auto& entry : (*folder)->cached_names) {
        const auto& [name, file] = entry;
        if (!counts(entry) || (file->cached.empty() && has_others)) {
            continue;
        }
        const auto same = (*folder)->device_names.find(name);
        if (same == (*folder)->device_names.end() || same->second != file) {
            return true;
        }
        if (file->device.size() < file->cached.size() ||
            !std::equal(file->cached.begin(), file->cached.end(), file->device.begin())) {
            return true;
        }
    }
    return false;
}

Result<InodePtr> SimDisk::find_on_device(const std::string& path) const {
    InodePtr inode = root_;
    for (const std::string& part : split(path)) {
        const auto entry = inode->device_names.find(part);
        if (entry == inode->device_names.end()) {
            return no_such("find", path);
        }
        inode = entry->second;
    }
    return inode;
}

Result<Buffer> SimDisk::on_device(const std::string& path) const {
    MR_TRY(const auto inode, find_on_device(path));
    return inode->device;
}

std::map<std::string, Buffer> SimDisk::cached_files(const std::string& directory) const {
    std::map<std::string, Buffer> files;
    if (const auto folder = find(directory)) {
        for (const auto& [name, child] : (*folder)->cached_names) {
            if (!child->is_directory) {
                files.emplace(name, child->cached);
            }
        }
    }
    return files;
}

Result<std::vector<DirectoryEntry>> SimDisk::names_on_device(const std::string& path) const {
    MR_TRY(const auto inode, find_on_device(path));
    std::vector<DirectoryEntry> entries;
    for (const auto& [name, child] : inode->device_names) {
        entries.push_back({name, child->is_directory});
    }
    return entries;
}

Result<SimDisk::Place> SimDisk::find_place(const std::string& path) const {
    std::vector<std::string> parts = split(path);
    if (parts.empty()) {
        return Error::make(Code::invalid, "{}: the root", path);
    }
    Place place{root_, parts.back()};
    parts.pop_back();
    for (const std::string& part : parts) {
        const auto entry = place.directory->cached_names.find(part);
        if (entry == place.directory->cached_names.end()) {
            return no_such("find", path);
        }
        if (!entry->second->is_directory) {
            return Error::make(Code::invalid, "{}: Not a directory", path);
        }
        place.directory = entry->second;
    }
    return place;
}

Result<FilePtr> SimDisk::open(const std::string& path, OpenMode mode) {
    MR_TRY_VOID(begin(DiskCall::open, "open", path));
    MR_TRY(const auto place, find_place(path));
    const auto entry = place.directory->cached_names.find(place.name);
    InodePtr inode;
    if (entry != place.directory->cached_names.end()) {
        inode = entry->second;
        if (inode->is_directory) {
            return Error::make(Code::invalid, "open {}: Is a directory", path);
        }
    } else if (mode == OpenMode::read || mode == OpenMode::read_write) {
        return no_such("open", path);
    } else {
        inode = make_inode(false);
        place.directory->cached_names[place.name] = inode;
        record({inode, nullptr, {}, place.directory, place.name});
    }
    FilePtr file = std::make_shared<SimFile>(*this, path, std::move(inode), mode != OpenMode::read);
    if (mode == OpenMode::create_empty) {
        MR_TRY_VOID(file->truncate(0));
    }
    return file;
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
    MR_TRY_VOID(begin(DiskCall::rename, "rename", from));
    MR_TRY(const auto source, find_place(from));
    MR_TRY(const auto target, find_place(to));
    const auto entry = source.directory->cached_names.find(source.name);
    if (entry == source.directory->cached_names.end()) {
        return no_such("rename", from);
    }
    const InodePtr inode = entry->second;
    const auto replaced = target.directory->cached_names.find(target.name);
    if (replaced != target.directory->cached_names.end()) {
        const Inode& old = *replaced->second;
        if (old.is_directory != inode->is_directory || !old.cached_names.empty()) {
            return Error::make(Code::invalid, "rename {} to {}: in the way", from, to);
        }
        if (&old == inode.get()) {
            return {};
        }
    }
    source.directory->cached_names.erase(entry);
    target.directory->cached_names[target.name] = inode;
    record({inode, source.directory, source.name, target.directory, target.name});
    return {};
}

Result<void> SimDisk::remove(const std::string& path) {
    MR_TRY_VOID(begin(DiskCall::other, "remove", path));
    MR_TRY(const auto place, find_place(path));
    const auto entry = place.directory->cached_names.find(place.name);
    if (entry == place.directory->cached_names.end()) {
        return no_such("remove", path);
    }
    const InodePtr inode = entry->second;
    if (!inode->cached_names.empty()) {
        return Error::make(Code::invalid, "remove {}: Directory not empty", path);
    }
    place.directory->cached_names.erase(entry);
    record({inode, place.directory, place.name, nullptr, {}});
    return {};
}

Result<void> SimDisk::create_directories(const std::string& path) {
    MR_TRY_VOID(begin(DiskCall::other, "mkdir", path));
    InodePtr inode = root_;
    for (const std::string& part : split(path)) {
        const auto entry = inode->cached_names.find(part);
        if (entry != inode->cached_names.end()) {
            if (!entry->second->is_directory) {
                return Error::make(Code::invalid, "mkdir {}: {} is not a directory", path, part);
            }
            inode = entry->second;
            continue;
        }
        const InodePtr made = make_inode(true);
        inode->cached_names[part] = made;
        record({made, nullptr, {}, inode, part});
        inode = made;
    }
    return {};
}

Result<std::vector<DirectoryEntry>> SimDisk::list(const std::string& path) {
    MR_TRY_VOID(begin(DiskCall::other, "list", path));
    MR_TRY(const auto inode, find(path));
    if (!inode->is_directory) {
        return Error::make(Code::invalid, "list {}: Not a directory", path);
    }
    std::vector<DirectoryEntry> entries;
    for (const auto& [name, child] : inode->cached_names) {
        entries.push_back({name, child->is_directory});
    }
    return entries;
}

Result<bool> SimDisk::exists(const std::string& path) {
    MR_TRY_VOID(begin(DiskCall::other, "exists", path));
    return find(path).has_value();
}

Result<void> SimDisk::sync_directory(const std::string& path) {
    MR_TRY_VOID(begin(DiskCall::sync, "fsync", path));
    world_.stalled += World::exponential(random_, world_.ambient.device_time);
    MR_TRY(const auto directory, find(path));
    if (!directory->is_directory) {
        return Error::make(Code::invalid, "fsync {}: Not a directory", path);
    }
    // What became of a file before comes with it: a rename on the device implies the creation.
    const auto is_wanted = [&](const NameChange& change) {
        return change.concerns(directory) ||
               std::any_of(changes_.begin(), changes_.end(), [&](const NameChange& other) {
                   return other.target == change.target && other.concerns(directory);
               });
    };
    std::vector<NameChange> rest;
    std::vector<NameChange> wanted;
    for (const NameChange& change : changes_) {
        (is_wanted(change) ? wanted : rest).push_back(change);
    }
    for (const NameChange& change : wanted) {
        apply(change);
    }
    changes_ = std::move(rest);
    return {};
}

Result<DiskUsage> SimDisk::usage(const std::string& path) {
    MR_TRY_VOID(begin(DiskCall::other, "usage", path));
    const std::uint64_t free = full_ || used() > capacity_ ? 0 : capacity_ - used();
    return DiskUsage{capacity_, free};
}

Result<std::unique_ptr<DirectoryLock>> SimDisk::lock(const std::string& path) {
    MR_TRY(const auto file, open(path + "/.lock", OpenMode::create));
    if (!locks_.try_emplace(path, next_lock_).second) {
        return Error::make(Code::busy, "{} is locked by another process", path);
    }
    return std::unique_ptr<DirectoryLock>(std::make_unique<Lock>(*this, path, next_lock_++));
}

void SimDisk::record(NameChange change) {
    changes_.push_back(std::move(change));
}

void SimDisk::apply(const NameChange& change) {
    if (change.from) {
        const auto entry = change.from->device_names.find(change.from_name);
        if (entry != change.from->device_names.end() && entry->second == change.target) {
            change.from->device_names.erase(entry);
        }
    }
    if (change.to) {
        change.to->device_names[change.to_name] = change.target;
    }
}

void SimDisk::cut_power() {
    crash_names();
    forget_cache(root_);
    release_locks();
}

// As a journal would, a prefix survives; or, reordered, of each file's changes a prefix of its own.
void SimDisk::crash_names() {
    const std::vector<NameChange> changes = std::exchange(changes_, {});
    std::map<std::uint64_t, bool> ended;  // By inode: its later changes are lost.
    bool all_ended = false;
    for (const NameChange& change : changes) {
        bool& this_ended = ended[change.target->id];
        if (!all_ended && !this_ended && !random_.one_in(3)) {
            apply(change);
            continue;
        }
        this_ended = true;
        all_ended = all_ended || !world_.ambient.reordered_names;
        world_.count(FaultKind::lost_name);
    }
}

void SimDisk::forget_cache(const InodePtr& directory) {
    directory->cached_names = directory->device_names;
    for (const auto& [name, child] : directory->cached_names) {
        if (child->is_directory) {
            forget_cache(child);
        } else {
            crash_contents(child);
        }
    }
}

// Each dirty page is old, new or torn; the size is the old one, the new one or between them.
void SimDisk::crash_contents(const InodePtr& inode) {
    if (!inode->dirty.empty() || inode->size_dirty) {
        const std::uint64_t survivors = random_.below(4);  // Of four: none ... most.
        if (survivors > 0) {
            inode->truncate_device();
        }
        inode->device_valid = UINT64_MAX;
        const std::size_t new_size = inode->cached.size();
        const std::size_t old_size = inode->device.size();
        std::size_t size = old_size;
        if (survivors > 0 && new_size != old_size) {
            size = random_.one_in(2)
                       ? new_size
                       : static_cast<std::size_t>(random_.between(
                             static_cast<std::int64_t>(std::min(old_size, new_size)),
                             static_cast<std::int64_t>(std::max(old_size, new_size))));
        }
        inode->device.resize(size);
        for (const std::uint64_t number : inode->dirty) {
            if (random_.below(4) >= survivors) {
                world_.count(FaultKind::lost_page);
                continue;
            }
            const std::uint64_t from = number * page;
            std::uint64_t to = std::min<std::uint64_t>({from + page, size, new_size});
            if (world_.ambient.torn_pages && random_.one_in(4)) {
                world_.count(FaultKind::torn_page);
                to = std::min(to, from + sector * random_.below(page / sector));
            }
            if (from < to) {
                std::copy(inode->cached.begin() + static_cast<std::ptrdiff_t>(from),
                          inode->cached.begin() + static_cast<std::ptrdiff_t>(to),
                          inode->device.begin() + static_cast<std::ptrdiff_t>(from));
            }
        }
        inode->dirty.clear();
        inode->size_dirty = false;
    }
    inode->resize(inode->device.size());
    inode->cached = inode->device;
}

void SimDisk::release_locks() {
    locks_.clear();
}

void SimDisk::revive() {
    dead_ = false;
    dies_in_ = 0;
}

void SimDisk::wipe() {
    changes_.clear();
    locks_.clear();
    root_ = make_inode(true);
    ++wipes_;
}

void SimDisk::swap_with(SimDisk& other) {
    std::swap(used_, other.used_);
    std::swap(capacity_, other.capacity_);
    std::swap(root_, other.root_);
    std::swap(changes_, other.changes_);
    std::swap(next_inode_, other.next_inode_);
}

void SimDisk::fail_next(DiskCall call, std::uint64_t times, Code why) {
    MR_ASSERT(why == Code::io || why == Code::exhausted);
    failing_[static_cast<std::size_t>(call)] = times;
    failing_with_ = why;
}

void SimDisk::end_all_faults() {
    std::fill(std::begin(failing_), std::end(failing_), 0);
    lose_writes_ = misdirect_writes_ = stale_reads_ = 0;
    full_ = false;
    slow_ = Duration{};
    dies_in_ = 0;
}

bool SimDisk::rot() {
    std::vector<InodePtr> files;
    const std::function<void(const InodePtr&)> visit = [&](const InodePtr& directory) {
        for (const auto& [name, child] : directory->cached_names) {
            if (child->is_directory) {
                visit(child);
            } else if (!child->device.empty()) {
                files.push_back(child);
            }
        }
    };
    visit(root_);
    if (files.empty()) {
        return false;
    }
    const InodePtr& file = files[random_.below(files.size())];
    const std::uint64_t at = random_.below(file->device.size());
    const auto flip = static_cast<std::byte>(1U << random_.below(8));
    file->device[at] ^= flip;
    if (at < file->cached.size()) {
        file->cached[at] ^= flip;
    }
    world_.count(FaultKind::bit_rot);
    return true;
}

bool SimDisk::rot(const std::string& path, std::uint64_t offset, unsigned bit) {
    const auto inode = find(path);
    if (!inode || offset >= (*inode)->cached.size()) {
        return false;
    }
    const auto flip = static_cast<std::byte>(1U << bit);
    (*inode)->cached[offset] ^= flip;
    if (offset < (*inode)->device.size()) {
        (*inode)->device[offset] ^= flip;
    }
    world_.count(FaultKind::bit_rot);
    return true;
}

}  // namespace millrace::runtime::sim
