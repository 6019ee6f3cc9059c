// Searches of an index whose entries lie in its file, in memory, or partly in each, held against
// a walk through all of them.
#include "storage/internal/sparse_index.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "storage/internal/log_names.h"
#include "tests/unit/storage/support.h"

namespace millrace::storage {
namespace {

class SparseIndexes : public test::OnDisk {
protected:
    /// Entry i has 3 * i + 2.
    static OffsetEntry entry(std::size_t i) {
        return {static_cast<std::int32_t>(3 * i + 2), static_cast<std::int32_t>(100 * i)};
    }

    static void expect_like_a_walk(OffsetIndex& index, std::size_t entries, std::int64_t bound) {
        std::optional<OffsetEntry> floor;
        std::optional<OffsetEntry> above;
        for (std::size_t i = 0; i < entries && !above; ++i) {
            (entry(i).relative_offset <= bound ? floor : above) = entry(i);
        }
        EXPECT_EQ(*index.floor(&OffsetEntry::relative_offset, bound), floor) << bound;
        EXPECT_EQ(*index.above(&OffsetEntry::relative_offset, bound), above) << bound;
    }
};

TEST_F(SparseIndexes, find_what_a_walk_finds) {
    ASSERT_TRUE(disk().create_directories("/data/log-0"));
    std::int64_t base = 0;
    for (const std::size_t in_file : {0U, 1U, 2U, 1023U, 1024U, 1025U, 3000U}) {
        for (const std::size_t in_memory : {0U, 1U, 5U}) {
            OffsetIndex index(directory_->files(), "/data/log-0", Offset{base++}, suffix::index);
            for (std::size_t i = 0; i < in_file; ++i) {
                index.add(entry(i));
            }
            ASSERT_TRUE(index.flush());
            for (std::size_t i = in_file; i < in_file + in_memory; ++i) {
                index.add(entry(i));
            }
            const std::size_t entries = in_file + in_memory;
            const auto end = static_cast<std::int64_t>(3 * entries + 5);
            for (std::int64_t bound = -1; bound < end; bound += 1 + end / 97) {
                expect_like_a_walk(index, entries, bound);
            }
            for (const std::size_t edge : {std::size_t{0}, std::size_t{1}, in_file, entries}) {
                for (const std::int64_t off : {-2, -1, 0, 1}) {
                    expect_like_a_walk(index, entries, static_cast<std::int64_t>(3 * edge) + off);
                }
            }
        }
    }
}

}  // namespace
}  // namespace millrace::storage
