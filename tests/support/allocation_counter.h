// tests/support/allocation_counter.h
//
// Counts what a thread allocates through operator new. A program that asks links
// allocation_counter.cc, which replaces the global operators.
#pragma once

#include <cstddef>

namespace millrace::test {

struct Allocations {
    std::size_t count = 0;
    std::size_t bytes = 0;
};

/// Since the thread began.
Allocations allocations();

}  // namespace millrace::test
