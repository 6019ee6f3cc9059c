#include "mirror/internal/set_aside.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "record/batch_view.h"

namespace millrace::mirror {
namespace {

constexpr std::size_t slice_bytes = 4 << 20;

/// Reads on the loop that owns the log, copies where waiting is fine, piece by piece.
class Copy : public std::enable_shared_from_this<Copy> {
public:
    Copy(SetAsideJob job, UniqueFunction<void(Result<Kept>)> done)
        : job_(std::move(job)), done_(std::move(done)), next_(job_.from) {
        kept_.path = fmt::format("{}/{:020}-{:020}.diverged.quarantined", job_.folder,
                                 job_.from.value, job_.to.value);
    }

    void start() {
        in_pool([](Copy& self) -> Result<void> {
            MR_TRY(self.file_,
                   self.job_.disk->open(self.kept_.path, runtime::OpenMode::create_empty));
            return {};
        });
    }

private:
    using Work = Result<void> (*)(Copy&);

    void in_pool(Work work) {
        job_.pool->run(
            0, *job_.home, [self = shared_from_this(), work] { self->outcome_ = work(*self); },
            [self = shared_from_this()] { self->go_on(); });
    }

    void go_on() {
        if (!outcome_) {
            done_(outcome_.error());
            return;
        }
        if (is_synced_) {
            done_(std::move(kept_));
            return;
        }
        if (next_ < job_.to) {
            auto slice =
                job_.replicas->read_mirrored(job_.id, job_.leader_epoch, next_, slice_bytes);
            if (!slice) {
                done_(slice.error());
                return;
            }
            slice_ = *std::move(slice);
        }
        if (next_ >= job_.to || slice_.empty()) {
            in_pool(sync);
        } else {
            in_pool(copy);
        }
    }

    static Result<void> copy(Copy& self) {
        Buffer bytes(self.slice_.length);
        MR_TRY(const std::size_t got, self.slice_.file->read_at(self.slice_.position, bytes));
        bytes.resize(got);
        MR_TRY_VOID(self.file_->write_at(self.kept_.bytes, ByteView(bytes)));
        self.kept_.bytes += got;
        record::BatchRange range{ByteView(bytes)};
        Offset end = self.next_;
        while (const auto batch = range.next()) {
            end = std::max(end, batch->next_offset());
        }
        if (end == self.next_) {
            return Error::make(Code::corrupt, "no whole batch at offset {} of {}", end.value,
                               self.job_.folder);
        }
        self.next_ = end;
        return {};
    }

    static Result<void> sync(Copy& self) {
        MR_TRY_VOID(self.file_->sync());
        MR_TRY_VOID(self.job_.disk->sync_directory(self.job_.folder));
        self.is_synced_ = true;
        return {};
    }

    SetAsideJob job_;
    UniqueFunction<void(Result<Kept>)> done_;
    Kept kept_;
    Offset next_;
    runtime::FilePtr file_;
    storage::ReadSlice slice_;
    Result<void> outcome_;
    bool is_synced_ = false;
};

}  // namespace

void set_aside(SetAsideJob job, UniqueFunction<void(Result<Kept>)> done) {
    std::make_shared<Copy>(std::move(job), std::move(done))->start();
}

}  // namespace millrace::mirror
