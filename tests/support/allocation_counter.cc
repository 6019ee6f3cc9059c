#include "tests/support/allocation_counter.h"

#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MR_SANITIZER_COUNTS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MR_SANITIZER_COUNTS 1
#endif

namespace {
thread_local millrace::test::Allocations counted;
}  // namespace

namespace millrace::test {
Allocations allocations() {
    return counted;
}
}  // namespace millrace::test

#if defined(MR_SANITIZER_COUNTS)

// The sanitizer owns operator new and checks who frees what; it tells us of each allocation.
#include <sanitizer/allocator_interface.h>

namespace {

void count(const volatile void*, std::size_t size) {
    ++counted.count;
    counted.bytes += size;
}

[[maybe_unused]] const int installed =
    __sanitizer_install_malloc_and_free_hooks(count, [](const volatile void*) {});

}  // namespace

#else

namespace {

void* counted_malloc(std::size_t size) {
    ++counted.count;
    counted.bytes += size;
    if (void* made = std::malloc(size == 0 ? 1 : size)) {
        return made;
    }
    std::abort();
}

}  // namespace

void* operator new(std::size_t size) {
    return counted_malloc(size);
}
void* operator new[](std::size_t size) {
    return counted_malloc(size);
}
void operator delete(void* made) noexcept {
    std::free(made);
}
void operator delete[](void* made) noexcept {
    std::free(made);
}
void operator delete(void* made, std::size_t) noexcept {
    std::free(made);
}
void operator delete[](void* made, std::size_t) noexcept {
    std::free(made);
}

#endif
