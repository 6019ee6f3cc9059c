#include "tests/support/allocation_counter.h"

#include <cstdlib>
#include <new>

namespace {

thread_local millrace::test::Allocations counted;

void* counted_malloc(std::size_t size) {
    ++counted.count;
    counted.bytes += size;
    if (void* made = std::malloc(size == 0 ? 1 : size)) {
        return made;
    }
    std::abort();
}

}  // namespace

namespace millrace::test {
Allocations allocations() {
    return counted;
}
}  // namespace millrace::test

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
