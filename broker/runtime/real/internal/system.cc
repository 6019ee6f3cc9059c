#include "runtime/real/internal/system.h"

#include <cerrno>
#include <ctime>
#include <system_error>
#include <unistd.h>

namespace millrace::runtime::internal {

namespace {

Code code_of(int error_number) {
    switch (error_number) {
        case EAGAIN:
            return Code::again;
        case ENOENT:
        case ENXIO:
            return Code::not_found;
        case EEXIST:
        case EADDRINUSE:
            return Code::exists;
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::permission;
        case ENOSPC:
        case EDQUOT:
            return Code::no_space;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case ENOBUFS:
            return Code::exhausted;
        case EPIPE:
        case ECONNRESET:
        case ECONNABORTED:
        case ENOTCONN:
        case ESHUTDOWN:
            return Code::closed;
        case ETIMEDOUT:
            return Code::timed_out;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case EHOSTDOWN:
        case ENETUNREACH:
        case ENETDOWN:
            return Code::unavailable;
        case EINVAL:
        case EADDRNOTAVAIL:
        case ENAMETOOLONG:
        case ENOTDIR:
        case EISDIR:
        case ENOTEMPTY:
            return Code::invalid;
        case EOPNOTSUPP:
        case ENOSYS:
            return Code::unsupported;
        default:
            return Code::io;
    }
}

timespec read(clockid_t clock) {
    timespec at{};
    ::clock_gettime(clock, &at);
    return at;
}

}  // namespace

void Descriptor::reset() {
    if (number_ >= 0) {
        ::close(std::exchange(number_, -1));
    }
}

Error system_error(std::string_view what, int error_number) {
    return Error::make(code_of(error_number), "{}: {}", what,
                       std::generic_category().message(error_number));
}

Instant monotonic_now() {
    const timespec at = read(CLOCK_MONOTONIC);
    return {at.tv_sec * 1'000'000'000 + at.tv_nsec};
}

Timestamp wall_now() {
    const timespec at = read(CLOCK_REALTIME);
    return {at.tv_sec * 1000 + at.tv_nsec / 1'000'000};
}

}  // namespace millrace::runtime::internal
