#include "protocol/arena.h"

#include <gtest/gtest.h>
#include <string>

namespace millrace::protocol {
namespace {

// Copies stay where they are while the arena grows and moves.
TEST(Arena, keeps_copies_until_it_goes) {
    std::vector<std::string_view> copies;
    Arena arena;
    for (int i = 0; i < 2000; ++i) {
        // Small ones share chunks, large ones have their own.
        copies.push_back(arena.copy(std::string(static_cast<std::size_t>(i), 'a')));
    }
    const Arena moved = std::move(arena);
    for (std::size_t i = 0; i < copies.size(); ++i) {
        EXPECT_EQ(copies[i], std::string(i, 'a'));
    }
}

// What was moved from starts anew.
TEST(Arena, can_be_used_after_it_was_moved_from) {
    Arena arena;
    const auto first = arena.copy("first");
    const Arena moved = std::move(arena);
    const auto second = arena.copy("second");
    EXPECT_EQ(first, "first");
    EXPECT_EQ(second, "second");
}

}  // namespace
}  // namespace millrace::protocol
