// Which batches at one place may be of one history, by what compaction does and never does.
#include "mirror/internal/same_records.h"

#include <gtest/gtest.h>

#include "record/batch_builder.h"

namespace millrace::mirror {
namespace {

struct Kept {
    std::int64_t offset;
    const char* key;
    const char* value;
};

Buffer batch_of(const std::vector<Kept>& records, std::int64_t timestamp = 5,
                record::Compression codec = record::Compression::none) {
    record::BatchOptions options;
    options.base_offset = Offset{10};
    options.compression.codec = codec;
    record::BatchBuilder builder(options);
    for (const Kept& one : records) {
        record::NewRecord record;
        record.timestamp = timestamp;
        record.key = as_bytes(one.key);
        record.value = as_bytes(one.value);
        builder.append_at(Offset{one.offset}, record);
    }
    builder.keep_last_offset(Offset{19});
    record::Compressor compressor;
    return *builder.finish(compressor);
}

bool agree(const Buffer& theirs, const Buffer& ours) {
    return mirror::agree(*record::BatchView::parse(theirs), *record::BatchView::parse(ours));
}

TEST(MirrorSame, what_each_side_has_compacted_by_itself_is_one_history) {
    const Buffer ours = batch_of({{10, "a", "1"}, {12, "b", "2"}, {19, "c", "3"}});
    const Buffer theirs = batch_of({{12, "b", "2"}, {15, "d", "4"}}, 99, record::Compression::lz4);
    EXPECT_TRUE(agree(theirs, ours));
    EXPECT_TRUE(agree(ours, theirs));
}

TEST(MirrorSame, another_record_at_an_offset_is_another_history) {
    const Buffer ours = batch_of({{10, "a", "1"}, {12, "b", "2"}});
    EXPECT_FALSE(agree(batch_of({{12, "b", "x"}}), ours));
    EXPECT_FALSE(agree(batch_of({{12, "x", "2"}}), ours));
    EXPECT_FALSE(agree(batch_of({{10, "a1", ""}}), ours)) << "where the key ends counts";
}

TEST(MirrorSame, nothing_in_common_says_nothing) {
    EXPECT_TRUE(agree(batch_of({{11, "x", "y"}}), batch_of({{10, "a", "1"}, {12, "b", "2"}})));
}

}  // namespace
}  // namespace millrace::mirror
