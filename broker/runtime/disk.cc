#include "runtime/disk.h"

#include "base/mutants.h"

namespace millrace::runtime {

namespace {

std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::uint64_t> Disk::file_size(const std::string& path) {
    MR_TRY(const auto file, open(path, OpenMode::read));
    return file->size();
}

Result<std::string> Disk::read_whole(const std::string& path, std::uint64_t max_bytes) {
    MR_TRY(const auto file, open(path, OpenMode::read));
    MR_TRY(const auto size, file->size());
    if (size > max_bytes) {
        return Error::make(Code::invalid, "{}: {} bytes, at most {} are read", path, size,
                           max_bytes);
    }
    std::string contents(size, '\0');
    const MutableBytes into{reinterpret_cast<std::byte*>(contents.data()), contents.size()};
    MR_TRY(const auto got, file->read_at(0, into));
    contents.resize(got);
    return contents;
}

Result<void> Disk::replace_whole(const std::string& path, std::string_view contents) {
    const std::string beside = path + ".tmp";
    {
        MR_TRY(const auto file, open(beside, OpenMode::create_empty));
        MR_TRY_VOID(file->write_at(0, as_bytes(contents)));
        MR_TRY_VOID(file->sync());
    }
    MR_TRY_VOID(rename(beside, path));
    return sync_directory(parent_of(path));
}

Result<void> Disk::create_directories_durably(const std::string& path) {
    std::vector<std::string> parents;  // of what is not there yet, the lowest first
    for (std::string at = path; at != "/" && at != "."; at = parent_of(at)) {
        MR_TRY(const bool there, exists(at));
        parents.push_back(parent_of(at));
        if (there) {
            break;  // and its own name: whoever made it may have died before he synced it
        }
    }
    MR_TRY_VOID(create_directories(path));
    if (MR_PLANTED(directories_not_synced)) {
        return {};
    }
    for (auto parent = parents.rbegin(); parent != parents.rend(); ++parent) {
        MR_TRY_VOID(sync_directory(*parent));
    }
    return {};
}

Result<void> Disk::remove_tree(const std::string& path) {
    MR_TRY(const auto entries, list(path));
    for (const DirectoryEntry& entry : entries) {
        const std::string inner = path + "/" + entry.name;
        MR_TRY_VOID(entry.is_directory ? remove_tree(inner) : remove(inner));
    }
    return remove(path);
}

}  // namespace millrace::runtime
