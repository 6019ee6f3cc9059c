// What a recovery believes of what the manifest says, and how it makes sure.

#include <algorithm>

#include "storage/internal/recovery.h"
#include "storage/internal/text_files.h"

namespace millrace::storage {

namespace {

constexpr std::uint64_t partition_metadata_max = std::uint64_t{1} << 20;

}  // namespace

Result<void> Recovery::read_topic_id() {
    if (input_.known && !input_.known->topic_id.is_zero()) {
        s_.topic_id = input_.known->topic_id;
        return {};
    }
    const std::string path = s_.file_path(partition_metadata_name);
    MR_TRY(const std::string text, s_.disk().read_whole(path, partition_metadata_max));
    const auto id = parse_partition_metadata(text);
    if (!id) {
        return id.error().with_context(path);
    }
    s_.topic_id = *id;
    if (cache_may_lie_) {
        MR_TRY(auto file, s_.disk().open(path, runtime::OpenMode::read_write));
        MR_TRY_VOID(file->write_at(0, as_bytes(text)));
        s_.unsynced_files.push_back(std::move(file));
    }
    return {};
}

Result<bool> Recovery::adopt_known(Segment& segment, Offset next) {
    if (!input_.known) {
        return false;
    }
    const auto& sealed = input_.known->sealed;
    const auto known =
        std::lower_bound(sealed.begin(), sealed.end(), segment.base(),
                         [](const SegmentFacts& one, Offset base) { return one.base < base; });
    if (known == sealed.end() || known->base != segment.base()) {
        return false;
    }
    if (const auto aborted = segment.transactions().entries(); !aborted) {
        return aborted.error().code() == Code::corrupt ? Result<bool>(false)
                                                       : Result<bool>(aborted.error());
    }
    return segment.adopt_known(*known, next);
}

Result<bool> Recovery::resume(Segment& segment, std::size_t index) {
    if (!input_.known || !input_.known->tail || epochs_lost_ || cache_may_lie_) {
        return false;
    }
    const TailMark& mark = *input_.known->tail;
    // What the mark says was synced; whether it is to be believed is the recovery point's to say.
    if (mark.front.base != segment.base() || mark.end > input_.recovery_point) {
        return false;
    }
    if (const auto cut = segment.transactions().truncate_from(mark.end); !cut) {
        return cut.error().code() == Code::corrupt ? Result<bool>(false)
                                                   : Result<bool>(cut.error());
    }
    MR_TRY(const bool resumed, segment.resume(mark));
    if (!resumed) {
        return false;
    }
    resumed_ = index;
    s_.tail = mark;
    report_.resumed_at = mark.end;
    MR_TRY(const auto file, segment.file());
    MR_TRY(const std::uint64_t size, file->size());
    return size == segment.size() &&
           !(input_.journaled && input_.journaled->goes_on(segment.base(), size));
}

}  // namespace millrace::storage
