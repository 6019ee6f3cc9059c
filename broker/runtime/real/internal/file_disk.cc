#include "runtime/real/internal/file_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace millrace::runtime::internal {

namespace {

Error error(const char* call, const std::string& path) {
    return system_error(fmt::format("{} {}", call, path), errno);
}

int flags_of(OpenMode mode) {
    switch (mode) {
        case OpenMode::read:
            return O_RDONLY;
        case OpenMode::read_write:
            return O_RDWR;
        case OpenMode::create:
            return O_RDWR | O_CREAT;
        case OpenMode::create_empty:
            return O_RDWR | O_CREAT | O_TRUNC;
    }
    return O_RDONLY;
}

Result<Descriptor> open_path(const std::string& path, int flags) {
    for (;;) {
        Descriptor opened{::open(path.c_str(), flags | O_CLOEXEC, 0644)};
        if (opened) {
            return opened;
        }
        if (errno != EINTR) {
            return error("open", path);
        }
    }
}

class FlockedDirectory final : public DirectoryLock {
public:
    explicit FlockedDirectory(Descriptor file) : file_(std::move(file)) {}

private:
    const Descriptor file_;  // The lock goes with it, also when the process is killed.
};

Result<bool> is_directory(const std::string& directory, const dirent& entry) {
    if (entry.d_type != DT_UNKNOWN && entry.d_type != DT_LNK) {
        return entry.d_type == DT_DIR;
    }
    const std::string path = directory + "/" + entry.d_name;
    struct stat facts{};
    if (::stat(path.c_str(), &facts) != 0) {
        if (errno == ENOENT) {
            return false;  // A dangling link, or removed meanwhile.
        }
        return error("stat", path);
    }
    return S_ISDIR(facts.st_mode);
}

}  // namespace

Result<FilePtr> FileDisk::open(const std::string& path, OpenMode mode) {
    MR_TRY(auto opened, open_path(path, flags_of(mode)));
    return FilePtr{std::make_shared<DescriptorFile>(path, std::move(opened))};
}

Result<void> FileDisk::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return error("rename", from + " to " + to);
    }
    return {};
}

Result<void> FileDisk::remove(const std::string& path) {
    if (::remove(path.c_str()) != 0) {
        return error("remove", path);
    }
    return {};
}

Result<void> FileDisk::create_directories(const std::string& path) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), 0755) != 0) {
            const int reason = errno;
            struct stat facts{};
            if (reason != EEXIST || ::stat(part.c_str(), &facts) != 0) {
                return system_error("mkdir " + part, reason);
            }
            if (!S_ISDIR(facts.st_mode)) {
                return system_error("mkdir " + part, ENOTDIR);
            }
        }
        if (slash == std::string::npos) {
            return {};
        }
    }
}

Result<std::vector<DirectoryEntry>> FileDisk::list(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) {
        return error("opendir", path);
    }
    std::vector<DirectoryEntry> entries;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) {
            break;
        }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            MR_TRY(const bool directory_inside, is_directory(path, *entry));
            entries.push_back({std::string(name), directory_inside});
        }
    }
    if (errno != 0) {
        return error("readdir", path);
    }
    std::sort(entries.begin(), entries.end());
    return entries;
}

Result<bool> FileDisk::exists(const std::string& path) {
    struct stat facts{};
    if (::stat(path.c_str(), &facts) == 0) {
        return true;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        return false;
    }
    return error("stat", path);
}

Result<std::uint64_t> FileDisk::file_size(const std::string& path) {
    struct stat facts{};
    if (::stat(path.c_str(), &facts) != 0) {
        return error("stat", path);
    }
    return static_cast<std::uint64_t>(facts.st_size);
}

Result<void> FileDisk::sync_directory(const std::string& path) {
    MR_TRY(const auto directory, open_path(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(directory.get()) != 0) {
        return error("fsync", path);
    }
    // As in DescriptorFile::sync(); a directory can't be written to, but asked to change nothing.
    if (::fremovexattr(directory.get(), "user.millrace.none") != 0 && errno == EIO) {
        return error("fsync", path);
    }
    return {};
}

Result<DiskUsage> FileDisk::usage(const std::string& path) {
    struct statvfs facts{};
    if (::statvfs(path.c_str(), &facts) != 0) {
        return error("statvfs", path);
    }
    // What an unprivileged process may still use, not what root could.
    return DiskUsage{facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize};
}

namespace {

/// By whom, where the kernel knows: not in another namespace of processes.
Error locked(const std::string& path, int file) {
    struct flock held{};
    held.l_type = F_WRLCK;
    held.l_whence = SEEK_SET;
    const bool is_known =
        ::fcntl(file, F_GETLK, &held) == 0 && held.l_type != F_UNLCK && held.l_pid > 0;
    return Error::make(Code::busy,
                       "{} is locked by another process{}: stop it, or name another "
                       "directory",
                       path, is_known ? fmt::format(", {}", held.l_pid) : "");
}

}  // namespace

Result<std::unique_ptr<DirectoryLock>> FileDisk::lock(const std::string& path) {
    // Kafka's name, so that a stock broker and ours exclude each other on one directory. Both kinds
    // of lock: Java's FileLock is a POSIX lock, which a second open in this process would not feel.
    const std::string name = path + "/.lock";
    MR_TRY(auto file, open_path(name, O_RDWR | O_CREAT));
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return locked(path, file.get());
        }
        return error("flock", name);
    }
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file.get(), F_SETLK, &whole) != 0) {
        if (errno == EACCES || errno == EAGAIN) {
            return locked(path, file.get());
        }
        return error("fcntl lock", name);
    }
    // One that gives up a start removes the file it made; what we hold may have lost its name.
    struct stat held{};
    struct stat named{};
    if (::fstat(file.get(), &held) != 0 || ::stat(name.c_str(), &named) != 0 ||
        held.st_ino != named.st_ino || held.st_dev != named.st_dev) {
        return locked(path, file.get());
    }
    return std::unique_ptr<DirectoryLock>(std::make_unique<FlockedDirectory>(std::move(file)));
}

}  // namespace millrace::runtime::internal
