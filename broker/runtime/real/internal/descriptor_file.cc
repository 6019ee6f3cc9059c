#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/real/internal/file_disk.h"

namespace millrace::runtime::internal {

Error DescriptorFile::error(const char* call) const {
    return system_error(fmt::format("{} {}", call, path_), errno);
}

Result<std::size_t> DescriptorFile::read_at(std::uint64_t offset, MutableBytes into) const {
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t got = ::pread(descriptor_.get(), into.data() + done, into.size() - done,
                                    static_cast<off_t>(offset + done));
        if (got == 0) {
            break;
        }
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        } else if (errno != EINTR) {
            return error("pread");
        }
    }
    return done;
}

Result<void> DescriptorFile::write_at(std::uint64_t offset, std::span<const iovec> parts) {
    std::size_t skip = 0;  // Of the first part: written already.
    while (!parts.empty()) {
        const auto batch = parts.first(std::min<std::size_t>(parts.size(), IOV_MAX));
        ssize_t put = 0;
        if (skip > 0) {
            // The rest of a part that a short write cut; rare, so one call for it alone.
            put = ::pwrite(descriptor_.get(), static_cast<const char*>(parts[0].iov_base) + skip,
                           parts[0].iov_len - skip, static_cast<off_t>(offset));
        } else {
            put = ::pwritev(descriptor_.get(), batch.data(), static_cast<int>(batch.size()),
                            static_cast<off_t>(offset));
        }
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return error("pwrite");
        }
        offset += static_cast<std::uint64_t>(put);
        skip += static_cast<std::size_t>(put);
        while (!parts.empty() && skip >= parts[0].iov_len) {
            skip -= parts[0].iov_len;
            parts = parts.subspan(1);
        }
    }
    return {};
}

Result<void> DescriptorFile::truncate(std::uint64_t size) {
    while (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0) {
        if (errno != EINTR) {
            return error("ftruncate");
        }
    }
    return {};
}

Result<std::uint64_t> DescriptorFile::size() const {
    struct stat facts{};
    if (::fstat(descriptor_.get(), &facts) != 0) {
        return error("fstat");
    }
    return static_cast<std::uint64_t>(facts.st_size);
}

Result<void> DescriptorFile::sync() {
    // Not even for EINTR is it called twice: the kernel reports a lost page once.
    if (::fdatasync(descriptor_.get()) != 0) {
        return error("fdatasync");
    }
    // ext4 answers 0 to a sync that waited while its journal was aborted: what it wrote is not
    // there after a restart. An empty write asks whether the file system is still alive.
    if (::pwrite(descriptor_.get(), "", 0, 0) != 0 && errno != EBADF) {  // EBADF: open to read
        return error("fdatasync");
    }
    return {};
}

void DescriptorFile::preallocate(std::uint64_t offset, std::uint64_t length) {
    // A hint: a file system without it, or a full one, shows at the write.
    (void)::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                      static_cast<off_t>(length));
}

void DescriptorFile::start_writeback(std::uint64_t offset, std::uint64_t length) {
    // A hint: an error of the device stays with the file and shows at sync().
    (void)::sync_file_range(descriptor_.get(), static_cast<off_t>(offset),
                            static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
}

}  // namespace millrace::runtime::internal
