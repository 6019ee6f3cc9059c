#include "raft/internal/snapshot_file.h"

#include <charconv>

#include "base/overloaded.h"
#include "raft/internal/control_batch.h"

namespace millrace::raft {

namespace {

constexpr std::string_view suffix = ".checkpoint";
constexpr std::size_t offset_digits = 20;
constexpr std::size_t epoch_digits = 10;
/// More than any batch of the log may have, so that a damaged length can't ask for gigabytes.
constexpr std::size_t max_batch_bytes = std::size_t{256} << 20;

template <typename T>
std::optional<T> digits_value(std::string_view digits) {
    T value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
    return is_whole && value >= 0 ? std::optional(value) : std::nullopt;
}

/// Batch after batch of a file, each in a buffer that the next call reuses.
class BatchFileReader {
public:
    explicit BatchFileReader(const runtime::File& file) : file_(&file) {}

    Result<std::optional<record::BatchView>> next() {
        if (!size_) {
            MR_TRY(size_, file_->size());
        }
        if (position_ == *size_) {
            return std::optional<record::BatchView>();
        }
        MR_TRY_VOID(read(record::BatchHeader::size));
        const record::Frame frame = record::frame_first(buffer_);
        if (frame.size < record::BatchHeader::size || frame.size > max_batch_bytes) {
            return Error::make(Code::corrupt, "no batch at byte {}", position_);
        }
        MR_TRY_VOID(read(frame.size));
        MR_TRY(const auto batch, record::BatchView::parse(buffer_));
        position_ += frame.size;
        return std::optional(batch);
    }

private:
    Result<void> read(std::size_t length) {
        if (position_ + length > *size_) {
            return Error::make(Code::corrupt, "cut short at byte {}", *size_);
        }
        buffer_.resize(length);
        MR_TRY(const std::size_t got, file_->read_at(position_, buffer_));
        if (got != length) {
            return Error::make(Code::corrupt, "cut short at byte {}", position_ + got);
        }
        return {};
    }

    const runtime::File* file_;
    std::optional<std::uint64_t> size_;
    std::uint64_t position_ = 0;
    Buffer buffer_;
};

class FileSnapshotReader final : public SnapshotReader {
public:
    FileSnapshotReader(runtime::FilePtr file, const SnapshotId& id, Timestamp time)
        : file_(std::move(file)), batches_(*file_), id_(id), time_(time) {}

    SnapshotId id() const override { return id_; }
    Timestamp last_contained_log_time() const override { return time_; }
    Result<std::optional<ByteView>> next() override {
        while (true) {
            MR_TRY(const auto batch, batches_.next());
            if (!batch) {
                return std::optional<ByteView>();
            }
            // It may rot between the check and now.
            MR_TRY_VOID(batch->check());
            if (!batch->is_control()) {
                return std::optional(batch->bytes());
            }
        }
    }

private:
    runtime::FilePtr file_;
    BatchFileReader batches_;
    SnapshotId id_;
    Timestamp time_;
};

}  // namespace

std::string snapshot_file_name(const SnapshotId& id) {
    return fmt::format("{:020}-{:010}{}", id.end.value, id.epoch.value, suffix);
}

std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name) {
    constexpr std::size_t size = offset_digits + 1 + epoch_digits + suffix.size();
    if (name.size() != size || name[offset_digits] != '-' || !name.ends_with(suffix)) {
        return std::nullopt;
    }
    const auto end = digits_value<std::int64_t>(name.substr(0, offset_digits));
    const auto epoch = digits_value<std::int32_t>(name.substr(offset_digits + 1, epoch_digits));
    return end && epoch ? std::optional(SnapshotId{Offset{*end}, QuorumEpoch{*epoch}})
                        : std::nullopt;
}

Result<void> SnapshotChecker::add(const record::BatchView& batch) {
    MR_TRY_VOID(batch.check());
    if (has_footer_) {
        return Error(Code::corrupt, "a batch follows the footer");
    }
    if (batch.base_offset() != next_) {
        return Error::make(Code::corrupt, "a batch at {} where {} is due", batch.base_offset(),
                           next_);
    }
    next_ = batch.next_offset();
    summary_.size += batch.size();
    if (!batch.is_control()) {
        return has_header_ ? Result<void>() : Error(Code::corrupt, "records before the header");
    }
    MR_TRY(const auto records, read_all_control_records(batch));
    for (const auto& [offset, record] : records) {
        const bool is_header = std::holds_alternative<SnapshotHeader>(record);
        if (is_header == has_header_ || has_footer_) {
            return Error::make(Code::corrupt, "a control record out of place at {}", offset);
        }
        std::visit(
            Overloaded{
                [&](const SnapshotHeader& header) {
                    has_header_ = true;
                    summary_.last_contained_log_time = header.last_contained_log_time;
                },
                [&](const SnapshotFooter&) { has_footer_ = true; },
                [&](const KraftVersionChange& change) { summary_.kraft_version = change.version; },
                [&](const VotersChange& change) { summary_.voters = change.voters; },
                [](const LeaderChange&) {},
            },
            record);
    }
    return {};
}

Result<SnapshotSummary> SnapshotChecker::finish() const {
    if (!has_header_ || !has_footer_) {
        return Error(Code::corrupt, has_header_ ? "no footer" : "no header");
    }
    return summary_;
}

Result<SnapshotSummary> check_snapshot_file(const runtime::File& file) {
    SnapshotChecker checker;
    BatchFileReader batches(file);
    while (true) {
        MR_TRY(const auto batch, batches.next());
        if (!batch) {
            return checker.finish();
        }
        MR_TRY_VOID(checker.add(*batch));
    }
}

std::unique_ptr<SnapshotReader> open_snapshot(runtime::FilePtr file, const SnapshotId& id,
                                              Timestamp last_contained_log_time) {
    return std::make_unique<FileSnapshotReader>(std::move(file), id, last_contained_log_time);
}

Buffer snapshot_header_batch(const SnapshotId& id, Timestamp last_contained_log_time,
                             std::int16_t kraft_version, const std::optional<VoterSet>& voters,
                             Timestamp now) {
    std::vector<AnyControlRecord> records{SnapshotHeader{last_contained_log_time}};
    if (kraft_version > 0) {
        records.emplace_back(KraftVersionChange{kraft_version});
    }
    if (voters) {
        records.emplace_back(VotersChange{*voters});
    }
    return build_control_batch(records, Offset{0}, id.epoch, now);
}

Buffer snapshot_footer_batch(const SnapshotId& id, Offset base, Timestamp now) {
    return build_control_batch(std::vector<AnyControlRecord>{SnapshotFooter{}}, base, id.epoch,
                               now);
}

}  // namespace millrace::raft
