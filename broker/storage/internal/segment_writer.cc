#include "storage/internal/segment_writer.h"

#include "storage/internal/log_names.h"
#include "storage/internal/transaction_index.h"

namespace millrace::storage {

namespace {

constexpr std::size_t piece_size = std::size_t{1} << 20;

template <typename Entry>
Buffer stored(const std::vector<Entry>& entries) {
    Buffer bytes(entries.size() * Entry::stored_size);
    std::byte* to = bytes.data();
    for (const Entry& entry : entries) {
        entry.store(to);
        to += Entry::stored_size;
    }
    return bytes;
}

}  // namespace

SegmentWriter::SegmentWriter(runtime::Disk& disk, std::string folder, Offset base,
                             Bytes index_interval)
    : disk_(disk),
      folder_(std::move(folder)),
      base_(base),
      rule_(base, index_interval),
      end_(base) {}

std::string SegmentWriter::path(std::string_view ending) const {
    return join_path(folder_, offset_name(base_, ending));
}

std::vector<std::string> SegmentWriter::paths() const {
    std::vector<std::string> paths{path(suffix::log), path(suffix::index),
                                   path(suffix::time_index)};
    if (has_aborted()) {
        paths.push_back(path(suffix::transaction_index));
    }
    return paths;
}

Result<void> SegmentWriter::append(const record::BatchView& batch) {
    if (!file_) {
        MR_TRY(file_, disk_.open(path(suffix::log) + std::string(suffix::cleaned),
                                 runtime::OpenMode::create_empty));
    }
    if (size_ + batch.size() > INT32_MAX || batch.last_offset() - base_ > INT32_MAX) {
        return Error::make(Code::exhausted, "{}: compacted segments grew beyond one segment",
                           path(suffix::log));
    }
    const EntryHeader header = header_of(batch, size_);
    const IndexRule::Due due = rule_.note(header);
    if (due.offset) {
        offsets_.push_back(*due.offset);
    }
    if (due.time) {
        times_.push_back(*due.time);
    }
    const ByteView bytes = batch.bytes();
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    size_ = header.end();
    end_ = header.next();
    return pending_.size() >= piece_size ? flush() : Result<void>{};
}

void SegmentWriter::append_aborted(const std::vector<AbortedTransaction>& transactions) {
    aborted_.insert(aborted_.end(), transactions.begin(), transactions.end());
}

Result<void> SegmentWriter::flush() {
    MR_TRY_VOID(file_->write_at(written_, ByteView(pending_)));
    written_ += pending_.size();
    file_->start_writeback(written_ - pending_.size(), pending_.size());
    pending_.clear();
    return {};
}

Result<void> SegmentWriter::write_file(std::string_view ending, ByteView bytes) {
    MR_TRY(auto file, disk_.open(path(ending) + std::string(suffix::cleaned),
                                 runtime::OpenMode::create_empty));
    MR_TRY_VOID(file->write_at(0, bytes));
    return file->sync();
}

Result<void> SegmentWriter::finish() {
    if (!file_) {
        MR_TRY(file_, disk_.open(path(suffix::log) + std::string(suffix::cleaned),
                                 runtime::OpenMode::create_empty));
    }
    if (const auto time = rule_.take_time()) {
        times_.push_back(*time);
    }
    MR_TRY_VOID(flush());
    MR_TRY_VOID(file_->sync());
    MR_TRY_VOID(write_file(suffix::index, stored(offsets_)));
    MR_TRY_VOID(write_file(suffix::time_index, stored(times_)));
    if (has_aborted()) {
        Buffer bytes(aborted_.size() * TransactionIndex::stored_size);
        for (std::size_t i = 0; i < aborted_.size(); ++i) {
            TransactionIndex::store(aborted_[i], bytes.data() + i * TransactionIndex::stored_size);
        }
        MR_TRY_VOID(write_file(suffix::transaction_index, bytes));
    }
    file_.reset();
    pending_ = {};
    return {};
}

Result<void> SegmentWriter::discard() {
    file_.reset();
    for (const auto ending :
         {suffix::log, suffix::index, suffix::time_index, suffix::transaction_index}) {
        const auto removed = disk_.remove(path(ending) + std::string(suffix::cleaned));
        if (!removed && removed.error().code() != Code::not_found) {
            return removed;
        }
    }
    return {};
}

}  // namespace millrace::storage
